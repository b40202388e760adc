/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of the fake engine about limits, further containers, terminals and files. */
#include "test_bed.h"

static unsigned ms(uint64_t deadline)
{
    return deadline ? (unsigned)((deadline - fake_now) / 1000000) : 0;
}

static cloister_op freeze(const struct cloister_host *self, const struct cloister_freeze_args *args,
                          cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("freeze %s/%s deadline=%u\n", sv(args->sandbox), sv(args->container), ms(args->deadline));
    return begin(done, ctx);
}

static cloister_op thaw(const struct cloister_host *self, const struct cloister_thaw_args *args, cloister_done_fn done,
                        void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("thaw %s/%s deadline=%u\n", sv(args->sandbox), sv(args->container), ms(args->deadline));
    return begin(done, ctx);
}

static cloister_op update(const struct cloister_host *self, const struct cloister_update_args *args,
                          cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("update scope=%u %s/%s resources=%s deadline=%u\n", args->scope, sv(args->sandbox), sv(args->container),
         sv(args->resources), ms(args->deadline));
    return begin(done, ctx);
}

static cloister_op stats(const struct cloister_host *self, const struct cloister_stats_args *args,
                         cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("stats scope=%u %s/%s process=%u flags=%u\n", args->scope, sv(args->sandbox), sv(args->container),
         (unsigned)args->process, args->flags);
    return begin(done, ctx);
}

static cloister_op procs(const struct cloister_host *self, const struct cloister_procs_args *args,
                         cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("procs scope=%u %s/%s process=%u\n", args->scope, sv(args->sandbox), sv(args->container),
         (unsigned)args->process);
    return begin(done, ctx);
}

static cloister_op resize(const struct cloister_host *self, const struct cloister_resize_args *args,
                          cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("resize %s/%s process=%u %ux%u\n", sv(args->sandbox), sv(args->container), (unsigned)args->process, args->rows,
         args->columns);
    return begin(done, ctx);
}

static cloister_op container_create(const struct cloister_host *self, const struct cloister_container_create_args *args,
                                    cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    const struct cloister_container_args *container = args->container;
    (void)self;
    (void)err;
    tell("container_create %s/%s spec=%s rootfs=%s init=%u start=%u join=%s:%x parent=%u deadline=%u",
         sv(args->sandbox), sv(container->cid), sv(container->spec), sv(container->rootfs), container->init,
         container->start, sv(container->join), container->join_namespaces, container->cgroup_parent,
         ms(args->deadline));
    tell_container(container);
    tell_process(container->process);
    tell("\n");
    return begin(done, ctx);
}

static cloister_op container_delete(const struct cloister_host *self, const struct cloister_container_delete_args *args,
                                    cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("container_delete %s/%s flags=%u deadline=%u\n", sv(args->sandbox), sv(args->container), args->flags,
         ms(args->deadline));
    return begin(done, ctx);
}

void fake_engine_limits(struct cloister_engine_api *api)
{
    api->freeze = freeze;
    api->thaw = thaw;
    api->update = update;
    api->stats = stats;
    api->procs = procs;
    api->resize = resize;
    api->container_create = container_create;
    api->container_delete = container_delete;
}

/* ---- files ---- */

static cloister_op file_put(const struct cloister_host *self, const struct cloister_file_put_args *args,
                            cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("file_put %s/%s %s=%s (%u)\n", sv(args->sandbox), sv(args->container), sv(args->path), sv(args->bytes),
         (unsigned)args->bytes.size);
    return begin(done, ctx);
}

static cloister_op read_file(const struct cloister_host *self, const struct cloister_read_file_args *args,
                             cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("read_file %s/%s %s max=%u deadline=%u\n", sv(args->sandbox), sv(args->container), sv(args->path),
         (unsigned)args->max, ms(args->deadline));
    return begin(done, ctx);
}

static cloister_op files_in(const struct cloister_host *self, const struct cloister_files_in_args *args,
                            cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    tell("files_in %s/%s user=%s %s flags=%u deadline=%u\n", sv(args->sandbox), sv(args->container), sv(args->user),
         sv(args->path), args->flags, ms(args->deadline));
    assert_ptr_equal(args->stream, &client_stream);
    if (args->path.size == 7) { /* "/frozen" */
        self->log->error_set(err, CLOISTER_FROZEN, 0, "", "", "sandbox 'known' is frozen");
        return 0;
    }
    return begin(done, ctx);
}

static cloister_op files_out(const struct cloister_host *self, const struct cloister_files_out_args *args,
                             cloister_done_fn done, void *ctx, struct cloister_error *err)
{
    (void)self;
    (void)err;
    tell("files_out %s/%s user=%s %s deadline=%u\n", sv(args->sandbox), sv(args->container), sv(args->user),
         sv(args->path), ms(args->deadline));
    return begin(done, ctx);
}

void fake_engine_files(struct cloister_engine_api *api)
{
    api->file_put = file_put;
    api->read_file = read_file;
    api->files_in = files_in;
    api->files_out = files_out;
}
