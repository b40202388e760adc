/* SPDX-License-Identifier: Apache-2.0 */
/* attach.c - readers of captured output and writers of stdin: attach, attach_policy, stdin, stdin_close. */
#include <errno.h>

#include "call.h"
#include "stdset.h"

static const struct cloister_log_api *log_of(const struct ns_call *call)
{
    return call->base.instance->host->log;
}

static void not_captured(struct ns_call *call, uint32_t fd)
{
    log_of(call)->error_set(&call->base.err, CLOISTER_UNSUPPORTED, 0, "fd", "attach",
                            "descriptor %u of the process is not captured", fd);
}

static void slot_refused(struct ns_call *call, const struct cloister_attach_args *attach, int rc)
{
    const struct cloister_log_api *log = log_of(call);
    struct cloister_error *err = &call->base.err;

    if (rc == -ENODATA)
        not_captured(call, attach->fd);
    else if (rc == -ERANGE)
        log->error_set(err, CLOISTER_INVALID, 0, "position", "attach", "byte %llu has not been written yet",
                       (unsigned long long)attach->position);
    else if (rc == -EBUSY)
        log->error_set(err, CLOISTER_LIMIT, 0, "16 readers", "attach", "the process has %u readers already",
                       CL_TAPE_SLOTS);
    else
        log->error_set(err, rc == -ENOMEM ? CLOISTER_LIMIT : CLOISTER_IO, -rc, "", "attach", "make a stream");
}

/* The tape is there: a slot in it and a stream from there on. Takes the reference. */
static void read_tape(struct ns_call *call, struct ns_tape *tape)
{
    const struct ns_instance *instance = call->base.instance;
    const struct cloister_iso_attach_args *args = call->args;
    const struct cloister_attach_args *attach = args->attach;
    struct ns_slot_want want = {
        .fd = attach->fd,
        .from = attach->from,
        .policy = attach->policy == CLOISTER_POLICY_BLOCK ? CL_TAPE_SLOT_BLOCK : CL_TAPE_SLOT_DROP,
        .era = call->sandbox->era,
        .position = attach->position,
    };
    struct ns_slot_got got;
    int rc;

    ns_halt_before(instance, NS_STEP_attach_slot);
    rc = ns_output_open(call->sandbox, tape, &want, &got, &call->result.stream);
    ns_halt_after(instance, NS_STEP_attach_slot);
    if (rc < 0)
        slot_refused(call, attach, rc);
    else
        call->result.position = got.position, call->result.lost = got.lost, call->result.end = got.end;
    ns_tape_unref(call->sandbox, tape);
}

static void tape_came(struct ns_call *call, struct cl_packet *answer)
{
    const struct cloister_iso_attach_args *args = call->args;
    struct ns_tape *tape;
    int rc;

    ns_halt_after(call->base.instance, NS_STEP_attach_tape);
    rc = ns_tape_open(call->sandbox, args->attach->process, answer, &tape);
    if (rc == 0)
        read_tape(call, tape);
    else
        log_of(call)->error_set(&call->base.err, rc == -ENOMEM ? CLOISTER_LIMIT : CLOISTER_PROTOCOL, -rc, "", "attach",
                                "map the process's captured output");
}

static bool no_such_process(struct ns_call *call, int os_errno)
{
    if (os_errno != ENOENT)
        return false;
    log_of(call)->error_set(&call->base.err, CLOISTER_NO_ENTITY, 0, "process", "find", "no such process");
    return true;
}

static bool no_tape(struct ns_call *call, int os_errno)
{
    const struct cloister_iso_attach_args *args = call->args;

    if (os_errno != ENODATA)
        return no_such_process(call, os_errno);
    not_captured(call, args->attach->fd);
    return true;
}

static bool attach_ok(struct ns_call *call, const struct cloister_attach_args *attach)
{
    struct ns_reader r = ns_reader(call->base.instance, &call->base.err);

    if (attach->from < CLOISTER_ATTACH_LIVE || attach->from > CLOISTER_ATTACH_POSITION)
        ns_refuse_at(&r, CLOISTER_INVALID, "from", "%u is no place to attach from", attach->from);
    else if (attach->policy != CLOISTER_POLICY_BLOCK && attach->policy != CLOISTER_POLICY_DROP)
        ns_refuse_at(&r, CLOISTER_INVALID, "policy", "%u is not a policy of a reader", attach->policy);
    else if (attach->fd >= CL_TAPE_COUNT)
        not_captured(call, attach->fd);
    return call->base.err.code == 0;
}

void ns_attach(void *ctx, const struct cloister_iso_attach_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    const struct cloister_attach_args *attach = args->attach;
    struct ns_call *call = ns_call_new(instance, &args->sandbox, attach->container, args, number);
    struct cl_wire_process message;
    struct ns_tape *tape = NULL;

    if (call == NULL)
        return;
    call->finish = tape_came;
    call->refused = no_tape;
    if (attach_ok(call, attach))
        tape = ns_tape_find(call->sandbox, attach->process);
    if (tape)
        read_tape(call, tape);
    if (tape || call->base.err.code != 0) {
        ns_call_end(call);
        return;
    }
    cl_wire_init(&message, CL_WIRE_TAPE, 0);
    message.pseq = attach->process;
    ns_halt_before(instance, NS_STEP_attach_tape);
    ns_call_send(call, &message, NULL, 0);
}

static bool no_policy(struct ns_call *call, int os_errno)
{
    const struct cloister_iso_attach_policy_args *args = call->args;

    if (os_errno != ENODATA)
        return no_such_process(call, os_errno);
    not_captured(call, args->policy->fd);
    return true;
}

void ns_attach_policy(void *ctx, const struct cloister_iso_attach_policy_args *args, cloister_op number)
{
    const struct cloister_attach_policy_args *policy = args->policy;
    struct ns_call *call = ns_call_new(ctx, &args->sandbox, policy->container, args, number);
    struct cl_wire_policy message;
    struct ns_reader r;

    if (call == NULL)
        return;
    r = ns_reader(call->base.instance, &call->base.err);
    if (ns_policy(policy->policy) == NS_NO_POLICY || policy->window > CL_TAPE_WINDOW_MAX ||
        policy->fd >= CL_TAPE_COUNT) {
        ns_refuse_at(&r, CLOISTER_INVALID, "policy", "no such policy, window or descriptor");
        ns_call_end(call);
        return;
    }
    cl_wire_init(&message, CL_WIRE_POLICY, 0);
    message.pseq = policy->process;
    message.fd = policy->fd;
    message.policy = ns_policy(policy->policy);
    message.window = policy->window;
    call->refused = no_policy;
    ns_call_send(call, &message, NULL, 0);
}

static bool no_stdin(struct ns_call *call, int os_errno)
{
    if (os_errno == EPIPE)
        log_of(call)->error_set(&call->base.err, CLOISTER_INVALID_STATE, 0, "stdin", "stdin",
                                "stdin of the process has been closed");
    else if (os_errno == ENODATA)
        log_of(call)->error_set(&call->base.err, CLOISTER_UNSUPPORTED, 0, "stdin", "stdin",
                                "stdin of the process is not a pipe");
    else
        return no_such_process(call, os_errno);
    return true;
}

static void writer_came(struct ns_call *call, struct cl_packet *answer)
{
    const struct cloister_host *host = call->base.instance->host;
    int rc = answer->fd_count == 1 ? host->stream->from_fd(host, ns_steal_fd(&answer->fds[0]), &call->result.stream)
                                   : -EBADMSG;

    if (rc < 0)
        host->log->error_set(&call->base.err, rc == -EBADMSG ? CLOISTER_PROTOCOL : CLOISTER_LIMIT, -rc, "", "stdin",
                             "make a stream");
}

static void ask_stdin(struct ns_instance *instance, const struct cloister_iso_stdin_args *args, uint32_t type,
                      void (*finish)(struct ns_call *call, struct cl_packet *answer), cloister_op number)
{
    struct ns_call *call = ns_call_new(instance, &args->sandbox, CLOISTER_SV(""), args, number);
    struct cl_wire_process message;

    if (call == NULL)
        return;
    cl_wire_init(&message, type, 0);
    message.pseq = args->process;
    call->finish = finish;
    call->refused = no_stdin;
    ns_call_send(call, &message, NULL, 0);
}

void ns_stdin(void *ctx, const struct cloister_iso_stdin_args *args, cloister_op number)
{
    ask_stdin(ctx, args, CL_WIRE_STDIN, writer_came, number);
}

void ns_stdin_close(void *ctx, const struct cloister_iso_stdin_args *args, cloister_op number)
{
    ask_stdin(ctx, args, CL_WIRE_STDIN_CLOSE, NULL, number);
}
