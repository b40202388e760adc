/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_rules.c - who may use which devices: everything denied (H1.3.8), then the spec's rules in order, then the
 * nodes that we supplied ourselves, as every OCI runtime does; a directory bound on /dev has to have them, and they are
 * allowed as well. The v1 group has a list of exceptions from "all" or "nothing", and takes one back only by its very
 * numbers: a rule that would take back a part of an earlier one is refused there, because the kernel would not say that
 * it did nothing. v2 gets a program, which can.
 */
#include "device_program.h"
#include "limits.h"

#include <stdio.h>

#define MAJOR_MAX 4095u
#define MINOR_MAX 1048575u

/* What the supplied nodes need: making any node, ptys, and the nodes themselves. */
static const struct ns_device_rule supplied[] = {
    {true, 'c', -1, -1, "m"},    {true, 'b', -1, -1, "m"}, {true, 'c', 1, 3, "rwm"}, {true, 'c', 1, 5, "rwm"},
    {true, 'c', 1, 7, "rwm"},    {true, 'c', 1, 8, "rwm"}, {true, 'c', 1, 9, "rwm"}, {true, 'c', 5, 0, "rwm"},
    {true, 'c', 136, -1, "rwm"}, {true, 'c', 5, 2, "rwm"},
};
#define SUPPLIED (sizeof(supplied) / sizeof(*supplied))

static int check_access(const struct ns_limits *l, struct cloister_sv access, const char *path)
{
    bool good = access.size >= 1 && access.size <= 3;

    for (uint64_t i = 0; good && i < access.size; i++)
        good = memchr("rwm", access.data[i], 3) != NULL && memchr(access.data, access.data[i], i) == NULL;
    return good ? 0 : ns_refuse(&l->c->r, CLOISTER_INVALID, path, "must be a combination of r, w and m");
}

static int read_rule(const struct ns_limits *l, const cloister_value *entry, uint64_t i, struct ns_device_rule *ret)
{
    struct cloister_sv type = ns_get_string(&l->c->r, entry, "type"), access = ns_get_string(&l->c->r, entry, "access");
    char base[NS_PATH_MAX], path[NS_PATH_MAX];
    char kind = type.size == 0 ? 'a' : type.data[0];

    ns_limits_path(l, base, "devices[%llu]", (unsigned long long)i);
    ns_limits_path(l, path, "devices[%llu].type", (unsigned long long)i);
    if (type.size > 1 || memchr("abcu", kind, 4) == NULL)
        return ns_refuse(&l->c->r, CLOISTER_INVALID, path, "must be a, b, c or u");
    if (access.size == 0)
        access = CLOISTER_SV("rwm");
    ns_limits_path(l, path, "devices[%llu].access", (unsigned long long)i);
    *ret = (struct ns_device_rule){ns_get_bool(&l->c->r, entry, "allow", false), kind == 'u' ? 'c' : kind, -1, -1, ""};
    /* OCI says absent or -1 for any. */
    if (check_access(l, access, path) < 0 ||
        ns_get_i64(&l->c->r, entry, "major", base, -1, MAJOR_MAX, &ret->major) < 0 ||
        ns_get_i64(&l->c->r, entry, "minor", base, -1, MINOR_MAX, &ret->minor) < 0)
        return -1;
    memcpy(ret->access, access.data, access.size);
    return 0;
}

/* --- v1 --- */

static bool is_whole(const struct ns_device_rule *rule)
{
    return rule->kind == 'a' && rule->major < 0 && rule->minor < 0 && strlen(rule->access) == 3;
}

static bool meet(int64_t a, int64_t b)
{
    return a < 0 || b < 0 || a == b;
}

/* The earlier one holds more than the later one's very numbers, and some of what that is about. */
static bool is_part(const struct ns_device_rule *earlier, const struct ns_device_rule *later)
{
    bool same_kind = earlier->kind == 'a' || later->kind == 'a' || earlier->kind == later->kind;
    bool exact = earlier->major == later->major && earlier->minor == later->minor;

    return same_kind && !exact && meet(earlier->major, later->major) && meet(earlier->minor, later->minor) &&
           strpbrk(earlier->access, later->access) != NULL;
}

/* Which exceptions there are depends on the last whole rule: without one nothing is allowed. */
static bool list_can(const struct ns_device_rule *rules, uint32_t i)
{
    bool open = false;
    uint32_t from = 0;

    for (uint32_t j = 0; j < i; j++)
        if (is_whole(&rules[j])) {
            open = rules[j].allow;
            from = j + 1;
        }
    if (rules[i].allow != open || is_whole(&rules[i]))
        return true;
    for (uint32_t j = from; j < i; j++)
        if (rules[j].allow != rules[i].allow && is_part(&rules[j], &rules[i]))
            return false;
    return true;
}

static char *number_or_star(int64_t number)
{
    return number < 0 ? strdup("*") : ns_format("%lld", (long long)number);
}

/* The file takes "a" only as a whole; "any kind, some access" is a rule each for c and b. */
static int write_rule(const struct ns_limits *l, uint32_t h, const struct ns_device_rule *rule, char kind,
                      const char *where)
{
    const char *file = rule->allow ? "devices.allow" : "devices.deny";
    NS_FREE char *major = number_or_star(rule->major), *minor = number_or_star(rule->minor);

    if (is_whole(rule))
        return ns_add_write(l->c, h, file, strdup("a"), where);
    if (major == NULL || minor == NULL)
        return ns_no_memory(&l->c->r);
    if (kind == 'a')
        return write_rule(l, h, rule, 'c', where) < 0 ? -1 : write_rule(l, h, rule, 'b', where);
    return ns_add_write(l->c, h, file, ns_format("%c %s:%s %s", kind, major, minor, rule->access), where);
}

static int write_list(const struct ns_limits *l, uint32_t h, const struct ns_device_rule *rules, uint32_t count,
                      uint32_t own)
{
    char where[NS_PATH_MAX];

    ns_limits_path(l, where, "devices");
    if (ns_add_write(l->c, h, "devices.deny", strdup("a"), where) < 0)
        return -1;
    for (uint32_t i = 0; i < count; i++) {
        if (i < own) {
            ns_limits_path(l, where, "devices[%u]", i);
            if (!list_can(rules, i))
                return ns_refuse(&l->c->r, CLOISTER_UNSUPPORTED, where,
                                 "would take back a part of an earlier rule, which a v1 devices group cannot");
        } else {
            ns_limits_path(l, where, "devices");
        }
        if (write_rule(l, h, &rules[i], rules[i].kind, where) < 0)
            return -1;
    }
    return 0;
}

/* --- both --- */

static int put_rules(const struct ns_limits *l, const struct ns_device_rule *rules, uint32_t count, uint32_t own)
{
    const struct ns_machine *machine = l->c->machine;
    uint32_t h = machine->no_v1_devices ? NS_NO_HIERARCHY : ns_hierarchy_find(&machine->hierarchies, "devices");
    char where[NS_PATH_MAX];

    ns_limits_path(l, where, "devices");
    if (h != NS_NO_HIERARCHY)
        return write_list(l, h, rules, count, own);
    if (machine->device_programs && ns_hierarchy_find(&machine->hierarchies, "") != NS_NO_HIERARCHY)
        return ns_device_program(l->c, rules, count);
    return ns_refuse_at(&l->c->r, CLOISTER_UNSUPPORTED, where,
                        "this machine has neither a v1 devices hierarchy nor programs for devices on v2, so access "
                        "cannot be restricted");
}

int ns_compile_device_rules(const struct ns_limits *l)
{
    cloister_value *list = ns_get(&l->c->r, l->resources, "devices"), *entry;
    uint64_t given = list ? l->c->r.value->count(list) : 0;
    NS_FREE struct ns_device_rule *rules = given > UINT32_MAX / 2 ? NULL : calloc(given + SUPPLIED, sizeof(*rules));
    uint32_t count = 0, own;

    if (rules == NULL)
        return ns_no_memory(&l->c->r);
    for (uint64_t i = 0; (entry = l->c->r.value->at(list, i, NULL)) != NULL; i++)
        if (read_rule(l, entry, i, &rules[count++]) < 0)
            return -1;
    own = count;
    for (size_t i = 0; (l->c->own_devices || l->c->bound_devices) && i < SUPPLIED; i++)
        rules[count++] = supplied[i];
    return put_rules(l, rules, count, own);
}
