/* SPDX-License-Identifier: Apache-2.0 */
#include "container.h"

#define LAYERS_MAX 100u

static void read_layers(struct ct_params *rootfs, struct ct_container *container)
{
    const struct cloister_value_api *values = rootfs->instance->host->value;
    const cloister_value *list = NULL;
    if (!ct_array(rootfs, "layers", &list))
        return;
    uint64_t count = values->count(list);
    if (count == 0 || count > LAYERS_MAX) {
        ct_wrong(rootfs, "layers", "expected 1 to 100 directories");
        return;
    }
    container->layers = calloc(count, sizeof(*container->layers));
    if (!container->layers) {
        ct_no_memory(rootfs, "layers");
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (values->string(values->at(list, i, NULL), &container->layers[i]) < 0)
            ct_wrong(rootfs, "layers", "expected strings");
    }
    container->args.layers = container->layers;
    container->args.layer_count = count;
    container->args.rootfs_kind = CLOISTER_ROOTFS_LAYERS;
}

static void read_rootfs(struct ct_params *params, struct ct_container *container)
{
    static const char *const known[] = {"directory", "layers", "writable", "idmap", NULL};
    const cloister_value *rootfs = NULL;
    bool writable = false, idmap = false;
    if (!ct_need(params, "rootfs", ct_object(params, "rootfs", &rootfs)))
        return;
    struct ct_params inner = CT_PARAMS(params->instance, rootfs, "rootfs.", params->err);
    (void)ct_params_known(&inner, known);
    bool plain = ct_text(&inner, "directory", &container->args.rootfs);
    container->args.rootfs_kind = CLOISTER_ROOTFS_DIRECTORY;
    read_layers(&inner, container);
    if (plain == (container->layers != NULL))
        ct_wrong(&inner, "directory", plain ? "stands beside 'layers'; one of them is wanted" : "missing");
    (void)ct_bool(&inner, "writable", &writable);
    (void)ct_bool(&inner, "idmap", &idmap);
    container->args.rootfs_flags = (writable ? CLOISTER_ROOTFS_WRITABLE : 0) | (idmap ? CLOISTER_ROOTFS_IDMAP : 0);
    params->failed = inner.failed;
}

/* Of a program that does not run. */
static void refuse_keys_of_process(struct ct_params *params)
{
    static const char *const keys[] = {CT_PROCESS_KEYS};
    for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (ct_has(params, keys[i]))
            ct_wrong(params, keys[i], "an init of kind 'pause' runs no program");
    }
}

static void read_kinds(struct ct_params *params, struct cloister_container_args *args)
{
    static const char *const inits[] = {"process", "pause", NULL};
    static const char *const starts[] = {"now", "blocked", NULL};
    args->init = ct_choice(params, "init", inits, 0) == 0 ? CLOISTER_INIT_PROCESS : CLOISTER_INIT_PAUSE;
    args->start = ct_choice(params, "start", starts, 0) == 0 ? CLOISTER_START_NOW : CLOISTER_START_BLOCKED;
    if (ct_text(params, "pause_comm", &args->pause_comm) && args->init != CLOISTER_INIT_PAUSE)
        ct_wrong(params, "pause_comm", "only an init of kind 'pause' has it");
}

static void read_program(struct ct_params *params, const cloister_value *process, struct ct_container *container)
{
    const struct cloister_value_api *values = params->instance->host->value;
    bool pause = container->args.init == CLOISTER_INIT_PAUSE;
    if (pause)
        refuse_keys_of_process(params);
    if (pause && process)
        ct_wrong(params, "spec.process", "an init of kind 'pause' runs no program");
    if (!pause && values->type(process) != CLOISTER_VALUE_OBJECT)
        ct_wrong(params, "spec.process", "expected an object");
    if (container->stdio.count > 0 && (pause || container->args.start == CLOISTER_START_BLOCKED))
        ct_wrong(params, "fds",
                 pause ? "an init of kind 'pause' has no stdio" : "a blocked init gets its stdio at start");
    if (!pause && ct_process_read(params, "spec.process", process, &container->stdio, &container->process))
        container->args.process = &container->process.args;
}

/* The spec without `process`, which goes its own way, and without `root`, which must not be said twice. */
static void read_spec(struct ct_params *params, cloister_exchange *exchange, struct ct_container *container)
{
    const struct cloister_value_api *values = params->instance->host->value;
    const cloister_value *spec = NULL;
    if (!ct_need(params, "spec", ct_object(params, "spec", &spec)) ||
        !ct_stdio_take(params, exchange, &container->stdio))
        return;
    if (values->get(spec, CLOISTER_SV("root")))
        ct_wrong(params, "spec.root", "the root file system is given as 'rootfs'");
    read_program(params, values->get(spec, CLOISTER_SV("process")), container);
    cloister_value *rest = params->failed ? NULL : values->copy(spec);
    if (!params->failed &&
        (!rest || values->remove(rest, CLOISTER_SV("process")) < 0 || values->print(rest, 0, &container->spec) < 0))
        ct_no_memory(params, "spec");
    values->free(rest);
    container->args.spec = container->spec;
}

bool ct_container_read(struct ct_params *params, cloister_exchange *exchange, struct ct_container *ret_container)
{
    ret_container->args.struct_size = sizeof(ret_container->args);
    read_rootfs(params, ret_container);
    ct_files_read(params, ret_container);
    read_kinds(params, &ret_container->args);
    read_spec(params, exchange, ret_container);
    return !params->failed;
}

void ct_container_end(struct ct_instance *instance, struct ct_container *container, bool moved)
{
    for (uint64_t i = 0; container->contents && i < container->args.file_count; i++)
        free(container->contents[i]);
    free(container->contents);
    free(container->files);
    free(container->layers);
    ct_stdio_end(&container->stdio, moved);
    ct_process_end(instance, &container->process);
    ct_text_free(instance, container->spec);
}
