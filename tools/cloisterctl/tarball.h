/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tarball.h - tar archives between a stream and this machine's files.
 *
 * What comes out of a container is not to be trusted: nothing is made outside the directory it is unpacked into, no
 * symbolic link is followed on the way, no device is made, and no file is set-user-id or set-group-id afterwards.
 */
#ifndef CLOISTERCTL_TARBALL_H
#define CLOISTERCTL_TARBALL_H

#include <cloister/error.h>
#include <stdbool.h>

struct archive;
struct archive_entry;

/* Entries that are neither file nor directory nor link: they are not copied, and that is told. */
struct ctl_left_out {
    uint32_t count;
    char first[256]; /* its name, fit for a terminal */
};

void ctl_left_out_add(struct ctl_left_out *left_out, const char *name);

enum ctl_archive_kind {
    CTL_ARCHIVE_NOTHING, /* an archive without entries */
    CTL_ARCHIVE_FILE,
    CTL_ARCHIVE_DIRECTORY,
    CTL_ARCHIVE_LINK
};

struct ctl_unpack {
    struct archive *in;
    struct archive_entry *entry; /* the first, until it has been unpacked; NULL: none */
    struct ctl_left_out *left_out;
};

#define CTL_UNPACK_INIT  \
    {                    \
        NULL, NULL, NULL \
    }

/* Reads as far as the first entry; fd and left_out stay the caller's. */
int ctl_unpack_begin(struct ctl_unpack *unpack, int fd, struct ctl_left_out *left_out, struct cloister_error *err);
enum ctl_archive_kind ctl_unpack_kind(const struct ctl_unpack *unpack);
/*
 * Unpacks all of it below `directory`, which becomes our working directory. top: what the first word of every name
 * becomes; NULL = it stays. owners: the archive's numbers (only root can), else all is ours.
 */
int ctl_unpack_into(struct ctl_unpack *unpack, const char *directory, const char *top, bool owners,
                    struct cloister_error *err);
void ctl_unpack_end(struct ctl_unpack *unpack);
#define CTL_UNPACK_CLEANUP __attribute__((cleanup(ctl_unpack_end)))

/*
 * Writes `source` and what is in it to a socket, as `top` and what is in that; top "" = only what is in it.
 * -EPIPE: nobody reads any more, and the other side knows why.
 */
int ctl_pack(int fd, const char *source, const char *top, struct ctl_left_out *left_out, struct cloister_error *err);

/* "a/./b//c/" as "a/b/c", in place. False: it is absolute, climbs (..), or is nothing. */
bool ctl_archive_name(char *name);

#endif
