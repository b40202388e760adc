/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "core/engine/sandbox.h"
#include "core/error/error.h"
#include "core/util/mem.h"

/* Never reused: the store's epoch grows with each start of the daemon, the counter within it. */
static cloister_process next_number(struct cl_sandbox *sandbox)
{
    uint64_t epoch = cl_store_epoch(sandbox->store);
    return (epoch & UINT32_MAX) << 32 | ++sandbox->engine->last_process;
}

static int process_make(struct cl_container *container, cloister_process number, struct cloister_sv name, bool is_init,
                        struct cl_process **ret)
{
    struct cl_sandbox *sandbox = container->sandbox;
    if (cl_map_get_u64(&sandbox->by_number, number))
        return -EEXIST;
    struct cl_process *process = cl_new(struct cl_process);
    if (!process)
        return -ENOMEM;
    process->sandbox = sandbox;
    process->container = container;
    process->state = CLOISTER_PROCESS_STARTING;
    process->is_init = is_init;
    process->number = number;
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

int cl_process_new(struct cl_container *container, struct cloister_sv name, bool is_init, struct cl_process **ret)
{
    if (container->sandbox->engine->last_process == UINT32_MAX)
        return -EOVERFLOW;
    int r = process_make(container, next_number(container->sandbox), name, is_init, ret);
    if (r == 0)
        (*ret)->held = true;
    return r;
}

int cl_process_restore(struct cl_container *container, cloister_process number, struct cloister_sv name, bool is_init,
                       struct cl_process **ret)
{
    return process_make(container, number, name, is_init, ret);
}

int cl_process_set_tag(struct cl_process *process, struct cloister_sv tag)
{
    char *copy = tag.size ? cl_memdup(tag.data, tag.size) : NULL;
    if (tag.size && !copy)
        return -ENOMEM;
    free((void *)(uintptr_t)process->tag.data);
    process->tag = cl_sv(copy, tag.size);
    return 0;
}

void cl_process_set_stdio(struct cl_process *process, const struct cloister_stdio *stdio, uint64_t count)
{
    process->captured = false;
    for (uint64_t i = 1; i < count; i++)
        process->captured |= stdio[i].kind == CLOISTER_STDIO_PIPE || stdio[i].kind == CLOISTER_STDIO_PTY;
}

int cl_process_describe(struct cl_process *process, const struct cloister_process_args *args)
{
    cl_process_set_stdio(process, args->stdio, args->stdio_count);
    return cl_process_set_tag(process, args->tag);
}

void cl_process_set_outputs(struct cl_process *process, const struct cloister_output_end *from, uint64_t count,
                            uint64_t stride)
{
    process->output_count = 0;
    for (uint64_t i = 0; from && i < count && process->output_count < CL_PROCESS_OUTPUTS; i++) {
        struct cloister_output_end *end = &process->outputs[process->output_count];
        cl_element_copy(end, sizeof(*end), from, stride, i);
        end->flags &= CLOISTER_OUTPUT_BY_DEADLINE;
        end->reserved[0] = end->reserved[1] = 0;
        process->output_count++;
    }
}

void cl_process_free(struct cl_process *process)
{
    if (process->container->init == process)
        process->container->init = NULL;
    cl_list_remove(&process->exit.node);
    cl_list_remove(&process->drained.node);
    (void)cl_map_remove_u64(&process->sandbox->by_number, process->number);
    cl_list_remove(&process->node);
    free((void *)(uintptr_t)process->tag.data);
    free(process->name);
    free(process);
}

struct cl_process *cl_process_find(const struct cl_sandbox *sandbox, cloister_process number,
                                   struct cloister_error *err)
{
    struct cl_process *process = cl_map_get_u64(&sandbox->by_number, number);
    if (process && !process->disowned && !process->released)
        return process;
    (void)cl_error_set(err, CLOISTER_NO_ENTITY, 0, NULL, "process", "sandbox '%.*s' has no process %llu",
                       CL_SV_ARG(sandbox->name), (unsigned long long)number);
    return NULL;
}

int cl_process_check(const struct cl_sandbox *sandbox, cloister_process number, struct cloister_error *err)
{
    return sandbox->recovering || cl_process_find(sandbox, number, err) ? 0 : -ENOENT;
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
