/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/limits.h"

#include <errno.h>
#include <stdlib.h>

#include "core/error/error.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "core/value/value.h"

int cl_limits_check(struct cloister_sv text, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *document = NULL;
    if (text.size > CL_LIMITS_MAX)
        return cl_error_set(err, CLOISTER_TOO_BIG, 0, "resources", NULL, "resources has %llu bytes, a record keeps %u",
                            (unsigned long long)text.size, CL_LIMITS_MAX);
    if (!text.size || !text.data)
        return cl_error_set(err, CLOISTER_INVALID, 0, "resources", NULL, "resources is missing");
    int r = cl_value_parse(text, NULL, &document, NULL, err);
    if (r < 0)
        cl_error_wrap(err, "resources");
    else if (cl_value_type(document) != CLOISTER_VALUE_OBJECT)
        r = cl_error_set(err, CLOISTER_INVALID, 0, "resources", NULL, "resources is not an object");
    return r;
}

int cl_limits_set(struct cloister_sv *limits, struct cloister_sv text)
{
    char *copy = text.size ? cl_memdup(text.data, text.size) : NULL;
    if (text.size && !copy)
        return -ENOMEM;
    free((void *)(uintptr_t)limits->data);
    *limits = cl_sv(copy, copy ? text.size : 0);
    return 0;
}

void cl_limits_free(struct cl_limits *limits)
{
    (void)cl_limits_set(&limits->in_force, cl_sv(NULL, 0));
    (void)cl_limits_set(&limits->wanted, cl_sv(NULL, 0));
}
