/* SPDX-License-Identifier: Apache-2.0 */
/*
 * out.c - a file, or a directory with what is in it, as a pax archive on descriptor 1.
 *
 * Links are entries and are never followed; file systems that are the kernel's own words (proc, sysfs, ...) are entered
 * by nobody: their mount points are empty directories in the archive. A file that has become shorter than its header
 * said ends everything: the archive is then cut, never padded to look whole. Sockets are counted, nothing holds them.
 * What vanishes while its directory is read was not there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "common/tar/tar.h"

#define BUFFER (64u << 10)
#define NAME_ROOM (64u << 10)
#define DEPTH_MAX 2000 /* each level holds two descriptors: the look at it, and its reading */
#define TRIES 16       /* against somebody inside who swaps files */
#define BELOW (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

#ifndef MQUEUE_MAGIC
#define MQUEUE_MAGIC 0x19800202
#endif

struct walk {
    struct archive *archive;
    struct archive_entry *entry;
    struct archive_entry_linkresolver *links;
    uint64_t entries;
    uint64_t bytes;
    uint64_t skipped;
    unsigned depth;
    size_t size;          /* of name */
    char name[NAME_ROOM]; /* of the entry at hand */
    char buffer[BUFFER];
    char link[TAR_PATH_MAX];
};

static struct walk walk;

static la_ssize_t on_write(struct archive *archive, void *ctx, const void *data, size_t size)
{
    ssize_t n;

    do
        n = write(CL_TAR_FD_OUT, data, size);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        tar_fail(CLOISTER_CANCELLED, errno, "write", "", "hand over the archive");
        archive_set_error(archive, errno, "the archive cannot be written");
    }
    return n;
}

struct archive *tar_out_prepare(void)
{
    struct archive *archive = archive_write_new();

    walk.links = archive_entry_linkresolver_new();
    walk.entry = archive_entry_new();
    if (archive != NULL && walk.links != NULL && walk.entry != NULL &&
        archive_write_set_format_pax_restricted(archive) == ARCHIVE_OK) {
        archive_entry_linkresolver_set_strategy(walk.links, ARCHIVE_FORMAT_TAR_PAX_RESTRICTED);
        return archive;
    }
    tar_fail(CLOISTER_INTERNAL, 0, "archive", "", "prepare to write archives");
    archive_write_free(archive);
    return NULL;
}

static int fail(int error)
{
    return tar_fail(tar_code_of(error), error, "entry", walk.name, "read '%s'", walk.name);
}

static int fail_archive(void)
{
    const char *why = archive_error_string(walk.archive);

    return tar_fail(tar_code_of_archive(walk.archive, CLOISTER_IO), 0, "archive", walk.name, "write entry '%s': %s",
                    walk.name, why ? why : "unknown");
}

/* Names that are no UTF-8 are written as the bytes they are, with a warning that is none here. */
static int put_header(void)
{
    struct archive_entry *spare = NULL;

    if (tar_spare(walk.name) < 0)
        return -1;
    archive_entry_linkify(walk.links, &walk.entry, &spare);
    archive_entry_free(spare);
    if (archive_write_header(walk.archive, walk.entry) < ARCHIVE_WARN)
        return fail_archive();
    walk.entries++;
    return 0;
}

static void begin(const struct stat *st)
{
    archive_entry_clear(walk.entry);
    archive_entry_copy_stat(walk.entry, st);
    archive_entry_copy_pathname(walk.entry, walk.name);
}

/* --- files --- */

static int put_content(int fd, int64_t size)
{
    while (size > 0) {
        ssize_t n = read(fd, walk.buffer, size < (int64_t)BUFFER ? (size_t)size : BUFFER);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(errno);
        if (n == 0)
            return tar_fail(CLOISTER_IO, 0, "shrunk", walk.name, "'%s' has become shorter while it was read",
                            walk.name);
        if (archive_write_data(walk.archive, walk.buffer, (size_t)n) != n)
            return fail_archive();
        size -= n;
        walk.bytes += (uint64_t)n;
    }
    return 0;
}

/* 0, -1 failed, 1 it is another file by now. If that is a device, the open ends in EACCES (tar_enter). */
static int put_file(int parent, const char *leaf, const struct stat *seen)
{
    struct stat st;
    TAR_CLOSE int fd = openat(parent, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENXIO))
        return 1;
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(errno);
    if (st.st_dev != seen->st_dev || st.st_ino != seen->st_ino || !S_ISREG(st.st_mode))
        return 1;
    begin(&st);
    if (put_header() < 0)
        return -1;
    return archive_entry_hardlink(walk.entry) != NULL ? 0 : put_content(fd, st.st_size);
}

/* --- the rest --- */

static int put_symlink(int look, const struct stat *st)
{
    ssize_t n = readlinkat(look, "", walk.link, sizeof(walk.link) - 1);

    if (n < 0)
        return fail(errno);
    walk.link[n] = '\0';
    begin(st);
    archive_entry_copy_symlink(walk.entry, walk.link);
    return put_header();
}

static int put_node(const struct stat *st)
{
    begin(st);
    return put_header();
}

static bool is_kernels(int fd)
{
    static const unsigned long magics[] = {PROC_SUPER_MAGIC,   SYSFS_MAGIC,   CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
                                           DEVPTS_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC,      SECURITYFS_MAGIC,
                                           BPF_FS_MAGIC,       MQUEUE_MAGIC};
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0)
        return true;
    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
        if ((unsigned long)fs.f_type == magics[i])
            return true;
    return false;
}

static int put(int parent, const char *leaf);

/* Appends "leaf" (or "leaf/") to the name; where it ends then, or 0: it does not fit. */
static size_t push(const char *text)
{
    size_t length = strlen(text);

    if (walk.size + length + 2 > sizeof(walk.name)) {
        tar_fail(CLOISTER_TOO_BIG, ENAMETOOLONG, "entry", walk.name, "read '%s'", walk.name);
        return 0;
    }
    memcpy(walk.name + walk.size, text, length + 1);
    return walk.size + length;
}

static int put_children(int look)
{
    int fd = openat(look, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *one;
    int r = 0;

    if (dir == NULL) {
        r = fail(errno);
        if (fd >= 0)
            close(fd);
        return r;
    }
    while (r == 0 && (errno = 0, one = readdir(dir)) != NULL)
        if (strcmp(one->d_name, ".") != 0 && strcmp(one->d_name, "..") != 0)
            r = put(dirfd(dir), one->d_name);
    if (r == 0 && errno != 0)
        r = fail(errno);
    closedir(dir);
    return r;
}

static int put_directory(int look, const struct stat *st)
{
    size_t end = push("/"), before = walk.size;

    if (end == 0)
        return -1;
    walk.size = end;
    if (walk.depth == DEPTH_MAX)
        return tar_fail(CLOISTER_TOO_BIG, 0, "entry", walk.name, "more than %d directories deep: '%s'", DEPTH_MAX,
                        walk.name);
    walk.depth++;
    begin(st);
    int r = put_header();

    if (r == 0 && !is_kernels(look))
        r = put_children(look);
    walk.depth--;
    walk.size = before;
    walk.name[before] = '\0';
    return r;
}

/* 1: somebody has changed it meanwhile. */
static int put_look(int parent, const char *leaf, int look)
{
    struct stat st;

    if (fstat(look, &st) < 0)
        return fail(errno);
    switch (st.st_mode & S_IFMT) {
    case S_IFREG:
        return put_file(parent, leaf, &st);
    case S_IFDIR:
        return put_directory(look, &st);
    case S_IFLNK:
        return put_symlink(look, &st);
    case S_IFSOCK:
        walk.skipped++;
        return 0;
    default:
        return put_node(&st);
    }
}

static int put_named(int parent, const char *leaf)
{
    for (int i = 0; i < TRIES; i++) {
        TAR_CLOSE int look = tar_open(parent, leaf, O_PATH | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);

        if (look == -ENOENT)
            return 0;
        if (look < 0)
            return fail(look);
        int r = put_look(parent, leaf, look);

        if (r <= 0)
            return r;
    }
    return fail(ESTALE);
}

static int put(int parent, const char *leaf)
{
    size_t before = walk.size, end = push(leaf);

    if (end == 0)
        return -1;
    walk.size = end;
    int r = put_named(parent, leaf);

    walk.size = before;
    walk.name[before] = '\0';
    return r;
}

/* --- the caller's path --- */

struct target {
    char parent[TAR_PATH_MAX];
    const char *leaf; /* empty: the directory `parent`, its content only */
};

static int split(const char *path, struct target *ret)
{
    size_t size = strlen(path);

    if (size >= sizeof(ret->parent))
        return tar_fail(CLOISTER_TOO_BIG, ENAMETOOLONG, "path", path, "path '%s'", path);
    memcpy(ret->parent, path, size + 1);
    const char *slash = strrchr(path, '/');

    ret->leaf = strcmp(slash + 1, ".") == 0 ? "" : slash + 1;
    if (strcmp(ret->leaf, "..") == 0)
        return tar_fail(CLOISTER_INVALID, 0, "path", path, "path '%s' does not say what its entry is called", path);
    if (ret->leaf[0] != '\0')
        ret->parent[slash + 1 - path] = '\0';
    return 0;
}

static int fail_to_find(const char *path, int error)
{
    if (error == -ENOTDIR)
        return tar_fail(CLOISTER_INVALID, error, "path", path, "find '%s'", path);
    return tar_fail(tar_code_of(error), error, "path", path, "find '%s'", path);
}

static void run(int root, const char *path)
{
    struct target target;

    if (split(path, &target) < 0)
        return;
    TAR_CLOSE int parent = tar_open(root, target.parent, O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);

    if (parent < 0) {
        fail_to_find(path, parent);
        return;
    }
    bool content = target.leaf[0] == '\0';
    TAR_CLOSE int look =
        content ? dup(parent) : tar_open(parent, target.leaf, O_PATH | O_NOFOLLOW, BELOW & ~RESOLVE_NO_SYMLINKS);

    if (look < 0)
        fail_to_find(path, content ? -errno : look);
    else if (tar_say_ready(tar_fence(look, TAR_FENCE_READ)) < 0)
        return;
    else if (archive_write_open(walk.archive, NULL, NULL, on_write, NULL) != ARCHIVE_OK)
        fail_archive();
    else if ((content ? put_children(look) : put(parent, target.leaf)) == 0 &&
             archive_write_close(walk.archive) != ARCHIVE_OK)
        fail_archive();
}

int tar_out(struct archive *archive, int root, const struct tar_call *call, const struct tar_id *id)
{
    walk.archive = archive;
    if (tar_become(id, 1ull << 1 | 1ull << 2) == 0) /* DAC_OVERRIDE, DAC_READ_SEARCH */
        run(root, call->path);
    /* Freeing an archive that is open would write its end. */
    return tar_say_end(walk.entries, walk.bytes, walk.skipped);
}
