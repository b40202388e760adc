/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/record_put.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/engine/operation.h"
#include "core/engine/records.h"
#include "core/engine/runfile.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/mem.h"
#include "core/value/value.h"

struct cl_record_change {
    struct cloister_record_put_args args;
    struct cloister_sv fresh; /* malloc'd, until it is where it belongs */
    struct cloister_sv old;   /* of a sandbox: until the write has succeeded */
    uint64_t stamp;
};

static void sv_free(struct cloister_sv *sv)
{
    free((void *)(uintptr_t)sv->data);
    *sv = cl_sv(NULL, 0);
}

/* data NULL stays NULL; bytes of no length are some all the same. */
static int sv_copy(struct cloister_sv from, struct cloister_sv *ret)
{
    char *copy = from.data ? cl_memdup(from.data, from.size) : NULL;
    if (from.data && !copy)
        return -ENOMEM;
    *ret = cl_sv(copy, copy ? from.size : 0);
    return 0;
}

int cl_sandbox_set_svc(struct cl_sandbox *sandbox, struct cloister_sv data)
{
    struct cloister_sv copy;
    int r = sv_copy(data, &copy);
    if (r < 0)
        return r;
    sv_free(&sandbox->svc);
    sandbox->svc = copy;
    sandbox->svc_stamp++;
    return 0;
}

/* ---- record_put ---- */

static void on_sandbox_written(void *ctx, const struct cloister_error *err)
{
    struct cl_operation *operation = ctx;
    struct cl_sandbox *sandbox = operation->sandbox;
    struct cl_record_change *change = operation->args.record;
    if (err && sandbox->svc_stamp == change->stamp) {
        struct cloister_sv failed = sandbox->svc;
        sandbox->svc = change->old;
        change->old = failed;
    }
    cl_operation_finish(operation, err, NULL);
}

static void on_global_written(void *ctx, const struct cloister_error *err, const struct cloister_store_result *result)
{
    (void)result;
    struct cl_operation *operation = ctx;
    struct cl_record_change *change = operation->args.record;
    if (!err) {
        sv_free(&operation->service->record);
        operation->service->record = change->fresh;
        operation->service->record_known = true;
        change->fresh = cl_sv(NULL, 0);
    }
    cl_operation_finish(operation, err, NULL);
}

static struct cloister_sv global_key(const struct cl_service *service, char *buffer, size_t size)
{
    (void)snprintf(buffer, size, "svc:%s", service->name); /* names have at most 32 bytes */
    return cl_sv_cstr(buffer);
}

static int put_global(struct cl_operation *operation, struct cloister_error *err)
{
    const struct cl_service *service = operation->service;
    struct cloister_sv data = operation->args.record->fresh;
    char name[48];
    struct cloister_sv key = global_key(service, name, sizeof(name));
    int r = data.data
                ? cl_store_global_put(service->store, key, CLOISTER_DURABLE_POWER, data, on_global_written, operation)
                : cl_store_global_delete(service->store, key, on_global_written, operation);
    if (r == -EOPNOTSUPP)
        return cl_error_set(err, CLOISTER_UNSUPPORTED, 0, "globals", NULL, "the store keeps no records of services");
    return r < 0 ? cl_args_no_memory(err) : 0;
}

static void put_of_sandbox(struct cl_operation *operation)
{
    struct cl_sandbox *sandbox = operation->sandbox;
    struct cl_record_change *change = operation->args.record;
    change->old = sandbox->svc;
    sandbox->svc = change->fresh;
    change->fresh = cl_sv(NULL, 0);
    change->stamp = ++sandbox->svc_stamp;
    cl_journal_write(sandbox, CL_RECORD_SVC, CLOISTER_DURABLE_POWER, &operation->journal, on_sandbox_written,
                     operation);
}

static int put_run(const struct cl_operation *operation, struct cloister_error *err)
{
    struct cloister_sv data = operation->args.record->fresh;
    struct cl_runfile file =
        operation->sandbox ? cl_runfile_of_sandbox(operation->sandbox) : cl_runfile_of_service(operation->service);
    return data.data ? cl_runfile_set(&file, CL_RUN_RECORD, cl_runfile_bytes(data), err)
                     : cl_runfile_remove(&file, CL_RUN_RECORD, err);
}

static int check_state(const struct cl_sandbox *sandbox, uint32_t where, struct cloister_error *err)
{
    return sandbox ? cl_runfile_check(sandbox, where == CLOISTER_RECORD_RUN, err) : 0;
}

static void begin(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    uint32_t where = operation->args.record->args.where;
    int r = check_state(operation->sandbox, where, &err);
    if (r == 0 && where == CLOISTER_RECORD_STORE && operation->sandbox) {
        put_of_sandbox(operation);
        return;
    }
    if (r == 0 && where == CLOISTER_RECORD_STORE) {
        r = put_global(operation, &err);
        if (r == 0)
            return;
    } else if (r == 0) {
        r = put_run(operation, &err);
    }
    cl_operation_finish(operation, r < 0 ? &err : NULL, NULL);
}

static void drop(struct cl_operation *operation)
{
    if (!operation->args.record)
        return;
    sv_free(&operation->args.record->fresh);
    sv_free(&operation->args.record->old);
}

static const struct cl_operation_class class = {.name = "record_put",
                                                .verb = "write the service's record of",
                                                .begin = begin,
                                                .cancel = cl_operation_leave_it,
                                                .drop = drop,
                                                .one_way = true};
static const struct cl_operation_class own_class = {.name = "record_put",
                                                    .verb = "write the service's record",
                                                    .begin = begin,
                                                    .cancel = cl_operation_leave_it,
                                                    .drop = drop,
                                                    .one_way = true};

static int check_where(uint32_t where, struct cloister_error *err)
{
    return where == CLOISTER_RECORD_STORE || where == CLOISTER_RECORD_RUN
               ? 0
               : cl_error_set(err, CLOISTER_INVALID, 0, "where", NULL, "where has unknown kind %u", where);
}

/* The calling service's own, or NULL with err. */
static struct cl_sandbox *find_own(const struct cl_service *service, struct cloister_sv id, struct cloister_error *err)
{
    struct cl_sandbox *sandbox = cl_sandbox_find(service, id, false, err);
    if (!sandbox || sandbox->service == service)
        return sandbox;
    (void)cl_error_set(err, CLOISTER_DENIED, 0, sandbox->service->name, NULL,
                       "sandbox '%.*s' is of service '%s', which alone has a record of it", CL_SV_ARG(sandbox->name),
                       sandbox->service->name);
    return NULL;
}

static int prepare(struct cl_operation *operation, const struct cloister_record_put_args *args,
                   struct cloister_error *err)
{
    struct cl_record_change *change = cl_arena_alloc(&operation->arena, 1, sizeof(*change));
    if (!change)
        return cl_args_no_memory(err);
    operation->args.record = change;
    change->args = *args;
    int r = check_where(args->where, err);
    r = r ? r : cl_args_record(args->data, err);
    r = r ? r : check_state(operation->sandbox, args->where, err);
    if (r == 0 && sv_copy(args->data, &change->fresh) < 0)
        r = cl_args_no_memory(err);
    return r;
}

cloister_op cl_api_record_put(const struct cloister_host *host, const struct cloister_record_put_args *args,
                              cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    struct cloister_record_put_args copy;
    cl_struct_copy(&copy, sizeof(copy), args);
    struct cl_service *service = cl_service_of(host);
    struct cl_sandbox *sandbox = copy.sandbox.size ? find_own(service, copy.sandbox, err) : NULL;
    if (copy.sandbox.size && !sandbox)
        return 0;
    struct cl_operation *operation = cl_operation_new(service, sandbox ? &class : &own_class, sandbox, done, ctx, err);
    if (!operation)
        return 0;
    return cl_operation_prepared(operation, prepare(operation, &copy, err), 0,
                                 sandbox ? CL_CLAIM_CONTAINER_SHARED : CL_CLAIM_NONE, err);
}

/* ---- record_get ---- */

static void lent_back(void *ctx)
{
    cl_arena_free(&((struct cl_engine *)ctx)->lent);
}

static int get_run(struct cl_engine *engine, const struct cl_runfile *file, struct cloister_sv *ret,
                   struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *document = NULL;
    int r = cl_runfile_read(file, &document, err);
    if (r < 0)
        return r;
    const cloister_value *record = cl_value_get_cstr(document, CL_RUN_RECORD);
    cl_arena_free(&engine->lent);
    if (!record) {
        *ret = cl_sv(NULL, 0);
        return 0;
    }
    r = cl_runfile_take(record, &engine->lent, ret);
    cl_engine_later(engine, &engine->lent_back, lent_back, engine);
    return r < 0 ? cl_error_set(err, cl_error_code_of(r), r, NULL, "run-file", "read the record in %s/%s",
                                file->directory, file->name)
                 : 0;
}

/* ---- at the start ---- */

struct load {
    struct cl_engine *engine;
    struct cl_later later;
    unsigned left;
    cloister_fn done;
    void *ctx;
};

struct load_one {
    struct load *load;
    struct cl_service *service;
};

static void loaded(void *ctx)
{
    struct load *load = ctx;
    if (--load->left)
        return;
    cloister_fn done = load->done;
    void *done_ctx = load->ctx;
    free(load);
    done(done_ctx);
}

/* What has been written meanwhile is newer. */
static void take(struct cl_service *service, const struct cloister_error *err,
                 const struct cloister_store_result *result)
{
    struct cloister_record record = {{NULL, 0}, {NULL, 0}, {0}};
    if (service->record_known)
        return;
    if (!err && result->record_count)
        cl_element_copy(&record, sizeof(record), result->records, result->record_size, 0);
    if (err && err->code != CLOISTER_NO_ENTITY) {
        cl_error_copy(&service->record_error, err);
        cl_log_error(CL_LOG_ERROR, CL_ENGINE_AREA, err, "record of service '%s'", service->name);
    } else if (sv_copy(record.data, &service->record) < 0) {
        (void)cl_args_no_memory(&service->record_error);
    } else {
        service->record_known = true;
    }
}

static void on_loaded(void *ctx, const struct cloister_error *err, const struct cloister_store_result *result)
{
    struct load_one *one = ctx;
    struct load *load = one->load;
    one->service->record_reading = false;
    take(one->service, err, result);
    cl_engine_ended(one->service->engine);
    free(one);
    if (load)
        loaded(load);
}

/* load NULL: nobody waits for it. */
static void read_own(struct cl_service *service, struct load *load)
{
    char name[48];
    if (service->record_known || service->record_reading)
        return;
    struct load_one *one = cl_new(struct load_one);
    if (one)
        *one = (struct load_one){load, service};
    int r =
        one ? cl_store_global_get(service->store, global_key(service, name, sizeof(name)), on_loaded, one) : -ENOMEM;
    if (r < 0)
        free(one);
    if (r == -EOPNOTSUPP)
        service->record_known = true; /* there can be none */
    else if (r < 0)
        (void)cl_args_no_memory(&service->record_error);
    service->record_reading = r == 0;
    if (r == 0 && load)
        load->left++;
}

int cl_record_load(struct cl_engine *engine, cloister_fn done, void *ctx)
{
    struct load *load = cl_new(struct load);
    if (!load)
        return -ENOMEM;
    *load = (struct load){.engine = engine, .left = 1, .done = done, .ctx = ctx};
    CL_LIST_FOREACH(node, &engine->services)
    read_own(CL_CONTAINER(node, struct cl_service, node), load);
    cl_engine_later(engine, &load->later, loaded, load);
    return 0;
}

bool cl_record_lacks_memory(const struct cl_engine *engine)
{
    CL_LIST_FOREACH(node, &engine->services)
    {
        const struct cl_service *service = CL_CONTAINER(node, struct cl_service, node);
        if (!service->record_known && service->record_error.os_errno == ENOMEM)
            return true;
    }
    return false;
}

/* ---- record_get of what has been read ---- */

/* No record and one that could not be read are not the same: it is tried again, for the next who asks. */
static int get_own(struct cl_service *service, struct cloister_sv *ret, struct cloister_error *err)
{
    if (service->record_known) {
        *ret = service->record;
        return 0;
    }
    read_own(service, NULL);
    if (!service->record_error.code)
        return cl_error_set(err, CLOISTER_UNAVAILABLE, 0, service->name, "record",
                            "the record of service '%s' has not been read yet", service->name);
    cl_error_copy(err, &service->record_error);
    cl_error_wrap(err, "read the record of service '%s'", service->name);
    return -1;
}

int32_t cl_view_record_get(const struct cloister_host *host, struct cloister_sv sandbox, uint32_t where,
                           struct cloister_sv *ret, struct cloister_error *err)
{
    struct cl_service *service = cl_service_of(host);
    const struct cl_sandbox *found = sandbox.size ? find_own(service, sandbox, err) : NULL;
    if ((sandbox.size && !found) || check_where(where, err) < 0)
        return -1;
    if (where == CLOISTER_RECORD_STORE && !found)
        return get_own(service, ret, err) < 0 ? -1 : 0;
    if (where == CLOISTER_RECORD_STORE || (found && found->unknown)) {
        *ret = found->svc;
        return 0;
    }
    struct cl_runfile file = found ? cl_runfile_of_sandbox(found) : cl_runfile_of_service(service);
    return get_run(service->engine, &file, ret, err) < 0 ? -1 : 0;
}
