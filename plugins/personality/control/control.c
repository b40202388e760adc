/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control - the operators' personality: what cloisterctl speaks. README.md beside this file has every shape.
 *
 * A request's params are read strictly (params.c): a key that is unknown, missing or of another type is an error that
 * names it. Reads (op_view.c) are answered from the engine's synchronous views. Bytes of a process (op_flow.c) and
 * archives (op_files.c) are a flow (flow.c): a relay of the host's that an exchange waits for. Everything else becomes
 * one operation of the engine and one ct_call (call.c) that joins its completion with the exchange, if that is still
 * there: a client that goes away ends its own waits and subscriptions and nothing else. Events (subscription.c) are
 * pushed as the connection takes them; a slow client has a bounded queue and is told how many it has lost.
 */
#include "flow.h"

#define OPERATIONS(X)                                                 \
    X(version, OBSERVE, 0)                                            \
    X(plugins, OBSERVE, 0)                                            \
    X(list, OBSERVE, 0)                                               \
    X(inspect, OBSERVE, 0)                                            \
    X(health, OBSERVE, 0)                                             \
    X(hello, OBSERVE, 0)                                              \
    X(events, OBSERVE, CLOISTER_ROUTE_PARKED)                         \
    X(unsubscribe, OBSERVE, 0)                                        \
    X(wait, OBSERVE, CLOISTER_ROUTE_PARKED)                           \
    X(create, CONTROL, CLOISTER_ROUTE_FDS)                            \
    X(start, CONTROL, CLOISTER_ROUTE_FDS)                             \
    X(exec, CONTROL, CLOISTER_ROUTE_FDS)                              \
    X(signal, CONTROL, 0)                                             \
    X(stop, CONTROL, CLOISTER_ROUTE_PARKED)                           \
    X(destroy, CONTROL, 0)                                            \
    X(release, CONTROL, 0)                                            \
    X(commit, CONTROL, 0)                                             \
    X(label, CONTROL, 0)                                              \
    X(attach, CONTROL, CLOISTER_ROUTE_FDS | CLOISTER_ROUTE_PARKED)    \
    X(attach_policy, CONTROL, 0)                                      \
    X(stdin, CONTROL, CLOISTER_ROUTE_FDS | CLOISTER_ROUTE_PARKED)     \
    X(stdin_close, CONTROL, 0)                                        \
    X(resize, CONTROL, 0)                                             \
    X(container_create, CONTROL, CLOISTER_ROUTE_FDS)                  \
    X(container_delete, CONTROL, 0)                                   \
    X(freeze, CONTROL, 0)                                             \
    X(thaw, CONTROL, 0)                                               \
    X(update, CONTROL, 0)                                             \
    X(stats, OBSERVE, 0)                                              \
    X(procs, OBSERVE, 0)                                              \
    X(file_put, CONTROL, 0)                                           \
    X(read_file, CONTROL, 0)                                          \
    X(files_in, CONTROL, CLOISTER_ROUTE_FDS | CLOISTER_ROUTE_PARKED)  \
    X(files_out, CONTROL, CLOISTER_ROUTE_FDS | CLOISTER_ROUTE_PARKED) \
    X(shutdown, ADMIN, 0)

#define NUMBER(name, access_class, route_flags) OP_##name,
enum { OPERATIONS(NUMBER) OP_COUNT };

#define FUNCTION(name, access_class, route_flags) [OP_##name] = ct_##name,
static ct_op_fn *const operations[OP_COUNT] = {OPERATIONS(FUNCTION)};

#define WORD(name, access_class, route_flags) #name,
const char *const ct_methods[] = {OPERATIONS(WORD) NULL};

#define ROUTE(name, access_class, route_flags)               \
    [OP_##name] = {.op = #name,                              \
                   .id = OP_##name,                          \
                   .access = CLOISTER_ACCESS_##access_class, \
                   .body = CLOISTER_BODY_WHOLE,              \
                   .flags = (route_flags)},
static const struct cloister_route routes[OP_COUNT] = {OPERATIONS(ROUTE)};

static int32_t create(const struct cloister_create_args *args, void **ret_instance, struct cloister_error *err)
{
    struct ct_instance *instance = calloc(1, sizeof(*instance));
    if (!instance) {
        args->host->log->error_set(err, CLOISTER_LIMIT, 12, NULL, NULL, "no memory for the personality");
        return -1;
    }
    instance->host = args->host;
    *ret_instance = instance;
    return 0;
}

static void destroy(void *instance)
{
    free(instance);
}

static void on_exchange(void *instance, cloister_exchange *exchange, uint32_t route_id)
{
    struct ct_instance *self = instance;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    const cloister_value *params = self->host->exchange->document(exchange, &err);
    if (params && self->host->value->type(params) != CLOISTER_VALUE_OBJECT) {
        self->host->log->error_set(&err, CLOISTER_INVALID, 0, "params", "params", "expected an object");
        params = NULL;
    }
    if (params && route_id < OP_COUNT)
        operations[route_id](self, exchange, params);
    else
        ct_answer_error(self, exchange, &err);
}

static void on_fault(void *instance, cloister_exchange *exchange, const struct cloister_fault *fault)
{
    ct_answer_fault(instance, exchange, fault);
}

static void on_gone(void *instance, cloister_exchange *exchange, uint32_t reason)
{
    (void)reason;
    if (!ct_subscription_gone(instance, exchange) && !ct_flow_gone(instance, exchange))
        ct_call_gone(instance, exchange);
}

static void on_writable(void *instance, cloister_exchange *exchange)
{
    ct_subscription_writable(instance, exchange);
}

static void on_event(void *instance, const struct cloister_event *event)
{
    ct_subscription_event(instance, event);
}

/* Nothing here depends on what a sandbox was doing when the last daemon ended. */
static void on_recovered(void *instance, const struct cloister_sandbox_info *sandbox, cloister_op op)
{
    const struct ct_instance *self = instance;
    (void)sandbox;
    self->host->engine->recovered_done(self->host, op);
}

/* Parked exchanges are not waited for by the host. Flows are to be cut where both sides know it; waits and
 * subscriptions end with their connections. */
static void on_drain(void *instance, uint64_t deadline)
{
    (void)deadline;
    ct_flows_drain(instance);
}

static void on_close(void *instance)
{
    ct_flows_close(instance);
}

static const struct cloister_personality vtable = {
    CLOISTER_INIT(struct cloister_personality),
    .route_count = OP_COUNT,
    .life = {.create = create, .destroy = destroy},
    .routes = routes,
    .route_size = sizeof(struct cloister_route),
    .exchange = on_exchange,
    .exchange_fault = on_fault,
    .exchange_gone = on_gone,
    .writable = on_writable,
    .event = on_event,
    .recovered = on_recovered,
    .drain = on_drain,
    .close = on_close,
};

static const struct cloister_plugin plugin = {
    CLOISTER_PLUGIN_STAMP(CLOISTER_KIND_PERSONALITY),
    .name = "control",
    .version = "0.1.0",
    .licence = "Apache-2.0",
    .build = "",
    .summary = "the operators' protocol: create, exec, wait, signal, list, events",
    .needs_transport = CLOISTER_TRANSPORT_FDS | CLOISTER_TRANSPORT_PUSH,
    .vtable = &vtable,
};

CLOISTER_PLUGIN_REGISTER(plugin)
