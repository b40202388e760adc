/* SPDX-License-Identifier: Apache-2.0 */
/* request.h - one exchange from head to answer: its memory, its descriptors, its place in the counts. */
#ifndef CL_EXCHANGE_REQUEST_H
#define CL_EXCHANGE_REQUEST_H

#include "core/exchange/room.h"

/* Copies head. Its descriptors are taken over, also on failure (then closed). 0, -ENOMEM, or -EINVAL for counts out of
 * bounds. */
int cl_request_new(struct cl_connection *connection, void *wire, const struct cloister_head *head,
                   struct cl_request **ret_request);
/* Keeps the parameters of a match made against the request's own target. 0 or -ENOMEM. */
int cl_request_parameters(struct cl_request *request, const struct cl_route_match *match);
/* Adds bytes to a body of at most max. 0, -E2BIG, -ENOMEM. */
int cl_request_append(struct cl_request *request, struct cloister_sv bytes, uint64_t max);
/* The body as text; prints the document if that is all there is. 0 or -ENOMEM. */
int cl_request_body(struct cl_request *request, struct cloister_sv *ret_body);
/* In or out of the count of requests in flight; at its limit the transport is paused, below it resumed. */
void cl_request_count(struct cl_request *request, bool counted);
/* Closes what the personality has not taken. */
void cl_request_close_descriptors(struct cl_request *request);
/* Over, and the transport has let go of it: frees it. */
void cl_request_end(struct cl_request *request);
/* Over without an answer: tells the personality, then the transport, frees it. From a fresh stack only. */
void cl_request_gone(struct cl_request *request, uint32_t reason);

#endif
