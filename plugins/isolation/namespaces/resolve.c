/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve.c - what OCI has no words for in a process: a user by name, who is looked up inside (keeper's do_resolve.c),
 * where its program is looked for, and how nice it is.
 */
#include "compile.h"

#define USER_MAX 255u /* bytes of a user text */

static int no_numbers(struct ns_compile *c, const cloister_value *process)
{
    const cloister_value *user = ns_get(&c->r, process, "user");

    if (c->plan.head.uid != 0 || c->plan.head.gid != 0)
        return ns_refuse(&c->r, CLOISTER_INVALID, "process.user", "has numbers, and there is a user to be found out");
    if (c->r.value->count(ns_get(&c->r, user, "additionalGids")) != 0)
        return ns_refuse(&c->r, CLOISTER_INVALID, "process.user.additionalGids",
                         "does not go with a user to be found out");
    return 0;
}

static int flags(struct ns_compile *c, uint32_t given)
{
    static const struct {
        uint32_t from;
        uint32_t to;
    } known[] = {{CLOISTER_RESOLVE_GROUPS, CL_WIRE_RESOLVE_GROUPS},
                 {CLOISTER_RESOLVE_ENV, CL_WIRE_RESOLVE_ENV},
                 {CLOISTER_RESOLVE_CWD, CL_WIRE_RESOLVE_CWD}};

    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        c->plan.head.resolve |= given & known[i].from ? known[i].to : 0;
        given &= ~known[i].from;
    }
    return given ? ns_refuse(&c->r, CLOISTER_INVALID, "resolve.flags", "has unknown bits: %#x", given) : 0;
}

static int nonroot(struct ns_compile *c, struct cloister_sv text)
{
    static const char base[] = "resolve.nonroot_capabilities";
    cloister_value *object = NULL;
    int rc;

    if (text.size == 0)
        return 0;
    if (ns_parse(&c->r, text, base, &object) < 0)
        return -1;
    rc = ns_check_capabilities(&c->r, object, base);
    if (rc == 0)
        rc = ns_compile_nonroot_capabilities(c, object, base);
    c->r.value->free(object);
    return rc;
}

static int who(struct ns_compile *c, const cloister_value *process, const struct cloister_resolve_args *args)
{
    if (no_numbers(c, process) < 0)
        return -1;
    if (args->user.size > USER_MAX)
        return ns_refuse(&c->r, CLOISTER_INVALID, "resolve.user", "is longer than %u bytes", USER_MAX);
    for (uint64_t i = 0; i < args->user.size; i++)
        if ((unsigned char)args->user.data[i] < 0x20 || args->user.data[i] == 0x7f)
            return ns_refuse(&c->r, CLOISTER_INVALID, "resolve.user", "contains a control character");
    c->plan.head.flags |= CL_WIRE_PLAN_RESOLVE;
    c->plan.head.user = cl_plan_string(&c->plan, args->user.data, args->user.size);
    return flags(c, args->flags) < 0 ? -1 : nonroot(c, args->nonroot_capabilities);
}

int ns_compile_resolve(struct ns_compile *c, const cloister_value *process, const struct cloister_process_args *args)
{
    if (args->search.size && memchr(args->search.data, '\n', args->search.size) != NULL)
        return ns_refuse(&c->r, CLOISTER_INVALID, "search", "contains a newline");
    c->plan.head.path = cl_plan_string(&c->plan, args->search.data, args->search.size);
    if (args->nice < -20 || args->nice > 19)
        return ns_refuse(&c->r, CLOISTER_INVALID, "nice", "must be between -20 and 19");
    c->plan.head.nice = args->nice;
    return args->resolve ? who(c, process, args->resolve) : 0;
}
