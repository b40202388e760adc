/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.c - linux.resources on v1 cgroups: which file of the sandbox's own group gets which text, in an order that a
 * fresh, unlimited group accepts (period before quota; memory before memory + swap, which must never be the smaller
 * one: H2.2.8).
 */
#include "compile.h"

#include <stdio.h>

/* A number for `file`, in the hierarchy of `controller`; -1 stays "-1", the kernel's own word for no limit. */
static int add_number(struct ns_compile *c, const char *controller, const char *file, int64_t number, const char *where)
{
    uint32_t h = ns_hierarchy_find(&c->machine->hierarchies, controller);

    if (h == NS_NO_HIERARCHY)
        return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, where, "this machine has no v1 %s hierarchy", controller);
    return ns_add_write(c, h, file, ns_format("%lld", (long long)number), where);
}

struct setting {
    const char *key;
    const char *file;
    int64_t min;
    int64_t max;
};

/* Writes those settings of the table that are present, in its order. */
static int add_settings(struct ns_compile *c, const cloister_value *object, const char *base, const char *controller,
                        const struct setting *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t number = 0;
        char path[NS_PATH_MAX];
        int found = ns_get_i64(&c->r, object, list[i].key, base, list[i].min, list[i].max, &number);

        snprintf(path, sizeof(path), "%s.%s", base, list[i].key);
        if (found < 0 || (found && add_number(c, controller, list[i].file, number, path) < 0))
            return -1;
    }
    return 0;
}

static int memory(struct ns_compile *c, const cloister_value *resources)
{
    static const struct setting settings[] = {
        {"limit", "memory.limit_in_bytes", -1, INT64_MAX},
        {"swap", "memory.memsw.limit_in_bytes", -1, INT64_MAX},
        {"reservation", "memory.soft_limit_in_bytes", -1, INT64_MAX},
        {"swappiness", "memory.swappiness", 0, 100},
    };
    const cloister_value *object = ns_get(&c->r, resources, "memory");
    const char *base = "linux.resources.memory";
    int64_t limit = -1, swap = -1;

    if (ns_get_i64(&c->r, object, "limit", base, -1, INT64_MAX, &limit) < 0 ||
        ns_get_i64(&c->r, object, "swap", base, -1, INT64_MAX, &swap) < 0)
        return -1;
    if (swap >= 0 && (limit < 0 || swap < limit))
        return ns_refuse(&c->r, CLOISTER_INVALID, "linux.resources.memory.swap",
                         "is the sum of memory and swap: it cannot be below 'limit'");
    return add_settings(c, object, base, "memory", settings, sizeof(settings) / sizeof(*settings));
}

static int cpu(struct ns_compile *c, const cloister_value *resources)
{
    static const struct setting settings[] = {
        {"shares", "cpu.shares", 2, 262144},
        {"period", "cpu.cfs_period_us", 1000, 1000000},
        {"quota", "cpu.cfs_quota_us", -1, INT64_MAX / 1000},
    };
    const cloister_value *object = ns_get(&c->r, resources, "cpu");
    int64_t quota = -1;

    if (ns_get_i64(&c->r, object, "quota", "linux.resources.cpu", -1, INT64_MAX / 1000, &quota) == 1 && quota >= 0 &&
        quota < 1000)
        return ns_refuse(&c->r, CLOISTER_INVALID, "linux.resources.cpu.quota",
                         "must be -1 or at least 1000 microseconds");
    return add_settings(c, object, "linux.resources.cpu", "cpu", settings, sizeof(settings) / sizeof(*settings));
}

/* "0-1,3": digits, commas and dashes; the kernel checks the rest. */
static int cpuset(struct ns_compile *c, const cloister_value *resources)
{
    static const char *const keys[] = {"cpus", "mems"}, *const files[] = {"cpuset.cpus", "cpuset.mems"};
    const cloister_value *object = ns_get(&c->r, resources, "cpu");
    uint32_t h = ns_hierarchy_find(&c->machine->hierarchies, "cpuset");

    for (size_t i = 0; i < 2; i++) {
        struct cloister_sv text = ns_get_string(&c->r, object, keys[i]);
        char path[NS_PATH_MAX];

        if (text.size == 0)
            continue;
        snprintf(path, sizeof(path), "linux.resources.cpu.%s", keys[i]);
        for (uint64_t b = 0; b < text.size; b++)
            if (memchr("0123456789,-", text.data[b], 12) == NULL || text.size > 1024)
                return ns_refuse(&c->r, CLOISTER_INVALID, path, "must be a list like '0-1,3'");
        if (h == NS_NO_HIERARCHY)
            return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, path, "this machine has no v1 cpuset hierarchy");
        if (ns_add_write(c, h, files[i], ns_dup(text), path) < 0)
            return -1;
    }
    return 0;
}

static int pids(struct ns_compile *c, const cloister_value *resources)
{
    const cloister_value *object = ns_get(&c->r, resources, "pids");
    const char *path = "linux.resources.pids.limit";
    uint32_t h = ns_hierarchy_find(&c->machine->hierarchies, "pids");
    int64_t limit = 0;

    if (object == NULL)
        return 0;
    if (ns_get_i64(&c->r, object, "limit", "linux.resources.pids", -1, 4194304, &limit) < 0)
        return -1;
    if (limit == 0)
        return ns_refuse(&c->r, CLOISTER_INVALID, path, "must be -1 (no limit) or at least 1");
    if (limit > 0)
        return add_number(c, "pids", "pids.max", limit, path);
    return h == NS_NO_HIERARCHY ? 0 : ns_add_write(c, h, "pids.max", strdup("max"), path);
}

static int limits(struct ns_compile *c, const cloister_value *resources)
{
    if (memory(c, resources) < 0 || cpuset(c, resources) < 0)
        return -1;
    return cpu(c, resources) < 0 || pids(c, resources) < 0 ? -1 : 0;
}

int ns_compile_limits(struct ns_compile *c, const cloister_value *spec)
{
    const cloister_value *resources = ns_get(&c->r, ns_get(&c->r, spec, "linux"), "resources");

    return ns_compile_device_rules(c, resources) < 0 ? -1 : limits(c, resources);
}

int ns_compile_resources(struct ns_compile *c, struct cloister_sv text, const char *base)
{
    cloister_value *resources = NULL;
    int rc;

    if (ns_parse(&c->r, text, base, &resources) < 0)
        return -1;
    rc = ns_check_resources(&c->r, resources, base);
    if (rc == 0 && ns_get(&c->r, resources, "devices") != NULL)
        rc = ns_compile_device_rules(c, resources);
    if (rc == 0)
        rc = limits(c, resources);
    c->r.value->free(resources);
    return rc;
}
