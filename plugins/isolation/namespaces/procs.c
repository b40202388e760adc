/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procs.c - the operation procs: who lives in a sandbox, a container or an exec's group now. The keeper is asked which
 * of them are ours by number (its list); then a worker reads the groups and /proc. Whoever has gone meanwhile is left
 * out.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include "inventory.h"
#include "pids.h"

#define PROCS_MAX 65536u

struct procs {
    struct ns_op base;          /* first */
    struct ns_sandbox *sandbox; /* a reference */
    char group[NS_GROUP_PATH_MAX];
    uint32_t scope;
    struct ns_inventory inventory;
    int rc;
    bool no_group;
    atomic_bool cancelled;
    struct ns_pid_set pids;
    struct cloister_proc *list; /* each name malloc'd */
    uint32_t count;
};

/* --- [worker] --- */

/* The name in brackets may hold anything; what follows the last one is numbers: the 20th is the start, in ticks. */
static bool read_stat(struct cloister_proc *ret)
{
    NS_FREE char *path = ns_format("/proc/%d/stat", ret->pid), *text = NULL;
    const char *name, *at;
    char *end;

    if (path == NULL || ns_read_file(path, 4096, &text) < 0)
        return false;
    name = strchr(text, '(');
    at = strrchr(text, ')');
    if (name == NULL || at == NULL || at < name)
        return false;
    ret->comm.size = (uint64_t)(at - name - 1);
    end = ns_format("%.*s", (int)ret->comm.size, name + 1);
    ret->comm.data = end;
    for (unsigned i = 0; at && i < 20; i++)
        at = strchr(at + 1, ' ');
    if (at == NULL || end == NULL) {
        free(end);
        return false;
    }
    ret->started_boot_ns = strtoull(at, NULL, 10) * (1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK));
    return true;
}

static cloister_process number_of(const struct procs *procs, long pid)
{
    for (uint32_t i = 0; i < procs->inventory.count; i++)
        if (procs->inventory.processes[i].pid == (int32_t)pid)
            return procs->inventory.processes[i].process;
    return 0;
}

static bool gather(void *ctx, long pid)
{
    struct procs *procs = ctx;

    if (procs->cancelled)
        procs->rc = -ECANCELED;
    else if (pid > 0)
        procs->rc = ns_pid_set_add(&procs->pids, (int32_t)pid);
    return procs->rc < 0;
}

static int tell(struct procs *procs)
{
    procs->list = calloc(procs->pids.count + 1u, sizeof(*procs->list));
    if (procs->list == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < procs->pids.count; i++) {
        struct cloister_proc one = {.pid = procs->pids.list[i]};

        if (procs->cancelled)
            return -ECANCELED;
        if (!read_stat(&one))
            continue;
        one.process = number_of(procs, one.pid);
        procs->list[procs->count++] = one;
    }
    return 0;
}

/* In every hierarchy: a container that may write to one could have moved some of its own away there. */
static void work(void *ctx)
{
    struct procs *procs = ctx;
    struct ns_cgroups cgroups = ns_sandbox_cgroups(procs->sandbox);

    procs->no_group = procs->scope == CLOISTER_SCOPE_PROCESS && !ns_group_is_there(&cgroups, procs->group);
    procs->pids.max = PROCS_MAX;
    procs->rc = ns_inventory_read(&procs->inventory, procs->sandbox);
    for (uint32_t i = 0; procs->rc == 0 && i < cgroups.hierarchies->count; i++) {
        if (procs->scope == CLOISTER_SCOPE_SANDBOX)
            ns_group_sandbox_members(&cgroups, i, procs->group, gather, procs);
        else
            ns_group_members(&cgroups, i, procs->group, gather, procs);
        if (procs->rc == 0)
            procs->rc = ns_pid_set_settle(&procs->pids);
    }
    if (procs->rc == 0)
        procs->rc = tell(procs);
}

/* --- [loop] --- */

static void finish(struct procs *procs)
{
    struct ns_reader r = ns_reader(procs->base.instance, &procs->base.err);
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .procs = procs->list,
                                     .proc_count = procs->count, .proc_size = sizeof(*procs->list)};

    if (procs->base.err.code == 0 && procs->no_group)
        ns_refuse_at(&r, CLOISTER_UNSUPPORTED, "process", "it has no group of its own");
    if (procs->base.err.code == 0 && procs->rc == -ECANCELED)
        r.log->error_set(r.err, CLOISTER_CANCELLED, 0, "", "cancel", "cancelled");
    if (procs->base.err.code == 0 && procs->rc == -E2BIG)
        r.log->error_set(r.err, CLOISTER_LIMIT, 0, procs->sandbox->id, "procs", "more than %u processes live in it",
                         PROCS_MAX);
    if (procs->base.err.code == 0 && procs->rc < 0)
        r.log->error_set(r.err, CLOISTER_IO, -procs->rc, procs->sandbox->id, "procs", "list its processes");
    ns_op_done(&procs->base, &result);
    for (uint32_t i = 0; i < procs->count; i++)
        free((void *)(uintptr_t)procs->list[i].comm.data);
    free(procs->list);
    free(procs->pids.list);
    ns_inventory_clear(&procs->inventory);
    ns_sandbox_unref(procs->sandbox);
    free(procs);
}

static void done(void *ctx)
{
    finish(ctx);
}

static void listed(void *ctx, struct cl_packet *answer, int os_errno)
{
    struct procs *procs = ctx;

    if (answer == NULL)
        ns_keeper_error(procs->base.instance, &procs->base.err, NULL, os_errno);
    else if (answer->u.answer.os_errno != 0)
        procs->rc = -answer->u.answer.os_errno;
    else
        procs->rc = ns_inventory_take(&procs->inventory, answer, procs->sandbox->conn.version);
    if (answer == NULL || procs->rc < 0)
        finish(procs);
    else
        ns_op_job(&procs->base, work, done, procs);
}

static void listed_late(void *ctx)
{
    listed(ctx, NULL, EPIPE);
}

static void cancel(struct ns_op *op)
{
    ((struct procs *)op)->cancelled = true;
}

void ns_procs(void *ctx, const struct cloister_iso_procs_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    const struct cloister_procs_args *ask = args->procs;
    struct ns_sandbox *sandbox = ask->scope == CLOISTER_SCOPE_SANDBOX
                                     ? ns_sandbox_here(instance, &args->sandbox, number)
                                     : ns_sandbox_up(instance, &args->sandbox, ask->container, number);
    struct procs *procs = sandbox ? calloc(1, sizeof(*procs)) : NULL;
    struct cl_wire_simple message;

    if (procs == NULL) {
        if (sandbox)
            ns_fail_memory(instance, number);
        return;
    }
    procs->sandbox = ns_sandbox_ref(sandbox);
    procs->scope = ask->scope;
    ns_sandbox_scope_group(sandbox, ask->scope, ask->container, ask->process, procs->group);
    ns_op_begin(instance, &procs->base, number, cancel);
    cl_wire_init(&message, ns_conn_knows(&sandbox->conn, CL_WIRE_LIST) ? CL_WIRE_LIST : CL_WIRE_STATUS, 0);
    if (ns_conn_send(&sandbox->conn, &message, NULL, 0, -1, listed, procs) == 0 &&
        instance->host->loop->post(instance->host, listed_late, procs) < 0)
        listed(procs, NULL, EPIPE);
}
