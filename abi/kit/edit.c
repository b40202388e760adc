/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edit.c - one number in one record of a store, replaced through the store itself: what a later or an earlier daemon
 * would have written there, for tests that have no such daemon.
 *
 * The record is not parsed into a model and printed again: every other byte of it stays as it was.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "edit.h"
#include "store.h"

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* at: an opening quotation mark. Behind the closing one, or at the end of the text. */
static const char *skip_string(const char *at)
{
    for (at++; *at && *at != '"'; at++)
        if (*at == '\\' && at[1])
            at++;
    return *at ? at + 1 : at;
}

/* Where the member's number is: a string at depth 1 that is the key, a colon, digits. NULL: no such member. */
static const char *find_number(const char *text, const char *member, size_t *ret_size)
{
    int depth = 0;
    size_t length = strlen(member);
    for (const char *at = text; *at;) {
        if (*at != '"') {
            depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
            at++;
            continue;
        }
        const char *end = skip_string(at), *colon = skip_space(end);
        bool here = depth == 1 && (size_t)(end - at) == length + 2 && memcmp(at + 1, member, length) == 0;
        if (here && *colon == ':') {
            const char *number = skip_space(colon + 1);
            *ret_size = strspn(number, "-+.eE0123456789");
            return *ret_size ? number : NULL;
        }
        at = end;
    }
    return NULL;
}

static int refuse(const char *what, const char *why)
{
    (void)fprintf(stderr, "edit: %s: %s\n", what, why);
    return 1;
}

static int put_back(struct kit_store *store, char **words, const struct kit_answer *set, struct cloister_sv data)
{
    char summary[CLOISTER_STORE_SUMMARY_MAX + 1];
    struct cloister_record record = {.kind = kit_sv(words[1]), .data = data};
    memcpy(summary, set->summary, sizeof(summary));
    struct cloister_store_put_args args = {CLOISTER_INIT(struct cloister_store_put_args),
                                           .durability = CLOISTER_DURABLE_POWER,
                                           .id = kit_sv(words[0]),
                                           .if_generation = set->generation,
                                           .epoch = store->epoch,
                                           .records = &record,
                                           .record_count = 1,
                                           .record_size = sizeof(record),
                                           .summary = {summary, set->summary_size}};
    const struct kit_answer *answer = kit_put(store, &args);
    return answer->code ? refuse("put the record back", answer->sentence) : 0;
}

static int edit(struct kit_store *store, char **words)
{
    size_t size = 0;
    const struct kit_answer *set = kit_get_kind(store, words[0], words[1]);
    if (set->code)
        return refuse("read the record", set->sentence);
    if (set->record_count != 1)
        return refuse(words[1], "the sandbox has no such record");
    const struct kit_record *old = &set->records[0];
    const char *number = find_number(old->data, words[2], &size);
    if (!number)
        return refuse(words[2], "the record has no such number");
    size_t before = (size_t)(number - old->data), added = strlen(words[3]), after = old->size - before - size;
    char *data = malloc(before + added + after + 1);
    if (!data)
        return refuse("make the new record", strerror(ENOMEM));
    memcpy(data, old->data, before);
    memcpy(data + before, words[3], added);
    memcpy(data + before + added, number + size, after);
    int r = put_back(store, words, set, (struct cloister_sv){data, before + added + after});
    free(data);
    return r;
}

int kit_edit(const struct cloister_plugin *plugin, const char *state_dir, const struct kit_options *options,
             char **words)
{
    struct kit_store store;
    if (words[3][strspn(words[3], "0123456789")] || !words[3][0])
        return refuse(words[3], "not a number");
    if (!kit_store_create(&store, plugin, state_dir, options))
        return 1;
    const struct kit_answer *answer = kit_open(&store);
    int r = answer->code ? refuse("open", answer->sentence) : edit(&store, words);
    if (store.epoch)
        kit_close(&store);
    kit_store_destroy(&store);
    return r ? r : kit_breaches != 0;
}
