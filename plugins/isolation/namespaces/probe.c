/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.c - what this machine can do, found by doing it, not by its version; told once as a table. The daemon itself
 * cannot fork by now, so user and time namespaces are judged by the kernel's own limits for them; their first real use
 * is a create, whose error names the step.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "machine.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define CAPABILITIES                                                                                            \
    (CLOISTER_ISO_STDIO_DIRECT | CLOISTER_ISO_REAL_PIDS | CLOISTER_ISO_PAUSE_INIT | CLOISTER_ISO_BLOCKED_INIT | \
     CLOISTER_ISO_NS_JOIN | CLOISTER_ISO_GROUP_SIGNAL | CLOISTER_ISO_BIND_HOST | CLOISTER_ISO_HOST_HOOKS |      \
     CLOISTER_ISO_TAPE | CLOISTER_ISO_ADOPT | CLOISTER_ISO_RESOLVE | CLOISTER_ISO_PTY | CLOISTER_ISO_EXTRA_FDS)

/* Each gives 0, or the negative errno that says why not. */
typedef int (*try_fn)(const struct ns_instance *instance);

static int limit_above_zero(const char *path)
{
    NS_FREE char *text = NULL;
    int rc = ns_read_file(path, 64, &text);

    return rc < 0 ? rc : strtol(text, NULL, 10) > 0 ? 0 : -ENOSPC;
}

static int try_userns(const struct ns_instance *instance)
{
    return limit_above_zero("/proc/sys/user/max_user_namespaces");
}

static int try_timens(const struct ns_instance *instance)
{
    return limit_above_zero("/proc/sys/user/max_time_namespaces");
}

static int try_open_tree(const struct ns_instance *instance)
{
    NS_CLOSE int fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    return fd < 0 ? -errno : 0;
}

/* The wrong size is EINVAL where the call exists. */
static int try_mount_setattr(const struct ns_instance *instance)
{
    return syscall(SYS_mount_setattr, -1, "", AT_EMPTY_PATH, NULL, 0) < 0 && errno == EINVAL ? 0 : -ENOSYS;
}

static int try_fsopen(const struct ns_instance *instance)
{
    NS_CLOSE int fd = (int)syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC);

    return fd < 0 ? -errno : 0;
}

static int try_pidfd(const struct ns_instance *instance)
{
    NS_CLOSE int fd = (int)syscall(SYS_pidfd_open, getpid(), 0u);

    return fd < 0 ? -errno : 0;
}

static int try_peer_pidfd(const struct ns_instance *instance)
{
    int pair[2], pidfd = -1, rc;
    socklen_t size = sizeof(pidfd);

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    rc = getsockopt(pair[0], SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) < 0 ? -errno : 0;
    if (rc == 0)
        close(pidfd);
    close(pair[0]);
    close(pair[1]);
    return rc;
}

static int try_seccomp(const struct ns_instance *instance)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;

    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0 ? -errno : 0;
}

static int try_v1_memory(const struct ns_instance *instance)
{
    return ns_try_controller(instance, "memory");
}

static int try_v1_cpu(const struct ns_instance *instance)
{
    return ns_try_controller(instance, "cpu");
}

static int try_v1_pids(const struct ns_instance *instance)
{
    return ns_try_controller(instance, "pids");
}

static int try_v1_devices(const struct ns_instance *instance)
{
    return ns_try_controller(instance, "devices");
}

static int try_v2(const struct ns_instance *instance)
{
    return ns_try_controller(instance, "");
}

/* NEEDED: the backend cannot work without. CHOICE: something else does its work where it is missing or forbidden. */
enum try_kind { OPTIONAL, NEEDED, CHOICE };

static const struct {
    const char *name;
    try_fn try;
    uint32_t kind; /* enum try_kind */
} tries[] = {
    {"open-tree", try_open_tree, NEEDED},
    {"mount-setattr", try_mount_setattr, NEEDED},
    {"fsopen", try_fsopen, NEEDED},
    {"pidfd", try_pidfd, NEEDED},
    {"peer-pidfd", try_peer_pidfd, NEEDED},
    {"seccomp", try_seccomp, NEEDED},
    {"user-namespaces", try_userns, OPTIONAL},
    {"time-namespaces", try_timens, OPTIONAL},
    {"v1-devices", try_v1_devices, CHOICE},
    {"device-programs", ns_try_device_programs, CHOICE},
    {"v1-memory", try_v1_memory, OPTIONAL},
    {"v1-cpu", try_v1_cpu, OPTIONAL},
    {"v1-pids", try_v1_pids, OPTIONAL},
    {"v2", try_v2, OPTIONAL},
    {"v1-freezer", ns_try_freezer_v1, OPTIONAL},
    {"v2-freeze", ns_try_freezer_v2, CHOICE},
    {"v2-kill", ns_try_kill_v2, CHOICE},
    {"peak-reset", ns_try_peak_reset, CHOICE},
    {"oom-counter", ns_try_oom_counter, OPTIONAL},
};

#define TRY_COUNT (sizeof(tries) / sizeof(*tries))

/* --- what a test forbids --- */

static void known_names(char *ret, size_t size)
{
    size_t used = 0;

    for (size_t i = 0; i < TRY_COUNT && used < size; i++)
        if (tries[i].kind == CHOICE)
            used += (size_t)snprintf(ret + used, size - used, "%s%s", used ? ", " : "", tries[i].name);
}

static int forbid_one(const struct ns_reader *r, const cloister_value *entry, uint64_t *io_mask)
{
    struct cloister_sv name = {"", 0};
    char known[256];

    r->value->string(entry, &name);
    for (size_t i = 0; i < TRY_COUNT; i++)
        if (tries[i].kind == CHOICE && ns_equal(name, tries[i].name)) {
            *io_mask |= 1ull << i;
            return 0;
        }
    known_names(known, sizeof(known));
    return ns_refuse_at(r, CLOISTER_INVALID, "forbid", "'%.*s' is none of %s", (int)(name.size < 64 ? name.size : 64),
                        name.data, known);
}

int ns_forbid_parse(const struct ns_reader *r, struct cloister_sv text, uint64_t *ret)
{
    cloister_value *list = NULL, *entry;
    int rc = 0;

    *ret = 0;
    if (ns_parse(r, text, "option 'forbid'", &list) < 0)
        return -1;
    if (r->value->type(list) != CLOISTER_VALUE_ARRAY)
        rc = ns_refuse(r, CLOISTER_INVALID, "forbid", "must be a list of names of features");
    for (uint64_t i = 0; rc == 0 && (entry = r->value->at(list, i, NULL)) != NULL; i++)
        rc = forbid_one(r, entry, ret);
    r->value->free(list);
    return rc;
}

/* "v2-freeze: yes" ... in one line of the log; each feature's reason is the errno's text. */
static void log_table(const struct ns_instance *instance)
{
    char line[2048];
    size_t used = 0;

    for (uint32_t i = 0; i < instance->feature_count && used < sizeof(line); i++)
        used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s=%s", i ? " " : "", instance->features[i].name,
                                 instance->features[i].present ? "yes" : "no");
    cloister_log(instance->host, CLOISTER_INFO, "features: %s; %u cgroup hierarchies", line,
                 instance->machine.hierarchies.count);
}

static int try_all(struct ns_instance *instance, const struct ns_reader *r)
{
    instance->features = calloc(TRY_COUNT, sizeof(*instance->features));
    if (instance->features == NULL)
        return ns_no_memory(r);
    instance->feature_count = TRY_COUNT;
    for (size_t i = 0; i < TRY_COUNT; i++) {
        bool forbidden = (instance->forbidden & (1ull << i)) != 0;
        int rc = forbidden ? -EPERM : tries[i].try(instance);

        instance->features[i] = (struct cloister_feature){.name = tries[i].name,
                                                          .present = rc == 0,
                                                          .reason = rc == 0     ? "found by use"
                                                                    : forbidden ? "forbidden by the option 'forbid'"
                                                                                : strerrordesc_np(-rc)};
        if (rc < 0 && tries[i].kind == NEEDED) {
            r->log->error_set(r->err, CLOISTER_UNSUPPORTED, -rc, tries[i].name, "probe", "the kernel lacks '%s'",
                              tries[i].name);
            return -1;
        }
    }
    return 0;
}

static bool has(const struct ns_instance *instance, const char *name)
{
    for (uint32_t i = 0; i < instance->feature_count; i++)
        if (strcmp(instance->features[i].name, name) == 0)
            return instance->features[i].present != 0;
    return false;
}

/* What compilers and workers choose by. */
static void settle(struct ns_instance *instance)
{
    struct ns_machine *machine = &instance->machine;

    machine->hierarchies.no_v2_freeze = !has(instance, "v2-freeze");
    machine->hierarchies.no_v2_kill = !has(instance, "v2-kill");
    machine->no_v1_devices = !has(instance, "v1-devices");
    machine->device_programs = has(instance, "device-programs");
    machine->peak_reset = has(instance, "peak-reset");
    ns_machine_weights(instance);
}

static uint64_t capabilities(const struct ns_instance *instance)
{
    bool freezes = has(instance, "v2-freeze") || has(instance, "v1-freezer");

    return CAPABILITIES | CLOISTER_ISO_MACHINE_STATS |
           (freezes ? CLOISTER_ISO_FREEZE | CLOISTER_ISO_KILL_WHILE_FROZEN : 0) |
           (has(instance, "peak-reset") ? CLOISTER_ISO_PEAK_RESET : 0);
}

static int find_out(struct ns_instance *instance, const struct ns_reader *r)
{
    int rc;

    ns_machine_open(instance);
    rc = try_all(instance, r);
    if (rc == 0)
        settle(instance);
    ns_machine_close(instance);
    return rc;
}

int32_t ns_probe(void *ctx, struct cloister_iso_probe *ret, struct cloister_error *err)
{
    struct ns_instance *instance = ctx;
    struct ns_reader r = ns_reader(instance, err);

    if (geteuid() != 0)
        return ns_refuse_at(&r, CLOISTER_DENIED, "uid", "the namespaces backend needs root");
    if (ns_machine_read(instance, &r) < 0 || find_out(instance, &r) < 0)
        return -1;
    log_table(instance);
    ret->capabilities = capabilities(instance);
    ret->features = instance->features;
    ret->feature_count = instance->feature_count;
    ret->feature_size = sizeof(*instance->features);
    ret->max_sandboxes = 0;
    return 0;
}
