/* SPDX-License-Identifier: Apache-2.0 */
/* spec.h - from flags or a bundle to what `create` is asked for. */
#ifndef CLOISTERCTL_SPEC_H
#define CLOISTERCTL_SPEC_H

#include "core/value/value.h"
#include "resources.h"
#include <cloister/error.h>

/* What run and exec have in common: how the program is started. */
struct ctl_process_options {
    char *const *command; /* NULL-terminated; NULL = the bundle's own */
    const char *user;     /* NULL = the profile's */
    bool terminal;        /* it has one, in place of its three descriptors */
    const char *workdir;
    const char *const *env; /* "K=V" or "K" */
    uint32_t env_count;
    bool inherit; /* the container's environment comes first; without it an absent one gets PATH and HOME */
};

struct ctl_run_options {
    struct ctl_process_options process;
    const char *rootfs;
    const char *const *layers; /* of an overlay, the topmost first; instead of rootfs */
    uint32_t layer_count;
    const char *cgroup_parent;
    const char *bundle;
    const char *profile; /* name or, with a '/', a file */
    const char *name;
    const char *hostname;
    struct ctl_resource_options resources;
    const cloister_value *mounts; /* OCI mounts, an array; NULL = none */
    bool writable;
    bool captured;          /* output is kept by the daemon's keeper, for logs and attach */
    bool fed;               /* so is input, from attach; only with captured */
    const char *log_policy; /* NULL = drop; of a terminal that is ours, block */
    const char *log_window; /* NULL = the daemon's default */
};

/* A JSON object from a file; "-" is our input. */
int ctl_spec_read_json(const char *path, cloister_value **ret_value, struct cloister_error *err);
/* The installed profile, or a file, as a whole OCI config. */
int ctl_profile_read(const char *name, cloister_value **ret_spec, struct cloister_error *err);
/* The params of `create`: name, spec, rootfs, labels, stdio. */
int ctl_spec_create_params(const struct ctl_run_options *options, cloister_value **ret_params,
                           struct cloister_error *err);
/*
 * Puts command, user, workdir and environment into an OCI process. Its own env and cwd are kept where the options say
 * nothing; an absent env starts as PATH and HOME.
 */
int ctl_process_edit(cloister_value *process, const struct ctl_process_options *options, struct cloister_error *err);

/* Asks for a terminal, with the size of ours. policy NULL = block, window 0 = the daemon's default. */
int ctl_spec_terminal(cloister_value *params, const char *policy, uint64_t window, struct cloister_error *err);
/* Puts a user with a name beside the process, to be looked up inside; one of numbers only is in the process already. */
int ctl_spec_who(cloister_value *params, const char *user, struct cloister_error *err);

/* The label that keeps how init was started (capabilities, limits, never its arguments or environment), as exec's
 * default. */
#define CTL_LABEL_PROCESS "cloisterctl.process"
/* And this one its user, if that has a name. */
#define CTL_LABEL_USER "cloisterctl.user"

#endif
