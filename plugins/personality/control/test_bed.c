/* SPDX-License-Identifier: Apache-2.0 */
#include "test_bed.h"

#include <errno.h>
#include <unistd.h>

CLOISTER_EXPORT const struct cloister_plugin *cloister_plugin_entry(void);

const struct cloister_personality *personality;
struct cloister_host host;
void *instance;
char story[8192];

void tell(const char *format, ...)
{
    va_list args;
    size_t used = strlen(story);
    va_start(args, format);
    (void)vsnprintf(story + used, sizeof(story) - used, format, args);
    va_end(args);
}

/* ---- fake exchanges ---- */

struct cloister_exchange exchanges[8];
uint32_t push_result;
uint64_t push_max;
uint32_t conn_access;
unsigned pushes;
char last_push[1024];

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
    if (nth > 0 || !exchange->role || role.size != strlen(exchange->role) ||
        memcmp(role.data, exchange->role, role.size) != 0)
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
    ret->access = conn_access;
}

static void drained(const struct cloister_host *self)
{
    (void)self;
    tell("drained\n");
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
                                                          .by_wire_id = by_wire_id,
                                                          .drained = drained};

/* ---- a fake engine with one sandbox, "known" ---- */

static cloister_done_fn pending_done;
static void *pending_ctx;

cloister_op begin(cloister_done_fn done, void *ctx)
{
    pending_done = done;
    pending_ctx = ctx;
    return 7;
}

void complete(uint32_t code, const struct cloister_result *result)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    cloister_done_fn done = pending_done;
    pending_done = NULL;
    assert_non_null(done);
    if (code != 0)
        host.log->error_set(&err, code, code == CLOISTER_NO_EXECUTABLE ? 2 : 0, "", "exec", "exec 'x'");
    done(pending_ctx, 7, code ? &err : NULL, result);
}

bool is_pending(void)
{
    return pending_done != NULL;
}

const char *sv(struct cloister_sv text)
{
    static char copies[8][512];
    static unsigned next;
    char *copy = copies[next++ % 8];
    (void)snprintf(copy, sizeof(copies[0]), "%.*s", (int)text.size, text.data ? text.data : "");
    return copy;
}

void tell_stdio(const struct cloister_stdio *stdio, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        tell(" stdio=%u", stdio[i].kind);
        if (stdio[i].kind == CLOISTER_STDIO_PIPE)
            tell(":%u:%u", (unsigned)stdio[i].window, stdio[i].policy);
        if (stdio[i].kind == CLOISTER_STDIO_PTY)
            tell(":%ux%u:%u:%u", stdio[i].rows, stdio[i].columns, (unsigned)stdio[i].window, stdio[i].policy);
        if (stdio[i].kind == CLOISTER_STDIO_SAME_AS)
            tell(":%d", stdio[i].fd);
    }
}

void tell_process(const struct cloister_process_args *process)
{
    if (!process)
        return;
    tell(" process=%s", sv(process->oci));
    for (uint64_t i = 0; i < process->env_count; i++)
        tell(" env=%s", sv(process->env[i]));
    tell_stdio(process->stdio, process->stdio_count);
    if (process->drain_idle || process->drain_max || process->tag.size > 0)
        tell(" drain=%u/%u tag=%s", (unsigned)(process->drain_idle / 1000000), (unsigned)(process->drain_max / 1000000),
             sv(process->tag));
    if (process->resolve)
        tell(" user=%s resolve=%u caps=%s", sv(process->resolve->user), process->resolve->flags,
             sv(process->resolve->nonroot_capabilities));
    if (process->search.size > 0 || process->nice)
        tell(" search=%s nice=%d", sv(process->search), process->nice);
}

void tell_container(const struct cloister_container_args *container)
{
    for (uint64_t i = 0; i < container->layer_count; i++)
        tell(" layer=%s", sv(container->layers[i]));
    if (container->rootfs_kind != CLOISTER_ROOTFS_DIRECTORY)
        tell(" rootfs_kind=%u", container->rootfs_kind);
    for (uint64_t i = 0; i < container->file_count; i++) {
        const struct cloister_file *file = &container->files[i];
        tell(" file=%s:%o:%u:%u:%s", sv(file->path), file->mode, file->uid, file->gid, sv(file->bytes));
        if (file->share.size > 0)
            tell(":%s%s", sv(file->share), sv(file->share_path));
    }
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
    for (uint64_t i = 0; i < args->label_count; i++)
        tell(" %s=%s/%u", sv(args->labels[i].key), sv(args->labels[i].value), args->labels[i].flags);
    if (args->flags)
        tell(" sandbox=%u", args->flags);
    if (args->cgroup_parent.size > 0 || args->resources.size > 0)
        tell(" parent=%s resources=%s", sv(args->cgroup_parent), sv(args->resources));
    tell_container(container);
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
    tell("exec%s%s %s/%s name=%s session=%u deadline=%d", args->flags & CLOISTER_EXEC_ENV_FROM_CONTAINER ? " +env" : "",
         args->flags & CLOISTER_EXEC_OWN_CGROUP ? " +group" : "", sv(args->sandbox), sv(args->container),
         sv(args->name), args->process->session, (int)(args->deadline ? (args->deadline - fake_now) / 1000000 : 0));
    if (args->resources.size > 0)
        tell(" resources=%s", sv(args->resources));
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
    tell("wait %s process=%u until=%u\n", sv(args->sandbox), (unsigned)args->process, args->until);
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

static cloister_op container_stop(const struct cloister_host *self, const struct cloister_container_stop_args *args,
                                  cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("stop %s/%s signal=%u grace=%u\n", sv(args->sandbox), sv(args->container), args->signal,
         (unsigned)(args->grace / 1000000));
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
    (void)err;
    tell("release %u\n", (unsigned)args->process);
    return begin(done, ctx);
}

static cloister_op attach(const struct cloister_host *self, const struct cloister_attach_args *args,
                          cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("attach %s/%s process=%u fd=%u from=%u:%u policy=%u\n", sv(args->sandbox), sv(args->container),
         (unsigned)args->process, args->fd, args->from, (unsigned)args->position, args->policy);
    return begin(done, ctx);
}

static cloister_op attach_policy(const struct cloister_host *self, const struct cloister_attach_policy_args *args,
                                 cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("attach_policy %s/%s process=%u fd=%u policy=%u window=%u\n", sv(args->sandbox), sv(args->container),
         (unsigned)args->process, args->fd, args->policy, (unsigned)args->window);
    return begin(done, ctx);
}

static cloister_op engine_stdin(const struct cloister_host *self, const struct cloister_stdin_args *args,
                                cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("stdin %s/%s process=%u\n", sv(args->sandbox), sv(args->container), (unsigned)args->process);
    return begin(done, ctx);
}

static cloister_op stdin_close(const struct cloister_host *self, const struct cloister_stdin_close_args *args,
                               cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("stdin_close %s/%s process=%u\n", sv(args->sandbox), sv(args->container), (unsigned)args->process);
    return begin(done, ctx);
}

static cloister_op label_put(const struct cloister_host *self, const struct cloister_label_put_args *args,
                             cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    if (args->key.size > 8) {
        self->log->error_set(err, CLOISTER_TOO_BIG, 0, "", "", "too long");
        return 0;
    }
    tell("label %s=%s flags=%u\n", sv(args->key), args->value.data ? sv(args->value) : "(none)", args->flags);
    return begin(done, ctx);
}

static cloister_op sandbox_commit(const struct cloister_host *self, const struct cloister_sandbox_commit_args *args,
                                  cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("commit %s\n", sv(args->sandbox));
    return begin(done, ctx);
}

static void recovered_done(const struct cloister_host *self, cloister_op op)
{
    (void)self;
    tell("recovered %u\n", (unsigned)op);
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
                                                .rootfs = CLOISTER_SV("/r"),
                                                .frozen = 1,
                                                .limits = CLOISTER_SV("{\"pids\":{\"limit\":5}}")};
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
    for (uint32_t i = 1; i <= 3; i++) {
        struct cloister_process_info process = {CLOISTER_INIT(struct cloister_process_info),
                                                .process = i,
                                                .is_init = i == 1,
                                                .captured = i == 3,
                                                .state = CLOISTER_PROCESS_RUNNING,
                                                .pid = 100,
                                                .container = CLOISTER_SV("main")};
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
    fn(ctx, CLOISTER_SV("k"), CLOISTER_SV("v"), 0);
    fn(ctx, CLOISTER_SV("token"), CLOISTER_SV("hidden"), CLOISTER_LABEL_SECRET);
    return 0;
}

static struct cloister_engine_api engine_api = {CLOISTER_INIT(struct cloister_engine_api),
                                                .sandbox_create = sandbox_create,
                                                .sandbox_commit = sandbox_commit,
                                                .sandbox_destroy = sandbox_destroy,
                                                .attach = attach,
                                                .attach_policy = attach_policy,
                                                .stdin = engine_stdin,
                                                .stdin_close = stdin_close,
                                                .label_put = label_put,
                                                .recovered_done = recovered_done,
                                                .container_kill = container_kill,
                                                .container_stop = container_stop,
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

/* ---- fake streams ---- */

struct cloister_stream client_stream, inside_stream;
uint64_t inside_position;
static struct cloister_relay_args relaying;

static const char *which(const cloister_stream *stream)
{
    return stream == &client_stream ? "client" : "inside";
}

static int32_t from_fd(const struct cloister_host *self, int32_t fd, cloister_stream **ret)
{
    (void)self;
    (void)close(fd);
    *ret = &client_stream;
    return 0;
}

static void abort_stream(cloister_stream *stream, cloister_fn closed, void *ctx)
{
    (void)closed;
    (void)ctx;
    assert_null(relaying.done); /* both are the relay's */
    tell("abort %s\n", which(stream));
}

static void finish_stream(cloister_stream *stream, cloister_fn closed, void *ctx)
{
    (void)closed;
    (void)ctx;
    assert_null(relaying.done);
    tell("finish %s\n", which(stream));
}

static int32_t relay(const struct cloister_host *self, const struct cloister_relay_args *args, cloister_op *ret)
{
    (void)self;
    if (args->limit == 13)
        return -EIO;
    tell("relay %s>%s flags=%u limit=%u\n", which(args->src), which(args->dst), args->flags, (unsigned)args->limit);
    relaying = *args;
    *ret = 99;
    return 0;
}

static void relay_cancel(const struct cloister_host *self, cloister_op op)
{
    (void)self;
    tell("relay_cancel %u\n", (unsigned)op);
}

void relayed(uint32_t end, uint64_t bytes)
{
    const struct cloister_relay_args args = relaying;
    const struct cloister_relay_result result = {CLOISTER_INIT(struct cloister_relay_result), .end = end,
                                                 .bytes = bytes};
    assert_non_null(args.done);
    relaying = (struct cloister_relay_args){0};
    args.done(args.ctx, 99, &result);
}

static int32_t stream_info(const cloister_stream *stream, struct cloister_stream_info *ret)
{
    (void)stream;
    ret->position = inside_position;
    return inside_position ? 0 : -EOPNOTSUPP;
}

static const struct cloister_stream_api stream_api = {CLOISTER_INIT(struct cloister_stream_api),
                                                      .from_fd = from_fd,
                                                      .abort = abort_stream,
                                                      .finish = finish_stream,
                                                      .relay = relay,
                                                      .relay_cancel = relay_cancel,
                                                      .info = stream_info};

/* ---- the house ---- */

int set_up(void **state)
{
    const struct cloister_plugin *plugin = cloister_plugin_entry();
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)state;
    story[0] = 0;
    push_result = CLOISTER_PUSH_OK;
    push_max = 1024;
    conn_access = CLOISTER_ACCESS_CONTROL;
    pushes = 0;
    memset(exchanges, 0, sizeof(exchanges));
    fake_host_init(&host);
    host.exchange = &exchange_api;
    fake_engine_limits(&engine_api);
    fake_engine_files(&engine_api);
    host.engine = &engine_api;
    host.stream = &stream_api;
    inside_position = 0;
    struct cloister_create_args args = {CLOISTER_INIT(struct cloister_create_args), .host = &host};
    personality = plugin->vtable;
    return personality->life.create(&args, &instance, &err);
}

int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(exchanges); i++) {
        if (exchanges[i].params && !exchanges[i].ended)
            personality->exchange_gone(instance, &exchanges[i], CLOISTER_GONE_PEER);
        cl_value_table.free(exchanges[i].params);
    }
    if (relaying.done)
        relayed(CLOISTER_RELAY_CANCELLED, 0);
    while (pending_done)
        complete(CLOISTER_CANCELLED, NULL);
    if (personality->close)
        personality->close(instance);
    personality->life.destroy(instance);
    return 0;
}

void request_with(unsigned index, const char *op, const char *params, const char *role, int fd)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    cl_value_table.free(exchanges[index].params);
    exchanges[index] = (struct cloister_exchange){.role = role, .fd = fd};
    assert_int_equal(
        cl_value_table.parse((struct cloister_sv){params, strlen(params)}, 0, 0, &exchanges[index].params, &err), 0);
    for (uint32_t i = 0; i < personality->route_count; i++) {
        if (strcmp(personality->routes[i].op, op) == 0) {
            personality->exchange(instance, &exchanges[index], personality->routes[i].id);
            return;
        }
    }
    fail_msg("no route '%s'", op);
}

void request(unsigned index, const char *op, const char *params)
{
    request_with(index, op, params, NULL, -1);
}

void go(unsigned index)
{
    exchanges[index].ended = true;
    personality->exchange_gone(instance, &exchanges[index], CLOISTER_GONE_PEER);
}
