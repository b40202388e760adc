/* SPDX-License-Identifier: Apache-2.0 */
/* drain.c - the reader of the output benchmark, the same for a bare pipe and for what the daemon sends. */
#include "core/error/error.h"
#include "stopwatch.h"
#include <errno.h>
#include <unistd.h>

int watch_drain(int fd, uint64_t *ret_bytes, struct cloister_error *err)
{
    static char block[256 * 1024];
    uint64_t bytes = 0;

    for (;;) {
        ssize_t got = read(fd, block, sizeof(block));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return cl_error_set(err, CLOISTER_IO, errno, NULL, NULL, "read the output");
        if (got == 0)
            break;
        bytes += (uint64_t)got;
    }
    *ret_bytes = bytes;
    return 0;
}

int watch_check_bytes(const cloister_value *task, uint64_t bytes, struct cloister_error *err)
{
    uint64_t wanted = watch_number(task, "bytes");

    if (bytes == wanted)
        return 0;
    return cl_error_set(err, CLOISTER_PROTOCOL, 0, NULL, NULL, "%llu bytes came, not %llu", (unsigned long long)bytes,
                        (unsigned long long)wanted);
}
