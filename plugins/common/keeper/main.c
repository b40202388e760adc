/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloister-keeper - the small static program that outlives the daemon: `cloister-keeper zygote` with a socket as
 * descriptor 3; `cloister-keeper steps` names the steps that make a process, for tests. Everything else about it is in
 * ARCHITECTURE.md and in the comments of zygote.c, sandbox.c and steps.c.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "common/keeper/steps.h"
#include "common/keeper/zygote.h"

/* Dispositions and mask may come from anybody: an inherited SIG_IGN of SIGCHLD would make exit codes vanish. */
static void baseline(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int signal = 1; signal < NSIG; signal++)
        sigaction(signal, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    umask(0); /* each mode we give is meant as it is written */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "steps") == 0)
        return cl_steps_print() < 0 ? 1 : 0;
    if (argc != 2 || strcmp(argv[1], "zygote") != 0) {
        fputs("cloister-keeper: started by cloisterd, as 'cloister-keeper zygote' with its socket as descriptor 3\n",
              stderr);
        return 2;
    }
    baseline();
    return cl_zygote_run();
}
