/* SPDX-License-Identifier: Apache-2.0 */
#include "core/exchange/fault.h"

#include "core/exchange/connection.h"
#include "core/exchange/handle.h"
#include "core/exchange/request.h"
#include "core/log/log.h"

void cl_fault_raise(struct cl_connection *connection, struct cl_request *request, void *wire,
                    const struct cloister_fault *fault)
{
    const struct cloister_personality *personality = cl_personality_of(connection);
    struct cloister_head head = {CLOISTER_INIT(struct cloister_head), .op = fault->op, .id = fault->id};
    if (!request &&
        (connection->request_count >= 2 * CL_REQUESTS_MAX || cl_request_new(connection, wire, &head, &request) < 0)) {
        cl_log(CL_LOG_WARN, "exchange", "%s: no room to answer a faulty request, the connection is closed",
               connection->endpoint->address);
        cl_connection_do(connection, CL_TODO_ABORT);
        return;
    }
    request->closes = fault->closes != 0;
    request->delivered = true;
    cl_request_count(request, true);
    personality->exchange_fault(cl_personality_self(connection), cl_handle_pointer(request->handle), fault);
}
