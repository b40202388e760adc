/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intent.h - the plan blob: the names of everything that will exist outside the sandbox, as compact JSON, written down
 * by the engine before anything is made. Destroy works from it alone. [any]
 */
#ifndef NS_INTENT_H
#define NS_INTENT_H

#include "compile.h"

struct ns_intent {
    struct ns_range range; /* count 0: the spec names its own mappings, or has no user namespace */
    char root[256];        /* cgroup root */
    char group[64];        /* group name below it */
};

/* Malloc'd text; NULL: no memory. */
char *ns_intent_print(const struct ns_intent *intent);
/* 0 or -1: not a blob of ours. */
int ns_intent_parse(const struct ns_reader *r, struct cloister_sv blob, struct ns_intent *ret);

/* Of a sandbox that exists, or did: from its plan, whose names must be those that its id and cookie get (a record is
 * input, H1.2.5), or without a plan what those names would be, below `root`. 0 or -1. */
int ns_intent_of(const struct ns_reader *r, const struct cloister_iso_sandbox *which, const char *root,
                 struct ns_intent *ret);

/* "/cloister", "/a/b": absolute, no empty, "." or ".." component, no odd byte (H2.2.13). */
bool ns_cgroup_root_ok(struct cloister_sv root);

#endif
