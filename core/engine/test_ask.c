/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/test_world.h"

#include "core/engine/api.h"

/* Requests that are refused at once leave a trace too. */
static cloister_op refused(struct world *world, cloister_op op, const char *word, const struct cloister_error *err)
{
    if (op)
        return op;
    size_t size = strlen(world->trace);
    snprintf(world->trace + size, sizeof(world->trace) - size, "%s!%s ", word, cl_error_code_name(err->code));
    cl_error_sentence(err, world->sentence, sizeof(world->sentence));
    world->last_error = *err;
    return 0;
}

#define ASK(word, function, args)                                                                      \
    do {                                                                                               \
        struct cloister_error err = CLOISTER_ERROR_INIT;                                               \
        char before[sizeof(world->trace)];                                                             \
        memcpy(before, world->trace, sizeof(before));                                                  \
        cloister_op op = function(&world->control.host, (args), on_done, caller(world, (word)), &err); \
        assert_string_equal(before, world->trace); /* nothing comes from inside the call */            \
        return refused(world, op, (word), &err);                                                       \
    } while (0)

static const char *now_running(struct world *world)
{
    static char ids[8][20];
    static unsigned next;
    char *id = ids[next++ % CL_COUNT(ids)];
    turn(world);
    assert_string_equal(trace(world), "create:ok sandbox=4 container=3");
    snprintf(id, sizeof(ids[0]), "%s", world->last_sandbox);
    return id;
}

cloister_op ask_create_with(struct world *world, const struct cloister_sandbox_create_args *args)
{
    ASK("create", cl_engine_api.sandbox_create, args);
}

static cloister_op create_container(struct world *world, const char *name, uint32_t init, uint32_t start,
                                    const struct cloister_process_args *process)
{
    struct cloister_container_args container = {CLOISTER_INIT(struct cloister_container_args),
                                                .init = init,
                                                .start = start,
                                                .rootfs_kind = CLOISTER_ROOTFS_DIRECTORY,
                                                .spec = cl_sv_cstr(spec_text),
                                                .rootfs = CLOISTER_SV("/srv/root"),
                                                .process = process};
    struct cloister_sandbox_create_args args = {CLOISTER_INIT(struct cloister_sandbox_create_args),
                                                .name = cl_sv_cstr(name), .container = init ? &container : NULL};
    return ask_create_with(world, &args);
}

cloister_op ask_create(struct world *world, const char *name, uint32_t init, uint32_t start)
{
    static const struct cloister_sv env[] = {{"TOKEN=SECRET", 12}};
    struct cloister_process_args process = {CLOISTER_INIT(struct cloister_process_args),
                                            .oci = CLOISTER_SV("{\"args\":[\"true\"]}"), .env = env, .env_count = 1};
    return create_container(world, name, init, start, &process);
}

const char *running_process(struct world *world, const char *name, const struct cloister_process_args *process)
{
    assert_true(create_container(world, name, CLOISTER_INIT_PROCESS, CLOISTER_START_NOW, process) != 0);
    return now_running(world);
}

const struct cloister_stdio captured_stdio[3] = {
    {.kind = CLOISTER_STDIO_NULL}, {.kind = CLOISTER_STDIO_PIPE}, {.kind = CLOISTER_STDIO_SAME_AS, .fd = 1}};

const char *running_captured(struct world *world, const char *name)
{
    static const struct cloister_sv env[] = {{"TOKEN=SECRET", 12}, {"PATH=/bin", 9}};
    struct cloister_process_args process = {CLOISTER_INIT(struct cloister_process_args),
                                            .oci = CLOISTER_SV("{\"args\":[\"true\"]}"),
                                            .env = env,
                                            .env_count = 2,
                                            .stdio = captured_stdio,
                                            .stdio_count = 3,
                                            .stdio_size = sizeof(captured_stdio[0]),
                                            .tag = CLOISTER_SV("the init")};
    return running_process(world, name, &process);
}

cloister_op ask_destroy(struct world *world, const char *id, uint64_t deadline)
{
    struct cloister_sandbox_destroy_args args = {CLOISTER_INIT(struct cloister_sandbox_destroy_args),
                                                 .sandbox = cl_sv_cstr(id), .deadline = deadline};
    ASK("destroy", cl_engine_api.sandbox_destroy, &args);
}

static cloister_op exec_with(struct world *world, const char *id, const char *name, uint64_t deadline,
                             const struct cloister_stdio *stdio, size_t count)
{
    struct cloister_process_args process = {CLOISTER_INIT(struct cloister_process_args),
                                            .oci = CLOISTER_SV("{\"args\":[\"true\"]}"), .stdio = stdio,
                                            .stdio_count = count, .stdio_size = sizeof(*stdio)};
    struct cloister_exec_args args = {CLOISTER_INIT(struct cloister_exec_args), .sandbox = cl_sv_cstr(id),
                                      .name = cl_sv_cstr(name), .process = &process, .deadline = deadline};
    ASK("exec", cl_engine_api.exec, &args);
}

cloister_op ask_exec(struct world *world, const char *id, const char *name, uint64_t deadline)
{
    return exec_with(world, id, name, deadline, NULL, 0);
}

cloister_op ask_exec_fds(struct world *world, const char *id, const int *fds, size_t count)
{
    struct cloister_stdio stdio[8] = {{0}};
    for (size_t i = 0; i < count; i++)
        stdio[i] = (struct cloister_stdio){.kind = CLOISTER_STDIO_DESCRIPTOR, .fd = fds[i]};
    return exec_with(world, id, "", 0, stdio, count);
}

cloister_op ask_wait(struct world *world, const char *id, cloister_process process)
{
    struct cloister_wait_args args = {CLOISTER_INIT(struct cloister_wait_args), .until = CLOISTER_WAIT_EXIT,
                                      .sandbox = cl_sv_cstr(id), .process = process};
    ASK("wait", cl_engine_api.wait, &args);
}

cloister_op ask_wait_drained(struct world *world, const char *id, cloister_process process)
{
    struct cloister_wait_args args = {CLOISTER_INIT(struct cloister_wait_args), .until = CLOISTER_WAIT_DRAINED,
                                      .sandbox = cl_sv_cstr(id), .process = process};
    ASK("wait-drained", cl_engine_api.wait, &args);
}

cloister_op ask_exec_with(struct world *world, const struct cloister_exec_args *args)
{
    ASK("exec", cl_engine_api.exec, args);
}

cloister_op ask_attach_with(struct world *world, const struct cloister_attach_args *args)
{
    ASK("attach", cl_engine_api.attach, args);
}

cloister_op ask_attach(struct world *world, const char *id, cloister_process process, uint64_t deadline)
{
    struct cloister_attach_args args = {CLOISTER_INIT(struct cloister_attach_args),
                                        .from = CLOISTER_ATTACH_OLDEST,
                                        .sandbox = cl_sv_cstr(id),
                                        .process = process,
                                        .fd = 1,
                                        .deadline = deadline};
    return ask_attach_with(world, &args);
}

cloister_op ask_policy(struct world *world, const struct cloister_attach_policy_args *args)
{
    ASK("policy", cl_engine_api.attach_policy, args);
}

cloister_op ask_stdin(struct world *world, const char *id, cloister_process process)
{
    struct cloister_stdin_args args = {CLOISTER_INIT(struct cloister_stdin_args), .sandbox = cl_sv_cstr(id),
                                       .process = process};
    ASK("stdin", cl_engine_api.stdin, &args);
}

cloister_op ask_stdin_close(struct world *world, const char *id, cloister_process process)
{
    struct cloister_stdin_close_args args = {CLOISTER_INIT(struct cloister_stdin_close_args), .sandbox = cl_sv_cstr(id),
                                             .process = process};
    ASK("stdin-close", cl_engine_api.stdin_close, &args);
}

cloister_op ask_resize(struct world *world, const struct cloister_resize_args *args)
{
    ASK("resize", cl_engine_api.resize, args);
}

cloister_op ask_label(struct world *world, const char *id, const char *key, const char *value, uint32_t flags)
{
    struct cloister_label_put_args args = {CLOISTER_INIT(struct cloister_label_put_args), .flags = flags,
                                           .sandbox = cl_sv_cstr(id), .key = cl_sv_cstr(key),
                                           .value = cl_sv_cstr(value)};
    ASK("label", cl_engine_api.label_put, &args);
}

cloister_op ask_record(struct world *world, const char *id, uint32_t where, struct cloister_sv data)
{
    struct cloister_record_put_args args = {CLOISTER_INIT(struct cloister_record_put_args), .where = where,
                                            .sandbox = cl_sv_cstr(id), .data = data};
    ASK("record", cl_engine_api.record_put, &args);
}

cloister_op ask_stop(struct world *world, const char *id, uint64_t grace, uint64_t deadline)
{
    struct cloister_container_stop_args args = {CLOISTER_INIT(struct cloister_container_stop_args),
                                                .sandbox = cl_sv_cstr(id), .grace = grace, .deadline = deadline};
    ASK("stop", cl_engine_api.container_stop, &args);
}

cloister_op ask_start(struct world *world, const char *id)
{
    struct cloister_container_start_args args = {CLOISTER_INIT(struct cloister_container_start_args),
                                                 .sandbox = cl_sv_cstr(id)};
    ASK("start", cl_engine_api.container_start, &args);
}

cloister_op ask_signal(struct world *world, const char *id, cloister_process process, uint32_t number)
{
    struct cloister_signal_args args = {CLOISTER_INIT(struct cloister_signal_args), .signal = number,
                                        .sandbox = cl_sv_cstr(id), .process = process,
                                        .scope = CLOISTER_SIGNAL_PROCESS};
    ASK("signal", cl_engine_api.signal, &args);
}

cloister_op ask_container_with(struct world *world, const struct cloister_container_create_args *args)
{
    ASK(args->container && args->container->cid.size == 2 ? args->container->cid.data : "further",
        cl_engine_api.container_create, args);
}

cloister_op ask_container(struct world *world, const char *id, const char *cid, uint32_t start)
{
    static const struct cloister_sv env[] = {{"TOKEN=SECRET2", 13}};
    const struct cloister_process_args process = {CLOISTER_INIT(struct cloister_process_args),
                                                  .oci = CLOISTER_SV("{\"args\":[\"true\"]}"), .env = env,
                                                  .env_count = 1};
    const struct cloister_container_args container = {CLOISTER_INIT(struct cloister_container_args),
                                                      .init = CLOISTER_INIT_PROCESS,
                                                      .start = start,
                                                      .rootfs_kind = CLOISTER_ROOTFS_DIRECTORY,
                                                      .cid = cl_sv_cstr(cid),
                                                      .spec = cl_sv_cstr(spec_text),
                                                      .rootfs = CLOISTER_SV("/srv/other"),
                                                      .process = &process};
    const struct cloister_container_create_args args = {CLOISTER_INIT(struct cloister_container_create_args),
                                                        .sandbox = cl_sv_cstr(id), .container = &container};
    return ask_container_with(world, &args);
}

cloister_op ask_delete(struct world *world, const char *id, const char *cid, uint32_t flags, uint64_t deadline)
{
    const struct cloister_container_delete_args args = {CLOISTER_INIT(struct cloister_container_delete_args),
                                                        .flags = flags, .sandbox = cl_sv_cstr(id),
                                                        .container = cl_sv_cstr(cid), .deadline = deadline};
    ASK("delete", cl_engine_api.container_delete, &args);
}

cloister_op ask_exec_in(struct world *world, const char *id, const char *cid)
{
    const struct cloister_process_args process = {CLOISTER_INIT(struct cloister_process_args),
                                                  .oci = CLOISTER_SV("{\"args\":[\"true\"]}")};
    const struct cloister_exec_args args = {CLOISTER_INIT(struct cloister_exec_args),
                                            .flags = CLOISTER_EXEC_ENV_FROM_CONTAINER, .sandbox = cl_sv_cstr(id),
                                            .container = cl_sv_cstr(cid), .process = &process};
    return ask_exec_with(world, &args);
}

cloister_op ask_wait_for(struct world *world, const char *id, const char *cid)
{
    const struct cloister_wait_args args = {CLOISTER_INIT(struct cloister_wait_args), .until = CLOISTER_WAIT_DRAINED,
                                            .sandbox = cl_sv_cstr(id), .container = cl_sv_cstr(cid)};
    ASK("wait-for", cl_engine_api.wait, &args);
}

cloister_op ask_freeze(struct world *world, const char *id, const char *container, uint64_t deadline)
{
    struct cloister_freeze_args args = {CLOISTER_INIT(struct cloister_freeze_args), .sandbox = cl_sv_cstr(id),
                                        .container = cl_sv_cstr(container), .deadline = deadline};
    ASK("freeze", cl_engine_api.freeze, &args);
}

cloister_op ask_thaw(struct world *world, const char *id, const char *container)
{
    struct cloister_thaw_args args = {CLOISTER_INIT(struct cloister_thaw_args), .sandbox = cl_sv_cstr(id),
                                      .container = cl_sv_cstr(container)};
    ASK("thaw", cl_engine_api.thaw, &args);
}

cloister_op ask_update_with(struct world *world, const struct cloister_update_args *args)
{
    ASK("update", cl_engine_api.update, args);
}

cloister_op ask_update(struct world *world, const char *id, const char *container, const char *resources,
                       uint64_t deadline)
{
    struct cloister_update_args args = {CLOISTER_INIT(struct cloister_update_args),
                                        .scope = container ? CLOISTER_SCOPE_CONTAINER : CLOISTER_SCOPE_SANDBOX,
                                        .sandbox = cl_sv_cstr(id),
                                        .container = cl_sv_cstr(container),
                                        .resources = cl_sv_cstr(resources),
                                        .deadline = deadline};
    return ask_update_with(world, &args);
}

cloister_op ask_stats(struct world *world, const struct cloister_stats_args *args)
{
    ASK("stats", cl_engine_api.stats, args);
}

cloister_op ask_procs(struct world *world, const struct cloister_procs_args *args)
{
    ASK("procs", cl_engine_api.procs, args);
}

cloister_op ask_release(struct world *world, const char *id, cloister_process process)
{
    struct cloister_release_args args = {CLOISTER_INIT(struct cloister_release_args), .sandbox = cl_sv_cstr(id),
                                         .process = process};
    ASK("release", cl_engine_api.release, &args);
}

const char *running(struct world *world, const char *name)
{
    assert_true(ask_create(world, name, CLOISTER_INIT_PROCESS, CLOISTER_START_NOW) != 0);
    return now_running(world);
}

struct cloister_sandbox_info info(struct world *world, const char *id)
{
    struct cloister_sandbox_info ret = {CLOISTER_INIT(struct cloister_sandbox_info)};
    if (cl_engine_api.info(&world->control.host, cl_sv_cstr(id), &ret, NULL) != 0)
        ret.state = 0;
    return ret;
}
