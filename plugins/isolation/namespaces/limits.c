/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.c - linux.resources: which file of a group gets which text. Which version of a controller's files is asked of
 * the hierarchies, for each controller alone: a machine may have some on v1 and others on v2. The order is one that a
 * fresh, unlimited group accepts (period before quota; memory before memory + swap, which must never be the smaller
 * one: H2.2.8); update.c has the order for one that is in use.
 */
#include "limits.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { V1, V2 };

void ns_limits_path(const struct ns_limits *l, char ret[NS_PATH_MAX], const char *format, ...)
{
    char rest[NS_PATH_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(rest, sizeof(rest), format, args);
    va_end(args);
    snprintf(ret, NS_PATH_MAX, "%.64s.%.120s", l->base, rest);
}

uint32_t ns_limits_hierarchy(const struct ns_limits *l, const char *v1, const char *v2, const char *where, bool *ret_v2)
{
    const struct ns_hierarchies *all = &l->c->machine->hierarchies;
    uint32_t h = v1 ? ns_hierarchy_find(all, v1) : NS_NO_HIERARCHY;

    *ret_v2 = h == NS_NO_HIERARCHY;
    if (h == NS_NO_HIERARCHY && v2) {
        h = ns_hierarchy_of(all, v2);
        if (h != NS_NO_HIERARCHY && !all->list[h].v2)
            h = NS_NO_HIERARCHY;
    }
    if (h == NS_NO_HIERARCHY)
        ns_refuse_at(&l->c->r, CLOISTER_UNSUPPORTED, where, "this machine has no %s controller%s", v1 ? v1 : v2,
                     v1 && v2 ? ""
                     : v1     ? " on cgroup v1"
                              : " on cgroup v2");
    return h;
}

/* --- numbers by table --- */

static char *plain(int64_t number)
{
    return ns_format("%lld", (long long)number);
}

static char *or_max(int64_t number)
{
    return number < 0 ? strdup("max") : plain(number);
}

static char *as_weight(int64_t shares)
{
    return plain(ns_weight_of_shares((uint64_t)shares));
}

struct row {
    const char *key;
    int64_t min;
    int64_t max;
    struct {
        const char *file; /* NULL: that version has none */
        char *(*text)(int64_t number);
    } version[2];
};

static const struct row memory_rows[] = {
    {"limit", -1, INT64_MAX, {{"memory.limit_in_bytes", plain}, {"memory.max", or_max}}},
    {"reservation", -1, INT64_MAX, {{"memory.soft_limit_in_bytes", plain}, {"memory.low", or_max}}},
    {"swappiness", 0, 100, {{"memory.swappiness", plain}, {NULL, NULL}}},
};
static const struct row cpu_rows[] = {
    {"shares", 2, 262144, {{"cpu.shares", plain}, {"cpu.weight", as_weight}}},
    {"realtimePeriod", 1, INT64_MAX / 1000, {{"cpu.rt_period_us", plain}, {NULL, NULL}}},
    {"realtimeRuntime", -1, INT64_MAX / 1000, {{"cpu.rt_runtime_us", plain}, {NULL, NULL}}},
};
static const struct row idle_row = {"idle", 0, 1, {{"cpu.idle", plain}, {"cpu.idle", plain}}};
static const struct row burst_row = {
    "burst", 0, INT64_MAX / 1000, {{"cpu.cfs_burst_us", plain}, {"cpu.max.burst", plain}}};
static const struct row pids_row = {"limit", -1, 4194304, {{"pids.max", or_max}, {"pids.max", or_max}}};

static int add_row(const struct ns_limits *l, const char *member, const char *controller, const struct row *row)
{
    const cloister_value *object = ns_get(&l->c->r, l->resources, member);
    char base[NS_PATH_MAX], path[NS_PATH_MAX];
    int64_t number = 0;
    uint32_t h;
    bool v2;
    int found;

    ns_limits_path(l, base, "%s", member);
    ns_limits_path(l, path, "%s.%s", member, row->key);
    found = ns_get_i64(&l->c->r, object, row->key, base, row->min, row->max, &number);
    if (found <= 0)
        return found;
    h = ns_limits_hierarchy(l, controller, controller, path, &v2);
    if (h == NS_NO_HIERARCHY)
        return -1;
    if (row->version[v2].file == NULL)
        return ns_refuse(&l->c->r, CLOISTER_UNSUPPORTED, path, "is not there on cgroup v2, which has %s here",
                         controller);
    return ns_add_write(l->c, h, row->version[v2].file, row->version[v2].text(number), path);
}

static int add_rows(const struct ns_limits *l, const char *member, const char *controller, const struct row *rows,
                    size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (add_row(l, member, controller, &rows[i]) < 0)
            return -1;
    return 0;
}

/* --- memory --- */

/* OCI's is the sum of memory and swap, as v1's; v2 has swap alone. */
static int memory_swap(const struct ns_limits *l, const cloister_value *object, const char *base)
{
    int64_t limit = l->c->kept.memory_limit, swap = -1;
    char path[NS_PATH_MAX];
    uint32_t h;
    bool v2;
    int found;

    ns_limits_path(l, path, "memory.swap");
    if (ns_get_i64(&l->c->r, object, "limit", base, -1, INT64_MAX, &limit) < 0)
        return -1;
    found = ns_get_i64(&l->c->r, object, "swap", base, -1, INT64_MAX, &swap);
    if (found <= 0)
        return found;
    if (swap >= 0 && (limit < 0 || swap < limit))
        return ns_refuse(&l->c->r, CLOISTER_INVALID, path, "is the sum of memory and swap: it cannot be below 'limit'");
    h = ns_limits_hierarchy(l, "memory", "memory", path, &v2);
    if (h == NS_NO_HIERARCHY)
        return -1;
    return v2 ? ns_add_write(l->c, h, "memory.swap.max", or_max(swap < 0 ? -1 : swap - limit), path)
              : ns_add_write(l->c, h, "memory.memsw.limit_in_bytes", plain(swap), path);
}

/* Of two bits only one value can be meant on today's kernels. */
static int memory_bits(const struct ns_limits *l, const cloister_value *object)
{
    char path[NS_PATH_MAX];
    uint32_t h;
    bool v2;

    ns_limits_path(l, path, "memory.useHierarchy");
    if (ns_get(&l->c->r, object, "useHierarchy") && !ns_get_bool(&l->c->r, object, "useHierarchy", true))
        return ns_refuse(&l->c->r, CLOISTER_UNSUPPORTED, path, "cannot be false: groups always count what is below");
    ns_limits_path(l, path, "memory.disableOOMKiller");
    if (ns_get(&l->c->r, object, "disableOOMKiller") == NULL)
        return 0;
    h = ns_limits_hierarchy(l, "memory", "memory", path, &v2);
    if (h == NS_NO_HIERARCHY)
        return -1;
    if (!v2)
        return ns_add_write(l->c, h, "memory.oom_control",
                            plain(ns_get_bool(&l->c->r, object, "disableOOMKiller", false)), path);
    return ns_get_bool(&l->c->r, object, "disableOOMKiller", false)
               ? ns_refuse(&l->c->r, CLOISTER_UNSUPPORTED, path, "is not there on cgroup v2, which has memory here")
               : 0;
}

static int memory(const struct ns_limits *l)
{
    const cloister_value *object = ns_get(&l->c->r, l->resources, "memory");
    char base[NS_PATH_MAX];

    ns_limits_path(l, base, "memory");
    if (add_row(l, "memory", "memory", &memory_rows[0]) < 0 || memory_swap(l, object, base) < 0 ||
        add_rows(l, "memory", "memory", memory_rows + 1, sizeof(memory_rows) / sizeof(*memory_rows) - 1) < 0)
        return -1;
    return object ? memory_bits(l, object) : 0;
}

/* --- cpu --- */

/* l = log2(shares); ceil(10^((l^2 + 125 l) / 612 - 7 / 34)): 2 gives 1, 1024 gives 100, 262144 gives 10000. */
uint32_t ns_weight_of_shares(uint64_t shares)
{
    double l;

    if (shares <= 2)
        return 1;
    if (shares >= 262144)
        return 10000;
    l = log2((double)shares);
    return (uint32_t)ceil(pow(10, (l * l + 125 * l) / 612 - 7.0 / 34));
}

uint64_t ns_shares_of_weight(uint64_t weight)
{
    uint64_t low = 2, high = 262144;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (ns_weight_of_shares(middle) < weight)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* v1 has a file each, the period first; v2 one for both. */
static int cpu_time(const struct ns_limits *l, const cloister_value *object, const char *base)
{
    int64_t quota = l->c->kept.cpu_quota, period = l->c->kept.cpu_period;
    char path[NS_PATH_MAX];
    int has_quota = ns_get_i64(&l->c->r, object, "quota", base, -1, INT64_MAX / 1000, &quota);
    int has_period = ns_get_i64(&l->c->r, object, "period", base, 1000, 1000000, &period);
    uint32_t h;
    bool v2;

    if (has_quota < 0 || has_period < 0)
        return -1;
    ns_limits_path(l, path, "cpu.%s", has_quota ? "quota" : "period");
    if (has_quota && quota >= 0 && quota < 1000)
        return ns_refuse(&l->c->r, CLOISTER_INVALID, path, "must be -1 or at least 1000 microseconds");
    if (!has_quota && !has_period)
        return 0;
    h = ns_limits_hierarchy(l, "cpu", "cpu", path, &v2);
    if (h == NS_NO_HIERARCHY)
        return -1;
    if (v2)
        return ns_add_write(l->c, h, "cpu.max",
                            quota < 0 ? ns_format("max %lld", (long long)period)
                                      : ns_format("%lld %lld", (long long)quota, (long long)period),
                            path);
    if (has_period && ns_add_write(l->c, h, "cpu.cfs_period_us", plain(period), path) < 0)
        return -1;
    return has_quota ? ns_add_write(l->c, h, "cpu.cfs_quota_us", plain(quota), path) : 0;
}

/* "0-1,3": digits, commas and dashes; the kernel checks the rest. */
static int cpuset(const struct ns_limits *l, const cloister_value *object)
{
    static const char *const keys[] = {"cpus", "mems"}, *const files[] = {"cpuset.cpus", "cpuset.mems"};

    for (size_t i = 0; i < 2; i++) {
        struct cloister_sv text = ns_get_string(&l->c->r, object, keys[i]);
        char path[NS_PATH_MAX];
        uint32_t h;
        bool v2;

        if (text.size == 0)
            continue;
        ns_limits_path(l, path, "cpu.%s", keys[i]);
        for (uint64_t b = 0; b < text.size; b++)
            if (memchr("0123456789,-", text.data[b], 12) == NULL || text.size > 1024)
                return ns_refuse(&l->c->r, CLOISTER_INVALID, path, "must be a list like '0-1,3'");
        h = ns_limits_hierarchy(l, "cpuset", "cpuset", path, &v2);
        if (h == NS_NO_HIERARCHY || ns_add_write(l->c, h, files[i], ns_dup(text), path) < 0)
            return -1;
    }
    return 0;
}

/* An idle group takes no shares. */
static int cpu(const struct ns_limits *l)
{
    const cloister_value *object = ns_get(&l->c->r, l->resources, "cpu");
    char base[NS_PATH_MAX];

    ns_limits_path(l, base, "cpu");
    if (cpuset(l, object) < 0 || add_rows(l, "cpu", "cpu", cpu_rows, sizeof(cpu_rows) / sizeof(*cpu_rows)) < 0)
        return -1;
    if (cpu_time(l, object, base) < 0 || add_row(l, "cpu", "cpu", &burst_row) < 0)
        return -1;
    return add_row(l, "cpu", "cpu", &idle_row);
}

static int pids(const struct ns_limits *l)
{
    const cloister_value *object = ns_get(&l->c->r, l->resources, "pids");
    char path[NS_PATH_MAX];
    int64_t limit = -1;

    ns_limits_path(l, path, "pids.limit");
    if (l->c->r.value->i64(ns_get(&l->c->r, object, "limit"), &limit) == 0 && limit == 0)
        return ns_refuse(&l->c->r, CLOISTER_INVALID, path, "must be -1 (no limit) or at least 1");
    if (limit == -1 && ns_hierarchy_of(&l->c->machine->hierarchies, "pids") == NS_NO_HIERARCHY)
        return 0; /* no limit is what there is */
    return add_row(l, "pids", "pids", &pids_row);
}

static int limits(const struct ns_limits *l)
{
    static int (*const members[])(const struct ns_limits *l) = {memory,
                                                                cpu,
                                                                pids,
                                                                ns_compile_block_io,
                                                                ns_compile_huge_pages,
                                                                ns_compile_network,
                                                                ns_compile_rdma,
                                                                ns_compile_unified};

    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
        if (members[i](l) < 0)
            return -1;
    return 0;
}

int ns_compile_limits(struct ns_compile *c, const cloister_value *spec)
{
    const struct ns_limits l = {c, ns_get(&c->r, ns_get(&c->r, spec, "linux"), "resources"), "linux.resources"};

    return ns_compile_device_rules(&l) < 0 ? -1 : limits(&l);
}

int ns_compile_resources(struct ns_compile *c, struct cloister_sv text, const char *base)
{
    cloister_value *resources = NULL;
    int rc;

    if (ns_parse(&c->r, text, base, &resources) < 0)
        return -1;
    rc = ns_check_resources(&c->r, resources, base);
    if (rc == 0) {
        const struct ns_limits l = {c, resources, base};

        if (ns_get(&c->r, resources, "devices") != NULL)
            rc = ns_compile_device_rules(&l);
        rc = rc < 0 ? rc : limits(&l);
    }
    c->r.value->free(resources);
    return rc;
}
