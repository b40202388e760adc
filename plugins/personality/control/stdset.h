/* SPDX-License-Identifier: Apache-2.0 */
/* stdset.h - a process's first three descriptors, from `stdio` and the descriptors that came with a request. */
#ifndef CONTROL_STDSET_H
#define CONTROL_STDSET_H

#include "params.h"

struct ct_stdio {
    struct cloister_stdio entries[3];
    uint32_t count; /* 0: the client said nothing and sent none */
};

/* Takes the exchange's descriptors. False: params->failed (a role that has no meaning here, a bad entry). */
bool ct_stdio_take(struct ct_params *params, cloister_exchange *exchange, struct ct_stdio *ret_stdio);
/* Closes them, unless an operation has taken them over. */
void ct_stdio_end(struct ct_stdio *stdio, bool moved);

#endif
