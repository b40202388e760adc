/* SPDX-License-Identifier: Apache-2.0 */
#include "status.h"

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
