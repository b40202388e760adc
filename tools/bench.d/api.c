/* SPDX-License-Identifier: Apache-2.0 */
/* api.c - what is timed over the API: one connection, each request sent when the answer before it is there. */
#include "core/error/error.h"
#include "core/util/mem.h"
#include "stopwatch.h"

static const cloister_value *params_of(const cloister_value *task)
{
    return cl_value_get_cstr(task, "params");
}

cloister_value *watch_target(const cloister_value *sandbox, const cloister_value *process)
{
    CL_VALUE_CLEANUP cloister_value *params = cl_value_new_object();

    if (cl_value_set_cstr(params, "id", cl_value_copy(sandbox)) < 0)
        return NULL;
    if (process && cl_value_set_cstr(params, "process", cl_value_copy(process)) < 0)
        return NULL;
    return cl_steal_ptr(&params);
}

int watch_call(struct watch *watch, const char *method, cloister_value *params, cloister_value **ret_result,
               struct cloister_error *err)
{
    if (!params)
        return watch_no_memory(err);
    int failed = ctl_client_call(&watch->client, method, params, NULL, ret_result, err);
    if (failed < 0)
        cl_error_wrap(err, "%s", method);
    return failed;
}

int watch_wait(struct watch *watch, const cloister_value *sandbox, const cloister_value *process,
               struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *result = NULL;
    uint64_t code;

    int failed = watch_call(watch, "wait", watch_target(sandbox, process), &result, err);
    if (failed < 0)
        return failed;
    const cloister_value *status = cl_value_get_cstr(result, "status");
    if (cl_value_u64(cl_value_get_cstr(status, "code"), &code) < 0 || code != 0)
        return cl_error_set(err, CLOISTER_IO, 0, NULL, NULL, "the process in the container did not end with 0");
    return 0;
}

int watch_start(struct watch *watch, const cloister_value *task, uint64_t *ret_ns, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *created = NULL;
    cloister_value *params = cl_value_copy(params_of(task));
    uint64_t begin = watch_now();

    int failed = watch_call(watch, "create", params, &created, err);
    if (failed < 0)
        return failed;
    const cloister_value *sandbox = cl_value_get_cstr(created, "id");
    failed = watch_wait(watch, sandbox, NULL, err);
    if (failed == 0)
        failed = watch_call(watch, "destroy", watch_target(sandbox, NULL), NULL, err);
    *ret_ns = watch_now() - begin;
    return failed;
}

int watch_exec(struct watch *watch, const cloister_value *task, uint64_t *ret_ns, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *executed = NULL;
    cloister_value *params = cl_value_copy(params_of(task));
    uint64_t begin = watch_now();

    int failed = watch_call(watch, "exec", params, &executed, err);
    if (failed == 0)
        failed =
            watch_wait(watch, cl_value_get_cstr(params_of(task), "id"), cl_value_get_cstr(executed, "process"), err);
    *ret_ns = watch_now() - begin;
    return failed;
}
