/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c - see machine.h. */
#include "machine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "cgroup_file.h"
#include "device_program.h"

#define PROBE "cl-probe-"

static void probe_name(char ret[NS_GROUP_NAME_MAX])
{
    snprintf(ret, NS_GROUP_NAME_MAX, PROBE "%d", (int)getpid());
}

/* "hugepages-2048kB" is called "2MB" in files of groups. */
static void read_huge_pages(struct ns_machine *machine)
{
    DIR *dir = opendir("/sys/kernel/mm/hugepages");
    struct dirent *entry;
    unsigned long kb;

    machine->huge_count = 0;
    while (dir && machine->huge_count < NS_HUGE_MAX && (entry = readdir(dir)) != NULL) {
        char *size = machine->huge_pages[machine->huge_count];

        if (sscanf(entry->d_name, "hugepages-%lukB", &kb) != 1)
            continue;
        machine->huge_count++;
        snprintf(size, sizeof(machine->huge_pages[0]), "%u%s",
                 (unsigned)((kb >= 1048576 ? kb / 1048576
                             : kb >= 1024  ? kb / 1024
                                           : kb) &
                            0xffffu),
                 kb >= 1048576 ? "GB"
                 : kb >= 1024  ? "MB"
                               : "KB");
    }
    if (dir)
        closedir(dir);
}

int ns_machine_read(struct ns_instance *instance, const struct ns_reader *r)
{
    struct ns_machine *machine = &instance->machine;
    NS_FREE char *mounts = NULL;
    int rc = ns_read_file("/proc/self/mountinfo", 16u << 20, &mounts);

    if (rc == 0)
        rc = ns_hierarchies_parse(mounts, &machine->hierarchies);
    if (rc == 0)
        rc = ns_hierarchies_look(&machine->hierarchies);
    if (rc < 0) {
        r->log->error_set(r->err, CLOISTER_IO, -rc, "/proc/self/mountinfo", "probe", "read /proc/self/mountinfo");
        return -1;
    }
    for (uint32_t i = 0; i < 64 && prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++) {
        machine->last_capability = i;
        if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
            machine->bounding |= 1ull << i;
    }
    read_huge_pages(machine);
    return 0;
}

/* What cannot be made is found missing by whoever wants to use it. */
void ns_machine_open(struct ns_instance *instance)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);
    char name[NS_GROUP_NAME_MAX];

    ns_group_remove_orphans(&instance->cgroups, PROBE); /* of a daemon that was killed here */
    probe_name(name);
    ns_group_make(&instance->cgroups, &r, name, 0);
}

void ns_machine_close(struct ns_instance *instance)
{
    char name[NS_GROUP_NAME_MAX];

    probe_name(name);
    ns_group_remove(&instance->cgroups, name, NS_SECOND, NULL);
    ns_group_remove_root(&instance->cgroups);
}

/* 0, -ENOENT: no such hierarchy; else why the file cannot be opened. */
static int try_file(const struct ns_instance *instance, uint32_t h, const char *file, int flags)
{
    char name[NS_GROUP_NAME_MAX];
    NS_FREE char *path = NULL;
    NS_CLOSE int fd = -1;

    probe_name(name);
    if (h == NS_NO_HIERARCHY)
        return -ENOENT;
    path = ns_group_path(&instance->cgroups, h, name, file);
    fd = path ? open(path, flags | O_CLOEXEC) : -1;
    return fd < 0 ? -errno : 0;
}

void ns_machine_weights(struct ns_instance *instance)
{
    static const char *const files[][3] = {
        {"blkio", "blkio.bfq.weight", "blkio.bfq.weight_device"},
        {"blkio", "blkio.weight", "blkio.weight_device"},
        {"io", "io.bfq.weight", "io.bfq.weight"},
        {"io", "io.weight", "io.weight"},
    };

    for (size_t i = 0; i < sizeof(files) / sizeof(*files) && instance->machine.io_weight == NULL; i++) {
        uint32_t h = ns_hierarchy_of(&instance->machine.hierarchies, files[i][0]);

        if (try_file(instance, h, files[i][1], O_WRONLY) == 0) {
            instance->machine.io_weight = files[i][1];
            instance->machine.io_weight_device = files[i][2];
        }
    }
}

int ns_try_controller(const struct ns_instance *instance, const char *v1)
{
    return ns_hierarchy_find(&instance->machine.hierarchies, v1) == NS_NO_HIERARCHY ? -ENOENT : 0;
}

int ns_try_freezer_v1(const struct ns_instance *instance)
{
    return try_file(instance, ns_hierarchy_find(&instance->machine.hierarchies, "freezer"), "freezer.state", O_WRONLY);
}

int ns_try_freezer_v2(const struct ns_instance *instance)
{
    return try_file(instance, ns_hierarchy_find(&instance->machine.hierarchies, ""), "cgroup.freeze", O_WRONLY);
}

int ns_try_kill_v2(const struct ns_instance *instance)
{
    return try_file(instance, ns_hierarchy_find(&instance->machine.hierarchies, ""), "cgroup.kill", O_WRONLY);
}

int ns_try_device_programs(const struct ns_instance *instance)
{
    char name[NS_GROUP_NAME_MAX];

    probe_name(name);
    return ns_device_program_try(&instance->cgroups, name);
}

int ns_try_peak_reset(const struct ns_instance *instance)
{
    uint32_t h = ns_hierarchy_of(&instance->machine.hierarchies, "memory");
    char name[NS_GROUP_NAME_MAX];
    NS_FREE char *path = NULL;

    if (h == NS_NO_HIERARCHY)
        return -ENOENT;
    probe_name(name);
    path = ns_group_path(&instance->cgroups, h, name,
                         instance->machine.hierarchies.list[h].v2 ? "memory.peak" : "memory.max_usage_in_bytes");
    return path ? ns_file_write(path, "0") : -ENOMEM;
}

int ns_try_oom_counter(const struct ns_instance *instance)
{
    uint32_t h = ns_hierarchy_of(&instance->machine.hierarchies, "memory");

    return try_file(instance, h,
                    h != NS_NO_HIERARCHY && instance->machine.hierarchies.list[h].v2 ? "memory.events"
                                                                                     : "memory.oom_control",
                    O_RDONLY);
}
