/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "process.h"
#include "status.h"
#include "words.h"

/* ---- start, exec ---- */

static void answer_started(struct ct_call *call, const struct cloister_result *result)
{
    struct ct_instance *instance = call->instance;
    cloister_value *answer = instance->host->value->new_object();
    ct_set_u64(instance, &answer, "pid", result->pid > 0 ? (uint64_t)result->pid : 0);
    ct_set_u64(instance, &answer, "process", result->process);
    (void)ct_answer(instance, call->exchange, answer);
}

static void answer_executed(struct ct_call *call, const struct cloister_result *result)
{
    struct ct_instance *instance = call->instance;
    cloister_value *answer = instance->host->value->new_object();
    ct_set_u64(instance, &answer, "pid", result->pid > 0 ? (uint64_t)result->pid : 0);
    ct_set_u64(instance, &answer, "process", result->process);
    ct_set_u64(instance, &answer, "uid", result->uid);
    ct_set_u64(instance, &answer, "gid", result->gid);
    if (result->home.size > 0)
        ct_set_text(instance, &answer, "home", result->home);
    (void)ct_answer(instance, call->exchange, answer);
}

void ct_start(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", "container", "stdio", "deadline_ms", NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_container_start_args args = {CLOISTER_INIT(struct cloister_container_start_args)};
    struct ct_stdio stdio = {0};
    struct ct_call *call = NULL;
    char id[CT_ID_MAX + 1];
    bool moved = false;
    (void)ct_params_known(&params, known);
    (void)ct_text(&params, "container", &args.container);
    args.deadline = ct_deadline(&params);
    if (!ct_target(&params, id) || !ct_stdio_take(&params, exchange, &stdio))
        ct_answer_error(instance, exchange, &err);
    else
        call = ct_call_new(instance, exchange);
    if (call) {
        call->finish = answer_started;
        args.sandbox = ct_sv(id);
        args.stdio = stdio.entries;
        args.stdio_count = stdio.count;
        args.stdio_size = sizeof(stdio.entries[0]);
        moved = ct_call_begun(call, cloister_container_start(instance->host, &args, ct_call_done, call, &err), &err);
    }
    ct_stdio_end(&stdio, moved);
}

static bool read_exec(struct ct_params *params, cloister_exchange *exchange, struct cloister_exec_args *args, char *id,
                      struct ct_stdio *stdio, struct ct_process *process)
{
    static const char *const known[] = {
        "id",        "name",        "container",          "process_name", "process",       "session",
        "resources", "deadline_ms", "env_from_container", "own_cgroup",   CT_PROCESS_KEYS, NULL};
    static const char *const sessions[] = {"setsid", "setpgid", "inherit", NULL};
    static const uint32_t session_numbers[] = {CLOISTER_SESSION_SETSID, CLOISTER_SESSION_SETPGID,
                                               CLOISTER_SESSION_INHERIT};
    const cloister_value *oci = NULL;
    bool inherits = false, grouped = false;
    (void)ct_params_known(params, known);
    (void)ct_bool(params, "env_from_container", &inherits);
    (void)ct_bool(params, "own_cgroup", &grouped);
    args->flags = (inherits ? CLOISTER_EXEC_ENV_FROM_CONTAINER : 0) | (grouped ? CLOISTER_EXEC_OWN_CGROUP : 0);
    if (ct_object_text(params, "resources", &args->resources) && !grouped)
        ct_wrong(params, "resources", "only with 'own_cgroup'");
    (void)ct_text(params, "container", &args->container);
    (void)ct_text(params, "process_name", &args->name);
    args->deadline = ct_deadline(params);
    unsigned session = ct_choice(params, "session", sessions, 0);
    if (!ct_need(params, "process", ct_object(params, "process", &oci)) || !ct_target(params, id) ||
        !ct_stdio_take(params, exchange, stdio) || !ct_process_read(params, "process", oci, stdio, process))
        return false;
    process->args.session = session_numbers[session];
    args->process = &process->args;
    args->sandbox = ct_sv(id);
    return true;
}

void ct_exec(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_exec_args args = {CLOISTER_INIT(struct cloister_exec_args)};
    struct ct_stdio stdio = {0};
    struct ct_process process = {0};
    struct ct_call *call = NULL;
    char id[CT_ID_MAX + 1];
    bool moved = false;
    if (!read_exec(&params, exchange, &args, id, &stdio, &process))
        ct_answer_error(instance, exchange, &err);
    else
        call = ct_call_new(instance, exchange);
    if (call) {
        call->finish = answer_executed;
        moved = ct_call_begun(call, cloister_exec(instance->host, &args, ct_call_done, call, &err), &err);
    }
    ct_stdio_end(&stdio, moved);
    ct_process_end(instance, &process);
    ct_text_free(instance, args.resources);
}

/* ---- wait ---- */

struct search {
    cloister_process process;
    bool found, is_init, captured;
};

static void look_at(void *ctx, const struct cloister_process_info *info)
{
    struct search *search = ctx;
    if (info->process != search->process)
        return;
    search->found = true;
    search->is_init = info->is_init != 0;
    search->captured = info->captured != 0;
}

static void on_released(void *ctx, cloister_op op, const struct cloister_error *error,
                        const struct cloister_result *result)
{
    const struct ct_instance *instance = ctx;
    (void)op;
    (void)result;
    if (error && error->code != CLOISTER_NO_ENTITY)
        cloister_log(instance->host, CLOISTER_WARNING, "an exit was answered but not released: %s", error->chain);
}

/*
 * An exit is on record until somebody was told. A further process is released with the first answered wait (another
 * waiter of the same exit is answered all the same); the init's record is the container's, it goes with the sandbox;
 * and with captured output only its readers know when it may go.
 */
static void release(struct ct_instance *instance, const char *sandbox, cloister_process process)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct search search = {.process = process};
    struct cloister_release_args args = {CLOISTER_INIT(struct cloister_release_args), .sandbox = ct_sv(sandbox),
                                         .process = process};
    (void)instance->host->engine->processes(instance->host, ct_sv(sandbox), look_at, &search, NULL);
    if (!search.found || search.is_init || search.captured)
        return;
    if (cloister_release(instance->host, &args, on_released, instance, &err) == 0)
        on_released(instance, 0, &err, NULL);
}

static void answer_waited(struct ct_call *call, const struct cloister_result *result)
{
    struct ct_instance *instance = call->instance;
    cloister_value *answer = instance->host->value->new_object();
    ct_set_u64(instance, &answer, "process", result->process);
    ct_set(instance, &answer, "status", ct_status(instance, &result->status));
    ct_set(instance, &answer, "outputs",
           ct_outputs(instance, result->outputs, result->output_count, result->output_size));
    if (ct_answer(instance, call->exchange, answer))
        release(instance, call->sandbox, result->process);
}

void ct_wait(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", "container", "process", "until", "deadline_ms", NULL};
    static const char *const ends[] = {"exit", "drained", NULL}; /* enum cloister_wait_until, less one */
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_wait_args args = {CLOISTER_INIT(struct cloister_wait_args)};
    struct ct_call *call = ct_call_new(instance, exchange);
    if (!call)
        return;
    (void)ct_params_known(&params, known);
    (void)ct_text(&params, "container", &args.container);
    (void)ct_process_number(&params, &args.process);
    args.until = ct_choice(&params, "until", ends, 0) + CLOISTER_WAIT_EXIT;
    args.deadline = ct_deadline(&params);
    call->finish = answer_waited;
    call->for_client_only = true;
    cloister_op op = 0;
    if (ct_target(&params, call->sandbox)) {
        args.sandbox = ct_sv(call->sandbox);
        op = cloister_wait(instance->host, &args, ct_call_done, call, &err);
    }
    (void)ct_call_begun(call, op, &err);
}

/* ---- signal ---- */

static cloister_op send_signal(struct ct_params *params, struct ct_call *call, struct cloister_error *err)
{
    static const char *const known[] = {"id", "name", "process", "container", "set", "signal", NULL};
    static const char *const sets[] = {"init", "all", NULL};
    const struct cloister_host *host = params->instance->host;
    struct cloister_sv container = {NULL, 0};
    cloister_process process = 0;
    (void)ct_params_known(params, known);
    uint32_t number = ct_signal_param(params, 0);
    unsigned set = ct_choice(params, "set", sets, 0);
    bool one = ct_u64(params, "process", &process);
    bool whole = ct_text(params, "container", &container) || host->value->get(params->object, CLOISTER_SV("set"));
    if (one && whole)
        ct_wrong(params, "process", "stands beside 'container' or 'set'; one of them is wanted");
    if (!ct_target(params, call->sandbox))
        return 0;
    if (one) {
        struct cloister_signal_args args = {CLOISTER_INIT(struct cloister_signal_args), .signal = number,
                                            .sandbox = ct_sv(call->sandbox), .process = process,
                                            .scope = CLOISTER_SIGNAL_PROCESS};
        return cloister_signal(host, &args, ct_call_done, call, err);
    }
    struct cloister_container_kill_args args = {
        CLOISTER_INIT(struct cloister_container_kill_args), .set = set == 0 ? CLOISTER_KILL_INIT : CLOISTER_KILL_ALL,
        .sandbox = ct_sv(call->sandbox), .container = container, .signal = number};
    return cloister_container_kill(host, &args, ct_call_done, call, err);
}

void ct_signal(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct ct_call *call = ct_call_new(instance, exchange);
    if (call)
        (void)ct_call_begun(call, send_signal(&params, call, &err), &err);
}

/* ---- destroy ---- */

void ct_destroy(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", "force", "deadline_ms", NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_sandbox_destroy_args args = {CLOISTER_INIT(struct cloister_sandbox_destroy_args)};
    struct ct_call *call = ct_call_new(instance, exchange);
    bool force;
    if (!call)
        return;
    (void)ct_params_known(&params, known);
    if (ct_bool(&params, "force", &force))
        args.flags = force ? CLOISTER_DESTROY_FORCE : CLOISTER_DESTROY_REFUSE_IF_RUNNING;
    args.deadline = ct_deadline(&params);
    cloister_op op = 0;
    if (ct_target(&params, call->sandbox)) {
        args.sandbox = ct_sv(call->sandbox);
        op = cloister_sandbox_destroy(instance->host, &args, ct_call_done, call, &err);
    }
    (void)ct_call_begun(call, op, &err);
}

/* ---- release, commit ---- */

void ct_release(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", "process", NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_release_args args = {CLOISTER_INIT(struct cloister_release_args)};
    struct ct_call *call = ct_call_new(instance, exchange);
    cloister_op op = 0;
    if (!call)
        return;
    (void)ct_params_known(&params, known);
    (void)ct_need(&params, "process", ct_process_number(&params, &args.process));
    if (ct_target(&params, call->sandbox)) {
        args.sandbox = ct_sv(call->sandbox);
        op = cloister_release(instance->host, &args, ct_call_done, call, &err);
    }
    (void)ct_call_begun(call, op, &err);
}

void ct_commit(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_sandbox_commit_args args = {CLOISTER_INIT(struct cloister_sandbox_commit_args)};
    struct ct_call *call = ct_call_new(instance, exchange);
    cloister_op op = 0;
    if (!call)
        return;
    (void)ct_params_known(&params, known);
    if (ct_target(&params, call->sandbox)) {
        args.sandbox = ct_sv(call->sandbox);
        op = cloister_sandbox_commit(instance->host, &args, ct_call_done, call, &err);
    }
    (void)ct_call_begun(call, op, &err);
}
