/* SPDX-License-Identifier: Apache-2.0 */
/* test_reader.h - a daemon's readers, as small as the contract of tape.h allows. */
#ifndef CL_KEEPER_TEST_READER_H
#define CL_KEEPER_TEST_READER_H

#include "common/keeper/test_bed.h"

#include <sys/types.h>

struct tape {
    int memfd;
    int to_daemon;
    int to_keeper;
    struct cl_tape_head *head;
};

/* Runs a script whose 1 (and 2, if `both`; else a copy of 1) are captured. */
void tape_exec(struct bed *bed, uint64_t id, uint64_t pseq, const char *script, uint32_t policy, uint64_t window,
               int both);
struct tape tape_open(struct bed *bed, uint64_t pseq);
void tape_close(struct tape *tape);
uint64_t tape_bytes(const struct tape *tape); /* of memory that it takes */

/* A slot, at a position. */
uint32_t reader_new(struct tape *tape, uint32_t fd, uint32_t state, uint64_t position);
/* Takes over one that was left behind; 0 = it is gone. */
int reader_resume(struct tape *tape, uint32_t slot);
void reader_free(struct tape *tape, uint32_t slot);
/* Sends at most `size` bytes to `out`, the cursor moved by the kernel. 0 = the end; -EAGAIN = nothing there. */
ssize_t reader_move(struct tape *tape, uint32_t slot, int out, size_t size);
/* Waits for the keeper's word, having said that there is nothing. */
void reader_wait(struct tape *tape, uint32_t slot, int ms);
/* Everything until the end, into memory (NUL-terminated). The number of bytes. */
size_t reader_all(struct tape *tape, uint32_t slot, char *buffer, size_t size);
uint64_t reader_position(const struct tape *tape, uint32_t slot);
uint64_t reader_lost(const struct tape *tape, uint32_t slot);

#define TAPE_LOAD(member) __atomic_load_n(&(member), __ATOMIC_SEQ_CST)
#define TAPE_STORE(member, value) __atomic_store_n(&(member), (value), __ATOMIC_SEQ_CST)

#endif
