/* SPDX-License-Identifier: Apache-2.0 */
/* args_process.c - who a process runs as and where it is looked for; limits and groups as texts. */
#include <errno.h>

#include "core/engine/args.h"
#include "core/error/error.h"
#include "core/value/value.h"

#define RESOURCES_MAX (64u * 1024u)
#define CAPABILITIES_MAX (16u * 1024u)
#define USER_MAX 512u /* two names */
#define SEARCH_MAX (32u * 1024u)
#define GROUP_PATH_MAX 1024u
#define GROUP_NAME_MAX 255u
#define RESOLVE_FLAGS (CLOISTER_RESOLVE_GROUPS | CLOISTER_RESOLVE_ENV | CLOISTER_RESOLVE_CWD)

static int invalid(struct cloister_error *err, const char *where, const char *what)
{
    return cl_error_set(err, CLOISTER_INVALID, 0, where, NULL, "%s %s", where, what);
}

static int check_word(struct cloister_sv text, const char *where, uint64_t max, struct cloister_error *err)
{
    int r = cl_args_text(text, where, max, err);
    return r == 0 && cl_sv_has_nul(text) ? invalid(err, where, "holds a NUL") : r;
}

/* Empty is fine. What is in it is isolation's to judge. */
static int check_object(struct cloister_sv text, const char *where, uint64_t max, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *document = NULL;
    int r = cl_args_text(text, where, max, err);
    if (r < 0 || !text.size)
        return r;
    r = cl_value_parse(text, NULL, &document, NULL, err);
    if (r < 0)
        cl_error_wrap(err, "%s", where);
    else if (cl_value_type(document) != CLOISTER_VALUE_OBJECT)
        r = invalid(err, where, "is not an object");
    return r;
}

static int copy(struct cl_operation *operation, struct cloister_sv *text, struct cloister_error *err)
{
    *text = cl_arena_sv(&operation->arena, *text);
    return operation->arena.failed ? cl_args_no_memory(err) : 0;
}

int cl_args_resources(struct cl_operation *operation, struct cloister_sv *text, struct cloister_error *err)
{
    int r = check_object(*text, "resources", RESOURCES_MAX, err);
    return r ? r : copy(operation, text, err);
}

/* Below a root that somebody else has chosen: no way out of it, and no second name for one group. */
int cl_args_cgroup_parent(struct cl_operation *operation, struct cloister_sv *path, struct cloister_error *err)
{
    int r = check_word(*path, "cgroup_parent", GROUP_PATH_MAX, err);
    for (uint64_t from = 0, to; r == 0 && path->size && from <= path->size; from = to + 1) {
        const char *slash = from < path->size ? memchr(path->data + from, '/', path->size - from) : NULL;
        to = slash ? (uint64_t)(slash - path->data) : path->size;
        struct cloister_sv part = cl_sv(path->data + from, to - from);
        if (!part.size || cl_sv_is(part, ".") || cl_sv_is(part, ".."))
            r = invalid(err, "cgroup_parent", "has an empty part, '.' or '..'");
        else if (part.size > GROUP_NAME_MAX)
            r = invalid(err, "cgroup_parent", "has a part of more than 255 bytes");
    }
    return r ? r : copy(operation, path, err);
}

static int copy_resolve(struct cl_operation *operation, struct cloister_process_args *process, uint64_t capabilities,
                        struct cloister_error *err)
{
    if (!process->resolve)
        return 0;
    if (!(capabilities & CLOISTER_ISO_RESOLVE))
        return cl_error_set(err, CLOISTER_UNSUPPORTED, 0, "RESOLVE", NULL, "RESOLVE is not supported here");
    struct cloister_resolve_args *resolve =
        cl_arena_struct(&operation->arena, process->resolve, sizeof(*process->resolve));
    if (!resolve)
        return cl_args_no_memory(err);
    process->resolve = resolve;
    if (resolve->flags & ~RESOLVE_FLAGS)
        return invalid(err, "resolve.flags", "has an unknown bit");
    int r = check_word(resolve->user, "resolve.user", USER_MAX, err);
    r = r ? r : check_object(resolve->nonroot_capabilities, "resolve.nonroot_capabilities", CAPABILITIES_MAX, err);
    r = r ? r : copy(operation, &resolve->user, err);
    return r ? r : copy(operation, &resolve->nonroot_capabilities, err);
}

int cl_args_process(struct cl_operation *operation, struct cloister_process_args *process, uint64_t capabilities,
                    struct cloister_error *err)
{
    if (process->nice < -20 || process->nice > 19)
        return cl_error_set(err, CLOISTER_INVALID, 0, "nice", NULL, "nice %d is not in -20..19", process->nice);
    int r = cl_args_reserved(process->reserved, err);
    r = r ? r : check_word(process->search, "search", SEARCH_MAX, err);
    r = r ? r : copy_resolve(operation, process, capabilities, err);
    return r ? r : copy(operation, &process->search, err);
}
