/* SPDX-License-Identifier: Apache-2.0 */
/* fake_host.h - a host for one plugin in a unit test: real JSON and errors, a clock that the test sets, streams without
 * a kernel. */
#ifndef TESTS_SUPPORT_FAKE_HOST_H
#define TESTS_SUPPORT_FAKE_HOST_H

#include "core/value/table.h"

#include <cloister/host.h>
#include <stdbool.h>

#define FAKE_OUTPUT_MAX (1u << 20)

struct cloister_stream {
    struct cloister_stream_reader reader;
    void *ctx;
    bool reading;
    bool stuck;       /* the peer takes nothing: writes are queued */
    char *output;     /* what the test has not read yet, NUL-terminated */
    uint64_t written; /* bytes in output */
    uint64_t total;   /* bytes ever written */
    uint64_t taken;   /* of them by the peer */
};

/* The tables of core's lower rooms; the test adds the one its plugin kind needs. */
void fake_host_init(struct cloister_host *host);
/* What the clock says; a turn fires the timers that are due. */
extern uint64_t fake_now;
/* Runs posts, due timers and closed callbacks until nothing is left. */
void fake_turn(void);

cloister_stream *fake_stream_new(void);
void fake_stream_free(cloister_stream *stream);
/* What the plugin has written since the last call; borrowed until the next write. */
const char *fake_stream_read(cloister_stream *stream);
/* The peer takes what waits. */
void fake_stream_take(cloister_stream *stream);

#endif
