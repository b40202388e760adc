/* SPDX-License-Identifier: Apache-2.0 */
/* records.h - the processes of a sandbox, running or exited and not yet released, in order of birth. */
#ifndef CL_KEEPER_RECORDS_H
#define CL_KEEPER_RECORDS_H

#include "common/keeper/tapes.h"

/* What a daemon of later times wants to know of a process. */
struct cl_memo {
    uint32_t name_size;
    uint32_t tag_size;
    uint8_t bytes[]; /* name, tag */
};

/* What only some processes have. */
struct cl_beside {
    struct cl_memo *memo;
    struct cl_capture *capture;
    int terminal; /* the master of it as long as the process lives, or -1 */
    int input;    /* the writer of its stdin, or one of these */
};
#define CL_INPUT_NONE (-1)   /* its stdin is no pipe */
#define CL_INPUT_CLOSED (-2) /* it was */

/* Pages of the tables that were never used cost nothing: they live in zeroed memory. */
struct cl_records {
    uint32_t count;
    uint64_t exits; /* so far; the last one's `order` */
    struct cl_wire_record item[CL_WIRE_PROCESSES_MAX];
    struct cl_beside beside[CL_WIRE_PROCESSES_MAX];
};

/* NULL when the table is full. A pointer is good until the next cl_records_remove. */
struct cl_wire_record *cl_records_add(struct cl_records *records, uint64_t pseq, uint64_t container, uint32_t flags);
struct cl_wire_record *cl_records_find(struct cl_records *records, uint64_t pseq);
struct cl_wire_record *cl_records_find_pid(struct cl_records *records, uint32_t pid); /* only one that has not exited */
struct cl_beside *cl_records_beside(struct cl_records *records, const struct cl_wire_record *record);
/* With all that is beside it. */
void cl_records_remove(struct cl_records *records, struct cl_wire_record *record);

/* Keeps name and tag, if there are any. 0 or -ENOMEM. */
int cl_records_note(struct cl_records *records, const struct cl_wire_record *record, const struct cl_wire_memo *memo);

/* Writes the exit: status or signal as waitid gave it, and both clocks. */
void cl_records_exit(struct cl_records *records, struct cl_wire_record *record, int code, int status);

/* Processes of a container that have not exited. */
uint32_t cl_records_live(const struct cl_records *records, uint64_t container);

/* The keeper's writer, if it holds one; that and the terminal. */
void cl_beside_close_input(struct cl_beside *beside, struct cl_wire_record *record);
void cl_beside_close(struct cl_beside *beside, struct cl_wire_record *record);

/* inventory.c: a sealed memfd with all records; with an entry for each. */
int cl_inventory_status(const struct cl_records *records, int *ret_fd);
int cl_inventory_list(const struct cl_records *records, int *ret_fd);

#endif
