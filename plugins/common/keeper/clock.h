/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - moments in nanoseconds. Deadlines are on CLOCK_MONOTONIC; the others are for people and for records. */
#ifndef CL_KEEPER_CLOCK_H
#define CL_KEEPER_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t cl_clock(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t cl_now(void)
{
    return cl_clock(CLOCK_MONOTONIC);
}

/* A span that somebody chose may be as long as it likes: then the moment never comes. */
static inline uint64_t cl_after(uint64_t moment, uint64_t span)
{
    return span > UINT64_MAX - moment ? UINT64_MAX : moment + span;
}

#endif
