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
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "instance.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define CAPABILITIES                                                                                            \
    (CLOISTER_ISO_STDIO_DIRECT | CLOISTER_ISO_REAL_PIDS | CLOISTER_ISO_PAUSE_INIT | CLOISTER_ISO_BLOCKED_INIT | \
     CLOISTER_ISO_GROUP_SIGNAL | CLOISTER_ISO_BIND_HOST | CLOISTER_ISO_TAPE | CLOISTER_ISO_ADOPT)

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

static int try_v1(const struct ns_instance *instance, const char *controller)
{
    return ns_hierarchy_find(&instance->machine.hierarchies, controller) == NS_NO_HIERARCHY ? -ENOENT : 0;
}

static int try_v1_memory(const struct ns_instance *instance)
{
    return try_v1(instance, "memory");
}

static int try_v1_cpu(const struct ns_instance *instance)
{
    return try_v1(instance, "cpu");
}

static int try_v1_pids(const struct ns_instance *instance)
{
    return try_v1(instance, "pids");
}

static int try_v1_devices(const struct ns_instance *instance)
{
    return try_v1(instance, "devices");
}

static int try_v2(const struct ns_instance *instance)
{
    return try_v1(instance, "");
}

/* Core files are in every v2 group but the root: a group is made to look, and goes again. */
static int try_v2_file(const struct ns_instance *instance, const char *file)
{
    uint32_t h = ns_hierarchy_find(&instance->machine.hierarchies, "");
    NS_FREE char *dir = h == NS_NO_HIERARCHY
                            ? NULL
                            : ns_format("%s/cl-probe-%d", instance->machine.hierarchies.list[h].mount, (int)getpid());
    NS_FREE char *path = dir ? ns_format("%s/%s", dir, file) : NULL;
    int rc;

    if (path == NULL)
        return -ENOENT;
    if (mkdir(dir, 0755) < 0)
        return -errno;
    rc = access(path, W_OK) < 0 ? -errno : 0;
    rmdir(dir);
    return rc;
}

static int try_v2_freeze(const struct ns_instance *instance)
{
    return try_v2_file(instance, "cgroup.freeze");
}

static int try_v2_kill(const struct ns_instance *instance)
{
    return try_v2_file(instance, "cgroup.kill");
}

static const struct {
    const char *name;
    try_fn try;
    bool needed; /* the backend cannot work without */
} tries[] = {
    {"open-tree", try_open_tree, true},
    {"mount-setattr", try_mount_setattr, true},
    {"fsopen", try_fsopen, true},
    {"pidfd", try_pidfd, true},
    {"peer-pidfd", try_peer_pidfd, true},
    {"seccomp", try_seccomp, true},
    {"user-namespaces", try_userns, false},
    {"time-namespaces", try_timens, false},
    {"v1-devices", try_v1_devices, false},
    {"v1-memory", try_v1_memory, false},
    {"v1-cpu", try_v1_cpu, false},
    {"v1-pids", try_v1_pids, false},
    {"v2", try_v2, false},
    {"v2-freeze", try_v2_freeze, false},
    {"v2-kill", try_v2_kill, false},
};

#define TRY_COUNT (sizeof(tries) / sizeof(*tries))

static int read_machine(struct ns_instance *instance, const struct ns_reader *r)
{
    NS_FREE char *mounts = NULL;
    int rc = ns_read_file("/proc/self/mountinfo", 16u << 20, &mounts);

    if (rc == 0)
        rc = ns_hierarchies_parse(mounts, &instance->machine.hierarchies);
    if (rc == 0)
        rc = ns_hierarchies_look(&instance->machine.hierarchies);
    if (rc < 0) {
        r->log->error_set(r->err, CLOISTER_IO, -rc, "/proc/self/mountinfo", "probe", "read /proc/self/mountinfo");
        return -1;
    }
    for (uint32_t i = 0; i < 64 && prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++) {
        instance->machine.last_capability = i;
        if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
            instance->machine.bounding |= 1ull << i;
    }
    return 0;
}

/* "v2-freeze: yes" ... in one line of the log; each feature's reason is the errno's text. */
static void log_table(const struct ns_instance *instance)
{
    char line[1024];
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
        int rc = tries[i].try(instance);

        instance->features[i] = (struct cloister_feature){
            .name = tries[i].name, .present = rc == 0, .reason = rc == 0 ? "found by use" : strerrordesc_np(-rc)};
        if (rc < 0 && tries[i].needed) {
            r->log->error_set(r->err, CLOISTER_UNSUPPORTED, -rc, tries[i].name, "probe", "the kernel lacks '%s'",
                              tries[i].name);
            return -1;
        }
    }
    return 0;
}

int32_t ns_probe(void *ctx, struct cloister_iso_probe *ret, struct cloister_error *err)
{
    struct ns_instance *instance = ctx;
    struct ns_reader r = ns_reader(instance, err);

    if (geteuid() != 0)
        return ns_refuse_at(&r, CLOISTER_DENIED, "uid", "the namespaces backend needs root");
    if (read_machine(instance, &r) < 0 || try_all(instance, &r) < 0)
        return -1;
    log_table(instance);
    ret->capabilities = CAPABILITIES;
    ret->features = instance->features;
    ret->feature_count = instance->feature_count;
    ret->feature_size = sizeof(*instance->features);
    ret->max_sandboxes = 0;
    return 0;
}
