/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/order.h"

#include "core/engine/operation.h"

static struct cl_operation *owner(struct cl_list *node)
{
    return CL_CONTAINER(node, struct cl_operation, claim.node);
}

static bool conflict(const struct cl_operation *a, const struct cl_operation *b)
{
    if (a->claim.mode == CL_CLAIM_SANDBOX || b->claim.mode == CL_CLAIM_SANDBOX)
        return true;
    if (a->claim.mode == CL_CLAIM_PASSING || b->claim.mode == CL_CLAIM_PASSING || a->container != b->container)
        return false;
    return a->claim.mode == CL_CLAIM_CONTAINER || b->claim.mode == CL_CLAIM_CONTAINER;
}

/* Nothing that came before stands in the way; also of those that wait themselves, or they would wait for ever. */
static bool may_run(struct cl_operation *operation)
{
    for (struct cl_list *node = operation->claim.node.prev; node != &operation->sandbox->claims; node = node->prev)
        if (conflict(operation, owner(node)))
            return false;
    return true;
}

bool cl_order_enter(struct cl_operation *operation, enum cl_claim_mode mode)
{
    operation->claim.mode = mode;
    cl_list_append(&operation->sandbox->claims, &operation->claim.node);
    operation->claim.running = may_run(operation);
    return operation->claim.running;
}

void cl_order_leave(struct cl_operation *operation)
{
    struct cl_sandbox *sandbox = operation->sandbox;
    if (operation->claim.mode == CL_CLAIM_NONE)
        return;
    cl_list_remove(&operation->claim.node);
    operation->claim.mode = CL_CLAIM_NONE;
    cl_order_admit(sandbox);
}

void cl_order_admit(struct cl_sandbox *sandbox)
{
    if (sandbox->gate_closed)
        return;
    CL_LIST_FOREACH(node, &sandbox->claims)
    {
        struct cl_operation *next = owner(node);
        if (next->claim.running || next->cancelled || !may_run(next))
            continue;
        next->claim.running = true;
        cl_operation_turn(next);
    }
}

bool cl_order_exclusive(const struct cl_sandbox *sandbox)
{
    CL_LIST_FOREACH(node, &sandbox->claims)
    {
        const struct cl_operation *operation = owner(node);
        if (operation->claim.running &&
            (operation->claim.mode == CL_CLAIM_SANDBOX || operation->claim.mode == CL_CLAIM_CONTAINER))
            return true;
    }
    return false;
}

bool cl_order_busy(const struct cl_sandbox *sandbox)
{
    return !cl_list_empty(&sandbox->claims);
}

const char *cl_order_holder(const struct cl_sandbox *sandbox)
{
    struct cl_list *first = cl_list_first(&sandbox->claims);
    return first ? owner(first)->class->name : "";
}
