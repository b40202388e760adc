/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wrap.h - what the wrappers of the tests have in common, whatever they wrap: each chooses some calls of one operation
 * and does something to them; everything else goes straight to the wrapped instance. `struct wrap` is the first member
 * of their instance. Included by wrap_isolation.h and wrap_store.h, which say what WRAP_NEXT is, a vtable's type.
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
    const WRAP_NEXT *next;
    void *next_instance;
    struct cloister_sv op; /* the operation whose calls are chosen */
    uint64_t left;         /* calls still to be chosen */
};

/* Passes a chosen call on, with its real type. */
typedef void (*wrap_pass_fn)(void *instance, const void *args, cloister_op op);
/* Closes the descriptors of a call that will never be passed on: they were ours from the call on. */
typedef void (*wrap_drop_fn)(const void *args);

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

static inline void wrap_drop_nothing(const void *args)
{
    (void)args;
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

#endif
