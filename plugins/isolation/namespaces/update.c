/* SPDX-License-Identifier: Apache-2.0 */
/* update.c - the operation update: compiled against what the group has now, written by a worker, read back. */
#include <stdio.h>

#include "limits_change.h"
#include "sandbox.h"

struct update {
    struct ns_op base; /* first */
    const struct cloister_update_args *args;
    struct ns_sandbox *sandbox; /* a reference */
    char group[NS_GROUP_PATH_MAX];
    struct ns_compile compile;
    struct cloister_sv text; /* what is in force */
};

/* Device rules are a history, not a value: what a list became cannot be told, nor undone. */
static int check_members(const struct ns_compile *c, const struct cloister_update_args *args, bool *ret_check)
{
    cloister_value *resources = NULL;
    int rc = 0;

    if (ns_parse(&c->r, args->resources, "resources", &resources) < 0)
        return -1;
    *ret_check = ns_get_bool(&c->r, ns_get(&c->r, resources, "memory"), "checkBeforeUpdate", false);
    if (ns_get(&c->r, resources, "devices"))
        rc = ns_refuse_at(&c->r, CLOISTER_UNSUPPORTED, "resources.devices",
                          "who may use which devices is settled when a container is made");
    c->r.value->free(resources);
    return rc;
}

static int change(struct update *update, const struct ns_cgroups *cgroups)
{
    struct ns_compile *c = &update->compile;
    bool check = false;

    ns_limits_kept(cgroups, update->group, &c->kept);
    if (check_members(c, update->args, &check) < 0 || ns_compile_resources(c, update->args->resources, "resources") < 0)
        return -1;
    return ns_limits_change(cgroups, update->group, c, check);
}

/* [worker] */
static void work(void *ctx)
{
    struct update *update = ctx;
    const struct ns_instance *instance = update->base.instance;
    struct ns_cgroups cgroups = ns_sandbox_cgroups(update->sandbox);
    const struct cloister_value_api *v = instance->host->value;
    cloister_value *now;

    if (change(update, &cgroups) < 0)
        return;
    now = ns_limits_read(&cgroups, &instance->machine, v, update->group);
    if (now == NULL || v->print(now, 0, &update->text) < 0) {
        ns_no_memory(&update->compile.r);
        update->base.err.code = CLOISTER_PARTIAL; /* they have changed, and cannot be told */
    }
    v->free(now);
}

static void done(void *ctx)
{
    struct update *update = ctx;
    struct ns_instance *instance = update->base.instance;
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .json = update->text};

    ns_op_done(&update->base, &result);
    instance->host->value->free_text(update->text);
    ns_compile_clear(&update->compile);
    ns_sandbox_unref(update->sandbox);
    free(update);
}

/* A worker's few writes are waited for: half of them would be worse. */
static void cancel(struct ns_op *op)
{
}

/* Limits of the sandbox's group would not hold for one beside it. */
static bool has_beside(const struct ns_sandbox *sandbox)
{
    size_t size = strlen(sandbox->intent.group);

    for (const struct ns_container *one = sandbox->containers; one; one = one->next)
        if (strncmp(one->group, sandbox->intent.group, size) == 0 && one->group[size] == '.')
            return true;
    return false;
}

static bool refuse_beside(const struct ns_sandbox *sandbox, cloister_op number)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(sandbox->instance, &err);

    if (!has_beside(sandbox))
        return false;
    ns_refuse_at(&r, CLOISTER_UNSUPPORTED, "scope",
                 "the sandbox was made without limits of its own: its containers' groups are beside each other, and "
                 "each has its limits");
    ns_fail_now(sandbox->instance, number, &err);
    return true;
}

void ns_update(void *ctx, const struct cloister_iso_update_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    bool whole = args->update->scope == CLOISTER_SCOPE_SANDBOX;
    struct ns_sandbox *sandbox = whole ? ns_sandbox_here(instance, &args->sandbox, number)
                                       : ns_sandbox_up(instance, &args->sandbox, args->update->container, number);
    struct update *update;
    struct ns_reader r;

    if (sandbox && whole && refuse_beside(sandbox, number))
        return;
    update = sandbox ? calloc(1, sizeof(*update)) : NULL;
    if (update == NULL) {
        if (sandbox)
            ns_fail_memory(instance, number);
        return;
    }
    update->args = args->update;
    update->sandbox = ns_sandbox_ref(sandbox);
    ns_sandbox_scope_group(sandbox, args->update->scope, args->update->container, 0, update->group);
    ns_op_begin(instance, &update->base, number, cancel);
    r = ns_reader(instance, &update->base.err);
    ns_compile_init(&update->compile, &r, &instance->machine, CL_WIRE_PLAN_CONTAINER);
    ns_op_job(&update->base, work, done, update);
}
