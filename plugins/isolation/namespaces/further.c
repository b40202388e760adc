/* SPDX-License-Identifier: Apache-2.0 */
/*
 * further.c - container_create: a further container of a sandbox that is up. It goes the way of a create (create.c),
 * but for the keeper, which is there: prepare (worker) -> CREATE -> done. Whatever fails is undone: what the keeper
 * cannot make it leaves no trace of, and the group goes.
 */
#include <linux/sched.h>

#include "create.h"

static void undone(void *ctx)
{
    struct ns_create *create = ctx;

    if (create->base.err.code == 0)
        create->base.instance->host->log->error_set(&create->base.err, CLOISTER_CANCELLED, 0, "", "cancel",
                                                    "cancelled");
    ns_container_drop(create->sandbox, create->container);
    ns_op_done(&create->base, NULL);
    ns_create_free(create);
}

/* [worker] */
static void remove_group(void *ctx)
{
    struct ns_create *create = ctx;
    struct ns_cgroups cgroups = ns_sandbox_cgroups(create->sandbox);

    ns_group_remove(&cgroups, create->container->group, 5 * NS_SECOND, NULL);
}

void ns_further_undo(struct ns_create *create)
{
    if (create->pid != 0) { /* it runs already: too late */
        ns_create_finish(create, create->pid);
        return;
    }
    if (create->container->create != 0) { /* its answer comes here again */
        ns_sandbox_cancel(create->sandbox, create->container->create);
        return;
    }
    create->stage = NS_UNDOING;
    create->container->creating = NULL;
    ns_op_job(&create->base, remove_group, undone, create);
}

static void cancel(struct ns_op *op)
{
    struct ns_create *create = (struct ns_create *)op;

    if (create->stage == NS_CREATE_MAKING)
        ns_create_undo(create);
}

/* The namespaces that it shares; those that the other one has of the host's are shared by whoever names none. */
static uint64_t shared_namespaces(uint32_t bits)
{
    static const struct {
        uint32_t bit;
        uint64_t flag;
    } kinds[] = {{CLOISTER_NS_USER, CLONE_NEWUSER}, {CLOISTER_NS_PID, CLONE_NEWPID},
                 {CLOISTER_NS_NET, CLONE_NEWNET},   {CLOISTER_NS_IPC, CLONE_NEWIPC},
                 {CLOISTER_NS_UTS, CLONE_NEWUTS},   {CLOISTER_NS_CGROUP, CLONE_NEWCGROUP},
                 {CLOISTER_NS_TIME, CLONE_NEWTIME}};
    uint64_t flags = 0;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (bits & kinds[i].bit)
            flags |= kinds[i].flag;
    return flags;
}

/* The container that it joins: NULL if it joins none, or with err filled. */
static struct ns_container *find_joined(struct ns_sandbox *sandbox, const struct cloister_container_args *args,
                                        const struct ns_reader *r)
{
    struct ns_container *joined = args->join.size ? ns_container_find(sandbox, args->join) : NULL;

    if (args->join.size && joined == NULL)
        ns_refuse_at(r, CLOISTER_NO_ENTITY, "join", "no container '%.*s'", (int)args->join.size, args->join.data);
    else if (joined && joined->down)
        ns_refuse_at(r, CLOISTER_INVALID_STATE, "join", "container '%s' is stopped", joined->cid);
    else if (joined && args->join_namespaces && joined->in_user && !(args->join_namespaces & CLOISTER_NS_USER))
        ns_refuse(r, CLOISTER_INVALID, "join_namespaces", "lacks the user namespace, which owns the others");
    else if (joined)
        ns_sandbox_refuse_frozen(sandbox, args->join, r->err);
    return joined;
}

static int set_container(struct ns_create *create, const struct ns_container *joined, const struct ns_reader *r)
{
    const struct cloister_container_args *args = create->args->container;
    struct ns_sandbox *sandbox = create->sandbox;
    struct ns_container *container = ns_container_new(sandbox, args->cid);

    if (container == NULL)
        return ns_no_memory(r);
    create->container = ns_container_ref(container);
    if (args->rootfs_kind == CLOISTER_ROOTFS_DIRECTORY)
        container->rootfs = ns_dup(args->rootfs);
    create->shares = joined && args->cgroup_parent == CLOISTER_CGROUP_CONTAINER;
    container->number = ++sandbox->last_number;
    container->incarnation = create->args->incarnation;
    container->init = create->args->init;
    if (ns_layout_container(sandbox->intent.group, sandbox->intent.split, container->number,
                            create->shares ? joined->group : NULL, container->group))
        return 0;
    return ns_refuse(r, CLOISTER_LIMIT, "cgroup_parent", "is too deep");
}

static int begin(struct ns_create *create, struct ns_container **ret_joined, const struct ns_reader *r)
{
    const struct cloister_container_args *args = create->args->container;
    struct ns_sandbox *sandbox = create->sandbox;

    if (args->cid.size == 0 || ns_container_find(sandbox, args->cid) != NULL)
        return ns_refuse_at(r, CLOISTER_EXISTS, "container", "'%.*s' is there already", (int)args->cid.size,
                            args->cid.data);
    if (sandbox->frozen && ns_sandbox_refuse_frozen(sandbox, args->cid, r->err))
        return -1;
    *ret_joined = find_joined(sandbox, args, r);
    if (r->err->code != 0)
        return -1;
    if (ns_memo_set(r, &create->message.memo, (struct cloister_sv){NULL, 0}, args->process) < 0)
        return -1;
    return set_container(create, *ret_joined, r);
}

static struct ns_create *new_create(struct ns_sandbox *sandbox, const struct cloister_iso_create_args *args,
                                    struct ns_stdio *stdio)
{
    struct ns_create *create = calloc(1, sizeof(*create));

    if (create == NULL)
        return NULL;
    if (args->container->start == CLOISTER_START_BLOCKED)
        ns_stdio_reset(stdio); /* the set given at the start counts */
    create->base.instance = sandbox->instance;
    create->args = args;
    create->stdio = *stdio;
    create->plan_fd = -1;
    create->stage = NS_PREPARING;
    create->further = true;
    create->version = sandbox->conn.version;
    create->sandbox = ns_sandbox_ref(sandbox);
    cl_wire_init(&create->message, CL_WIRE_CREATE, 0);
    return create;
}

static void start(struct ns_create *create, const struct ns_container *joined, cloister_op number)
{
    struct ns_instance *instance = create->base.instance;
    struct ns_reader r = ns_reader(instance, &create->base.err);
    struct ns_compile *c = &create->compile;

    ns_op_begin(instance, &create->base, number, cancel);
    ns_compile_init(c, &r, &instance->machine, CL_WIRE_PLAN_CONTAINER);
    c->range = create->sandbox->intent.range;
    c->id = ns_view(create->sandbox->id);
    if (joined && create->args->container->join_namespaces) {
        c->join = joined->number;
        c->join_ns = shared_namespaces(create->args->container->join_namespaces);
        c->join_user = joined->in_user;
    }
    ns_compile_init(&create->whole, &r, &instance->machine, CL_WIRE_PLAN_CONTAINER);
    ns_op_job(&create->base, ns_create_prepare, ns_create_prepared, create);
}

void ns_container_create(void *ctx, const struct cloister_iso_create_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);
    const struct cloister_process_args *process = args->container->process;
    struct ns_container *joined = NULL;
    struct ns_create *create;
    struct ns_sandbox *sandbox;
    struct ns_stdio stdio;

    ns_stdio_init(&stdio);
    if (process && ns_stdio_take_process(&r, process, &stdio) < 0) {
        ns_fail_now(instance, number, &err);
        return;
    }
    sandbox = ns_sandbox_here(instance, &args->sandbox, number);
    create = sandbox ? new_create(sandbox, args, &stdio) : NULL;
    if (create == NULL) {
        ns_stdio_clear(&stdio);
        if (sandbox)
            ns_fail_memory(instance, number);
        return;
    }
    if (begin(create, &joined, &r) == 0) {
        start(create, joined, number);
        return;
    }
    if (create->container)
        ns_container_drop(sandbox, create->container);
    ns_create_free(create);
    ns_fail_now(instance, number, &err);
}
