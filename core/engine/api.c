/* SPDX-License-Identifier: Apache-2.0 */
/* api.c - the table that personalities get. A slot that is NULL belongs to a later issue: its wrapper answers
 * UNSUPPORTED. */
#include "core/engine/api.h"

#include "core/engine/operation.h"
#include "core/engine/record_put.h"
#include "core/engine/views.h"

static void cancel(const struct cloister_host *host, cloister_op op)
{
    const struct cl_service *service = cl_service_of(host);
    struct cl_operation *operation = cl_map_get_u64(&service->engine->by_number, op);
    if (operation && operation->service == service && operation->done && !operation->answered)
        cl_operation_cancel_later(operation);
}

const struct cloister_engine_api cl_engine_api = {
    CLOISTER_INIT(struct cloister_engine_api),
    .sandbox_create = cl_api_sandbox_create,
    .sandbox_commit = cl_api_sandbox_commit,
    .sandbox_destroy = cl_api_sandbox_destroy,
    .container_create = cl_api_container_create,
    .container_start = cl_api_container_start,
    .container_kill = cl_api_container_kill,
    .container_stop = cl_api_container_stop,
    .container_delete = cl_api_container_delete,
    .file_put = cl_api_file_put,
    .read_file = cl_api_read_file,
    .files_in = cl_api_files_in,
    .files_out = cl_api_files_out,
    .exec = cl_api_exec,
    .signal = cl_api_signal,
    .wait = cl_api_wait,
    .release = cl_api_release,
    .attach = cl_api_attach,
    .attach_policy = cl_api_attach_policy,
    .stdin = cl_api_stdin,
    .stdin_close = cl_api_stdin_close,
    .resize = cl_api_resize,
    .freeze = cl_api_freeze,
    .thaw = cl_api_thaw,
    .update = cl_api_update,
    .stats = cl_api_stats,
    .procs = cl_api_procs,
    .label_put = cl_api_label_put,
    .record_put = cl_api_record_put,
    .describe = cl_api_describe,
    .cancel = cancel,
    .info = cl_view_info,
    .machine_info = cl_view_machine_info,
    .find = cl_view_find,
    .iterate = cl_view_iterate,
    .containers = cl_view_containers,
    .processes = cl_view_processes,
    .labels = cl_view_labels,
    .label_get = cl_view_label_get,
    .spec_default = cl_view_spec_default,
    .record_get = cl_view_record_get,
    .recovered_done = cl_api_recovered_done,
};
