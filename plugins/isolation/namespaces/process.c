/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - the OCI process object: arguments, environment, directory, user numbers, limits of one process. */
#include "compile.h"

#include <stdio.h>
#include <sys/resource.h>

static const struct {
    const char *name;
    uint32_t number;
} rlimits[] = {
    {"RLIMIT_AS", RLIMIT_AS},           {"RLIMIT_CORE", RLIMIT_CORE},         {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},       {"RLIMIT_FSIZE", RLIMIT_FSIZE},       {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK}, {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE}, {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},   {"RLIMIT_NPROC", RLIMIT_NPROC},       {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},   {"RLIMIT_RTTIME", RLIMIT_RTTIME},     {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
};

static int arguments(struct ns_compile *c, const cloister_value *process)
{
    cloister_value *list = ns_get(&c->r, process, "args"), *entry;
    struct cloister_sv text = {NULL, 0};

    for (uint64_t i = 0; (entry = c->r.value->at(list, i, NULL)) != NULL; i++) {
        c->r.value->string(entry, &text);
        if (i == 0 && text.size == 0)
            return ns_refuse(&c->r, CLOISTER_INVALID, "process.args[0]", "is empty");
        cl_plan_add_string(&c->plan, CL_WIRE_ARGV, text.data, text.size);
    }
    if (c->r.value->count(list) == 0)
        return ns_refuse(&c->r, CLOISTER_INVALID, "process.args", "needs at least one argument");
    return 0;
}

/* The text of a variable is a secret: errors give its position only. */
static int environment(struct ns_compile *c, const struct cloister_process_args *args)
{
    for (uint64_t i = 0; i < args->env_count; i++) {
        const struct cloister_sv *one = &args->env[i];
        const char *equals = one->size ? memchr(one->data, '=', one->size) : NULL;
        char path[NS_PATH_MAX];

        snprintf(path, sizeof(path), "process.env[%llu]", (unsigned long long)i);
        if (equals == NULL || equals == one->data)
            return ns_refuse(&c->r, CLOISTER_INVALID, path, "is not of the form NAME=value");
        if (memchr(one->data, 0, one->size) != NULL)
            return ns_refuse(&c->r, CLOISTER_INVALID, path, "contains a NUL character");
        cl_plan_add_string(&c->plan, CL_WIRE_ENV, one->data, one->size);
    }
    return 0;
}

/* 4294967295 is "no id" to the kernel, and what a careless -1 becomes (H1.1.13). */
static int id(struct ns_compile *c, const cloister_value *user, const char *key, uint32_t section, uint32_t *ret)
{
    uint64_t number = 0;
    char path[NS_PATH_MAX];

    if (ns_get_u64(&c->r, user, key, "process.user", UINT32_MAX - 1u, &number) < 0)
        return -1;
    if (!ns_id_is_mapped(c, section, (uint32_t)number)) {
        snprintf(path, sizeof(path), "process.user.%s", key);
        return ns_refuse_at(&c->r, CLOISTER_INVALID, path, "%llu is not mapped into the container",
                            (unsigned long long)number);
    }
    *ret = (uint32_t)number;
    return 0;
}

static int groups(struct ns_compile *c, const cloister_value *user)
{
    cloister_value *list = ns_get(&c->r, user, "additionalGids"), *entry;

    for (uint64_t i = 0; (entry = c->r.value->at(list, i, NULL)) != NULL; i++) {
        char path[NS_PATH_MAX];
        uint64_t number = 0;
        uint32_t gid;

        snprintf(path, sizeof(path), "process.user.additionalGids[%llu]", (unsigned long long)i);
        if (c->r.value->u64(entry, &number) < 0 || number >= UINT32_MAX)
            return ns_refuse(&c->r, CLOISTER_INVALID, path, "is no group id");
        gid = (uint32_t)number;
        if (!ns_id_is_mapped(c, CL_WIRE_GID_MAP, gid))
            return ns_refuse_at(&c->r, CLOISTER_INVALID, path, "%u is not mapped into the container", gid);
        cl_plan_add(&c->plan, CL_WIRE_GROUPS, &gid);
    }
    return 0;
}

static int user(struct ns_compile *c, const cloister_value *process)
{
    cloister_value *object = ns_get(&c->r, process, "user");
    uint64_t mask = 022;

    if (ns_get_u64(&c->r, object, "umask", "process.user", 0777, &mask) < 0)
        return -1;
    c->plan.head.umask = (uint32_t)mask;
    if (id(c, object, "uid", CL_WIRE_UID_MAP, &c->plan.head.uid) < 0 ||
        id(c, object, "gid", CL_WIRE_GID_MAP, &c->plan.head.gid) < 0)
        return -1;
    return groups(c, object);
}

static int find_rlimit(struct cloister_sv name)
{
    for (size_t i = 0; i < sizeof(rlimits) / sizeof(*rlimits); i++)
        if (ns_equal(name, rlimits[i].name))
            return (int)i;
    return -1;
}

static int limits(struct ns_compile *c, const cloister_value *process)
{
    cloister_value *list = ns_get(&c->r, process, "rlimits"), *entry;
    uint32_t seen = 0;

    for (uint64_t i = 0; (entry = c->r.value->at(list, i, NULL)) != NULL; i++) {
        int which = find_rlimit(ns_get_string(&c->r, entry, "type"));
        struct cl_wire_rlimit item = {0};
        char base[NS_PATH_MAX];

        snprintf(base, sizeof(base), "process.rlimits[%llu]", (unsigned long long)i);
        if (which < 0)
            return ns_refuse(&c->r, CLOISTER_INVALID, base, "has a type that is no resource limit");
        if (seen & (1u << which))
            return ns_refuse(&c->r, CLOISTER_INVALID, base, "repeats %s", rlimits[which].name);
        seen |= 1u << which;
        if (ns_get_u64(&c->r, entry, "soft", base, UINT64_MAX, &item.soft) < 0 ||
            ns_get_u64(&c->r, entry, "hard", base, UINT64_MAX, &item.hard) < 0)
            return -1;
        if (item.soft > item.hard)
            return ns_refuse(&c->r, CLOISTER_INVALID, base, "has a soft limit above the hard one");
        item.resource = rlimits[which].number;
        cl_plan_add(&c->plan, CL_WIRE_RLIMITS, &item);
    }
    return 0;
}

/* The spec's own word: without a terminal the size is ignored. */
static int terminal(struct ns_compile *c, const cloister_value *process)
{
    const cloister_value *size = ns_get(&c->r, process, "consoleSize");
    uint64_t rows = 0, columns = 0;

    if (!ns_get_bool(&c->r, process, "terminal", false))
        return 0;
    if (c->plan.head.session != CL_WIRE_SESSION_SETSID)
        return ns_refuse(&c->r, CLOISTER_INVALID, "process.terminal",
                         "needs a session of its own, which the terminal then controls");
    if (ns_get_u64(&c->r, size, "height", "process.consoleSize", UINT16_MAX, &rows) < 0 ||
        ns_get_u64(&c->r, size, "width", "process.consoleSize", UINT16_MAX, &columns) < 0)
        return -1;
    if (!cl_wire_window_ok((uint32_t)rows, (uint32_t)columns))
        return ns_refuse(&c->r, CLOISTER_INVALID, "process.consoleSize", "has a side of 0");
    c->plan.head.flags |= CL_WIRE_PLAN_TERMINAL;
    c->rows = (uint32_t)rows;
    c->columns = (uint32_t)columns;
    return 0;
}

static int settings(struct ns_compile *c, const cloister_value *process, const struct cloister_process_args *args)
{
    struct cl_wire_plan *plan = &c->plan.head;
    int64_t score = 0;
    int found = ns_get_i64(&c->r, process, "oomScoreAdj", "process", -1000, 1000, &score);

    if (found < 0)
        return -1;
    if (found) {
        plan->flags |= CL_WIRE_PLAN_OOM_SCORE;
        plan->oom_score_adj = (int32_t)score;
    }
    if (ns_get_bool(&c->r, process, "noNewPrivileges", false)) {
        plan->flags |= CL_WIRE_PLAN_NO_NEW_PRIVS;
        c->no_new_privs = true;
    }
    if (args->session > CLOISTER_SESSION_INHERIT)
        return ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, "session", "kind %u is not supported", args->session);
    plan->session = args->session;
    return terminal(c, process);
}

int ns_compile_program(struct ns_compile *c, const cloister_value *process, const struct cloister_process_args *args)
{
    struct cloister_sv cwd = ns_get_string(&c->r, process, "cwd");

    /* The home, once it is known whose. */
    bool later = args->resolve && (args->resolve->flags & CLOISTER_RESOLVE_CWD) && cwd.size == 0;

    if (!later && ns_check_inner_path(&c->r, cwd, "process.cwd") < 0)
        return -1;
    c->plan.head.cwd = cl_plan_string(&c->plan, cwd.data, cwd.size);
    if (arguments(c, process) < 0 || environment(c, args) < 0 || user(c, process) < 0)
        return -1;
    return limits(c, process) < 0 || settings(c, process, args) < 0 || ns_compile_priority(c, process) < 0 ? -1 : 0;
}
