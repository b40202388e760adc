/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.h - a wrapper for tests: something happens when a chosen call comes. Included behind wrap_isolation.h or
 * wrap_store.h, once.
 *
 * { "plugin": "fault-store", "op": "put", "nth": 2, "how": "no-space" } lets the second put fail. What `how` does:
 *
 *  - log: tells of every call of every operation, "call N put", and passes it on: so a harness counts points.
 *  - stop: the daemon stops itself (SIGSTOP) before the call, and passes it on when it goes on: a harness kills it
 * there.
 *  - after: the call is passed on, then the daemon stops itself.
 *  - no-space, io, unavailable, no-memory: the call fails with that, and is not passed on.
 */
#ifndef TESTS_PLUGINS_FAULT_H
#define TESTS_PLUGINS_FAULT_H

#include <signal.h>

enum { OPTION_OP, OPTION_NTH, OPTION_COUNT, OPTION_HOW, OPTION_TOTAL };
enum how { LOG, STOP, AFTER, NO_SPACE, IO, UNAVAILABLE, NO_MEMORY, HOW_TOTAL };

static const struct {
    const char *name;
    uint32_t code;
    int32_t os_errno;
} hows[HOW_TOTAL] = {
    [LOG] = {"log", 0, 0},
    [STOP] = {"stop", 0, 0},
    [AFTER] = {"after", 0, 0},
    [NO_SPACE] = {"no-space", CLOISTER_NO_SPACE, ENOSPC},
    [IO] = {"io", CLOISTER_IO, EIO},
    [UNAVAILABLE] = {"unavailable", CLOISTER_UNAVAILABLE, 0},
    [NO_MEMORY] = {"no-memory", CLOISTER_LIMIT, ENOMEM},
};

struct fault {
    struct wrap wrap;
    enum how how;
    uint64_t skip; /* calls of the operation that still go through */
    uint64_t seen; /* calls of any */
};

/* A call that is to fail, from a fresh stack. */
struct failing {
    struct fault *fault;
    cloister_op op;
};

static void on_failing(void *context)
{
    struct failing *failing = context;
    struct fault *fault = failing->fault;
    struct cloister_error err = CLOISTER_ERROR_INIT;

    fault->wrap.host->log->error_set(&err, hows[fault->how].code, hows[fault->how].os_errno, NULL, "fault",
                                     "a test's fault");
    wrap_complete(&fault->wrap, failing->op, &err);
    free(failing);
}

static int fail_later(struct fault *fault, cloister_op op)
{
    struct failing *failing = calloc(1, sizeof(*failing));

    if (!failing)
        return -1;
    *failing = (struct failing){fault, op};
    if (fault->wrap.host->loop->post(fault->wrap.host, on_failing, failing) == 0)
        return 0;
    free(failing);
    return -1;
}

static void stop_here(const struct fault *fault, const char *name, const char *where)
{
    cloister_log(fault->wrap.host, CLOISTER_INFO, "halt: %s %s", name, where);
    (void)raise(SIGSTOP);
}

static int choose(void *instance, const char *name, const void *args, cloister_op op, wrap_pass_fn pass,
                  wrap_drop_fn drop)
{
    struct fault *fault = instance;

    fault->seen++;
    if (fault->how == LOG) {
        cloister_log(fault->wrap.host, CLOISTER_INFO, "call %llu %s", (unsigned long long)fault->seen, name);
        return 0;
    }
    if (!wrap_wants(&fault->wrap, name) || (fault->skip > 0 && fault->skip--))
        return 0;
    fault->wrap.left--;
    if (fault->how == STOP) {
        stop_here(fault, name, "before");
        return 0;
    }
    if (fault->how == AFTER) {
        pass(instance, args, op);
        stop_here(fault, name, "after");
        return 1;
    }
    if (fail_later(fault, op) < 0)
        return 0;
    drop(args);
    return 1;
}

WRAP_SLOTS

static int32_t fault_create(const struct cloister_create_args *args, void **ret_instance, struct cloister_error *err)
{
    struct cloister_sv how = args->options[OPTION_HOW].text;
    struct fault *fault = wrap_new(args, sizeof(*fault), err);
    uint32_t i = 0;

    if (!fault)
        return -1;
    while (i < HOW_TOTAL && (how.size != strlen(hows[i].name) || memcmp(how.data, hows[i].name, how.size) != 0))
        i++;
    if (i == HOW_TOTAL)
        args->host->log->error_set(err, CLOISTER_INVALID, 0, "how", NULL, "how is '%.*s', which is no fault",
                                   (int)how.size, how.data);
    if (i == HOW_TOTAL ||
        wrap_init(&fault->wrap, args, args->options[OPTION_OP].text, args->options[OPTION_COUNT].number, err) < 0) {
        free(fault);
        return -1;
    }
    fault->how = i;
    fault->skip = args->options[OPTION_NTH].number - 1;
    *ret_instance = fault;
    return 0;
}

static void fault_destroy(void *instance)
{
    free(instance);
}

static void fault_cancel(void *instance, cloister_op op)
{
    struct fault *fault = instance;

    fault->wrap.next->cancel(fault->wrap.next_instance, op);
}

static const struct cloister_option options[OPTION_TOTAL] = {
    [OPTION_OP] = {"op", CLOISTER_OPTION_STRING, 0, 0, 64, "", "operation whose calls are chosen", {0, 0}},
    [OPTION_NTH] = {"nth", CLOISTER_OPTION_U64, 0, 1, UINT64_MAX, "1", "the first of its calls that is chosen", {0, 0}},
    [OPTION_COUNT] = {"count", CLOISTER_OPTION_U64, 0, 0, UINT64_MAX, "1", "how many calls are chosen", {0, 0}},
    [OPTION_HOW] = {"how", CLOISTER_OPTION_STRING, CLOISTER_OPTION_REQUIRED, 1, 32, NULL, "what happens", {0, 0}},
};

#define FAULT_PLUGIN(plugin_name, table)                                                                               \
    {                                                                                                                  \
        CLOISTER_PLUGIN_STAMP(WRAP_KIND), .flags = CLOISTER_PLUGIN_WRAPPER, .option_count = OPTION_TOTAL,              \
                                          .name = plugin_name, .version = "0.1.0", .licence = "Apache-2.0",            \
                                          .build = "tests", .summary = "lets chosen calls of the wrapped plugin fail", \
                                          .options = options, .vtable = table,                                         \
    }

#endif
