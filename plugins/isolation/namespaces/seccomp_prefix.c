/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp_prefix.c - instructions before libseccomp's own: a system call with a number above every one that the profile
 * names did not exist when the profile was written, so it answers ENOSYS and new C libraries fall back; EPERM would
 * break them (H1.3.2). For an architecture, with A = arch:      On x86_64 the numbers from 0x40000000 on are x32's: jeq
 * ARCH, +0, next                       jge X32, +0, native ld nr                                    jgt X32HIGH, +0, +1
 * or, without x32: ja body jgt HIGH, +0, +1                         ret ENOSYS ret ENOSYS ja body ja body native: ...
 */
#include "bpf.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>

#define X32_BIT 0x40000000u
#define PREFIX_MAX (NS_SECCOMP_ARCHES_MAX * 10u + 1u)

struct emitter {
    struct sock_filter code[PREFIX_MAX];
    uint32_t count;
    uint32_t to_body[PREFIX_MAX]; /* jumps whose distance is known at the end */
    uint32_t to_body_count;
};

static uint32_t emit(struct emitter *e, uint16_t code, uint8_t yes, uint8_t no, uint32_t k)
{
    e->code[e->count] = (struct sock_filter){code, yes, no, k};
    return e->count++;
}

static void jump_to_body(struct emitter *e)
{
    e->to_body[e->to_body_count++] = emit(e, BPF_JMP | BPF_JA, 0, 0, 0);
}

/* A = number. Falls out never. A profile that names no call of this architecture leaves it to its default action. */
static void compare(struct emitter *e, int highest)
{
    if (highest >= 0) {
        emit(e, BPF_JMP | BPF_JGT | BPF_K, 0, 1, (uint32_t)highest);
        emit(e, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS);
    }
    jump_to_body(e);
}

static const struct ns_seccomp_arch *find(const struct ns_seccomp_arch *arches, uint32_t count, uint32_t token)
{
    for (uint32_t i = 0; i < count; i++)
        if (arches[i].token == token)
            return &arches[i];
    return NULL;
}

static void emit_arch(struct emitter *e, const struct ns_seccomp_arch *arch, const struct ns_seccomp_arch *x32)
{
    uint32_t test = emit(e, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, arch->token), branch;

    emit(e, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offsetof(struct seccomp_data, nr));
    if (arch->token == SCMP_ARCH_X86_64) {
        branch = emit(e, BPF_JMP | BPF_JGE | BPF_K, 0, 0, X32_BIT);
        compare(e, x32 ? x32->highest : -1);
        e->code[branch].jf = (uint8_t)(e->count - branch - 1);
    }
    compare(e, arch->highest);
    e->code[test].jf = (uint8_t)(e->count - test - 1);
}

int ns_seccomp_prefix(const struct ns_seccomp_arch *arches, uint32_t arch_count, const struct sock_filter *body,
                      uint32_t body_count, struct ns_seccomp_program *ret)
{
    struct emitter e = {.count = 0};

    if (arch_count > NS_SECCOMP_ARCHES_MAX || body_count > BPF_MAXINSNS - PREFIX_MAX)
        return -E2BIG;
    if (arch_count > 0)
        emit(&e, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offsetof(struct seccomp_data, arch));
    for (uint32_t i = 0; i < arch_count; i++)
        if (arches[i].token != SCMP_ARCH_X32) /* shares x86_64's arch word */
            emit_arch(&e, &arches[i], find(arches, arch_count, SCMP_ARCH_X32));
    for (uint32_t i = 0; i < e.to_body_count; i++)
        e.code[e.to_body[i]].k = e.count - e.to_body[i] - 1;
    ret->code = malloc((e.count + body_count) * sizeof(*ret->code));
    if (ret->code == NULL)
        return -ENOMEM;
    memcpy(ret->code, e.code, e.count * sizeof(*e.code));
    memcpy(ret->code + e.count, body, body_count * sizeof(*body));
    ret->count = e.count + body_count;
    return 0;
}
