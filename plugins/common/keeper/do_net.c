/* SPDX-License-Identifier: Apache-2.0 */
/* do_net.c - a new network namespace has a loopback link that is down. */
#include <errno.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/keeper/fd.h"
#include "common/keeper/setup.h"

int cl_do_loopback(struct cl_setup *setup)
{
    struct ifreq request = {.ifr_name = "lo"};

    if (!(setup->plan->flags & CL_WIRE_PLAN_LOOPBACK))
        return 0;
    CL_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return cl_setup_detail(setup, -errno, "link 'lo'");
    request.ifr_flags |= IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return cl_setup_detail(setup, -errno, "bring link 'lo' up");
    return 0;
}
