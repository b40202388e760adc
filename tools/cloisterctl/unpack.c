/* SPDX-License-Identifier: Apache-2.0 */
/* unpack.c - see tarball.h. */
#include "core/error/error.h"
#include "core/util/mem.h"
#include "ctl.h"
#include "table.h"
#include "tarball.h"
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 65536u
#define MODE_KEPT 01777u /* less set-user-id and set-group-id: who unpacks may be root */

bool ctl_archive_name(char *name)
{
    char *out = name, *rest = name;

    if (*name == '/')
        return false;
    for (char *word; (word = strsep(&rest, "/")) != NULL;) {
        size_t size = strlen(word);
        if (strcmp(word, "..") == 0)
            return false;
        if (size == 0 || strcmp(word, ".") == 0)
            continue;
        if (out > name)
            *out++ = '/';
        memmove(out, word, size);
        out += size;
    }
    *out = 0;
    return out > name;
}

static int broken(struct archive *archive, const char *doing, struct cloister_error *err)
{
    const char *why = archive_error_string(archive);

    return cl_error_set(err, CLOISTER_PROTOCOL, archive_errno(archive), NULL, NULL, "%s: %s", doing,
                        why ? why : "no reason is known");
}

int ctl_unpack_begin(struct ctl_unpack *unpack, int fd, struct ctl_left_out *left_out, struct cloister_error *err)
{
    unpack->left_out = left_out;
    (void)setlocale(LC_CTYPE, "C.UTF-8"); /* names in pax archives are UTF-8, and reach us in the locale's encoding */
    unpack->in = archive_read_new();
    if (!unpack->in)
        return ctl_no_memory(err);
    /* Tar and nothing else, uncompressed: the less is read by guessing, the better. A stream without a byte is what is
     * left of one that was refused; why is in its answer. */
    if (archive_read_support_format_tar(unpack->in) != ARCHIVE_OK ||
        archive_read_support_format_empty(unpack->in) != ARCHIVE_OK ||
        archive_read_open_fd(unpack->in, fd, BLOCK) != ARCHIVE_OK)
        return broken(unpack->in, "read the archive", err);
    int got = archive_read_next_header(unpack->in, &unpack->entry);
    if (got == ARCHIVE_EOF)
        unpack->entry = NULL;
    else if (got < ARCHIVE_WARN)
        return broken(unpack->in, "read the archive", err);
    return 0;
}

enum ctl_archive_kind ctl_unpack_kind(const struct ctl_unpack *unpack)
{
    if (!unpack->entry)
        return CTL_ARCHIVE_NOTHING;
    if (archive_entry_filetype(unpack->entry) == AE_IFDIR)
        return CTL_ARCHIVE_DIRECTORY;
    return archive_entry_filetype(unpack->entry) == AE_IFLNK ? CTL_ARCHIVE_LINK : CTL_ARCHIVE_FILE;
}

/* A name as it is to be on this machine; *ret_name NULL: it is the directory itself. `first`: the word that all begin
 * with, if that is to become `top`. */
static int place(const char *said, const char *first, const char *top, char **ret_name, struct cloister_error *err)
{
    CL_FREE char *name = cl_strdup(said ? said : "");
    bool itself = name && *name && strspn(name, "./") == strlen(name) && !strstr(name, "..") && *name != '/';

    if (!name)
        return ctl_no_memory(err);
    *ret_name = NULL;
    if (itself)
        return 0;
    if (!ctl_archive_name(name))
        return cl_error_set(err, CLOISTER_PROTOCOL, 0, said, NULL,
                            "the archive has an entry '%s', which would leave the directory", said ? said : "");
    if (!top) {
        *ret_name = cl_steal_ptr(&name);
        return 0;
    }
    size_t size = strlen(first);
    if (strncmp(name, first, size) != 0 || (name[size] && name[size] != '/'))
        return cl_error_set(err, CLOISTER_PROTOCOL, 0, said, NULL, "the archive has an entry '%s' beside '%s'", said,
                            first);
    *ret_name = cl_asprintf("%s%s", top, name + size);
    return *ret_name ? 0 : ctl_no_memory(err);
}

/* The first word of the first entry's name. */
static char *first_word(const struct ctl_unpack *unpack)
{
    const char *said = archive_entry_pathname(unpack->entry);
    char *name = cl_strdup(said ? said : "");

    if (name && ctl_archive_name(name))
        name[strcspn(name, "/")] = 0;
    return name;
}

void ctl_left_out_add(struct ctl_left_out *left_out, const char *name)
{
    if (left_out->count++ > 0)
        return;
    (void)snprintf(left_out->first, sizeof(left_out->first), "%s", name);
    ctl_table_harmless(left_out->first);
}

static int copy_data(struct archive *in, struct archive *out, struct cloister_error *err)
{
    const void *bytes;
    size_t size;
    la_int64_t offset;
    int got;

    while ((got = archive_read_data_block(in, &bytes, &size, &offset)) >= ARCHIVE_WARN && got != ARCHIVE_EOF)
        if (archive_write_data_block(out, bytes, size, offset) < ARCHIVE_WARN)
            return broken(out, "write", err);
    return got == ARCHIVE_EOF ? 0 : broken(in, "read the archive", err);
}

/* Names and mode of the entry as they are to be here. 1: it is left out. */
static int prepare(struct ctl_unpack *unpack, const char *first, const char *top, struct cloister_error *err)
{
    struct archive_entry *entry = unpack->entry;
    CL_FREE char *name = NULL;
    CL_FREE char *target = NULL;
    const char *link = archive_entry_hardlink(entry);
    unsigned kind = archive_entry_filetype(entry);
    int failed = place(archive_entry_pathname(entry), first, top, &name, err);

    if (failed == 0 && link)
        failed = place(link, first, top, &target, err);
    if (failed < 0)
        return failed;
    if (!name)
        return 1;
    if (link && !target)
        return cl_error_set(err, CLOISTER_PROTOCOL, 0, name, NULL, "the archive has '%s' as a name of a directory",
                            name);
    if (!link && kind != AE_IFREG && kind != AE_IFDIR && kind != AE_IFLNK) {
        ctl_left_out_add(unpack->left_out, name);
        return 1;
    }
    archive_entry_copy_pathname(entry, name);
    if (link) { /* what it is a name of has its content already */
        archive_entry_copy_hardlink(entry, target);
        archive_entry_unset_size(entry);
    }
    archive_entry_set_perm(entry, archive_entry_perm(entry) & MODE_KEPT);
    return 0;
}

static int make_entry(struct ctl_unpack *unpack, struct archive *out, struct cloister_error *err)
{
    int made = archive_write_header(out, unpack->entry);
    int failed = 0;

    if (made < ARCHIVE_WARN)
        return broken(out, "write", err);
    if (archive_entry_size_is_set(unpack->entry) && archive_entry_size(unpack->entry) > 0)
        failed = copy_data(unpack->in, out, err);
    if (failed == 0 && archive_write_finish_entry(out) < ARCHIVE_WARN)
        failed = broken(out, "write", err);
    return failed;
}

static int make_all(struct ctl_unpack *unpack, struct archive *out, const char *top, struct cloister_error *err)
{
    CL_FREE char *first = first_word(unpack);
    int got = ARCHIVE_OK;

    if (!first)
        return ctl_no_memory(err);
    while (got != ARCHIVE_EOF) {
        int failed = prepare(unpack, first, top, err);
        if (failed == 0)
            failed = make_entry(unpack, out, err);
        if (failed < 0)
            return failed;
        got = archive_read_next_header(unpack->in, &unpack->entry);
        if (got < ARCHIVE_WARN && got != ARCHIVE_EOF)
            return broken(unpack->in, "read the archive", err);
    }
    return archive_write_close(out) < ARCHIVE_WARN ? broken(out, "write", err) : 0;
}

int ctl_unpack_into(struct ctl_unpack *unpack, const char *directory, const char *top, bool owners,
                    struct cloister_error *err)
{
    int flags = ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_SECURE_SYMLINKS |
                ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS |
                (owners ? ARCHIVE_EXTRACT_OWNER : 0);

    if (!unpack->entry)
        return 0;
    /* Names stay relative, so that links on the way to the directory are the operator's own and may be there. */
    if (chdir(directory) < 0)
        return cl_error_set(err, cl_error_code_of(errno), errno, directory, NULL, "go to '%s'", directory);
    struct archive *out = archive_write_disk_new();
    if (!out)
        return ctl_no_memory(err);
    (void)archive_write_disk_set_options(out, flags);
    int failed = make_all(unpack, out, top, err);
    (void)archive_write_free(out);
    unpack->entry = NULL;
    return failed;
}

void ctl_unpack_end(struct ctl_unpack *unpack)
{
    if (unpack->in)
        (void)archive_read_free(unpack->in);
    *unpack = (struct ctl_unpack)CTL_UNPACK_INIT;
}
