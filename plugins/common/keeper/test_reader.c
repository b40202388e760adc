/* SPDX-License-Identifier: Apache-2.0 */
#include "common/keeper/test_reader.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

void tape_exec(struct bed *bed, uint64_t id, uint64_t pseq, const char *script, uint32_t policy, uint64_t window,
               int both)
{
    struct cl_wire_stdio stdio[3] = {
        {CL_WIRE_STDIO_NULL, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_PIPE, CL_WIRE_NO_FD}, {CL_WIRE_STDIO_SAME, 1}};
    struct cl_wire_memo memo = {.pipe[1] = {.policy = policy, .window = window}};

    if (both) {
        stdio[2] = stdio[1];
        memo.pipe[2] = memo.pipe[1];
    }
    bed->stdio = stdio;
    bed->memo = &memo;
    bed_start_exec(bed, id, pseq, script);
}

struct tape tape_open(struct bed *bed, uint64_t pseq)
{
    struct cl_wire_process request;
    struct tape tape;

    cl_wire_init(&request, CL_WIRE_TAPE, 0);
    request.pseq = pseq;
    assert_int_equal(bed_call_fds(bed, &request).os_errno, 0);
    assert_int_equal(bed->fd_count, 3);
    tape.memfd = bed->fds[0];
    tape.to_daemon = bed->fds[1];
    tape.to_keeper = bed->fds[2];
    tape.head = mmap(NULL, CL_TAPE_HEAD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, tape.memfd, 0);
    assert_ptr_not_equal(tape.head, MAP_FAILED);
    assert_int_equal(tape.head->magic, CL_TAPE_MAGIC);
    assert_int_equal(tape.head->pseq, pseq);
    return tape;
}

void tape_close(struct tape *tape)
{
    munmap(tape->head, CL_TAPE_HEAD_SIZE);
    close(tape->memfd);
    close(tape->to_daemon);
    close(tape->to_keeper);
}

uint64_t tape_bytes(const struct tape *tape)
{
    struct stat st;

    assert_int_equal(fstat(tape->memfd, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

uint32_t reader_new(struct tape *tape, uint32_t fd, uint32_t state, uint64_t position)
{
    uint32_t i = 0;

    while (TAPE_LOAD(tape->head->slot[i].state) != CL_TAPE_SLOT_FREE)
        assert_true(++i < CL_TAPE_SLOTS);
    struct cl_tape_slot *slot = &tape->head->slot[i];

    TAPE_STORE(slot->lost, 0);
    TAPE_STORE(slot->fd, fd);
    TAPE_STORE(slot->owner, TAPE_LOAD(tape->head->era));
    TAPE_STORE(slot->first, UINT64_MAX);
    TAPE_STORE(slot->cursor, (uint64_t)fd << CL_TAPE_SHIFT | position);
    TAPE_STORE(slot->first, position);
    TAPE_STORE(slot->state, state);
    return i;
}

int reader_resume(struct tape *tape, uint32_t slot)
{
    uint32_t owner = TAPE_LOAD(tape->head->slot[slot].owner);

    return owner != 0 && __atomic_compare_exchange_n(&tape->head->slot[slot].owner, &owner, TAPE_LOAD(tape->head->era),
                                                     0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void kick(struct tape *tape, uint32_t slot)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (TAPE_LOAD(tape->head->tape[tape->head->slot[slot].fd].starved))
        eventfd_write(tape->to_keeper, 1);
}

void reader_free(struct tape *tape, uint32_t slot)
{
    TAPE_STORE(tape->head->slot[slot].state, CL_TAPE_SLOT_FREE);
    kick(tape, slot);
}

ssize_t reader_move(struct tape *tape, uint32_t index, int out, size_t size)
{
    struct cl_tape_slot *slot = &tape->head->slot[index];
    struct cl_tape *from = &tape->head->tape[slot->fd];
    uint64_t base = (uint64_t)slot->fd << CL_TAPE_SHIFT;

    TAPE_STORE(slot->busy, 1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint64_t start = TAPE_LOAD(from->start);

    if (slot->cursor < base + start) {
        slot->lost += base + start - slot->cursor;
        TAPE_STORE(slot->cursor, base + start);
    }
    uint32_t state = TAPE_LOAD(from->state);
    uint64_t left = base + TAPE_LOAD(from->end) - slot->cursor;
    ssize_t n = state == CL_TAPE_OPEN ? -EAGAIN : 0;

    if (left > 0) {
        n = sendfile(out, tape->memfd, (off_t *)&slot->cursor, left < size ? left : size);
        n = n < 0 ? -errno : n;
    }
    TAPE_STORE(slot->busy, 0);
    kick(tape, index);
    return n;
}

void reader_wait(struct tape *tape, uint32_t index, int ms)
{
    struct cl_tape_slot *slot = &tape->head->slot[index];
    struct cl_tape *from = &tape->head->tape[slot->fd];
    struct pollfd wait = {.fd = tape->to_daemon, .events = POLLIN};
    eventfd_t count;

    TAPE_STORE(slot->hungry, 1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (((uint64_t)slot->fd << CL_TAPE_SHIFT | TAPE_LOAD(from->end)) == slot->cursor &&
        TAPE_LOAD(from->state) == CL_TAPE_OPEN && poll(&wait, 1, ms) == 1)
        eventfd_read(tape->to_daemon, &count);
    TAPE_STORE(slot->hungry, 0);
}

size_t reader_all(struct tape *tape, uint32_t slot, char *buffer, size_t size)
{
    size_t used = 0;
    int memory = memfd_create("reader", MFD_CLOEXEC);
    ssize_t n;

    while ((n = reader_move(tape, slot, memory, size)) != 0) {
        if (n == -EAGAIN)
            reader_wait(tape, slot, 20000);
        else if (n < 0)
            fail_msg("sendfile: %s", strerror((int)-n));
        else
            used += (size_t)n;
    }
    assert_true(used < size);
    assert_int_equal(pread(memory, buffer, used, 0), used);
    buffer[used] = '\0';
    close(memory);
    return used;
}

uint64_t reader_position(const struct tape *tape, uint32_t slot)
{
    return TAPE_LOAD(tape->head->slot[slot].cursor) & CL_TAPE_POSITION_MASK;
}

uint64_t reader_lost(const struct tape *tape, uint32_t slot)
{
    return TAPE_LOAD(tape->head->slot[slot].lost);
}
