/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stranger.h - keepers of an earlier daemon, found by their socket `<run>/<id>/k`. A keeper is known by what it answers
 * (cookie and id) and killed through the pidfd that the socket itself gives, so that no number can be mistaken.
 * Blocking: workers only.
 */
#ifndef NS_STRANGER_H
#define NS_STRANGER_H

#include <stdbool.h>
#include <stdint.h>

/* Connects to the socket at path, without waiting: *ret_sock (non-blocking) and the keeper's pidfd. -ENOENT or
 * -ECONNREFUSED: nobody listens there; -EAGAIN: it has too many callers just now; -EACCES: who listens is not root. */
int ns_stranger_connect(const char *path, int *ret_sock, int *ret_pidfd);

/* A keeper's end waits for that of everybody below it: nudge is called again and again after the SIGKILL, for those
 * that cannot end by themselves. 1: it is dead now; else negative errno. */
int ns_stranger_end(int pidfd, uint64_t patience, void (*nudge)(void *ctx), void *ctx);

/* 1: there was one and it is dead; 0: there is none; -EPERM: another instance's, not touched; else negative errno.
 * recorded: that sandbox is written down as ours, so that a keeper which does not answer is judged by where its socket
 * is, in a directory that only we make; else it is left alone (-ETIMEDOUT). */
int ns_stranger_kill(const char *path, uint64_t cookie, const char *id, bool recorded, uint64_t patience,
                     void (*nudge)(void *ctx), void *ctx);

#endif
