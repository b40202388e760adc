/* SPDX-License-Identifier: Apache-2.0 */
/* process.h - a client's OCI process as the engine takes it. */
#ifndef CONTROL_PROCESS_H
#define CONTROL_PROCESS_H

#include "stdset.h"

/* The keys that stand beside the OCI process. */
#define CT_PROCESS_KEYS "stdio", "drain_idle_ms", "drain_max_ms", "tag", "user", "resolve", "search", "nice"

struct ct_process {
    struct cloister_process_args args;
    struct cloister_sv text; /* host memory behind args.oci */
    struct cloister_sv *env;
    struct cloister_resolve_args resolve;
    struct cloister_sv capabilities; /* host memory behind resolve.nonroot_capabilities */
};

/* Splits the OCI process object: its environment goes apart; and reads what stands beside it in the params. Views stay
 * borrowed from the exchange's document. */
bool ct_process_read(struct ct_params *params, const char *key, const cloister_value *oci, const struct ct_stdio *stdio,
                     struct ct_process *ret_process);
void ct_process_end(struct ct_instance *instance, struct ct_process *process);

#endif
