/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/test_world.h"

#include <dirent.h>
#include <fcntl.h>

#include "core/engine/api.h"
#include "core/engine/room.h"
#include "core/net/stream.h"

const char spec_text[] = "{\"ociVersion\":\"1.1.0\"}";

/* ---- trace ---- */

void trace_add(struct world *world, const char *format, ...)
{
    size_t size = strlen(world->trace);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(world->trace + size, sizeof(world->trace) - size, format, args);
    va_end(args);
}

static const char *process_name(const struct world *world, cloister_process number)
{
    static char name[24];
    unsigned execs = 0;
    for (unsigned i = 0; i < world->process_count; i++) {
        execs += !world->processes[i].init;
        if (world->processes[i].number != number)
            continue;
        if (world->processes[i].init)
            return "init";
        snprintf(name, sizeof(name), "p%u", execs);
        return name;
    }
    return "?";
}

static void on_event(void *ctx, const struct cloister_event *event)
{
    struct world *world = ctx;
    char at[32] = ""; /* "main" goes without saying */
    if (event->container.size && !cl_sv_is(event->container, "main"))
        snprintf(at, sizeof(at), "@%.*s", CL_SV_ARG(event->container));
    const char *lost = event->status.kind == CLOISTER_STATUS_LOST ? ",lost" : "";
    switch (event->kind) {
    case CLOISTER_EVENT_EXIT:
        trace_add(world, "exit(%s%s%s) ", process_name(world, event->process), at, lost);
        break;
    case CLOISTER_EVENT_DRAINED:
        trace_add(world, "drained(%s%s", process_name(world, event->process), at);
        for (uint64_t i = 0; i < event->output_count; i++)
            trace_add(world, ",%u@%llu-%llu", event->outputs[i].fd, (unsigned long long)event->outputs[i].position,
                      (unsigned long long)event->outputs[i].lost);
        trace_add(world, ") ");
        break;
    case CLOISTER_EVENT_CONTAINER_DOWN:
        trace_add(world, "container_down%s%s ", at, lost);
        break;
    case CLOISTER_EVENT_SANDBOX_DOWN:
        trace_add(world, "sandbox_down(%u) ", event->cause);
        break;
    case CLOISTER_EVENT_STATE:
        trace_add(world, "%s%s=%u ", event->container.size ? "container" : "sandbox", at, event->state);
        break;
    default:
        trace_add(world, "event%u ", event->kind);
        break;
    }
}

static const char *code_word(uint32_t code)
{
    return code ? cl_error_code_name(code) : "ok";
}

void on_done(void *ctx, cloister_op op, const struct cloister_error *error, const struct cloister_result *result)
{
    struct caller *caller_of = ctx;
    struct world *world = caller_of->world;
    assert_true(op != 0);
    trace_add(world, "%s:%s ", caller_of->word, code_word(error ? error->code : 0));
    world->last = *result;
    if (result->stream)
        world->last_stream = result->stream;
    world->last_error = error ? *error : (struct cloister_error)CLOISTER_ERROR_INIT;
    if (result->sandbox.size)
        snprintf(world->last_sandbox, sizeof(world->last_sandbox), "%.*s", CL_SV_ARG(result->sandbox));
    snprintf(world->last_json, sizeof(world->last_json), "%.*s", CL_SV_ARG(result->json));
    if (error)
        cl_error_sentence(error, world->sentence, sizeof(world->sentence));
}

struct caller *caller(struct world *world, const char *word)
{
    static struct caller callers[32];
    static unsigned used;
    for (unsigned i = 0; i < used; i++)
        if (strcmp(callers[i].word, word) == 0) {
            callers[i].world = world;
            return &callers[i];
        }
    callers[used] = (struct caller){world, word};
    return &callers[used++];
}

const char *trace(struct world *world)
{
    static char text[sizeof(world->trace)];
    memcpy(text, world->trace, sizeof(text));
    size_t size = strlen(text);
    if (size)
        text[size - 1] = 0;
    world->trace[0] = 0;
    return text;
}

const char *logged(struct world *world)
{
    static char text[1 << 16];
    (void)!write(world->log_write, "\n", 1);
    ssize_t size = read(world->log_read, text, sizeof(text) - 1);
    text[size > 0 ? size : 0] = 0;
    return text;
}

/* A plugin's own shortage of memory is not what is tested: one failure is followed by success. */
void post(struct world *world, cloister_fn fn, void *ctx)
{
    if (cl_loop_post(world->loop, fn, ctx) < 0)
        assert_int_equal(cl_loop_post(world->loop, fn, ctx), 0);
}

/* ---- world ---- */

static void instance_init(struct world *world, struct cl_instance *instance, const char *name, const char *label,
                          const union cl_vtable *vtable)
{
    *instance = (struct cl_instance){.name = strdup(name), .label = strdup(label), .vtable = vtable, .self = world};
    instance->host.self = instance;
    instance->host.engine = &cl_engine_api;
}

static void on_opened(void *ctx, const struct cloister_error *err, const struct cloister_store_result *result)
{
    (void)result;
    assert_null(err);
    *(bool *)ctx = true;
}

static void fill_vtables(struct world *world)
{
    world->isolation_vtable.isolation = fake_isolation;
    world->persistence_vtable.persistence = fake_persistence;
    instance_init(world, &world->isolation, "main", "isolation 'main' (fake)", &world->isolation_vtable);
    instance_init(world, &world->persistence, "main", "persistence 'main' (fake)", &world->persistence_vtable);
    instance_init(world, &world->control, "control", "personality 'control'", &world->personality_vtable);
    instance_init(world, &world->other, "other", "personality 'other'", &world->personality_vtable);
}

static int add_services(struct world *world)
{
    static const char *const see_control[] = {"control", NULL}, *const everything[] = {"*", NULL};
    struct cl_engine_service_args args = {
        .name = "control", .personality = &world->control, .isolation = &world->isolation, .store = world->store};
    args.see = args.act = world->sees_all ? everything : NULL;
    args.machine_stats = world->machine_stats;
    int r = cl_engine_add_service(world->engine, &args, NULL);
    args.act = NULL;
    args.machine_stats = false;
    args.name = "other";
    args.personality = &world->other;
    args.see = see_control;
    r = r ? r : cl_engine_add_service(world->engine, &args, NULL);
    return r ? r : cl_events_add(world->events, "control", NULL, on_event, world);
}

int world_setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    int ends[2];
    snprintf(world->run_dir, sizeof(world->run_dir), "/tmp/test-engine-XXXXXX");
    if (!mkdtemp(world->run_dir) || pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    world->log_read = ends[0];
    world->log_write = ends[1];
    cl_log_set_fd(world->log_write);
    fill_vtables(world);
    world->boot = (struct fake_boot){.boot_id = "boot", .cookie = 0xabc, .epoch = 7};
    *state = world;
    return cl_loop_new(&world->loop) < 0 ? -1 : world_born(world);
}

int world_born(struct world *world)
{
    const char *profiles[] = {world->run_dir, NULL};
    bool opened = false;
    if (cl_events_new(&world->events) < 0)
        return -1;
    const struct cl_engine_args args = {.loop = world->loop,
                                        .events = world->events,
                                        .instance = "test",
                                        .run_dir = world->run_dir,
                                        .boot_id = world->boot.boot_id,
                                        .cookie = world->boot.cookie,
                                        .old_cookie = world->boot.old_cookie,
                                        .recover_ns = world->boot.recover_ns,
                                        .orphans_report = world->boot.orphans_report,
                                        .profile_paths = profiles};
    if (cl_engine_new(&args, &world->engine) < 0 ||
        cl_engine_add_isolation(world->engine, &world->isolation, NULL) < 0 ||
        cl_store_new(world->loop, &world->persistence, &world->store) < 0 ||
        cl_store_open(world->store, "test", "/nowhere", on_opened, &opened) < 0)
        return -1;
    turn(world);
    return opened && add_services(world) == 0 ? 0 : -1;
}

static void on_dead(void *ctx)
{
    *(bool *)ctx = true;
}

/* Nothing of what it still does reaches anybody (world->dead); but what it has is given back. */
void world_die(struct world *world)
{
    unsigned detached = world->detached, calls = world->call_count;
    bool dead = world->engine->detached;
    world->dead = true;
    if (!dead)
        cl_engine_drain(world->engine, 1, on_dead, &dead);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < world->call_count; i++)
            if (!world->calls[i].done)
                complete(world, i, CLOISTER_CANCELLED);
        if (world->hold_gets && world->gets_held)
            release_gets(world);
        turn(world);
    }
    assert_true(dead);
    world->call_count = calls;
    cl_engine_free(cl_steal_ptr(&world->engine));
    cl_store_close(world->store);
    cl_events_free(world->events);
    turn(world);
    world->dead = false;
    world->detached = detached;
    world->boot.epoch++;
    world->adopting = world->gets_held = world->settled = world->recovered_count = 0;
    (void)trace(world);
}

static void instance_clear(struct cl_instance *instance)
{
    free(instance->name);
    free(instance->label);
}

int world_teardown(void **state)
{
    struct world *world = *state;
    cl_engine_free(world->engine);
    cl_store_close(world->store);
    cl_events_free(world->events);
    if (world->last_stream) /* of a test that failed */
        cl_stream_abort(world->last_stream, NULL, NULL);
    turn(world);
    cl_loop_free(world->loop);
    instance_clear(&world->isolation);
    instance_clear(&world->persistence);
    instance_clear(&world->control);
    instance_clear(&world->other);
    for (size_t i = 0; i < CL_COUNT(world->sets); i++)
        fake_set_clear(&world->sets[i]);
    for (unsigned i = 0; i < world->stream_count; i++)
        close(world->stream_peers[i]);
    cl_log_set_fd(2);
    close(world->log_read);
    close(world->log_write);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", world->run_dir);
    int r = system(command);
    free(world);
    return r;
}

void on_settled(void *ctx, const struct cloister_error *err)
{
    struct world *world = ctx;
    assert_null(err);
    world->settled++;
}

void world_recover(struct world *world)
{
    assert_int_equal(cl_engine_recover(world->engine, on_settled, world), 0);
    assert_int_equal(world->settled, 0);
    turn(world);
}

void world_again(struct world *world)
{
    world_die(world);
    assert_int_equal(world_born(world), 0);
    world_recover(world);
}

void turn(struct world *world)
{
    cl_loop_run_pending(world->loop, 64);
}

static void on_stop(void *ctx)
{
    cl_loop_stop(((struct world *)ctx)->loop);
}

void turn_for(struct world *world, unsigned ms)
{
    cloister_timer *timer;
    assert_int_equal(cl_timer_open(world->loop, on_stop, world, &timer), 0);
    assert_int_equal(cl_timer_set(timer, cl_mono_ns() + ms * CL_NS_PER_MS, 0), 0);
    cl_loop_run(world->loop);
    cl_timer_close(timer, NULL, NULL);
    turn(world);
}

unsigned open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

unsigned store_sets(const struct world *world)
{
    unsigned count = 0;
    for (size_t i = 0; i < CL_COUNT(world->sets); i++)
        count += world->sets[i].used;
    return count;
}

bool run_dir_exists(const struct world *world, const char *id)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", world->run_dir, id);
    return stat(path, &st) == 0;
}
