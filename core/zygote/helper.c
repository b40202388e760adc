/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper.c - the daemon's side of a helper: the description that goes along with the fork, and the two or three
 * messages that come back on the role's socket. That socket is also the leash: who closes it kills the program.
 */
#include "core/zygote/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "core/log/log.h"
#include "core/net/raw.h"
#include "core/util/fd.h"
#include "core/util/io.h"
#include "core/util/mem.h"
#include "core/util/str.h"
#include "core/util/time.h"
#include "core/zygote/room.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct helper {
    struct cl_list node;
    struct cl_helpers *helpers;
    struct cl_zygote *zygote;
    int socket;
    cloister_watch *watch;
    bool running; /* started has been called */
    void (*started)(void *ctx, int32_t result, const char *step, int32_t pid, int32_t pidfd);
    void (*exited)(void *ctx, const struct cloister_status *status);
    void *ctx;
};

static void on_watch_closed(void *ctx)
{
    struct helper *helper = ctx;
    struct cl_helpers *helpers = helper->helpers;
    free(helper);
    if (--helpers->handles == 0 && helpers->closed)
        helpers->closed(helpers->ctx);
}

/* Nothing more is heard of it; a program that still runs is killed. */
static void let_go(struct helper *helper)
{
    cl_list_remove(&helper->node);
    cl_closep(&helper->socket);
    cl_watch_close(helper->watch, on_watch_closed, helper);
}

static struct cloister_status now(uint32_t kind)
{
    return (struct cloister_status){.kind = kind, .real_ns = cl_real_ns(), .mono_ns = cl_mono_ns()};
}

/* Its parent has gone without a last word. */
static void lose(struct helper *helper, int result)
{
    const struct cloister_status lost = now(CLOISTER_STATUS_LOST);
    let_go(helper);
    if (helper->running)
        helper->exited(helper->ctx, &lost);
    else
        helper->started(helper->ctx, result, "helper", 0, -1);
}

static void end(struct helper *helper, const struct cloister_zygote_helper_said *said)
{
    struct cloister_status status = now(said->by_signal ? CLOISTER_STATUS_SIGNALED : CLOISTER_STATUS_EXITED);
    status.value = said->value;
    status.flags = said->core ? CLOISTER_STATUS_CORE : 0;
    let_go(helper);
    helper->exited(helper->ctx, &status);
}

static bool is_well_formed(const struct helper *helper, const struct cloister_zygote_helper_said *said, size_t size,
                           const struct cl_raw_fds *fds)
{
    bool starts = said->kind == CLOISTER_ZYGOTE_HELPER_STARTED;
    return size == sizeof(*said) && said->struct_size == sizeof(*said) && said->magic == CLOISTER_ZYGOTE_MAGIC &&
           memchr(said->step, 0, sizeof(said->step)) && said->os_errno >= 0 && (fds->lost || fds->count == starts) &&
           helper->running == (said->kind == CLOISTER_ZYGOTE_HELPER_EXITED);
}

/* False: the helper has gone. */
static bool take(struct helper *helper, const struct cloister_zygote_helper_said *said, const struct cl_raw_fds *fds)
{
    switch (said->kind) {
    case CLOISTER_ZYGOTE_HELPER_STARTED:
        if (fds->lost) {
            lose(helper, -EMFILE);
            return false;
        }
        helper->running = true;
        helper->started(helper->ctx, 0, "started", said->pid, fds->fds[0]);
        return true;
    case CLOISTER_ZYGOTE_HELPER_FAILED:
        let_go(helper);
        helper->started(helper->ctx, said->os_errno ? -said->os_errno : -EIO, said->step, 0, -1);
        return false;
    default:
        end(helper, said);
        return false;
    }
}

static void on_ready(void *ctx, int32_t fd, uint32_t events)
{
    struct helper *helper = ctx;
    (void)events;
    for (;;) {
        struct cloister_zygote_helper_said said = {0};
        struct cl_raw_fds fds;
        ssize_t got = cl_raw_receive(fd, true, &said, sizeof(said), &fds);
        if (got == -EAGAIN)
            return;
        if (got > 0 && !is_well_formed(helper, &said, (size_t)got, &fds)) {
            cl_log(CL_LOG_ERROR, "helper", "the parent of a helper program says what it must not");
            cl_raw_fds_close(&fds);
            got = -EBADMSG;
        }
        if (got <= 0) {
            lose(helper, got == 0 ? -EPIPE : (int)got);
            return;
        }
        if (!take(helper, &said, &fds))
            return;
    }
}

static void on_forked(void *ctx, int32_t result, const char *step, int32_t pid, int32_t pidfd, int32_t socket)
{
    struct helper *helper = ctx;
    (void)pid;
    if (result == 0) {
        (void)close(pidfd); /* the socket tells more */
        helper->socket = socket;
        step = "watch";
        result =
            cl_watch_open(cl_zygote_loop(helper->zygote), socket, CLOISTER_READABLE, on_ready, helper, &helper->watch);
    }
    if (result < 0) {
        helper->started(helper->ctx, result, step, 0, -1);
        cl_closep(&helper->socket);
        free(helper);
        return;
    }
    cl_list_append(&helper->helpers->live, &helper->node);
    helper->helpers->handles++;
}

static void append(struct cl_str *text, struct cloister_sv string)
{
    if (cl_sv_has_nul(string) && text->error == 0)
        text->error = -EINVAL;
    cl_str_append(text, string);
    cl_str_append_char(text, 0);
}

static int describe(const struct cl_helper_args *args, struct cl_str *ret)
{
    struct cloister_zygote_helper head = {CLOISTER_INIT(struct cloister_zygote_helper), .magic = CLOISTER_ZYGOTE_MAGIC,
                                          .flags = args->flags, .argv_count = (uint32_t)args->argv_count,
                                          .env_count = (uint32_t)args->env_count};
    if (args->argv_count > CLOISTER_ZYGOTE_HELPER_STRINGS_MAX || args->env_count > CLOISTER_ZYGOTE_HELPER_STRINGS_MAX ||
        args->fd_count > CLOISTER_ZYGOTE_HELPER_FDS_MAX)
        return -E2BIG;
    if (args->argv_count == 0)
        return -EINVAL;
    cl_str_append_bytes(ret, &head, sizeof(head));
    append(ret, cl_sv_cstr(args->path));
    for (uint64_t i = 0; i < args->argv_count; i++)
        append(ret, args->argv[i]);
    for (uint64_t i = 0; i < args->env_count; i++)
        append(ret, args->env[i]);
    if (ret->error < 0)
        return ret->error;
    head.size = (uint32_t)ret->size;
    memcpy(ret->data, &head, sizeof(head));
    return 0;
}

static int seal(const struct cl_str *text, int *ret)
{
    CL_CLOSE int fd = memfd_create("cloister-helper", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int result = cl_write_all(fd, text->data, text->size);
    if (result == 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        result = -errno;
    if (result == 0)
        *ret = cl_steal_fd(&fd);
    return result;
}

int cl_helper_spawn(struct cl_zygote *zygote, const struct cl_helper_args *args)
{
    CL_STR_CLEANUP struct cl_str text = CL_STR_INIT(CLOISTER_ZYGOTE_HELPER_SIZE_MAX);
    CL_FREE struct helper *helper = cl_new(struct helper);
    CL_CLOSE int mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    CL_CLOSE int description = -1;
    int all[3 + CLOISTER_ZYGOTE_HELPER_FDS_MAX];
    if (!helper)
        return -ENOMEM;
    if (mounts < 0)
        return -errno;
    int result = describe(args, &text);
    if (result == 0)
        result = seal(&text, &description);
    if (result < 0)
        return result;
    all[0] = args->program;
    all[1] = mounts;
    all[2] = description;
    if (args->fd_count > 0)
        memcpy(all + 3, args->fds, args->fd_count * sizeof(*args->fds));
    *helper = (struct helper){.helpers = cl_zygote_helpers(zygote),
                              .zygote = zygote,
                              .socket = -1,
                              .started = args->started,
                              .exited = args->exited,
                              .ctx = args->ctx};
    cl_list_init(&helper->node);
    result = cl_zygote_fork(zygote, CLOISTER_ZYGOTE_HELPER_ROLE, all, 3 + args->fd_count, on_forked, helper);
    if (result == 0)
        helper = NULL; /* the request's, then the list's */
    return result;
}

void cl_helpers_init(struct cl_helpers *helpers)
{
    *helpers = (struct cl_helpers){0};
    cl_list_init(&helpers->live);
}

void cl_helpers_close(struct cl_helpers *helpers, cloister_fn closed, void *ctx)
{
    struct cl_list *first;
    helpers->handles++;
    helpers->closed = closed;
    helpers->ctx = ctx;
    while ((first = cl_list_first(&helpers->live)))
        lose(CL_CONTAINER(first, struct helper, node), -ECANCELED);
    if (--helpers->handles == 0)
        closed(ctx);
}
