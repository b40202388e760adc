/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/records.h"

#include <errno.h>
#include <stdlib.h>

#include "core/engine/operation.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "core/util/str.h"
#include "core/value/value.h"

static const char *const state_names[] = {
    [CLOISTER_SANDBOX_CREATING] = "creating", [CLOISTER_SANDBOX_OFF] = "off",
    [CLOISTER_SANDBOX_STARTING] = "starting", [CLOISTER_SANDBOX_UP] = "up",
    [CLOISTER_SANDBOX_STOPPING] = "stopping", [CLOISTER_SANDBOX_DESTROYING] = "destroying",
    [CLOISTER_SANDBOX_UNKNOWN] = "unknown",
};

const char *cl_sandbox_state_name(uint32_t state)
{
    return state < sizeof(state_names) / sizeof(state_names[0]) && state_names[state] ? state_names[state] : "unknown";
}

uint32_t cl_sandbox_state_of(struct cloister_sv name)
{
    for (uint32_t i = 0; i < sizeof(state_names) / sizeof(state_names[0]); i++)
        if (state_names[i] && cl_sv_is(name, state_names[i]))
            return i;
    return 0;
}

const char *cl_cause_name(uint32_t cause)
{
    static const char *const names[] = {
        [CLOISTER_CAUSE_NONE] = "none",       [CLOISTER_CAUSE_NEVER] = "never started",
        [CLOISTER_CAUSE_STOPPED] = "stopped", [CLOISTER_CAUSE_LOST] = "lost",
        [CLOISTER_CAUSE_REBOOT] = "reboot",   [CLOISTER_CAUSE_POWEROFF] = "poweroff",
        [CLOISTER_CAUSE_PANIC] = "panic",
    };
    return cause < sizeof(names) / sizeof(names[0]) ? names[cause] : "unknown";
}

static int set(cloister_value *object, const char *key, cloister_value *value)
{
    return cl_value_set_cstr(object, key, value);
}

/* Names may be any bytes, JSON strings may not. */
static int set_name(cloister_value *object, struct cloister_sv name)
{
    if (cl_sv_utf8(name))
        return set(object, "name", cl_value_new_string(name));
    struct cl_str CL_STR_CLEANUP hex = CL_STR_INIT(2048);
    for (uint64_t i = 0; i < name.size; i++)
        cl_str_printf(&hex, "%02x", (unsigned char)name.data[i]);
    return hex.error ? hex.error : set(object, "name_hex", cl_value_new_string(cl_str_view(&hex)));
}

static int add(struct cl_records *records, struct cloister_sv kind, struct cloister_sv data)
{
    if (records->count == CL_RECORDS_MAX)
        return -E2BIG;
    records->items[records->count++] = (struct cloister_record){.kind = kind, .data = data};
    return 0;
}

/* Prints object, which is freed, and adds the text under kind (copied). */
static int add_json(struct cl_records *records, const char *kind, const char *of, cloister_value *object)
{
    struct cl_arena *arena = &records->arena;
    char CL_FREE *text = NULL, CL_FREE *name = cl_asprintf("%s%s", kind, of);
    size_t size = 0;
    int r = object && name ? cl_value_print(object, false, &text, &size) : -ENOMEM;
    cl_value_free(object);
    if (r < 0)
        return r;
    struct cloister_sv kept = cl_arena_sv(arena, cl_sv_cstr(name)), data = cl_arena_sv(arena, cl_sv(text, size));
    return arena->failed ? -ENOMEM : add(records, kept, data);
}

/* As a value, so that a record is one document; one that is not there has no member. */
static int set_limits_text(cloister_value *object, const char *key, struct cloister_sv text)
{
    cloister_value *value = NULL;
    int r = text.size ? cl_value_parse(text, NULL, &value, NULL, NULL) : 0;
    return r || !text.size ? r : set(object, key, value);
}

static int set_limits(cloister_value *object, const struct cl_limits *limits)
{
    int r = set_limits_text(object, "limits", limits->in_force);
    return r ? r : set_limits_text(object, "limits_wanted", limits->wanted);
}

/* One that is made further is recorded before it is answered, and with that what it makes of the sandbox. */
static bool will_last(const struct cl_sandbox *sandbox)
{
    CL_LIST_FOREACH(node, &sandbox->containers)
    {
        const struct cl_container *container = CL_CONTAINER(node, struct cl_container, node);
        if (container->creating && container->state != CLOISTER_CONTAINER_CREATING)
            return true;
    }
    return sandbox->lasting;
}

static int add_sandbox(const struct cl_sandbox *sandbox, struct cl_records *records)
{
    CL_VALUE_CLEANUP cloister_value *object = cl_value_new_object();
    int r = object ? 0 : -ENOMEM;
    r = r ? r : set(object, "schema", cl_value_new_u64(CL_RECORD_SCHEMA));
    r = r ? r : set(object, "id", cl_value_new_cstr(sandbox->id));
    r = r ? r : set(object, "service", cl_value_new_cstr(sandbox->service->name));
    r = r ? r : set_name(object, sandbox->name);
    r = r ? r : set(object, "isolation", cl_value_new_cstr(sandbox->backend->instance->name));
    r = r ? r : set(object, "cookie", cl_value_new_u64(sandbox->cookie));
    r = r ? r : set(object, "boot_id", cl_value_new_string(sandbox->boot_id));
    r = r ? r : set(object, "goal", cl_value_new_u64(sandbox->goal));
    r = r ? r : set(object, "state", cl_value_new_cstr(cl_sandbox_state_name(sandbox->state)));
    r = r ? r : set(object, "cause", cl_value_new_u64(sandbox->cause));
    r = r ? r : set(object, "made", cl_value_new_bool(sandbox->made));
    r = r ? r : set(object, "provisional", cl_value_new_bool(sandbox->uncommitted && !sandbox->committing));
    r = r ? r : set(object, "lasting", cl_value_new_bool(will_last(sandbox)));
    r = r ? r : set(object, "created_real_ns", cl_value_new_u64(sandbox->created_real_ns));
    r = r ? r : set(object, "created_boot_ns", cl_value_new_u64(sandbox->created_boot_ns));
    r = r ? r : set_limits(object, &sandbox->limits);
    return r ? r : add_json(records, "sandbox", "", cl_steal_ptr(&object));
}

static int add_labels(const struct cl_sandbox *sandbox, struct cl_records *records)
{
    CL_VALUE_CLEANUP cloister_value *object = cl_value_new_object();
    int r = object ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < sandbox->label_count; i++)
        if (!(sandbox->labels[i].flags & CLOISTER_LABEL_SECRET)) /* those are in the run file */
            r = cl_value_set(object, sandbox->labels[i].key, cl_value_new_string(sandbox->labels[i].value));
    return r ? r : add_json(records, "labels", "", cl_steal_ptr(&object));
}

static cloister_value *status_value(const struct cloister_status *status)
{
    cloister_value *object = cl_value_new_object();
    if (!object || set(object, "kind", cl_value_new_u64(status->kind)) ||
        set(object, "value", cl_value_new_u64(status->value)) ||
        set(object, "flags", cl_value_new_u64(status->flags)) ||
        set(object, "real_ns", cl_value_new_u64(status->real_ns))) {
        cl_value_free(object);
        return NULL;
    }
    return object;
}

static int add_container(const struct cl_container *container, struct cl_records *records)
{
    bool off = container->stopping || container->state == CLOISTER_CONTAINER_STOPPED;
    enum cl_goal goal = container->deleting ? CL_GOAL_GONE : off ? CL_GOAL_OFF : CL_GOAL_UP;
    CL_VALUE_CLEANUP cloister_value *object = cl_value_new_object();
    int r = object ? 0 : -ENOMEM;
    r = r ? r : set(object, "schema", cl_value_new_u64(CL_RECORD_SCHEMA));
    r = r ? r : set(object, "cid", cl_value_new_cstr(container->cid));
    r = r ? r : set(object, "goal", cl_value_new_u64(goal));
    r = r ? r : set(object, "state", cl_value_new_u64(container->state));
    r = r ? r : set(object, "incarnation", cl_value_new_u64(container->incarnation));
    r = r ? r : set(object, "init", cl_value_new_u64(container->init_number));
    r = r ? r : set(object, "started_real_ns", cl_value_new_u64(container->started_real_ns));
    r = r ? r : set(object, "status", status_value(&container->status));
    r = r ? r : set_limits(object, &container->limits);
    return r ? r : add_json(records, "c:", container->cid, cl_steal_ptr(&object));
}

/* Of the init's `process`, which itself is not recorded: whoever execs into the container later must know. */
static bool no_new_privs(const struct cloister_container_args *container)
{
    CL_VALUE_CLEANUP cloister_value *process = NULL;
    bool is = false;
    if (container->process && cl_value_parse(container->process->oci, NULL, &process, NULL, NULL) == 0)
        (void)cl_value_bool(cl_value_get_cstr(process, "noNewPrivileges"), &is);
    return is;
}

static cloister_value *layers_value(const struct cloister_container_args *container)
{
    CL_VALUE_CLEANUP cloister_value *list = cl_value_new_array();
    for (uint64_t i = 0; list && i < container->layer_count; i++)
        if (cl_value_append(list, cl_value_new_string(container->layers[i])) < 0)
            return NULL;
    return cl_steal_ptr(&list);
}

/* What it shares with another, and where its root is. The files it was given are the keeper's. */
static int set_place(cloister_value *object, const struct cloister_container_args *container)
{
    int r = set(object, "rootfs", cl_value_new_string(container->rootfs.size ? container->rootfs : CLOISTER_SV("")));
    r = r ? r : set(object, "rootfs_kind", cl_value_new_u64(container->rootfs_kind));
    r = r ? r : set(object, "rootfs_flags", cl_value_new_u64(container->rootfs_flags));
    if (r == 0 && container->layer_count)
        r = set(object, "layers", layers_value(container));
    if (r == 0 && container->join.size) {
        r = set(object, "join", cl_value_new_string(container->join));
        r = r ? r : set(object, "join_namespaces", cl_value_new_u64(container->join_namespaces));
        r = r ? r : set(object, "cgroup_parent", cl_value_new_u64(container->cgroup_parent));
    }
    return r;
}

/* The spec as it was handed over: it is without `process` (args_container.c has seen to that), so no environment is in
 * it. */
static int add_spec(const struct cl_container *made, struct cl_records *records)
{
    const struct cloister_container_args *container = made->making;
    CL_VALUE_CLEANUP cloister_value *object = cl_value_new_object();
    cloister_value *spec = NULL;
    int r = object ? cl_value_parse(container->spec, NULL, &spec, NULL, NULL) : -ENOMEM;
    r = r ? r : set(object, "schema", cl_value_new_u64(CL_RECORD_SCHEMA));
    if (r) {
        cl_value_free(spec);
        return r;
    }
    r = set(object, "spec", spec);
    r = r ? r : set_place(object, container);
    r = r ? r : set(object, "init", cl_value_new_u64(container->init));
    r = r ? r : set(object, "no_new_privs", cl_value_new_bool(no_new_privs(container)));
    return r ? r : add_json(records, "spec:", made->cid, cl_steal_ptr(&object));
}

/* A record of that container is there, or comes with this write: of a later one of the same id. */
static bool is_taken(const struct cl_sandbox *sandbox, const char *cid)
{
    CL_LIST_FOREACH(node, &sandbox->containers)
    {
        const struct cl_container *container = CL_CONTAINER(node, struct cl_container, node);
        if (container->recorded && strcmp(container->cid, cid) == 0)
            return true;
    }
    return false;
}

static int remove_record(struct cl_records *records, const char *kind, const char *cid)
{
    char CL_FREE *name = cl_asprintf("%s%s", kind, cid);
    struct cloister_sv kept = cl_arena_sv(&records->arena, cl_sv_cstr(name));
    return kept.size ? add(records, kept, cl_sv(NULL, 0)) : -ENOMEM;
}

static int add_containers(const struct cl_sandbox *sandbox, unsigned kinds, struct cl_records *records)
{
    unsigned graves = 0;
    int r = 0;
    CL_LIST_FOREACH(node, &sandbox->containers)
    {
        const struct cl_container *container = CL_CONTAINER(node, struct cl_container, node);
        if (r == 0 && container->recorded && kinds & CL_RECORD_CONTAINERS)
            r = add_container(container, records);
        if (r == 0 && container->recorded && container->making && kinds & CL_RECORD_SPEC)
            r = add_spec(container, records);
    }
    CL_LIST_FOREACH(node, &sandbox->graves)
    {
        const char *cid = CL_CONTAINER(node, struct cl_container, node)->cid;
        if (!(kinds & CL_RECORD_CONTAINERS) || graves++ >= CL_RECORDS_GRAVES || is_taken(sandbox, cid))
            continue;
        r = r ? r : remove_record(records, "c:", cid);
        r = r ? r : remove_record(records, "spec:", cid);
    }
    return r;
}

/* For what cannot be read otherwise: "up control main web": state, service, isolation, name. */
static void summarize(const struct cl_sandbox *sandbox, struct cl_records *records)
{
    struct cl_str CL_STR_CLEANUP text = CL_STR_INIT(CLOISTER_STORE_SUMMARY_MAX);
    cl_str_printf(&text, "%s %s %s ", cl_sandbox_state_name(sandbox->state), sandbox->service->name,
                  sandbox->backend->instance->name);
    struct cloister_sv name = sandbox->name;
    if (text.size + name.size > CLOISTER_STORE_SUMMARY_MAX)
        name.size = CLOISTER_STORE_SUMMARY_MAX - text.size;
    cl_str_append(&text, name);
    records->summary = cl_arena_sv(&records->arena, cl_str_view(&text));
}

int cl_records_build(const struct cl_sandbox *sandbox, unsigned kinds, struct cl_records *ret)
{
    int r = kinds & CL_RECORD_SANDBOX ? add_sandbox(sandbox, ret) : 0;
    if (r == 0 && kinds & CL_RECORD_LABELS && (sandbox->label_count || sandbox->journal.exists))
        r = add_labels(sandbox, ret);
    if (r == 0)
        r = add_containers(sandbox, kinds, ret);
    if (r == 0 && kinds & CL_RECORD_ISO)
        r = add(ret, CLOISTER_SV("iso"), sandbox->plan.size ? sandbox->plan : CLOISTER_SV(""));
    if (r == 0 && kinds & CL_RECORD_SVC)
        r = add(ret, CLOISTER_SV("svc"), sandbox->svc);
    if (r == 0)
        summarize(sandbox, ret);
    return r ? r : ret->arena.failed ? -ENOMEM : 0;
}

void cl_records_free(struct cl_records *records)
{
    cl_arena_free(&records->arena);
}
