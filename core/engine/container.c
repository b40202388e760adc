/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "core/engine/args.h"
#include "core/engine/sandbox.h"
#include "core/error/error.h"
#include "core/util/mem.h"

int cl_container_new(struct cl_sandbox *sandbox, struct cloister_sv cid, struct cloister_sv rootfs,
                     struct cl_container **ret)
{
    struct cl_container *container = cl_new(struct cl_container);
    if (!container)
        return -ENOMEM;
    container->sandbox = sandbox;
    container->state = CLOISTER_CONTAINER_CREATING;
    container->incarnation = 1;
    cl_list_init(&container->watchers);
    cl_list_append(&sandbox->containers, &container->node);
    container->cid = cl_sv_dup(cl_args_cid(cid));
    container->rootfs = cl_sv_dup(rootfs);
    if (!container->cid || !container->rootfs) {
        cl_container_free(container);
        return -ENOMEM;
    }
    *ret = container;
    return 0;
}

void cl_container_free(struct cl_container *container)
{
    cl_list_remove(&container->node);
    cl_limits_free(&container->limits);
    free(container->cid);
    free(container->rootfs);
    free(container);
}

struct cl_container *cl_container_find(const struct cl_sandbox *sandbox, struct cloister_sv cid,
                                       struct cloister_error *err)
{
    struct cloister_sv wanted = cl_args_cid(cid);
    CL_LIST_FOREACH(node, &sandbox->containers)
    {
        struct cl_container *container = CL_CONTAINER(node, struct cl_container, node);
        if (cl_sv_is(wanted, container->cid))
            return container;
    }
    (void)cl_error_set(err, CLOISTER_NO_ENTITY, 0, NULL, "container", "sandbox '%.*s' has no container '%.*s'",
                       CL_SV_ARG(sandbox->name), CL_SV_ARG(wanted));
    cl_error_subject(err, wanted);
    return NULL;
}

unsigned cl_container_live(const struct cl_container *container)
{
    unsigned count = 0;
    CL_LIST_FOREACH(node, &container->sandbox->processes)
    {
        const struct cl_process *process = CL_CONTAINER(node, struct cl_process, node);
        count += process->container == container && !cl_process_ended(process);
    }
    return count;
}
