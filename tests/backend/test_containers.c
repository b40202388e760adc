/* SPDX-License-Identifier: Apache-2.0 */
/* Further containers of a sandbox: made in namespaces and groups of another, ended alone, taken over, deleted. */
#include "house.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

/* What a container needs that shares all but mounts. */
#define GUEST                                                                                           \
    "{\"ociVersion\":\"1.1.0\",\"process\":{\"cwd\":\"/\",\"user\":{\"uid\":0,\"gid\":0}},\"root\":{}," \
    "\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"}],"                   \
    "\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"cgroup\"}]}}"
#define SHARED (CLOISTER_NS_USER | CLOISTER_NS_NET | CLOISTER_NS_IPC | CLOISTER_NS_UTS)

static const struct cloister_sv guest_cid = {"guest", 5}, main_cid = {"main", 4};

static struct bed_sandbox *open_house(void)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/sleep 1000");
    struct bed_outcome out;

    s->container.cid = main_cid;
    house_create(s, &out);
    return s;
}

/* Of the sandbox of `s`; `guest` holds its arguments. */
static void create_guest(struct bed_sandbox *s, struct bed_sandbox *guest, struct bed_outcome *out)
{
    guest->args.sandbox = s->which;
    if (guest->container.cid.size == 0)
        guest->container.cid = guest_cid;
    guest->container.join = main_cid;
    bed.iso->container_create(bed.instance, &guest->args, bed_op(out));
    assert_int_equal(out->done, 0);
    bed_wait(out);
}

static struct bed_sandbox *prepare_guest(const char *command, uint32_t join)
{
    struct bed_sandbox *guest = calloc(1, sizeof(*guest));

    bed_prepare(guest, ID_B, GUEST, command);
    guest->container.join_namespaces = join;
    return guest;
}

static void delete_container(struct bed_sandbox *s, struct cloister_sv cid, uint32_t flags, struct bed_outcome *out)
{
    struct cloister_container_delete_args wanted = {CLOISTER_INIT(struct cloister_container_delete_args),
                                                    .flags = flags, .container = cid};
    struct cloister_iso_delete_args args = {CLOISTER_INIT(struct cloister_iso_delete_args), 0, s->which, &wanted};

    bed.iso->container_delete(bed.instance, &args, bed_op(out));
    assert_int_equal(out->done, 0);
    bed_wait(out);
}

/* What a process in that container writes. */
static const char *run_in(struct bed_sandbox *s, struct cloister_sv cid, cloister_process process, const char *command,
                          struct bed_outcome *out)
{
    struct cloister_sv spec;
    int ends[2];
    struct cloister_stdio stdio[3] = {
        {CLOISTER_STDIO_NULL, -1}, {CLOISTER_STDIO_DESCRIPTOR, -1}, {CLOISTER_STDIO_NULL, -1}};
    struct cloister_process_args process_args = {CLOISTER_INIT(struct cloister_process_args), .stdio = stdio,
                                                 .stdio_count = 3, .stdio_size = sizeof(stdio[0])};
    struct cloister_exec_args exec = {CLOISTER_INIT(struct cloister_exec_args), .container = cid,
                                      .process = &process_args};
    struct cloister_iso_exec_args args = {CLOISTER_INIT(struct cloister_iso_exec_args), 0, s->which, &exec, process};

    bed_pipe(ends);
    stdio[1].fd = ends[1];
    bed_spec("{\"process\":{\"cwd\":\"/\",\"user\":{\"uid\":0,\"gid\":0}}}", command, &spec, &process_args.oci);
    bed.iso->exec(bed.instance, &args, bed_op(out));
    assert_int_equal(out->done, 0);
    bed_wait(out);
    return bed_drain(ends[0]);
}

#define NETWORK "/bin/sh -c|readlink /proc/self/ns/net; hostname"

static void test_joins(void **state)
{
    struct bed_sandbox *s = open_house(), *guest = prepare_guest("/bin/sleep 1000", SHARED | CLOISTER_NS_PID);
    struct bed_outcome out;
    char one[256];

    create_guest(s, guest, &out);
    if (out.err.code != 0)
        fail_msg("%s", out.sentence);
    assert_int_equal(out.result.process, guest->args.init);
    assert_int_equal(out.result.container_state, CLOISTER_CONTAINER_RUNNING);
    snprintf(one, sizeof(one), "%s", run_in(s, main_cid, 50, NETWORK, &out));
    assert_true(strlen(one) > 8);
    assert_string_equal(run_in(s, guest_cid, 51, NETWORK, &out), one);
    delete_container(s, guest_cid, 0, &out);
    assert_int_equal(out.err.code, CLOISTER_INVALID_STATE);
    delete_container(s, guest_cid, CLOISTER_DELETE_FORCE, &out);
    assert_int_equal(out.err.code, 0);
    assert_int_equal(bed_exit_of(guest->args.init).value, SIGKILL);
    delete_container(s, guest_cid, 0, &out); /* not there any more */
    assert_int_equal(out.err.code, 0);
    run_in(s, guest_cid, 52, "/bin/true", &out);
    assert_int_equal(out.err.code, CLOISTER_NO_ENTITY);
    run_in(s, main_cid, 53, "/bin/true", &out);
    assert_int_equal(out.err.code, 0);
    house_free(guest);
    house_destroy(s);
}

static void test_ends_alone(void **state)
{
    struct bed_sandbox *s = open_house(), *guest = prepare_guest("/bin/sh -c|exit 5", SHARED);
    struct bed_outcome out;

    create_guest(s, guest, &out);
    assert_int_equal(out.err.code, 0);
    assert_int_equal(bed_exit_of(guest->args.init).value, 5);
    run_in(s, main_cid, 50, "/bin/true", &out);
    assert_int_equal(out.err.code, 0);
    delete_container(s, guest_cid, 0, &out);
    assert_int_equal(out.err.code, 0);
    house_free(guest);
    guest = prepare_guest("/bin/sleep 1000", SHARED); /* in the place of the first */
    create_guest(s, guest, &out);
    assert_int_equal(out.err.code, 0);
    delete_container(s, main_cid, CLOISTER_DELETE_FORCE, &out);
    assert_int_equal(out.err.code, 0);
    assert_true(strlen(run_in(s, guest_cid, 51, NETWORK, &out)) > 8);
    house_free(guest);
    house_destroy(s);
}

static void test_refused(void **state)
{
    static const struct {
        const char *cid, *join, *subject;
        uint32_t namespaces, code;
    } cases[] = {
        {"main", "main", "container", SHARED, CLOISTER_EXISTS},
        {"guest", "nobody", "join", SHARED, CLOISTER_NO_ENTITY},
        {"guest", "main", "join_namespaces", CLOISTER_NS_NET, CLOISTER_INVALID},
        {"guest", "main", "linux.namespaces[1].type", SHARED | CLOISTER_NS_CGROUP, CLOISTER_INVALID},
    };
    struct bed_sandbox *s = open_house();
    unsigned groups = bed_group_count();
    struct bed_outcome out;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct bed_sandbox *guest = prepare_guest("/bin/true", cases[i].namespaces);

        guest->args.sandbox = s->which;
        guest->container.cid = (struct cloister_sv){cases[i].cid, strlen(cases[i].cid)};
        guest->container.join = (struct cloister_sv){cases[i].join, strlen(cases[i].join)};
        bed.iso->container_create(bed.instance, &guest->args, bed_op(&out));
        bed_wait(&out);
        if (out.err.code != cases[i].code || strcmp(out.err.subject, cases[i].subject) != 0)
            fail_msg("case %zu: %u at '%s': %s", i, out.err.code, out.err.subject, out.sentence);
        house_free(guest);
    }
    struct bed_sandbox *guest = prepare_guest("/bin/no-such-program", SHARED);

    create_guest(s, guest, &out);
    assert_int_equal(out.err.code, CLOISTER_NO_EXECUTABLE);
    assert_int_equal(bed_group_count(), groups); /* nothing of it is left */
    house_free(guest);
    house_destroy(s);
}

/* The next daemon finds both, tells them apart, and the group below another's too. */
static void test_taken_over(void **state)
{
    struct bed_sandbox *s = open_house(), *guest = prepare_guest("/bin/sleep 1000", SHARED);
    struct cloister_iso_container also = {.cid = guest_cid, .incarnation = 1};
    struct bed_inventory inventory;
    struct bed_outcome out;
    char group[512];

    guest->container.cgroup_parent = CLOISTER_CGROUP_CONTAINER;
    create_guest(s, guest, &out);
    assert_int_equal(out.err.code, 0);
    snprintf(group, sizeof(group), "%s", run_in(s, guest_cid, 50, "/bin/cat /proc/self/cgroup", &out));
    bed_restart();
    also.spec = guest->spec;
    also.init = guest->args.init;
    bed.also = &also;
    bed_adopt(s, 0, &out, &inventory);
    bed.also = NULL;
    assert_int_equal(inventory.fate, CLOISTER_FATE_ALIVE);
    assert_int_equal(inventory.container_count, 2);
    assert_string_equal(run_in(s, guest_cid, 51, "/bin/cat /proc/self/cgroup", &out), group);
    delete_container(s, guest_cid, CLOISTER_DELETE_FORCE, &out);
    assert_int_equal(out.err.code, 0);
    house_free(guest);
    guest = prepare_guest("/bin/sleep 1000", SHARED);
    create_guest(s, guest, &out);
    assert_int_equal(out.err.code, 0);
    house_free(guest);
    house_destroy(s);
}

static const struct CMUnitTest tests[] = {HOUSE_TEST(test_joins), HOUSE_TEST(test_ends_alone), HOUSE_TEST(test_refused),
                                          HOUSE_TEST(test_taken_over)};

int main(int argc, char **argv)
{
    return house_main(argc, argv, tests, sizeof(tests) / sizeof(*tests), NULL);
}
