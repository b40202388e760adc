/* SPDX-License-Identifier: Apache-2.0 */
/* The services table that plugins get. Rooms above (exchange, engine, store) put their own tables in through
 * cl_host_register. */
#ifndef CL_CORE_HOST_HOST_H
#define CL_CORE_HOST_HOST_H

#include <cloister/host.h>

#include "core/loop/loop.h"
#include "core/net/relay.h"
#include "core/registry/registry.h"
#include "core/zygote/zygote.h"

/* What the tables need to answer. Borrowed for the daemon's life. */
struct cl_host {
    struct cl_loop *loop;
    struct cl_zygote *zygote;
    const char *instance; /* daemon instance name */
    const char *run_dir;
    const char *state_dir;
    const char *helpers_beside; /* the keeper program: a file in the directory of our own helper programs */
    const char *const *helpers; /* absolute paths that the config lists, NULL-terminated; NULL = none */
    const char *boot_id;
    uint64_t cookie;
    void (*shutdown)(void *ctx, uint32_t scope, int32_t code);
    /* Adds members to the health object; registered by the rooms that know. NULL tolerated. */
    void (*health)(void *ctx, cloister_value *object);
    void *ctx; /* of shutdown and health */
    struct cl_registry *registry;
    /* Tables of the rooms above; set before the first instance is created. */
    const struct cloister_transport_api *transport;
    const struct cloister_exchange_api *exchange;
    const struct cloister_engine_api *engine;
    const struct cloister_iso_api *iso;
    const struct cloister_store_api *store;
    struct cl_relays relays;
    char *json; /* core/host's own: the last JSON text that a plugin was given */
};

/* A cl_host_fill_fn; ctx is the struct cl_host. */
void cl_host_fill(void *ctx, struct cl_instance *instance);
/* After the last instance is gone: releases core/host's own memory in it. */
void cl_host_release(struct cl_host *host);
extern const char cl_version[]; /* "0.1.0" */

#endif
