/* SPDX-License-Identifier: Apache-2.0 */
#include "core/inspect/view.h"

#include <errno.h>
#include <inttypes.h>

#include "core/error/error.h"
#include "core/loader/callback.h"
#include "core/loader/capability.h"
#include "core/util/str.h"

#define WORDS_MAX 4096u

/* A value that cannot break its line, nor, with blanks, its field. */
static void put_text(FILE *to, const char *text, bool blanks)
{
    for (const unsigned char *byte = (const unsigned char *)(text ? text : ""); *byte; byte++) {
        if (*byte < 0x20 || *byte == 0x7f || (*byte == ' ' && blanks))
            fprintf(to, "\\x%02x", *byte);
        else if (*byte == '\\')
            fputs("\\\\", to);
        else
            fputc(*byte, to);
    }
}

static void put_field(FILE *to, const char *key, const char *text)
{
    fprintf(to, "%s=", key);
    put_text(to, text, true);
    fputc(' ', to);
}

static void put_line(FILE *to, const char *key, const char *text)
{
    fprintf(to, "%s=", key);
    put_text(to, text, false);
    fputc('\n', to);
}

static void list_one(void *ctx, const char *path, const struct cl_module *module, const struct cloister_error *err)
{
    FILE *to = ctx;
    char sentence[CL_ERROR_SENTENCE_MAX];
    if (module) {
        put_field(to, "name", module->plugin.name);
        put_field(to, "kind", cl_kind_name(module->plugin.kind));
        put_field(to, "version", module->plugin.version);
        put_field(to, "path", module->path);
        fputs("status=ok\n", to);
        return;
    }
    put_field(to, "path", path);
    cl_error_sentence(err, sentence, sizeof(sentence));
    fputs("status=refused: ", to);
    put_text(to, sentence, false);
    fputc('\n', to);
}

static int written(FILE *to)
{
    return fflush(to) != 0 || ferror(to) ? -EIO : 0;
}

int cl_view_list(struct cl_loader *loader, FILE *to)
{
    int r = cl_loader_scan(loader, list_one, to);
    return r < 0 ? r : written(to);
}

static void put_words(FILE *to, const char *key, uint32_t kind, uint64_t bits)
{
    struct cl_str words CL_STR_CLEANUP = CL_STR_INIT(WORDS_MAX);
    cl_capability_words(kind, bits, ",", &words);
    put_line(to, key, words.data);
}

static void put_callbacks(FILE *to, const struct cl_module *module)
{
    size_t count;
    const char *between = "";
    const struct cl_callback *callbacks = cl_callbacks(module->plugin.kind, &count);
    fputs("callbacks=", to);
    for (size_t i = 0; i < count; i++) {
        if (!cl_callback_present(&module->vtable, &callbacks[i]))
            continue;
        fprintf(to, "%s%s", between, callbacks[i].name);
        between = ",";
    }
    fputc('\n', to);
}

static const char *option_type(uint32_t type)
{
    static const char *const names[] = {"unknown", "string", "u64", "bool", "json"};
    return names[type < sizeof(names) / sizeof(names[0]) ? type : 0];
}

static void put_range(FILE *to, const struct cloister_option *option)
{
    uint64_t max = option->max;
    if (option->type != CLOISTER_OPTION_U64 && option->type != CLOISTER_OPTION_STRING)
        return;
    if (max == 0)
        max = option->type == CLOISTER_OPTION_U64 ? UINT64_MAX : 4096;
    fprintf(to, " range=%" PRIu64 "..%" PRIu64, option->min, max);
}

/* option.size=u64 range=1..512 default=64 help: how many */
static void put_option(FILE *to, const struct cloister_option *option)
{
    fprintf(to, "option.%s=%s", option->key, option_type(option->type));
    put_range(to, option);
    if (option->flags & CLOISTER_OPTION_REQUIRED)
        fputs(" required", to);
    if (option->flags & CLOISTER_OPTION_SECRET)
        fputs(" secret", to);
    if (option->fallback) {
        fputs(" default=", to);
        put_text(to, option->fallback, true);
    }
    fputs(" help: ", to);
    put_text(to, option->help, false);
    fputc('\n', to);
}

/* route.3=op:create access=control body=whole max=1048576 flags=fds */
static void put_route(FILE *to, unsigned index, const struct cloister_route *route)
{
    static const char *const access_names[] = {"none", "observe", "control", "admin"};
    static const char *const body_names[] = {"none", "whole", "stream"};
    const char *between = "";
    fprintf(to, "route.%u=", index);
    if (route->op) {
        fputs("op:", to);
        put_text(to, route->op, true);
        between = ",";
    }
    if (route->number) {
        fprintf(to, "%snumber:%" PRIu32, between, route->number);
        between = ",";
    }
    if (route->verb) {
        fprintf(to, "%surl:", between);
        put_text(to, route->verb, true);
        fputc(':', to);
        put_text(to, route->path, true);
    }
    fprintf(to, " access=%s body=%s", access_names[route->access], body_names[route->body]);
    if (route->body == CLOISTER_BODY_WHOLE)
        fprintf(to, " max=%" PRIu64, route->body_max ? route->body_max : (uint64_t)1024 * 1024);
    fprintf(to, "%s%s\n", route->flags & CLOISTER_ROUTE_FDS ? " fds" : "",
            route->flags & CLOISTER_ROUTE_PARKED ? " parked" : "");
}

static void put_descriptor(FILE *to, const struct cl_module *module)
{
    const struct cloister_plugin *plugin = &module->plugin;
    put_line(to, "name", plugin->name);
    put_line(to, "kind", cl_kind_name(plugin->kind));
    put_line(to, "path", module->path);
    fprintf(to, "abi_major=%" PRIu32 "\nabi_minor=%" PRIu32 "\n", plugin->abi_major, plugin->abi_minor);
    put_line(to, "version", plugin->version);
    put_line(to, "licence", plugin->licence);
    put_line(to, "build", plugin->build);
    put_line(to, "summary", plugin->summary);
    put_line(to, "wrapper", plugin->flags & CLOISTER_PLUGIN_WRAPPER ? "yes" : "no");
    put_words(to, "provides", plugin->kind, plugin->provides);
    if (plugin->kind == CLOISTER_KIND_PERSONALITY) {
        put_words(to, "needs_transport", CLOISTER_KIND_TRANSPORT, plugin->needs_transport);
        put_words(to, "needs_isolation", CLOISTER_KIND_ISOLATION, plugin->needs_isolation);
    }
}

int cl_view_plugin(struct cl_loader *loader, const char *name, FILE *to, struct cloister_error *err)
{
    const struct cl_module *module;
    int r = cl_loader_load(loader, name, 0, &module, err);
    if (r < 0)
        return r;
    put_descriptor(to, module);
    put_callbacks(to, module);
    for (uint32_t i = 0; i < module->plugin.option_count; i++)
        put_option(to, &module->options[i]);
    for (uint32_t i = 0; module->routes && i < module->vtable.personality.route_count; i++)
        put_route(to, i, &module->routes[i]);
    r = written(to);
    return r < 0 ? cl_error_set(err, CLOISTER_IO, r, NULL, "write", "write what plugin '%s' is", name) : 0;
}
