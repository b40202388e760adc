/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enter.c - from the host into the container's user and mount namespaces, and from root to whoever is asked for. Never
 * the pid namespace: nobody inside can see, stop or trace this process. Its mounts are a copy in which no device can be
 * opened: we are not in the container's devices group, so a node made inside would be the host's device to us.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "common/tar/tar.h"

#define SPARE (16u << 20)

static pid_t parent;
static bool user_namespace;

static int fail(const char *what)
{
    return tar_fail(CLOISTER_IO, errno, "enter", "", "%s", what);
}

/* Both are taken away by a change of identity. */
static int shield(void)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return fail("guard the process");
    if (getppid() != parent)
        return tar_fail(CLOISTER_CANCELLED, 0, "enter", "", "the parent has gone");
    return 0;
}

static int limit(int resource, rlim_t most, const char *what)
{
    struct rlimit now;

    if (getrlimit(resource, &now) < 0)
        return fail(what);
    if (now.rlim_max > most)
        now.rlim_max = most;
    now.rlim_cur = now.rlim_max;
    return setrlimit(resource, &now) < 0 ? fail(what) : 0;
}

/* How much is remembered is for the other side to say: names, links, directories. A sanitizer's build has terabytes of
 * addresses that are nobody's memory. */
static int limit_all(void)
{
    if (limit(RLIMIT_NOFILE, TAR_DESCRIPTORS_MAX, "limit descriptors") < 0)
        return -1;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    return limit(RLIMIT_AS, TAR_MEMORY_MAX, "limit memory");
#else
    return 0;
#endif
}

int tar_spare(const char *subject)
{
    void *spare = mmap(NULL, SPARE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (spare == MAP_FAILED)
        return tar_fail(CLOISTER_LIMIT, errno, "memory", subject, "there is too much to remember at '%s'", subject);
    munmap(spare, SPARE);
    return 0;
}

int tar_prepare(void)
{
    parent = getppid();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return fail("give up new privileges");
    if (limit_all() < 0)
        return -1;
    return shield();
}

bool tar_in_user_namespace(void)
{
    return user_namespace;
}

/* A container without a user namespace of its own is in ours, which cannot be joined again (EINVAL). */
static int join(int pidfd)
{
    if (setns(pidfd, CLONE_NEWUSER | CLONE_NEWNS) == 0) {
        user_namespace = true;
        return 0;
    }
    if (errno == EINVAL && setns(pidfd, CLONE_NEWNS) == 0)
        return 0;
    return errno == ESRCH ? tar_fail(CLOISTER_INVALID_STATE, 0, "enter", "", "the container is not running")
                          : fail("join the container's namespaces");
}

/* In one step for every mount that there is, and private, so that none arrives later without it. A look before an open
 * would not do: names can be exchanged between the two. */
static int shut_devices(void)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NODEV, .propagation = MS_PRIVATE};

    if (unshare(CLONE_NEWNS) < 0)
        return fail("copy the container's mounts");
    if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) < 0)
        return fail("shut the devices out of the container's mounts");
    return 0;
}

int tar_enter(int pidfd, int *ret_root)
{
    if (join(pidfd) < 0)
        return -1;
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return fail("become root inside");
    if (shield() < 0 || shut_devices() < 0)
        return -1;
    *ret_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *ret_root < 0 ? fail("open the root directory") : 0;
}

static int set_capabilities(uint64_t caps)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)caps, .permitted = (uint32_t)caps},
        {.effective = (uint32_t)(caps >> 32), .permitted = (uint32_t)(caps >> 32)},
    };

    return syscall(SYS_capset, &head, data) < 0 ? fail("give up capabilities") : 0;
}

/* A user namespace may forbid setgroups, and then there are no groups to be rid of. */
static int drop_groups(void)
{
    return setgroups(0, NULL) == 0 || getgroups(0, NULL) == 0 ? 0 : fail("give up groups");
}

int tar_become(const struct tar_id *id, uint64_t caps)
{
    if (drop_groups() < 0)
        return -1;
    if (setresgid(id->gid, id->gid, id->gid) < 0 || setresuid(id->uid, id->uid, id->uid) < 0)
        return tar_fail(errno == EINVAL ? CLOISTER_USER_UNKNOWN : CLOISTER_IO, errno == EINVAL ? 0 : errno, "user", "",
                        "user %u, group %u cannot be had in the container", (unsigned)id->uid, (unsigned)id->gid);
    if (set_capabilities(id->uid == 0 ? caps : 0) < 0)
        return -1;
    return shield();
}
