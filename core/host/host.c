/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.c - the one way back into the daemon.
 *
 * Each instance gets a cloister_host of its own, so the tables need no "who is calling" argument beside it and no
 * plugin can speak for another. The tables are constant and shared; a slot that a kind of plugin has no business with
 * is not there at all, which is how a transport is kept from the engine and a personality from forking. Tables of the
 * services that live here are thin adapters from the SDK's shapes to core functions, one file per table; those of the
 * rooms above (exchange, engine, store) are put in by the daemon, since this room must not know them.
 */
#include "core/host/host.h"

#include <stdlib.h>

#include "core/host/tables.h"
#include "core/value/table.h"

const char cl_version[] = CL_VERSION;

void cl_host_fill(void *ctx, struct cl_instance *instance)
{
    struct cl_host *own = ctx;
    struct cloister_host *host = &instance->host;
    instance->host_room = own;
    host->log = &cl_host_log;
    host->value = &cl_value_table;
    host->loop = &cl_host_loop;
    host->system = &cl_host_system;
    switch (instance->kind) {
    case CLOISTER_KIND_TRANSPORT:
        host->stream = &cl_host_stream;
        host->transport = own->transport;
        break;
    case CLOISTER_KIND_PERSONALITY:
        host->stream = &cl_host_stream;
        host->exchange = own->exchange;
        host->engine = own->engine;
        break;
    case CLOISTER_KIND_ISOLATION:
        host->stream = &cl_host_stream;
        host->system = &cl_host_system_isolation;
        host->iso = own->iso;
        break;
    case CLOISTER_KIND_PERSISTENCE:
        host->store = own->store;
        break;
    default:
        break;
    }
}

void cl_host_release(struct cl_host *host)
{
    free(host->json);
    host->json = NULL;
    cl_relays_free(&host->relays);
}
