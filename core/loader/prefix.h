/* SPDX-License-Identifier: Apache-2.0 */
/* prefix.h - for unit tests only: a fresh directory of root's to install the plugins of tests/badplugins into. */
#ifndef CL_CORE_LOADER_PREFIX_H
#define CL_CORE_LOADER_PREFIX_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/util/check.h"
#include "core/util/fd.h"
#include "core/util/io.h"
#include "core/util/mem.h"

#define TEST_FILE_MAX (16u * 1024 * 1024)

static const char *test_built; /* where the plugins were built */
static char test_prefix[] = "/tmp/cloister-test-XXXXXX";

static inline int test_prefix_make(void)
{
    return mkdtemp(test_prefix) && chmod(test_prefix, 0755) == 0 ? 0 : -1;
}

static inline int test_prefix_remove(void)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf -- '%s'", test_prefix);
    return system(command);
}

static inline void test_write_file(const char *dir, const char *leaf, const void *data, size_t size)
{
    char path[256];
    assert_true(snprintf(path, sizeof(path), "%s/%s", dir, leaf) < (int)sizeof(path));
    (void)unlink(path);
    CL_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    assert_true(fd >= 0);
    assert_int_equal(cl_write_all(fd, data, size), 0);
    assert_int_equal(fchmod(fd, 0755), 0);
}

/* Installs a built plugin as `leaf`; of its bytes the first `size`, 0 = all. */
static inline void test_install(const char *plugin, const char *dir, const char *leaf, size_t size)
{
    char source[512];
    CL_FREE char *data = NULL;
    size_t whole;
    assert_true(snprintf(source, sizeof(source), "%s/%s.so", test_built, plugin) < (int)sizeof(source));
    assert_int_equal(cl_read_file(AT_FDCWD, source, TEST_FILE_MAX, &data, &whole), 0);
    test_write_file(dir, leaf, data, size ? size : whole);
}

#endif
