/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <inttypes.h>
#include <string.h>

static bool alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool records_good_id(struct cloister_sv id)
{
    if (!id.size || id.size > CLOISTER_STORE_ID_MAX || !alphanumeric(id.data[0]))
        return false;
    for (uint64_t i = 0; i < id.size; i++)
        if (!alphanumeric(id.data[i]) && id.data[i] != '_' && id.data[i] != '.' && id.data[i] != '-')
            return false;
    return true;
}

bool records_good_key(struct cloister_sv key, bool may_be_empty)
{
    if (key.size > RECORDS_KEY_MAX || (!key.size && !may_be_empty))
        return false;
    for (uint64_t i = 0; i < key.size; i++)
        if (!(key.data[i] >= 'a' && key.data[i] <= 'z') && !(key.data[i] >= '0' && key.data[i] <= '9') &&
            !memchr(":._-", key.data[i], 4))
            return false;
    return true;
}

const struct cloister_record *records_nth(const struct cloister_store_put_args *args, uint64_t index)
{
    return (const struct cloister_record *)(const void *)((const char *)args->records + index * args->record_size);
}

bool records_check_id(const struct cloister_log_api *log, struct cloister_sv id, struct cloister_error *err)
{
    if (records_good_id(id))
        return true;
    log->error_set(err, CLOISTER_INVALID, 0, "id", "id", "the id is not [A-Za-z0-9][A-Za-z0-9_.-]*, at most %u bytes",
                   CLOISTER_STORE_ID_MAX);
    return false;
}

static bool check_record(const struct cloister_log_api *log, const struct cloister_store_put_args *args, uint64_t index,
                         struct cloister_error *err)
{
    const struct cloister_record *record = records_nth(args, index);
    if (!record->kind.size || record->kind.size > RECORDS_KIND_MAX) {
        log->error_set(err, CLOISTER_INVALID, 0, "kind", "put", "a kind of %" PRIu64 " bytes is not in 1..%u",
                       record->kind.size, RECORDS_KIND_MAX);
        return false;
    }
    if (record->data.data && record->data.size > CLOISTER_STORE_RECORD_MAX) {
        log->error_set(err, CLOISTER_TOO_BIG, 0, "record", "put", "record '%.*s' of %" PRIu64 " bytes is over %u",
                       (int)record->kind.size, record->kind.data, record->data.size, CLOISTER_STORE_RECORD_MAX);
        return false;
    }
    for (uint64_t i = 0; i < index; i++)
        if (records_nth(args, i)->kind.size == record->kind.size &&
            memcmp(records_nth(args, i)->kind.data, record->kind.data, record->kind.size) == 0) {
            log->error_set(err, CLOISTER_INVALID, 0, "records", "put", "the kind '%.*s' is named twice",
                           (int)record->kind.size, record->kind.data);
            return false;
        }
    return true;
}

static bool check_durability(const struct cloister_log_api *log, uint32_t durability, struct cloister_error *err)
{
    if (durability == CLOISTER_DURABLE_POWER || durability == CLOISTER_DURABLE_DAEMON)
        return true;
    log->error_set(err, CLOISTER_INVALID, 0, "durability", "put", "unknown durability class %u", durability);
    return false;
}

bool records_check_put(const struct cloister_log_api *log, const struct cloister_store_put_args *args,
                       struct cloister_error *err)
{
    if (!records_check_id(log, args->id, err) || !check_durability(log, args->durability, err))
        return false;
    if (args->record_count > RECORDS_COUNT_MAX ||
        (args->record_count && args->record_size < 2 * sizeof(struct cloister_sv))) {
        log->error_set(err, CLOISTER_INVALID, 0, "records", "put", "%" PRIu64 " records of %" PRIu64 " bytes each",
                       args->record_count, args->record_size);
        return false;
    }
    if (args->summary.size > CLOISTER_STORE_SUMMARY_MAX) {
        log->error_set(err, CLOISTER_TOO_BIG, 0, "summary", "put", "a summary of %" PRIu64 " bytes is over %u",
                       args->summary.size, CLOISTER_STORE_SUMMARY_MAX);
        return false;
    }
    for (uint64_t i = 0; i < args->record_count; i++)
        if (!check_record(log, args, i, err))
            return false;
    return true;
}

bool records_check_global(const struct cloister_log_api *log, const struct cloister_store_global_args *args,
                          bool prefix, bool data, struct cloister_error *err)
{
    if (!records_good_key(args->key, prefix)) {
        log->error_set(err, CLOISTER_INVALID, 0, "key", "global", "the key is not [a-z0-9:._-]{1,%u}", RECORDS_KEY_MAX);
        return false;
    }
    if (data && args->data.size > CLOISTER_STORE_RECORD_MAX) {
        log->error_set(err, CLOISTER_TOO_BIG, 0, "data", "global", "%" PRIu64 " bytes are over %u", args->data.size,
                       CLOISTER_STORE_RECORD_MAX);
        return false;
    }
    return !data || check_durability(log, args->durability, err);
}

bool records_check_limit(const struct cloister_log_api *log, uint32_t limit, struct cloister_error *err)
{
    if (limit && limit <= RECORDS_LIST_MAX)
        return true;
    log->error_set(err, CLOISTER_INVALID, 0, "limit", "list", "limit %u is not in 1..%u", limit, RECORDS_LIST_MAX);
    return false;
}

bool records_check_epoch(const struct cloister_log_api *log, uint64_t given, uint64_t own, struct cloister_error *err)
{
    if (given == own)
        return true;
    log->error_set(err, CLOISTER_FENCED, 0, NULL, "epoch", "epoch %" PRIu64 " is not that of this opening, %" PRIu64,
                   given, own);
    return false;
}

bool records_check_generation(const struct cloister_log_api *log, bool exists, uint64_t found, uint64_t expected,
                              struct cloister_error *err)
{
    if (expected == CLOISTER_GENERATION_ANY || (expected == CLOISTER_GENERATION_NEW ? !exists : expected == found))
        return true;
    log->error_set(err, expected == CLOISTER_GENERATION_NEW ? CLOISTER_EXISTS : CLOISTER_CONFLICT, 0, NULL,
                   "generation", "generation %" PRIu64 " was expected, %" PRIu64 " is there", expected, found);
    err->detail = (uint32_t)found;
    return false;
}

bool records_check_size(const struct cloister_log_api *log, uint64_t set, uint64_t others, uint64_t max,
                        struct cloister_error *err)
{
    if (set > CLOISTER_STORE_SET_MAX) {
        log->error_set(err, CLOISTER_TOO_BIG, 0, "records", "put", "a record set of %" PRIu64 " bytes is over %u", set,
                       CLOISTER_STORE_SET_MAX);
        return false;
    }
    if (others <= max && set <= max - others)
        return true;
    log->error_set(err, CLOISTER_QUOTA, 0, "max_bytes", "put", "the store would hold more than %" PRIu64 " bytes", max);
    return false;
}
