/* SPDX-License-Identifier: Apache-2.0 */
/* restore.c - a record set becomes a sandbox again, and it is decided what is to be done about it (sdk.md section 5,
 * "half done at restart"). */
#include <errno.h>

#include "core/engine/records.h"
#include "core/engine/recover.h"
#include "core/engine/unknown.h"
#include "core/error/error.h"

static bool of_another_boot(const struct cl_engine *engine, const struct cl_record_head *head)
{
    return !cl_sv_is(head->boot_id, engine->boot_id) || (engine->old_cookie && head->cookie == engine->old_cookie);
}

static int check_owner(const struct cl_engine *engine, const struct cl_record_head *head, struct cloister_error *err)
{
    if (!of_another_boot(engine, head) && head->cookie != engine->cookie)
        return cl_error_set(err, CLOISTER_DENIED, 0, NULL, "cookie", "it belongs to another run directory");
    if (!cl_service_lookup(engine, head->service))
        return cl_error_set(err, CLOISTER_NO_ENTITY, 0, NULL, "service", "no service '%.*s' is in the config",
                            CL_SV_ARG(head->service));
    if (!cl_backend_lookup(engine, head->isolation))
        return cl_error_set(err, CLOISTER_NO_ENTITY, 0, NULL, "isolation", "no isolation '%.*s' is in the config",
                            CL_SV_ARG(head->isolation));
    return 0;
}

/* Half made says the record: or as far as the store still has it. What lives is not killed on such a word. */
static int check_half(const struct cl_row *row, const struct cl_record_head *head, struct cloister_error *err)
{
    bool half = head->state == CLOISTER_SANDBOX_CREATING || head->provisional;
    if (!half || head->goal == CL_GOAL_GONE || cl_store_was_clean(row->store) ||
        of_another_boot(row->recovery->engine, head))
        return 0;
    return cl_error_set(err, CLOISTER_LOST, 0, NULL, "record",
                        "its record says that it is half made, and the store has lost records");
}

/* Nobody can find out what became of it, so it may live: perhaps another wrapper or config took the ability away. */
static int check_adopt(const struct cl_engine *engine, const struct cl_record_head *head, struct cloister_error *err)
{
    const struct cl_backend *backend = cl_backend_lookup(engine, head->isolation);
    bool half = head->state == CLOISTER_SANDBOX_CREATING || head->provisional;
    if (half || !head->made || head->goal == CL_GOAL_GONE || of_another_boot(engine, head) ||
        (backend->vtable->adopt && backend->capabilities & CLOISTER_ISO_ADOPT))
        return 0;
    return cl_error_set(err, CLOISTER_UNSUPPORTED, 0, "ADOPT", "isolation",
                        "isolation '%.*s' cannot take over what an earlier daemon made", CL_SV_ARG(head->isolation));
}

static enum cl_row_way choose(struct cl_row *row, const struct cl_sandbox *sandbox, const struct cl_record_head *head)
{
    if (head->goal == CL_GOAL_GONE)
        return CL_ROW_FINISH;
    if (head->state == CLOISTER_SANDBOX_CREATING || head->provisional) {
        row->why = head->provisional ? "was never committed" : "was only half made";
        return CL_ROW_UNDO;
    }
    if (of_another_boot(sandbox->engine, head))
        return CL_ROW_CLEAN;
    return head->made ? CL_ROW_ADOPT : CL_ROW_KEEP;
}

static int fill(struct cl_row *row, struct cl_sandbox *sandbox, const struct cl_record_head *head,
                const struct cloister_store_result *set, struct cloister_error *err)
{
    struct cl_arena *arena = &sandbox->arena;
    sandbox->store = row->store;
    sandbox->cookie = head->cookie;
    sandbox->boot_id = cl_arena_sv(arena, head->boot_id);
    sandbox->plan = cl_arena_sv(arena, head->plan);
    sandbox->goal = head->goal;
    sandbox->cause = head->cause;
    sandbox->created_real_ns = head->created_real_ns;
    sandbox->created_boot_ns = head->created_boot_ns;
    sandbox->uncommitted = head->provisional;
    sandbox->held = true;
    sandbox->state = head->state;
    sandbox->down = head->state == CLOISTER_SANDBOX_OFF;
    row->way = choose(row, sandbox, head);
    int r = arena->failed ? -ENOMEM : cl_records_limits(head->document, sandbox->down, &sandbox->limits, err);
    r = r ? r : cl_records_restore(set, sandbox, err);
    sandbox->lasting = head->lasting_known ? head->lasting : cl_list_empty(&sandbox->containers);
    bool ends = row->way == CL_ROW_FINISH || row->way == CL_ROW_UNDO;
    sandbox->recovering = !ends;
    sandbox->made = head->made || ends; /* a half-made one may have got further than its record */
    if (ends) {
        sandbox->state = CLOISTER_SANDBOX_DESTROYING;
        sandbox->gate_closed = true;
    }
    if (r == 0 && row->way == CL_ROW_ADOPT)
        r = cl_records_containers(set, sandbox, &row->arena, &row->adopt.containers, &row->adopt.container_count, err);
    return r;
}

static int restore(struct cl_row *row, const struct cl_record_head *head, const struct cloister_store_result *set,
                   struct cloister_error *err)
{
    struct cl_engine *engine = row->recovery->engine;
    struct cl_service *service = cl_service_lookup(engine, head->service);
    struct cl_sandbox *sandbox;
    int r = cl_sandbox_restore(service, cl_backend_lookup(engine, head->isolation), cl_sv_cstr(row->id), head->name,
                               &sandbox);
    if (r == -EEXIST)
        return cl_error_set(err, CLOISTER_EXISTS, 0, NULL, "name",
                            "service '%s' has another sandbox of its name '%.*s'", service->name,
                            CL_SV_ARG(head->name));
    if (r < 0)
        return r;
    r = fill(row, sandbox, head, set, err);
    struct cl_operation *operation = r < 0 ? NULL : cl_operation_errand(sandbox, &cl_recover_class);
    if (!operation) {
        cl_arena_free(&row->arena);
        cl_sandbox_forget(sandbox);
        return r < 0 ? r : -ENOMEM;
    }
    operation->service = service;
    operation->args.row = row;
    cl_list_remove(&row->node);
    cl_list_append(&row->recovery->engaged, &row->node);
    (void)cl_operation_start(operation, 0, CL_CLAIM_SANDBOX);
    return 0;
}

/* What is known of it, from the summary; from the record too, if that can be read. set NULL: there is none. */
static int make_unknown(struct cl_row *row, const struct cloister_store_result *set, const struct cl_record_head *head,
                        const struct cloister_error *why)
{
    struct cl_record_words words = cl_record_words(cl_sv_cstr(row->summary));
    struct cl_unknown unknown = {
        .store = row->store,
        .id = cl_sv_cstr(row->id),
        .service = head ? head->service : words.service,
        .isolation = head ? head->isolation : words.isolation,
        .name = head ? head->name : words.name,
        .plan = head ? head->plan : cl_sv(NULL, 0),
        .unexplained = set ? cl_records_plan(set) : cl_sv(NULL, 0),
        .cookie = head ? head->cookie : 0,
    };
    int r = cl_unknown_make(row->recovery->engine, &unknown, why);
    if (r == -ENOMEM)
        return r;
    cl_row_free(row);
    return 0;
}

int cl_row_unknown(struct cl_row *row, const struct cloister_error *why)
{
    return make_unknown(row, NULL, NULL, why);
}

int cl_row_restore(struct cl_row *row, const struct cloister_store_result *set)
{
    struct cl_record_head head;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    int r = cl_records_read(set, &head, &err);
    if (r < 0)
        return r == -ENOMEM ? r : make_unknown(row, set, NULL, &err);
    r = check_owner(row->recovery->engine, &head, &err);
    r = r ? r : check_half(row, &head, &err);
    r = r ? r : check_adopt(row->recovery->engine, &head, &err);
    r = r ? r : restore(row, &head, set, &err);
    if (r < 0 && r != -ENOMEM)
        r = make_unknown(row, set, &head, &err);
    cl_record_head_free(&head);
    return r;
}
