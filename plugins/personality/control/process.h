/* SPDX-License-Identifier: Apache-2.0 */
/* process.h - a client's OCI process as the engine takes it. */
#ifndef CONTROL_PROCESS_H
#define CONTROL_PROCESS_H

#include "stdset.h"

struct ct_process {
    struct cloister_process_args args;
    struct cloister_sv text; /* host memory behind args.oci */
    struct cloister_sv *env;
};

/* Splits the OCI process object: its environment goes apart; and what stands beside it in the params: `drain_idle_ms`,
 * `drain_max_ms`, `tag`. Views stay borrowed from the exchange's document. */
bool ct_process_read(struct ct_params *params, const char *key, const cloister_value *oci, const struct ct_stdio *stdio,
                     struct ct_process *ret_process);
void ct_process_end(struct ct_instance *instance, struct ct_process *process);

#endif
