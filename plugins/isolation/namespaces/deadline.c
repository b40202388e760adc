/* SPDX-License-Identifier: Apache-2.0 */
/* deadline.c - see deadline.h. */
#include "deadline.h"

static void passed(void *ctx)
{
    struct ns_deadline *deadline = ctx;

    deadline->passed = true;
    ns_sandbox_cancel(deadline->sandbox, deadline->serial);
}

void ns_deadline_begin(struct ns_deadline *deadline, struct ns_sandbox *sandbox, uint64_t serial)
{
    const struct cloister_host *host = sandbox->instance->host;

    *deadline = (struct ns_deadline){sandbox, serial, NULL, false};
    /* Without memory for a timer the caller's own deadline is what is left. */
    if (host->loop->timer_open(host, passed, deadline, &deadline->timer) < 0)
        deadline->timer = NULL;
    else
        host->loop->timer_set(deadline->timer, host->system->now_mono() + sandbox->instance->exec_ms * NS_MS, 0);
}

void ns_deadline_end(struct ns_deadline *deadline, struct ns_op *op)
{
    const struct cloister_host *host = op->instance->host;

    if (deadline->timer)
        host->loop->timer_close(deadline->timer, NULL, NULL);
    deadline->timer = NULL;
    if (deadline->passed && !op->cancelled && op->err.code == CLOISTER_CANCELLED)
        host->log->error_set(&op->err, CLOISTER_DEADLINE, 0, "", "exec",
                             "the process did not get to its program within %llu ms and was killed",
                             (unsigned long long)op->instance->exec_ms);
}
