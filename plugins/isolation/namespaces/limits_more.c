/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits_more.c - linux.resources beyond memory, cpu and pids. What a caller's string becomes part of a file's name or
 * of a line in it is looked at byte by byte (H1.1.18).
 */
#include <ctype.h>
#include <stdio.h>

#include "limits.h"

#define DEVICE_MAX 4294967295ull /* major, minor */

/* --- block devices --- */

uint32_t ns_io_weight_of(uint64_t weight)
{
    return (uint32_t)(1 + (weight - 10) * 9999 / 990);
}

uint64_t ns_blkio_weight_of(uint64_t io_weight)
{
    return 10 + ((io_weight - 1) * 990 + 9998) / 9999;
}

struct throttle {
    const char *key;
    const char *v1;
    const char *v2; /* key in io.max */
};

static const struct throttle throttles[] = {
    {"throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps"},
    {"throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps"},
    {"throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops"},
    {"throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops"},
};

/* "8:0" of an element that is called `base`. */
static int device_number(const struct ns_limits *l, const cloister_value *device, const char *base, char *ret,
                         size_t size)
{
    uint64_t major = 0, minor = 0;

    if (ns_get_u64(&l->c->r, device, "major", base, DEVICE_MAX, &major) < 0 ||
        ns_get_u64(&l->c->r, device, "minor", base, DEVICE_MAX, &minor) < 0)
        return -1;
    snprintf(ret, size, "%llu:%llu", (unsigned long long)major, (unsigned long long)minor);
    return 0;
}

/* A rate of 0 is no limit: v1 says so itself, v2 wants "max". */
static int throttle(const struct ns_limits *l, const struct throttle *kind)
{
    cloister_value *list = ns_get(&l->c->r, ns_get(&l->c->r, l->resources, "blockIO"), kind->key), *entry;

    for (uint64_t i = 0; (entry = l->c->r.value->at(list, i, NULL)) != NULL; i++) {
        char base[NS_PATH_MAX], device[48], number[32] = "max";
        uint64_t rate = 0;
        uint32_t h;
        bool v2;

        ns_limits_path(l, base, "blockIO.%s[%llu]", kind->key, (unsigned long long)i);
        if (device_number(l, entry, base, device, sizeof(device)) < 0 ||
            ns_get_u64(&l->c->r, entry, "rate", base, UINT64_MAX, &rate) < 0)
            return -1;
        h = ns_limits_hierarchy(l, "blkio", "io", base, &v2);
        if (h == NS_NO_HIERARCHY)
            return -1;
        if (rate > 0 || !v2)
            snprintf(number, sizeof(number), "%llu", (unsigned long long)rate);
        if (ns_add_write(l->c, h, v2 ? "io.max" : kind->v1,
                         v2 ? ns_format("%s %s=%s", device, kind->v2, number) : ns_format("%s %s", device, number),
                         base) < 0 ||
            ns_set_none(l->c, v2 ? ns_format("%s %s=max", device, kind->v2) : ns_format("%s 0", device)) < 0)
            return -1;
    }
    return 0;
}

/* device: "8:0", or NULL for the group's own. */
static int weight(const struct ns_limits *l, const cloister_value *object, const char *base, const char *device)
{
    const struct ns_machine *machine = l->c->machine;
    char path[NS_PATH_MAX + 16];
    uint64_t number = 0;
    uint32_t h;
    bool v2;
    int found = ns_get_u64(&l->c->r, object, "weight", base, 1000, &number);

    snprintf(path, sizeof(path), "%s.weight", base);
    if (found <= 0)
        return found;
    if (number < 10)
        return ns_refuse(&l->c->r, CLOISTER_INVALID, path, "must be an integer from 10 to 1000");
    h = ns_limits_hierarchy(l, "blkio", "io", path, &v2);
    if (h == NS_NO_HIERARCHY)
        return -1;
    if (machine->io_weight == NULL)
        return ns_refuse_at(&l->c->r, CLOISTER_UNSUPPORTED, path, "this machine's kernel has no weights for devices");
    if (strcmp(machine->io_weight, "io.weight") == 0)
        number = ns_io_weight_of(number);
    if (device == NULL)
        return ns_add_write(l->c, h, machine->io_weight, ns_format("%llu", (unsigned long long)number), path);
    return ns_add_write(l->c, h, machine->io_weight_device, ns_format("%s %llu", device, (unsigned long long)number),
                        path) < 0
               ? -1
               : ns_set_none(l->c, ns_format(v2 ? "%s default" : "%s 0", device));
}

int ns_compile_block_io(const struct ns_limits *l)
{
    const cloister_value *object = ns_get(&l->c->r, l->resources, "blockIO");
    cloister_value *list = ns_get(&l->c->r, object, "weightDevice"), *entry;
    char base[NS_PATH_MAX], device[48];

    ns_limits_path(l, base, "blockIO");
    if (weight(l, object, base, NULL) < 0)
        return -1;
    for (uint64_t i = 0; (entry = l->c->r.value->at(list, i, NULL)) != NULL; i++) {
        ns_limits_path(l, base, "blockIO.weightDevice[%llu]", (unsigned long long)i);
        if (device_number(l, entry, base, device, sizeof(device)) < 0 || weight(l, entry, base, device) < 0)
            return -1;
    }
    for (size_t i = 0; i < sizeof(throttles) / sizeof(*throttles); i++)
        if (throttle(l, &throttles[i]) < 0)
            return -1;
    return 0;
}

/* --- huge pages --- */

static bool has_pages(const struct ns_machine *machine, struct cloister_sv size)
{
    for (uint32_t i = 0; i < machine->huge_count; i++)
        if (ns_equal(size, machine->huge_pages[i]))
            return true;
    return false;
}

int ns_compile_huge_pages(const struct ns_limits *l)
{
    cloister_value *list = ns_get(&l->c->r, l->resources, "hugepageLimits"), *entry;

    for (uint64_t i = 0; (entry = l->c->r.value->at(list, i, NULL)) != NULL; i++) {
        struct cloister_sv size = ns_get_string(&l->c->r, entry, "pageSize");
        NS_FREE char *file = NULL;
        char base[NS_PATH_MAX], path[NS_PATH_MAX];
        uint64_t limit = 0;
        uint32_t h;
        bool v2;

        ns_limits_path(l, base, "hugepageLimits[%llu]", (unsigned long long)i);
        ns_limits_path(l, path, "hugepageLimits[%llu].pageSize", (unsigned long long)i);
        h = ns_limits_hierarchy(l, "hugetlb", "hugetlb", base, &v2);
        if (h == NS_NO_HIERARCHY || ns_get_u64(&l->c->r, entry, "limit", base, UINT64_MAX, &limit) < 0)
            return -1;
        if (!has_pages(l->c->machine, size))
            return ns_refuse_at(&l->c->r, CLOISTER_UNSUPPORTED, path, "this machine has no huge pages of that size");
        file = ns_format(v2 ? "hugetlb.%.*s.max" : "hugetlb.%.*s.limit_in_bytes", (int)size.size, size.data);
        if (file == NULL)
            return ns_no_memory(&l->c->r);
        if (ns_add_write(l->c, h, file,
                         limit > INT64_MAX ? strdup(v2 ? "max" : "-1") : ns_format("%llu", (unsigned long long)limit),
                         base) < 0)
            return -1;
    }
    return 0;
}

/* --- network --- */

static bool interface_ok(struct cloister_sv name)
{
    if (name.size == 0 || name.size > 15)
        return false;
    for (uint64_t i = 0; i < name.size; i++)
        if (name.data[i] == '/' || !isgraph((unsigned char)name.data[i]))
            return false;
    return true;
}

static int priorities(const struct ns_limits *l, const cloister_value *object)
{
    cloister_value *list = ns_get(&l->c->r, object, "priorities"), *entry;

    for (uint64_t i = 0; (entry = l->c->r.value->at(list, i, NULL)) != NULL; i++) {
        struct cloister_sv name = ns_get_string(&l->c->r, entry, "name");
        char base[NS_PATH_MAX], path[NS_PATH_MAX];
        uint64_t priority = 0;
        uint32_t h;
        bool v2;

        ns_limits_path(l, base, "network.priorities[%llu]", (unsigned long long)i);
        ns_limits_path(l, path, "network.priorities[%llu].name", (unsigned long long)i);
        if (ns_get_u64(&l->c->r, entry, "priority", base, UINT32_MAX, &priority) < 0)
            return -1;
        if (!interface_ok(name))
            return ns_refuse(&l->c->r, CLOISTER_INVALID, path, "is no network interface's name");
        h = ns_limits_hierarchy(l, "net_prio", NULL, base, &v2);
        if (h == NS_NO_HIERARCHY ||
            ns_add_write(l->c, h, "net_prio.ifpriomap",
                         ns_format("%.*s %llu", (int)name.size, name.data, (unsigned long long)priority), base) < 0 ||
            ns_set_none(l->c, ns_format("%.*s 0", (int)name.size, name.data)) < 0)
            return -1;
    }
    return 0;
}

int ns_compile_network(const struct ns_limits *l)
{
    const cloister_value *object = ns_get(&l->c->r, l->resources, "network");
    char base[NS_PATH_MAX], path[NS_PATH_MAX];
    uint64_t class = 0;
    uint32_t h;
    bool v2;
    int found;

    ns_limits_path(l, base, "network");
    ns_limits_path(l, path, "network.classID");
    found = ns_get_u64(&l->c->r, object, "classID", base, UINT32_MAX, &class);
    if (found < 0)
        return -1;
    if (found) {
        h = ns_limits_hierarchy(l, "net_cls", NULL, path, &v2);
        if (h == NS_NO_HIERARCHY ||
            ns_add_write(l->c, h, "net_cls.classid", ns_format("%llu", (unsigned long long)class), path) < 0)
            return -1;
    }
    return priorities(l, object);
}

/* --- rdma --- */

static bool word_ok(struct cloister_sv word, const char *extra)
{
    if (word.size == 0 || word.size > 64)
        return false;
    for (uint64_t i = 0; i < word.size; i++)
        if (!isalnum((unsigned char)word.data[i]) && strchr(extra, word.data[i]) == NULL)
            return false;
    return true;
}

static int rdma_number(const struct ns_limits *l, const cloister_value *entry, const char *key, const char *base,
                       char *ret, size_t size)
{
    uint64_t number = 0;
    int found = ns_get_u64(&l->c->r, entry, key, base, INT32_MAX, &number);

    if (found == 0)
        snprintf(ret, size, "max");
    else
        snprintf(ret, size, "%llu", (unsigned long long)number);
    return found;
}

int ns_compile_rdma(const struct ns_limits *l)
{
    cloister_value *object = ns_get(&l->c->r, l->resources, "rdma"), *entry;
    struct cloister_sv name;

    for (uint64_t i = 0; (entry = l->c->r.value->at(object, i, &name)) != NULL; i++) {
        char base[NS_PATH_MAX], handles[32], objects[32];
        uint32_t h;
        bool v2;

        ns_limits_path(l, base, "rdma.%.*s", (int)(name.size < 64 ? name.size : 64), name.data);
        if (!word_ok(name, "_-."))
            return ns_refuse(&l->c->r, CLOISTER_INVALID, base, "is no device's name");
        h = ns_limits_hierarchy(l, "rdma", "rdma", base, &v2);
        if (h == NS_NO_HIERARCHY || rdma_number(l, entry, "hcaHandles", base, handles, sizeof(handles)) < 0 ||
            rdma_number(l, entry, "hcaObjects", base, objects, sizeof(objects)) < 0 ||
            ns_add_write(l->c, h, "rdma.max",
                         ns_format("%.*s hca_handle=%s hca_object=%s", (int)name.size, name.data, handles, objects),
                         base) < 0 ||
            ns_set_none(l->c, ns_format("%.*s hca_handle=max hca_object=max", (int)name.size, name.data)) < 0)
            return -1;
    }
    return 0;
}

/* --- unified --- */

/* "memory.high": of a controller that v2 has here, and no file of the core, which are ours to write. */
static bool key_ok(const struct ns_hierarchies *all, uint32_t v2, struct cloister_sv key)
{
    char controller[32];
    const char *dot = key.size ? memchr(key.data, '.', key.size) : NULL;

    if (dot == NULL || !word_ok(key, "._-") || (size_t)(dot - key.data) >= sizeof(controller))
        return false;
    snprintf(controller, sizeof(controller), "%.*s", (int)(dot - key.data), key.data);
    return *controller && dot[1] != 0 && v2 != NS_NO_HIERARCHY && ns_hierarchy_has(&all->list[v2], controller);
}

static bool value_ok(struct cloister_sv value)
{
    for (uint64_t i = 0; i < value.size; i++)
        if ((unsigned char)value.data[i] < 0x20 || value.data[i] == 0x7f)
            return false;
    return value.size > 0 && value.size < 4096;
}

int ns_compile_unified(const struct ns_limits *l)
{
    const struct ns_hierarchies *all = &l->c->machine->hierarchies;
    cloister_value *object = ns_get(&l->c->r, l->resources, "unified"), *entry;
    uint32_t v2 = ns_hierarchy_find(all, "");
    struct cloister_sv key;

    for (uint64_t i = 0; (entry = l->c->r.value->at(object, i, &key)) != NULL; i++) {
        struct cloister_sv value = {"", 0};
        NS_FREE char *file = ns_dup(key);
        char base[NS_PATH_MAX];

        ns_limits_path(l, base, "unified.%.*s", (int)(key.size < 64 ? key.size : 64), key.data);
        if (!key_ok(all, v2, key))
            return ns_refuse(&l->c->r, CLOISTER_UNSUPPORTED, base,
                             "is no file of a controller that cgroup v2 has on this machine");
        l->c->r.value->string(entry, &value);
        if (!value_ok(value))
            return ns_refuse(&l->c->r, CLOISTER_INVALID, base, "must be one line of text");
        if (file == NULL)
            return ns_no_memory(&l->c->r);
        if (ns_add_write(l->c, v2, file, ns_dup(value), base) < 0)
            return -1;
    }
    return 0;
}
