/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids.c - uid and gid mappings of a new user namespace: those the spec names, literally, or the sandbox's own range
 * where it names none; and those of single mounts. The keeper writes them; here they are checked to be what the kernel
 * takes, so that the error names a path.
 */
#include "compile.h"

#include <linux/sched.h>
#include <stdio.h>

#define MAPS_MAX 340u      /* of the kernel */
#define MAP_TEXT_MAX 4095u /* so too: it takes a map in one write of less than a page */

/* One list of mappings being read: where it goes, and what of that section is its own. */
struct list {
    uint32_t section;
    uint32_t first;
    uint32_t count;
    size_t text; /* bytes, as the kernel will read it */
};

static struct list begin_list(const struct ns_compile *c, uint32_t section)
{
    size_t size = c->plan.section[section].size;

    return (struct list){.section = section, .first = (uint32_t)(size / sizeof(struct cl_wire_map))};
}

static bool overlaps(uint32_t first, uint32_t count, uint32_t other, uint32_t other_count)
{
    return first < other + (uint64_t)other_count && other < first + (uint64_t)count;
}

static int check_overlap(struct ns_compile *c, const struct list *list, const struct cl_wire_map *map, const char *path)
{
    const struct cl_wire_map *own = (const struct cl_wire_map *)(const void *)c->plan.section[list->section].data;

    for (uint32_t i = 0; i < list->count; i++) {
        const struct cl_wire_map *other = &own[list->first + i];

        if (overlaps(map->inside, map->count, other->inside, other->count))
            return ns_refuse(&c->r, CLOISTER_INVALID, path, "overlaps an earlier mapping inside the container");
        if (overlaps(map->outside, map->count, other->outside, other->count))
            return ns_refuse(&c->r, CLOISTER_INVALID, path, "overlaps an earlier mapping on the host");
    }
    return 0;
}

static int one_map(struct ns_compile *c, const cloister_value *entry, struct list *list, const char *path)
{
    uint64_t inside = 0, outside = 0, count = 0;
    struct cl_wire_map map;

    if (ns_get_u64(&c->r, entry, "containerID", path, UINT32_MAX - 1u, &inside) < 0 ||
        ns_get_u64(&c->r, entry, "hostID", path, UINT32_MAX - 1u, &outside) < 0 ||
        ns_get_u64(&c->r, entry, "size", path, UINT32_MAX, &count) < 0)
        return -1;
    if (count == 0 || inside + count > UINT32_MAX || outside + count > UINT32_MAX)
        return ns_refuse(&c->r, CLOISTER_INVALID, path, "is empty or reaches beyond the last id");
    map = (struct cl_wire_map){(uint32_t)inside, (uint32_t)outside, (uint32_t)count};
    if (check_overlap(c, list, &map, path) < 0)
        return -1;
    list->text += (size_t)snprintf(NULL, 0, "%u %u %u\n", map.inside, map.outside, map.count);
    if (list->text > MAP_TEXT_MAX)
        return ns_refuse(&c->r, CLOISTER_INVALID, path, "is beyond the %u bytes of mappings that the kernel takes",
                         MAP_TEXT_MAX);
    cl_plan_add(&c->plan, list->section, &map);
    list->count++;
    return 0;
}

/* object[key], whose JSON path is base.key. 0 or -1. */
static int read_list(struct ns_compile *c, const cloister_value *object, const char *base, const char *key,
                     struct list *list)
{
    cloister_value *maps = ns_get(&c->r, object, key), *entry;
    char path[NS_PATH_MAX];

    for (uint64_t i = 0; (entry = c->r.value->at(maps, i, NULL)) != NULL; i++) {
        snprintf(path, sizeof(path), "%s.%s[%llu]", base, key, (unsigned long long)i);
        if (i >= MAPS_MAX)
            return ns_refuse(&c->r, CLOISTER_INVALID, path, "is beyond the kernel's %u mappings", MAPS_MAX);
        if (one_map(c, entry, list, path) < 0)
            return -1;
    }
    return 0;
}

/* Both lists, or none: the kernel would show every owner that is in no map as nobody. */
static int read_both(struct ns_compile *c, const cloister_value *object, const char *base, struct list *uids,
                     struct list *gids)
{
    char path[NS_PATH_MAX];

    if (read_list(c, object, base, "uidMappings", uids) < 0)
        return -1;
    if (uids->section == gids->section)
        gids->first = uids->first + uids->count;
    if (read_list(c, object, base, "gidMappings", gids) < 0)
        return -1;
    if ((uids->count == 0) == (gids->count == 0))
        return 0;
    snprintf(path, sizeof(path), "%s.%s", base, uids->count ? "gidMappings" : "uidMappings");
    return ns_refuse(&c->r, CLOISTER_INVALID, path, "is missing beside the other mapping");
}

static int own_range(struct ns_compile *c)
{
    struct cl_wire_map map = {0, c->range.first, c->range.count};

    if (c->range.count == 0)
        return ns_refuse_at(&c->r, CLOISTER_LIMIT, "linux.uidMappings",
                            "no id range is left for a user namespace without mappings");
    cl_plan_add(&c->plan, CL_WIRE_UID_MAP, &map);
    cl_plan_add(&c->plan, CL_WIRE_GID_MAP, &map);
    return 0;
}

static int check_none(struct ns_compile *c, const cloister_value *linux_part)
{
    static const char *const keys[] = {"uidMappings", "gidMappings"};
    char path[NS_PATH_MAX];

    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "linux.%s", keys[i]);
        if (c->r.value->count(ns_get(&c->r, linux_part, keys[i])) > 0)
            return ns_refuse(&c->r, CLOISTER_INVALID, path, "needs a user namespace of its own");
    }
    return 0;
}

int ns_compile_ids(struct ns_compile *c, const cloister_value *spec)
{
    cloister_value *linux_part = ns_get(&c->r, spec, "linux");
    struct list uids = begin_list(c, CL_WIRE_UID_MAP), gids = begin_list(c, CL_WIRE_GID_MAP);

    if (!ns_has_new(c, CLONE_NEWUSER))
        return check_none(c, linux_part);
    if (read_both(c, linux_part, "linux", &uids, &gids) < 0)
        return -1;
    return uids.count == 0 ? own_range(c) : 0;
}

int ns_compile_mount_maps(struct ns_compile *c, const cloister_value *mount, const char *base)
{
    struct list uids = begin_list(c, CL_WIRE_MAPS), gids = uids;
    struct cl_wire_mount_map item;

    if (read_both(c, mount, base, &uids, &gids) < 0)
        return -1;
    if (uids.count == 0)
        return 0;
    item = (struct cl_wire_mount_map){
        .mount = (uint32_t)(c->plan.section[CL_WIRE_MOUNTS].size / sizeof(struct cl_wire_mount)),
        .uid_first = uids.first,
        .uid_count = uids.count,
        .gid_first = gids.first,
        .gid_count = gids.count,
    };
    cl_plan_add(&c->plan, CL_WIRE_MOUNT_MAPS, &item);
    return 1;
}

bool ns_id_is_mapped(const struct ns_compile *c, uint32_t section, uint32_t id)
{
    const struct cl_wire_map *list = (const void *)c->plan.section[section].data;
    size_t count = c->plan.section[section].size / sizeof(*list);

    if (!ns_has_new(c, CLONE_NEWUSER))
        return true;
    for (size_t i = 0; i < count; i++)
        if (id >= list[i].inside && id - list[i].inside < list[i].count)
            return true;
    return false;
}
