/* SPDX-License-Identifier: Apache-2.0 */
/* spout.c - spout BYTES: writes that many bytes to stdout, 64 KiB at a time. What the output benchmark reads. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static char block[64 * 1024];
    unsigned long long left = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;

    if (left == 0) {
        fputs("usage: spout BYTES\n", stderr);
        return 2;
    }
    memset(block, 'x', sizeof(block));
    while (left > 0) {
        ssize_t wrote = write(STDOUT_FILENO, block, left < sizeof(block) ? (size_t)left : sizeof(block));
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            perror("spout: write");
            return 1;
        }
        left -= (unsigned long long)wrote;
    }
    return 0;
}
