/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec.c - one more process in a container: compiled and its cgroup files opened in a worker, then one EXEC to the
 * keeper. It gets what the container's init got and the OCI process object does not carry (H1.3.4): the seccomp filter,
 * and no_new_privs if init has it.
 */
#include <errno.h>
#include <fcntl.h>

#include "call.h"
#include "open.h"
#include "stdset.h"

struct exec {
    struct ns_op base; /* first */
    const struct cloister_iso_exec_args *args;
    struct ns_sandbox *sandbox;     /* a reference */
    struct ns_container *container; /* so too */
    struct ns_stdio stdio;
    struct ns_compile compile;
    int *fds;
    uint32_t fd_count;
    int plan_fd;
    uint32_t version; /* of the keeper */
    struct cl_wire_exec message;
    uint64_t serial; /* of the EXEC under way */
    struct ns_deadline deadline;
};

static void free_exec(struct exec *exec)
{
    ns_stdio_clear(&exec->stdio);
    ns_compile_clear(&exec->compile);
    for (uint32_t i = 0; i < exec->fd_count; i++)
        close(exec->fds[i]);
    free(exec->fds);
    if (exec->plan_fd >= 0)
        close(exec->plan_fd);
    ns_container_unref(exec->container);
    if (exec->sandbox)
        ns_sandbox_unref(exec->sandbox);
    free(exec);
}

static int compile(struct exec *exec)
{
    const struct ns_container *container = exec->container;
    struct ns_compile *c = &exec->compile;

    if (ns_compile_process(c, exec->args->exec->process, container->no_new_privs) < 0)
        return -1;
    if (container->has_personality) {
        c->plan.head.flags |= CL_WIRE_PLAN_PERSONALITY;
        c->plan.head.personality = container->personality;
    }
    ns_halt_plan(exec->base.instance, "exec", &c->plan);
    if (container->filter) {
        const struct ns_seccomp_program *program = ns_filter_program(container->filter);

        cl_plan_add_seccomp(&c->plan, program->code, program->count, program->flags);
    }
    return 0;
}

static int open_needs(struct exec *exec)
{
    const struct ns_compile *c = &exec->compile;
    struct ns_cgroups cgroups = ns_sandbox_cgroups(exec->sandbox);

    exec->fds = calloc(c->need_count + NS_STDIO_ROOM, sizeof(int));
    if (exec->fds == NULL)
        return ns_no_memory(&c->r);
    while (exec->fd_count < c->need_count) {
        int fd = ns_open_need(c, exec->fd_count, &cgroups, exec->container->group);

        if (fd < 0)
            return -1;
        exec->fds[exec->fd_count++] = fd;
    }
    return 0;
}

static int seal(struct exec *exec)
{
    const char *where = "";
    int rc;

    if (ns_stdio_fits(&exec->compile.r, &exec->stdio, &exec->compile.plan.head) < 0)
        return -1;
    ns_stdio_move(&exec->stdio, exec->fds, &exec->fd_count, exec->compile.plan.head.uid, exec->message.stdio,
                  &exec->message.memo);
    ns_memo_size(&exec->message.memo, &exec->compile);
    rc = cl_plan_seal_at(&exec->compile.plan, exec->fd_count, exec->version, &exec->plan_fd, &where);
    if (rc == 0)
        return 0;
    if (rc == -ENOTSUP)
        ns_too_old(exec->base.instance, &exec->base.err, where);
    else
        exec->base.instance->host->log->error_set(&exec->base.err, CLOISTER_INTERNAL, -rc, where, "plan",
                                                  "seal the plan: member '%s'", where ? where : "");
    return -1;
}

static const struct {
    enum ns_step step;
    int (*run)(struct exec *exec);
} steps[] = {{NS_STEP_exec_compile, compile}, {NS_STEP_exec_open, open_needs}, {NS_STEP_exec_seal, seal}};

static void prepare(void *ctx)
{
    struct exec *exec = ctx;
    int rc = 0;

    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps) && rc == 0; i++) {
        ns_halt_before(exec->base.instance, steps[i].step);
        rc = steps[i].run(exec);
        ns_halt_after(exec->base.instance, steps[i].step);
    }
}

static void executed(void *ctx, struct cl_packet *answer, int os_errno)
{
    struct exec *exec = ctx;
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .process = exec->args->process};

    exec->serial = 0;
    if (answer == NULL || answer->u.answer.os_errno != 0) {
        ns_keeper_error(exec->base.instance, &exec->base.err, answer, os_errno);
    } else {
        bool resolved = (exec->compile.plan.head.flags & CL_WIRE_PLAN_RESOLVE) != 0;

        result.uid = resolved ? answer->u.answer.uid : exec->compile.plan.head.uid;
        result.gid = resolved ? answer->u.answer.gid : exec->compile.plan.head.gid;
        result.home = resolved ? ns_view(answer->u.answer.home) : ns_view("");
        result.pid = ns_answer_pid(answer);
    }
    ns_deadline_end(&exec->deadline, &exec->base);
    ns_op_done(&exec->base, &result);
    free_exec(exec);
}

static bool send(struct exec *exec)
{
    struct ns_sandbox *sandbox = exec->sandbox;
    uint32_t count = exec->fd_count;

    exec->message.container = exec->container->number;
    exec->message.pseq = exec->args->process;
    exec->fd_count = 0;
    ns_halt_before(exec->base.instance, NS_STEP_exec_send);
    exec->serial =
        ns_conn_send(&sandbox->conn, &exec->message, exec->fds, count, ns_steal_fd(&exec->plan_fd), executed, exec);
    ns_halt_after(exec->base.instance, NS_STEP_exec_send);
    if (exec->serial)
        ns_deadline_begin(&exec->deadline, sandbox, exec->serial);
    else
        ns_keeper_error(exec->base.instance, &exec->base.err, NULL, EPIPE);
    return exec->serial != 0;
}

static void prepared(void *ctx)
{
    struct exec *exec = ctx;
    struct ns_sandbox *sandbox = exec->sandbox;
    const struct cloister_log_api *log = exec->base.instance->host->log;
    const struct cloister_host *host = exec->base.instance->host;

    for (uint32_t i = 0; i < exec->compile.warning_count; i++)
        host->iso->warning(host, ns_view(sandbox->id), ns_view(exec->compile.warnings[i].where),
                           exec->compile.warnings[i].text);
    if (exec->base.err.code == 0 && exec->base.cancelled)
        log->error_set(&exec->base.err, CLOISTER_CANCELLED, 0, "", "cancel", "cancelled");
    if (exec->base.err.code == 0 && send(exec))
        return;
    ns_op_done(&exec->base, NULL);
    free_exec(exec);
}

static void cancel(struct ns_op *op)
{
    struct exec *exec = (struct exec *)op;

    if (exec->serial != 0) /* else still in the worker: prepared() sees the flag */
        ns_sandbox_cancel(exec->sandbox, exec->serial);
}

static bool can_run(struct ns_sandbox *sandbox, const struct ns_container *container, const struct ns_stdio *stdio,
                    struct cloister_error *err)
{
    const struct cloister_log_api *log = sandbox->instance->host->log;
    const char *unknown;

    if (container->down) {
        log->error_set(err, CLOISTER_INVALID_STATE, 0, container->cid, "state", "container '%s' is stopped",
                       container->cid);
        err->detail = CLOISTER_CONTAINER_STOPPED;
        return false;
    }
    if (ns_sandbox_refuse_frozen(sandbox, ns_view(container->cid), err))
        return false;
    if (container->no_exec) {
        log->error_set(err, CLOISTER_CORRUPT, 0, container->cid, "spec", "nothing can be run in container '%s': %s",
                       container->cid, container->no_exec);
        return false;
    }
    unknown = ns_stdio_too_new(stdio, sandbox->conn.version);
    if (unknown)
        ns_too_old(sandbox->instance, err, unknown);
    return unknown == NULL;
}

static struct exec *new_exec(struct ns_sandbox *sandbox, struct ns_container *container,
                             const struct cloister_iso_exec_args *args, struct cloister_error *err)
{
    struct ns_reader r = ns_reader(sandbox->instance, err);
    struct exec *exec = calloc(1, sizeof(*exec));

    if (exec == NULL) {
        ns_no_memory(&r);
        return NULL;
    }
    exec->args = args;
    exec->plan_fd = -1;
    ns_stdio_init(&exec->stdio);
    cl_wire_init(&exec->message, CL_WIRE_EXEC, 0);
    exec->sandbox = ns_sandbox_ref(sandbox);
    exec->container = ns_container_ref(container);
    exec->version = sandbox->conn.version;
    if (ns_memo_set(&r, &exec->message.memo, args->exec->name, args->exec->process) == 0)
        return exec;
    free_exec(exec);
    return NULL;
}

void ns_exec(void *ctx, const struct cloister_iso_exec_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    const struct cloister_process_args *process = args->exec->process;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);
    struct ns_stdio stdio;
    struct ns_sandbox *sandbox;
    struct ns_container *container;
    struct exec *exec = NULL;
    int taken = ns_stdio_take_process(&r, process, &stdio);

    sandbox = taken < 0 ? NULL : ns_sandbox_up(instance, &args->sandbox, args->exec->container, number);
    container = sandbox ? ns_container_find(sandbox, args->exec->container) : NULL;
    if (container && can_run(sandbox, container, &stdio, &err))
        exec = new_exec(sandbox, container, args, &err);
    if (exec == NULL) {
        if (err.code != 0)
            ns_fail_now(instance, number, &err);
        ns_stdio_clear(&stdio);
        return;
    }
    exec->stdio = stdio;
    ns_op_begin(instance, &exec->base, number, cancel);
    r.err = &exec->base.err;
    ns_compile_init(&exec->compile, &r, &instance->machine, CL_WIRE_PLAN_PROCESS);
    ns_op_job(&exec->base, prepare, prepared, exec);
}
