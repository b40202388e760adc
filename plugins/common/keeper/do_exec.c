/* SPDX-License-Identifier: Apache-2.0 */
/* do_exec.c - session and signals, working directory, the look-up of the program, and execve. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/keeper/fd.h"
#include "common/keeper/kernel.h"
#include "common/keeper/setup.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The keeper ignores SIGPIPE and blocks all signals; neither may be inherited. */
void cl_reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int signal = 1; signal < NSIG; signal++)
        sigaction(signal, &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

int cl_do_session(struct cl_setup *setup)
{
    uint32_t session = setup->plan->kind == CL_WIRE_PLAN_CONTAINER ? CL_WIRE_SESSION_SETSID : setup->plan->session;

    cl_reset_signals();
    if (session == CL_WIRE_SESSION_SETSID && setsid() < 0)
        return cl_setup_detail(setup, -errno, "new session");
    if (session == CL_WIRE_SESSION_SETPGID && setpgid(0, 0) < 0)
        return cl_setup_detail(setup, -errno, "new process group");
    return cl_do_control(setup);
}

/* As the user, who may have no right to it. Magic links are refused, and what getcwd cannot name lies outside the root.
 */
int cl_do_cwd(struct cl_setup *setup)
{
    const char *path = setup->who.cwd;
    char now[PATH_MAX];
    CL_CLOSE int fd = cl_openat2(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, RESOLVE_NO_MAGICLINKS);

    if (fd < 0)
        return cl_setup_detail(setup, fd, "'%s'", path);
    if (fchdir(fd) < 0)
        return cl_setup_detail(setup, -errno, "'%s'", path);
    if (syscall(SYS_getcwd, now, sizeof(now)) < 0)
        return cl_setup_detail(setup, -errno, "'%s'", path);
    return now[0] == '/' ? 0 : cl_setup_detail(setup, -EXDEV, "'%s' is outside the root", path);
}

/* 0 if this can be executed; by effective ids, as execve will judge it. */
static int executable(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EACCES;
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

static const char *search_path(const struct cl_setup *setup)
{
    const cl_wire_str *env = cl_wire_items(setup->plan, CL_WIRE_ENV);

    if (setup->plan->path != 0)
        return cl_wire_string(setup->plan, setup->plan->path);
    for (uint32_t i = 0; i < CL_SETUP_COUNT(setup, CL_WIRE_ENV); i++)
        if (strncmp(cl_wire_string(setup->plan, env[i]), "PATH=", 5) == 0)
            return cl_wire_string(setup->plan, env[i]) + 5;
    for (uint32_t i = 0; i < setup->who.env_count; i++)
        if (strncmp(setup->who.env[i], "PATH=", 5) == 0)
            return setup->who.env[i] + 5;
    return DEFAULT_PATH;
}

/* First that can be executed; else EACCES if there was one that could not, else ENOENT. */
static int search(const char *name, const char *path, char **ret_program)
{
    char candidate[PATH_MAX];
    int denied = 0;

    for (const char *entry = path;; entry += strcspn(entry, ":") + 1) {
        int length = (int)strcspn(entry, ":");
        int n = snprintf(candidate, sizeof(candidate), "%.*s%s%s", length, entry, length ? "/" : "", name);
        int r = n < (int)sizeof(candidate) ? executable(candidate) : -ENAMETOOLONG;

        if (r == 0) {
            *ret_program = strdup(candidate);
            return *ret_program ? 0 : -ENOMEM;
        }
        if (r == -EACCES)
            denied = 1;
        if (entry[length] == '\0')
            break;
    }
    return denied ? -EACCES : -ENOENT;
}

/* The section's strings, then `more`. */
static char **vector(const struct cl_setup *setup, uint32_t section, char *const *more, uint32_t more_count)
{
    const cl_wire_str *item = cl_wire_items(setup->plan, section);
    uint32_t count = CL_SETUP_COUNT(setup, section);
    char **list = calloc((size_t)count + more_count + 1, sizeof(char *));

    /* execve takes pointers that are not const and writes nothing. */
    for (uint32_t i = 0; list != NULL && i < count; i++)
        list[i] = (char *)(uintptr_t)cl_wire_string(setup->plan, item[i]);
    for (uint32_t i = 0; list != NULL && i < more_count; i++)
        list[count + i] = more[i];
    return list;
}

/* Everything exec needs is ready after this, because a filter may forbid looking and allocating. */
int cl_do_find(struct cl_setup *setup)
{
    const cl_wire_str *argv = cl_wire_items(setup->plan, CL_WIRE_ARGV);
    int r = 0;

    if (setup->plan->flags & CL_WIRE_PLAN_PAUSE)
        return 0;
    const char *name = cl_wire_string(setup->plan, argv[0]);

    if (name[0] == '\0')
        r = -ENOENT;
    else if (strchr(name, '/') == NULL)
        r = search(name, search_path(setup), &setup->program);
    else if ((r = executable(name)) == 0 && (setup->program = strdup(name)) == NULL)
        r = -ENOMEM;
    if (r < 0)
        return cl_setup_detail(setup, r, "'%s'", name);
    setup->argv = vector(setup, CL_WIRE_ARGV, NULL, 0);
    setup->env = vector(setup, CL_WIRE_ENV, setup->who.env, setup->who.env_count);
    return setup->argv && setup->env ? 0 : -ENOMEM;
}

int cl_do_exec(struct cl_setup *setup)
{
    if (setup->plan->flags & CL_WIRE_PLAN_PAUSE)
        return cl_do_pause(setup);
    execve(setup->program, setup->argv, setup->env);
    return cl_setup_detail(setup, -errno, "'%s'", setup->program);
}
