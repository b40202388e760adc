/* SPDX-License-Identifier: Apache-2.0 */
/* Standing still, and limits. */
#include "params.h"

/* ---- freeze, thaw ---- */

static void read_freeze(struct ct_params *params, struct cloister_sv *ret_container, uint64_t *ret_deadline)
{
    static const char *const known[] = {"id", "name", "container", "deadline_ms", NULL};
    (void)ct_params_known(params, known);
    if (ct_text(params, "container", ret_container) && ret_container->size == 0)
        ct_wrong(params, "container", "expected the cid of a container");
    *ret_deadline = ct_deadline(params);
}

void ct_freeze(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_freeze_args args = {CLOISTER_INIT(struct cloister_freeze_args)};
    struct ct_call *call = ct_call_new(instance, exchange);
    cloister_op op = 0;
    if (!call)
        return;
    read_freeze(&params, &args.container, &args.deadline);
    if (ct_target(&params, call->sandbox)) {
        args.sandbox = ct_sv(call->sandbox);
        op = cloister_freeze(instance->host, &args, ct_call_done, call, &err);
    }
    (void)ct_call_begun(call, op, &err);
}

void ct_thaw(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_thaw_args args = {CLOISTER_INIT(struct cloister_thaw_args)};
    struct ct_call *call = ct_call_new(instance, exchange);
    cloister_op op = 0;
    if (!call)
        return;
    read_freeze(&params, &args.container, &args.deadline);
    if (ct_target(&params, call->sandbox)) {
        args.sandbox = ct_sv(call->sandbox);
        op = cloister_thaw(instance->host, &args, ct_call_done, call, &err);
    }
    (void)ct_call_begun(call, op, &err);
}

/* ---- update ---- */

static void answer_updated(struct ct_call *call, const struct cloister_result *result)
{
    struct ct_instance *instance = call->instance;
    cloister_value *answer = instance->host->value->new_object();
    ct_set(instance, &answer, "limits", ct_json(instance, result->json));
    (void)ct_answer(instance, call->exchange, answer);
}

void ct_update(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", "container", "scope", "resources", "deadline_ms", NULL};
    static const char *const scopes[] = {"container", "sandbox", NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_update_args args = {CLOISTER_INIT(struct cloister_update_args)};
    struct ct_call *call = ct_call_new(instance, exchange);
    cloister_op op = 0;
    if (!call)
        return;
    (void)ct_params_known(&params, known);
    args.scope = ct_choice(&params, "scope", scopes, 0) == 0 ? CLOISTER_SCOPE_CONTAINER : CLOISTER_SCOPE_SANDBOX;
    if (ct_text(&params, "container", &args.container) && args.scope == CLOISTER_SCOPE_SANDBOX)
        ct_wrong(&params, "container", "the scope is the sandbox");
    args.deadline = ct_deadline(&params);
    (void)ct_need(&params, "resources", ct_object_text(&params, "resources", &args.resources));
    call->finish = answer_updated;
    if (ct_target(&params, call->sandbox)) {
        args.sandbox = ct_sv(call->sandbox);
        op = cloister_update(instance->host, &args, ct_call_done, call, &err);
    }
    (void)ct_call_begun(call, op, &err);
    ct_text_free(instance, args.resources);
}
