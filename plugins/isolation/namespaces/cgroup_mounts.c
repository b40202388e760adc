/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_mounts.c - the OCI mount types "cgroup" and "cgroup2" on whatever this machine has. "cgroup" shows every
 * hierarchy: a tmpfs with one directory for each, as on the host; on a machine with v2 alone it is the v2 mount itself.
 * With a cgroup namespace they are real mounts of that namespace; without one (H1.1.16) only binds of the container's
 * own groups. Writable they may be in a namespace of the container's own alone: a joined one may be anybody's.
 */
#include "compile.h"

#include <linux/mount.h>
#include <linux/sched.h>
#include <stdio.h>

static bool has_cgroup_namespace(const struct ns_compile *c)
{
    return ns_has_new(c, CLONE_NEWCGROUP) || c->plan.head.ns_join[CL_WIRE_NS_CGROUP] != CL_WIRE_NO_FD;
}

static void add_option(struct ns_compile *c, struct cl_wire_mount *item, const char *key, const char *value)
{
    struct cl_wire_option option = {.key = cl_plan_cstring(&c->plan, key), .has_value = value != NULL};

    if (value)
        option.value = cl_plan_cstring(&c->plan, value);
    if (item->option_count++ == 0)
        item->option_first = (uint32_t)(c->plan.section[CL_WIRE_OPTIONS].size / sizeof(option));
    cl_plan_add(&c->plan, CL_WIRE_OPTIONS, &option);
}

/* "cpu,cpuacct" or "name=systemd", as the kernel wants them to find the existing hierarchy. */
static int controller_options(struct ns_compile *c, struct cl_wire_mount *item, const char *controllers)
{
    NS_FREE char *copy = strdup(controllers);
    char *save = NULL;

    if (copy == NULL)
        return ns_no_memory(&c->r);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): NS_FREE frees it, which the analyzer does not know. */
    for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        if (strncmp(word, "name=", 5) == 0) {
            add_option(c, item, "none", NULL);
            add_option(c, item, "name", word + 5);
        } else {
            add_option(c, item, word, NULL);
        }
    }
    return 0;
}

static int mount_hierarchy(struct ns_compile *c, const struct cl_wire_mount *model, uint32_t index, const char *target)
{
    const struct ns_hierarchy *h = &c->machine->hierarchies.list[index];
    struct cl_wire_mount item = *model;

    item.target = cl_plan_cstring(&c->plan, target);
    if (!has_cgroup_namespace(c)) {
        item.kind = CL_WIRE_MOUNT_BIND;
        item.fd = ns_need_hierarchy(c, NS_NEED_GROUP_TREE, index);
        if (item.fd == CL_WIRE_NO_FD)
            return -1;
    } else {
        item.type = cl_plan_cstring(&c->plan, h->v2 ? "cgroup2" : "cgroup");
        item.source = cl_plan_cstring(&c->plan, "cgroup");
        if (!h->v2 && controller_options(c, &item, h->controllers) < 0)
            return -1;
    }
    cl_plan_add(&c->plan, CL_WIRE_MOUNTS, &item);
    return 0;
}

/* A tmpfs that is to be read-only becomes so when everything is in it: the keeper's rule for every tmpfs. */
static int mount_all(struct ns_compile *c, const struct cl_wire_mount *model, const char *target)
{
    struct cl_wire_mount base = *model;

    base.target = cl_plan_cstring(&c->plan, target);
    base.type = base.source = cl_plan_cstring(&c->plan, "tmpfs");
    add_option(c, &base, "mode", "0755");
    cl_plan_add(&c->plan, CL_WIRE_MOUNTS, &base);
    for (uint32_t i = 0; i < c->machine->hierarchies.count; i++) {
        NS_FREE char *path = ns_format("%s/%s", target, c->machine->hierarchies.list[i].label);

        if (path == NULL)
            return ns_no_memory(&c->r);
        if (mount_hierarchy(c, model, i, path) < 0)
            return -1;
    }
    return 0;
}

int ns_compile_cgroup_mount(struct ns_compile *c, const struct cl_wire_mount *model, bool v2_only, const char *target,
                            const char *where)
{
    uint32_t v2 = ns_hierarchy_find(&c->machine->hierarchies, "");
    char path[NS_PATH_MAX];

    if (!ns_has_new(c, CLONE_NEWCGROUP) && !(model->attr_set & MOUNT_ATTR_RDONLY)) {
        snprintf(path, sizeof(path), "%s.options", where);
        return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, path,
                            "without a cgroup namespace of its own a cgroup mount must be 'ro'");
    }
    if (c->machine->hierarchies.count == 0 || (v2_only && v2 == NS_NO_HIERARCHY)) {
        snprintf(path, sizeof(path), "%s.type", where);
        return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, path, "this machine has no such cgroup hierarchy mounted");
    }
    if (v2_only || (c->machine->hierarchies.count == 1 && v2 == 0))
        return mount_hierarchy(c, model, v2, target);
    return mount_all(c, model, target);
}
