/* SPDX-License-Identifier: Apache-2.0 */
/* jumpclock.c - preloaded into the daemon: CLOCK_REALTIME is a day early and a day late by turns. Other clocks are
 * true. */
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define DAY 86400

static time_t jump(void)
{
    static atomic_uint calls;

    return atomic_fetch_add(&calls, 1) % 2 ? DAY : -DAY;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int r = (int)syscall(SYS_clock_gettime, clock, ret);

    if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        ret->tv_sec += jump();
    return r;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    int r = (int)syscall(SYS_gettimeofday, ret, zone);

    if (r == 0)
        ret->tv_sec += jump();
    return r;
}

time_t time(time_t *ret)
{
    time_t now = (time_t)syscall(SYS_time, NULL) + jump();

    if (ret)
        *ret = now;
    return now;
}
