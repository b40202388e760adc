/* SPDX-License-Identifier: Apache-2.0 */
#include "core/net/peer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "core/util/mem.h"

/* The kernel gives all groups or, when there are more than fit, none and their size. */
static int read_many_groups(int fd, socklen_t size, struct cl_peer *ret)
{
    CL_FREE gid_t *groups = cl_malloc(size);
    if (!groups)
        return -ENOMEM;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
        return -errno;
    memcpy(ret->groups, groups, sizeof(ret->groups));
    ret->group_count = CL_PEER_GROUPS_MAX;
    return 0;
}

int cl_peer_read(int fd, struct cl_peer *ret)
{
    struct cl_peer peer = {0};
    struct ucred credentials = {0};
    socklen_t size = sizeof(credentials);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
        return -errno;
    peer.uid = credentials.uid;
    peer.gid = credentials.gid;
    peer.pid = credentials.pid;
    size = sizeof(peer.groups);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer.groups, &size) == 0) {
        peer.group_count = size / sizeof(gid_t);
    } else {
        int result = errno == ERANGE && size > sizeof(peer.groups) ? read_many_groups(fd, size, &peer) : -errno;
        if (result < 0)
            return result;
    }
    *ret = peer;
    return 0;
}
