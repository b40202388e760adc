/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plugin.c - the `namespaces` isolation plugin: sandboxes made of kernel namespaces and cgroups, each under a keeper
 * that is pid 1 of its own pid namespace and outlives the daemon. This side compiles (compile.h) and opens; the keeper
 * executes (common/keeper).
 */
#include <errno.h>
#include <stdio.h>

#include "conn.h"
#include "transfer.h"

#define WORKERS 4u

enum {
    OPTION_CGROUP_ROOT,
    OPTION_IDS,
    OPTION_EXEC_MS,
    OPTION_TAPE_MAX,
    OPTION_RESUME_S,
    OPTION_HALT_AT,
    OPTION_FORBID,
    OPTION_COUNT
};

static const struct cloister_option options[] = {
    {.key = "cgroup_root",
     .type = CLOISTER_OPTION_STRING,
     .max = 200,
     .fallback = "/cloister",
     .help = "directory below each cgroup hierarchy's mount in which all groups are made"},
    {.key = "ids",
     .type = CLOISTER_OPTION_JSON,
     .fallback = "{\"first\":1000000,\"count\":65536,\"each\":\"sandbox\"}",
     .help = "host ids for user namespaces without mappings: first, count, each \"sandbox\" or \"shared\""},
    {.key = "exec_ms",
     .type = CLOISTER_OPTION_U64,
     .min = 100,
     .max = 3600000,
     .fallback = "30000",
     .help = "milliseconds an exec or a start may take: what runs in the container can hold it up; then it is killed"},
    {.key = "tape_max",
     .type = CLOISTER_OPTION_U64,
     .min = 65536,
     .max = 1ull << 40,
     .fallback = "33554432",
     .help = "bytes of captured output that one sandbox may hold; beyond that what ended first is lost first"},
    {.key = "resume_s",
     .type = CLOISTER_OPTION_U64,
     .min = 1,
     .max = 86400,
     .fallback = "60",
     .help = "seconds for which output is held for a reader whose daemon died"},
    {.key = "halt_at",
     .type = CLOISTER_OPTION_STRING,
     .max = 64,
     .fallback = "",
     .help = "for fault tests only: OPERATION:STEP:before or :after stops the daemon there; steps: " NS_HALT_HELP
             "any other step of create and exec is the keeper's"},
    {.key = "forbid",
     .type = CLOISTER_OPTION_JSON,
     .fallback = "[]",
     .help = "for tests: features of the kernel that are taken for missing, so that what stands in for them is used: "
             "\"v1-devices\", \"device-programs\", \"v2-freeze\", \"v2-kill\", \"peak-reset\""},
};

struct ids {
    uint64_t first;
    uint64_t count;
    bool shared;
};

static int read_id_member(const struct ns_reader *r, struct cloister_sv key, const cloister_value *value,
                          struct ids *ret)
{
    struct cloister_sv word;

    if (ns_equal(key, "first"))
        return r->value->u64(value, &ret->first);
    if (ns_equal(key, "count"))
        return r->value->u64(value, &ret->count);
    if (!ns_equal(key, "each") || r->value->string(value, &word) < 0)
        return -1;
    ret->shared = ns_equal(word, "shared");
    return ret->shared || ns_equal(word, "sandbox") ? 0 : -1;
}

static int read_ids(const struct ns_reader *r, struct cloister_sv text, struct ids *ret)
{
    cloister_value *doc = NULL, *member;
    struct cloister_sv key = {"ids", 3};
    char path[NS_PATH_MAX] = "ids";
    int rc = 0;

    *ret = (struct ids){1000000, 65536, false};
    if (ns_parse(r, text, "option 'ids'", &doc) < 0)
        return -1;
    for (uint64_t i = 0; rc == 0 && (member = r->value->at(doc, i, &key)) != NULL; i++)
        rc = read_id_member(r, key, member, ret);
    if (rc < 0)
        snprintf(path, sizeof(path), "ids.%.*s", (int)(key.size < 64 ? key.size : 64), key.data);
    if (rc == 0 && r->value->type(doc) != CLOISTER_VALUE_OBJECT)
        rc = -1;
    r->value->free(doc);
    if (rc < 0)
        return ns_refuse(r, CLOISTER_INVALID, path,
                         "must be first and count (integers) and each (\"sandbox\" or \"shared\")");
    if (ret->count == 0 || ret->first == 0 || ret->first >= UINT32_MAX || ret->count > UINT32_MAX - ret->first)
        return ns_refuse(r, CLOISTER_INVALID, "ids", "must lie between host ids 1 and 4294967294");
    return 0;
}

static const struct cloister_option_value *option(const struct cloister_create_args *args, uint32_t i)
{
    return (const void *)((const char *)args->options + i * args->option_size);
}

static void free_instance(struct ns_instance *instance)
{
    ns_hierarchies_clear(&instance->machine.hierarchies);
    ns_peaks_forget(instance, NULL);
    ns_ranges_free(instance->ranges);
    ns_filters_free(instance->filters);
    free(instance->cgroup_root);
    free(instance->features);
    free(instance->blob);
    free(instance);
}

static int configure(struct ns_instance *instance, const struct cloister_create_args *args, const struct ns_reader *r)
{
    struct cloister_sv root = option(args, OPTION_CGROUP_ROOT)->text;
    struct ids ids;
    int rc;

    if (!ns_cgroup_root_ok(root))
        return ns_refuse(r, CLOISTER_INVALID, "cgroup_root",
                         "must be an absolute path of plain words, like \"/cloister\"");
    if (read_ids(r, option(args, OPTION_IDS)->text, &ids) < 0)
        return -1;
    instance->exec_ms = option(args, OPTION_EXEC_MS)->number;
    instance->tape_max = option(args, OPTION_TAPE_MAX)->number;
    instance->resume_ns = option(args, OPTION_RESUME_S)->number * NS_SECOND;
    if (ns_halt_parse(r, option(args, OPTION_HALT_AT)->text, &instance->halt) < 0)
        return -1;
    if (ns_forbid_parse(r, option(args, OPTION_FORBID)->text, &instance->forbidden) < 0)
        return -1;
    instance->cgroup_root = ns_dup(root);
    instance->ranges = ns_ranges_new((uint32_t)ids.first, (uint32_t)ids.count, ids.shared);
    instance->filters = ns_filters_new();
    if (!instance->cgroup_root || !instance->ranges || !instance->filters)
        return ns_no_memory(r);
    rc = instance->host->loop->queue_open(instance->host, "namespaces", WORKERS, &instance->queue);
    if (rc < 0) {
        r->log->error_set(r->err, CLOISTER_LIMIT, -rc, "", "worker", "open a worker queue");
        return -1;
    }
    instance->cgroups = (struct ns_cgroups){&instance->machine.hierarchies, instance->cgroup_root};
    return 0;
}

static int32_t create(const struct cloister_create_args *args, void **ret_instance, struct cloister_error *err)
{
    struct ns_reader r = {args->host->log, args->host->value, err};
    struct ns_instance *instance = calloc(1, sizeof(*instance));

    if (instance == NULL)
        return ns_no_memory(&r);
    instance->host = args->host;
    if (configure(instance, args, &r) < 0) {
        free_instance(instance);
        return -1;
    }
    *ret_instance = instance;
    return 0;
}

static void queue_closed(void *ctx)
{
    free_instance(ctx);
}

/* Workers may still be ending; the instance goes with the last of them. */
static void destroy(void *ctx)
{
    struct ns_instance *instance = ctx;

    ns_group_remove_root(&instance->cgroups);
    instance->host->loop->queue_close(instance->queue, queue_closed, instance);
}

static void cancel(void *ctx, cloister_op number)
{
    struct ns_instance *instance = ctx;

    for (struct ns_op *op = instance->ops; op; op = op->next) {
        if (op->op != number)
            continue;
        op->cancelled = true;
        op->cancel(op);
        return;
    }
}

/* Keepers live on: only our descriptors go. */
static void detach(void *ctx)
{
    struct ns_instance *instance = ctx;

    ns_transfers_stop(instance, NULL, CLOISTER_CANCELLED, "the daemon ends");
    while (instance->sandboxes) {
        ns_tapes_leave(instance->sandboxes);
        ns_sandbox_drop(instance->sandboxes);
    }
}

static const struct cloister_isolation vtable = {
    CLOISTER_INIT(struct cloister_isolation),
    .life = {create, destroy},
    .probe = ns_probe,
    .plan = ns_plan,
    .sandbox_create = ns_sandbox_create,
    .sandbox_destroy = ns_sandbox_destroy,
    .container_create = ns_container_create,
    .container_delete = ns_container_delete,
    .container_start = ns_container_start,
    .container_kill = ns_container_kill,
    .exec = ns_exec,
    .signal = ns_signal,
    .release = ns_release,
    .describe = ns_describe,
    .sweep = ns_sweep,
    .adopt = ns_adopt,
    .stdin = ns_stdin,
    .stdin_close = ns_stdin_close,
    .resize = ns_resize,
    .attach = ns_attach,
    .attach_policy = ns_attach_policy,
    .freeze = ns_freeze,
    .thaw = ns_thaw,
    .update = ns_update,
    .stats = ns_stats,
    .procs = ns_procs,
    .files_in = ns_files_in,
    .files_out = ns_files_out,
    .read_file = ns_file_read,
    .cancel = cancel,
    .detach = detach,
    .hold = ns_hold,
};

static const struct cloister_plugin plugin = {
    CLOISTER_PLUGIN_STAMP(CLOISTER_KIND_ISOLATION),
    .name = "namespaces",
    .version = CL_VERSION,
    .licence = "Apache-2.0",
    .build = "",
    .summary = "containers made of kernel namespaces and cgroups",
    .provides = CLOISTER_ISO_STDIO_DIRECT | CLOISTER_ISO_REAL_PIDS | CLOISTER_ISO_PAUSE_INIT |
                CLOISTER_ISO_BLOCKED_INIT | CLOISTER_ISO_NS_JOIN | CLOISTER_ISO_GROUP_SIGNAL | CLOISTER_ISO_BIND_HOST |
                CLOISTER_ISO_HOST_HOOKS | CLOISTER_ISO_TAPE | CLOISTER_ISO_ADOPT | CLOISTER_ISO_RESOLVE |
                CLOISTER_ISO_FREEZE | CLOISTER_ISO_KILL_WHILE_FROZEN | CLOISTER_ISO_PEAK_RESET |
                CLOISTER_ISO_MACHINE_STATS | CLOISTER_ISO_PTY | CLOISTER_ISO_EXTRA_FDS,
    .options = options,
    .option_count = OPTION_COUNT,
    .vtable = &vtable,
};

CLOISTER_PLUGIN_REGISTER(plugin)
