/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h - a loop of the kit's own, on poll and pthreads: the shapes of <cloister/loop.h>, told to plugins as theirs.
 */
#ifndef KIT_LOOP_H
#define KIT_LOOP_H

#include <cloister/loop.h>
#include <stdbool.h>

extern const struct cloister_loop_api kit_loop_api;

/* Of the thread that calls; one per process. */
bool kit_loop_begin(void);
/* Serves until *flag, at most `seconds`. False when the time is over. */
bool kit_loop_until(const bool *flag, unsigned seconds);
/* Serves for so long, at least one turn. */
void kit_loop_turns(unsigned ms);
/* Serves until nothing is left to serve: no job, no closing queue, no post. */
bool kit_loop_drain(unsigned seconds);

uint64_t kit_now_ns(int clock);

#endif
