/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which programs of the host's a plugin may have run: our own, by name, and those that the config lists, by path. No
 * request ever names one that is neither (H1.2.6). The file is looked at each time, and what was looked at is what is
 * run.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/error/error.h"
#include "core/host/tables.h"
#include "core/loader/executable.h"
#include "core/util/fd.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "core/zygote/helper.h"

static bool is_listed(const struct cl_host *own, struct cloister_sv program)
{
    for (const char *const *at = own->helpers; at && *at; at++)
        if (cl_sv_is(program, *at))
            return true;
    return false;
}

/* Malloc'd; NULL with err. */
static char *find(const struct cl_host *own, struct cloister_sv program, struct cloister_error *err)
{
    bool is_name = program.size > 0 && !memchr(program.data, '/', program.size);
    char *path = NULL;
    if (program.size >= PATH_MAX || cl_sv_has_nul(program) || (!is_name && !is_listed(own, program))) {
        cl_error_set(err, CLOISTER_DENIED, 0, NULL, "helper", "program '%.*s' is not among the config's 'helpers'",
                     CL_SV_ARG(program));
        cl_error_subject(err, program);
        return NULL;
    }
    const char *slash = strrchr(own->helpers_beside, '/');
    if (!is_name)
        path = cl_sv_dup(program);
    else if (slash)
        path = cl_asprintf("%.*s/%.*s", (int)(slash - own->helpers_beside), own->helpers_beside, CL_SV_ARG(program));
    if (!path)
        cl_error_set(err, CLOISTER_LIMIT, ENOMEM, NULL, "helper", "remember a program's path");
    return path;
}

static int spawn(struct cl_host *own, const struct cloister_helper_args *args, int program, const char *path)
{
    const struct cl_helper_args helper = {
        .program = program,
        .path = path,
        .flags = args->flags & CLOISTER_HELPER_PRIVILEGES ? CLOISTER_ZYGOTE_HELPER_PRIVILEGES : 0,
        .argv = args->argv,
        .argv_count = args->argv_count,
        .env = args->env,
        .env_count = args->env_count,
        .fds = args->fds,
        .fd_count = args->fd_count,
        .started = args->started,
        .exited = args->exited,
        .ctx = args->ctx,
    };
    return own->zygote ? cl_helper_spawn(own->zygote, &helper) : -ENOTCONN;
}

int32_t cl_host_helper_spawn(const struct cloister_host *host, const struct cloister_helper_args *args,
                             struct cloister_error *err)
{
    struct cl_host *own = cl_host_of(host);
    CL_FREE char *path = NULL, *real = NULL;
    CL_CLOSE int program = -1;
    if (args->flags & ~CLOISTER_HELPER_PRIVILEGES) {
        cl_error_set(err, CLOISTER_INVALID, 0, "flags", "helper", "unknown flags %#x of a helper", args->flags);
        return -1;
    }
    path = find(own, args->program, err);
    if (!path)
        return -1;
    int result = cl_executable_open(path, &program, &real, err);
    if (result < 0)
        return -1;
    result = spawn(own, args, program, real);
    if (result < 0) {
        uint32_t code = result == -E2BIG || result == -EINVAL ? CLOISTER_INVALID : CLOISTER_LIMIT;
        cl_error_set(err, code, -result, path, "helper", "start '%s'", path);
    }
    return result < 0 ? -1 : 0;
}

int32_t cl_host_helper_check(const struct cloister_host *host, struct cloister_sv program, struct cloister_error *err)
{
    CL_FREE char *path = find(cl_host_of(host), program, err), *real = NULL;
    CL_CLOSE int fd = -1;
    return path && cl_executable_open(path, &fd, &real, err) == 0 ? 0 : -1;
}
