/* SPDX-License-Identifier: Apache-2.0 */
/* flow.h - bytes between a client's descriptor and a container, for as long as one exchange waits: attach, stdin,
 * files_out. */
#ifndef CONTROL_FLOW_H
#define CONTROL_FLOW_H

#include "params.h"

struct ct_flow;

struct ct_flow_class {
    bool from_process; /* else to it */
    bool numbered;     /* its bytes are: the answer tells them, and when the daemon drains its place is kept */
    /* Starts the engine's operation that gives the stream. */
    cloister_op (*open)(struct ct_flow *flow, cloister_done_fn done, struct cloister_error *err);
    /* The flow has ended by itself, cleanly: true if the answer comes later, by ct_flow_answer. May be NULL. */
    bool (*eof)(struct ct_flow *flow);
};

struct ct_flow {
    struct ct_flow *next, **link;
    struct ct_instance *instance;
    const struct ct_flow_class *class;
    cloister_exchange *exchange; /* NULL: its client has gone */
    char sandbox[CT_ID_MAX + 1];
    char container[256];
    cloister_process process;
    uint32_t from, policy, fd; /* of attach */
    uint64_t position;         /* asked for; then of the first byte */
    uint64_t lost;
    uint64_t bytes;
    uint64_t deadline;
    struct cloister_sv user, path; /* of files_out: only while it is being opened, then borrowed no more */
    bool follow;
    bool closes; /* stdin: the client's EOF is the process's */
    cloister_op opening;
    cloister_op relay;
    cloister_stream *client;
    cloister_stream *inside;
    const char *verdict; /* NULL: not yet */
};

/* Answers if it cannot begin; params->failed: with the error there. Takes the role `stream` of the exchange. */
struct ct_flow *ct_flow_new(struct ct_params *params, cloister_exchange *exchange, const struct ct_flow_class *class);
/* `container`, kept. */
void ct_flow_container(struct ct_flow *flow, struct ct_params *params);
void ct_flow_begin(struct ct_flow *flow, struct ct_params *params);
/* Takes the role `stream` of an exchange. False: params->failed. */
bool ct_client_stream(struct ct_params *params, cloister_exchange *exchange, cloister_stream **ret_stream);
/* With the verdict. The flow is gone, or kept for the next daemon. */
void ct_flow_answer(struct ct_flow *flow);
/* True when exchange was a flow's. */
bool ct_flow_gone(struct ct_instance *instance, cloister_exchange *exchange);
/* Ends all; instance->drained is told when each has been answered. */
void ct_flows_drain(struct ct_instance *instance);
/* Those that were kept. */
void ct_flows_close(struct ct_instance *instance);

#endif
