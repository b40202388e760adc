/* SPDX-License-Identifier: Apache-2.0 */
/* A persistence plugin or wrapper that tells through its host's log what is done to it, and whose create can be made to
 * fail. */
#include <cloister/host.h>
#include <stdlib.h>

#include "bend.h"
#include "options.h"

enum fate { FINE, FAILS, FAILS_SILENTLY };

#ifndef FATE
#define FATE FINE
#endif

struct trace {
    const struct cloister_host *host;
    const struct cloister_persistence *next; /* wrappers */
    void *next_instance;
};

static int32_t create_trace(const struct cloister_create_args *args, void **ret_instance, struct cloister_error *err)
{
    const struct cloister_option_value *number = &args->options[1];
    if (FATE == FAILS)
        args->host->log->error_set(err, CLOISTER_UNSUPPORTED, 0, "moon", "create", "the moon is not full");
    if (FATE != FINE)
        return -1;
    struct trace *trace = calloc(1, sizeof(*trace));
    if (!trace)
        return -1;
    trace->host = args->host;
    trace->next = args->next_vtable;
    trace->next_instance = args->next_instance;
    cloister_log(trace->host, CLOISTER_INFO, "create %s '%.*s' n=%llu%s", NAME, (int)args->name.size, args->name.data,
                 (unsigned long long)(args->option_count > 1 ? number->number : 0), trace->next ? " wrapping" : "");
    *ret_instance = trace;
    return 0;
}

static void destroy_trace(void *instance)
{
    struct trace *trace = instance;
    cloister_log(trace->host, CLOISTER_INFO, "destroy %s", NAME);
    free(trace);
}

static void open_store(void *instance, const struct cloister_store_open_args *args, cloister_op op)
{
    const struct trace *trace = instance;
    cloister_log(trace->host, CLOISTER_INFO, "open %s", NAME);
    if (trace->next)
        trace->next->open(trace->next_instance, args, op);
}

static void list(void *instance, const struct cloister_store_list_args *args, cloister_op op)
{
}

static void get(void *instance, const struct cloister_store_get_args *args, cloister_op op)
{
}

static void put(void *instance, const struct cloister_store_put_args *args, cloister_op op)
{
}

static void remove_set(void *instance, const struct cloister_store_destroy_args *args, cloister_op op)
{
}

static void cancel(void *instance, cloister_op op)
{
}

static void close_store(void *instance)
{
}

static const struct cloister_persistence vtable = {
    CLOISTER_INIT(struct cloister_persistence),
    .life = {create_trace, destroy_trace},
    .open = open_store,
    .list = list,
    .get = get,
    .put = put,
    .destroy = remove_set,
    .cancel = cancel,
    .close = close_store,
};

static const struct cloister_plugin descriptor = BENT(CLOISTER_KIND_PERSISTENCE);

CLOISTER_PLUGIN_REGISTER(descriptor)
