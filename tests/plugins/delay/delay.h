/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delay.h - a wrapper for tests: holds chosen calls for a while before it passes them on. Included behind
 * wrap_isolation.h or wrap_store.h, once.
 *
 * { "plugin": "delay", "op": "sandbox_create", "ms": 2000, "count": 1 } holds the first sandbox_create for two seconds;
 * everything else goes straight to the wrapped instance. With it a test makes the moment "one call is under way" as
 * long as it likes, and shows that nothing else waits for it (O9) and that a cancel in that moment completes the
 * operation once.
 */
#ifndef TESTS_PLUGINS_DELAY_H
#define TESTS_PLUGINS_DELAY_H

enum { OPTION_OP, OPTION_MS, OPTION_COUNT, OPTION_TOTAL };

struct delay {
    struct wrap wrap;
    uint64_t ns;
    struct held *held;
};

struct held {
    struct held *following;
    struct delay *delay;
    const void *args; /* valid until the operation completes */
    wrap_pass_fn pass;
    wrap_drop_fn drop;
    cloister_op op;
    cloister_timer *timer;
    int cancelled;
};

static void complete_cancelled(struct delay *delay, cloister_op op)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;

    delay->wrap.host->log->error_set(&err, CLOISTER_CANCELLED, 0, NULL, "delay", "cancelled while it was delayed");
    wrap_complete(&delay->wrap, op, &err);
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
        complete_cancelled(delay, held->op);
    } else {
        held->pass(delay, held->args, held->op);
    }
    delay->wrap.host->loop->timer_close(held->timer, forget, held);
}

/* Holds the call if it is one of those. */
static int choose(void *instance, const char *name, const void *args, cloister_op op, wrap_pass_fn pass,
                  wrap_drop_fn drop)
{
    struct delay *delay = instance;
    const struct cloister_host *host = delay->wrap.host;
    struct held *held;

    if (!wrap_wants(&delay->wrap, name))
        return 0;
    held = calloc(1, sizeof(*held));
    if (!held)
        return 0;
    *held = (struct held){delay->held, delay, args, pass, drop, op, NULL, 0};
    if (host->loop->timer_open(host, on_timer, held, &held->timer) < 0) {
        free(held);
        return 0;
    }
    delay->held = held;
    delay->wrap.left--;
    (void)host->loop->timer_set(held->timer, host->system->now_mono() + delay->ns, 0);
    cloister_log(host, CLOISTER_INFO, "holds %s for %llu ms", name, (unsigned long long)(delay->ns / 1000000));
    return 1;
}

WRAP_SLOTS

static int32_t delay_create(const struct cloister_create_args *args, void **ret_instance, struct cloister_error *err)
{
    struct delay *delay = wrap_new(args, sizeof(*delay), err);

    if (!delay)
        return -1;
    if (wrap_init(&delay->wrap, args, args->options[OPTION_OP].text, args->options[OPTION_COUNT].number, err) < 0) {
        free(delay);
        return -1;
    }
    delay->ns = args->options[OPTION_MS].number * 1000000;
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
        delay->wrap.host->loop->timer_close(held->timer, forget, held);
    }
    free(delay);
}

static void delay_cancel(void *instance, cloister_op op)
{
    struct delay *delay = instance;

    for (struct held *held = delay->held; held; held = held->following) {
        if (held->op != op)
            continue;
        held->cancelled = 1;
        (void)delay->wrap.host->loop->timer_set(held->timer, delay->wrap.host->system->now_mono(), 0);
        return;
    }
    delay->wrap.next->cancel(delay->wrap.next_instance, op);
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

#define DELAY_PLUGIN(plugin_name, table)                                                                           \
    {                                                                                                              \
        CLOISTER_PLUGIN_STAMP(WRAP_KIND), .flags = CLOISTER_PLUGIN_WRAPPER, .option_count = OPTION_TOTAL,          \
                                          .name = plugin_name, .version = "0.1.0", .licence = "Apache-2.0",        \
                                          .build = "tests", .summary = "holds chosen calls of the wrapped plugin", \
                                          .options = options, .vtable = table,                                     \
    }

#endif
