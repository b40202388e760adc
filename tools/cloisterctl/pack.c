/* SPDX-License-Identifier: Apache-2.0 */
/* pack.c - see tarball.h. */
#include "core/error/error.h"
#include "core/util/mem.h"
#include "ctl.h"
#include "tarball.h"
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define BLOCK 65536u

struct pack {
    int fd;
    const char *source, *top;
    struct archive *from, *to;
    bool gone; /* nobody reads */
    bool cut;  /* nothing more is sent */
    struct ctl_left_out *left_out;
};

static la_ssize_t send_on(struct archive *archive, void *ctx, const void *bytes, size_t size)
{
    struct pack *pack = ctx;
    ssize_t sent;

    if (pack->cut)
        return (la_ssize_t)size;
    do
        sent = send(pack->fd, bytes, size, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return sent;
    pack->gone = errno == EPIPE || errno == ECONNRESET;
    archive_set_error(archive, errno, "send");
    return -1;
}

static int broken(struct archive *archive, const struct pack *pack, struct cloister_error *err)
{
    const char *why = archive_error_string(archive);

    if (pack->gone)
        return -EPIPE;
    return cl_error_set(err, CLOISTER_IO, archive_errno(archive), pack->source, NULL, "read '%s': %s", pack->source,
                        why ? why : "no reason is known");
}

/* A file that shrinks meanwhile is filled up with zeros, one that grows is cut: its size has been said already. */
static int copy_data(struct pack *pack, struct cloister_error *err)
{
    static char bytes[BLOCK];
    la_ssize_t got;

    while ((got = archive_read_data(pack->from, bytes, sizeof(bytes))) > 0)
        if (archive_write_data(pack->to, bytes, (size_t)got) < 0)
            return broken(pack->to, pack, err);
    return got < 0 ? broken(pack->from, pack, err) : 0;
}

static int name_entry(const struct pack *pack, struct archive_entry *entry, struct cloister_error *err)
{
    const char *rest = archive_entry_pathname(entry) + strlen(pack->source);

    rest += strspn(rest, "/");
    CL_FREE char *name =
        *pack->top && *rest ? cl_asprintf("%s/%s", pack->top, rest) : cl_strdup(*rest ? rest : pack->top);
    if (!name)
        return ctl_no_memory(err);
    archive_entry_copy_pathname(entry, name);
    archive_entry_set_uname(entry, NULL); /* names of this machine mean nothing there */
    archive_entry_set_gname(entry, NULL);
    return *name ? 0 : 1;
}

static int pack_entry(struct pack *pack, struct archive_entry *entry, struct cloister_error *err)
{
    if (archive_entry_filetype(entry) == AE_IFSOCK) {
        ctl_left_out_add(pack->left_out, archive_entry_pathname(entry));
        return 0;
    }
    int failed = name_entry(pack, entry, err);
    if (failed != 0)
        return failed < 0 ? failed : 0;
    if (archive_write_header(pack->to, entry) < ARCHIVE_WARN)
        return broken(pack->to, pack, err);
    if (archive_entry_filetype(entry) == AE_IFREG && archive_entry_size(entry) > 0)
        failed = copy_data(pack, err);
    return failed;
}

static int pack_all(struct pack *pack, struct cloister_error *err)
{
    struct archive_entry *entry;
    int got;

    if (archive_read_disk_open(pack->from, pack->source) != ARCHIVE_OK)
        return broken(pack->from, pack, err);
    while ((got = archive_read_next_header(pack->from, &entry)) != ARCHIVE_EOF) {
        int failed = got < ARCHIVE_WARN ? broken(pack->from, pack, err) : pack_entry(pack, entry, err);
        if (failed < 0)
            return failed;
        (void)archive_read_disk_descend(pack->from);
    }
    return archive_write_close(pack->to) < ARCHIVE_WARN ? broken(pack->to, pack, err) : 0;
}

int ctl_pack(int fd, const char *source, const char *top, struct ctl_left_out *left_out, struct cloister_error *err)
{
    struct pack pack = {.fd = fd,
                        .source = source,
                        .top = top,
                        .left_out = left_out,
                        .from = archive_read_disk_new(),
                        .to = archive_write_new()};
    int failed = pack.from && pack.to ? 0 : ctl_no_memory(err);

    if (failed == 0) {
        (void)archive_read_disk_set_symlink_physical(pack.from);
        (void)archive_read_disk_set_behavior(pack.from, ARCHIVE_READDISK_NO_XATTR | ARCHIVE_READDISK_NO_ACL |
                                                            ARCHIVE_READDISK_NO_FFLAGS | ARCHIVE_READDISK_NO_SPARSE);
        (void)archive_write_set_format_gnutar(pack.to); /* names as the bytes they are */
        (void)archive_write_set_bytes_in_last_block(pack.to, 1);
        if (archive_write_open(pack.to, &pack, NULL, send_on, NULL) != ARCHIVE_OK)
            failed = broken(pack.to, &pack, err);
    }
    if (failed == 0)
        failed = pack_all(&pack, err);
    /* Without an end, that what has been sent cannot be taken for all of it. */
    pack.cut = failed < 0;
    if (pack.from)
        (void)archive_read_free(pack.from);
    if (pack.to)
        (void)archive_write_free(pack.to);
    return failed;
}
