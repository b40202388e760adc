/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wrap.h - what the isolation wrappers of the tests have in common: each chooses some calls of one operation and does
 * something to them; everything else goes straight to the wrapped instance. `struct wrap` is the first member of their
 * instance.
 *
 * A wrapper defines `static int choose(instance, name, args, op, pass, drop)`: 1 if the call is the wrapper's now, 0 if
 * it is to be passed on; then WRAP_SLOTS, and WRAP_VTABLE for its table.
 */
#ifndef TESTS_PLUGINS_WRAP_H
#define TESTS_PLUGINS_WRAP_H

#include <cloister/host.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct wrap {
    const struct cloister_host *host;
    const struct cloister_isolation *next;
    void *next_instance;
    struct cloister_sv op; /* the operation whose calls are chosen */
    uint64_t left;         /* calls still to be chosen */
};

/* Passes a chosen call on, with its real type. */
typedef void (*wrap_pass_fn)(void *instance, const void *args, cloister_op op);
/* Closes the descriptors of a call that will never be passed on: they were ours from the call on. */
typedef void (*wrap_drop_fn)(const void *args);

/* Refuses a wrapped plugin that lacks an operation: a call of it would never complete. */
static inline int wrap_init(struct wrap *wrap, const struct cloister_create_args *args, struct cloister_sv op,
                            uint64_t count, struct cloister_error *err)
{
    const struct cloister_isolation *next = args->next_vtable;

    if (!CLOISTER_HAS(next, sweep) || !next->sandbox_create || !next->sandbox_destroy || !next->container_start ||
        !next->container_kill || !next->exec || !next->signal || !next->release || !next->describe || !next->sweep) {
        args->host->log->error_set(err, CLOISTER_UNSUPPORTED, 0, "wrap", NULL, "the wrapped plugin lacks an operation");
        return -1;
    }
    *wrap = (struct wrap){args->host, next, args->next_instance, op, count};
    return 0;
}

/* A zeroed instance of `size` bytes. */
static inline void *wrap_new(const struct cloister_create_args *args, size_t size, struct cloister_error *err)
{
    void *instance = calloc(1, size);

    if (!instance)
        args->host->log->error_set(err, CLOISTER_LIMIT, ENOMEM, NULL, "memory", "create a wrapper");
    return instance;
}

static inline int wrap_wants(const struct wrap *wrap, const char *name)
{
    return wrap->left > 0 && wrap->op.size == strlen(name) && memcmp(wrap->op.data, name, wrap->op.size) == 0;
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

static inline void wrap_drop_nothing(const void *args)
{
    (void)args;
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

/* One operation: `name`_pass calls the wrapped instance, `name`_call is the slot. */
#define WRAP_SLOT(name, type, drop)                                                  \
    static void name##_pass(void *instance, const void *args, cloister_op op)        \
    {                                                                                \
        const struct wrap *wrap = instance;                                          \
        wrap->next->name(wrap->next_instance, args, op);                             \
    }                                                                                \
    static void name##_call(void *instance, const struct type *args, cloister_op op) \
    {                                                                                \
        if (!choose(instance, #name, args, op, name##_pass, drop))                   \
            name##_pass(instance, args, op);                                         \
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
    WRAP_SLOT(sweep, cloister_iso_sweep_args, wrap_drop_nothing)

#define WRAP_VTABLE(create, destroy, on_cancel)                                                                       \
    {                                                                                                                 \
        CLOISTER_INIT(struct cloister_isolation),                                                                     \
            .life = {create, destroy}, .probe = wrap_probe, .plan = wrap_plan, .sandbox_create = sandbox_create_call, \
            .sandbox_destroy = sandbox_destroy_call, .container_start = container_start_call,                         \
            .container_kill = container_kill_call, .exec = exec_call, .signal = signal_call, .release = release_call, \
            .describe = describe_call, .sweep = sweep_call, .cancel = on_cancel, .detach = wrap_detach,               \
    }

#endif
