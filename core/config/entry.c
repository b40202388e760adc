/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "core/config/parser.h"
#include "core/util/mem.h"

static int parse_plugin(struct cl_parser *p, cloister_value *value, void *member)
{
    const char *text = cl_value_cstr(value);
    if (text && text[0] == '/')
        return cl_parse_path(p, value, member);
    if (!text || !cl_is_name(cl_sv_cstr(text)))
        return cl_parser_expected(p, value, CLOISTER_VALUE_STRING,
                                  "a plugin's name (a-z, 0-9 and -) or an absolute path");
    *(const char **)member = text;
    return 0;
}

static int parse_wrapper(struct cl_parser *p, cloister_value *value, void *member)
{
    struct cl_config_entry *entry = member;
    return cl_parse_entry(p, value, p->service, true, false, entry);
}

static int parse_wrap(struct cl_parser *p, cloister_value *value, struct cl_config_entry *entry)
{
    void *items;
    const char *service = p->service;
    p->service = entry->name; /* wrappers go by the name of what they wrap */
    int r = cl_parse_array(p, value, sizeof(*entry), parse_wrapper, &items, &entry->wrap_count);
    p->service = service;
    if (r == 0)
        entry->wrap = items;
    return r;
}

/* An entry written as "unix-json" has no options, but defaults need a place. */
static int parse_mere(struct cl_parser *p, cloister_value *value, struct cl_config_entry *entry)
{
    int r = parse_plugin(p, value, &entry->plugin);
    if (r < 0)
        return r;
    entry->options = cl_value_new_object();
    if (!entry->options || cl_vec_append(&p->room->bare, entry->options) < 0) {
        cl_value_free(entry->options);
        return cl_parser_no_memory(p);
    }
    return 0;
}

/* The keys that are ours; all others are the plugin's and wait for its table. */
static int parse_own_keys(struct cl_parser *p, cloister_value *value, bool wrap, struct cl_config_entry *entry)
{
    cloister_value *plugin = cl_value_get_cstr(value, "plugin");
    cloister_value *optional = cl_value_get_cstr(value, "optional");
    cloister_value *wrappers = cl_value_get_cstr(value, "wrap");
    int r = 0;
    if (!plugin)
        return cl_parser_fail(p, CLOISTER_INVALID, value, "the required key 'plugin' is missing");
    size_t up = cl_parser_down(p, "plugin");
    r = parse_plugin(p, plugin, &entry->plugin);
    cl_parser_up(p, up);
    if (r == 0 && optional) {
        up = cl_parser_down(p, "optional");
        r = cl_parse_bool(p, optional, &entry->optional);
        cl_parser_up(p, up);
    }
    if (r == 0 && wrappers) {
        up = cl_parser_down(p, "wrap");
        r = wrap ? parse_wrap(p, wrappers, entry)
                 : cl_parser_fail(p, CLOISTER_INVALID, wrappers,
                                  "only entries of isolation and persistence can be wrapped");
        cl_parser_up(p, up);
    }
    return r;
}

int cl_parse_entry(struct cl_parser *p, cloister_value *value, const char *name, bool mere, bool wrap,
                   struct cl_config_entry *entry)
{
    entry->room = p->room;
    entry->name = name;
    entry->where = value;
    entry->path = cl_room_own(p->room, cl_strdup(p->path));
    if (!entry->path)
        return cl_parser_no_memory(p);
    if (mere && cl_value_type(value) == CLOISTER_VALUE_STRING)
        return parse_mere(p, value, entry);
    if (cl_value_type(value) != CLOISTER_VALUE_OBJECT)
        return cl_parser_expected(p, value, CLOISTER_VALUE_OBJECT, mere ? "a plugin's name or an object" : "an object");
    entry->options = value;
    if (cl_room_mark(&p->room->entries, value) < 0)
        return cl_parser_no_memory(p);
    return parse_own_keys(p, value, wrap, entry);
}

void cl_config_wrap_entry(const struct cl_config_entry *entry, struct cloister_error *err)
{
    const cloister_value *plugin = cl_value_get_cstr(entry->where, "plugin");
    cl_room_wrap(entry->room, plugin ? plugin : entry->where, entry->path, plugin ? ".plugin" : "", err);
}
