/* SPDX-License-Identifier: Apache-2.0 */
/* hierarchy.c - the cgroup lines of /proc/self/mountinfo. */
#include "hierarchy.h"

#include <errno.h>

#include "text.h"

/* Octal escapes of mountinfo (\040 and friends), in place. */
static void unescape(char *text)
{
    char *out = text;

    for (; *text; text++) {
        if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] >= '0' && text[2] <= '7' && text[3] >= '0' &&
            text[3] <= '7') {
            *out++ = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0'));
            text += 3;
        } else {
            *out++ = *text;
        }
    }
    *out = 0;
}

/* Words of the super block options that are not controllers. */
static bool is_plain_option(const char *word)
{
    static const char *const plain[] = {"rw",           "ro",  "xattr", "clone_children", "noprefix", "cpuset_v2_mode",
                                        "favordynmods", "none"};

    for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
        if (strcmp(word, plain[i]) == 0)
            return true;
    return strncmp(word, "release_agent=", 14) == 0;
}

/* Keeps the controllers of "rw,xattr,cpu,cpuacct" in place: "cpu,cpuacct". */
static void keep_controllers(char *options)
{
    char *save = NULL, *out = options;
    bool first = true;

    for (char *word = strtok_r(options, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        size_t size = strlen(word);

        if (is_plain_option(word))
            continue;
        if (!first)
            *out++ = ',';
        memmove(out, word, size);
        out += size;
        first = false;
    }
    *out = 0;
}

static bool known(const struct ns_hierarchies *h, bool v2, const char *controllers)
{
    for (uint32_t i = 0; i < h->count; i++)
        if (h->list[i].v2 == v2 && strcmp(h->list[i].controllers, controllers) == 0)
            return true;
    return false;
}

static int add(struct ns_hierarchies *h, bool v2, const char *mount, const char *controllers)
{
    struct ns_hierarchy *one = &h->list[h->count];
    const char *slash = strrchr(mount, '/');

    if (known(h, v2, controllers) || (!v2 && *controllers == 0))
        return 0;
    if (h->count == NS_HIERARCHIES_MAX)
        return -EINVAL;
    *one = (struct ns_hierarchy){v2, strdup(mount), strdup(slash ? slash + 1 : mount), strdup(controllers)};
    h->count++;
    return one->mount && one->label && one->controllers ? 0 : -ENOMEM;
}

/* "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw": fields 4, 5 and those behind " - ".
 */
static int parse_line(struct ns_hierarchies *h, char *line, bool whole_only)
{
    char *tail = strstr(line, " - ");
    char *field[5] = {NULL}, *save = NULL, *type, *options;

    if (tail == NULL)
        return 0;
    *tail = 0;
    field[0] = strtok_r(line, " ", &save);
    for (int i = 1; i < 5 && field[i - 1]; i++)
        field[i] = strtok_r(NULL, " ", &save);
    type = strtok_r(tail + 3, " ", &save);
    if (field[4] == NULL || type == NULL || strtok_r(NULL, " ", &save) == NULL)
        return 0;
    options = strtok_r(NULL, " ", &save);
    if (whole_only != (strcmp(field[3], "/") == 0))
        return 0;
    unescape(field[4]);
    if (strcmp(type, "cgroup2") == 0)
        return add(h, true, field[4], "");
    if (strcmp(type, "cgroup") != 0 || options == NULL)
        return 0;
    keep_controllers(options);
    return add(h, false, field[4], options);
}

/* Twice: a mount of the whole hierarchy is preferred to one of a part (which is what a container sees). */
int ns_hierarchies_parse(const char *mountinfo, struct ns_hierarchies *ret)
{
    memset(ret, 0, sizeof(*ret));
    for (int pass = 0; pass < 2; pass++) {
        NS_FREE char *copy = strdup(mountinfo);
        char *save = NULL;
        int rc = copy ? 0 : -ENOMEM;

        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): NS_FREE frees it, which the analyzer does not know. */
        for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line && rc == 0;
             line = strtok_r(NULL, "\n", &save))
            rc = parse_line(ret, line, pass == 0);
        if (rc < 0) {
            ns_hierarchies_clear(ret);
            return rc;
        }
    }
    return 0;
}

void ns_hierarchies_clear(struct ns_hierarchies *hierarchies)
{
    for (uint32_t i = 0; i < hierarchies->count; i++) {
        free(hierarchies->list[i].mount);
        free(hierarchies->list[i].label);
        free(hierarchies->list[i].controllers);
    }
    memset(hierarchies, 0, sizeof(*hierarchies));
}

static bool has_controller(const char *list, const char *controller)
{
    size_t size = strlen(controller);

    while (*list) {
        size_t word = strcspn(list, ",");

        if (word == size && memcmp(list, controller, size) == 0)
            return true;
        list += word + (list[word] == ',');
    }
    return false;
}

bool ns_hierarchy_has(const struct ns_hierarchy *hierarchy, const char *controller)
{
    return has_controller(hierarchy->controllers, controller);
}

uint32_t ns_hierarchy_of(const struct ns_hierarchies *hierarchies, const char *controller)
{
    for (uint32_t i = 0; i < hierarchies->count; i++)
        if (has_controller(hierarchies->list[i].controllers, controller))
            return i;
    return NS_NO_HIERARCHY;
}

int ns_hierarchies_look(struct ns_hierarchies *hierarchies)
{
    uint32_t v2 = ns_hierarchy_find(hierarchies, "");
    NS_FREE char *path = v2 == NS_NO_HIERARCHY ? NULL : ns_format("%s/cgroup.controllers", hierarchies->list[v2].mount);
    NS_FREE char *text = NULL;

    if (v2 == NS_NO_HIERARCHY)
        return 0;
    if (path == NULL)
        return -ENOMEM;
    if (ns_read_file(path, 4096, &text) < 0)
        return 0; /* it has none that we could use */
    text[strcspn(text, "\n")] = 0;
    for (char *at = text; *at; at++)
        *at = *at == ' ' ? ',' : *at;
    free(hierarchies->list[v2].controllers);
    hierarchies->list[v2].controllers = ns_steal_text(&text);
    return 0;
}

uint32_t ns_hierarchy_find(const struct ns_hierarchies *hierarchies, const char *controller)
{
    for (uint32_t i = 0; i < hierarchies->count; i++) {
        const struct ns_hierarchy *h = &hierarchies->list[i];

        if (*controller == 0 ? h->v2 : (!h->v2 && has_controller(h->controllers, controller)))
            return i;
    }
    return NS_NO_HIERARCHY;
}
