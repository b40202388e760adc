/* SPDX-License-Identifier: Apache-2.0 */
/* zygote.h - the keeper program as a zygote: the daemon's side of <cloister/zygote.h>, one request at a time. */
#ifndef KIT_ZYGOTE_H
#define KIT_ZYGOTE_H

#include <cloister/host.h>
#include <stdbool.h>

/* Executes `keeper`, from a sealed copy. False and a sentence on stderr. */
bool kit_zygote_start(const char *keeper);
void kit_zygote_end(void);

/* The slot zygote_fork. Without a zygote: -EOPNOTSUPP. */
int32_t kit_zygote_fork(const struct cloister_host *host, const char *role, const int32_t *fds, uint32_t fd_count,
                        void (*fn)(void *ctx, int32_t result, const char *step, int32_t pid, int32_t pidfd,
                                   int32_t socket),
                        void *ctx);

#endif
