/* SPDX-License-Identifier: Apache-2.0 */
/*
 * in.c - an archive from descriptor 0 becomes files below one directory.
 *
 * libarchive takes an end of input between two entries for the archive's end; we do not, because a cut upload must
 * never look like a whole one: there must be the two blocks that say so. Behind them everything is read and thrown
 * away, so that who sends padding never meets a closed pipe.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/tar/tar.h"

#define BUFFER (64u << 10)
#define END_MARK 1024

static char buffer[BUFFER];

static la_ssize_t on_read(struct archive *archive, void *ctx, const void **ret)
{
    ssize_t n;

    do
        n = read(CL_TAR_FD_IN, buffer, sizeof(buffer));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        archive_set_error(archive, errno, "the archive cannot be read");
    *ret = buffer;
    return n;
}

/* Names stay the bytes they are, but for pax's, which are UTF-8 like our locale: so there is no conversion, whose
 * tables would be loaded from inside. */
struct archive *tar_in_prepare(void)
{
    struct archive *archive = archive_read_new();

    if (archive != NULL && archive_read_support_format_tar(archive) == ARCHIVE_OK)
        return archive;
    tar_fail(CLOISTER_INTERNAL, 0, "archive", "", "prepare to read archives: %s",
             archive ? archive_error_string(archive) : "no memory");
    archive_read_free(archive);
    return NULL;
}

static int fail(struct archive *archive, const char *behind)
{
    const char *why = archive_error_string(archive);
    uint32_t code = tar_code_of_archive(archive, CLOISTER_PROTOCOL);

    if (behind[0] == '\0')
        return tar_fail(code, 0, "archive", "", "at its beginning: %s", why ? why : "not a tar archive");
    return tar_fail(code, 0, "archive", behind, "behind entry '%s': %s", behind, why ? why : "damaged");
}

static void remember(const char *raw, char *ret)
{
    size_t i = 0;

    for (; raw[i] != '\0' && i + 1 < CLOISTER_SUBJECT_MAX; i++)
        ret[i] = raw[i];
    ret[i] = '\0';
}

/* 1 an entry was made, 0 the end, -1 failed. `last` is the name of the entry before, and of this one after it. */
static int one_entry(struct tar_making *making, char *last)
{
    struct archive *archive = making->archive;
    struct archive_entry *entry;
    int64_t before = archive_filter_bytes(archive, 0);

    if (tar_spare(last) < 0)
        return -1;
    int r = archive_read_next_header(archive, &entry);

    if (r == ARCHIVE_EOF && archive_filter_bytes(archive, 0) - before >= END_MARK)
        return 0;
    if (r == ARCHIVE_EOF)
        return tar_fail(CLOISTER_PROTOCOL, 0, "truncated", last, "the archive is cut off behind entry '%s'", last);
    if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
        return fail(archive, last);
    const char *raw = archive_entry_pathname(entry);

    if (r == ARCHIVE_WARN || raw == NULL)
        return tar_fail(CLOISTER_PROTOCOL, 0, "archive", raw ? raw : last, "entry '%s': %s", raw ? raw : "",
                        archive_error_string(archive) ? archive_error_string(archive) : "it has no name");
    remember(raw, last);
    if (tar_make(making, entry, raw) < 0)
        return -1;
    return archive_read_data_skip(archive) == ARCHIVE_OK ? 1 : fail(archive, last);
}

static void drain(void)
{
    ssize_t n;

    do
        n = read(CL_TAR_FD_IN, buffer, sizeof(buffer));
    while (n > 0 || (n < 0 && errno == EINTR));
}

int tar_in(struct archive *archive, int top, const struct tar_call *call, const struct tar_id *id)
{
    uint64_t caps = 0;
    struct tar_making making = {.archive = archive, .top = top, .flags = call->flags};
    char last[CLOISTER_SUBJECT_MAX] = "";
    int more = 1;

    for (unsigned i = 0; i < 5; i++) /* CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID */
        caps |= 1ull << i;
    if (!tar_in_user_namespace() && (call->flags & CL_TAR_KEEP_OWNERS))
        caps |= 1ull << 27; /* MKNOD */
    if (tar_become(id, caps) == 0 && tar_say_ready(tar_fence(top, TAR_FENCE_WRITE)) == 0) {
        if (archive_read_open(archive, NULL, NULL, on_read, NULL) != ARCHIVE_OK)
            fail(archive, "");
        while (!tar_has_failed() && more > 0)
            more = one_entry(&making, last);
        if (!tar_has_failed() && tar_make_late(&making) == 0)
            drain();
    }
    tar_make_free(&making);
    archive_read_free(archive);
    return tar_say_end(making.entries, making.bytes, 0);
}
