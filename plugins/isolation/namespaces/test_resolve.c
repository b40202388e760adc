/* SPDX-License-Identifier: Apache-2.0 */
/* test_resolve.c - a user by name, search path and niceness: what the plan says of them, and what is refused where. */
#include "test_host.h"

#include "compile.h"

static struct ns_machine machine;

static const struct {
    const char *name;
    const char *oci;
    struct cloister_resolve_args resolve;
    int32_t nice;
    const char *search;
    const char *refused; /* JSON path; NULL = none */
    const char *user;    /* in the plan; NULL = none */
    uint32_t wire;
    const char *cwd;
} cases[] = {
    {.name = "none", .oci = "\"cwd\":\"/x\",\"user\":{\"uid\":5,\"gid\":6}", .cwd = "/x"},
    {.name = "a name",
     .oci = "\"cwd\":\"/\"",
     .resolve = {sizeof(struct cloister_resolve_args),
                 CLOISTER_RESOLVE_GROUPS | CLOISTER_RESOLVE_ENV,
                 {"ann:staff", 9}},
     .user = "ann:staff",
     .wire = CL_WIRE_RESOLVE_GROUPS | CL_WIRE_RESOLVE_ENV,
     .cwd = "/"},
    {.name = "nobody in particular",
     .oci = "\"cwd\":\"\"",
     .resolve = {sizeof(struct cloister_resolve_args), CLOISTER_RESOLVE_CWD},
     .user = "",
     .wire = CL_WIRE_RESOLVE_CWD,
     .cwd = ""},
    {.name = "no cwd and nobody to ask", .oci = "\"cwd\":\"\"", .refused = "process.cwd"},
    {.name = "no cwd and not asked",
     .oci = "\"cwd\":\"\"",
     .resolve = {sizeof(struct cloister_resolve_args), CLOISTER_RESOLVE_ENV},
     .refused = "process.cwd"},
    {.name = "numbers too",
     .oci = "\"cwd\":\"/\",\"user\":{\"uid\":5,\"gid\":0}",
     .resolve = {sizeof(struct cloister_resolve_args), 0, {"ann", 3}},
     .refused = "process.user"},
    {.name = "groups too",
     .oci = "\"cwd\":\"/\",\"user\":{\"uid\":0,\"gid\":0,\"additionalGids\":[5]}",
     .resolve = {sizeof(struct cloister_resolve_args), 0, {"ann", 3}},
     .refused = "process.user.additionalGids"},
    {.name = "a line break",
     .oci = "\"cwd\":\"/\"",
     .resolve = {sizeof(struct cloister_resolve_args), 0, {"a\nb", 3}},
     .refused = "resolve.user"},
    {.name = "a NUL",
     .oci = "\"cwd\":\"/\"",
     .resolve = {sizeof(struct cloister_resolve_args), 0, {"a\0b", 3}},
     .refused = "resolve.user"},
    {.name = "an unknown bit",
     .oci = "\"cwd\":\"/\"",
     .resolve = {sizeof(struct cloister_resolve_args), 1u << 9, {"ann", 3}},
     .refused = "resolve.flags"},
    {.name = "odd capabilities",
     .oci = "\"cwd\":\"/\"",
     .resolve = {sizeof(struct cloister_resolve_args), 0, {"ann", 3}, {"{\"bounding\":[\"CAP_X\"]}", 22}},
     .refused = "resolve.nonroot_capabilities.bounding[0]"},
    {.name = "an unknown set",
     .oci = "\"cwd\":\"/\"",
     .resolve = {sizeof(struct cloister_resolve_args), 0, {"ann", 3}, {"{\"x\":[]}", 8}},
     .refused = "resolve.nonroot_capabilities.x"},
    {.name = "no object",
     .oci = "\"cwd\":\"/\"",
     .resolve = {sizeof(struct cloister_resolve_args), 0, {"ann", 3}, {"[]", 2}},
     .refused = "resolve.nonroot_capabilities"},
    {.name = "too nice", .oci = "\"cwd\":\"/\"", .nice = 20, .refused = "nice"},
    {.name = "a path to search", .oci = "\"cwd\":\"/\"", .nice = -3, .search = "/a:/b", .cwd = "/"},
};

static int compile(size_t i, struct ns_compile *c, struct cloister_error *err)
{
    NS_FREE char *oci = ns_format("{%s,\"args\":[\"x\"]}", cases[i].oci);
    struct ns_reader r = ns_test_reader(err);
    const struct cloister_process_args args = {CLOISTER_INIT(struct cloister_process_args), .oci = ns_view(oci),
                                               .nice = cases[i].nice,
                                               .resolve = cases[i].resolve.struct_size ? &cases[i].resolve : NULL,
                                               .search = ns_view(cases[i].search ? cases[i].search : "")};

    ns_compile_init(c, &r, &machine, CL_WIRE_PLAN_PROCESS);
    return ns_compile_process(c, &args, false);
}

static void check(size_t i, struct ns_compile *c)
{
    const struct cl_wire_plan *head = &c->plan.head;
    const char *where = "";
    int fd = -1;

    if (((head->flags & CL_WIRE_PLAN_RESOLVE) != 0) != (cases[i].user != NULL) || head->resolve != cases[i].wire)
        fail_msg("%s: flags %x, resolve %x", cases[i].name, head->flags, head->resolve);
    assert_int_equal(head->nice, cases[i].nice);
    if (cl_plan_seal(&c->plan, c->need_count, &fd, &where) < 0)
        fail_msg("%s: the keeper would refuse it: %s", cases[i].name, where);
    close(fd);
    const char *strings = c->plan.section[CL_WIRE_STRINGS].data;

    if (strcmp(strings + head->user, cases[i].user ? cases[i].user : "") != 0 ||
        strcmp(strings + head->cwd, cases[i].cwd) != 0 ||
        strcmp(strings + head->path, cases[i].search ? cases[i].search : "") != 0)
        fail_msg("%s: user '%s', cwd '%s', path '%s'", cases[i].name, strings + head->user, strings + head->cwd,
                 strings + head->path);
}

static void test_cases(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct cloister_error err;
        struct ns_compile c;
        int rc = compile(i, &c, &err);

        if (rc < 0 ? !cases[i].refused || strcmp(err.subject, cases[i].refused) != 0 : cases[i].refused != NULL)
            fail_msg("%s: %s", cases[i].name, rc < 0 ? err.chain : "was taken");
        if (rc == 0)
            check(i, &c);
        ns_compile_clear(&c);
    }
}

/* Those of a user that is not root stand beside the others. */
static void test_capabilities(void **state)
{
    static const char both[] =
        "{\"bounding\":[\"CAP_KILL\",\"CAP_CHOWN\"],\"permitted\":[\"CAP_KILL\"],\"ambient\":[\"CAP_KILL\"]}";
    const struct cloister_resolve_args resolve = {CLOISTER_INIT(struct cloister_resolve_args),
                                                  .nonroot_capabilities = ns_view(both)};
    const struct cloister_process_args args = {
        CLOISTER_INIT(struct cloister_process_args), .resolve = &resolve,
        .oci = CLOISTER_SV("{\"cwd\":\"/\",\"args\":[\"x\"],\"capabilities\":{\"bounding\":[\"CAP_SETUID\"]}}")};
    struct cloister_error err;
    struct ns_reader r = ns_test_reader(&err);
    struct ns_compile c;

    ns_compile_init(&c, &r, &machine, CL_WIRE_PLAN_PROCESS);
    assert_int_equal(ns_compile_process(&c, &args, false), 0);
    assert_true(c.plan.head.flags & CL_WIRE_PLAN_NONROOT_CAPS);
    assert_int_equal(c.plan.head.cap_bounding, 1ull << 7);
    assert_int_equal(c.plan.head.nonroot_cap_bounding, 1ull << 5 | 1ull << 0);
    assert_int_equal(c.plan.head.nonroot_cap_permitted, 1ull << 5);
    assert_int_equal(c.plan.head.nonroot_cap_ambient, 0);
    assert_int_equal(c.warning_count, 1);
    assert_string_equal(c.warnings[0].where, "resolve.nonroot_capabilities.ambient");
    ns_compile_clear(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_capabilities)};

    machine.bounding = ~0ull;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
