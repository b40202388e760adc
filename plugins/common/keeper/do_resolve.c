/* SPDX-License-Identifier: Apache-2.0 */
/*
 * do_resolve.c - who the process runs as, where the plan has a text instead of numbers. Done by the process itself, in
 * the container's root and with root's rights there, so that a file that never lets go (FUSE) holds up nobody else, and
 * no code of the container's runs: the files are read as bytes (common/users).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/keeper/fd.h"
#include "common/keeper/kernel.h"
#include "common/keeper/setup.h"
#include "common/users/users.h"

struct file {
    char *data;
    size_t size;
};

static void file_free(struct file *file)
{
    free(file->data);
}

static struct users_text text_of(const struct file *file)
{
    return (struct users_text){file->data, file->size};
}

static int read_all(int fd, struct file *ret, size_t size)
{
    ret->data = malloc(size + 1);
    while (ret->data != NULL && ret->size < size) {
        ssize_t n = read(fd, ret->data + ret->size, size - ret->size);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            break;
        ret->size += n > 0 ? (size_t)n : 0;
    }
    return ret->data ? 0 : -ENOMEM;
}

/* An image without it has no users of its own; a fifo or a device in its place is not waited for. */
static int read_file(struct cl_setup *setup, const char *path, struct file *ret)
{
    CL_CLOSE int fd =
        cl_openat2(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0, RESOLVE_NO_MAGICLINKS);
    struct stat st;
    int r;

    if (fd == -ENOENT || fd == -ENOTDIR)
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        return cl_setup_detail(setup, fd < 0 ? fd : -errno, "'%s'", path);
    if (!S_ISREG(st.st_mode))
        return cl_setup_detail(setup, -EINVAL, "'%s' is no regular file", path);
    if (st.st_size > (off_t)USERS_FILE_MAX)
        return cl_setup_detail(setup, -EFBIG, "'%s' has more than %u bytes", path, USERS_FILE_MAX);
    r = read_all(fd, ret, (size_t)st.st_size);
    return r < 0 ? cl_setup_detail(setup, r, "'%s'", path) : 0;
}

static int find(struct cl_setup *setup, const struct file *passwd, const struct file *group, struct users_who *ret)
{
    const char *text = cl_wire_string(setup->plan, setup->plan->user);
    int r = users_find((struct users_text){text, strlen(text)}, text_of(passwd), text_of(group), ret);

    if (r == -ENOENT)
        return cl_setup_detail(setup, r, "'%s': there is no such user", text);
    if (r == -ESRCH)
        return cl_setup_detail(setup, r, "'%s': there is no such group", text);
    return r < 0 ? cl_setup_detail(setup, r, "'%s' is not USER, USER:GROUP, UID or UID:GID", text) : 0;
}

static int take_groups(struct cl_setup *setup, const struct users_who *found, const struct file *group)
{
    int count;

    if (!(setup->plan->resolve & CL_WIRE_RESOLVE_GROUPS) || found->group_given)
        return 0;
    uint32_t *list = calloc(USERS_GROUPS_MAX, sizeof(*list));

    if (list == NULL)
        return -ENOMEM;
    setup->who.groups = list;
    count = users_groups(found->name, text_of(group), found->gid, list, USERS_GROUPS_MAX);
    if (count < 0)
        return cl_setup_detail(setup, count, "the user is in more than %u groups", USERS_GROUPS_MAX);
    setup->who.group_count = (uint32_t)count;
    return 0;
}

static int has_variable(const struct cl_setup *setup, const char *name)
{
    const cl_wire_str *env = cl_wire_items(setup->plan, CL_WIRE_ENV);
    size_t size = strlen(name);

    for (uint32_t i = 0; i < CL_SETUP_COUNT(setup, CL_WIRE_ENV); i++) {
        const char *one = cl_wire_string(setup->plan, env[i]);

        if (strncmp(one, name, size) == 0 && one[size] == '=')
            return 1;
    }
    return 0;
}

static int add_variable(struct cl_setup *setup, const char *name, const char *value, size_t size)
{
    char *text = NULL;

    if (has_variable(setup, name))
        return 0;
    if (asprintf(&text, "%s=%.*s", name, (int)size, value) < 0)
        return -ENOMEM;
    setup->who.env[setup->who.env_count++] = text;
    return 0;
}

static int add_variables(struct cl_setup *setup)
{
    const char *text = cl_wire_string(setup->plan, setup->plan->user);
    const char *path = users_path(setup->who.uid);
    size_t size = strcspn(text, ":");
    int r = 0;

    if (!(setup->plan->resolve & CL_WIRE_RESOLVE_ENV))
        return 0;
    r = add_variable(setup, "PATH", path, strlen(path));
    if (r == 0)
        r = add_variable(setup, "USER", size ? text : "root", size ? size : 4);
    return r < 0 ? r : add_variable(setup, "HOME", setup->who.home, strlen(setup->who.home));
}

/* One step down; what is missing is made and given to the user. What somebody else made meanwhile stays theirs. */
static int descend(const struct cl_setup *setup, int at, const char *name)
{
    int fd = cl_openat2(at, name, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, RESOLVE_NO_MAGICLINKS);

    if (fd != -ENOENT)
        return fd;
    int made = mkdirat(at, name, 0755) == 0;

    if (!made && errno != EEXIST)
        return -errno;
    fd = cl_openat2(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, RESOLVE_NO_MAGICLINKS);
    if (fd >= 0 && made && fchownat(fd, "", setup->who.uid, setup->who.gid, AT_EMPTY_PATH) < 0) {
        int r = -errno;

        close(fd);
        return r;
    }
    return fd;
}

static int make_cwd(struct cl_setup *setup)
{
    char *save = NULL;
    CL_CLOSE int at = cl_openat2(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, RESOLVE_NO_MAGICLINKS);
    char *path = strdup(setup->who.cwd);
    int r = path == NULL ? -ENOMEM : at < 0 ? at : 0;

    for (char *name = r ? NULL : strtok_r(path, "/", &save); name && r == 0; name = strtok_r(NULL, "/", &save)) {
        int next = descend(setup, at, name);

        if (next < 0) {
            r = cl_setup_detail(setup, next, "make '%s'", setup->who.cwd);
            break;
        }
        close(at);
        at = next;
    }
    free(path);
    return r;
}

/* The home of an image is its own words: what is no path is none. */
static int take_home(struct cl_setup *setup, struct users_text home)
{
    int good = home.size > 0 && home.data[0] == '/' && home.size < CL_WIRE_INNER_PATH_MAX;

    setup->who.home = good ? strndup(home.data, home.size) : strdup("/");
    if (setup->who.home == NULL)
        return -ENOMEM;
    if (setup->who.cwd[0] == '\0')
        setup->who.cwd = setup->who.home;
    return 0;
}

/* The keeper gives it its pipes, and tells the caller. */
static int tell(struct cl_setup *setup)
{
    struct cl_report report = {.kind = CL_REPORT_WHO, .value = setup->who.uid, .reserved = setup->who.gid};
    int r;

    if (strlen(setup->who.home) < sizeof(report.detail))
        strcpy(report.detail, setup->who.home);
    r = cl_report_send(setup->status, &report, NULL, 0);
    return r < 0 ? r : cl_setup_wait_go(setup);
}

static int resolve(struct cl_setup *setup, const struct file *passwd, const struct file *group)
{
    const struct cl_wire_plan *plan = setup->plan;
    struct users_who found;
    int r = find(setup, passwd, group, &found);

    if (r < 0)
        return r;
    setup->who.uid = found.uid;
    setup->who.gid = found.gid;
    if ((plan->flags & CL_WIRE_PLAN_NONROOT_CAPS) && found.uid != 0)
        setup->who.caps =
            (struct cl_caps){plan->nonroot_cap_bounding, plan->nonroot_cap_permitted, plan->nonroot_cap_effective,
                             plan->nonroot_cap_inheritable, plan->nonroot_cap_ambient};
    r = take_groups(setup, &found, group);
    if (r == 0)
        r = take_home(setup, found.home);
    return r < 0 ? r : add_variables(setup);
}

int cl_do_resolve(struct cl_setup *setup)
{
    __attribute__((cleanup(file_free))) struct file passwd = {NULL, 0};
    __attribute__((cleanup(file_free))) struct file group = {NULL, 0};
    int r;

    if (!(setup->plan->flags & CL_WIRE_PLAN_RESOLVE))
        return 0;
    r = read_file(setup, "/etc/passwd", &passwd);
    if (r == 0)
        r = read_file(setup, "/etc/group", &group);
    if (r == 0)
        r = resolve(setup, &passwd, &group);
    if (r == 0 && setup->terminal >= 0) /* made before the image's files could be read */
        r = cl_give_terminal(setup);
    return r < 0 ? r : tell(setup);
}

/* With root's rights in the container, and before "user" gives them up. What enters a user namespace still has host
 * root's ids, as whom nothing can be made there; "user" sets these again. */
int cl_do_home(struct cl_setup *setup)
{
    mode_t before;
    int r;

    if (!(setup->plan->flags & CL_WIRE_PLAN_RESOLVE) || !(setup->plan->resolve & CL_WIRE_RESOLVE_CWD))
        return 0;
    setfsgid(0);
    setfsuid(0);
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) /* a change of ids may have made it so */
        return -errno;
    before = umask(0);
    r = make_cwd(setup);
    umask(before);
    return r;
}
