/* SPDX-License-Identifier: Apache-2.0 */
/* peer.h - who is at the other end of a Unix socket, as the kernel saw it when it connected. */
#ifndef CL_CORE_NET_PEER_H
#define CL_CORE_NET_PEER_H

#include "core/net/listener.h"

/* 0 or negative errno. Of more than CL_PEER_GROUPS_MAX groups only the first are kept: that can deny access, never
 * grant it. */
int cl_peer_read(int fd, struct cl_peer *ret);

#endif
