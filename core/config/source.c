/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "core/config/room.h"
#include "core/error/error.h"
#include "core/util/fd.h"
#include "core/util/io.h"
#include "core/util/mem.h"

#define FILE_MAX (1024u * 1024u)
#define DROPINS_MAX 256u
#define DEPTH_MAX 24u

static int no_memory(struct cloister_error *err)
{
    return cl_error_set(err, CLOISTER_LIMIT, ENOMEM, "", "memory", "read the config");
}

/* Moves the members of `over` into `base`. */
static int merge(cloister_value *base, cloister_value *over)
{
    for (cloister_value *member = cl_value_first(over), *next; member; member = next) {
        next = cl_value_next(member);
        cloister_value *old = cl_value_get(base, cl_value_key(member));
        int r;
        if (cl_value_type(old) == CLOISTER_VALUE_OBJECT && cl_value_type(member) == CLOISTER_VALUE_OBJECT) {
            r = merge(old, member);
        } else {
            cloister_value *moved = cl_value_detach(over, member);
            r = cl_value_set(base, cl_value_key(moved), moved);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* The reader's error with the file's name in front: "f:2:3: expected a string key". */
static int locate(struct cloister_error *err, const char *file, int r)
{
    if (!err)
        return r;
    struct cloister_error at = *err;
    bool duplicate = r == -EEXIST;
    (void)cl_error_set(err, at.code, at.os_errno, at.subject, at.step, "%s:%" PRIu32 ":%" PRIu32 ": %s%s%s%s", file,
                       at.line, at.column, duplicate ? "key '" : "", duplicate ? at.subject : "",
                       duplicate ? "': " : "", cl_error_innermost(&at));
    cl_error_position(err, at.line, at.column, at.offset);
    return r;
}

int cl_source_merge(struct cl_config_room *room, const char *file, struct cloister_sv text, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *value = NULL;
    char *name = cl_strdup(file);
    if (!name || cl_vec_append(&room->files, name) < 0) {
        free(name);
        return no_memory(err);
    }
    const struct cl_value_options options = {
        .flags = CLOISTER_VALUE_COMMENTS, .depth = DEPTH_MAX, .size = FILE_MAX, .source = (uint32_t)room->files.size};
    int r = cl_value_parse(text, &options, &value, NULL, err);
    if (r < 0)
        return locate(err, file, r);
    if (cl_value_type(value) != CLOISTER_VALUE_OBJECT) {
        const struct cl_position *position = cl_value_position(value);
        r = cl_error_set(err, CLOISTER_INVALID, 0, "", "config",
                         "%s:%" PRIu32 ":%" PRIu32 ": expected an object, not %s", file, position->line,
                         position->column, cl_value_type_name(cl_value_type(value)));
        cl_error_position(err, position->line, position->column, 0);
        return r;
    }
    if (!room->root) {
        room->root = cl_steal_ptr(&value);
        return 0;
    }
    return merge(room->root, value) < 0 ? no_memory(err) : 0;
}

/* Who may write the config may run anything as root. */
static int check_owner(int fd, const char *path, mode_t type, struct cloister_error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return cl_error_set(err, CLOISTER_IO, errno, path, "config", "look at '%s'", path);
    if ((st.st_mode & S_IFMT) != type)
        return cl_error_set(err, CLOISTER_INVALID, 0, path, "config", "'%s' is not a %s", path,
                            type == S_IFDIR ? "directory" : "regular file");
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return cl_error_set(
            err, CLOISTER_DENIED, 0, path, "config",
            "'%s' belongs to uid %u; it must belong to root, because whoever writes it commands the daemon", path,
            (unsigned)st.st_uid);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return cl_error_set(err, CLOISTER_DENIED, 0, path, "config",
                            "'%s' has mode %04o; only its owner may have write permission (chmod go-w)", path,
                            (unsigned)(st.st_mode & 07777));
    return 0;
}

static int read_at(struct cl_config_room *room, int dir, const char *leaf, const char *path, struct cloister_error *err)
{
    CL_FREE char *text = NULL;
    size_t size;
    CL_CLOSE int fd = openat(dir, leaf, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return cl_error_set(err, cl_error_code_of(errno), errno, path, "config", "open '%s'", path);
    int r = check_owner(fd, path, S_IFREG, err);
    if (r < 0)
        return r;
    r = cl_read_fd(fd, FILE_MAX, &text, &size);
    if (r == -E2BIG)
        return cl_error_set(err, CLOISTER_TOO_BIG, 0, path, "config", "'%s' is longer than %u bytes", path, FILE_MAX);
    if (r < 0)
        return cl_error_set(err, cl_error_code_of(r), r, path, "config", "read '%s'", path);
    return cl_source_merge(room, path, cl_sv(text, size), err);
}

int cl_source_read(struct cl_config_room *room, const char *path, struct cloister_error *err)
{
    return read_at(room, AT_FDCWD, path, path, err);
}

static int is_dropin(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return entry->d_name[0] != '.' && size > 5 && strcmp(entry->d_name + size - 5, ".conf") == 0;
}

/* By bytes, not by locale: the order must be the same on every machine. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_dropin(struct cl_config_room *room, int dir, const char *dir_path, const char *leaf,
                       struct cloister_error *err)
{
    CL_FREE char *path = cl_asprintf("%s/%s", dir_path, leaf);
    if (!path)
        return no_memory(err);
    return read_at(room, dir, leaf, path, err);
}

int cl_source_read_dropins(struct cl_config_room *room, const char *path, struct cloister_error *err)
{
    CL_FREE char *dir_path = cl_asprintf("%s.d", path);
    if (!dir_path)
        return no_memory(err);
    CL_CLOSE int dir = open(dir_path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (dir < 0 && errno == ENOENT)
        return 0;
    if (dir < 0)
        return cl_error_set(err, cl_error_code_of(errno), errno, dir_path, "config", "open '%s'", dir_path);
    int r = check_owner(dir, dir_path, S_IFDIR, err);
    if (r < 0)
        return r;
    struct dirent **names = NULL;
    int count = scandirat(dir, ".", &names, is_dropin, by_name);
    if (count < 0)
        return cl_error_set(err, cl_error_code_of(errno), errno, dir_path, "config", "list '%s'", dir_path);
    if ((unsigned)count > DROPINS_MAX)
        r = cl_error_set(err, CLOISTER_LIMIT, 0, dir_path, "config", "'%s' holds %d files, more than %u", dir_path,
                         count, DROPINS_MAX);
    for (int i = 0; i < count; i++) {
        if (r == 0)
            r = read_dropin(room, dir, dir_path, names[i]->d_name, err);
        free(names[i]);
    }
    free(names);
    return r;
}
