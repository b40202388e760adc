/* SPDX-License-Identifier: Apache-2.0 */
/* limits_read.c - what is in force, as OCI linux.resources: the files of a group read back, both versions. */
#include <stdio.h>

#include "limits.h"
#include "limits_change.h"

#define NO_LIMIT (1ll << 62)

struct reading {
    const struct ns_cgroups *cgroups;
    const struct ns_machine *machine;
    const struct cloister_value_api *v;
    const char *group;
};

static char *read_text(const struct reading *r, uint32_t h, const char *file)
{
    NS_FREE char *path = h == NS_NO_HIERARCHY ? NULL : ns_group_path(r->cgroups, h, r->group, file);
    char *text = NULL;

    return path && ns_read_file(path, 65536, &text) == 0 ? text : NULL;
}

/* Unlimited is -1. False: there is no such file. */
static bool read_number(const struct reading *r, uint32_t h, const char *file, int64_t *ret)
{
    NS_FREE char *text = read_text(r, h, file);
    const char *at = text && strncmp(text, "default ", 8) == 0 ? text + 8 : text;
    char *end;

    if (text == NULL)
        return false;
    *ret = strtoll(at, &end, 10);
    if (end == at || *ret >= NO_LIMIT)
        *ret = -1;
    return true;
}

static void put_i64(const struct reading *r, cloister_value *object, const char *key, int64_t number)
{
    r->v->set(object, ns_view(key), r->v->new_i64(number));
}

static void copy_number(const struct reading *r, cloister_value *object, const char *key, uint32_t h, const char *file)
{
    int64_t number;

    if (read_number(r, h, file, &number))
        put_i64(r, object, key, number);
}

/* An object that holds nothing is left out. */
static void put_object(const struct reading *r, cloister_value *to, const char *key, cloister_value *object)
{
    if (object && r->v->count(object) > 0)
        r->v->set(to, ns_view(key), object);
    else
        r->v->free(object);
}

static bool find(const struct reading *r, const char *v1, const char *v2, uint32_t *ret_h)
{
    const struct ns_hierarchies *all = r->cgroups->hierarchies;

    *ret_h = ns_hierarchy_find(all, v1);
    if (*ret_h != NS_NO_HIERARCHY)
        return false;
    *ret_h = ns_hierarchy_of(all, v2);
    return true;
}

static cloister_value *memory(const struct reading *r)
{
    cloister_value *object = r->v->new_object();
    int64_t limit = -1, swap;
    uint32_t h;

    if (find(r, "memory", "memory", &h)) {
        if (!read_number(r, h, "memory.max", &limit))
            return object;
        put_i64(r, object, "limit", limit);
        if (read_number(r, h, "memory.swap.max", &swap))
            put_i64(r, object, "swap", swap < 0 || limit < 0 ? -1 : limit + swap);
        copy_number(r, object, "reservation", h, "memory.low");
        return object;
    }
    copy_number(r, object, "limit", h, "memory.limit_in_bytes");
    copy_number(r, object, "swap", h, "memory.memsw.limit_in_bytes");
    copy_number(r, object, "reservation", h, "memory.soft_limit_in_bytes");
    copy_number(r, object, "swappiness", h, "memory.swappiness");
    if (h != NS_NO_HIERARCHY) {
        NS_FREE char *text = read_text(r, h, "memory.oom_control");

        if (text && strstr(text, "oom_kill_disable 1"))
            r->v->set(object, CLOISTER_SV("disableOOMKiller"), r->v->new_boolean(1));
    }
    return object;
}

static void real_time(const struct reading *r, cloister_value *object, uint32_t h)
{
    int64_t runtime;

    if (!read_number(r, h, "cpu.rt_runtime_us", &runtime) || runtime == 0)
        return;
    put_i64(r, object, "realtimeRuntime", runtime);
    copy_number(r, object, "realtimePeriod", h, "cpu.rt_period_us");
}

static void cpu_v2(const struct reading *r, cloister_value *object, uint32_t h)
{
    NS_FREE char *text = read_text(r, h, "cpu.max");
    int64_t weight;
    long long period;

    if (read_number(r, h, "cpu.weight", &weight) && weight > 0)
        put_i64(r, object, "shares", (int64_t)ns_shares_of_weight((uint64_t)weight));
    copy_number(r, object, "quota", h, "cpu.max");
    if (text && sscanf(text, "%*s %lld", &period) == 1)
        put_i64(r, object, "period", period);
    copy_number(r, object, "burst", h, "cpu.max.burst");
}

static void cpuset(const struct reading *r, cloister_value *object)
{
    static const char *const keys[] = {"cpus", "mems"}, *const files[] = {"cpuset.cpus", "cpuset.mems"};
    uint32_t h = ns_hierarchy_of(r->cgroups->hierarchies, "cpuset");

    for (size_t i = 0; i < 2; i++) {
        NS_FREE char *text = read_text(r, h, files[i]);
        size_t size = text ? strcspn(text, "\n") : 0;

        if (size > 0)
            r->v->set(object, ns_view(keys[i]), r->v->new_string((struct cloister_sv){text, size}));
    }
}

static cloister_value *cpu(const struct reading *r)
{
    cloister_value *object = r->v->new_object();
    uint32_t h;

    if (find(r, "cpu", "cpu", &h)) {
        cpu_v2(r, object, h);
    } else {
        copy_number(r, object, "shares", h, "cpu.shares");
        copy_number(r, object, "period", h, "cpu.cfs_period_us");
        copy_number(r, object, "quota", h, "cpu.cfs_quota_us");
        copy_number(r, object, "burst", h, "cpu.cfs_burst_us");
        real_time(r, object, h);
    }
    copy_number(r, object, "idle", h, "cpu.idle");
    cpuset(r, object);
    return object;
}

/* "8:0 4096" a line on v1; "8:0 rbps=4096 wbps=max ..." on v2. */
static cloister_value *rates(const struct reading *r, const char *text, const char *word)
{
    cloister_value *list = r->v->new_array();

    for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        const char *end = strchr(line, '\n'), *hit = strstr(line, word);
        cloister_value *device;
        unsigned major, minor;
        char *after;
        uint64_t rate;

        if (sscanf(line, "%u:%u", &major, &minor) != 2 || hit == NULL || (end && hit > end))
            continue;
        rate = strtoull(hit + strlen(word), &after, 10);
        if (after == hit + strlen(word))
            continue; /* max */
        device = r->v->new_object();
        r->v->set(device, CLOISTER_SV("major"), r->v->new_u64(major));
        r->v->set(device, CLOISTER_SV("minor"), r->v->new_u64(minor));
        r->v->set(device, CLOISTER_SV("rate"), r->v->new_u64(rate));
        r->v->append(list, device);
    }
    return list;
}

static cloister_value *block_io(const struct reading *r)
{
    static const struct {
        const char *key;
        const char *v1;
        const char *v2;
    } kinds[] = {{"throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps="},
                 {"throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps="},
                 {"throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops="},
                 {"throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops="}};
    cloister_value *object = r->v->new_object();
    int64_t weight;
    uint32_t h;
    bool v2 = find(r, "blkio", "io", &h);

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        NS_FREE char *text = read_text(r, h, v2 ? "io.max" : kinds[i].v1);

        put_object(r, object, kinds[i].key, rates(r, text, v2 ? kinds[i].v2 : " "));
    }
    if (r->machine->io_weight && read_number(r, h, r->machine->io_weight, &weight) && weight > 0)
        put_i64(r, object, "weight",
                strcmp(r->machine->io_weight, "io.weight") == 0 ? (int64_t)ns_blkio_weight_of((uint64_t)weight)
                                                                : weight);
    return object;
}

static cloister_value *huge_pages(const struct reading *r)
{
    cloister_value *list = r->v->new_array();
    uint32_t h;
    bool v2 = find(r, "hugetlb", "hugetlb", &h);

    for (uint32_t i = 0; i < r->machine->huge_count; i++) {
        const char *size = r->machine->huge_pages[i];
        NS_FREE char *file = ns_format(v2 ? "hugetlb.%s.max" : "hugetlb.%s.limit_in_bytes", size);
        cloister_value *one;
        int64_t limit;

        if (file == NULL || !read_number(r, h, file, &limit) || limit < 0)
            continue;
        one = r->v->new_object();
        r->v->set(one, CLOISTER_SV("pageSize"), r->v->new_string(ns_view(size)));
        put_i64(r, one, "limit", limit);
        r->v->append(list, one);
    }
    return list;
}

static cloister_value *network(const struct reading *r)
{
    cloister_value *object = r->v->new_object();
    int64_t class;

    if (read_number(r, ns_hierarchy_find(r->cgroups->hierarchies, "net_cls"), "net_cls.classid", &class) && class > 0)
        put_i64(r, object, "classID", class);
    return object;
}

static cloister_value *pids(const struct reading *r)
{
    cloister_value *object = r->v->new_object();

    copy_number(r, object, "limit", ns_hierarchy_of(r->cgroups->hierarchies, "pids"), "pids.max");
    return object;
}

cloister_value *ns_limits_read(const struct ns_cgroups *cgroups, const struct ns_machine *machine,
                               const struct cloister_value_api *v, const char *group)
{
    const struct reading r = {cgroups, machine, v, group};
    cloister_value *root = v->new_object();

    if (root == NULL)
        return NULL;
    put_object(&r, root, "memory", memory(&r));
    put_object(&r, root, "cpu", cpu(&r));
    put_object(&r, root, "pids", pids(&r));
    put_object(&r, root, "blockIO", block_io(&r));
    put_object(&r, root, "hugepageLimits", huge_pages(&r));
    put_object(&r, root, "network", network(&r));
    return root;
}
