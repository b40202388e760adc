/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.c - prints how a container looks from inside, one key=value a line, for tests to compare with a table.
 *
 * Static, and it asks the kernel only: what it prints does not depend on a root file system or a C library's view.
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

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "escape") == 0)
        escape();
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
    return 0;
}
