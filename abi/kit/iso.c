/* SPDX-License-Identifier: Apache-2.0 */
/* iso.c - instance, upcalls and waiting; what cases call is in iso_call.c. */
#include "iso.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "helper.h"
#include "iso_call.h"
#include "loop.h"
#include "stream.h"
#include "zygote.h"

#define OUTCOMES 1024u

struct iso iso;

static struct iso_outcome *outcomes[OUTCOMES];
static cloister_op last_op;

static struct iso_outcome *outcome_of(cloister_op op)
{
    struct iso_outcome *out = op && op <= last_op ? outcomes[op % OUTCOMES] : NULL;
    return out && out->op == op ? out : NULL;
}

static void copy_text(char to[ISO_TEXT_MAX], struct cloister_sv from)
{
    (void)snprintf(to, ISO_TEXT_MAX, "%.*s", (int)(from.size < ISO_TEXT_MAX ? from.size : ISO_TEXT_MAX),
                   from.size ? from.data : "");
}

/* Elements may be longer than ours; they are never shorter in one SDK minor. */
#define ELEMENT(array, size, i) ((const void *)((const char *)(array) + (i) * (size)))

static void copy_rows(struct iso_outcome *out, const struct cloister_result *result)
{
    for (uint64_t i = 0; i < result->stat_count && out->stat_count < ISO_ROWS_MAX; i++) {
        const struct cloister_stat *stat = ELEMENT(result->stats, result->stat_size, i);
        copy_text(out->stats[out->stat_count].key, stat->key);
        out->stats[out->stat_count++].value = stat->value;
    }
    for (uint64_t i = 0; i < result->proc_count && out->proc_count < ISO_ROWS_MAX; i++) {
        const struct cloister_proc *proc = ELEMENT(result->procs, result->proc_size, i);
        copy_text(out->comms[out->proc_count], proc->comm);
        out->procs[out->proc_count++] = *proc;
    }
}

static void copy_inventory(struct iso_outcome *out, const struct cloister_inventory *inventory)
{
    out->fate = inventory->fate;
    out->frozen = inventory->frozen;
    out->container_count = (unsigned)inventory->container_count;
    if (inventory->container_count)
        out->container = inventory->containers[0];
    for (uint64_t i = 0; i < inventory->process_count && i < ISO_ROWS_MAX; i++) {
        const struct cloister_inventory_process *one = ELEMENT(inventory->processes, inventory->process_size, i);
        copy_text(out->names[i], one->name);
        copy_text(out->tags[i], one->tag);
        out->processes[i] = *one;
        out->process_count = (unsigned)i + 1;
    }
}

static void on_done(const struct cloister_host *host, cloister_op op, const struct cloister_error *error,
                    const struct cloister_result *result)
{
    struct iso_outcome *out = outcome_of(op);
    if (!out || out->order) {
        kit_breach("operation %llu: %s", (unsigned long long)op,
                   out ? "completed a second time" : "was never begun, and completed");
        return;
    }
    if (iso.inside)
        kit_breach("operation %llu completed inside the call", (unsigned long long)op);
    out->order = ++iso.order;
    struct cloister_sv text = {NULL, 0};
    if (error) {
        out->err = *error;
        if (!error->code)
            kit_breach("operation %llu failed without a code", (unsigned long long)op);
        host->log->error_sentence(error, out->sentence, sizeof(out->sentence));
    } else if (result) {
        memcpy(&out->result, result, result->struct_size < sizeof(*result) ? result->struct_size : sizeof(*result));
        text = result->data.size ? result->data : result->json;
        copy_text(out->home, result->home);
        copy_rows(out, result);
        if (result->inventory)
            copy_inventory(out, result->inventory);
    }
    out->text = calloc(1, text.size + 1);
    if (out->text && text.size)
        memcpy(out->text, text.data, text.size);
    out->text_size = text.size;
}

static void on_event(const struct cloister_host *host, const struct cloister_iso_event *event)
{
    (void)host;
    if (event->kind == CLOISTER_EVENT_EXIT)
        for (unsigned i = 0; i < iso.event_count; i++)
            if (iso.events[i].kind == CLOISTER_EVENT_EXIT && iso.events[i].process == event->process)
                kit_breach("process %llu exits a second time", (unsigned long long)event->process);
    if (iso.event_count == ISO_EVENTS_MAX) {
        kit_breach("more than %u events in one case", ISO_EVENTS_MAX);
        return;
    }
    struct iso_event *one = &iso.events[iso.event_count++];
    *one = (struct iso_event){++iso.order, event->kind, event->process, event->status, {{0}}, 0};
    for (uint64_t i = 0; event->kind == CLOISTER_EVENT_DRAINED && i < event->output_count && i < 3; i++)
        one->outputs[one->output_count++] =
            *(const struct cloister_output_end *)ELEMENT(event->outputs, event->output_size, i);
}

static void on_orphan(const struct cloister_host *host, struct cloister_sv sandbox, const char *kind,
                      struct cloister_sv name, uint32_t removed)
{
    (void)host;
    if (kit_verbose)
        (void)fprintf(stderr, "orphan: %.*s: %s '%.*s'%s\n", (int)sandbox.size, sandbox.data, kind, (int)name.size,
                      name.data, removed ? ", removed" : "");
    if (iso.orphan_count == ISO_ROWS_MAX)
        return;
    copy_text(iso.orphans[iso.orphan_count].sandbox, sandbox);
    iso.orphans[iso.orphan_count++].removed = removed;
}

static void on_warning(const struct cloister_host *host, struct cloister_sv sandbox, struct cloister_sv path,
                       const char *text)
{
    (void)host;
    (void)sandbox;
    if (kit_verbose)
        (void)fprintf(stderr, "warning: %.*s: %s\n", (int)path.size, path.data, text);
}

static void on_progress(const struct cloister_host *host, struct cloister_sv sandbox, const char *step, uint64_t done,
                        uint64_t total)
{
    (void)host, (void)sandbox, (void)step, (void)done, (void)total;
}

static const struct cloister_iso_api iso_api = {
    CLOISTER_INIT(struct cloister_iso_api),
    .done = on_done,
    .event = on_event,
    .orphan = on_orphan,
    .warning = on_warning,
    .progress = on_progress,
};

static uint64_t own_cookie(const struct cloister_host *host)
{
    (void)host;
    return iso.cookie;
}

static int32_t path_in(char *ret, uint64_t size, struct cloister_error *err, const char *format, ...)
    CLOISTER_PRINTF(4, 5);
static int32_t path_in(char *ret, uint64_t size, struct cloister_error *err, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(ret, size, format, arguments);
    va_end(arguments);
    if (length > 0 && (uint64_t)length < size && length <= 107)
        return 0;
    iso.host.log->error_set(err, CLOISTER_TOO_BIG, 0, "path", "path", "a path has more than 107 bytes");
    return -1;
}

static int32_t run_path(const struct cloister_host *host, struct cloister_sv sandbox, const char *leaf, char *ret,
                        uint64_t size, struct cloister_error *err)
{
    (void)host;
    return path_in(ret, size, err, "%s/%.*s/%s", iso.run, (int)sandbox.size, sandbox.data, leaf);
}

static int32_t state_path(const struct cloister_host *host, const char *leaf, char *ret, uint64_t size,
                          struct cloister_error *err)
{
    (void)host;
    if (path_in(ret, size, err, "%s/state/%s", iso.setting.directory, leaf) < 0)
        return -1;
    if (mkdir(ret, 0700) == 0 || errno == EEXIST)
        return 0;
    iso.host.log->error_set(err, CLOISTER_IO, errno, ret, "mkdir", "make '%s'", ret);
    return -1;
}

bool iso_begin(const struct iso_setting *setting)
{
    char state[ISO_TEXT_MAX];
    iso.setting = *setting;
    (void)snprintf(state, sizeof(state), "%s/state", setting->directory);
    (void)snprintf(iso.run, sizeof(iso.run), "%s/run", setting->directory);
    return mkdir(iso.run, 0700) == 0 && mkdir(state, 0700) == 0;
}

static bool make_instance(void)
{
    static struct cloister_system_api system_api;
    const struct cloister_plugin *plugin = iso.setting.plugin;
    const struct cloister_isolation *vtable = plugin->vtable;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    char sentence[1024];
    const struct cloister_create_args args = {CLOISTER_INIT(struct cloister_create_args),
                                              plugin->option_count,
                                              &iso.host,
                                              CLOISTER_SV("main"),
                                              iso.setting.options->values,
                                              sizeof(iso.setting.options->values[0]),
                                              NULL,
                                              NULL};
    kit_host_init(&iso.host);
    system_api = *iso.host.system;
    system_api.cookie = own_cookie;
    system_api.run_path = run_path;
    system_api.state_path = state_path;
    system_api.zygote_fork = kit_zygote_fork;
    system_api.helper_spawn = kit_helper_spawn;
    iso.host.system = &system_api;
    iso.host.stream = &kit_stream_api;
    iso.host.iso = &iso_api;
    memset(&iso.vtable, 0, sizeof(iso.vtable));
    memcpy(&iso.vtable, vtable, vtable->struct_size < sizeof(*vtable) ? vtable->struct_size : sizeof(*vtable));
    iso.probe = (struct cloister_iso_probe){CLOISTER_INIT(struct cloister_iso_probe)};
    if (iso.vtable.life.create(&args, &iso.instance, &err) == 0) {
        if (iso.vtable.probe(iso.instance, &iso.probe, &err) == 0) {
            iso.capabilities = iso.probe.capabilities;
            return true;
        }
        iso.vtable.life.destroy(iso.instance);
    }
    iso.host.log->error_sentence(&err, sentence, sizeof(sentence));
    (void)fprintf(stderr, "make an instance: %s\n", sentence);
    iso.instance = NULL;
    return false;
}

bool iso_open(void)
{
    kit_breaches = 0;
    iso.event_count = iso.orphan_count = iso.order = 0;
    return getrandom(&iso.cookie, sizeof(iso.cookie), 0) == (ssize_t)sizeof(iso.cookie) && make_instance();
}

static void end_instance(void)
{
    iso.vtable.detach(iso.instance);
    kit_loop_turns(20);
    iso.vtable.life.destroy(iso.instance);
    iso.instance = NULL;
    if (!kit_loop_drain(iso.setting.patience))
        kit_breach("an instance that was destroyed still has work on its queues");
}

void iso_renew(void)
{
    end_instance();
    assert_true(make_instance());
}

bool iso_close(void)
{
    if (!iso.instance)
        return false;
    iso_call_clear();
    end_instance();
    for (unsigned i = 0; i < OUTCOMES; i++) {
        free(outcomes[i] ? outcomes[i]->text : NULL);
        free(outcomes[i]);
        outcomes[i] = NULL;
    }
    return kit_breaches == 0;
}

void iso_skip(const char *format, ...)
{
    char reason[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    print_message("  skipped: %s\n", reason);
    skip();
}

void iso_need(uint64_t capability, const char *name)
{
    if (!(iso.capabilities & capability))
        iso_skip("the plugin has no %s here", name);
}

struct iso_outcome *iso_op(void)
{
    struct iso_outcome *out = calloc(1, sizeof(*out));
    assert_non_null(out);
    out->op = ++last_op;
    struct iso_outcome **place = &outcomes[out->op % OUTCOMES];
    free(*place ? (*place)->text : NULL);
    free(*place);
    *place = out;
    return out;
}

static bool serve_until(const unsigned *flag)
{
    uint64_t end = kit_now_ns(CLOCK_MONOTONIC) + iso.setting.patience * 1000000000ull;
    while (!*flag && kit_now_ns(CLOCK_MONOTONIC) < end)
        kit_loop_turns(1);
    return *flag != 0;
}

bool iso_completed(struct iso_outcome *out)
{
    return serve_until(&out->order);
}

void iso_wait_for(struct iso_outcome *out, const char *what)
{
    if (!iso_completed(out))
        fail_msg("%s does not complete within %u s", what, iso.setting.patience);
    kit_loop_turns(2); /* for a second completion */
}

void iso_wait(struct iso_outcome *out)
{
    iso_wait_for(out, "the operation");
}

void iso_expect(const char *name, const struct iso_outcome *out, uint32_t code)
{
    if (out->err.code != code)
        fail_msg("%s: code %u, not %u: %s", name, out->err.code, code, out->sentence);
}

static const struct iso_event *find_event(uint32_t kind, cloister_process process)
{
    for (unsigned i = 0; i < iso.event_count; i++)
        if (iso.events[i].kind == kind && iso.events[i].process == process)
            return &iso.events[i];
    return NULL;
}

const struct iso_event *iso_event(uint32_t kind, cloister_process process)
{
    uint64_t end = kit_now_ns(CLOCK_MONOTONIC) + iso.setting.patience * 1000000000ull;
    const struct iso_event *found;
    while (!(found = find_event(kind, process)) && kit_now_ns(CLOCK_MONOTONIC) < end)
        kit_loop_turns(1);
    if (!found)
        fail_msg("process %llu: no %s within %u s", (unsigned long long)process,
                 kind == CLOISTER_EVENT_EXIT ? "exit" : "drained", iso.setting.patience);
    return found;
}

const struct iso_event *iso_exit(cloister_process process)
{
    return iso_event(CLOISTER_EVENT_EXIT, process);
}

bool iso_no_exit(cloister_process process, unsigned ms)
{
    kit_loop_turns(ms);
    return find_event(CLOISTER_EVENT_EXIT, process) == NULL;
}

void iso_expect_status(const char *name, cloister_process process, uint32_t kind, uint32_t value)
{
    const struct iso_event *event = iso_exit(process);
    if (event->status.kind != kind || event->status.value != value)
        fail_msg("%s: ended as kind %u value %u, not kind %u value %u", name, event->status.kind, event->status.value,
                 kind, value);
    if (!event->status.real_ns || !event->status.mono_ns)
        fail_msg("%s: its exit has no time", name);
}
