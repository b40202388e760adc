/* SPDX-License-Identifier: Apache-2.0 */
/* relay.h - bytes from one stream to another, as <cloister/stream.h> says. */
#ifndef CL_CORE_NET_RELAY_H
#define CL_CORE_NET_RELAY_H

#include <cloister/stream.h>

#include "core/loop/loop.h"
#include "core/util/map.h"

/* Those under way. All zero to begin with. */
struct cl_relays {
    struct cl_map live;
    cloister_op last;
};

/* 0 and a token that is never reused; -EINVAL, -ENOMEM, -EBUSY (a side is somebody's), -EPIPE (a stream is being
 * closed). */
int cl_relay_start(struct cl_relays *relays, struct cl_loop *loop, const struct cloister_relay_args *args,
                   cloister_op *ret);
void cl_relay_cancel(struct cl_relays *relays, cloister_op op);
/* After the last one is done. */
void cl_relays_free(struct cl_relays *relays);

#endif
