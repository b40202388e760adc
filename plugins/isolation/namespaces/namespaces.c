/* SPDX-License-Identifier: Apache-2.0 */
/*
 * namespaces.c - linux.namespaces, hostname, time offsets, sysctls: which namespaces are made, which are joined, and
 * what is set in the new ones. No entry means the host's, with two exceptions (design section 4): a bundle without
 * `pid` gets the sandbox's own outer pid namespace, one without `mount` is refused.
 */
#include "compile.h"

#include <linux/sched.h>
#include <stdio.h>
#include <time.h>

struct kind {
    const char *type;
    uint64_t flag;
    uint32_t join; /* enum cl_wire_ns */
    bool joinable;
};

/* A pid namespace can only be joined from above it, and the sandbox keeper is in one of its own; joining a mount
 * namespace would leave nothing of `root` and `mounts` to do. */
static const struct kind kinds[] = {
    {"mount", CLONE_NEWNS, CL_WIRE_NS_MOUNT, false},      {"pid", CLONE_NEWPID, CL_WIRE_NS_PID, false},
    {"network", CLONE_NEWNET, CL_WIRE_NS_NET, true},      {"ipc", CLONE_NEWIPC, CL_WIRE_NS_IPC, true},
    {"uts", CLONE_NEWUTS, CL_WIRE_NS_UTS, true},          {"user", CLONE_NEWUSER, CL_WIRE_NS_USER, true},
    {"cgroup", CLONE_NEWCGROUP, CL_WIRE_NS_CGROUP, true}, {"time", CLONE_NEWTIME, CL_WIRE_NS_TIME, true},
};

static const struct kind *find_kind(struct cloister_sv type)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (ns_equal(type, kinds[i].type))
            return &kinds[i];
    return NULL;
}

static int join(struct ns_compile *c, const struct kind *kind, struct cloister_sv file, const char *path)
{
    uint32_t index;

    if (!kind->joinable)
        return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, path, "a %s namespace cannot be joined by path", kind->type);
    if (ns_check_inner_path(&c->r, file, path) < 0)
        return -1;
    index = ns_need_path(c, NS_NEED_NAMESPACE, file, path);
    if (index == CL_WIRE_NO_FD)
        return -1;
    c->needs[index].type = (uint32_t)kind->flag;
    c->plan.head.ns_join[kind->join] = index;
    return 0;
}

static int one_namespace(struct ns_compile *c, const cloister_value *entry, uint64_t i)
{
    struct cloister_sv type = ns_get_string(&c->r, entry, "type");
    const struct kind *kind = find_kind(type);
    char path[NS_PATH_MAX];

    snprintf(path, sizeof(path), "linux.namespaces[%llu].type", (unsigned long long)i);
    if (kind == NULL)
        return ns_refuse_at(&c->r, CLOISTER_INVALID, path, "'%.*s' is no namespace",
                            (int)(type.size < 32 ? type.size : 32), type.data);
    if (ns_has_new(c, kind->flag) || c->plan.head.ns_join[kind->join] != CL_WIRE_NO_FD)
        return ns_refuse_at(&c->r, CLOISTER_INVALID, path, "'%s' is listed twice", kind->type);
    if (c->join_ns & kind->flag)
        return ns_refuse_at(&c->r, CLOISTER_INVALID, path, "'%s' is shared with another container", kind->type);
    snprintf(path, sizeof(path), "linux.namespaces[%llu].path", (unsigned long long)i);
    if (ns_get(&c->r, entry, "path") != NULL)
        return join(c, kind, ns_get_string(&c->r, entry, "path"), path);
    c->plan.head.ns_new |= kind->flag;
    return 0;
}

static int names(struct ns_compile *c, const cloister_value *spec)
{
    static const char *const keys[] = {"hostname", "domainname"};
    cl_wire_str *const targets[] = {&c->plan.head.hostname, &c->plan.head.domainname};

    for (size_t i = 0; i < 2; i++) {
        struct cloister_sv text = ns_get_string(&c->r, spec, keys[i]);

        if (text.size == 0)
            continue;
        if (!ns_has_new(c, CLONE_NEWUTS))
            return ns_refuse(&c->r, CLOISTER_INVALID, keys[i], "needs a uts namespace of its own");
        if (text.size > 64)
            return ns_refuse(&c->r, CLOISTER_INVALID, keys[i], "is longer than 64 bytes");
        for (uint64_t b = 0; b < text.size; b++)
            if ((unsigned char)text.data[b] <= 0x20 || text.data[b] == 0x7f)
                return ns_refuse(&c->r, CLOISTER_INVALID, keys[i], "contains a space or control character");
        *targets[i] = cl_plan_string(&c->plan, text.data, text.size);
    }
    return 0;
}

static int time_offsets(struct ns_compile *c, const cloister_value *linux_part)
{
    static const struct {
        const char *key;
        uint32_t clock;
    } clocks[] = {{"monotonic", CLOCK_MONOTONIC}, {"boottime", CLOCK_BOOTTIME}};
    cloister_value *offsets = ns_get(&c->r, linux_part, "timeOffsets");

    if (offsets == NULL || c->r.value->count(offsets) == 0)
        return 0;
    if (!ns_has_new(c, CLONE_NEWTIME))
        return ns_refuse(&c->r, CLOISTER_INVALID, "linux.timeOffsets", "needs a time namespace of its own");
    for (size_t i = 0; i < 2; i++) {
        cloister_value *one = ns_get(&c->r, offsets, clocks[i].key);
        struct cl_wire_time_offset item = {.clock = clocks[i].clock};
        char base[NS_PATH_MAX];

        if (one == NULL)
            continue;
        snprintf(base, sizeof(base), "linux.timeOffsets.%s", clocks[i].key);
        if (ns_get_i64(&c->r, one, "secs", base, -4000000000, 4000000000, &item.seconds) < 0 ||
            ns_get_i64(&c->r, one, "nanosecs", base, 0, 999999999, &item.nanoseconds) < 0)
            return -1;
        cl_plan_add(&c->plan, CL_WIRE_TIME, &item);
    }
    return 0;
}

/* Which namespace holds a sysctl, 0 if it is the whole machine's. The names are those the kernel registers per
 * namespace. */
static uint64_t sysctl_namespace(const char *key)
{
    static const struct {
        const char *prefix;
        uint64_t flag;
    } owners[] = {{"net/", CLONE_NEWNET},
                  {"fs/mqueue/", CLONE_NEWIPC},
                  {"kernel/msg", CLONE_NEWIPC},
                  {"kernel/shm", CLONE_NEWIPC},
                  {"kernel/sem", CLONE_NEWIPC},
                  {"kernel/auto_msgmni", CLONE_NEWIPC},
                  {"kernel/domainname", CLONE_NEWUTS}};

    for (size_t i = 0; i < sizeof(owners) / sizeof(*owners); i++)
        if (strncmp(key, owners[i].prefix, strlen(owners[i].prefix)) == 0)
            return owners[i].flag;
    return 0;
}

/* "net.ipv4.ip_forward" to "net/ipv4/ip_forward"; with the first separator a slash, the text is a path already. */
static bool sysctl_path(struct cloister_sv key, char *ret, size_t size)
{
    bool dotted = true;

    if (key.size == 0 || key.size >= size)
        return false;
    for (uint64_t i = 0; i < key.size; i++) {
        if (key.data[i] == '/' || key.data[i] == '.') {
            dotted = key.data[i] == '.';
            break;
        }
    }
    for (uint64_t i = 0; i < key.size; i++) {
        char byte = key.data[i];
        bool word = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
                    byte == '_' || byte == '-';

        if (!word && byte != '.' && byte != '/')
            return false;
        ret[i] = !word && dotted ? (byte == '.' ? '/' : '.') : byte;
    }
    ret[key.size] = 0;
    return ret[0] != '/' && strstr(ret, "..") == NULL && strstr(ret, "//") == NULL;
}

static int sysctls(struct ns_compile *c, const cloister_value *linux_part)
{
    cloister_value *map = ns_get(&c->r, linux_part, "sysctl"), *value;
    struct cloister_sv key, text;

    for (uint64_t i = 0; (value = c->r.value->at(map, i, &key)) != NULL; i++) {
        struct cl_wire_sysctl item = {0};
        char name[128], path[NS_PATH_MAX];
        uint64_t owner;

        snprintf(path, sizeof(path), "linux.sysctl.%.*s", (int)(key.size < 128 ? key.size : 128), key.data);
        if (!sysctl_path(key, name, sizeof(name)))
            return ns_refuse(&c->r, CLOISTER_INVALID, path, "is not the name of a sysctl");
        owner = sysctl_namespace(name);
        if (owner == 0)
            return ns_refuse(&c->r, CLOISTER_DENIED, path, "belongs to the whole machine, not to a namespace");
        if (!ns_has_new(c, owner))
            return ns_refuse(&c->r, CLOISTER_INVALID, path, "needs a namespace of its own");
        c->r.value->string(value, &text);
        if (text.size > 4096 || memchr(text.data, '\n', text.size))
            return ns_refuse(&c->r, CLOISTER_INVALID, path, "has a value that is too long or holds a newline");
        item.key = cl_plan_cstring(&c->plan, name);
        item.value = cl_plan_string(&c->plan, text.data, text.size);
        cl_plan_add(&c->plan, CL_WIRE_SYSCTLS, &item);
    }
    return 0;
}

int ns_compile_namespaces(struct ns_compile *c, const cloister_value *spec)
{
    cloister_value *linux_part = ns_get(&c->r, spec, "linux");
    cloister_value *list = ns_get(&c->r, linux_part, "namespaces"), *entry;

    for (uint64_t i = 0; (entry = c->r.value->at(list, i, NULL)) != NULL; i++)
        if (one_namespace(c, entry, i) < 0)
            return -1;
    if (!ns_has_new(c, CLONE_NEWNS))
        return ns_refuse(&c->r, CLOISTER_UNSUPPORTED, "linux.namespaces",
                         "has no mount namespace: a container needs its own");
    c->plan.head.join_container = c->join;
    c->plan.head.join_ns = c->join_ns;
    if (ns_has_new(c, CLONE_NEWNET))
        c->plan.head.flags |= CL_WIRE_PLAN_LOOPBACK;
    if (names(c, spec) < 0 || time_offsets(c, linux_part) < 0)
        return -1;
    return sysctls(c, linux_part);
}
