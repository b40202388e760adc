/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "params.h"
#include "status.h"
#include "words.h"

#define QUEUE_MAX 1024u

/* One client that listens to events. What its connection does not take waits here; what does not fit is counted. */
struct ct_subscription {
    struct ct_subscription *next, **link;
    cloister_exchange *exchange;
    char sandbox[CT_ID_MAX + 1];         /* "" = all */
    struct cloister_sv queue[QUEUE_MAX]; /* ring; host memory */
    uint32_t first, count;
    uint64_t missed; /* before the first queued one: no connection of this kind carries them */
    uint64_t lost;   /* behind the last queued one */
};

static void subscription_free(struct ct_instance *instance, struct ct_subscription *subscription)
{
    *subscription->link = subscription->next;
    if (subscription->next)
        subscription->next->link = subscription->link;
    for (; subscription->count > 0; subscription->count--) {
        instance->host->value->free_text(subscription->queue[subscription->first]);
        subscription->first = (subscription->first + 1) % QUEUE_MAX;
    }
    free(subscription);
}

static struct ct_subscription *subscription_of(struct ct_instance *instance, const cloister_exchange *exchange)
{
    struct ct_subscription *subscription = instance->subscriptions;
    while (subscription && subscription->exchange != exchange)
        subscription = subscription->next;
    return subscription;
}

/* ---- the queue ---- */

/* Takes text when true. */
static bool enqueue(struct ct_subscription *subscription, struct cloister_sv text)
{
    if (subscription->count == QUEUE_MAX)
        return false;
    subscription->queue[(subscription->first + subscription->count++) % QUEUE_MAX] = text;
    return true;
}

/* The text is host memory. */
static bool loss_text(struct ct_instance *instance, uint64_t size, struct cloister_sv *ret_text)
{
    const struct cloister_value_api *values = instance->host->value;
    cloister_value *loss = values->new_object();
    ct_set_text(instance, &loss, "kind", CLOISTER_SV("event_loss"));
    ct_set_u64(instance, &loss, "size", size);
    bool good = loss && values->print(loss, 0, ret_text) == 0;
    values->free(loss);
    return good;
}

/* Not taken now: `writable` or `exchange_gone` follows. */
static bool waits(uint32_t pushed)
{
    return pushed == CLOISTER_PUSH_FULL || pushed == CLOISTER_PUSH_GONE;
}

static bool push_missed(struct ct_instance *instance, struct ct_subscription *subscription)
{
    struct cloister_sv text;
    if (subscription->missed == 0)
        return true;
    if (!loss_text(instance, subscription->missed, &text))
        return false;
    uint32_t pushed = instance->host->exchange->push(subscription->exchange, text);
    instance->host->value->free_text(text);
    if (waits(pushed))
        return false;
    subscription->missed = 0;
    return true;
}

static void flush(struct ct_instance *instance, struct ct_subscription *subscription)
{
    while (push_missed(instance, subscription) && subscription->count > 0) {
        struct cloister_sv text = subscription->queue[subscription->first];
        uint32_t pushed = instance->host->exchange->push(subscription->exchange, text);
        if (waits(pushed))
            return;
        if (pushed == CLOISTER_PUSH_TOO_BIG)
            subscription->missed++;
        instance->host->value->free_text(text);
        subscription->first = (subscription->first + 1) % QUEUE_MAX;
        subscription->count--;
    }
}

/* A loss stands where the lost events would have stood: before anything later. */
static void enqueue_loss(struct ct_instance *instance, struct ct_subscription *subscription)
{
    struct cloister_sv text;
    if (subscription->lost == 0 || subscription->count == QUEUE_MAX || !loss_text(instance, subscription->lost, &text))
        return;
    (void)enqueue(subscription, text);
    subscription->lost = 0;
}

static void deliver(struct ct_instance *instance, struct ct_subscription *subscription, const cloister_value *event)
{
    struct cloister_sv text;
    flush(instance, subscription);
    enqueue_loss(instance, subscription);
    if (subscription->lost > 0 || subscription->count == QUEUE_MAX || !event ||
        instance->host->value->print(event, 0, &text) < 0) {
        subscription->lost++;
        return;
    }
    (void)enqueue(subscription, text);
    flush(instance, subscription);
}

/* ---- events ---- */

static void set_optional(const struct ct_instance *instance, cloister_value **object, const char *key,
                         struct cloister_sv text)
{
    if (text.size > 0)
        ct_set_text(instance, object, key, text);
    else
        ct_set_null(instance, object, key);
}

static cloister_value *event_document(const struct ct_instance *instance, const struct cloister_event *event)
{
    cloister_value *object = instance->host->value->new_object();
    bool of_container = event->container.size > 0, state = event->kind == CLOISTER_EVENT_STATE;
    const char *state_word = of_container ? ct_container_state(event->state) : ct_sandbox_state(event->state);
    const char *cause = event->cause != CLOISTER_CAUSE_NONE ? ct_cause(event->cause) : "";
    ct_set_u64(instance, &object, "sequence", event->sequence);
    ct_set_text(instance, &object, "kind", ct_sv(ct_event_kind(event->kind)));
    ct_set_text(instance, &object, "service", event->service);
    ct_set_text(instance, &object, "sandbox", event->sandbox);
    ct_set_text(instance, &object, "name", event->name);
    set_optional(instance, &object, "container", event->container);
    if (event->process != 0)
        ct_set_u64(instance, &object, "process", event->process);
    else
        ct_set_null(instance, &object, "process");
    ct_set_bool(instance, &object, "is_init", event->is_init != 0);
    ct_set(instance, &object, "status", ct_status(instance, &event->status));
    if (event->kind == CLOISTER_EVENT_DRAINED && CLOISTER_HAS(event, output_size))
        ct_set(instance, &object, "outputs",
               ct_outputs(instance, event->outputs, event->output_count, event->output_size));
    else
        ct_set_null(instance, &object, "outputs");
    set_optional(instance, &object, "state", ct_sv(state ? state_word : ""));
    set_optional(instance, &object, "cause", ct_sv(cause));
    ct_set_u64(instance, &object, "real_ms", event->real_ns / 1000000u);
    return object;
}

void ct_subscription_event(struct ct_instance *instance, const struct cloister_event *event)
{
    cloister_value *document = NULL;
    for (struct ct_subscription *it = instance->subscriptions, *next; it; it = next) {
        next = it->next;
        if (it->sandbox[0] && !ct_is(event->sandbox, it->sandbox))
            continue;
        if (!document)
            document = event_document(instance, event);
        deliver(instance, it, document);
    }
    instance->host->value->free(document);
}

void ct_subscription_writable(struct ct_instance *instance, cloister_exchange *exchange)
{
    struct ct_subscription *subscription = subscription_of(instance, exchange);
    if (!subscription)
        return;
    flush(instance, subscription);
    enqueue_loss(instance, subscription);
    flush(instance, subscription);
}

bool ct_subscription_gone(struct ct_instance *instance, cloister_exchange *exchange)
{
    struct ct_subscription *subscription = subscription_of(instance, exchange);
    if (subscription)
        subscription_free(instance, subscription);
    return subscription != NULL;
}

/* ---- events, unsubscribe ---- */

static bool read_filter(struct ct_params *params, struct ct_subscription *subscription)
{
    static const char *const known[] = {"sandbox", "name", NULL};
    const struct cloister_host *host = params->instance->host;
    struct cloister_sandbox_info info = {CLOISTER_INIT(struct cloister_sandbox_info)};
    struct cloister_sv id, name;
    (void)ct_params_known(params, known);
    bool by_id = ct_text(params, "sandbox", &id), by_name = ct_text(params, "name", &name);
    if (by_id && by_name)
        ct_wrong(params, "sandbox", "stands beside 'name'; one of them is wanted");
    if (params->failed || (!by_id && !by_name))
        return !params->failed;
    if (by_name && host->engine->find(host, name, &id, params->err) < 0)
        return false;
    if (host->engine->info(host, id, &info, params->err) < 0)
        return false;
    if (info.id.size > CT_ID_MAX) {
        ct_wrong(params, "sandbox", "expected an engine id");
        return false;
    }
    memcpy(subscription->sandbox, info.id.data, info.id.size);
    return true;
}

void ct_events(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct ct_subscription *subscription = calloc(1, sizeof(*subscription));
    if (!subscription) {
        (void)ct_answer(instance, exchange, NULL);
        return;
    }
    bool good = read_filter(&params, subscription);
    if (good &&
        instance->host->exchange->answer_open(exchange, CLOISTER_CLASS_OK, CLOISTER_SV("{}")) == CLOISTER_PUSH_OK) {
        subscription->exchange = exchange;
        subscription->next = instance->subscriptions;
        subscription->link = &instance->subscriptions;
        if (subscription->next)
            subscription->next->link = &subscription->next;
        instance->subscriptions = subscription;
        return;
    }
    if (!good)
        ct_answer_error(instance, exchange, &err);
    free(subscription);
}

static bool read_sub(struct ct_params *params, struct cloister_wire_id *ret_id)
{
    static const char *const known[] = {"sub", NULL};
    const struct cloister_value_api *values = params->instance->host->value;
    const cloister_value *sub = values->get(params->object, CLOISTER_SV("sub"));
    *ret_id = (struct cloister_wire_id){0};
    if (!ct_params_known(params, known))
        return false;
    if (values->u64(sub, &ret_id->number) == 0)
        ret_id->kind = CLOISTER_ID_U64;
    else if (values->string(sub, &ret_id->text) == 0)
        ret_id->kind = CLOISTER_ID_TEXT;
    else
        ct_wrong(params, "sub", sub ? "expected the id of a subscription" : "missing");
    return !params->failed;
}

void ct_unsubscribe(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    const struct cloister_exchange_api *api = instance->host->exchange;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_wire_id id;
    if (!read_sub(&params, &id)) {
        ct_answer_error(instance, exchange, &err);
        return;
    }
    cloister_exchange *open = api->by_wire_id(api->conn(exchange), id);
    if (!open || !ct_subscription_gone(instance, open)) {
        instance->host->log->error_set(&err, CLOISTER_NO_ENTITY, 0, "sub", "",
                                       "no such subscription on this connection");
        ct_answer_error(instance, exchange, &err);
        return;
    }
    api->end(open);
    (void)ct_answer_empty(instance, exchange);
}
