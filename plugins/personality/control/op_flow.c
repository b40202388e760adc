/* SPDX-License-Identifier: Apache-2.0 */
/* What a client does with a process's captured output and its stdin. */
#include "flow.h"

#define TERMINAL_MAX 65535u

static void read_output(struct ct_params *params, uint32_t *ret_fd)
{
    static const char *const names[] = {"stdout", "stderr", NULL};
    const struct cloister_value_api *values = params->instance->host->value;
    uint64_t number = 1;
    if (values->type(values->get(params->object, CLOISTER_SV("fd"))) == CLOISTER_VALUE_STRING)
        number = ct_choice(params, "fd", names, 0) + 1;
    else if (ct_u64(params, "fd", &number) && number != 1 && number != 2)
        ct_wrong(params, "fd", "expected 1, 2, \"stdout\" or \"stderr\"");
    *ret_fd = (uint32_t)number;
}

/* ---- attach ---- */

static cloister_op open_output(struct ct_flow *flow, cloister_done_fn done, struct cloister_error *err)
{
    const struct cloister_attach_args args = {CLOISTER_INIT(struct cloister_attach_args),
                                              .from = flow->from,
                                              .sandbox = ct_sv(flow->sandbox),
                                              .container = ct_sv(flow->container),
                                              .process = flow->process,
                                              .fd = flow->fd,
                                              .policy = flow->policy,
                                              .position = flow->position,
                                              .deadline = flow->deadline};
    return cloister_attach(flow->instance->host, &args, done, flow, err);
}

static const struct ct_flow_class output_class = {.from_process = true, .numbered = true, .open = open_output};

static void read_from(struct ct_params *params, struct ct_flow *flow)
{
    static const char *const words[] = {"live", "oldest", "resume", NULL}; /* enum cloister_attach_from, less one */
    const struct cloister_value_api *values = params->instance->host->value;
    const cloister_value *from = values->get(params->object, CLOISTER_SV("from"));
    if (values->type(from) == CLOISTER_VALUE_STRING || !ct_u64(params, "from", &flow->position))
        flow->from = ct_choice(params, "from", words, 0) + CLOISTER_ATTACH_LIVE;
    else
        flow->from = CLOISTER_ATTACH_POSITION;
}

void ct_attach(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id",   "name",   "container", "process",     "fd",
                                        "from", "policy", "follow",    "deadline_ms", NULL};
    static const char *const policies[] = {"block", "drop", NULL}; /* enum cloister_policy */
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct ct_flow *flow = ct_flow_new(&params, exchange, &output_class);
    if (!flow)
        return;
    flow->follow = true;
    (void)ct_params_known(&params, known);
    ct_flow_container(flow, &params);
    (void)ct_process_number(&params, &flow->process);
    read_output(&params, &flow->fd);
    read_from(&params, flow);
    flow->policy = ct_choice(&params, "policy", policies, 0);
    (void)ct_bool(&params, "follow", &flow->follow);
    flow->deadline = ct_deadline(&params);
    (void)ct_target(&params, flow->sandbox);
    ct_flow_begin(flow, &params);
}

/* ---- stdin ---- */

static cloister_op open_input(struct ct_flow *flow, cloister_done_fn done, struct cloister_error *err)
{
    const struct cloister_stdin_args args = {CLOISTER_INIT(struct cloister_stdin_args), .sandbox = ct_sv(flow->sandbox),
                                             .container = ct_sv(flow->container), .process = flow->process};
    return cloister_stdin(flow->instance->host, &args, done, flow, err);
}

static void on_input_closed(void *ctx, cloister_op op, const struct cloister_error *error,
                            const struct cloister_result *result)
{
    struct ct_flow *flow = ctx;
    (void)op;
    (void)result;
    flow->opening = 0;
    if (error && flow->exchange) {
        ct_answer_error(flow->instance, flow->exchange, error);
        flow->exchange = NULL;
    }
    ct_flow_answer(flow);
}

/* Closed before the answer: who has it knows that the process will see its EOF. */
static bool close_input(struct ct_flow *flow)
{
    const struct cloister_stdin_close_args args = {CLOISTER_INIT(struct cloister_stdin_close_args),
                                                   .sandbox = ct_sv(flow->sandbox), .container = ct_sv(flow->container),
                                                   .process = flow->process};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (!flow->closes)
        return false;
    flow->instance->host->stream->abort(flow->inside, NULL, NULL); /* it is a writer too */
    flow->inside = NULL;
    flow->opening = cloister_stdin_close(flow->instance->host, &args, on_input_closed, flow, &err);
    if (!flow->opening)
        on_input_closed(flow, 0, &err, NULL);
    return true;
}

static const struct ct_flow_class input_class = {.open = open_input, .eof = close_input};

void ct_stdin(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", "container", "process", "close", NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct ct_flow *flow = ct_flow_new(&params, exchange, &input_class);
    if (!flow)
        return;
    flow->follow = true;
    (void)ct_params_known(&params, known);
    ct_flow_container(flow, &params);
    (void)ct_process_number(&params, &flow->process);
    (void)ct_bool(&params, "close", &flow->closes);
    (void)ct_target(&params, flow->sandbox);
    ct_flow_begin(flow, &params);
}

/* ---- attach_policy, stdin_close, resize ---- */

/* A call about one process. NULL: it was answered. */
static struct ct_call *begin_call(struct ct_params *params, cloister_exchange *exchange, const char *const *known,
                                  struct cloister_sv *ret_container, cloister_process *ret_process)
{
    struct ct_call *call = ct_call_new(params->instance, exchange);
    if (!call)
        return NULL;
    (void)ct_params_known(params, known);
    (void)ct_text(params, "container", ret_container);
    (void)ct_process_number(params, ret_process);
    return call;
}

void ct_attach_policy(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", "container", "process", "fd", "policy", "window", NULL};
    static const char *const policies[] = {"block", "drop", "discard", NULL}; /* enum cloister_policy */
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_attach_policy_args args = {CLOISTER_INIT(struct cloister_attach_policy_args)};
    struct ct_call *call = begin_call(&params, exchange, known, &args.container, &args.process);
    cloister_op op = 0;
    if (!call)
        return;
    (void)ct_u64(&params, "window", &args.window);
    read_output(&params, &args.fd);
    args.policy = ct_choice(&params, "policy", policies, 0);
    (void)ct_need(&params, "policy", instance->host->value->get(object, CLOISTER_SV("policy")) != NULL);
    if (ct_target(&params, call->sandbox)) {
        args.sandbox = ct_sv(call->sandbox);
        op = cloister_attach_policy(instance->host, &args, ct_call_done, call, &err);
    }
    (void)ct_call_begun(call, op, &err);
}

void ct_stdin_close(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", "container", "process", NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_stdin_close_args args = {CLOISTER_INIT(struct cloister_stdin_close_args)};
    struct ct_call *call = begin_call(&params, exchange, known, &args.container, &args.process);
    cloister_op op = 0;
    if (call && ct_target(&params, call->sandbox)) {
        args.sandbox = ct_sv(call->sandbox);
        op = cloister_stdin_close(instance->host, &args, ct_call_done, call, &err);
    }
    if (call)
        (void)ct_call_begun(call, op, &err);
}

void ct_resize(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", "container", "process", "rows", "columns", NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_resize_args args = {CLOISTER_INIT(struct cloister_resize_args)};
    struct ct_call *call = begin_call(&params, exchange, known, &args.container, &args.process);
    cloister_op op = 0;
    if (!call)
        return;
    (void)ct_need(&params, "rows", ct_u32(&params, "rows", 1, TERMINAL_MAX, &args.rows));
    (void)ct_need(&params, "columns", ct_u32(&params, "columns", 1, TERMINAL_MAX, &args.columns));
    if (ct_target(&params, call->sandbox)) {
        args.sandbox = ct_sv(call->sandbox);
        op = cloister_resize(instance->host, &args, ct_call_done, call, &err);
    }
    (void)ct_call_begun(call, op, &err);
}
