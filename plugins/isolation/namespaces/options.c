/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c - what a mount's option words mean: attributes of the mount, flags and parameters of its file system (key
 * and value apart, so that a comma in a value stays a comma), propagation, what kind of mount it is. Every word of the
 * OCI's list is in a table here, and refused with its reason if it is not carried out.
 */
#include "options.h"

#include <linux/mount.h>
#include <stdio.h>
#include <sys/mount.h>

/* "r" before it: of the whole tree. */
static const struct {
    const char *word;
    uint64_t set;
    uint64_t clear;
} attributes[] = {
    {"ro", MOUNT_ATTR_RDONLY, 0},
    {"rw", 0, MOUNT_ATTR_RDONLY},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},
    {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV, 0},
    {"dev", 0, MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},
    {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
    {"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME},
};

/* Modes exclude each other; the word that takes one back leaves the mount with whatever it has without any. */
static const struct {
    const char *word;
    uint64_t mode;
    bool takes_back;
} atimes[] = {
    {"relatime", MOUNT_ATTR_RELATIME, false},       {"norelatime", MOUNT_ATTR_RELATIME, true},
    {"noatime", MOUNT_ATTR_NOATIME, false},         {"atime", MOUNT_ATTR_NOATIME, true},
    {"strictatime", MOUNT_ATTR_STRICTATIME, false}, {"nostrictatime", MOUNT_ATTR_STRICTATIME, true},
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

/* Flags of the file system, which a bind shares with its source and cannot have for itself. `undo` takes an earlier one
 * back, which is all that the words of a default have to do. */
static const struct {
    const char *word;
    const char *undo;
} flags[] = {
    {"sync", "async"},
    {"dirsync", NULL},
    {"lazytime", "nolazytime"},
};

/* What the file systems below do anyway: they are silent, and know neither mandatory locks nor versions of inodes. */
static const char *const no_effect[] = {"defaults", "silent", "loud", "nomand", "noiversion"};

static const struct {
    const char *word;
    const char *why;
} refused[] = {
    {"mand", "the kernel has no mandatory locks any more"},
    {"iversion", "no file system that can be mounted here counts versions"},
    {"tmpcopyup", "nothing is copied into a tmpfs"},
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

#define LENGTH(table) (sizeof(table) / sizeof(*(table)))

/* One word being read. */
struct reading {
    struct ns_compile *c;
    struct ns_options *ret;
    struct cloister_sv type;
    uint32_t flags; /* bit i: flags[i] */
};

static bool apply_plain(struct ns_attributes *a, struct cloister_sv word)
{
    for (size_t i = 0; i < LENGTH(attributes); i++) {
        if (!ns_equal(word, attributes[i].word))
            continue;
        a->set = (a->set & ~attributes[i].clear) | attributes[i].set;
        a->taken_back = (a->taken_back & ~attributes[i].set) | attributes[i].clear;
        return a->any = true;
    }
    return false;
}

static bool apply_atime(struct ns_attributes *a, struct cloister_sv word)
{
    for (size_t i = 0; i < LENGTH(atimes); i++) {
        if (!ns_equal(word, atimes[i].word))
            continue;
        if (!atimes[i].takes_back) {
            a->mode = atimes[i].mode;
            a->moded = true;
        } else if (a->moded && a->mode == atimes[i].mode) {
            a->mode = 0;
            a->moded = false;
        }
        a->taken_back = atimes[i].takes_back ? a->taken_back | MOUNT_ATTR__ATIME : a->taken_back;
        return a->any = true;
    }
    return false;
}

/* In a mount that is alone there is no tree: both kinds of words are about it. */
static bool apply_attribute(struct ns_options *o, struct cloister_sv word)
{
    struct cloister_sv rest = {word.data + 1, word.size ? word.size - 1 : 0};
    struct ns_attributes *tree = o->whole || o->remount ? &o->tree : &o->top;

    if (apply_plain(&o->top, word) || apply_atime(&o->top, word))
        return true;
    return word.size > 1 && word.data[0] == 'r' && (apply_plain(tree, rest) || apply_atime(tree, rest));
}

uint32_t ns_options_propagation(struct cloister_sv word)
{
    for (size_t i = 0; i < LENGTH(propagations); i++)
        if (ns_equal(word, propagations[i].word))
            return propagations[i].flags;
    return 0;
}

bool ns_options_knows_type(struct cloister_sv type)
{
    for (size_t i = 0; i < LENGTH(file_systems); i++)
        if (ns_equal(type, file_systems[i].type))
            return true;
    return false;
}

/* Words that say what kind of mount it is, on which the meaning of others depends. */
static const char *const kinds[] = {"bind", "rbind", "remount", "idmap", "ridmap"};

static bool is_one_of(struct cloister_sv word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ns_equal(word, list[i]))
            return true;
    return false;
}

static void apply_kind(struct ns_options *o, struct cloister_sv word)
{
    o->bind |= ns_equal(word, "bind") || ns_equal(word, "rbind");
    o->whole |= ns_equal(word, "rbind");
    o->remount |= ns_equal(word, "remount");
    o->idmap |= ns_equal(word, "idmap") || ns_equal(word, "ridmap");
    o->idmap_whole |= ns_equal(word, "ridmap");
}

/* 1 it was one, 0 it was not, -1 refused. */
static int apply_flag(struct reading *on, struct cloister_sv word, const char *path)
{
    bool own = !on->ret->bind && !on->ret->remount && !ns_equal(on->type, "cgroup") && !ns_equal(on->type, "cgroup2");

    for (size_t i = 0; i < LENGTH(flags); i++) {
        if (flags[i].undo && ns_equal(word, flags[i].undo)) {
            on->flags &= ~(1u << i);
            return 1;
        }
        if (!ns_equal(word, flags[i].word))
            continue;
        if (!own)
            return ns_refuse_at(&on->c->r, CLOISTER_UNSUPPORTED, path,
                                "'%s' is a flag of the file system, which this mount does not make", flags[i].word);
        on->flags |= 1u << i;
        return 1;
    }
    return 0;
}

static bool takes_key(struct cloister_sv type, struct cloister_sv key)
{
    char pattern[40];

    if (key.size == 0 || key.size > 32)
        return false;
    snprintf(pattern, sizeof(pattern), " %.*s ", (int)key.size, key.data);
    if (strlen(pattern) != key.size + 2 || memchr(key.data, ' ', key.size) != NULL)
        return false;
    for (size_t i = 0; i < LENGTH(file_systems); i++)
        if (ns_equal(type, file_systems[i].type))
            return strstr(file_systems[i].keys, pattern) != NULL;
    return false;
}

static int add_data(struct reading *on, struct cloister_sv key, const char *value, uint64_t value_size,
                    const char *path)
{
    struct cl_wire_option item = {.has_value = value != NULL};

    if (on->ret->data_count == NS_OPTION_DATA_MAX)
        return ns_refuse(&on->c->r, CLOISTER_LIMIT, path, "is one option too many");
    item.key = cl_plan_string(&on->c->plan, key.data, key.size);
    if (value)
        item.value = cl_plan_string(&on->c->plan, value, value_size);
    on->ret->data[on->ret->data_count++] = item;
    return 0;
}

static int data_word(struct reading *on, struct cloister_sv word, const char *path)
{
    const char *equals = word.size ? memchr(word.data, '=', word.size) : NULL;
    struct cloister_sv key = {word.data, equals ? (uint64_t)(equals - word.data) : word.size};
    struct cloister_sv type = on->ret->bind || on->ret->remount ? CLOISTER_SV("") : on->type;

    if (!takes_key(type, key))
        return ns_refuse_at(&on->c->r, CLOISTER_UNSUPPORTED, path,
                            "mount option '%.*s' is not supported for type '%.*s'",
                            (int)(word.size < 64 ? word.size : 64), word.data,
                            (int)(on->type.size < 32 ? on->type.size : 32), on->type.data);
    for (uint64_t i = 0; i < word.size; i++)
        if ((unsigned char)word.data[i] < 0x20 || word.data[i] == 0x7f)
            return ns_refuse(&on->c->r, CLOISTER_INVALID, path, "contains a control character");
    return add_data(on, key, equals ? equals + 1 : NULL, equals ? word.size - key.size - 1 : 0, path);
}

static int one_word(struct reading *on, struct cloister_sv word, const char *path)
{
    struct ns_options *o = on->ret;
    int rc;

    if (is_one_of(word, kinds, LENGTH(kinds)) || is_one_of(word, no_effect, LENGTH(no_effect)) ||
        apply_attribute(o, word))
        return 0;
    if (ns_options_propagation(word)) {
        o->propagation = ns_options_propagation(word);
        return 0;
    }
    for (size_t i = 0; i < LENGTH(refused); i++)
        if (ns_equal(word, refused[i].word))
            return ns_refuse_at(&on->c->r, CLOISTER_UNSUPPORTED, path, "'%s' is not supported: %s", refused[i].word,
                                refused[i].why);
    rc = apply_flag(on, word, path);
    return rc ? (rc < 0 ? -1 : 0) : data_word(on, word, path);
}

static void word_path(char *ret, const char *base, uint64_t i)
{
    snprintf(ret, NS_PATH_MAX, "%s.options[%llu]", base, (unsigned long long)i);
}

int ns_options_read(struct ns_compile *c, const cloister_value *mount, struct cloister_sv type, const char *base,
                    struct ns_options *ret)
{
    cloister_value *list = ns_get(&c->r, mount, "options"), *entry;
    struct reading on = {.c = c, .ret = ret, .type = type};
    char path[NS_PATH_MAX];
    struct cloister_sv word;

    memset(ret, 0, sizeof(*ret));
    ret->bind = ns_equal(type, "bind");
    for (uint64_t i = 0; (entry = c->r.value->at(list, i, NULL)) != NULL; i++) {
        c->r.value->string(entry, &word);
        apply_kind(ret, word);
        if (ns_equal(word, "idmap") || ns_equal(word, "ridmap"))
            ret->idmap_at = i;
    }
    for (uint64_t i = 0; (entry = c->r.value->at(list, i, NULL)) != NULL; i++) {
        c->r.value->string(entry, &word);
        word_path(path, base, i);
        if (one_word(&on, word, path) < 0)
            return -1;
    }
    snprintf(path, sizeof(path), "%s.options", base);
    for (size_t i = 0; i < LENGTH(flags); i++)
        if ((on.flags & (1u << i)) && add_data(&on, ns_view(flags[i].word), NULL, 0, path) < 0)
            return -1;
    return 0;
}

void ns_options_attributes(const struct ns_attributes *attributes_asked, bool clears, uint64_t *ret_set,
                           uint64_t *ret_clear)
{
    const struct ns_attributes *a = attributes_asked;

    *ret_set = a->set | a->mode;
    *ret_clear = (a->moded ? MOUNT_ATTR__ATIME : 0) | (clears ? a->taken_back : 0);
}
