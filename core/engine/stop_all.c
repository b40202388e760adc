/* SPDX-License-Identifier: Apache-2.0 */
/* stop_all.c - nothing may run on after this daemon: the config says so. */
#include "core/engine/operation.h"
#include "core/log/log.h"
#include "core/util/time.h"

#define KILL_TAKES (10 * CL_NS_PER_S) /* at most; what is still there then is stuck in the kernel */

static void on_all(void *ctx)
{
    struct cl_stop_all *all = ctx;
    all->done(all->ctx);
}

static void one_less(struct cl_engine *engine)
{
    if (--engine->stop_all.left == 0)
        cl_engine_later(engine, &engine->stop_all.later, on_all, &engine->stop_all);
}

static void on_stopped(void *ctx, cloister_op op, const struct cloister_error *error,
                       const struct cloister_result *result)
{
    (void)op, (void)result;
    if (error)
        cl_log_error(CL_LOG_WARN, CL_ENGINE_AREA, error, "something runs on");
    one_less(ctx);
}

static void stop_sandbox(struct cl_sandbox *sandbox, uint64_t grace, uint64_t deadline)
{
    struct cl_engine *engine = sandbox->engine;
    if (sandbox->unknown || sandbox->gate_closed)
        return;
    CL_LIST_FOREACH(node, &sandbox->containers)
    {
        struct cl_container *container = CL_CONTAINER(node, struct cl_container, node);
        if (container->state == CLOISTER_CONTAINER_STOPPED)
            continue;
        engine->stop_all.left++;
        if (cl_container_stop(container, grace, deadline, on_stopped, engine) < 0)
            one_less(engine);
    }
}

void cl_engine_stop_all(struct cl_engine *engine, uint64_t grace_ns, cloister_fn done, void *ctx)
{
    uint64_t deadline;
    if (__builtin_add_overflow(cl_mono_ns() + KILL_TAKES, grace_ns, &deadline))
        deadline = UINT64_MAX;
    engine->stop_all.done = done;
    engine->stop_all.ctx = ctx;
    engine->stop_all.left = 1; /* this call's own */
    CL_LIST_FOREACH(node, &engine->sandboxes)
    stop_sandbox(CL_CONTAINER(node, struct cl_sandbox, node), grace_ns, deadline);
    one_less(engine);
}
