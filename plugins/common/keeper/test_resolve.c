/* SPDX-License-Identifier: Apache-2.0 */
/* A user by name: who a further process becomes, by the files of a container that has just been given them; what comes
 * of files that are none. */
#include "common/keeper/test_bed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ALL (CL_WIRE_RESOLVE_GROUPS | CL_WIRE_RESOLVE_ENV | CL_WIRE_RESOLVE_CWD)

static const char *program;
static struct bed *bed;

/* The root is the bed's own: a tmpfs lies over its /etc and /home. */
static const char files[] =
    "echo 'root:x:0:0::/root:/bin/sh' >/etc/passwd; echo 'ann:x:1000:1001::/home/ann:' >>/etc/passwd;"
    "echo 'odd:x:1002:1002::relative:' >>/etc/passwd; echo 'wheel:x:10:root,ann' >/etc/group;"
    "echo 'staff:x:50:ann' >>/etc/group";

static void sh(uint64_t pseq, const char *script)
{
    bed_start_exec(bed, 1, pseq, script);
    struct cl_wire_record record = bed_wait_exit(bed, pseq);

    assert_int_equal(record.status, 0);
}

static int setup(void **state)
{
    struct bed_plan plan;

    bed = bed_open(program);
    bed_plan_container(bed, &plan, BED_USER_NAMESPACE | BED_PAUSE, NULL);
    bed_plan_fs(&plan, "tmpfs", "/etc", 0);
    bed_plan_fs(&plan, "tmpfs", "/home", 0);
    assert_int_equal(bed_create(bed, &plan, 1, 0, -1).os_errno, 0);
    bed_plan_clear(&plan);
    sh(500, files);
    return 0;
}

static int teardown(void **state)
{
    bed_close(bed);
    return 0;
}

static const char script[] = "echo $(id -u) $(id -g) $(id -G) $USER $HOME $PWD";

static const struct {
    const char *user;
    uint32_t resolve;
    const char *cwd;
    int os_errno;
    const char *output; /* or the answer's detail */
} cases[] = {
    {"", ALL, "/", 0, "0 0 0 10 root /root /\n"},
    {"root", ALL, "/", 0, "0 0 0 10 root /root /\n"},
    {"ann", ALL, "/", 0, "1000 1001 1001 10 50 ann /home/ann /\n"},
    {"ann", ALL, "", 0, "1000 1001 1001 10 50 ann /home/ann /home/ann\n"},
    {"ann", ALL & ~CL_WIRE_RESOLVE_GROUPS, "/", 0, "1000 1001 1001 ann /home/ann /\n"},
    {"ann", CL_WIRE_RESOLVE_CWD, "/home/ann/a/b", 0, "1000 1001 1001 /home/ann/a/b\n"},
    {"ann:staff", ALL, "/", 0, "1000 50 50 ann /home/ann /\n"},
    {"1000", ALL, "/", 0, "1000 1001 1001 10 50 1000 /home/ann /\n"},
    {"5:6", ALL, "/", 0, "5 6 6 5 / /\n"},
    {"odd", ALL, "", 0, "1002 1002 1002 odd / /\n"},
    {"nosuch", ALL, "/", ENOENT, "'nosuch': there is no such user"},
    {"-1", ALL, "/", ENOENT, "'-1': there is no such user"},
    {"ann:nosuch", ALL, "/", ESRCH, "'ann:nosuch': there is no such group"},
    {"1:2:3", ALL, "/", EINVAL, "'1:2:3' is not USER, USER:GROUP, UID or UID:GID"},
};

static struct cl_wire_answer run(const char *user, uint32_t resolve, const char *cwd, uint64_t pseq, const char *what,
                                 int out)
{
    struct bed_plan plan;
    struct cl_wire_answer answer;

    bed_plan_process(&plan, what);
    plan.plan.head.flags |= CL_WIRE_PLAN_RESOLVE;
    plan.plan.head.resolve = resolve;
    plan.plan.head.user = cl_plan_cstring(&plan.plan, user);
    plan.plan.head.cwd = cl_plan_cstring(&plan.plan, cwd);
    answer = bed_exec(bed, &plan, 1, pseq, out);
    bed_plan_clear(&plan);
    return answer;
}

static void test_who(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char output[256];
        int ends[2];

        assert_int_equal(pipe(ends), 0);
        struct cl_wire_answer answer = run(cases[i].user, cases[i].resolve, cases[i].cwd, 600 + i, script, ends[1]);

        close(ends[1]);
        bed_read_all(ends[0], output, sizeof(output));
        close(ends[0]);
        if (answer.os_errno != cases[i].os_errno || (answer.os_errno && strcmp(answer.step, "resolve") != 0))
            fail_msg("'%s': step %s, %d: %s", cases[i].user, answer.step, answer.os_errno, answer.detail);
        if (strcmp(answer.os_errno ? answer.detail : output, cases[i].output) != 0)
            fail_msg("'%s': %s", cases[i].user, answer.os_errno ? answer.detail : output);
    }
}

static void test_answer(void **state)
{
    struct cl_wire_answer answer = run("ann", ALL, "", 700, "true", -1);

    assert_int_equal(answer.os_errno, 0);
    assert_int_equal(answer.uid, 1000);
    assert_int_equal(answer.gid, 1001);
    assert_string_equal(answer.home, "/home/ann");
    sh(701, "test \"$(stat -c %u:%g:%a /home/ann)\" = 1000:1001:755");
}

/* A pipe is its user's, or /dev/stdout could not be opened again. */
static void test_pipes(void **state)
{
    static const struct cl_wire_stdio stdio[3] = {
        {CL_WIRE_STDIO_NULL, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_PIPE, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_PIPE, CL_WIRE_NO_FD}};
    static const struct cl_wire_memo memo;

    bed->stdio = stdio;
    bed->memo = &memo;
    assert_int_equal(
        run("ann", ALL, "/", 710, "test \"$(stat -L -c %u /proc/self/fd/1)\" = 1000 && echo x >/proc/self/fd/1", -1)
            .os_errno,
        0);
    assert_int_equal(bed_wait_exit(bed, 710).status, 0);
}

static void test_odd_files(void **state)
{
    static const struct {
        const char *name;
        const char *make;
        const char *user;
        int os_errno;
    } odd[] = {
        {"none", "rm /etc/passwd", "root", 0},
        {"none, and a name", "rm /etc/passwd", "ann", ENOENT},
        {"a fifo", "rm /etc/passwd; mkfifo /etc/passwd", "root", EINVAL},
        {"a directory", "rm /etc/passwd; mkdir /etc/passwd", "root", EINVAL},
        {"a loop", "rm /etc/passwd; ln -s passwd /etc/passwd", "root", ELOOP},
        {"a magic link", "rm /etc/passwd; ln -s /proc/self/fd/0 /etc/passwd", "root", ELOOP},
        {"another's", "mv /etc/passwd /etc/p; ln -s /etc/p /etc/passwd", "ann", 0},
        {"too long", "rm /etc/passwd; dd if=/dev/zero of=/etc/passwd bs=1M count=5 2>/dev/null", "root", EFBIG},
    };

    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
        sh(800 + 3 * i, odd[i].make);
        struct cl_wire_answer answer = run(odd[i].user, 0, "/", 801 + 3 * i, "true", -1);

        if (answer.os_errno != odd[i].os_errno)
            fail_msg("%s: step %s, %d: %s", odd[i].name, answer.step, answer.os_errno, answer.detail);
        sh(802 + 3 * i, "rm -rf /etc/passwd");
        sh(900 + i, files);
    }
}

static void test_capabilities(void **state)
{
    static const struct {
        const char *user;
        const char *output;
    } sets[] = {{"root", "0000000000000003\n"}, {"ann", "0000000000000001\n"}};

    for (size_t i = 0; i < 2; i++) {
        struct bed_plan plan;
        char output[64];
        int ends[2];

        assert_int_equal(pipe(ends), 0);
        bed_plan_process(&plan, "sed -n 's/^CapBnd:\\t//p' /proc/self/status");
        plan.plan.head.flags |= CL_WIRE_PLAN_RESOLVE | CL_WIRE_PLAN_NONROOT_CAPS;
        plan.plan.head.user = cl_plan_cstring(&plan.plan, sets[i].user);
        plan.plan.head.cap_bounding = 3;
        plan.plan.head.cap_permitted = plan.plan.head.cap_effective = 3;
        plan.plan.head.cap_inheritable = plan.plan.head.cap_ambient = 0;
        plan.plan.head.nonroot_cap_bounding = 1;
        assert_int_equal(bed_exec(bed, &plan, 1, 720 + i, ends[1]).os_errno, 0);
        close(ends[1]);
        bed_read_all(ends[0], output, sizeof(output));
        close(ends[0]);
        assert_string_equal(output, sets[i].output);
        bed_plan_clear(&plan);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who),       cmocka_unit_test(test_answer),       cmocka_unit_test(test_pipes),
        cmocka_unit_test(test_odd_files), cmocka_unit_test(test_capabilities),
    };

    program = argc > 1 ? argv[1] : "cloister-keeper";
    return cmocka_run_group_tests(tests, setup, teardown);
}
