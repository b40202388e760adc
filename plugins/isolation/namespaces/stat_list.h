/* SPDX-License-Identifier: Apache-2.0 */
/* stat_list.h - counters of groups and of the machine, by the keys of cloister_stats_args. [worker] */
#ifndef NS_STAT_LIST_H
#define NS_STAT_LIST_H

#include "cgroup.h"

struct ns_stats {
    struct cloister_stat *list; /* each key malloc'd */
    uint32_t count;
    bool short_of_memory;
};

void ns_stats_clear(struct ns_stats *stats);

/* Adds to the counter of that key, or begins it. */
void ns_stats_add(struct ns_stats *stats, uint64_t value, const char *key, ...) CLOISTER_PRINTF(3, 4);

struct ns_stats_ask {
    const struct ns_cgroups *cgroups;
    const struct ns_machine *machine;
    const char *group;
    bool beside; /* the groups beside it too: what adds up is added */
    bool raw;    /* memory.stat */
    /* v2's largest use counts from a write to a descriptor that stays open: NULL, or gives a
     * duplicate (-1 = none), which is closed here. */
    int (*peak_fd)(void *ctx, const char *path);
    bool reset_peak;
    void *ctx;
};

void ns_stats_of_group(const struct ns_stats_ask *ask, struct ns_stats *io_stats);
void ns_stats_of_machine(const struct ns_cgroups *cgroups, struct ns_stats *io_stats);

#endif
