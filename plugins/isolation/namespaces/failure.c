/* SPDX-License-Identifier: Apache-2.0 */
/* failure.c - a keeper's (step, errno, detail) as an error object that reads as a sentence. */
#include "sandbox.h"

#include <errno.h>
#include <stdio.h>

/* What the keeper was at, in words; its detail, a phrase of its own, follows. */
static const struct {
    const char *step;
    const char *words;
    uint32_t code;
} steps[] = {
    {"message", "understand the request", CLOISTER_PROTOCOL},
    {"plan", "understand the plan", CLOISTER_PROTOCOL},
    {"limit", "make room for a process", CLOISTER_LIMIT},
    {"fork", "fork", 0},
    {"slip", "find out the process's number", 0},
    {"prepare", "set up from outside", 0},
    {"own-pipes", "give the pipes to the user", 0},
    {"close", "close what is not the process's", 0},
    {"keyring", "make a session keyring", 0},
    {"join-namespace", "join namespaces", 0},
    {"enter", "enter the container", 0},
    {"borrow", "keep the host's namespaces", 0},
    {"time", "set up the time namespace", 0},
    {"clone", "make namespaces", 0},
    {"user-map", "map users", 0},
    {"id-map", "shift the owners of a file system", CLOISTER_MOUNT_FAILED},
    {"inside-root", "become root inside", 0},
    {"join-cgroup", "join cgroup", CLOISTER_CGROUP_FAILED},
    {"cgroup-namespace", "make a cgroup namespace", CLOISTER_CGROUP_FAILED},
    {"hostname", "set host name", 0},
    {"loopback", "bring up interface lo", 0},
    {"point", "wait for the host's hooks", 0},
    {"hook", "run a hook", 0},
    {"create-hook", "run a hook", 0},
    {"start-hook", "run a hook", 0},
    {"sysctl", "set sysctl", 0},
    {"root", "prepare the root file system", CLOISTER_MOUNT_FAILED},
    {"mount", "mount", CLOISTER_MOUNT_FAILED},
    {"device", "make device", CLOISTER_MOUNT_FAILED},
    {"link", "make link", CLOISTER_MOUNT_FAILED},
    {"mount-readonly", "make mounts read-only", CLOISTER_MOUNT_FAILED},
    {"readonly", "make read-only", CLOISTER_MOUNT_FAILED},
    {"mask", "mask path", CLOISTER_MOUNT_FAILED},
    {"pivot", "change the root", CLOISTER_MOUNT_FAILED},
    {"root-flags", "set the root's mount flags", CLOISTER_MOUNT_FAILED},
    {"nice", "set niceness", 0},
    {"resolve", "find out who the user is", CLOISTER_INVALID},
    {"home", "make working directory", CLOISTER_BAD_CWD},
    {"session", "start a session", 0},
    {"bounding", "drop capabilities from the bounding set", 0},
    {"groups", "set groups", 0},
    {"user", "set user", 0},
    {"capabilities", "set capabilities", 0},
    {"cwd", "enter working directory", CLOISTER_BAD_CWD},
    {"start", "wait to be started", 0},
    {"stdio", "set up standard descriptors", 0},
    {"priority", "set priorities", 0},
    {"scheduler", "set scheduling", 0},
    {"io-priority", "set priority for disks", 0},
    {"rlimit", "set resource limits", 0},
    {"personality", "set execution domain", 0},
    {"oom-score", "set OOM score", 0},
    {"no-new-privs", "set no_new_privs", 0},
    {"seccomp", "load seccomp filter", 0},
    {"exec", "execute", CLOISTER_EXEC_FAILED},
};

static uint32_t code_of(int os_errno)
{
    switch (os_errno) {
    case ECANCELED:
        return CLOISTER_CANCELLED;
    case ESRCH:
    case ENOENT:
        return CLOISTER_NO_ENTITY;
    case EPERM:
    case EACCES:
        return CLOISTER_DENIED;
    case ENOSPC:
        return CLOISTER_NO_SPACE;
    case EAGAIN:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return CLOISTER_LIMIT;
    default:
        return CLOISTER_IO;
    }
}

/* The detail is the program's name in quotes; a subject has none. */
static void look_up_failed(const struct cloister_log_api *log, struct cloister_error *err,
                           const struct cl_wire_answer *answer)
{
    char subject[CL_WIRE_DETAIL_MAX];
    size_t size = strlen(answer->detail);

    snprintf(subject, sizeof(subject), "%.*s", size >= 2 ? (int)(size - 2) : 0, answer->detail + (size >= 2));
    if (answer->os_errno == ENOENT || answer->os_errno == ENOTDIR)
        log->error_set(err, CLOISTER_NO_EXECUTABLE, answer->os_errno, subject, "find", "find executable %s",
                       answer->detail);
    else
        log->error_set(err, CLOISTER_NOT_EXECUTABLE, answer->os_errno, subject, "find", "%s is not executable",
                       answer->detail);
}

/* No call failed: there is no errno to tell. */
static void process_died(const struct cloister_log_api *log, struct cloister_error *err,
                         const struct cl_wire_answer *answer)
{
    log->error_set(err, answer->os_errno == ENOMEM ? CLOISTER_LIMIT : CLOISTER_EXEC_FAILED, 0, "", "exec", "%s",
                   answer->detail);
}

static void step_failed(const struct cloister_log_api *log, struct cloister_error *err,
                        const struct cl_wire_answer *answer)
{
    const char *words = answer->step;
    uint32_t code = 0;

    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        if (strcmp(steps[i].step, answer->step) == 0) {
            words = steps[i].words;
            code = steps[i].code;
        }
    }
    if (strcmp(answer->step, "resolve") == 0 && answer->os_errno == ENOENT)
        code = CLOISTER_USER_UNKNOWN;
    if (strcmp(answer->step, "resolve") == 0 && answer->os_errno == ESRCH)
        code = CLOISTER_GROUP_UNKNOWN;
    if (code == 0 || answer->os_errno == ECANCELED)
        code = code_of(answer->os_errno);
    if (answer->detail[0]) {
        log->error_set(err, code, answer->os_errno, answer->detail, answer->step, "%s", answer->detail);
        log->error_wrap(err, "%s", words);
    } else {
        log->error_set(err, code, answer->os_errno, "", answer->step, "%s", words);
    }
}

void ns_keeper_error(const struct ns_instance *instance, struct cloister_error *err, const struct cl_packet *answer,
                     int os_errno)
{
    const struct cloister_log_api *log = instance->host->log;

    if (answer == NULL || answer->u.head.type != CL_WIRE_ANSWER)
        log->error_set(err, CLOISTER_LOST, 0, "", "keeper",
                       os_errno == ECANCELED ? "the connection to its keeper was closed" : "its keeper has died");
    else if (strcmp(answer->u.answer.step, "find") == 0)
        look_up_failed(log, err, &answer->u.answer);
    else if (strcmp(answer->u.answer.step, "died") == 0)
        process_died(log, err, &answer->u.answer);
    else
        step_failed(log, err, &answer->u.answer);
}
