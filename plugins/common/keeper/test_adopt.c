/* SPDX-License-Identifier: Apache-2.0 */
/* Ends that are not planned: the keeper is killed, the daemon is gone, the zygote is gone, a peer talks nonsense. */
#include "common/keeper/test_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static const char *program;

static int open_bed(void **state)
{
    *state = bed_open(program);
    return 0;
}

static int close_bed(void **state)
{
    bed_close(*state);
    return 0;
}

static int is_gone(int pidfd, int ms)
{
    struct pollfd wait = {.fd = pidfd, .events = POLLIN};

    return poll(&wait, 1, ms) == 1;
}

static void start_stubborn(struct bed *bed, uint64_t id, unsigned int flags)
{
    struct bed_plan plan;

    bed_plan_container(
        bed, &plan, flags,
        "trap '' TERM HUP INT; setsid sh -c '(trap \"\" TERM; setsid sleep 1000 & ) ; sleep 1000' & sleep 1000; true");
    struct cl_wire_answer answer = bed_create(bed, &plan, id, 0, -1);

    assert_int_equal(answer.os_errno, 0);
    bed_plan_process(&plan, "sleep 1000 & sleep 1000");
    assert_int_equal(bed_exec(bed, &plan, id, id + 1000, -1).os_errno, 0);
}

/* kill -9 of the keeper: a second later nothing of its sandbox lives, whatever sessions and parents it has made for
 * itself. */
static void test_keeper_killed(void **state)
{
    struct bed *bed = *state;
    pid_t pids[64];
    int pidfds[64];

    start_stubborn(bed, 1, BED_USER_NAMESPACE);
    start_stubborn(bed, 2, BED_NO_PID_NAMESPACE);
    usleep(100000);
    int n = bed_pids(bed, pids, 64);

    assert_true(n >= 12);
    for (int i = 0; i < n; i++) {
        pidfds[i] = (int)syscall(SYS_pidfd_open, pids[i], 0);
        assert_true(pidfds[i] >= 0);
    }
    assert_int_equal(kill(bed->pid, SIGKILL), 0);
    assert_true(is_gone(bed->pidfd, 1000));
    for (int i = 0; i < n; i++) {
        if (!is_gone(pidfds[i], 1000))
            fail_msg("process %d of %d outlived its keeper", i, n);
        close(pidfds[i]);
    }
}

/* --- the daemon goes away --- */

/* The pidfd that the kernel gives for the listening side is the keeper's own: signals through it reach the keeper. */
static void expect_peer(int sock, int keeper)
{
    struct stat mine;
    struct stat theirs;
    int pidfd = -1;
    socklen_t size = sizeof(pidfd);

    if (getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) < 0)
        return; /* before Linux 6.5 */
    assert_int_equal(fstat(pidfd, &theirs), 0);
    assert_int_equal(fstat(keeper, &mine), 0);
    assert_int_equal(mine.st_ino, theirs.st_ino);
    close(pidfd);
}

static void test_daemon_gone(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;
    int sock;

    bed_listen(bed);
    bed_plan_container(bed, &plan, BED_USER_NAMESPACE | BED_PAUSE, NULL);
    assert_int_equal(bed_create(bed, &plan, 1, 0, -1).os_errno, 0);
    bed_plan_process(&plan, "sleep 0.2; exit 9");
    assert_int_equal(bed_exec(bed, &plan, 1, 10, -1).os_errno, 0);
    assert_int_equal(bed_connect(bed, CL_WIRE_VERSION, 0, &sock).os_errno,
                     EBUSY); /* while the first connection lives */
    expect_peer(sock, bed->pidfd);
    close(sock);
    close(bed->sock);
    usleep(400000);
    assert_false(is_gone(bed->pidfd, 0));
    assert_int_equal(bed_processes(bed), 1);

    assert_int_equal(bed_connect(bed, CL_WIRE_VERSION, 0, &bed->sock).os_errno, 0);
    struct cl_wire_simple status;
    struct cl_packet packet;
    struct cl_wire_record records[2];

    cl_wire_init(&status, CL_WIRE_STATUS, 5);
    assert_int_equal(cl_wire_send(bed->sock, &status, NULL, 0), 0);
    assert_int_equal(cl_wire_recv(bed->sock, &packet), 0);
    assert_int_equal(packet.u.answer.count, 2);
    assert_int_equal(pread(packet.fds[0], records, sizeof(records), 0), sizeof(records));
    cl_packet_clear(&packet);
    assert_int_equal(records[1].pseq, 10);
    assert_int_equal(records[1].state, CL_WIRE_EXITED);
    assert_int_equal(records[1].status, 9);
    bed_plan_process(&plan, "exit 2"); /* the new connection is as good as the old */
    assert_int_equal(bed_exec(bed, &plan, 1, 11, -1).os_errno, 0);
    assert_int_equal(bed_wait_exit(bed, 11).status, 2);
}

/* Nothing runs and nothing is left to tell: a keeper without a daemon ends itself. */
static void test_idle_end(void **state)
{
    struct bed *bed = *state;
    int sock;
    int pidfd;
    pid_t pid;

    bed_fork(bed, &sock, &pidfd, &pid);
    assert_false(is_gone(pidfd, 50));
    close(sock);
    assert_true(is_gone(pidfd, 2000));
    close(pidfd);
}

static void test_zygote_gone(void **state)
{
    struct bed *bed = *state;
    char output[64];

    close(bed->zygote_sock);
    assert_int_equal(waitpid(bed->zygote, NULL, 0), bed->zygote);
    bed->zygote_sock = -1;
    assert_int_equal(bed_run(bed, BED_USER_NAMESPACE, "exit 3", output, sizeof(output)).status, 3);
}

static void test_zygote_requests(void **state)
{
    static const struct {
        const char *name;
        struct cloister_zygote_fork request;
        size_t size;
        int expected;
    } cases[] = {
        {"no descriptor", {sizeof(struct cloister_zygote_fork), CLOISTER_ZYGOTE_MAGIC, 1, "sandbox"}, 32, EBADMSG},
        {"magic", {sizeof(struct cloister_zygote_fork), 1, 2, "sandbox"}, 32, EBADMSG},
        {"short", {sizeof(struct cloister_zygote_fork), CLOISTER_ZYGOTE_MAGIC, 3, "sandbox"}, 20, EBADMSG},
        {"role without end",
         {sizeof(struct cloister_zygote_fork), CLOISTER_ZYGOTE_MAGIC, 4, "sandboxsandboxsa"},
         32,
         EBADMSG},
    };
    struct bed *bed = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cloister_zygote_forked forked;

        assert_int_equal(send(bed->zygote_sock, &cases[i].request, cases[i].size, 0), cases[i].size);
        assert_int_equal(recv(bed->zygote_sock, &forked, sizeof(forked), 0), sizeof(forked));
        if (forked.os_errno != cases[i].expected || strcmp(forked.step, "request") != 0)
            fail_msg("%s: %d at '%s'", cases[i].name, forked.os_errno, forked.step);
    }
}

/* --- nonsense --- */

static void expect_closed(struct bed *bed, const char *name, const void *bytes, size_t size)
{
    struct cl_packet packet;
    int sock;
    int pidfd;
    pid_t pid;

    bed_fork(bed, &sock, &pidfd, &pid);
    assert_int_equal(send(sock, bytes, size, MSG_NOSIGNAL), size);
    struct pollfd wait = {.fd = sock, .events = POLLIN};

    assert_int_equal(poll(&wait, 1, 2000), 1);
    int r = cl_wire_recv(sock, &packet);

    if (r == 0 && packet.u.head.type == CL_WIRE_HELLO) { /* told why, then closed */
        assert_int_not_equal(packet.u.hello.os_errno, 0);
        assert_int_equal(poll(&wait, 1, 2000), 1);
        r = cl_wire_recv(sock, &packet);
    }
    if (r != -EPIPE)
        fail_msg("%s: the connection stayed (%d)", name, r);
    assert_true(is_gone(pidfd, 2000));
    close(sock);
    close(pidfd);
}

static void test_nonsense(void **state)
{
    struct bed *bed = *state;
    struct cl_wire_hello hello;
    struct cl_wire_simple status;
    struct cl_wire_answer answer;
    char junk[4096];

    memset(junk, 'x', sizeof(junk));
    expect_closed(bed, "junk", junk, sizeof(junk));
    expect_closed(bed, "a byte", junk, 1);
    cl_wire_init(&status, CL_WIRE_STATUS, 1);
    expect_closed(bed, "a request before hello", &status, sizeof(status));
    cl_wire_init(&hello, CL_WIRE_HELLO, 1);
    hello.version = 99;
    expect_closed(bed, "another version", &hello, sizeof(hello));
    hello.version = CL_WIRE_VERSION;
    memset(hello.id, 'a', sizeof(hello.id));
    expect_closed(bed, "an id without end", &hello, sizeof(hello));
    memset(hello.id, 0, sizeof(hello.id));
    memset(hello.id, 'a', 16);
    hello.flags = CL_WIRE_HELLO_LISTENER;
    expect_closed(bed, "a listener that did not come", &hello, sizeof(hello));
    cl_wire_init(&answer, CL_WIRE_ANSWER, 1);
    expect_closed(bed, "an answer nobody asked for", &answer, sizeof(answer));
}

/* Requests that are messages, but wrong: each its answer, and the sandbox goes on. */
static void test_bad_requests(void **state)
{
    struct bed *bed = *state;
    struct cl_wire_create create;
    struct cl_wire_start start;
    struct cl_wire_answer answer;
    struct bed_plan plan;
    uint32_t sent = 0;
    char output[64];
    int memfd = memfd_create("plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    cl_wire_init(&create, CL_WIRE_CREATE, 50);
    create.container = create.pseq = 5;
    for (int i = 0; i < 3; i++)
        create.stdio[i].fd = CL_WIRE_NO_FD;
    answer = bed_call(bed, &create);
    assert_int_equal(answer.os_errno, EBADMSG);
    assert_string_equal(answer.step, "message");
    assert_int_equal(cl_wire_send_request(bed->sock, &create, NULL, 0, memfd, &sent), 0);
    answer = bed_wait_answer(bed, create.head.serial);
    assert_int_equal(answer.os_errno, EBADMSG);
    assert_string_equal(answer.step, "plan");
    assert_string_equal(answer.detail, "seals");
    close(memfd);

    cl_wire_init(&start, CL_WIRE_START, 51);
    start.container = 77;
    for (int i = 0; i < 3; i++)
        start.stdio[i] = (struct cl_wire_stdio){.kind = CL_WIRE_STDIO_NULL, .fd = CL_WIRE_NO_FD};
    assert_int_equal(bed_call(bed, &start).os_errno, ESRCH);
    start.stdio[2].kind = CL_WIRE_STDIO_SAME + 1; /* no such kind */
    assert_int_equal(bed_call(bed, &start).os_errno, EBADMSG);
    bed_plan_process(&plan, "exit 0"); /* a process plan is no container */
    answer = bed_create(bed, &plan, 5, 0, -1);
    assert_string_equal(answer.detail, "head");
    bed_plan_container(bed, &plan, BED_USER_NAMESPACE, "exit 0");
    answer = bed_create(bed, &plan, 5, 2, -1);
    assert_int_equal(answer.os_errno, EBADMSG);
    bed_plan_container(bed, &plan, BED_USER_NAMESPACE | BED_PAUSE, NULL);
    assert_int_equal(bed_create(bed, &plan, 5, 0, -1).os_errno, 0);
    bed_plan_container(bed, &plan, BED_USER_NAMESPACE, "exit 0");
    answer = bed_create(bed, &plan, 5, 0, -1); /* the pseq exists */
    assert_int_equal(answer.os_errno, EEXIST);
    bed_plan_process(&plan, "exit 0");
    assert_int_equal(bed_exec(bed, &plan, 77, 8, -1).os_errno, ESRCH);
    assert_int_equal(bed_run(bed, BED_USER_NAMESPACE, "exit 6", output, sizeof(output)).status, 6);
}

/* More descriptors than one packet takes: staged, and used by the request that follows. */
static void test_staged(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;

    bed_plan_container(bed, &plan, BED_USER_NAMESPACE, "exit 0");
    for (int i = 0; i < 200; i++)
        bed_plan_fd(&plan, open("/dev/null", O_RDONLY | O_CLOEXEC));
    uint32_t last = bed_plan_fd(&plan, open("/dev/null", O_WRONLY | O_CLOEXEC));

    cl_plan_add(&plan.plan, CL_WIRE_CGROUPS, &last); /* the only one of them that can be written to */
    struct cl_wire_answer answer = bed_create(bed, &plan, 1, 0, -1);

    if (answer.os_errno != 0)
        fail_msg("%s: %s (%d)", answer.step, answer.detail, answer.os_errno);
    bed_wait_down(bed, 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_keeper_killed, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_daemon_gone, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_idle_end, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_zygote_gone, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_zygote_requests, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_nonsense, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_bad_requests, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_staged, open_bed, close_bed),
    };

    program = argc > 1 ? argv[1] : "";
    return cmocka_run_group_tests_name("keeper ends", tests, NULL, NULL);
}
