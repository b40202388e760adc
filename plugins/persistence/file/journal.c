/* SPDX-License-Identifier: Apache-2.0 */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "window.h"

#define RESERVE (128u * 1024u)
#define AHEAD (256u * 1024u) /* is asked for at once, so that few appends have to ask */
#define PREFIX "journal."
#define UNSUPPORTED UINT64_MAX

void journal_name(uint64_t number, char ret[JOURNAL_NAME_MAX])
{
    (void)snprintf(ret, JOURNAL_NAME_MAX, PREFIX "%" PRIu64, number);
}

uint64_t journal_number(const char *name)
{
    char again[JOURNAL_NAME_MAX];
    if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
        return 0;
    uint64_t number = strtoull(name + strlen(PREFIX), NULL, 10);
    journal_name(number, again);
    return strcmp(again, name) == 0 && number != UINT64_MAX ? number : 0;
}

/* True when the blocks up to `end` are ours, or cannot be had beforehand on this file system. */
static bool get_room(struct journal *journal, uint64_t end)
{
    if (end <= journal->reserved)
        return true;
    const uint64_t wanted[] = {end + AHEAD, end};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        int r;
        do
            r = fallocate(journal->fd, FALLOC_FL_KEEP_SIZE, (off_t)journal->size, (off_t)(wanted[i] - journal->size));
        while (r < 0 && errno == EINTR);
        if (r == 0 || errno == EOPNOTSUPP || errno == ENOSYS) {
            journal->reserved = r == 0 ? wanted[i] : UNSUPPORTED;
            return true;
        }
    }
    return false;
}

void journal_reserve(struct journal *journal)
{
    for (uint64_t room = RESERVE; room >= RESERVE / 16; room /= 2)
        if (get_room(journal, journal->size + room))
            return;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Cutting a file to its own size gives the room behind it away, so it is taken again at once. */
static int undo(struct journal *journal, int r)
{
    if (ftruncate(journal->fd, (off_t)journal->size) < 0)
        journal->broken = true;
    if (journal->reserved != UNSUPPORTED)
        journal->reserved = 0;
    journal_reserve(journal);
    return r;
}

static int sync_data(struct journal *journal)
{
    uint64_t begin = now_ns();
    journal->step = "sync";
    if (fdatasync(journal->fd) < 0) {
        int r = -errno;
        journal->broken = true; /* the kernel may have dropped the pages that it could not write */
        return r;
    }
    journal->syncs++;
    journal->sync_ns = now_ns() - begin;
    if (journal->sync_ns > journal->sync_max_ns)
        journal->sync_max_ns = journal->sync_ns;
    return 0;
}

int journal_append(struct journal *journal, struct cloister_sv bytes, bool sync, enum urgency urgency)
{
    uint64_t end = journal->size + bytes.size;
    bool room = get_room(journal, end + RESERVE);
    if (!room && (urgency == URGENCY_NONE || (urgency == URGENCY_CHANGE && end + RESERVE / 2 > journal->reserved))) {
        journal->step = "keep room for removals in";
        return -ENOSPC;
    }
    journal->step = "write";
    int r = write_all(journal->fd, journal->size, bytes.data, bytes.size);
    if (r == 0 && sync)
        r = sync_data(journal);
    if (r < 0)
        return undo(journal, r);
    journal->writes++;
    journal->size = end;
    return 0;
}

void journal_close(struct journal *journal)
{
    close_fd(&journal->fd);
}
