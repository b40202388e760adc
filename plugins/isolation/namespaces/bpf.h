/* SPDX-License-Identifier: Apache-2.0 */
/* bpf.h - linux.seccomp to a BPF program. Compiling takes milliseconds: done in a worker, and cached by filter.c. */
#ifndef NS_BPF_H
#define NS_BPF_H

#include <linux/filter.h>
#include <seccomp.h>

#include "oci.h"

#define NS_SECCOMP_ARCHES_MAX 8u

/* Highest system call number that the profile names on an architecture: what is newer answers ENOSYS (H1.3.2). */
struct ns_seccomp_arch {
    uint32_t token; /* SCMP_ARCH_* */
    int highest;    /* -1: the profile names none */
};

struct ns_seccomp_program {
    struct sock_filter *code; /* malloc'd */
    uint32_t count;
    uint32_t flags; /* SECCOMP_FILTER_FLAG_* */
};

/* Everything that can be found wrong without compiling. 0 or -1. */
int ns_seccomp_check(const struct ns_reader *r, const cloister_value *seccomp);

/* [worker] Compiles a checked document. 0 or -1. */
int ns_seccomp_build(const struct ns_reader *r, const cloister_value *seccomp, struct ns_seccomp_program *ret);

/* [any, pure] Puts the ENOSYS prefix before `body`. 0, -ENOMEM or -E2BIG. */
int ns_seccomp_prefix(const struct ns_seccomp_arch *arches, uint32_t arch_count, const struct sock_filter *body,
                      uint32_t body_count, struct ns_seccomp_program *ret);

/* Shared by check and build (seccomp_words.c). -1 or false: no such word. */
bool ns_seccomp_action(struct cloister_sv word, uint32_t errno_value, uint32_t *ret);
bool ns_seccomp_operator(struct cloister_sv word, enum scmp_compare *ret);
bool ns_seccomp_arch(struct cloister_sv word, uint32_t *ret);
bool ns_seccomp_flag(struct cloister_sv word, uint32_t *ret);
int ns_seccomp_number(struct cloister_sv name); /* __NR_SCMP_ERROR if neither libseccomp nor we know it */

/* The action lets the call happen: ALLOW, LOG, or a TRACE whose tracer decides. */
bool ns_seccomp_permits(uint32_t action);

#endif
