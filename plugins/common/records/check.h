/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - what an operation on records must be, whatever the store holds: the limits of cloister/persistence.h.
 * Each check returns true, or false with *err filled.
 */
#ifndef RECORDS_CHECK_H
#define RECORDS_CHECK_H

#include <cloister/log.h>
#include <cloister/persistence.h>
#include <stdbool.h>

#define RECORDS_LIST_MAX 4096u
#define RECORDS_KEY_MAX 64u
#define RECORDS_KIND_MAX 192u
#define RECORDS_COUNT_MAX 4096u

bool records_good_id(struct cloister_sv id);
bool records_good_key(struct cloister_sv key, bool may_be_empty);

/* Record `index` of the caller's array, whatever size its elements have. */
const struct cloister_record *records_nth(const struct cloister_store_put_args *args, uint64_t index);

bool records_check_id(const struct cloister_log_api *log, struct cloister_sv id, struct cloister_error *err);
bool records_check_put(const struct cloister_log_api *log, const struct cloister_store_put_args *args,
                       struct cloister_error *err);
/* prefix: the key may be empty. data: it is about to be put. */
bool records_check_global(const struct cloister_log_api *log, const struct cloister_store_global_args *args,
                          bool prefix, bool data, struct cloister_error *err);
bool records_check_limit(const struct cloister_log_api *log, uint32_t limit, struct cloister_error *err);
bool records_check_epoch(const struct cloister_log_api *log, uint64_t given, uint64_t own, struct cloister_error *err);
/* if_generation against what is there. */
bool records_check_generation(const struct cloister_log_api *log, bool exists, uint64_t found, uint64_t expected,
                              struct cloister_error *err);
/* The size of a record set after a change, and of the whole store with it. */
bool records_check_size(const struct cloister_log_api *log, uint64_t set, uint64_t others, uint64_t max,
                        struct cloister_error *err);

#endif
