/* SPDX-License-Identifier: Apache-2.0 */
/* layout.c - see layout.h. */
#include "layout.h"

#include <stdio.h>

#define FIRST_CONTAINER 1u /* its number */

void ns_group_prefix(uint64_t cookie, char ret[NS_GROUP_NAME_MAX])
{
    snprintf(ret, NS_GROUP_NAME_MAX, "cl-%08x-", (unsigned)(cookie >> 32));
}

void ns_group_name(uint64_t cookie, struct cloister_sv id, char ret[NS_GROUP_NAME_MAX])
{
    snprintf(ret, NS_GROUP_NAME_MAX, "cl-%08x-%.*s", (unsigned)(cookie >> 32),
             (int)(id.size < CLOISTER_ENGINE_ID_SIZE ? id.size : CLOISTER_ENGINE_ID_SIZE), id.data);
}

const char *ns_group_leaf(const char *group)
{
    const char *slash = strrchr(group, '/');

    return slash ? slash + 1 : group;
}

const char *ns_group_id(const char *group, bool rest)
{
    const char *leaf = ns_group_leaf(group);
    size_t before = strlen("cl-01234567-"), whole = before + CLOISTER_ENGINE_ID_SIZE;

    if (strlen(leaf) < whole || strncmp(leaf, "cl-", 3) != 0 || leaf[before - 1] != '-')
        return NULL;
    return leaf[whole] == 0 || (rest && leaf[whole] == '.') ? leaf + before : NULL;
}

static bool is_word(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '_' || byte == '-' || byte == '.';
}

static bool component_ok(struct cloister_sv word)
{
    if (word.size == 0 || word.data[0] == '.')
        return false;
    for (uint64_t i = 0; i < word.size; i++)
        if (!is_word(word.data[i]))
            return false;
    return true;
}

/* Takes the first component off. */
static struct cloister_sv next_component(struct cloister_sv *path)
{
    const char *slash = memchr(path->data, '/', path->size);
    struct cloister_sv word = {path->data, slash ? (uint64_t)(slash - path->data) : path->size};
    uint64_t used = word.size + (slash != NULL);

    path->data += used;
    path->size -= used;
    return word;
}

static bool components_ok(struct cloister_sv path, bool ours_apart)
{
    if (path.size == 0 || path.size > NS_GROUP_PARENT_MAX || path.data[path.size - 1] == '/')
        return false;
    while (path.size > 0) {
        struct cloister_sv word = next_component(&path);

        if (!component_ok(word))
            return false;
        if (ours_apart && (ns_equal(word, NS_KEEPERS) || (word.size >= 3 && memcmp(word.data, "cl-", 3) == 0)))
            return false;
    }
    return true;
}

bool ns_cgroup_root_ok(struct cloister_sv root)
{
    return root.size > 0 && root.data[0] == '/' &&
           components_ok((struct cloister_sv){root.data + 1, root.size - 1}, false);
}

bool ns_cgroup_parent_ok(struct cloister_sv parent)
{
    return parent.size == 0 || components_ok(parent, true);
}

static bool fits(int printed)
{
    return printed > 0 && printed < (int)NS_GROUP_PATH_MAX;
}

bool ns_layout_sandbox(struct cloister_sv parent, uint64_t cookie, struct cloister_sv id, char ret[NS_GROUP_PATH_MAX])
{
    char name[NS_GROUP_NAME_MAX];

    ns_group_name(cookie, id, name);
    return fits(snprintf(ret, NS_GROUP_PATH_MAX, "%.*s%s%s", (int)parent.size, parent.size ? parent.data : "",
                         parent.size ? "/" : "", name));
}

bool ns_layout_container(const char *sandbox, bool split, uint64_t number, const char *share,
                         char ret[NS_GROUP_PATH_MAX])
{
    if (share == NULL && !split && number == FIRST_CONTAINER)
        return fits(snprintf(ret, NS_GROUP_PATH_MAX, "%s", sandbox));
    return fits(snprintf(ret, NS_GROUP_PATH_MAX, "%s%cc%llu", share ? share : sandbox, share || split ? '/' : '.',
                         (unsigned long long)number));
}

bool ns_layout_exec(const char *container, cloister_process process, char ret[NS_GROUP_PATH_MAX])
{
    return fits(snprintf(ret, NS_GROUP_PATH_MAX, "%s/e%llu", container, (unsigned long long)process));
}

bool ns_layout_thawed(const char *container, char ret[NS_GROUP_PATH_MAX])
{
    return fits(snprintf(ret, NS_GROUP_PATH_MAX, "%s.t", container));
}

bool ns_layout_is_thawed(const char *group)
{
    const char *dot = strrchr(group, '.');

    return dot && strcmp(dot, ".t") == 0;
}
