/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inventory.h - a keeper's list of processes as the engine takes it over. What a keeper says is read like any input:
 * bounded, and with numbers of processes translated, not believed.
 */
#ifndef NS_INVENTORY_H
#define NS_INVENTORY_H

#include "sandbox.h"

struct ns_pid;

struct ns_inventory {
    struct cloister_inventory told; /* what it comes to; borrows from what follows and from the containers */
    struct cloister_inventory_container *containers;
    struct cloister_inventory_process *processes;
    struct cloister_output_end *outputs; /* three for each process */
    struct ns_pid *pids;                 /* of those that live */
    char *bytes;                         /* the list, as it came */
    size_t size;
    uint32_t version; /* of the keeper: which list it is */
    uint32_t count;
    bool unsettled; /* something is on its way: ask again */
};

/* Of the answer to LIST (or STATUS, version 2), whose descriptor is taken. 0 or negative errno. */
int ns_inventory_take(struct ns_inventory *inventory, struct cl_packet *answer, uint32_t version);

/* [worker] Makes `told` of it, and settles in the sandbox's containers, which nobody else looks at meanwhile, what only
 * the keeper knows: numbers, groups, who is down. 0 or negative errno. */
int ns_inventory_read(struct ns_inventory *inventory, struct ns_sandbox *sandbox);

/* Of such an answer, whose descriptor is taken: the processes of container `number`, malloc'd. 0 or negative errno. */
int ns_inventory_members(struct cl_packet *answer, uint32_t version, uint64_t number, uint64_t **ret_processes,
                         uint32_t *ret_count);

void ns_inventory_clear(struct ns_inventory *inventory);

#endif
