/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal.h - this terminal while it is that of a program in a container: raw, so that every key is the program's, and
 * put back as it was however we end (but by SIGKILL).
 */
#ifndef CLOISTERCTL_TERMINAL_H
#define CLOISTERCTL_TERMINAL_H

#include <cloister/error.h>
#include <stdbool.h>
#include <stddef.h>

struct ctl_terminal {
    int signal_fd; /* readable: its size may have changed; -1 = it was never begun */
    bool raw;
};

#define CTL_TERMINAL_INIT \
    {                     \
        -1, false         \
    }

/* Our input must be one. Its size: 0 = it does not know. */
int ctl_terminal_check(struct cloister_error *err);
void ctl_terminal_size(uint32_t *ret_rows, uint32_t *ret_columns);

/* From here on changes of its size are kept for signal_fd. */
int ctl_terminal_begin(struct ctl_terminal *terminal, struct cloister_error *err);
int ctl_terminal_raw(struct ctl_terminal *terminal, struct cloister_error *err);
/* Takes what signal_fd tells. Whoever stops and continues us may have set the terminal anew. */
int ctl_terminal_changed(struct ctl_terminal *terminal, struct cloister_error *err);
void ctl_terminal_end(struct ctl_terminal *terminal);
#define CTL_TERMINAL_CLEANUP __attribute__((cleanup(ctl_terminal_end)))

/* ---- the keys that leave a program alone: ^P ^Q ---- */

struct ctl_detach {
    bool wanted; /* else every key is the program's */
    bool held;   /* a ^P that may begin them */
    bool done;
};

/* bytes: `size` of them behind one free byte. Puts what is the program's to their beginning and returns how many these
 * are; what stands behind the keys is dropped. */
size_t ctl_detach_filter(struct ctl_detach *detach, char *bytes, size_t size);

#endif
