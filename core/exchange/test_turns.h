/* SPDX-License-Identifier: Apache-2.0 */
/* test_turns.h - a loop, streams and listeners without a kernel: nothing happens until the test says turn(). */
#ifndef CL_EXCHANGE_TEST_TURNS_H
#define CL_EXCHANGE_TEST_TURNS_H

#include "core/exchange/exchange.h"

#include <stdbool.h>

struct cloister_timer {
    cloister_fn fn, closed;
    void *ctx, *closed_ctx;
    bool armed;
};

struct cloister_stream {
    cloister_fn closed;
    void *ctx;
    struct cloister_stream_reader reader;
    void *reader_ctx;
};

struct cl_listener {
    uint64_t refused;
    cl_accept_fn fn;
    void *ctx;
    int connections;
};

/* What happened, in order, as words. */
extern char story[2048];
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One fresh stack after the other until nothing is left to do. */
void turn(void);

#endif
