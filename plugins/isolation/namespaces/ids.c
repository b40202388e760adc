/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ids.c - uid and gid mappings of a new user namespace: those the spec names, literally, or the sandbox's own range
 * where it names none. The keeper writes them; here they are checked to be what the kernel takes, so that the error
 * names a path.
 */
#include "compile.h"

#include <linux/sched.h>
#include <stdio.h>

#define MAPS_MAX 340u      /* of the kernel */
#define MAP_TEXT_MAX 4095u /* so too: it takes a map in one write of less than a page */

static bool overlaps(uint32_t first, uint32_t count, uint32_t other, uint32_t other_count)
{
    return first < other + (uint64_t)other_count && other < first + (uint64_t)count;
}

static int check_overlap(struct ns_compile *c, uint32_t section, const struct cl_wire_map *map, const char *path)
{
    const struct cl_wire_map *list = (const void *)c->plan.section[section].data;
    size_t count = c->plan.section[section].size / sizeof(*list);

    for (size_t i = 0; i < count; i++) {
        if (overlaps(map->inside, map->count, list[i].inside, list[i].count))
            return ns_refuse(&c->r, CLOISTER_INVALID, path, "overlaps an earlier mapping inside the container");
        if (overlaps(map->outside, map->count, list[i].outside, list[i].count))
            return ns_refuse(&c->r, CLOISTER_INVALID, path, "overlaps an earlier mapping on the host");
    }
    return 0;
}

static int one_map(struct ns_compile *c, const cloister_value *entry, uint32_t section, const char *path, size_t *text)
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
    if (check_overlap(c, section, &map, path) < 0)
        return -1;
    *text += (size_t)snprintf(NULL, 0, "%u %u %u\n", map.inside, map.outside, map.count);
    if (*text > MAP_TEXT_MAX)
        return ns_refuse(&c->r, CLOISTER_INVALID, path, "is beyond the %u bytes of mappings that the kernel takes",
                         MAP_TEXT_MAX);
    cl_plan_add(&c->plan, section, &map);
    return 0;
}

/* How many maps the list has; -1 refused. */
static int64_t maps(struct ns_compile *c, const cloister_value *linux_part, const char *key, uint32_t section)
{
    cloister_value *list = ns_get(&c->r, linux_part, key), *entry;
    char path[NS_PATH_MAX];
    size_t text = 0;
    uint64_t i;

    for (i = 0; (entry = c->r.value->at(list, i, NULL)) != NULL; i++) {
        snprintf(path, sizeof(path), "linux.%s[%llu]", key, (unsigned long long)i);
        if (i >= MAPS_MAX)
            return ns_refuse(&c->r, CLOISTER_INVALID, path, "is beyond the kernel's %u mappings", MAPS_MAX);
        if (one_map(c, entry, section, path, &text) < 0)
            return -1;
    }
    return (int64_t)i;
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

int ns_compile_ids(struct ns_compile *c, const cloister_value *spec)
{
    cloister_value *linux_part = ns_get(&c->r, spec, "linux");
    int64_t uids = maps(c, linux_part, "uidMappings", CL_WIRE_UID_MAP);
    int64_t gids = uids < 0 ? -1 : maps(c, linux_part, "gidMappings", CL_WIRE_GID_MAP);

    if (gids < 0)
        return -1;
    if (!ns_has_new(c, CLONE_NEWUSER)) {
        if (uids > 0 || gids > 0)
            return ns_refuse(&c->r, CLOISTER_INVALID, uids > 0 ? "linux.uidMappings" : "linux.gidMappings",
                             "needs a user namespace of its own");
        return 0;
    }
    if (uids == 0 && gids == 0)
        return own_range(c);
    if (uids == 0 || gids == 0)
        return ns_refuse(&c->r, CLOISTER_INVALID, uids == 0 ? "linux.uidMappings" : "linux.gidMappings",
                         "is missing beside the other mapping");
    return 0;
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
