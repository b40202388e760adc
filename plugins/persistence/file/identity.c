/* SPDX-License-Identifier: Apache-2.0 */
#include "identity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "line.h"
#include "window.h"

#define NAME "store"
#define MAGIC "CLSTORE "

static int parse(struct cloister_sv text, struct identity *ret)
{
    struct identity identity = {.salt = 0};
    size_t size;
    uint64_t format = 0;
    if (line_check(text, 0, &size) != LINE_GOOD)
        return IDENTITY_DAMAGED;
    struct line_reader reader = {.at = text.data, .end = text.data + size};
    line_word(&reader, MAGIC);
    line_number(&reader, "format=", 10, &format);
    if (!reader.failed && format > IDENTITY_FORMAT)
        return IDENTITY_NEWER;
    line_text(&reader, "uuid=", identity.uuid, sizeof(identity.uuid));
    line_number(&reader, "salt=", 16, &identity.salt);
    line_number(&reader, "epoch=", 10, &identity.epoch);
    if (reader.failed || format != IDENTITY_FORMAT || size != text.size)
        return IDENTITY_DAMAGED;
    *ret = identity;
    return IDENTITY_GOOD;
}

int identity_read(const struct place *place, struct identity *ret)
{
    struct window window;
    FD_CLEANUP int fd = place_file(place->fd, NAME, O_RDONLY);
    if (fd < 0)
        return fd == -ENOENT ? (int)IDENTITY_ABSENT : fd;
    int r = window_open(&window, fd);
    if (r < 0)
        return r;
    struct cloister_sv text = window_at(&window, 0, LINE_MAX_BYTES);
    r = window.error ? window.error : parse(text, ret);
    window_close(&window);
    return r;
}

int identity_new(struct identity *ret)
{
    struct {
        uint64_t salt;
        uint32_t first;
        uint16_t rest[6];
    } random;
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return -EIO;
    *ret = (struct identity){.salt = random.salt};
    (void)snprintf(ret->uuid, sizeof(ret->uuid), "%08x-%04x-4%03x-%04x-%04x%04x%04x", random.first, random.rest[0],
                   random.rest[1] & 0xfff, (random.rest[2] & 0x3fff) | 0x8000, random.rest[3], random.rest[4],
                   random.rest[5]);
    return 0;
}

int identity_write(const struct place *place, const struct identity *identity)
{
    char text[LINE_MAX_BYTES];
    int size = snprintf(text, sizeof(text), MAGIC "format=%u uuid=%s salt=%016" PRIx64 " epoch=%" PRIu64,
                        IDENTITY_FORMAT, identity->uuid, identity->salt, identity->epoch);
    return place_replace(place, NAME, text, line_seal(text, (size_t)size, 0));
}
