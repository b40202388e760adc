/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup.c - making groups, their files, and listing them. */
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

void ns_group_prefix(uint64_t cookie, char ret[NS_GROUP_NAME_MAX])
{
    snprintf(ret, NS_GROUP_NAME_MAX, "cl-%08x-", (unsigned)(cookie >> 32));
}

void ns_group_name(uint64_t cookie, struct cloister_sv id, char ret[NS_GROUP_NAME_MAX])
{
    snprintf(ret, NS_GROUP_NAME_MAX, "cl-%08x-%.*s", (unsigned)(cookie >> 32),
             (int)(id.size < CLOISTER_ENGINE_ID_SIZE ? id.size : CLOISTER_ENGINE_ID_SIZE), id.data);
}

const char *ns_group_id(const char *name)
{
    size_t before = strlen("cl-01234567-");

    if (strlen(name) != before + CLOISTER_ENGINE_ID_SIZE || strncmp(name, "cl-", 3) != 0 || name[before - 1] != '-')
        return NULL;
    return name + before;
}

char *ns_group_path(const struct ns_cgroups *cgroups, uint32_t hierarchy, const char *name, const char *file)
{
    const char *mount = cgroups->hierarchies->list[hierarchy].mount;

    return ns_format("%s%s%s%s%s%s", mount, cgroups->root, *name ? "/" : "", name, file ? "/" : "", file ? file : "");
}

static int failed(const struct ns_reader *r, int os_errno, const char *what, const char *path)
{
    r->log->error_set(r->err, CLOISTER_CGROUP_FAILED, os_errno, path, "cgroup", "%s '%s'", what, path);
    return -1;
}

static int write_text(const char *path, const char *text)
{
    NS_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    size_t size = strlen(text);
    ssize_t n;

    if (fd < 0)
        return -errno;
    do
        n = write(fd, text, size);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : (size_t)n == size ? 0 : -EIO;
}

/* One of cpuset.cpus and cpuset.mems, if it is still empty, from the directory above: a process cannot join before
 * (H2.2.6). */
static int inherit(const char *dir, const char *file)
{
    NS_FREE char *own = ns_format("%s/%s", dir, file), *above = ns_format("%s/../%s", dir, file);
    NS_FREE char *text = NULL, *given = NULL;
    int rc = own && above ? ns_read_file(own, 4096, &text) : -ENOMEM;

    if (rc < 0 || text[strspn(text, " \n")] != 0)
        return rc;
    rc = ns_read_file(above, 4096, &given);
    return rc < 0 ? rc : write_text(own, given);
}

static int make_one(const struct ns_cgroups *cgroups, const struct ns_reader *r, uint32_t i, const char *name,
                    bool exclusive)
{
    NS_FREE char *dir = ns_group_path(cgroups, i, name, NULL);
    int rc = 0;

    if (dir == NULL)
        return ns_no_memory(r);
    /* The container looks at its own limits; the daemon's umask must not close the group to it. */
    if ((mkdir(dir, 0755) < 0 || chmod(dir, 0755) < 0) && (errno != EEXIST || exclusive))
        return failed(r, errno, "make cgroup", dir);
    if (i == ns_hierarchy_find(cgroups->hierarchies, "cpuset")) {
        rc = inherit(dir, "cpuset.cpus");
        rc = rc < 0 ? rc : inherit(dir, "cpuset.mems");
    }
    return rc < 0 ? failed(r, -rc, "set up cpuset of cgroup", dir) : 0;
}

/* The root may have several components: each is made, and each needs its cpuset. */
static int make_root(const struct ns_cgroups *cgroups, const struct ns_reader *r, uint32_t i)
{
    NS_FREE char *copy = strdup(cgroups->root);

    if (copy == NULL)
        return ns_no_memory(r);
    for (char *end = strchr(copy + 1, '/');; end = strchr(end + 1, '/')) {
        struct ns_cgroups part = {cgroups->hierarchies, copy};

        if (end)
            *end = 0;
        if (make_one(&part, r, i, "", false) < 0)
            return -1;
        if (end == NULL)
            return 0;
        *end = '/';
    }
}

int ns_group_make(const struct ns_cgroups *cgroups, const struct ns_reader *r, const char *name, bool exclusive)
{
    for (uint32_t i = 0; i < cgroups->hierarchies->count; i++)
        if (make_root(cgroups, r, i) < 0 || make_one(cgroups, r, i, name, exclusive) < 0)
            return -1;
    return 0;
}

int ns_group_write(const struct ns_cgroups *cgroups, const struct ns_reader *r, const char *name,
                   const struct ns_write *write)
{
    NS_FREE char *path = ns_group_path(cgroups, write->hierarchy, name, write->file);
    int rc = path ? write_text(path, write->value) : -ENOMEM;

    if (rc == 0)
        return 0;
    if (path == NULL)
        return ns_no_memory(r);
    r->log->error_set(r->err, CLOISTER_CGROUP_FAILED, -rc, write->where, "cgroup", "%s: set %s to '%s'", write->where,
                      path, write->value);
    return -1;
}

int ns_group_open(const struct ns_cgroups *cgroups, const struct ns_reader *r, uint32_t hierarchy, const char *name,
                  const char *file, int flags)
{
    NS_FREE char *path = ns_group_path(cgroups, hierarchy, name, file);
    int fd = path ? open(path, flags | O_CLOEXEC) : -1;

    if (fd < 0 && path == NULL)
        return ns_no_memory(r);
    return fd < 0 ? failed(r, errno, "open", path) : fd;
}

void ns_group_list(const struct ns_cgroups *cgroups, const char *prefix, void (*fn)(void *ctx, const char *name),
                   void *ctx)
{
    for (uint32_t i = 0; i < cgroups->hierarchies->count; i++) {
        NS_FREE char *path = ns_group_path(cgroups, i, "", NULL);
        DIR *dir = path ? opendir(path) : NULL;
        struct dirent *entry;

        while (dir && (entry = readdir(dir)) != NULL)
            if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
                fn(ctx, entry->d_name);
        if (dir)
            closedir(dir);
    }
}
