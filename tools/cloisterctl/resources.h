/* SPDX-License-Identifier: Apache-2.0 */
/* resources.h - limits as they are typed, for `run` and `update`, and as OCI linux.resources. */
#ifndef CLOISTERCTL_RESOURCES_H
#define CLOISTERCTL_RESOURCES_H

#include "core/value/value.h"
#include <cloister/error.h>

/* Each NULL, or what was typed. "max" takes a limit away. */
struct ctl_resource_options {
    const char *memory;
    const char *memory_swap; /* memory and swap together */
    const char *memory_reservation;
    const char *cpus;
    const char *cpu_shares;
    const char *cpuset_cpus;
    const char *cpuset_mems;
    const char *pids;
};

enum { /* what getopt returns for the options without a letter; a command's own come before them */
       CTL_OPTION_MEMORY = 'm',
       CTL_OPTION_MEMORY_SWAP = 1024,
       CTL_OPTION_MEMORY_RESERVATION,
       CTL_OPTION_CPUS,
       CTL_OPTION_CPU_SHARES,
       CTL_OPTION_CPUSET_CPUS,
       CTL_OPTION_CPUSET_MEMS,
       CTL_OPTION_PIDS
};

/* clang-format off */
#define CTL_RESOURCES_LONG                                                        \
    {"memory", required_argument, NULL, CTL_OPTION_MEMORY},                         \
    {"memory-swap", required_argument, NULL, CTL_OPTION_MEMORY_SWAP},               \
    {"memory-reservation", required_argument, NULL, CTL_OPTION_MEMORY_RESERVATION}, \
    {"cpus", required_argument, NULL, CTL_OPTION_CPUS},                             \
    {"cpu-shares", required_argument, NULL, CTL_OPTION_CPU_SHARES},                 \
    {"cpuset-cpus", required_argument, NULL, CTL_OPTION_CPUSET_CPUS},               \
    {"cpuset-mems", required_argument, NULL, CTL_OPTION_CPUSET_MEMS},               \
    {"pids", required_argument, NULL, CTL_OPTION_PIDS}
/* clang-format on */

#define CTL_RESOURCES_HELP                                                                                    \
    "  -m, --memory SIZE      limit, as in 64m or 1g; for this and the next three max takes the limit away\n" \
    "      --memory-swap SIZE limit of memory and swap together\n"                                            \
    "      --cpus N           limit, as in 0.5\n"                                                             \
    "      --pids N           limit of processes\n"                                                           \
    "      --memory-reservation SIZE, --cpu-shares N, --cpuset-cpus LIST, --cpuset-mems LIST   as in OCI\n"

/* Where the argument of an option of the list is kept; NULL = another one. */
const char **ctl_resources_option(struct ctl_resource_options *options, int option);
bool ctl_resources_any(const struct ctl_resource_options *options);
/* Puts them into an OCI linux.resources; what they do not name stays. */
int ctl_resources_edit(cloister_value *resources, const struct ctl_resource_options *options,
                       struct cloister_error *err);

#endif
