/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store/calls.h"

#include <errno.h>
#include <stdlib.h>

#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/mem.h"
#include "core/util/time.h"

#define PATIENCE (30 * CL_NS_PER_S)

union result {
    max_align_t align;
    char bytes[CL_CALL_RESULT_MAX];
};

/* A completion that came too early. */
struct cl_call_kept {
    bool failed;
    struct cloister_error error;
    union result result;
    struct cl_arena arena;
};

static void on_watchdog(void *ctx);
static void on_later(void *ctx);

int cl_calls_init(struct cl_calls *calls, struct cl_loop *loop, const char *area, const char *label, size_t result_size,
                  cl_call_keep_fn keep)
{
    *calls = (struct cl_calls){.loop = loop,
                               .area = area,
                               .label = label,
                               .result_size = result_size,
                               .keep = keep,
                               .by_token = CL_MAP_INIT,
                               .patience = PATIENCE};
    cl_list_init(&calls->under_way);
    int r = result_size > CL_CALL_RESULT_MAX ? -E2BIG : cl_timer_open(loop, on_watchdog, calls, &calls->watchdog);
    return r < 0 ? r : cl_timer_open(loop, on_later, calls, &calls->later);
}

static void kept_free(struct cl_call *call)
{
    if (call->kept)
        cl_arena_free(&call->kept->arena);
    free(call->kept);
    call->kept = NULL;
}

static void forget(struct cl_calls *calls, struct cl_call *call)
{
    if (!call->due)
        calls->overdue--;
    (void)cl_map_remove_u64(&calls->by_token, call->token);
    cl_list_remove(&call->node);
    call->token = 0;
}

void cl_calls_close(struct cl_calls *calls)
{
    CL_LIST_FOREACH(node, &calls->under_way)
    {
        struct cl_call *call = CL_CONTAINER(node, struct cl_call, node);
        kept_free(call);
        forget(calls, call);
    }
    cl_map_free(&calls->by_token);
    if (calls->watchdog)
        cl_timer_close(calls->watchdog, NULL, NULL);
    if (calls->later)
        cl_timer_close(calls->later, NULL, NULL);
    calls->watchdog = calls->later = NULL;
}

static void watch_until(struct cl_calls *calls, uint64_t due)
{
    if (calls->watchdog_at && calls->watchdog_at <= due)
        return;
    calls->watchdog_at = due;
    (void)cl_timer_set(calls->watchdog, due, 0);
}

static void on_watchdog(void *ctx)
{
    struct cl_calls *calls = ctx;
    uint64_t now = cl_mono_ns(), next = 0;
    calls->watchdog_at = 0;
    CL_LIST_FOREACH(node, &calls->under_way)
    {
        struct cl_call *call = CL_CONTAINER(node, struct cl_call, node);
        if (!call->due)
            continue;
        if (call->due <= now) {
            cl_log(CL_LOG_ERROR, calls->area,
                   "%s has not completed %s%s%s (operation %llu) in time; still waiting for it", calls->label,
                   call->what, *call->subject ? " of " : "", call->subject, (unsigned long long)call->token);
            call->due = 0;
            calls->overdue++;
        } else if (!next || call->due < next) {
            next = call->due;
        }
    }
    if (next)
        watch_until(calls, next);
}

uint64_t cl_calls_begin(struct cl_calls *calls, struct cl_call *call, const char *what, struct cloister_sv subject,
                        uint64_t deadline, cl_call_fn fn, void *ctx)
{
    if (cl_map_put_u64(&calls->by_token, calls->last_token + 1, call) < 0)
        return 0;
    uint64_t from = deadline ? deadline : cl_mono_ns();
    *call = (struct cl_call){.token = ++calls->last_token, .what = what, .fn = fn, .ctx = ctx, .inside = true};
    if (__builtin_add_overflow(from, calls->patience, &call->due))
        call->due = UINT64_MAX;
    size_t size = subject.size < sizeof(call->subject) ? subject.size : sizeof(call->subject) - 1;
    if (size)
        memcpy(call->subject, subject.data, size);
    cl_list_append(&calls->under_way, &call->node);
    watch_until(calls, call->due);
    return call->token;
}

void cl_calls_entered(struct cl_call *call)
{
    call->inside = false;
}

static void complete(struct cl_calls *calls, struct cl_call *call, const struct cloister_error *error,
                     const void *result)
{
    cl_call_fn fn = call->fn;
    void *call_ctx = call->ctx;
    forget(calls, call);
    fn(call_ctx, error, result); /* may free the call */
}

static void on_later(void *ctx)
{
    struct cl_calls *calls = ctx;
    for (;;) {
        struct cl_call *early = NULL;
        CL_LIST_FOREACH(node, &calls->under_way)
        {
            struct cl_call *call = CL_CONTAINER(node, struct cl_call, node);
            if (call->kept && !early)
                early = call;
        }
        if (!early)
            return;
        struct cl_call_kept *kept = cl_steal_ptr(&early->kept);
        complete(calls, early, kept->failed ? &kept->error : NULL, &kept->result);
        cl_arena_free(&kept->arena);
        free(kept);
    }
}

static void keep(struct cl_calls *calls, struct cl_call *call, const struct cloister_error *error, const void *result)
{
    cl_log(CL_LOG_ERROR, calls->area, "%s completed %s (operation %llu) inside the call that started it", calls->label,
           call->what, (unsigned long long)call->token);
    struct cl_call_kept *kept = cl_new(struct cl_call_kept);
    if (!kept)
        return; /* it stays under way and is named as overdue: there is nothing better to tell */
    if (error) {
        kept->failed = true;
        kept->error = (struct cloister_error)CLOISTER_ERROR_INIT;
        cl_error_copy(&kept->error, error);
    }
    memcpy(&kept->result, result, calls->result_size);
    calls->keep(&kept->arena, &kept->result);
    if (kept->arena.failed) {
        kept->failed = true;
        kept->error = (struct cloister_error)CLOISTER_ERROR_INIT;
        (void)cl_error_set(&kept->error, CLOISTER_INTERNAL, ENOMEM, NULL, call->what, "keep an early completion");
    }
    call->kept = kept;
    (void)cl_timer_set(calls->later, 1, 0);
}

/* An error without a code is an error: to take it for success would be to believe in work that was not done. */
static void no_reason(const struct cl_calls *calls, const struct cl_call *call, struct cloister_error *ret)
{
    cl_log(CL_LOG_ERROR, calls->area, "%s completed %s (operation %llu) with an error that has no code", calls->label,
           call->what, (unsigned long long)call->token);
    *ret = (struct cloister_error)CLOISTER_ERROR_INIT;
    (void)cl_error_set(ret, CLOISTER_INTERNAL, 0, NULL, call->what, "%s: %s failed without saying why", calls->label,
                       call->what);
}

void cl_calls_done(struct cl_calls *calls, uint64_t token, const struct cloister_error *error, const void *result)
{
    if (!cl_loop_on_thread(calls->loop)) {
        cl_log(CL_LOG_ERROR, calls->area, "%s completed operation %llu on another thread than the loop's; ignored",
               calls->label, (unsigned long long)token);
        return;
    }
    struct cl_call *call = cl_map_get_u64(&calls->by_token, token);
    if (!call || call->kept) {
        bool known = token && token <= calls->last_token;
        cl_log(CL_LOG_ERROR, calls->area, "%s completed operation %llu %s; ignored", calls->label,
               (unsigned long long)token, known ? "a second time" : "that was never begun");
        return;
    }
    union result ours;
    memset(&ours, 0, sizeof(ours));
    uint32_t size = (uint32_t)calls->result_size;
    memcpy(&ours, &size, sizeof(size));
    if (result)
        cl_struct_copy(&ours, calls->result_size, result);
    struct cloister_error own = CLOISTER_ERROR_INIT;
    if (error) {
        cl_struct_copy(&own, sizeof(own), error);
        if (own.code == CLOISTER_OK)
            no_reason(calls, call, &own);
    }
    if (call->inside)
        keep(calls, call, error ? &own : NULL, &ours);
    else
        complete(calls, call, error ? &own : NULL, &ours);
}
