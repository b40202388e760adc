/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/config/parser.h"
#include "core/error/error.h"
#include "core/util/mem.h"

#define STRING_MAX 4096u

static const char *const own_keys[] = {"plugin", "optional", "wrap"};
#define OWN_KEYS (sizeof(own_keys) / sizeof(own_keys[0]))

static bool is_known(struct cloister_sv key, const char *const *known, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (cl_sv_is(key, known[i]))
            return true;
    }
    return false;
}

static int check_keys(struct cl_parser *p, const struct cl_config_entry *entry, const struct cloister_option *options,
                      size_t count)
{
    CL_FREE const char **known = cl_calloc(count + OWN_KEYS, sizeof(*known));
    if (!known)
        return cl_parser_no_memory(p);
    for (size_t i = 0; i < count; i++)
        known[i] = options[i].key;
    memcpy(known + count, own_keys, sizeof(own_keys));
    for (const cloister_value *member = cl_value_first(entry->options); member; member = cl_value_next(member)) {
        if (!is_known(cl_value_key(member), known, count + OWN_KEYS))
            return cl_parser_unknown(p, member, known, count + OWN_KEYS);
    }
    return 0;
}

static int check_string(struct cl_parser *p, const struct cloister_option *option, const cloister_value *value,
                        struct cloister_option_value *ret)
{
    uint64_t max = option->max ? option->max : STRING_MAX;
    if (cl_value_string(value, &ret->text) < 0)
        return cl_parser_expected(p, value, CLOISTER_VALUE_STRING, "a string");
    if (ret->text.size < option->min || ret->text.size > max)
        return cl_parser_fail(p, CLOISTER_INVALID, value, "expected %" PRIu64 " to %" PRIu64 " bytes, not %" PRIu64,
                              option->min, max, ret->text.size);
    return 0;
}

static int check_u64(struct cl_parser *p, const struct cloister_option *option, const cloister_value *value,
                     struct cloister_option_value *ret)
{
    uint64_t max = option->max ? option->max : UINT64_MAX;
    if (cl_value_u64(value, &ret->number) == 0 && ret->number >= option->min && ret->number <= max)
        return 0;
    char what[96];
    (void)snprintf(what, sizeof(what), "a whole number from %" PRIu64 " to %" PRIu64, option->min, max);
    return cl_parser_expected(p, value, CLOISTER_VALUE_NUMBER, what);
}

static int check_json(struct cl_parser *p, const cloister_value *value, struct cloister_option_value *ret)
{
    char *text = NULL;
    size_t size;
    if (cl_value_print(value, false, &text, &size) < 0 || !cl_room_own(p->room, text))
        return cl_parser_no_memory(p);
    ret->text = cl_sv(text, size);
    return 0;
}

static int check_value(struct cl_parser *p, const struct cloister_option *option, const cloister_value *value,
                       struct cloister_option_value *ret)
{
    bool yes;
    if ((option->flags & CLOISTER_OPTION_SECRET) && cl_room_mark(&p->room->secrets, value) < 0)
        return cl_parser_no_memory(p);
    ret->set = 1;
    switch (option->type) {
    case CLOISTER_OPTION_STRING:
        return check_string(p, option, value, ret);
    case CLOISTER_OPTION_U64:
        return check_u64(p, option, value, ret);
    case CLOISTER_OPTION_BOOL:
        if (cl_value_bool(value, &yes) < 0)
            return cl_parser_expected(p, value, CLOISTER_VALUE_BOOL, "true or false");
        ret->number = yes;
        return 0;
    case CLOISTER_OPTION_JSON:
        return check_json(p, value, ret);
    default:
        return cl_parser_fail(p, CLOISTER_INTERNAL, value,
                              "the plugin declares this option with an unknown type, %" PRIu32, option->type);
    }
}

/* A default is put where the operator could have written it, and is then checked like any other value. */
static int put_fallback(struct cl_parser *p, const struct cl_config_entry *entry, const struct cloister_option *option,
                        cloister_value **ret)
{
    cloister_value *value = NULL;
    int r = 0;
    if (option->type == CLOISTER_OPTION_STRING)
        value = cl_value_new_cstr(option->fallback);
    else
        r = cl_value_parse(cl_sv_cstr(option->fallback), NULL, &value, NULL, NULL);
    if (r < 0 && r != -ENOMEM)
        return cl_parser_fail(p, CLOISTER_INTERNAL, entry->where, "the plugin's own default for this is not JSON");
    if (cl_value_set_cstr(entry->options, option->key, value) < 0)
        return cl_parser_no_memory(p);
    *ret = cl_value_get_cstr(entry->options, option->key);
    return 0;
}

static int check_option(struct cl_parser *p, const struct cl_config_entry *entry, const struct cloister_option *option,
                        struct cloister_option_value *ret)
{
    cloister_value *value = cl_value_get_cstr(entry->options, option->key);
    ret->type = option->type;
    if (!value && (option->flags & CLOISTER_OPTION_REQUIRED))
        return cl_parser_fail(p, CLOISTER_INVALID, entry->where, "the required key '%s' is missing", option->key);
    if (!value && !option->fallback)
        return 0;
    size_t up = cl_parser_down(p, option->key);
    int r = value ? 0 : put_fallback(p, entry, option, &value);
    if (r == 0)
        r = check_value(p, option, value, ret);
    cl_parser_up(p, up);
    return r;
}

int cl_config_check_options(const struct cl_config_entry *entry, const struct cloister_option *options, size_t count,
                            struct cloister_option_value **ret_values, struct cloister_error *err)
{
    struct cl_parser p = {.room = entry->room, .err = err};
    CL_FREE struct cloister_option_value *values = cl_calloc(count, sizeof(*values));
    if (!values)
        return cl_parser_no_memory(&p);
    (void)cl_parser_down(&p, entry->path);
    int r = check_keys(&p, entry, options, count);
    for (size_t i = 0; i < count && r == 0; i++)
        r = check_option(&p, entry, &options[i], &values[i]);
    if (r == 0 && cl_room_mark(&entry->room->checked, entry->options) < 0)
        r = cl_parser_no_memory(&p);
    if (r < 0)
        return r;
    *ret_values = cl_steal_ptr(&values);
    return 0;
}
