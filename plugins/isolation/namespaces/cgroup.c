/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup.c - groups' files, members, and finding groups. */
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/xattr.h>

#include "cgroup_file.h"
#include "cgroup_walk.h"
#include "device_program.h"

#define PARENTS_MAX 64u /* components of a parent that are looked into */

char *ns_group_path(const struct ns_cgroups *cgroups, uint32_t hierarchy, const char *name, const char *file)
{
    const char *mount = cgroups->hierarchies->list[hierarchy].mount;

    return ns_format("%s%s%s%s%s%s", mount, cgroups->root, *name ? "/" : "", name, file ? "/" : "", file ? file : "");
}

int ns_file_write(const char *path, const char *text)
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

/* v2: the file is there as soon as its controller is handed down. */
static int hand_down_for(const struct ns_cgroups *cgroups, const char *name, const struct ns_write *write)
{
    char controller[32];

    snprintf(controller, sizeof(controller), "%.*s", (int)strcspn(write->file, "."), write->file);
    return ns_group_hand_down(cgroups, write->hierarchy, name, controller);
}

int ns_group_put(const struct ns_cgroups *cgroups, const char *name, const struct ns_write *write)
{
    NS_FREE char *path = ns_group_path(cgroups, write->hierarchy, name, write->file);
    int rc = path ? ns_file_write(path, write->value) : -ENOMEM;

    if (rc == -ENOENT && hand_down_for(cgroups, name, write) == 0)
        rc = ns_file_write(path, write->value);
    return rc;
}

int ns_group_write(const struct ns_cgroups *cgroups, const struct ns_reader *r, const char *name,
                   const struct ns_write *write)
{
    int rc = ns_group_put(cgroups, name, write);
    NS_FREE char *path = rc < 0 ? ns_group_path(cgroups, write->hierarchy, name, write->file) : NULL;

    if (rc == 0)
        return 0;
    if (path == NULL)
        return ns_no_memory(r);
    r->log->error_set(r->err, CLOISTER_CGROUP_FAILED, -rc, write->where, "cgroup", "%s: set %s to '%s'", write->where,
                      path, write->value);
    return -1;
}

int ns_group_set(const struct ns_cgroups *cgroups, const char *name, const struct ns_compile *c)
{
    for (uint32_t i = 0; i < c->write_count; i++)
        if (ns_group_write(cgroups, &c->r, name, &c->writes[i]) < 0)
            return -1;
    return c->device_code ? ns_device_program_attach(cgroups, name, c) : 0;
}

int ns_group_open(const struct ns_cgroups *cgroups, const struct ns_reader *r, uint32_t hierarchy, const char *name,
                  const char *file, int flags)
{
    NS_FREE char *path = ns_group_path(cgroups, hierarchy, name, file);
    int fd = path ? open(path, flags | O_CLOEXEC) : -1;

    if (fd >= 0)
        return fd;
    if (path == NULL)
        return ns_no_memory(r);
    r->log->error_set(r->err, CLOISTER_CGROUP_FAILED, errno, path, "cgroup", "open '%s'", path);
    return -1;
}

/* Groups that a former daemon made, and an exec's own, have none. */
int ns_group_open_procs(const struct ns_cgroups *cgroups, const struct ns_reader *r, uint32_t hierarchy,
                        const char *name, int flags)
{
    NS_FREE char *path =
        ns_group_has_leaf(cgroups, hierarchy) ? ns_group_path(cgroups, hierarchy, name, NS_LEAF "/cgroup.procs") : NULL;
    int fd = path ? open(path, flags | O_CLOEXEC) : -1;

    return fd >= 0 ? fd : ns_group_open(cgroups, r, hierarchy, name, "cgroup.procs", flags);
}

bool ns_group_is_marked(const struct ns_cgroups *cgroups, const char *name)
{
    for (uint32_t i = 0; i < cgroups->hierarchies->count; i++) {
        NS_FREE char *path = ns_group_path(cgroups, i, name, NULL);
        char mark[4];

        if (path && getxattr(path, NS_GROUP_MARK, mark, sizeof(mark)) >= 0)
            return true;
    }
    return false;
}

void ns_group_mark(const struct ns_cgroups *cgroups, const char *name)
{
    for (uint32_t i = 0; i < cgroups->hierarchies->count; i++) {
        NS_FREE char *path = ns_group_path(cgroups, i, name, NULL);

        if (path)
            setxattr(path, NS_GROUP_MARK, "1", 1, 0); /* one that takes it is enough */
    }
}

/* --- finding --- */

static DIR *open_dir(const struct ns_cgroups *cgroups, uint32_t hierarchy, const char *name)
{
    NS_FREE char *path = ns_group_path(cgroups, hierarchy, name, NULL);

    return path ? opendir(path) : NULL;
}

struct search {
    const struct ns_cgroups *cgroups;
    const char *prefix;
    void (*fn)(void *ctx, const char *name);
    void *ctx;
};

/* Looks into `name` and into parents below it. */
static void search_in(const struct search *search, uint32_t i, const char *name, unsigned depth)
{
    DIR *dir = open_dir(search->cgroups, i, name);
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL) {
        NS_FREE char *path = NULL;
        const char *found = entry->d_name;

        if (entry->d_type != DT_DIR || *found == '.' || strcmp(found, NS_KEEPERS) == 0)
            continue;
        path = ns_format("%s%s%s", name, *name ? "/" : "", found);
        if (path && strncmp(found, search->prefix, strlen(search->prefix)) == 0)
            search->fn(search->ctx, path);
        else if (path && strncmp(found, "cl-", 3) != 0 && depth < PARENTS_MAX)
            search_in(search, i, path, depth + 1);
    }
    if (dir)
        closedir(dir);
}

void ns_group_list(const struct ns_cgroups *cgroups, const char *prefix, void (*fn)(void *ctx, const char *name),
                   void *ctx)
{
    const struct search search = {cgroups, prefix, fn, ctx};

    for (uint32_t i = 0; i < cgroups->hierarchies->count; i++)
        search_in(&search, i, "", 0);
}

void ns_group_beside(const struct ns_cgroups *cgroups, uint32_t hierarchy, const char *group,
                     void (*fn)(void *ctx, const char *name), void *ctx)
{
    const char *leaf = ns_group_leaf(group);
    NS_FREE char *parent = ns_format("%.*s", (int)(leaf == group ? 0 : leaf - group - 1), group);
    size_t size = strlen(leaf);
    DIR *dir = parent ? open_dir(cgroups, hierarchy, parent) : NULL;
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL) {
        NS_FREE char *path = NULL;

        if (strncmp(entry->d_name, leaf, size) != 0 || entry->d_name[size] != '.')
            continue;
        path = ns_format("%s%s%s", parent, *parent ? "/" : "", entry->d_name);
        if (path)
            fn(ctx, path);
    }
    if (dir)
        closedir(dir);
}

static void count_one(void *ctx, const char *name)
{
    ++*(unsigned *)ctx;
}

bool ns_group_has_beside(const struct ns_cgroups *cgroups, const char *group)
{
    unsigned count = 0;

    for (uint32_t i = 0; i < cgroups->hierarchies->count && count == 0; i++)
        ns_group_beside(cgroups, i, group, count_one, &count);
    return count > 0;
}

bool ns_group_is_there(const struct ns_cgroups *cgroups, const char *name)
{
    for (uint32_t i = 0; i < cgroups->hierarchies->count; i++) {
        NS_FREE char *path = ns_group_path(cgroups, i, name, NULL);

        if (path && access(path, F_OK) == 0)
            return true;
    }
    return false;
}

struct members {
    bool (*fn)(void *ctx, long pid);
    void *ctx;
    bool enough;
};

static void read_members(void *ctx, int fd)
{
    struct members *members = ctx;
    int procs = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    FILE *file = procs < 0 ? NULL : fdopen(procs, "re");
    long pid;

    if (file == NULL) {
        if (procs >= 0)
            close(procs);
        return;
    }
    while (!members->enough && fscanf(file, "%ld", &pid) == 1)
        members->enough = members->fn(members->ctx, pid);
    fclose(file);
}

static bool is_enough(void *ctx)
{
    const struct members *members = ctx;

    return members->enough;
}

bool ns_group_members(const struct ns_cgroups *cgroups, uint32_t hierarchy, const char *name,
                      bool (*fn)(void *ctx, long pid), void *ctx)
{
    struct members members = {fn, ctx, false};
    const struct ns_visitor visitor = {read_members, NULL, is_enough, &members};
    NS_FREE char *path = ns_group_path(cgroups, hierarchy, name, NULL);

    if (path)
        ns_cgroup_walk(AT_FDCWD, path, &visitor);
    return members.enough;
}

struct sandbox_members {
    const struct ns_cgroups *cgroups;
    uint32_t hierarchy;
    bool (*fn)(void *ctx, long pid);
    void *ctx;
    bool enough;
};

static void read_beside(void *ctx, const char *name)
{
    struct sandbox_members *all = ctx;

    all->enough = all->enough || ns_group_members(all->cgroups, all->hierarchy, name, all->fn, all->ctx);
}

bool ns_group_sandbox_members(const struct ns_cgroups *cgroups, uint32_t hierarchy, const char *group,
                              bool (*fn)(void *ctx, long pid), void *ctx)
{
    struct sandbox_members all = {cgroups, hierarchy, fn, ctx, false};

    read_beside(&all, group);
    ns_group_beside(cgroups, hierarchy, group, read_beside, &all);
    return all.enough;
}
