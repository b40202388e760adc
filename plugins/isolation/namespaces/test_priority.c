/* SPDX-License-Identifier: Apache-2.0 */
/* test_priority.c - process.ioPriority, process.scheduler, linux.personality. */
#include "test_spec.h"

#include <linux/ioprio.h>
#include <linux/sched.h>
#include <sys/personality.h>

static struct ns_machine machine;

#define U CLOISTER_UNSUPPORTED
#define I CLOISTER_INVALID
#define SCHED(x) .process = ",\"scheduler\":{" x "}"
#define IO(x) .process = ",\"ioPriority\":{" x "}"
#define PERSON(x) .kernel = ",\"personality\":{" x "}"

static const struct {
    const char *name;
    struct ns_test_spec spec;
    uint32_t code;
    const char *path;
    struct cl_wire_plan head; /* flags and what they are about */
} cases[] = {
    {"best effort",
     {IO("\"class\":\"IOPRIO_CLASS_BE\",\"priority\":7")},
     0,
     NULL,
     {.flags = CL_WIRE_PLAN_IO_PRIORITY, .io_priority = 2 << 13 | 7}},
    {"real time",
     {IO("\"class\":\"IOPRIO_CLASS_RT\"")},
     0,
     NULL,
     {.flags = CL_WIRE_PLAN_IO_PRIORITY, .io_priority = 1 << 13}},
    {"idle",
     {IO("\"class\":\"IOPRIO_CLASS_IDLE\"")},
     0,
     NULL,
     {.flags = CL_WIRE_PLAN_IO_PRIORITY, .io_priority = 3 << 13}},
    {"no class", {IO("\"class\":\"IOPRIO_CLASS_NONE\"")}, I, "process.ioPriority.class"},
    {"class missing", {IO("\"priority\":1")}, I, "process.ioPriority.class"},
    {"level", {IO("\"class\":\"IOPRIO_CLASS_BE\",\"priority\":8")}, I, "process.ioPriority.priority"},
    {"negative level", {IO("\"class\":\"IOPRIO_CLASS_BE\",\"priority\":-1")}, I, "process.ioPriority.priority"},
    {"other",
     {SCHED("\"policy\":\"SCHED_OTHER\",\"nice\":-20")},
     0,
     NULL,
     {.flags = CL_WIRE_PLAN_SCHEDULER, .sched = {.policy = SCHED_NORMAL, .nice = -20}}},
    {"batch",
     {SCHED("\"policy\":\"SCHED_BATCH\",\"nice\":19")},
     0,
     NULL,
     {.flags = CL_WIRE_PLAN_SCHEDULER, .sched = {.policy = SCHED_BATCH, .nice = 19}}},
    {"idle tasks",
     {SCHED("\"policy\":\"SCHED_IDLE\"")},
     0,
     NULL,
     {.flags = CL_WIRE_PLAN_SCHEDULER, .sched = {.policy = SCHED_IDLE}}},
    {"fifo",
     {SCHED("\"policy\":\"SCHED_FIFO\",\"priority\":99,\"flags\":[\"SCHED_FLAG_RESET_ON_FORK\"]")},
     0,
     NULL,
     {.flags = CL_WIRE_PLAN_SCHEDULER, .sched = {.policy = SCHED_FIFO, .priority = 99, .flags = 1}}},
    {"rr",
     {SCHED("\"policy\":\"SCHED_RR\",\"priority\":1")},
     0,
     NULL,
     {.flags = CL_WIRE_PLAN_SCHEDULER, .sched = {.policy = SCHED_RR, .priority = 1}}},
    {"deadline",
     {SCHED("\"policy\":\"SCHED_DEADLINE\",\"runtime\":1,\"deadline\":2,\"period\":3,\"flags\":[\"SCHED_FLAG_RECLAIM\","
            "\"SCHED_FLAG_DL_OVERRUN\",\"SCHED_FLAG_KEEP_POLICY\",\"SCHED_FLAG_KEEP_PARAMS\"]")},
     0,
     NULL,
     {.flags = CL_WIRE_PLAN_SCHEDULER,
      .sched = {.policy = SCHED_DEADLINE, .flags = 2 | 4 | 8 | 16, .runtime = 1, .deadline = 2, .period = 3}}},
    {"nice of fifo", {SCHED("\"policy\":\"SCHED_FIFO\",\"priority\":1,\"nice\":1")}, I, "process.scheduler.nice"},
    {"priority of other", {SCHED("\"policy\":\"SCHED_OTHER\",\"priority\":1")}, I, "process.scheduler.priority"},
    {"no priority", {SCHED("\"policy\":\"SCHED_RR\"")}, I, "process.scheduler.priority"},
    {"priority of nothing", {SCHED("\"policy\":\"SCHED_RR\",\"priority\":0")}, I, "process.scheduler.priority"},
    {"runtime of batch", {SCHED("\"policy\":\"SCHED_BATCH\",\"runtime\":1")}, I, "process.scheduler.runtime"},
    {"deadline of batch", {SCHED("\"policy\":\"SCHED_BATCH\",\"deadline\":1")}, I, "process.scheduler.deadline"},
    {"period of batch", {SCHED("\"policy\":\"SCHED_BATCH\",\"period\":1")}, I, "process.scheduler.period"},
    {"too nice", {SCHED("\"policy\":\"SCHED_OTHER\",\"nice\":20")}, I, "process.scheduler.nice"},
    {"of no kernel", {SCHED("\"policy\":\"SCHED_ISO\"")}, U, "process.scheduler.policy"},
    {"clamp",
     {SCHED("\"policy\":\"SCHED_OTHER\",\"flags\":[\"SCHED_FLAG_RESET_ON_FORK\",\"SCHED_FLAG_UTIL_CLAMP_MIN\"]")},
     U,
     "process.scheduler.flags[1]"},
    {"domain", {PERSON("\"domain\":\"LINUX\"")}, 0, NULL, {.flags = CL_WIRE_PLAN_PERSONALITY}},
    {"domain of 32 bits",
     {PERSON("\"domain\":\"LINUX32\"")},
     0,
     NULL,
     {.flags = CL_WIRE_PLAN_PERSONALITY, .personality = PER_LINUX32}},
    {"no domain", {PERSON("\"domain\":\"BSD\"")}, I, "linux.personality.domain"},
    {"flags", {PERSON("\"domain\":\"LINUX\",\"flags\":[\"ADDR_NO_RANDOMIZE\"]")}, U, "linux.personality.flags"},
};

static void check(const char *name, const struct cl_wire_plan *got, const struct cl_wire_plan *wanted)
{
    const uint32_t about = CL_WIRE_PLAN_IO_PRIORITY | CL_WIRE_PLAN_SCHEDULER | CL_WIRE_PLAN_PERSONALITY;

    if ((got->flags & about) != wanted->flags || got->io_priority != wanted->io_priority ||
        got->personality != wanted->personality || memcmp(&got->sched, &wanted->sched, sizeof(got->sched)) != 0)
        fail_msg("%s: another plan", name);
}

static void test_cases(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct cloister_error err;
        struct ns_compile c;
        int rc = ns_test_compile(&c, &machine, &cases[i].spec, &err);

        if ((rc < 0) != (cases[i].code != 0) ||
            (rc < 0 && (err.code != cases[i].code || strcmp(err.subject, cases[i].path) != 0)))
            fail_msg("%s: %s", cases[i].name, rc < 0 ? err.chain : "accepted");
        if (rc == 0) {
            check(cases[i].name, &c.plan.head, &cases[i].head);
            ns_test_seal(&c, cases[i].name);
        }
        ns_compile_clear(&c);
    }
}

/* A container's execution domain is every exec's: what a later daemon compiles of its spec tells it. */
static void test_known(void **state)
{
    struct cloister_error err;
    struct ns_reader r = ns_test_reader(&err);
    struct ns_compile c;

    ns_compile_init(&c, &r, &machine, CL_WIRE_PLAN_CONTAINER);
    assert_int_equal(ns_compile_known(&c, CLOISTER_SV("{\"ociVersion\":\"1.1.0\",\"linux\":{\"namespaces\":[{\"type\":"
                                                      "\"mount\"}],\"personality\":{\"domain\":\"LINUX32\"}}}")),
                     0);
    check("known", &c.plan.head, &(struct cl_wire_plan){.flags = CL_WIRE_PLAN_PERSONALITY, .personality = PER_LINUX32});
    ns_compile_clear(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_known),
    };
    int rc;

    if (ns_hierarchies_parse(NS_TEST_MOUNTINFO("/sys/fs/cgroup"), &machine.hierarchies) < 0)
        return 1;
    machine.bounding = ~0ull;
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    ns_hierarchies_clear(&machine.hierarchies);
    return rc;
}
