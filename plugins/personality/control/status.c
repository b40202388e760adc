/* SPDX-License-Identifier: Apache-2.0 */
#include "status.h"

#include <string.h>

cloister_value *ct_status(const struct ct_instance *instance, const struct cloister_status *status)
{
    const struct cloister_value_api *values = instance->host->value;
    if (status->kind == CLOISTER_STATUS_NONE)
        return values->new_null();
    cloister_value *object = values->new_object();
    bool exited = status->kind == CLOISTER_STATUS_EXITED, signaled = status->kind == CLOISTER_STATUS_SIGNALED;
    /* A kind this build does not know is told as lost: never to be taken for success. */
    ct_set_text(instance, &object, "kind", ct_sv(exited ? "exited" : signaled ? "signaled" : "lost"));
    if (exited || signaled)
        ct_set_u64(instance, &object, exited ? "code" : "signal", status->value);
    ct_set_bool(instance, &object, "oom", (status->flags & CLOISTER_STATUS_OOM) != 0);
    ct_set_bool(instance, &object, "core", (status->flags & CLOISTER_STATUS_CORE) != 0);
    ct_set_u64(instance, &object, "real_ns", status->real_ns);
    return object;
}

/* size is the giver's: its elements may be longer or shorter than ours. */
static struct cloister_output_end output_at(const struct cloister_output_end *outputs, uint64_t index, uint64_t size)
{
    struct cloister_output_end output = {0};
    const char *at = (const char *)outputs + index * size;
    memcpy(&output, at, size < sizeof(output) ? size : sizeof(output));
    return output;
}

cloister_value *ct_outputs(const struct ct_instance *instance, const struct cloister_output_end *outputs,
                           uint64_t count, uint64_t size)
{
    const struct cloister_value_api *values = instance->host->value;
    cloister_value *array = values->new_array();
    for (uint64_t i = 0; array && i < count; i++) {
        const struct cloister_output_end output = output_at(outputs, i, size);
        cloister_value *object = values->new_object();
        ct_set_u64(instance, &object, "fd", output.fd);
        ct_set_u64(instance, &object, "position", output.position);
        ct_set_u64(instance, &object, "lost", output.lost);
        ct_set_bool(instance, &object, "by_deadline", (output.flags & CLOISTER_OUTPUT_BY_DEADLINE) != 0);
        if (values->append(array, object) < 0) {
            values->free(array);
            array = NULL;
        }
    }
    return array;
}
