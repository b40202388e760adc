/* SPDX-License-Identifier: Apache-2.0 */
/* do_kernel_mounts.c - file systems made by name with the new mount API, and those a user namespace may not make
 * itself. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "common/keeper/fd.h"
#include "common/keeper/setup.h"

/* Each shows the namespace of who mounts it, and wants that namespace to belong to the mounter's user namespace. */
static const struct {
    const char *type;
    uint64_t needs;
} borrowable[CL_BORROWED_COUNT] = {
    [CL_BORROWED_PROC] = {"proc", CLONE_NEWPID},
    [CL_BORROWED_SYSFS] = {"sysfs", CLONE_NEWNET},
    [CL_BORROWED_MQUEUE] = {"mqueue", CLONE_NEWIPC},
};

/* A namespace joined with another container's belongs to the user namespace joined with it. Index into borrowable, or
 * -1 if the process can make this one itself. */
static int borrowed_index(const struct cl_setup *setup, const char *type)
{
    if (!cl_in_user_namespace(setup))
        return -1;
    /* The helper is not in a pid namespace that it joins, only its child is: that one makes its proc itself. */
    if (setup->plan->ns_join[CL_WIRE_NS_PID] != CL_WIRE_NO_FD && strcmp(type, "proc") == 0)
        return -1;
    for (int i = 0; i < CL_BORROWED_COUNT; i++)
        if (strcmp(type, borrowable[i].type) == 0 && !((setup->plan->ns_new | setup->join_ns) & borrowable[i].needs))
            return i;
    return -1;
}

/* "e tmpfs: Bad value for 'size'": the kernel's own words about the last failure, without the level letter. */
static void add_log(int fs, char *text, size_t size)
{
    char line[200];
    ssize_t n = read(fs, line, sizeof(line) - 1);
    size_t used = strlen(text);

    if (n <= 2 || used + 4 >= size)
        return;
    line[n] = '\0';
    line[strcspn(line, "\n")] = '\0';
    snprintf(text + used, size - used, " (%s)", line + 2);
}

static int failed(struct cl_setup *setup, int fs, const char *type, const char *what, const char *value)
{
    int r = -errno;

    if (what[0] == '\0')
        cl_setup_detail(setup, r, "file system '%s'", type);
    else
        cl_setup_detail(setup, r, "file system '%s': option '%s%s%s'", type, what, value ? "=" : "",
                        value ? value : "");
    add_log(fs, setup->detail, sizeof(setup->detail));
    return r;
}

static int make(struct cl_setup *setup, const struct cl_wire_mount *mount, int *ret_fd)
{
    const struct cl_wire_option *option = cl_wire_items(setup->plan, CL_WIRE_OPTIONS);
    const char *type = cl_wire_string(setup->plan, mount->type);
    CL_CLOSE int fs = fsopen(type, FSOPEN_CLOEXEC);

    if (fs < 0)
        return cl_setup_detail(setup, -errno, "file system '%s'", type);
    if (mount->source != 0 &&
        fsconfig(fs, FSCONFIG_SET_STRING, "source", cl_wire_string(setup->plan, mount->source), 0) < 0)
        return failed(setup, fs, type, "source", cl_wire_string(setup->plan, mount->source));
    for (uint32_t i = mount->option_first; i < mount->option_first + mount->option_count; i++) {
        const char *key = cl_wire_string(setup->plan, option[i].key);
        const char *value = option[i].has_value ? cl_wire_string(setup->plan, option[i].value) : NULL;

        if (fsconfig(fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value, 0) < 0)
            return failed(setup, fs, type, key, value);
    }
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return failed(setup, fs, type, "", NULL);
    /* No attributes yet: in a user namespace a fresh proc or sysfs must be as permissive as the one we hold, then it
     * may be cut. */
    int fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);

    if (fd < 0)
        return failed(setup, fs, type, "", NULL);
    *ret_fd = fd;
    return 0;
}

int cl_make_fs(struct cl_setup *setup, const struct cl_wire_mount *mount, int *ret_fd)
{
    int index = borrowed_index(setup, cl_wire_string(setup->plan, mount->type));

    if (index < 0)
        return make(setup, mount, ret_fd);
    if (setup->borrowed[index] < 0)
        return cl_setup_detail(setup, -EBUSY, "a second '%s' in a user namespace that shares it",
                               borrowable[index].type);
    *ret_fd = cl_steal_fd(&setup->borrowed[index]);
    return 0;
}

int cl_do_borrow(struct cl_setup *setup)
{
    const struct cl_wire_mount *mount = cl_wire_items(setup->plan, CL_WIRE_MOUNTS);

    for (uint32_t i = 0; i < CL_SETUP_COUNT(setup, CL_WIRE_MOUNTS); i++) {
        int index =
            mount[i].kind == CL_WIRE_MOUNT_FS ? borrowed_index(setup, cl_wire_string(setup->plan, mount[i].type)) : -1;

        if (index < 0 || setup->borrowed[index] >= 0)
            continue;
        int r = make(setup, &mount[i], &setup->borrowed[index]);

        if (r < 0)
            return r;
    }
    return 0;
}
