/* SPDX-License-Identifier: Apache-2.0 */
#include "core/loader/callback.h"

#include <string.h>

#define ALWAYS(type, slot)                          \
    {                                               \
#slot, offsetof(struct type, slot), true, 0 \
    }
#define OPTIONAL(type, slot)                         \
    {                                                \
#slot, offsetof(struct type, slot), false, 0 \
    }
#define WITH(type, slot, bits)                            \
    {                                                     \
#slot, offsetof(struct type, slot), false, (bits) \
    }
#define LIFE(type)                                                                                          \
    {"life.create", offsetof(struct type, life) + offsetof(struct cloister_lifecycle, create), true, 0},    \
    {                                                                                                       \
        "life.destroy", offsetof(struct type, life) + offsetof(struct cloister_lifecycle, destroy), true, 0 \
    }

#define T cloister_transport
static const struct cl_callback transport_callbacks[] = {
    LIFE(T),
    ALWAYS(T, limits),
    ALWAYS(T, probe),
    ALWAYS(T, attach),
    ALWAYS(T, answer),
    WITH(T, answer_open, CLOISTER_TRANSPORT_PUSH),
    WITH(T, push, CLOISTER_TRANSPORT_PUSH),
    WITH(T, end, CLOISTER_TRANSPORT_PUSH),
    ALWAYS(T, forget),
    ALWAYS(T, pause),
    ALWAYS(T, drain),
    ALWAYS(T, detach),
    WITH(T, answer_stream, CLOISTER_TRANSPORT_STREAM_ANSWER),
    WITH(T, hijack, CLOISTER_TRANSPORT_HIJACK),
    WITH(T, adopt, CLOISTER_TRANSPORT_ADOPT),
    OPTIONAL(T, conn_push),
};
#undef T

#define P cloister_personality
static const struct cl_callback personality_callbacks[] = {
    LIFE(P),
    OPTIONAL(P, start),
    OPTIONAL(P, conn_open),
    OPTIONAL(P, conn_closed),
    ALWAYS(P, exchange),
    ALWAYS(P, exchange_fault),
    ALWAYS(P, exchange_gone),
    OPTIONAL(P, writable),
    OPTIONAL(P, sent),
    OPTIONAL(P, event),
    OPTIONAL(P, recovered),
    OPTIONAL(P, reload),
    OPTIONAL(P, drain),
    OPTIONAL(P, close),
};
#undef P

#define I cloister_isolation
static const struct cl_callback isolation_callbacks[] = {
    LIFE(I),
    ALWAYS(I, probe),
    ALWAYS(I, plan),
    ALWAYS(I, sandbox_create),
    ALWAYS(I, sandbox_destroy),
    WITH(I, container_start, CLOISTER_ISO_BLOCKED_INIT),
    OPTIONAL(I, container_kill),
    OPTIONAL(I, exec),
    OPTIONAL(I, signal),
    OPTIONAL(I, release),
    OPTIONAL(I, describe),
    OPTIONAL(I, sweep),
    WITH(I, adopt, CLOISTER_ISO_ADOPT),
    OPTIONAL(I, sandbox_start),
    OPTIONAL(I, sandbox_stop),
    OPTIONAL(I, container_create),
    OPTIONAL(I, container_delete),
    OPTIONAL(I, file_put),
    OPTIONAL(I, resize),
    OPTIONAL(I, stdin),
    OPTIONAL(I, stdin_close),
    WITH(I, attach, CLOISTER_ISO_TAPE),
    WITH(I, attach_policy, CLOISTER_ISO_TAPE),
    WITH(I, freeze, CLOISTER_ISO_FREEZE),
    WITH(I, thaw, CLOISTER_ISO_FREEZE),
    OPTIONAL(I, update),
    OPTIONAL(I, stats),
    OPTIONAL(I, procs),
    OPTIONAL(I, resource),
    OPTIONAL(I, read_file),
    OPTIONAL(I, files_in),
    OPTIONAL(I, files_out),
    WITH(I, channel, CLOISTER_ISO_CHANNEL),
    WITH(I, snapshot, CLOISTER_ISO_SNAPSHOT),
    ALWAYS(I, cancel),
    ALWAYS(I, detach),
    OPTIONAL(I, hold),
};
#undef I

#define S cloister_persistence
static const struct cl_callback persistence_callbacks[] = {
    LIFE(S),
    ALWAYS(S, open),
    ALWAYS(S, list),
    ALWAYS(S, get),
    ALWAYS(S, put),
    ALWAYS(S, destroy),
    OPTIONAL(S, global_get),
    OPTIONAL(S, global_put),
    OPTIONAL(S, global_delete),
    OPTIONAL(S, global_list),
    OPTIONAL(S, lock),
    OPTIONAL(S, unlock),
    OPTIONAL(S, quarantine_list),
    OPTIONAL(S, quarantine_get),
    OPTIONAL(S, quarantine_purge),
    OPTIONAL(S, quarantine_restore),
    OPTIONAL(S, verify),
    OPTIONAL(S, stat),
    ALWAYS(S, cancel),
    ALWAYS(S, close),
};
#undef S

/* A slot without a row would be neither checked nor printed: rows and pointer-sized slots must be equally many. */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SLOTS(type, others) ((sizeof(struct type) - 2 * sizeof(uint32_t)) / sizeof(void (*)(void)) - (others))
_Static_assert(COUNT(transport_callbacks) == SLOTS(cloister_transport, 0), "a transport callback has no row");
_Static_assert(COUNT(personality_callbacks) == SLOTS(cloister_personality, 2), "a personality callback has no row");
_Static_assert(COUNT(isolation_callbacks) == SLOTS(cloister_isolation, 0), "an isolation callback has no row");
_Static_assert(COUNT(persistence_callbacks) == SLOTS(cloister_persistence, 0), "a persistence callback has no row");

const struct cl_callback *cl_callbacks(uint32_t kind, size_t *ret_count)
{
    switch (kind) {
    case CLOISTER_KIND_TRANSPORT:
        *ret_count = COUNT(transport_callbacks);
        return transport_callbacks;
    case CLOISTER_KIND_PERSONALITY:
        *ret_count = COUNT(personality_callbacks);
        return personality_callbacks;
    case CLOISTER_KIND_ISOLATION:
        *ret_count = COUNT(isolation_callbacks);
        return isolation_callbacks;
    case CLOISTER_KIND_PERSISTENCE:
        *ret_count = COUNT(persistence_callbacks);
        return persistence_callbacks;
    default:
        *ret_count = 0;
        return NULL;
    }
}

bool cl_callback_present(const union cl_vtable *vtable, const struct cl_callback *callback)
{
    void (*slot)(void);
    memcpy(&slot, (const char *)vtable + callback->offset, sizeof(slot));
    return slot != NULL;
}

size_t cl_vtable_size(uint32_t kind)
{
    switch (kind) {
    case CLOISTER_KIND_TRANSPORT:
        return sizeof(struct cloister_transport);
    case CLOISTER_KIND_PERSONALITY:
        return sizeof(struct cloister_personality);
    case CLOISTER_KIND_ISOLATION:
        return sizeof(struct cloister_isolation);
    case CLOISTER_KIND_PERSISTENCE:
        return sizeof(struct cloister_persistence);
    default:
        return 0;
    }
}
