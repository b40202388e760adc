/* SPDX-License-Identifier: Apache-2.0 */
/*
 * label.h - a sandbox's properties that clients set. Plain ones are in its record `labels`, secret ones only in its run
 * file; both are in sandbox->labels, the secret ones of a sandbox that was taken over once somebody has looked.
 */
#ifndef CL_CORE_ENGINE_LABEL_H
#define CL_CORE_ENGINE_LABEL_H

#include "core/engine/sandbox.h"

#define CL_LABEL_KEY_MAX 255u
#define CL_LABEL_VALUE_MAX (64u * 1024u)
#define CL_LABELS_MAX (512u * 1024u) /* all of a sandbox */
#define CL_LABEL_COUNT_MAX 1024u

/* What a label counts for in CL_LABELS_MAX. */
static inline uint64_t cl_label_weight(struct cloister_sv key, struct cloister_sv value)
{
    return key.size + value.size + 8;
}

/* 0, or negative with err INVALID, TOO_BIG. */
int cl_label_check(struct cloister_sv key, struct cloister_sv value, uint32_t flags, struct cloister_error *err);
struct cl_label *cl_label_find(const struct cl_sandbox *sandbox, struct cloister_sv key);
/* Adds or replaces. 0 or -ENOMEM (then nothing has changed). */
int cl_label_set(struct cl_sandbox *sandbox, struct cloister_sv key, struct cloister_sv value, uint32_t flags);
/* Looks into the run file if nobody has yet. A file that cannot be read is named in the log. */
void cl_labels_know(struct cl_sandbox *sandbox);
bool cl_labels_have_secret(const struct cl_sandbox *sandbox);
/* The secret ones as an object; NULL: no memory. */
cloister_value *cl_labels_secret(const struct cl_sandbox *sandbox);
/* The sandbox has gone off. */
void cl_labels_drop_secret(struct cl_sandbox *sandbox);
void cl_labels_free(struct cl_sandbox *sandbox);

#endif
