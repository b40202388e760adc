/* SPDX-License-Identifier: Apache-2.0 */
/* intent.c - {"v":1,"cgroup_root":"/cloister","cgroup":"garden/cl-0123abcd-<id>","ids":[first,count],"split":true,
 * "resources":{...}}; the last two only where they say something. */
#include "intent.h"

#include <stdio.h>

/* Root and group hold no byte that JSON would escape: checked when they were made. */
char *ns_intent_print(const struct ns_intent *intent, const char *resources)
{
    return ns_format("{\"v\":1,\"cgroup_root\":\"%s\",\"cgroup\":\"%s\",\"ids\":[%u,%u]%s%s%s}", intent->root,
                     intent->group, intent->range.first, intent->range.count, intent->split ? ",\"split\":true" : "",
                     resources ? ",\"resources\":" : "", resources ? resources : "");
}

/* A record is input (H1.2.5): parents as from a caller, and behind them a name of ours. */
static bool group_ok(const char *group)
{
    const char *leaf = ns_group_leaf(group);
    struct cloister_sv parent = {group, leaf == group ? 0 : (uint64_t)(leaf - group - 1)};

    return strncmp(leaf, "cl-", 3) == 0 && (leaf == group || (parent.size > 0 && ns_cgroup_parent_ok(parent)));
}

static int read_name(const struct ns_reader *r, const cloister_value *doc, const char *key, char *ret, size_t size)
{
    struct cloister_sv text = ns_get_string(r, doc, key);

    if (text.size == 0 || text.size >= size)
        return ns_refuse(r, CLOISTER_CORRUPT, key, "is not what the sandbox's plan should hold");
    memcpy(ret, text.data, text.size);
    ret[text.size] = 0;
    return 0;
}

static int read_all(const struct ns_reader *r, const cloister_value *doc, struct ns_intent *ret)
{
    cloister_value *ids = ns_get(r, doc, "ids");
    uint64_t version = 0, first = 0, count = 0;

    if (r->value->u64(ns_get(r, doc, "v"), &version) < 0 || version != 1)
        return ns_refuse_at(r, CLOISTER_VERSION_NEWER, "v",
                            "the sandbox's plan is of version %llu, this plugin reads 1", (unsigned long long)version);
    if (read_name(r, doc, "cgroup_root", ret->root, sizeof(ret->root)) < 0 ||
        read_name(r, doc, "cgroup", ret->group, sizeof(ret->group)) < 0)
        return -1;
    ret->split = ns_get_bool(r, doc, "split", false);
    if (!ns_cgroup_root_ok(ns_view(ret->root)) || !group_ok(ret->group))
        return ns_refuse_at(r, CLOISTER_CORRUPT, "cgroup", "the sandbox's plan names a group that is none of ours");
    if (r->value->u64(r->value->at(ids, 0, NULL), &first) < 0 ||
        r->value->u64(r->value->at(ids, 1, NULL), &count) < 0 || first > UINT32_MAX || count > UINT32_MAX)
        return ns_refuse(r, CLOISTER_CORRUPT, "ids", "is not what the sandbox's plan should hold");
    ret->range = (struct ns_range){(uint32_t)first, (uint32_t)count};
    return 0;
}

int ns_intent_parse(const struct ns_reader *r, struct cloister_sv blob, struct ns_intent *ret)
{
    cloister_value *doc = NULL;
    int rc;

    memset(ret, 0, sizeof(*ret));
    if (ns_parse(r, blob, "read the sandbox's plan", &doc) < 0)
        return -1;
    rc = read_all(r, doc, ret);
    r->value->free(doc);
    return rc;
}

int ns_intent_resources(const struct ns_reader *r, struct cloister_sv blob, char **ret)
{
    cloister_value *doc = NULL, *resources;
    struct cloister_sv text = {NULL, 0};
    int rc = 0;

    *ret = NULL;
    if (ns_parse(r, blob, "read the sandbox's plan", &doc) < 0)
        return -1;
    resources = ns_get(r, doc, "resources");
    if (resources) {
        *ret = r->value->print(resources, 0, &text) == 0 ? ns_dup(text) : NULL;
        r->value->free_text(text);
        rc = *ret ? 0 : ns_no_memory(r);
    }
    r->value->free(doc);
    return rc;
}

int ns_intent_of(const struct ns_reader *r, const struct cloister_iso_sandbox *which, const char *root,
                 struct ns_intent *ret)
{
    char group[NS_GROUP_NAME_MAX];

    if (which->id.size != CLOISTER_ENGINE_ID_SIZE || memchr(which->id.data, 0, CLOISTER_ENGINE_ID_SIZE) ||
        memchr(which->id.data, '/', CLOISTER_ENGINE_ID_SIZE))
        return ns_refuse(r, CLOISTER_INVALID, "sandbox", "has an id that is none");
    ns_group_name(which->cookie, which->id, group);
    if (which->plan.size == 0) {
        memset(ret, 0, sizeof(*ret));
        snprintf(ret->root, sizeof(ret->root), "%s", root);
        snprintf(ret->group, sizeof(ret->group), "%s", group);
        return 0;
    }
    if (ns_intent_parse(r, which->plan, ret) < 0)
        return -1;
    if (strcmp(group, ns_group_leaf(ret->group)) != 0)
        return ns_refuse_at(r, CLOISTER_CORRUPT, "cgroup", "the sandbox's plan names group '%s', which is not its own",
                            ret->group);
    return 0;
}
