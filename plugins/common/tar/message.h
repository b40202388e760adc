/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h - how cloister-tar is called, and what it says on its control pipe.
 *
 *     cloister-tar in  FLAGS USER PATH 0 ""        descriptor 0 is the archive
 *     cloister-tar out FLAGS USER PATH 0 ""        descriptor 1 gets it
 *     cloister-tar cat 0     ""   PATH MAX ROOT    descriptor 1 gets the file's bytes, at most MAX of them
 *
 * Descriptor 3 is the pidfd of the container's init; with a ROOT, an absolute path of the host's, it is not looked at:
 * the file is resolved below that directory. Descriptor 4 is the control pipe. Each message is one write of one struct,
 * below PIPE_BUF, so it arrives whole or not at all: READY when nothing but the bytes themselves can fail any more,
 * then DONE with an exit code of 0; or FAILED, at any time, with 1. Both ends are of one build.
 */
#ifndef CL_TAR_MESSAGE_H
#define CL_TAR_MESSAGE_H

#include <cloister/error.h>
#include <stdint.h>

#define CL_TAR_MAGIC 0x54434c31u /* "1LCT" */
#define CL_TAR_TEXT_MAX 512u

enum { CL_TAR_FD_IN = 0, CL_TAR_FD_OUT = 1, CL_TAR_FD_INIT = 3, CL_TAR_FD_CONTROL = 4 };

#define CL_TAR_KEEP_OWNERS 1u /* in: numeric owners, set-id bits, devices */

enum cl_tar_kind { CL_TAR_READY = 1, CL_TAR_DONE = 2, CL_TAR_FAILED = 3 };

struct cl_tar_message {
    uint32_t struct_size;
    uint32_t magic;
    uint32_t kind;     /* enum cl_tar_kind */
    uint32_t code;     /* FAILED: enum cloister_code */
    int32_t os_errno;  /* FAILED; positive, 0 = none */
    uint32_t landlock; /* READY: it can reach nothing but the tree that it was sent to */
    uint64_t entries;  /* DONE */
    uint64_t bytes;
    uint64_t skipped; /* DONE, out: sockets, which no archive can hold */
    char step[CLOISTER_STEP_MAX];
    char subject[CLOISTER_SUBJECT_MAX]; /* FAILED: the entry, or what else it is about */
    char text[CL_TAR_TEXT_MAX];         /* FAILED: the sentence, less the errno's words */
};

/* [pure] These bytes are one message: every string ends inside, kind and code are known. */
int cl_tar_message_check(const struct cl_tar_message *message, uint64_t size);

#endif
