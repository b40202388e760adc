/* SPDX-License-Identifier: Apache-2.0 */
#include "labels.h"

#define LABELS_MAX 1024u

static uint64_t count_of(struct ct_params *params, const char *key, const cloister_value **ret_object)
{
    const struct cloister_value_api *values = params->instance->host->value;
    if (!ct_object(params, key, ret_object))
        return 0;
    uint64_t count = values->count(*ret_object);
    if (count > LABELS_MAX)
        ct_wrong(params, key, "more than 1024");
    return count;
}

static void take(struct ct_params *params, const char *key, const cloister_value *object, uint64_t count,
                 uint32_t flags, struct ct_labels *labels)
{
    const struct cloister_value_api *values = params->instance->host->value;
    for (uint64_t i = 0; i < count; i++) {
        struct cloister_label *label = &labels->entries[labels->count++];
        const cloister_value *value = values->at(object, i, &label->key);
        if (values->string(value, &label->value) < 0)
            ct_wrong(params, key, "expected strings");
        label->flags = flags;
    }
}

bool ct_labels_read(struct ct_params *params, struct ct_labels *ret_labels)
{
    const cloister_value *plain = NULL, *secret = NULL;
    uint64_t plain_count = count_of(params, "labels", &plain);
    uint64_t secret_count = count_of(params, "secret_labels", &secret);
    *ret_labels = (struct ct_labels){0};
    if (params->failed || plain_count + secret_count == 0)
        return !params->failed;
    ret_labels->entries = calloc(plain_count + secret_count, sizeof(*ret_labels->entries));
    if (!ret_labels->entries) {
        ct_wrong(params, "labels", "out of memory");
        return false;
    }
    take(params, "labels", plain, plain_count, 0, ret_labels);
    take(params, "secret_labels", secret, secret_count, CLOISTER_LABEL_SECRET, ret_labels);
    return !params->failed;
}

void ct_labels_end(struct ct_labels *labels)
{
    free(labels->entries);
}

/* ---- label: one label after the other, each in the store before the next ---- */

struct change {
    struct cloister_sv key, value; /* value.data NULL: it is removed */
    uint32_t flags;
};

static bool change_at(struct ct_call *call, uint64_t index, struct change *ret_change)
{
    static const struct {
        struct cloister_sv key;
        uint32_t flags;
    } kinds[] = {
        {CLOISTER_SV("set"), 0}, {CLOISTER_SV("set_secret"), CLOISTER_LABEL_SECRET}, {CLOISTER_SV("remove"), 0}};
    const struct cloister_value_api *values = call->instance->host->value;
    for (unsigned i = 0; i < 3; i++) {
        const cloister_value *group = values->get(call->document, kinds[i].key);
        uint64_t count = values->count(group);
        if (index >= count) {
            index -= count;
            continue;
        }
        *ret_change = (struct change){.flags = kinds[i].flags};
        const cloister_value *value = values->at(group, index, &ret_change->key);
        (void)values->string(value, i == 2 ? &ret_change->key : &ret_change->value);
        return true;
    }
    return false;
}

static void label_put_done(void *ctx, cloister_op op, const struct cloister_error *error,
                           const struct cloister_result *result);

/* False: there is no next one, or it was refused (err). */
static bool put_next(struct ct_call *call, struct cloister_error *err)
{
    struct change change;
    if (!change_at(call, call->step++, &change))
        return false;
    struct cloister_label_put_args args = {CLOISTER_INIT(struct cloister_label_put_args), .flags = change.flags,
                                           .sandbox = ct_sv(call->sandbox), .key = change.key, .value = change.value};
    call->op = cloister_label_put(call->instance->host, &args, label_put_done, call, err);
    return call->op != 0;
}

static void label_put_done(void *ctx, cloister_op op, const struct cloister_error *error,
                           const struct cloister_result *result)
{
    struct ct_call *call = ctx;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)result;
    if (!error && put_next(call, &err))
        return;
    ct_call_done(call, op, error ? error : err.code != CLOISTER_OK ? &err : NULL, NULL);
}

static void check_strings(struct ct_params *params, const char *key, uint32_t type)
{
    const struct cloister_value_api *values = params->instance->host->value;
    const cloister_value *group = values->get(params->object, ct_sv(key));
    if (values->type(group) == CLOISTER_VALUE_NONE || values->type(group) == CLOISTER_VALUE_NULL)
        return;
    bool good = values->type(group) == type;
    struct cloister_sv text;
    for (uint64_t i = 0; good && i < values->count(group); i++)
        good = values->string(values->at(group, i, NULL), &text) == 0;
    if (!good)
        ct_wrong(params, key, type == CLOISTER_VALUE_ARRAY ? "expected an array of strings" : "expected strings");
}

void ct_label(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", "set", "set_secret", "remove", NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct ct_call *call = ct_call_new(instance, exchange);
    if (!call)
        return;
    (void)ct_params_known(&params, known);
    check_strings(&params, "set", CLOISTER_VALUE_OBJECT);
    check_strings(&params, "set_secret", CLOISTER_VALUE_OBJECT);
    check_strings(&params, "remove", CLOISTER_VALUE_ARRAY);
    if (ct_target(&params, call->sandbox)) {
        call->document = instance->host->value->copy(object);
        if (!call->document)
            ct_wrong(&params, "set", "out of memory");
    }
    if (params.failed)
        (void)ct_call_begun(call, 0, &err);
    else if (!put_next(call, &err))
        ct_call_done(call, 0, err.code != CLOISTER_OK ? &err : NULL, NULL);
}
