/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec.c - one more process in a container: compiled and its cgroup files opened in a worker, then one EXEC to the
 * keeper. It gets what the container's init got and the OCI process object does not carry (H1.3.4): the seccomp filter,
 * and no_new_privs if init has it.
 */
#include <errno.h>
#include <fcntl.h>

#include "deadline.h"
#include "open.h"
#include "stdset.h"

struct exec {
    struct ns_op base; /* first */
    const struct cloister_iso_exec_args *args;
    struct ns_sandbox *sandbox; /* a reference */
    struct ns_stdio stdio;
    struct ns_compile compile;
    int *fds;
    uint32_t fd_count;
    int plan_fd;
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
    if (exec->sandbox)
        ns_sandbox_unref(exec->sandbox);
    free(exec);
}

/* [worker] The sandbox's filter and flags were settled before it was up, and do not change. */
static int compile(struct exec *exec)
{
    struct ns_compile *c = &exec->compile;

    if (ns_compile_process(c, exec->args->exec->process, exec->sandbox->no_new_privs) < 0)
        return -1;
    if (exec->sandbox->filter) {
        const struct ns_seccomp_program *program = ns_filter_program(exec->sandbox->filter);

        cl_plan_add_seccomp(&c->plan, program->code, program->count, program->flags);
    }
    return 0;
}

static int open_needs(struct exec *exec)
{
    const struct ns_compile *c = &exec->compile;

    exec->fds = calloc(c->need_count + 3u, sizeof(int));
    if (exec->fds == NULL)
        return ns_no_memory(&c->r);
    while (exec->fd_count < c->need_count) {
        int fd = ns_open_need(c, exec->fd_count, &exec->base.instance->cgroups, exec->sandbox->intent.group);

        if (fd < 0)
            return -1;
        exec->fds[exec->fd_count++] = fd;
    }
    return 0;
}

static void prepare(void *ctx)
{
    struct exec *exec = ctx;
    const char *where = "";
    int rc;

    if (compile(exec) < 0 || open_needs(exec) < 0)
        return;
    ns_stdio_move(&exec->stdio, exec->fds, &exec->fd_count, exec->message.stdio);
    rc = cl_plan_seal(&exec->compile.plan, exec->fd_count, &exec->plan_fd, &where);
    if (rc < 0)
        exec->base.instance->host->log->error_set(&exec->base.err, CLOISTER_INTERNAL, -rc, where, "plan",
                                                  "seal the plan: member '%s'", where ? where : "");
}

static void executed(void *ctx, struct cl_packet *answer, int os_errno)
{
    struct exec *exec = ctx;
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .process = exec->args->process};

    exec->serial = 0;
    if (answer == NULL || answer->u.answer.os_errno != 0) {
        ns_keeper_error(exec->base.instance, &exec->base.err, answer, os_errno);
    } else {
        result.uid = exec->compile.plan.head.uid;
        result.gid = exec->compile.plan.head.gid;
        result.pid = ns_answer_pid(answer);
    }
    ns_deadline_end(&exec->deadline, &exec->base);
    ns_op_done(&exec->base, &result);
    free_exec(exec);
}

static void prepared(void *ctx)
{
    struct exec *exec = ctx;
    struct ns_sandbox *sandbox = exec->sandbox;
    const struct cloister_log_api *log = exec->base.instance->host->log;
    const struct cloister_host *host = exec->base.instance->host;
    uint32_t count = exec->fd_count;

    for (uint32_t i = 0; i < exec->compile.warning_count; i++)
        host->iso->warning(host, ns_view(sandbox->id), ns_view(exec->compile.warnings[i].where),
                           exec->compile.warnings[i].text);
    if (exec->base.err.code == 0 && exec->base.cancelled)
        log->error_set(&exec->base.err, CLOISTER_CANCELLED, 0, "", "cancel", "cancelled");
    if (exec->base.err.code == 0) {
        exec->message.container = NS_CONTAINER;
        exec->message.pseq = exec->args->process;
        exec->fd_count = 0;
        exec->serial =
            ns_conn_send(&sandbox->conn, &exec->message, exec->fds, count, ns_steal_fd(&exec->plan_fd), executed, exec);
        if (exec->serial) {
            ns_deadline_begin(&exec->deadline, sandbox, exec->serial);
            return;
        }
        ns_keeper_error(exec->base.instance, &exec->base.err, NULL, EPIPE);
    }
    ns_op_done(&exec->base, NULL);
    free_exec(exec);
}

static void cancel(struct ns_op *op)
{
    struct exec *exec = (struct exec *)op;

    if (exec->serial != 0) /* else still in the worker: prepared() sees the flag */
        ns_sandbox_cancel(exec->sandbox, exec->serial);
}

static bool can_run(struct ns_sandbox *sandbox, struct cloister_error *err)
{
    if (!sandbox->down)
        return true;
    sandbox->instance->host->log->error_set(err, CLOISTER_INVALID_STATE, 0, sandbox->cid, "state",
                                            "container '%s' is stopped", sandbox->cid);
    err->detail = CLOISTER_CONTAINER_STOPPED;
    return false;
}

void ns_exec(void *ctx, const struct cloister_iso_exec_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    const struct cloister_process_args *process = args->exec->process;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);
    struct ns_stdio stdio;
    struct ns_sandbox *sandbox;
    struct exec *exec;
    int taken = ns_stdio_take(&r, process->stdio, process->stdio_count, process->stdio_size, &stdio);

    sandbox = taken < 0 ? NULL : ns_sandbox_up(instance, &args->sandbox, args->exec->container, number);
    if (taken < 0 || (sandbox && !can_run(sandbox, &err)))
        ns_fail_now(instance, number, &err);
    exec = sandbox && err.code == 0 ? calloc(1, sizeof(*exec)) : NULL;
    if (exec == NULL) {
        if (sandbox && err.code == 0)
            ns_fail_memory(instance, number);
        ns_stdio_clear(&stdio);
        return;
    }
    exec->args = args;
    exec->sandbox = ns_sandbox_ref(sandbox);
    exec->stdio = stdio;
    exec->plan_fd = -1;
    cl_wire_init(&exec->message, CL_WIRE_EXEC, 0);
    ns_op_begin(instance, &exec->base, number, cancel);
    r.err = &exec->base.err;
    ns_compile_init(&exec->compile, &r, &instance->machine, CL_WIRE_PLAN_PROCESS);
    ns_op_job(&exec->base, prepare, prepared, exec);
}
