/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error/error.h"
#include "core/host/report.h"
#include "core/host/tables.h"
#include "core/util/sv.h"
#include "core/util/time.h"

#define SOCKET_PATH_MAX 107u /* sun_path, less the NUL */

static int32_t fill_random(void *ret, uint64_t size)
{
    for (uint64_t done = 0; done < size;) {
        ssize_t got = getrandom((char *)ret + done, size - done, 0);
        if (got < 0 && errno != EINTR)
            return -errno;
        done += got > 0 ? (uint64_t)got : 0;
    }
    return 0;
}

static struct cloister_sv boot_id(const struct cloister_host *host)
{
    return cl_sv_cstr(cl_host_of(host)->boot_id);
}

static struct cloister_sv version(const struct cloister_host *host)
{
    return cl_sv_cstr(cl_version);
}

static struct cloister_sv instance(const struct cloister_host *host)
{
    return cl_sv_cstr(cl_host_of(host)->instance);
}

static uint64_t cookie(const struct cloister_host *host)
{
    return cl_host_of(host)->cookie;
}

static int32_t zygote_fork(const struct cloister_host *host, const char *role, const int32_t *fds, uint32_t fd_count,
                           cl_zygote_forked_fn fn, void *ctx)
{
    struct cl_zygote *zygote = cl_host_of(host)->zygote;
    return zygote ? cl_zygote_fork(zygote, role, fds, fd_count, fn, ctx) : -ENOTCONN;
}

static bool is_component(struct cloister_sv name)
{
    return name.size > 0 && !cl_sv_has_nul(name) && !memchr(name.data, '/', name.size) && !cl_sv_is(name, ".") &&
           !cl_sv_is(name, "..");
}

static int32_t run_path(const struct cloister_host *host, struct cloister_sv sandbox, const char *leaf, char *ret,
                        uint64_t size, struct cloister_error *err)
{
    const char *run = cl_host_of(host)->run_dir;
    if (!is_component(sandbox) || !is_component(cl_sv_cstr(leaf))) {
        cl_error_set(err, CLOISTER_INVALID, 0, leaf, "run-path", "path '%s' of sandbox '%.*s' in run directory '%s'",
                     leaf, CL_SV_ARG(sandbox), run);
        return -1;
    }
    uint64_t need = strlen(run) + 1 + sandbox.size + 1 + strlen(leaf);
    if (need > SOCKET_PATH_MAX || need >= size) {
        cl_error_set(err, CLOISTER_TOO_BIG, 0, leaf, "run-path",
                     "path '%s/%.*s/%s' has %llu bytes, more than the %llu that fit; choose a shorter run directory",
                     run, CL_SV_ARG(sandbox), leaf, (unsigned long long)need,
                     (unsigned long long)(size <= SOCKET_PATH_MAX ? size - 1 : SOCKET_PATH_MAX));
        return -1;
    }
    snprintf(ret, size, "%s/%.*s/%s", run, CL_SV_ARG(sandbox), leaf);
    return 0;
}

/* mkdir of one level, 0700; one that is there must be root's, or ours. */
static int make_level(const char *path, struct cloister_error *err)
{
    struct stat st;
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return cl_error_set(err, cl_error_code_of(errno), errno, path, "state-path", "make directory '%s'", path);
    if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || (st.st_uid != 0 && st.st_uid != geteuid()))
        return cl_error_set(err, CLOISTER_DENIED, 0, path, "state-path", "'%s' is not a directory of root's", path);
    return 0;
}

static int32_t state_path(const struct cloister_host *host, const char *leaf, char *ret, uint64_t size,
                          struct cloister_error *err)
{
    const char *state = cl_host_of(host)->state_dir;
    const char *name = cl_instance_of(host)->name;
    if (!is_component(cl_sv_cstr(leaf))) {
        cl_error_set(err, CLOISTER_INVALID, 0, leaf, "state-path", "path '%s' in state directory '%s'", leaf, state);
        return -1;
    }
    uint64_t need = strlen(state) + 1 + strlen(name) + 1 + strlen(leaf);
    if (need >= size) {
        cl_error_set(err, CLOISTER_TOO_BIG, 0, leaf, "state-path", "path '%s/%s/%s' has %llu bytes, room is for %llu",
                     state, name, leaf, (unsigned long long)need, (unsigned long long)size);
        return -1;
    }
    snprintf(ret, size, "%s/%s", state, name);
    if (make_level(ret, err) < 0)
        return -1;
    snprintf(ret, size, "%s/%s/%s", state, name, leaf);
    return make_level(ret, err) < 0 ? -1 : 0;
}

static int32_t plugins_json(const struct cloister_host *host, struct cloister_sv *ret)
{
    return cl_host_plugins(cl_host_of(host), ret);
}

static int32_t health_json(const struct cloister_host *host, struct cloister_sv *ret)
{
    return cl_host_health(cl_host_of(host), ret);
}

static void ask_shutdown(const struct cloister_host *host, uint32_t scope, int32_t code)
{
    struct cl_host *own = cl_host_of(host);
    own->shutdown(own->ctx, scope, code);
}

#define SLOTS                                                                                                 \
    CLOISTER_INIT(struct cloister_system_api),                                                                \
        .now_mono = cl_mono_ns, .now_real = cl_real_ns, .now_boot = cl_boot_ns, .random = fill_random,        \
        .boot_id = boot_id, .version = version, .instance = instance, .cookie = cookie, .run_path = run_path, \
        .plugins_json = plugins_json, .health_json = health_json, .shutdown = ask_shutdown

const struct cloister_system_api cl_host_system = {SLOTS};
const struct cloister_system_api cl_host_system_isolation = {
    SLOTS, .zygote_fork = zygote_fork, .helper_spawn = cl_host_helper_spawn, .helper_check = cl_host_helper_check,
    .state_path = state_path};
