/* SPDX-License-Identifier: Apache-2.0 */
/* say.c - the control pipe. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/tar/tar.h"

static struct cl_tar_message failure;

/* Names come from archives: what is no plain text is shown as '?'. */
static void copy_plain(const char *from, char *to, size_t size)
{
    size_t i = 0;

    for (; from[i] != '\0' && i + 1 < size; i++)
        to[i] = (unsigned char)from[i] < 0x20 || from[i] == 0x7f ? '?' : from[i];
    to[i] = '\0';
}

int tar_fail(uint32_t code, int os_errno, const char *step, const char *subject, const char *format, ...)
{
    char text[CL_TAR_TEXT_MAX];
    va_list args;

    if (failure.code != CLOISTER_OK)
        return -1;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    failure.code = code;
    failure.os_errno = os_errno < 0 ? -os_errno : os_errno;
    snprintf(failure.step, sizeof(failure.step), "%s", step);
    copy_plain(subject, failure.subject, sizeof(failure.subject));
    copy_plain(text, failure.text, sizeof(failure.text));
    return -1;
}

bool tar_has_failed(void)
{
    return failure.code != CLOISTER_OK;
}

uint32_t tar_code_of(int os_errno)
{
    switch (os_errno < 0 ? -os_errno : os_errno) {
    case ENOENT:
        return CLOISTER_NO_ENTITY;
    case EACCES:
    case EPERM:
    case EROFS:
        return CLOISTER_DENIED;
    case ENOSPC:
    case EDQUOT:
        return CLOISTER_NO_SPACE;
    case EFBIG:
    case ENAMETOOLONG:
        return CLOISTER_TOO_BIG;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return CLOISTER_LIMIT;
    default:
        return CLOISTER_IO;
    }
}

uint32_t tar_code_of_archive(struct archive *archive, uint32_t otherwise)
{
    return archive_errno(archive) == ENOMEM ? CLOISTER_LIMIT : otherwise;
}

/* Whoever has closed the other end wants to know nothing. */
static int put(struct cl_tar_message *message)
{
    ssize_t n;

    message->struct_size = sizeof(*message);
    message->magic = CL_TAR_MAGIC;
    do
        n = write(CL_TAR_FD_CONTROL, message, sizeof(*message));
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(*message) ? 0 : -1;
}

int tar_say_ready(bool landlock)
{
    struct cl_tar_message ready = {.kind = CL_TAR_READY, .landlock = landlock};

    return put(&ready) == 0 ? 0 : tar_fail(CLOISTER_CANCELLED, errno, "control", "", "say that it is ready");
}

int tar_say_end(uint64_t entries, uint64_t bytes, uint64_t skipped)
{
    struct cl_tar_message done = {.kind = CL_TAR_DONE, .entries = entries, .bytes = bytes, .skipped = skipped};

    if (failure.code == CLOISTER_OK)
        return put(&done) == 0 ? 0 : 1;
    failure.kind = CL_TAR_FAILED;
    put(&failure);
    return 1;
}
