/* SPDX-License-Identifier: Apache-2.0 */
/* tapes.c - the mapped tapes of a sandbox and its pair of eventfds: opened with the first, closed with the last. */
#include "tapes.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "output.h"
#include "sandbox.h"

void ns_tapes_init(struct ns_tapes *tapes)
{
    *tapes = (struct ns_tapes){.to_daemon = -1, .to_keeper = -1};
}

static struct ns_tape *find(struct ns_sandbox *sandbox, cloister_process process)
{
    for (struct ns_tape *tape = sandbox->tapes.tapes; tape; tape = tape->next)
        if (tape->process == process && !tape->over)
            return tape;
    return NULL;
}

struct ns_tape *ns_tape_find(struct ns_sandbox *sandbox, cloister_process process)
{
    struct ns_tape *tape = find(sandbox, process);

    if (tape)
        tape->refs++;
    return tape;
}

static struct cl_tape_head *map(int memfd, cloister_process process)
{
    struct stat info;
    struct cl_tape_head *head;

    if (fstat(memfd, &info) < 0 || info.st_size < (off_t)CL_TAPE_HEAD_SIZE)
        return NULL;
    head = mmap(NULL, CL_TAPE_HEAD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    if (head == MAP_FAILED)
        return NULL;
    if (head->magic == CL_TAPE_MAGIC && head->version == CL_TAPE_VERSION && head->pseq == process)
        return head;
    munmap(head, CL_TAPE_HEAD_SIZE);
    return NULL;
}

int ns_tape_open(struct ns_sandbox *sandbox, cloister_process process, struct cl_packet *answer, struct ns_tape **ret)
{
    struct ns_tapes *tapes = &sandbox->tapes;
    struct ns_tape *tape = ns_tape_find(sandbox, process);

    if (tape) { /* two attaches asked at the same time */
        *ret = tape;
        return 0;
    }
    if (answer->fd_count != 3)
        return answer->fd_count ? -EBADMSG : -EMFILE; /* none: cut off at our limit */
    tape = calloc(1, sizeof(*tape));
    if (tape == NULL)
        return -ENOMEM;
    tape->head = map(answer->fds[0], process);
    if (tape->head == NULL) {
        free(tape);
        return -EBADMSG;
    }
    tape->refs = 1;
    tape->process = process;
    tape->memfd = ns_steal_fd(&answer->fds[0]);
    tape->next = tapes->tapes;
    tapes->tapes = tape;
    if (tapes->to_daemon < 0) {
        tapes->to_daemon = ns_steal_fd(&answer->fds[1]);
        tapes->to_keeper = ns_steal_fd(&answer->fds[2]);
    }
    *ret = tape;
    return 0;
}

void ns_tape_unref(struct ns_sandbox *sandbox, struct ns_tape *tape)
{
    struct ns_tape **at = &sandbox->tapes.tapes;

    if (--tape->refs > 0)
        return;
    while (*at && *at != tape)
        at = &(*at)->next;
    if (*at)
        *at = tape->next;
    munmap(tape->head, CL_TAPE_HEAD_SIZE);
    close(tape->memfd);
    free(tape);
    if (sandbox->tapes.tapes)
        return;
    close(ns_steal_fd(&sandbox->tapes.to_daemon));
    close(ns_steal_fd(&sandbox->tapes.to_keeper));
}

void ns_tapes_over(struct ns_sandbox *sandbox, cloister_process process)
{
    for (struct ns_tape *tape = sandbox->tapes.tapes; tape; tape = tape->next)
        if (process == 0 || tape->process == process)
            tape->over = true;
    ns_outputs_wake(sandbox);
    if (process == 0)
        ns_outputs_unwatch(sandbox);
}
