/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handle.h - what plugins hold of a connection or a request: a number in a pointer's clothes.
 *
 * A personality may keep a handle longer than it should. Were it an address, the mistake would be a use after free in a
 * root daemon; a number that is never used twice is looked up, not found, and the call answers GONE.
 */
#ifndef CL_EXCHANGE_HANDLE_H
#define CL_EXCHANGE_HANDLE_H

#include <stdint.h>

enum cl_handle_kind { CL_HANDLE_CONNECTION = 0, CL_HANDLE_REQUEST = 1 };

/* A number that no other object has had, 0 without memory. */
uint64_t cl_handle_open(enum cl_handle_kind kind, void *object);
/* The object, NULL when it has ended, was never one, or is of the other kind; a stale one is logged. NULL gives NULL
 * silently. */
void *cl_handle_find(enum cl_handle_kind kind, const void *handle);
/* The same without a word in the log: for the host's own look-ups. */
void *cl_handle_peek(enum cl_handle_kind kind, uint64_t number);
void cl_handle_close(uint64_t number);

static inline void *cl_handle_pointer(uint64_t number)
{
    return (void *)(uintptr_t)number;
}

#endif
