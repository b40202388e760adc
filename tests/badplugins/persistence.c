/* SPDX-License-Identifier: Apache-2.0 */
#include <cloister/persistence.h>

#include "bend.h"
#include "options.h"

#ifndef KIND
#define KIND CLOISTER_KIND_PERSISTENCE
#endif
#ifndef PUT
#define PUT put
#endif

static void open_store(void *instance, const struct cloister_store_open_args *args, cloister_op op)
{
}

static void list(void *instance, const struct cloister_store_list_args *args, cloister_op op)
{
}

static void get(void *instance, const struct cloister_store_get_args *args, cloister_op op)
{
}

static inline void put(void *instance, const struct cloister_store_put_args *args, cloister_op op)
{
}

static void remove_set(void *instance, const struct cloister_store_destroy_args *args, cloister_op op)
{
}

static void stat_store(void *instance, const struct cloister_store_stat_args *args, cloister_op op)
{
}

static void cancel(void *instance, cloister_op op)
{
}

static void close_store(void *instance)
{
}

static const struct {
    struct cloister_persistence known;
    struct tail tail;
} vtable = {
    .known =
        {
            .struct_size = VTABLE_SIZE,
            .life = {create, destroy},
            .open = open_store,
            .list = list,
            .get = get,
            .put = PUT,
            .destroy = remove_set,
            .stat = stat_store,
            .cancel = cancel,
            .close = close_store,
        },
    .tail = TAIL,
};

static const struct cloister_plugin descriptor = BENT(KIND);

CLOISTER_PLUGIN_REGISTER(descriptor)
