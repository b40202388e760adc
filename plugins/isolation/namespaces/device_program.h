/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_program.h - who may use which devices, in the order of the spec: the last rule that says something about an
 * access decides, and what none speaks of is denied. As a program for a v2 group.
 */
#ifndef NS_DEVICE_PROGRAM_H
#define NS_DEVICE_PROGRAM_H

#include "cgroup.h"

struct ns_device_rule {
    bool allow;
    char kind;     /* 'b', 'c'; 'a' = both */
    int64_t major; /* -1 = any */
    int64_t minor;
    char access[4]; /* some of "rwm" */
};

/* [any, pure] Into c->device_code. 0 or -1. */
int ns_device_program(struct ns_compile *c, const struct ns_device_rule *rules, uint32_t count);

/* [worker] For the group in the v2 hierarchy; every program above it must let an access pass too. 0 or -1. */
int ns_device_program_attach(const struct ns_cgroups *cgroups, const char *name, const struct ns_compile *c);

/* [worker] Does this kernel take such programs? Tried on that group, which is to have none. 0; -ENOENT: no v2 here;
 * else negative errno. */
int ns_device_program_try(const struct ns_cgroups *cgroups, const char *name);

#endif
