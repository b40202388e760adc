/* SPDX-License-Identifier: Apache-2.0 */
/* test_host.h - what a compiler test needs of a host: the value and log tables of the real one, linked in. */
#ifndef NS_TEST_HOST_H
#define NS_TEST_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "compile.h"

extern const struct cloister_value_api cl_value_table;
extern const struct cloister_log_api cl_host_log;

/* The hybrid machine the project is developed on, with every mount below `prefix`. */
#define NS_TEST_MOUNTINFO(prefix)                                                         \
    "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n"                             \
    "32 31 0:29 / " prefix "/cpu rw,relatime - cgroup cgroup rw,cpu\n"                    \
    "34 31 0:31 / " prefix "/cpuset rw,relatime shared:7 - cgroup cgroup rw,cpuset\n"     \
    "35 31 0:32 / " prefix "/memory rw,relatime - cgroup cgroup rw,memory\n"              \
    "36 31 0:33 / " prefix "/devices rw,relatime - cgroup cgroup rw,devices\n"            \
    "39 31 0:36 / " prefix "/pids rw,relatime - cgroup cgroup rw,pids\n"                  \
    "40 31 0:37 / " prefix "/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd\n" \
    "41 31 0:38 / " prefix "/unified rw,relatime - cgroup2 cgroup2 rw\n"

static inline struct ns_reader ns_test_reader(struct cloister_error *err)
{
    *err = (struct cloister_error)CLOISTER_ERROR_INIT;
    return (struct ns_reader){&cl_host_log, &cl_value_table, err};
}

#endif
