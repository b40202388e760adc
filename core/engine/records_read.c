/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "core/engine/args.h"
#include "core/engine/label.h"
#include "core/engine/record_put.h"
#include "core/engine/records.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "core/value/value.h"

static int corrupt(struct cloister_error *err, const char *what)
{
    return cl_error_set(err, CLOISTER_CORRUPT, 0, NULL, "record", "%s", what);
}

static struct cloister_record record_at(const struct cloister_store_result *set, uint64_t index)
{
    struct cloister_record record;
    cl_element_copy(&record, sizeof(record), set->records, set->record_size, index);
    return record;
}

static struct cloister_sv find(const struct cloister_store_result *set, const char *kind, const char *of)
{
    size_t size = strlen(kind);
    for (uint64_t i = 0; i < set->record_count; i++) {
        struct cloister_record record = record_at(set, i);
        if (cl_sv_starts(record.kind, cl_sv(kind, size)) &&
            cl_sv_is(cl_sv(record.kind.data + size, record.kind.size - size), of))
            return record.data;
    }
    return cl_sv(NULL, 0);
}

/* An object of a schema that this daemon knows. */
static int parse(struct cloister_sv text, cloister_value **ret, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *document = NULL;
    uint64_t schema = 0;
    int r = cl_value_parse(text, NULL, &document, NULL, err);
    if (r == -ENOMEM)
        return r;
    if (r < 0 && err)
        err->code = CLOISTER_CORRUPT;
    if (r == 0 && cl_value_u64(cl_value_get_cstr(document, "schema"), &schema) < 0)
        r = corrupt(err, "it has no schema");
    if (r == 0 && schema > CL_RECORD_SCHEMA)
        r = cl_error_set(err, CLOISTER_VERSION_NEWER, 0, NULL, "record", "it has schema %llu, this daemon knows %u",
                         (unsigned long long)schema, CL_RECORD_SCHEMA);
    if (r == 0)
        *ret = cl_steal_ptr(&document);
    return r;
}

/* One of 1..max. */
static bool read_word(const cloister_value *object, const char *key, uint32_t max, uint32_t *ret)
{
    uint64_t number = 0;
    if (cl_value_u64(cl_value_get_cstr(object, key), &number) < 0 || number > max)
        return false;
    *ret = (uint32_t)number;
    return true;
}

static bool read_u64(const cloister_value *object, const char *key, uint64_t *ret)
{
    return cl_value_u64(cl_value_get_cstr(object, key), ret) == 0;
}

static bool read_text(const cloister_value *object, const char *key, struct cloister_sv *ret)
{
    return cl_value_string(cl_value_get_cstr(object, key), ret) == 0;
}

static bool read_bool(const cloister_value *object, const char *key, bool *ret)
{
    return cl_value_bool(cl_value_get_cstr(object, key), ret) == 0;
}

/* ---- sandbox ---- */

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 0, -EINVAL, -ENOMEM. */
static int read_hex(struct cl_record_head *head)
{
    struct cloister_sv hex;
    if (!read_text(head->document, "name_hex", &hex) || hex.size % 2)
        return -EINVAL;
    char *bytes = head->name_bytes = cl_malloc(hex.size / 2 + 1);
    if (!bytes)
        return -ENOMEM;
    for (uint64_t i = 0; i < hex.size / 2; i++) {
        int high = digit(hex.data[2 * i]), low = digit(hex.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        bytes[i] = (char)(high << 4 | low);
    }
    head->name = cl_sv(bytes, hex.size / 2);
    return 0;
}

static int read_name(struct cl_record_head *head, struct cloister_error *err)
{
    int r = read_text(head->document, "name", &head->name) ? 0 : read_hex(head);
    if (r == 0 && !head->name.size)
        r = -EINVAL;
    if (r == 0)
        r = cl_args_name(head->name, NULL);
    return r == 0 || r == -ENOMEM ? r : corrupt(err, "it has no name that a sandbox can have");
}

static bool read_members(struct cl_record_head *head)
{
    const cloister_value *document = head->document;
    struct cloister_sv state;
    uint32_t goal = 0;
    if (!read_text(document, "service", &head->service) || !read_text(document, "isolation", &head->isolation) ||
        !read_text(document, "boot_id", &head->boot_id) || !read_text(document, "state", &state) ||
        !read_u64(document, "cookie", &head->cookie) ||
        !read_u64(document, "created_real_ns", &head->created_real_ns) ||
        !read_u64(document, "created_boot_ns", &head->created_boot_ns) || !read_bool(document, "made", &head->made) ||
        !read_bool(document, "provisional", &head->provisional) || !read_word(document, "goal", CL_GOAL_GONE, &goal) ||
        !goal || !read_word(document, "cause", CLOISTER_CAUSE_PANIC, &head->cause))
        return false;
    head->goal = (enum cl_goal)goal;
    head->lasting_known = read_bool(document, "lasting", &head->lasting);
    head->state = cl_sandbox_state_of(state);
    return head->state && head->state != CLOISTER_SANDBOX_UNKNOWN;
}

struct cloister_sv cl_records_plan(const struct cloister_store_result *set)
{
    return find(set, "iso", "");
}

int cl_records_read(const struct cloister_store_result *set, struct cl_record_head *ret, struct cloister_error *err)
{
    struct cl_record_head head = {.plan = cl_records_plan(set)};
    int r = parse(find(set, "sandbox", ""), &head.document, err);
    if (r == 0 && !read_members(&head))
        r = corrupt(err, "it lacks a member, or has one that makes no sense");
    r = r ? r : read_name(&head, err);
    if (r == 0 && head.plan.size > CLOISTER_PLAN_MAX)
        r = corrupt(err, "its plan is too long");
    if (r == 0) {
        *ret = head;
        return 0;
    }
    cl_record_head_free(&head);
    cl_error_wrap(err, "record 'sandbox'");
    return r;
}

void cl_record_head_free(struct cl_record_head *head)
{
    cl_value_free(cl_steal_ptr(&head->document));
    free(cl_steal_ptr(&head->name_bytes));
}

static struct cloister_sv next_word(struct cloister_sv *rest)
{
    const char *end = rest->size ? memchr(rest->data, ' ', rest->size) : NULL;
    struct cloister_sv word = cl_sv(rest->data, end ? (uint64_t)(end - rest->data) : rest->size);
    uint64_t gone = word.size + (end ? 1 : 0);
    *rest = cl_sv(gone ? rest->data + gone : rest->data, rest->size - gone);
    return word;
}

struct cl_record_words cl_record_words(struct cloister_sv summary)
{
    struct cl_record_words words = {.state = next_word(&summary)};
    words.service = next_word(&summary);
    words.isolation = next_word(&summary);
    words.name = summary;
    return words;
}

/* ---- labels, containers ---- */

static int restore_labels(const struct cloister_store_result *set, struct cl_sandbox *sandbox,
                          struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *document = NULL;
    struct cloister_sv text = find(set, "labels", "");
    int r = text.size ? cl_value_parse(text, NULL, &document, NULL, err) : 0;
    if (r < 0 && r != -ENOMEM && err)
        err->code = CLOISTER_CORRUPT;
    for (cloister_value *label = cl_value_first(document); r == 0 && label; label = cl_value_next(label)) {
        struct cloister_sv value;
        if (cl_value_string(label, &value) < 0 || cl_label_check(cl_value_key(label), value, 0, NULL) < 0)
            r = corrupt(err, "it has a label that no sandbox can have");
        else
            r = cl_label_set(sandbox, cl_value_key(label), value, 0);
    }
    if (r < 0)
        cl_error_wrap(err, "record 'labels'");
    return r;
}

static bool read_status(const cloister_value *object, struct cloister_status *ret)
{
    return read_word(object, "kind", CLOISTER_STATUS_LOST, &ret->kind) &&
           read_word(object, "value", UINT32_MAX, &ret->value) && read_word(object, "flags", UINT32_MAX, &ret->flags) &&
           read_u64(object, "real_ns", &ret->real_ns);
}

static bool read_container(const cloister_value *document, struct cl_container *container)
{
    uint32_t goal = 0;
    bool whole = read_word(document, "state", CLOISTER_CONTAINER_STOPPED, &container->state) && container->state &&
                 read_word(document, "goal", CL_GOAL_GONE, &goal) && goal &&
                 read_word(document, "incarnation", UINT32_MAX, &container->incarnation) && container->incarnation &&
                 read_u64(document, "init", &container->init_number) &&
                 read_u64(document, "started_real_ns", &container->started_real_ns) &&
                 read_status(cl_value_get_cstr(document, "status"), &container->status);
    container->recorded = true;
    container->deleting = goal == CL_GOAL_GONE;
    container->stopping = goal == CL_GOAL_OFF && container->state != CLOISTER_CONTAINER_STOPPED;
    return whole;
}

/* Absent in records of before SDK 0.3, and where nothing was changed. */
static int read_limits_text(const cloister_value *document, const char *key, struct cloister_sv *ret,
                            struct cloister_error *err)
{
    const cloister_value *value = cl_value_get_cstr(document, key);
    char CL_FREE *text = NULL;
    size_t size = 0;
    int r = value ? cl_value_print(value, false, &text, &size) : 0;
    if (r < 0 || !value)
        return r < 0 ? -ENOMEM : 0;
    r = cl_limits_check(cl_sv(text, size), NULL);
    if (r < 0 && r != -ENOMEM)
        return corrupt(err, "it has limits that nobody can have set");
    return r ? r : cl_limits_set(ret, cl_sv(text, size));
}

int cl_records_limits(const cloister_value *document, bool ended, struct cl_limits *ret, struct cloister_error *err)
{
    int r = read_limits_text(document, "limits", &ret->in_force, err);
    return r || ended ? r : read_limits_text(document, "limits_wanted", &ret->wanted, err);
}

static int parse_spec(const struct cloister_store_result *set, const char *cid, cloister_value **ret,
                      struct cloister_error *err)
{
    int r = parse(find(set, "spec:", cid), ret, err);
    if (r < 0)
        cl_error_wrap(err, "record 'spec:%s'", cid);
    return r;
}

static int restore_container(const struct cloister_store_result *set, struct cl_sandbox *sandbox,
                             struct cloister_sv cid, struct cloister_sv text, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *document = NULL;
    CL_VALUE_CLEANUP cloister_value *spec = NULL;
    struct cloister_sv rootfs = {NULL, 0};
    struct cl_container *container;
    int r = cl_args_check_cid(cid, NULL) < 0 || !cid.size ? corrupt(err, "it has an id that no container can have") : 0;
    r = r ? r : parse(text, &document, err);
    if (r < 0) {
        cl_error_wrap(err, "record 'c:%.*s'", CL_SV_ARG(cid));
        return r;
    }
    r = cl_container_new(sandbox, cid, cl_sv(NULL, 0), &container);
    r = r ? r : parse_spec(set, container->cid, &spec, err);
    if (r < 0)
        return r;
    if (!read_text(spec, "rootfs", &rootfs) || !read_container(document, container)) {
        r = corrupt(err, "it lacks a member, or has one that makes no sense");
        cl_error_wrap(err, "record 'c:%s'", container->cid);
        return r;
    }
    r = cl_records_limits(document, container->state == CLOISTER_CONTAINER_STOPPED, &container->limits, err);
    if (r < 0) {
        cl_error_wrap(err, "record 'c:%s'", container->cid);
        return r;
    }
    free(container->rootfs);
    container->rootfs = cl_sv_dup(rootfs);
    return container->rootfs ? 0 : -ENOMEM;
}

int cl_records_restore(const struct cloister_store_result *set, struct cl_sandbox *sandbox, struct cloister_error *err)
{
    const struct cloister_sv prefix = CLOISTER_SV("c:");
    struct cloister_sv svc = find(set, "svc", "");
    int r = restore_labels(set, sandbox, err);
    if (r == 0 && svc.data)
        r = cl_sandbox_set_svc(sandbox, svc);
    for (uint64_t i = 0; r == 0 && i < set->record_count; i++) {
        struct cloister_record record = record_at(set, i);
        if (cl_sv_starts(record.kind, prefix))
            r = restore_container(set, sandbox, cl_sv(record.kind.data + 2, record.kind.size - 2), record.data, err);
    }
    return r;
}

/* What a record of before there was any of it lacks is as it was then. */
static bool read_place(const cloister_value *document, struct cl_arena *arena, struct cloister_iso_container *to)
{
    const cloister_value *list = cl_value_get_cstr(document, "layers");
    to->rootfs_kind = CLOISTER_ROOTFS_DIRECTORY;
    if (cl_value_get_cstr(document, "rootfs_kind") &&
        !read_word(document, "rootfs_kind", CLOISTER_ROOTFS_LAYERS, &to->rootfs_kind))
        return false;
    if (cl_value_get_cstr(document, "join") &&
        (!read_text(document, "join", &to->join) || cl_args_check_cid(to->join, NULL) < 0 ||
         !read_word(document, "join_namespaces", UINT32_MAX, &to->join_namespaces) ||
         !read_word(document, "cgroup_parent", CLOISTER_CGROUP_CONTAINER, &to->cgroup_parent)))
        return false;
    struct cloister_sv *layers = cl_arena_alloc(arena, cl_value_count(list) + 1, sizeof(*layers));
    for (const cloister_value *v = layers ? cl_value_first(list) : NULL; v; v = cl_value_next(v)) {
        struct cloister_sv layer;
        if (cl_value_string(v, &layer) < 0)
            return false;
        layers[to->layer_count++] = cl_arena_sv(arena, layer);
    }
    to->layers = layers;
    to->join = cl_arena_sv(arena, to->join);
    return true;
}

static int fill_container(const cloister_value *document, const struct cl_container *from, struct cl_arena *arena,
                          struct cloister_iso_container *to, struct cloister_error *err)
{
    char CL_FREE *text = NULL;
    size_t size = 0;
    bool no_new_privs = false;
    if (!read_word(document, "rootfs_flags", UINT32_MAX, &to->rootfs_flags) ||
        !read_word(document, "init", CLOISTER_INIT_PAUSE, &to->init_kind) ||
        !read_bool(document, "no_new_privs", &no_new_privs) || !read_place(document, arena, to) ||
        cl_value_type(cl_value_get_cstr(document, "spec")) != CLOISTER_VALUE_OBJECT) {
        int r = corrupt(err, "it lacks a member, or has one that makes no sense");
        cl_error_wrap(err, "record 'spec:%s'", from->cid);
        return r;
    }
    if (cl_value_print(cl_value_get_cstr(document, "spec"), false, &text, &size) < 0)
        return -ENOMEM;
    to->cid = cl_arena_sv(arena, cl_sv_cstr(from->cid));
    to->spec = cl_arena_sv(arena, cl_sv(text, size));
    to->rootfs = cl_arena_sv(arena, cl_sv_cstr(from->rootfs));
    to->incarnation = from->incarnation;
    to->init = from->init_number;
    to->no_new_privs = no_new_privs;
    return arena->failed ? -ENOMEM : 0;
}

int cl_records_containers(const struct cloister_store_result *set, const struct cl_sandbox *sandbox,
                          struct cl_arena *arena, const struct cloister_iso_container **ret, uint64_t *ret_count,
                          struct cloister_error *err)
{
    size_t count = 0;
    CL_LIST_FOREACH(node, &sandbox->containers)
    count++;
    struct cloister_iso_container *containers = cl_arena_alloc(arena, count + 1, sizeof(*containers));
    int r = containers ? 0 : -ENOMEM;
    count = 0;
    CL_LIST_FOREACH(node, &sandbox->containers)
    {
        const struct cl_container *container = CL_CONTAINER(node, struct cl_container, node);
        CL_VALUE_CLEANUP cloister_value *document = NULL;
        r = r ? r : parse_spec(set, container->cid, &document, err);
        r = r ? r : fill_container(document, container, arena, &containers[count++], err);
    }
    if (r == 0) {
        *ret = containers;
        *ret_count = count;
    }
    return r;
}
