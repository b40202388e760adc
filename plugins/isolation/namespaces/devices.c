/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devices.c - device nodes. Where the spec mounts a file system of its own on /dev, the nodes and
 * links that the OCI text promises are made in it; `linux.devices` adds to them. Who may use which is in
 * device_rules.c.
 */
#include "compile.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct node {
    const char *path;
    uint32_t major;
    uint32_t minor;
};

static const struct node default_nodes[] = {
    {"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
    {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
};

static const struct {
    const char *path;
    const char *text;
} default_links[] = {
    {"/dev/fd", "/proc/self/fd"},       {"/dev/stdin", "/proc/self/fd/0"}, {"/dev/stdout", "/proc/self/fd/1"},
    {"/dev/stderr", "/proc/self/fd/2"}, {"/dev/core", "/proc/kcore"},      {"/dev/ptmx", "pts/ptmx"},
};

#define MAJOR_MAX 4095u
#define MINOR_MAX 1048575u

static bool is_base(uint32_t type, uint32_t major, uint32_t minor)
{
    for (size_t i = 0; i < sizeof(default_nodes) / sizeof(*default_nodes); i++)
        if (type == S_IFCHR && major == default_nodes[i].major && minor == default_nodes[i].minor)
            return true;
    return false;
}

static bool is_default_path(struct cloister_sv path)
{
    for (size_t i = 0; i < sizeof(default_nodes) / sizeof(*default_nodes); i++)
        if (ns_equal(path, default_nodes[i].path))
            return true;
    return false;
}

static int parse_type(struct ns_compile *c, const cloister_value *device, const char *base, uint32_t *ret)
{
    struct cloister_sv text = ns_get_string(&c->r, device, "type");
    char path[NS_PATH_MAX];

    *ret = ns_equal(text, "c") || ns_equal(text, "u") ? S_IFCHR
           : ns_equal(text, "b")                      ? S_IFBLK
           : ns_equal(text, "p")                      ? S_IFIFO
                                                      : 0;
    if (*ret)
        return 0;
    snprintf(path, sizeof(path), "%s.type", base);
    return ns_refuse(&c->r, CLOISTER_INVALID, path, "must be c, u, b or p");
}

/* Owner and mode; for a bind in a user namespace these are the host node's own, so that naming others is refused. */
static int owner_and_mode(struct ns_compile *c, const cloister_value *device, const char *base,
                          struct cl_wire_device *item)
{
    uint64_t mode = 0666, uid = 0, gid = 0;
    int named_mode = ns_get_u64(&c->r, device, "fileMode", base, 0177777, &mode);
    int named_uid = ns_get_u64(&c->r, device, "uid", base, UINT32_MAX - 1u, &uid);
    int named_gid = ns_get_u64(&c->r, device, "gid", base, UINT32_MAX - 1u, &gid);

    if (named_mode < 0 || named_uid < 0 || named_gid < 0)
        return -1;
    if (ns_in_userns(c) && (uid != 0 || gid != 0 || (named_mode && (mode & 07777u) != 0666)))
        return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, base,
                            "in a user namespace a device keeps owner and mode of the host's node");
    if (!ns_id_is_mapped(c, CL_WIRE_UID_MAP, (uint32_t)uid) || !ns_id_is_mapped(c, CL_WIRE_GID_MAP, (uint32_t)gid))
        return ns_refuse(&c->r, CLOISTER_INVALID, base, "has an owner that is not mapped");
    item->mode = (uint32_t)mode & 07777u;
    item->uid = (uint32_t)uid;
    item->gid = (uint32_t)gid;
    return 0;
}

/* In a user namespace nothing can be made with mknod: a device beyond the base set is the host's node of the same path.
 */
static int host_node(struct ns_compile *c, struct cloister_sv path, const char *base, struct cl_wire_device *item)
{
    struct ns_need *need;

    if (!ns_in_userns(c) || is_base(item->type, item->major, item->minor))
        return 0;
    if (item->type == S_IFIFO)
        return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, base, "a fifo cannot be supplied in a user namespace");
    item->fd = ns_need_path(c, NS_NEED_DEVICE, path, base);
    if (item->fd == CL_WIRE_NO_FD)
        return -1;
    need = &c->needs[item->fd];
    need->type = item->type;
    need->major = item->major;
    need->minor = item->minor;
    return 0;
}

static int one_device(struct ns_compile *c, const cloister_value *device, uint64_t i)
{
    struct cl_wire_device item = {.fd = CL_WIRE_NO_FD};
    struct cloister_sv path = ns_get_string(&c->r, device, "path");
    uint64_t major = 0, minor = 0;
    char base[64], where[NS_PATH_MAX];

    snprintf(base, sizeof(base), "linux.devices[%llu]", (unsigned long long)i);
    snprintf(where, sizeof(where), "%s.path", base);
    if (ns_check_inner_path(&c->r, path, where) < 0 || parse_type(c, device, base, &item.type) < 0 ||
        ns_get_u64(&c->r, device, "major", base, MAJOR_MAX, &major) < 0 ||
        ns_get_u64(&c->r, device, "minor", base, MINOR_MAX, &minor) < 0)
        return -1;
    if (item.type != S_IFIFO && (ns_get(&c->r, device, "major") == NULL || ns_get(&c->r, device, "minor") == NULL))
        return ns_refuse(&c->r, CLOISTER_INVALID, base, "needs major and minor");
    if (c->own_devices && is_default_path(path))
        return is_base(item.type, (uint32_t)major, (uint32_t)minor)
                   ? 0 /* the same node as the one supplied anyway */
                   : ns_refuse(&c->r, CLOISTER_INVALID, where, "is the path of another default device");
    item.major = (uint32_t)major;
    item.minor = (uint32_t)minor;
    if (owner_and_mode(c, device, base, &item) < 0 || host_node(c, path, base, &item) < 0)
        return -1;
    item.path = cl_plan_string(&c->plan, path.data, path.size);
    cl_plan_add(&c->plan, CL_WIRE_DEVICES, &item);
    return 0;
}

static void add_defaults(struct ns_compile *c)
{
    for (size_t i = 0; i < sizeof(default_nodes) / sizeof(*default_nodes); i++) {
        struct cl_wire_device item = {.type = S_IFCHR,
                                      .major = default_nodes[i].major,
                                      .minor = default_nodes[i].minor,
                                      .mode = 0666,
                                      .fd = CL_WIRE_NO_FD};

        item.path = cl_plan_cstring(&c->plan, default_nodes[i].path);
        cl_plan_add(&c->plan, CL_WIRE_DEVICES, &item);
    }
    for (size_t i = 0; i < sizeof(default_links) / sizeof(*default_links); i++) {
        struct cl_wire_link item;

        /* Only what is there is linked to: not every kernel has /proc/kcore. */
        if (default_links[i].text[0] == '/' && access(default_links[i].text, F_OK) < 0)
            continue;
        item.path = cl_plan_cstring(&c->plan, default_links[i].path);
        item.text = cl_plan_cstring(&c->plan, default_links[i].text);
        cl_plan_add(&c->plan, CL_WIRE_LINKS, &item);
    }
}

int ns_compile_devices(struct ns_compile *c, const cloister_value *spec)
{
    cloister_value *list = ns_get(&c->r, ns_get(&c->r, spec, "linux"), "devices"), *entry;

    if (c->own_devices)
        add_defaults(c);
    for (uint64_t i = 0; (entry = c->r.value->at(list, i, NULL)) != NULL; i++)
        if (one_device(c, entry, i) < 0)
            return -1;
    return 0;
}
