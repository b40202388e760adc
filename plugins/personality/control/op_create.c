/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "labels.h"
#include "process.h"
#include "words.h"

/* Everything of one create until the engine has copied it. */
struct create {
    struct ct_params params;
    struct ct_stdio stdio;
    struct ct_process process;
    struct cloister_sv spec_text; /* host memory */
    struct ct_labels labels;
    struct cloister_container_args container;
    struct cloister_sandbox_create_args args;
};

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

static void read_rootfs(struct create *create)
{
    static const char *const known[] = {"directory", "writable", "idmap", NULL};
    const cloister_value *rootfs = NULL;
    bool writable = false, idmap = false;
    if (!ct_need(&create->params, "rootfs", ct_object(&create->params, "rootfs", &rootfs)))
        return;
    struct ct_params params = CT_PARAMS(create->params.instance, rootfs, "rootfs.", create->params.err);
    (void)ct_params_known(&params, known);
    (void)ct_need(&params, "directory", ct_text(&params, "directory", &create->container.rootfs));
    (void)ct_bool(&params, "writable", &writable);
    (void)ct_bool(&params, "idmap", &idmap);
    create->container.rootfs_kind = CLOISTER_ROOTFS_DIRECTORY;
    create->container.rootfs_flags = (writable ? CLOISTER_ROOTFS_WRITABLE : 0) | (idmap ? CLOISTER_ROOTFS_IDMAP : 0);
    create->params.failed = params.failed;
}

/* Of a program that does not run. */
static void refuse_keys_of_process(struct ct_params *params)
{
    static const char *const keys[] = {"stdio", "drain_idle_ms", "drain_max_ms", "tag"};
    const struct cloister_value_api *values = params->instance->host->value;
    for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (values->get(params->object, ct_sv(keys[i])))
            ct_wrong(params, keys[i], "an init of kind 'pause' runs no program");
    }
}

/* The spec without `process`, which goes its own way, and without `root`, which must not be said twice. */
static void read_spec(struct create *create, cloister_exchange *exchange)
{
    static const char *const inits[] = {"process", "pause", NULL};
    static const char *const starts[] = {"now", "blocked", NULL};
    struct ct_params *params = &create->params;
    const struct cloister_value_api *values = params->instance->host->value;
    const cloister_value *spec = NULL, *process;
    create->container.init = ct_choice(params, "init", inits, 0) == 0 ? CLOISTER_INIT_PROCESS : CLOISTER_INIT_PAUSE;
    create->container.start = ct_choice(params, "start", starts, 0) == 0 ? CLOISTER_START_NOW : CLOISTER_START_BLOCKED;
    bool pause = create->container.init == CLOISTER_INIT_PAUSE;
    if (ct_text(params, "pause_comm", &create->container.pause_comm) && !pause)
        ct_wrong(params, "pause_comm", "only an init of kind 'pause' has it");
    if (!ct_need(params, "spec", ct_object(params, "spec", &spec)) || !ct_stdio_take(params, exchange, &create->stdio))
        return;
    process = values->get(spec, CLOISTER_SV("process"));
    if (values->get(spec, CLOISTER_SV("root")))
        ct_wrong(params, "spec.root", "the root file system is given as 'rootfs'");
    if (pause)
        refuse_keys_of_process(params);
    if (pause && process)
        ct_wrong(params, "spec.process", "an init of kind 'pause' runs no program");
    if (!pause && values->type(process) != CLOISTER_VALUE_OBJECT)
        ct_wrong(params, "spec.process", "expected an object");
    if (create->stdio.count > 0 && (pause || create->container.start == CLOISTER_START_BLOCKED))
        ct_wrong(params, "fds",
                 pause ? "an init of kind 'pause' has no stdio" : "a blocked init gets its stdio at start");
    if (!pause && ct_process_read(params, "spec.process", process, &create->stdio, &create->process))
        create->container.process = &create->process.args;
    cloister_value *rest = params->failed ? NULL : values->copy(spec);
    if (!params->failed &&
        (!rest || values->remove(rest, CLOISTER_SV("process")) < 0 || values->print(rest, 0, &create->spec_text) < 0))
        ct_wrong(params, "spec", "out of memory");
    values->free(rest);
    create->container.spec = create->spec_text;
}

static void read_all(struct create *create, cloister_exchange *exchange)
{
    static const char *const known[] = {
        "name",          "isolation",    "spec", "rootfs", "init",          "pause_comm",  "start",       "stdio",
        "drain_idle_ms", "drain_max_ms", "tag",  "labels", "secret_labels", "provisional", "deadline_ms", NULL};
    struct ct_params *params = &create->params;
    bool provisional = false;
    create->container.struct_size = sizeof(create->container);
    create->args.struct_size = sizeof(create->args);
    create->args.container = &create->container;
    if (!ct_params_known(params, known))
        return;
    (void)ct_text(params, "name", &create->args.name);
    (void)ct_text(params, "isolation", &create->args.isolation);
    create->args.deadline = ct_deadline(params);
    read_rootfs(create);
    if (ct_bool(params, "provisional", &provisional) && provisional)
        create->args.flags |= CLOISTER_SANDBOX_PROVISIONAL;
    if (ct_labels_read(params, &create->labels)) {
        create->args.labels = create->labels.entries;
        create->args.label_count = create->labels.count;
        create->args.label_size = sizeof(*create->labels.entries);
    }
    read_spec(create, exchange);
}

void ct_create(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    const struct cloister_host *host = instance->host;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct create create = {.params = CT_PARAMS(instance, object, "", &err)};
    struct ct_call *call = NULL;
    bool moved = false;
    read_all(&create, exchange);
    if (create.params.failed)
        ct_answer_error(instance, exchange, &err);
    else
        call = ct_call_new(instance, exchange);
    if (call) {
        call->finish = answer_created;
        moved = ct_call_begun(call, cloister_sandbox_create(host, &create.args, ct_call_done, call, &err), &err);
    }
    ct_stdio_end(&create.stdio, moved);
    ct_process_end(instance, &create.process);
    if (create.spec_text.data)
        host->value->free_text(create.spec_text);
    ct_labels_end(&create.labels);
}
