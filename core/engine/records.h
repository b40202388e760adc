/* SPDX-License-Identifier: Apache-2.0 */
/* records.h - a sandbox as the store sees it: JSON texts by kind, and back. No environment, no `process` object is ever
 * among them. */
#ifndef CL_CORE_ENGINE_RECORDS_H
#define CL_CORE_ENGINE_RECORDS_H

#include "core/engine/sandbox.h"

#define CL_RECORDS_GRAVES 16u /* removed with one write */
#define CL_RECORDS_MAX (5u + 2u * CL_CONTAINERS_MAX + 2u * CL_RECORDS_GRAVES)
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

/* The records `sandbox` and `iso` of a set. Views into the set and into `document`, which is to be freed. */
struct cl_record_head {
    struct cloister_sv service;
    struct cloister_sv name;
    struct cloister_sv isolation;
    struct cloister_sv boot_id;
    struct cloister_sv plan;
    uint64_t cookie;
    uint64_t created_real_ns;
    uint64_t created_boot_ns;
    enum cl_goal goal;
    uint32_t state; /* enum cloister_sandbox_state */
    uint32_t cause;
    bool made;
    bool provisional;
    bool lasting;
    bool lasting_known;
    cloister_value *document;
    char *name_bytes; /* behind name, where JSON has no string for it */
};

/* Records are input: whatever stands in them is checked as if a client had sent it. 0; -ENOMEM; else err CORRUPT or
 * VERSION_NEWER. */
int cl_records_read(const struct cloister_store_result *set, struct cl_record_head *ret, struct cloister_error *err);
/* What stands in it, however damaged the rest is; empty: nothing. */
struct cloister_sv cl_records_plan(const struct cloister_store_result *set);
void cl_record_head_free(struct cl_record_head *head);
/* Labels, containers and the service's record into a sandbox that has none yet. As above. */
int cl_records_restore(const struct cloister_store_result *set, struct cl_sandbox *sandbox, struct cloister_error *err);
/* What a record of a sandbox or a container has of limits; ended: nothing is wanted of it any more. As above. */
int cl_records_limits(const cloister_value *document, bool ended, struct cl_limits *ret, struct cloister_error *err);
/* The containers as isolation wants to know them, in the arena. As above. */
int cl_records_containers(const struct cloister_store_result *set, const struct cl_sandbox *sandbox,
                          struct cl_arena *arena, const struct cloister_iso_container **ret, uint64_t *ret_count,
                          struct cloister_error *err);
/* A summary's words, as far as it has them: what is known of a set that cannot be read. */
struct cl_record_words {
    struct cloister_sv state;
    struct cloister_sv service;
    struct cloister_sv isolation;
    struct cloister_sv name;
};
struct cl_record_words cl_record_words(struct cloister_sv summary);

const char *cl_sandbox_state_name(uint32_t state);
uint32_t cl_sandbox_state_of(struct cloister_sv name); /* 0: there is none of that name */
const char *cl_cause_name(uint32_t cause);             /* why it is off */

#endif
