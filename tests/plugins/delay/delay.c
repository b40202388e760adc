/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delay.c - an isolation wrapper for tests: holds chosen calls for a while before it passes them on.
 *
 * { "plugin": "delay", "op": "sandbox_create", "ms": 2000, "count": 1 } holds the first sandbox_create for two seconds;
 * everything else goes straight to the wrapped instance. With it a test makes the moment "one call is under way" as
 * long as it likes, and shows that nothing else waits for it (O9) and that a cancel in that moment completes the
 * operation once.
 */
#include <cloister/host.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTION_OP, OPTION_MS, OPTION_COUNT, OPTION_TOTAL };

struct delay {
    const struct cloister_host *host;
    const struct cloister_isolation *next;
    void *next_instance;
    struct cloister_sv op;
    uint64_t ns;
    uint64_t left; /* calls still to be held */
    struct held *held;
};

/* Passes a held call on, with its real type. */
typedef void (*pass_fn)(struct delay *delay, const void *args, cloister_op op);
/* Closes the descriptors of a call that will never be passed on: they were ours from the call on. */
typedef void (*drop_fn)(const void *args);

struct held {
    struct held *following;
    struct delay *delay;
    const void *args; /* valid until the operation completes */
    pass_fn pass;
    drop_fn drop;
    cloister_op op;
    cloister_timer *timer;
    int cancelled;
};

static void complete(struct delay *delay, cloister_op op, uint32_t code, const char *what)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;

    delay->host->log->error_set(&err, code, 0, what, "delay", "%s", what);
    delay->host->iso->done(delay->host, op, &err, NULL);
}

static void forget(void *context)
{
    free(context);
}

static void unlink_held(struct held *held)
{
    for (struct held **at = &held->delay->held; *at; at = &(*at)->following) {
        if (*at == held) {
            *at = held->following;
            return;
        }
    }
}

static void on_timer(void *context)
{
    struct held *held = context;
    struct delay *delay = held->delay;

    unlink_held(held);
    if (held->cancelled) {
        held->drop(held->args);
        complete(delay, held->op, CLOISTER_CANCELLED, "cancelled while it was delayed");
    } else {
        held->pass(delay, held->args, held->op);
    }
    delay->host->loop->timer_close(held->timer, forget, held);
}

/* Holds the call if it is one of those; 0 if it was not and must be passed on by the caller. */
static int hold(struct delay *delay, const char *name, const void *args, cloister_op op, pass_fn pass, drop_fn drop)
{
    struct held *held;

    if (delay->left == 0 || delay->op.size != strlen(name) || memcmp(delay->op.data, name, delay->op.size) != 0)
        return 0;
    held = calloc(1, sizeof(*held));
    if (!held)
        return 0;
    *held = (struct held){delay->held, delay, args, pass, drop, op, NULL, 0};
    if (delay->host->loop->timer_open(delay->host, on_timer, held, &held->timer) < 0) {
        free(held);
        return 0;
    }
    delay->held = held;
    delay->left--;
    (void)delay->host->loop->timer_set(held->timer, delay->host->system->now_mono() + delay->ns, 0);
    cloister_log(delay->host, CLOISTER_INFO, "holds %s for %llu ms", name, (unsigned long long)(delay->ns / 1000000));
    return 1;
}

static void close_stdio(const struct cloister_stdio *stdio, uint64_t count, uint64_t size)
{
    for (uint64_t i = 0; i < count; i++) {
        const struct cloister_stdio *entry = (const void *)((const char *)stdio + i * size);
        if (entry->kind == CLOISTER_STDIO_DESCRIPTOR && entry->fd >= 0)
            (void)close(entry->fd);
    }
}

static void drop_nothing(const void *args)
{
    (void)args;
}

static void drop_process(const struct cloister_process_args *process)
{
    if (process)
        close_stdio(process->stdio, process->stdio_count, process->stdio_size);
}

static void drop_sandbox_create(const void *args)
{
    const struct cloister_iso_create_args *create = args;

    if (create->container)
        drop_process(create->container->process);
}

static void drop_container_start(const void *args)
{
    const struct cloister_container_start_args *start = ((const struct cloister_iso_start_args *)args)->start;

    close_stdio(start->stdio, start->stdio_count, start->stdio_size);
}

static void drop_exec(const void *args)
{
    drop_process(((const struct cloister_iso_exec_args *)args)->exec->process);
}

/* A completion must not come from inside the call, so that of an operation which the wrapped plugin lacks is posted. */
struct missing {
    struct delay *delay;
    cloister_op op;
    const char *name;
};

static void on_missing(void *context)
{
    struct missing *missing = context;

    complete(missing->delay, missing->op, CLOISTER_UNSUPPORTED, missing->name);
    free(missing);
}

static void refuse(struct delay *delay, const char *name, cloister_op op)
{
    struct missing *missing = malloc(sizeof(*missing));

    if (!missing)
        return;
    *missing = (struct missing){delay, op, name};
    if (delay->host->loop->post(delay->host, on_missing, missing) < 0)
        free(missing);
}

/* One operation: `name`_pass calls the wrapped instance, `name`_call is the slot. */
#define DELAY_SLOT(name, type, drop)                                                 \
    static void name##_pass(struct delay *delay, const void *args, cloister_op op)   \
    {                                                                                \
        if (CLOISTER_HAS(delay->next, name) && delay->next->name)                    \
            delay->next->name(delay->next_instance, args, op);                       \
        else                                                                         \
            refuse(delay, #name, op);                                                \
    }                                                                                \
    static void name##_call(void *instance, const struct type *args, cloister_op op) \
    {                                                                                \
        if (!hold(instance, #name, args, op, name##_pass, drop))                     \
            name##_pass(instance, args, op);                                         \
    }

DELAY_SLOT(sandbox_create, cloister_iso_create_args, drop_sandbox_create)
DELAY_SLOT(sandbox_destroy, cloister_iso_destroy_args, drop_nothing)
DELAY_SLOT(container_start, cloister_iso_start_args, drop_container_start)
DELAY_SLOT(container_kill, cloister_iso_kill_args, drop_nothing)
DELAY_SLOT(exec, cloister_iso_exec_args, drop_exec)
DELAY_SLOT(signal, cloister_iso_signal_args, drop_nothing)
DELAY_SLOT(release, cloister_iso_release_args, drop_nothing)
DELAY_SLOT(describe, cloister_iso_describe_args, drop_nothing)
DELAY_SLOT(sweep, cloister_iso_sweep_args, drop_nothing)

static int32_t delay_create(const struct cloister_create_args *args, void **ret_instance, struct cloister_error *err)
{
    struct delay *delay = calloc(1, sizeof(*delay));

    if (!delay) {
        args->host->log->error_set(err, CLOISTER_IO, ENOMEM, NULL, "memory", "delay");
        return -1;
    }
    delay->host = args->host;
    delay->next = args->next_vtable;
    delay->next_instance = args->next_instance;
    delay->op = args->options[OPTION_OP].text;
    delay->ns = args->options[OPTION_MS].number * 1000000;
    delay->left = args->options[OPTION_COUNT].number;
    *ret_instance = delay;
    return 0;
}

static void delay_destroy(void *instance)
{
    struct delay *delay = instance;

    while (delay->held) {
        struct held *held = delay->held;
        delay->held = held->following;
        held->drop(held->args);
        delay->host->loop->timer_close(held->timer, forget, held);
    }
    free(delay);
}

static int32_t delay_probe(void *instance, struct cloister_iso_probe *ret, struct cloister_error *err)
{
    struct delay *delay = instance;

    return delay->next->probe(delay->next_instance, ret, err);
}

static int32_t delay_plan(void *instance, const struct cloister_iso_plan_args *args, struct cloister_sv *ret_blob,
                          struct cloister_error *err)
{
    struct delay *delay = instance;

    return delay->next->plan(delay->next_instance, args, ret_blob, err);
}

static void delay_cancel(void *instance, cloister_op op)
{
    struct delay *delay = instance;

    for (struct held *held = delay->held; held; held = held->following) {
        if (held->op != op)
            continue;
        held->cancelled = 1;
        (void)delay->host->loop->timer_set(held->timer, delay->host->system->now_mono(), 0);
        return;
    }
    delay->next->cancel(delay->next_instance, op);
}

static void delay_detach(void *instance)
{
    struct delay *delay = instance;

    delay->next->detach(delay->next_instance);
}

static const struct cloister_option options[OPTION_TOTAL] = {
    [OPTION_OP] = {"op",
                   CLOISTER_OPTION_STRING,
                   CLOISTER_OPTION_REQUIRED,
                   1,
                   64,
                   NULL,
                   "operation to hold, as in sandbox_create",
                   {0, 0}},
    [OPTION_MS] = {"ms", CLOISTER_OPTION_U64, 0, 0, 3600000, "2000", "how long, in milliseconds", {0, 0}},
    [OPTION_COUNT] = {"count", CLOISTER_OPTION_U64, 0, 0, UINT64_MAX, "1", "how many calls are held", {0, 0}},
};

static const struct cloister_isolation vtable = {
    CLOISTER_INIT(struct cloister_isolation),
    .life = {delay_create, delay_destroy},
    .probe = delay_probe,
    .plan = delay_plan,
    .sandbox_create = sandbox_create_call,
    .sandbox_destroy = sandbox_destroy_call,
    .container_start = container_start_call,
    .container_kill = container_kill_call,
    .exec = exec_call,
    .signal = signal_call,
    .release = release_call,
    .describe = describe_call,
    .sweep = sweep_call,
    .cancel = delay_cancel,
    .detach = delay_detach,
};

static const struct cloister_plugin plugin = {
    CLOISTER_PLUGIN_STAMP(CLOISTER_KIND_ISOLATION),
    .flags = CLOISTER_PLUGIN_WRAPPER,
    .option_count = OPTION_TOTAL,
    .name = "delay",
    .version = "0.1.0",
    .licence = "Apache-2.0",
    .build = "tests",
    .summary = "holds chosen calls of the wrapped isolation plugin (for tests)",
    .options = options,
    .vtable = &vtable,
};

CLOISTER_PLUGIN_REGISTER(plugin)
