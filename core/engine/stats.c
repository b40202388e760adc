/* SPDX-License-Identifier: Apache-2.0 */
/* stats.c - what is counted of the machine, a sandbox, a container or a process, and which processes live there. Never
 * queued behind anything; nothing of it is kept here. */
#include <errno.h>

#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/engine/operation.h"
#include "core/error/error.h"

#define STATS_FLAGS (CLOISTER_STATS_RESET_PEAK | CLOISTER_STATS_RAW)
#define STAT_SIZE_MIN offsetof(struct cloister_stat, reserved)
#define PROC_SIZE_MIN offsetof(struct cloister_proc, reserved)

static bool is_list(const void *items, uint64_t count, uint64_t size, uint64_t least)
{
    return !count || (items && size >= least);
}

/* What cannot be read goes no further than here. */
static void on_done(void *ctx, const struct cloister_error *err, const void *data)
{
    struct cl_operation *operation = ctx;
    const struct cloister_result *result = data;
    struct cloister_error own = CLOISTER_ERROR_INIT;
    if (!err && (!is_list(result->stats, result->stat_count, result->stat_size, STAT_SIZE_MIN) ||
                 !is_list(result->procs, result->proc_count, result->proc_size, PROC_SIZE_MIN))) {
        (void)cl_error_set(&own, CLOISTER_INTERNAL, 0, NULL, NULL, "%s told a list that is none",
                           operation->backend->instance->label);
        err = &own;
    }
    cl_operation_finish(operation, err, err ? NULL : result);
}

static void cancel(struct cl_operation *operation)
{
    cl_operation_cancel_call(operation);
}

/* ---- of what ---- */

static int check_scope(uint32_t scope, struct cloister_sv container, cloister_process process,
                       struct cloister_error *err)
{
    if (scope < CLOISTER_SCOPE_SANDBOX || scope > CLOISTER_SCOPE_PROCESS)
        return cl_error_set(err, CLOISTER_INVALID, 0, "scope", NULL, "scope has unknown kind %u", scope);
    if (scope == CLOISTER_SCOPE_SANDBOX && container.size)
        return cl_error_set(err, CLOISTER_INVALID, 0, "container", NULL, "container is not of this scope");
    if (scope == CLOISTER_SCOPE_PROCESS && !process)
        return cl_error_set(err, CLOISTER_INVALID, 0, "process", NULL, "process is missing");
    if (scope != CLOISTER_SCOPE_PROCESS && process)
        return cl_error_set(err, CLOISTER_INVALID, 0, "process", NULL, "process is not of this scope");
    return 0;
}

static int find_process(const struct cl_sandbox *sandbox, cloister_process number, struct cloister_sv *container,
                        struct cloister_error *err)
{
    const struct cl_process *process = cl_process_find(sandbox, number, err);
    if (!process)
        return -ENOENT;
    if (container->size && !cl_sv_is(*container, process->container->cid))
        return cl_error_set(err, CLOISTER_NO_ENTITY, 0, NULL, "process", "container '%.*s' has no process %llu",
                            CL_SV_ARG(*container), (unsigned long long)number);
    if (cl_process_ended(process))
        return cl_error_set(err, CLOISTER_NO_ENTITY, 0, NULL, "process", "process %llu has ended",
                            (unsigned long long)number);
    *container = cl_sv_cstr(process->container->cid);
    return 0;
}

/* It is there and runs now; *container becomes its cid. */
static int find_subject(const struct cl_sandbox *sandbox, uint32_t scope, cloister_process number,
                        struct cloister_sv *container, struct cloister_error *err)
{
    int r = cl_sandbox_check_up(sandbox, err);
    if (r < 0 || scope == CLOISTER_SCOPE_SANDBOX)
        return r;
    if (scope == CLOISTER_SCOPE_PROCESS)
        return find_process(sandbox, number, container, err);
    const struct cl_container *found = cl_container_find(sandbox, *container, err);
    if (!found)
        return -ENOENT;
    r = cl_container_check_live(found, err);
    if (r == 0)
        *container = cl_sv_cstr(found->cid);
    return r;
}

/* When it is asked for; of one that is being taken over nothing is known yet. The text is the operation's. */
static int prepare_subject(struct cl_operation *operation, uint32_t scope, cloister_process number,
                           struct cloister_sv *container, struct cloister_error *err)
{
    const struct cl_sandbox *sandbox = operation->sandbox;
    int r = check_scope(scope, *container, number, err);
    if (r == 0 && !sandbox->recovering)
        r = find_subject(sandbox, scope, number, container, err);
    *container = cl_arena_sv(&operation->arena, *container);
    return r == 0 && operation->arena.failed ? cl_args_no_memory(err) : r;
}

/* And when its turn has come. */
static int check_subject(struct cl_operation *operation, uint32_t scope, cloister_process number,
                         struct cloister_sv *container, struct cloister_error *err)
{
    int r = find_subject(operation->sandbox, scope, number, container, err);
    *container = cl_arena_sv(&operation->arena, *container);
    return r == 0 && operation->arena.failed ? cl_args_no_memory(err) : r;
}

/* ---- stats ---- */

static void begin_stats(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cloister_stats_args *args = operation->args.stats;
    int r = operation->sandbox ? check_subject(operation, args->scope, args->process, &args->container, &err) : 0;
    if (r < 0 || CL_ISO_CALL(operation, stats, &operation->iso.stats, on_done, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static const struct cl_operation_class stats_class = {
    .name = "stats", .verb = "read the counters of", .begin = begin_stats, .cancel = cancel, .passive = true};
static const struct cl_operation_class machine_class = {
    .name = "stats", .verb = "read the machine's counters", .begin = begin_stats, .cancel = cancel, .passive = true};

static int check_flags(uint32_t flags, uint64_t capabilities, struct cloister_error *err)
{
    if (flags & ~STATS_FLAGS)
        return cl_error_set(err, CLOISTER_INVALID, 0, "flags", NULL, "flags has an unknown bit");
    if (flags & CLOISTER_STATS_RESET_PEAK && !(capabilities & CLOISTER_ISO_PEAK_RESET))
        return cl_error_set(err, CLOISTER_UNSUPPORTED, 0, "PEAK_RESET", NULL, "PEAK_RESET is not supported here");
    return 0;
}

static int copy_stats(struct cl_operation *operation, const struct cloister_stats_args *from,
                      struct cloister_error *err)
{
    struct cloister_stats_args *copy = cl_arena_struct(&operation->arena, from, sizeof(*copy));
    operation->args.stats = copy;
    if (!copy)
        return cl_args_no_memory(err);
    operation->iso.stats =
        (struct cloister_iso_stats_args){CLOISTER_INIT(struct cloister_iso_stats_args), .stats = copy};
    return cl_args_reserved(copy->reserved, err);
}

static int prepare_stats(struct cl_operation *operation, const struct cloister_stats_args *from,
                         struct cloister_error *err)
{
    int r = copy_stats(operation, from, err);
    r = r ? r : check_flags(operation->args.stats->flags, operation->backend->capabilities, err);
    if (r < 0)
        return r;
    struct cloister_stats_args *args = operation->args.stats;
    args->sandbox = cl_sandbox_id(operation->sandbox);
    cl_sandbox_identity(operation->sandbox, &operation->iso.stats.sandbox);
    return prepare_subject(operation, args->scope, args->process, &args->container, err);
}

static int check_machine(const struct cl_service *service, struct cloister_error *err)
{
    if (!service->machine_stats)
        return cl_error_set(err, CLOISTER_DENIED, 0, service->name, NULL,
                            "service '%s' is not granted them ('machine' in the config)", service->name);
    if (!service->backend)
        return cl_error_set(err, CLOISTER_NO_ENTITY, 0, NULL, "isolation", "service '%s' has no isolation",
                            service->name);
    if (!(service->backend->capabilities & CLOISTER_ISO_MACHINE_STATS))
        return cl_error_set(err, CLOISTER_UNSUPPORTED, 0, "MACHINE_STATS", NULL, "MACHINE_STATS is not supported here");
    return 0;
}

static int prepare_machine(struct cl_operation *operation, const struct cloister_stats_args *from,
                           struct cloister_error *err)
{
    int r = check_machine(operation->service, err);
    operation->backend = operation->service->backend;
    r = r ? r : copy_stats(operation, from, err);
    if (r < 0)
        return r;
    const struct cloister_stats_args *args = operation->args.stats;
    if (args->sandbox.size || args->container.size || args->process)
        return cl_error_set(err, CLOISTER_INVALID, 0, "scope", NULL, "the machine is in no sandbox");
    if (args->flags & ~CLOISTER_STATS_RAW)
        return cl_error_set(err, CLOISTER_INVALID, 0, "flags", NULL, "flags has a bit that is not of this scope");
    operation->iso.stats.sandbox =
        (struct cloister_iso_sandbox){CLOISTER_INIT(struct cloister_iso_sandbox), .cookie = operation->engine->cookie};
    return 0;
}

/* Setting a peak back is more than looking. */
cloister_op cl_api_stats(const struct cloister_host *host, const struct cloister_stats_args *args,
                         cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_stats_args head;
    cl_struct_copy(&head, sizeof(head), args);
    bool machine = head.scope == CLOISTER_SCOPE_MACHINE;
    struct cl_operation *operation = machine
                                         ? cl_operation_new(cl_service_of(host), &machine_class, NULL, done, ctx, err)
                                         : cl_operation_ask(host, &stats_class, head.sandbox,
                                                            head.flags & CLOISTER_STATS_RESET_PEAK, done, ctx, err);
    if (!operation)
        return 0;
    int r = machine ? prepare_machine(operation, args, err) : prepare_stats(operation, args, err);
    return cl_operation_prepared(operation, r, 0, CL_CLAIM_NONE, err);
}

/* ---- procs ---- */

static void begin_procs(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cloister_procs_args *args = operation->args.procs;
    if (check_subject(operation, args->scope, args->process, &args->container, &err) < 0 ||
        CL_ISO_CALL(operation, procs, &operation->iso.procs, on_done, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static const struct cl_operation_class procs_class = {
    .name = "procs", .verb = "list the processes of", .begin = begin_procs, .cancel = cancel, .passive = true};

static int prepare_procs(struct cl_operation *operation, const struct cloister_procs_args *from,
                         struct cloister_error *err)
{
    struct cloister_procs_args *copy = cl_arena_struct(&operation->arena, from, sizeof(*copy));
    operation->args.procs = copy;
    if (!copy)
        return cl_args_no_memory(err);
    operation->iso.procs =
        (struct cloister_iso_procs_args){CLOISTER_INIT(struct cloister_iso_procs_args), .procs = copy};
    copy->sandbox = cl_sandbox_id(operation->sandbox);
    cl_sandbox_identity(operation->sandbox, &operation->iso.procs.sandbox);
    return prepare_subject(operation, copy->scope, copy->process, &copy->container, err);
}

cloister_op cl_api_procs(const struct cloister_host *host, const struct cloister_procs_args *args,
                         cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_procs_args head;
    cl_struct_copy(&head, sizeof(head), args);
    struct cl_operation *operation = cl_operation_ask(host, &procs_class, head.sandbox, false, done, ctx, err);
    return operation ? cl_operation_prepared(operation, prepare_procs(operation, args, err), 0, CL_CLAIM_NONE, err) : 0;
}
