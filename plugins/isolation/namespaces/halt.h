/* SPDX-License-Identifier: Apache-2.0 */
/*
 * halt.h - for fault tests: the daemon (or, for a step of the keeper's own table, the process on its way) stops dead
 * before or after a named step, so that a test can kill whom it likes at exactly that point. The tables below are the
 * one list of the plugin's steps: the hooks name them, the option's help prints them, a test counts them there.
 */
#ifndef NS_HALT_H
#define NS_HALT_H

#include "compile.h"

struct ns_instance;

#define NS_HALT_CREATE(X) \
    X(create, compile)    \
    X(create, cgroups)    \
    X(create, limits)     \
    X(create, open)       \
    X(create, socket)     \
    X(create, seal)       \
    X(create, zygote)     \
    X(create, hello)      \
    X(create, send)
#define NS_HALT_START(X) X(start, send)
#define NS_HALT_EXEC(X) X(exec, compile) X(exec, open) X(exec, seal) X(exec, send)
#define NS_HALT_STOP(X) X(stop, send)
#define NS_HALT_RELEASE(X) X(release, send)
#define NS_HALT_DESTROY(X) X(destroy, ask) X(destroy, keeper) X(destroy, cgroups) X(destroy, socket)
#define NS_HALT_ADOPT(X) X(adopt, connect) X(adopt, compile) X(adopt, hello) X(adopt, list) X(adopt, inventory)
#define NS_HALT_SWEEP(X) X(sweep, keepers) X(sweep, rest)
#define NS_HALT_ATTACH(X) X(attach, tape) X(attach, slot)

#define NS_HALT_ALL(X) \
    NS_HALT_CREATE(X)  \
    NS_HALT_START(X)   \
    NS_HALT_EXEC(X)    \
    NS_HALT_STOP(X)    \
    NS_HALT_RELEASE(X) \
    NS_HALT_DESTROY(X) \
    NS_HALT_ADOPT(X)   \
    NS_HALT_SWEEP(X)   \
    NS_HALT_ATTACH(X)

/* "create: compile cgroups ...; start: send; ..." */
#define NS_HALT_WORD(operation, step) " " #step
#define NS_HALT_TEXT(operation, list) #operation ":" list(NS_HALT_WORD) "; "
#define NS_HALT_HELP                       \
    NS_HALT_TEXT(create, NS_HALT_CREATE)   \
    NS_HALT_TEXT(start, NS_HALT_START)     \
    NS_HALT_TEXT(exec, NS_HALT_EXEC)       \
    NS_HALT_TEXT(stop, NS_HALT_STOP)       \
    NS_HALT_TEXT(release, NS_HALT_RELEASE) \
    NS_HALT_TEXT(destroy, NS_HALT_DESTROY) \
    NS_HALT_TEXT(adopt, NS_HALT_ADOPT)     \
    NS_HALT_TEXT(sweep, NS_HALT_SWEEP)     \
    NS_HALT_TEXT(attach, NS_HALT_ATTACH)

#define NS_HALT_NAME(operation, step) NS_STEP_##operation##_##step,
enum ns_step { NS_STEP_none, NS_HALT_ALL(NS_HALT_NAME) NS_STEP_COUNT };

struct ns_halt {
    uint32_t step;        /* enum ns_step; none: off, or one of the keeper's */
    bool after;           /* else before */
    char operation[16];   /* of the keeper's step: "create" or "exec" */
    char keeper_step[24]; /* "" = none */
};

/* "OPERATION:STEP:before|after", or "" for never. A step that is not in the tables is the keeper's, for create and
 * exec. 0 or -1. */
int ns_halt_parse(const struct ns_reader *r, struct cloister_sv text, struct ns_halt *ret);

/* [any] The hooks: return only when somebody has let the daemon go on. */
void ns_halt_before(const struct ns_instance *instance, enum ns_step step);
void ns_halt_after(const struct ns_instance *instance, enum ns_step step);

/* Puts a halt at a keeper's step into the plan of an operation ("create", "exec"). */
void ns_halt_plan(const struct ns_instance *instance, const char *operation, struct cl_plan *plan);

#endif
