/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>

#include "params.h"
#include "status.h"

#define GRACE_MS 10000u
#define GRACE_MS_MAX 86400000u

static void answer_stopped(struct ct_call *call, const struct cloister_result *result)
{
    struct ct_instance *instance = call->instance;
    cloister_value *answer = instance->host->value->new_object();
    ct_set_u64(instance, &answer, "process", result->process);
    ct_set(instance, &answer, "status", ct_status(instance, &result->status));
    (void)ct_answer(instance, call->exchange, answer);
}

static uint64_t read_grace(struct ct_params *params)
{
    uint64_t grace = GRACE_MS;
    if (ct_u64(params, "grace_ms", &grace) && grace > GRACE_MS_MAX)
        ct_wrong(params, "grace_ms", "expected at most a day");
    return grace * 1000000u;
}

void ct_stop(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", "container", "signal", "grace_ms", "deadline_ms", NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_container_stop_args args = {CLOISTER_INIT(struct cloister_container_stop_args)};
    struct ct_call *call = ct_call_new(instance, exchange);
    cloister_op op = 0;
    if (!call)
        return;
    (void)ct_params_known(&params, known);
    (void)ct_text(&params, "container", &args.container);
    args.signal = ct_signal_param(&params, SIGTERM);
    args.grace = read_grace(&params);
    args.deadline = ct_deadline(&params);
    call->finish = answer_stopped;
    if (ct_target(&params, call->sandbox)) {
        args.sandbox = ct_sv(call->sandbox);
        op = cloister_container_stop(instance->host, &args, ct_call_done, call, &err);
    }
    (void)ct_call_begun(call, op, &err);
}
