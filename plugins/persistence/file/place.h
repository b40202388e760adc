/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place.h - the directory of a store, and files below it: opened by name from a descriptor, never through a symbolic
 * link; ours alone, 0700 and 0600 whatever the umask is.
 */
#ifndef FILE_PLACE_H
#define FILE_PLACE_H

#include <cloister/log.h>
#include <stdbool.h>

#define PLACE_PATH_MAX 1024u

struct place {
    char path[PLACE_PATH_MAX]; /* for sentences */
    int fd;
    bool durable; /* false: the file system is gone with the machine's power anyway */
};

/* state_dir/directory, made as far as it does not exist. -1 with *err. */
int place_open(struct place *place, const struct cloister_log_api *log, struct cloister_sv state_dir,
               struct cloister_sv directory, struct cloister_error *err);
void place_close(struct place *place);

/* A relative path of plain names. */
bool place_is_below(struct cloister_sv directory);

/* Each: a descriptor or 0, or negative errno. A file that somebody else owns or may write is -EPERM. */
int place_file(int directory, const char *name, int flags);
int place_directory(int directory, const char *name);
int place_sync(const struct place *place, int directory);
/* A whole small file, replaced at once: a temporary one, synced, renamed, and the directory synced. */
int place_replace(const struct place *place, const char *name, const void *data, size_t size);

/* A file of 64 KiB that says nothing: its blocks are what a store on a full disk is opened with. */
void place_keep_reserve(const struct place *place);
void place_release_reserve(const struct place *place);

/* Calls fn for each entry but the two dots, until it returns other than 0. */
int place_each(int directory, int (*fn)(void *ctx, const char *name), void *ctx);

/* Fills *err with the code that fits r (negative errno) and "STEP 'PATH/NAME'"; returns -1. */
int place_fail(const struct place *place, const struct cloister_log_api *log, struct cloister_error *err, int r,
               const char *step, const char *name);

void close_fd(int *fd);
int steal_fd(int *fd);
#define FD_CLEANUP __attribute__((cleanup(close_fd)))

#endif
