/* SPDX-License-Identifier: Apache-2.0 */
/* ending.c - see ending.h. */
#include "ending.h"

#include <errno.h>
#include <stdio.h>

#include "freezer.h"
#include "pids.h"
#include "stranger.h"

#define SOON_NS (NS_SECOND / 5)   /* as a rule it has ended then */
#define ASK_NS (5 * NS_SECOND)    /* for DESTROY to do its work */
#define KILL_NS (10 * NS_SECOND)  /* for the kernel to end a killed pid namespace */
#define GROUPS_NS (5 * NS_SECOND) /* for groups to become empty */

void ns_ending_free(struct ns_ending *ending)
{
    if (ending->sandbox)
        ns_sandbox_unref(ending->sandbox);
    free(ending->left);
    free(ending);
}

static void leave(struct ns_ending *ending, char *text)
{
    NS_FREE char *before = ending->left, *more = text;

    if (more == NULL)
        return;
    ending->left = ns_format("%s%s%s", before ? before : "", before ? ", " : "", more);
}

static void end_frozen(void *ctx)
{
    const struct ns_ending *ending = ctx;
    struct ns_cgroups cgroups = {&ending->op->instance->machine.hierarchies, ending->intent.root};

    ns_freezer_end(&cgroups, ending->intent.group);
}

/* One that stands still takes no more calls: then those who live in the sandbox's groups lead to it. */
static int kill_unreachable(struct ns_ending *ending)
{
    struct ns_cgroups cgroups = {&ending->op->instance->machine.hierarchies, ending->intent.root};
    NS_CLOSE int pidfd = ns_pids_keeper(&cgroups, ending->intent.group);

    return pidfd < 0 ? -EAGAIN : ns_stranger_end(pidfd, KILL_NS, end_frozen, ending);
}

static void clean_keeper(struct ns_ending *ending)
{
    int rc;

    if (ending->sandbox) {
        ending->answered_for = !ending->gone;
        return;
    }
    rc = ns_stranger_kill(ending->socket, ending->cookie, ending->id, true, KILL_NS, end_frozen, ending);
    if (rc == -EAGAIN)
        rc = kill_unreachable(ending);
    ending->answered_for = rc < 0;
    if (rc < 0)
        leave(ending,
              ns_format("keeper at %s (%s)", ending->socket, rc == -EPERM ? "another instance's" : strerror(-rc)));
}

static void clean_groups(struct ns_ending *ending)
{
    struct ns_cgroups cgroups = {&ending->op->instance->machine.hierarchies, ending->intent.root};
    char *left = NULL;

    if (!ns_group_remove_sandbox(&cgroups, ending->intent.group, GROUPS_NS, &left))
        leave(ending, left ? left : ns_format("cgroup %s", ending->intent.group));
}

/* The way to a keeper that lives on stays. */
static void clean_socket(struct ns_ending *ending)
{
    if (!ending->answered_for && unlink(ending->socket) < 0 && errno != ENOENT && errno != ENOTDIR)
        leave(ending, ns_format("socket %s", ending->socket));
}

static const struct {
    enum ns_step step;
    void (*run)(struct ns_ending *ending);
} steps[] = {{NS_STEP_destroy_keeper, clean_keeper},
             {NS_STEP_destroy_cgroups, clean_groups},
             {NS_STEP_destroy_socket, clean_socket}};

/* [worker] */
static void clean(void *ctx)
{
    struct ns_ending *ending = ctx;

    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        ns_halt_before(ending->op->instance, steps[i].step);
        steps[i].run(ending);
        ns_halt_after(ending->op->instance, steps[i].step);
    }
}

static void cleaned(void *ctx)
{
    struct ns_ending *ending = ctx;

    ending->done(ending);
}

static void timer_closed(void *ctx)
{
    struct ns_ending *ending = ctx;

    ns_op_job(ending->op, clean, cleaned, ending);
}

/* The keeper is dead, or has been given up. */
static void next(struct ns_ending *ending)
{
    const struct cloister_host *host = ending->op->instance->host;
    cloister_timer *timer = ending->timer;

    ending->timer = NULL;
    host->loop->timer_close(timer, timer_closed, ending);
}

static void keeper_gone(void *ctx)
{
    struct ns_ending *ending = ctx;

    ending->gone = true;
    next(ending);
}

static void out_of_time(void *ctx)
{
    struct ns_ending *ending = ctx;
    const struct cloister_host *host = ending->op->instance->host;

    if (!ending->looked) { /* it may wait for somebody who froze itself */
        ending->looked = true;
        ns_sandbox_end_frozen(ending->sandbox);
        host->loop->timer_set(ending->timer, host->system->now_mono() + (ending->killed ? KILL_NS : ASK_NS) - SOON_NS,
                              0);
        return;
    }
    if (!ending->killed) {
        ending->killed = true;
        cloister_log(host, CLOISTER_WARNING, "sandbox '%s': its keeper does not end by itself: it is killed",
                     ending->id);
        ns_sandbox_end_keeper(ending->sandbox, true, keeper_gone, ending);
        ns_sandbox_end_frozen(ending->sandbox);
        host->loop->timer_set(ending->timer, host->system->now_mono() + KILL_NS, 0);
        return;
    }
    leave(ending, ns_format("keeper with pid %d", ending->sandbox->pid));
    ending->sandbox->gone = NULL;
    next(ending);
}

int ns_ending_start(struct ns_ending *ending, bool force)
{
    const struct cloister_host *host = ending->op->instance->host;
    int rc = host->loop->timer_open(host, out_of_time, ending, &ending->timer);

    if (rc < 0)
        return rc;
    if (ending->sandbox == NULL) {
        next(ending);
        return 0;
    }
    ending->killed = force;
    ns_sandbox_end_keeper(ending->sandbox, force, keeper_gone, ending);
    host->loop->timer_set(ending->timer, host->system->now_mono() + SOON_NS, 0);
    return 0;
}
