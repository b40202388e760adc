/* SPDX-License-Identifier: Apache-2.0 */
/* control.h - what the files of the operators' personality share. */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include <stdbool.h>
#include <stdlib.h>

#include <cloister/host.h>

#define CT_ID_MAX 64u /* engine ids have 16 characters; a longer text names nothing */

struct ct_subscription;
struct ct_flow;

struct ct_instance {
    const struct cloister_host *host;
    struct ct_call *calls; /* operations of the engine under way */
    struct ct_subscription *subscriptions;
    struct ct_flow *flows; /* relays under way, and what a drain has left of them */
    bool draining;         /* `drained` is owed */
};

/* One operation of the engine under way for one exchange. */
struct ct_call {
    struct ct_call *next, **link;
    struct ct_instance *instance;
    cloister_exchange *exchange; /* NULL: its client has gone, the operation goes on */
    cloister_op op;
    bool for_client_only; /* nobody else gains by it: cancelled when the client has gone */
    /* Words the answer. NULL: {} */
    void (*finish)(struct ct_call *call, const struct cloister_result *result);
    char sandbox[CT_ID_MAX + 1];
    cloister_value *document; /* of inspect: the answer so far; of label: what is to be done */
    uint64_t step;            /* of label: changes begun */
};

/* ---- call.c ---- */
/* A call whose done function is ct_call_done; NULL after the exchange was answered (no memory). */
struct ct_call *ct_call_new(struct ct_instance *instance, cloister_exchange *exchange);
/* After the engine's call: op 0 answers with err and frees. True when it is under way. */
bool ct_call_begun(struct ct_call *call, cloister_op op, const struct cloister_error *err);
void ct_call_free(struct ct_call *call);
void ct_call_done(void *ctx, cloister_op op, const struct cloister_error *error, const struct cloister_result *result);
void ct_call_gone(struct ct_instance *instance, cloister_exchange *exchange);

extern const char *const ct_methods[]; /* control.c: every operation word, NULL-terminated */

/* ---- reply.c ---- */
struct cloister_sv ct_sv(const char *text);
bool ct_is(struct cloister_sv text, const char *word);
/* Prints and answers; document is taken, NULL = no memory. True when the answer was accepted. */
bool ct_answer(struct ct_instance *instance, cloister_exchange *exchange, cloister_value *document);
bool ct_answer_empty(struct ct_instance *instance, cloister_exchange *exchange);
void ct_answer_error(struct ct_instance *instance, cloister_exchange *exchange, const struct cloister_error *err);
void ct_answer_fault(struct ct_instance *instance, cloister_exchange *exchange, const struct cloister_fault *fault);

/* Members: a failure (no memory) makes *object NULL, and nothing happens to a NULL object. */
void ct_set(const struct ct_instance *instance, cloister_value **object, const char *key, cloister_value *child);
void ct_set_text(const struct ct_instance *instance, cloister_value **object, const char *key, struct cloister_sv text);
void ct_set_u64(const struct ct_instance *instance, cloister_value **object, const char *key, uint64_t number);
void ct_set_bool(const struct ct_instance *instance, cloister_value **object, const char *key, bool yes);
void ct_set_null(const struct ct_instance *instance, cloister_value **object, const char *key);

/* What text says; null for none, or for what is no JSON. */
cloister_value *ct_json(const struct ct_instance *instance, struct cloister_sv text);

/* ---- the operations: op_*.c, labels.c, subscription.c ---- */
typedef void ct_op_fn(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *params);
ct_op_fn ct_version, ct_plugins, ct_list, ct_inspect, ct_health, ct_shutdown, ct_hello;
ct_op_fn ct_create, ct_start, ct_exec, ct_wait, ct_signal, ct_stop, ct_destroy, ct_release, ct_commit, ct_label;
ct_op_fn ct_attach, ct_attach_policy, ct_stdin, ct_stdin_close, ct_resize;
ct_op_fn ct_container_create, ct_container_delete;
ct_op_fn ct_freeze, ct_thaw, ct_update, ct_stats, ct_procs;
ct_op_fn ct_file_put, ct_read_file, ct_files_in, ct_files_out;
ct_op_fn ct_events, ct_unsubscribe;

void ct_subscription_event(struct ct_instance *instance, const struct cloister_event *event);
void ct_subscription_writable(struct ct_instance *instance, cloister_exchange *exchange);
/* True when exchange was a subscription; it is forgotten. */
bool ct_subscription_gone(struct ct_instance *instance, cloister_exchange *exchange);

#endif
