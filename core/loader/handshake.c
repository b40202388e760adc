/* SPDX-License-Identifier: Apache-2.0 */
#include "core/loader/handshake.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "core/error/error.h"
#include "core/loader/callback.h"
#include "core/loader/capability.h"
#include "core/util/mem.h"
#include "core/util/str.h"

#define STRUCT_MAX 65536u /* a larger struct_size is not a size */
#define ARRAY_MAX 1024u
#define ELEMENT_MAX 4096u
#define NAME_MAX_BYTES 32u
#define TEXT_MAX_BYTES 1024u

#define REBUILD "rebuild the plugin against this daemon's headers"

static int refuse(struct cloister_error *err, const char *step, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(struct cloister_error *err, const char *step, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int r = cl_error_setv(err, CLOISTER_INVALID, 0, NULL, step, format, args);
    va_end(args);
    return r;
}

static const char *article(uint32_t kind)
{
    return kind == CLOISTER_KIND_ISOLATION ? "an" : "a";
}

/* The first 16 bytes have the same layout in every SDK there will ever be: only they are looked at before the versions
 * match. */
static int check_versions(const struct cloister_plugin *raw, struct cloister_error *err)
{
    if (raw->struct_size < offsetof(struct cloister_plugin, min_host_minor) || raw->struct_size > STRUCT_MAX)
        return refuse(err, "struct-size", "its descriptor claims %" PRIu32 " bytes where %zu are expected; %s",
                      raw->struct_size, sizeof(*raw), REBUILD);
    if (raw->magic != CLOISTER_PLUGIN_MAGIC)
        return refuse(err, "magic",
                      "its magic is 0x%08" PRIx32 ", not 0x%08x; begin its descriptor with CLOISTER_PLUGIN_STAMP",
                      raw->magic, CLOISTER_PLUGIN_MAGIC);
    if (raw->abi_major != CLOISTER_ABI_MAJOR)
        return refuse(err, "major", "it was built for ABI major %" PRIu32 ", this daemon has %u; %s", raw->abi_major,
                      CLOISTER_ABI_MAJOR, REBUILD);
    if (raw->abi_minor != CLOISTER_ABI_MINOR)
        return refuse(err, "minor",
                      "it was built for ABI %u.%" PRIu32
                      ", this daemon has %u.%u, and before 1.0 both must be equal; %s",
                      CLOISTER_ABI_MAJOR, raw->abi_minor, CLOISTER_ABI_MAJOR, CLOISTER_ABI_MINOR, REBUILD);
    return 0;
}

/* Never more than both sides have; what the plugin does not declare is zero. */
static void copy_struct(void *to, size_t own, const void *from, uint32_t declared)
{
    memset(to, 0, own);
    memcpy(to, from, declared < own ? declared : own);
    uint32_t size = (uint32_t)own;
    memcpy(to, &size, sizeof(size)); /* the copy is full-size, whatever the original was */
}

int cl_handshake_kind(const struct cl_module *module, uint32_t kind, struct cloister_error *err)
{
    uint32_t own = module->plugin.kind;
    if (kind == 0 || kind == own)
        return 0;
    return refuse(err, "kind", "it is %s %s plugin, but %s %s plugin is asked for; name another plugin there",
                  article(own), cl_kind_name(own), article(kind), cl_kind_name(kind));
}

static int check_kind(const struct cl_module *module, uint32_t kind, struct cloister_error *err)
{
    if (!cl_vtable_size(module->plugin.kind))
        return refuse(err, "kind", "it is of kind %" PRIu32 ", this daemon knows 1 to %d; use a newer daemon",
                      module->plugin.kind, CLOISTER_KIND_PERSISTENCE);
    return cl_handshake_kind(module, kind, err);
}

static int check_needs(uint32_t kind, uint64_t bits, const char *what, struct cloister_error *err)
{
    uint64_t unknown = bits & ~cl_capability_known(kind);
    if (!unknown)
        return 0;
    return refuse(err, "needs",
                  "it needs %s capabilities 0x%" PRIx64 ", of which this daemon does not know 0x%" PRIx64 "; use a "
                  "newer daemon",
                  what, bits, unknown);
}

static int check_bits(const struct cloister_plugin *plugin, struct cloister_error *err)
{
    uint64_t unknown = plugin->requires_host & ~CLOISTER_REQUIRES_KNOWN;
    if (plugin->min_host_minor > CLOISTER_ABI_MINOR)
        return refuse(err, "host-minor",
                      "it needs a daemon of ABI minor %" PRIu32 " or later, this one has %u; use a newer daemon",
                      plugin->min_host_minor, CLOISTER_ABI_MINOR);
    if (unknown)
        return refuse(err, "requires",
                      "it requires host features 0x%" PRIx64 ", this daemon has 0x%llx: 0x%" PRIx64
                      " are unknown here; use a newer daemon",
                      plugin->requires_host, CLOISTER_REQUIRES_KNOWN, unknown);
    if (plugin->flags & ~CLOISTER_PLUGIN_WRAPPER)
        return refuse(err, "flags", "its flags are 0x%" PRIx32 ", this daemon knows 0x%x; clear the others",
                      plugin->flags, CLOISTER_PLUGIN_WRAPPER);
    if (plugin->kind != CLOISTER_KIND_PERSONALITY && (plugin->needs_transport || plugin->needs_isolation))
        return refuse(err, "needs",
                      "it is %s %s plugin with needs (transport 0x%" PRIx64 ", isolation 0x%" PRIx64
                      "), which only a personality may have; clear them",
                      article(plugin->kind), cl_kind_name(plugin->kind), plugin->needs_transport,
                      plugin->needs_isolation);
    int r = check_needs(CLOISTER_KIND_TRANSPORT, plugin->needs_transport, "transport", err);
    return r < 0 ? r : check_needs(CLOISTER_KIND_ISOLATION, plugin->needs_isolation, "isolation", err);
}

static int check_text(const char *text, const char *what, struct cloister_error *err)
{
    if (!text)
        return refuse(err, "text", "its descriptor has no %s; give one, \"\" if there is nothing to say", what);
    if (strnlen(text, TEXT_MAX_BYTES + 1) > TEXT_MAX_BYTES || !cl_sv_utf8(cl_sv_cstr(text)))
        return refuse(err, "text", "its %s is not UTF-8 text of at most %u bytes; correct it", what, TEXT_MAX_BYTES);
    return 0;
}

static int check_texts(const struct cloister_plugin *plugin, const char *name, struct cloister_error *err)
{
    if (!plugin->name || strcmp(plugin->name, name) != 0)
        return refuse(err, "name", "it calls itself '%.*s', but its file is called '%s.so'; rename one of them",
                      (int)NAME_MAX_BYTES, plugin->name ? plugin->name : "", name);
    const struct {
        const char *text;
        const char *what;
    } texts[] = {
        {plugin->version, "version"},
        {plugin->licence, "licence"},
        {plugin->build, "build"},
        {plugin->summary, "summary"},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int r = check_text(texts[i].text, texts[i].what, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int copy_vtable(struct cl_module *module, struct cloister_error *err)
{
    uint32_t declared, least = offsetof(struct cloister_transport, life) + sizeof(struct cloister_lifecycle);
    const char *kind = cl_kind_name(module->plugin.kind);
    if (!module->plugin.vtable)
        return refuse(err, "vtable", "its descriptor has no vtable; set it to its struct cloister_%s", kind);
    memcpy(&declared, module->plugin.vtable, sizeof(declared));
    if (declared < least || declared > STRUCT_MAX)
        return refuse(err, "vtable",
                      "its %s vtable claims %" PRIu32 " bytes where %" PRIu32
                      " to %zu are expected; begin it with CLOISTER_INIT",
                      kind, declared, least, cl_vtable_size(module->plugin.kind));
    copy_struct(&module->vtable, cl_vtable_size(module->plugin.kind), module->plugin.vtable, declared);
    module->plugin.vtable = &module->vtable;
    return 0;
}

static int check_callbacks(const struct cl_module *module, struct cloister_error *err)
{
    size_t count;
    const struct cloister_plugin *plugin = &module->plugin;
    const struct cl_callback *callbacks = cl_callbacks(plugin->kind, &count);
    for (size_t i = 0; i < count; i++) {
        uint64_t claimed = callbacks[i].provides & plugin->provides;
        if (cl_callback_present(&module->vtable, &callbacks[i]))
            continue;
        if (callbacks[i].mandatory)
            return refuse(err, "callback", "its %s vtable lacks the mandatory callback '%s'; implement it",
                          cl_kind_name(plugin->kind), callbacks[i].name);
        /* A wrapper provides what it wraps; the slots it leaves out are the wrapped one's business. */
        if (claimed && !(plugin->flags & CLOISTER_PLUGIN_WRAPPER))
            return refuse(err, "callback", "it provides %s, but its %s vtable lacks the callback '%s'; implement it",
                          cl_capability_word(plugin->kind, (unsigned)__builtin_ctzll(claimed)),
                          cl_kind_name(plugin->kind), callbacks[i].name);
    }
    return 0;
}

struct array {
    const char *what;
    const void *elements;
    uint64_t count;
    uint64_t size; /* of one element, as the plugin says */
    size_t least;  /* of one element */
    size_t own;    /* of one element, here */
};

static int copy_array(const struct array *array, void **ret, struct cloister_error *err)
{
    if (array->count == 0)
        return 0;
    if (array->count > ARRAY_MAX)
        return refuse(err, array->what, "it has %" PRIu64 " %s, at most %u are allowed; give fewer", array->count,
                      array->what, ARRAY_MAX);
    if (!array->elements)
        return refuse(err, array->what, "it announces %" PRIu64 " %s, but the pointer to them is NULL; set it",
                      array->count, array->what);
    if (array->size < array->least || array->size > ELEMENT_MAX || array->size % sizeof(void *) != 0)
        return refuse(err, array->what, "its %s are announced with %" PRIu64 " bytes each where %zu are expected; %s",
                      array->what, array->size, array->own, REBUILD);
    char *copy = cl_calloc(array->count, array->own);
    if (!copy)
        return cl_error_set(err, CLOISTER_LIMIT, ENOMEM, NULL, "memory", "copy its %s", array->what);
    for (uint64_t i = 0; i < array->count; i++)
        memcpy(copy + i * array->own, (const char *)array->elements + i * array->size,
               array->size < array->own ? array->size : array->own);
    *ret = copy;
    return 0;
}

static int copy_options(struct cl_module *module, struct cloister_error *err)
{
    struct cloister_plugin *plugin = &module->plugin;
    const struct array array = {
        .what = "options",
        .elements = plugin->options,
        .count = plugin->option_count,
        .size = plugin->option_size,
        .least = offsetof(struct cloister_option, reserved),
        .own = sizeof(struct cloister_option),
    };
    void *copy = NULL;
    int r = copy_array(&array, &copy, err);
    if (r < 0)
        return r;
    module->options = copy;
    plugin->options = copy;
    plugin->option_size = sizeof(struct cloister_option);
    return cl_handshake_options(module, err);
}

static int copy_routes(struct cl_module *module, struct cloister_error *err)
{
    if (module->plugin.kind != CLOISTER_KIND_PERSONALITY)
        return 0;
    struct cloister_personality *vtable = &module->vtable.personality;
    const struct array array = {
        .what = "routes",
        .elements = vtable->routes,
        .count = vtable->route_count,
        .size = vtable->route_size,
        .least = offsetof(struct cloister_route, reserved),
        .own = sizeof(struct cloister_route),
    };
    void *copy = NULL;
    int r = copy_array(&array, &copy, err);
    if (r < 0)
        return r;
    module->routes = copy;
    vtable->routes = copy;
    vtable->route_size = sizeof(struct cloister_route);
    return cl_handshake_routes(module, err);
}

int cl_handshake(const struct cloister_plugin *raw, const char *name, uint32_t kind, struct cl_module *ret_module,
                 struct cloister_error *err)
{
    int r;
    if (!raw)
        return refuse(err, "descriptor", "its entry function returned no descriptor; use CLOISTER_PLUGIN_REGISTER");
    r = check_versions(raw, err);
    if (r < 0)
        return r;
    copy_struct(&ret_module->plugin, sizeof(ret_module->plugin), raw, raw->struct_size);
    if ((r = check_kind(ret_module, kind, err)) < 0 || (r = check_bits(&ret_module->plugin, err)) < 0 ||
        (r = check_texts(&ret_module->plugin, name, err)) < 0 || (r = copy_vtable(ret_module, err)) < 0 ||
        (r = check_callbacks(ret_module, err)) < 0 || (r = copy_options(ret_module, err)) < 0 ||
        (r = copy_routes(ret_module, err)) < 0)
        return r;
    return 0;
}

void cl_handshake_release(struct cl_module *module)
{
    free(module->options);
    free(module->routes);
    module->options = NULL;
    module->routes = NULL;
}
