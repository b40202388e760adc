/* SPDX-License-Identifier: Apache-2.0 */
#include "core/util/time.h"

#include <time.h>

static uint64_t now(clockid_t clock)
{
    struct timespec t = {0, 0};
    (void)clock_gettime(clock, &t); /* fails only for a clock that does not exist */
    return (uint64_t)t.tv_sec * CL_NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t cl_mono_ns(void)
{
    return now(CLOCK_MONOTONIC);
}

uint64_t cl_real_ns(void)
{
    return now(CLOCK_REALTIME);
}

uint64_t cl_boot_ns(void)
{
    return now(CLOCK_BOOTTIME);
}
