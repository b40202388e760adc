/* SPDX-License-Identifier: Apache-2.0 */
/*
 * instance.h - one configured instance of the plugin: what the machine can do, its sandboxes, its operations under way.
 *
 * Who waits where: opening, cgroups, compiling filters happen on the instance's own workers; the keeper's socket and
 * its pidfd are watched on the loop; nothing blocks the loop. An operation is one object that walks through its stages
 * by callbacks and ends in exactly one ns_op_done.
 */
#ifndef NS_INSTANCE_H
#define NS_INSTANCE_H

#include "cgroup.h"
#include "filter.h"
#include "halt.h"
#include "intent.h"
#include "ranges.h"

#define NS_SECOND 1000000000ull
#define NS_MS 1000000ull

struct ns_sandbox;
struct ns_transfer;
struct ns_instance;
struct ns_peak;

/* First member of every operation object. */
struct ns_op {
    struct ns_op *next;
    struct ns_instance *instance;
    cloister_op op;
    bool cancelled;
    /* Asked to end early; may do nothing. The flag is set before. */
    void (*cancel)(struct ns_op *op);
    struct cloister_error err; /* filled by whichever thread works on the operation */
};

struct ns_instance {
    const struct cloister_host *host;
    char *cgroup_root;
    uint64_t exec_ms;  /* options, as those that follow */
    uint64_t tape_max; /* bytes */
    uint64_t resume_ns;
    uint64_t forbidden; /* bits of probe.c's table */
    struct ns_halt halt;
    struct ns_machine machine;
    struct ns_cgroups cgroups;
    struct ns_ranges *ranges;
    struct ns_filters *filters;
    cloister_queue *queue;
    struct ns_sandbox *sandboxes;
    struct ns_op *ops;
    struct ns_transfer *transfers; /* under way, also those that have been answered */
    bool told_landlock;
    char *blob;            /* of the last plan() */
    struct ns_peak *peaks; /* stats.c */
    struct cloister_feature *features;
    uint32_t feature_count;
};

/* A reader whose errors go to err (may be NULL). */
struct ns_reader ns_reader(const struct ns_instance *instance, struct cloister_error *err);

/* Puts the operation among those under way. */
void ns_op_begin(struct ns_instance *instance, struct ns_op *op, cloister_op number, void (*cancel)(struct ns_op *op));
/* Takes it off, and completes it: with its own error if that has a code, else with result (may be NULL). Does not free.
 */
void ns_op_done(struct ns_op *op, const struct cloister_result *result);
/* For errors found before an operation object exists. */
void ns_fail_now(struct ns_instance *instance, cloister_op op, const struct cloister_error *err);
/* No memory for the operation itself. */
void ns_fail_memory(struct ns_instance *instance, cloister_op op);

/* Runs work on a worker, then done on the loop; if the queue refuses, done runs soon with `err` filled. */
void ns_op_job(struct ns_op *op, cloister_fn work, cloister_fn done, void *ctx);

/* probe.c */
int32_t ns_probe(void *instance, struct cloister_iso_probe *ret, struct cloister_error *err);
/* A JSON list of features that are to be taken for missing. 0 or -1: one that nothing could stand in for, or none. */
int ns_forbid_parse(const struct ns_reader *r, struct cloister_sv text, uint64_t *ret);
/* plan.c */
int32_t ns_plan(void *instance, const struct cloister_iso_plan_args *args, struct cloister_sv *ret_blob,
                struct cloister_error *err);
void ns_hold(void *instance, struct cloister_sv plan);
/* The sandbox has these ids, whatever else has been planned; what is wrong with that goes to the log. */
void ns_hold_range(struct ns_instance *instance, const char *id, const struct ns_intent *intent);

/* Operations, one file each. */
void ns_sandbox_create(void *instance, const struct cloister_iso_create_args *args, cloister_op op);
void ns_sandbox_destroy(void *instance, const struct cloister_iso_destroy_args *args, cloister_op op);
void ns_container_create(void *instance, const struct cloister_iso_create_args *args, cloister_op op);
void ns_container_delete(void *instance, const struct cloister_iso_delete_args *args, cloister_op op);
void ns_exec(void *instance, const struct cloister_iso_exec_args *args, cloister_op op);
void ns_container_start(void *instance, const struct cloister_iso_start_args *args, cloister_op op);
void ns_container_kill(void *instance, const struct cloister_iso_kill_args *args, cloister_op op);
void ns_signal(void *instance, const struct cloister_iso_signal_args *args, cloister_op op);
void ns_release(void *instance, const struct cloister_iso_release_args *args, cloister_op op);
void ns_attach(void *instance, const struct cloister_iso_attach_args *args, cloister_op op);
void ns_attach_policy(void *instance, const struct cloister_iso_attach_policy_args *args, cloister_op op);
void ns_stdin(void *instance, const struct cloister_iso_stdin_args *args, cloister_op op);
void ns_resize(void *instance, const struct cloister_iso_resize_args *args, cloister_op op);
void ns_stdin_close(void *instance, const struct cloister_iso_stdin_args *args, cloister_op op);
void ns_files_in(void *instance, const struct cloister_iso_files_in_args *args, cloister_op op);
void ns_files_out(void *instance, const struct cloister_iso_files_out_args *args, cloister_op op);
void ns_file_read(void *instance, const struct cloister_iso_read_file_args *args, cloister_op op);
void ns_adopt(void *instance, const struct cloister_iso_adopt_args *args, cloister_op op);
void ns_freeze(void *instance, const struct cloister_iso_freeze_args *args, cloister_op op);
void ns_thaw(void *instance, const struct cloister_iso_freeze_args *args, cloister_op op);
void ns_update(void *instance, const struct cloister_iso_update_args *args, cloister_op op);
void ns_stats(void *instance, const struct cloister_iso_stats_args *args, cloister_op op);
void ns_procs(void *instance, const struct cloister_iso_procs_args *args, cloister_op op);
/* Descriptors that stats keeps of that group (NULL: all) are closed. */
void ns_peaks_forget(struct ns_instance *instance, const char *group);
void ns_describe(void *instance, const struct cloister_iso_describe_args *args, cloister_op op);
void ns_sweep(void *instance, const struct cloister_iso_sweep_args *args, cloister_op op);

#endif
