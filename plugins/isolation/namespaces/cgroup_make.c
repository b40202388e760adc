/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup_make.c - making groups. In a v2 hierarchy each group on the way down must hand a controller on, or its files
 * are not there: those that accounting and limits need are handed down as a rule, others (hugetlb, rdma) when a setting
 * wants them, because a controller that is in use on v2 cannot be mounted on v1 by anybody else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "cgroup.h"
#include "cgroup_file.h"

#define RETRIES 8u /* of a parent that somebody else's removal takes away as we enter it */

static int failed(const struct ns_reader *r, int os_errno, const char *what, const char *path)
{
    r->log->error_set(r->err, CLOISTER_CGROUP_FAILED, os_errno, path, "cgroup", "%s '%s'", what, path);
    return -1;
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
    return rc < 0 ? rc : ns_file_write(own, given);
}

/* 0, 1: it was there already; or -1 with the error. */
static int make_one(const struct ns_cgroups *cgroups, const struct ns_reader *r, uint32_t i, const char *name,
                    bool exclusive)
{
    NS_FREE char *dir = ns_group_path(cgroups, i, name, NULL);
    bool was_there;
    int rc = 0;

    if (dir == NULL)
        return ns_no_memory(r);
    /* The container looks at its own limits; the daemon's umask must not close the group to it. */
    was_there = mkdir(dir, 0755) < 0;
    if ((was_there || chmod(dir, 0755) < 0) && (errno != EEXIST || exclusive))
        return failed(r, errno, "make cgroup", dir);
    if (i == ns_hierarchy_find(cgroups->hierarchies, "cpuset")) {
        rc = inherit(dir, "cpuset.cpus");
        rc = rc < 0 ? rc : inherit(dir, "cpuset.mems");
    }
    if (rc < 0 && !was_there)
        rmdir(dir); /* whoever tries again makes it again */
    return rc < 0 ? failed(r, -rc, "set up cpuset of cgroup", dir) : was_there;
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

static int make_parents(const struct ns_cgroups *cgroups, const struct ns_reader *r, uint32_t i, const char *name)
{
    NS_FREE char *copy = strdup(name);

    if (copy == NULL)
        return ns_no_memory(r);
    for (char *word = copy, *end = strchr(copy, '/'); end && strncmp(word, "cl-", 3) != 0;
         word = end + 1, end = strchr(word, '/')) {
        NS_FREE char *path = NULL;
        int was_there;

        *end = 0;
        was_there = make_one(cgroups, r, i, copy, false);
        path = was_there == 0 ? ns_group_path(cgroups, i, copy, NULL) : NULL;
        if (path)
            setxattr(path, NS_GROUP_MARK, "1", 1, 0); /* without it it stays: nothing worse */
        *end = '/';
        if (was_there < 0)
            return -1;
    }
    return 0;
}

/* A sandbox that ends may take an empty parent away under our feet, and another daemon of the same root that too. */
static int make_with_parents(const struct ns_cgroups *cgroups, const struct ns_reader *r, uint32_t i, const char *name,
                             uint32_t flags)
{
    NS_FREE char *path = ns_group_path(cgroups, i, name, NULL);

    for (unsigned tries = 0;; tries++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        struct ns_reader quiet = {r->log, r->value, &err};

        if (make_root(cgroups, &quiet, i) == 0 && make_parents(cgroups, &quiet, i, name) == 0 &&
            make_one(cgroups, &quiet, i, name, (flags & NS_GROUP_NEW) != 0) >= 0)
            return 0;
        if (err.os_errno == ENOENT && tries < RETRIES && path && access(path, F_OK) < 0)
            continue;
        if (r->err)
            *r->err = err;
        return -1;
    }
}

/* --- v2 controllers --- */

static bool has_word(const char *list, const char *word)
{
    size_t size = strlen(word);

    for (const char *hit = list; (hit = strstr(hit, word)) != NULL; hit += size)
        if ((hit == list || hit[-1] == ' ') && (hit[size] == 0 || hit[size] == ' ' || hit[size] == '\n'))
            return true;
    return false;
}

/* Has `dir` the files of each of `words`, a list like "memory pids"? */
static bool has_all(const char *dir, const char *words)
{
    NS_FREE char *path = ns_format("%s/cgroup.controllers", dir), *text = NULL, *copy = strdup(words);
    char *save = NULL;

    if (path == NULL || copy == NULL || ns_read_file(path, 4096, &text) < 0)
        return false;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): NS_FREE frees it, which the analyzer does not know. */
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        if (!has_word(text, word))
            return false;
    return true;
}

/* All at once, or else each that goes: one that does not must not keep the others away. 0 or what the last one said. */
static int hand_on(const char *dir, const char *words)
{
    NS_FREE char *path = ns_format("%s/cgroup.subtree_control", dir), *copy = strdup(words), *all = NULL;
    char *save = NULL;
    int rc = 0;

    if (path == NULL || copy == NULL)
        return -ENOMEM;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): NS_FREE frees it, which the analyzer does not know. */
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        NS_FREE char *before = all;

        all = ns_format("%s%s+%s", before ? before : "", before ? " " : "", word);
        if (all == NULL)
            return -ENOMEM;
    }
    if (all == NULL || ns_file_write(path, all) == 0)
        return 0;
    for (char *at = all, *end = all; end; at = end + 1) {
        int one;

        end = strchr(at, ' ');
        if (end)
            *end = 0;
        one = ns_file_write(path, at);
        rc = one < 0 ? one : rc;
    }
    return rc;
}

/* From the mount down to the group above `name`, which thereby gets the files. */
static int hand_down(const struct ns_cgroups *cgroups, uint32_t i, const char *name, const char *words)
{
    NS_FREE char *target = ns_group_path(cgroups, i, name, NULL);
    size_t above = strlen(cgroups->hierarchies->list[i].mount);
    int rc = 0;

    if (target == NULL)
        return -ENOMEM;
    if (has_all(target, words))
        return 0;
    for (char *end = target + above; end; end = strchr(end + 1, '/')) {
        int one;

        *end = 0;
        one = hand_on(target, words);
        rc = one < 0 ? one : rc;
        *end = '/';
    }
    return rc;
}

/* Those of the hierarchy that every container is to have. */
static void usual_controllers(const struct ns_hierarchy *h, char *ret, size_t size)
{
    static const char *const usual[] = {"cpuset", "cpu", "io", "memory", "pids"};
    size_t used = 0;

    *ret = 0;
    for (size_t i = 0; i < sizeof(usual) / sizeof(*usual); i++)
        if (ns_hierarchy_has(h, usual[i]))
            used += (size_t)snprintf(ret + used, size - used, "%s%s", used ? " " : "", usual[i]);
}

int ns_group_hand_down(const struct ns_cgroups *cgroups, uint32_t hierarchy, const char *name, const char *controller)
{
    const struct ns_hierarchy *h = &cgroups->hierarchies->list[hierarchy];

    return !h->v2 || !ns_hierarchy_has(h, controller) ? -ENOENT : hand_down(cgroups, hierarchy, name, controller);
}

bool ns_group_has_leaf(const struct ns_cgroups *cgroups, uint32_t hierarchy)
{
    const struct ns_hierarchy *h = &cgroups->hierarchies->list[hierarchy];

    return h->v2 && *h->controllers != 0;
}

static int make_in(const struct ns_cgroups *cgroups, const struct ns_reader *r, uint32_t i, const char *name,
                   uint32_t flags)
{
    const struct ns_hierarchy *h = &cgroups->hierarchies->list[i];
    NS_FREE char *leaf = NULL;
    char words[64];

    if (make_with_parents(cgroups, r, i, name, flags) < 0)
        return -1;
    if (h->v2) {
        usual_controllers(h, words, sizeof(words));
        if (*words)
            hand_down(cgroups, i, name, words); /* a setting that then finds no file says so */
    }
    if (!(flags & NS_GROUP_LEAF) || !ns_group_has_leaf(cgroups, i))
        return 0;
    leaf = ns_format("%s/%s", name, NS_LEAF);
    if (leaf == NULL)
        return ns_no_memory(r);
    return make_one(cgroups, r, i, leaf, (flags & NS_GROUP_NEW) != 0) < 0 ? -1 : 0;
}

int ns_group_make(const struct ns_cgroups *cgroups, const struct ns_reader *r, const char *name, uint32_t flags)
{
    for (uint32_t i = 0; i < cgroups->hierarchies->count; i++)
        if (make_in(cgroups, r, i, name, flags) < 0)
            return -1;
    return 0;
}
