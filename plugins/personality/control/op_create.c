/* SPDX-License-Identifier: Apache-2.0 */
#include "container.h"
#include "labels.h"
#include "words.h"

static void answer_created(struct ct_call *call, const struct cloister_result *result)
{
    struct ct_instance *instance = call->instance;
    const struct cloister_host *host = instance->host;
    struct cloister_sandbox_info info = {CLOISTER_INIT(struct cloister_sandbox_info)};
    cloister_value *answer = host->value->new_object();
    ct_set_text(instance, &answer, "id", result->sandbox);
    ct_set_u64(instance, &answer, "pid", result->pid > 0 ? (uint64_t)result->pid : 0);
    ct_set_u64(instance, &answer, "process", result->process);
    ct_set_text(instance, &answer, "state", ct_sv(ct_container_state(result->container_state)));
    if (host->engine->info(host, result->sandbox, &info, NULL) == 0)
        ct_set_text(instance, &answer, "name", info.name);
    (void)ct_answer(instance, call->exchange, answer);
}

/* ---- create ---- */

/* Everything of one create until the engine has copied it. */
struct create {
    struct ct_params params;
    struct ct_labels labels;
    struct ct_container container;
    struct cloister_sandbox_create_args args;
};

static void read_create(struct create *create, cloister_exchange *exchange)
{
    static const char *const known[] = {"name",          "isolation", "labels",      "secret_labels",   "provisional",
                                        "cgroup_parent", "resources", "deadline_ms", CT_CONTAINER_KEYS, NULL};
    struct ct_params *params = &create->params;
    bool provisional = false;
    create->args.struct_size = sizeof(create->args);
    create->args.container = &create->container.args;
    if (!ct_params_known(params, known))
        return;
    (void)ct_text(params, "name", &create->args.name);
    (void)ct_text(params, "isolation", &create->args.isolation);
    (void)ct_text(params, "cgroup_parent", &create->args.cgroup_parent);
    (void)ct_object_text(params, "resources", &create->args.resources);
    create->args.deadline = ct_deadline(params);
    if (ct_bool(params, "provisional", &provisional) && provisional)
        create->args.flags |= CLOISTER_SANDBOX_PROVISIONAL;
    if (ct_labels_read(params, &create->labels)) {
        create->args.labels = create->labels.entries;
        create->args.label_count = create->labels.count;
        create->args.label_size = sizeof(*create->labels.entries);
    }
    (void)ct_container_read(params, exchange, &create->container);
}

void ct_create(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct create create = {.params = CT_PARAMS(instance, object, "", &err)};
    struct ct_call *call = NULL;
    bool moved = false;
    read_create(&create, exchange);
    if (create.params.failed)
        ct_answer_error(instance, exchange, &err);
    else
        call = ct_call_new(instance, exchange);
    if (call) {
        call->finish = answer_created;
        moved =
            ct_call_begun(call, cloister_sandbox_create(instance->host, &create.args, ct_call_done, call, &err), &err);
    }
    ct_container_end(instance, &create.container, moved);
    ct_text_free(instance, create.args.resources);
    ct_labels_end(&create.labels);
}

/* ---- container_create ---- */

static void answer_made(struct ct_call *call, const struct cloister_result *result)
{
    struct ct_instance *instance = call->instance;
    cloister_value *answer = instance->host->value->new_object();
    ct_set_u64(instance, &answer, "pid", result->pid > 0 ? (uint64_t)result->pid : 0);
    ct_set_u64(instance, &answer, "process", result->process);
    ct_set_text(instance, &answer, "state", ct_sv(ct_container_state(result->container_state)));
    (void)ct_answer(instance, call->exchange, answer);
}

/* Words in the order of their bits. */
static const char *const namespaces[] = {"user", "pid", "net", "ipc", "uts", "cgroup", "time", NULL};

static void read_namespaces(struct ct_params *join, uint32_t *ret_bits)
{
    const struct cloister_value_api *values = join->instance->host->value;
    const cloister_value *list = NULL;
    if (!ct_need(join, "namespaces", ct_array(join, "namespaces", &list)))
        return;
    for (uint64_t i = 0; i < values->count(list); i++) {
        struct cloister_sv word = {NULL, 0};
        unsigned bit = 0;
        (void)values->string(values->at(list, i, NULL), &word);
        while (namespaces[bit] && !(word.data && ct_is(word, namespaces[bit])))
            bit++;
        if (!namespaces[bit])
            ct_wrong(join, "namespaces", "expected words of net, ipc, uts, user, pid, cgroup, time");
        *ret_bits |= 1u << bit;
    }
}

static void read_join(struct ct_params *params, struct cloister_container_args *args)
{
    static const char *const known[] = {"container", "namespaces", NULL};
    static const char *const parents[] = {"sandbox", "container", NULL}; /* enum cloister_cgroup_parent */
    const cloister_value *object = NULL;
    args->cgroup_parent = ct_choice(params, "cgroup_parent", parents, CLOISTER_CGROUP_SANDBOX);
    if (!ct_object(params, "join", &object)) {
        if (args->cgroup_parent == CLOISTER_CGROUP_CONTAINER)
            ct_wrong(params, "cgroup_parent", "there is no container to 'join'");
        return;
    }
    struct ct_params join = CT_PARAMS(params->instance, object, "join.", params->err);
    (void)ct_params_known(&join, known);
    (void)ct_need(&join, "container", ct_text(&join, "container", &args->join));
    read_namespaces(&join, &args->join_namespaces);
    params->failed = join.failed;
}

void ct_container_create(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id",   "name",          "container",       "deadline_ms",
                                        "join", "cgroup_parent", CT_CONTAINER_KEYS, NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct ct_container container = {.args = {0}};
    struct cloister_container_create_args args = {CLOISTER_INIT(struct cloister_container_create_args),
                                                  .container = &container.args};
    struct ct_call *call = NULL;
    char id[CT_ID_MAX + 1];
    bool moved = false;
    (void)ct_params_known(&params, known);
    (void)ct_need(&params, "container", ct_text(&params, "container", &container.args.cid));
    args.deadline = ct_deadline(&params);
    read_join(&params, &container.args);
    if (!ct_container_read(&params, exchange, &container) || !ct_target(&params, id))
        ct_answer_error(instance, exchange, &err);
    else
        call = ct_call_new(instance, exchange);
    if (call) {
        call->finish = answer_made;
        args.sandbox = ct_sv(id);
        moved = ct_call_begun(call, cloister_container_create(instance->host, &args, ct_call_done, call, &err), &err);
    }
    ct_container_end(instance, &container, moved);
}

/* ---- container_delete ---- */

void ct_container_delete(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", "container", "force", "deadline_ms", NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_container_delete_args args = {CLOISTER_INIT(struct cloister_container_delete_args)};
    struct ct_call *call = ct_call_new(instance, exchange);
    bool force = false;
    cloister_op op = 0;
    if (!call)
        return;
    (void)ct_params_known(&params, known);
    (void)ct_need(&params, "container", ct_text(&params, "container", &args.container));
    (void)ct_bool(&params, "force", &force);
    args.flags = force ? CLOISTER_DELETE_FORCE : 0;
    args.deadline = ct_deadline(&params);
    if (ct_target(&params, call->sandbox)) {
        args.sandbox = ct_sv(call->sandbox);
        op = cloister_container_delete(instance->host, &args, ct_call_done, call, &err);
    }
    (void)ct_call_begun(call, op, &err);
}
