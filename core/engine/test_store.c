/* SPDX-License-Identifier: Apache-2.0 */
/* The fake store of the engine's tests: sandbox records of a set, globals, and the latest text of each kind. */
#include "core/engine/test_world.h"

struct store_work {
    struct world *world;
    cloister_op op;
    struct cloister_error err;
    uint64_t generation;
    const struct fake_set *set;
    const struct fake_global *global;
    bool list;
};

/* A copy with smaller elements, no byte larger than they are. */
static void *shorten(const void *from, uint64_t count, size_t size, size_t stride)
{
    char *copy = malloc(count * stride + 1);
    for (uint64_t i = 0; i < count; i++)
        memcpy(copy + i * stride, (const char *)from + i * size, stride);
    return copy;
}

/* Behind the record `sandbox`. A set that a test made by hand has none: it has a plan. */
static size_t add_texts(const struct fake_set *set, struct cloister_record *records)
{
    size_t count = 1;
    for (size_t i = 0; i < CL_COUNT(set->texts); i++)
        if (set->texts[i].data && strcmp(set->texts[i].kind, "sandbox") != 0)
            records[count++] = (struct cloister_record){.kind = cl_sv_cstr(set->texts[i].kind),
                                                        .data = cl_sv(set->texts[i].data, set->texts[i].size)};
    return count == 1 ? 2 : count;
}

static void on_store_turn(void *ctx)
{
    struct store_work *work = ctx;
    struct world *world = work->world;
    struct cloister_store_row rows[CL_COUNT(world->sets)];
    struct cloister_record records[1 + CL_COUNT(world->sets[0].texts)] = {
        {.kind = CLOISTER_SV("sandbox")}, {.kind = CLOISTER_SV("iso"), .data = CLOISTER_SV("plan")}};
    struct cloister_store_result result = {CLOISTER_INIT(struct cloister_store_result),
                                           .epoch = world->boot.epoch,
                                           .generation = work->generation,
                                           .capabilities = world->store_capabilities,
                                           .report = cl_sv_cstr(world->store_report),
                                           .rows = rows,
                                           .row_size = sizeof(rows[0]),
                                           .record_size = sizeof(records[0])};
    for (size_t i = 0; work->list && i < CL_COUNT(world->sets); i++)
        if (world->sets[i].used)
            rows[result.row_count++] = (struct cloister_store_row){.id = cl_sv_cstr(world->sets[i].id),
                                                                   .summary = cl_sv_cstr(world->sets[i].summary),
                                                                   .health = world->sets[i].health};
    if (work->set) {
        records[0].data = cl_sv_cstr(work->set->sandbox_record);
        result.records = records;
        result.record_count = add_texts(work->set, records);
    }
    if (work->global) {
        records[0] =
            (struct cloister_record){.kind = CLOISTER_SV("global"), .data = {work->global->data, work->global->size}};
        result.records = records;
        result.record_count = 1;
    }
    void *short_rows = NULL, *short_records = NULL;
    if (world->short_elements) {
        result.row_size = offsetof(struct cloister_store_row, health);
        result.rows = short_rows = shorten(rows, result.row_count, sizeof(rows[0]), result.row_size);
        result.record_size = offsetof(struct cloister_record, reserved) + 4; /* nor are they aligned */
        result.records = short_records = shorten(records, result.record_count, sizeof(records[0]), result.record_size);
    }
    cl_store_api.done(&world->persistence.host, work->op, work->err.code ? &work->err : NULL, &result);
    free(short_rows);
    free(short_records);
    free(work);
}

static struct store_work *store_work(void *instance, cloister_op op)
{
    struct store_work *work = calloc(1, sizeof(*work));
    *work = (struct store_work){.world = instance, .op = op, .err = CLOISTER_ERROR_INIT};
    post(work->world, on_store_turn, work);
    return work;
}

static struct fake_set *find_set(struct world *world, struct cloister_sv id)
{
    for (size_t i = 0; i < CL_COUNT(world->sets); i++)
        if (world->sets[i].used && cl_sv_is(id, world->sets[i].id))
            return &world->sets[i];
    return NULL;
}

static struct fake_set *new_set(struct world *world, struct cloister_sv id)
{
    for (size_t i = 0; i < CL_COUNT(world->sets); i++)
        if (!world->sets[i].used) {
            world->sets[i] = (struct fake_set){.used = true};
            snprintf(world->sets[i].id, sizeof(world->sets[i].id), "%.*s", CL_SV_ARG(id));
            return &world->sets[i];
        }
    return NULL;
}

static void remember_record(struct world *world, struct cloister_sv kind, struct cloister_sv data)
{
    for (size_t i = 0; i < CL_COUNT(world->records); i++) {
        struct fake_record *record = &world->records[i];
        if (record->kind[0] && !cl_sv_is(kind, record->kind))
            continue;
        snprintf(record->kind, sizeof(record->kind), "%.*s", CL_SV_ARG(kind));
        snprintf(record->data, sizeof(record->data), "%.*s", CL_SV_ARG(data));
        record->removed = !data.data;
        return;
    }
}

const char *put_record(struct world *world, const char *kind)
{
    for (size_t i = 0; i < CL_COUNT(world->records); i++)
        if (strcmp(world->records[i].kind, kind) == 0)
            return world->records[i].removed ? NULL : world->records[i].data;
    return NULL;
}

static bool secret_in(struct cloister_sv text)
{
    return text.size && memmem(text.data, text.size, "SECRET", 6);
}

static bool put_fails(struct world *world)
{
    if (!world->put_fails || world->put_fail_after) {
        world->put_fail_after -= world->put_fails ? 1 : 0;
        return false;
    }
    if (!world->put_fail_count)
        return false;
    world->put_fail_count--;
    return true;
}

static void keep_text(struct fake_set *set, const struct cloister_record *record)
{
    struct fake_text *text = NULL;
    for (size_t i = 0; i < CL_COUNT(set->texts); i++)
        if (cl_sv_is(record->kind, set->texts[i].kind) || (!text && !set->texts[i].kind[0]))
            text = &set->texts[i];
    assert_non_null(text);
    free(text->data);
    snprintf(text->kind, sizeof(text->kind), "%.*s", CL_SV_ARG(record->kind));
    text->data = record->data.data ? malloc(record->data.size + 1) : NULL;
    text->size = record->data.size;
    if (!record->data.data)
        text->kind[0] = 0; /* removed */
    if (text->data)
        memcpy(text->data, record->data.data, record->data.size);
}

void fake_set_clear(struct fake_set *set)
{
    for (size_t i = 0; i < CL_COUNT(set->texts); i++)
        free(set->texts[i].data);
    *set = (struct fake_set){.used = false};
}

static void store_put(void *instance, const struct cloister_store_put_args *args, cloister_op op)
{
    struct world *world = instance;
    struct store_work *work = store_work(world, op);
    if (world->dead)
        return;
    for (uint64_t i = 0; i < args->record_count; i++)
        world->saw_secret |= secret_in(args->records[i].data) || secret_in(args->records[i].kind);
    world->saw_secret |= secret_in(args->summary);
    if (put_fails(world)) {
        (void)cl_error_set(&work->err, world->put_fails, 0, NULL, NULL, "the fake store was told to fail");
        return;
    }
    world->puts_power += args->durability == CLOISTER_DURABLE_POWER;
    world->puts_daemon += args->durability == CLOISTER_DURABLE_DAEMON;
    struct fake_set *set = find_set(world, args->id);
    assert_true(args->if_generation != CLOISTER_GENERATION_NEW || !set);
    if (!set)
        set = new_set(world, args->id);
    for (uint64_t i = 0; i < args->record_count; i++)
        remember_record(world, args->records[i].kind, args->records[i].data);
    for (uint64_t i = 0; i < args->record_count; i++)
        keep_text(set, &args->records[i]);
    snprintf(set->summary, sizeof(set->summary), "%.*s", CL_SV_ARG(args->summary));
    for (uint64_t i = 0; i < args->record_count; i++)
        if (cl_sv_is(args->records[i].kind, "sandbox"))
            snprintf(set->sandbox_record, sizeof(set->sandbox_record), "%.*s", CL_SV_ARG(args->records[i].data));
    work->generation = ++set->generation;
}

static void store_destroy(void *instance, const struct cloister_store_destroy_args *args, cloister_op op)
{
    struct world *world = instance;
    struct fake_set *set = find_set(world, args->id);
    (void)store_work(world, op);
    if (world->dead)
        return;
    world->removes++;
    if (set)
        fake_set_clear(set);
}

static void store_get(void *instance, const struct cloister_store_get_args *args, cloister_op op)
{
    struct world *world = instance;
    world->gets++;
    if (world->hold_gets) {
        world->gets_held++;
        world->held_get = op;
        snprintf(world->held_id, sizeof(world->held_id), "%.*s", CL_SV_ARG(args->id));
        return;
    }
    struct store_work *work = store_work(world, op);
    work->set = find_set(world, args->id);
    if (world->get_fails)
        (void)cl_error_set(&work->err, world->get_fails, 0, NULL, NULL, "the fake store was told to fail");
    world->get_fails = 0;
}

void release_gets(struct world *world)
{
    world->hold_gets = false;
    store_work(world, world->held_get)->set = find_set(world, cl_sv_cstr(world->held_id));
}

static void store_list(void *instance, const struct cloister_store_list_args *args, cloister_op op)
{
    (void)args;
    store_work(instance, op)->list = true;
}

static struct fake_global *find_global(struct world *world, struct cloister_sv key)
{
    for (size_t i = 0; i < CL_COUNT(world->globals); i++)
        if (cl_sv_is(key, world->globals[i].key))
            return &world->globals[i];
    return NULL;
}

static void store_global_get(void *instance, const struct cloister_store_global_args *args, cloister_op op)
{
    struct store_work *work = store_work(instance, op);
    work->global = find_global(instance, args->key);
    if (((struct world *)instance)->global_get_fails) {
        ((struct world *)instance)->global_get_fails--;
        work->global = NULL;
        (void)cl_error_set(&work->err, CLOISTER_IO, 0, NULL, NULL, "the fake store was told to fail");
    } else if (!work->global)
        (void)cl_error_set(&work->err, CLOISTER_NO_ENTITY, 0, NULL, NULL, "there is no such global");
}

static void store_global_put(void *instance, const struct cloister_store_global_args *args, cloister_op op)
{
    struct world *world = instance;
    struct store_work *work = store_work(world, op);
    struct fake_global *global = find_global(world, args->key);
    if (put_fails(world)) {
        (void)cl_error_set(&work->err, world->put_fails, 0, NULL, NULL, "the fake store was told to fail");
        return;
    }
    if (!global)
        global = find_global(world, CLOISTER_SV(""));
    snprintf(global->key, sizeof(global->key), "%.*s", CL_SV_ARG(args->key));
    memcpy(global->data, args->data.data, args->data.size);
    global->size = args->data.size;
}

static void store_global_delete(void *instance, const struct cloister_store_global_args *args, cloister_op op)
{
    struct fake_global *global = find_global(instance, args->key);
    (void)store_work(instance, op);
    if (global)
        global->key[0] = 0;
}

static void store_open(void *instance, const struct cloister_store_open_args *args, cloister_op op)
{
    (void)args;
    (void)store_work(instance, op);
}

static void store_close(void *instance)
{
    (void)instance;
}

const struct cloister_persistence fake_persistence = {
    CLOISTER_INIT(struct cloister_persistence),
    .open = store_open,
    .list = store_list,
    .get = store_get,
    .put = store_put,
    .destroy = store_destroy,
    .global_get = store_global_get,
    .global_put = store_global_put,
    .global_delete = store_global_delete,
    .close = store_close,
};
