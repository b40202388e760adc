/* SPDX-License-Identifier: Apache-2.0 */
/* window.h - a file read piece by piece, forwards mostly: no file is held in memory, and none is mapped, for a mapping
 * turns a bad sector into a signal. */
#ifndef FILE_WINDOW_H
#define FILE_WINDOW_H

#include "bytes.h"

struct window {
    int fd; /* borrowed */
    uint64_t size;
    struct bytes held;
    uint64_t start; /* of what is held */
    int error;      /* sticky: negative errno of a failed read */
};

int window_open(struct window *window, int fd);
/* At least min(want, what the file has from there on) bytes at `offset`, valid until the next call; none after an
 * error. */
struct cloister_sv window_at(struct window *window, uint64_t offset, uint64_t want);
void window_close(struct window *window);

/* Reads all of `size` bytes at `offset`: 0, -ENODATA if the file ends before, or negative errno. */
int read_all(int fd, uint64_t offset, void *ret, size_t size);
/* Writes all of it: 0 or negative errno. */
int write_all(int fd, uint64_t offset, const void *data, size_t size);

#endif
