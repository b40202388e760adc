/* SPDX-License-Identifier: Apache-2.0 */
/* instance.c - operations under way: begun, cancelled, completed once. */
#include "instance.h"

#include <errno.h>

struct ns_reader ns_reader(const struct ns_instance *instance, struct cloister_error *err)
{
    return (struct ns_reader){instance->host->log, instance->host->value, err};
}

void ns_op_begin(struct ns_instance *instance, struct ns_op *op, cloister_op number, void (*cancel)(struct ns_op *op))
{
    op->instance = instance;
    op->op = number;
    op->cancel = cancel;
    op->err = (struct cloister_error)CLOISTER_ERROR_INIT;
    op->next = instance->ops;
    instance->ops = op;
}

void ns_op_done(struct ns_op *op, const struct cloister_result *result)
{
    struct ns_instance *instance = op->instance;
    struct ns_op **at = &instance->ops;

    while (*at && *at != op)
        at = &(*at)->next;
    if (*at)
        *at = op->next;
    instance->host->iso->done(instance->host, op->op, op->err.code ? &op->err : NULL, op->err.code ? NULL : result);
}

/* Completion must not come from inside the call: a copy of the error travels through the loop. */
struct late {
    struct ns_instance *instance;
    cloister_op op;
    struct cloister_error err;
};

static void complete_late(void *ctx)
{
    struct late *late = ctx;

    late->instance->host->iso->done(late->instance->host, late->op, &late->err, NULL);
    free(late);
}

void ns_fail_now(struct ns_instance *instance, cloister_op op, const struct cloister_error *err)
{
    struct late *late = malloc(sizeof(*late));

    if (late) {
        *late = (struct late){instance, op, *err};
        if (instance->host->loop->post(instance->host, complete_late, late) == 0)
            return;
        free(late);
    }
    /* Without memory for the detour the host defers it: told inside the call, but told. */
    instance->host->iso->done(instance->host, op, err, NULL);
}

void ns_fail_memory(struct ns_instance *instance, cloister_op op)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);

    ns_no_memory(&r);
    ns_fail_now(instance, op, &err);
}

void ns_op_job(struct ns_op *op, cloister_fn work, cloister_fn done, void *ctx)
{
    const struct cloister_host *host = op->instance->host;
    int rc = host->loop->job(op->instance->queue, work, done, ctx);

    if (rc == 0)
        return;
    if (op->err.code == 0)
        host->log->error_set(&op->err, CLOISTER_LIMIT, -rc, "", "worker", "start a worker");
    if (host->loop->post(host, done, ctx) < 0)
        done(ctx);
}
