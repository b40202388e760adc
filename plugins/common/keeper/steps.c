/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steps.c - how a process is made, as a table.
 *
 * The keeper forks a *helper*, which takes what can only be had from outside (keyring, joined namespaces, clock
 * offsets) and makes the process with CLONE_PARENT, so that the keeper is its parent; then the process does its own
 * part, from "user-map" to "exec". Each step has a name, which is what the operator reads when it fails, and an undo,
 * which is called in reverse order for the steps done so far. Nearly everything a step makes lives in the process or in
 * its new namespaces and dies with it; an undo is there for what would not. Order matters and is explained where it
 * does.
 */
#include "common/keeper/steps.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/keeper/plan.h"

struct step {
    const char *name;
    int (*run)(struct cl_setup *setup);
    void (*undo)(struct cl_setup *setup);
};

/* A process that is half made holds mounts open through these; dropping them first lets the namespace die with it. */
static void undo_mounts(struct cl_setup *setup)
{
    for (uint32_t i = 0; i < setup->late_count; i++)
        close(setup->late_readonly[i]);
    free(setup->late_readonly);
    setup->late_readonly = NULL;
    setup->late_count = 0;
}

static void undo_find(struct cl_setup *setup)
{
    free(setup->program);
    setup->program = NULL;
}

/* What takes host root's rights comes before "join-user"; "clone" is last, after it the helper's part is over. */
static const struct step create_helper[] = {
    {"keyring", cl_do_keyring, NULL}, {"join-namespace", cl_do_join, NULL}, {"borrow", cl_do_borrow, NULL},
    {"time", cl_do_time, NULL},       {"join-user", cl_do_join_user, NULL}, {"clone", cl_do_clone, NULL},
};

/*
 * The terminal when the container's devpts is there and its /dev can still be written. Groups before gid before uid
 * (the later ones take the right to do the earlier); bounding set while we still may; limits after the last descriptor
 * is placed (a NOFILE of 3 must not break us); stdio and the program's path before the filter, which is the last thing
 * before exec, because it may forbid anything. Hooks
 * come when the mounts stand; sysctls after them, because a hook may bring the interface that one is about.
 */
static const struct step create_child[] = {
    {"user-map", cl_setup_wait_go, NULL},
    {"inside-root", cl_do_inside_root, NULL},
    {"join-cgroup", cl_do_join_cgroups, NULL},
    {"cgroup-namespace", cl_do_cgroup_namespace, NULL},
    {"hostname", cl_do_hostname, NULL},
    {"loopback", cl_do_loopback, NULL},
    {"root", cl_do_root, NULL},
    {"mount", cl_do_mounts, undo_mounts},
    {"device", cl_do_devices, NULL},
    {"link", cl_do_links, NULL},
    {"terminal", cl_do_terminal, NULL},
    {"mount-readonly", cl_do_late_readonly, NULL},
    {"readonly", cl_do_readonly, NULL},
    {"mask", cl_do_mask, NULL},
    {"point", cl_do_point, NULL},
    {"create-hook", cl_do_create_hooks, NULL},
    {"sysctl", cl_do_sysctls, NULL},
    {"pivot", cl_do_pivot, NULL},
    {"root-flags", cl_do_root_flags, NULL},
    {"nice", cl_do_nice, NULL},
    {"resolve", cl_do_resolve, NULL},
    {"home", cl_do_home, NULL},
    {"session", cl_do_session, NULL},
    {"bounding", cl_do_bounding, NULL},
    {"groups", cl_do_groups, NULL},
    {"user", cl_do_user, NULL},
    {"capabilities", cl_do_caps, NULL},
    {"close", cl_do_close, NULL},
    {"cwd", cl_do_cwd, NULL},
    {"find", cl_do_find, undo_find},
    {"start", cl_do_block, NULL},
    {"start-hook", cl_do_start_hooks, NULL},
    {"stdio", cl_do_stdio, NULL},
    {"priority", cl_do_priority, NULL},
    {"rlimit", cl_do_rlimits, NULL},
    {"personality", cl_do_personality, NULL},
    {"no-new-privs", cl_do_no_new_privs, NULL},
    {"seccomp", cl_do_seccomp, NULL},
    {"exec", cl_do_exec, NULL},
};

static const struct step exec_helper[] = {
    {"keyring", cl_do_keyring, NULL},
    {"enter", cl_do_enter, NULL},
    {"clone", cl_do_clone, NULL},
};

static const struct step exec_child[] = {
    {"oom-score", cl_setup_wait_go, NULL},
    {"join-cgroup", cl_do_join_cgroups, NULL},
    {"terminal", cl_do_terminal, NULL},
    {"nice", cl_do_nice, NULL},
    {"resolve", cl_do_resolve, NULL},
    {"home", cl_do_home, NULL},
    {"session", cl_do_session, NULL},
    {"bounding", cl_do_bounding, NULL},
    {"groups", cl_do_groups, NULL},
    {"user", cl_do_user, NULL},
    {"capabilities", cl_do_caps, NULL},
    {"close", cl_do_close, NULL},
    {"cwd", cl_do_cwd, NULL},
    {"find", cl_do_find, undo_find},
    {"stdio", cl_do_stdio, NULL},
    {"priority", cl_do_priority, NULL},
    {"rlimit", cl_do_rlimits, NULL},
    {"personality", cl_do_personality, NULL},
    {"no-new-privs", cl_do_no_new_privs, NULL},
    {"seccomp", cl_do_seccomp, NULL},
    {"exec", cl_do_exec, NULL},
};

/* The keeper's own, at which it can only halt: op_begin.c and op.c pass them. Of "exec" it also knows the end. */
static const char *const keeper_steps[] = {"fork", "slip", "prepare", "own-pipes"};

#define LENGTH(table) (sizeof(table) / sizeof((table)[0]))

int cl_setup_detail(struct cl_setup *setup, int r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(setup->detail, sizeof(setup->detail), format, args);
    va_end(args);
    return r;
}

static int tell(struct cl_setup *setup, uint32_t kind, int os_errno, const char *step, const char *detail)
{
    struct cl_report report = {.kind = kind, .os_errno = os_errno};

    snprintf(report.step, sizeof(report.step), "%s", step);
    snprintf(report.detail, sizeof(report.detail), "%s", detail);
    return cl_report_send(setup->status, &report, NULL, 0);
}

int cl_setup_warn(struct cl_setup *setup, int os_errno, const char *step, const char *format, ...)
{
    char detail[CL_WIRE_DETAIL_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    return tell(setup, CL_REPORT_WARNING, os_errno, step, detail);
}

static int receive(struct cl_setup *setup, struct cl_report *report, int *fds)
{
    int r = cl_report_recv(setup->status, report, fds);

    if (r < 0)
        return cl_setup_detail(setup, r, "the keeper gave up");
    if (report->kind != CL_REPORT_GO)
        return cl_setup_detail(setup, -EPROTO, "unexpected word from the keeper");
    if (report->os_errno != 0)
        return cl_setup_detail(setup, -report->os_errno, "%s", report->detail);
    return 0;
}

int cl_setup_wait_go(struct cl_setup *setup)
{
    struct cl_report report;
    int fds[CL_REPORT_FDS_MAX];

    return receive(setup, &report, fds);
}

int cl_setup_wait_stdio(struct cl_setup *setup)
{
    struct cl_report report;
    int fds[CL_REPORT_FDS_MAX];
    int r = receive(setup, &report, fds);

    if (r < 0)
        return r;
    for (uint32_t i = 0; i < 3; i++) {
        setup->stdio[i] = report.stdio[i];
        setup->std[i] = report.stdio[i].kind == CL_WIRE_STDIO_DESCRIPTOR ? fds[report.stdio[i].fd] : -1;
    }
    return 0;
}

/* A filter may forbid sendmsg and even exit; the exit code carries the errno as far as it can, an illegal instruction
 * ends us. */
_Noreturn static void give_up(struct cl_setup *setup, const char *step, int r)
{
    tell(setup, CL_REPORT_FAILED, -r, step, setup->detail);
    syscall(SYS_exit_group, -r & 0xff);
    __builtin_trap();
}

/* The keeper hears of it, and then nothing moves until somebody kills, or the keeper gives up: of a process whose
 * helper has not told of it yet it has no number to kill. */
static void halt(struct cl_setup *setup, const char *step, const char *when)
{
    struct pollfd given_up = {.fd = setup->status, .events = POLLRDHUP};

    cl_setup_warn(setup, 0, "halt", "%s %s", step, when);
    while (poll(&given_up, 1, -1) < 1)
        ;
    _exit(1);
}

/* "clone" is over in the new process, not in the helper, which has nothing left to do. */
static int halts_after(const struct cl_setup *setup, const struct step *step, int r)
{
    return r == (step->run == cl_do_clone) && cl_plan_stops(setup->plan, step->name, 4);
}

/* 0 all done; 1 the clone step returned in the new process. Does not return on failure. */
static int run_table(struct cl_setup *setup, const struct step *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        setup->detail[0] = '\0';
        if (cl_plan_stops(setup->plan, table[i].name, 3))
            halt(setup, table[i].name, "before");
        int r = cl_plan_stops(setup->plan, table[i].name, 1) ? cl_setup_detail(setup, -ECANCELED, "stopped before") : 0;

        if (r == 0)
            r = table[i].run(setup);
        if (halts_after(setup, &table[i], r))
            halt(setup, table[i].name, "after");
        if (r == 1)
            return 1;
        if (r == 0 && cl_plan_stops(setup->plan, table[i].name, 2)) {
            r = cl_setup_detail(setup, -ECANCELED, "stopped after");
            if (table[i].undo != NULL)
                table[i].undo(setup);
        }
        if (r == 0)
            continue;
        for (size_t k = i; k-- > 0;)
            if (table[k].undo != NULL)
                table[k].undo(setup);
        give_up(setup, table[i].name, r);
    }
    return 0;
}

_Noreturn void cl_steps_run(struct cl_setup *setup)
{
    int create = setup->plan->kind == CL_WIRE_PLAN_CONTAINER;
    int child = create ? run_table(setup, create_helper, LENGTH(create_helper))
                       : run_table(setup, exec_helper, LENGTH(exec_helper));

    if (child) {
        if (create)
            run_table(setup, create_child, LENGTH(create_child));
        else
            run_table(setup, exec_child, LENGTH(exec_child));
    }
    _exit(0);
}

static void print_table(const char *kind, const struct step *table, size_t count)
{
    for (size_t i = 0; i < count; i++)
        printf("%s %s\n", kind, table[i].name);
}

static void print_keeper(const char *kind)
{
    for (size_t i = 0; i < LENGTH(keeper_steps); i++)
        printf("%s %s\n", kind, keeper_steps[i]);
}

int cl_steps_print(void)
{
    print_keeper("create");
    print_table("create", create_helper, LENGTH(create_helper));
    print_table("create", create_child, LENGTH(create_child));
    print_keeper("exec");
    print_table("exec", exec_helper, LENGTH(exec_helper));
    print_table("exec", exec_child, LENGTH(exec_child));
    return fflush(stdout) == 0 ? 0 : -EIO;
}
