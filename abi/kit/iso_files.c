/* SPDX-License-Identifier: Apache-2.0 */
/* iso_files.c - files of a running container as tar streams, in and out. */
#include <sys/socket.h>
#include <unistd.h>

#include "cases.h"
#include "stream.h"

#define BLOCK 512u

/* An archive of one file: header, content, two empty blocks. */
struct archive {
    char bytes[4 * BLOCK];
};

static struct archive archive_of(const char *name, const char *content)
{
    struct archive archive = {{0}};
    char *h = archive.bytes;
    unsigned sum = 0;
    (void)snprintf(h, 100, "%s", name);
    (void)snprintf(h + 100, 8, "%07o", 0640u);
    (void)snprintf(h + 108, 8, "%07o", 3u);
    (void)snprintf(h + 116, 8, "%07o", 4u);
    (void)snprintf(h + 124, 12, "%011o", (unsigned)strlen(content));
    (void)snprintf(h + 136, 12, "%011o", 1u);
    memcpy(h + 148, "        ", 8);
    h[156] = '0';
    memcpy(h + 257, "ustar\00000", 8);
    for (unsigned i = 0; i < BLOCK; i++)
        sum += (unsigned char)h[i];
    (void)snprintf(h + 148, 8, "%06o", sum);
    (void)snprintf(h + BLOCK, BLOCK, "%s", content);
    return archive;
}

static struct iso_outcome *files_in(struct iso_sandbox *s, const char *path, const struct archive *archive, size_t size,
                                    uint32_t flags)
{
    int ends[2];
    struct cloister_files_in_args what = {CLOISTER_INIT(struct cloister_files_in_args), .flags = flags,
                                          .path = {path, strlen(path)}};
    const struct cloister_iso_files_in_args args = {CLOISTER_INIT(struct cloister_iso_files_in_args), 0, s->which,
                                                    &what};
    struct iso_outcome *out;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(write(ends[1], archive->bytes, size), size);
    (void)close(ends[1]);
    assert_int_equal(kit_stream_api.from_fd(&iso.host, ends[0], &what.stream), 0);
    ISO_CALL(out, files_in, &args);
    return out;
}

static const char *files_out(struct iso_sandbox *s, const char *path, struct iso_outcome **ret, size_t *ret_size)
{
    static char text[1u << 16];
    const struct cloister_files_out_args what = {CLOISTER_INIT(struct cloister_files_out_args),
                                                 .path = {path, strlen(path)}};
    const struct cloister_iso_files_out_args args = {CLOISTER_INIT(struct cloister_iso_files_out_args), 0, s->which,
                                                     &what};
    struct iso_outcome *out;
    uint32_t verdict;
    ISO_CALL(out, files_out, &args);
    *ret = out;
    *ret_size = 0;
    if (out->err.code)
        return text;
    *ret_size = kit_stream_read(out->result.stream, text, sizeof(text), iso.setting.patience, &verdict);
    kit_stream_close(out->result.stream);
    if (verdict != CLOISTER_EOF)
        fail_msg("the archive does not end as EOF (%u)", verdict);
    return text;
}

static bool holds(const char *bytes, size_t size, const char *wanted)
{
    return memmem(bytes, size, wanted, strlen(wanted)) != NULL;
}

/* What goes in comes out again, and a process inside sees it. */
static void test_files_through(void **state)
{
    (void)state;
    ISO_NEED_SLOT(files_in);
    ISO_NEED_SLOT(files_out);
    struct iso_sandbox *s = iso_made("sleep 600");
    const struct archive archive = archive_of("word", "content of the word\n");
    size_t size;
    struct iso_outcome *out =
        files_in(s, "/tmp/kit-files/below", &archive, sizeof(archive.bytes), CLOISTER_FILES_KEEP_OWNERS);
    iso_expect("files_in", out, 0);
    assert_int_equal(out->result.bytes, strlen("content of the word\n"));
    if (out->result.entries == 0)
        fail_msg("nothing was made");
    iso_expect_status(
        "inside", iso_exec(s, "sh -c|test \"$(stat -c %a:%u:%g /tmp/kit-files/below/word)\" = 640:3:4")->args.process,
        CLOISTER_STATUS_EXITED, 0);
    const char *text = files_out(s, "/tmp/kit-files/below", &out, &size);
    iso_expect("files_out", out, 0);
    if (size % BLOCK || !holds(text, size, "below/word") || !holds(text, size, "content of the word\n"))
        fail_msg("what went in does not come out");
    (void)files_out(s, "/tmp/no-such-file", &out, &size);
    iso_expect("files_out of nothing", out, CLOISTER_NO_ENTITY);
    iso_expect_status("clean", iso_exec(s, "rm -rf /tmp/kit-files")->args.process, CLOISTER_STATUS_EXITED, 0);
    iso_gone(s);
}

static void test_files_refused(void **state)
{
    (void)state;
    ISO_NEED_SLOT(files_in);
    struct iso_sandbox *s = iso_made("sleep 600");
    const struct archive outside = archive_of("../../etc/kit-outside", "x"), good = archive_of("word", "content\n");
    struct iso_outcome *out = files_in(s, "/tmp/kit-files", &outside, sizeof(outside.bytes), 0);
    iso_expect("an entry that leaves the directory", out, CLOISTER_PROTOCOL);
    iso_expect("an archive that is cut", files_in(s, "/tmp/kit-files", &good, BLOCK + 3, 0), CLOISTER_PROTOCOL);
    iso_expect_status("outside", iso_exec(s, "test -e /etc/kit-outside")->args.process, CLOISTER_STATUS_EXITED, 1);
    iso_expect_status("clean", iso_exec(s, "rm -rf /tmp/kit-files")->args.process, CLOISTER_STATUS_EXITED, 0);
    iso_gone(s);
}

const struct CMUnitTest iso_files_cases[] = {
    ISO_CASE("files-through", test_files_through),
    ISO_CASE("files-refused", test_files_refused),
    ISO_CASES_END,
};
