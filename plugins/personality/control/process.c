/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include <string.h>

#define DRAIN_MS_MAX (1ull << 40)
#define TAG_MAX 1024u

static bool no_memory(struct ct_params *params)
{
    ct_no_memory(params, "process");
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

static void read_drain(struct ct_params *params, const char *key, uint64_t *ret_ns)
{
    uint64_t ms;
    if (!ct_u64(params, key, &ms))
        return;
    if (ms == 0 || ms > DRAIN_MS_MAX)
        ct_wrong(params, key, "expected milliseconds, 1 to 2^40");
    else
        *ret_ns = ms * 1000000u;
}

static void read_flag(struct ct_params *params, const char *key, uint32_t flag, uint32_t *flags)
{
    bool yes = false;
    (void)ct_bool(params, key, &yes);
    *flags |= yes ? flag : 0;
}

/* Who it runs as, found out inside. Without `user` the numbers of OCI hold, and there is nothing to resolve. */
static void read_who(struct ct_params *params, struct ct_process *process)
{
    static const char *const known[] = {"groups", "env", "cwd", "nonroot_capabilities", NULL};
    struct cloister_resolve_args *resolve = &process->resolve;
    const cloister_value *object = NULL;
    bool named = ct_text(params, "user", &resolve->user);
    if (ct_object(params, "resolve", &object) && !named)
        ct_wrong(params, "resolve", "stands without 'user'");
    if (params->failed || !named)
        return;
    process->args.resolve = resolve;
    if (!object)
        return;
    struct ct_params flags = CT_PARAMS(params->instance, object, "resolve.", params->err);
    (void)ct_params_known(&flags, known);
    read_flag(&flags, "groups", CLOISTER_RESOLVE_GROUPS, &resolve->flags);
    read_flag(&flags, "env", CLOISTER_RESOLVE_ENV, &resolve->flags);
    read_flag(&flags, "cwd", CLOISTER_RESOLVE_CWD, &resolve->flags);
    (void)ct_object_text(&flags, "nonroot_capabilities", &process->capabilities);
    resolve->nonroot_capabilities = process->capabilities;
    params->failed = flags.failed;
}

static void read_beside(struct ct_params *params, struct cloister_process_args *args)
{
    int64_t nice = 0;
    (void)ct_range(params, "nice", -20, 19, &nice);
    args->nice = (int32_t)nice;
    (void)ct_text(params, "search", &args->search);

    read_drain(params, "drain_idle_ms", &args->drain_idle);
    read_drain(params, "drain_max_ms", &args->drain_max);
    if (ct_text(params, "tag", &args->tag) && args->tag.size > TAG_MAX)
        ct_wrong(params, "tag", "longer than 1024 bytes");
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
    ret_process->resolve.struct_size = sizeof(ret_process->resolve);
    read_beside(params, &ret_process->args);
    read_who(params, ret_process);
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
    ct_text_free(instance, process->text);
    ct_text_free(instance, process->capabilities);
    free(process->env);
}
