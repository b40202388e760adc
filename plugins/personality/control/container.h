/* SPDX-License-Identifier: Apache-2.0 */
/* container.h - what a client says of a container to be made, as the engine takes it. */
#ifndef CONTROL_CONTAINER_H
#define CONTROL_CONTAINER_H

#include "process.h"

#define CT_CONTAINER_KEYS "spec", "rootfs", "init", "pause_comm", "start", "files", CT_PROCESS_KEYS

/* Zeroed before it is read. */
struct ct_container {
    struct cloister_container_args args;
    struct ct_stdio stdio;
    struct ct_process process;
    struct cloister_sv spec; /* host memory behind args.spec */
    struct cloister_sv *layers;
    struct cloister_file *files;
    char **contents; /* of files, that were decoded */
};

/* Takes the exchange's descriptors. Views stay borrowed from its document. False: params->failed. */
bool ct_container_read(struct ct_params *params, cloister_exchange *exchange, struct ct_container *ret_container);
/* moved: an operation has taken the descriptors over. */
void ct_container_end(struct ct_instance *instance, struct ct_container *container, bool moved);

/* ---- content.c ---- */
/* `text` or `data` of params, exactly one. What was decoded is *ret_memory, to be freed. */
bool ct_content(struct ct_params *params, struct cloister_sv *ret_bytes, char **ret_memory);
/* The array `files`. */
void ct_files_read(struct ct_params *params, struct ct_container *container);

#endif
