/* SPDX-License-Identifier: Apache-2.0 */
/* connection.h - one peer on one endpoint, from accept to the last byte. */
#ifndef CL_EXCHANGE_CONNECTION_H
#define CL_EXCHANGE_CONNECTION_H

#include "core/exchange/room.h"

/* A cl_accept_fn; ctx is the endpoint. */
void cl_connection_accept(void *ctx, cloister_stream *stream, const struct cl_peer *peer);
/* Schedules enum cl_todo for a fresh stack: what ends exchanges must not run inside a call of a plugin. */
void cl_connection_do(struct cl_connection *connection, uint32_t todo);
/* Does what was scheduled. The connection may be on its way out afterwards. */
void cl_connection_work(struct cl_connection *connection);
/* Tells the transport to take no new request and to report `lost` when the last answer has left. */
void cl_connection_drain(struct cl_connection *connection);

/* Remembers whose push is the next one to leave for the kernel. 0 or -ENOMEM. */
int cl_connection_pushed(struct cl_connection *connection, uint64_t request_handle);

#endif
