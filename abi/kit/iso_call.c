/* SPDX-License-Identifier: Apache-2.0 */
/* iso_call.c - sandboxes and programs of ordinary shape, and the calls that cases make with them. */
#include "iso_call.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"

#define MS 1000000ull

static struct iso_sandbox *sandboxes;
static struct iso_exec *execs;
static cloister_process last_process = 1ull << 32;

/* Complete, as the contract wants it: a plugin adds nothing of its own. */
static const char spec[] =
    "{\"ociVersion\":\"1.1.0\",\"mounts\":["
    "{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\",\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
    "{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
    "\"options\":[\"nosuid\",\"noexec\",\"strictatime\",\"mode=755\",\"size=65536k\"]},"
    "{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
    "\"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid=5\"]}],"
    "\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"ipc\"},"
    "{\"type\":\"uts\"},{\"type\":\"user\"},{\"type\":\"cgroup\"}],"
    "\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]}}}";

static void add(char *to, size_t size, const char *text)
{
    size_t used = strlen(to);
    assert_true(used + strlen(text) < size);
    memcpy(to + used, text, strlen(text) + 1);
}

static void add_word(char *to, size_t size, const char *word, size_t length)
{
    char one[3] = {0};
    add(to, size, to[strlen(to) - 1] == '[' ? "\"" : ",\"");
    for (size_t i = 0; i < length; i++) {
        bool escape = word[i] == '"' || word[i] == '\\';
        one[0] = escape ? '\\' : word[i];
        one[1] = escape ? word[i] : 0;
        add(to, size, one);
    }
    add(to, size, "\"");
}

struct cloister_stdio iso_stdio(uint32_t kind, int fd)
{
    return (struct cloister_stdio){.kind = kind, .fd = fd};
}

void iso_program(struct iso_program *program, const char *command, const char *more)
{
    const char *last = strchr(command, '|');
    const char *end = last ? last : command + strlen(command);
    memset(program, 0, sizeof(*program));
    memset(program->tail, 0xa5, sizeof(program->tail));
    add(program->oci, sizeof(program->oci), "{\"args\":[");
    for (const char *at = command; at < end;) {
        size_t length = strcspn(at, " |");
        if (length)
            add_word(program->oci, sizeof(program->oci), at, length);
        at += length + 1;
    }
    if (last)
        add_word(program->oci, sizeof(program->oci), last + 1, strlen(last + 1));
    add(program->oci, sizeof(program->oci), "],\"noNewPrivileges\":true");
    add(program->oci, sizeof(program->oci), strstr(more, "\"cwd\"") ? "" : ",\"cwd\":\"/\"");
    add(program->oci, sizeof(program->oci), strstr(more, "\"user\"") ? "" : ",\"user\":{\"uid\":0,\"gid\":0}");
    add(program->oci, sizeof(program->oci), *more ? "," : "");
    add(program->oci, sizeof(program->oci), more);
    add(program->oci, sizeof(program->oci), "}");
    static const struct cloister_sv env[] = {{"PATH=/bin", 9}};
    program->args = (struct cloister_process_args){CLOISTER_INIT(struct cloister_process_args),
                                                   .oci = {program->oci, strlen(program->oci)},
                                                   .env = env,
                                                   .env_count = 1,
                                                   .stdio = program->stdio,
                                                   .stdio_count = 3,
                                                   .stdio_size = sizeof(program->stdio[0]),
                                                   .drain_idle = 300 * MS,
                                                   .drain_max = 3000 * MS};
    for (unsigned i = 0; i < 3; i++)
        program->stdio[i] = iso_stdio(CLOISTER_STDIO_NULL, -1);
}

struct iso_sandbox *iso_prepare(const char *command)
{
    static unsigned serial;
    struct iso_sandbox *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    s->next = sandboxes;
    sandboxes = s;
    serial++;
    (void)snprintf(s->id, sizeof(s->id), "kitkitkitkitk%c%c2", 'a' + serial / 26 % 26, 'a' + serial % 26);
    s->which = (struct cloister_iso_sandbox){CLOISTER_INIT(struct cloister_iso_sandbox),
                                             0,
                                             {s->id, CLOISTER_ENGINE_ID_SIZE},
                                             iso.cookie,
                                             CLOISTER_SV("kit"),
                                             {NULL, 0},
                                             {iso.run, strlen(iso.run)}};
    iso_program(&s->init, command, "");
    memset(s->container_tail, 0xa5, sizeof(s->container_tail));
    s->container = (struct cloister_container_args){CLOISTER_INIT(struct cloister_container_args),
                                                    .init = CLOISTER_INIT_PROCESS,
                                                    .start = CLOISTER_START_NOW,
                                                    .rootfs_kind = CLOISTER_ROOTFS_DIRECTORY,
                                                    .rootfs_flags = CLOISTER_ROOTFS_WRITABLE | CLOISTER_ROOTFS_IDMAP,
                                                    .spec = {spec, sizeof(spec) - 1},
                                                    .rootfs = {iso.setting.rootfs, strlen(iso.setting.rootfs)},
                                                    .process = &s->init.args};
    s->create = (struct cloister_sandbox_create_args){CLOISTER_INIT(struct cloister_sandbox_create_args),
                                                      .container = &s->container};
    s->args = (struct cloister_iso_create_args){CLOISTER_INIT(struct cloister_iso_create_args),
                                                .container = &s->container, .init = ++last_process, .incarnation = 1};
    return s;
}

bool iso_plan(struct iso_sandbox *s, struct cloister_error *ret)
{
    struct cloister_iso_sandbox which = s->which;
    which.plan = (struct cloister_sv){NULL, 0};
    const struct cloister_iso_plan_args args = {CLOISTER_INIT(struct cloister_iso_plan_args), 0, which, &s->create};
    struct cloister_sv blob = {NULL, 0};
    *ret = (struct cloister_error)CLOISTER_ERROR_INIT;
    if (iso.vtable.plan(iso.instance, &args, &blob, ret) < 0)
        return false;
    if (blob.size > CLOISTER_PLAN_MAX)
        fail_msg("the plan has %llu bytes", (unsigned long long)blob.size);
    free(s->blob);
    s->blob = calloc(1, blob.size + 1);
    assert_non_null(s->blob);
    if (blob.size)
        memcpy(s->blob, blob.data, blob.size);
    s->which.plan = (struct cloister_sv){s->blob, blob.size};
    s->args.sandbox = s->which;
    return true;
}

struct iso_outcome *iso_create_begin(struct iso_sandbox *s)
{
    struct cloister_error err;
    char text[1024];
    if (!iso_plan(s, &err)) {
        iso.host.log->error_sentence(&err, text, sizeof(text));
        if (s->may_lack && err.code == CLOISTER_UNSUPPORTED)
            iso_skip("%s", text);
        fail_msg("plan: %s", text);
    }
    (void)snprintf(text, sizeof(text), "%s/%s", iso.run, s->id);
    assert_int_equal(mkdir(text, 0700), 0);
    s->made = true;
    s->created = iso_op();
    iso.inside = true;
    iso.vtable.sandbox_create(iso.instance, &s->args, s->created->op);
    iso.inside = false;
    return s->created;
}

void iso_create(struct iso_sandbox *s)
{
    iso_wait_for(iso_create_begin(s), "sandbox_create");
    if (s->may_lack && s->created->err.code == CLOISTER_UNSUPPORTED)
        iso_skip("%s", s->created->sentence);
    iso_expect("sandbox_create", s->created, 0);
}

struct iso_sandbox *iso_made(const char *command)
{
    struct iso_sandbox *s = iso_prepare(command);
    iso_create(s);
    return s;
}

static struct iso_outcome *destroy_begin(struct iso_sandbox *s, const struct cloister_iso_destroy_args *args)
{
    struct iso_outcome *out = iso_op();
    (void)s;
    iso.inside = true;
    iso.vtable.sandbox_destroy(iso.instance, args, out->op);
    iso.inside = false;
    return out;
}

static struct cloister_iso_destroy_args destroy_args(const struct iso_sandbox *s)
{
    return (struct cloister_iso_destroy_args){CLOISTER_INIT(struct cloister_iso_destroy_args), 0, s->which, 0};
}

void iso_remove_run(struct iso_sandbox *s)
{
    char path[ISO_TEXT_MAX * 2];
    (void)snprintf(path, sizeof(path), "%s/%s", iso.run, s->id);
    if (rmdir(path) < 0 && errno != ENOENT)
        kit_breach("the sandbox's run directory is not empty after its destroy");
}

struct iso_outcome *iso_destroy(struct iso_sandbox *s)
{
    const struct cloister_iso_destroy_args args = destroy_args(s);
    struct iso_outcome *out = destroy_begin(s, &args);
    iso_wait_for(out, "sandbox_destroy");
    if (out->err.code == 0) {
        s->made = false;
        iso_remove_run(s);
    }
    return out;
}

static unsigned sweep(const struct iso_sandbox *known, bool report_only)
{
    const struct cloister_sv ids[1] = {known ? known->which.id : CLOISTER_SV("")};
    const struct cloister_iso_sweep_args args = {CLOISTER_INIT(struct cloister_iso_sweep_args),
                                                 report_only,
                                                 iso.cookie,
                                                 {iso.run, strlen(iso.run)},
                                                 ids,
                                                 known ? 1 : 0};
    struct iso_outcome *out;
    iso.orphan_count = 0;
    ISO_CALL(out, sweep, &args);
    iso_expect("sweep", out, 0);
    return iso.orphan_count;
}

unsigned iso_orphans(const struct iso_sandbox *known, bool report_only)
{
    return iso.vtable.sweep ? sweep(known, report_only) : 0;
}

void iso_gone(struct iso_sandbox *s)
{
    iso_expect("sandbox_destroy", iso_destroy(s), 0);
    if (iso_orphans(NULL, true) != 0)
        fail_msg("something is left of a sandbox that was destroyed");
}

struct iso_outcome *iso_adopt(struct iso_sandbox *s)
{
    const struct cloister_iso_container container = {.cid = CLOISTER_SV("main"),
                                                     .spec = s->container.spec,
                                                     .rootfs = s->container.rootfs,
                                                     .rootfs_flags = s->container.rootfs_flags,
                                                     .incarnation = 1,
                                                     .init = s->args.init,
                                                     .init_kind = s->container.init,
                                                     .no_new_privs = 1};
    const struct cloister_iso_adopt_args args = {
        CLOISTER_INIT(struct cloister_iso_adopt_args), 0, s->which, &container, 1, sizeof(container),
        kit_now_ns(CLOCK_MONOTONIC) + 5000 * MS};
    struct iso_outcome *out;
    ISO_CALL(out, adopt, &args);
    return out;
}

struct iso_exec *iso_exec_prepare(struct iso_sandbox *s, const char *command)
{
    struct iso_exec *e = calloc(1, sizeof(*e));
    assert_non_null(e);
    e->next = execs;
    execs = e;
    iso_program(&e->program, command, "");
    memset(e->tail, 0xa5, sizeof(e->tail));
    e->exec = (struct cloister_exec_args){CLOISTER_INIT(struct cloister_exec_args), .process = &e->program.args};
    e->args = (struct cloister_iso_exec_args){CLOISTER_INIT(struct cloister_iso_exec_args), 0, s->which, &e->exec,
                                              ++last_process};
    return e;
}

void iso_exec_begin(struct iso_exec *e)
{
    e->out = iso_op();
    iso.inside = true;
    iso.vtable.exec(iso.instance, &e->args, e->out->op);
    iso.inside = false;
}

struct iso_exec *iso_exec_wait(struct iso_exec *e)
{
    iso_exec_begin(e);
    iso_wait_for(e->out, "exec");
    return e;
}

struct iso_exec *iso_exec(struct iso_sandbox *s, const char *command)
{
    struct iso_exec *e = iso_exec_wait(iso_exec_prepare(s, command));
    iso_expect(command, e->out, 0);
    return e;
}

struct iso_outcome *iso_signal(struct iso_sandbox *s, cloister_process process, uint32_t signal, uint32_t scope)
{
    const struct cloister_signal_args what = {CLOISTER_INIT(struct cloister_signal_args), .signal = signal,
                                              .process = process, .scope = scope};
    const struct cloister_iso_signal_args args = {CLOISTER_INIT(struct cloister_iso_signal_args), 0, s->which, &what};
    struct iso_outcome *out;
    ISO_CALL(out, signal, &args);
    return out;
}

struct iso_outcome *iso_kill(struct iso_sandbox *s, uint32_t set, uint32_t signal)
{
    const struct cloister_container_kill_args what = {CLOISTER_INIT(struct cloister_container_kill_args), .set = set,
                                                      .signal = signal};
    const struct cloister_iso_kill_args args = {CLOISTER_INIT(struct cloister_iso_kill_args), 0, s->which, &what};
    struct iso_outcome *out;
    ISO_CALL(out, container_kill, &args);
    return out;
}

struct iso_outcome *iso_freeze(struct iso_sandbox *s, const char *container, bool thaw)
{
    const struct cloister_iso_freeze_args args = {
        CLOISTER_INIT(struct cloister_iso_freeze_args), 0, s->which, {container, strlen(container)}, 0};
    struct iso_outcome *out;
    if (thaw)
        ISO_CALL(out, thaw, &args);
    else
        ISO_CALL(out, freeze, &args);
    return out;
}

struct iso_outcome *iso_release(struct iso_sandbox *s, cloister_process process)
{
    const struct cloister_iso_release_args args = {CLOISTER_INIT(struct cloister_iso_release_args), 0, s->which,
                                                   process};
    struct iso_outcome *out;
    ISO_CALL(out, release, &args);
    return out;
}

struct iso_outcome *iso_attach(struct iso_sandbox *s, cloister_process process, uint32_t fd, uint32_t from,
                               uint64_t position)
{
    const struct cloister_attach_args what = {CLOISTER_INIT(struct cloister_attach_args),
                                              .from = from,
                                              .process = process,
                                              .fd = fd,
                                              .policy = CLOISTER_POLICY_BLOCK,
                                              .position = position};
    const struct cloister_iso_attach_args args = {CLOISTER_INIT(struct cloister_iso_attach_args), 0, s->which, &what};
    struct iso_outcome *out;
    ISO_CALL(out, attach, &args);
    return out;
}

void iso_call_clear(void)
{
    for (struct iso_sandbox *s; (s = sandboxes) != NULL;) {
        const struct cloister_iso_destroy_args args = destroy_args(s);
        struct iso_outcome *out = s->made ? destroy_begin(s, &args) : NULL;
        if (out && !iso_completed(out))
            kit_breach("sandbox_destroy does not complete within %u s", iso.setting.patience);
        else if (out && out->err.code)
            kit_breach("sandbox_destroy: %s", out->sentence);
        else if (out)
            iso_remove_run(s);
        sandboxes = s->next;
        free(s->blob);
        free(s);
    }
    for (struct iso_exec *e; (e = execs) != NULL;) {
        execs = e->next;
        free(e);
    }
}

void iso_pipe(int ends[2])
{
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
}

const char *iso_read_all(int fd, size_t *ret_size, bool *ret_ended)
{
    static char text[1u << 20];
    uint64_t end = kit_now_ns(CLOCK_MONOTONIC) + iso.setting.patience * 1000 * MS;
    size_t size = 0;
    ssize_t n = 1;
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    while (n != 0 && size < sizeof(text) - 1 && kit_now_ns(CLOCK_MONOTONIC) < end) {
        n = read(fd, text + size, sizeof(text) - 1 - size);
        size += n > 0 ? (size_t)n : 0;
        if (n < 0)
            kit_loop_turns(1);
    }
    text[size] = 0;
    (void)close(fd);
    if (ret_size)
        *ret_size = size;
    if (ret_ended)
        *ret_ended = n == 0;
    else if (n != 0)
        fail_msg("an output has no end within %u s", iso.setting.patience);
    return text;
}

bool iso_lives(int32_t pid)
{
    return pid > 0 && kill(pid, 0) == 0;
}
