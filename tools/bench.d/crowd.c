/* SPDX-License-Identifier: Apache-2.0 */
/* crowd.c - many clients at a time: processes, so that none waits for another one's memory or clock. */
#include "core/error/error.h"
#include "core/util/fd.h"
#include "stopwatch.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define CLIENTS_MAX 64u

/* The two pipes that make it start together: each client tells that it is ready, then all read until `go` is closed. */
struct gate {
    int ready[2];
    int go[2];
};

#define GATE_INIT  \
    {              \
        {-1, -1},  \
        {          \
            -1, -1 \
        }          \
    }

static void gate_close(struct gate *gate)
{
    for (int i = 0; i < 2; i++) {
        cl_closep(&gate->ready[i]);
        cl_closep(&gate->go[i]);
    }
}

static int pass(struct gate *gate)
{
    char byte = 0;

    cl_closep(&gate->go[1]);
    ssize_t told = write(gate->ready[1], &byte, 1);
    cl_closep(&gate->ready[1]); /* the parent is to see it when one of the others ends too early */
    if (told != 1)
        return -EIO;
    return read(gate->go[0], &byte, 1) == 0 ? 0 : -EIO;
}

/* One client's life; its exit code. */
static int be_client(struct watch *watch, watch_do *what, const cloister_value *task, struct gate *gate)
{
    struct cloister_error err = {CLOISTER_INIT(struct cloister_error)};
    struct watch own = {.socket = watch->socket, .client = CTL_CLIENT_INIT};
    char sentence[CL_ERROR_SENTENCE_MAX];
    uint64_t each = watch_number(task, "each"), unused;

    int failed = ctl_client_connect(&own.client, own.socket, &err);
    if (failed == 0)
        failed = pass(gate);
    for (uint64_t i = 0; i < each && failed == 0; i++)
        failed = what(&own, task, &unused, &err);
    if (failed < 0) {
        cl_error_sentence(&err, sentence, sizeof(sentence));
        fprintf(stderr, "%s\n", sentence);
    }
    ctl_client_close(&own.client);
    return failed < 0 ? 1 : 0;
}

/* Starts up to `count` clients; how many there are. */
static uint64_t fork_clients(struct watch *watch, watch_do *what, const cloister_value *task, struct gate *gate,
                             uint64_t count, pid_t *pids)
{
    uint64_t started = 0;

    for (; started < count; started++) {
        pid_t pid = fork();
        if (pid < 0)
            break;
        if (pid == 0)
            _exit(be_client(watch, what, task, gate));
        pids[started] = pid;
    }
    return started;
}

/* Waits until all are ready; false if one has ended before it was. */
static bool all_ready(struct gate *gate, uint64_t count)
{
    char byte;

    cl_closep(&gate->ready[1]);
    for (uint64_t i = 0; i < count; i++)
        if (read(gate->ready[0], &byte, 1) != 1)
            return false;
    return true;
}

static uint64_t reap_all(const pid_t *pids, uint64_t count)
{
    uint64_t failed = 0;

    for (uint64_t i = 0; i < count; i++) {
        int status = 0;
        while (waitpid(pids[i], &status, 0) < 0 && errno == EINTR)
            continue;
        failed += status != 0;
    }
    return failed;
}

int watch_crowd(struct watch *watch, watch_do *what, const cloister_value *task, uint64_t *ret_ns,
                struct cloister_error *err)
{
    __attribute__((cleanup(gate_close))) struct gate gate = GATE_INIT;
    uint64_t clients = watch_number(task, "clients");
    pid_t pids[CLIENTS_MAX];

    if (clients > CLIENTS_MAX)
        return cl_error_set(err, CLOISTER_INVALID, 0, NULL, NULL, "clients: up to %u are possible", CLIENTS_MAX);
    if (pipe2(gate.ready, O_CLOEXEC) < 0 || pipe2(gate.go, O_CLOEXEC) < 0)
        return cl_error_set(err, CLOISTER_IO, errno, NULL, NULL, "make pipes");
    fflush(NULL); /* or the clients write it once more */
    uint64_t started = fork_clients(watch, what, task, &gate, clients, pids);
    bool ready = all_ready(&gate, started);
    uint64_t begin = watch_now();
    cl_closep(&gate.go[1]);
    uint64_t failed = reap_all(pids, started);
    *ret_ns = watch_now() - begin;
    if (started == clients && ready && failed == 0)
        return 0;
    return cl_error_set(err, CLOISTER_IO, 0, NULL, NULL, "%llu of %llu clients failed",
                        (unsigned long long)(clients - started + failed), (unsigned long long)clients);
}
