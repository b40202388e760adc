/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delete.c - container_delete: killed if it runs and that is wanted -> down -> the keeper forgets its processes, init
 * last -> its group goes (a worker). Idempotent, and one-way: cancel does nothing.
 */
#include <signal.h>

#include "inventory.h"
#include "sandbox.h"

#define LOOK_NS (10 * NS_MS)
#define PATIENCE_NS (10 * NS_SECOND) /* for a call without a deadline */
#define GROUPS_NS (5 * NS_SECOND)

struct delete
{
    struct ns_op base;              /* first */
    struct ns_sandbox *sandbox;     /* a reference; NULL with the next: nothing to do */
    struct ns_container *container; /* so too */
    cloister_timer *timer;
    uint64_t deadline;
    uint32_t waiting; /* RELEASEs that are not answered */
    char *left;
};

static void cancel(struct ns_op *op)
{
}

static void finish(void *ctx)
{
    struct delete *delete = ctx;
    const struct cloister_host *host = delete->base.instance->host;

    if (delete->left)
        host->log->error_set(&delete->base.err, CLOISTER_PARTIAL, 0, delete->left, "delete", "left over: %s",
                             delete->left);
    if (delete->base.err.code == 0 && delete->container)
        ns_container_drop(delete->sandbox, delete->container);
    if (delete->timer)
        host->loop->timer_close(delete->timer, NULL, NULL);
    ns_op_done(&delete->base, NULL);
    ns_container_unref(delete->container);
    if (delete->sandbox)
        ns_sandbox_unref(delete->sandbox);
    free(delete->left);
    free(delete);
}

/* [worker] The sandbox's own group stays, with whoever shares its limits. */
static void remove_group(void *ctx)
{
    struct delete *delete = ctx;
    struct ns_cgroups cgroups = ns_sandbox_cgroups(delete->sandbox);

    if (strcmp(delete->container->group, delete->sandbox->intent.group) != 0)
        ns_group_remove(&cgroups, delete->container->group, GROUPS_NS, &delete->left);
}

static void forgotten(struct delete *delete)
{
    ns_op_job(&delete->base, remove_group, finish, delete);
}

static void released(void *ctx, struct cl_packet *answer, int os_errno)
{
    struct delete *delete = ctx;

    if (--delete->waiting == 0)
        forgotten(delete);
}

static void release(struct delete *delete, uint64_t process)
{
    struct cl_wire_release message;

    cl_wire_init(&message, CL_WIRE_RELEASE, 0);
    message.pseq = process;
    if (ns_conn_send(&delete->sandbox->conn, &message, NULL, 0, -1, released, delete) == 0)
        return;
    delete->waiting++;
    ns_tapes_over(delete->sandbox, process);
}

/* Init's going lets the number go. */
static void listed(void *ctx, struct cl_packet *answer, int os_errno)
{
    struct delete *delete = ctx;
    uint64_t *members = NULL;
    uint32_t count = 0;

    if (answer && answer->u.answer.os_errno == 0)
        ns_inventory_members(answer, delete->sandbox->conn.version, delete->container->number, &members, &count);
    for (uint32_t i = 0; i < count; i++)
        if (members[i] != delete->container->init)
            release(delete, members[i]);
    if (answer)
        release(delete, delete->container->init);
    free(members);
    if (delete->waiting == 0)
        forgotten(delete);
}

static void forget(struct delete *delete)
{
    struct ns_conn *conn = &delete->sandbox->conn;
    struct cl_wire_simple message;

    cl_wire_init(&message, ns_conn_knows(conn, CL_WIRE_LIST) ? CL_WIRE_LIST : CL_WIRE_STATUS, 0);
    if (delete->container->number == 0 || ns_conn_send(conn, &message, NULL, 0, -1, listed, delete) == 0)
        forgotten(delete);
}

static void look(void *ctx)
{
    struct delete *delete = ctx;
    const struct cloister_host *host = delete->base.instance->host;
    uint64_t now = host->system->now_mono();

    if (delete->container->down) {
        forget(delete);
    } else if (now >= delete->deadline) {
        host->log->error_set(&delete->base.err, CLOISTER_DEADLINE, 0, delete->container->cid, "delete",
                             "container '%s' does not end", delete->container->cid);
        finish(delete);
    } else {
        host->loop->timer_set(delete->timer, now + LOOK_NS, 0);
    }
}

static int check(const struct delete *delete, const struct cloister_container_delete_args *args,
                 const struct ns_reader *r)
{
    const struct ns_container *container = delete->container;

    if (container == NULL || container->down || (args->flags & CLOISTER_DELETE_FORCE))
        return 0;
    ns_refuse_at(r, CLOISTER_INVALID_STATE, "container", "'%s' is running", container->cid);
    r->err->detail = CLOISTER_CONTAINER_RUNNING;
    return -1;
}

static void begin(struct delete *delete)
{
    const struct cloister_host *host = delete->base.instance->host;

    if (delete->container && !delete->container->down)
        ns_container_end_the_rest(delete->sandbox, delete->container);
    if (host->loop->post(host, delete->container ? look : finish, delete) < 0)
        finish(delete);
}

static struct delete *new_delete(struct ns_sandbox *sandbox, struct cloister_sv cid)
{
    struct ns_container *container = sandbox ? ns_container_find(sandbox, cid) : NULL;
    struct delete *delete = calloc(1, sizeof(*delete));

    if (delete &&container) {
        delete->sandbox = ns_sandbox_ref(sandbox);
        delete->container = ns_container_ref(container);
    }
    return delete;
}

void ns_container_delete(void *ctx, const struct cloister_iso_delete_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    const struct cloister_host *host = instance->host;
    const struct cloister_container_delete_args *wanted = args->delete_;
    struct ns_sandbox *sandbox = ns_sandbox_find(instance, args->sandbox.id);
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ns_reader r = ns_reader(instance, &err);
    struct delete *delete;

    if (sandbox && sandbox->state != NS_UP && sandbox->state != NS_LOST) {
        ns_refuse_at(&r, CLOISTER_BUSY, "state", "another operation is at work on sandbox '%s'", sandbox->id);
        ns_fail_now(instance, number, &err);
        return;
    }
    delete = new_delete(sandbox, wanted->container);
    if (delete == NULL || check(delete, wanted, &r) < 0 ||
        host->loop->timer_open(host, look, delete, &delete->timer) < 0) {
        if (err.code == 0)
            ns_no_memory(&r);
        if (delete &&delete->container) {
            ns_container_unref(delete->container);
            ns_sandbox_unref(delete->sandbox);
        }
        free(delete);
        ns_fail_now(instance, number, &err);
        return;
    }
    delete->deadline = wanted->deadline ? wanted->deadline : host->system->now_mono() + PATIENCE_NS;
    ns_op_begin(instance, &delete->base, number, cancel);
    begin(delete);
}
