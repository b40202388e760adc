/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make.c - one entry of an archive becomes a file.
 *
 * What is there under the entry's own name is never followed and never written into: a directory stays where one is
 * wanted, anything else is unlinked, and the new file is made with O_EXCL. Modes, owners and times go to the descriptor
 * of what was made. Directories get theirs last, for one that may not be written could not be filled. A directory that
 * was there before keeps its own, and so does the one that everything goes into.
 *
 * Not applied: extended attributes, access control lists, file flags.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "common/tar/tar.h"

#define TRIES 16 /* against somebody inside who puts things back */
#define LATE_MAX (1u << 20)
#define ID_MAX 4294967294ll

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

struct tar_late {
    char *name;
    mode_t mode;
    struct timespec times[2];
};

/* An entry on its way. */
struct job {
    struct tar_making *making;
    struct archive_entry *entry;
    const char *raw;  /* its name as it came */
    const char *name; /* below the top */
    int parent;
    const char *leaf;
    mode_t type;
};

static bool keeps_owners(const struct job *job)
{
    return job->making->flags & CL_TAR_KEEP_OWNERS;
}

static int fail(const struct job *job, int error)
{
    uint32_t code = error == -ENOENT || error == -EINVAL ? CLOISTER_PROTOCOL : tar_code_of(error);

    return tar_fail(code, error, "entry", job->raw, "make '%s'", job->raw);
}

static int refuse(const struct job *job, const char *why)
{
    return tar_fail(CLOISTER_PROTOCOL, 0, "entry", job->raw, "entry '%s': %s", job->raw, why);
}

static int fail_parent(const char *raw, int error)
{
    if (error == -ELOOP || error == -ENOTDIR || error == -EXDEV)
        return tar_fail(CLOISTER_PROTOCOL, 0, "entry", raw, "entry '%s': its name leads through something that is %s",
                        raw, error == -ENOTDIR ? "not a directory" : "a symbolic link");
    return tar_fail(error == -ENOENT ? CLOISTER_PROTOCOL : tar_code_of(error), error, "entry", raw,
                    "find the directory of entry '%s'", raw);
}

static mode_t mode_of(const struct job *job)
{
    mode_t mask = keeps_owners(job) ? 07777 : S_ISDIR(job->type) ? 01777 : 0777;

    return archive_entry_perm(job->entry) & mask;
}

static void times_of(const struct job *job, struct timespec ret[2])
{
    ret[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
    ret[1] = (struct timespec){.tv_nsec = UTIME_OMIT};
    if (archive_entry_mtime_is_set(job->entry))
        ret[1] = (struct timespec){archive_entry_mtime(job->entry), archive_entry_mtime_nsec(job->entry)};
}

/* fd may be O_PATH. */
static int own(const struct job *job, int fd)
{
    int64_t uid = archive_entry_uid(job->entry), gid = archive_entry_gid(job->entry);

    if (!keeps_owners(job))
        return 0;
    if (uid < 0 || uid > ID_MAX || gid < 0 || gid > ID_MAX)
        return refuse(job, "its owner is no user or group id");
    if (fchownat(fd, "", (uid_t)uid, (gid_t)gid, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno == EINVAL)
        return refuse(job, "the container's user namespace does not have its owner");
    return fail(job, -errno);
}

/* --- what is in the way --- */

static int is_directory(int parent, const char *leaf)
{
    struct stat st;

    return fstatat(parent, leaf, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Calls make until nothing is in the way any more: 0 or more, or negative errno. */
static int replacing(const struct job *job, int (*make)(const struct job *job))
{
    int result = -EEXIST;

    for (int i = 0; i < TRIES && result == -EEXIST; i++) {
        result = make(job);
        if (result != -EEXIST)
            break;
        if (is_directory(job->parent, job->leaf))
            return S_ISDIR(job->type) ? -EEXIST : -EISDIR;
        if (unlinkat(job->parent, job->leaf, 0) < 0 && errno != ENOENT)
            return -errno;
    }
    return result;
}

/* --- files --- */

static int create_file(const struct job *job)
{
    int fd = openat(job->parent, job->leaf, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600);

    return fd < 0 ? -errno : fd;
}

static int write_at(int fd, const char *data, size_t size, int64_t offset)
{
    while (size > 0) {
        ssize_t n = pwrite(fd, data, size, offset);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            data += n;
            size -= (size_t)n;
            offset += n;
        }
    }
    return 0;
}

static int fail_content(const struct job *job)
{
    const char *why = archive_error_string(job->making->archive);

    return tar_fail(tar_code_of_archive(job->making->archive, CLOISTER_PROTOCOL), 0, "truncated", job->raw,
                    "entry '%s': %s", job->raw, why ? why : "its content is damaged");
}

/* No more room is taken than bytes arrive, whatever size the header claims; holes come as gaps. */
static int write_content(const struct job *job, int fd)
{
    int64_t end = 0, offset;
    const void *data;
    size_t size;

    for (;;) {
        int r = archive_read_data_block(job->making->archive, &data, &size, &offset);

        if (r == ARCHIVE_EOF)
            break;
        if (r != ARCHIVE_OK)
            return fail_content(job);
        r = write_at(fd, data, size, offset);
        if (r < 0)
            return fail(job, r);
        job->making->bytes += size;
        end = offset + (int64_t)size;
    }
    if (archive_entry_size(job->entry) > end && ftruncate(fd, archive_entry_size(job->entry)) < 0)
        return fail(job, -errno);
    return 0;
}

static int make_file(const struct job *job)
{
    struct timespec times[2];
    TAR_CLOSE int fd = replacing(job, create_file);

    if (fd < 0)
        return fail(job, fd);
    if (write_content(job, fd) < 0 || own(job, fd) < 0)
        return -1;
    times_of(job, times);
    return fchmod(fd, mode_of(job)) < 0 || futimens(fd, times) < 0 ? fail(job, -errno) : 0;
}

/* --- links and nodes --- */

static int create_symlink(const struct job *job)
{
    return symlinkat(archive_entry_symlink(job->entry), job->parent, job->leaf) < 0 ? -errno : 0;
}

static int create_node(const struct job *job)
{
    dev_t device =
        makedev((unsigned)archive_entry_rdevmajor(job->entry), (unsigned)archive_entry_rdevminor(job->entry));

    return mknodat(job->parent, job->leaf, job->type | mode_of(job), S_ISFIFO(job->type) ? 0 : device) < 0 ? -errno : 0;
}

/* The thing at the entry's name, unless somebody has put another in its place: then its owner stays. Ours is what was
 * made a moment ago; a directory of an entry before (not `fresh`) has that one's owner already. */
static int own_made(const struct job *job, bool fresh)
{
    struct stat st;
    TAR_CLOSE int fd = openat(job->parent, job->leaf, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) != job->type || (fresh && st.st_uid != geteuid()) ||
        (!S_ISDIR(job->type) && st.st_nlink != 1))
        return fail(job, -ESTALE);
    return own(job, fd);
}

static int make_symlink(const struct job *job)
{
    struct timespec times[2];

    if (archive_entry_symlink(job->entry) == NULL)
        return refuse(job, "it is a symbolic link to nothing");
    int r = replacing(job, create_symlink);

    if (r < 0)
        return fail(job, r);
    times_of(job, times);
    if (utimensat(job->parent, job->leaf, times, AT_SYMLINK_NOFOLLOW) < 0)
        return fail(job, -errno);
    return keeps_owners(job) ? own_made(job, true) : 0;
}

static int make_node(const struct job *job)
{
    bool device = !S_ISFIFO(job->type);

    if (device && !keeps_owners(job))
        return refuse(job, "it is a device node, which only comes with owners that are kept");
    int r = replacing(job, create_node);

    if (r == -EPERM && device && tar_in_user_namespace())
        return tar_fail(CLOISTER_DENIED, 0, "entry", job->raw,
                        "entry '%s': device nodes cannot be made in a user namespace", job->raw);
    if (r < 0)
        return fail(job, r);
    return keeps_owners(job) ? own_made(job, true) : 0;
}

/* --- hard links --- */

static int link_from(const struct job *job, int from, const char *leaf)
{
    for (int i = 0; i < TRIES; i++) {
        if (linkat(from, leaf, job->parent, job->leaf, 0) == 0)
            return 0;
        if (errno != EEXIST)
            return -errno;
        if (is_directory(job->parent, job->leaf))
            return -EISDIR;
        if (unlinkat(job->parent, job->leaf, 0) < 0 && errno != ENOENT)
            return -errno;
    }
    return -EEXIST;
}

static int make_link(const struct job *job)
{
    char target[TAR_PATH_MAX];
    const char *leaf;
    TAR_CLOSE int from = -1;

    if (archive_entry_size(job->entry) > 0)
        return refuse(job, "it is a hard link with content");
    if (tar_name(archive_entry_hardlink(job->entry), job->raw, "hard link of entry", target) < 0)
        return -1;
    if (strcmp(target, job->name) == 0)
        return refuse(job, "it is a hard link to itself");
    int r = tar_parent(job->making->top, target, false, &from, &leaf);

    if (r < 0)
        return fail_parent(job->raw, r);
    r = link_from(job, from, leaf);
    if (r == -EXDEV) /* of Landlock, where the source is not below the top any more, and of two file systems */
        return refuse(job, "its link does not lead to a file beneath");
    return r < 0 ? fail(job, r) : 0;
}

/* --- directories --- */

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct tar_late *)a)->name, ((const struct tar_late *)b)->name);
}

static struct tar_late *find_late(const struct job *job)
{
    const struct tar_late key = {.name = (char *)(uintptr_t)job->name};
    struct tar_late *const *at = tfind(&key, &job->making->late, compare);

    return at ? *at : NULL;
}

static struct tar_late *add_late(const struct job *job)
{
    struct tar_late *late = calloc(1, sizeof(*late));

    if (late != NULL)
        late->name = strdup(job->name);
    if (late == NULL || late->name == NULL || job->making->late_count >= LATE_MAX ||
        tsearch(late, &job->making->late, compare) == NULL) {
        if (late != NULL)
            free(late->name);
        free(late);
        return NULL;
    }
    job->making->late_count++;
    return late;
}

static int create_directory(const struct job *job)
{
    return mkdirat(job->parent, job->leaf, 0700) < 0 ? -errno : 0;
}

static int make_directory(const struct job *job)
{
    int r = replacing(job, create_directory);
    struct tar_late *late = find_late(job);

    if (r < 0 && r != -EEXIST)
        return fail(job, r);
    if (r == -EEXIST && late == NULL)
        return 0; /* it was there before */
    if (late == NULL && (late = add_late(job)) == NULL)
        return tar_fail(CLOISTER_LIMIT, 0, "entry", job->raw, "entry '%s': no room for another directory", job->raw);
    late->mode = mode_of(job);
    times_of(job, late->times);
    return keeps_owners(job) ? own_made(job, r >= 0) : 0;
}

/* fchmod does not take O_PATH, and before 6.6 nothing else does; a directory that can be read can be opened. */
static int change_mode(int fd, mode_t mode)
{
    if (syscall(SYS_fchmodat2, fd, "", mode, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno != ENOSYS)
        return -errno;
    TAR_CLOSE int readable = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return readable < 0 || fchmod(readable, mode) < 0 ? -errno : 0;
}

static int finish(const struct tar_making *making, const struct tar_late *late)
{
    TAR_CLOSE int fd = tar_open(making->top, late->name, O_PATH | O_DIRECTORY,
                                RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);

    if (fd < 0)
        return fail_parent(late->name, fd);
    int r = utimensat(fd, "", late->times, AT_EMPTY_PATH) < 0 ? -errno : change_mode(fd, late->mode);

    return r < 0 ? tar_fail(tar_code_of(r), r, "entry", late->name, "set the mode of '%s'", late->name) : 0;
}

static struct tar_late **gathered;
static size_t gathered_count;

static void gather(const void *node, VISIT visit, int depth)
{
    if (visit == postorder || visit == leaf)
        gathered[gathered_count++] = *(struct tar_late *const *)node;
}

/* Deep ones first: a directory that may not be entered hides what is in it. */
static int deeper(const void *a, const void *b)
{
    size_t one = strlen((*(struct tar_late *const *)a)->name), other = strlen((*(struct tar_late *const *)b)->name);

    return one == other ? 0 : one > other ? -1 : 1;
}

int tar_make_late(struct tar_making *making)
{
    int r = 0;

    gathered = calloc(making->late_count + 1, sizeof(*gathered));
    if (gathered == NULL)
        return tar_fail(CLOISTER_LIMIT, ENOMEM, "entry", "", "remember directories");
    gathered_count = 0;
    twalk(making->late, gather);
    qsort(gathered, gathered_count, sizeof(*gathered), deeper);
    for (size_t i = 0; i < gathered_count && r == 0; i++)
        r = finish(making, gathered[i]);
    free(gathered);
    return r;
}

static void free_late(void *ctx)
{
    struct tar_late *late = ctx;

    free(late->name);
    free(late);
}

void tar_make_free(struct tar_making *making)
{
    tdestroy(making->late, free_late);
    making->late = NULL;
}

/* --- */

static int make(struct job *job)
{
    if (archive_entry_hardlink(job->entry) != NULL)
        return make_link(job);
    switch (job->type) {
    case S_IFREG:
        return make_file(job);
    case S_IFDIR:
        return make_directory(job);
    case S_IFLNK:
        return make_symlink(job);
    case S_IFIFO:
    case S_IFCHR:
    case S_IFBLK:
        return make_node(job);
    default:
        return refuse(job, "it is of a type that is not known");
    }
}

int tar_make(struct tar_making *making, struct archive_entry *entry, const char *raw)
{
    char name[TAR_PATH_MAX];
    struct job job = {
        .making = making, .entry = entry, .raw = raw, .name = name, .type = archive_entry_filetype(entry)};
    TAR_CLOSE int parent = -1;

    if (tar_name(raw, raw, "entry", name) < 0)
        return -1;
    if (name[0] == '\0')
        return S_ISDIR(job.type) ? 0 : refuse(&job, "it is the directory itself, and is none");
    int r = tar_parent(making->top, name, true, &parent, &job.leaf);

    if (r < 0)
        return fail_parent(raw, r);
    job.parent = parent;
    if (make(&job) < 0)
        return -1;
    making->entries++;
    return 0;
}
