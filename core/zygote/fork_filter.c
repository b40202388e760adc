/* SPDX-License-Identifier: Apache-2.0 */
#include "core/zygote/fork_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/error/error.h"

/* Flags of clone that pass beside CLONE_THREAD's; a sanitizer build names LeakSanitizer's here, any other adds nothing.
 */
#ifndef CL_FORK_FILTER_ADMIT
#define CL_FORK_FILTER_ADMIT CLONE_THREAD
#endif

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#define FOREIGN_BIT 0x40000000u /* x32: the same machine under other numbers */
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#define FOREIGN_BIT 0x80000000u /* no number is that high */
#else
#error "the fork filter knows x86_64 and aarch64"
#endif

#define OFFSET_NR offsetof(struct seccomp_data, nr)
#define OFFSET_ARCH offsetof(struct seccomp_data, arch)
/* Low half: the kernel looks at no other bits of clone's flags, which come first on both machines. */
#define OFFSET_FLAGS offsetof(struct seccomp_data, args[0])

#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))
#define SKIP_IF(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (count), 0)
#define SKIP_UNLESS(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (count))
#define SKIP_UNLESS_BITS(bits, count) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bits), 0, (count))
#define SKIP_IF_BITS(bits, count) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bits), (count), 0)
#define FAIL_WITH(error) RETURN(SECCOMP_RET_ERRNO | (error))
#define REFUSE(number, error) SKIP_UNLESS((number), 1), FAIL_WITH(error)

/*
 * clone3 keeps its flags in memory, where a filter cannot look; ENOSYS makes libc fall back to clone for its threads
 * (EPERM would make libuv abort). x32 numbers are answered like those of a kernel without x32.
 */
static const struct sock_filter program[] = {
    LOAD(OFFSET_ARCH),
    SKIP_IF(NATIVE_ARCH, 1),
    RETURN(SECCOMP_RET_KILL_PROCESS),

    LOAD(OFFSET_NR),
    SKIP_UNLESS_BITS(FOREIGN_BIT, 1),
    FAIL_WITH(ENOSYS),
    REFUSE(__NR_clone3, ENOSYS),
    REFUSE(__NR_execve, EPERM),
    REFUSE(__NR_execveat, EPERM),
#ifdef __NR_fork
    REFUSE(__NR_fork, EPERM),
#endif
#ifdef __NR_vfork
    REFUSE(__NR_vfork, EPERM),
#endif

    SKIP_UNLESS(__NR_clone, 4),
    LOAD(OFFSET_FLAGS),
    SKIP_IF_BITS(CLONE_THREAD, 2),
    SKIP_IF(CL_FORK_FILTER_ADMIT, 1),
    FAIL_WITH(EPERM),

    RETURN(SECCOMP_RET_ALLOW),
};

static long install(void)
{
    const struct sock_fprog filter = {
        .len = sizeof(program) / sizeof(program[0]),
        .filter = (struct sock_filter *)program,
    };
    return syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
}

int cl_fork_filter_install(struct cloister_error *err)
{
    long result = install();
    /* Without CAP_SYS_ADMIN the kernel demands that no set-id program can ever run under the filter. */
    if (result < 0 && errno == EACCES && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        result = install();
    if (result < 0)
        return cl_error_set(err, CLOISTER_IO, errno, NULL, "fork-filter", "install the fork filter");
    if (result > 0)
        return cl_error_set(err, CLOISTER_INTERNAL, 0, NULL, "fork-filter",
                            "install the fork filter: thread %ld has another filter of its own", result);
    return 0;
}
