/* SPDX-License-Identifier: Apache-2.0 */
/* Records, durability classes and the instance's identity; calls persistence through its vtable and checks that each
 * operation completes exactly once. */
#ifndef CL_CORE_STORE_STORE_H
#define CL_CORE_STORE_STORE_H

#include <cloister/persistence.h>

#include "core/loop/loop.h"
#include "core/registry/registry.h"

struct cl_store;

typedef void (*cl_store_fn)(void *ctx, const struct cloister_error *err, const struct cloister_store_result *result);

/* Wraps a persistence instance. store_room of the instance is set. */
int cl_store_new(struct cl_loop *loop, struct cl_instance *instance, struct cl_store **ret);
/* Each: 0 and fn exactly once, never inside the call; or -ENOMEM and fn is not called. Arguments are copied. */
int cl_store_open(struct cl_store *store, const char *daemon_instance, const char *state_dir, cl_store_fn fn,
                  void *ctx);
int cl_store_list(struct cl_store *store, struct cloister_sv cursor, cl_store_fn fn, void *ctx);
int cl_store_get(struct cl_store *store, struct cloister_sv id, cl_store_fn fn, void *ctx);
int cl_store_put(struct cl_store *store, struct cloister_sv id, uint64_t if_generation, uint32_t durability,
                 const struct cloister_record *records, size_t count, struct cloister_sv summary, cl_store_fn fn,
                 void *ctx);
int cl_store_destroy(struct cl_store *store, struct cloister_sv id, uint64_t if_generation, cl_store_fn fn, void *ctx);
/* Globals: one operation per key under way. get: NO_ENTITY if there is none, else one record. delete: absent is fine.
 * -EOPNOTSUPP (and fn is not called) where the plugin has none. */
int cl_store_global_get(struct cl_store *store, struct cloister_sv key, cl_store_fn fn, void *ctx);
int cl_store_global_put(struct cl_store *store, struct cloister_sv key, uint32_t durability, struct cloister_sv data,
                        cl_store_fn fn, void *ctx);
int cl_store_global_delete(struct cl_store *store, struct cloister_sv key, cl_store_fn fn, void *ctx);
/* After open. */
struct cloister_sv cl_store_id(const struct cl_store *store);
uint64_t cl_store_epoch(const struct cl_store *store);
uint64_t cl_store_capabilities(const struct cl_store *store);
int cl_store_was_clean(const struct cl_store *store);        /* nothing was repaired or quarantined at open */
unsigned cl_store_pending(const struct cl_store *store);     /* operations under way */
void cl_store_patience(struct cl_store *store, uint64_t ns); /* until an operation is named as overdue; 30 s */
void cl_store_close(struct cl_store *store);                 /* after the last completion; frees it */

extern const struct cloister_store_api cl_store_api; /* for core/host */

#endif
