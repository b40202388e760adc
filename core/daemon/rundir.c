/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instance file is written once per boot and read by every later start: its cookie is part of every cgroup and
 * keeper of this instance, so it is what tells our leftovers from somebody else's. It is replaced by rename, never
 * edited. What it says of the boot before is kept for one boot: things that carry that cookie are ours, and over.
 */
#include "core/daemon/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/daemon/lock.h"
#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/base32.h"
#include "core/util/fd.h"
#include "core/util/io.h"
#include "core/util/mem.h"
#include "core/value/value.h"

#define INSTANCE_MAX 16384
#define RUN_RECORD "run" /* <run>/<id>/run, which the engine writes */

static int refuse(struct cloister_error *err, int os_errno, const char *step, const char *path)
{
    cl_error_set(err, CLOISTER_IO, os_errno, path, step, "%s '%s'", step, path);
    return -os_errno;
}

/* The mode is what it says, whatever the umask is. 0, also if it was there; negative errno. */
static int make_one(const char *path, mode_t mode)
{
    if (mkdir(path, mode) < 0)
        return errno == EEXIST ? 0 : -errno;
    return chmod(path, mode) < 0 ? -errno : 0;
}

/* Makes every missing component; what exists is left as it is. The last one must be a directory of ours. */
static int make_directory(const char *path, mode_t mode, struct cloister_error *err)
{
    CL_FREE char *copy = cl_strdup(path);
    struct stat st;
    int r;

    if (!copy)
        return refuse(err, ENOMEM, "make directory", path);
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if ((r = make_one(copy, 0755)) < 0)
            return refuse(err, -r, "make directory", copy);
        *slash = '/';
    }
    if ((r = make_one(path, mode)) < 0)
        return refuse(err, -r, "make directory", path);
    if (lstat(path, &st) < 0)
        return refuse(err, errno, "look at", path);
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022)) {
        cl_error_set(err, CLOISTER_DENIED, 0, path, "make directory",
                     "'%s' must be a directory, owned by uid %u and not writable by others (found mode %04o, uid %u)",
                     path, geteuid(), st.st_mode & 07777, st.st_uid);
        return -EPERM;
    }
    return 0;
}

/* It becomes part of a JSON text, so what it may hold is checked, whoever wrote the file. */
static int read_boot_id(const char *path, struct cl_rundir *rundir, struct cloister_error *err)
{
    CL_FREE char *text = NULL;
    size_t size = 0;
    int r = cl_read_file(AT_FDCWD, path, 256, &text, &size);

    if (r < 0)
        return refuse(err, -r, "read", path);
    text[strcspn(text, "\n")] = 0;
    if (strlen(text) != CL_BOOT_ID_SIZE - 1 || strspn(text, "0123456789abcdef-") != CL_BOOT_ID_SIZE - 1)
        return cl_error_set(err, CLOISTER_INVALID, 0, path, "read boot id",
                            "'%s' does not hold a boot id (36 characters 0-9, a-f and -)", path);
    memcpy(rundir->boot_id, text, CL_BOOT_ID_SIZE);
    return 0;
}

/* Sixteen digits, as we write them. */
static bool parse_cookie(struct cloister_sv text, uint64_t *ret_cookie)
{
    uint64_t cookie = 0;

    if (text.size != 16)
        return false;
    for (uint64_t i = 0; i < text.size; i++) {
        const char *digits = "0123456789abcdef", *digit = strchr(digits, text.data[i]);
        if (!digit || !*digit)
            return false;
        cookie = cookie << 4 | (uint64_t)(digit - digits);
    }
    *ret_cookie = cookie;
    return true;
}

static bool are_stores(const cloister_value *stores)
{
    struct cloister_sv id;

    for (const cloister_value *store = cl_value_first(stores); store; store = cl_value_next(store))
        if (cl_value_string(store, &id) < 0)
            return false;
    return cl_value_type(stores) == CLOISTER_VALUE_OBJECT;
}

/* 0: the file is of this boot; 1: of another one, whose cookie is the old one now. -EINVAL: cannot be understood. */
static int read_document(cloister_value *document, struct cl_rundir *rundir)
{
    const cloister_value *previous = cl_value_get_cstr(document, "previous_cookie");
    cloister_value *stores = cl_value_get_cstr(document, "stores");
    struct cloister_sv boot = {0}, digits = {0};
    uint64_t cookie, old_cookie = 0;

    if (!are_stores(stores) || cl_value_string(cl_value_get_cstr(document, "boot_id"), &boot) < 0 ||
        cl_value_string(cl_value_get_cstr(document, "cookie"), &digits) < 0 || !parse_cookie(digits, &cookie))
        return -EINVAL;
    if (previous && (cl_value_string(previous, &digits) < 0 || !parse_cookie(digits, &old_cookie)))
        return -EINVAL;
    if (!cl_sv_is(boot, rundir->boot_id)) {
        rundir->old_cookie = cookie;
        return 1;
    }
    rundir->cookie = cookie;
    rundir->old_cookie = old_cookie;
    rundir->stores = cl_value_detach(document, stores);
    return 0;
}

/* 0: the file is of this boot; 1: of another boot; 2: there is none, or it cannot be understood (logged). */
static int read_instance(struct cl_rundir *rundir, struct cloister_error *err)
{
    CL_FREE char *text = NULL;
    size_t size = 0;
    cloister_value *document CL_VALUE_CLEANUP = NULL;
    int r = cl_read_file(rundir->dir_fd, "instance", INSTANCE_MAX, &text, &size);

    if (r == -ENOENT)
        return 2;
    if (r < 0)
        return refuse(err, -r, "read instance file in", rundir->path);
    r = cl_value_parse(cl_sv(text, size), NULL, &document, NULL, NULL);
    if (r == 0)
        r = read_document(document, rundir);
    if (r == -ENOMEM)
        return refuse(err, ENOMEM, "read instance file in", rundir->path);
    if (r < 0) {
        cl_log(CL_LOG_WARN, "daemon", "instance file in '%s' cannot be understood: a new cookie is made", rundir->path);
        return 2;
    }
    return r;
}

/* 1: it had a run record. */
static int forget_run(int dir_fd, const char *id)
{
    CL_CLOSE int fd = openat(dir_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || unlinkat(fd, RUN_RECORD, 0) < 0)
        return errno == ENOENT ? 0 : -errno;
    return 1;
}

/* The directories themselves stay: they are how the engine finds what was there. */
static void forget_runs(const struct cl_rundir *rundir)
{
    int fd = openat(rundir->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    unsigned forgotten = 0;

    if (!dir) {
        cl_log(CL_LOG_WARN, "daemon", "run records of another boot in '%s': %s", rundir->path, strerror(errno));
        cl_closep(&fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(dir));) {
        int r = cl_id_valid(cl_sv_cstr(entry->d_name)) ? forget_run(rundir->dir_fd, entry->d_name) : 0;
        if (r < 0)
            cl_log(CL_LOG_WARN, "daemon", "remove '%s/%s/" RUN_RECORD "', a run record of another boot: %s",
                   rundir->path, entry->d_name, strerror(-r));
        forgotten += r > 0;
    }
    (void)closedir(dir);
    if (forgotten)
        cl_log(CL_LOG_INFO, "daemon", "removed %u run records of another boot from '%s'", forgotten, rundir->path);
}

static int put(cloister_value *document, const char *key, const char *text)
{
    return cl_value_set_cstr(document, key, cl_value_new_cstr(text));
}

static int compose(const struct cl_rundir *rundir, char **ret_text, size_t *ret_size)
{
    cloister_value *document CL_VALUE_CLEANUP = cl_value_new_object();
    char cookie[17], old_cookie[17];
    int r = document ? put(document, "boot_id", rundir->boot_id) : -ENOMEM;

    (void)snprintf(cookie, sizeof(cookie), "%016" PRIx64, rundir->cookie);
    (void)snprintf(old_cookie, sizeof(old_cookie), "%016" PRIx64, rundir->old_cookie);
    if (r == 0)
        r = put(document, "cookie", cookie);
    if (r == 0 && rundir->old_cookie)
        r = put(document, "previous_cookie", old_cookie);
    if (r == 0)
        r = cl_value_set_cstr(document, "stores", cl_value_copy(rundir->stores));
    return r < 0 ? r : cl_value_print(document, false, ret_text, ret_size);
}

int cl_rundir_remember(const struct cl_rundir *rundir, struct cloister_error *err)
{
    CL_FREE char *text = NULL;
    CL_CLOSE int fd = -1;
    size_t size = 0;
    int r = compose(rundir, &text, &size);

    if (r < 0)
        return refuse(err, -r, "write instance file in", rundir->path);
    fd = openat(rundir->dir_fd, "instance.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    r = fd < 0 ? -errno : cl_write_all(fd, text, size);
    if (r == 0)
        r = cl_write_all(fd, "\n", 1);
    if (r < 0)
        return refuse(err, -r, "write instance file in", rundir->path);
    if (fsync(fd) < 0 || renameat(rundir->dir_fd, "instance.new", rundir->dir_fd, "instance") < 0)
        return refuse(err, errno, "replace instance file in", rundir->path);
    return 0;
}

/* Who we are in this boot. */
static int identify(struct cl_rundir *rundir, struct cloister_error *err)
{
    int r = read_instance(rundir, err);

    if (r <= 0)
        return r;
    if (r == 1) {
        cl_log(CL_LOG_INFO, "daemon",
               "the machine was started anew since: what ran under cookie %016" PRIx64 " has ended",
               rundir->old_cookie);
        forget_runs(rundir);
    }
    r = cl_random_u64(&rundir->cookie);
    if (r < 0)
        return refuse(err, -r, "make cookie for", rundir->path);
    rundir->stores = cl_value_new_object();
    if (!rundir->stores)
        return refuse(err, ENOMEM, "make instance file for", rundir->path);
    return cl_rundir_remember(rundir, err);
}

int cl_rundir_open(const struct cl_rundir_args *args, struct cl_rundir *ret, struct cloister_error *err)
{
    struct cl_rundir rundir = {.dir_fd = -1, .lock_fd = -1};
    struct statfs fs;
    /* Clients that are not root pass through the run directory to a socket that lets them; they cannot list it, and
     * what else is in it is closed to them. */
    int r = make_directory(args->run_dir, 0711, err);

    if (r == 0)
        r = make_directory(args->state_dir, 0700, err);
    if (r < 0)
        return r;
    rundir.path = cl_strdup(args->run_dir);
    rundir.dir_fd = open(args->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (!rundir.path || rundir.dir_fd < 0)
        r = refuse(err, rundir.path ? errno : ENOMEM, "open", args->run_dir);
    if (r == 0)
        r = cl_lock_take(rundir.dir_fd, rundir.path, args->wait_until, &rundir.lock_fd, err);
    if (r == 0)
        r = read_boot_id(args->boot_id_file, &rundir, err);
    if (r == 0)
        r = identify(&rundir, err);
    if (r < 0) {
        cl_rundir_close(&rundir);
        return r;
    }
    if (fstatfs(rundir.dir_fd, &fs) == 0 && fs.f_type != TMPFS_MAGIC)
        cl_log(CL_LOG_WARN, "daemon", "run directory '%s' is not on a tmpfs: it outlives a reboot", rundir.path);
    *ret = rundir;
    return 0;
}

void cl_rundir_close(struct cl_rundir *rundir)
{
    cl_closep(&rundir->dir_fd);
    cl_closep(&rundir->lock_fd);
    cl_value_free(rundir->stores);
    free(rundir->path);
    rundir->stores = NULL;
    rundir->path = NULL;
}
