/* SPDX-License-Identifier: Apache-2.0 */
/* records.h - a sandbox as the store sees it: JSON texts by kind. No environment, no `process` object is ever among
 * them. */
#ifndef CL_CORE_ENGINE_RECORDS_H
#define CL_CORE_ENGINE_RECORDS_H

#include "core/engine/sandbox.h"

#define CL_RECORDS_MAX 8u
#define CL_RECORD_SCHEMA 1u

struct cl_records {
    struct cloister_record items[CL_RECORDS_MAX];
    size_t count;
    struct cloister_sv summary;
    struct cl_arena arena;
};

#define CL_RECORDS_INIT \
    {                   \
        .count = 0      \
    }

/* kinds: CL_RECORD_*. Borrows from the sandbox. 0, -ENOMEM, -E2BIG. */
int cl_records_build(const struct cl_sandbox *sandbox, unsigned kinds, struct cl_records *ret);
void cl_records_free(struct cl_records *records);

/* What recovery needs of a record set. Views into it. */
struct cl_record_head {
    struct cloister_sv service;
    struct cloister_sv name;
    struct cloister_sv isolation;
    struct cloister_sv boot_id;
    struct cloister_sv plan;
    uint64_t cookie;
    cloister_value *document; /* free with cl_value_free */
};
/* 0; or negative with err CORRUPT or VERSION_NEWER. */
int cl_records_read(const struct cloister_store_result *set, struct cl_record_head *ret, struct cloister_error *err);

const char *cl_sandbox_state_name(uint32_t state);
const char *cl_cause_name(uint32_t cause); /* why it is off */

#endif
