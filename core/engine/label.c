/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/label.h"

#include <errno.h>
#include <stdlib.h>

#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/engine/operation.h"
#include "core/engine/runfile.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/mem.h"
#include "core/value/value.h"

/* ---- the list ---- */

int cl_label_check(struct cloister_sv key, struct cloister_sv value, uint32_t flags, struct cloister_error *err)
{
    int r = cl_args_text(key, "label", CL_LABEL_KEY_MAX, err);
    if (r == 0 && value.size > CL_LABEL_VALUE_MAX)
        r = cl_error_set(err, CLOISTER_TOO_BIG, 0, "label", NULL, "the label's value has more than %u bytes",
                         CL_LABEL_VALUE_MAX);
    r = r ? r : cl_args_text(value, "label", CL_LABEL_VALUE_MAX, err);
    if (r < 0)
        return r;
    if (flags & ~CLOISTER_LABEL_SECRET)
        return cl_error_set(err, CLOISTER_INVALID, 0, "label", NULL, "label has an unknown flag");
    if (!key.size || !cl_sv_utf8(key) || !cl_sv_utf8(value) || cl_sv_has_nul(key) || cl_sv_has_nul(value))
        return cl_error_set(err, CLOISTER_INVALID, 0, "label", NULL, "label is not a key and a value of UTF-8 text");
    return 0;
}

struct cl_label *cl_label_find(const struct cl_sandbox *sandbox, struct cloister_sv key)
{
    for (size_t i = 0; i < sandbox->label_count; i++)
        if (cl_sv_eq(sandbox->labels[i].key, key))
            return &sandbox->labels[i];
    return NULL;
}

static void label_free(const struct cl_label *label)
{
    free((void *)(uintptr_t)label->key.data);
}

static int label_make(struct cloister_sv key, struct cloister_sv value, uint32_t flags, struct cl_label *ret)
{
    char *block = cl_calloc(1, key.size + value.size + 2);
    if (!block)
        return -ENOMEM;
    memcpy(block, key.data, key.size);
    if (value.size)
        memcpy(block + key.size + 1, value.data, value.size);
    *ret = (struct cl_label){
        .key = cl_sv(block, key.size), .value = cl_sv(block + key.size + 1, value.size), .flags = flags};
    return 0;
}

/* Takes the label; *ret_old is what it replaces, key.data NULL: nothing. On failure nothing has changed. */
static int put(struct cl_sandbox *sandbox, const struct cl_label *label, struct cl_label *ret_old)
{
    struct cl_label *place = cl_label_find(sandbox, label->key);
    *ret_old = place ? *place : (struct cl_label){.flags = 0};
    if (!place) {
        struct cl_label *labels = cl_realloc_array(sandbox->labels, sandbox->label_count + 1, sizeof(*sandbox->labels));
        if (!labels)
            return -ENOMEM;
        sandbox->labels = labels;
        place = &labels[sandbox->label_count++];
    }
    *place = *label;
    place->stamp = ++sandbox->label_stamp;
    return 0;
}

/* Takes it out; it is the caller's. */
static struct cl_label take(struct cl_sandbox *sandbox, struct cl_label *label)
{
    struct cl_label taken = *label;
    size_t behind = (size_t)(&sandbox->labels[sandbox->label_count] - label) - 1;
    memmove(label, label + 1, behind * sizeof(*label));
    sandbox->label_count--;
    return taken;
}

int cl_label_set(struct cl_sandbox *sandbox, struct cloister_sv key, struct cloister_sv value, uint32_t flags)
{
    struct cl_label label, old;
    int r = label_make(key, value, flags, &label);
    if (r < 0)
        return r;
    r = put(sandbox, &label, &old);
    label_free(r < 0 ? &label : &old);
    return r;
}

bool cl_labels_have_secret(const struct cl_sandbox *sandbox)
{
    for (size_t i = 0; i < sandbox->label_count; i++)
        if (sandbox->labels[i].flags & CLOISTER_LABEL_SECRET)
            return true;
    return false;
}

cloister_value *cl_labels_secret(const struct cl_sandbox *sandbox)
{
    CL_VALUE_CLEANUP cloister_value *object = cl_value_new_object();
    for (size_t i = 0; object && i < sandbox->label_count; i++) {
        const struct cl_label *label = &sandbox->labels[i];
        if (label->flags & CLOISTER_LABEL_SECRET &&
            cl_value_set(object, label->key, cl_value_new_string(label->value)) < 0)
            return NULL;
    }
    return cl_steal_ptr(&object);
}

void cl_labels_know(struct cl_sandbox *sandbox)
{
    if (sandbox->secrets_known || sandbox->unknown) /* what is not understood is not touched */
        return;
    struct cl_runfile file = cl_runfile_of_sandbox(sandbox);
    struct cloister_error err = CLOISTER_ERROR_INIT;
    CL_VALUE_CLEANUP cloister_value *document = NULL;
    int r = cl_runfile_read(&file, &document, &err);
    const cloister_value *secrets = cl_value_get_cstr(document, CL_RUN_LABELS);
    for (cloister_value *v = cl_value_first(secrets); r == 0 && v; v = cl_value_next(v)) {
        struct cloister_sv value, key = cl_value_key(v);
        if (!cl_label_find(sandbox, key) && cl_value_string(v, &value) == 0 &&
            cl_label_check(key, value, 0, NULL) == 0 && sandbox->label_count < CL_LABEL_COUNT_MAX)
            r = cl_label_set(sandbox, key, value, CLOISTER_LABEL_SECRET);
    }
    sandbox->secrets_known = r != -ENOMEM; /* then the next look tries again */
    if (r < 0)
        cl_log_error(CL_LOG_WARN, CL_ENGINE_AREA, &err, "secret labels of sandbox %s", sandbox->id);
}

void cl_labels_drop_secret(struct cl_sandbox *sandbox)
{
    for (size_t i = sandbox->label_count; i-- > 0;)
        if (sandbox->labels[i].flags & CLOISTER_LABEL_SECRET) {
            struct cl_label gone = take(sandbox, &sandbox->labels[i]);
            label_free(&gone);
        }
    sandbox->secrets_known = true;
}

void cl_labels_free(struct cl_sandbox *sandbox)
{
    for (size_t i = 0; i < sandbox->label_count; i++)
        label_free(&sandbox->labels[i]);
    free(sandbox->labels);
    sandbox->labels = NULL;
    sandbox->label_count = 0;
}

/* ---- label_put ---- */

/* A change under way. It is made at once, so that the record is written with it, and taken back if the write fails and
 * nobody has changed the label since. */
struct cl_label_change {
    struct cloister_label_put_args args;
    struct cl_label old; /* ours; key.data NULL: there was none */
    uint64_t stamp;      /* of the new one; 0: it was removed */
};

static void revert(struct cl_operation *operation)
{
    struct cl_sandbox *sandbox = operation->sandbox;
    struct cl_label_change *change = operation->args.label;
    struct cl_label *now = cl_label_find(sandbox, change->args.key), ours;
    if ((now ? now->stamp : 0) != change->stamp)
        return;
    if (!change->old.key.data) {
        if (!now)
            return;
        ours = take(sandbox, now);
    } else {
        if (put(sandbox, &change->old, &ours) < 0) {
            cl_log(CL_LOG_ERROR, CL_ENGINE_AREA, "no memory to put a label of sandbox %s back", sandbox->id);
            return;
        }
        change->old.key.data = NULL;
    }
    label_free(&ours);
}

static int write_secrets(const struct cl_sandbox *sandbox, struct cloister_error *err)
{
    struct cl_runfile file = cl_runfile_of_sandbox(sandbox);
    return cl_runfile_set(&file, CL_RUN_LABELS, cl_labels_secret(sandbox), err);
}

static bool was(const struct cl_label_change *change, uint32_t flags)
{
    return change->old.key.data && change->old.flags == flags;
}

/* Which of the two places the old one was in, and the new one is: the new place is written first, so that whatever
 * happens in between the label is in one of them; a plain one wins over a secret one of the same key. */
static void on_written(void *ctx, const struct cloister_error *err)
{
    struct cl_operation *operation = ctx;
    struct cloister_error own = CLOISTER_ERROR_INIT;
    bool moved = was(operation->args.label, CLOISTER_LABEL_SECRET) || operation->args.label->args.flags;
    if (err)
        revert(operation);
    if (moved && write_secrets(operation->sandbox, &own) < 0 && !err)
        err = &own;
    cl_operation_finish(operation, err, NULL);
}

static int check_sum(const struct cl_sandbox *sandbox, const struct cloister_label_put_args *args,
                     struct cloister_error *err)
{
    uint64_t total = cl_label_weight(args->key, args->value), count = 1;
    for (size_t i = 0; i < sandbox->label_count; i++) {
        const struct cl_label *label = &sandbox->labels[i];
        if (cl_sv_eq(label->key, args->key))
            continue;
        total += cl_label_weight(label->key, label->value);
        count++;
    }
    if (count > CL_LABEL_COUNT_MAX)
        return cl_error_set(err, CLOISTER_LIMIT, 0, "labels", NULL, "it has %u labels, the most allowed",
                            CL_LABEL_COUNT_MAX);
    if (total > CL_LABELS_MAX)
        return cl_error_set(err, CLOISTER_TOO_BIG, 0, "labels", NULL, "its labels would have more than %u bytes",
                            CL_LABELS_MAX);
    return 0;
}

/* In memory; old is kept for a revert. */
static int change_list(struct cl_operation *operation, struct cloister_error *err)
{
    struct cl_sandbox *sandbox = operation->sandbox;
    struct cl_label_change *change = operation->args.label;
    const struct cloister_label_put_args *args = &change->args;
    if (!args->value.data) {
        struct cl_label *label = cl_label_find(sandbox, args->key);
        if (label)
            change->old = take(sandbox, label);
        return 0;
    }
    struct cl_label label;
    int r = check_sum(sandbox, args, err);
    if (r < 0)
        return r;
    if (label_make(args->key, args->value, args->flags, &label) < 0)
        return cl_args_no_memory(err);
    if (put(sandbox, &label, &change->old) < 0) {
        label_free(&label);
        return cl_args_no_memory(err);
    }
    change->stamp = sandbox->label_stamp;
    return 0;
}

static void begin(struct cl_operation *operation)
{
    struct cl_sandbox *sandbox = operation->sandbox;
    struct cl_label_change *change = operation->args.label;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    bool secret = change->args.flags & CLOISTER_LABEL_SECRET;
    cl_labels_know(sandbox);
    if (cl_runfile_check(sandbox, secret, &err) < 0 || change_list(operation, &err) < 0) {
        cl_operation_finish(operation, &err, NULL);
        return;
    }
    bool plain = change->stamp && !secret;
    if (!plain && (change->stamp || was(change, CLOISTER_LABEL_SECRET)) && write_secrets(sandbox, &err) < 0) {
        revert(operation);
        cl_operation_finish(operation, &err, NULL);
    } else if (plain || was(change, 0)) {
        cl_journal_write(sandbox, CL_RECORD_LABELS, CLOISTER_DURABLE_POWER, &operation->journal, on_written, operation);
    } else {
        cl_operation_finish(operation, NULL, NULL);
    }
}

static void drop(struct cl_operation *operation)
{
    if (operation->args.label)
        label_free(&operation->args.label->old);
}

static const struct cl_operation_class class = {.name = "label_put",
                                                .verb = "set a label of",
                                                .begin = begin,
                                                .cancel = cl_operation_leave_it,
                                                .drop = drop,
                                                .one_way = true};

static int prepare(struct cl_operation *operation, const struct cloister_label_put_args *from,
                   struct cloister_error *err)
{
    struct cl_label_change *change = cl_arena_alloc(&operation->arena, 1, sizeof(*change));
    if (!change)
        return cl_args_no_memory(err);
    operation->args.label = change;
    bool removes = !from->value.data;
    if (removes && from->value.size)
        return cl_error_set(err, CLOISTER_INVALID, 0, "label", NULL, "label's value has a size and no bytes");
    int r = cl_label_check(from->key, from->value, from->flags, err);
    if (r < 0)
        return r;
    change->args = *from;
    change->args.key = cl_arena_sv(&operation->arena, from->key);
    if (!removes) /* an empty value is one, too */
        change->args.value = from->value.size ? cl_arena_sv(&operation->arena, from->value) : CLOISTER_SV("");
    return operation->arena.failed ? cl_args_no_memory(err) : cl_runfile_check(operation->sandbox, false, err);
}

cloister_op cl_api_label_put(const struct cloister_host *host, const struct cloister_label_put_args *args,
                             cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_label_put_args copy;
    cl_struct_copy(&copy, sizeof(copy), args);
    struct cl_operation *operation = cl_operation_ask(host, &class, copy.sandbox, true, done, ctx, err);
    return operation
               ? cl_operation_prepared(operation, prepare(operation, &copy, err), 0, CL_CLAIM_CONTAINER_SHARED, err)
               : 0; /* of no container: shared on the sandbox */
}
