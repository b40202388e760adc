/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include <string.h>
#include <unistd.h>

bool ct_stdio_take(struct ct_params *params, cloister_exchange *exchange, struct ct_stdio *ret_stdio)
{
    static const char *const roles[] = {"stdin", "stdout", "stderr"};
    const struct cloister_exchange_api *api = params->instance->host->exchange;
    memset(ret_stdio, 0, sizeof(*ret_stdio));
    if (params->failed)
        return false;
    int32_t extra = api->take_fd(exchange, CLOISTER_SV("extra"), 0);
    if (extra >= 0) {
        (void)close(extra);
        ct_wrong(params, "fds", "the role 'extra' has no meaning here");
        return false;
    }
    for (uint32_t i = 0; i < 3; i++) {
        int32_t fd = api->take_fd(exchange, ct_sv(roles[i]), 0);
        ret_stdio->entries[i].kind = fd >= 0 ? CLOISTER_STDIO_DESCRIPTOR : CLOISTER_STDIO_NULL;
        ret_stdio->entries[i].fd = fd;
        if (fd >= 0)
            ret_stdio->count = 3;
    }
    return true;
}

void ct_stdio_end(struct ct_stdio *stdio, bool moved)
{
    for (uint32_t i = 0; i < stdio->count && !moved; i++) {
        if (stdio->entries[i].kind == CLOISTER_STDIO_DESCRIPTOR)
            (void)close(stdio->entries[i].fd);
    }
    stdio->count = 0;
}

static bool no_memory(struct ct_params *params)
{
    params->failed = true;
    params->instance->host->log->error_set(params->err, CLOISTER_LIMIT, 12, "", "params", "read the process");
    return false;
}

static bool read_env(struct ct_params *params, const char *key, const cloister_value *oci, struct ct_process *process)
{
    const struct cloister_value_api *values = params->instance->host->value;
    const cloister_value *env = values->get(oci, CLOISTER_SV("env"));
    uint64_t count = values->count(env);
    if (values->type(env) == CLOISTER_VALUE_NONE || values->type(env) == CLOISTER_VALUE_NULL)
        return true;
    if (values->type(env) != CLOISTER_VALUE_ARRAY) {
        ct_wrong(params, key, "env: expected an array of strings");
        return false;
    }
    process->env = calloc(count + 1, sizeof(*process->env));
    if (!process->env)
        return no_memory(params);
    for (uint64_t i = 0; i < count; i++) {
        struct cloister_sv *entry = &process->env[i];
        if (values->string(values->at(env, i, NULL), entry) < 0 || !entry->size ||
            !memchr(entry->data, '=', entry->size)) {
            ct_wrong(params, key, "env: expected strings of the form KEY=value");
            return false;
        }
    }
    process->args.env = process->env;
    process->args.env_count = count;
    return true;
}

bool ct_process_read(struct ct_params *params, const char *key, const cloister_value *oci, const struct ct_stdio *stdio,
                     struct ct_process *ret_process)
{
    const struct cloister_value_api *values = params->instance->host->value;
    memset(ret_process, 0, sizeof(*ret_process));
    ret_process->args.struct_size = sizeof(ret_process->args);
    ret_process->args.stdio = stdio->entries;
    ret_process->args.stdio_count = stdio->count;
    ret_process->args.stdio_size = sizeof(stdio->entries[0]);
    if (params->failed || !read_env(params, key, oci, ret_process))
        return false;
    cloister_value *rest = values->copy(oci);
    bool printed =
        rest && values->remove(rest, CLOISTER_SV("env")) >= 0 && values->print(rest, 0, &ret_process->text) == 0;
    values->free(rest);
    if (!printed)
        return no_memory(params);
    ret_process->args.oci = ret_process->text;
    return true;
}

void ct_process_end(struct ct_instance *instance, struct ct_process *process)
{
    if (process->text.data)
        instance->host->value->free_text(process->text);
    free(process->env);
}
