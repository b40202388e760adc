/* SPDX-License-Identifier: Apache-2.0 */
/* iso_exec.c - further processes: how they start, how they end, whom a signal reaches, who they run as. */
#include <signal.h>

#include "cases.h"
#include "loop.h"

#define MANY 200u

static void need_exec(void)
{
    ISO_NEED_SLOT(exec);
}

static void test_exec(void **state)
{
    (void)state;
    need_exec();
    struct iso_sandbox *s = iso_made("sleep 600");
    static const struct {
        const char *command;
        uint32_t kind;
        uint32_t value;
    } rows[] = {
        {"true", CLOISTER_STATUS_EXITED, 0},
        {"sh -c|exit 7", CLOISTER_STATUS_EXITED, 7},
        {"sh -c|kill -15 $$", CLOISTER_STATUS_SIGNALED, 15},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct iso_exec *e = iso_exec_prepare(s, rows[i].command);
        iso_program(&e->program, rows[i].command, "\"user\":{\"uid\":3,\"gid\":4}");
        iso_expect(rows[i].command, iso_exec_wait(e)->out, 0);
        if (e->out->result.uid != 3 || e->out->result.gid != 4)
            fail_msg("%s: runs as %u:%u, not 3:4", rows[i].command, e->out->result.uid, e->out->result.gid);
        if (iso.capabilities & CLOISTER_ISO_REAL_PIDS && e->out->result.pid <= 0)
            fail_msg("%s: no pid", rows[i].command);
        iso_expect_status(rows[i].command, e->args.process, rows[i].kind, rows[i].value);
    }
    iso_gone(s);
}

static void test_exec_fails(void **state)
{
    (void)state;
    need_exec();
    struct iso_sandbox *s = iso_made("sleep 600");
    static const struct {
        const char *command;
        const char *more;
        uint32_t code;
    } rows[] = {
        {"/no/such/program", "", CLOISTER_NO_EXECUTABLE},
        {"no-such-word", "", CLOISTER_NO_EXECUTABLE},
        {"/etc/passwd", "", CLOISTER_NOT_EXECUTABLE},
        {"true", "\"cwd\":\"/no/such/directory\"", CLOISTER_BAD_CWD},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct iso_exec *e = iso_exec_prepare(s, rows[i].command);
        iso_program(&e->program, rows[i].command, rows[i].more);
        iso_expect(rows[i].command, iso_exec_wait(e)->out, rows[i].code);
        if (!iso_no_exit(e->args.process, 50))
            fail_msg("%s: an exit of a process that never was", rows[i].command);
    }
    iso_expect_status("afterwards", iso_exec(s, "true")->args.process, CLOISTER_STATUS_EXITED, 0);
    iso_gone(s);
}

/* All of them begun before the first is answered. */
static void test_exec_many(void **state)
{
    (void)state;
    need_exec();
    static struct iso_exec *many[MANY];
    struct iso_sandbox *s = iso_made("sleep 600");
    for (unsigned i = 0; i < MANY; i++) {
        many[i] = iso_exec_prepare(s, "true");
        iso_exec_begin(many[i]);
    }
    for (unsigned i = 0; i < MANY; i++) {
        iso_wait_for(many[i]->out, "exec");
        iso_expect("exec", many[i]->out, 0);
    }
    for (unsigned i = 0; i < MANY; i++) {
        iso_expect_status("true", many[i]->args.process, CLOISTER_STATUS_EXITED, 0);
        if (iso_exit(many[i]->args.process)->order < many[i]->out->order)
            fail_msg("exec %u: its exit was told before its start had completed", i);
    }
    iso_gone(s);
}

static void test_signal(void **state)
{
    (void)state;
    need_exec();
    ISO_NEED_SLOT(signal);
    struct iso_sandbox *s = iso_made("sleep 600");
    struct iso_exec *e = iso_exec(s, "sleep 600");
    struct iso_outcome *out = iso_signal(s, e->args.process, SIGTERM, CLOISTER_SIGNAL_PROCESS);
    iso_expect("signal", out, 0);
    iso_expect_status("signal", e->args.process, CLOISTER_STATUS_SIGNALED, SIGTERM);
    iso_expect("of one that is gone", iso_signal(s, e->args.process, SIGKILL, CLOISTER_SIGNAL_PROCESS),
               CLOISTER_NO_ENTITY);
    iso_expect("of one that never was", iso_signal(s, e->args.process + 1000, SIGKILL, CLOISTER_SIGNAL_PROCESS),
               CLOISTER_NO_ENTITY);
    if (!iso_no_exit(s->args.init, 50))
        fail_msg("a signal to one process ended init");
    iso_gone(s);
}

/* A process and its child, both of which hold the pipe: it ends when neither lives. */
static struct iso_exec *family(struct iso_sandbox *s, const char *command, uint32_t flags, int *ret_fd)
{
    struct iso_exec *e = iso_exec_prepare(s, command);
    int ends[2];
    iso_pipe(ends);
    e->program.stdio[1] = iso_stdio(CLOISTER_STDIO_DESCRIPTOR, ends[1]);
    e->exec.flags = flags;
    *ret_fd = ends[0];
    iso_expect(command, iso_exec_wait(e)->out, 0);
    kit_loop_turns(200); /* until the child is there */
    return e;
}

static void test_signal_group(void **state)
{
    (void)state;
    need_exec();
    ISO_NEED(GROUP_SIGNAL);
    ISO_NEED(STDIO_DIRECT);
    struct iso_sandbox *s = iso_made("sleep 600");
    int fd;
    bool ended;
    struct iso_exec *e = family(s, "sh -c|sleep 600 & sleep 600 & wait", 0, &fd);
    iso_expect("signal", iso_signal(s, e->args.process, SIGTERM, CLOISTER_SIGNAL_GROUP), 0);
    iso_expect_status("leader", e->args.process, CLOISTER_STATUS_SIGNALED, SIGTERM);
    (void)iso_read_all(fd, NULL, &ended);
    if (!ended)
        fail_msg("a member of the group lives on");
    iso_gone(s);
}

/* Members that left the session and the process group are found by their cgroup alone. */
static void test_own_cgroup(void **state)
{
    (void)state;
    need_exec();
    ISO_NEED(OWN_CGROUP);
    ISO_NEED(STDIO_DIRECT);
    struct iso_sandbox *s = iso_made("sleep 600");
    int fd;
    bool ended;
    struct iso_exec *e = family(s, "sh -c|setsid sleep 600 & sleep 600 & wait", CLOISTER_EXEC_OWN_CGROUP, &fd);
    iso_expect("signal", iso_signal(s, e->args.process, SIGKILL, CLOISTER_SIGNAL_TREE), 0);
    iso_expect_status("leader", e->args.process, CLOISTER_STATUS_SIGNALED, SIGKILL);
    (void)iso_read_all(fd, NULL, &ended);
    if (!ended)
        fail_msg("a member of the tree lives on");
    if (!iso_no_exit(s->args.init, 50))
        fail_msg("a signal to a tree ended init");
    iso_gone(s);
}

static void test_kill(void **state)
{
    (void)state;
    need_exec();
    ISO_NEED_SLOT(container_kill);
    static const struct {
        const char *name;
        uint32_t set;
        bool init;
        bool rest;
    } rows[] = {
        {"ALL", CLOISTER_KILL_ALL, true, true},
        {"ALL_BUT_INIT", CLOISTER_KILL_ALL_BUT_INIT, false, true},
        {"INIT", CLOISTER_KILL_INIT, true, false},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct iso_sandbox *s = iso_made("sleep 600");
        struct iso_exec *e = iso_exec(s, "sleep 600");
        struct iso_outcome *out = iso_kill(s, rows[i].set, SIGKILL);
        iso_expect(rows[i].name, out, 0);
        if (out->result.survivors > 2)
            fail_msg("%s: %u survivors of 2", rows[i].name, out->result.survivors);
        if (rows[i].init)
            iso_expect_status(rows[i].name, s->args.init, CLOISTER_STATUS_SIGNALED, SIGKILL);
        else if (!iso_no_exit(s->args.init, 100))
            fail_msg("%s: init has ended", rows[i].name);
        if (rows[i].rest)
            iso_expect_status(rows[i].name, e->args.process, CLOISTER_STATUS_SIGNALED, SIGKILL);
        iso_gone(s);
    }
}

static void test_release(void **state)
{
    (void)state;
    need_exec();
    ISO_NEED_SLOT(release);
    struct iso_sandbox *s = iso_made("sleep 600");
    for (unsigned i = 0; i < 3; i++) {
        struct iso_exec *e = iso_exec(s, "true");
        iso_expect_status("true", e->args.process, CLOISTER_STATUS_EXITED, 0);
        iso_expect("release", iso_release(s, e->args.process), 0);
        iso_expect("signal", iso_signal(s, e->args.process, SIGKILL, CLOISTER_SIGNAL_PROCESS), CLOISTER_NO_ENTITY);
    }
    iso_gone(s);
}

/* The root's own passwd and group files say who: mkrootfs makes "user" 1000 and "nobody" 65534. */
static void test_resolve(void **state)
{
    (void)state;
    need_exec();
    ISO_NEED(RESOLVE);
    struct iso_sandbox *s = iso_made("sleep 600");
    static const struct {
        const char *user;
        uint32_t code, uid, gid;
    } rows[] = {
        {"", 0, 0, 0},
        {"user", 0, 1000, 1000},
        {"user:nogroup", 0, 1000, 65534},
        {"1000:7", 0, 1000, 7},
        {"stranger", CLOISTER_USER_UNKNOWN, 0, 0},
        {"user:strangers", CLOISTER_GROUP_UNKNOWN, 0, 0},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct iso_exec *e = iso_exec_prepare(s, "true");
        iso_program(&e->program, "true", "\"user\":{}");
        e->program.resolve = (struct cloister_resolve_args){CLOISTER_INIT(struct cloister_resolve_args),
                                                            .flags = CLOISTER_RESOLVE_GROUPS | CLOISTER_RESOLVE_ENV,
                                                            .user = {rows[i].user, strlen(rows[i].user)}};
        e->program.args.resolve = &e->program.resolve;
        iso_expect(rows[i].user, iso_exec_wait(e)->out, rows[i].code);
        if (rows[i].code)
            continue;
        if (e->out->result.uid != rows[i].uid || e->out->result.gid != rows[i].gid)
            fail_msg("'%s': runs as %u:%u, not %u:%u", rows[i].user, e->out->result.uid, e->out->result.gid,
                     rows[i].uid, rows[i].gid);
        iso_expect_status(rows[i].user, e->args.process, CLOISTER_STATUS_EXITED, 0);
    }
    iso_gone(s);
}

const struct CMUnitTest iso_exec_cases[] = {
    ISO_CASE("exec", test_exec),
    ISO_CASE("exec-fails", test_exec_fails),
    ISO_CASE("exec-many", test_exec_many),
    ISO_CASE("signal", test_signal),
    ISO_CASE("signal-group", test_signal_group),
    ISO_CASE("own-cgroup", test_own_cgroup),
    ISO_CASE("kill", test_kill),
    ISO_CASE("release", test_release),
    ISO_CASE("resolve", test_resolve),
    ISO_CASES_END,
};
