/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create.c - sandbox_create: prepare (worker: compile, cgroups, open everything, bind the socket) -> fork a keeper ->
 * HELLO -> CREATE -> done. It is whole or gone: whatever fails, and a cancel at any point, ends in one undo, which is
 * the same work as a destroy.
 */
#include <errno.h>
#include <linux/sched.h>

#include "create.h"
#include "ending.h"

static void close_list(int *fds, uint32_t *count)
{
    for (uint32_t i = 0; i < *count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    *count = 0;
}

void ns_create_free(struct ns_create *create)
{
    ns_stdio_clear(&create->stdio);
    ns_compile_clear(&create->compile);
    ns_compile_clear(&create->whole);
    ns_filter_unref(create->filter);
    if (create->fds)
        close_list(create->fds, &create->fd_count);
    free(create->fds);
    close_list(create->keepers, &create->keeper_count);
    if (create->plan_fd >= 0)
        close(create->plan_fd);
    ns_container_unref(create->container);
    if (create->sandbox)
        ns_sandbox_unref(create->sandbox);
    free(create);
}

static void undone(struct ns_ending *ending)
{
    struct ns_create *create = ending->ctx;
    struct ns_instance *instance = create->base.instance;
    struct ns_sandbox *sandbox = create->sandbox;

    if (ending->left)
        cloister_log(instance->host, CLOISTER_ERROR, "sandbox '%s' could not be made, and undoing it left %s",
                     sandbox->id, ending->left);
    if (create->base.cancelled || create->base.err.code == 0)
        instance->host->log->error_set(&create->base.err, CLOISTER_CANCELLED, 0, "", "cancel", "cancelled");
    ns_ranges_release(instance->ranges, sandbox->id);
    ns_sandbox_drop(sandbox);
    ns_ending_free(ending);
    ns_op_done(&create->base, NULL);
    ns_create_free(create);
}

void ns_create_undo(struct ns_create *create)
{
    struct ns_ending *ending;
    struct ns_sandbox *sandbox = create->sandbox;

    if (create->stage == NS_UNDOING)
        return;
    if (create->hooks) { /* it looks back at us: point.c comes here again */
        create->over = true;
        ns_hook_run_cancel(create->hooks);
        return;
    }
    if (create->further) {
        ns_further_undo(create);
        return;
    }
    if (create->container)
        create->container->creating = NULL;
    create->stage = NS_UNDOING;
    sandbox->state = NS_ENDING;
    ending = calloc(1, sizeof(*ending));
    if (ending) {
        *ending = (struct ns_ending){&create->base, ns_sandbox_ref(sandbox), sandbox->intent};
        memcpy(ending->id, sandbox->id, sizeof(ending->id));
        memcpy(ending->socket, sandbox->socket, sizeof(ending->socket));
        ending->cookie = sandbox->cookie;
        ending->done = undone;
        ending->ctx = create;
        if (ns_ending_start(ending, true) == 0)
            return;
        ns_ending_free(ending);
    }
    /* No memory to undo with: the keeper at least, and the sandbox stays known, so that a destroy finds the rest. */
    ns_sandbox_end_keeper(sandbox, true, NULL, NULL);
    ns_op_done(&create->base, NULL);
    ns_create_free(create);
}

void ns_create_finish(struct ns_create *create, int32_t pid)
{
    struct ns_sandbox *sandbox = create->sandbox;
    const struct cloister_container_args *container = create->args->container;
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .sandbox = ns_view(sandbox->id),
                                     .pid = pid};

    if (container) {
        result.process = create->args->init;
        result.container_state =
            container->start == CLOISTER_START_BLOCKED ? CLOISTER_CONTAINER_CREATED : CLOISTER_CONTAINER_RUNNING;
    }
    sandbox->state = NS_UP;
    if (create->container)
        create->container->creating = NULL;
    ns_op_done(&create->base, &result);
    ns_create_free(create);
}

static void made(void *ctx, struct cl_packet *answer, int os_errno)
{
    struct ns_create *create = ctx;

    if (create->stage == NS_UNDOING)
        return;
    create->container->create = 0;
    if (answer == NULL || answer->u.answer.os_errno != 0) {
        if (create->base.err.code == 0) /* a hook's own words are better */
            ns_keeper_error(create->base.instance, &create->base.err, answer, os_errno);
        ns_create_undo(create);
        return;
    }
    ns_sandbox_warn_missing(create->sandbox, create->container);
    if (create->args->container->start == CLOISTER_START_BLOCKED)
        ns_create_finish(create, ns_answer_pid(answer));
    else
        ns_create_started(create, ns_answer_pid(answer));
}

static void send_create(struct ns_create *create)
{
    uint32_t count = create->fd_count;

    create->stage = NS_CREATE_MAKING;
    create->message.container = create->container->number;
    create->message.pseq = create->args->init;
    create->message.flags = create->args->container->start == CLOISTER_START_BLOCKED ? CL_WIRE_BLOCKED : 0;
    create->fd_count = 0;
    ns_halt_before(create->base.instance, NS_STEP_create_send);
    create->container->create = ns_conn_send(&create->sandbox->conn, &create->message, create->fds, count,
                                             ns_steal_fd(&create->plan_fd), made, create);
    ns_halt_after(create->base.instance, NS_STEP_create_send);
    if (create->container->create != 0)
        return;
    ns_keeper_error(create->base.instance, &create->base.err, NULL, EPIPE);
    ns_create_undo(create);
}

static void greeted(void *ctx, struct cl_packet *answer, int os_errno)
{
    struct ns_create *create = ctx;
    const struct cloister_host *host = create->base.instance->host;

    if (create->stage == NS_UNDOING)
        return;
    ns_halt_after(create->base.instance, NS_STEP_create_hello);
    if (answer && answer->u.head.type == CL_WIRE_HELLO && answer->u.hello.os_errno == 0) {
        create->sandbox->era = answer->u.hello.era;
        if (create->args->container)
            send_create(create);
        else
            ns_create_finish(create, 0);
        return;
    }
    if (answer && answer->u.head.type == CL_WIRE_HELLO)
        host->log->error_set(&create->base.err, CLOISTER_IO, answer->u.hello.os_errno, "", answer->u.hello.step,
                             "greet the keeper: step '%s'", answer->u.hello.step);
    else
        ns_keeper_error(create->base.instance, &create->base.err, answer, os_errno);
    ns_create_undo(create);
}

static void greet(struct ns_create *create)
{
    struct cl_wire_hello hello;
    uint32_t count = create->keeper_count;

    create->stage = NS_GREETING;
    ns_sandbox_hello(create->sandbox, &hello);
    hello.flags = CL_WIRE_HELLO_LISTENER;
    create->keeper_count = 0;
    ns_halt_before(create->base.instance, NS_STEP_create_hello);
    if (ns_conn_send(&create->sandbox->conn, &hello, create->keepers, count, -1, greeted, create))
        return;
    ns_keeper_error(create->base.instance, &create->base.err, NULL, EPIPE);
    ns_create_undo(create);
}

static void forked(void *ctx, int32_t result, const char *step, int32_t pid, int32_t pidfd, int32_t socket)
{
    struct ns_create *create = ctx;
    const struct cloister_host *host = create->base.instance->host;

    ns_halt_after(create->base.instance, NS_STEP_create_zygote);
    if (result == 0)
        result = ns_sandbox_take_keeper(create->sandbox, pid, pidfd, socket, CL_WIRE_VERSION);
    if (result < 0)
        host->log->error_set(&create->base.err, result == -EAGAIN ? CLOISTER_LIMIT : CLOISTER_IO, -result, "", "fork",
                             "fork a keeper: step '%s'", step ? step : "watch");
    if (result < 0 || create->base.cancelled)
        ns_create_undo(create);
    else
        greet(create);
}

/* What a later exec needs, and what describe shows, moves to the container. */
static void settle(struct ns_create *create)
{
    struct ns_container *container = create->container;
    struct ns_compile *c = &create->compile;

    if (container == NULL)
        return;
    container->creating = create;
    ns_container_settle(container, c, create->filter);
    container->no_new_privs = c->no_new_privs;
    container->init_user = c->plan.head.uid;
    container->drain_idle = create->message.memo.drain_idle_ns;
    container->drain_max = create->message.memo.drain_max_ns;
    for (uint32_t i = 0; i < c->warning_count; i++)
        ns_sandbox_warn(create->sandbox, c->warnings[i].where, c->warnings[i].text);
}

void ns_create_prepared(void *ctx)
{
    struct ns_create *create = ctx;
    const struct cloister_host *host = create->base.instance->host;
    int rc;

    if (create->base.err.code != 0 || create->base.cancelled ||
        ns_hooks_allowed(create->base.instance, create->compile.hooks, &create->base.err) < 0) {
        ns_create_undo(create);
        return;
    }
    settle(create);
    if (create->further) {
        send_create(create);
        return;
    }
    create->stage = NS_FORKING;
    ns_halt_before(create->base.instance, NS_STEP_create_zygote);
    rc = host->system->zygote_fork(host, "sandbox", NULL, 0, forked, create);
    if (rc < 0) {
        host->log->error_set(&create->base.err, CLOISTER_IO, -rc, "", "fork", "ask for a keeper");
        ns_create_undo(create);
    }
}

/* In a worker or at the zygote it cannot be stopped, but its result will be undone; afterwards the keeper's death ends
 * it. */
static void cancel(struct ns_op *op)
{
    struct ns_create *create = (struct ns_create *)op;

    if (create->stage == NS_GREETING || create->stage == NS_CREATE_MAKING)
        ns_create_undo(create);
}

static int set_container(struct ns_create *create, const struct cloister_iso_create_args *args)
{
    struct ns_sandbox *sandbox = create->sandbox;
    struct ns_container *container;

    if (args->container == NULL)
        return 0;
    container = ns_container_new(sandbox, args->container->cid.size ? args->container->cid : CLOISTER_SV("main"));
    if (container == NULL)
        return -1;
    create->container = ns_container_ref(container);
    if (args->container->rootfs_kind == CLOISTER_ROOTFS_DIRECTORY)
        container->rootfs = ns_dup(args->container->rootfs);
    container->number = sandbox->last_number = NS_CONTAINER_FIRST;
    container->incarnation = args->incarnation;
    container->init = args->init;
    ns_layout_container(sandbox->intent.group, sandbox->intent.split, container->number, NULL, container->group);
    return 0;
}

static int begin(struct ns_create *create, const struct cloister_iso_create_args *args, struct cloister_error *err)
{
    struct ns_instance *instance = create->base.instance;
    struct ns_reader r = ns_reader(instance, err);
    struct ns_intent intent;
    struct ns_sandbox *sandbox;

    if (args->container && args->container->join.size > 0)
        return ns_refuse_at(&r, CLOISTER_NO_ENTITY, "join", "a sandbox's first container has no other to join");
    if (ns_sandbox_find(instance, args->sandbox.id) != NULL)
        return ns_refuse(&r, CLOISTER_EXISTS, "sandbox", "is known already");
    if (args->sandbox.id.size != CLOISTER_ENGINE_ID_SIZE || memchr(args->sandbox.id.data, 0, CLOISTER_ENGINE_ID_SIZE))
        return ns_refuse(&r, CLOISTER_INVALID, "sandbox", "has an id that is none");
    if (ns_intent_parse(&r, args->sandbox.plan, &intent) < 0)
        return -1;
    if (ns_memo_set(&r, &create->message.memo, (struct cloister_sv){NULL, 0},
                    args->container ? args->container->process : NULL) < 0)
        return -1;
    sandbox = ns_sandbox_new(instance, &args->sandbox);
    if (sandbox == NULL)
        return ns_no_memory(&r);
    create->sandbox = ns_sandbox_ref(sandbox);
    sandbox->intent = intent;
    if (set_container(create, args) < 0)
        return ns_no_memory(&r);
    if (!ns_ranges_confirm(instance->ranges, sandbox->id, intent.range))
        return ns_refuse_at(&r, CLOISTER_LIMIT, "ids", "the planned id range has been given away: plan again");
    return instance->host->system->run_path(instance->host, args->sandbox.id, "k", sandbox->socket,
                                            sizeof(sandbox->socket), err);
}

void ns_sandbox_create(void *ctx, const struct cloister_iso_create_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    const struct cloister_process_args *process = args->container ? args->container->process : NULL;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);
    struct ns_create *create = calloc(1, sizeof(*create));
    struct ns_stdio stdio;

    ns_stdio_init(&stdio);
    if (process && ns_stdio_take_process(&r, process, &stdio) < 0 && create) {
        free(create);
        ns_fail_now(instance, number, &err);
        return;
    }
    if (create == NULL) {
        ns_stdio_clear(&stdio);
        ns_fail_memory(instance, number);
        return;
    }
    if (args->container && args->container->start == CLOISTER_START_BLOCKED)
        ns_stdio_reset(&stdio); /* the set given at the start counts */
    create->base.instance = instance;
    create->args = args;
    create->stdio = stdio;
    create->plan_fd = -1;
    create->stage = NS_PREPARING;
    create->version = CL_WIRE_VERSION;
    cl_wire_init(&create->message, CL_WIRE_CREATE, 0);
    if (begin(create, args, &err) < 0) {
        if (create->sandbox)
            ns_sandbox_drop(create->sandbox);
        ns_create_free(create);
        ns_fail_now(instance, number, &err);
        return;
    }
    ns_op_begin(instance, &create->base, number, cancel);
    r.err = &create->base.err;
    ns_compile_init(&create->compile, &r, &instance->machine, CL_WIRE_PLAN_CONTAINER);
    create->compile.range = create->sandbox->intent.range;
    create->compile.id = ns_view(create->sandbox->id);
    ns_compile_init(&create->whole, &r, &instance->machine, CL_WIRE_PLAN_CONTAINER);
    ns_op_job(&create->base, ns_create_prepare, ns_create_prepared, create);
}
