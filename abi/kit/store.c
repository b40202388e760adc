/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "loop.h"

#define PATIENCE_S 60u
#define ANSWERS 128u /* operations that may be under way at once */

static cloister_op last_op;
static bool inside; /* a call of the plugin has not returned */
static struct kit_answer answers[ANSWERS];
static cloister_op numbers[ANSWERS];

struct cloister_sv kit_sv(const char *text)
{
    return (struct cloister_sv){text, text ? strlen(text) : 0};
}

static void copy_text(char *to, size_t size, struct cloister_sv from)
{
    size_t length = from.size < size ? from.size : size - 1;
    if (length)
        memcpy(to, from.data, length);
    to[length] = 0;
}

static char *copy(struct cloister_sv from)
{
    char *made = malloc(from.size + 1);
    if (!made)
        abort();
    copy_text(made, from.size + 1, from);
    return made;
}

static void clear(struct kit_answer *answer)
{
    free(answer->report);
    for (size_t i = 0; i < answer->record_count; i++)
        free(answer->records[i].data);
    memset(answer, 0, sizeof(*answer));
}

static void copy_rows(struct kit_answer *answer, const struct cloister_store_result *result)
{
    for (uint64_t i = 0; i < result->row_count && i < KIT_ROWS_MAX; i++) {
        const struct cloister_store_row *row =
            (const struct cloister_store_row *)(const void *)((const char *)result->rows + i * result->row_size);
        struct kit_row *to = &answer->rows[answer->row_count++];
        copy_text(to->id, sizeof(to->id), row->id);
        copy_text(to->summary, sizeof(to->summary), row->summary);
        to->generation = row->generation;
        to->bytes = row->bytes;
        to->health = row->health;
    }
}

static void copy_records(struct kit_answer *answer, const struct cloister_store_result *result)
{
    for (uint64_t i = 0; i < result->record_count && i < KIT_RECORDS_MAX; i++) {
        const struct cloister_record *record =
            (const struct cloister_record *)(const void *)((const char *)result->records + i * result->record_size);
        struct kit_record *to = &answer->records[answer->record_count++];
        copy_text(to->kind, sizeof(to->kind), record->kind);
        to->data = copy(record->data);
        to->size = record->data.size;
    }
}

static void on_done(const struct cloister_host *host, cloister_op op, const struct cloister_error *error,
                    const struct cloister_store_result *result)
{
    struct kit_answer *answer = &answers[op % ANSWERS];
    if (inside)
        kit_breach("operation %llu completed inside the call that started it", (unsigned long long)op);
    if (op == 0 || numbers[op % ANSWERS] != op || answer->done) {
        kit_breach("operation %llu completed, and is not under way", (unsigned long long)op);
        return;
    }
    answer->done = true;
    if (error) {
        answer->code = error->code ? error->code : CLOISTER_INTERNAL;
        answer->detail = error->detail;
        memcpy(answer->subject, error->subject, sizeof(answer->subject));
        (void)host->log->error_sentence(error, answer->sentence, sizeof(answer->sentence));
        if (!error->code || !error->chain[0])
            kit_breach("operation %llu failed without a code or a sentence", (unsigned long long)op);
    }
    answer->report = copy(result ? result->report : (struct cloister_sv){NULL, 0});
    if (!result)
        return;
    answer->generation = result->generation;
    answer->epoch = result->epoch;
    answer->capabilities = result->capabilities;
    answer->format = result->format;
    answer->was_absent = result->was_absent;
    copy_text(answer->store_id, sizeof(answer->store_id), result->store_id);
    copy_text(answer->cursor, sizeof(answer->cursor), result->cursor);
    copy_text(answer->summary, sizeof(answer->summary), result->summary);
    answer->summary_size = result->summary.size;
    copy_rows(answer, result);
    copy_records(answer, result);
}

static const struct cloister_store_api store_api = {CLOISTER_INIT(struct cloister_store_api), .done = on_done};

cloister_op kit_begin(void)
{
    cloister_op op = ++last_op;
    clear(&answers[op % ANSWERS]);
    numbers[op % ANSWERS] = op;
    inside = true;
    return op;
}

const struct kit_answer *kit_wait(cloister_op op)
{
    struct kit_answer *answer = &answers[op % ANSWERS];
    inside = false;
    if (!kit_loop_until(&answer->done, PATIENCE_S)) {
        kit_breach("operation %llu has not completed in %u s", (unsigned long long)op, PATIENCE_S);
        answer->code = CLOISTER_INTERNAL;
        answer->report = answer->report ? answer->report : copy((struct cloister_sv){NULL, 0});
    }
    return answer;
}

#define CALL(store, slot, args)                 \
    do {                                        \
        cloister_op op = kit_begin();           \
        (slot)((store)->instance, &(args), op); \
        return kit_wait(op);                    \
    } while (0)

bool kit_store_create(struct kit_store *store, const struct cloister_plugin *plugin, const char *state_dir,
                      const struct kit_options *options)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    memset(store, 0, sizeof(*store));
    kit_host_init(&store->host);
    store->host.store = &store_api;
    store->plugin = plugin;
    store->vtable = plugin->vtable;
    store->state_dir = state_dir;
    store->options = *options;
    struct cloister_create_args args = {CLOISTER_INIT(struct cloister_create_args),
                                        .option_count = plugin->option_count,
                                        .host = &store->host,
                                        .name = CLOISTER_SV("main"),
                                        .options = store->options.values,
                                        .option_size = sizeof(store->options.values[0])};
    if (store->vtable->life.create(&args, &store->instance, &err) == 0)
        return true;
    (void)fprintf(stderr, "create: %s\n", err.chain);
    return false;
}

void kit_store_destroy(struct kit_store *store)
{
    store->vtable->life.destroy(store->instance);
    store->instance = NULL;
    if (!kit_loop_drain(PATIENCE_S))
        kit_breach("after destroy, a queue is still open after %u s", PATIENCE_S);
}

const struct kit_answer *kit_open(struct kit_store *store)
{
    struct cloister_store_open_args args = {CLOISTER_INIT(struct cloister_store_open_args),
                                            .instance = CLOISTER_SV("kit"), .state_dir = kit_sv(store->state_dir)};
    cloister_op op = kit_begin();
    store->vtable->open(store->instance, &args, op);
    const struct kit_answer *answer = kit_wait(op);
    if (!answer->code)
        store->epoch = answer->epoch;
    return answer;
}

void kit_close(struct kit_store *store)
{
    store->vtable->close(store->instance);
}

const struct kit_answer *kit_list(struct kit_store *store, const char *prefix, const char *cursor, uint32_t limit)
{
    struct cloister_store_list_args args = {CLOISTER_INIT(struct cloister_store_list_args), .limit = limit,
                                            .prefix = kit_sv(prefix), .cursor = kit_sv(cursor)};
    CALL(store, store->vtable->list, args);
}

const struct kit_answer *kit_get(struct kit_store *store, const char *id)
{
    struct cloister_store_get_args args = {CLOISTER_INIT(struct cloister_store_get_args), .id = kit_sv(id)};
    CALL(store, store->vtable->get, args);
}

const struct kit_answer *kit_get_kind(struct kit_store *store, const char *id, const char *kind)
{
    const struct cloister_sv kinds = kit_sv(kind);
    struct cloister_store_get_args args = {CLOISTER_INIT(struct cloister_store_get_args), .kind_count = 1,
                                           .id = kit_sv(id), .kinds = &kinds};
    CALL(store, store->vtable->get, args);
}

const struct kit_answer *kit_put(struct kit_store *store, const struct cloister_store_put_args *args)
{
    CALL(store, store->vtable->put, *args);
}

const struct kit_answer *kit_put_one(struct kit_store *store, const char *id, uint64_t if_generation, const char *kind,
                                     struct cloister_sv data)
{
    struct cloister_record record = {.kind = kit_sv(kind), .data = data};
    struct cloister_store_put_args args = {CLOISTER_INIT(struct cloister_store_put_args),
                                           .durability = CLOISTER_DURABLE_POWER,
                                           .id = kit_sv(id),
                                           .if_generation = if_generation,
                                           .epoch = store->epoch,
                                           .records = &record,
                                           .record_count = 1,
                                           .record_size = sizeof(record),
                                           .summary = CLOISTER_SV("summary")};
    return kit_put(store, &args);
}

const struct kit_answer *kit_remove(struct kit_store *store, const char *id, uint64_t if_generation)
{
    struct cloister_store_destroy_args args = {CLOISTER_INIT(struct cloister_store_destroy_args), .id = kit_sv(id),
                                               .if_generation = if_generation, .epoch = store->epoch};
    CALL(store, store->vtable->destroy, args);
}

const struct kit_answer *kit_global(struct kit_store *store,
                                    void (*slot)(void *, const struct cloister_store_global_args *, cloister_op),
                                    const char *key, struct cloister_sv data)
{
    struct cloister_store_global_args args = {CLOISTER_INIT(struct cloister_store_global_args),
                                              .durability = CLOISTER_DURABLE_POWER,
                                              .key = kit_sv(key),
                                              .data = data,
                                              .epoch = store->epoch,
                                              .limit = 100};
    CALL(store, slot, args);
}

const struct kit_answer *kit_verify(struct kit_store *store)
{
    struct cloister_store_verify_args args = {CLOISTER_INIT(struct cloister_store_verify_args), .deep = 1};
    CALL(store, store->vtable->verify, args);
}

const struct kit_answer *kit_stat(struct kit_store *store)
{
    struct cloister_store_stat_args args = {CLOISTER_INIT(struct cloister_store_stat_args)};
    CALL(store, store->vtable->stat, args);
}
