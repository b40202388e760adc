/* SPDX-License-Identifier: Apache-2.0 */
#include <cloister/transport.h>

#include "bend.h"

#ifndef PUSH
#define PUSH push
#endif

static void limits(void *instance, struct cloister_transport_limits *ret)
{
}

static uint32_t probe(void *instance, struct cloister_sv first)
{
    return CLOISTER_PROBE_NO;
}

static int32_t attach(void *instance, cloister_conn *conn, cloister_stream *stream, uint32_t role, void **ret_state)
{
    return -1;
}

static uint32_t answer(void *instance, void *state, void *wire, const struct cloister_answer *args)
{
    return CLOISTER_PUSH_GONE;
}

static inline uint32_t push(void *instance, void *state, void *wire, struct cloister_sv body)
{
    return CLOISTER_PUSH_GONE;
}

static void with_wire(void *instance, void *state, void *wire)
{
}

static void pause_reading(void *instance, void *state, uint32_t paused)
{
}

static void with_state(void *instance, void *state)
{
}

static uint32_t conn_push(void *instance, void *state, struct cloister_sv op, struct cloister_sv body, uint32_t must)
{
    return CLOISTER_PUSH_GONE;
}

static const struct {
    struct cloister_transport known;
    struct tail tail;
} vtable = {
    .known =
        {
            .struct_size = VTABLE_SIZE,
            .life = {create, destroy},
            .limits = limits,
            .probe = probe,
            .attach = attach,
            .answer = answer,
            .answer_open = answer,
            .push = PUSH,
            .end = with_wire,
            .forget = with_wire,
            .pause = pause_reading,
            .drain = with_state,
            .detach = with_state,
            .conn_push = conn_push,
        },
    .tail = TAIL,
};

static const struct cloister_plugin descriptor = BENT(CLOISTER_KIND_TRANSPORT);

CLOISTER_PLUGIN_REGISTER(descriptor)
