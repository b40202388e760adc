/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capabilities.c - the five sets. Two things are warned about instead of refused (sdk.md section 3, the OCI text asks
 * for it): capabilities outside this machine's bounding set, and ambient ones that are not inheritable, which Debian's
 * `runc spec` writes. No `capabilities` object means none at all.
 */
#include "compile.h"

#include <stdio.h>

static const char *const names[] = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};

#define NAME_COUNT (sizeof(names) / sizeof(*names))

static int find(struct cloister_sv text)
{
    if (text.size < 5 || memcmp(text.data, "CAP_", 4) != 0)
        return -1;
    for (size_t i = 0; i < NAME_COUNT; i++)
        if (ns_equal((struct cloister_sv){text.data + 4, text.size - 4}, names[i]))
            return (int)i;
    return -1;
}

/* Where five sets of a plan are. */
struct sets {
    uint64_t *bounding;
    uint64_t *permitted;
    uint64_t *effective;
    uint64_t *inheritable;
    uint64_t *ambient;
};

static int read_set(struct ns_compile *c, const cloister_value *object, const char *base, const char *key,
                    uint64_t *ret)
{
    cloister_value *list = ns_get(&c->r, object, key), *entry;
    struct cloister_sv text;
    char path[NS_PATH_MAX];

    for (uint64_t i = 0; (entry = c->r.value->at(list, i, NULL)) != NULL; i++) {
        int number;

        c->r.value->string(entry, &text);
        number = find(text);
        if (number < 0) {
            snprintf(path, sizeof(path), "%s.%s[%llu]", base, key, (unsigned long long)i);
            return ns_refuse_at(&c->r, CLOISTER_INVALID, path, "'%.*s' is no capability",
                                (int)(text.size < 40 ? text.size : 40), text.data);
        }
        *ret |= 1ull << number;
    }
    return 0;
}

/* "CAP_SYS_RESOURCE, CAP_SYS_NICE" */
static void print_set(uint64_t set, char *ret, size_t size)
{
    size_t used = 0;

    *ret = 0;
    for (size_t i = 0; i < NAME_COUNT && used < size; i++)
        if (set & (1ull << i))
            used += (size_t)snprintf(ret + used, size - used, "%sCAP_%s", used ? ", " : "", names[i]);
}

static int warn(struct ns_compile *c, const char *path, uint64_t set, const char *why)
{
    char list[512];

    if (set == 0)
        return 0;
    print_set(set, list, sizeof(list));
    return ns_add_warning(c, path, ns_format("%s %s", list, why));
}

/* What this machine cannot give goes from every set, with one warning for all of them. */
static int bound(struct ns_compile *c, const struct sets *sets, const char *base)
{
    uint64_t *const all[] = {sets->bounding, sets->permitted, sets->effective, sets->inheritable, sets->ambient};
    uint64_t lost = 0;

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        lost |= *all[i] & ~c->machine->bounding;
        *all[i] &= c->machine->bounding;
    }
    return warn(c, base, lost, "cannot be given: not in this machine's bounding set");
}

static int compile(struct ns_compile *c, const cloister_value *object, const struct sets *sets, const char *base)
{
    char path[NS_PATH_MAX];
    uint64_t odd;

    if (read_set(c, object, base, "bounding", sets->bounding) < 0 ||
        read_set(c, object, base, "permitted", sets->permitted) < 0 ||
        read_set(c, object, base, "effective", sets->effective) < 0 ||
        read_set(c, object, base, "inheritable", sets->inheritable) < 0 ||
        read_set(c, object, base, "ambient", sets->ambient) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s.%s", base, i ? "ambient" : "effective");
        if ((i ? *sets->ambient : *sets->effective) & ~*sets->permitted)
            return ns_refuse(&c->r, CLOISTER_INVALID, path, "holds capabilities that are not permitted");
    }
    if (bound(c, sets, base) < 0)
        return -1;
    odd = *sets->ambient & ~*sets->inheritable;
    *sets->ambient &= ~odd;
    return warn(c, path, odd, "left out: an ambient capability must be inheritable too");
}

int ns_compile_capabilities(struct ns_compile *c, const cloister_value *process)
{
    struct cl_wire_plan *plan = &c->plan.head;
    const struct sets sets = {&plan->cap_bounding, &plan->cap_permitted, &plan->cap_effective, &plan->cap_inheritable,
                              &plan->cap_ambient};

    return compile(c, ns_get(&c->r, process, "capabilities"), &sets, "process.capabilities");
}

int ns_compile_nonroot_capabilities(struct ns_compile *c, const cloister_value *object, const char *base)
{
    struct cl_wire_plan *plan = &c->plan.head;
    const struct sets sets = {&plan->nonroot_cap_bounding, &plan->nonroot_cap_permitted, &plan->nonroot_cap_effective,
                              &plan->nonroot_cap_inheritable, &plan->nonroot_cap_ambient};

    plan->flags |= CL_WIRE_PLAN_NONROOT_CAPS;
    return compile(c, object, &sets, base);
}
