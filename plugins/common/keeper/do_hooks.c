/* SPDX-License-Identifier: Apache-2.0 */
/*
 * do_hooks.c - programs that are run in the middle of the set-up, in the container's namespaces.
 *
 * Each is a child of the process being made, with nothing open but its state, with "/" as directory and with no
 * variable but its own (H1.1.19). "Create" hooks are the host's programs: for as long as they run, a private clone of
 * the host's tree is attached and the container's root is moved to its place in it, so that they see both, as before a
 * pivot; then both are gone. Only a pid namespace in which nobody else lives yet keeps /proc/<pid>/root of such a hook
 * from others; so whatever such a hook leaves running is killed before anybody moves in. "Start" hooks are the
 * container's, and run with its rights and behind its filter.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/keeper/fd.h"
#include "common/keeper/inside.h"
#include "common/keeper/setup.h"

#define HOST "/host" /* of the keeper's own minimal tree: nest.c */

static const char *name_of(const struct cl_wire_hook *hook)
{
    return hook->point == CL_WIRE_HOOK_CREATE_CONTAINER ? "createContainer" : "startContainer";
}

static int make_state(const struct cl_setup *setup, const struct cl_wire_hook *hook)
{
    CL_CLOSE int fd = memfd_create("state", MFD_CLOEXEC);

    if (fd < 0 ||
        dprintf(fd, "%s%d%s", cl_wire_string(setup->plan, hook->state_head), getpid(),
                cl_wire_string(setup->plan, hook->state_tail)) < 0 ||
        lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    return cl_steal_fd(&fd);
}

static char **words(const struct cl_setup *setup, uint32_t first, uint32_t count)
{
    const cl_wire_str *item = (const cl_wire_str *)cl_wire_items(setup->plan, CL_WIRE_WORDS) + first;
    char **list = calloc((size_t)count + 1, sizeof(char *));

    /* execve takes pointers that are not const and writes nothing. */
    for (uint32_t i = 0; list != NULL && i < count; i++)
        list[i] = (char *)(uintptr_t)cl_wire_string(setup->plan, item[i]);
    return list;
}

/* What the hook may reach and do. `host`: its root, or -1: where we are. */
static int confine(struct cl_setup *setup, const struct cl_wire_hook *hook, int host, int state)
{
    const struct rlimit no_core = {0, 0};
    int r = 0;

    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || dup2(state, 0) < 0 || dup2(setup->null, 1) < 0 ||
        dup2(setup->null, 2) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0)
        return -errno;
    if (host >= 0 && (fchdir(host) < 0 || chroot(".") < 0))
        return -errno;
    if (chdir("/") < 0)
        return -errno;
    cl_reset_signals();
    if (hook->point == CL_WIRE_HOOK_START_CONTAINER && (r = cl_do_no_new_privs(setup)) == 0)
        r = cl_do_seccomp(setup);
    return r;
}

/* The errno of what keeps it from being executed goes through `tell`; a filter may forbid that, but not the exit code.
 */
_Noreturn static void be_hook(struct cl_setup *setup, const struct cl_wire_hook *hook, int host, int state, int tell)
{
    char **argv = words(setup, hook->arg_first, hook->arg_count);
    char **env = words(setup, hook->env_first, hook->env_count);
    int r = argv && env ? confine(setup, hook, host, state) : -ENOMEM;

    if (r == 0) {
        cl_close_all_but(&tell, 1);
        execve(cl_wire_string(setup->plan, hook->path), argv, env);
        r = -errno;
    }
    if (write(tell, &r, sizeof(r)) < 0)
        _exit(126);
    _exit(127);
}

/* 1 it has ended, 0 it is over its time. */
static int wait_for(pid_t pid, uint32_t timeout_ms)
{
    CL_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    int r;

    if (pidfd < 0 || timeout_ms == 0)
        return 1; /* waitpid waits */
    do
        r = poll(&ended, 1, timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms);
    while (r < 0 && errno == EINTR);
    return r != 0;
}

/* What became of it, in a word for the operator. `failed`: it was not even executed. */
static int judge(struct cl_setup *setup, const struct cl_wire_hook *hook, uint32_t i, int status, int failed)
{
    const char *path = cl_wire_string(setup->plan, hook->path);

    if (failed < 0)
        return cl_setup_detail(setup, failed, "hooks.%s[%u]: execute '%s'", name_of(hook), i, path);
    if (WIFSIGNALED(status))
        return cl_setup_detail(setup, -ECANCELED, "hooks.%s[%u]: '%s' was killed by signal %d", name_of(hook), i, path,
                               WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return cl_setup_detail(setup, -ECANCELED, "hooks.%s[%u]: '%s' exited with %d", name_of(hook), i, path,
                               WEXITSTATUS(status));
    return 0;
}

static int run(struct cl_setup *setup, const struct cl_wire_hook *hook, uint32_t i, int host)
{
    CL_CLOSE int state = make_state(setup, hook);
    int status = 0, failed = 0;
    int pair[2];

    if (state < 0 || pipe2(pair, O_CLOEXEC) < 0)
        return state < 0 ? state : -errno;
    pid_t pid = fork();

    if (pid == 0)
        be_hook(setup, hook, host, state, pair[1]);
    close(pair[1]);
    CL_CLOSE int told = pair[0];

    if (pid < 0)
        return cl_setup_detail(setup, -errno, "hooks.%s[%u]: fork", name_of(hook), i);
    int in_time = wait_for(pid, hook->timeout_ms);

    if (!in_time)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!in_time)
        return cl_setup_detail(setup, -ETIMEDOUT, "hooks.%s[%u]: '%s' ran longer than %u ms", name_of(hook), i,
                               cl_wire_string(setup->plan, hook->path), hook->timeout_ms);
    if (fcntl(told, F_SETFL, O_NONBLOCK) == 0 && read(told, &failed, sizeof(failed)) != sizeof(failed))
        failed = 0;
    return judge(setup, hook, i, status, failed);
}

static int run_all(struct cl_setup *setup, uint32_t point, int host)
{
    const struct cl_wire_hook *hook = cl_wire_items(setup->plan, CL_WIRE_HOOKS);
    int r = 0;

    for (uint32_t i = 0, n = 0; i < CL_SETUP_COUNT(setup, CL_WIRE_HOOKS) && r == 0; i++)
        if (hook[i].point == point)
            r = run(setup, &hook[i], n++, host);
    return r;
}

static const struct cl_wire_hook *first_of(const struct cl_setup *setup, uint32_t point)
{
    const struct cl_wire_hook *hook = cl_wire_items(setup->plan, CL_WIRE_HOOKS);

    for (uint32_t i = 0; i < CL_SETUP_COUNT(setup, CL_WIRE_HOOKS); i++)
        if (hook[i].point == point)
            return &hook[i];
    return NULL;
}

/* Private first, or what a hook mounts would show on the host. */
static int show_host(struct cl_setup *setup, const struct cl_wire_hook *hook, int host, int root)
{
    struct mount_attr attr = {.propagation = MS_PRIVATE};
    const char *path = cl_wire_string(setup->plan, hook->root);
    CL_CLOSE int target = -1;
    int r;

    if (mount_setattr(host, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0 ||
        move_mount(host, "", AT_FDCWD, HOST, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return cl_setup_detail(setup, -errno, "attach the host's tree");
    r = cl_inside_open(host, path, 0, &target);
    if (r == 0 && move_mount(root, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        r = -errno;
    return r < 0 ? cl_setup_detail(setup, r, "show the root at '%s'", path) : 0;
}

static int hide_host(struct cl_setup *setup, int root)
{
    if (move_mount(root, "", AT_FDCWD, "/root", MOVE_MOUNT_F_EMPTY_PATH) < 0 || umount2(HOST, MNT_DETACH) < 0)
        return cl_setup_detail(setup, -errno, "take the host's tree away");
    return 0;
}

/* The hooks' children, whose root is still the host's tree. Nobody else is here yet: as init of the new pid namespace
 * we are parent of all that is left in it, and ECHILD says that it is empty. */
static void end_all(void)
{
    do
        kill(-1, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
}

int cl_do_create_hooks(struct cl_setup *setup)
{
    const struct cl_wire_hook *first = first_of(setup, CL_WIRE_HOOK_CREATE_CONTAINER);
    int host, root, r;

    if (first == NULL)
        return 0;
    if (!(setup->plan->ns_new & CLONE_NEWPID) || getpid() != 1 || setup->plan->root_fd == CL_WIRE_NO_FD)
        return cl_setup_detail(setup, -EPERM, "hooks.createContainer: no pid namespace of its own");
    host = setup->fds[first->fd];
    root = setup->fds[setup->plan->root_fd];
    r = show_host(setup, first, host, root);
    if (r == 0)
        r = run_all(setup, CL_WIRE_HOOK_CREATE_CONTAINER, host);
    end_all();
    return r < 0 ? r : hide_host(setup, root);
}

int cl_do_start_hooks(struct cl_setup *setup)
{
    return run_all(setup, CL_WIRE_HOOK_START_CONTAINER, -1);
}

/* The plugin runs hooks of the host's namespaces, and lets us go on. */
int cl_do_point(struct cl_setup *setup)
{
    struct cl_report report = {.kind = CL_REPORT_POINT};

    if (!(setup->plan->flags & CL_WIRE_PLAN_POINT))
        return 0;
    int r = cl_report_send(setup->status, &report, NULL, 0);

    return r < 0 ? r : cl_setup_wait_go(setup);
}
