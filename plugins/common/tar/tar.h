/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar.h - what the files of cloister-tar share.
 *
 * The program is a trespasser in somebody else's house: everything that it sees after it has entered is made by whoever
 * lives there, and may change between two looks. So it comes with all that it will ever need loaded, gives up what it
 * does not need, works on descriptors, resolves names only below a descriptor that it holds, and tells one sentence
 * when something is not as it should be.
 */
#ifndef CL_TAR_TAR_H
#define CL_TAR_TAR_H

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include "common/tar/message.h"

static inline void tar_closep(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define TAR_CLOSE __attribute__((cleanup(tar_closep)))

static inline int tar_steal_fd(int *fd)
{
    int stolen = *fd;

    *fd = -1;
    return stolen;
}

struct tar_call {
    const char *mode;
    uint32_t flags;
    const char *user;
    const char *path; /* absolute, inside */
    uint64_t max;
    const char *host_root; /* empty: the container of descriptor 3 */
};

struct tar_id {
    uid_t uid;
    gid_t gid;
};

/* --- say.c --- */

/* Remembers the failure that will be told, the first one counts. Returns -1. `subject` may hold any bytes; the errno's
 * words come behind the sentence. */
int tar_fail(uint32_t code, int os_errno, const char *step, const char *subject, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* The code of an errno that comes from the file system inside. */
uint32_t tar_code_of(int os_errno);
/* Of what libarchive says: LIMIT if it has run out of memory. */
uint32_t tar_code_of_archive(struct archive *archive, uint32_t otherwise);
bool tar_has_failed(void);
/* [once] Nothing but bytes can go wrong from now on. */
int tar_say_ready(bool landlock);
/* The last word: DONE with the counts, or FAILED. The program's exit code. */
int tar_say_end(uint64_t entries, uint64_t bytes, uint64_t skipped);

/* --- enter.c --- */

#define TAR_MEMORY_MAX (512u << 20) /* addresses */
#define TAR_DESCRIPTORS_MAX 4200u   /* two for each level of an outward walk (out.c), and some */

/* Before anything of the container has been seen: no new privileges, not dumpable, gone with its parent, limited. */
int tar_prepare(void);
/* There is memory for one entry more, of any size that may come. libarchive would forget a link without a word, or end
 * the process, where there is none; so it is asked for first. */
int tar_spare(const char *subject);
/* Joins the user and mount namespaces of the pidfd and becomes root there; *ret_root is the root directory, of a copy
 * of the mounts where to open a device is EACCES. */
int tar_enter(int pidfd, int *ret_root);
/* Is this a user namespace of the container's own? */
bool tar_in_user_namespace(void);
/* For good, with no more than `caps` (bits) if it is root, and none if it is not. */
int tar_become(const struct tar_id *id, uint64_t caps);

/* --- landlock.c --- */

enum tar_fence { TAR_FENCE_ALL = 0, TAR_FENCE_READ = 1, TAR_FENCE_WRITE = 2 };
/* From now on no file can be opened, made or removed but below `fd` (ALL: none at all), and nothing be reached by
 * network or abstract socket. False: the kernel has no Landlock, or one that is too old. */
bool tar_fence(int fd, enum tar_fence kind);

/* --- user.c --- */

/* "", "name", "name:group", "uid", "uid:gid", by /etc/passwd and /etc/group below root. What is there and cannot be
 * read, or is no regular file, is a failure. */
int tar_user(int root, const char *text, struct tar_id *ret);

/* --- path.c --- */

/* openat2, repeated while a rename elsewhere makes its answer unsure. A descriptor or negative errno. */
int tar_open(int dir, const char *path, uint64_t flags, uint64_t resolve);
/* What an absolute path of the caller's leads to below root (links are followed there, as a process inside would),
 * O_PATH; `follow` the last component too. Negative errno. */
int tar_open_inside(int root, const char *path, bool follow);
/* The same for a directory that is made with what is missing above it, 0755, owned by id. */
int tar_make_inside(int root, const char *path, const struct tar_id *id);

#define TAR_PATH_MAX 4096u
/* An entry's name as "a/b/c" into `ret` (TAR_PATH_MAX bytes), "" for the directory itself. 0, or -1 and tar_fail has
 * been called: the name would leave the directory. `what` is "entry" or "hard link of entry". */
int tar_name(const char *raw, const char *entry, const char *what, char *ret);
/* The directory that holds the last component of a tar_name, below top, without following any link; what is missing is
 * made. *ret_leaf points into name. Negative errno. */
int tar_parent(int top, const char *name, bool make, int *ret_fd, const char **ret_leaf);

/* --- in.c, out.c, cat.c: the three modes; exit codes --- */

struct archive *tar_in_prepare(void);
int tar_in(struct archive *archive, int top, const struct tar_call *call, const struct tar_id *id);
struct archive *tar_out_prepare(void);
int tar_out(struct archive *archive, int root, const struct tar_call *call, const struct tar_id *id);
int tar_cat(int root, const struct tar_call *call);

/* --- make.c: one entry of an archive becomes a file --- */

struct tar_making {
    struct archive *archive;
    int top;
    uint32_t flags;
    uint64_t entries;
    uint64_t bytes;
    void *late; /* directories whose mode and time come last: a tree (search.h) */
    size_t late_count;
};

int tar_make(struct tar_making *making, struct archive_entry *entry, const char *raw);
int tar_make_late(struct tar_making *making);
void tar_make_free(struct tar_making *making);

#endif
