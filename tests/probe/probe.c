/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.c - prints how a container looks from inside, one key=value a line, for tests to compare with a table.
 *
 * Static, and it asks the kernel only: what it prints does not depend on a root file system or a C library's view.
 * `probe all` goes on with what more.c says.
 * "errno N" stands for what could not be asked (the default seccomp profile refuses keyctl, for one).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tests/probe/more.h"

extern char **environ;

static void print_status(void)
{
    static const char *const wanted[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
                                         "SigBlk", "SigIgn", "SigCgt", "Groups", "Uid",    "Gid"};
    char line[4096];
    FILE *file = fopen("/proc/self/status", "re");

    if (!file) {
        printf("status=errno %d\n", errno);
        return;
    }
    while (fgets(line, sizeof(line), file)) {
        char *colon = strchr(line, ':');
        if (!colon)
            continue;
        *colon++ = 0;
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
            if (strcmp(line, wanted[i]) != 0)
                continue;
            const char *gap = "";
            printf("%s=", wanted[i]);
            for (char *word = strtok(colon, " \t\n"); word; word = strtok(NULL, " \t\n"), gap = " ")
                printf("%s%s", gap, word);
            printf("\n");
        }
    }
    (void)fclose(file);
}

/* All words of a small file, lines joined by ';'. */
static void print_file(const char *key, const char *path)
{
    char line[1024];
    FILE *file = fopen(path, "re");

    printf("%s=", key);
    if (!file) {
        printf("errno %d\n", errno);
        return;
    }
    for (int lines = 0; fgets(line, sizeof(line), file); lines++) {
        const char *gap = "";
        printf("%s", lines ? ";" : "");
        for (char *word = strtok(line, " \t\n"); word; word = strtok(NULL, " \t\n"), gap = " ")
            printf("%s%s", gap, word);
    }
    printf("\n");
    (void)fclose(file);
}

static void print_link(const char *key, const char *path)
{
    char target[PATH_MAX];
    ssize_t size = readlink(path, target, sizeof(target) - 1);

    if (size < 0)
        printf("%s=errno %d\n", key, errno);
    else
        printf("%s=%.*s\n", key, (int)size, target);
}

static void print_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL) {
        char key[64], path[64];
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(dir))
            continue;
        (void)snprintf(key, sizeof(key), "fd.%.10s", entry->d_name);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%.10s", entry->d_name);
        print_link(key, path);
    }
    if (dir)
        (void)closedir(dir);
}

/* mount=/proc proc ro,nosuid: point, type, options of the mount (not of the file system). */
static void print_mounts(void)
{
    char line[4096], point[1024], options[512], type[64];
    FILE *file = fopen("/proc/self/mountinfo", "re");

    while (file && fgets(line, sizeof(line), file)) {
        const char *dash = strstr(line, " - ");
        if (dash && sscanf(line, "%*d %*d %*s %*s %1023s %511s", point, options) == 2 &&
            sscanf(dash, " - %63s", type) == 1)
            printf("mount=%s %s %s\n", point, type, options);
    }
    if (file)
        (void)fclose(file);
}

static const char *look_at(const char *path)
{
    struct stat info;
    struct statvfs system;

    if (stat(path, &info) < 0)
        return errno == ENOENT ? "absent" : errno == EACCES ? "denied" : "error";
    if (S_ISCHR(info.st_mode))
        return info.st_rdev == makedev(1, 3) ? "null" : "device";
    if (!S_ISDIR(info.st_mode))
        return statvfs(path, &system) == 0 && (system.f_flag & ST_RDONLY) ? "file,ro" : "file,rw";
    DIR *dir = opendir(path);
    int entries = 0;
    while (dir && readdir(dir))
        entries++;
    if (dir)
        (void)closedir(dir);
    int read_only = statvfs(path, &system) == 0 && (system.f_flag & ST_RDONLY);
    if (entries <= 2)
        return read_only ? "empty,ro" : "empty,rw";
    return read_only ? "directory,ro" : "directory,rw";
}

static void print_paths(void)
{
    static const char *const paths[] = {
        "/",
        "/proc",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/sched_debug",
        "/proc/scsi",
        "/sys/firmware",
        "/proc/acpi",
        "/proc/sys",
        "/proc/sysrq-trigger",
        "/proc/irq",
        "/proc/bus",
        "/proc/fs",
        "/proc/asound",
        "/sys",
        "/sys/fs/cgroup",
        "/dev",
        "/dev/null",
        "/tmp",
        "/proc/timer_stats",
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        printf("path.%s=%s\n", paths[i], look_at(paths[i]));
}

static void print_devices(void)
{
    DIR *dir = opendir("/dev");
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL) {
        struct stat info;
        if (fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode))
            printf("dev.%s=%c %u:%u %o\n", entry->d_name, S_ISCHR(info.st_mode) ? 'c' : 'b', major(info.st_rdev),
                   minor(info.st_rdev), (unsigned)info.st_mode & 07777u);
    }
    if (dir)
        (void)closedir(dir);
}

static void print_links(void)
{
    char line[512];
    FILE *file = fopen("/proc/net/dev", "re");

    printf("links=");
    for (int number = 0; file && fgets(line, sizeof(line), file); number++) {
        char *colon = strchr(line, ':');
        if (number < 2 || !colon)
            continue;
        *colon = 0;
        printf("%s%s", number > 2 ? " " : "", line + strspn(line, " "));
    }
    printf("\n");
    if (file)
        (void)fclose(file);
    print_file("lo", "/sys/class/net/lo/flags");
}

static void print_keyring(void)
{
    long serial = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);

    if (serial < 0)
        printf("keyring=errno %d\n", errno);
    else
        printf("keyring=%ld\n", serial);
}

static void print_limits(void)
{
    static const struct {
        int resource;
        const char *name;
    } limits[] = {{RLIMIT_CORE, "core"}, {RLIMIT_NOFILE, "nofile"}, {RLIMIT_NPROC, "nproc"}};

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct rlimit limit;
        if (getrlimit((__rlimit_resource_t)limits[i].resource, &limit) == 0)
            printf("rlimit.%s=%lld %lld\n", limits[i].name, (long long)limit.rlim_cur, (long long)limit.rlim_max);
    }
}

static void print_identity(void)
{
    static const char *const namespaces[] = {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"};
    struct utsname name;
    char cwd[PATH_MAX], key[32], path[64];

    printf("pid=%d\nppid=%d\nsid=%d\npgid=%d\n", getpid(), getppid(), getsid(0), getpgid(0));
    printf("hostname=%s\n", uname(&name) == 0 ? name.nodename : "?");
    printf("cwd=%s\n", getcwd(cwd, sizeof(cwd)) ? cwd : "?");
    mode_t mask = umask(022);
    printf("umask=%03o\n", (unsigned)mask);
    for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
        (void)snprintf(key, sizeof(key), "ns.%s", namespaces[i]);
        (void)snprintf(path, sizeof(path), "/proc/self/ns/%s", namespaces[i]);
        print_link(key, path);
    }
    for (char **entry = environ; *entry; entry++)
        printf("env.%s\n", *entry);
}

static void sleep_for_ever(void)
{
    (void)prctl(PR_SET_PDEATHSIG, 0);
    for (;;)
        (void)pause();
}

/* Three processes that do what they can to outlive their keeper: no death signal, sessions of their own, orphans. */
static void escape(void)
{
    for (int i = 0; i < 2; i++) {
        if (fork() != 0)
            continue;
        (void)setsid();
        if (fork() == 0)
            sleep_for_ever();
        _exit(0);
    }
    sleep_for_ever();
}

/* As many processes as there may be, each trying to be more. */
static void explode(void)
{
    for (;;)
        (void)fork();
}

/* --- spying: what of other processes can be opened, and leads out of here --- */

static struct stat own_root;
static volatile sig_atomic_t told_to_end;

static void end_spying(int number)
{
    told_to_end = 1;
}

/* Upwards until it goes no further: is that our root? */
static int is_outside(int fd)
{
    struct stat here, above;

    for (int depth = 0; depth < 64; depth++) {
        int up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fstat(fd, &here) < 0 || up < 0 || fstat(up, &above) < 0)
            break;
        if (here.st_ino == own_root.st_ino && here.st_dev == own_root.st_dev)
            break;
        if (here.st_ino == above.st_ino && here.st_dev == above.st_dev) {
            (void)close(up);
            (void)close(fd);
            return 1;
        }
        (void)close(fd);
        fd = up;
    }
    (void)close(fd);
    return 0;
}

static void look_through(const char *path, unsigned long *io_seen)
{
    char target[PATH_MAX];
    ssize_t size = readlink(path, target, sizeof(target) - 1);
    int fd = size < 0 ? -1 : open(path, O_PATH | O_CLOEXEC);
    struct stat info;

    if (fd < 0)
        return;
    (*io_seen)++;
    if (fstat(fd, &info) < 0 || !S_ISDIR(info.st_mode)) {
        (void)close(fd);
        return;
    }
    if (is_outside(fd)) {
        printf("outside %s %.*s\n", path, (int)size, target);
        (void)fflush(stdout);
    }
}

static void look_at_process(const char *pid, unsigned long *io_seen)
{
    char path[96];
    struct dirent *entry;

    (void)snprintf(path, sizeof(path), "/proc/%.16s/cwd", pid);
    look_through(path, io_seen);
    (void)snprintf(path, sizeof(path), "/proc/%.16s/root", pid);
    look_through(path, io_seen);
    (void)snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
    DIR *dir = opendir(path);
    while (dir && (entry = readdir(dir)) != NULL) {
        (void)snprintf(path, sizeof(path), "/proc/%.16s/fd/%.16s", pid, entry->d_name);
        if (entry->d_name[0] != '.')
            look_through(path, io_seen);
    }
    if (dir)
        (void)closedir(dir);
}

/* Until SIGTERM. */
static void spy(void)
{
    unsigned long seen = 0;

    (void)signal(SIGTERM, end_spying);
    (void)stat("/", &own_root);
    while (!told_to_end) {
        DIR *dir = opendir("/proc");
        struct dirent *entry;

        while (dir && (entry = readdir(dir)) != NULL)
            if (atoi(entry->d_name) > 0 && atoi(entry->d_name) != getpid())
                look_at_process(entry->d_name, &seen);
        if (dir)
            (void)closedir(dir);
    }
    printf("seen=%lu\n", seen);
}

/* --- calls by the ways of other ABIs; each line has the errno, or 0 --- */

static void foreign_calls(void)
{
#ifdef __x86_64__
    long result = syscall(SYS_unshare, 0);

    printf("native.unshare=%d\n", result < 0 ? errno : 0);
    result = syscall(0x40000000L | SYS_unshare, 0);
    printf("x32.unshare=%d\n", result < 0 ? errno : 0);
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(310L), "b"(0L) : "memory", "r8", "r9", "r10", "r11");
    printf("i386.unshare=%d\n", (int)result < 0 ? -(int)result : 0);
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
    printf("i386.getpid=%d\n", (int)result < 0 ? -(int)result : 0);
#endif
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "escape") == 0)
        escape();
    if (argc > 1 && strcmp(argv[1], "bomb") == 0)
        explode();
    if (argc > 1 && strcmp(argv[1], "spy") == 0) {
        spy();
        return 0;
    }
    if (argc > 1 && strcmp(argv[1], "calls") == 0) {
        foreign_calls();
        return 0;
    }
    print_descriptors(); /* before anything else is open */
    print_status();
    print_identity();
    print_file("uid_map", "/proc/self/uid_map");
    print_file("gid_map", "/proc/self/gid_map");
    print_file("setgroups", "/proc/self/setgroups");
    print_file("cgroups", "/proc/self/cgroup");
    print_file("oom_score_adj", "/proc/self/oom_score_adj");
    print_mounts();
    print_paths();
    print_devices();
    print_links();
    print_keyring();
    print_limits();
    if (argc > 1 && strcmp(argv[1], "all") == 0)
        print_more();
    return 0;
}
