/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ranges.h - which sandbox has which span of host ids. A span is given out by plan() and written down in the plan blob,
 * so the table need not survive the daemon. A plan that never becomes a create (the engine could not write its intent)
 * would hold its span for ever: so a span only planned is free again after a few minutes. [loop]
 */
#ifndef NS_RANGES_H
#define NS_RANGES_H

#include "compile.h"

struct ns_ranges;

/* Spans of `count` ids from `first` on; shared: all sandboxes get the first one. NULL: no memory. */
struct ns_ranges *ns_ranges_new(uint32_t first, uint32_t count, bool shared);
void ns_ranges_free(struct ns_ranges *ranges);

/* A span for sandbox id: its own if it has one, else the lowest free. count 0: none is left. */
struct ns_range ns_ranges_take(struct ns_ranges *ranges, const char *id, uint64_t now);
/* The sandbox is being made: it keeps this span until released. False: the span is not its own any more. */
bool ns_ranges_confirm(struct ns_ranges *ranges, const char *id, struct ns_range range);
/* A recorded sandbox of an earlier daemon has that span, wherever it lies: nobody else gets an id of it until released.
 * 0, -EEXIST: another sandbox has some of it (the caller's keeps what it has), -ENOMEM. */
int ns_ranges_hold(struct ns_ranges *ranges, const char *id, struct ns_range range);
void ns_ranges_release(struct ns_ranges *ranges, const char *id);

#endif
