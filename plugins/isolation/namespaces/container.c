/* SPDX-License-Identifier: Apache-2.0 */
/* container.c - see container.h. */
#include "container.h"

#include <linux/sched.h>
#include <signal.h>

#include "hooks.h"
#include "sandbox.h"

struct ns_container *ns_container_new(struct ns_sandbox *sandbox, struct cloister_sv cid)
{
    struct ns_container *container = calloc(1, sizeof(*container));
    struct ns_container **at = &sandbox->containers;

    if (container == NULL)
        return NULL;
    container->cid = ns_dup(cid);
    if (container->cid == NULL) {
        free(container);
        return NULL;
    }
    container->refs = 1;
    while (*at)
        at = &(*at)->next;
    *at = container;
    return container;
}

struct ns_container *ns_container_ref(struct ns_container *container)
{
    container->refs++;
    return container;
}

void ns_container_unref(struct ns_container *container)
{
    if (container == NULL || --container->refs > 0)
        return;
    ns_filter_unref(container->filter);
    ns_hooks_free(container->hooks);
    free(container->cid);
    free(container->rootfs);
    free(container->missing);
    free(container->no_exec);
    free(container);
}

void ns_container_drop(struct ns_sandbox *sandbox, struct ns_container *container)
{
    struct ns_container **at = &sandbox->containers;

    while (*at && *at != container)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    *at = container->next;
    container->next = NULL;
    ns_container_unref(container);
}

struct ns_container *ns_container_find(const struct ns_sandbox *sandbox, struct cloister_sv cid)
{
    for (struct ns_container *one = sandbox->containers; one; one = one->next)
        if (cid.size == 0 || ns_equal(cid, one->cid))
            return one;
    return NULL;
}

struct ns_container *ns_container_of_number(const struct ns_sandbox *sandbox, uint64_t number)
{
    for (struct ns_container *one = sandbox->containers; one; one = one->next)
        if (one->number == number)
            return one;
    return NULL;
}

struct ns_container *ns_container_of_init(const struct ns_sandbox *sandbox, cloister_process init)
{
    for (struct ns_container *one = sandbox->containers; one; one = one->next)
        if (one->init == init)
            return one;
    return NULL;
}

void ns_container_settle(struct ns_container *container, struct ns_compile *c, struct ns_filter *filter)
{
    const struct cl_wire_plan *plan = &c->plan.head;

    container->ns_new = plan->ns_new;
    container->has_personality = (plan->flags & CL_WIRE_PLAN_PERSONALITY) != 0;
    container->personality = plan->personality;
    container->outer_pid = !ns_has_new(c, CLONE_NEWPID);
    container->in_user = ns_in_userns(c);
    if (container->hooks == NULL) {
        container->hooks = c->hooks;
        c->hooks = NULL;
    }
    if (container->filter == NULL)
        container->filter = ns_filter_ref(filter);
}

static void rest_killed(void *ctx, struct cl_packet *answer, int os_errno)
{
    struct ns_sandbox *sandbox = ctx;

    if (answer)
        ns_sandbox_release_killed(sandbox, NULL, NULL);
    ns_sandbox_unref(sandbox);
}

/* Init is dead: what it left running dies with its pid namespace, or here (H2.1.8). */
void ns_container_end_the_rest(struct ns_sandbox *sandbox, const struct ns_container *container)
{
    struct cl_wire_signal message;

    cl_wire_init(&message, CL_WIRE_SIGNAL, 0);
    message.target = container->number;
    message.scope = CL_WIRE_SCOPE_ALL;
    message.signal = SIGKILL;
    if (ns_conn_send(&sandbox->conn, &message, NULL, 0, -1, rest_killed, ns_sandbox_ref(sandbox)) == 0)
        ns_sandbox_unref(sandbox);
}
