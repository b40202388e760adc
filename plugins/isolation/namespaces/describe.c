/* SPDX-License-Identifier: Apache-2.0 */
/* describe.c - what the backend knows of a sandbox, as JSON, for inspect: names outside, and the limits read back from
 * the kernel. */
#include <errno.h>
#include <linux/sched.h>
#include <stdio.h>

#include "sandbox.h"

struct describe {
    struct ns_op base;          /* first */
    struct ns_sandbox *sandbox; /* a reference */
    int32_t keeper;             /* pid, 0 = dead; as it was when asked, like the containers */
    struct ns_container *containers[CL_WIRE_CONTAINERS_MAX]; /* references */
    uint32_t count;
    struct cloister_sv text;
};

static const struct {
    const char *controller;
    const char *file;
} limits[] = {
    {"memory", "memory.limit_in_bytes"},
    {"memory", "memory.memsw.limit_in_bytes"},
    {"memory", "memory.soft_limit_in_bytes"},
    {"cpu", "cpu.shares"},
    {"cpu", "cpu.cfs_period_us"},
    {"cpu", "cpu.cfs_quota_us"},
    {"cpuset", "cpuset.cpus"},
    {"pids", "pids.max"},
    {"memory", "memory.max"},
    {"memory", "memory.swap.max"},
    {"memory", "memory.low"},
    {"cpu", "cpu.weight"},
    {"cpu", "cpu.max"},
};

static const struct {
    uint64_t flag;
    const char *name;
} namespaces[] = {
    {CLONE_NEWNS, "mount"}, {CLONE_NEWPID, "pid"},   {CLONE_NEWNET, "network"},   {CLONE_NEWIPC, "ipc"},
    {CLONE_NEWUTS, "uts"},  {CLONE_NEWUSER, "user"}, {CLONE_NEWCGROUP, "cgroup"}, {CLONE_NEWTIME, "time"},
};

static cloister_value *text_value(const struct cloister_value_api *v, const char *text)
{
    return v->new_string(ns_view(text));
}

static cloister_value *keeper_object(const struct cloister_value_api *v, const struct describe *d)
{
    cloister_value *object = v->new_object();

    v->set(object, CLOISTER_SV("pid"), v->new_i64(d->keeper));
    v->set(object, CLOISTER_SV("version"), v->new_u64(d->sandbox->conn.version));
    v->set(object, CLOISTER_SV("socket"), text_value(v, d->sandbox->socket));
    return object;
}

static cloister_value *group_object(const struct cloister_value_api *v, const struct ns_cgroups *cgroups,
                                    const char *group)
{
    cloister_value *object = v->new_object();

    for (uint32_t i = 0; i < cgroups->hierarchies->count; i++) {
        NS_FREE char *path = ns_group_path(cgroups, i, group, NULL);

        if (path)
            v->set(object, ns_view(cgroups->hierarchies->list[i].label), text_value(v, path));
    }
    return object;
}

/* What the kernel says is in force, not what was asked for. */
static cloister_value *limit_object(const struct cloister_value_api *v, const struct ns_cgroups *cgroups,
                                    const char *group)
{
    cloister_value *object = v->new_object();

    for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
        uint32_t h = ns_hierarchy_of(cgroups->hierarchies, limits[i].controller);
        NS_FREE char *path = h == NS_NO_HIERARCHY ? NULL : ns_group_path(cgroups, h, group, limits[i].file);
        NS_FREE char *text = NULL;

        if (path == NULL || ns_read_file(path, 4096, &text) < 0)
            continue;
        text[strcspn(text, "\n")] = 0;
        v->set(object, ns_view(limits[i].file), text_value(v, text));
    }
    return object;
}

static cloister_value *namespace_array(const struct cloister_value_api *v, uint64_t flags)
{
    cloister_value *array = v->new_array();

    for (size_t i = 0; i < sizeof(namespaces) / sizeof(*namespaces); i++)
        if (flags & namespaces[i].flag)
            v->append(array, text_value(v, namespaces[i].name));
    return array;
}

static cloister_value *warning_array(const struct cloister_value_api *v, const char *warnings)
{
    cloister_value *array = v->new_array();

    while (warnings && *warnings) {
        size_t size = strcspn(warnings, "\n");

        v->append(array, v->new_string((struct cloister_sv){warnings, size}));
        warnings += size + (warnings[size] == '\n');
    }
    return array;
}

static cloister_value *range_object(const struct cloister_value_api *v, const struct ns_range *range)
{
    cloister_value *object = v->new_object();

    v->set(object, CLOISTER_SV("first"), v->new_u64(range->first));
    v->set(object, CLOISTER_SV("count"), v->new_u64(range->count));
    return object;
}

static void set_container(const struct cloister_value_api *v, cloister_value *object, const struct ns_cgroups *cgroups,
                          const struct ns_container *container)
{
    v->set(object, CLOISTER_SV("namespaces"), namespace_array(v, container->ns_new));
    v->set(object, CLOISTER_SV("limits"), limit_object(v, cgroups, container->group));
    v->set(object, CLOISTER_SV("no_new_privs"), v->new_boolean(container->no_new_privs));
    v->set(object, CLOISTER_SV("seccomp"), v->new_boolean(container->filter != NULL));
}

static cloister_value *container_object(const struct cloister_value_api *v, const struct ns_cgroups *cgroups,
                                        const struct describe *d)
{
    cloister_value *object = v->new_object();

    for (uint32_t i = 0; i < d->count; i++) {
        cloister_value *one = v->new_object();

        v->set(one, CLOISTER_SV("number"), v->new_u64(d->containers[i]->number));
        v->set(one, CLOISTER_SV("cgroup"), text_value(v, d->containers[i]->group));
        set_container(v, one, cgroups, d->containers[i]);
        v->set(object, ns_view(d->containers[i]->cid), one);
    }
    return object;
}

/* [worker] */
static void read_back(void *ctx)
{
    struct describe *d = ctx;
    struct ns_instance *instance = d->base.instance;
    const struct cloister_value_api *v = instance->host->value;
    const struct ns_sandbox *sandbox = d->sandbox;
    cloister_value *root = v->new_object();
    struct ns_cgroups cgroups = ns_sandbox_cgroups(sandbox);
    struct ns_reader r = ns_reader(instance, &d->base.err);

    v->set(root, CLOISTER_SV("backend"), text_value(v, "namespaces"));
    v->set(root, CLOISTER_SV("keeper"), keeper_object(v, d));
    v->set(root, CLOISTER_SV("cgroups"), group_object(v, &cgroups, sandbox->intent.group));
    if (sandbox->intent.range.count > 0)
        v->set(root, CLOISTER_SV("ids"), range_object(v, &sandbox->intent.range));
    /* The first one's stand beside the sandbox's own, where they were when there was but one. */
    if (d->count > 0)
        set_container(v, root, &cgroups, d->containers[0]);
    v->set(root, CLOISTER_SV("containers"), container_object(v, &cgroups, d));
    v->set(root, CLOISTER_SV("warnings"), warning_array(v, sandbox->warnings));
    if (root == NULL || v->print(root, 0, &d->text) < 0)
        ns_no_memory(&r);
    v->free(root);
}

static void tell(void *ctx)
{
    struct describe *d = ctx;
    struct ns_instance *instance = d->base.instance;
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .json = d->text};

    ns_op_done(&d->base, &result);
    instance->host->value->free_text(d->text);
    for (uint32_t i = 0; i < d->count; i++)
        ns_container_unref(d->containers[i]);
    ns_sandbox_unref(d->sandbox);
    free(d);
}

static void cancel(struct ns_op *op)
{
}

void ns_describe(void *ctx, const struct cloister_iso_describe_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    struct ns_sandbox *sandbox = ns_sandbox_find(instance, args->sandbox.id);
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct describe *d;

    if (sandbox == NULL || sandbox->state == NS_MAKING || sandbox->state == NS_ADOPTING) {
        instance->host->log->error_set(&err, CLOISTER_NO_ENTITY, 0, "", "sandbox", "no sandbox '%.*s'",
                                       (int)args->sandbox.id.size, args->sandbox.id.data);
        ns_fail_now(instance, number, &err);
        return;
    }
    d = calloc(1, sizeof(*d));
    if (d == NULL) {
        ns_fail_memory(instance, number);
        return;
    }
    d->sandbox = ns_sandbox_ref(sandbox);
    d->keeper = sandbox->pidfd >= 0 ? sandbox->pid : 0;
    for (struct ns_container *one = sandbox->containers; one && d->count < CL_WIRE_CONTAINERS_MAX; one = one->next)
        d->containers[d->count++] = ns_container_ref(one);
    ns_op_begin(instance, &d->base, number, cancel);
    ns_op_job(&d->base, read_back, tell, d);
}
