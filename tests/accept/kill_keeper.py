#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill_keeper.py KEEPER PROCS - kills a keeper and looks, by pidfd, that 1 s later every process of its sandbox has ended.

PROCS is the cgroup.procs file of the sandbox. A pidfd stays the process's own, so a pid that is used again cannot deceive.
"""
import os
import select
import signal
import sys
import time


def main():
    keeper, procs = int(sys.argv[1]), sys.argv[2]
    with open(procs, encoding="ascii") as file:
        pids = [int(line) for line in file]
    if len(pids) < 3:
        print(f"    only {len(pids)} processes in {procs}: the container did not double-fork")
        return 1
    watched = {os.pidfd_open(pid): pid for pid in pids + [keeper]}
    os.kill(keeper, signal.SIGKILL)
    time.sleep(1)
    poll = select.poll()
    for fd in watched:
        poll.register(fd, select.POLLIN)
    ended = {fd for fd, _ in poll.poll(0)}
    for fd in set(watched) - ended:
        print(f"    process {watched[fd]} lives on")
    return 0 if ended == set(watched) else 1


if __name__ == "__main__":
    sys.exit(main())
