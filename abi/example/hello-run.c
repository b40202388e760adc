/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello-run - a whole personality. One operation, "run": {"rootfs": "/dir", "args": ["prog", ...]} makes a container from the
 * installed profile "default", waits for its program, removes it, and answers {"exit_code": n}. Built with nothing but the SDK.
 *
 * Each request is one struct run; the engine calls us back once per operation: created -> ended -> destroyed -> answer.
 */
#include <cloister/host.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct run {
    const struct cloister_host *host;
    cloister_exchange *exchange; /* NULL once the client has gone: the container is removed all the same */
    char id[64]; /* of the sandbox */
    int exit_code;
    struct cloister_error failure;
};

static void answer(struct run *run)
{
    char text[128], sentence[CLOISTER_CHAIN_MAX];
    uint32_t klass = run->failure.code ? CLOISTER_CLASS_INTERNAL : CLOISTER_CLASS_OK;
    int size = snprintf(text, sizeof(text), "{\"exit_code\":%d}", run->exit_code);
    if (run->failure.code) {
        run->host->log->error_sentence(&run->failure, sentence, sizeof(sentence));
        cloister_log(run->host, CLOISTER_ERROR, "%s", sentence);
        size = snprintf(text, sizeof(text), "{\"code\":\"%s\"}", run->host->log->error_code_name(run->failure.code));
    }
    if (run->exchange)
        run->host->exchange->answer(run->exchange, klass, (struct cloister_sv){text, (uint64_t)size});
    free(run);
}

static void destroyed(void *context, cloister_op op, const struct cloister_error *error, const struct cloister_result *result)
{
    struct run *run = context;
    (void)op, (void)result;
    if (error && !run->failure.code)
        run->failure = *error;
    answer(run);
}

static void ended(void *context, cloister_op op, const struct cloister_error *error, const struct cloister_result *result)
{
    struct run *run = context;
    struct cloister_sandbox_destroy_args destroy = {CLOISTER_INIT(struct cloister_sandbox_destroy_args),
                                                    .sandbox = {run->id, strlen(run->id)}};
    (void)op;
    run->exit_code = 255; /* lost: never success */
    if (error)
        run->failure = *error;
    else if (result->status.kind == CLOISTER_STATUS_EXITED)
        run->exit_code = (int)result->status.value;
    else if (result->status.kind == CLOISTER_STATUS_SIGNALED)
        run->exit_code = 128 + (int)result->status.value;
    if (!cloister_sandbox_destroy(run->host, &destroy, destroyed, run, run->failure.code ? NULL : &run->failure))
        answer(run);
}

static void created(void *context, cloister_op op, const struct cloister_error *error, const struct cloister_result *result)
{
    struct run *run = context;
    struct cloister_wait_args wait = {CLOISTER_INIT(struct cloister_wait_args), .until = CLOISTER_WAIT_EXIT};
    if (error)
        return destroyed(run, op, error, NULL); /* nothing was made */
    snprintf(run->id, sizeof(run->id), "%.*s", (int)result->sandbox.size, result->sandbox.data);
    wait.sandbox = (struct cloister_sv){run->id, strlen(run->id)};
    if (!cloister_wait(run->host, &wait, ended, run, &run->failure))
        ended(run, op, &run->failure, NULL);
}

/* Takes the profile apart into what travels as `spec` and as `process`, and puts the arguments in. */
static cloister_op start(struct run *run, const cloister_value *params)
{
    static const struct cloister_sv env = CLOISTER_SV("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
    const struct cloister_value_api *json = run->host->value;
    struct cloister_process_args process = {CLOISTER_INIT(struct cloister_process_args), .env = &env, .env_count = 1};
    struct cloister_container_args container = {CLOISTER_INIT(struct cloister_container_args), .init = CLOISTER_INIT_PROCESS,
                                                .start = CLOISTER_START_NOW, .rootfs_kind = CLOISTER_ROOTFS_DIRECTORY,
                                                .rootfs_flags = CLOISTER_ROOTFS_IDMAP, .process = &process};
    struct cloister_sandbox_create_args create = {CLOISTER_INIT(struct cloister_sandbox_create_args), .container = &container};
    struct cloister_sv profile;
    cloister_value *spec = NULL, *program = NULL;
    cloister_op op = 0;
    if (run->host->engine->spec_default(run->host, CLOISTER_SV("default"), &profile, &run->failure) < 0 ||
        json->parse(profile, 0, 0, &spec, &run->failure) < 0)
        return 0;
    program = json->copy(json->get(spec, CLOISTER_SV("process")));
    json->remove(spec, CLOISTER_SV("process"));
    json->set(program, CLOISTER_SV("args"), json->copy(json->get(params, CLOISTER_SV("args"))));
    if (json->string(json->get(params, CLOISTER_SV("rootfs")), &container.rootfs) < 0 || json->print(program, 0, &process.oci) < 0)
        run->host->log->error_set(&run->failure, CLOISTER_INVALID, 0, "params", NULL, "run needs rootfs and args");
    else if (json->print(spec, 0, &container.spec) == 0)
        op = cloister_sandbox_create(run->host, &create, created, run, &run->failure);
    json->free_text(process.oci);
    json->free_text(container.spec);
    json->free(program);
    json->free(spec);
    return op;
}

static void on_exchange(void *instance, cloister_exchange *exchange, uint32_t route)
{
    const struct cloister_host *host = *(const struct cloister_host **)instance;
    struct run *run = calloc(1, sizeof(*run));
    const cloister_value *params;
    (void)route;
    if (!run)
        return (void)host->exchange->answer(exchange, CLOISTER_CLASS_UNAVAILABLE, CLOISTER_SV("{}"));
    *run = (struct run){.host = host, .exchange = exchange, .failure = CLOISTER_ERROR_INIT};
    host->exchange->data_set(exchange, run);
    params = host->exchange->document(exchange, &run->failure);
    if (!params || !start(run, params))
        answer(run);
}

static void on_fault(void *instance, cloister_exchange *exchange, const struct cloister_fault *fault)
{
    (void)fault;
    (*(const struct cloister_host **)instance)->exchange->answer(exchange, CLOISTER_CLASS_INVALID, CLOISTER_SV("{\"message\":\"bad request\"}"));
}

static void on_gone(void *instance, cloister_exchange *exchange, uint32_t reason)
{
    struct run *run = (*(const struct cloister_host **)instance)->exchange->data(exchange);
    (void)reason;
    if (run)
        run->exchange = NULL;
}

static int32_t create(const struct cloister_create_args *args, void **ret_instance, struct cloister_error *err)
{
    const struct cloister_host **instance = malloc(sizeof(*instance));
    (void)err;
    if (instance)
        *instance = args->host;
    *ret_instance = (void *)instance;
    return instance ? 0 : -1;
}

static const struct cloister_route routes[] = {{.op = "run", .access = CLOISTER_ACCESS_ADMIN, .body = CLOISTER_BODY_WHOLE, .flags = CLOISTER_ROUTE_PARKED}};
static const struct cloister_personality vtable = {CLOISTER_INIT(struct cloister_personality), .route_count = 1,
    .life = {create, free}, .routes = routes, .route_size = sizeof(routes[0]), .exchange = on_exchange, .exchange_fault = on_fault,
    .exchange_gone = on_gone};
static const struct cloister_plugin plugin = {CLOISTER_PLUGIN_STAMP(CLOISTER_KIND_PERSONALITY), .name = "hello-run",
    .version = "1", .licence = "Apache-2.0", .build = "", .summary = "runs one program and answers its exit code", .vtable = &vtable};
CLOISTER_PLUGIN_REGISTER(plugin)
