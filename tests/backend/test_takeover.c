/* SPDX-License-Identifier: Apache-2.0 */
/* test_takeover.c - argv as test_backend's. Sandboxes that an earlier instance of the plugin made: taken over, left
 * alone if they are another's, destroyed from what little is known of them. */
#include "house.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/keeper/client.h"

static struct bed_sandbox *create(const char *id, const char *command)
{
    struct bed_sandbox *s = house_prepare(id, command);
    struct bed_outcome out;

    house_create(s, &out);
    return s;
}

static const struct cloister_inventory_process *find(const struct bed_inventory *inventory, cloister_process process)
{
    for (unsigned i = 0; i < inventory->count; i++)
        if (inventory->processes[i].process == process)
            return &inventory->processes[i];
    return NULL;
}

static const struct cloister_stdio captured[3] = {
    {.kind = CLOISTER_STDIO_NULL, .fd = -1},
    {.kind = CLOISTER_STDIO_PIPE, .fd = -1, .window = 65536, .policy = CLOISTER_POLICY_BLOCK},
    {.kind = CLOISTER_STDIO_SAME_AS, .fd = 1},
};

static void test_alive(void **state)
{
    struct bed_sandbox *s = create(ID_A, "/bin/sleep 100");
    struct bed_inventory inventory, again;
    const struct cloister_inventory_process *one;
    struct bed_outcome out;
    char path[64];

    bed_exec_with(s, 5001, "/bin/sleep 100", captured, "worker", "a tag", &out);
    assert_int_equal(out.err.code, 0);
    bed_exec_with(s, 5002, "/bin/sh -c|echo hello; exit 4", captured, "", "", &out);
    assert_int_equal(out.err.code, 0);
    bed_restart();
    bed_turns(400); /* it exits and drains while nobody is there */
    bed.exit_count = 0;

    house_adopt(s, &inventory);
    assert_int_equal(inventory.fate, CLOISTER_FATE_ALIVE);
    assert_int_equal(inventory.container_count, 1);
    assert_int_equal(inventory.container.state, CLOISTER_CONTAINER_RUNNING);
    assert_int_equal(inventory.container.init, s->args.init);
    assert_int_equal(inventory.count, 3);
    one = find(&inventory, s->args.init);
    assert_true(one && one->is_init && one->state == CLOISTER_PROCESS_RUNNING && one->exit_order == 0);
    assert_int_equal(one->pid, inventory.container.pid);
    snprintf(path, sizeof(path), "/proc/%d/exe", one->pid);
    assert_int_equal(access(path, F_OK), 0);
    one = find(&inventory, 5001);
    assert_true(one && !one->is_init && one->pid > 1 && one->pid != inventory.container.pid);
    assert_true(one->started_real_ns > 0);
    assert_int_equal(one->output_count, 1);
    assert_string_equal(inventory.names[one - inventory.processes], "worker");
    assert_string_equal(inventory.tags[one - inventory.processes], "a tag");
    one = find(&inventory, 5002);
    assert_true(one && one->state == CLOISTER_PROCESS_DRAINED && one->exit_order == 1);
    assert_int_equal(one->status.kind, CLOISTER_STATUS_EXITED);
    assert_int_equal(one->status.value, 4);
    assert_int_equal(inventory.outputs[one - inventory.processes][0].position, 6);
    assert_int_equal(bed.exit_count, 0); /* what is in the inventory is not told twice */

    house_adopt(s, &again);
    assert_int_equal(again.fate, CLOISTER_FATE_ALIVE);
    assert_int_equal(again.count, 3);

    /* It works as if we had made it: the filter, the user, the signal, the exits. */
    bed_exec(s, 5003,
             "/bin/sh -c|grep -q Seccomp:.*2 /proc/self/status && grep -q NoNewPrivs:.*1 /proc/self/status && exit 9",
             -1, &out);
    assert_int_equal(out.err.code, 0);
    assert_int_equal(bed_exit_of(5003).value, 9);
    bed_release(s, 5002, &out);
    assert_int_equal(out.err.code, 0);
    house_destroy(s);
    assert_int_equal(bed_exit_of(5001).kind, CLOISTER_STATUS_SIGNALED);
    assert_int_equal(bed.downs, 0);
}

/* A blocked init is started by the next daemon; one that has exited stays exited. */
static void test_blocked_and_stopped(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/echo late"), *t = create(ID_B, "/bin/sh -c|exit 3");
    struct cloister_container_start_args start = {CLOISTER_INIT(struct cloister_container_start_args),
                                                  .stdio = captured, .stdio_count = 3, .stdio_size = sizeof(*captured)};
    struct cloister_iso_start_args args = {CLOISTER_INIT(struct cloister_iso_start_args), .start = &start};
    struct bed_inventory inventory;
    struct bed_outcome out;

    s->container.start = CLOISTER_START_BLOCKED;
    bed_create(s, &out);
    assert_int_equal(out.err.code, 0);
    assert_int_equal(bed_exit_of(t->args.init).value, 3);
    bed_restart();
    bed.exit_count = 0;
    house_adopt(s, &inventory);
    assert_int_equal(inventory.container.state, CLOISTER_CONTAINER_CREATED);
    assert_int_equal(inventory.container.pid, out.result.pid);
    args.sandbox = s->which;
    args.init = s->args.init;
    bed.iso->container_start(bed.instance, &args, bed_op(&out));
    bed_wait(&out);
    if (out.err.code)
        fail_msg("start: %s", out.sentence);
    assert_int_equal(bed_exit_of(s->args.init).value, 0);

    house_adopt(t, &inventory);
    assert_int_equal(inventory.fate, CLOISTER_FATE_ALIVE);
    assert_int_equal(inventory.container.state, CLOISTER_CONTAINER_STOPPED);
    assert_int_equal(find(&inventory, t->args.init)->status.value, 3);
    bed_exec(t, 5004, "/bin/true", -1, &out);
    assert_int_equal(out.err.code, CLOISTER_INVALID_STATE);
    bed_destroy(t, &out);
    assert_int_equal(out.err.code, 0);
    house_free(t);
    house_destroy(s);
}

static pid_t keeper_of(struct bed_sandbox *s)
{
    struct cloister_iso_describe_args describe = {CLOISTER_INIT(struct cloister_iso_describe_args)};
    struct bed_outcome out;
    const char *pid;

    describe.sandbox = s->which;
    bed.iso->describe(bed.instance, &describe, bed_op(&out));
    bed_wait(&out);
    pid = strstr(out.json, "\"keeper\":{\"pid\":");
    assert_non_null(pid);
    return (pid_t)strtol(pid + 16, NULL, 10);
}

/* A stranger who waits to be killed, with that very number. */
static pid_t stranger(pid_t number)
{
    struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&number, .set_tid_size = 1};

    for (unsigned i = 0; i < 500; i++) {
        pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

        if (pid == 0)
            for (;;)
                pause();
        if (pid > 0)
            return pid;
        assert_int_equal(errno, EEXIST); /* the dead one is not reaped yet */
        bed_turns(20);
    }
    fail_msg("number %d does not become free", number);
    return 0;
}

/* The keeper died while no daemon was there, and its number is somebody else's by now: off, and the stranger lives on.
 */
static void test_off_and_reused_number(void **state)
{
    struct bed_sandbox *s = create(ID_A, "/bin/sleep 100");
    pid_t number = keeper_of(s), other;
    struct bed_inventory inventory;

    bed_restart();
    assert_int_equal(kill(number, SIGKILL), 0);
    other = stranger(number);
    assert_int_equal(other, number);
    house_adopt(s, &inventory);
    assert_int_equal(inventory.fate, CLOISTER_FATE_OFF);
    assert_int_equal(inventory.count, 0);
    house_destroy(s);
    assert_int_equal(kill(other, 0), 0);
    assert_int_equal(waitpid(other, NULL, WNOHANG), 0);
    kill(other, SIGKILL);
    assert_int_equal(waitpid(other, NULL, 0), other);
}

/* Another instance's: said so, not touched, and still there for its own. */
static void test_foreign(void **state)
{
    struct bed_sandbox *s = create(ID_A, "/bin/sleep 100");
    uint64_t cookie = s->which.cookie;
    struct bed_inventory inventory;
    struct bed_outcome out;
    struct cloister_sv plan = s->which.plan;

    bed_restart();
    s->which.cookie = 0x1234567800000001ull;
    s->which.plan = (struct cloister_sv){NULL, 0};
    house_adopt(s, &inventory);
    assert_int_equal(inventory.fate, CLOISTER_FATE_FOREIGN);
    bed_destroy(s, &out);
    assert_int_equal(out.err.code, CLOISTER_PARTIAL);
    assert_non_null(strstr(out.sentence, "another instance's"));
    s->which.cookie = cookie;
    s->which.plan = plan;
    house_adopt(s, &inventory);
    assert_int_equal(inventory.fate, CLOISTER_FATE_ALIVE);
    assert_int_equal(inventory.container.state, CLOISTER_CONTAINER_RUNNING);
    house_destroy(s);
}

static int connect_as_daemon(struct bed_sandbox *s)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct pollfd ready = {.fd = sock, .events = POLLIN};
    struct cl_wire_hello hello;
    struct cl_packet packet;

    snprintf(address.sun_path, sizeof(address.sun_path), "%.70s/%.16s/k", bed.run, s->id);
    assert_int_equal(connect(sock, (struct sockaddr *)&address, sizeof(address)), 0);
    cl_wire_init(&hello, CL_WIRE_HELLO, 1);
    hello.version = CL_WIRE_VERSION;
    hello.cookie = s->which.cookie;
    memcpy(hello.id, s->id, 16);
    assert_int_equal(cl_wire_send(sock, &hello, NULL, 0), 0);
    assert_int_equal(poll(&ready, 1, 5000), 1);
    assert_int_equal(cl_wire_recv(sock, &packet), 0);
    assert_int_equal(packet.u.hello.os_errno, 0);
    cl_packet_clear(&packet);
    return sock;
}

/* An earlier daemon still holds the connection, or the keeper is stopped: no contact; later it is there. */
static void test_no_contact(void **state)
{
    struct bed_sandbox *s = create(ID_A, "/bin/sleep 100");
    pid_t number = keeper_of(s);
    struct bed_inventory inventory;
    struct bed_outcome out;
    int sock;

    bed_restart();
    sock = connect_as_daemon(s);
    bed_adopt(s, 300, &out, &inventory);
    assert_int_equal(out.err.code, CLOISTER_NO_CONTACT);
    close(sock);
    assert_int_equal(kill(number, SIGSTOP), 0);
    bed_adopt(s, 300, &out, &inventory);
    assert_int_equal(out.err.code, CLOISTER_NO_CONTACT);
    assert_int_equal(kill(number, SIGCONT), 0);
    house_adopt(s, &inventory);
    assert_int_equal(inventory.fate, CLOISTER_FATE_ALIVE);
    assert_int_equal(kill(number, SIGKILL), 0); /* and is watched */
    assert_true(bed_until(&bed.downs));
    house_adopt(s, &inventory);
    assert_int_equal(inventory.fate, CLOISTER_FATE_OFF);
    house_destroy(s);
}

/* A keeper that stands still takes only so many callers; it is ended all the same. */
static void test_stopped_keeper(void **state)
{
    struct bed_sandbox *s = create(ID_A, "/bin/sleep 100");
    pid_t number = keeper_of(s);
    struct bed_inventory inventory;
    struct bed_outcome out;

    bed_restart();
    assert_int_equal(kill(number, SIGSTOP), 0);
    for (unsigned i = 0; i < 12; i++) {
        bed_adopt(s, 20, &out, &inventory);
        assert_int_equal(out.err.code, CLOISTER_NO_CONTACT);
    }
    house_destroy(s);
}

/* Asked again while the keeper stands still: that call ends without an answer, which comes when nobody waits for it. */
static void test_answer_too_late(void **state)
{
    struct bed_sandbox *s = create(ID_A, "/bin/sleep 100");
    pid_t number = keeper_of(s);
    struct bed_inventory inventory;
    struct bed_outcome out;

    bed_restart();
    house_adopt(s, &inventory);
    assert_int_equal(kill(number, SIGSTOP), 0);
    bed_adopt(s, 100, &out, &inventory);
    assert_int_equal(out.err.code, CLOISTER_NO_CONTACT);
    assert_int_equal(kill(number, SIGCONT), 0);
    bed_turns(200);
    house_adopt(s, &inventory);
    assert_int_equal(inventory.fate, CLOISTER_FATE_ALIVE);
    bed_exec(s, 5006, "/bin/sh -c|exit 8", -1, &out);
    assert_int_equal(bed_exit_of(5006).value, 8);
    house_destroy(s);
}

static void test_cancel(void **state)
{
    struct bed_sandbox *s = create(ID_A, "/bin/sleep 100");
    struct cloister_iso_adopt_args args = {CLOISTER_INIT(struct cloister_iso_adopt_args), 0, s->which};
    struct bed_inventory inventory;
    struct bed_outcome out;

    for (unsigned ms = 0; ms < 8; ms++) {
        bed_restart();
        bed.iso->adopt(bed.instance, &args, bed_op(&out));
        if (ms)
            bed_turns(ms);
        bed.iso->cancel(bed.instance, out.op);
        bed_wait(&out);
        assert_true(out.err.code == 0 || out.err.code == CLOISTER_CANCELLED);
    }
    bed_restart();
    house_adopt(s, &inventory);
    assert_int_equal(inventory.fate, CLOISTER_FATE_ALIVE);
    house_destroy(s);
}

/* A spec that today's compiler refuses keeps nobody from taking over, only from running something without its filter.
 */
static void test_spec_unusable(void **state)
{
    struct bed_sandbox *s = create(ID_A, "/bin/sleep 100");
    struct cloister_sv spec = s->spec;
    struct bed_inventory inventory;
    struct bed_outcome out;

    bed_restart();
    s->spec = (struct cloister_sv){"{\"linux\":1}", 11};
    house_adopt(s, &inventory);
    assert_int_equal(inventory.fate, CLOISTER_FATE_ALIVE);
    bed_exec(s, 5005, "/bin/true", -1, &out);
    assert_int_equal(out.err.code, CLOISTER_CORRUPT);
    s->spec = spec;
    house_destroy(s);
}

/* The store has lost the record: id and cookie are enough, running or not. Its ids are free again. */
static void test_destroy_without_plan(void **state)
{
    struct bed_sandbox *s = create(ID_A, "/bin/sleep 100");

    bed_restart();
    s->which.plan = (struct cloister_sv){NULL, 0};
    house_destroy(s);
}

/* A new sandbox never gets ids that a recorded one has, running or off; once that is destroyed they are free. */
static void test_ranges(void **state)
{
    struct bed_sandbox *s = create(ID_A, "/bin/sleep 100"), *t;
    struct bed_inventory inventory;
    struct bed_outcome out;

    assert_non_null(strstr(s->blob, "[2000000,65536]"));
    bed_restart();
    house_adopt(s, &inventory);
    t = house_prepare(ID_B, "/bin/true");
    assert_int_equal(bed_plan(t, &out), 0);
    assert_non_null(strstr(t->blob, "[2065536,65536]"));
    bed_destroy(s, &out);
    assert_int_equal(out.err.code, 0);
    bed_restart();
    house_adopt(s, &inventory); /* off, but recorded */
    assert_int_equal(inventory.fate, CLOISTER_FATE_OFF);
    assert_int_equal(bed_plan(t, &out), 0);
    assert_non_null(strstr(t->blob, "[2065536,65536]"));
    house_destroy(s);
    house_free(t);
    t = house_prepare("ccccccccccccccc2", "/bin/true");
    assert_int_equal(bed_plan(t, &out), 0);
    assert_non_null(strstr(t->blob, "[2000000,65536]"));
    house_free(t);
}

/* Only told of: each sandbox once, nothing touched. */
static void test_report_only(void **state)
{
    struct bed_sandbox *s = create(ID_A, "/bin/sleep 100");
    struct cloister_iso_sweep_args sweep = {CLOISTER_INIT(struct cloister_iso_sweep_args), .report_only = 1};
    struct bed_inventory inventory;
    struct bed_outcome out;
    char dir[160];

    snprintf(dir, sizeof(dir), "%s/" ID_B, bed.run); /* a run directory alone is one too */
    assert_int_equal(mkdir(dir, 0700), 0);
    bed_restart();
    sweep.run_dir = (struct cloister_sv){bed.run, strlen(bed.run)};
    sweep.cookie = bed.cookie;
    bed.iso->sweep(bed.instance, &sweep, bed_op(&out));
    bed_wait(&out);
    assert_int_equal(bed.orphan_count, 2);
    for (unsigned i = 0; i < 2; i++)
        assert_true(strcmp(bed.orphans[i], ID_A " keeper 0") == 0 ||
                    strcmp(bed.orphans[i], ID_B " run-directory 0") == 0);
    assert_int_equal(bed_run_count(), 2);
    assert_int_equal(rmdir(dir), 0);
    house_adopt(s, &inventory);
    assert_int_equal(inventory.fate, CLOISTER_FATE_ALIVE);
    house_destroy(s);
}

/* The engine knows of a sandbox that it does not take over: its ids are in use all the same, until it is destroyed.
 * What is no plan holds nothing. */
static void test_hold(void **state)
{
    static const char *const bad[] = {
        "", "x", "{}",
        "{\"v\":1,\"cgroup_root\":\"/cloister\",\"cgroup\":\"cl-01234567-abc\",\"ids\":[2000000,65536]}"};
    struct bed_sandbox *s = create(ID_A, "/bin/sleep 100"), *t = house_prepare(ID_B, "/bin/true");
    struct bed_outcome out;

    bed_restart();
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        bed.iso->hold(bed.instance, (struct cloister_sv){bad[i], strlen(bad[i])});
    assert_int_equal(bed_plan(t, &out), 0);
    assert_non_null(strstr(t->blob, "[2000000,65536]"));
    bed_restart();
    bed.iso->hold(bed.instance, s->which.plan);
    bed.iso->hold(bed.instance, s->which.plan);
    assert_int_equal(bed_plan(t, &out), 0);
    assert_non_null(strstr(t->blob, "[2065536,65536]"));
    house_destroy(s);
    house_free(t);
    t = house_prepare("ccccccccccccccc2", "/bin/true");
    assert_int_equal(bed_plan(t, &out), 0);
    assert_non_null(strstr(t->blob, "[2000000,65536]"));
    house_free(t);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        HOUSE_TEST(test_alive),
        HOUSE_TEST(test_blocked_and_stopped),
        HOUSE_TEST(test_off_and_reused_number),
        HOUSE_TEST(test_foreign),
        HOUSE_TEST(test_no_contact),
        HOUSE_TEST(test_stopped_keeper),
        HOUSE_TEST(test_cancel),
        HOUSE_TEST(test_spec_unusable),
        HOUSE_TEST(test_destroy_without_plan),
        HOUSE_TEST(test_hold),
        HOUSE_TEST(test_ranges),
        HOUSE_TEST(test_report_only),
        HOUSE_TEST(test_answer_too_late),
    };

    return house_main(argc, argv, tests, sizeof(tests) / sizeof(*tests), NULL);
}
