/* SPDX-License-Identifier: Apache-2.0 */
/* wrap_store.h - wrappers of persistence plugins. */
#ifndef TESTS_PLUGINS_WRAP_STORE_H
#define TESTS_PLUGINS_WRAP_STORE_H

#define WRAP_NEXT struct cloister_persistence
#define WRAP_KIND CLOISTER_KIND_PERSISTENCE
#include "wrap.h"

/* Refuses a wrapped plugin that lacks an operation: a call of it would never complete. */
static inline int wrap_init(struct wrap *wrap, const struct cloister_create_args *args, struct cloister_sv op,
                            uint64_t count, struct cloister_error *err)
{
    const struct cloister_persistence *next = args->next_vtable;

    if (!CLOISTER_HAS(next, global_list) || !next->open || !next->list || !next->get || !next->put || !next->destroy ||
        !next->global_get || !next->global_put || !next->global_delete || !next->global_list) {
        args->host->log->error_set(err, CLOISTER_UNSUPPORTED, 0, "wrap", NULL, "the wrapped plugin lacks an operation");
        return -1;
    }
    *wrap = (struct wrap){args->host, next, args->next_instance, op, count};
    return 0;
}

static inline void wrap_complete(const struct wrap *wrap, cloister_op op, const struct cloister_error *err)
{
    wrap->host->store->done(wrap->host, op, err, NULL);
}

static inline void wrap_close(void *instance)
{
    const struct wrap *wrap = instance;

    wrap->next->close(wrap->next_instance);
}

#define WRAP_SLOTS                                                          \
    WRAP_SLOT(open, cloister_store_open_args, wrap_drop_nothing)            \
    WRAP_SLOT(list, cloister_store_list_args, wrap_drop_nothing)            \
    WRAP_SLOT(get, cloister_store_get_args, wrap_drop_nothing)              \
    WRAP_SLOT(put, cloister_store_put_args, wrap_drop_nothing)              \
    WRAP_SLOT(destroy, cloister_store_destroy_args, wrap_drop_nothing)      \
    WRAP_SLOT(global_get, cloister_store_global_args, wrap_drop_nothing)    \
    WRAP_SLOT(global_put, cloister_store_global_args, wrap_drop_nothing)    \
    WRAP_SLOT(global_delete, cloister_store_global_args, wrap_drop_nothing) \
    WRAP_SLOT(global_list, cloister_store_global_args, wrap_drop_nothing)

#define WRAP_VTABLE(create_fn, destroy_fn, on_cancel)                                                                \
    {                                                                                                                \
        CLOISTER_INIT(struct cloister_persistence),                                                                  \
            .life = {create_fn, destroy_fn}, .open = open_call, .list = list_call, .get = get_call, .put = put_call, \
            .destroy = destroy_call, .global_get = global_get_call, .global_put = global_put_call,                   \
            .global_delete = global_delete_call, .global_list = global_list_call, .cancel = on_cancel,               \
            .close = wrap_close,                                                                                     \
    }

#endif
