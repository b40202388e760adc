/* SPDX-License-Identifier: Apache-2.0 */
#include <cloister/isolation.h>

#include "bend.h"

#ifndef PLAN
#define PLAN plan
#endif

static int32_t probe(void *instance, struct cloister_iso_probe *ret, struct cloister_error *err)
{
    return 0;
}

static inline int32_t plan(void *instance, const struct cloister_iso_plan_args *args, struct cloister_sv *ret_blob,
                           struct cloister_error *err)
{
    return 0;
}

static void sandbox_create(void *instance, const struct cloister_iso_create_args *args, cloister_op op)
{
}

static void sandbox_destroy(void *instance, const struct cloister_iso_destroy_args *args, cloister_op op)
{
}

static void cancel(void *instance, cloister_op op)
{
}

static void detach(void *instance)
{
}

static const struct {
    struct cloister_isolation known;
    struct tail tail;
} vtable = {
    .known =
        {
            .struct_size = VTABLE_SIZE,
            .life = {create, destroy},
            .probe = probe,
            .plan = PLAN,
            .sandbox_create = sandbox_create,
            .sandbox_destroy = sandbox_destroy,
            .cancel = cancel,
            .detach = detach,
        },
    .tail = TAIL,
};

static const struct cloister_plugin descriptor = BENT(CLOISTER_KIND_ISOLATION);

CLOISTER_PLUGIN_REGISTER(descriptor)
