/* SPDX-License-Identifier: Apache-2.0 */
/* args_container.c - what a container is asked to be: its spec, root, files, and what it shares with others. */
#include "core/engine/args.h"

#include <errno.h>

#include "core/error/error.h"
#include "core/util/sv.h"
#include "core/value/value.h"

#define PATH_MAX_BYTES 4095u
#define COMM_MAX 15u
#define FILES_MAX 64u
#define LAYERS_MAX 100u
#define MODE_BITS 0777u

#define ROOTFS_FLAGS (CLOISTER_ROOTFS_WRITABLE | CLOISTER_ROOTFS_IDMAP)

#define NAMESPACES                                                                                                   \
    (CLOISTER_NS_USER | CLOISTER_NS_PID | CLOISTER_NS_NET | CLOISTER_NS_IPC | CLOISTER_NS_UTS | CLOISTER_NS_CGROUP | \
     CLOISTER_NS_TIME)

static int invalid(struct cloister_error *err, const char *where, const char *what)
{
    return cl_error_set(err, CLOISTER_INVALID, 0, where, NULL, "%s %s", where, what);
}

static int unsupported(struct cloister_error *err, const char *feature)
{
    return cl_error_set(err, CLOISTER_UNSUPPORTED, 0, feature, NULL, "%s is not supported here", feature);
}

int cl_args_path(struct cloister_sv path, const char *where, struct cloister_error *err)
{
    int r = cl_args_word(path, where, PATH_MAX_BYTES, err);
    return r == 0 && (!path.size || path.data[0] != '/') ? invalid(err, where, "is not an absolute path") : r;
}

/* ---- the spec, and what others lend ---- */

/* That it does not list what it joins is isolation's to see, which reads the rest of it. */
static int check_spec(struct cloister_sv text, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *document = NULL;
    int r = cl_value_parse(text, NULL, &document, NULL, err);
    if (r < 0) {
        cl_error_wrap(err, "spec");
        return r;
    }
    if (cl_value_type(document) != CLOISTER_VALUE_OBJECT)
        return invalid(err, "spec", "is not an object");
    if (cl_value_get_cstr(document, "process"))
        return invalid(err, "spec.process", "must travel apart from the spec");
    return 0;
}

static int check_join(const struct cloister_container_args *container, uint64_t capabilities,
                      struct cloister_error *err)
{
    if (container->join_namespaces & ~NAMESPACES)
        return invalid(err, "join_namespaces", "has an unknown bit");
    if (container->cgroup_parent > CLOISTER_CGROUP_CONTAINER)
        return invalid(err, "cgroup_parent", "has an unknown kind");
    bool shares = container->join_namespaces || container->cgroup_parent == CLOISTER_CGROUP_CONTAINER;
    if (!container->join.size)
        return shares ? invalid(err, "join", "is empty, but something of it is to be shared") : 0;
    if (!(capabilities & CLOISTER_ISO_NS_JOIN))
        return unsupported(err, "NS_JOIN");
    if (!shares)
        return invalid(err, "join", "is given, but nothing of it is to be shared");
    if (container->join_namespaces && !(container->join_namespaces & CLOISTER_NS_USER))
        return invalid(err, "join_namespaces", "lacks the user namespace, which owns the others");
    if (cl_sv_eq(container->join, cl_args_cid(container->cid)))
        return invalid(err, "join", "is the container itself");
    return cl_args_check_cid(container->join, err);
}

/* ---- the root ---- */

static int check_root(const struct cloister_container_args *container, struct cloister_error *err)
{
    if (container->rootfs_flags & ~ROOTFS_FLAGS || container->reserved)
        return invalid(err, "rootfs_flags", "has an unknown bit");
    if (container->rootfs_kind == CLOISTER_ROOTFS_DIRECTORY)
        return container->layer_count ? invalid(err, "layers", "belongs to another kind of root")
                                      : cl_args_path(container->rootfs, "rootfs", err);
    if (container->rootfs_kind != CLOISTER_ROOTFS_LAYERS)
        return unsupported(err, "a root file system that is neither a directory nor made of layers");
    if (container->rootfs.size)
        return invalid(err, "rootfs", "belongs to another kind of root");
    if (!container->layer_count || container->layer_count > LAYERS_MAX || !container->layers)
        return invalid(err, "layers", "is not a list of 1 to 100 directories");
    return 0;
}

static int copy_layers(struct cl_arena *arena, struct cloister_container_args *copy, struct cloister_error *err)
{
    struct cloister_sv *layers =
        cl_arena_array(arena, copy->layers, copy->layer_count, sizeof(*layers), sizeof(*layers));
    for (uint64_t i = 0; layers && i < copy->layer_count; i++) {
        if (cl_args_path(layers[i], "layers", err) < 0)
            return -EINVAL;
        layers[i] = cl_arena_sv(arena, layers[i]);
    }
    copy->layers = layers;
    return arena->failed ? cl_args_no_memory(err) : 0;
}

/* ---- files ---- */

static int check_file(const struct cloister_file *file, struct cloister_sv own, struct cloister_error *err)
{
    int r = cl_args_path(file->path, "files.path", err);
    r = r ? r : cl_args_text(file->bytes, "files.bytes", CL_ARGS_FILE_MAX, err);
    if (r < 0)
        return r;
    if (file->mode & ~MODE_BITS)
        return invalid(err, "files.mode", "has bits that are not permissions");
    if (file->reserved32 || file->reserved[0] || file->reserved[1])
        return invalid(err, "files", "has a reserved member that is not 0");
    if (!file->share.size)
        return file->share_path.size ? invalid(err, "files.share_path", "is given without share") : 0;
    if (file->bytes.size || file->mode || file->uid || file->gid)
        return invalid(err, "files", "has a member that a shared file does not have");
    if (cl_sv_eq(file->share, own))
        return invalid(err, "files.share", "is the container itself");
    r = cl_args_check_cid(file->share, err);
    return r ? r : cl_args_path(file->share_path, "files.share_path", err);
}

static int copy_files(struct cl_arena *arena, struct cloister_container_args *copy, struct cloister_error *err)
{
    const uint64_t least = offsetof(struct cloister_file, reserved);
    if (copy->file_count > FILES_MAX || (copy->file_count && (!copy->files || copy->file_size < least)))
        return invalid(err, "files", "is not a list of at most 64 files");
    struct cloister_file *files = cl_arena_array(arena, copy->files, copy->file_count, copy->file_size, sizeof(*files));
    for (uint64_t i = 0; files && i < copy->file_count; i++) {
        struct cloister_file *file = &files[i];
        if (check_file(file, copy->cid, err) < 0)
            return -EINVAL;
        for (uint64_t k = 0; k < i; k++)
            if (cl_sv_eq(files[k].path, file->path))
                return invalid(err, "files.path", "is there twice");
        file->path = cl_arena_sv(arena, file->path);
        file->bytes = cl_arena_sv(arena, file->bytes);
        file->share = cl_arena_sv(arena, file->share);
        file->share_path = cl_arena_sv(arena, file->share_path);
    }
    copy->files = files;
    copy->file_size = sizeof(*files);
    return arena->failed ? cl_args_no_memory(err) : 0;
}

/* ---- the whole ---- */

static int check_container(const struct cloister_container_args *container, uint64_t capabilities,
                           struct cloister_error *err)
{
    if (container->init != CLOISTER_INIT_PROCESS && container->init != CLOISTER_INIT_PAUSE)
        return invalid(err, "init", "has an unknown kind");
    if (container->start != CLOISTER_START_NOW && container->start != CLOISTER_START_BLOCKED)
        return invalid(err, "start", "has an unknown kind");
    if (container->init == CLOISTER_INIT_PAUSE && !(capabilities & CLOISTER_ISO_PAUSE_INIT))
        return unsupported(err, "PAUSE_INIT");
    if (container->start == CLOISTER_START_BLOCKED && !(capabilities & CLOISTER_ISO_BLOCKED_INIT))
        return unsupported(err, "BLOCKED_INIT");
    int r = check_root(container, err);
    r = r ? r : cl_args_check_cid(container->cid, err);
    r = r ? r : check_join(container, capabilities, err);
    r = r ? r : cl_args_word(container->pause_comm, "pause_comm", COMM_MAX, err);
    r = r ? r : cl_args_text(container->spec, "spec", CL_ARGS_SPEC_MAX, err);
    return r ? r : check_spec(container->spec, err);
}

const struct cloister_container_args *cl_args_container(struct cl_operation *operation,
                                                        const struct cloister_container_args *from,
                                                        uint64_t capabilities, struct cloister_error *err)
{
    struct cl_arena *arena = &operation->arena;
    struct cloister_container_args *copy = cl_arena_struct(arena, from, sizeof(*copy));
    if (!copy) {
        (void)cl_args_no_memory(err);
        return NULL;
    }
    if (check_container(copy, capabilities, err) < 0)
        return NULL;
    copy->cid = cl_arena_sv(arena, cl_args_cid(copy->cid));
    copy->spec = cl_arena_sv(arena, copy->spec);
    copy->rootfs = cl_arena_sv(arena, copy->rootfs);
    copy->pause_comm = cl_arena_sv(arena, copy->pause_comm);
    copy->join = cl_arena_sv(arena, copy->join);
    if (copy_layers(arena, copy, err) < 0 || copy_files(arena, copy, err) < 0)
        return NULL;
    if (copy->init == CLOISTER_INIT_PAUSE) {
        copy->process = NULL;
        return copy;
    }
    copy->process = cl_args_copy_process(operation, copy->process, capabilities, err);
    return copy->process ? copy : NULL;
}
