/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mock.c - an isolation plugin without a kernel: sandboxes and processes are entries in memory (world.c), programs a
 * few words (program.c). It is honest, and passes what the conformance kit asks of what it says that it has, unless an
 * option makes it break one rule:
 *
 *  - never: an operation of this name does not complete.
 *  - fail_at, fail_code: the fail_at-th operation of the instance fails with this code, and nothing is done.
 *  - unkillable_ms: SIGKILL is taken, and the process ends only after so long (3600000: never); other signals are
 *    ignored.
 *  - lie: an operation of this name succeeds although nothing has been done.
 *  - twice: an operation of this name completes, and completes.
 *
 * An operation is done when the loop comes round, and completes there: until then it can be cancelled.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

enum { OPTION_NEVER, OPTION_FAIL_AT, OPTION_FAIL_CODE, OPTION_UNKILLABLE, OPTION_LIE, OPTION_TWICE, OPTION_COUNT };

struct mock {
    struct mock_world world;
    struct cloister_sv never;
    struct cloister_sv lie;
    struct cloister_sv twice;
    uint64_t fail_at;
    uint32_t fail_code;
    uint64_t count; /* operations so far */
    struct call *calls;
    bool gone; /* destroyed: what is left of it goes with its last call */
    char blob[64];
};

/* An operation under way. */
struct call {
    struct call *next;
    struct mock *mock;
    cloister_op op;
    const char *name;
    const void *args;
    /* Does it. False: it completes later, by itself. */
    bool (*run)(struct call *call);
    bool cancelled;
    uint64_t number;
    struct cloister_error err;
    struct cloister_result result;
    cloister_timer *deadline; /* of a destroy */
    struct mock_box *box;
    char text[128];
};

static bool chosen(struct cloister_sv word, const struct call *call)
{
    return word.size == strlen(call->name) && memcmp(word.data, call->name, word.size) == 0;
}

static void forget(struct call *call)
{
    struct mock *mock = call->mock;
    struct call **at = &mock->calls;
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    free(call);
    if (mock->gone && !mock->calls)
        free(mock);
}

static void complete(struct call *call)
{
    const struct cloister_host *host = call->mock->world.host;
    const struct cloister_error *err = call->err.code ? &call->err : NULL;
    host->iso->done(host, call->op, err, err ? NULL : &call->result);
    if (chosen(call->mock->twice, call))
        host->iso->done(host, call->op, err, err ? NULL : &call->result);
    forget(call);
}

static void refuse(struct call *call, uint32_t code, const char *subject, const char *what)
{
    call->mock->world.host->log->error_set(&call->err, code, 0, subject, call->name, "%s: %s", call->name, what);
}

static void on_turn(void *ctx)
{
    struct call *call = ctx;
    struct mock *mock = call->mock;
    if (mock->gone || chosen(mock->never, call)) {
        forget(call);
        return;
    }
    if (call->cancelled)
        refuse(call, CLOISTER_CANCELLED, "", "cancelled");
    else if (mock->fail_at && call->number == mock->fail_at)
        refuse(call, mock->fail_code, "fail_at", "was told to fail");
    else if (!chosen(mock->lie, call) && !call->run(call))
        return;
    complete(call);
}

static void begin(void *instance, cloister_op op, const char *name, const void *args, bool (*run)(struct call *call))
{
    struct mock *mock = instance;
    const struct cloister_host *host = mock->world.host;
    struct call *call = calloc(1, sizeof(*call));
    if (!call)
        return; /* nothing better can be done in a test's plugin */
    *call = (struct call){.next = mock->calls, .mock = mock, .op = op, .name = name, .args = args, .run = run};
    call->number = ++mock->count;
    call->err = (struct cloister_error)CLOISTER_ERROR_INIT;
    call->result = (struct cloister_result){CLOISTER_INIT(struct cloister_result)};
    mock->calls = call;
    if (host->loop->post(host, on_turn, call) < 0)
        forget(call);
}

static struct mock_box *find_box(struct call *call, const struct cloister_iso_sandbox *sandbox)
{
    struct mock_box *box = mock_box_find(&call->mock->world, sandbox->id);
    if (!box)
        refuse(call, CLOISTER_NO_ENTITY, "sandbox", "no such sandbox");
    return box;
}

static struct mock_process *find_live(struct call *call, const struct mock_box *box, cloister_process number)
{
    struct mock_process *process = box ? mock_process_find(box, number) : NULL;
    if (box && (!process || process->exited)) {
        refuse(call, CLOISTER_NO_ENTITY, "process", "no such process");
        return NULL;
    }
    return process;
}

/* --- operations --- */

static bool run_create(struct call *call)
{
    const struct cloister_iso_create_args *args = call->args;
    const struct cloister_container_args *container = args->container;
    const struct cloister_host *host = call->mock->world.host;
    struct mock_program program = {.ns = MOCK_FOREVER};
    if (container && container->init == CLOISTER_INIT_PROCESS &&
        mock_program_read(host, container->process, &program, &call->err) < 0)
        return true;
    struct mock_box *box = mock_box_new(&call->mock->world, args->sandbox.id);
    struct mock_process *init = box && container ? mock_process_new(box, args->init, &program, true) : NULL;
    if (!box || (container && !init)) {
        refuse(call, CLOISTER_LIMIT, "memory", "out of memory");
        return true;
    }
    if (init && container->start == CLOISTER_START_NOW)
        mock_process_start(init);
    call->result.process = args->init;
    call->result.container_state = init && init->blocked ? CLOISTER_CONTAINER_CREATED : CLOISTER_CONTAINER_RUNNING;
    return true;
}

static bool run_start(struct call *call)
{
    const struct cloister_iso_start_args *args = call->args;
    struct mock_box *box = find_box(call, &args->sandbox);
    struct mock_process *init = find_live(call, box, args->init);
    if (mock_stdio_take(call->mock->world.host, args->start->stdio, args->start->stdio_count, args->start->stdio_size,
                        &call->err) < 0 ||
        !init)
        return true;
    if (init->blocked)
        mock_process_start(init);
    else
        refuse(call, CLOISTER_INVALID_STATE, "init", "it has been started");
    return true;
}

static bool run_exec(struct call *call)
{
    const struct cloister_iso_exec_args *args = call->args;
    struct mock_program program;
    struct mock_box *box = find_box(call, &args->sandbox);
    int r = mock_program_read(call->mock->world.host, args->exec->process, &program, &call->err);
    if (!box || r < 0)
        return true;
    if (box->frozen) {
        refuse(call, CLOISTER_FROZEN, "sandbox", "it is frozen");
        return true;
    }
    if (args->exec->flags & CLOISTER_EXEC_OWN_CGROUP) {
        refuse(call, CLOISTER_UNSUPPORTED, "OWN_CGROUP", "not supported");
        return true;
    }
    struct mock_process *process = mock_process_new(box, args->process, &program, false);
    if (!process) {
        refuse(call, CLOISTER_LIMIT, "memory", "out of memory");
        return true;
    }
    mock_process_start(process);
    call->result.process = args->process;
    call->result.uid = program.uid;
    call->result.gid = program.gid;
    return true;
}

static bool run_signal(struct call *call)
{
    const struct cloister_iso_signal_args *args = call->args;
    struct mock_process *process = find_live(call, find_box(call, &args->sandbox), args->signal->process);
    if (process && args->signal->scope != CLOISTER_SIGNAL_PROCESS)
        refuse(call, CLOISTER_UNSUPPORTED, "scope", "a process alone can be signalled");
    else if (process)
        mock_process_signal(process, args->signal->signal);
    return true;
}

static void signal_all(struct mock_box *box, uint32_t set, uint32_t signal)
{
    for (struct mock_process *process = box->processes; process; process = process->next)
        if (!process->exited && (set == CLOISTER_KILL_ALL || process->init == (set == CLOISTER_KILL_INIT)))
            mock_process_signal(process, signal);
}

static bool run_kill(struct call *call)
{
    const struct cloister_iso_kill_args *args = call->args;
    struct mock_box *box = find_box(call, &args->sandbox);
    if (!box)
        return true;
    signal_all(box, args->kill->set, args->kill->signal);
    call->result.survivors = mock_box_alive(box);
    return true;
}

static bool run_release(struct call *call)
{
    const struct cloister_iso_release_args *args = call->args;
    struct mock_box *box = find_box(call, &args->sandbox);
    struct mock_process *process = box ? mock_process_find(box, args->process) : NULL;
    if (process && !process->exited)
        refuse(call, CLOISTER_INVALID_STATE, "process", "it lives");
    else if (process)
        mock_process_drop(process);
    return true;
}

static bool run_freeze(struct call *call)
{
    const struct cloister_iso_freeze_args *args = call->args;
    struct mock_box *box = find_box(call, &args->sandbox);
    if (box)
        mock_box_freeze(box, strcmp(call->name, "freeze") == 0);
    return true;
}

static bool run_describe(struct call *call)
{
    const struct cloister_iso_describe_args *args = call->args;
    const struct mock_box *box = find_box(call, &args->sandbox);
    if (!box)
        return true;
    int size = snprintf(call->text, sizeof(call->text), "{\"mock\":true,\"alive\":%u}", mock_box_alive(box));
    call->result.json = (struct cloister_sv){call->text, (uint64_t)size};
    return true;
}

static void end_destroy(struct call *call)
{
    if (call->deadline)
        call->mock->world.host->loop->timer_close(call->deadline, NULL, NULL);
    complete(call);
}

static void on_empty(void *ctx)
{
    struct call *call = ctx;
    mock_box_drop(call->box);
    end_destroy(call);
}

static void on_deadline(void *ctx)
{
    struct call *call = ctx;
    call->box->empty = NULL;
    refuse(call, CLOISTER_PARTIAL, "process", "a process that does not end is left over");
    end_destroy(call);
}

static bool run_destroy(struct call *call)
{
    const struct cloister_iso_destroy_args *args = call->args;
    const struct cloister_loop_api *loop = call->mock->world.host->loop;
    struct mock_box *box = mock_box_find(&call->mock->world, args->sandbox.id);
    if (!box)
        return true;
    signal_all(box, CLOISTER_KILL_ALL, 9);
    if (mock_box_alive(box) == 0) {
        mock_box_drop(box);
        return true;
    }
    call->box = box;
    box->empty = on_empty;
    box->empty_ctx = call;
    if (args->deadline && loop->timer_open(call->mock->world.host, on_deadline, call, &call->deadline) == 0)
        (void)loop->timer_set(call->deadline, args->deadline, 0);
    return false;
}

#define OPERATION(name, args_type, run)                                                   \
    static void name##_call(void *instance, const struct args_type *args, cloister_op op) \
    {                                                                                     \
        begin(instance, op, #name, args, run);                                            \
    }

OPERATION(sandbox_create, cloister_iso_create_args, run_create)
OPERATION(sandbox_destroy, cloister_iso_destroy_args, run_destroy)
OPERATION(container_start, cloister_iso_start_args, run_start)
OPERATION(container_kill, cloister_iso_kill_args, run_kill)
OPERATION(exec, cloister_iso_exec_args, run_exec)
OPERATION(signal, cloister_iso_signal_args, run_signal)
OPERATION(release, cloister_iso_release_args, run_release)
OPERATION(describe, cloister_iso_describe_args, run_describe)
OPERATION(freeze, cloister_iso_freeze_args, run_freeze)
OPERATION(thaw, cloister_iso_freeze_args, run_freeze)

/* Only a create can be undone: it has not begun. */
static void cancel(void *instance, cloister_op op)
{
    struct mock *mock = instance;
    for (struct call *call = mock->calls; call; call = call->next)
        if (call->op == op && strcmp(call->name, "sandbox_create") == 0)
            call->cancelled = true;
}

#define PROVIDES \
    (CLOISTER_ISO_PAUSE_INIT | CLOISTER_ISO_BLOCKED_INIT | CLOISTER_ISO_FREEZE | CLOISTER_ISO_KILL_WHILE_FROZEN)

static int32_t probe(void *instance, struct cloister_iso_probe *ret, struct cloister_error *err)
{
    static const struct cloister_feature features[] = {
        {.name = "kernel", .reason = "everything is made up"},
    };
    (void)instance;
    (void)err;
    ret->capabilities = PROVIDES;
    ret->features = features;
    ret->feature_count = 1;
    ret->feature_size = sizeof(features[0]);
    return 0;
}

static int32_t plan(void *instance, const struct cloister_iso_plan_args *args, struct cloister_sv *ret_blob,
                    struct cloister_error *err)
{
    struct mock *mock = instance;
    const struct cloister_container_args *container = args->create->container;
    if (container && mock_container_check(mock->world.host, container, err) < 0)
        return -1;
    int size = snprintf(mock->blob, sizeof(mock->blob), "mock:%.*s", (int)args->sandbox.id.size, args->sandbox.id.data);
    *ret_blob = (struct cloister_sv){mock->blob, (uint64_t)size};
    return 0;
}

static const struct cloister_option_value *option(const struct cloister_create_args *args, unsigned i)
{
    return (const void *)((const char *)args->options + i * args->option_size);
}

static int32_t create(const struct cloister_create_args *args, void **ret_instance, struct cloister_error *err)
{
    struct mock *mock = calloc(1, sizeof(*mock));
    if (!mock) {
        args->host->log->error_set(err, CLOISTER_LIMIT, 0, "", "memory", "out of memory");
        return -1;
    }
    mock->world = (struct mock_world){.host = args->host, .unkillable_ms = option(args, OPTION_UNKILLABLE)->number};
    mock->never = option(args, OPTION_NEVER)->text;
    mock->lie = option(args, OPTION_LIE)->text;
    mock->twice = option(args, OPTION_TWICE)->text;
    mock->fail_at = option(args, OPTION_FAIL_AT)->number;
    mock->fail_code = (uint32_t)option(args, OPTION_FAIL_CODE)->number;
    *ret_instance = mock;
    return 0;
}

static void detach(void *instance)
{
    struct mock *mock = instance;
    while (mock->world.boxes)
        mock_box_drop(mock->world.boxes);
}

static void destroy(void *instance)
{
    struct mock *mock = instance;
    for (struct call *call = mock->calls, *next; call; call = next) {
        next = call->next;
        if (!call->box)
            continue; /* its turn comes */
        if (call->deadline)
            mock->world.host->loop->timer_close(call->deadline, NULL, NULL);
        forget(call);
    }
    mock->gone = true;
    if (!mock->calls)
        free(mock);
}

#define NAME_OPTION(name, text)                                                              \
    {                                                                                        \
        .key = name, .type = CLOISTER_OPTION_STRING, .max = 32, .fallback = "", .help = text \
    }
#define NUMBER_OPTION(name, most, preset, text)                                                 \
    {                                                                                           \
        .key = name, .type = CLOISTER_OPTION_U64, .max = most, .fallback = preset, .help = text \
    }

static const struct cloister_option options[OPTION_COUNT] = {
    NAME_OPTION("never", "operation that does not complete"),
    NUMBER_OPTION("fail_at", UINT64_MAX, "0", "which operation fails, counted from 1; 0 = none"),
    NUMBER_OPTION("fail_code", CLOISTER_CODE_COUNT - 1, "34", "and the code that it fails with"),
    NUMBER_OPTION("unkillable_ms", MOCK_NEVER_MS, "0", "ms until SIGKILL ends a process; 3600000 = never"),
    NAME_OPTION("lie", "operation that succeeds without being done"),
    NAME_OPTION("twice", "operation that completes twice"),
};

static const struct cloister_isolation vtable = {
    CLOISTER_INIT(struct cloister_isolation),
    .life = {create, destroy},
    .probe = probe,
    .plan = plan,
    .sandbox_create = sandbox_create_call,
    .sandbox_destroy = sandbox_destroy_call,
    .container_start = container_start_call,
    .container_kill = container_kill_call,
    .exec = exec_call,
    .signal = signal_call,
    .release = release_call,
    .describe = describe_call,
    .freeze = freeze_call,
    .thaw = thaw_call,
    .cancel = cancel,
    .detach = detach,
};

/* Not the stamp: the mock also takes a host of SDK 0.2, and looks before it reads what that does not have. */
static const struct cloister_plugin plugin = {
    CLOISTER_INIT(struct cloister_plugin),
    .magic = CLOISTER_PLUGIN_MAGIC,
    .abi_major = CLOISTER_ABI_MAJOR,
    .abi_minor = CLOISTER_ABI_MINOR,
    .min_host_minor = 2,
    .kind = CLOISTER_KIND_ISOLATION,
    .option_count = OPTION_COUNT,
    .name = "mock",
    .version = "0",
    .licence = "Apache-2.0",
    .build = "",
    .summary = "isolation for tests, made up in memory, and dishonest if told to be",
    .provides = PROVIDES,
    .options = options,
    .option_size = sizeof(options[0]),
    .vtable = &vtable,
};

CLOISTER_PLUGIN_REGISTER(plugin)
