/* SPDX-License-Identifier: Apache-2.0 */
#include "core/host/report.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/loader/capability.h"
#include "core/util/mem.h"
#include "core/value/value.h"

/* Takes the document. */
static int32_t hand_out(struct cl_host *host, cloister_value *document, bool whole, struct cloister_sv *ret)
{
    CL_FREE char *text = NULL;
    size_t size;
    int r = whole && document ? cl_value_print(document, false, &text, &size) : -1;
    cl_value_free(document);
    if (r < 0)
        return -1;
    free(host->json);
    host->json = cl_steal_ptr(&text);
    *ret = cl_sv(host->json, size);
    return 0;
}

static cloister_value *capability_words(const struct cloister_plugin *plugin)
{
    cloister_value *array = cl_value_new_array();
    for (unsigned bit = 0; array && bit < 64; bit++) {
        const char *word = cl_capability_word(plugin->kind, bit);
        if (word && (plugin->provides >> bit & 1) && cl_value_append(array, cl_value_new_cstr(word)) < 0) {
            cl_value_free(array);
            return NULL;
        }
    }
    return array;
}

static cloister_value *describe(const struct cl_module *module)
{
    const struct cloister_plugin *plugin = &module->plugin;
    char abi[32];
    snprintf(abi, sizeof(abi), "%u.%u", plugin->abi_major, plugin->abi_minor);
    cloister_value *object = cl_value_new_object();
    if (cl_value_set_cstr(object, "name", cl_value_new_cstr(plugin->name)) < 0 ||
        cl_value_set_cstr(object, "kind", cl_value_new_cstr(cl_kind_name(plugin->kind))) < 0 ||
        cl_value_set_cstr(object, "version", cl_value_new_cstr(plugin->version)) < 0 ||
        cl_value_set_cstr(object, "licence", cl_value_new_cstr(plugin->licence)) < 0 ||
        cl_value_set_cstr(object, "file", cl_value_new_cstr(module->path)) < 0 ||
        cl_value_set_cstr(object, "abi", cl_value_new_cstr(abi)) < 0 ||
        cl_value_set_cstr(object, "capabilities", capability_words(plugin)) < 0 ||
        cl_value_set_cstr(object, "instances", cl_value_new_array()) < 0) {
        cl_value_free(object);
        return NULL;
    }
    return object;
}

/* The module's element, made at its first instance. NULL without memory. */
static cloister_value *element_of(cloister_value *array, const struct cl_module *module)
{
    for (cloister_value *element = cl_value_first(array); element; element = cl_value_next(element)) {
        const char *file = cl_value_cstr(cl_value_get_cstr(element, "file"));
        if (file && strcmp(file, module->path) == 0)
            return element;
    }
    if (cl_value_append(array, describe(module)) < 0)
        return NULL;
    return cl_value_at(array, cl_value_count(array) - 1);
}

int32_t cl_host_plugins(struct cl_host *host, struct cloister_sv *ret)
{
    cloister_value *array = cl_value_new_array();
    bool whole = array != NULL;
    for (struct cl_instance *chain = cl_registry_first(host->registry); whole && chain; chain = chain->next)
        for (struct cl_instance *link = chain; whole && link; link = link->inner) {
            cloister_value *element = element_of(array, link->module);
            whole =
                element && cl_value_append(cl_value_get_cstr(element, "instances"), cl_value_new_cstr(link->name)) == 0;
        }
    return hand_out(host, array, whole, ret);
}

int32_t cl_host_health(struct cl_host *host, struct cloister_sv *ret)
{
    cloister_value *object = cl_value_new_object();
    bool whole = cl_value_set_cstr(object, "status", cl_value_new_cstr("ok")) == 0;
    if (whole && host->health)
        host->health(host->ctx, object);
    return hand_out(host, object, whole, ret);
}
