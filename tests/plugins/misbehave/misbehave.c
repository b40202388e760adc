/* SPDX-License-Identifier: Apache-2.0 */
/*
 * misbehave.c - an isolation wrapper for tests that breaks the rules of completion.
 *
 * { "plugin": "misbehave", "op": "signal", "how": "twice", "count": 1 } breaks them for the first `signal`; everything
 * else goes straight to the wrapped instance. What `how` does with a chosen call:
 *
 *  - no-reason: completes it with an error that has no code.
 *  - twice: completes it with an error and, right behind, once more with success.
 *  - inside: completes it with an error before the call has returned.
 *  - never: does not complete it.
 *  - late-cancel: sits on it until it is cancelled; passes it on 200 ms later, so that it succeeds after all.
 *  - exit-first (of an exec): tells the exit of a process that never was, then that it has started. This is no
 *    misbehaviour but the worst order that the rules allow.
 *
 * Only late-cancel ever passes a chosen call on: in the other cases no second voice answers for it, so the test knows
 * which completions the daemon got. The descriptors of a call that is not passed on are closed, as a good plugin would.
 */
#include "../wrap_isolation.h"

#define LATE_NS 200000000u

enum { OPTION_OP, OPTION_HOW, OPTION_COUNT, OPTION_TOTAL };
enum how { TWICE, INSIDE, NEVER, LATE_CANCEL, EXIT_FIRST, NO_REASON, HOW_TOTAL };

static const char *const hows[HOW_TOTAL] = {"twice", "inside", "never", "late-cancel", "exit-first", "no-reason"};

struct misbehave {
    struct wrap wrap;
    enum how how;
    struct chosen *chosen;
};

/* A call that still has something coming. Stays in the list until its timer has closed. */
struct chosen {
    struct chosen *following;
    struct misbehave *self;
    const void *args; /* valid until the operation completes */
    wrap_pass_fn pass;
    cloister_op op;
    cloister_timer *timer;
};

static void complete(struct misbehave *self, cloister_op op, uint32_t code)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result)};

    if (code != CLOISTER_OK)
        self->wrap.host->log->error_set(&err, code, 0, NULL, "misbehave", "a test's plugin misbehaves");
    self->wrap.host->iso->done(self->wrap.host, op, code != CLOISTER_OK ? &err : NULL, &result);
}

static void complete_without_reason(struct misbehave *self, cloister_op op)
{
    const struct cloister_error err = CLOISTER_ERROR_INIT;

    self->wrap.host->iso->done(self->wrap.host, op, &err, NULL);
}

static void tell_exit(struct misbehave *self, const struct cloister_iso_exec_args *args)
{
    const struct cloister_iso_event event = {CLOISTER_INIT(struct cloister_iso_event),
                                             .kind = CLOISTER_EVENT_EXIT,
                                             .sandbox = args->sandbox.id,
                                             .container = args->exec->container,
                                             .incarnation = 1,
                                             .process = args->process,
                                             .status = {.kind = CLOISTER_STATUS_EXITED, .value = 7}};

    self->wrap.host->iso->event(self->wrap.host, &event);
}

static void forget(void *context)
{
    free(context);
}

static void leave(struct chosen *chosen)
{
    struct chosen **at = &chosen->self->chosen;

    while (*at && *at != chosen)
        at = &(*at)->following;
    if (*at)
        *at = chosen->following;
    chosen->self->wrap.host->loop->timer_close(chosen->timer, forget, chosen);
}

static void on_timer(void *context)
{
    struct chosen *chosen = context;
    struct misbehave *self = chosen->self;

    if (self->how == LATE_CANCEL) {
        chosen->pass(self, chosen->args, chosen->op);
    } else if (self->how == EXIT_FIRST) {
        tell_exit(self, chosen->args);
        complete(self, chosen->op, CLOISTER_OK);
    } else if (self->how == NO_REASON) {
        complete_without_reason(self, chosen->op);
    } else {
        complete(self, chosen->op, CLOISTER_IO);
        complete(self, chosen->op, CLOISTER_OK);
    }
    leave(chosen);
}

static int remember(struct misbehave *self, const void *args, cloister_op op, wrap_pass_fn pass)
{
    struct chosen *chosen = calloc(1, sizeof(*chosen));

    if (!chosen)
        return -1;
    *chosen = (struct chosen){self->chosen, self, args, pass, op, NULL};
    if (self->wrap.host->loop->timer_open(self->wrap.host, on_timer, chosen, &chosen->timer) < 0) {
        free(chosen);
        return -1;
    }
    self->chosen = chosen;
    if (self->how != LATE_CANCEL)
        (void)self->wrap.host->loop->timer_set(chosen->timer, self->wrap.host->system->now_mono(), 0);
    return 0;
}

/* 1: the call has been spoilt and is not to be passed on. */
static int choose(void *instance, const char *name, const void *args, cloister_op op, wrap_pass_fn pass,
                  wrap_drop_fn drop)
{
    struct misbehave *self = instance;

    if (!wrap_wants(&self->wrap, name))
        return 0;
    if (self->how != INSIDE && self->how != NEVER && remember(self, args, op, pass) < 0)
        return 0;
    self->wrap.left--;
    if (self->how != LATE_CANCEL)
        drop(args);
    if (self->how == INSIDE)
        complete(self, op, CLOISTER_IO);
    return 1;
}

WRAP_SLOTS

static int read_how(struct cloister_sv word, enum how *ret)
{
    for (int i = 0; i < HOW_TOTAL; i++) {
        if (word.size == strlen(hows[i]) && memcmp(word.data, hows[i], word.size) == 0) {
            *ret = (enum how)i;
            return 0;
        }
    }
    return -1;
}

static int32_t misbehave_create(const struct cloister_create_args *args, void **ret_instance,
                                struct cloister_error *err)
{
    const struct cloister_log_api *log = args->host->log;
    struct misbehave *self;
    enum how how;

    if (read_how(args->options[OPTION_HOW].text, &how) < 0) {
        log->error_set(err, CLOISTER_INVALID, 0, "how", NULL,
                       "'how' is none of no-reason, twice, inside, never, late-cancel, exit-first");
        return -1;
    }
    if (how == EXIT_FIRST &&
        (args->options[OPTION_OP].text.size != 4 || memcmp(args->options[OPTION_OP].text.data, "exec", 4) != 0)) {
        log->error_set(err, CLOISTER_INVALID, 0, "op", NULL, "only an exec can do 'exit-first'");
        return -1;
    }
    self = wrap_new(args, sizeof(*self), err);
    if (!self)
        return -1;
    if (wrap_init(&self->wrap, args, args->options[OPTION_OP].text, args->options[OPTION_COUNT].number, err) < 0) {
        free(self);
        return -1;
    }
    self->how = how;
    *ret_instance = self;
    return 0;
}

static void misbehave_destroy(void *instance)
{
    struct misbehave *self = instance;

    while (self->chosen)
        leave(self->chosen);
    free(self);
}

static void misbehave_cancel(void *instance, cloister_op op)
{
    struct misbehave *self = instance;

    for (struct chosen *chosen = self->chosen; chosen; chosen = chosen->following) {
        if (chosen->op != op)
            continue;
        if (self->how == LATE_CANCEL)
            (void)self->wrap.host->loop->timer_set(chosen->timer, self->wrap.host->system->now_mono() + LATE_NS, 0);
        return;
    }
    self->wrap.next->cancel(self->wrap.next_instance, op);
}

static const struct cloister_option options[OPTION_TOTAL] = {
    [OPTION_OP] = {"op",
                   CLOISTER_OPTION_STRING,
                   CLOISTER_OPTION_REQUIRED,
                   1,
                   64,
                   NULL,
                   "operation whose rules are broken, as in sandbox_create",
                   {0, 0}},
    [OPTION_HOW] = {"how",
                    CLOISTER_OPTION_STRING,
                    CLOISTER_OPTION_REQUIRED,
                    1,
                    16,
                    NULL,
                    "completion: no-reason, twice, inside, never, late-cancel or exit-first",
                    {0, 0}},
    [OPTION_COUNT] = {"count", CLOISTER_OPTION_U64, 0, 0, UINT64_MAX, "1", "how many calls are spoilt", {0, 0}},
};

static const struct cloister_isolation vtable = WRAP_VTABLE(misbehave_create, misbehave_destroy, misbehave_cancel);

static const struct cloister_plugin plugin = {
    CLOISTER_PLUGIN_STAMP(CLOISTER_KIND_ISOLATION),
    .flags = CLOISTER_PLUGIN_WRAPPER,
    .option_count = OPTION_TOTAL,
    .name = "misbehave",
    .version = "0.1.0",
    .licence = "Apache-2.0",
    .build = "tests",
    .summary = "breaks the rules of completion for chosen calls (for tests)",
    .options = options,
    .vtable = &vtable,
};

CLOISTER_PLUGIN_REGISTER(plugin)
