/* SPDX-License-Identifier: Apache-2.0 */
/* process.h - a client's OCI process and descriptors as the engine takes them. */
#ifndef CONTROL_PROCESS_H
#define CONTROL_PROCESS_H

#include "params.h"

struct ct_stdio {
    struct cloister_stdio entries[3];
    uint32_t count; /* 0: the client sent none */
};

/* Takes the exchange's descriptors. False: params->failed (a role that has no meaning here). */
bool ct_stdio_take(struct ct_params *params, cloister_exchange *exchange, struct ct_stdio *ret_stdio);
/* Closes them, unless an operation has taken them over. */
void ct_stdio_end(struct ct_stdio *stdio, bool moved);

struct ct_process {
    struct cloister_process_args args;
    struct cloister_sv text; /* host memory behind args.oci */
    struct cloister_sv *env;
};

/* Splits the OCI process object: its environment goes apart. Views stay borrowed from the exchange's document. */
bool ct_process_read(struct ct_params *params, const char *key, const cloister_value *oci, const struct ct_stdio *stdio,
                     struct ct_process *ret_process);
void ct_process_end(struct ct_instance *instance, struct ct_process *process);

#endif
