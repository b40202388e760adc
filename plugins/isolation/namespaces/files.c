/* SPDX-License-Identifier: Apache-2.0 */
/* files.c - files_in, files_out, read_file: three kinds of transfer. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "transfer.h"

/* --- files_in --- */

/* The client's stream flows into the helper's pipe. */
struct inflow {
    struct ns_transfer *transfer; /* a reference, while it flows */
    cloister_stream *client;
    cloister_stream *pipe;
    cloister_op relay; /* 0: it does not flow */
    bool helper_ended;
};

static void free_inflow(struct ns_transfer *transfer)
{
    const struct cloister_host *host = transfer->host;
    struct inflow *flow = transfer->own;

    transfer->own = NULL;
    if (flow == NULL)
        return;
    if (flow->pipe)
        host->stream->abort(flow->pipe, NULL, NULL); /* nothing is queued: this is the helper's end of input */
    host->stream->finish(flow->client, NULL, NULL);
    free(flow);
}

/* Both have ended: the helper and what flows to it. */
static void settle_in(struct ns_transfer *transfer)
{
    struct inflow *flow = transfer->own;
    const struct cl_tar_message *last = &transfer->last;

    if (flow->relay || !flow->helper_ended)
        return;
    transfer->result.entries = last->entries;
    transfer->result.bytes = last->bytes;
    free_inflow(transfer);
    ns_transfer_answer(transfer);
}

/* A cut upload: whatever the helper made of it, it is none. */
static void cut(struct ns_transfer *transfer, int32_t os_errno)
{
    transfer->base.err = (struct cloister_error)CLOISTER_ERROR_INIT;
    transfer->host->log->error_set(&transfer->base.err, CLOISTER_PROTOCOL, os_errno, transfer->path, "truncated",
                                   "the upload was cut off");
}

static void in_flowed(void *ctx, cloister_op op, const struct cloister_relay_result *result)
{
    struct inflow *flow = ctx;
    struct ns_transfer *transfer = flow->transfer;

    flow->relay = 0;
    if (transfer->stopped) {
        free_inflow(transfer);
    } else if (result->end == CLOISTER_RELAY_SRC_ABORTED) {
        cut(transfer, result->os_errno);
        ns_transfer_stop(transfer, CLOISTER_PROTOCOL, "");
    } else {
        transfer->host->stream->abort(flow->pipe, NULL, NULL);
        flow->pipe = NULL;
        settle_in(transfer);
    }
    ns_transfer_unref(transfer);
}

static int open_in(struct ns_transfer *transfer, int *ret_stdin, int *ret_stdout)
{
    struct inflow *flow = transfer->own;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    *ret_stdin = ends[0];
    return transfer->host->stream->from_fd(transfer->host, ends[1], &flow->pipe);
}

static void in_ready(struct ns_transfer *transfer)
{
    const struct cloister_host *host = transfer->host;
    struct inflow *flow = transfer->own;
    const struct cloister_relay_args args = {CLOISTER_INIT(struct cloister_relay_args), .src = flow->client,
                                             .dst = flow->pipe, .done = in_flowed, .ctx = flow};
    int rc = cloister_stream_relay(host, &args, &flow->relay);

    if (rc == 0) {
        ns_transfer_ref(transfer);
        return;
    }
    host->log->error_set(&transfer->base.err, CLOISTER_LIMIT, -rc, transfer->path, "files", "read the archive");
    ns_transfer_stop(transfer, CLOISTER_LIMIT, "");
}

static void in_ended(struct ns_transfer *transfer, bool whole)
{
    struct inflow *flow = transfer->own;

    flow->helper_ended = true;
    if (flow->relay && !whole)
        transfer->host->stream->relay_cancel(transfer->host, flow->relay);
    settle_in(transfer);
}

static void in_stopped(struct ns_transfer *transfer)
{
    struct inflow *flow = transfer->own;

    if (flow && flow->relay)
        transfer->host->stream->relay_cancel(transfer->host, flow->relay);
    else
        free_inflow(transfer);
}

static const struct ns_transfer_kind kind_in = {"in", open_in, in_ready, in_ended, in_stopped};

/* --- files_out --- */

static int open_out(struct ns_transfer *transfer, int *ret_stdin, int *ret_stdout)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    transfer->fd = ends[0];
    *ret_stdout = ends[1];
    return 0;
}

static void out_ready(struct ns_transfer *transfer)
{
    int rc = ns_outflow_open(transfer, ns_steal_fd(&transfer->fd), &transfer->result.stream);

    if (rc == 0) {
        ns_transfer_answer(transfer);
        return;
    }
    transfer->host->log->error_set(&transfer->base.err, CLOISTER_LIMIT, -rc, transfer->path, "files", "make a stream");
    ns_transfer_stop(transfer, CLOISTER_LIMIT, "");
}

static void out_ended(struct ns_transfer *transfer, bool whole)
{
    if (transfer->answered && !whole)
        cloister_log(transfer->host, CLOISTER_WARNING, "files out of '%s' end early: %s", transfer->path,
                     transfer->last.kind == CL_TAR_FAILED ? transfer->last.text : "cloister-tar has died");
    ns_outflow_end(transfer, whole);
    ns_transfer_answer(transfer);
}

static void out_stopped(struct ns_transfer *transfer)
{
    ns_outflow_end(transfer, false);
}

static const struct ns_transfer_kind kind_out = {"out", open_out, out_ready, out_ended, out_stopped};

/* --- read_file --- */

static int open_cat(struct ns_transfer *transfer, int *ret_stdin, int *ret_stdout)
{
    int memory = memfd_create("cloister-file", MFD_CLOEXEC);

    if (memory < 0)
        return -errno;
    transfer->fd = memory;
    *ret_stdout = fcntl(memory, F_DUPFD_CLOEXEC, 0);
    return *ret_stdout < 0 ? -errno : 0;
}

static void cat_ready(struct ns_transfer *transfer)
{
}

static void cat_ended(struct ns_transfer *transfer, bool whole)
{
    const struct cloister_log_api *log = transfer->host->log;
    NS_FREE char *bytes = NULL;
    struct stat st;

    if (whole && fstat(transfer->fd, &st) == 0 && st.st_size <= (off_t)transfer->max) {
        bytes = malloc((size_t)st.st_size + 1);
        if (bytes && pread(transfer->fd, bytes, (size_t)st.st_size, 0) == st.st_size)
            transfer->result.data = (struct cloister_sv){bytes, (uint64_t)st.st_size};
    }
    if (transfer->result.data.data == NULL && transfer->base.err.code == 0)
        log->error_set(&transfer->base.err, CLOISTER_LIMIT, 0, transfer->path, "files", "take the bytes of '%s'",
                       transfer->path);
    ns_transfer_answer(transfer); /* the bytes are borrowed for the call */
}

static void cat_stopped(struct ns_transfer *transfer)
{
}

static const struct ns_transfer_kind kind_cat = {"cat", open_cat, cat_ready, cat_ended, cat_stopped};

/* --- the operations --- */

/* Absolute, without a NUL, short enough for a system call. */
static void set_words(struct ns_transfer *transfer, struct cloister_sv user, struct cloister_sv path)
{
    struct ns_reader r = ns_reader(transfer->instance, &transfer->base.err);

    transfer->user = ns_dup(user);
    transfer->path = ns_dup(path);
    if (transfer->path == NULL || path.size == 0 || path.data[0] != '/' || path.size > 4095)
        ns_refuse(&r, CLOISTER_INVALID, "path", "must be an absolute path of at most 4095 bytes");
    else if (transfer->user == NULL || user.size > 255)
        ns_refuse(&r, CLOISTER_INVALID, "user", "is no user");
    if (transfer->user == NULL)
        transfer->user = ns_dup(CLOISTER_SV(""));
    if (transfer->path == NULL)
        transfer->path = ns_dup(CLOISTER_SV(""));
    if ((transfer->user == NULL || transfer->path == NULL) && transfer->base.err.code == 0)
        ns_no_memory(&r);
}

static void must_run(struct ns_transfer *transfer)
{
    const struct ns_container *container = transfer->container;

    if (transfer->base.err.code != 0 || !container->down)
        return;
    transfer->host->log->error_set(&transfer->base.err, CLOISTER_INVALID_STATE, 0, container->cid, "state",
                                   "container '%s' is stopped", container->cid);
    transfer->base.err.detail = CLOISTER_CONTAINER_STOPPED;
}

static void check_flags(struct ns_transfer *transfer, uint32_t flags, uint32_t known)
{
    struct ns_reader r = ns_reader(transfer->instance, &transfer->base.err);

    if (flags & ~known)
        ns_refuse_at(&r, CLOISTER_INVALID, "flags", "%#x has bits that mean nothing here", flags);
    transfer->flags = flags & CLOISTER_FILES_KEEP_OWNERS ? CL_TAR_KEEP_OWNERS : 0;
}

void ns_files_in(void *ctx, const struct cloister_iso_files_in_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    const struct cloister_files_in_args *files = args->files;
    struct ns_sandbox *sandbox = ns_sandbox_up(instance, &args->sandbox, files->container, number);
    struct inflow *flow = sandbox ? calloc(1, sizeof(*flow)) : NULL;
    struct ns_transfer *transfer = NULL;

    if (flow)
        transfer = ns_transfer_new(sandbox, files->container, &kind_in, number);
    else if (sandbox)
        ns_fail_memory(instance, number);
    if (transfer == NULL) {
        free(flow);
        instance->host->stream->finish(files->stream, NULL, NULL);
        return;
    }
    flow->transfer = transfer;
    flow->client = files->stream;
    transfer->own = flow;
    transfer->deadline = files->deadline;
    check_flags(transfer, files->flags, CLOISTER_FILES_KEEP_OWNERS);
    if (transfer->base.err.code == 0)
        set_words(transfer, files->user, files->path);
    must_run(transfer);
    ns_transfer_start(transfer);
}

void ns_files_out(void *ctx, const struct cloister_iso_files_out_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    const struct cloister_files_out_args *files = args->files;
    struct ns_sandbox *sandbox = ns_sandbox_up(instance, &args->sandbox, files->container, number);
    struct ns_transfer *transfer = sandbox ? ns_transfer_new(sandbox, files->container, &kind_out, number) : NULL;

    if (transfer == NULL)
        return;
    transfer->deadline = files->deadline;
    check_flags(transfer, files->flags, 0);
    if (transfer->base.err.code == 0)
        set_words(transfer, files->user, files->path);
    must_run(transfer);
    ns_transfer_start(transfer);
}

/* Its mounts have gone with its processes; what is left is the directory that its root was made of. */
static void find_stopped(struct ns_transfer *transfer)
{
    const struct ns_container *container = transfer->container;
    struct ns_reader r = ns_reader(transfer->instance, &transfer->base.err);

    if (container->rootfs == NULL)
        ns_refuse_at(&r, CLOISTER_UNSUPPORTED, "container", "is stopped, and its root has gone with it");
    else if ((transfer->host_root = ns_dup(ns_view(container->rootfs))) == NULL)
        ns_no_memory(&r);
}

void ns_file_read(void *ctx, const struct cloister_iso_read_file_args *args, cloister_op number)
{
    struct ns_instance *instance = ctx;
    const struct cloister_read_file_args *file = args->read_file;
    struct ns_sandbox *sandbox = ns_sandbox_up(instance, &args->sandbox, file->container, number);
    struct ns_transfer *transfer = sandbox ? ns_transfer_new(sandbox, file->container, &kind_cat, number) : NULL;
    struct ns_reader r;

    if (transfer == NULL)
        return;
    r = ns_reader(instance, &transfer->base.err);
    transfer->deadline = file->deadline;
    transfer->max = file->max ? file->max : CLOISTER_READ_FILE_MAX;
    if (transfer->max > CLOISTER_READ_FILE_MAX)
        ns_refuse_at(&r, CLOISTER_INVALID, "max", "is more than %u", CLOISTER_READ_FILE_MAX);
    else
        set_words(transfer, CLOISTER_SV(""), file->path);
    if (transfer->base.err.code == 0 && transfer->container->down)
        find_stopped(transfer);
    ns_transfer_start(transfer);
}
