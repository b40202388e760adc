/* SPDX-License-Identifier: Apache-2.0 */
#include "core/util/base32.h"

#include <errno.h>
#include <sys/random.h>

static const char alphabet[33] = "abcdefghijklmnopqrstuvwxyz234567";

static int random_bytes(void *buffer, size_t size)
{
    /* Up to 256 bytes come whole once the pool is initialised, signals or not (getrandom(2)). */
    ssize_t got;
    do {
        got = getrandom(buffer, size, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    return (size_t)got == size ? 0 : -EIO;
}

int cl_id_make(char ret_id[CL_ID_SIZE])
{
    unsigned char bytes[CL_ID_CHARS];
    int r = random_bytes(bytes, sizeof(bytes));
    if (r < 0)
        return r;
    for (unsigned i = 0; i < CL_ID_CHARS; i++)
        ret_id[i] = alphabet[bytes[i] % 32];
    ret_id[CL_ID_CHARS] = 0;
    return 0;
}

bool cl_id_valid(struct cloister_sv text)
{
    if (text.size != CL_ID_CHARS)
        return false;
    for (unsigned i = 0; i < CL_ID_CHARS; i++) {
        if (!memchr(alphabet, text.data[i], 32))
            return false;
    }
    return true;
}

int cl_random_u64(uint64_t *ret_number)
{
    uint64_t number = 0;
    while (number == 0) {
        int r = random_bytes(&number, sizeof(number));
        if (r < 0)
            return r;
    }
    *ret_number = number;
    return 0;
}
