/* SPDX-License-Identifier: Apache-2.0 */
/* state.c - whether anything can be done in a sandbox or a container now, and the sentence that says why not. */
#include "core/engine/records.h"
#include "core/engine/sandbox.h"
#include "core/error/error.h"

static int refuse(const struct cl_sandbox *sandbox, struct cloister_error *err)
{
    bool off = sandbox->state == CLOISTER_SANDBOX_OFF;
    uint32_t state = sandbox->gate_closed ? CLOISTER_SANDBOX_DESTROYING : sandbox->state;
    int r = state == CLOISTER_SANDBOX_DESTROYING
                ? cl_error_set(err, CLOISTER_INVALID_STATE, 0, NULL, NULL, "it is being destroyed")
                : cl_error_set(err, CLOISTER_INVALID_STATE, 0, NULL, NULL, "it is %s%s%s%s, not up",
                               cl_sandbox_state_name(state), off ? " (" : "", off ? cl_cause_name(sandbox->cause) : "",
                               off ? ")" : "");
    if (err)
        err->detail = state;
    return r;
}

int cl_sandbox_check_up(const struct cl_sandbox *sandbox, struct cloister_error *err)
{
    return sandbox->gate_closed || sandbox->state != CLOISTER_SANDBOX_UP ? refuse(sandbox, err) : 0;
}

int cl_sandbox_check_coming(const struct cl_sandbox *sandbox, struct cloister_error *err)
{
    bool making = sandbox->state == CLOISTER_SANDBOX_CREATING && sandbox->creating;
    return making && !sandbox->gate_closed ? 0 : cl_sandbox_check_up(sandbox, err);
}

int cl_container_check_live(const struct cl_container *container, struct cloister_error *err)
{
    if (container->deleting) {
        int r =
            cl_error_set(err, CLOISTER_INVALID_STATE, 0, NULL, NULL, "container '%s' is being deleted", container->cid);
        if (err)
            err->detail = container->state;
        return r;
    }
    if (container->state != CLOISTER_CONTAINER_STOPPED && !container->ending)
        return 0;
    int r = cl_error_set(err, CLOISTER_INVALID_STATE, 0, NULL, NULL, "container '%s' has stopped", container->cid);
    if (err)
        err->detail = CLOISTER_CONTAINER_STOPPED;
    return r;
}
