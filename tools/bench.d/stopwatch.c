/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stopwatch.c - stopwatch SOCKET: does and times what tools/bench tells it, a task a line on stdin. Answers each with a
 * line: nanoseconds, or "error: " and a sentence. It holds one connection to the daemon for all of them.
 */
#include "stopwatch.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct {
    const char *name;
    watch_do *what;
} things[] = {
    {"start", watch_start},     {"exec", watch_exec}, {"output", watch_output},
    {"program", watch_program}, {"pipe", watch_pipe},
};

uint64_t watch_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int watch_no_memory(struct cloister_error *err)
{
    return cl_error_set(err, CLOISTER_LIMIT, ENOMEM, NULL, NULL, "no memory for a request");
}

uint64_t watch_number(const cloister_value *task, const char *key)
{
    uint64_t number = 0;

    (void)cl_value_u64(cl_value_get_cstr(task, key), &number);
    return number;
}

static int do_task(struct watch *watch, const cloister_value *task, uint64_t *ret_ns, struct cloister_error *err)
{
    const char *name = cl_value_cstr(cl_value_get_cstr(task, "do"));

    for (size_t i = 0; name && i < sizeof(things) / sizeof(things[0]); i++) {
        if (strcmp(things[i].name, name) != 0)
            continue;
        if (watch_number(task, "clients") > 0)
            return watch_crowd(watch, things[i].what, task, ret_ns, err);
        return things[i].what(watch, task, ret_ns, err);
    }
    return cl_error_set(err, CLOISTER_INVALID, 0, name, NULL, "do: nothing that can be timed");
}

static void do_line(struct watch *watch, char *line, size_t size)
{
    struct cloister_error err = {CLOISTER_INIT(struct cloister_error)};
    CL_VALUE_CLEANUP cloister_value *task = NULL;
    char sentence[CL_ERROR_SENTENCE_MAX];
    uint64_t ns = 0;

    int failed = cl_value_parse(cl_sv(line, size), NULL, &task, NULL, &err);
    if (failed == 0)
        failed = do_task(watch, task, &ns, &err);
    if (failed == 0) {
        printf("%llu\n", (unsigned long long)ns);
    } else {
        cl_error_sentence(&err, sentence, sizeof(sentence));
        printf("error: %s\n", sentence);
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct cloister_error err = {CLOISTER_INIT(struct cloister_error)};
    struct watch watch = {.client = CTL_CLIENT_INIT};
    char sentence[CL_ERROR_SENTENCE_MAX];
    CL_FREE char *line = NULL;
    size_t room = 0;
    ssize_t size;

    if (argc != 2) {
        fputs("usage: stopwatch SOCKET\n", stderr);
        return 2;
    }
    watch.socket = argv[1];
    if (ctl_client_connect(&watch.client, watch.socket, &err) < 0) {
        cl_error_sentence(&err, sentence, sizeof(sentence));
        fprintf(stderr, "stopwatch: %s\n", sentence);
        return 1;
    }
    while ((size = getline(&line, &room, stdin)) > 0)
        do_line(&watch, line, (size_t)size);
    ctl_client_close(&watch.client);
    return 0;
}
