/* SPDX-License-Identifier: Apache-2.0 */
/*
 * do_pause.c - an init without a program: the keeper's own code, which only reaps and waits to be told to end.
 *
 * It stays non-dumpable, its executable is the sealed memfd, it has no descriptor but 0, 1 and 2, and the plan with its
 * strings is unmapped.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/keeper/setup.h"

static void reap_all(void)
{
    while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
        continue;
}

int cl_do_pause(struct cl_setup *setup)
{
    struct cl_report report = {.kind = CL_REPORT_PAUSED};
    const struct cl_wire_plan *plan = setup->plan;
    sigset_t wanted;

    prctl(PR_SET_NAME, plan->comm ? cl_wire_string(plan, plan->comm) : "pause", 0, 0, 0);
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, SIGINT);
    sigaddset(&wanted, SIGCHLD);
    sigprocmask(SIG_BLOCK, &wanted, NULL);
    int r = cl_report_send(setup->status, &report, NULL, 0);

    if (r < 0)
        return r;
    close_range(3, ~0U, 0);
    munmap((void *)(uintptr_t)plan, plan->size);
    for (;;) {
        int signal = sigwaitinfo(&wanted, NULL);

        if (signal == SIGTERM || signal == SIGINT)
            _exit(0);
        reap_all();
    }
}
