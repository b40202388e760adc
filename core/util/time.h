/* SPDX-License-Identifier: Apache-2.0 */
/* time.h - the three clocks, in nanoseconds. */
#ifndef CL_UTIL_TIME_H
#define CL_UTIL_TIME_H

#include <stdint.h>

#define CL_NS_PER_S 1000000000ull
#define CL_NS_PER_MS 1000000ull

uint64_t cl_mono_ns(void); /* CLOCK_MONOTONIC: deadlines */
uint64_t cl_real_ns(void); /* CLOCK_REALTIME: what people read */
uint64_t cl_boot_ns(void); /* CLOCK_BOOTTIME: counts suspend too */

#endif
