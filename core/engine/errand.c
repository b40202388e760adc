/* SPDX-License-Identifier: Apache-2.0 */
#include "core/engine/errand.h"

#include <signal.h>

#include "core/engine/freeze.h"
#include "core/engine/operation.h"
#include "core/log/log.h"

static void on_done(void *ctx, const struct cloister_error *err, const void *data)
{
    (void)data;
    cl_operation_finish(ctx, err, NULL);
}

static void cancel(struct cl_operation *operation)
{
    cl_operation_cancel_call(operation);
}

/* What stands still dies when it runs. */
static void on_killed(void *ctx, const struct cloister_error *err, const void *data)
{
    (void)data;
    struct cl_operation *operation = ctx;
    struct cl_container *container = cl_container_find(operation->sandbox, operation->own_kill.container, NULL);
    if (!err && container && cl_frozen_let_die(operation, container))
        return;
    cl_operation_finish(operation, err, NULL);
}

static void begin_kill_process(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (CL_ISO_CALL(operation, signal, &operation->iso.signal, on_done, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static void begin_kill_container(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (CL_ISO_CALL(operation, container_kill, &operation->iso.kill, on_killed, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static void begin_release(struct cl_operation *operation)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (CL_ISO_CALL(operation, release, &operation->iso.release, on_done, &err) < 0)
        cl_operation_finish(operation, &err, NULL);
}

static const struct cl_operation_class kill_process = {
    .name = "kill", .verb = "kill a process of", .begin = begin_kill_process, .cancel = cancel};
static const struct cl_operation_class kill_container = {
    .name = "kill", .verb = "kill the rest of", .begin = begin_kill_container, .cancel = cancel};
static const struct cl_operation_class release = {
    .name = "release", .verb = "release a process of", .begin = begin_release, .cancel = cancel};

void cl_errand_kill_process(struct cl_process *process)
{
    struct cl_sandbox *sandbox = process->sandbox;
    struct cl_operation *errand = !sandbox->made ? NULL : cl_operation_errand(sandbox, &kill_process);
    if (!errand)
        return;
    errand->own_signal = (struct cloister_signal_args){CLOISTER_INIT(struct cloister_signal_args), .signal = SIGKILL,
                                                       .sandbox = cl_sandbox_id(sandbox), .process = process->number,
                                                       .scope = CLOISTER_SIGNAL_PROCESS};
    errand->iso.signal = (struct cloister_iso_signal_args){CLOISTER_INIT(struct cloister_iso_signal_args),
                                                           .signal = &errand->own_signal};
    cl_sandbox_identity(sandbox, &errand->iso.signal.sandbox);
    (void)cl_operation_start(errand, 0, CL_CLAIM_NONE);
}

void cl_errand_kill_container(struct cl_container *container)
{
    struct cl_sandbox *sandbox = container->sandbox;
    struct cl_operation *errand = !sandbox->made ? NULL : cl_operation_errand(sandbox, &kill_container);
    if (!errand)
        return;
    errand->own_kill = (struct cloister_container_kill_args){
        CLOISTER_INIT(struct cloister_container_kill_args), .set = CLOISTER_KILL_ALL, .sandbox = cl_sandbox_id(sandbox),
        .container = cl_arena_sv(&errand->arena, cl_sv_cstr(container->cid)), .signal = SIGKILL};
    if (errand->arena.failed) { /* it would mean another container */
        (void)cl_operation_drop(errand);
        cl_log(CL_LOG_ERROR, CL_ENGINE_AREA, "no memory to kill the rest of %s", sandbox->id);
        return;
    }
    errand->iso.kill =
        (struct cloister_iso_kill_args){CLOISTER_INIT(struct cloister_iso_kill_args), .kill = &errand->own_kill};
    cl_sandbox_identity(sandbox, &errand->iso.kill.sandbox);
    (void)cl_operation_start(errand, 0, CL_CLAIM_NONE);
}

void cl_errand_release(struct cl_sandbox *sandbox, cloister_process number)
{
    struct cl_operation *errand =
        !sandbox->made || !sandbox->backend->vtable->release ? NULL : cl_operation_errand(sandbox, &release);
    if (!errand)
        return;
    errand->iso.release =
        (struct cloister_iso_release_args){CLOISTER_INIT(struct cloister_iso_release_args), .process = number};
    cl_sandbox_identity(sandbox, &errand->iso.release.sandbox);
    (void)cl_operation_start(errand, 0, CL_CLAIM_NONE);
}
