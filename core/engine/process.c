/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "core/engine/sandbox.h"
#include "core/error/error.h"
#include "core/util/mem.h"

/* Never reused: the store's epoch grows with each start of the daemon, the counter within it. */
static cloister_process next_number(struct cl_sandbox *sandbox)
{
    uint64_t epoch = cl_store_epoch(sandbox->service->store);
    return (epoch & UINT32_MAX) << 32 | ++sandbox->engine->last_process;
}

int cl_process_new(struct cl_container *container, struct cloister_sv name, bool is_init, struct cl_process **ret)
{
    struct cl_sandbox *sandbox = container->sandbox;
    if (sandbox->engine->last_process == UINT32_MAX)
        return -EOVERFLOW;
    struct cl_process *process = cl_new(struct cl_process);
    if (!process)
        return -ENOMEM;
    process->sandbox = sandbox;
    process->container = container;
    process->state = CLOISTER_PROCESS_STARTING;
    process->is_init = is_init;
    process->held = true;
    process->number = next_number(sandbox);
    cl_list_init(&process->waiters);
    cl_list_init(&process->exit.node);
    cl_list_init(&process->drained.node);
    cl_list_append(&sandbox->processes, &process->node);
    process->name = cl_sv_dup(name.size ? name : CLOISTER_SV(""));
    if (!process->name || cl_map_put_u64(&sandbox->by_number, process->number, process) < 0) {
        cl_process_free(process);
        return -ENOMEM;
    }
    *ret = process;
    return 0;
}

void cl_process_free(struct cl_process *process)
{
    if (process->container->init == process)
        process->container->init = NULL;
    cl_list_remove(&process->exit.node);
    cl_list_remove(&process->drained.node);
    (void)cl_map_remove_u64(&process->sandbox->by_number, process->number);
    cl_list_remove(&process->node);
    free(process->name);
    free(process);
}

struct cl_process *cl_process_find(const struct cl_sandbox *sandbox, cloister_process number,
                                   struct cloister_error *err)
{
    struct cl_process *process = cl_map_get_u64(&sandbox->by_number, number);
    if (process && !process->disowned)
        return process;
    (void)cl_error_set(err, CLOISTER_NO_ENTITY, 0, NULL, "process", "sandbox '%.*s' has no process %llu",
                       CL_SV_ARG(sandbox->name), (unsigned long long)number);
    return NULL;
}

struct cl_process *cl_process_named(const struct cl_container *container, struct cloister_sv name)
{
    CL_LIST_FOREACH(node, &container->sandbox->processes)
    {
        struct cl_process *process = CL_CONTAINER(node, struct cl_process, node);
        if (process->container == container && !cl_process_ended(process) && cl_sv_is(name, process->name))
            return process;
    }
    return NULL;
}

bool cl_process_ended(const struct cl_process *process)
{
    return process->state >= CLOISTER_PROCESS_EXITED;
}
