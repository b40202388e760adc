/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

struct ct_call *ct_call_new(struct ct_instance *instance, cloister_exchange *exchange)
{
    struct ct_call *call = calloc(1, sizeof(*call));
    if (!call) {
        (void)ct_answer(instance, exchange, NULL);
        return NULL;
    }
    call->instance = instance;
    call->exchange = exchange;
    call->next = instance->calls;
    call->link = &instance->calls;
    if (call->next)
        call->next->link = &call->next;
    instance->calls = call;
    return call;
}

void ct_call_free(struct ct_call *call)
{
    *call->link = call->next;
    if (call->next)
        call->next->link = call->link;
    call->instance->host->value->free(call->document);
    free(call);
}

bool ct_call_begun(struct ct_call *call, cloister_op op, const struct cloister_error *err)
{
    call->op = op;
    if (op != 0)
        return true;
    ct_answer_error(call->instance, call->exchange, err);
    ct_call_free(call);
    return false;
}

void ct_call_done(void *ctx, cloister_op op, const struct cloister_error *error, const struct cloister_result *result)
{
    struct ct_call *call = ctx;
    (void)op;
    call->op = 0;
    if (call->exchange && error)
        ct_answer_error(call->instance, call->exchange, error);
    else if (call->exchange && call->finish)
        call->finish(call, result);
    else if (call->exchange)
        (void)ct_answer_empty(call->instance, call->exchange);
    ct_call_free(call);
}

/* What was asked for is done all the same: sandboxes belong to the service, not to the connection that made them. */
void ct_call_gone(struct ct_instance *instance, cloister_exchange *exchange)
{
    for (struct ct_call *call = instance->calls; call; call = call->next) {
        if (call->exchange != exchange)
            continue;
        call->exchange = NULL;
        if (call->for_client_only)
            instance->host->engine->cancel(instance->host, call->op);
        return;
    }
}
