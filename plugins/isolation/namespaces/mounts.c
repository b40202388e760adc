/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mounts.c - the spec's `mounts`, one by one: option words become mount attributes, propagation, or key and value for
 * fsconfig (separately, so that a comma in a value stays a comma); bind sources become descriptors that a worker opens.
 *
 * A bind keeps the flags that its source has on the host (nosuid, ro, ...) and adds those asked for: `rw` or `suid` in
 * the list only take back an earlier `ro` or `nosuid` of the same list. Inside a user namespace the kernel demands it,
 * elsewhere we do.
 */
#include "compile.h"

#include <linux/mount.h>
#include <linux/sched.h>
#include <stdio.h>
#include <sys/mount.h>

/* Words of one mount, collected. */
struct words {
    uint64_t set;
    uint64_t atime; /* MOUNT_ATTR__ATIME in attr_clr if an atime mode was named */
    uint64_t recursive_set;
    uint64_t recursive_atime;
    uint32_t propagation;
    bool bind;
    bool tree; /* rbind */
    struct cl_wire_option data[32];
    uint32_t data_count;
};

struct attribute {
    const char *word; /* "r" before it: recursive */
    uint64_t set;
    uint64_t clear;
    bool atime;
};

static const struct attribute attributes[] = {
    {"ro", MOUNT_ATTR_RDONLY, 0, false},
    {"rw", 0, MOUNT_ATTR_RDONLY, false},
    {"nosuid", MOUNT_ATTR_NOSUID, 0, false},
    {"suid", 0, MOUNT_ATTR_NOSUID, false},
    {"nodev", MOUNT_ATTR_NODEV, 0, false},
    {"dev", 0, MOUNT_ATTR_NODEV, false},
    {"noexec", MOUNT_ATTR_NOEXEC, 0, false},
    {"exec", 0, MOUNT_ATTR_NOEXEC, false},
    {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0, false},
    {"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW, false},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0, false},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME, false},
    {"relatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, true},
    {"atime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, true},
    {"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, true},
    {"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, true},
    {"nostrictatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, true},
};

static const struct {
    const char *word;
    uint32_t flags;
} propagations[] = {
    {"private", MS_PRIVATE},       {"rprivate", MS_PRIVATE | MS_REC},
    {"slave", MS_SLAVE},           {"rslave", MS_SLAVE | MS_REC},
    {"shared", MS_SHARED},         {"rshared", MS_SHARED | MS_REC},
    {"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE | MS_REC},
};

/* File systems that can be mounted afresh, and the keys each takes. */
static const struct {
    const char *type;
    const char *keys; /* separated and surrounded by spaces */
} file_systems[] = {
    {"proc", " hidepid gid subset "},
    {"sysfs", " "},
    {"tmpfs", " mode size nr_inodes nr_blocks uid gid huge noswap inode32 inode64 "},
    {"devpts", " mode gid uid ptmxmode newinstance max "},
    {"mqueue", " "},
    {"cgroup", " "},
    {"cgroup2", " "},
};

static bool apply_attribute(struct words *w, struct cloister_sv word)
{
    for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++) {
        const struct attribute *a = &attributes[i];
        bool recursive = word.size > 1 && word.data[0] == 'r' &&
                         ns_equal((struct cloister_sv){word.data + 1, word.size - 1}, a->word);
        uint64_t *set = recursive ? &w->recursive_set : &w->set;

        if (!recursive && !ns_equal(word, a->word))
            continue;
        *set = (*set & ~a->clear) | a->set;
        if (a->atime)
            *(recursive ? &w->recursive_atime : &w->atime) = MOUNT_ATTR__ATIME;
        return true;
    }
    return false;
}

static bool apply_word(struct words *w, struct cloister_sv word)
{
    for (size_t i = 0; i < sizeof(propagations) / sizeof(*propagations); i++) {
        if (ns_equal(word, propagations[i].word)) {
            w->propagation = propagations[i].flags;
            return true;
        }
    }
    if (ns_equal(word, "bind") || ns_equal(word, "rbind")) {
        w->bind = true;
        w->tree = word.data[0] == 'r';
        return true;
    }
    return ns_equal(word, "defaults") || ns_equal(word, "async") || apply_attribute(w, word);
}

static bool takes_key(struct cloister_sv type, struct cloister_sv key)
{
    char pattern[40];

    if (key.size == 0 || key.size > 32)
        return false;
    snprintf(pattern, sizeof(pattern), " %.*s ", (int)key.size, key.data);
    if (strlen(pattern) != key.size + 2 || memchr(key.data, ' ', key.size) != NULL)
        return false;
    for (size_t i = 0; i < sizeof(file_systems) / sizeof(*file_systems); i++)
        if (ns_equal(type, file_systems[i].type))
            return strstr(file_systems[i].keys, pattern) != NULL;
    return false;
}

static int data_word(struct ns_compile *c, struct words *w, struct cloister_sv type, struct cloister_sv word,
                     const char *path)
{
    const char *equals = word.size ? memchr(word.data, '=', word.size) : NULL;
    struct cloister_sv key = {word.data, equals ? (uint64_t)(equals - word.data) : word.size};
    struct cl_wire_option item = {.has_value = equals != NULL};

    if (!takes_key(type, key))
        return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, path, "mount option '%.*s' is not supported for type '%.*s'",
                            (int)(word.size < 64 ? word.size : 64), word.data, (int)(type.size < 32 ? type.size : 32),
                            type.data);
    for (uint64_t i = 0; i < word.size; i++)
        if ((unsigned char)word.data[i] < 0x20 || word.data[i] == 0x7f)
            return ns_refuse(&c->r, CLOISTER_INVALID, path, "contains a control character");
    if (w->data_count == sizeof(w->data) / sizeof(*w->data))
        return ns_refuse(&c->r, CLOISTER_LIMIT, path, "is one option too many");
    item.key = cl_plan_string(&c->plan, key.data, key.size);
    if (equals)
        item.value = cl_plan_string(&c->plan, equals + 1, word.size - key.size - 1);
    w->data[w->data_count++] = item;
    return 0;
}

static int collect(struct ns_compile *c, const cloister_value *mount, struct cloister_sv type, const char *base,
                   struct words *ret)
{
    cloister_value *list = ns_get(&c->r, mount, "options"), *entry;
    struct cloister_sv word;

    for (uint64_t i = 0; (entry = c->r.value->at(list, i, NULL)) != NULL; i++) {
        char path[NS_PATH_MAX];

        c->r.value->string(entry, &word);
        snprintf(path, sizeof(path), "%s.options[%llu]", base, (unsigned long long)i);
        if (!apply_word(ret, word) && data_word(c, ret, type, word, path) < 0)
            return -1;
    }
    /* One mount_setattr call says either "this mount" or "the whole tree". */
    if ((ret->recursive_set || ret->recursive_atime) &&
        ((ret->set & ~ret->recursive_set) || ret->atime != ret->recursive_atime)) {
        char path[NS_PATH_MAX];

        snprintf(path, sizeof(path), "%s.options", base);
        return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, path,
                            "recursive attributes cannot stand beside others of the same mount");
    }
    return 0;
}

struct cl_wire_mount ns_mount_model(uint32_t kind)
{
    return (struct cl_wire_mount){.kind = kind, .fd = CL_WIRE_NO_FD};
}

static void add_mount(struct ns_compile *c, struct cl_wire_mount *item, const struct words *w)
{
    if (w->recursive_set || w->recursive_atime)
        item->flags |= CL_WIRE_MOUNT_RECURSIVE;
    item->attr_set = w->set | w->recursive_set;
    item->attr_clr = w->atime | w->recursive_atime;
    item->propagation = w->propagation;
    item->option_first = (uint32_t)(c->plan.section[CL_WIRE_OPTIONS].size / sizeof(struct cl_wire_option));
    item->option_count = w->data_count;
    for (uint32_t i = 0; i < w->data_count; i++)
        cl_plan_add(&c->plan, CL_WIRE_OPTIONS, &w->data[i]);
    cl_plan_add(&c->plan, CL_WIRE_MOUNTS, item);
}

static int bind_mount(struct ns_compile *c, const cloister_value *mount, const struct words *w, const char *target,
                      const char *base)
{
    struct cl_wire_mount item = ns_mount_model(CL_WIRE_MOUNT_BIND);
    struct cloister_sv source = ns_get_string(&c->r, mount, "source");
    char path[NS_PATH_MAX];

    snprintf(path, sizeof(path), "%s.source", base);
    if (ns_check_inner_path(&c->r, source, path) < 0)
        return -1;
    item.fd = ns_need_path(c, NS_NEED_BIND, source, path);
    if (item.fd == CL_WIRE_NO_FD)
        return -1;
    c->needs[item.fd].recursive = w->tree;
    item.target = cl_plan_cstring(&c->plan, target);
    add_mount(c, &item, w);
    return 0;
}

static int check_type(struct ns_compile *c, struct cloister_sv type, const char *base)
{
    char path[NS_PATH_MAX];

    snprintf(path, sizeof(path), "%s.type", base);
    for (size_t i = 0; i < sizeof(file_systems) / sizeof(*file_systems); i++) {
        if (!ns_equal(type, file_systems[i].type))
            continue;
        if (ns_equal(type, "mqueue") && ns_in_userns(c) && !ns_has_new(c, CLONE_NEWIPC))
            return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, path,
                                "mqueue in a user namespace needs an ipc namespace of its own");
        return 0;
    }
    return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, path, "file system '%.*s' is not supported",
                        (int)(type.size < 32 ? type.size : 32), type.data);
}

static int fresh_mount(struct ns_compile *c, const cloister_value *mount, struct cloister_sv type,
                       const struct words *w, const char *target, const char *base)
{
    struct cl_wire_mount item = ns_mount_model(CL_WIRE_MOUNT_FS);
    struct cloister_sv source = ns_get_string(&c->r, mount, "source");

    if (check_type(c, type, base) < 0)
        return -1;
    if (ns_equal(type, "cgroup") || ns_equal(type, "cgroup2")) {
        item.attr_set = w->set;
        item.attr_clr = w->atime;
        item.propagation = w->propagation;
        if (w->recursive_set || w->recursive_atime)
            return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, base,
                                "recursive options are not supported for cgroup mounts");
        return ns_compile_cgroup_mount(c, &item, ns_equal(type, "cgroup2"), target, base);
    }
    for (uint64_t i = 0; i < source.size; i++)
        if ((unsigned char)source.data[i] < 0x20 || source.data[i] == 0x7f)
            return ns_refuse(&c->r, CLOISTER_INVALID, base, "has a control character in its source");
    item.target = cl_plan_cstring(&c->plan, target);
    item.type = cl_plan_string(&c->plan, type.data, type.size);
    item.source = source.size ? cl_plan_string(&c->plan, source.data, source.size) : item.type;
    add_mount(c, &item, w);
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
    struct words w = {0};

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
    w.bind = ns_equal(type, "bind");
    if (collect(c, mount, type, base, &w) < 0)
        return -1;
    if (w.bind)
        return bind_mount(c, mount, &w, target, base);
    if (strcmp(target, "/dev") == 0)
        c->own_devices = true;
    return fresh_mount(c, mount, type, &w, target, base);
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
    for (size_t i = 0; i < sizeof(propagations) / sizeof(*propagations); i++) {
        if (ns_equal(word, propagations[i].word)) {
            c->plan.head.root_propagation = propagations[i].flags;
            return 0;
        }
    }
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
