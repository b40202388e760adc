/* SPDX-License-Identifier: Apache-2.0 */
/* Connections and exchanges: between a transport and a personality, with routes, access classes, body policy, faults
 * and quotas. */
#ifndef CL_CORE_EXCHANGE_EXCHANGE_H
#define CL_CORE_EXCHANGE_EXCHANGE_H

#include <cloister/personality.h>
#include <cloister/transport.h>

#include "core/loop/loop.h"
#include "core/net/listener.h"
#include "core/registry/registry.h"

struct cl_exchanges; /* all services' endpoints, connections and exchanges */
struct cl_endpoint;

struct cl_access_rule { /* uid or gid -> class */
    uint32_t access;    /* enum cloister_access */
    uint32_t is_group;
    uint32_t id;
};

struct cl_endpoint_args {
    const char *service;
    const char *address;
    struct cl_instance *personality;
    struct cl_instance *const *transports;
    size_t transport_count;
    struct cl_listener *listener;       /* bound; owned by the endpoint from here */
    const struct cl_access_rule *rules; /* beyond the default: uid 0 and the daemon's uid ADMIN */
    size_t rule_count;
    unsigned max_in_flight; /* per connection; 0 = 64 */
};

int cl_exchanges_new(struct cl_loop *loop, struct cl_exchanges **ret);
int cl_exchanges_add(struct cl_exchanges *exchanges, const struct cl_endpoint_args *args, struct cl_endpoint **ret);
/* Accepts connections on every endpoint from now on. */
int cl_exchanges_accept(struct cl_exchanges *exchanges);
/* Stops accepting, drains transports, lets ordinary exchanges complete until deadline, then closes everything; drained
 * once. */
void cl_exchanges_drain(struct cl_exchanges *exchanges, uint64_t deadline, cloister_fn drained, void *ctx);
/* During a drain: its deadline is now. */
void cl_exchanges_hurry(struct cl_exchanges *exchanges);
/* For health. Refused: for lack of access by us, for their number by the listeners. */
void cl_exchanges_counts(const struct cl_exchanges *exchanges, uint64_t *ret_connections, uint64_t *ret_in_flight,
                         uint64_t *ret_refused);
struct cl_exchanges *cl_exchanges_free(struct cl_exchanges *exchanges); /* asserts emptiness */

extern const struct cloister_transport_api cl_exchange_transport_api; /* for core/host */
extern const struct cloister_exchange_api cl_exchange_api;

#endif
