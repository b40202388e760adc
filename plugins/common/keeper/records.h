/* SPDX-License-Identifier: Apache-2.0 */
/* records.h - the processes of a sandbox, running or exited and not yet released, in order of birth. */
#ifndef CL_KEEPER_RECORDS_H
#define CL_KEEPER_RECORDS_H

#include "common/keeper/wire.h"

/* Pages of the table that were never used cost nothing: it lives in zeroed memory. */
struct cl_records {
    uint32_t count;
    uint64_t exits; /* so far; the last one's `order` */
    struct cl_wire_record item[CL_WIRE_PROCESSES_MAX];
};

/* NULL when the table is full. A pointer is good until the next cl_records_remove. */
struct cl_wire_record *cl_records_add(struct cl_records *records, uint64_t pseq, uint64_t container, uint32_t flags);
struct cl_wire_record *cl_records_find(struct cl_records *records, uint64_t pseq);
struct cl_wire_record *cl_records_find_pid(struct cl_records *records, uint32_t pid); /* only one that has not exited */
void cl_records_remove(struct cl_records *records, struct cl_wire_record *record);

/* Writes the exit: status or signal as waitid gave it, and both clocks. */
void cl_records_exit(struct cl_records *records, struct cl_wire_record *record, int code, int status);

/* Processes of a container that have not exited. */
uint32_t cl_records_live(const struct cl_records *records, uint64_t container);

/* A sealed memfd with all records. */
int cl_records_export(const struct cl_records *records, int *ret_fd);

#endif
