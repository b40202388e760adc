/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mounts.c - the spec's `mounts`, one by one: a file system made afresh, a tree of the host that a worker opens, or a
 * change of what an earlier entry has mounted; what the options mean is options.c's.
 *
 * A bind keeps the flags that its source has on the host (nosuid, ro, ...) and adds those asked for: `rw` or `suid` in
 * the list only take back an earlier `ro` or `nosuid` of the same list. Inside a user namespace the kernel demands it
 * (H2.3.3), elsewhere we do. A remount, of what is the container's own, takes them away too.
 */
#include "options.h"

#include <linux/sched.h>
#include <stdio.h>
#include <sys/mount.h>

struct cl_wire_mount ns_mount_model(uint32_t kind)
{
    return (struct cl_wire_mount){.kind = kind, .fd = CL_WIRE_NO_FD};
}

/* An entry that changes the mount at `target`. */
static void add_change(struct ns_compile *c, const char *target, const struct ns_attributes *attributes, bool clears,
                       uint32_t flags, uint32_t propagation)
{
    struct cl_wire_mount item = ns_mount_model(CL_WIRE_MOUNT_CHANGE);

    item.flags = flags;
    item.target = cl_plan_cstring(&c->plan, target);
    item.propagation = propagation;
    ns_options_attributes(attributes, clears, &item.attr_set, &item.attr_clr);
    cl_plan_add(&c->plan, CL_WIRE_MOUNTS, &item);
}

/* One call sets attributes of either the mount or its whole tree. Where both are asked for, the mount's own follow. */
static void add_mount(struct ns_compile *c, struct cl_wire_mount *item, const struct ns_options *o, const char *target)
{
    ns_options_attributes(o->tree.any ? &o->tree : &o->top, false, &item->attr_set, &item->attr_clr);
    if (o->tree.any)
        item->flags |= CL_WIRE_MOUNT_RECURSIVE;
    item->target = cl_plan_cstring(&c->plan, target);
    item->propagation = o->propagation;
    item->option_first = (uint32_t)(c->plan.section[CL_WIRE_OPTIONS].size / sizeof(struct cl_wire_option));
    item->option_count = o->data_count;
    for (uint32_t i = 0; i < o->data_count; i++)
        cl_plan_add(&c->plan, CL_WIRE_OPTIONS, &o->data[i]);
    cl_plan_add(&c->plan, CL_WIRE_MOUNTS, item);
    if (o->tree.any && o->top.any)
        add_change(c, target, &o->top, false, 0, 0);
}

/* What is mounted there is found inside, by the path alone: type and source of the entry say nothing. */
static int change(struct ns_compile *c, const struct ns_options *o, const char *target)
{
    if (o->tree.any)
        add_change(c, target, &o->tree, true, CL_WIRE_MOUNT_RECURSIVE, o->top.any ? 0 : o->propagation);
    if (o->top.any || !o->tree.any)
        add_change(c, target, &o->top, true, 0, o->propagation);
    return 0;
}

/* Owners on disk are seen through the mount's own maps or, if only the option asks for it, the container's. */
static int shift_owners(struct ns_compile *c, const cloister_value *mount, const struct ns_options *o, const char *base,
                        struct cl_wire_mount *item)
{
    int own = ns_compile_mount_maps(c, mount, base);
    char path[NS_PATH_MAX];

    if (own < 0)
        return -1;
    if (own == 0 && !o->idmap)
        return 0;
    snprintf(path, sizeof(path), "%s.options[%llu]", base, (unsigned long long)o->idmap_at);
    if (own == 0 && !ns_in_userns(c))
        return ns_refuse_at(&c->r, CLOISTER_INVALID, path, "'idmap' needs mappings, or a user namespace that has some");
    item->flags |= CL_WIRE_MOUNT_IDMAP | (o->idmap_whole ? CL_WIRE_MOUNT_IDMAP_WHOLE : 0);
    return 0;
}

/* What only a bind can have. */
static int check_no_bind(struct ns_compile *c, const cloister_value *mount, const struct ns_options *o,
                         const char *base)
{
    static const char *const keys[] = {"uidMappings", "gidMappings"};
    char path[NS_PATH_MAX];

    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s.%s", base, keys[i]);
        if (c->r.value->count(ns_get(&c->r, mount, keys[i])) > 0)
            return ns_refuse(&c->r, CLOISTER_UNSUPPORTED, path, "is not supported: only a bind mount can be mapped");
    }
    snprintf(path, sizeof(path), "%s.options[%llu]", base, (unsigned long long)o->idmap_at);
    return o->idmap ? ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, path, "only a bind mount can be mapped") : 0;
}

static int bind_mount(struct ns_compile *c, const cloister_value *mount, const struct ns_options *o, const char *target,
                      const char *base)
{
    struct cl_wire_mount item = ns_mount_model(CL_WIRE_MOUNT_BIND);
    struct cloister_sv source = ns_get_string(&c->r, mount, "source");
    char path[NS_PATH_MAX];

    snprintf(path, sizeof(path), "%s.source", base);
    if (ns_check_inner_path(&c->r, source, path) < 0 || shift_owners(c, mount, o, base, &item) < 0)
        return -1;
    item.fd = ns_need_path(c, NS_NEED_BIND, source, path);
    if (item.fd == CL_WIRE_NO_FD)
        return -1;
    c->needs[item.fd].recursive = o->whole;
    add_mount(c, &item, o, target);
    return 0;
}

static int check_type(struct ns_compile *c, struct cloister_sv type, const char *base)
{
    char path[NS_PATH_MAX];

    snprintf(path, sizeof(path), "%s.type", base);
    if (!ns_options_knows_type(type))
        return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, path, "file system '%.*s' is not supported",
                            (int)(type.size < 32 ? type.size : 32), type.data);
    if (ns_equal(type, "mqueue") && ns_in_userns(c) && !ns_has_new(c, CLONE_NEWIPC))
        return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, path,
                            "mqueue in a user namespace needs an ipc namespace of its own");
    return 0;
}

static int fresh_mount(struct ns_compile *c, const cloister_value *mount, struct cloister_sv type,
                       const struct ns_options *o, const char *target, const char *base)
{
    struct cl_wire_mount item = ns_mount_model(CL_WIRE_MOUNT_FS);
    struct cloister_sv source = ns_get_string(&c->r, mount, "source");

    if (check_type(c, type, base) < 0)
        return -1;
    if (ns_equal(type, "cgroup") || ns_equal(type, "cgroup2")) {
        ns_options_attributes(&o->top, false, &item.attr_set, &item.attr_clr);
        item.propagation = o->propagation;
        return ns_compile_cgroup_mount(c, &item, ns_equal(type, "cgroup2"), target, base);
    }
    for (uint64_t i = 0; i < source.size; i++)
        if ((unsigned char)source.data[i] < 0x20 || source.data[i] == 0x7f)
            return ns_refuse(&c->r, CLOISTER_INVALID, base, "has a control character in its source");
    item.type = cl_plan_string(&c->plan, type.data, type.size);
    item.source = source.size ? cl_plan_string(&c->plan, source.data, source.size) : item.type;
    add_mount(c, &item, o, target);
    return 0;
}

/* In place: "//", "/./" and what ends in "/" or "/." are spellings of one path. The root itself becomes empty. */
static void normalise(char *path)
{
    const char *from = path;
    char *to = path;

    while (*from) {
        size_t slashes = strspn(from, "/"), word = strcspn(from + slashes, "/");

        from += slashes;
        if (word > 0 && !(word == 1 && *from == '.')) {
            *to++ = '/';
            memmove(to, from, word);
            to += word;
        }
        from += word;
    }
    *to = 0;
}

static int one_mount(struct ns_compile *c, const cloister_value *mount, uint64_t i)
{
    struct cloister_sv destination = ns_get_string(&c->r, mount, "destination");
    struct cloister_sv type = ns_get_string(&c->r, mount, "type");
    char base[32], path[NS_PATH_MAX];
    NS_FREE char *target = NULL;
    struct ns_options o;

    snprintf(base, sizeof(base), "mounts[%llu]", (unsigned long long)i);
    snprintf(path, sizeof(path), "%s.destination", base);
    if (ns_check_inner_path(&c->r, destination, path) < 0)
        return -1;
    target = ns_dup(destination);
    if (target == NULL)
        return ns_no_memory(&c->r);
    normalise(target);
    if (*target == 0)
        return ns_refuse(&c->r, CLOISTER_INVALID, path, "is the root itself");
    if (ns_options_read(c, mount, type, base, &o) < 0)
        return -1;
    if (strcmp(target, "/dev") == 0 && !o.remount)
        *(o.bind ? &c->bound_devices : &c->own_devices) = true;
    if (o.bind && !o.remount)
        return bind_mount(c, mount, &o, target, base);
    if (check_no_bind(c, mount, &o, base) < 0)
        return -1;
    if (o.remount)
        return change(c, &o, target);
    return fresh_mount(c, mount, type, &o, target, base);
}

static int path_list(struct ns_compile *c, const cloister_value *linux_part, const char *key, uint32_t section)
{
    cloister_value *list = ns_get(&c->r, linux_part, key), *entry;
    struct cloister_sv text;
    char path[NS_PATH_MAX];

    for (uint64_t i = 0; (entry = c->r.value->at(list, i, NULL)) != NULL; i++) {
        c->r.value->string(entry, &text);
        snprintf(path, sizeof(path), "linux.%s[%llu]", key, (unsigned long long)i);
        if (ns_check_inner_path(&c->r, text, path) < 0)
            return -1;
        cl_plan_add_string(&c->plan, section, text.data, text.size);
    }
    return 0;
}

static int root_propagation(struct ns_compile *c, const cloister_value *linux_part)
{
    struct cloister_sv word = ns_get_string(&c->r, linux_part, "rootfsPropagation");

    if (word.size == 0)
        return 0;
    c->plan.head.root_propagation = ns_options_propagation(word);
    if (c->plan.head.root_propagation)
        return 0;
    return ns_refuse(&c->r, CLOISTER_INVALID, "linux.rootfsPropagation", "is no propagation word");
}

int ns_compile_mounts(struct ns_compile *c, const cloister_value *spec)
{
    cloister_value *linux_part = ns_get(&c->r, spec, "linux");
    cloister_value *list = ns_get(&c->r, spec, "mounts"), *entry;

    for (uint64_t i = 0; (entry = c->r.value->at(list, i, NULL)) != NULL; i++)
        if (one_mount(c, entry, i) < 0)
            return -1;
    if (path_list(c, linux_part, "maskedPaths", CL_WIRE_MASKED) < 0 ||
        path_list(c, linux_part, "readonlyPaths", CL_WIRE_READONLY) < 0)
        return -1;
    return root_propagation(c, linux_part);
}
