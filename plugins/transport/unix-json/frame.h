/* SPDX-License-Identifier: Apache-2.0 */
/* frame.h - one line of input as an envelope: a pure function of its bytes. */
#ifndef UNIX_JSON_FRAME_H
#define UNIX_JSON_FRAME_H

#include <stdbool.h>

#include <cloister/transport.h>
#include <cloister/value.h>

#define UJ_ROLES_MAX 32u
#define UJ_ID_TEXT_MAX 64u
#define UJ_TEXT_MAX 256u

/* Views point into `document`. */
struct uj_frame {
    uint32_t fault;  /* 0, or enum cloister_fault_kind */
    bool garbage;    /* MALFORMED and not an envelope at all: such lines are counted */
    uint64_t offset; /* of the fault in the line, ~0 = does not apply */
    struct cloister_wire_id id;
    struct cloister_sv method;
    const cloister_value *params; /* NULL: none */
    uint64_t descriptor_count;    /* how many the line lays claim to, also a faulty one */
    struct cloister_sv roles[UJ_ROLES_MAX];
    cloister_value *document; /* owned; NULL for garbage */
    char text[UJ_TEXT_MAX];   /* of the fault */
    bool no_memory;           /* the line was not read: nothing can be said about it */
};

enum uj_cut { UJ_CUT_LINE = 0, UJ_CUT_MORE = 1, UJ_CUT_TOO_LONG = 2 };

/* May a connection in this protocol begin with this byte? */
bool uj_begins(char first);

/*
 * The first line of input, without its end ("\n" or "\r\n"). scan: bytes known to hold no newline. LINE: *ret_line, and
 * *ret_used bytes are spoken for; MORE: no newline yet; TOO_LONG: the line is longer than max.
 */
enum uj_cut uj_cut_line(struct cloister_sv input, uint64_t scan, uint64_t max, struct cloister_sv *ret_line,
                        uint64_t *ret_used);

/* Never fails: what is wrong is in ret_frame->fault. Free with uj_frame_free. */
void uj_frame_parse(const struct cloister_value_api *values, struct cloister_sv line, uint32_t depth,
                    struct uj_frame *ret_frame);
void uj_frame_free(const struct cloister_value_api *values, struct uj_frame *frame);

#endif
