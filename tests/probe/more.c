/* SPDX-License-Identifier: Apache-2.0 */
/*
 * more.c - what `probe all` prints beyond the rest: everything that a property of an OCI configuration can change.
 *
 * What a process may do is tried, each time in a child that ends at once. Nothing tried here reaches beyond the
 * container, and names are set to what they are, so that it does no harm in a namespace that is the host's.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/probe/more.h"

static void print_all_limits(void)
{
    for (int resource = 0; resource < (int)RLIMIT_NLIMITS; resource++) {
        struct rlimit limit;
        if (getrlimit((__rlimit_resource_t)resource, &limit) == 0)
            printf("limit.%d=%lld %lld\n", resource, (long long)limit.rlim_cur, (long long)limit.rlim_max);
    }
}

static void print_attributes(void)
{
    struct utsname name;
    cpu_set_t cpus;

    printf("domainname=%s\n", uname(&name) == 0 ? name.domainname : "?");
    printf("personality=%x\n", (unsigned)personality(0xffffffff));
    printf("machine=%s\n", uname(&name) == 0 ? name.machine : "?");
    printf("ioprio=%ld\n", syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0));
    printf("scheduler=%d\n", sched_getscheduler(0));
    printf("nice=%d\n", getpriority(PRIO_PROCESS, 0));
    printf("cpus=%d\n", sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : -1);
    printf("dumpable=%d\n", prctl(PR_GET_DUMPABLE));
    printf("securebits=%x\n", (unsigned)prctl(PR_GET_SECUREBITS));
    printf("keepcaps=%d\n", prctl(PR_GET_KEEPCAPS));
    printf("timerslack=%d\n", prctl(PR_GET_TIMERSLACK));
    int number = 0;
    printf("deathsignal=%d\n", prctl(PR_GET_PDEATHSIG, &number) == 0 ? number : -1);
    printf("subreaper=%d\n", prctl(PR_GET_CHILD_SUBREAPER, &number) == 0 ? number : -1);
    printf("speculation.bypass=%d\n", prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, 0, 0, 0));
    printf("speculation.indirect=%d\n", prctl(PR_GET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, 0, 0, 0));
}

/* All of a small file, lines joined by ';', blanks as they are. */
static void print_text(const char *path)
{
    char line[512];
    FILE *file = fopen(path, "re");

    printf("file.%s=", path);
    if (!file)
        printf("errno %d", errno);
    for (int lines = 0; file && fgets(line, sizeof(line), file); lines++) {
        line[strcspn(line, "\n")] = 0;
        for (char *blank = line; (blank = strpbrk(blank, "\t")) != NULL;)
            *blank = ' ';
        printf("%s%s", lines ? ";" : "", line);
    }
    printf("\n");
    if (file)
        (void)fclose(file);
}

static void print_files(void)
{
    static const char *const paths[] = {
        "/proc/self/timens_offsets",
        "/proc/self/coredump_filter",
        "/proc/self/comm",
        "/proc/sys/fs/mqueue/msg_max",
        "/proc/sys/kernel/msgmax",
        "/proc/sys/kernel/shm_rmid_forced",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/net/ipv4/ip_unprivileged_port_start",
        "/proc/sys/net/ipv4/ping_group_range",
        "/sys/fs/cgroup/cpu/cpu.cfs_period_us",
        "/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
        "/sys/fs/cgroup/cpu/cpu.shares",
        "/sys/fs/cgroup/cpuset/cpuset.cpus",
        "/sys/fs/cgroup/cpuset/cpuset.mems",
        "/sys/fs/cgroup/devices/devices.list",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.soft_limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.swappiness",
        "/sys/fs/cgroup/memory/memory.use_hierarchy",
        "/sys/fs/cgroup/memory/memory.oom_control",
        "/sys/fs/cgroup/pids/pids.max",
        "/tmp/hook",
        "/mnt/data",
        "/mnt/inner/data",
    };

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        print_text(paths[i]);
}

/* Everything of a mount but its numbers and its source. */
static void print_mount_table(void)
{
    char line[4096], point[1024], options[512], type[64], super[1024];
    FILE *file = fopen("/proc/self/mountinfo", "re");

    while (file && fgets(line, sizeof(line), file)) {
        const char *dash = strstr(line, " - ");
        if (!dash || sscanf(line, "%*d %*d %*s %*s %1023s %511s", point, options) != 2 ||
            sscanf(dash, " - %63s %*s %1023s", type, super) != 2)
            continue;
        const char *shared = strstr(line, " shared:"), *slave = strstr(line, " master:");
        printf("at.%s=%s %s (%s)%s%s%s\n", point, type, options, super, shared && shared < dash ? " shared" : "",
               slave && slave < dash ? " slave" : "", strstr(line, " unbindable") ? " unbindable" : "");
    }
    if (file)
        (void)fclose(file);
}

static void print_entries(void)
{
    static const char *const paths[] = {"/",           "/dev",           "/dev/fd",    "/dev/stdin", "/dev/stdout",
                                        "/dev/stderr", "/dev/core",      "/dev/ptmx",  "/dev/shm",   "/dev/pts",
                                        "/tmp",        "/mnt",           "/mnt/inner", "/mnt/file",  "/proc",
                                        "/sys",        "/sys/fs/cgroup", "/new/deep",  "/dev/fuse",  "/dev/own"};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct stat info;
        char target[256] = "";
        if (lstat(paths[i], &info) < 0) {
            printf("entry.%s=errno %d\n", paths[i], errno);
            continue;
        }
        if (S_ISLNK(info.st_mode) && readlink(paths[i], target, sizeof(target) - 1) < 0)
            target[0] = 0;
        printf("entry.%s=%o %u:%u %s\n", paths[i], (unsigned)info.st_mode, info.st_uid, info.st_gid, target);
    }
}

static void print_openings(void)
{
    DIR *dir = opendir("/dev");
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL) {
        struct stat info;
        if (fstatat(dirfd(dir), entry->d_name, &info, 0) < 0 || !S_ISCHR(info.st_mode))
            continue;
        for (int mode = O_RDONLY; mode <= O_WRONLY; mode++) {
            int fd = openat(dirfd(dir), entry->d_name, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
            printf("open.%s.%s=%d\n", entry->d_name, mode == O_RDONLY ? "read" : "write", fd < 0 ? errno : 0);
            if (fd >= 0)
                (void)close(fd);
        }
    }
    if (dir)
        (void)closedir(dir);
}

static int try_mkdir(const char *path)
{
    return mkdir(path, 0777) < 0 ? -1 : rmdir(path);
}

static int try_root(void)
{
    return try_mkdir("/probe");
}

static int try_tmp(void)
{
    return try_mkdir("/tmp/probe");
}

static int try_mnt(void)
{
    return try_mkdir("/mnt/probe");
}

static int try_inner(void)
{
    return try_mkdir("/mnt/inner/probe");
}

static int try_mount(void)
{
    return mount("none", "/tmp", "tmpfs", 0, NULL) < 0 ? -1 : umount("/tmp");
}

static int try_new_mounts(void)
{
    return unshare(CLONE_NEWNS);
}

static int try_new_user(void)
{
    return unshare(CLONE_NEWUSER);
}

static int try_hostname(void)
{
    struct utsname name;
    return uname(&name) < 0 ? -1 : sethostname(name.nodename, strlen(name.nodename));
}

static int try_setuid(void)
{
    return setresuid(1, 1, 1);
}

static int try_setgid(void)
{
    return setresgid(1, 1, 1);
}

static int try_setgroups(void)
{
    return (int)syscall(SYS_setgroups, 0, NULL);
}

static int try_chroot(void)
{
    return chroot("/proc");
}

static int try_raw_socket(void)
{
    return socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
}

static int try_low_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(1)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return bind(fd, (const struct sockaddr *)&address, sizeof(address));
}

static int try_nice(void)
{
    return setpriority(PRIO_PROCESS, 0, -1);
}

static int try_personality(void)
{
    return personality(ADDR_NO_RANDOMIZE);
}

static int try_getcpu(void)
{
    return (int)syscall(SYS_getcpu, NULL, NULL, NULL);
}

static int try_unknown_call(void)
{
    return (int)syscall(1999);
}

static int try_dev(void)
{
    return try_mkdir("/dev/probe");
}

static int try_node(dev_t device, mode_t type)
{
    /* Where the root can be written, or a file system that can. */
    static const char *const paths[] = {"/dev/probe-node", "/tmp/probe-node"};
    int made = -1;
    for (int i = 0; i < 2 && made < 0; i++)
        if ((made = mknod(paths[i], type | 0600, device)) == 0)
            (void)unlink(paths[i]);
    return made;
}

static int try_null_node(void)
{
    return try_node(makedev(1, 3), S_IFCHR);
}

static int try_kmsg_node(void)
{
    return try_node(makedev(1, 11), S_IFCHR);
}

static int try_tun_node(void)
{
    return try_node(makedev(10, 200), S_IFCHR);
}

static int try_block_node(void)
{
    return try_node(makedev(7, 7), S_IFBLK);
}

static int try_fork_ten(void)
{
    int failed = 0;
    for (int i = 0; i < 10 && !failed; i++) {
        pid_t child = fork();
        if (child == 0) {
            (void)pause();
            _exit(0);
        }
        failed = child < 0 ? errno : 0;
    }
    (void)signal(SIGTERM, SIG_IGN);
    (void)kill(0, SIGTERM);
    errno = failed;
    return failed ? -1 : 0;
}

/* How it ends: 0, an errno, or "signal N". */
static void print_try(const char *name, int (*try)(void))
{
    int status = 0;

    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        (void)setpgid(0, 0);
        (void)prctl(PR_SET_DUMPABLE, 0);
        errno = 0;
        _exit(try() < 0 ? errno : 0);
    }
    if (child < 0)
        printf("try.%s=no process\n", name);
    else if (waitpid(child, &status, 0) == child && WIFSIGNALED(status))
        printf("try.%s=signal %d\n", name, WTERMSIG(status));
    else
        printf("try.%s=%d\n", name, WEXITSTATUS(status));
}

static void print_tries(void)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } tries[] = {
        {"mkdir-root", try_root},
        {"mkdir-tmp", try_tmp},
        {"mkdir-mnt", try_mnt},
        {"mkdir-inner", try_inner},
        {"mkdir-dev", try_dev},
        {"mount", try_mount},
        {"new-mounts", try_new_mounts},
        {"new-user", try_new_user},
        {"hostname", try_hostname},
        {"setuid", try_setuid},
        {"setgid", try_setgid},
        {"setgroups", try_setgroups},
        {"chroot", try_chroot},
        {"raw-socket", try_raw_socket},
        {"low-port", try_low_port},
        {"nice", try_nice},
        {"personality", try_personality},
        {"getcpu", try_getcpu},
        {"unknown-call", try_unknown_call},
        {"node-null", try_null_node},
        {"node-kmsg", try_kmsg_node},
        {"node-tun", try_tun_node},
        {"node-block", try_block_node},
        {"fork-ten", try_fork_ten},
    };

    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
        print_try(tries[i].name, tries[i].run);
}

void print_more(void)
{
    print_attributes();
    print_all_limits();
    print_files();
    print_mount_table();
    print_entries();
    print_openings();
    print_tries();
}
