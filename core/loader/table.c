/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.c - the part of the handshake that reads a plugin's tables: its options and, of a personality, its routes. Both
 * are read again and again later (by the configuration check, by --dump-plugin, by the route match), so what is wrong
 * with them is said here, once, to the plugin's author, and nobody later needs to doubt them.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "core/error/error.h"
#include "core/loader/handshake.h"
#include "core/util/sv.h"
#include "core/value/value.h"

#define KEY_MAX_BYTES 64u
#define STRING_MAX_BYTES 4096u
#define WORD_MAX_BYTES 128u

/* Keys of a plugin entry that are the daemon's own (core/config). */
static const char *const reserved_keys[] = {"plugin", "optional", "wrap"};

static int bad_option(struct cloister_error *err, const struct cloister_option *option, const char *sentence)
{
    return cl_error_set(err, CLOISTER_INVALID, 0, option->key, "option", "its option '%.*s' %s", (int)KEY_MAX_BYTES,
                        option->key, sentence);
}

static bool is_key(const char *key)
{
    size_t size = strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return size > 0 && size <= KEY_MAX_BYTES && key[size] == 0;
}

/* As core/config reads the table: 0 as the maximum of a number is none. */
static uint64_t max_of(const struct cloister_option *option)
{
    if (option->max)
        return option->max;
    return option->type == CLOISTER_OPTION_U64 ? UINT64_MAX : STRING_MAX_BYTES;
}

static bool fallback_fits(const struct cloister_option *option)
{
    struct cloister_sv text = cl_sv_cstr(option->fallback);
    uint64_t number;
    CL_VALUE_CLEANUP cloister_value *value = NULL;
    switch (option->type) {
    case CLOISTER_OPTION_U64:
        return cl_sv_u64(text, &number) == 0 && number >= option->min && number <= max_of(option);
    case CLOISTER_OPTION_BOOL:
        return cl_sv_is(text, "true") || cl_sv_is(text, "false");
    case CLOISTER_OPTION_JSON:
        return cl_value_parse(text, NULL, &value, NULL, NULL) == 0;
    default:
        return cl_sv_utf8(text) && text.size >= option->min && text.size <= max_of(option);
    }
}

static int check_option(const struct cloister_option *option, struct cloister_error *err)
{
    for (size_t i = 0; i < sizeof(reserved_keys) / sizeof(reserved_keys[0]); i++)
        if (strcmp(option->key, reserved_keys[i]) == 0)
            return bad_option(err, option, "has a key that is the daemon's own; rename it");
    if (option->type < CLOISTER_OPTION_STRING || option->type > CLOISTER_OPTION_JSON)
        return cl_error_set(err, CLOISTER_INVALID, 0, option->key, "option",
                            "its option '%s' has type %" PRIu32 ", this daemon knows %d to %d; use a known one",
                            option->key, option->type, CLOISTER_OPTION_STRING, CLOISTER_OPTION_JSON);
    if ((option->flags & ~(CLOISTER_OPTION_REQUIRED | CLOISTER_OPTION_SECRET)) || option->reserved[0] ||
        option->reserved[1])
        return bad_option(err, option, "has unknown flags or reserved members that are not zero; clear them");
    if (option->type != CLOISTER_OPTION_JSON && option->min > max_of(option))
        return bad_option(err, option, "has a minimum above its maximum; correct its range");
    if ((option->flags & CLOISTER_OPTION_REQUIRED) && option->fallback)
        return bad_option(err, option, "is required and has a default; drop one of them");
    if (option->fallback && !fallback_fits(option))
        return bad_option(err, option, "has a default that is not a valid value of it; correct the default");
    if (!option->help || !*option->help || strchr(option->help, '\n'))
        return bad_option(err, option, "has no one-line help; say what it is for");
    return 0;
}

int cl_handshake_options(const struct cl_module *module, struct cloister_error *err)
{
    for (uint32_t i = 0; i < module->plugin.option_count; i++) {
        const struct cloister_option *option = &module->options[i];
        if (!option->key || !is_key(option->key))
            return cl_error_set(err, CLOISTER_INVALID, 0, NULL, "option",
                                "its option number %" PRIu32
                                " has no key of 1 to %u of a-z, 0-9 and '_'; correct the key",
                                i + 1, KEY_MAX_BYTES);
        int r = check_option(option, err);
        if (r < 0)
            return r;
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(module->options[k].key, option->key) == 0)
                return bad_option(err, option, "is there twice; drop one");
    }
    return 0;
}

static int bad_route(struct cloister_error *err, uint32_t index, const struct cloister_route *route,
                     const char *sentence)
{
    const char *word = route->op ? route->op : route->path ? route->path : "";
    return cl_error_set(err, CLOISTER_INVALID, 0, word, "route", "its route number %" PRIu32 " ('%.*s') %s", index + 1,
                        (int)WORD_MAX_BYTES, word, sentence);
}

static bool is_word(const char *word)
{
    return *word && strnlen(word, WORD_MAX_BYTES + 1) <= WORD_MAX_BYTES;
}

static const char *route_fault(const struct cloister_route *route)
{
    if ((route->verb == NULL) != (route->path == NULL))
        return "has a verb without a path or a path without a verb; give both or neither";
    if (!route->verb && !route->op && !route->number)
        return "has neither URL, word nor number; give it one, it cannot be reached";
    if ((route->verb && !is_word(route->verb)) || (route->op && !is_word(route->op)))
        return "has an empty or overlong verb or word; correct it";
    if (route->path && route->path[0] != '/')
        return "has a path that does not begin with '/'; correct it";
    if (route->access < CLOISTER_ACCESS_OBSERVE || route->access > CLOISTER_ACCESS_ADMIN)
        return "has no access class of OBSERVE, CONTROL or ADMIN; give it one";
    if (route->body > CLOISTER_BODY_STREAM)
        return "has an unknown body policy; use NONE, WHOLE or STREAM";
    if ((route->flags & ~(CLOISTER_ROUTE_FDS | CLOISTER_ROUTE_PARKED)) || route->reserved32 || route->reserved[0] ||
        route->reserved[1])
        return "has unknown flags or reserved members that are not zero; clear them";
    return NULL;
}

static bool same_text(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static bool same_way(const struct cloister_route *a, const struct cloister_route *b)
{
    return (a->number && a->number == b->number) || same_text(a->op, b->op) ||
           (same_text(a->verb, b->verb) && same_text(a->path, b->path));
}

int cl_handshake_routes(const struct cl_module *module, struct cloister_error *err)
{
    for (uint32_t i = 0; i < module->vtable.personality.route_count; i++) {
        const struct cloister_route *route = &module->routes[i];
        const char *fault = route_fault(route);
        if (fault)
            return bad_route(err, i, route, fault);
        for (uint32_t k = 0; k < i; k++)
            if (same_way(&module->routes[k], route))
                return bad_route(err, i, route, "is reached in the same way as an earlier one; drop one");
    }
    return 0;
}
