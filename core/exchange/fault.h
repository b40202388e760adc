/* SPDX-License-Identifier: Apache-2.0 */
/* fault.h - input that the personality must answer with an error of its protocol. */
#ifndef CL_EXCHANGE_FAULT_H
#define CL_EXCHANGE_FAULT_H

#include "core/exchange/room.h"

/*
 * Hands fault to the personality, as `request` if its head has been seen, else as a new one around wire (NULL: the
 * connection as a whole is answered, its peer has no access). The answer may have left, and the request be freed, when
 * this returns.
 */
void cl_fault_raise(struct cl_connection *connection, struct cl_request *request, void *wire,
                    const struct cloister_fault *fault);

#endif
