/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals of real processes: what they see, what is captured, sizes, ends, and what an image may have put in /dev. */
#include "common/keeper/test_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE "busybox stty size"

static const struct cl_wire_stdio terminal[3] = {{CL_WIRE_STDIO_TERMINAL, CL_WIRE_NO_FD},
                                                 {CL_WIRE_STDIO_TERMINAL, CL_WIRE_NO_FD},
                                                 {CL_WIRE_STDIO_TERMINAL, CL_WIRE_NO_FD}};
static const struct cl_wire_memo none;
static const char *program;

static int open_bed(void **state)
{
    *state = bed_open(program);
    return 0;
}

static int open_listening(void **state)
{
    *state = bed_open_listening(program);
    return 0;
}

static int close_bed(void **state)
{
    bed_close(*state);
    return 0;
}

static void with_terminal(struct bed *bed, struct bed_plan *plan, const struct cl_wire_memo *memo)
{
    plan->plan.head.flags |= CL_WIRE_PLAN_TERMINAL;
    bed->stdio = terminal;
    bed->memo = memo;
}

/* What it has written, to its end. */
static void read_tape(struct bed *bed, uint64_t pseq, char *text, size_t size)
{
    struct tape tape = tape_open(bed, pseq);
    uint32_t slot = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, 0);

    reader_all(&tape, slot, text, size);
    tape_close(&tape);
}

/* Reads on until that has been said. */
static void expect(struct tape *tape, uint32_t slot, const char *what)
{
    char text[4096] = "";
    size_t used = 0;
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    for (int i = 0; i < 200 && strstr(text, what) == NULL; i++) {
        if (reader_move(tape, slot, ends[1], sizeof(text) - 1 - used) == -EAGAIN)
            reader_wait(tape, slot, 50);
        ssize_t n = read(ends[0], text + used, sizeof(text) - 1 - used);

        used += n > 0 ? (size_t)n : 0;
        text[used] = '\0';
    }
    if (strstr(text, what) == NULL)
        fail_msg("'%s' never came, but '%s'", what, text);
    close(ends[0]);
    close(ends[1]);
}

static int resize(struct bed *bed, uint64_t pseq, uint32_t rows, uint32_t columns)
{
    struct cl_wire_resize message;

    cl_wire_init(&message, CL_WIRE_RESIZE, 0);
    message.pseq = pseq;
    message.rows = rows;
    message.columns = columns;
    return bed_call(bed, &message).os_errno;
}

static int ask(struct bed *bed, uint32_t type, uint64_t pseq)
{
    struct cl_wire_process message;

    cl_wire_init(&message, type, 0);
    message.pseq = pseq;
    struct cl_wire_answer answer = bed_call_fds(bed, &message);

    return answer.os_errno ? -answer.os_errno : bed->fd_count ? bed->fds[0] : 0;
}

static void expect_good(const char *name, const struct cl_wire_answer *answer)
{
    if (answer->os_errno != 0)
        fail_msg("%s: %d at '%s', %s", name, answer->os_errno, answer->step, answer->detail);
}

#define LOOK "test -t 0 && test -t 1 && test -t 2 && echo yes; cut -d' ' -f7 /proc/self/stat; " SIZE "; id -u"
#define SEEN "yes\r\n34816\r\n24 80\r\n1000\r\n" /* 136:0 as its controlling terminal, in a devpts of its own */

/* Init of a container, then one more process: each has a terminal of its own, at its user's. */
static void test_inside(void **state)
{
    static const struct {
        const char *name;
        unsigned int flags;
        int devpts;
    } cases[] = {
        {"devpts", BED_HOST_USER, 1},
        {"devpts in a user namespace", BED_USER_NAMESPACE, 1},
        {"no devpts", BED_HOST_USER, 0},
        {"no devpts in a user namespace", BED_USER_NAMESPACE, 0},
    };
    struct bed *bed = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t id = 10 + i;
        struct bed_plan plan;
        char text[1024];

        bed_plan_container(bed, &plan, cases[i].flags,
                           "echo $(stat -c %t:%T:%u /dev/console) >/dev/console; " LOOK "; busybox tty");
        if (cases[i].devpts)
            bed_plan_fs(&plan, "devpts", "/dev/pts", 0);
        plan.plan.head.uid = 1000;
        with_terminal(bed, &plan, &none);
        struct cl_wire_answer answer = bed_create(bed, &plan, id, 0, -1);

        expect_good(cases[i].name, &answer);
        assert_int_equal(answer.uid, 1000);
        bed_wait_drained(bed, id << 32);
        read_tape(bed, id << 32, text, sizeof(text));
        const char *rest = "88:0:1000\r\n" SEEN;

        if (strncmp(text, rest, strlen(rest)) != 0 || (cases[i].devpts && !strstr(text, "\r\n/dev/pts/0\r\n")))
            fail_msg("%s: '%s'", cases[i].name, text);
        bed_wait_down(bed, id);

        bed_plan_container(bed, &plan, cases[i].flags | BED_PAUSE, NULL);
        if (cases[i].devpts)
            bed_plan_fs(&plan, "devpts", "/dev/pts", 0);
        answer = bed_create(bed, &plan, 20 + i, 0, -1);
        expect_good(cases[i].name, &answer);
        bed_plan_process(&plan, LOOK "; stat -Lc %u /proc/self/fd/0");
        plan.plan.head.uid = 1000;
        with_terminal(bed, &plan, &none);
        answer = bed_exec(bed, &plan, 20 + i, 30 + i, -1);
        expect_good(cases[i].name, &answer);
        assert_int_equal(bed_wait_drained(bed, 30 + i).end[1].state, CL_TAPE_ENDED);
        read_tape(bed, 30 + i, text, sizeof(text));
        if (strcmp(text, SEEN "1000\r\n") != 0)
            fail_msg("%s, one more: '%s'", cases[i].name, text);
    }
}

/* Whoever a name turned out to be can open it again. */
static void test_resolved(void **state)
{
    static const char look[] = "stat -Lc %u /proc/self/fd/0; : <>/proc/self/fd/0 && echo opened";
    struct bed *bed = *state;

    for (unsigned int user = 0; user < 4; user++) {
        unsigned int kind = user % 2 ? BED_USER_NAMESPACE : BED_HOST_USER;
        uint64_t id = 60 + user, pseq = user < 2 ? id << 32 : 70 + user;
        struct bed_plan plan;
        struct cl_wire_answer answer;
        char text[256];

        if (user < 2) {
            bed_plan_container(bed, &plan, kind, look);
        } else {
            bed_plan_container(bed, &plan, kind | BED_PAUSE, NULL);
            bed_plan_fs(&plan, "devpts", "/dev/pts", 0);
            answer = bed_create(bed, &plan, id, 0, -1);
            expect_good("pause", &answer);
            bed_plan_process(&plan, look);
        }
        plan.plan.head.flags |= CL_WIRE_PLAN_RESOLVE;
        plan.plan.head.user = cl_plan_cstring(&plan.plan, "1000:1001");
        with_terminal(bed, &plan, &none);
        answer = user < 2 ? bed_create(bed, &plan, id, 0, -1) : bed_exec(bed, &plan, id, pseq, -1);
        expect_good("resolved", &answer);
        bed_wait_drained(bed, pseq);
        read_tape(bed, pseq, text, sizeof(text));
        if (strcmp(text, "1000\r\nopened\r\n") != 0)
            fail_msg("%u: '%s'", user, text);
    }
}

static void plant(const char *folder, const char *name, const char *what)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (strcmp(what, "fifo") == 0)
        assert_int_equal(mkfifo(path, 0666), 0);
    else if (strcmp(what, "file") == 0)
        close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
    else if (strcmp(what, "directory") == 0)
        assert_int_equal(mkdir(path, 0755), 0);
    else if (what[0] != '\0')
        assert_int_equal(symlink(what, path), 0);
}

/* An image's /dev. Nothing of it is opened, written or bound, and the terminal is one (H1.1.8). */
static void test_planted(void **state)
{
    static const struct {
        const char *name, *pts, *ptmx, *console;
        int os_errno;
    } cases[] = {
        {"nothing", "directory", "", "", 0},
        {"fifo", "directory", "fifo", "fifo", 0},
        {"regular file", "directory", "file", "file", 0},
        {"link to another device", "directory", "/dev/zero", "", 0},
        {"link in place of devpts", "/data", "", "", 0},
        {"link for the console", "directory", "", "/data/victim", ELOOP},
        {"link out of the root", "../../../../../../dev/pts", "", "../../../../../../tmp", ELOOP},
        {"directory for the console", "directory", "", "directory", EISDIR},
    };
    struct bed *bed = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cl_wire_mount bind = {.kind = CL_WIRE_MOUNT_BIND};
        char dev[] = "/tmp/cl-keeper-dev-XXXXXX";
        uint64_t id = 10 + i;
        struct bed_plan plan;
        char text[1024];
        char command[64];

        assert_non_null(mkdtemp(dev));
        chmod(dev, 0755);
        plant(dev, "pts", cases[i].pts);
        plant(dev, "pts/ptmx", cases[i].ptmx);
        plant(dev, "ptmx", cases[i].ptmx);
        plant(dev, "console", cases[i].console);
        bed_plan_container(bed, &plan, BED_HOST_USER, LOOK);
        bind.target = cl_plan_cstring(&plan.plan, "/dev");
        bind.fd = bed_plan_fd(&plan, open_tree(AT_FDCWD, dev, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
        cl_plan_add(&plan.plan, CL_WIRE_MOUNTS, &bind);
        plan.plan.head.uid = 1000;
        with_terminal(bed, &plan, &none);
        struct cl_wire_answer answer = bed_create(bed, &plan, id, 0, -1);

        if (answer.os_errno == 0) {
            bed_wait_drained(bed, id << 32);
            read_tape(bed, id << 32, text, sizeof(text));
            bed_wait_down(bed, id);
        }
        snprintf(command, sizeof(command), "rm -rf %s", dev);
        assert_int_equal(system(command), 0);
        if (answer.os_errno != cases[i].os_errno || (answer.os_errno && strcmp(answer.step, "terminal") != 0))
            fail_msg("%s: %d at '%s', %s", cases[i].name, answer.os_errno, answer.step, answer.detail);
        if (answer.os_errno == 0 && strcmp(text, SEEN) != 0)
            fail_msg("%s: '%s'", cases[i].name, text);
    }
}

/* In a running container somebody may lay things over what the kernel made. */
static void test_covered(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;
    char text[1024];

    bed_plan_container(bed, &plan, BED_PAUSE, NULL);
    bed_plan_fs(&plan, "devpts", "/dev/pts", 0);
    struct cl_wire_answer answer = bed_create(bed, &plan, 5, 0, -1);

    expect_good("create", &answer);
    bed_plan_process(&plan, "mount -o bind /dev/zero /dev/pts/ptmx");
    plan.plan.head.cap_bounding = plan.plan.head.cap_permitted = plan.plan.head.cap_effective = (1ull << 40) - 1;
    plan.plan.head.cap_bounding &= ~(1ull << 24);
    plan.plan.head.cap_permitted = plan.plan.head.cap_effective = plan.plan.head.cap_bounding;
    answer = bed_exec(bed, &plan, 5, 50, -1);
    expect_good("mount", &answer);
    assert_int_equal(bed_wait_exit(bed, 50).status, 0);
    bed_plan_process(&plan, LOOK);
    plan.plan.head.uid = 1000;
    with_terminal(bed, &plan, &none);
    answer = bed_exec(bed, &plan, 5, 51, -1);
    expect_good("exec", &answer);
    bed_wait_drained(bed, 51);
    read_tape(bed, 51, text, sizeof(text));
    assert_string_equal(text, SEEN);
}

static void test_resize(void **state)
{
    static const struct cl_wire_memo memo = {.rows = 50, .columns = 132};
    struct bed *bed = *state;
    struct bed_plan plan;

    bed_start_pause(bed, 1, BED_USER_NAMESPACE);
    bed_plan_process(&plan, SIZE "; trap 'echo winch; " SIZE "' WINCH; echo ready; while true; do sleep 0.05; done");
    with_terminal(bed, &plan, &memo);
    struct cl_wire_answer answer = bed_exec(bed, &plan, 1, 11, -1);

    expect_good("exec", &answer);
    struct tape tape = tape_open(bed, 11);
    uint32_t slot = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, 0);

    expect(&tape, slot, "50 132\r\nready\r\n");
    assert_int_equal(resize(bed, 11, 30, 100), 0);
    expect(&tape, slot, "winch\r\n30 100\r\n");
    tape_close(&tape);

    bed_start_exec(bed, 1, 12, "sleep 1000");
    bed_start_exec(bed, 1, 13, "exit 0");
    bed_wait_exit(bed, 13);
    assert_int_equal(resize(bed, 12, 30, 100), ENOTTY);
    assert_int_equal(resize(bed, 13, 30, 100), ESRCH);
    assert_int_equal(resize(bed, 14, 30, 100), ENOENT);
    assert_int_equal(resize(bed, 11, 0, 0), EINVAL);
    assert_int_equal(resize(bed, 11, 0, 5), EINVAL);
    assert_int_equal(resize(bed, 11, 65536, 1), EINVAL);
}

static struct cl_wire_answer start(struct bed *bed, uint64_t id, const struct cl_wire_stdio *stdio,
                                   const struct cl_wire_memo *memo)
{
    bed->stdio = stdio;
    bed->memo = memo;
    return bed_start(bed, id, -1);
}

/* The terminal is there before the program is: its size is kept, nothing can be said to it, and it comes with START. */
static void test_blocked(void **state)
{
    static const struct {
        const char *name;
        struct cl_wire_memo create, start;
        uint32_t rows, columns; /* of a RESIZE; 0 = none */
        const char *expected;
    } cases[] = {
        {"as it is", {.rows = 0}, {.rows = 0}, 0, 0, "24 80\r\n"},
        {"with create", {.rows = 5, .columns = 6}, {.rows = 0}, 0, 0, "5 6\r\n"},
        {"with resize", {.rows = 5, .columns = 6}, {.rows = 0}, 11, 22, "11 22\r\n"},
        {"with start", {.rows = 5, .columns = 6}, {.rows = 7, .columns = 8}, 0, 0, "7 8\r\n"},
    };
    static const struct cl_wire_stdio nothing[3] = {
        {CL_WIRE_STDIO_NULL, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_NULL, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_NULL, CL_WIRE_NO_FD}};
    struct bed *bed = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t id = 10 + i;
        struct bed_plan plan;
        char text[256];

        bed_plan_container(bed, &plan, BED_USER_NAMESPACE, SIZE);
        bed_plan_fs(&plan, "devpts", "/dev/pts", 0);
        plan.plan.head.flags |= CL_WIRE_PLAN_TERMINAL;
        bed->memo = &cases[i].create;
        struct cl_wire_answer answer = bed_create(bed, &plan, id, CL_WIRE_BLOCKED, -1);

        expect_good(cases[i].name, &answer);
        if (cases[i].rows != 0)
            assert_int_equal(resize(bed, id << 32, cases[i].rows, cases[i].columns), 0);
        assert_int_equal(ask(bed, CL_WIRE_STDIN, id << 32), -ENODATA);
        assert_int_equal(start(bed, id, nothing, &none).os_errno, EBADMSG);
        answer = start(bed, id, terminal, &cases[i].start);
        expect_good(cases[i].name, &answer);
        bed_wait_drained(bed, id << 32);
        read_tape(bed, id << 32, text, sizeof(text));
        if (strcmp(text, cases[i].expected) != 0)
            fail_msg("%s: '%s'", cases[i].name, text);
        bed_wait_down(bed, id);
    }
}

/* What the plan says and what the request says are one. */
static void test_mismatch(void **state)
{
    static const struct cl_wire_memo sized = {.rows = 1, .columns = 1};
    struct bed *bed = *state;
    struct bed_plan plan;

    bed_start_pause(bed, 1, BED_USER_NAMESPACE);
    bed_plan_process(&plan, "true");
    bed->stdio = terminal;
    assert_int_equal(bed_exec(bed, &plan, 1, 11, -1).os_errno, EBADMSG);
    bed_plan_process(&plan, "true");
    plan.plan.head.flags |= CL_WIRE_PLAN_TERMINAL;
    assert_int_equal(bed_exec(bed, &plan, 1, 11, -1).os_errno, EBADMSG);
    bed_plan_process(&plan, "true");
    bed->memo = &sized;
    assert_int_equal(bed_exec(bed, &plan, 1, 11, -1).os_errno, EBADMSG);
    bed_plan_container(bed, &plan, 0, "true");
    with_terminal(bed, &plan, &none);
    assert_int_equal(bed_create(bed, &plan, 2, CL_WIRE_BLOCKED, -1).os_errno, EBADMSG);
}

static void say(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* Also after another daemon has come: the terminal is the keeper's. */
static void test_input(void **state)
{
    struct bed *bed = *state;
    struct bed_plan plan;

    bed_plan_process(&plan, "cat; echo end");
    with_terminal(bed, &plan, &none);
    struct cl_wire_answer answer = bed_exec(bed, &plan, 1, 11, -1);

    expect_good("exec", &answer);
    struct tape tape = tape_open(bed, 11);
    uint32_t slot = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, 0);
    int in = ask(bed, CL_WIRE_STDIN, 11);

    assert_true(in > 0);
    assert_true(fcntl(in, F_GETFL) & O_NONBLOCK);
    say(in, "hello\n");
    expect(&tape, slot, "hello\r\nhello\r\n"); /* its echo, and what cat said */
    close(in);
    assert_int_equal(ask(bed, CL_WIRE_STDIN_CLOSE, 11), 0);
    tape_close(&tape);

    close(bed->sock);
    assert_int_equal(bed_connect(bed, CL_WIRE_VERSION, 0, &bed->sock).os_errno, 0);
    assert_int_equal(resize(bed, 11, 9, 9), 0);
    tape = tape_open(bed, 11);
    slot = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, TAPE_LOAD(tape.head->tape[1].end));
    in = ask(bed, CL_WIRE_STDIN, 11);
    say(in, "again\n");
    expect(&tape, slot, "again\r\nagain\r\n");
    say(in, "\004");
    expect(&tape, slot, "end\r\n");
    close(in);
    assert_int_equal(bed_wait_drained(bed, 11).end[1].state, CL_TAPE_ENDED);
    assert_int_equal(ask(bed, CL_WIRE_STDIN, 11), -EPIPE);
    assert_int_equal(ask(bed, CL_WIRE_STDIN_CLOSE, 11), 0);
    tape_close(&tape);
}

#define COUNT 20000
#define COUNTED (UINT64_C(108894) + COUNT) /* each line has one byte more than "seq" has said */

/* Nobody reads: it waits at its window. Then everything comes, in order, and the end by itself. */
static void test_everything(void **state)
{
    static const struct cl_wire_memo memo = {.pipe[1] = {.policy = CL_TAPE_BLOCK, .window = 8192}};
    struct bed *bed = *state;
    struct bed_plan plan;
    char *text = malloc(COUNTED + 100);
    char *at = text;
    char line[16];

    assert_non_null(text);
    bed_start_pause(bed, 1, BED_USER_NAMESPACE);
    bed_plan_process(&plan, "exec seq 1 20000");
    with_terminal(bed, &plan, &memo);
    struct cl_wire_answer answer = bed_exec(bed, &plan, 1, 11, -1);

    expect_good("exec", &answer);
    struct tape tape = tape_open(bed, 11);

    for (int i = 0; i < 200 && !TAPE_LOAD(tape.head->tape[1].starved); i++)
        usleep(10000);
    assert_int_equal(TAPE_LOAD(tape.head->tape[1].end), 8192);
    usleep(100000);
    assert_int_equal(TAPE_LOAD(tape.head->tape[1].end), 8192);
    assert_false(bed_has_exit(bed, 11));
    uint32_t slot = reader_new(&tape, 1, CL_TAPE_SLOT_BLOCK, 0);

    assert_int_equal(reader_all(&tape, slot, text, COUNTED + 100), COUNTED);
    for (int i = 1; i <= COUNT; i++) {
        int n = snprintf(line, sizeof(line), "%d\r\n", i);

        assert_memory_equal(at, line, (size_t)n);
        at += n;
    }
    struct cl_wire_drained drained = bed_wait_drained(bed, 11);

    assert_int_equal(drained.end[1].state, CL_TAPE_ENDED);
    assert_int_equal(drained.end[1].position, COUNTED);
    assert_int_equal(drained.end[1].lost, 0);
    assert_int_equal(drained.end[2].state, CL_TAPE_NONE);
    tape_close(&tape);
    free(text);
}

/* A child that ignores the hangup holds the terminal; the drain does not wait for it, and it can go on writing. */
static void test_left_behind(void **state)
{
    static const struct cl_wire_memo memo = {.drain_idle_ns = 100000000, .drain_max_ns = 5000000000};
    struct bed *bed = *state;
    struct bed_plan plan;

    bed_start_pause(bed, 1, BED_USER_NAMESPACE);
    bed_plan_process(&plan,
                     "trap '' HUP; (while true; do echo x; echo y; sleep 0.3; echo >>/tmp/alive; done) & exit 3");
    with_terminal(bed, &plan, &memo);
    struct cl_wire_answer answer = bed_exec(bed, &plan, 1, 11, -1);

    expect_good("exec", &answer);
    assert_int_equal(bed_wait_exit(bed, 11).status, 3);
    assert_int_equal(bed_wait_drained(bed, 11).end[1].state, CL_TAPE_ENDED_EARLY);
    assert_int_equal(bed_release(bed, 11).os_errno, 0);
    bed_start_exec(bed, 1, 12, "for i in 1 2 3 4 5 6 7 8 9; do sleep 0.1; done; test $(wc -l </tmp/alive) -gt 2");
    assert_int_equal(bed_wait_exit(bed, 12).status, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_inside, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_resolved, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_planted, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_covered, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_resize, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_blocked, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_mismatch, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_input, open_listening, close_bed),
        cmocka_unit_test_setup_teardown(test_everything, open_bed, close_bed),
        cmocka_unit_test_setup_teardown(test_left_behind, open_bed, close_bed),
    };

    program = argc > 1 ? argv[1] : "";
    return cmocka_run_group_tests_name("keeper terminal", tests, NULL, NULL);
}
