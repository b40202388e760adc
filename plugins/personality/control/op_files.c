/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a container: one, whole, in a request or its answer; or many, as an archive in a stream. */
#include "common/base64/base64.h"
#include "container.h"
#include "flow.h"

/* ---- file_put ---- */

void ct_file_put(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", "container", "path", "text", "data", NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_file_put_args args = {CLOISTER_INIT(struct cloister_file_put_args)};
    struct ct_call *call = ct_call_new(instance, exchange);
    char *memory = NULL;
    cloister_op op = 0;
    if (!call)
        return;
    (void)ct_params_known(&params, known);
    (void)ct_text(&params, "container", &args.container);
    (void)ct_need(&params, "path", ct_text(&params, "path", &args.path));
    (void)ct_content(&params, &args.bytes, &memory);
    if (ct_target(&params, call->sandbox)) {
        args.sandbox = ct_sv(call->sandbox);
        op = cloister_file_put(instance->host, &args, ct_call_done, call, &err);
    }
    (void)ct_call_begun(call, op, &err);
    free(memory);
}

/* ---- read_file ---- */

static void answer_read(struct ct_call *call, const struct cloister_result *result)
{
    struct ct_instance *instance = call->instance;
    const struct cloister_value_api *values = instance->host->value;
    uint64_t size = BASE64_TEXT_SIZE(result->data.size);
    char *text = malloc(size + 1);
    cloister_value *answer = text ? values->new_object() : NULL;
    if (text)
        base64_encode(result->data, text);
    ct_set(instance, &answer, "data", text ? values->new_string((struct cloister_sv){text, size}) : NULL);
    ct_set_u64(instance, &answer, "size", result->data.size);
    (void)ct_answer(instance, call->exchange, answer);
    free(text);
}

void ct_read_file(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", "container", "path", "max", "deadline_ms", NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_read_file_args args = {CLOISTER_INIT(struct cloister_read_file_args)};
    struct ct_call *call = ct_call_new(instance, exchange);
    uint32_t max = 0;
    cloister_op op = 0;
    if (!call)
        return;
    (void)ct_params_known(&params, known);
    (void)ct_text(&params, "container", &args.container);
    (void)ct_need(&params, "path", ct_text(&params, "path", &args.path));
    (void)ct_u32(&params, "max", 1, CLOISTER_READ_FILE_MAX, &max);
    args.max = max;
    args.deadline = ct_deadline(&params);
    call->finish = answer_read;
    call->for_client_only = true;
    if (ct_target(&params, call->sandbox)) {
        args.sandbox = ct_sv(call->sandbox);
        op = cloister_read_file(instance->host, &args, ct_call_done, call, &err);
    }
    (void)ct_call_begun(call, op, &err);
}

/* ---- files_in ---- */

static void answer_in(struct ct_call *call, const struct cloister_result *result)
{
    struct ct_instance *instance = call->instance;
    cloister_value *answer = instance->host->value->new_object();
    ct_set_u64(instance, &answer, "entries", result->entries);
    ct_set_u64(instance, &answer, "bytes", result->bytes);
    (void)ct_answer(instance, call->exchange, answer);
}

void ct_files_in(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", "container", "user", "path", "keep_owners", "deadline_ms", NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct cloister_files_in_args args = {CLOISTER_INIT(struct cloister_files_in_args)};
    struct ct_call *call = ct_call_new(instance, exchange);
    bool keep = false;
    cloister_op op = 0;
    if (!call)
        return;
    (void)ct_params_known(&params, known);
    (void)ct_text(&params, "container", &args.container);
    (void)ct_text(&params, "user", &args.user);
    (void)ct_need(&params, "path", ct_text(&params, "path", &args.path));
    (void)ct_bool(&params, "keep_owners", &keep);
    args.flags = keep ? CLOISTER_FILES_KEEP_OWNERS : 0;
    args.deadline = ct_deadline(&params);
    call->finish = answer_in;
    call->for_client_only = true; /* who does not hear how it ended cannot know what there is */
    if (ct_target(&params, call->sandbox) && ct_client_stream(&params, exchange, &args.stream)) {
        args.sandbox = ct_sv(call->sandbox);
        op = cloister_files_in(instance->host, &args, ct_call_done, call, &err);
        if (op == 0)
            instance->host->stream->abort(args.stream, NULL, NULL);
    }
    (void)ct_call_begun(call, op, &err);
}

/* ---- files_out ---- */

static cloister_op open_archive(struct ct_flow *flow, cloister_done_fn done, struct cloister_error *err)
{
    const struct cloister_files_out_args args = {CLOISTER_INIT(struct cloister_files_out_args),
                                                 .sandbox = ct_sv(flow->sandbox),
                                                 .container = ct_sv(flow->container),
                                                 .user = flow->user,
                                                 .path = flow->path,
                                                 .deadline = flow->deadline};
    return cloister_files_out(flow->instance->host, &args, done, flow, err);
}

static const struct ct_flow_class archive_class = {.from_process = true, .open = open_archive};

void ct_files_out(struct ct_instance *instance, cloister_exchange *exchange, const cloister_value *object)
{
    static const char *const known[] = {"id", "name", "container", "user", "path", "deadline_ms", NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ct_params params = CT_PARAMS(instance, object, "", &err);
    struct ct_flow *flow = ct_flow_new(&params, exchange, &archive_class);
    if (!flow)
        return;
    flow->follow = true;
    (void)ct_params_known(&params, known);
    ct_flow_container(flow, &params);
    (void)ct_text(&params, "user", &flow->user);
    (void)ct_need(&params, "path", ct_text(&params, "path", &flow->path));
    flow->deadline = ct_deadline(&params);
    (void)ct_target(&params, flow->sandbox);
    ct_flow_begin(flow, &params);
}
