/* SPDX-License-Identifier: Apache-2.0 */
#include "params.h"

#include "words.h"

#include <stdio.h>
#include <string.h>

#define DEADLINE_MS_MAX (1ull << 40) /* 34 years: no sum with the clock can overflow */
#define WORD_MAX 48u

/* Insert, delete or change cost 1 each. */
static unsigned distance(struct cloister_sv word, const char *known)
{
    unsigned row[WORD_MAX + 1], size = (unsigned)strlen(known);
    for (unsigned k = 0; k <= size; k++)
        row[k] = k;
    for (unsigned i = 0; i < word.size; i++) {
        unsigned diagonal = row[0];
        row[0] = i + 1;
        for (unsigned k = 1; k <= size; k++) {
            unsigned change = diagonal + (word.data[i] != known[k - 1]);
            unsigned least = row[k] < row[k - 1] ? row[k] + 1 : row[k - 1] + 1;
            diagonal = row[k];
            row[k] = change < least ? change : least;
        }
    }
    return row[size];
}

const char *ct_nearest(struct cloister_sv word, const char *const *words)
{
    const char *nearest = NULL;
    unsigned best = ~0u;
    if (word.size > WORD_MAX)
        return NULL;
    for (; *words; words++) {
        unsigned found = strlen(*words) <= WORD_MAX ? distance(word, *words) : ~0u;
        if (found < best && found <= 1 + word.size / 3) {
            best = found;
            nearest = *words;
        }
    }
    return nearest;
}

void ct_wrong(struct ct_params *params, const char *key, const char *what)
{
    char subject[CLOISTER_SUBJECT_MAX];
    if (params->failed)
        return;
    params->failed = true;
    size_t where = strlen(params->where), size = strlen(key);
    where = where < sizeof(subject) / 2 ? where : sizeof(subject) / 2;
    size = size < sizeof(subject) - where ? size : sizeof(subject) - where - 1;
    memcpy(subject, params->where, where);
    memcpy(subject + where, key, size);
    subject[where + size] = 0;
    params->instance->host->log->error_set(params->err, CLOISTER_INVALID, 0, subject, "params", "key '%s': %s", subject,
                                           what);
}

void ct_no_memory(struct ct_params *params, const char *what)
{
    if (!params->failed)
        params->instance->host->log->error_set(params->err, CLOISTER_LIMIT, 12, "", "params", "read '%s%s'",
                                               params->where, what);
    params->failed = true;
}

bool ct_params_known(struct ct_params *params, const char *const *keys)
{
    const struct cloister_value_api *values = params->instance->host->value;
    uint64_t count = values->count(params->object);
    for (uint64_t i = 0; i < count && !params->failed; i++) {
        struct cloister_sv key;
        const char *const *known = keys;
        (void)values->at(params->object, i, &key);
        while (*known && !ct_is(key, *known))
            known++;
        if (*known)
            continue;
        const char *nearest = ct_nearest(key, keys);
        char subject[96];
        size_t size = key.size < 64 ? key.size : 64;
        memcpy(subject, key.data, size);
        subject[size] = 0;
        params->failed = true;
        params->instance->host->log->error_set(params->err, CLOISTER_INVALID, 0, subject, "params",
                                               nearest ? "unknown key '%s%s'; the nearest known one is '%s%s'"
                                                       : "unknown key '%s%s'",
                                               params->where, subject, params->where, nearest ? nearest : "");
    }
    return !params->failed;
}

static const cloister_value *member(struct ct_params *params, const char *key)
{
    const struct cloister_value_api *values = params->instance->host->value;
    const cloister_value *value = params->failed ? NULL : values->get(params->object, ct_sv(key));
    return value && values->type(value) != CLOISTER_VALUE_NULL ? value : NULL;
}

bool ct_has(struct ct_params *params, const char *key)
{
    return member(params, key) != NULL;
}

bool ct_text(struct ct_params *params, const char *key, struct cloister_sv *ret)
{
    const cloister_value *value = member(params, key);
    if (value && params->instance->host->value->string(value, ret) < 0)
        ct_wrong(params, key, "expected a string");
    return value && !params->failed;
}

bool ct_u64(struct ct_params *params, const char *key, uint64_t *ret)
{
    const cloister_value *value = member(params, key);
    if (value && params->instance->host->value->u64(value, ret) < 0)
        ct_wrong(params, key, "expected an integer, not negative, below 2^64");
    return value && !params->failed;
}

bool ct_range(struct ct_params *params, const char *key, int64_t least, int64_t most, int64_t *ret)
{
    const cloister_value *value = member(params, key);
    char what[96];
    if (value && (params->instance->host->value->i64(value, ret) < 0 || *ret < least || *ret > most)) {
        (void)snprintf(what, sizeof(what), "expected an integer from %lld to %lld", (long long)least, (long long)most);
        ct_wrong(params, key, what);
    }
    return value && !params->failed;
}

bool ct_u32(struct ct_params *params, const char *key, uint32_t least, uint32_t most, uint32_t *ret)
{
    int64_t number;
    if (!ct_range(params, key, least, most, &number))
        return false;
    *ret = (uint32_t)number;
    return true;
}

bool ct_bool(struct ct_params *params, const char *key, bool *ret)
{
    const cloister_value *value = member(params, key);
    uint32_t yes = 0;
    if (value && params->instance->host->value->boolean(value, &yes) < 0)
        ct_wrong(params, key, "expected true or false");
    if (value && !params->failed)
        *ret = yes != 0;
    return value && !params->failed;
}

bool ct_object(struct ct_params *params, const char *key, const cloister_value **ret)
{
    const cloister_value *value = member(params, key);
    if (value && params->instance->host->value->type(value) != CLOISTER_VALUE_OBJECT)
        ct_wrong(params, key, "expected an object");
    if (value && !params->failed)
        *ret = value;
    return value && !params->failed;
}

bool ct_array(struct ct_params *params, const char *key, const cloister_value **ret)
{
    const cloister_value *value = member(params, key);
    if (value && params->instance->host->value->type(value) != CLOISTER_VALUE_ARRAY)
        ct_wrong(params, key, "expected an array");
    if (value && !params->failed)
        *ret = value;
    return value && !params->failed;
}

bool ct_object_text(struct ct_params *params, const char *key, struct cloister_sv *ret)
{
    const cloister_value *object;
    if (!ct_object(params, key, &object))
        return false;
    if (params->instance->host->value->print(object, 0, ret) == 0)
        return true;
    *ret = (struct cloister_sv){NULL, 0};
    ct_no_memory(params, key);
    return false;
}

void ct_text_free(const struct ct_instance *instance, struct cloister_sv text)
{
    if (text.data)
        instance->host->value->free_text(text);
}

bool ct_need(struct ct_params *params, const char *key, bool present)
{
    if (!present)
        ct_wrong(params, key, "missing");
    return present;
}

unsigned ct_choice(struct ct_params *params, const char *key, const char *const *words, unsigned fallback)
{
    struct cloister_sv word;
    char list[160] = "expected one of";
    if (!ct_text(params, key, &word))
        return fallback;
    for (unsigned i = 0; words[i]; i++) {
        if (ct_is(word, words[i]))
            return i;
        strncat(list, i ? ", " : " ", sizeof(list) - strlen(list) - 1);
        strncat(list, words[i], sizeof(list) - strlen(list) - 1);
    }
    ct_wrong(params, key, list);
    return fallback;
}

bool ct_process_number(struct ct_params *params, cloister_process *ret)
{
    if (!ct_u64(params, "process", ret))
        return false;
    if (*ret == 0)
        ct_wrong(params, "process", "expected the number of a process, not 0");
    return !params->failed;
}

uint64_t ct_deadline(struct ct_params *params)
{
    uint64_t ms;
    if (!ct_u64(params, "deadline_ms", &ms))
        return 0;
    if (ms > DEADLINE_MS_MAX) {
        ct_wrong(params, "deadline_ms", "expected milliseconds from now, at most 2^40");
        return 0;
    }
    return params->instance->host->system->now_mono() + ms * 1000000u;
}

static bool keep_id(struct ct_params *params, struct cloister_sv id, char ret_id[CT_ID_MAX + 1])
{
    if (id.size == 0 || id.size > CT_ID_MAX) {
        params->failed = true;
        params->instance->host->log->error_set(params->err, CLOISTER_NO_ENTITY, 0, "", "find",
                                               "no sandbox has such an id");
        return false;
    }
    memcpy(ret_id, id.data, id.size);
    ret_id[id.size] = 0;
    return true;
}

bool ct_target(struct ct_params *params, char ret_id[CT_ID_MAX + 1])
{
    const struct cloister_host *host = params->instance->host;
    struct cloister_sv id, name;
    bool by_id = ct_text(params, "id", &id), by_name = ct_text(params, "name", &name);
    if (params->failed)
        return false;
    if (by_id == by_name) {
        ct_wrong(params, "id", by_id ? "stands beside 'name'; one of them is wanted" : "missing; so is 'name'");
        return false;
    }
    if (by_name && host->engine->find(host, name, &id, params->err) < 0) {
        params->failed = true;
        return false;
    }
    return keep_id(params, id, ret_id);
}

uint32_t ct_signal_param(struct ct_params *params, uint32_t fallback)
{
    const struct cloister_value_api *values = params->instance->host->value;
    const cloister_value *value = values->get(params->object, CLOISTER_SV("signal"));
    struct cloister_sv name;
    uint64_t number = 0;
    if (values->type(value) == CLOISTER_VALUE_STRING) {
        (void)values->string(value, &name);
        number = ct_signal_number(name);
    } else if (!ct_u64(params, "signal", &number)) {
        (void)ct_need(params, "signal", fallback != 0);
        return fallback;
    }
    if (number < 1 || number > 64)
        ct_wrong(params, "signal", "expected a number from 1 to 64 or a name like TERM");
    return (uint32_t)number;
}
