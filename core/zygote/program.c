/* SPDX-License-Identifier: Apache-2.0 */
#include "core/zygote/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error/error.h"
#include "core/util/fd.h"

#define PROGRAM_BYTES_MAX (256ll << 20)
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010u /* Linux 6.3; glibc 2.36 does not have it yet */
#endif

/* It will run as root: whoever can write it is root already, or must not be able to. */
static int check_file(int fd, const char *path, struct cloister_error *err)
{
    struct stat status;
    char magic[SELFMAG];
    if (fstat(fd, &status) < 0)
        return cl_error_set(err, CLOISTER_IO, errno, path, "program", "look at '%s'", path);
    if (!S_ISREG(status.st_mode))
        return cl_error_set(err, CLOISTER_INVALID, 0, path, "program", "'%s' is not a regular file", path);
    if (status.st_uid != 0 && status.st_uid != geteuid())
        return cl_error_set(err, CLOISTER_DENIED, 0, path, "program",
                            "'%s' belongs to user %u; it must belong to root or to the daemon's user", path,
                            (unsigned)status.st_uid);
    if (status.st_mode & (S_IWGRP | S_IWOTH))
        return cl_error_set(err, CLOISTER_DENIED, 0, path, "program",
                            "'%s' is writable by its group or by others (mode %04o); remove that with chmod go-w", path,
                            (unsigned)status.st_mode & 07777);
    if (status.st_size > PROGRAM_BYTES_MAX)
        return cl_error_set(err, CLOISTER_TOO_BIG, 0, path, "program", "'%s' is larger than %lld bytes", path,
                            PROGRAM_BYTES_MAX);
    if (pread(fd, magic, sizeof(magic), 0) != (ssize_t)sizeof(magic) || memcmp(magic, ELFMAG, SELFMAG) != 0)
        return cl_error_set(err, CLOISTER_INVALID, 0, path, "program", "'%s' is not an ELF program", path);
    return 0;
}

static int copy(int from, int to)
{
    for (;;) {
        ssize_t sent = sendfile(to, from, NULL, 1u << 20);
        if (sent == 0)
            return 0;
        if (sent < 0 && errno != EINTR)
            return -errno;
    }
}

static int make_memfd(void)
{
    int fd = memfd_create("cloister-keeper", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("cloister-keeper", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd;
}

int cl_program_seal(const char *path, int *ret_fd, struct cloister_error *err)
{
    CL_CLOSE int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file < 0)
        return cl_error_set(err, cl_error_code_of(errno), errno, path, "program", "open '%s'", path);
    int result = check_file(file, path, err);
    if (result < 0)
        return result;
    CL_CLOSE int memory = make_memfd();
    if (memory < 0)
        return cl_error_set(err, CLOISTER_IO, errno, path, "program", "make a memfd for a copy of '%s'", path);
    result = copy(file, memory);
    if (result < 0)
        return cl_error_set(err, CLOISTER_IO, -result, path, "program", "copy '%s' to memory", path);
    if (fchmod(memory, 0500) < 0 || fcntl(memory, F_ADD_SEALS, SEALS) < 0)
        return cl_error_set(err, CLOISTER_IO, errno, path, "program", "seal the copy of '%s'", path);
    *ret_fd = cl_steal_fd(&memory);
    return 0;
}
