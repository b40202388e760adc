/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hooks.h - the spec's hooks. Those of the container's namespaces go into the keeper's plan; those of the host's are
 * kept here and run as helper programs, which the config must list (H1.2.6): prestart and createRuntime at the keeper's
 * POINT, poststart when the program runs, poststop when nothing of the sandbox is left.
 */
#ifndef NS_HOOKS_H
#define NS_HOOKS_H

#include "oci.h"

/* In the order of a container's life; bits. */
enum ns_hook_when {
    NS_HOOK_PRESTART = 1,
    NS_HOOK_CREATE_RUNTIME = 2,
    NS_HOOK_CREATE_CONTAINER = 4, /* the keeper runs it; here so that its program can be asked for */
    NS_HOOK_POSTSTART = 8,
    NS_HOOK_POSTSTOP = 16
};
#define NS_HOOKS_AT_POINT ((uint32_t)(NS_HOOK_PRESTART | NS_HOOK_CREATE_RUNTIME))

struct ns_hook {
    uint32_t when;  /* enum ns_hook_when */
    char where[48]; /* JSON path: "hooks.prestart[0]" */
    char *path;
    char **text; /* arguments, then variables; each malloc'd */
    uint32_t arg_count;
    uint32_t env_count;
    uint32_t timeout_ms; /* 0 = none; a poststop hook always has one, 30 s where the spec says nothing */
};

struct ns_hooks {
    struct ns_hook *item;
    uint32_t count;
    char *state; /* JSON object of what does not change, without its last brace */
};

void ns_hooks_free(struct ns_hooks *hooks); /* NULL tolerated */

/* Some of `when`'s are there. NULL: none. */
bool ns_hooks_have(const struct ns_hooks *hooks, uint32_t when);

/* The state that a hook reads, malloc'd; pid 0: none is told. NULL: no memory. */
char *ns_hooks_state(const struct ns_hooks *hooks, const char *status, int32_t pid);

#endif
