/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drive.c - a store driven by words, one line of answer each: for scripts that kill it, fill its disk or make its
 * system calls fail, and look at what is left.
 *
 *   put:ID:SIZE[:w]  a record 'data' of SIZE bytes that tell ID and the generation; w: class w
 *   get:ID           prints generation and whether the bytes are those of a put of that generation
 *   destroy:ID, list, verify, stat, report
 */
#include <stdlib.h>
#include <string.h>

#include "drive.h"
#include "store.h"

/* What a put of this id and generation holds: no two are alike anywhere. */
static char pattern(const char *id, uint64_t generation, size_t i)
{
    return (char)('!' + (i * 7 + generation * 31 + (unsigned char)id[0] * 3 + i / 90 * generation) % 90);
}

static bool is_pattern(const char *id, uint64_t generation, const struct kit_record *record)
{
    for (size_t i = 0; i < record->size; i++)
        if (record->data[i] != pattern(id, generation, i))
            return false;
    return true;
}

static void say(const char *word, const struct kit_answer *answer, const char *more)
{
    if (answer->code)
        (void)printf("%s: error %u %s\n", word, answer->code, answer->sentence);
    else
        (void)printf("%s: ok %s\n", word, more);
    (void)fflush(stdout);
}

static void put(struct kit_store *store, const char *word, const char *id, const char *size_text, bool lazy)
{
    char more[32];
    size_t size = strtoul(size_text, NULL, 10);
    char *data = malloc(size + 1);
    const struct kit_answer *answer = kit_get_kind(store, id, "none");
    uint64_t generation = answer->code ? 1 : answer->generation + 1;
    if (!data || (answer->code && answer->code != CLOISTER_NO_ENTITY && answer->code != CLOISTER_CORRUPT)) {
        say(word, answer, "");
        free(data);
        return;
    }
    for (size_t i = 0; i < size; i++)
        data[i] = pattern(id, generation, i);
    struct cloister_record record = {.kind = CLOISTER_SV("data"), .data = {data, size}};
    struct cloister_store_put_args args = {CLOISTER_INIT(struct cloister_store_put_args),
                                           .durability = lazy ? CLOISTER_DURABLE_DAEMON : CLOISTER_DURABLE_POWER,
                                           .id = kit_sv(id),
                                           .if_generation = CLOISTER_GENERATION_ANY,
                                           .epoch = store->epoch,
                                           .records = &record,
                                           .record_count = 1,
                                           .record_size = sizeof(record)};
    answer = kit_put(store, &args);
    (void)snprintf(more, sizeof(more), "%llu", (unsigned long long)answer->generation);
    say(word, answer, more);
    free(data);
}

static void get(struct kit_store *store, const char *word, const char *id)
{
    char more[64];
    const struct kit_answer *answer = kit_get(store, id);
    bool good = answer->record_count == 1 && is_pattern(id, answer->generation, &answer->records[0]);
    (void)snprintf(more, sizeof(more), "%llu %s", (unsigned long long)answer->generation, good ? "whole" : "WRONG");
    say(word, answer, more);
}

static void list(struct kit_store *store)
{
    char cursor[CLOISTER_STORE_ID_MAX + 1] = "";
    const struct kit_answer *answer;
    do {
        answer = kit_list(store, "", cursor, KIT_ROWS_MAX);
        if (answer->code)
            say("list", answer, "");
        for (size_t i = 0; i < answer->row_count; i++)
            (void)printf("row: %s %llu %u\n", answer->rows[i].id, (unsigned long long)answer->rows[i].generation,
                         answer->rows[i].health);
        memcpy(cursor, answer->cursor, sizeof(cursor));
    } while (cursor[0]);
    (void)fflush(stdout);
}

static bool one(struct kit_store *store, const char *report, char *word)
{
    char *rest = NULL, whole[256];
    (void)snprintf(whole, sizeof(whole), "%s", word);
    const char *verb = strtok_r(word, ":", &rest), *id = strtok_r(NULL, ":", &rest);
    const char *size = strtok_r(NULL, ":", &rest), *lazy = strtok_r(NULL, ":", &rest);
    if (!verb)
        return false;
    if (strcmp(verb, "put") == 0 && id && size)
        put(store, whole, id, size, lazy != NULL);
    else if (strcmp(verb, "get") == 0 && id)
        get(store, whole, id);
    else if (strcmp(verb, "destroy") == 0 && id)
        say(whole, kit_remove(store, id, CLOISTER_GENERATION_ANY), "");
    else if (strcmp(verb, "list") == 0)
        list(store);
    else if (strcmp(verb, "verify") == 0) {
        const struct kit_answer *answer = kit_verify(store);
        say(whole, answer, answer->report);
    } else if (strcmp(verb, "stat") == 0) {
        const struct kit_answer *answer = kit_stat(store);
        say(whole, answer, answer->report);
    } else if (strcmp(verb, "report") == 0)
        (void)printf("report: ok %s\n", report);
    else
        return false;
    return true;
}

int kit_drive(const struct cloister_plugin *plugin, const char *state_dir, const struct kit_options *options,
              char **words, unsigned count)
{
    struct kit_store store;
    char epoch[32];
    if (!kit_store_create(&store, plugin, state_dir, options))
        return 1;
    const struct kit_answer *answer = kit_open(&store);
    (void)snprintf(epoch, sizeof(epoch), "%llu", (unsigned long long)answer->epoch);
    say("open", answer, epoch);
    char *report = strdup(answer->report);
    int result = answer->code ? 1 : 0;
    for (unsigned i = 0; i < count && result == 0; i++)
        if (!one(&store, report ? report : "", words[i])) {
            (void)fprintf(stderr, "'%s' is no word of 'drive'\n", words[i]);
            result = 2;
        }
    if (!answer->code || store.epoch)
        kit_close(&store);
    kit_store_destroy(&store);
    free(report);
    (void)printf("closed\n");
    return result ? result : kit_breaches != 0;
}
