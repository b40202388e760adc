/* SPDX-License-Identifier: Apache-2.0 */
/* wrap_isolation.h - wrappers of isolation plugins. */
#ifndef TESTS_PLUGINS_WRAP_ISOLATION_H
#define TESTS_PLUGINS_WRAP_ISOLATION_H

#define WRAP_NEXT struct cloister_isolation
#define WRAP_KIND CLOISTER_KIND_ISOLATION
#include "wrap.h"

/* Refuses a wrapped plugin that lacks an operation: a call of it would never complete. */
static inline int wrap_init(struct wrap *wrap, const struct cloister_create_args *args, struct cloister_sv op,
                            uint64_t count, struct cloister_error *err)
{
    const struct cloister_isolation *next = args->next_vtable;

    if (!CLOISTER_HAS(next, attach_policy) || !next->sandbox_create || !next->sandbox_destroy ||
        !next->container_start || !next->container_kill || !next->exec || !next->signal || !next->release ||
        !next->describe || !next->sweep || !next->adopt || !next->stdin || !next->stdin_close || !next->attach ||
        !next->attach_policy) {
        args->host->log->error_set(err, CLOISTER_UNSUPPORTED, 0, "wrap", NULL, "the wrapped plugin lacks an operation");
        return -1;
    }
    *wrap = (struct wrap){args->host, next, args->next_instance, op, count};
    return 0;
}

static inline void wrap_complete(const struct wrap *wrap, cloister_op op, const struct cloister_error *err)
{
    wrap->host->iso->done(wrap->host, op, err, NULL);
}

static inline void wrap_close_stdio(const struct cloister_stdio *stdio, uint64_t count, uint64_t size)
{
    for (uint64_t i = 0; i < count; i++) {
        const struct cloister_stdio *entry = (const void *)((const char *)stdio + i * size);
        if (entry->kind == CLOISTER_STDIO_DESCRIPTOR && entry->fd >= 0)
            (void)close(entry->fd);
    }
}

static inline void wrap_drop_process(const struct cloister_process_args *process)
{
    if (process)
        wrap_close_stdio(process->stdio, process->stdio_count, process->stdio_size);
}

static inline void wrap_drop_create(const void *args)
{
    const struct cloister_iso_create_args *create = args;

    wrap_drop_process(create->container ? create->container->process : NULL);
}

static inline void wrap_drop_start(const void *args)
{
    const struct cloister_container_start_args *start = ((const struct cloister_iso_start_args *)args)->start;

    wrap_close_stdio(start->stdio, start->stdio_count, start->stdio_size);
}

static inline void wrap_drop_exec(const void *args)
{
    wrap_drop_process(((const struct cloister_iso_exec_args *)args)->exec->process);
}

static inline int32_t wrap_probe(void *instance, struct cloister_iso_probe *ret, struct cloister_error *err)
{
    const struct wrap *wrap = instance;

    return wrap->next->probe(wrap->next_instance, ret, err);
}

static inline int32_t wrap_plan(void *instance, const struct cloister_iso_plan_args *args, struct cloister_sv *ret_blob,
                                struct cloister_error *err)
{
    const struct wrap *wrap = instance;

    return wrap->next->plan(wrap->next_instance, args, ret_blob, err);
}

static inline void wrap_detach(void *instance)
{
    const struct wrap *wrap = instance;

    wrap->next->detach(wrap->next_instance);
}

static inline void wrap_hold(void *instance, struct cloister_sv plan)
{
    const struct wrap *wrap = instance;

    if (CLOISTER_HAS(wrap->next, hold) && wrap->next->hold)
        wrap->next->hold(wrap->next_instance, plan);
}

#define WRAP_SLOTS                                                           \
    WRAP_SLOT(sandbox_create, cloister_iso_create_args, wrap_drop_create)    \
    WRAP_SLOT(sandbox_destroy, cloister_iso_destroy_args, wrap_drop_nothing) \
    WRAP_SLOT(container_start, cloister_iso_start_args, wrap_drop_start)     \
    WRAP_SLOT(container_kill, cloister_iso_kill_args, wrap_drop_nothing)     \
    WRAP_SLOT(exec, cloister_iso_exec_args, wrap_drop_exec)                  \
    WRAP_SLOT(signal, cloister_iso_signal_args, wrap_drop_nothing)           \
    WRAP_SLOT(release, cloister_iso_release_args, wrap_drop_nothing)         \
    WRAP_SLOT(describe, cloister_iso_describe_args, wrap_drop_nothing)       \
    WRAP_SLOT(sweep, cloister_iso_sweep_args, wrap_drop_nothing)             \
    WRAP_SLOT(adopt, cloister_iso_adopt_args, wrap_drop_nothing)             \
    WRAP_SLOT(stdin, cloister_iso_stdin_args, wrap_drop_nothing)             \
    WRAP_SLOT(stdin_close, cloister_iso_stdin_args, wrap_drop_nothing)       \
    WRAP_SLOT(attach, cloister_iso_attach_args, wrap_drop_nothing)           \
    WRAP_SLOT(attach_policy, cloister_iso_attach_policy_args, wrap_drop_nothing)

#define WRAP_VTABLE(create, destroy, on_cancel)                                                                       \
    {                                                                                                                 \
        CLOISTER_INIT(struct cloister_isolation),                                                                     \
            .life = {create, destroy}, .probe = wrap_probe, .plan = wrap_plan, .sandbox_create = sandbox_create_call, \
            .sandbox_destroy = sandbox_destroy_call, .container_start = container_start_call,                         \
            .container_kill = container_kill_call, .exec = exec_call, .signal = signal_call, .release = release_call, \
            .describe = describe_call, .sweep = sweep_call, .adopt = adopt_call, .stdin = stdin_call,                 \
            .stdin_close = stdin_close_call, .attach = attach_call, .attach_policy = attach_policy_call,              \
            .cancel = on_cancel, .detach = wrap_detach, .hold = wrap_hold,                                            \
    }

#endif
