/* SPDX-License-Identifier: Apache-2.0 */
/* Files that come in a request: as text where they are, in base64 where they are not. */
#include <stdio.h>

#include "common/base64/base64.h"
#include "container.h"

#define MODE_MAX 07777u
#define ID_MAX 0xfffffffeu

bool ct_content(struct ct_params *params, struct cloister_sv *ret_bytes, char **ret_memory)
{
    struct cloister_sv text, data;
    bool plain = ct_text(params, "text", &text), encoded = ct_text(params, "data", &data);
    *ret_memory = NULL;
    if (plain == encoded)
        ct_wrong(params, "text", plain ? "stands beside 'data'; one of them is wanted" : "missing; so is 'data'");
    if (params->failed)
        return false;
    if (plain) {
        *ret_bytes = text;
        return true;
    }
    char *memory = malloc(BASE64_BYTES_MAX(data.size) + 1);
    uint64_t size = 0;
    if (!memory)
        ct_no_memory(params, "data");
    else if (!base64_decode(data, memory, &size))
        ct_wrong(params, "data", "expected base64, padded and without line breaks");
    if (params->failed) {
        free(memory);
        return false;
    }
    *ret_bytes = (struct cloister_sv){memory, size};
    *ret_memory = memory;
    return true;
}

static void read_share(struct ct_params *file, const char *where, struct cloister_file *ret_file)
{
    static const char *const known[] = {"container", "path", NULL};
    const cloister_value *share = NULL;
    char place[48];
    if (!ct_object(file, "share", &share))
        return;
    (void)snprintf(place, sizeof(place), "%sshare.", where);
    struct ct_params params = CT_PARAMS(file->instance, share, place, file->err);
    (void)ct_params_known(&params, known);
    ret_file->share_path = ret_file->path;
    (void)ct_need(&params, "container", ct_text(&params, "container", &ret_file->share));
    (void)ct_text(&params, "path", &ret_file->share_path);
    file->failed = params.failed;
}

static void read_file(struct ct_params *params, const cloister_value *value, uint64_t index,
                      struct cloister_file *ret_file, char **ret_memory)
{
    static const char *const known[] = {"path", "mode", "uid", "gid", "text", "data", "share", NULL};
    const struct cloister_value_api *values = params->instance->host->value;
    char where[32];
    (void)snprintf(where, sizeof(where), "files[%u].", (unsigned)index);
    struct ct_params file = CT_PARAMS(params->instance, value, where, params->err);
    if (values->type(value) != CLOISTER_VALUE_OBJECT)
        ct_wrong(&file, "path", "missing: expected an object");
    (void)ct_params_known(&file, known);
    (void)ct_need(&file, "path", ct_text(&file, "path", &ret_file->path));
    (void)ct_u32(&file, "mode", 1, MODE_MAX, &ret_file->mode);
    (void)ct_u32(&file, "uid", 0, ID_MAX, &ret_file->uid);
    (void)ct_u32(&file, "gid", 0, ID_MAX, &ret_file->gid);
    if (!ct_has(&file, "share"))
        (void)ct_content(&file, &ret_file->bytes, ret_memory);
    else if (ct_has(&file, "text") || ct_has(&file, "data"))
        ct_wrong(&file, "share", "stands beside a content of its own");
    else
        read_share(&file, where, ret_file);
    params->failed = file.failed;
}

void ct_files_read(struct ct_params *params, struct ct_container *container)
{
    const struct cloister_value_api *values = params->instance->host->value;
    const cloister_value *list = NULL;
    if (!ct_array(params, "files", &list))
        return;
    uint64_t count = values->count(list);
    container->files = calloc(count + 1, sizeof(*container->files));
    container->contents = calloc(count + 1, sizeof(*container->contents));
    if (!container->files || !container->contents) {
        ct_no_memory(params, "files");
        return;
    }
    container->args.files = container->files;
    container->args.file_count = count;
    container->args.file_size = sizeof(*container->files);
    for (uint64_t i = 0; i < count && !params->failed; i++)
        read_file(params, values->at(list, i, NULL), i, &container->files[i], &container->contents[i]);
}
