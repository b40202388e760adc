/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.h - compiled seccomp programs, shared by all sandboxes whose profile has the same text. Compiling takes 8 ms,
 * and nearly everybody uses the same two or three profiles. Looked up by a digest, decided by the whole text. Every
 * call is [any].
 */
#ifndef NS_FILTER_H
#define NS_FILTER_H

#include "bpf.h"

struct ns_filter; /* counted */
struct ns_filters;

struct ns_filters *ns_filters_new(void); /* NULL: no memory */
void ns_filters_free(struct ns_filters *filters);

/* [worker] The program of this JSON text (compact, checked); one reference for the caller. 0 or -1. */
int ns_filters_get(struct ns_filters *filters, const struct ns_reader *r, const char *text, struct ns_filter **ret);

/* How often a program was compiled. */
uint64_t ns_filters_compiled(struct ns_filters *filters);

struct ns_filter *ns_filter_ref(struct ns_filter *filter);
void ns_filter_unref(struct ns_filter *filter); /* NULL tolerated */
const struct ns_seccomp_program *ns_filter_program(const struct ns_filter *filter);

#endif
