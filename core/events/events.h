/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers events and hands them, lossless and in order, to the services that may see them. */
#ifndef CL_CORE_EVENTS_EVENTS_H
#define CL_CORE_EVENTS_EVENTS_H

#include <cloister/events.h>

struct cl_events;

typedef void (*cl_event_fn)(void *ctx, const struct cloister_event *event);

int cl_events_new(struct cl_events **ret);
struct cl_events *cl_events_free(struct cl_events *events);
/* service sees its own events and those of the services named in see (NULL-terminated; "*" = all). Strings are copied.
 */
int cl_events_add(struct cl_events *events, const char *service, const char *const *see, cl_event_fn fn, void *ctx);
void cl_events_remove(struct cl_events *events, const char *service);
/* Gives the event its sequence and times (where 0) and delivers it synchronously. Emission from inside a delivery is
 * queued behind it. */
void cl_events_emit(struct cl_events *events, struct cloister_event *event);
/* The same, but only the owner's service gets it: of a sandbox that nobody else may see yet. */
void cl_events_emit_own(struct cl_events *events, struct cloister_event *event);
uint64_t cl_events_sequence(const struct cl_events *events); /* of the last one */

#endif
