/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error is how a failure travels from the place where it happened to the person who reads about it. The chain of
 * contexts is kept outermost first in one fixed buffer, because errors cross the plugin boundary as plain values:
 * wrapping shifts what is there to the right and lets the inner end fall off, since the outer contexts name the things
 * an operator knows by name.
 */
#include "core/error/error.h"

#include "core/util/sv.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct code_row {
    const char *name;
    int os_errno;
};

static const struct code_row codes[CLOISTER_CODE_COUNT] = {
    [CLOISTER_OK] = {"ok", 0},
    [CLOISTER_NO_ENTITY] = {"no_entity", ENOENT},
    [CLOISTER_EXISTS] = {"exists", EEXIST},
    [CLOISTER_NAME_IN_USE] = {"name_in_use", EEXIST},
    [CLOISTER_INVALID_STATE] = {"invalid_state", EBADFD},
    [CLOISTER_FROZEN] = {"frozen", EBADFD},
    [CLOISTER_BUSY] = {"busy", EBUSY},
    [CLOISTER_LIMIT] = {"limit", EDQUOT},
    [CLOISTER_DEADLINE] = {"deadline", ETIMEDOUT},
    [CLOISTER_CANCELLED] = {"cancelled", ECANCELED},
    [CLOISTER_UNSUPPORTED] = {"unsupported", EOPNOTSUPP},
    [CLOISTER_DENIED] = {"denied", EACCES},
    [CLOISTER_INVALID] = {"invalid", EINVAL},
    [CLOISTER_NO_EXECUTABLE] = {"no_executable", ENOENT},
    [CLOISTER_NOT_EXECUTABLE] = {"not_executable", EACCES},
    [CLOISTER_BAD_CWD] = {"bad_cwd", ENOTDIR},
    [CLOISTER_EXEC_FAILED] = {"exec_failed", ENOEXEC},
    [CLOISTER_USER_UNKNOWN] = {"user_unknown", ENOENT},
    [CLOISTER_GROUP_UNKNOWN] = {"group_unknown", ENOENT},
    [CLOISTER_MOUNT_FAILED] = {"mount_failed", EIO},
    [CLOISTER_CGROUP_FAILED] = {"cgroup_failed", EIO},
    [CLOISTER_IMAGE_NOT_FOUND] = {"image_not_found", ENOENT},
    [CLOISTER_IMAGE_DENIED] = {"image_denied", EACCES},
    [CLOISTER_IMAGE_TOO_BIG] = {"image_too_big", EFBIG},
    [CLOISTER_NET_POOL] = {"net_pool", EADDRNOTAVAIL},
    [CLOISTER_NET_OVERLAP] = {"net_overlap", EADDRINUSE},
    [CLOISTER_NET_TAKEN] = {"net_taken", EADDRINUSE},
    [CLOISTER_NOT_TTY] = {"not_tty", ENOTTY},
    [CLOISTER_TOO_BIG] = {"too_big", E2BIG},
    [CLOISTER_NO_SPACE] = {"no_space", ENOSPC},
    [CLOISTER_PARTIAL] = {"partial", EIO},
    [CLOISTER_LOST] = {"lost", ESTALE},
    [CLOISTER_NO_CONTACT] = {"no_contact", EHOSTUNREACH},
    [CLOISTER_PROTOCOL] = {"protocol", EPROTO},
    [CLOISTER_IO] = {"io", EIO},
    [CLOISTER_CONFLICT] = {"conflict", EAGAIN},
    [CLOISTER_FENCED] = {"fenced", ESTALE},
    [CLOISTER_CORRUPT] = {"corrupt", EBADMSG},
    [CLOISTER_VERSION_NEWER] = {"version_newer", EPROTONOSUPPORT},
    [CLOISTER_QUOTA] = {"quota", EDQUOT},
    [CLOISTER_UNAVAILABLE] = {"unavailable", EAGAIN},
    [CLOISTER_INTERNAL] = {"internal", EFAULT},
};

/* errno -> code where it is not simply IO; only codes that mean the same wherever the errno comes from. */
static const struct {
    int os_errno;
    uint32_t code;
} errnos[] = {
    {ENOENT, CLOISTER_NO_ENTITY},       {ESRCH, CLOISTER_NO_ENTITY},
    {EEXIST, CLOISTER_EXISTS},          {EBUSY, CLOISTER_BUSY},
    {ENOMEM, CLOISTER_LIMIT},           {EMFILE, CLOISTER_LIMIT},
    {ENFILE, CLOISTER_LIMIT},           {EAGAIN, CLOISTER_LIMIT},
    {ETIMEDOUT, CLOISTER_DEADLINE},     {ECANCELED, CLOISTER_CANCELLED},
    {EPERM, CLOISTER_DENIED},           {EACCES, CLOISTER_DENIED},
    {EOPNOTSUPP, CLOISTER_UNSUPPORTED}, {ENOSYS, CLOISTER_UNSUPPORTED},
    {EINVAL, CLOISTER_INVALID},         {ENOTTY, CLOISTER_NOT_TTY},
    {E2BIG, CLOISTER_TOO_BIG},          {EFBIG, CLOISTER_TOO_BIG},
    {EMSGSIZE, CLOISTER_TOO_BIG},       {ENOSPC, CLOISTER_NO_SPACE},
    {EDQUOT, CLOISTER_QUOTA},           {EPROTO, CLOISTER_PROTOCOL},
    {ENOEXEC, CLOISTER_EXEC_FAILED},
};

/* An object whose allocator did not set its size is nobody's: nothing is written to it. */
static bool usable(const struct cloister_error *err)
{
    return err && err->struct_size >= sizeof(*err);
}

/* Shortens text to at most `room` bytes at a character's edge; the NUL is the caller's. */
static size_t cut_size(const char *text, size_t room)
{
    while (room > 0 && ((unsigned char)text[room] & 0xc0) == 0x80)
        room--;
    return room;
}

/* Copies with "..." for what does not fit; size > 4. */
static void copy_cut(char *to, size_t size, const char *from)
{
    size_t length = strlen(from);
    if (length < size) {
        memcpy(to, from, length + 1);
        return;
    }
    length = cut_size(from, size - 4);
    memcpy(to, from, length);
    memcpy(to + length, "...", 4);
}

static void prepend(struct cloister_error *err, const char *context)
{
    /* Built apart, one "..." longer than the field, so that moving and cutting need no case of their own. */
    char chain[2 * CLOISTER_CHAIN_MAX];
    size_t old = err->chain_size <= CLOISTER_CHAIN_MAX ? err->chain_size : 0;
    copy_cut(chain, CLOISTER_CHAIN_MAX, context);
    size_t size = strlen(chain) + 1;
    memcpy(chain + size, err->chain, old);
    size += old;
    if (size > CLOISTER_CHAIN_MAX) {
        size_t keep = cut_size(chain, CLOISTER_CHAIN_MAX - 4);
        memcpy(chain + keep, "...", 4);
        size = keep + 4;
    }
    memcpy(err->chain, chain, size);
    err->chain_size = (uint32_t)size;
}

uint32_t cl_error_code_of(int os_errno)
{
    int positive = os_errno < 0 ? -os_errno : os_errno;
    for (size_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++) {
        if (errnos[i].os_errno == positive)
            return errnos[i].code;
    }
    return positive == 0 ? CLOISTER_OK : CLOISTER_IO;
}

int cl_error_errno_of(uint32_t code)
{
    return code < CLOISTER_CODE_COUNT ? -codes[code].os_errno : -EIO;
}

int cl_error_setv(struct cloister_error *err, uint32_t code, int os_errno, const char *subject, const char *step,
                  const char *format, va_list args)
{
    int positive = os_errno < 0 ? -os_errno : os_errno;
    if (usable(err)) {
        char context[CLOISTER_CHAIN_MAX + 8];
        (void)vsnprintf(context, sizeof(context), format, args);
        cl_error_clear(err);
        err->code = code;
        err->os_errno = positive;
        copy_cut(err->subject, sizeof(err->subject), subject ? subject : "");
        copy_cut(err->step, sizeof(err->step), step ? step : "");
        prepend(err, context);
    }
    return positive ? -positive : cl_error_errno_of(code);
}

int(cl_error_set)(struct cloister_error *err, uint32_t code, int os_errno, const char *subject, const char *step,
                  const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int r = cl_error_setv(err, code, os_errno, subject, step, format, args);
    va_end(args);
    return r;
}

void cl_error_wrapv(struct cloister_error *err, const char *format, va_list args)
{
    char context[CLOISTER_CHAIN_MAX + 8];
    if (!usable(err))
        return;
    (void)vsnprintf(context, sizeof(context), format, args);
    prepend(err, context);
}

void cl_error_wrap(struct cloister_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cl_error_wrapv(err, format, args);
    va_end(args);
}

void cl_error_subject(struct cloister_error *err, struct cloister_sv subject)
{
    char text[CLOISTER_SUBJECT_MAX + 1] = "";
    if (!usable(err))
        return;
    size_t size = subject.size < sizeof(text) - 1 ? subject.size : sizeof(text) - 1;
    if (size > 0)
        memcpy(text, subject.data, size);
    copy_cut(err->subject, sizeof(err->subject), text);
}

void cl_error_position(struct cloister_error *err, uint32_t line, uint32_t column, uint64_t offset)
{
    if (!usable(err))
        return;
    err->line = line;
    err->column = column;
    err->offset = offset;
}

/* Joins into a buffer large enough for the longest chain and strerror; returns the length. */
static size_t join(const struct cloister_error *err, char *text, size_t size)
{
    size_t length = 0;
    size_t end = err->chain_size <= CLOISTER_CHAIN_MAX ? err->chain_size : 0;
    for (size_t at = 0; at < end;) {
        size_t part = strnlen(err->chain + at, end - at);
        if (part > 0)
            length += (size_t)snprintf(text + length, size - length, "%s%.*s", length ? ": " : "", (int)part,
                                       err->chain + at);
        at += part + 1;
    }
    if (length == 0)
        length = (size_t)snprintf(text, size, "%s", cl_error_code_name(err->code));
    if (err->os_errno != 0) {
        const char *reason = strerrordesc_np(err->os_errno); /* static storage, unlike strerror */
        if (reason)
            length += (size_t)snprintf(text + length, size - length, ": %s", reason);
        else
            length += (size_t)snprintf(text + length, size - length, ": errno %d", err->os_errno);
    }
    return length;
}

size_t cl_error_sentence(const struct cloister_error *err, char *buffer, size_t size)
{
    /* Each context costs at most one byte more joined than in the chain. */
    char text[2 * CLOISTER_CHAIN_MAX + 128] = "no details";
    size_t length = strlen(text);
    if (usable(err))
        length = join(err, text, sizeof(text));
    if (size > 4)
        copy_cut(buffer, size, text);
    else if (size > 0)
        buffer[0] = 0;
    return length;
}

const char *cl_error_innermost(const struct cloister_error *err)
{
    if (!usable(err) || err->chain_size < 2 || err->chain_size > CLOISTER_CHAIN_MAX)
        return "";
    size_t at = err->chain_size - 1;
    if (err->chain[at] != 0)
        return "";
    while (at > 0 && err->chain[at - 1] != 0)
        at--;
    return err->chain + at;
}

const char *cl_error_code_name(uint32_t code)
{
    return code < CLOISTER_CODE_COUNT ? codes[code].name : "unknown";
}

void cl_error_clear(struct cloister_error *err)
{
    if (!usable(err))
        return;
    uint32_t size = err->struct_size;
    memset(err, 0, sizeof(*err));
    err->struct_size = size;
}

void cl_error_copy(struct cloister_error *to, const struct cloister_error *from)
{
    if (!usable(to) || !usable(from) || to == from)
        return;
    uint32_t size = to->struct_size;
    memcpy(to, from, sizeof(*to));
    to->struct_size = size;
}
