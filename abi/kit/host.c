/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "core/value/table.h"
#include "loop.h"

bool kit_verbose;
unsigned kit_breaches;

void kit_breach(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "breach: ");
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, "\n");
    va_end(arguments);
    kit_breaches++;
}

static void CLOISTER_PRINTF(3, 4) log_line(const struct cloister_host *host, uint32_t level, const char *format, ...)
{
    va_list arguments;
    (void)host;
    if (!kit_verbose)
        return;
    va_start(arguments, format);
    (void)fprintf(stderr, "log %u: ", level);
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, "\n");
    va_end(arguments);
}

/* Contexts are kept as one text here, outermost first, with the separators of the sentence. */
static void CLOISTER_PRINTF(6, 7) error_set(struct cloister_error *err, uint32_t code, int32_t os_errno,
                                            const char *subject, const char *step, const char *format, ...)
{
    va_list arguments;
    if (!err)
        return;
    *err = (struct cloister_error)CLOISTER_ERROR_INIT;
    err->code = code;
    err->os_errno = os_errno;
    (void)snprintf(err->subject, sizeof(err->subject), "%s", subject ? subject : "");
    (void)snprintf(err->step, sizeof(err->step), "%s", step ? step : "");
    va_start(arguments, format);
    (void)vsnprintf(err->chain, sizeof(err->chain), format, arguments);
    va_end(arguments);
    err->chain_size = (uint32_t)strlen(err->chain) + 1;
}

static void CLOISTER_PRINTF(2, 3) error_wrap(struct cloister_error *err, const char *format, ...)
{
    char inner[CLOISTER_CHAIN_MAX];
    va_list arguments;
    if (!err)
        return;
    memcpy(inner, err->chain, sizeof(inner));
    va_start(arguments, format);
    int size = vsnprintf(err->chain, sizeof(err->chain), format, arguments);
    va_end(arguments);
    size_t used = size > 0 ? strnlen(err->chain, sizeof(err->chain) - 3) : 0;
    size_t room = sizeof(err->chain) - used - 3, more = strnlen(inner, room);
    memcpy(err->chain + used, ": ", 2);
    memcpy(err->chain + used + 2, inner, more);
    err->chain[used + 2 + more] = 0;
    err->chain_size = (uint32_t)(used + 2 + more) + 1;
}

static uint64_t error_sentence(const struct cloister_error *err, char *buffer, uint64_t size)
{
    int length = snprintf(buffer, size, "%s%s%s", err->chain, err->os_errno ? ": " : "",
                          err->os_errno ? strerror(err->os_errno) : "");
    return length > 0 ? (uint64_t)length : 0;
}

static const char *error_code_name(uint32_t code)
{
    (void)code;
    return "failed";
}

static const struct cloister_log_api log_api = {
    CLOISTER_INIT(struct cloister_log_api),
    .log = log_line,
    .error_set = error_set,
    .error_wrap = error_wrap,
    .error_sentence = error_sentence,
    .error_code_name = error_code_name,
};

static uint64_t now_mono(void)
{
    return kit_now_ns(CLOCK_MONOTONIC);
}

static uint64_t now_real(void)
{
    return kit_now_ns(CLOCK_REALTIME);
}

static uint64_t now_boot(void)
{
    return kit_now_ns(CLOCK_BOOTTIME);
}

static int32_t fill_random(void *ret, uint64_t size)
{
    return getrandom(ret, size, 0) == (ssize_t)size ? 0 : -EIO;
}

static struct cloister_sv boot_id(const struct cloister_host *host)
{
    (void)host;
    return CLOISTER_SV("00000000-0000-4000-8000-00000000c1c1");
}

static struct cloister_sv version(const struct cloister_host *host)
{
    (void)host;
    return CLOISTER_SV("0.0.0-kit");
}

static struct cloister_sv instance_name(const struct cloister_host *host)
{
    (void)host;
    return CLOISTER_SV("kit");
}

static uint64_t cookie(const struct cloister_host *host)
{
    (void)host;
    return 0xc1015e4c1015e4u;
}

static const struct cloister_system_api system_api = {
    CLOISTER_INIT(struct cloister_system_api),
    .now_mono = now_mono,
    .now_real = now_real,
    .now_boot = now_boot,
    .random = fill_random,
    .boot_id = boot_id,
    .version = version,
    .instance = instance_name,
    .cookie = cookie,
};

void kit_host_init(struct cloister_host *host)
{
    *host = (struct cloister_host){CLOISTER_INIT(struct cloister_host),
                                   .abi_major = CLOISTER_ABI_MAJOR,
                                   .abi_minor = CLOISTER_ABI_MINOR,
                                   .log = &log_api,
                                   .value = &cl_value_table,
                                   .loop = &kit_loop_api,
                                   .system = &system_api};
}

const struct cloister_plugin *kit_load(const char *path, uint32_t kind)
{
    void *file = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!file) {
        (void)fprintf(stderr, "load '%s': %s\n", path, dlerror());
        return NULL;
    }
    cloister_plugin_entry_fn entry;
    *(void **)&entry = dlsym(file, CLOISTER_PLUGIN_ENTRY);
    const struct cloister_plugin *plugin = entry ? entry() : NULL;
    if (!plugin || plugin->magic != CLOISTER_PLUGIN_MAGIC || plugin->abi_major != CLOISTER_ABI_MAJOR ||
        plugin->abi_minor != CLOISTER_ABI_MINOR || plugin->kind != kind || plugin->option_count > KIT_OPTIONS_MAX) {
        (void)fprintf(stderr, "load '%s': no plugin of kind %u for SDK %u.%u\n", path, kind, CLOISTER_ABI_MAJOR,
                      CLOISTER_ABI_MINOR);
        return NULL;
    }
    return plugin;
}

static bool set_option(struct cloister_option_value *value, const struct cloister_option *option, const char *text)
{
    char *end = NULL;
    value->set = 1;
    value->text = (struct cloister_sv){text, strlen(text)};
    if (option->type == CLOISTER_OPTION_U64) {
        value->number = strtoull(text, &end, 10);
        return *text && !*end;
    }
    if (option->type == CLOISTER_OPTION_BOOL)
        value->number = strcmp(text, "true") == 0;
    return true;
}

bool kit_options_fill(const struct cloister_plugin *plugin, char *const *settings, unsigned count,
                      struct kit_options *ret)
{
    unsigned used = 0;
    memset(ret, 0, sizeof(*ret));
    for (uint32_t i = 0; i < plugin->option_count; i++) {
        const struct cloister_option *option =
            (const struct cloister_option *)(const void *)((const char *)plugin->options + i * plugin->option_size);
        size_t size = strlen(option->key);
        ret->values[i].type = option->type;
        if (option->fallback && !set_option(&ret->values[i], option, option->fallback))
            return false;
        for (unsigned k = 0; k < count; k++)
            if (strncmp(settings[k], option->key, size) == 0 && settings[k][size] == '=') {
                used++;
                if (!set_option(&ret->values[i], option, settings[k] + size + 1))
                    return false;
            }
    }
    if (used != count)
        (void)fprintf(stderr, "an option given with -o is not one of '%s'\n", plugin->name);
    return used == count;
}
