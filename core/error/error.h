/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - filling and reading the error object of <cloister/error.h>.
 *
 * An error is created once, where it happens (cl_error_set), and wrapped where meaning is added (cl_error_wrap: "start
 * sandbox 'web'", then "join cgroup '/x'"), so that the chain, read from the outside in, is one sentence. It is a plain
 * value without memory of its own: filling it can not fail, and an error about memory can be reported like any other.
 * All functions accept a NULL error: the caller did not want the details. [any] thread, as long as the object itself is
 * used by one.
 */
#ifndef CL_ERROR_ERROR_H
#define CL_ERROR_ERROR_H

#include <cloister/error.h>
#include <stdarg.h>
#include <stddef.h>

/*
 * Replaces whatever err holds. os_errno may be given with either sign, 0 = none. subject and step may be NULL. The
 * format gives the innermost context. Returns the negative errno of the internal convention: -os_errno, or the one that
 * suits the code, so that a failing function can say `return cl_error_set(...)`.
 */
int cl_error_set(struct cloister_error *err, uint32_t code, int os_errno, const char *subject, const char *step,
                 const char *format, ...) __attribute__((format(printf, 6, 7)));
int cl_error_setv(struct cloister_error *err, uint32_t code, int os_errno, const char *subject, const char *step,
                  const char *format, va_list args) __attribute__((format(printf, 6, 0)));
#ifdef __clang_analyzer__
/* For the analyzer alone: the result is always negative, so that it does not follow a failure as if it were none. */
static inline int cl_error_negative(int result)
{
    (void)result;
    return -1;
}
#define cl_error_set(...) cl_error_negative(cl_error_set(__VA_ARGS__))
#endif

/* The code that suits an errno (ENOENT -> NO_ENTITY, EACCES -> DENIED, ...), IO for the rest. */
uint32_t cl_error_code_of(int os_errno);
/* The negative errno that suits a code, -EIO for the rest. */
int cl_error_errno_of(uint32_t code);

/* Prepends a context. Text that does not fit is cut at the inner end, at a character's edge, and marked "...". */
void cl_error_wrap(struct cloister_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cl_error_wrapv(struct cloister_error *err, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* Replaces the subject; the view may hold any bytes, the first NUL ends it. */
void cl_error_subject(struct cloister_error *err, struct cloister_sv subject);
void cl_error_position(struct cloister_error *err, uint32_t line, uint32_t column, uint64_t offset);

/*
 * The contexts joined by ": ", then strerror(os_errno) if there is one; the code's name if there is no context. Writes
 * at most size bytes including the NUL, cut with "..."; returns the full length, NUL not counted, whatever size is.
 */
size_t cl_error_sentence(const struct cloister_error *err, char *buffer, size_t size);

/* The innermost context, "" if there is none. Borrowed from err. */
const char *cl_error_innermost(const struct cloister_error *err);

/* "no_entity"; a number this build does not know gives "unknown". */
const char *cl_error_code_name(uint32_t code);

/* Back to no error. */
void cl_error_clear(struct cloister_error *err);
/* Copies what both structs are large enough for; either may be NULL. */
void cl_error_copy(struct cloister_error *to, const struct cloister_error *from);

#define CL_ERROR_SENTENCE_MAX 1024u

#endif
