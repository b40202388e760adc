/* SPDX-License-Identifier: Apache-2.0 */
/* bed.c - see bed.h. */
#include "bed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "core/host/host.h"
#include "core/loop/loop.h"
#include "core/value/value.h"
#include "core/zygote/zygote.h"

struct bed bed;
void (*bed_result)(const struct cloister_result *result);

static struct cl_loop *loop;
static struct cl_zygote *zygote;
static struct cl_instance instance;
static struct cl_host rooms;
static struct bed_outcome *outcomes[256];
static cloister_op last_op;

static struct bed_inventory *inventory_to;

static void copy_text(char *to, struct cloister_sv from)
{
    assert_true(from.size < 64);
    snprintf(to, 64, "%.*s", (int)from.size, from.size ? from.data : "");
}

static void copy_inventory(const struct cloister_inventory *from, struct bed_inventory *to)
{
    to->fate = from->fate;
    to->frozen = from->frozen;
    to->container_count = (unsigned)from->container_count;
    to->count = (unsigned)from->process_count;
    assert_true(to->count <= BED_MAX && to->container_count <= 2);
    if (to->container_count)
        to->container = from->containers[0];
    for (unsigned i = 0; i < to->count; i++) {
        const struct cloister_inventory_process *one =
            (const void *)((const char *)from->processes + i * from->process_size);

        to->processes[i] = *one;
        copy_text(to->names[i], one->name);
        copy_text(to->tags[i], one->tag);
        assert_true(one->output_count <= 3);
        memcpy(to->outputs[i], one->outputs, one->output_count * sizeof(to->outputs[0][0]));
    }
}

static void on_done(const struct cloister_host *host, cloister_op op, const struct cloister_error *error,
                    const struct cloister_result *result)
{
    struct bed_outcome *out = op && op <= last_op ? outcomes[op % 256] : NULL;

    assert_non_null(out);
    assert_int_equal(out->op, op);
    out->done++;
    if (error) {
        out->err = *error;
        host->log->error_sentence(error, out->sentence, sizeof(out->sentence));
    } else if (result) {
        out->result = *result;
        if (bed_result)
            bed_result(result);
        if (result->inventory && inventory_to)
            copy_inventory(result->inventory, inventory_to);
        snprintf(out->data, sizeof(out->data), "%.*s", (int)result->data.size,
                 result->data.data ? result->data.data : "");
        snprintf(out->json, sizeof(out->json), "%.*s", (int)result->json.size,
                 result->json.data ? result->json.data : "");
    }
}

static void on_event(const struct cloister_host *host, const struct cloister_iso_event *event)
{
    if (event->kind == CLOISTER_EVENT_SANDBOX_DOWN) {
        assert_int_equal(event->cause, CLOISTER_CAUSE_LOST);
        bed.downs++;
        return;
    }
    if (event->kind == CLOISTER_EVENT_DRAINED) {
        struct bed_drained *one = &bed.drained[bed.drained_count++ % BED_MAX];

        assert_true(event->output_count <= 3);
        one->process = event->process;
        one->count = (unsigned)event->output_count;
        memcpy(one->outputs, event->outputs, event->output_count * sizeof(one->outputs[0]));
        return;
    }
    assert_int_equal(event->kind, CLOISTER_EVENT_EXIT);
    assert_true(bed.exit_count < BED_MAX);
    bed.exits[bed.exit_count++] = (struct bed_exit){event->process, event->status};
}

static void on_orphan(const struct cloister_host *host, struct cloister_sv sandbox, const char *kind,
                      struct cloister_sv name, uint32_t removed)
{
    snprintf(bed.orphans[bed.orphan_count++ % BED_MAX], 256, "%.*s %s %u", (int)sandbox.size, sandbox.data, kind,
             removed);
}

static void on_warning(const struct cloister_host *host, struct cloister_sv sandbox, struct cloister_sv path,
                       const char *text)
{
    snprintf(bed.warnings[bed.warning_count++ % BED_MAX], 256, "%.*s: %s", (int)path.size, path.data, text);
}

static const struct cloister_iso_api iso_api = {CLOISTER_INIT(struct cloister_iso_api), .done = on_done,
                                                .event = on_event, .orphan = on_orphan, .warning = on_warning};

static void set_option(struct cloister_option_value *value, uint32_t type, const char *text)
{
    *value = (struct cloister_option_value){.set = 1, .type = type, .text = {text, strlen(text)}};
}

static void make_instance(void)
{
    static struct cloister_option_value options[7];
    static char label[] = "isolation 'main' (namespaces)";
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cloister_iso_probe probe = {CLOISTER_INIT(struct cloister_iso_probe)};
    struct cloister_create_args args = {
        CLOISTER_INIT(struct cloister_create_args), 7, &instance.host, {"main", 4}, options, sizeof(*options)};
    char sentence[1024];

    instance = (struct cl_instance){.kind = CLOISTER_KIND_ISOLATION, .label = label};
    instance.host.struct_size = sizeof(instance.host);
    instance.host.self = &instance;
    cl_host_fill(&rooms, &instance);
    set_option(&options[0], CLOISTER_OPTION_STRING, bed.cgroup_root);
    set_option(&options[1], CLOISTER_OPTION_JSON, "{\"first\":2000000,\"count\":65536,\"each\":\"sandbox\"}");
    options[2] = (struct cloister_option_value){.set = 1, .type = CLOISTER_OPTION_U64, .number = BED_EXEC_MS};
    options[3] = (struct cloister_option_value){.set = 1, .type = CLOISTER_OPTION_U64, .number = 32u << 20};
    options[4] = (struct cloister_option_value){.set = 1, .type = CLOISTER_OPTION_U64, .number = 60};
    set_option(&options[5], CLOISTER_OPTION_STRING, bed.halt_at);
    set_option(&options[6], CLOISTER_OPTION_JSON, *bed.forbid ? bed.forbid : "[]");
    if (bed.iso->life.create(&args, &bed.instance, &err) < 0 || bed.iso->probe(bed.instance, &probe, &err) < 0) {
        instance.host.log->error_sentence(&err, sentence, sizeof(sentence));
        fail_msg("%s", sentence);
    }
    bed.features = probe.capabilities;
}

static bool borrowed;

static void make_directories(void)
{
    char command[512];

    snprintf(bed.dir, sizeof(bed.dir), "/tmp/cl-backend-XXXXXX");
    assert_non_null(mkdtemp(bed.dir));
    snprintf(
        command, sizeof(command),
        "mkdir -p %s/rootfs %s/run && cd %s/rootfs && mkdir bin proc sys dev etc tmp root && cp /bin/busybox bin/ && "
        "for a in sh true false grep test wc cat id sleep ls kill echo mount seq; do ln -s busybox bin/$a; done",
        bed.dir, bed.dir, bed.dir);
    assert_int_equal(system(command), 0);
}

/* The cookie's lower half tells whose cgroup root it is. */
static void take_place(void)
{
    const char *place = getenv("BED_PLACE");
    unsigned long long cookie = 0xabcdef0100000000ull | (uint32_t)getpid();

    borrowed = place != NULL;
    if (borrowed)
        assert_int_equal(sscanf(place, "%63[^:]:%llx", bed.dir, &cookie), 2);
    else
        make_directories();
    bed.cookie = cookie;
    snprintf(bed.rootfs, sizeof(bed.rootfs), "%s/rootfs", bed.dir);
    snprintf(bed.run, sizeof(bed.run), "%s/run", bed.dir);
    snprintf(bed.cgroup_root, sizeof(bed.cgroup_root), "/clN-test-%u", (unsigned)(uint32_t)cookie);
}

void bed_place(char *ret, size_t size)
{
    snprintf(ret, size, "%s:%llx", bed.dir, (unsigned long long)bed.cookie);
}

void bed_open(const char *keeper)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;

    memset(&bed, 0, sizeof(bed));
    take_place();
    snprintf(bed.halt_at, sizeof(bed.halt_at), "%s", getenv("BED_HALT") ? getenv("BED_HALT") : "");
    if (zygote == NULL) {
        assert_int_equal(cl_zygote_start(keeper, &zygote, &err), 0);
        assert_int_equal(cl_loop_new(&loop), 0);
        assert_int_equal(cl_zygote_attach(zygote, loop, NULL, NULL), 0);
    }
    rooms = (struct cl_host){.loop = loop,
                             .zygote = zygote,
                             .instance = "test",
                             .run_dir = bed.run,
                             .helpers_beside = BED_TAR,
                             .boot_id = "x",
                             .cookie = bed.cookie,
                             .iso = &iso_api};
    bed.iso = cloister_plugin_entry()->vtable;
    make_instance();
}

const struct cloister_host *bed_host(void)
{
    return &instance.host;
}

static void end_instance(void)
{
    bed.iso->detach(bed.instance);
    cl_loop_run_pending(loop, 50);
    bed.iso->life.destroy(bed.instance);
    bed_turns(50);
}

void bed_restart(void)
{
    end_instance();
    make_instance();
}

void bed_close(void)
{
    char command[128];

    end_instance();
    cl_host_release(&rooms);
    if (borrowed)
        return;
    snprintf(command, sizeof(command), "rm -rf %s", bed.dir);
    assert_int_equal(system(command), 0);
}

static void stop(void *ctx)
{
    cl_loop_stop(loop);
}

void bed_turns(unsigned ms)
{
    cloister_timer *timer;

    assert_int_equal(cl_timer_open(loop, stop, NULL, &timer), 0);
    cl_timer_set(timer, instance.host.system->now_mono() + ms * 1000000ull, 0);
    cl_loop_run(loop);
    cl_timer_close(timer, NULL, NULL);
    cl_loop_run_pending(loop, 10);
}

bool bed_until(const unsigned *count)
{
    for (unsigned i = 0; *count == 0 && i < 6000; i++)
        bed_turns(5);
    return *count != 0;
}

char *bed_read(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = calloc(1, 65536);

    assert_non_null(file);
    assert_non_null(text);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

static void set_args(cloister_value *process, const char *command)
{
    cloister_value *args = cl_value_new_array();
    char copy[4096], *last, *save = NULL;

    snprintf(copy, sizeof(copy), "%s", command);
    last = strchr(copy, '|');
    if (last)
        *last++ = 0;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        cl_value_append(args, cl_value_new_cstr(word));
    if (last)
        cl_value_append(args, cl_value_new_cstr(last));
    cl_value_set_cstr(process, "args", args);
    cl_value_remove(process, (struct cloister_sv){"terminal", 8});
    cl_value_remove(process, (struct cloister_sv){"env", 3});
}

void bed_spec(const char *text, const char *command, struct cloister_sv *ret_spec, struct cloister_sv *ret_process)
{
    static char spec_text[65536], process_text[65536];
    cloister_value *doc = NULL, *process;
    char *printed;
    size_t size;

    assert_int_equal(cl_value_parse((struct cloister_sv){text, strlen(text)}, NULL, &doc, NULL, NULL), 0);
    process = cl_value_detach(doc, cl_value_get_cstr(doc, "process"));
    set_args(process, command);
    assert_int_equal(cl_value_print(doc, false, &printed, &size), 0);
    snprintf(spec_text, sizeof(spec_text), "%s", printed);
    free(printed);
    assert_int_equal(cl_value_print(process, false, &printed, &size), 0);
    snprintf(process_text, sizeof(process_text), "%s", printed);
    free(printed);
    cl_value_free(process);
    cl_value_free(doc);
    *ret_spec = (struct cloister_sv){spec_text, strlen(spec_text)};
    *ret_process = (struct cloister_sv){process_text, strlen(process_text)};
}

cloister_op bed_op(struct bed_outcome *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->op = ++last_op;
    outcomes[ret->op % 256] = ret;
    return ret->op;
}

void bed_wait(struct bed_outcome *ret)
{
    assert_true(bed_until(&ret->done));
    cl_loop_run_pending(loop, 5);
    assert_int_equal(ret->done, 1);
}

void bed_prepare(struct bed_sandbox *s, const char *id, const char *text, const char *command)
{
    static cloister_process next_process;

    memset(s, 0, sizeof(*s));
    snprintf(s->id, sizeof(s->id), "%s", id);
    s->which = (struct cloister_iso_sandbox){CLOISTER_INIT(struct cloister_iso_sandbox),
                                             0,
                                             {s->id, 16},
                                             bed.cookie,
                                             {"web", 3},
                                             {NULL, 0},
                                             {bed.run, strlen(bed.run)}};
    s->process = (struct cloister_process_args){CLOISTER_INIT(struct cloister_process_args)};
    bed_spec(text, command, &s->spec, &s->process.oci);
    s->spec.data = strndup(s->spec.data, s->spec.size);
    s->process.oci.data = strndup(s->process.oci.data, s->process.oci.size);
    s->process.stdio = s->stdio;
    s->process.stdio_size = sizeof(s->stdio[0]);
    s->container = (struct cloister_container_args){CLOISTER_INIT(struct cloister_container_args),
                                                    .init = CLOISTER_INIT_PROCESS,
                                                    .start = CLOISTER_START_NOW,
                                                    .rootfs_kind = CLOISTER_ROOTFS_DIRECTORY,
                                                    .rootfs_flags = CLOISTER_ROOTFS_WRITABLE | CLOISTER_ROOTFS_IDMAP,
                                                    .spec = s->spec,
                                                    .rootfs = {bed.rootfs, strlen(bed.rootfs)},
                                                    .process = &s->process};
    s->create = (struct cloister_sandbox_create_args){CLOISTER_INIT(struct cloister_sandbox_create_args),
                                                      .container = &s->container};
    s->args =
        (struct cloister_iso_create_args){CLOISTER_INIT(struct cloister_iso_create_args), .container = &s->container,
                                          .init = ++next_process + 1000, .incarnation = 1};
}

int bed_plan(struct bed_sandbox *s, struct bed_outcome *ret)
{
    struct cloister_iso_plan_args plan = {CLOISTER_INIT(struct cloister_iso_plan_args), 0, s->which, &s->create};
    struct cloister_sv blob;

    memset(ret, 0, sizeof(*ret));
    ret->err = (struct cloister_error)CLOISTER_ERROR_INIT;
    if (bed.iso->plan(bed.instance, &plan, &blob, &ret->err) < 0) {
        instance.host.log->error_sentence(&ret->err, ret->sentence, sizeof(ret->sentence));
        return -1;
    }
    assert_true(blob.size < sizeof(s->blob));
    memcpy(s->blob, blob.data, blob.size);
    s->which.plan = (struct cloister_sv){s->blob, blob.size};
    s->args.sandbox = s->which;
    return 0;
}

void bed_start(struct bed_sandbox *s, struct bed_outcome *ret)
{
    char dir[160];

    if (bed_plan(s, ret) < 0)
        fail_msg("plan: %s", ret->sentence);
    snprintf(dir, sizeof(dir), "%s/%s", bed.run, s->id);
    assert_int_equal(mkdir(dir, 0700), 0);
    bed.iso->sandbox_create(bed.instance, &s->args, bed_op(ret));
    assert_int_equal(ret->done, 0);
}

void bed_create(struct bed_sandbox *s, struct bed_outcome *ret)
{
    bed_start(s, ret);
    bed_wait(ret);
}

void bed_destroy(struct bed_sandbox *s, struct bed_outcome *ret)
{
    struct cloister_iso_destroy_args args = {CLOISTER_INIT(struct cloister_iso_destroy_args), 0, s->which};
    char dir[160];

    bed.iso->sandbox_destroy(bed.instance, &args, bed_op(ret));
    assert_int_equal(ret->done, 0);
    bed_wait(ret);
    snprintf(dir, sizeof(dir), "%s/%s", bed.run, s->id);
    if (ret->err.code == 0 && rmdir(dir) < 0)
        assert_int_equal(errno, ENOENT);
}

struct cloister_status bed_exit_of(cloister_process process)
{
    for (unsigned turn = 0; turn < 4000; turn++) {
        for (unsigned i = 0; i < bed.exit_count; i++)
            if (bed.exits[i].process == process)
                return bed.exits[i].status;
        bed_turns(5);
    }
    fail_msg("process %llu does not exit", (unsigned long long)process);
    return (struct cloister_status){0};
}

void bed_exec_with(struct bed_sandbox *s, cloister_process process, const char *command,
                   const struct cloister_stdio *stdio, const char *name, const char *tag, struct bed_outcome *ret)
{
    struct cloister_sv spec;
    struct cloister_process_args args = {CLOISTER_INIT(struct cloister_process_args),
                                         .stdio = stdio,
                                         .stdio_count = 3,
                                         .stdio_size = sizeof(*stdio),
                                         .tag = {tag, strlen(tag)},
                                         .drain_idle = 300000000ull,
                                         .drain_max = 3000000000ull};
    struct cloister_exec_args exec = {CLOISTER_INIT(struct cloister_exec_args), .name = {name, strlen(name)},
                                      .process = &args};
    struct cloister_iso_exec_args iso = {CLOISTER_INIT(struct cloister_iso_exec_args), 0, s->which, &exec, process};

    bed_spec("{\"process\":{\"cwd\":\"/\",\"user\":{\"uid\":3,\"gid\":4,\"additionalGids\":[7]}}}", command, &spec,
             &args.oci);
    bed.iso->exec(bed.instance, &iso, bed_op(ret));
    assert_int_equal(ret->done, 0);
    bed_wait(ret);
}

void bed_exec(struct bed_sandbox *s, cloister_process process, const char *command, int fd, struct bed_outcome *ret)
{
    struct cloister_stdio stdio[3] = {{CLOISTER_STDIO_NULL, -1}, {CLOISTER_STDIO_NULL, -1}, {CLOISTER_STDIO_NULL, -1}};

    if (fd >= 0)
        stdio[1] = (struct cloister_stdio){CLOISTER_STDIO_DESCRIPTOR, fd};
    bed_exec_with(s, process, command, stdio, "", "", ret);
}

void bed_adopt(struct bed_sandbox *s, unsigned deadline_ms, struct bed_outcome *ret,
               struct bed_inventory *ret_inventory)
{
    struct cloister_iso_container containers[2] = {{.cid = {"main", 4},
                                                    .spec = s->spec,
                                                    .rootfs = s->container.rootfs,
                                                    .rootfs_flags = s->container.rootfs_flags,
                                                    .incarnation = 1,
                                                    .init = s->args.init,
                                                    .init_kind = s->container.init,
                                                    .no_new_privs = 1}};
    struct cloister_iso_adopt_args args = {CLOISTER_INIT(struct cloister_iso_adopt_args),
                                           0,
                                           s->which,
                                           containers,
                                           bed.also ? 2 : 1,
                                           sizeof(containers[0]),
                                           0};

    if (bed.also)
        containers[1] = *bed.also;

    if (deadline_ms)
        args.deadline = instance.host.system->now_mono() + deadline_ms * 1000000ull;
    memset(ret_inventory, 0, sizeof(*ret_inventory));
    inventory_to = ret_inventory;
    bed.iso->adopt(bed.instance, &args, bed_op(ret));
    assert_int_equal(ret->done, 0);
    bed_wait(ret);
    inventory_to = NULL;
}

void bed_attach(struct bed_sandbox *s, cloister_process process, uint32_t fd, uint32_t from, uint64_t position,
                uint32_t policy, struct bed_outcome *ret)
{
    struct cloister_attach_args attach = {CLOISTER_INIT(struct cloister_attach_args),
                                          .from = from,
                                          .process = process,
                                          .fd = fd,
                                          .policy = policy,
                                          .position = position};
    struct cloister_iso_attach_args args = {CLOISTER_INIT(struct cloister_iso_attach_args), 0, s->which, &attach};

    bed.iso->attach(bed.instance, &args, bed_op(ret));
    assert_int_equal(ret->done, 0);
    bed_wait(ret);
}

void bed_stdin(struct bed_sandbox *s, cloister_process process, bool close, struct bed_outcome *ret)
{
    struct cloister_iso_stdin_args args = {CLOISTER_INIT(struct cloister_iso_stdin_args), 0, s->which, process};

    if (close)
        bed.iso->stdin_close(bed.instance, &args, bed_op(ret));
    else
        bed.iso->stdin(bed.instance, &args, bed_op(ret));
    bed_wait(ret);
}

void bed_release(struct bed_sandbox *s, cloister_process process, struct bed_outcome *ret)
{
    struct cloister_iso_release_args args = {CLOISTER_INIT(struct cloister_iso_release_args), 0, s->which, process};

    bed.iso->release(bed.instance, &args, bed_op(ret));
    bed_wait(ret);
}

static unsigned count_entries(const char *path, const char *prefix)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    unsigned count = 0;

    while (dir && (entry = readdir(dir)) != NULL)
        count += entry->d_name[0] != '.' && strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    if (dir)
        closedir(dir);
    return count;
}

unsigned bed_group_count(void)
{
    DIR *dir = opendir("/sys/fs/cgroup");
    struct dirent *entry;
    unsigned count = 0;

    while (dir && (entry = readdir(dir)) != NULL) {
        char path[512];

        snprintf(path, sizeof(path), "/sys/fs/cgroup/%s%s", entry->d_name, bed.cgroup_root);
        count += entry->d_name[0] != '.' ? count_entries(path, "cl-") : 0;
    }
    if (dir)
        closedir(dir);
    return count;
}

unsigned bed_run_count(void)
{
    return count_entries(bed.run, "");
}

void bed_pipe(int ends[2])
{
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
}

const char *bed_drain(int fd)
{
    static char text[65536];
    size_t size = 0;
    ssize_t n;

    while ((n = read(fd, text + size, sizeof(text) - 1 - size)) > 0)
        size += (size_t)n;
    text[size] = 0;
    close(fd);
    return text;
}
