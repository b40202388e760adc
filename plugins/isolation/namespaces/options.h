/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - the option words of one mount, understood. */
#ifndef NS_OPTIONS_H
#define NS_OPTIONS_H

#include "compile.h"

#define NS_OPTION_DATA_MAX 32u

/* Attributes asked for. `mode` is an atime mode, told apart from none by `moded`. */
struct ns_attributes {
    uint64_t set;
    uint64_t taken_back; /* words like "rw": of a mount that exists, they clear */
    uint64_t mode;
    bool moded;
    bool any;
};

struct ns_options {
    struct ns_attributes top;  /* of the mount itself */
    struct ns_attributes tree; /* "rro" and its like: of the whole tree below it; only with `whole` */
    uint32_t propagation;
    bool bind;
    bool whole;   /* rbind */
    bool remount; /* of what is mounted there already */
    bool idmap;
    bool idmap_whole;
    uint64_t idmap_at;                              /* which word */
    struct cl_wire_option data[NS_OPTION_DATA_MAX]; /* for fsconfig, their strings in the plan */
    uint32_t data_count;
};

/* Reads options[] of `mount`, whose JSON path is `base`. 0 or -1. */
int ns_options_read(struct ns_compile *c, const cloister_value *mount, struct cloister_sv type, const char *base,
                    struct ns_options *ret);

/* As mount_setattr takes them. On a mount of the container's own that exists already they may also clear. */
void ns_options_attributes(const struct ns_attributes *attributes, bool clears, uint64_t *ret_set, uint64_t *ret_clear);

/* MS_* of "rslave" and its like; 0 = no such word. */
uint32_t ns_options_propagation(struct cloister_sv word);

/* A file system that can be mounted afresh. */
bool ns_options_knows_type(struct cloister_sv type);

#endif
