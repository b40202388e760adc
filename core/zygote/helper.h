/* SPDX-License-Identifier: Apache-2.0 */
/* helper.h - programs of the host's, run once by a parent that the zygote forks for each. Those under way belong to the
 * zygote: they end with it. */
#ifndef CL_CORE_ZYGOTE_HELPER_H
#define CL_CORE_ZYGOTE_HELPER_H

#include <cloister/events.h>

#include "core/util/list.h"
#include "core/zygote/zygote.h"

struct cl_helper_args {
    int program; /* O_PATH is enough; borrowed, like all that follows */
    const char *path;
    uint32_t flags; /* CLOISTER_ZYGOTE_HELPER_* */
    const struct cloister_sv *argv;
    uint64_t argv_count;
    const struct cloister_sv *env;
    uint64_t env_count;
    const int32_t *fds;
    uint64_t fd_count;
    /* As in <cloister/host.h>. If the zygote is closed meanwhile: started with -ECANCELED, exited with LOST. */
    void (*started)(void *ctx, int32_t result, const char *step, int32_t pid, int32_t pidfd);
    void (*exited)(void *ctx, const struct cloister_status *status);
    void *ctx;
};

/* 0, and started follows; or negative errno: -E2BIG too many strings, bytes or descriptors, -EINVAL a NUL in a string,
 * or those of cl_zygote_fork. */
int cl_helper_spawn(struct cl_zygote *zygote, const struct cl_helper_args *args);

/* The zygote's own list of them. */
struct cl_helpers {
    struct cl_list live;
    unsigned handles; /* watches that are still closing, and live ones */
    cloister_fn closed;
    void *ctx;
};

void cl_helpers_init(struct cl_helpers *helpers);
/* Ends all; closed(ctx), perhaps inside the call, when nothing of them is left. */
void cl_helpers_close(struct cl_helpers *helpers, cloister_fn closed, void *ctx);

#endif
