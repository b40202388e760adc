/* SPDX-License-Identifier: Apache-2.0 */
/*
 * freeze.c - freeze and thaw: a worker does it and waits for the kernel to say that it is reached. What is told to be
 * frozen is kept in mind only to refuse quickly what would hang; what is frozen is read back from the groups.
 */
#include <errno.h>
#include <stdio.h>

#include "freezer.h"
#include "sandbox.h"

#define DEADLINE_NS (10 * NS_SECOND) /* for a call without one */

struct freeze {
    struct ns_op base;          /* first */
    struct ns_sandbox *sandbox; /* a reference */
    char group[NS_GROUP_PATH_MAX];
    uint32_t scope; /* enum ns_freeze_scope */
    bool thaw;
    uint64_t deadline;
    int rc;
    long stuck;
    bool frozen; /* what it is now */
};

/* [worker] */
static void work(void *ctx)
{
    struct freeze *freeze = ctx;
    struct ns_cgroups cgroups = ns_sandbox_cgroups(freeze->sandbox);

    if (freeze->thaw && freeze->scope == NS_FREEZE_CONTAINER &&
        ns_freezer_is_frozen(&cgroups, freeze->sandbox->intent.group, NS_FREEZE_SANDBOX))
        freeze->rc = -EBUSY; /* it would stand still all the same: success says that it runs */
    else if (freeze->thaw)
        freeze->rc = ns_freezer_thaw(&cgroups, freeze->group, freeze->scope);
    else
        freeze->rc = ns_freezer_freeze(&cgroups, freeze->group, freeze->scope, freeze->deadline, &freeze->stuck);
    freeze->frozen = ns_freezer_is_frozen(&cgroups, freeze->group, freeze->scope);
}

static void fill_error(struct freeze *freeze)
{
    const struct cloister_log_api *log = freeze->base.instance->host->log;
    struct cloister_error *err = &freeze->base.err;
    const char *what = freeze->thaw ? "thaw" : "freeze";

    if (freeze->rc == -ETIMEDOUT && freeze->stuck)
        log->error_set(err, CLOISTER_DEADLINE, 0, freeze->group, "freeze",
                       "process %ld did not come to a standstill in time; all run on", freeze->stuck);
    else if (freeze->rc == -ETIMEDOUT)
        log->error_set(err, CLOISTER_DEADLINE, 0, freeze->group, "freeze",
                       "it did not come to a standstill in time; all run on");
    else if (freeze->rc == -EBUSY)
        log->error_set(err, CLOISTER_FROZEN, 0, freeze->sandbox->name, "state", "sandbox '%s' is frozen",
                       freeze->sandbox->name);
    else if (freeze->rc == -EOPNOTSUPP)
        log->error_set(err, CLOISTER_UNSUPPORTED, 0, "freeze", "cgroup",
                       "this machine has neither cgroup v2 nor a v1 freezer");
    else
        log->error_set(err, CLOISTER_CGROUP_FAILED, -freeze->rc, freeze->group, "cgroup", "%s cgroup '%s'", what,
                       freeze->group);
}

static void done(void *ctx)
{
    struct freeze *freeze = ctx;

    if (freeze->base.err.code == 0) { /* else no worker could be had */
        ns_sandbox_note_frozen(freeze->sandbox, freeze->scope == NS_FREEZE_SANDBOX ? NULL : freeze->group,
                               freeze->frozen);
        if (freeze->rc < 0)
            fill_error(freeze);
    }
    ns_op_done(&freeze->base, NULL);
    ns_sandbox_unref(freeze->sandbox);
    free(freeze);
}

/* Bounded by its deadline: the worker is waited for. */
static void cancel(struct ns_op *op)
{
}

static void begin(struct ns_instance *instance, const struct cloister_iso_freeze_args *args, bool thaw,
                  cloister_op number)
{
    struct ns_sandbox *sandbox = args->container.size ? ns_sandbox_up(instance, &args->sandbox, args->container, number)
                                                      : ns_sandbox_here(instance, &args->sandbox, number);
    struct freeze *freeze = sandbox ? calloc(1, sizeof(*freeze)) : NULL;

    if (freeze == NULL) {
        if (sandbox)
            ns_fail_memory(instance, number);
        return;
    }
    freeze->sandbox = ns_sandbox_ref(sandbox);
    freeze->thaw = thaw;
    freeze->scope = args->container.size ? NS_FREEZE_CONTAINER : NS_FREEZE_SANDBOX;
    freeze->deadline = args->deadline ? args->deadline : instance->host->system->now_mono() + DEADLINE_NS;
    snprintf(freeze->group, sizeof(freeze->group), "%s",
             args->container.size ? ns_container_find(sandbox, args->container)->group : sandbox->intent.group);
    ns_op_begin(instance, &freeze->base, number, cancel);
    ns_op_job(&freeze->base, work, done, freeze);
}

void ns_freeze(void *ctx, const struct cloister_iso_freeze_args *args, cloister_op number)
{
    begin(ctx, args, false, number);
}

void ns_thaw(void *ctx, const struct cloister_iso_freeze_args *args, cloister_op number)
{
    begin(ctx, args, true, number);
}

/* --- what is known --- */

void ns_sandbox_note_frozen(struct ns_sandbox *sandbox, const char *group, bool frozen)
{
    if (group == NULL)
        sandbox->frozen = frozen;
    for (struct ns_container *one = sandbox->containers; one && group; one = one->next)
        if (strcmp(group, one->group) == 0)
            one->frozen = frozen;
}

bool ns_sandbox_any_frozen(const struct ns_sandbox *sandbox)
{
    bool any = sandbox->frozen;

    for (const struct ns_container *one = sandbox->containers; one; one = one->next)
        any = any || one->frozen;
    return any;
}

/* A group holds what is below it. */
static bool holds(const struct ns_container *holder, const struct ns_container *one)
{
    size_t size = strlen(holder->group);

    return strncmp(one->group, holder->group, size) == 0 && (one->group[size] == 0 || one->group[size] == '/');
}

bool ns_sandbox_refuse_frozen(const struct ns_sandbox *sandbox, struct cloister_sv cid, struct cloister_error *err)
{
    const struct cloister_log_api *log = sandbox->instance->host->log;
    const struct ns_container *container = ns_container_find(sandbox, cid);

    if (sandbox->frozen) {
        log->error_set(err, CLOISTER_FROZEN, 0, sandbox->id, "state", "sandbox '%s' is frozen", sandbox->name);
        return true;
    }
    for (const struct ns_container *one = sandbox->containers; container && one; one = one->next) {
        if (!one->frozen || !holds(one, container))
            continue;
        log->error_set(err, CLOISTER_FROZEN, 0, one->cid, "state", "container '%s' is frozen", one->cid);
        return true;
    }
    return false;
}

/* --- who dies in a v1-frozen sandbox --- */

struct release {
    struct ns_instance *instance;
    char root[256];
    char group[NS_GROUP_PATH_MAX];
    bool all;
    void (*done)(void *ctx);
    void *ctx;
};

/* [worker] The sandbox itself may be gone by now: names are all that is used. */
static void release_work(void *ctx)
{
    struct release *release = ctx;
    struct ns_cgroups cgroups = {&release->instance->machine.hierarchies, release->root};

    if (release->all)
        ns_freezer_end(&cgroups, release->group);
    else
        ns_freezer_release(&cgroups, release->group, 5 * NS_SECOND);
}

static void release_done(void *ctx)
{
    struct release *release = ctx;

    if (release->done)
        release->done(release->ctx);
    free(release);
}

static bool start_release(struct ns_sandbox *sandbox, bool all, void (*done_fn)(void *ctx), void *ctx)
{
    struct ns_instance *instance = sandbox->instance;
    struct release *release = ns_hierarchy_find(&instance->machine.hierarchies, "freezer") == NS_NO_HIERARCHY
                                  ? NULL
                                  : malloc(sizeof(*release));

    if (release == NULL)
        return false;
    *release = (struct release){.instance = instance, .all = all, .done = done_fn, .ctx = ctx};
    snprintf(release->root, sizeof(release->root), "%s", sandbox->intent.root);
    snprintf(release->group, sizeof(release->group), "%s", sandbox->intent.group);
    if (instance->host->loop->job(instance->queue, release_work, release_done, release) == 0)
        return true;
    cloister_log(instance->host, CLOISTER_ERROR, "sandbox '%s': no worker to thaw it with", sandbox->id);
    free(release);
    return false;
}

/* Who froze what is not asked: a container that may write to its v1 groups can do so itself. The worker looks. */
bool ns_sandbox_release_killed(struct ns_sandbox *sandbox, void (*done_fn)(void *ctx), void *ctx)
{
    return start_release(sandbox, false, done_fn, ctx);
}

void ns_sandbox_end_frozen(struct ns_sandbox *sandbox)
{
    start_release(sandbox, true, NULL, NULL);
}
