/* SPDX-License-Identifier: Apache-2.0 */
#include "core/loader/file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "core/error/error.h"
#include "core/util/fd.h"
#include "core/util/mem.h"

#define PROGRAM_HEADERS_MAX 64

/* Root's, or ours: a daemon that runs as somebody else for a test trusts itself. */
static bool owned(const struct stat *st)
{
    return st->st_uid == 0 || st->st_uid == geteuid();
}

/* The owner, or somebody who is not root's group, may write it. */
static bool others_write(const struct stat *st)
{
    return (st->st_mode & S_IWOTH) || ((st->st_mode & S_IWGRP) && st->st_gid != 0);
}

static int check_dir(const struct stat *st, const char *path, struct cloister_error *err)
{
    if (!owned(st))
        return cl_error_set(err, CLOISTER_DENIED, 0, path, "owner",
                            "plugin directory '%s' is owned by uid %u, not by root; run: chown root '%s'", path,
                            (unsigned)st->st_uid, path);
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return cl_error_set(
            err, CLOISTER_DENIED, 0, path, "mode",
            "plugin directory '%s' has mode %04o, so others than root may write to it; run: chmod go-w '%s'", path,
            (unsigned)(st->st_mode & 07777), path);
    return 0;
}

/* In a sticky directory nobody but an entry's owner can rename it, and the entry below was found to be root's. */
static int check_ancestor(const struct stat *st, const char *ancestor, const char *path, struct cloister_error *err)
{
    if (!owned(st))
        return cl_error_set(err, CLOISTER_DENIED, 0, ancestor, "owner",
                            "directory '%s' above plugin directory '%s' is owned by uid %u, not by root; "
                            "run: chown root '%s'",
                            ancestor, path, (unsigned)st->st_uid, ancestor);
    if (others_write(st) && !(st->st_mode & S_ISVTX))
        return cl_error_set(
            err, CLOISTER_DENIED, 0, ancestor, "mode",
            "directory '%s' above plugin directory '%s' has mode %04o, so others than root may replace what "
            "is in it; run: chmod go-w '%s'",
            ancestor, path, (unsigned)(st->st_mode & 07777), ancestor);
    return 0;
}

/* Shortens a real path by its last component. */
static void cut_leaf(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == path)
        slash++;
    *slash = 0;
}

/* Climbs by descriptor, so that what is checked is what the kernel would walk through. */
static int check_ancestors(int dir_fd, const char *path, struct cloister_error *err)
{
    char ancestor[PATH_MAX];
    CL_CLOSE int fd = cl_fd_dup(dir_fd);
    if (fd < 0)
        return cl_error_set(err, cl_error_code_of(fd), fd, path, "open", "walk up from plugin directory '%s'", path);
    strcpy(ancestor, path);
    while (strcmp(ancestor, "/") != 0) {
        struct stat st;
        int up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (up < 0 || fstat(up, &st) < 0) {
            int saved = errno;
            cl_closep(&up);
            return cl_error_set(err, cl_error_code_of(saved), saved, path, "open", "walk up from plugin directory '%s'",
                                path);
        }
        cl_closep(&fd);
        fd = up;
        cut_leaf(ancestor);
        int r = check_ancestor(&st, ancestor, path, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int cl_plugin_dir_open(const char *dir, int *ret_fd, char **ret_path, struct cloister_error *err)
{
    CL_FREE char *path = realpath(dir, NULL);
    if (!path)
        return cl_error_set(err, cl_error_code_of(errno), errno, dir, "open", "open plugin directory '%s'", dir);
    if (strlen(path) >= PATH_MAX)
        return cl_error_set(err, CLOISTER_INVALID, ENAMETOOLONG, dir, "open", "open plugin directory '%s'", dir);
    CL_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return cl_error_set(err, cl_error_code_of(errno), errno, path, "open", "open plugin directory '%s'", path);
    int r = check_dir(&st, path, err);
    if (r == 0)
        r = check_ancestors(fd, path, err);
    if (r < 0)
        return r;
    *ret_fd = cl_steal_fd(&fd);
    *ret_path = cl_steal_ptr(&path);
    return 0;
}

static const char *type_name(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return "a directory";
    case S_IFLNK:
        return "a symbolic link";
    case S_IFIFO:
        return "a fifo";
    case S_IFSOCK:
        return "a socket";
    case S_IFCHR:
    case S_IFBLK:
        return "a device";
    default:
        return "of an unknown type";
    }
}

static int check_file(const struct stat *st, struct cloister_error *err)
{
    if (!S_ISREG(st->st_mode))
        return cl_error_set(err, CLOISTER_DENIED, 0, NULL, "type",
                            "it is %s, not a regular file; put the plugin itself there", type_name(st->st_mode));
    if (!owned(st))
        return cl_error_set(err, CLOISTER_DENIED, 0, NULL, "owner",
                            "it is owned by uid %u, not by root; run chown root on it", (unsigned)st->st_uid);
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return cl_error_set(err, CLOISTER_DENIED, 0, NULL, "mode",
                            "it has mode %04o, so others than root may change it; run chmod go-w on it",
                            (unsigned)(st->st_mode & 07777));
    return 0;
}

int cl_plugin_file_open(int dir_fd, const char *leaf, int *ret_fd, struct stat *ret_stat, struct cloister_error *err)
{
    struct stat st;
    /* First by name, so that a link, fifo or device gets its own sentence instead of ELOOP or a hanging open. */
    if (fstatat(dir_fd, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return cl_error_set(err, cl_error_code_of(errno), errno, NULL, "open", "find it");
    if (!S_ISREG(st.st_mode))
        return check_file(&st, err);
    CL_CLOSE int fd = openat(dir_fd, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return cl_error_set(err, cl_error_code_of(errno), errno, NULL, "open", "open it");
    int r = check_file(&st, err);
    if (r < 0)
        return r;
    *ret_fd = cl_steal_fd(&fd);
    *ret_stat = st;
    return 0;
}

static int elf_error(struct cloister_error *err, const char *what)
{
    return cl_error_set(err, CLOISTER_INVALID, 0, NULL, "elf",
                        "it is %s; build it as a shared library for this machine", what);
}

static int elf_cut_off(struct cloister_error *err, uint64_t need, uint64_t have)
{
    return cl_error_set(err, CLOISTER_INVALID, 0, NULL, "elf",
                        "it is cut off: it should have at least %llu bytes and has %llu; copy it again",
                        (unsigned long long)need, (unsigned long long)have);
}

static int elf_check_header(const ElfW(Ehdr) * header, ssize_t size, struct cloister_error *err)
{
    if (size < SELFMAG || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return elf_error(err, "not an ELF file");
    if ((size_t)size < sizeof(*header))
        return elf_cut_off(err, sizeof(*header), (uint64_t)size);
    if (header->e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
        return elf_error(err, "an ELF file of another word size");
    if (header->e_type != ET_DYN)
        return elf_error(err, "an ELF file but not a shared object");
    if (header->e_phentsize != sizeof(ElfW(Phdr)) || header->e_phnum == 0 || header->e_phnum > PROGRAM_HEADERS_MAX)
        return elf_error(err, "an ELF file with impossible program headers");
    return 0;
}

/* glibc maps a cut file without complaint and dies later of SIGBUS: so each segment must lie inside the file. */
int cl_plugin_elf_check(int fd, uint64_t file_size, struct cloister_error *err)
{
    ElfW(Ehdr) header = {0};
    ElfW(Phdr) table[PROGRAM_HEADERS_MAX];
    ssize_t got = pread(fd, &header, sizeof(header), 0);
    if (got < 0)
        return cl_error_set(err, cl_error_code_of(errno), errno, NULL, "read", "read it");
    int r = elf_check_header(&header, got, err);
    if (r < 0)
        return r;
    size_t want = header.e_phnum * sizeof(table[0]);
    if (header.e_phoff > file_size || want > file_size - header.e_phoff)
        return elf_cut_off(err, header.e_phoff + want, file_size);
    got = pread(fd, table, want, (off_t)header.e_phoff);
    if (got != (ssize_t)want)
        return cl_error_set(err, CLOISTER_IO, got < 0 ? errno : EIO, NULL, "read", "read its program headers");
    for (unsigned i = 0; i < header.e_phnum; i++)
        if (table[i].p_type == PT_LOAD &&
            (table[i].p_offset > file_size || table[i].p_filesz > file_size - table[i].p_offset))
            return elf_cut_off(err, table[i].p_offset + table[i].p_filesz, file_size);
    return 0;
}
