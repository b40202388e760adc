/* SPDX-License-Identifier: Apache-2.0 */
/*
 * landlock.c - the tree and nothing else, held by the kernel: what the code gets wrong, or a directory that is moved
 * away under it, ends in EACCES. Our own numbers: the build machine's headers may be older than the kernel.
 */
#include <linux/types.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/tar/tar.h"

#define RULE_PATH_BENEATH 1
#define CREATE_VERSION 1u

#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_REMOVE_FILE (1ull << 5)
#define FS_MAKE_CHAR (1ull << 6)
#define FS_MAKE_DIR (1ull << 7)
#define FS_MAKE_REG (1ull << 8)
#define FS_MAKE_FIFO (1ull << 10)
#define FS_MAKE_BLOCK (1ull << 11)
#define FS_MAKE_SYM (1ull << 12)
#define FS_REFER (1ull << 13)
#define FS_TRUNCATE (1ull << 14)

#define NET_ALL 3ull   /* bind and connect of TCP */
#define SCOPE_ALL 3ull /* abstract sockets, signals */

struct ruleset {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
};

struct beneath {
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed));

/* Rights that exist since each version: the first 13, REFER, TRUNCATE, (net), IOCTL_DEV, (scopes). Without REFER hard
 * links between directories are always refused: then better no fence. */
static bool known(long abi, struct ruleset *ret, size_t *ret_size)
{
    uint64_t bits = abi >= 5 ? 16 : abi >= 3 ? 15 : 14;

    if (abi < 2)
        return false;
    *ret =
        (struct ruleset){.fs = (1ull << bits) - 1, .net = abi >= 4 ? NET_ALL : 0, .scoped = abi >= 6 ? SCOPE_ALL : 0};
    *ret_size = abi >= 6 ? sizeof(*ret) : abi >= 4 ? offsetof(struct ruleset, scoped) : offsetof(struct ruleset, net);
    return true;
}

static uint64_t allowed(enum tar_fence kind, bool is_directory)
{
    if (kind == TAR_FENCE_READ)
        return FS_READ_FILE | (is_directory ? FS_READ_DIR : 0);
    return FS_WRITE_FILE | FS_READ_DIR | FS_REMOVE_FILE | FS_MAKE_CHAR | FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_FIFO |
           FS_MAKE_BLOCK | FS_MAKE_SYM | FS_REFER | FS_TRUNCATE;
}

bool tar_fence(int fd, enum tar_fence kind)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, CREATE_VERSION);
    struct ruleset ruleset;
    struct stat st;
    size_t size;

    if (!known(abi, &ruleset, &size))
        return false;
    TAR_CLOSE int fence = (int)syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);

    if (fence < 0)
        return false;
    if (kind != TAR_FENCE_ALL && fstat(fd, &st) == 0 && (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))) {
        struct beneath rule = {allowed(kind, S_ISDIR(st.st_mode)) & ruleset.fs, fd};

        if (syscall(SYS_landlock_add_rule, fence, RULE_PATH_BENEATH, &rule, 0) < 0)
            return false;
    }
    return syscall(SYS_landlock_restrict_self, fence, 0) == 0;
}
