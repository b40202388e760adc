/* SPDX-License-Identifier: Apache-2.0 */
/* output.c - a container's output through the API: raw bytes on a socket of our own, which `attach` hands over. */
#include "core/error/error.h"
#include "core/util/fd.h"
#include "core/util/mem.h"
#include "stopwatch.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static int send_attach(struct watch *watch, const cloister_value *sandbox, int stream, uint64_t *ret_id,
                       struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *params = watch_target(sandbox, NULL);
    const struct ctl_fds fds = {.roles = {"stream"}, .fds = {stream}, .count = 1};

    if (!params || cl_value_set_cstr(params, "fd", cl_value_new_u64(1)) < 0 ||
        cl_value_set_cstr(params, "from", cl_value_new_cstr("oldest")) < 0 ||
        cl_value_set_cstr(params, "policy", cl_value_new_cstr("block")) < 0)
        return watch_no_memory(err);
    return ctl_client_send(&watch->client, "attach", cl_steal_ptr(&params), &fds, ret_id, err);
}

/* The answer comes when the stream has ended, and says how. */
static int check_answer(struct watch *watch, uint64_t id, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *message = NULL;
    CL_VALUE_CLEANUP cloister_value *result = NULL;
    int got;

    while ((got = ctl_client_next(&watch->client, &message, err)) == 0)
        if ((got = ctl_client_fill(&watch->client, err)) < 0)
            return got;
    if (got < 0)
        return got;
    if (!ctl_message_answers(message, id))
        return cl_error_set(err, CLOISTER_PROTOCOL, 0, NULL, NULL, "attach: another request was answered");
    int failed = ctl_message_result(message, &result, err);
    if (failed < 0) {
        cl_error_wrap(err, "attach");
        return failed;
    }
    const char *verdict = cl_value_cstr(cl_value_get_cstr(result, "verdict"));
    if (!verdict || strcmp(verdict, "eof") != 0 || watch_number(result, "lost") != 0)
        return cl_error_set(err, CLOISTER_PROTOCOL, 0, NULL, NULL, "attach: verdict '%s', %llu bytes lost",
                            verdict ? verdict : "", (unsigned long long)watch_number(result, "lost"));
    return 0;
}

/* Reads it all. A refused request closes our stream, so that the bytes end and the answer says why. */
static int read_all(struct watch *watch, const cloister_value *task, const cloister_value *sandbox, uint64_t *ret_ns,
                    struct cloister_error *err)
{
    int ends[2];
    uint64_t id = 0, bytes = 0;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return cl_error_set(err, CLOISTER_IO, errno, NULL, NULL, "make a pair of sockets");
    CL_CLOSE int ours = ends[0];
    CL_CLOSE int theirs = ends[1];
    uint64_t begin = watch_now();
    int failed = send_attach(watch, sandbox, theirs, &id, err);
    if (failed < 0)
        return failed;
    cl_closep(&theirs);
    failed = watch_drain(ours, &bytes, err);
    *ret_ns = watch_now() - begin;
    if (failed == 0)
        failed = check_answer(watch, id, err);
    return failed == 0 ? watch_check_bytes(task, bytes, err) : failed;
}

int watch_output(struct watch *watch, const cloister_value *task, uint64_t *ret_ns, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *created = NULL;

    int failed = watch_call(watch, "create", cl_value_copy(cl_value_get_cstr(task, "params")), &created, err);
    if (failed < 0)
        return failed;
    const cloister_value *sandbox = cl_value_get_cstr(created, "id");
    failed = read_all(watch, task, sandbox, ret_ns, err);
    if (failed == 0)
        failed = watch_wait(watch, sandbox, NULL, err);
    int gone = watch_call(watch, "destroy", watch_target(sandbox, NULL), NULL, failed == 0 ? err : NULL);
    return failed < 0 ? failed : gone;
}
