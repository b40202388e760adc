/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - cloister-tar: files into and out of a container (message.h says how it is called). Started by the daemon as
 * root on the host; what it needs is loaded before it enters, and nothing is looked up by the C library afterwards.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/tar/tar.h"

/* A sanitizers' build: looking for leaks needs ptrace, which this process forbids. */
#if defined(__SANITIZE_ADDRESS__)
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

static int read_number(const char *text, uint64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 10);
    return text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 ? -1 : 0;
}

static int read_call(int argc, char **argv, struct tar_call *ret)
{
    uint64_t flags;

    if (argc != 7 || read_number(argv[2], &flags) < 0 || flags > CL_TAR_KEEP_OWNERS || argv[4][0] != '/' ||
        read_number(argv[5], &ret->max) < 0 || ret->max > (64u << 20) || (argv[6][0] != '\0' && argv[6][0] != '/'))
        return -1;
    ret->mode = argv[1];
    ret->flags = (uint32_t)flags;
    ret->user = argv[3];
    ret->path = argv[4];
    ret->host_root = argv[6];
    return 0;
}

/* A container that is not running has its root on the host only. */
static int open_host_root(const char *path, int *ret)
{
    static const struct tar_id root = {0, 0};

    *ret = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*ret < 0)
        return tar_fail(tar_code_of(errno), errno, "root", path, "open '%s'", path);
    return tar_become(&root, 1ull << 2); /* DAC_READ_SEARCH */
}

static int end(void)
{
    return tar_say_end(0, 0, 0);
}

static int run_cat(const struct tar_call *call)
{
    static const struct tar_id user = {0, 0};
    TAR_CLOSE int root = -1;

    if (call->host_root[0] != '\0') {
        if (open_host_root(call->host_root, &root) < 0)
            return end();
    } else if (tar_enter(CL_TAR_FD_INIT, &root) < 0 || tar_become(&user, 1ull << 2) < 0) {
        return end();
    }
    return tar_cat(root, call);
}

static int run_in(const struct tar_call *call)
{
    struct archive *archive = tar_in_prepare();
    TAR_CLOSE int root = -1;
    struct tar_id id;

    if (archive == NULL || tar_enter(CL_TAR_FD_INIT, &root) < 0 || tar_user(root, call->user, &id) < 0)
        return end();
    if ((call->flags & CL_TAR_KEEP_OWNERS) && id.uid != 0) {
        tar_fail(CLOISTER_INVALID, 0, "user", call->user, "owners can only be kept by user 0, not by '%s'", call->user);
        return end();
    }
    TAR_CLOSE int top = tar_make_inside(root, call->path, &id);

    if (top < 0) {
        bool bad = top == -ENOTDIR || top == -ELOOP || top == -EEXIST;

        tar_fail(bad ? CLOISTER_BAD_CWD : tar_code_of(top), top, "path", call->path, "make directory '%s'", call->path);
        return end();
    }
    return tar_in(archive, top, call, &id);
}

static int run_out(const struct tar_call *call)
{
    struct archive *archive = tar_out_prepare();
    TAR_CLOSE int root = -1;
    struct tar_id id;

    if (archive == NULL || tar_enter(CL_TAR_FD_INIT, &root) < 0 || tar_user(root, call->user, &id) < 0)
        return end();
    return tar_out(archive, root, call, &id);
}

int main(int argc, char **argv)
{
    struct tar_call call;

    if (read_call(argc, argv, &call) < 0) {
        fputs("cloister-tar: started by cloisterd, to move files into and out of containers\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    umask(0);
    /* Built into the C library: names that are UTF-8 need no conversion table, others stay bytes. */
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL) {
        tar_fail(CLOISTER_INTERNAL, 0, "locale", "C.UTF-8", "the C library has no locale C.UTF-8");
        return end();
    }
    if (tar_prepare() < 0)
        return end();
    if (strcmp(call.mode, "in") == 0)
        return run_in(&call);
    if (strcmp(call.mode, "out") == 0)
        return run_out(&call);
    if (strcmp(call.mode, "cat") == 0)
        return run_cat(&call);
    tar_fail(CLOISTER_INVALID, 0, "mode", call.mode, "there is no mode '%s'", call.mode);
    return end();
}
