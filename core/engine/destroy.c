/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/engine/ending.h"
#include "core/error/error.h"

static void begin(struct cl_operation *operation)
{
    cl_ending_join(operation);
}

static const struct cl_operation_class class = {.name = "sandbox_destroy",
                                                .verb = "destroy sandbox",
                                                .begin = begin,
                                                .cancel = cl_operation_leave_it,
                                                .one_way = true,
                                                .on_unknown = true};

static const struct cl_container *running(const struct cl_sandbox *sandbox)
{
    CL_LIST_FOREACH(node, &sandbox->containers)
    {
        const struct cl_container *container = CL_CONTAINER(node, struct cl_container, node);
        if (container->state != CLOISTER_CONTAINER_STOPPED)
            return container;
    }
    return NULL;
}

static int check(const struct cl_sandbox *sandbox, uint32_t flags, struct cloister_error *err)
{
    const uint32_t known =
        CLOISTER_DESTROY_REFUSE_IF_BUSY | CLOISTER_DESTROY_REFUSE_IF_RUNNING | CLOISTER_DESTROY_FORCE;
    if (flags & ~known)
        return cl_error_set(err, CLOISTER_INVALID, 0, "flags", NULL, "flags has an unknown bit");
    if (sandbox->unknown && !(flags & CLOISTER_DESTROY_FORCE))
        return cl_operation_refuse_unknown(sandbox, err);
    if (flags & CLOISTER_DESTROY_REFUSE_IF_BUSY && cl_order_busy(sandbox))
        return cl_error_set(err, CLOISTER_BUSY, 0, cl_order_holder(sandbox), NULL, "'%s' is under way",
                            cl_order_holder(sandbox));
    const struct cl_container *container = running(sandbox);
    if (flags & CLOISTER_DESTROY_REFUSE_IF_RUNNING && container) {
        int r = cl_error_set(err, CLOISTER_INVALID_STATE, 0, container->cid, NULL, "container '%s' has not stopped",
                             container->cid);
        if (err)
            err->detail = container->state;
        return r;
    }
    return 0;
}

cloister_op cl_api_sandbox_destroy(const struct cloister_host *host, const struct cloister_sandbox_destroy_args *args,
                                   cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_sandbox_destroy_args copy;
    cl_struct_copy(&copy, sizeof(copy), args);
    struct cl_operation *operation = cl_operation_ask(host, &class, copy.sandbox, true, done, ctx, err);
    return operation ? cl_operation_prepared(operation, check(operation->sandbox, copy.flags, err), copy.deadline,
                                             CL_CLAIM_NONE, err)
                     : 0;
}
