/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flow is an exchange that lasts as long as a relay: the engine opens the process's end, the host moves the bytes,
 * and the answer says how it ended and where. When the daemon drains, a flow out of a process is cut at a byte that is
 * known on both sides, and its end inside stays open until isolation has let go of the sandbox: what it has not read
 * stays there for whoever attaches to the next daemon. So does one that is only being opened then: it may have taken
 * over the place that an earlier daemon kept for its client, and giving that up would give up what lies behind it.
 */
#include "flow.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct ct_flow *ct_flow_new(struct ct_params *params, cloister_exchange *exchange, const struct ct_flow_class *class)
{
    struct ct_instance *instance = params->instance;
    struct ct_flow *flow = calloc(1, sizeof(*flow));
    if (!flow) {
        (void)ct_answer(instance, exchange, NULL);
        return NULL;
    }
    flow->instance = instance;
    flow->exchange = exchange;
    flow->class = class;
    flow->next = instance->flows;
    flow->link = &instance->flows;
    if (flow->next)
        flow->next->link = &flow->next;
    instance->flows = flow;
    return flow;
}

static bool is_over(const struct ct_flow *flow)
{
    return !flow->exchange && !flow->opening && !flow->relay;
}

static void check_drained(struct ct_instance *instance)
{
    for (const struct ct_flow *flow = instance->flows; flow; flow = flow->next) {
        if (!is_over(flow))
            return;
    }
    if (instance->draining)
        instance->host->exchange->drained(instance->host);
    instance->draining = false;
}

static void flow_free(struct ct_flow *flow)
{
    struct ct_instance *instance = flow->instance;
    const struct cloister_stream_api *streams = instance->host->stream;
    if (flow->client)
        streams->abort(flow->client, NULL, NULL);
    if (flow->inside)
        streams->abort(flow->inside, NULL, NULL);
    *flow->link = flow->next;
    if (flow->next)
        flow->next->link = flow->link;
    free(flow);
    check_drained(instance);
}

static void fail(struct ct_flow *flow, const struct cloister_error *err)
{
    if (flow->exchange)
        ct_answer_error(flow->instance, flow->exchange, err);
    flow->exchange = NULL;
    flow_free(flow);
}

static uint64_t position_of(const struct ct_flow *flow)
{
    const struct cloister_stream_api *streams = flow->instance->host->stream;
    struct cloister_stream_info info = {CLOISTER_INIT(struct cloister_stream_info)};
    if (flow->inside && streams->info(flow->inside, &info) == 0)
        return info.position;
    return flow->position + flow->bytes;
}

static cloister_value *answer_of(const struct ct_flow *flow)
{
    const struct ct_instance *instance = flow->instance;
    cloister_value *answer = instance->host->value->new_object();
    ct_set_text(instance, &answer, "verdict", ct_sv(flow->verdict));
    if (flow->class->numbered) {
        uint64_t position = position_of(flow);
        ct_set_u64(instance, &answer, "from", flow->position);
        ct_set_u64(instance, &answer, "position", position);
        ct_set_u64(instance, &answer, "lost", flow->lost + position - flow->position - flow->bytes);
    }
    ct_set_u64(instance, &answer, "bytes", flow->bytes);
    return answer;
}

/* The client has its answer, the daemon drains: the place in the process's output is kept. */
static void leave_inside(struct ct_flow *flow)
{
    if (!flow->class->numbered || !flow->inside) {
        flow_free(flow);
        return;
    }
    if (flow->client)
        flow->instance->host->stream->abort(flow->client, NULL, NULL);
    flow->client = NULL;
    check_drained(flow->instance);
}

void ct_flow_answer(struct ct_flow *flow)
{
    struct ct_instance *instance = flow->instance;
    bool drains = strcmp(flow->verdict, "draining") == 0;
    if (flow->exchange && (drains || strcmp(flow->verdict, "eof") == 0)) {
        instance->host->stream->finish(flow->client, NULL, NULL); /* what it was sent it still gets, and then the end */
        flow->client = NULL;
    }
    if (flow->exchange)
        (void)ct_answer(instance, flow->exchange, answer_of(flow));
    flow->exchange = NULL;
    if (drains)
        leave_inside(flow);
    else
        flow_free(flow);
}

static void on_relayed(void *ctx, cloister_op op, const struct cloister_relay_result *result)
{
    static const char *const verdicts[] = {[CLOISTER_RELAY_EOF] = "eof",
                                           [CLOISTER_RELAY_SRC_ABORTED] = "aborted",
                                           [CLOISTER_RELAY_DST_GONE] = "peer_gone",
                                           [CLOISTER_RELAY_CANCELLED] = "draining"};
    struct ct_flow *flow = ctx;
    (void)op;
    flow->relay = 0;
    flow->bytes = result->bytes;
    flow->verdict = result->end <= CLOISTER_RELAY_CANCELLED ? verdicts[result->end] : "aborted";
    if (!flow->exchange && !flow->instance->draining)
        flow_free(flow);
    else if (result->end != CLOISTER_RELAY_EOF || !flow->class->eof || !flow->class->eof(flow))
        ct_flow_answer(flow);
}

/* limit 0 = none */
static void start_relay(struct ct_flow *flow, uint64_t limit)
{
    const struct cloister_host *host = flow->instance->host;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cloister_relay_args args = {CLOISTER_INIT(struct cloister_relay_args),
                                       .flags = CLOISTER_RELAY_WATCH_DST | CLOISTER_RELAY_HOLD,
                                       .src = flow->class->from_process ? flow->inside : flow->client,
                                       .dst = flow->class->from_process ? flow->client : flow->inside,
                                       .done = on_relayed,
                                       .ctx = flow,
                                       .limit = limit};
    int32_t result = host->stream->relay(host, &args, &flow->relay);
    if (result == 0)
        return;
    host->log->error_set(&err, CLOISTER_IO, -result, "", "relay", "move bytes for the client");
    fail(flow, &err);
}

static void refuse_draining(struct ct_flow *flow)
{
    const struct cloister_fault fault = {CLOISTER_INIT(struct cloister_fault), .kind = CLOISTER_FAULT_DRAINING};
    if (flow->exchange)
        ct_answer_fault(flow->instance, flow->exchange, &fault);
    flow->exchange = NULL;
    leave_inside(flow);
}

static void on_opened(void *ctx, cloister_op op, const struct cloister_error *error,
                      const struct cloister_result *result)
{
    struct ct_flow *flow = ctx;
    (void)op;
    flow->opening = 0;
    if (!error)
        flow->inside = result->stream;
    if (flow->instance->draining) {
        refuse_draining(flow);
    } else if (error) {
        fail(flow, error);
    } else if (!flow->exchange) {
        flow_free(flow);
    } else {
        flow->position = result->position;
        flow->lost = result->lost;
        flow->verdict = "eof";
        if (!flow->follow && result->end <= result->position)
            ct_flow_answer(flow);
        else
            start_relay(flow, flow->follow ? 0 : result->end - result->position);
    }
}

static int take_stream(struct ct_params *params, cloister_exchange *exchange)
{
    static const char *const strangers[] = {"stdin", "stdout", "stderr", "extra"};
    const struct cloister_exchange_api *api = params->instance->host->exchange;
    int type = 0;
    socklen_t size = sizeof(type);
    for (unsigned i = 0; i < sizeof(strangers) / sizeof(strangers[0]) && !params->failed; i++) {
        int32_t fd = api->take_fd(exchange, ct_sv(strangers[i]), 0);
        if (fd < 0)
            continue;
        (void)close(fd);
        ct_wrong(params, "fds", "only the role 'stream' has a meaning here");
    }
    int32_t fd = params->failed ? -1 : api->take_fd(exchange, CLOISTER_SV("stream"), 0);
    if (fd < 0) {
        ct_wrong(params, "fds", "the role 'stream' is missing");
    } else if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM) {
        (void)close(fd);
        ct_wrong(params, "fds", "the role 'stream' is to be a stream socket");
    }
    return params->failed ? -1 : fd;
}

bool ct_client_stream(struct ct_params *params, cloister_exchange *exchange, cloister_stream **ret_stream)
{
    const struct cloister_host *host = params->instance->host;
    cloister_stream *stream = NULL;
    int fd = take_stream(params, exchange);
    int result = fd >= 0 ? host->stream->from_fd(host, fd, &stream) : 0;
    if (result < 0) {
        params->failed = true;
        host->log->error_set(params->err, CLOISTER_IO, -result, "fds", "params", "use the client's descriptor");
    }
    if (!params->failed)
        *ret_stream = stream;
    return !params->failed;
}

void ct_flow_container(struct ct_flow *flow, struct ct_params *params)
{
    struct cloister_sv cid;
    if (!ct_text(params, "container", &cid))
        return;
    if (cid.size >= sizeof(flow->container))
        ct_wrong(params, "container", "longer than 255 bytes");
    else
        memcpy(flow->container, cid.data, cid.size);
}

void ct_flow_begin(struct ct_flow *flow, struct ct_params *params)
{
    if (ct_client_stream(params, flow->exchange, &flow->client))
        flow->opening = flow->class->open(flow, on_opened, params->err);
    if (!flow->opening)
        fail(flow, params->err);
}

/* What has a verdict already completes by itself; so does what is being opened when the daemon drains. */
static void stop(const struct ct_flow *flow)
{
    const struct cloister_host *host = flow->instance->host;
    bool kept = flow->instance->draining && flow->class->numbered;
    if (flow->relay)
        host->stream->relay_cancel(host, flow->relay);
    else if (flow->opening && !flow->verdict && !kept)
        host->engine->cancel(host, flow->opening);
}

bool ct_flow_gone(struct ct_instance *instance, cloister_exchange *exchange)
{
    struct ct_flow *flow = instance->flows;
    while (flow && flow->exchange != exchange)
        flow = flow->next;
    if (!flow)
        return false;
    flow->exchange = NULL;
    stop(flow);
    return true;
}

void ct_flows_drain(struct ct_instance *instance)
{
    instance->draining = true;
    for (struct ct_flow *flow = instance->flows, *next; flow; flow = next) {
        next = flow->next;
        stop(flow);
    }
    check_drained(instance);
}

void ct_flows_close(struct ct_instance *instance)
{
    for (struct ct_flow *flow = instance->flows, *next; flow; flow = next) {
        next = flow->next;
        flow_free(flow);
    }
}
