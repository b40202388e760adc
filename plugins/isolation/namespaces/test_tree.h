/* SPDX-License-Identifier: Apache-2.0 */
/* test_tree.h - hierarchies made of plain directories and files, for machines that this one is not. */
#ifndef NS_TEST_TREE_H
#define NS_TEST_TREE_H

#include "test_host.h"

#include <sys/stat.h>

#include "cgroup.h"

static char tree[64];

static inline void tree_put(const char *path, const char *text)
{
    NS_FREE char *whole = ns_format("%s%s", tree, path);
    FILE *file = fopen(whole, "we");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Static until the call after the next. */
static inline const char *tree_get(const char *path)
{
    static char kept[2][4096];
    static unsigned turn;
    NS_FREE char *whole = ns_format("%s%s", tree, path);
    NS_FREE char *text = NULL;
    int rc = ns_read_file(whole, 4000, &text);

    turn ^= 1u;
    snprintf(kept[turn], sizeof(kept[turn]), "%s", rc == 0 ? text : strerror(-rc));
    return kept[turn];
}

static inline void tree_dir(const char *path)
{
    NS_FREE char *whole = ns_format("%s%s", tree, path);

    assert_int_equal(mkdir(whole, 0755), 0);
}

static inline bool tree_has(const char *path)
{
    NS_FREE char *whole = ns_format("%s%s", tree, path);

    return access(whole, F_OK) == 0;
}

/* A fresh tree. `list` is made of "cpu", "memory", ... for v1, and "=cpu memory" for v2 with those controllers. */
static inline void tree_open(const char *const *list, struct ns_hierarchies *ret)
{
    NS_FREE char *info = strdup("");

    snprintf(tree, sizeof(tree), "/tmp/cl-tree-XXXXXX");
    assert_non_null(mkdtemp(tree));
    for (unsigned i = 0; list[i]; i++) {
        const char *name = *list[i] == '=' ? "v2" : list[i];
        NS_FREE char *before = info, *path = ns_format("/%s", name);

        tree_dir(path);
        info = ns_format("%s%u 1 0:%u / %s/%s rw - %s c rw,%s\n", before, i, i, tree, name,
                         *list[i] == '=' ? "cgroup2" : "cgroup", *list[i] == '=' ? "nsdelegate" : name);
        if (*list[i] == '=') {
            NS_FREE char *line = ns_format("%s\n", list[i] + 1);

            tree_put("/v2/cgroup.controllers", line);
            tree_put("/v2/cgroup.subtree_control", "");
        }
    }
    assert_int_equal(ns_hierarchies_parse(info, ret), 0);
    assert_int_equal(ns_hierarchies_look(ret), 0);
}

static inline void tree_close(struct ns_hierarchies *hierarchies)
{
    NS_FREE char *command = ns_format("rm -rf %s", tree);

    ns_hierarchies_clear(hierarchies);
    assert_int_equal(system(command), 0);
}

#endif
