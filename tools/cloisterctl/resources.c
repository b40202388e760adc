/* SPDX-License-Identifier: Apache-2.0 */
/* resources.c - see resources.h. */
#include "resources.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "ctl.h"
#include "parse.h"
#include <string.h>

const char **ctl_resources_option(struct ctl_resource_options *options, int option)
{
    switch (option) {
    case CTL_OPTION_MEMORY:
        return &options->memory;
    case CTL_OPTION_MEMORY_SWAP:
        return &options->memory_swap;
    case CTL_OPTION_MEMORY_RESERVATION:
        return &options->memory_reservation;
    case CTL_OPTION_CPUS:
        return &options->cpus;
    case CTL_OPTION_CPU_SHARES:
        return &options->cpu_shares;
    case CTL_OPTION_CPUSET_CPUS:
        return &options->cpuset_cpus;
    case CTL_OPTION_CPUSET_MEMS:
        return &options->cpuset_mems;
    case CTL_OPTION_PIDS:
        return &options->pids;
    default:
        return NULL;
    }
}

bool ctl_resources_any(const struct ctl_resource_options *options)
{
    return options->memory || options->memory_swap || options->memory_reservation || options->cpus ||
           options->cpu_shares || options->cpuset_cpus || options->cpuset_mems || options->pids;
}

static int put(cloister_value *resources, const char *controller, const char *key, cloister_value *value,
               struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *owned = value;

    if (!cl_value_get_cstr(resources, controller) &&
        cl_value_set_cstr(resources, controller, cl_value_new_object()) < 0)
        return ctl_no_memory(err);
    cloister_value *object = cl_value_get_cstr(resources, controller);
    if (cl_value_type(object) != CLOISTER_VALUE_OBJECT)
        return cl_error_set(err, CLOISTER_INVALID, 0, controller, NULL, "resources: '%s' is no object", controller);
    if (!owned || cl_value_set_cstr(object, key, cl_steal_ptr(&owned)) < 0)
        return ctl_no_memory(err);
    return 0;
}

typedef int parse_fn(const char *text, uint64_t *ret_number, struct cloister_error *err);

/* text NULL: nothing happens. */
static int put_number(cloister_value *resources, const char *controller, const char *key, const char *text,
                      parse_fn *parse, struct cloister_error *err)
{
    uint64_t number;

    if (!text)
        return 0;
    if (strcmp(text, "max") == 0)
        return put(resources, controller, key, cl_value_new_i64(-1), err);
    int failed = parse(text, &number, err);
    return failed < 0 ? failed : put(resources, controller, key, cl_value_new_u64(number), err);
}

/* "0-3,7": what sets of CPUs and of memory nodes look like. */
static int put_list(cloister_value *resources, const char *key, const char *text, struct cloister_error *err)
{
    if (!text)
        return 0;
    if (!*text || strspn(text, "0123456789,-") != strlen(text))
        return cl_error_set(err, CLOISTER_INVALID, 0, text, NULL, "'%s' is not a list of numbers, as in 0-3,7", text);
    return put(resources, "cpu", key, cl_value_new_cstr(text), err);
}

static int parse_shares(const char *text, uint64_t *ret_number, struct cloister_error *err)
{
    int failed = strcmp(text, "max") == 0 ? -1 : ctl_parse_count(text, ret_number, err);

    return failed == 0 && *ret_number >= 2 && *ret_number <= 262144
               ? 0
               : cl_error_set(err, CLOISTER_INVALID, 0, text, NULL, "'%s' is not a number of shares from 2 to 262144",
                              text);
}

static int put_cpu(cloister_value *resources, const struct ctl_resource_options *options, struct cloister_error *err)
{
    uint64_t shares;
    int failed = put_number(resources, "cpu", "quota", options->cpus, ctl_parse_cpus, err);

    if (failed == 0 && options->cpus && strcmp(options->cpus, "max") != 0)
        failed = put(resources, "cpu", "period", cl_value_new_u64(CTL_CPU_PERIOD_US), err);
    if (failed == 0 && options->cpu_shares && (failed = parse_shares(options->cpu_shares, &shares, err)) == 0)
        failed = put(resources, "cpu", "shares", cl_value_new_u64(shares), err);
    if (failed == 0)
        failed = put_list(resources, "cpus", options->cpuset_cpus, err);
    return failed < 0 ? failed : put_list(resources, "mems", options->cpuset_mems, err);
}

int ctl_resources_edit(cloister_value *resources, const struct ctl_resource_options *options,
                       struct cloister_error *err)
{
    int failed = put_number(resources, "memory", "limit", options->memory, ctl_parse_size, err);

    if (failed == 0)
        failed = put_number(resources, "memory", "swap", options->memory_swap, ctl_parse_size, err);
    if (failed == 0)
        failed = put_number(resources, "memory", "reservation", options->memory_reservation, ctl_parse_size, err);
    if (failed == 0)
        failed = put_cpu(resources, options, err);
    return failed < 0 ? failed : put_number(resources, "pids", "limit", options->pids, ctl_parse_count, err);
}
