/* SPDX-License-Identifier: Apache-2.0 */
/* walk.c - goes through a document by the tables of properties.c; the first thing that is not carried out ends it. */
#include "properties.h"

#include <stdio.h>

static const char unknown[] = "the namespaces backend does not know it";

static int check(const struct ns_reader *r, const cloister_value *value, const struct ns_prop *prop, const char *path);

static int refuse(const struct ns_reader *r, const char *path, const char *why)
{
    return ns_refuse(r, CLOISTER_UNSUPPORTED, path, "is not supported: %s", why);
}

static int check_type(const struct ns_reader *r, const cloister_value *value, const struct ns_prop *prop,
                      const char *path)
{
    static const struct {
        uint32_t type;
        const char *name;
    } want[] = {
        [PROP_STRING] = {CLOISTER_VALUE_STRING, "a string"},    [PROP_BOOL] = {CLOISTER_VALUE_BOOL, "true or false"},
        [PROP_INTEGER] = {CLOISTER_VALUE_NUMBER, "an integer"}, [PROP_OBJECT] = {CLOISTER_VALUE_OBJECT, "an object"},
        [PROP_ARRAY] = {CLOISTER_VALUE_ARRAY, "an array"},      [PROP_MAP] = {CLOISTER_VALUE_OBJECT, "an object"},
    };
    uint64_t u;
    int64_t i;

    if (r->value->type(value) != want[prop->kind].type ||
        (prop->kind == PROP_INTEGER && r->value->u64(value, &u) < 0 && r->value->i64(value, &i) < 0))
        return ns_refuse(r, CLOISTER_INVALID, path, "must be %s", want[prop->kind].name);
    return 0;
}

static bool is_empty(const struct ns_reader *r, const cloister_value *value)
{
    struct cloister_sv text;
    uint32_t yes;

    if (r->value->boolean(value, &yes) == 0)
        return yes == 0;
    if (r->value->string(value, &text) == 0)
        return text.size == 0;
    return r->value->count(value) == 0;
}

static void member_path(char *ret, const char *base, struct cloister_sv key)
{
    snprintf(ret, NS_PATH_MAX, "%s%s%.*s", base, *base ? "." : "", (int)(key.size < 100 ? key.size : 100), key.data);
}

static int check_object(const struct ns_reader *r, const cloister_value *object, const struct ns_prop *members,
                        const char *base)
{
    char path[NS_PATH_MAX];
    struct cloister_sv key;
    cloister_value *value;

    for (uint64_t i = 0; (value = r->value->at(object, i, &key)) != NULL; i++) {
        const struct ns_prop *prop = members;

        while (prop->name && !ns_equal(key, prop->name))
            prop++;
        member_path(path, base, key);
        if (prop->name == NULL)
            return refuse(r, path, unknown);
        if (check(r, value, prop, path) < 0)
            return -1;
    }
    for (const struct ns_prop *prop = members; prop->name; prop++) {
        if (!(prop->flags & PROP_REQUIRED) || ns_get(r, object, prop->name) != NULL)
            continue;
        member_path(path, base, ns_view(prop->name));
        return ns_refuse(r, CLOISTER_INVALID, path, "is required");
    }
    return 0;
}

static int check_elements(const struct ns_reader *r, const cloister_value *list, const struct ns_prop *prop,
                          const char *base)
{
    char path[NS_PATH_MAX];
    struct cloister_sv key;
    cloister_value *value;

    for (uint64_t i = 0; (value = r->value->at(list, i, &key)) != NULL; i++) {
        if (prop->kind == PROP_MAP)
            member_path(path, base, key);
        else
            snprintf(path, sizeof(path), "%s[%llu]", base, (unsigned long long)i);
        if (check(r, value, prop->sub, path) < 0)
            return -1;
    }
    return 0;
}

static int check(const struct ns_reader *r, const cloister_value *value, const struct ns_prop *prop, const char *path)
{
    if (prop->flags & PROP_NEVER)
        return refuse(r, path, prop->why);
    if (check_type(r, value, prop, path) < 0)
        return -1;
    if (prop->flags & PROP_EMPTY)
        return is_empty(r, value) ? 0 : refuse(r, path, prop->why);
    if (prop->kind == PROP_OBJECT)
        return check_object(r, value, prop->sub, path);
    if (prop->kind == PROP_ARRAY || prop->kind == PROP_MAP)
        return check_elements(r, value, prop, path);
    return 0;
}

/* 1.0 and later 1.x: additive by the OCI's own rule, and what is new in one is refused by its path. */
static int check_version(const struct ns_reader *r, const cloister_value *spec)
{
    struct cloister_sv text = ns_get_string(r, spec, "ociVersion");

    if (text.size < 3 || memcmp(text.data, "1.", 2) != 0 || text.data[2] < '0' || text.data[2] > '9')
        return ns_refuse_at(r, CLOISTER_UNSUPPORTED, "ociVersion", "'%.*s' is not a 1.x version",
                            (int)(text.size < 32 ? text.size : 32), text.data);
    return 0;
}

int ns_check_spec(const struct ns_reader *r, const cloister_value *spec)
{
    if (r->value->type(spec) != CLOISTER_VALUE_OBJECT)
        return ns_refuse(r, CLOISTER_INVALID, "spec", "must be an object");
    if (ns_get(r, spec, "process") != NULL)
        return ns_refuse(r, CLOISTER_INVALID, "process", "travels apart from the spec");
    if (check_object(r, spec, ns_spec_members, "") < 0)
        return -1;
    return check_version(r, spec);
}

int ns_check_resources(const struct ns_reader *r, const cloister_value *resources, const char *base)
{
    if (r->value->type(resources) != CLOISTER_VALUE_OBJECT)
        return ns_refuse(r, CLOISTER_INVALID, base, "must be an object");
    return check_object(r, resources, ns_resources_members, base);
}

int ns_check_capabilities(const struct ns_reader *r, const cloister_value *capabilities, const char *base)
{
    if (r->value->type(capabilities) != CLOISTER_VALUE_OBJECT)
        return ns_refuse(r, CLOISTER_INVALID, base, "must be an object");
    return check_object(r, capabilities, ns_capability_members, base);
}

int ns_check_process(const struct ns_reader *r, const cloister_value *process)
{
    if (r->value->type(process) != CLOISTER_VALUE_OBJECT)
        return ns_refuse(r, CLOISTER_INVALID, "process", "must be an object");
    return check_object(r, process, ns_process_members, "process");
}

/* One part of a path as the spec's text has it: a name, then "[]" for the elements of an array; "*" for those of a map.
 */
static const char *next_part(const char *path, char *ret, size_t size)
{
    size_t length = *path == '[' ? 2 : strcspn(path, ".[");

    snprintf(ret, size, "%.*s", (int)length, path);
    path += length;
    return *path == '.' ? path + 1 : path;
}

static const struct ns_prop *below(const struct ns_prop *prop, const struct ns_prop *members, const char *name)
{
    if (prop && (prop->kind == PROP_ARRAY || prop->kind == PROP_MAP))
        return prop->sub && strcmp(name, prop->kind == PROP_MAP ? "*" : "[]") == 0 ? prop->sub : NULL;
    for (members = prop ? prop->sub : members; members && members->name; members++)
        if (strcmp(members->name, name) == 0)
            return members;
    return NULL;
}

const char *ns_property_refused(const char *path, bool *ret_empty, char ret_at[NS_PATH_MAX])
{
    const struct ns_prop *prop = NULL, *top = ns_spec_members;
    const char *at = path;
    char name[64];

    if (strncmp(path, "process.", 8) == 0) {
        top = ns_process_members;
        at += 8;
    }
    do {
        at = next_part(at, name, sizeof(name));
        prop = below(prop, top, name);
        snprintf(ret_at, NS_PATH_MAX, "%.*s", (int)(at - path - (at > path && at[-1] == '.')), path);
        *ret_empty = prop && (prop->flags & PROP_EMPTY);
        if (prop == NULL || prop->why)
            return prop ? prop->why : unknown;
    } while (*at);
    return NULL;
}

static void each(const struct ns_prop *prop, const char *base, void (*fn)(void *ctx, const char *path), void *ctx)
{
    char path[NS_PATH_MAX];

    fn(ctx, base);
    if (prop->why || prop->sub == NULL)
        return;
    if (prop->kind != PROP_OBJECT) {
        snprintf(path, sizeof(path), "%s%s", base, prop->kind == PROP_MAP ? ".*" : "[]");
        each(prop->sub, path, fn, ctx);
        return;
    }
    for (const struct ns_prop *member = prop->sub; member->name; member++) {
        snprintf(path, sizeof(path), "%s.%s", base, member->name);
        each(member, path, fn, ctx);
    }
}

void ns_properties_each(void (*fn)(void *ctx, const char *path), void *ctx)
{
    char path[NS_PATH_MAX];

    for (const struct ns_prop *prop = ns_spec_members; prop->name; prop++)
        each(prop, prop->name, fn, ctx);
    for (const struct ns_prop *prop = ns_process_members; prop->name; prop++) {
        snprintf(path, sizeof(path), "process.%s", prop->name);
        each(prop, path, fn, ctx);
    }
}
