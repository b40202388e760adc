/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "params.h"
#include "status.h"
#include "words.h"

/* A view of the engine while it is made: list and inspect. */
struct view {
    struct ct_instance *instance;
    cloister_value *object; /* what is being filled: array or object; NULL after a failure */
};

static void append(struct view *view, cloister_value *child)
{
    const struct cloister_value_api *values = view->instance->host->value;
    if (!view->object) {
        values->free(child);
    } else if (values->append(view->object, child) < 0) {
        values->free(view->object);
        view->object = NULL;
    }
}

static cloister_value *flags_of(const struct ct_instance *instance, uint32_t flags)
{
    struct view words = {(struct ct_instance *)instance, instance->host->value->new_array()};
    for (unsigned bit = 0; ct_sandbox_flag(bit); bit++) {
        if (flags & (1u << bit))
            append(&words, instance->host->value->new_string(ct_sv(ct_sandbox_flag(bit))));
    }
    return words.object;
}

static cloister_value *failure_of(const struct ct_instance *instance, const struct cloister_error *failure)
{
    char sentence[1024];
    if (failure->code == CLOISTER_OK)
        return instance->host->value->new_null();
    cloister_value *object = instance->host->value->new_object();
    (void)instance->host->log->error_sentence(failure, sentence, sizeof(sentence));
    ct_set_text(instance, &object, "code", ct_sv(instance->host->log->error_code_name(failure->code)));
    ct_set_text(instance, &object, "message", ct_sv(sentence));
    return object;
}

static cloister_value *sandbox_of(const struct ct_instance *instance, const struct cloister_sandbox_info *info)
{
    cloister_value *object = instance->host->value->new_object();
    ct_set_text(instance, &object, "id", info->id);
    ct_set_text(instance, &object, "name", info->name);
    ct_set_text(instance, &object, "service", info->service);
    ct_set_text(instance, &object, "state", ct_sv(ct_sandbox_state(info->state)));
    ct_set_text(instance, &object, "cause", ct_sv(ct_cause(info->cause)));
    ct_set(instance, &object, "flags", flags_of(instance, info->flags));
    ct_set_text(instance, &object, "isolation", info->isolation);
    ct_set_u64(instance, &object, "created_ms", info->created_real_ns / 1000000u);
    ct_set(instance, &object, "failure", failure_of(instance, &info->failure));
    return object;
}

static void add_container(void *ctx, const struct cloister_container_info *info)
{
    struct view *view = ctx;
    const struct ct_instance *instance = view->instance;
    cloister_value *object = instance->host->value->new_object();
    ct_set_text(instance, &object, "cid", info->cid);
    ct_set_text(instance, &object, "state", ct_sv(ct_container_state(info->state)));
    ct_set_u64(instance, &object, "pid", info->pid > 0 ? (uint64_t)info->pid : 0);
    ct_set_u64(instance, &object, "init", info->init);
    ct_set(instance, &object, "status", ct_status(instance, &info->status));
    ct_set_text(instance, &object, "rootfs", info->rootfs);
    ct_set_u64(instance, &object, "incarnation", info->incarnation);
    ct_set_bool(instance, &object, "frozen", info->frozen != 0);
    ct_set(instance, &object, "limits", ct_json(instance, info->limits));
    append(view, object);
}

static void add_process(void *ctx, const struct cloister_process_info *info)
{
    struct view *view = ctx;
    const struct ct_instance *instance = view->instance;
    cloister_value *object = instance->host->value->new_object();
    ct_set_u64(instance, &object, "process", info->process);
    ct_set_u64(instance, &object, "pid", info->pid > 0 ? (uint64_t)info->pid : 0);
    ct_set_text(instance, &object, "state", ct_sv(ct_process_state(info->state)));
    ct_set_bool(instance, &object, "is_init", info->is_init != 0);
    ct_set_text(instance, &object, "container", info->container);
    ct_set_text(instance, &object, "name", info->name);
    ct_set_text(instance, &object, "tag", info->tag);
    ct_set_bool(instance, &object, "captured", info->captured != 0);
    ct_set(instance, &object, "status", ct_status(instance, &info->status));
    ct_set_u64(instance, &object, "started_ms", info->started_real_ns / 1000000u);
    append(view, object);
}

struct label_view {
    struct view plain, secret;
};

/* Who may look may not therefore see secrets: of those only that they are there. */
static void add_label(void *ctx, struct cloister_sv key, struct cloister_sv value, uint32_t flags)
{
    struct label_view *labels = ctx;
    struct view *plain = &labels->plain;
    const struct cloister_value_api *values = plain->instance->host->value;
    if (flags & CLOISTER_LABEL_SECRET) {
        append(&labels->secret, values->new_string(key));
    } else if (plain->object && values->set(plain->object, key, values->new_string(value)) < 0) {
        values->free(plain->object);
        plain->object = NULL;
    }
}

static cloister_value *containers_of(struct ct_instance *instance, struct cloister_sv id)
{
    struct view view = {instance, instance->host->value->new_array()};
    (void)instance->host->engine->containers(instance->host, id, add_container, &view, NULL);
    return view.object;
}

/* ---- list ---- */

static void add_sandbox(void *ctx, const struct cloister_sandbox_info *info)
{
    struct view *view = ctx;
    cloister_value *object = sandbox_of(view->instance, info);
    ct_set_u64(view->instance, &object, "processes", info->process_count);
    append(view, object);
}

void ct_list(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *params_object)
{
    static const char *const known[] = {NULL};
    const struct cloister_value_api *values = instance->host->value;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, params_object, "", &err);
    struct view view = {instance, values->new_array()};
    if (!ct_params_known(&params, known)) {
        values->free(view.object);
        ct_answer_error(instance, exchange, &err);
        return;
    }
    (void)instance->host->engine->iterate(instance->host, add_sandbox, &view);
    /* Containers in a second pass: the strings of the first are only good until the engine is called again. */
    for (uint64_t i = 0; i < values->count(view.object); i++) {
        cloister_value *sandbox = values->at(view.object, i, NULL);
        struct cloister_sv id;
        if (values->string(values->get(sandbox, CLOISTER_SV("id")), &id) == 0)
            (void)values->set(sandbox, CLOISTER_SV("containers"), containers_of(instance, id));
    }
    cloister_value *answer = values->new_object();
    ct_set(instance, &answer, "sandboxes", view.object);
    (void)ct_answer(instance, exchange, answer);
}

/* ---- inspect ---- */

static void answer_inspected(struct ct_call *call, const struct cloister_result *result)
{
    cloister_value *document = call->document;
    call->document = NULL;
    ct_set(call->instance, &document, "backend", ct_json(call->instance, result ? result->json : CLOISTER_SV("")));
    (void)ct_answer(call->instance, call->exchange, document);
}

/* What isolation cannot tell just now (no contact, being destroyed) is no reason to tell nothing. */
static void described(void *ctx, cloister_op op, const struct cloister_error *error,
                      const struct cloister_result *result)
{
    ct_call_done(ctx, op, NULL, error ? NULL : result);
}

static cloister_value *inspect(struct ct_instance *instance, const char *id, struct cloister_error *err)
{
    const struct cloister_host *host = instance->host;
    struct cloister_sandbox_info info = {CLOISTER_INIT(struct cloister_sandbox_info)};
    struct label_view labels = {{instance, host->value->new_object()}, {instance, host->value->new_array()}};
    struct view processes = {instance, host->value->new_array()};
    cloister_value *object = NULL;
    if (host->engine->info(host, ct_sv(id), &info, err) == 0) {
        object = sandbox_of(instance, &info);
        (void)host->engine->labels(host, ct_sv(id), add_label, &labels, NULL);
        (void)host->engine->processes(host, ct_sv(id), add_process, &processes, NULL);
        ct_set(instance, &object, "containers", containers_of(instance, ct_sv(id)));
        ct_set(instance, &object, "labels", labels.plain.object);
        ct_set(instance, &object, "secret_labels", labels.secret.object);
        ct_set(instance, &object, "processes", processes.object);
        if (!object)
            host->log->error_set(err, CLOISTER_LIMIT, 12, "", "inspect", "inspect sandbox '%s'", id);
        return object;
    }
    host->value->free(labels.plain.object);
    host->value->free(labels.secret.object);
    host->value->free(processes.object);
    return NULL;
}

void ct_inspect(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT, ignored = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_describe_args args = {CLOISTER_INIT(struct cloister_describe_args)};
    struct ct_call *call = ct_call_new(instance, exchange);
    if (!call)
        return;
    (void)ct_params_known(&params, known);
    if (ct_target(&params, call->sandbox))
        call->document = inspect(instance, call->sandbox, &err);
    if (!call->document) {
        (void)ct_call_begun(call, 0, &err);
        return;
    }
    call->finish = answer_inspected;
    call->for_client_only = true;
    args.sandbox = ct_sv(call->sandbox);
    call->op = cloister_describe(instance->host, &args, described, call, &ignored);
    if (call->op == 0)
        described(call, 0, &ignored, NULL);
}

/* ---- the daemon ---- */

static bool no_params(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    if (ct_params_known(&params, known))
        return true;
    ct_answer_error(instance, exchange, &err);
    return false;
}

static void set_server(struct ct_instance *instance, cloister_value **answer)
{
    char server[64] = "cloister/";
    struct cloister_sv version = instance->host->system->version(instance->host);
    size_t used = strlen(server),
           size = version.size < sizeof(server) - used ? version.size : sizeof(server) - used - 1;
    memcpy(server + used, version.data, size);
    server[used + size] = 0;
    ct_set_text(instance, answer, "server", ct_sv(server));
}

void ct_version(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *params)
{
    char abi[32];
    if (!no_params(instance, exchange, params))
        return;
    cloister_value *answer = instance->host->value->new_object();
    (void)snprintf(abi, sizeof(abi), "%u.%u", (unsigned)instance->host->abi_major, (unsigned)instance->host->abi_minor);
    set_server(instance, &answer);
    ct_set_text(instance, &answer, "abi", ct_sv(abi));
    ct_set_u64(instance, &answer, "pid", (uint64_t)getpid());
    ct_set_text(instance, &answer, "instance", instance->host->system->instance(instance->host));
    (void)ct_answer(instance, exchange, answer);
}

static cloister_value *parsed(struct ct_instance *instance,
                              int32_t (*text_of)(const struct cloister_host *host, struct cloister_sv *ret))
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    cloister_value *value = NULL;
    struct cloister_sv text;
    if (text_of(instance->host, &text) == 0 && instance->host->value->parse(text, 0, 0, &value, &err) == 0)
        return value;
    instance->host->value->free(value);
    return NULL;
}

void ct_plugins(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *params)
{
    if (!no_params(instance, exchange, params))
        return;
    cloister_value *answer = instance->host->value->new_object();
    ct_set(instance, &answer, "plugins", parsed(instance, instance->host->system->plugins_json));
    (void)ct_answer(instance, exchange, answer);
}

void ct_health(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *params)
{
    if (no_params(instance, exchange, params))
        (void)ct_answer(instance, exchange, parsed(instance, instance->host->system->health_json));
}

void ct_shutdown(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *params)
{
    if (!no_params(instance, exchange, params))
        return;
    /* First the answer: the drain that follows lets it leave. */
    (void)ct_answer_empty(instance, exchange);
    instance->host->system->shutdown(instance->host, CLOISTER_SHUTDOWN_DAEMON, 0);
}

void ct_hello(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"protocol", "profile", "client", NULL};
    static const char *const profiles[] = {"control", NULL};
    const struct cloister_value_api *values = instance->host->value;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_sv client;
    uint64_t protocol = 1;
    (void)ct_params_known(&params, known);
    (void)ct_choice(&params, "profile", profiles, 0);
    if (ct_u64(&params, "protocol", &protocol) && protocol != 1)
        ct_wrong(&params, "protocol", "only version 1 is spoken here");
    if (ct_text(&params, "client", &client))
        cloister_log(instance->host, CLOISTER_DEBUG, "hello from '%.*s'", (int)(client.size < 64 ? client.size : 64),
                     client.data);
    if (params.failed) {
        ct_answer_error(instance, exchange, &err);
        return;
    }
    struct cloister_conn_info info = {CLOISTER_INIT(struct cloister_conn_info)};
    instance->host->exchange->conn_info(instance->host->exchange->conn(exchange), &info);
    cloister_value *answer = values->new_object(), *list = values->new_array();
    if (list && values->append(list, values->new_string(CLOISTER_SV("control"))) < 0) {
        values->free(list);
        list = NULL;
    }
    ct_set_u64(instance, &answer, "protocol", 1);
    set_server(instance, &answer);
    ct_set_u64(instance, &answer, "max_message", info.largest_request);
    ct_set(instance, &answer, "profiles", list);
    (void)ct_answer(instance, exchange, answer);
}
