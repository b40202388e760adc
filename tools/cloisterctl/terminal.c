/* SPDX-License-Identifier: Apache-2.0 */
/* terminal.c - see terminal.h. What is saved is global: exit handlers and signal handlers have no other way to it. */
#include "terminal.h"
#include "core/error/error.h"
#include "core/util/fd.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#define CTRL_P 0x10
#define CTRL_Q 0x11

static struct termios saved;
static volatile sig_atomic_t is_raw;

int ctl_terminal_check(struct cloister_error *err)
{
    if (isatty(STDIN_FILENO))
        return 0;
    return cl_error_set(err, CLOISTER_NOT_TTY, 0, NULL, NULL,
                        "our input is not a terminal: leave -t out, and it is passed on as it is");
}

void ctl_terminal_size(uint32_t *ret_rows, uint32_t *ret_columns)
{
    struct winsize size = {0};

    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
        (void)memset(&size, 0, sizeof(size));
    *ret_rows = size.ws_row;
    *ret_columns = size.ws_col;
}

static void restore(void)
{
    if (!is_raw)
        return;
    is_raw = 0;
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
}

/* The default action follows when it has returned (SA_RESETHAND). */
static void on_fatal(int number)
{
    restore();
    (void)raise(number);
}

/* Signals that somebody else takes (a signalfd) stay blocked and never come here; those that were ignored when we were
 * started stay ignored. */
static int restore_at_any_end(struct cloister_error *err)
{
    static const int fatal[] = {SIGINT,  SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2,
                                SIGALRM, SIGSEGV, SIGBUS, SIGABRT, SIGFPE,  SIGILL};
    static bool done;
    struct sigaction action = {.sa_handler = on_fatal, .sa_flags = SA_RESETHAND}, old;

    if (done)
        return 0;
    if (atexit(restore) != 0)
        return cl_error_set(err, CLOISTER_LIMIT, ENOMEM, NULL, NULL, "keep the terminal's settings");
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
        if (sigaction(fatal[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            (void)sigaction(fatal[i], &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* a write that fails is told, and the terminal is put back on the way out */
    done = true;
    return 0;
}

int ctl_terminal_begin(struct ctl_terminal *terminal, struct cloister_error *err)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGWINCH);
    (void)sigaddset(&set, SIGCONT);
    /* Blocked, or the kernel drops a SIGWINCH that nobody handles before a signalfd could tell of it. */
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return cl_error_set(err, CLOISTER_IO, errno, NULL, NULL, "block signals");
    terminal->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (terminal->signal_fd < 0)
        return cl_error_set(err, CLOISTER_IO, errno, NULL, NULL, "make a signal descriptor");
    return 0;
}

static int set_raw(struct cloister_error *err)
{
    struct termios raw = saved;

    cfmakeraw(&raw);
    is_raw = 1;
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
        return cl_error_set(err, CLOISTER_IO, errno, NULL, NULL, "set the terminal");
    return 0;
}

int ctl_terminal_raw(struct ctl_terminal *terminal, struct cloister_error *err)
{
    if (tcgetattr(STDIN_FILENO, &saved) < 0)
        return cl_error_set(err, CLOISTER_NOT_TTY, errno, NULL, NULL, "read the terminal's settings");
    int failed = restore_at_any_end(err);
    if (failed == 0)
        failed = set_raw(err);
    terminal->raw = failed == 0;
    return failed;
}

int ctl_terminal_changed(struct ctl_terminal *terminal, struct cloister_error *err)
{
    struct signalfd_siginfo info;
    bool continued = false;

    while (read(terminal->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        continued |= info.ssi_signo == SIGCONT;
    return continued && terminal->raw ? set_raw(err) : 0;
}

void ctl_terminal_end(struct ctl_terminal *terminal)
{
    restore();
    terminal->raw = false;
    cl_closep(&terminal->signal_fd);
}

size_t ctl_detach_filter(struct ctl_detach *detach, char *bytes, size_t size)
{
    const char *from = bytes + 1;
    size_t kept = 0;

    for (size_t i = 0; i < size && !detach->done; i++) {
        char key = from[i];
        if (detach->held && key == CTRL_Q) {
            detach->done = true;
            break;
        }
        if (detach->held)
            bytes[kept++] = CTRL_P;
        detach->held = detach->wanted && key == CTRL_P;
        if (!detach->held)
            bytes[kept++] = key;
    }
    return kept;
}
