/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.c - one line of numbered events, and who stands beside it.
 *
 * Whatever happens to a sandbox, a container or a process becomes one event with the next number of one sequence, and
 * every service that may see its owner gets it, in that order, before the next one is begun. Delivery is a plain call:
 * nothing is queued per service, so nothing can be lost here; a slow client's losses are its personality's to count.
 * What a receiver does may cause further events: those wait in line until the present one has been seen by all, else
 * the second service would hear of an effect before its cause.
 */
#include "core/events/events.h"

#include <errno.h>
#include <stdlib.h>

#include "core/log/log.h"
#include "core/util/list.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "core/util/time.h"

struct receiver {
    struct cl_list node;
    char *service;
    char **see; /* NULL-terminated */
    cl_event_fn fn;
    void *ctx;
    bool removed; /* during a delivery: forgotten when that is over */
};

/* An event emitted from inside a delivery, with its outputs and, behind them, its strings. */
struct waiting {
    struct cl_list node;
    bool own;
    struct cloister_event event;
    struct cloister_output_end outputs[];
};

struct cl_events {
    struct cl_list receivers;
    struct cl_list waiting;
    uint64_t sequence;
    bool delivering;
};

int cl_events_new(struct cl_events **ret)
{
    struct cl_events *events = cl_new(struct cl_events);
    if (!events)
        return -ENOMEM;
    cl_list_init(&events->receivers);
    cl_list_init(&events->waiting);
    *ret = events;
    return 0;
}

static void receiver_free(struct receiver *receiver)
{
    cl_list_remove(&receiver->node);
    for (char **name = receiver->see; name && *name; name++)
        free(*name);
    free(receiver->see);
    free(receiver->service);
    free(receiver);
}

struct cl_events *cl_events_free(struct cl_events *events)
{
    if (!events)
        return NULL;
    CL_LIST_FOREACH(node, &events->receivers)
    receiver_free(CL_CONTAINER(node, struct receiver, node));
    CL_LIST_FOREACH(node, &events->waiting)
    free(CL_CONTAINER(node, struct waiting, node));
    free(events);
    return NULL;
}

static int copy_names(const char *const *names, char ***ret)
{
    size_t count = 0;
    while (names && names[count])
        count++;
    char **copy = cl_calloc(count + 1, sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    *ret = copy;
    for (size_t i = 0; i < count; i++) {
        copy[i] = cl_strdup(names[i]);
        if (!copy[i])
            return -ENOMEM;
    }
    return 0;
}

int cl_events_add(struct cl_events *events, const char *service, const char *const *see, cl_event_fn fn, void *ctx)
{
    struct receiver *receiver = cl_new(struct receiver);
    if (!receiver)
        return -ENOMEM;
    cl_list_init(&receiver->node);
    receiver->fn = fn;
    receiver->ctx = ctx;
    receiver->service = cl_strdup(service);
    if (!receiver->service || copy_names(see, &receiver->see) < 0) {
        receiver_free(receiver);
        return -ENOMEM;
    }
    cl_list_append(&events->receivers, &receiver->node);
    return 0;
}

void cl_events_remove(struct cl_events *events, const char *service)
{
    CL_LIST_FOREACH(node, &events->receivers)
    {
        struct receiver *receiver = CL_CONTAINER(node, struct receiver, node);
        if (strcmp(receiver->service, service) != 0)
            continue;
        if (events->delivering)
            receiver->removed = true;
        else
            receiver_free(receiver);
    }
}

static bool sees(const struct receiver *receiver, struct cloister_sv owner)
{
    if (cl_sv_is(owner, receiver->service))
        return true;
    for (char *const *name = receiver->see; *name; name++)
        if (strcmp(*name, "*") == 0 || cl_sv_is(owner, *name))
            return true;
    return false;
}

static void deliver(struct cl_events *events, const struct cloister_event *event, bool own)
{
    CL_LIST_FOREACH(node, &events->receivers)
    {
        struct receiver *receiver = CL_CONTAINER(node, struct receiver, node);
        bool may = own ? cl_sv_is(event->service, receiver->service) : sees(receiver, event->service);
        if (!receiver->removed && may)
            receiver->fn(receiver->ctx, event);
    }
}

static char *keep(char *at, struct cloister_sv *text)
{
    if (text->size)
        memcpy(at, text->data, text->size);
    text->data = at;
    return at + text->size;
}

/* The strings of an event are borrowed for the call of emit, so a waiting one needs its own. */
static void put_in_line(struct cl_events *events, const struct cloister_event *event, bool own)
{
    size_t size = event->service.size + event->sandbox.size + event->name.size + event->container.size;
    size_t outputs = event->output_count * sizeof(*event->outputs); /* the engine's, so in our size */
    struct waiting *waiting = cl_malloc(sizeof(*waiting) + outputs + size);
    if (!waiting) {
        cl_log(CL_LOG_ERROR, "events", "no memory for event %llu of sandbox %.*s: it is lost",
               (unsigned long long)event->sequence, CL_SV_ARG(event->sandbox));
        return;
    }
    waiting->own = own;
    waiting->event = *event;
    if (outputs)
        memcpy(waiting->outputs, event->outputs, outputs);
    waiting->event.outputs = outputs ? waiting->outputs : NULL;
    char *at = keep((char *)&waiting->outputs[event->output_count], &waiting->event.service);
    at = keep(at, &waiting->event.sandbox);
    at = keep(at, &waiting->event.name);
    (void)keep(at, &waiting->event.container);
    cl_list_append(&events->waiting, &waiting->node);
}

static void deliver_waiting(struct cl_events *events)
{
    for (struct cl_list *node; (node = cl_list_first(&events->waiting));) {
        struct waiting *waiting = CL_CONTAINER(node, struct waiting, node);
        cl_list_remove(node);
        deliver(events, &waiting->event, waiting->own);
        free(waiting);
    }
    CL_LIST_FOREACH(node, &events->receivers)
    {
        struct receiver *receiver = CL_CONTAINER(node, struct receiver, node);
        if (receiver->removed)
            receiver_free(receiver);
    }
}

static void emit(struct cl_events *events, struct cloister_event *event, bool own)
{
    event->struct_size = (uint32_t)sizeof(*event);
    event->sequence = ++events->sequence;
    if (!event->real_ns)
        event->real_ns = cl_real_ns();
    if (!event->mono_ns)
        event->mono_ns = cl_mono_ns();
    if (events->delivering) {
        put_in_line(events, event, own);
        return;
    }
    events->delivering = true;
    deliver(events, event, own);
    deliver_waiting(events);
    events->delivering = false;
}

void cl_events_emit(struct cl_events *events, struct cloister_event *event)
{
    emit(events, event, false);
}

void cl_events_emit_own(struct cl_events *events, struct cloister_event *event)
{
    emit(events, event, true);
}

uint64_t cl_events_sequence(const struct cl_events *events)
{
    return events->sequence;
}
