/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted, and who lives there. */
#include <string.h>

#include "params.h"

/* What stats and procs are about. */
struct subject {
    uint32_t scope; /* enum cloister_scope */
    struct cloister_sv container;
    cloister_process process;
};

static void read_subject(struct ct_params *params, struct subject *ret_subject)
{
    bool contained = ct_text(params, "container", &ret_subject->container);
    bool one = ct_process_number(params, &ret_subject->process);
    ret_subject->scope = one ? CLOISTER_SCOPE_PROCESS : contained ? CLOISTER_SCOPE_CONTAINER : CLOISTER_SCOPE_SANDBOX;
}

/* size is the giver's: its elements may be longer or shorter than ours. */
static void element(void *ret, size_t ours, const void *array, uint64_t index, uint64_t size)
{
    memset(ret, 0, ours);
    memcpy(ret, (const char *)array + index * size, size < ours ? size : ours);
}

/* ---- stats ---- */

static void answer_stats(struct ct_call *call, const struct cloister_result *result)
{
    struct ct_instance *instance = call->instance;
    cloister_value *answer = instance->host->value->new_object(), *stats = instance->host->value->new_object();
    for (uint64_t i = 0; i < result->stat_count; i++) {
        struct cloister_stat stat;
        element(&stat, sizeof(stat), result->stats, i, result->stat_size);
        if (stats && instance->host->value->set(stats, stat.key, instance->host->value->new_u64(stat.value)) < 0) {
            instance->host->value->free(stats);
            stats = NULL;
        }
    }
    ct_set(instance, &answer, "stats", stats);
    ct_set_u64(instance, &answer, "sampled_mono_ns", result->sampled_mono_ns);
    (void)ct_answer(instance, call->exchange, answer);
}

/* The scope, said or told by what is named; and what is said beside it has to belong to it. */
static void read_scope(struct ct_params *params, struct subject *subject)
{
    static const char *const scopes[] = {"machine", "sandbox", "container", "process", NULL}; /* less one */
    static const char *const strangers[] = {"id", "name", "container", "process"};
    read_subject(params, subject);
    subject->scope = ct_choice(params, "scope", scopes, subject->scope - 1) + 1;
    unsigned first = subject->scope == CLOISTER_SCOPE_MACHINE ? 0 : subject->scope == CLOISTER_SCOPE_SANDBOX ? 2 : 3;
    for (unsigned i = first; i < 4 && subject->scope != CLOISTER_SCOPE_PROCESS; i++) {
        if (ct_has(params, strangers[i]))
            ct_wrong(params, strangers[i], "has no meaning in this scope");
    }
    if (subject->scope == CLOISTER_SCOPE_PROCESS)
        (void)ct_need(params, "process", subject->process != 0);
}

/* To set a peak back is more than looking. */
static void read_flags(struct ct_params *params, cloister_exchange *exchange, uint32_t *ret_flags)
{
    const struct cloister_host *host = params->instance->host;
    struct cloister_conn_info info = {CLOISTER_INIT(struct cloister_conn_info)};
    bool reset = false, raw = false;
    (void)ct_bool(params, "reset_peak", &reset);
    (void)ct_bool(params, "raw", &raw);
    *ret_flags = (reset ? CLOISTER_STATS_RESET_PEAK : 0) | (raw ? CLOISTER_STATS_RAW : 0);
    host->exchange->conn_info(host->exchange->conn(exchange), &info);
    if (params->failed || !reset || info.access >= CLOISTER_ACCESS_CONTROL)
        return;
    params->failed = true;
    host->log->error_set(params->err, CLOISTER_DENIED, 0, "reset_peak", "params",
                         "key 'reset_peak': permission denied to who may only observe");
}

void ct_stats(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", "scope", "container", "process", "reset_peak", "raw", NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_stats_args args = {CLOISTER_INIT(struct cloister_stats_args)};
    struct subject subject = {0};
    struct ct_call *call = ct_call_new(instance, exchange);
    cloister_op op = 0;
    if (!call)
        return;
    (void)ct_params_known(&params, known);
    read_scope(&params, &subject);
    read_flags(&params, exchange, &args.flags);
    args.scope = subject.scope;
    args.container = subject.container;
    args.process = subject.process;
    call->finish = answer_stats;
    call->for_client_only = true;
    if (args.scope == CLOISTER_SCOPE_MACHINE ? !params.failed : ct_target(&params, call->sandbox)) {
        args.sandbox = ct_sv(call->sandbox);
        op = cloister_stats(instance->host, &args, ct_call_done, call, &err);
    }
    (void)ct_call_begun(call, op, &err);
}

/* ---- procs ---- */

static uint64_t real_ms(const struct cloister_host *host, uint64_t boot_ns)
{
    uint64_t real = host->system->now_real(), ago = host->system->now_boot() - boot_ns;
    return (real > ago ? real - ago : 0) / 1000000u;
}

static void answer_procs(struct ct_call *call, const struct cloister_result *result)
{
    struct ct_instance *instance = call->instance;
    const struct cloister_value_api *values = instance->host->value;
    cloister_value *answer = values->new_object(), *list = values->new_array();
    for (uint64_t i = 0; list && i < result->proc_count; i++) {
        struct cloister_proc proc;
        element(&proc, sizeof(proc), result->procs, i, result->proc_size);
        cloister_value *entry = values->new_object();
        ct_set_u64(instance, &entry, "pid", proc.pid > 0 ? (uint64_t)proc.pid : 0);
        ct_set_u64(instance, &entry, "process", proc.process);
        ct_set_text(instance, &entry, "comm", proc.comm);
        ct_set_u64(instance, &entry, "started_ms", real_ms(instance->host, proc.started_boot_ns));
        if (values->append(list, entry) < 0) {
            values->free(list);
            list = NULL;
        }
    }
    ct_set(instance, &answer, "procs", list);
    (void)ct_answer(instance, call->exchange, answer);
}

void ct_procs(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", "container", "process", NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_procs_args args = {CLOISTER_INIT(struct cloister_procs_args)};
    struct subject subject = {0};
    struct ct_call *call = ct_call_new(instance, exchange);
    cloister_op op = 0;
    if (!call)
        return;
    (void)ct_params_known(&params, known);
    read_subject(&params, &subject);
    args.scope = subject.scope;
    args.container = subject.container;
    args.process = subject.process;
    call->finish = answer_procs;
    call->for_client_only = true;
    if (ct_target(&params, call->sandbox)) {
        args.sandbox = ct_sv(call->sandbox);
        op = cloister_procs(instance->host, &args, ct_call_done, call, &err);
    }
    (void)ct_call_begun(call, op, &err);
}
