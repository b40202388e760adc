/* SPDX-License-Identifier: Apache-2.0 */
/* The personality between a fake exchange service and a fake engine; requests and answers are JSON texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_host.h"

CLOISTER_EXPORT const struct cloister_plugin *cloister_plugin_entry(void);

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct cloister_personality *personality;
static struct cloister_host host;
static void *instance;
static char story[8192];

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void tell(const char *format, ...)
{
    va_list args;
    size_t used = strlen(story);
    va_start(args, format);
    (void)vsnprintf(story + used, sizeof(story) - used, format, args);
    va_end(args);
}

/* ---- fake exchanges ---- */

struct cloister_exchange {
    cloister_value *params;
    int fd;     /* as stdout, -1 = none */
    bool ended; /* answered for good, or gone */
};

static struct cloister_exchange exchanges[8];
static uint32_t push_result;
static uint64_t push_max;
static unsigned pushes;
static char last_push[1024];

static uint32_t answer(cloister_exchange *exchange, uint32_t klass, struct cloister_sv body)
{
    assert_false(exchange->ended); /* exactly once */
    exchange->ended = true;
    tell("%d:%u %.*s\n", (int)(exchange - exchanges), klass, (int)body.size, body.data);
    return CLOISTER_PUSH_OK;
}

static uint32_t answer_open(cloister_exchange *exchange, uint32_t klass, struct cloister_sv body)
{
    tell("%d:open %u %.*s\n", (int)(exchange - exchanges), klass, (int)body.size, body.data);
    return CLOISTER_PUSH_OK;
}

static uint32_t push(cloister_exchange *exchange, struct cloister_sv body)
{
    if (push_result != CLOISTER_PUSH_OK)
        return push_result;
    if (body.size > push_max)
        return CLOISTER_PUSH_TOO_BIG;
    pushes++;
    (void)snprintf(last_push, sizeof(last_push), "%.*s", (int)body.size, body.data);
    tell("%d:push %s\n", (int)(exchange - exchanges), last_push);
    return CLOISTER_PUSH_OK;
}

static void end(cloister_exchange *exchange)
{
    exchange->ended = true;
}

static const cloister_value *document(cloister_exchange *exchange, struct cloister_error *err)
{
    (void)err;
    return exchange->params;
}

static int32_t take_fd(cloister_exchange *exchange, struct cloister_sv role, uint32_t nth)
{
    int fd = exchange->fd;
    if (nth > 0 || role.size != 6 || memcmp(role.data, "stdout", 6) != 0)
        return -1;
    exchange->fd = -1;
    return fd;
}

static cloister_conn *conn_of(const cloister_exchange *exchange)
{
    return (cloister_conn *)(uintptr_t)exchange;
}

static void conn_info(const cloister_conn *conn, struct cloister_conn_info *ret)
{
    (void)conn;
    ret->largest_request = 4321;
}

static cloister_exchange *by_wire_id(const cloister_conn *conn, struct cloister_wire_id id)
{
    (void)conn;
    return id.kind == CLOISTER_ID_U64 && id.number < COUNT(exchanges) ? &exchanges[id.number] : NULL;
}

static const struct cloister_exchange_api exchange_api = {CLOISTER_INIT(struct cloister_exchange_api),
                                                          .answer = answer,
                                                          .answer_open = answer_open,
                                                          .push = push,
                                                          .end = end,
                                                          .document = document,
                                                          .take_fd = take_fd,
                                                          .conn = conn_of,
                                                          .conn_info = conn_info,
                                                          .by_wire_id = by_wire_id};

/* ---- a fake engine with one sandbox, "known" ---- */

static cloister_done_fn pending_done;
static void *pending_ctx;

static cloister_op begin(cloister_done_fn done, void *ctx)
{
    pending_done = done;
    pending_ctx = ctx;
    return 7;
}

static void complete(uint32_t code, const struct cloister_result *result)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    cloister_done_fn done = pending_done;
    pending_done = NULL;
    assert_non_null(done);
    if (code != 0)
        host.log->error_set(&err, code, code == CLOISTER_NO_EXECUTABLE ? 2 : 0, "", "exec", "exec 'x'");
    done(pending_ctx, 7, code ? &err : NULL, result);
}

static const char *sv(struct cloister_sv text)
{
    static char copies[8][512];
    static unsigned next;
    char *copy = copies[next++ % 8];
    (void)snprintf(copy, sizeof(copies[0]), "%.*s", (int)text.size, text.data ? text.data : "");
    return copy;
}

static void tell_process(const struct cloister_process_args *process)
{
    if (!process)
        return;
    tell(" process=%s", sv(process->oci));
    for (uint64_t i = 0; i < process->env_count; i++)
        tell(" env=%s", sv(process->env[i]));
    for (uint64_t i = 0; i < process->stdio_count; i++)
        tell(" stdio=%u", process->stdio[i].kind);
}

static cloister_op sandbox_create(const struct cloister_host *self, const struct cloister_sandbox_create_args *args,
                                  cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    const struct cloister_container_args *container = args->container;
    tell("create name=%s spec=%s rootfs=%s flags=%u init=%u start=%u labels=%u", sv(args->name), sv(container->spec),
         sv(container->rootfs), container->rootfs_flags, container->init, container->start,
         (unsigned)args->label_count);
    tell_process(container->process);
    tell("\n");
    if (container->process && container->process->stdio_count > 1 &&
        container->process->stdio[1].kind == CLOISTER_STDIO_DESCRIPTOR)
        (void)close(container->process->stdio[1].fd); /* moved to us */
    return begin(done, ctx);
}

static cloister_op exec(const struct cloister_host *self, const struct cloister_exec_args *args, cloister_done_fn done,
                        void *ctx, struct cloister_error *err)
{
    tell("exec %s/%s name=%s session=%u deadline=%d", sv(args->sandbox), sv(args->container), sv(args->name),
         args->process->session, (int)(args->deadline ? (args->deadline - fake_now) / 1000000 : 0));
    tell_process(args->process);
    tell("\n");
    if (args->name.size == 4) { /* "busy" */
        self->log->error_set(err, CLOISTER_NAME_IN_USE, 0, "busy", "", "process 'busy': name in use");
        return 0;
    }
    return begin(done, ctx);
}

static cloister_op wait_for(const struct cloister_host *self, const struct cloister_wait_args *args,
                            cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("wait %s process=%u\n", sv(args->sandbox), (unsigned)args->process);
    return begin(done, ctx);
}

static cloister_op signal_one(const struct cloister_host *self, const struct cloister_signal_args *args,
                              cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("signal %s process=%u signal=%u\n", sv(args->sandbox), (unsigned)args->process, args->signal);
    return begin(done, ctx);
}

static cloister_op container_kill(const struct cloister_host *self, const struct cloister_container_kill_args *args,
                                  cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("kill %s/%s set=%u signal=%u\n", sv(args->sandbox), sv(args->container), args->set, args->signal);
    return begin(done, ctx);
}

static cloister_op sandbox_destroy(const struct cloister_host *self, const struct cloister_sandbox_destroy_args *args,
                                   cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("destroy %s flags=%u\n", sv(args->sandbox), args->flags);
    return begin(done, ctx);
}

static cloister_op release(const struct cloister_host *self, const struct cloister_release_args *args,
                           cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)done;
    (void)ctx;
    (void)err;
    tell("release %u\n", (unsigned)args->process);
    return 8;
}

static void cancel(const struct cloister_host *self, cloister_op op)
{
    (void)self;
    tell("cancel %u\n", (unsigned)op);
}

static int32_t info(const struct cloister_host *self, struct cloister_sv id, struct cloister_sandbox_info *ret,
                    struct cloister_error *err)
{
    if (id.size != 5) {
        self->log->error_set(err, CLOISTER_NO_ENTITY, 0, "", "", "no sandbox '%.*s'", (int)id.size, id.data);
        return -1;
    }
    *ret = (struct cloister_sandbox_info){CLOISTER_INIT(struct cloister_sandbox_info),
                                          .id = id,
                                          .name = CLOISTER_SV("n\xff"),
                                          .service = CLOISTER_SV("s"),
                                          .isolation = CLOISTER_SV("main"),
                                          .state = CLOISTER_SANDBOX_UP,
                                          .flags = CLOISTER_SANDBOX_DIRTY,
                                          .created_real_ns = 1500000,
                                          .process_count = 2};
    return 0;
}

static int32_t find(const struct cloister_host *self, struct cloister_sv name, struct cloister_sv *ret_id,
                    struct cloister_error *err)
{
    struct cloister_sandbox_info found;
    *ret_id = name;
    return info(self, name, &found, err);
}

static int32_t iterate(const struct cloister_host *self, cloister_sandbox_fn fn, void *ctx)
{
    struct cloister_sandbox_info found;
    (void)info(self, CLOISTER_SV("known"), &found, NULL);
    fn(ctx, &found);
    return 0;
}

static int32_t containers(const struct cloister_host *self, struct cloister_sv id, cloister_container_fn fn, void *ctx,
                          struct cloister_error *err)
{
    struct cloister_container_info container = {CLOISTER_INIT(struct cloister_container_info),
                                                .cid = CLOISTER_SV("main"),
                                                .state = CLOISTER_CONTAINER_STOPPED,
                                                .init = 1,
                                                .incarnation = 1,
                                                .status = {CLOISTER_STATUS_SIGNALED, 9, CLOISTER_STATUS_OOM, 0, 5, 6},
                                                .rootfs = CLOISTER_SV("/r")};
    (void)self;
    (void)id;
    (void)err;
    fn(ctx, &container);
    return 0;
}

static int32_t processes(const struct cloister_host *self, struct cloister_sv id, cloister_process_fn fn, void *ctx,
                         struct cloister_error *err)
{
    (void)self;
    (void)id;
    (void)err;
    for (uint32_t i = 1; i <= 2; i++) {
        struct cloister_process_info process = {
            CLOISTER_INIT(struct cloister_process_info), .process = i, .is_init = i == 1,
            .state = CLOISTER_PROCESS_RUNNING,           .pid = 100,   .container = CLOISTER_SV("main")};
        fn(ctx, &process);
    }
    return 0;
}

static int32_t labels(const struct cloister_host *self, struct cloister_sv id, cloister_label_fn fn, void *ctx,
                      struct cloister_error *err)
{
    (void)self;
    (void)id;
    (void)err;
    fn(ctx, CLOISTER_SV("k"), CLOISTER_SV("v"));
    return 0;
}

static const struct cloister_engine_api engine_api = {CLOISTER_INIT(struct cloister_engine_api),
                                                      .sandbox_create = sandbox_create,
                                                      .sandbox_destroy = sandbox_destroy,
                                                      .container_kill = container_kill,
                                                      .exec = exec,
                                                      .signal = signal_one,
                                                      .wait = wait_for,
                                                      .release = release,
                                                      .cancel = cancel,
                                                      .info = info,
                                                      .find = find,
                                                      .iterate = iterate,
                                                      .containers = containers,
                                                      .processes = processes,
                                                      .labels = labels};

/* ---- the house ---- */

static int set_up(void **state)
{
    const struct cloister_plugin *plugin = cloister_plugin_entry();
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)state;
    story[0] = 0;
    push_result = CLOISTER_PUSH_OK;
    push_max = 1024;
    pushes = 0;
    memset(exchanges, 0, sizeof(exchanges));
    fake_host_init(&host);
    host.exchange = &exchange_api;
    host.engine = &engine_api;
    struct cloister_create_args args = {CLOISTER_INIT(struct cloister_create_args), .host = &host};
    personality = plugin->vtable;
    return personality->life.create(&args, &instance, &err);
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(exchanges); i++) {
        if (exchanges[i].params && !exchanges[i].ended)
            personality->exchange_gone(instance, &exchanges[i], CLOISTER_GONE_PEER);
        fake_values.free(exchanges[i].params);
    }
    if (pending_done)
        complete(CLOISTER_CANCELLED, NULL);
    personality->life.destroy(instance);
    return 0;
}

static void request(unsigned index, const char *op, const char *params)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    fake_values.free(exchanges[index].params);
    exchanges[index] = (struct cloister_exchange){.fd = -1};
    assert_int_equal(
        fake_values.parse((struct cloister_sv){params, strlen(params)}, 0, 0, &exchanges[index].params, &err), 0);
    for (uint32_t i = 0; i < personality->route_count; i++) {
        if (strcmp(personality->routes[i].op, op) == 0) {
            personality->exchange(instance, &exchanges[index], personality->routes[i].id);
            return;
        }
    }
    fail_msg("no route '%s'", op);
}

#define ERROR_OF(kind, message, code) "{\"error_kind\":\"" kind "\",\"message\":\"" message "\",\"code\":\"" code "\""
#define INVALID(message) "0:400 " ERROR_OF("serde", message, "invalid") ",\"step\":\"params\"}\n"

static const struct {
    const char *name, *op, *params, *story;
} cases[] = {
    {"list", "list", "{}",
     "0:200 "
     "{\"sandboxes\":[{\"id\":\"known\",\"name\":\"n?\",\"service\":\"s\",\"state\":\"up\",\"cause\":\"none\","
     "\"flags\":"
     "[\"dirty\"],\"isolation\":\"main\",\"created_ms\":1,\"processes\":2,\"containers\":[{\"cid\":\"main\",\"state\":"
     "\"stopped\",\"pid\":0,\"init\":1,\"status\":{\"kind\":\"signaled\",\"signal\":9,\"oom\":true,\"core\":false,"
     "\"real_ns\":5},\"rootfs\":\"/r\",\"incarnation\":1}]}]}\n"},
    {"list takes no params", "list", "{\"all\":true}", INVALID("unknown key 'all'")},
    {"health", "health", "{}", "0:200 {\"status\":\"ok\"}\n"},
    {"plugins", "plugins", "{}", "0:200 {\"plugins\":[{\"name\":\"p\"}]}\n"},
    {"hello", "hello", "{\"protocol\":1,\"client\":\"t\"}",
     "0:200 {\"protocol\":1,\"server\":\"cloister/0.1.0\",\"max_message\":4321,\"profiles\":[\"control\"]}\n"},
    {"hello, another protocol", "hello", "{\"protocol\":2}", INVALID("key 'protocol': only version 1 is spoken here")},
    {"hello, another profile", "hello", "{\"profile\":\"lmi\"}", INVALID("key 'profile': expected one of control")},
    {"create", "create",
     "{\"name\":\"n\",\"spec\":{\"ociVersion\":\"1\",\"process\":{\"args\":[\"a\"],\"env\":[\"K=v\"]}},\"rootfs\":{"
     "\"directory\":"
     "\"/r\",\"writable\":true},\"labels\":{\"a\":\"b\"}}",
     "create name=n spec={\"ociVersion\":\"1\"} rootfs=/r flags=1 init=1 start=1 labels=1 process={\"args\":[\"a\"]} "
     "env=K=v\n"},
    {"create, pause", "create", "{\"spec\":{},\"rootfs\":{\"directory\":\"/r\",\"idmap\":true},\"init\":\"pause\"}",
     "create name= spec={} rootfs=/r flags=2 init=2 start=1 labels=0\n"},
    {"create, pause with a process", "create",
     "{\"spec\":{\"process\":{}},\"rootfs\":{\"directory\":\"/r\"},\"init\":\"pause\"}",
     INVALID("key 'spec.process': an init of kind 'pause' runs no program")},
    {"create without process", "create", "{\"spec\":{},\"rootfs\":{\"directory\":\"/r\"}}",
     INVALID("key 'spec.process': expected an object")},
    {"create without rootfs", "create", "{\"spec\":{\"process\":{}}}", INVALID("key 'rootfs': missing")},
    {"create, rootfs without directory", "create", "{\"spec\":{\"process\":{}},\"rootfs\":{}}",
     INVALID("key 'rootfs.directory': missing")},
    {"create, bad env", "create", "{\"spec\":{\"process\":{\"env\":[\"x\"]}},\"rootfs\":{\"directory\":\"/r\"}}",
     INVALID("key 'spec.process': env: expected strings of the form KEY=value")},
    {"create, bad label", "create",
     "{\"spec\":{\"process\":{}},\"rootfs\":{\"directory\":\"/r\"},\"labels\":{\"a\":1}}",
     INVALID("key 'labels': expected strings")},
    {"create, bad start", "create", "{\"spec\":{\"process\":{}},\"rootfs\":{\"directory\":\"/r\"},\"start\":\"soon\"}",
     INVALID("key 'start': expected one of now, blocked")},
    {"exec", "exec",
     "{\"id\":\"known\",\"container\":\"c\",\"process_name\":\"p\",\"process\":{\"cwd\":\"/\"},\"session\":\"inherit\","
     "\"deadline_ms\":5}",
     "exec known/c name=p session=2 deadline=5 process={\"cwd\":\"/\"}\n"},
    {"exec, refused at once", "exec", "{\"name\":\"known\",\"process_name\":\"busy\",\"process\":{}}",
     "exec known/ name=busy session=0 deadline=0 process={}\n"
     "0:409 " ERROR_OF("invalid_state", "process 'busy': name in use", "name_in_use") "}\n"},
    {"exec, unknown sandbox", "exec", "{\"name\":\"nobody\",\"process\":{}}",
     "0:404 " ERROR_OF("no_such_entity", "no sandbox 'nobody'", "no_entity") "}\n"},
    {"exec, id and name", "exec", "{\"id\":\"known\",\"name\":\"x\",\"process\":{}}",
     INVALID("key 'id': stands beside 'name'; one of them is wanted")},
    {"signal by name", "signal", "{\"id\":\"known\",\"signal\":\"SIGTERM\"}", "kill known/ set=1 signal=15\n"},
    {"signal to all", "signal", "{\"id\":\"known\",\"signal\":9,\"set\":\"all\"}", "kill known/ set=2 signal=9\n"},
    {"signal to a process", "signal", "{\"id\":\"known\",\"signal\":\"KILL\",\"process\":2}",
     "signal known process=2 signal=9\n"},
    {"signal to both", "signal", "{\"id\":\"known\",\"signal\":9,\"process\":2,\"set\":\"all\"}",
     INVALID("key 'process': stands beside 'container' or 'set'; one of them is wanted")},
    {"signal 0", "signal", "{\"id\":\"known\",\"signal\":0}",
     INVALID("key 'signal': expected a number from 1 to 64 or a name like TERM")},
    {"signal 65", "signal", "{\"id\":\"known\",\"signal\":65}",
     INVALID("key 'signal': expected a number from 1 to 64 or a name like TERM")},
    {"no signal", "signal", "{\"id\":\"known\"}", INVALID("key 'signal': missing")},
    {"destroy", "destroy", "{\"id\":\"known\"}", "destroy known flags=0\n"},
    {"destroy, not by force", "destroy", "{\"id\":\"known\",\"force\":false}", "destroy known flags=2\n"},
    {"unsupported by the engine", "start", "{\"id\":\"known\"}",
     "0:500 " ERROR_OF("failure", "container_start: not supported", "unsupported") "}\n"},
    {"deadline out of range", "wait", "{\"id\":\"known\",\"deadline_ms\":18446744073709551615}",
     INVALID("key 'deadline_ms': expected milliseconds from now, at most 2^40")},
    {"inspect without describe", "inspect", "{\"id\":\"known\"}",
     "0:200 "
     "{\"id\":\"known\",\"name\":\"n?\",\"service\":\"s\",\"state\":\"up\",\"cause\":\"none\",\"flags\":[\"dirty\"],"
     "\"isolation\":\"main\",\"created_ms\":1,\"failure\":null,\"containers\":[{\"cid\":\"main\",\"state\":\"stopped\","
     "\"pid\":0,"
     "\"init\":1,\"status\":{\"kind\":\"signaled\",\"signal\":9,\"oom\":true,\"core\":false,\"real_ns\":5},\"rootfs\":"
     "\"/r\","
     "\"incarnation\":1}],\"labels\":{\"k\":\"v\"},\"processes\":[{\"process\":1,\"pid\":100,\"state\":\"running\","
     "\"is_init\":"
     "true,\"container\":\"main\",\"name\":\"\",\"status\":null,\"started_ms\":0},{\"process\":2,\"pid\":100,\"state\":"
     "\"running\",\"is_init\":false,\"container\":\"main\",\"name\":\"\",\"status\":null,\"started_ms\":0}],"
     "\"backend\":null}\n"},
    {"events by id", "events", "{\"sandbox\":\"known\"}", "0:open 200 {}\n"},
    {"events by name", "events", "{\"name\":\"known\"}", "0:open 200 {}\n"},
    {"events by both", "events", "{\"name\":\"known\",\"sandbox\":\"known\"}",
     INVALID("key 'sandbox': stands beside 'name'; one of them is wanted")},
    {"events of nobody by name", "events", "{\"name\":\"nobody\"}",
     "0:404 " ERROR_OF("no_such_entity", "no sandbox 'nobody'", "no_entity") "}\n"},
    {"events of nobody", "events", "{\"sandbox\":\"nobody\"}",
     "0:404 " ERROR_OF("no_such_entity", "no sandbox 'nobody'", "no_entity") "}\n"},
};

static void test_cases(void **state)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(set_up(state), 0);
        request(0, cases[i].op, cases[i].params);
        if (strcmp(story, cases[i].story) != 0)
            fail_msg("case '%s':\n%s, not\n%s", cases[i].name, story, cases[i].story);
        assert_int_equal(tear_down(state), 0);
    }
}

static void test_completions(void **state)
{
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result),
                                     .uid = 1,
                                     .gid = 2,
                                     .pid = 3,
                                     .process = 18446744073709551615u,
                                     .sandbox = CLOISTER_SV("known"),
                                     .container_state = CLOISTER_CONTAINER_RUNNING};
    (void)state;
    request(0, "exec", "{\"id\":\"known\",\"process\":{}}");
    story[0] = 0;
    complete(0, &result);
    assert_string_equal(story, "0:200 {\"pid\":3,\"process\":18446744073709551615,\"uid\":1,\"gid\":2}\n");
    request(0, "create", "{\"spec\":{\"process\":{}},\"rootfs\":{\"directory\":\"/r\"}}");
    story[0] = 0;
    complete(0, &result);
    assert_string_equal(story,
                        "0:200 {\"id\":\"known\",\"pid\":3,\"process\":18446744073709551615,\"state\":\"running\","
                        "\"name\":\"n?\"}\n");
    request(0, "exec", "{\"id\":\"known\",\"process\":{}}");
    story[0] = 0;
    complete(CLOISTER_NO_EXECUTABLE, NULL);
    assert_string_equal(story, "0:500 " ERROR_OF("failure", "exec 'x': No such file or directory",
                                                 "no_executable") ",\"errno\":2,\"step\":\"exec\"}\n");
}

static void test_descriptors(void **state)
{
    (void)state;
    int fd = dup(2);
    exchanges[0].fd = fd;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    const char *params = "{\"spec\":{\"process\":{}},\"rootfs\":{\"directory\":\"/r\"}}";
    assert_int_equal(fake_values.parse((struct cloister_sv){params, strlen(params)}, 0, 0, &exchanges[0].params, &err),
                     0);
    for (uint32_t i = 0; i < personality->route_count; i++) {
        if (strcmp(personality->routes[i].op, "create") == 0)
            personality->exchange(instance, &exchanges[0], personality->routes[i].id);
    }
    assert_true(strstr(story, "stdio=1 stdio=2 stdio=1"));
    assert_int_equal(exchanges[0].fd, -1);
}

static void test_wait_releases(void **state)
{
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .process = 2,
                                     .status = {CLOISTER_STATUS_EXITED, 7, 0, 0, 5, 6}};
    (void)state;
    request(0, "wait", "{\"id\":\"known\",\"process\":2}");
    complete(0, &result);
    assert_string_equal(
        story, "wait known process=2\n0:200 {\"process\":2,\"status\":{\"kind\":\"exited\",\"code\":7,\"oom\":false,"
               "\"core\":false,\"real_ns\":5}}\nrelease 2\n");
    story[0] = 0;
    result.process = 1;
    request(0, "wait", "{\"id\":\"known\"}");
    complete(0, &result);
    assert_null(strstr(story, "release")); /* the init's record stays with its container */
}

static void test_client_goes(void **state)
{
    struct cloister_result result = {CLOISTER_INIT(struct cloister_result), .process = 2};
    (void)state;
    request(0, "wait", "{\"id\":\"known\",\"process\":2}");
    story[0] = 0;
    exchanges[0].ended = true;
    personality->exchange_gone(instance, &exchanges[0], CLOISTER_GONE_PEER);
    assert_string_equal(story, "cancel 7\n");
    complete(CLOISTER_CANCELLED, NULL);
    assert_string_equal(story, "cancel 7\n"); /* nobody to tell, nothing released */
    request(1, "exec", "{\"id\":\"known\",\"process\":{}}");
    story[0] = 0;
    exchanges[1].ended = true;
    personality->exchange_gone(instance, &exchanges[1], CLOISTER_GONE_PEER);
    complete(0, &result);
    assert_string_equal(story, ""); /* what was started goes on */
}

static void emit(uint64_t sequence)
{
    struct cloister_event event = {CLOISTER_INIT(struct cloister_event),
                                   .kind = CLOISTER_EVENT_EXIT,
                                   .sequence = sequence,
                                   .service = CLOISTER_SV("s"),
                                   .sandbox = CLOISTER_SV("known"),
                                   .name = CLOISTER_SV("n"),
                                   .container = CLOISTER_SV("main"),
                                   .process = 2,
                                   .status = {CLOISTER_STATUS_EXITED, 0, 0, 0, 1, 1},
                                   .real_ns = 2000000};
    personality->event(instance, &event);
}

static const char one_event[] =
    "{\"sequence\":1,\"kind\":\"exit\",\"service\":\"s\",\"sandbox\":\"known\",\"name\":\"n\",\"container\":\"main\","
    "\"process\":2,\"is_init\":false,\"status\":{\"kind\":\"exited\",\"code\":0,\"oom\":false,\"core\":false,\"real_"
    "ns\":1},"
    "\"state\":null,\"cause\":null,\"real_ms\":2}";

static void test_events(void **state)
{
    char want[512];
    (void)state;
    request(0, "events", "{}");
    emit(1);
    (void)snprintf(want, sizeof(want), "0:open 200 {}\n0:push %s\n", one_event);
    assert_string_equal(story, want);
    request(1, "unsubscribe", "{\"sub\":3}");
    assert_true(strstr(story, "1:404"));
    story[0] = 0;
    request(1, "unsubscribe", "{\"sub\":0}");
    emit(2);
    assert_string_equal(story, "1:200 {}\n");
    assert_true(exchanges[0].ended);
}

/* With the connection stuck: 1,024 wait, ten are lost. What was lost is told behind what waited and before what came
 * later. */
static void test_event_loss(void **state)
{
    (void)state;
    request(0, "events", "{\"sandbox\":\"known\"}");
    push_result = CLOISTER_PUSH_FULL;
    for (uint64_t i = 1; i <= 1024 + 10; i++)
        emit(i);
    push_result = CLOISTER_PUSH_OK;
    pushes = 0;
    story[0] = 0;
    personality->writable(instance, &exchanges[0]);
    assert_int_equal(pushes, 1025);
    assert_string_equal(last_push, "{\"kind\":\"event_loss\",\"size\":10}");
    emit(2000);
    assert_int_equal(pushes, 1026);
    assert_int_equal(strncmp(last_push, "{\"sequence\":2000,", 17), 0);
}

/* What the connection cannot carry is told as lost, in its place. */
static void test_event_too_big(void **state)
{
    (void)state;
    request(0, "events", "{}");
    push_result = CLOISTER_PUSH_FULL;
    emit(1);
    emit(222222222222);
    emit(3);
    push_result = CLOISTER_PUSH_OK;
    push_max = strlen(one_event);
    story[0] = 0;
    personality->writable(instance, &exchanges[0]);
    assert_int_equal(pushes, 3);
    char *loss = strstr(story, "0:push {\"kind\":\"event_loss\",\"size\":1}\n");
    assert_non_null(loss);
    assert_true(strstr(story, "\"sequence\":1,") < loss && strstr(story, "\"sequence\":3,") > loss);
    story[0] = 0;
    emit(222222222222); /* the last one */
    assert_string_equal(story, "0:push {\"kind\":\"event_loss\",\"size\":1}\n");
}

static const struct {
    const char *name;
    uint32_t kind;
    const char *text, *op, *want;
} fault_cases[] = {
    {"denied", CLOISTER_FAULT_DENIED, "", "",
     "0:403 " ERROR_OF("failure", "permission denied", "permission_denied") "}\n"},
    {"malformed", CLOISTER_FAULT_MALFORMED, "offset 1: expected a string key", "",
     "0:400 " ERROR_OF("serde", "offset 1: expected a string key", "malformed") "}\n"},
    {"unknown method, near", CLOISTER_FAULT_UNKNOWN_OP, "", "creat",
     "0:404 " ERROR_OF("serde", "unknown method 'creat'; the nearest known one is 'create'", "unknown_method") "}\n"},
    {"unknown method, far", CLOISTER_FAULT_UNKNOWN_OP, "", "zzzzzz",
     "0:404 " ERROR_OF("serde", "unknown method 'zzzzzz'", "unknown_method") "}\n"},
    {"too large", CLOISTER_FAULT_TOO_LARGE, "", "",
     "0:413 " ERROR_OF("serde", "the request is too large", "too_large") "}\n"},
    {"draining", CLOISTER_FAULT_DRAINING, "", "",
     "0:503 " ERROR_OF("failure", "the daemon is about to end", "draining") "}\n"},
};

static void test_faults(void **state)
{
    for (size_t i = 0; i < COUNT(fault_cases); i++) {
        assert_int_equal(set_up(state), 0);
        struct cloister_fault fault = {CLOISTER_INIT(struct cloister_fault), .kind = fault_cases[i].kind,
                                       .text = {fault_cases[i].text, strlen(fault_cases[i].text)},
                                       .op = {fault_cases[i].op, strlen(fault_cases[i].op)}};
        personality->exchange_fault(instance, &exchanges[0], &fault);
        if (strcmp(story, fault_cases[i].want) != 0)
            fail_msg("case '%s': %s, not %s", fault_cases[i].name, story, fault_cases[i].want);
        assert_int_equal(tear_down(state), 0);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases), CASE(test_completions),   CASE(test_descriptors),
        CASE(test_wait_releases),     CASE(test_client_goes),   CASE(test_events),
        CASE(test_event_loss),        CASE(test_event_too_big), cmocka_unit_test(test_faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
