/* SPDX-License-Identifier: Apache-2.0 */
#include "core/exchange/handle.h"

#include "core/log/log.h"
#include "core/util/map.h"

/* Loop thread only. One set for the process, because the SDK's calls carry a handle and nothing else. */
static struct cl_map handles = CL_MAP_INIT;
static uint64_t last_serial;

uint64_t cl_handle_open(enum cl_handle_kind kind, void *object)
{
    uint64_t number = (last_serial + 1) << 1 | (uint64_t)kind;
    if (cl_map_put_u64(&handles, number, object) < 0)
        return 0;
    last_serial++;
    return number;
}

void *cl_handle_peek(enum cl_handle_kind kind, uint64_t number)
{
    return number != 0 && (number & 1) == (uint64_t)kind ? cl_map_get_u64(&handles, number) : NULL;
}

void *cl_handle_find(enum cl_handle_kind kind, const void *handle)
{
    if (!handle)
        return NULL;
    uint64_t number = (uint64_t)(uintptr_t)handle;
    void *object = cl_handle_peek(kind, number);
    if (!object)
        cl_log(CL_LOG_WARN, "exchange", "a plugin used a %s that has ended (handle %llu)",
               kind == CL_HANDLE_REQUEST ? "request" : "connection", (unsigned long long)number);
    return object;
}

void cl_handle_close(uint64_t number)
{
    cl_map_remove_u64(&handles, number);
    if (handles.size == 0)
        cl_map_free(&handles);
}
