/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instance file is written once per boot and read by every later start: its cookie is part of every cgroup and
 * keeper of this instance, so it is what tells our leftovers from somebody else's. It is replaced by rename, never
 * edited.
 */
#include "core/daemon/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/base32.h"
#include "core/util/fd.h"
#include "core/util/io.h"
#include "core/util/mem.h"
#include "core/util/str.h"
#include "core/value/value.h"

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define INSTANCE_MAX 16384

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

static int take_lock(struct cl_rundir *rundir, struct cloister_error *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char text[32] = "";

    rundir->lock_fd = openat(rundir->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (rundir->lock_fd < 0)
        return refuse(err, errno, "open lock in", rundir->path);
    if (fcntl(rundir->lock_fd, F_OFD_SETLK, &lock) < 0) {
        if (pread(rundir->lock_fd, text, sizeof(text) - 1, 0) < 0)
            text[0] = 0;
        text[strcspn(text, "\n")] = 0;
        cl_error_set(err, CLOISTER_BUSY, 0, text, "lock", "run directory '%s' is in use by the daemon with pid %s",
                     rundir->path, text[0] ? text : "(unknown)");
        return -EBUSY;
    }
    int size = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(rundir->lock_fd, 0) < 0 || pwrite(rundir->lock_fd, text, (size_t)size, 0) != size)
        return refuse(err, errno, "write lock in", rundir->path);
    return 0;
}

static int read_boot_id(struct cl_rundir *rundir, struct cloister_error *err)
{
    CL_FREE char *text = NULL;
    size_t size = 0;
    int r = cl_read_file(AT_FDCWD, BOOT_ID_PATH, 256, &text, &size);

    if (r < 0)
        return refuse(err, -r, "read", BOOT_ID_PATH);
    text[strcspn(text, "\n")] = 0;
    if (strlen(text) != CL_BOOT_ID_SIZE - 1)
        return refuse(err, EINVAL, "read", BOOT_ID_PATH);
    memcpy(rundir->boot_id, text, CL_BOOT_ID_SIZE);
    return 0;
}

/* 0: the file is of this boot; 1: there is none, it is of another boot, or it cannot be understood (logged). */
static int read_instance(struct cl_rundir *rundir, struct cloister_error *err)
{
    CL_FREE char *text = NULL;
    size_t size = 0;
    cloister_value *document CL_VALUE_CLEANUP = NULL;
    struct cloister_sv boot = {0}, stores = {0}, cookie = {0};
    int fresh = 1;

    int r = cl_read_file(rundir->dir_fd, "instance", INSTANCE_MAX, &text, &size);
    if (r == -ENOENT)
        return 1;
    if (r < 0)
        return refuse(err, -r, "read instance file in", rundir->path);
    if (cl_value_parse(cl_sv(text, size), NULL, &document, NULL, NULL) == 0 &&
        cl_value_string(cl_value_get(document, CLOISTER_SV("boot_id")), &boot) == 0 &&
        cl_value_string(cl_value_get(document, CLOISTER_SV("cookie")), &cookie) == 0 &&
        cl_value_string(cl_value_get(document, CLOISTER_SV("stores")), &stores) == 0) {
        CL_FREE char *digits = cl_sv_dup(cookie);
        if (digits && cl_sv_is(boot, rundir->boot_id) && sscanf(digits, "%16" SCNx64, &rundir->cookie) == 1) {
            rundir->store_ids = cl_sv_dup(stores);
            fresh = 0;
        }
    } else {
        cl_log(CL_LOG_WARN, "daemon", "instance file in '%s' cannot be understood: a new cookie is made", rundir->path);
    }
    return fresh;
}

int cl_rundir_remember(struct cl_rundir *rundir, const char *store_ids, struct cloister_error *err)
{
    struct cl_str text CL_STR_CLEANUP = CL_STR_INIT(INSTANCE_MAX);
    CL_CLOSE int fd = -1;

    cl_str_printf(&text, "{\"boot_id\":\"%s\",\"cookie\":\"%016" PRIx64 "\",\"stores\":\"%s\"}\n", rundir->boot_id,
                  rundir->cookie, store_ids);
    if (text.error)
        return refuse(err, -text.error, "write instance file in", rundir->path);
    fd = openat(rundir->dir_fd, "instance.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int r = fd < 0 ? -errno : cl_write_all(fd, text.data, text.size);
    if (r < 0)
        return refuse(err, -r, "write instance file in", rundir->path);
    if (fsync(fd) < 0 || renameat(rundir->dir_fd, "instance.new", rundir->dir_fd, "instance") < 0)
        return refuse(err, errno, "replace instance file in", rundir->path);
    char *copy = cl_strdup(store_ids);
    if (!copy)
        return refuse(err, ENOMEM, "write instance file in", rundir->path);
    free(rundir->store_ids);
    rundir->store_ids = copy;
    return 0;
}

int cl_rundir_open(const char *run_dir, const char *state_dir, struct cl_rundir *ret, struct cloister_error *err)
{
    struct cl_rundir rundir = {.dir_fd = -1, .lock_fd = -1};
    struct statfs fs;
    /* Clients that are not root pass through the run directory to a socket that lets them; they cannot list it, and
     * what else is in it is closed to them. */
    int r = make_directory(run_dir, 0711, err);

    if (r == 0)
        r = make_directory(state_dir, 0700, err);
    if (r < 0)
        return r;
    rundir.path = cl_strdup(run_dir);
    rundir.dir_fd = open(run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (!rundir.path || rundir.dir_fd < 0)
        r = refuse(err, rundir.path ? errno : ENOMEM, "open", run_dir);
    if (r == 0)
        r = take_lock(&rundir, err);
    if (r == 0)
        r = read_boot_id(&rundir, err);
    if (r == 0)
        r = read_instance(&rundir, err);
    if (r == 1) {
        r = cl_random_u64(&rundir.cookie);
        r = r < 0 ? refuse(err, -r, "make cookie for", run_dir) : cl_rundir_remember(&rundir, "", err);
    }
    if (r < 0) {
        cl_rundir_close(&rundir);
        return r;
    }
    if (fstatfs(rundir.dir_fd, &fs) == 0 && fs.f_type != TMPFS_MAGIC)
        cl_log(CL_LOG_WARN, "daemon", "run directory '%s' is not on a tmpfs: it outlives a reboot", run_dir);
    *ret = rundir;
    return 0;
}

void cl_rundir_close(struct cl_rundir *rundir)
{
    cl_closep(&rundir->dir_fd);
    cl_closep(&rundir->lock_fd);
    free(rundir->path);
    free(rundir->store_ids);
    rundir->path = rundir->store_ids = NULL;
}
