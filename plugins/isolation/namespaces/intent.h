/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intent.h - the plan blob: the names of everything that will exist outside the sandbox, as compact JSON, written down
 * by the engine before anything is made. Destroy works from it alone. [any]
 */
#ifndef NS_INTENT_H
#define NS_INTENT_H

#include "compile.h"
#include "layout.h"

struct ns_intent {
    struct ns_range range;         /* count 0: the spec names its own mappings, or has no user namespace */
    char root[256];                /* cgroup root */
    char group[NS_GROUP_PATH_MAX]; /* the sandbox's below it, behind its parents */
    bool split;                    /* containers are groups below that one (layout.h) */
};

/* Malloc'd text; NULL: no memory. `resources`: of the sandbox as a whole, a JSON object; NULL = none. */
char *ns_intent_print(const struct ns_intent *intent, const char *resources);
/* 0 or -1: not a blob of ours. */
int ns_intent_parse(const struct ns_reader *r, struct cloister_sv blob, struct ns_intent *ret);
/* The sandbox's resources as they were printed, malloc'd; NULL: it has none. 0 or -1. */
int ns_intent_resources(const struct ns_reader *r, struct cloister_sv blob, char **ret);

/* Of a sandbox that exists, or did: from its plan, whose names must be those that its id and cookie get (a record is
 * input, H1.2.5), or without a plan what those names would be, below `root`. 0 or -1. */
int ns_intent_of(const struct ns_reader *r, const struct cloister_iso_sandbox *which, const char *root,
                 struct ns_intent *ret);

#endif
