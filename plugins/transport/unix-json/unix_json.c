/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unix-json - newline-delimited JSON over a Unix stream socket.
 *
 *   -> {"id": 1, "method": "create", "params": {...}, "fds": ["stdout"]}
 *   <- {"id":1,"result":{...}}            class OK or CREATED; any other class prints "error"
 *   <- {"sub":1,"seq":1,"payload":{...}}  pushes of an exchange that stays open
 *
 * It owns the keys id, method, params, fds, sub and seq and no other word: bodies and errors are the personality's.
 * Bytes become lines and lines envelopes in frame.c (pure, fuzzed); input.c joins them with the descriptors that came
 * along and hands them up; output.c writes answers and pushes and notices clients that take neither; conn.c holds a
 * connection's life together. Descriptors travel with the first byte of their request; see left_over in input.c for
 * what is done about stray ones.
 */
#include <stdlib.h>

#include "conn.h"
#include "frame.h"

enum {
    OPTION_MESSAGE,
    OPTION_DEPTH,
    OPTION_ANSWER,
    OPTION_OUTPUT,
    OPTION_PUSH,
    OPTION_STALL,
    OPTION_HALF,
    OPTION_FDS,
    OPTION_COUNT
};

static const struct cloister_option options[OPTION_COUNT] = {
    [OPTION_MESSAGE] = {.key = "max_message",
                        .type = CLOISTER_OPTION_U64,
                        .min = 256,
                        .max = 64u << 20,
                        .fallback = "1048576",
                        .help = "bytes of a request; a longer one is refused and ends the connection"},
    [OPTION_DEPTH] = {.key = "max_depth",
                      .type = CLOISTER_OPTION_U64,
                      .min = 3,
                      .max = 128,
                      .fallback = "32",
                      .help = "nesting of a request's arrays and objects"},
    [OPTION_ANSWER] = {.key = "max_answer",
                       .type = CLOISTER_OPTION_U64,
                       .min = 4096,
                       .max = 64u << 20,
                       .fallback = "4194304",
                       .help = "bytes of an answer's body"},
    [OPTION_OUTPUT] = {.key = "max_output",
                       .type = CLOISTER_OPTION_U64,
                       .min = 4096,
                       .max = 1u << 30,
                       .fallback = "8388608",
                       .help = "unsent bytes of a connection beyond which it is closed"},
    [OPTION_PUSH] = {.key = "max_push_queue",
                     .type = CLOISTER_OPTION_U64,
                     .min = 1,
                     .max = 64u << 20,
                     .fallback = "262144",
                     .help = "unsent bytes of a connection beyond which it takes no push"},
    [OPTION_STALL] = {.key = "stall_ms",
                      .type = CLOISTER_OPTION_U64,
                      .min = 10,
                      .max = 86400000,
                      .fallback = "30000",
                      .help = "a connection that takes nothing for so long while an answer waits is closed"},
    [OPTION_HALF] = {.key = "half_request_ms",
                     .type = CLOISTER_OPTION_U64,
                     .min = 10,
                     .max = 86400000,
                     .fallback = "10000",
                     .help = "a connection silent for so long in the middle of a request is closed"},
    [OPTION_FDS] = {.key = "max_descriptors",
                    .type = CLOISTER_OPTION_U64,
                    .min = 1,
                    .max = UJ_DESCRIPTORS_MAX,
                    .fallback = "64",
                    .help = "descriptors received and not yet claimed by a request"},
};

static uint64_t number(const struct cloister_create_args *args, unsigned index)
{
    const char *at = (const char *)args->options + index * args->option_size;
    return ((const struct cloister_option_value *)(const void *)at)->number;
}

static int32_t create(const struct cloister_create_args *args, void **ret_instance, struct cloister_error *err)
{
    struct uj_instance *instance = calloc(1, sizeof(*instance));
    if (!instance) {
        args->host->log->error_set(err, CLOISTER_LIMIT, 12, NULL, NULL, "no memory for the transport");
        return -1;
    }
    instance->host = args->host;
    instance->limits = (struct uj_limits){
        .message = number(args, OPTION_MESSAGE),
        .depth = (uint32_t)number(args, OPTION_DEPTH),
        .answer = number(args, OPTION_ANSWER),
        .output = number(args, OPTION_OUTPUT),
        .push = number(args, OPTION_PUSH),
        .stall_ns = number(args, OPTION_STALL) * 1000000u,
        .half_ns = number(args, OPTION_HALF) * 1000000u,
        .descriptors = (uint32_t)number(args, OPTION_FDS),
    };
    *ret_instance = instance;
    return 0;
}

static void destroy(void *instance)
{
    free(instance);
}

static void limits(void *instance, struct cloister_transport_limits *ret)
{
    const struct uj_instance *self = instance;
    ret->capabilities = CLOISTER_TRANSPORT_FDS | CLOISTER_TRANSPORT_PUSH;
    ret->largest_answer = self->limits.answer;
    ret->largest_request = self->limits.message;
}

static uint32_t probe(void *instance, struct cloister_sv first)
{
    (void)instance;
    if (first.size == 0)
        return CLOISTER_PROBE_MORE;
    return uj_begins(first.data[0]) ? CLOISTER_PROBE_YES : CLOISTER_PROBE_NO;
}

static int32_t attach(void *instance, cloister_conn *conn, cloister_stream *stream, uint32_t role, void **ret_state)
{
    struct uj_conn *state;
    (void)role;
    int32_t result = uj_conn_attach(instance, conn, stream, &state);
    if (result == 0)
        *ret_state = state;
    return result;
}

static uint32_t answer(void *instance, void *state, void *wire, const struct cloister_answer *answer_args)
{
    (void)instance;
    return uj_output_answer(state, wire, answer_args, false);
}

static uint32_t answer_open(void *instance, void *state, void *wire, const struct cloister_answer *answer_args)
{
    (void)instance;
    return uj_output_answer(state, wire, answer_args, true);
}

static uint32_t push(void *instance, void *state, void *wire, struct cloister_sv body)
{
    (void)instance;
    return uj_output_push(state, wire, body);
}

static void end(void *instance, void *state, void *wire)
{
    (void)instance;
    uj_wire_free(state, wire);
    uj_conn_check_end(state);
}

static void forget(void *instance, void *state, void *wire)
{
    (void)instance;
    uj_wire_free(state, wire);
    uj_conn_check_end(state);
}

static void pause_parsing(void *instance, void *state, uint32_t paused)
{
    (void)instance;
    uj_conn_pause(state, paused != 0);
}

static void drain(void *instance, void *state)
{
    (void)instance;
    uj_conn_drain(state);
}

static void detach(void *instance, void *state)
{
    (void)instance;
    uj_conn_detach(state);
}

static const struct cloister_transport vtable = {
    CLOISTER_INIT(struct cloister_transport),
    .life = {.create = create, .destroy = destroy},
    .limits = limits,
    .probe = probe,
    .attach = attach,
    .answer = answer,
    .answer_open = answer_open,
    .push = push,
    .end = end,
    .forget = forget,
    .pause = pause_parsing,
    .drain = drain,
    .detach = detach,
};

static const struct cloister_plugin plugin = {
    CLOISTER_PLUGIN_STAMP(CLOISTER_KIND_TRANSPORT),
    .name = "unix-json",
    .version = "0.1.0",
    .licence = "Apache-2.0",
    .build = "",
    .summary = "newline-delimited JSON over a Unix socket, with descriptors and pushes",
    .provides = CLOISTER_TRANSPORT_FDS | CLOISTER_TRANSPORT_PUSH,
    .option_count = OPTION_COUNT,
    .options = options,
    .vtable = &vtable,
};

CLOISTER_PLUGIN_REGISTER(plugin)
