/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_cp.c - `cp`: files into a container and out of it, as archives that are made and unpacked here. */
#include "client.h"
#include "core/error/error.h"
#include "core/util/fd.h"
#include "core/util/io.h"
#include "core/util/mem.h"
#include "ctl.h"
#include "place.h"
#include "show.h"
#include "tarball.h"
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (128u * 1024)

struct cp {
    const struct ctl_context *context;
    const char *user;
    const char *cid;
    bool archive; /* owners too */
    struct ctl_client client;
    char id[64];
    struct ctl_left_out left_out;
};

/* ---- one stream of an archive ---- */

struct transfer {
    int socket;
    uint64_t request;
};

static cloister_value *params_of(const struct cp *cp, const char *path, bool in)
{
    CL_VALUE_CLEANUP cloister_value *params = ctl_client_subject(cp->id, 0);

    if (cl_value_set_cstr(params, "path", cl_value_new_cstr(path)) < 0 ||
        (cp->user && cl_value_set_cstr(params, "user", cl_value_new_cstr(cp->user)) < 0) ||
        (cp->cid && cl_value_set_cstr(params, "container", cl_value_new_cstr(cp->cid)) < 0) ||
        (in && cl_value_set_cstr(params, "keep_owners", cl_value_new_bool(cp->archive)) < 0))
        return NULL;
    return cl_steal_ptr(&params);
}

static int begin(struct cp *cp, const char *path, bool in, struct transfer *ret_transfer, struct cloister_error *err)
{
    cloister_value *params = params_of(cp, path, in);
    int pair[2];

    if (!params)
        return cl_error_set(err, CLOISTER_INVALID, 0, path, NULL, "'%s' is not UTF-8 text", path);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        cl_value_free(params);
        return cl_error_set(err, CLOISTER_LIMIT, errno, NULL, NULL, "make a pair of sockets");
    }
    CL_CLOSE int ours = pair[0];
    CL_CLOSE int theirs = pair[1];
    const struct ctl_fds fds = {.roles = {"stream"}, .fds = {theirs}, .count = 1};
    int failed = ctl_client_send(&cp->client, in ? "files_in" : "files_out", params, &fds, &ret_transfer->request, err);
    if (failed == 0)
        ret_transfer->socket = cl_steal_fd(&ours);
    return failed;
}

/* What the daemon says of it in the end. */
static int conclude(struct cp *cp, struct transfer *transfer, bool in, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *message = NULL;
    CL_VALUE_CLEANUP cloister_value *result = NULL;
    static char rest[4096];

    /* Behind the end of an archive there may be zeros, and the daemon is not done before they are read. */
    while (!in && read(transfer->socket, rest, sizeof(rest)) > 0)
        continue;
    int failed = ctl_client_await(&cp->client, transfer->request, &message, err);
    cl_closep(&transfer->socket);
    if (failed == 0)
        failed = ctl_message_result(message, &result, err);
    if (failed < 0 || in)
        return failed;
    const char *verdict = ctl_show_text(result, "verdict");
    if (strcmp(verdict, "eof") != 0)
        return cl_error_set(err, CLOISTER_LOST, 0, NULL, NULL, "the archive broke off ('%s')", verdict);
    return 0;
}

/* Nobody wants the rest of it; how it ends is not asked. */
static void give_up(struct cp *cp, struct transfer *transfer)
{
    CL_VALUE_CLEANUP cloister_value *message = NULL;
    struct cloister_error ignored = CLOISTER_ERROR_INIT;

    cl_closep(&transfer->socket);
    (void)ctl_client_await(&cp->client, transfer->request, &message, &ignored);
}

/* ---- out of a container ---- */

static int print_archive(struct cp *cp, const char *path, struct cloister_error *err)
{
    static char bytes[CHUNK];
    struct transfer transfer = {-1, 0};
    int failed = begin(cp, path, false, &transfer, err);
    ssize_t got = 0;

    if (failed < 0)
        return failed;
    do {
        got = read(transfer.socket, bytes, sizeof(bytes));
        failed = got > 0 ? cl_write_all(STDOUT_FILENO, bytes, (size_t)got) : 0;
    } while (failed == 0 && (got > 0 || (got < 0 && errno == EINTR)));
    if (failed < 0) {
        give_up(cp, &transfer);
        return cl_error_set(err, CLOISTER_IO, failed, NULL, "write", "write");
    }
    return conclude(cp, &transfer, false, err);
}

/* Where what comes out is to be. */
static int unpack(struct cp *cp, struct ctl_unpack *unpack, const struct ctl_place *from, const char *destination,
                  struct cloister_error *err)
{
    struct ctl_target target = {.directory = NULL};
    struct ctl_arrival arrival = {.directory = ctl_unpack_kind(unpack) == CTL_ARCHIVE_DIRECTORY || from->content,
                                  .content = from->content};
    struct stat info;

    arrival.there = stat(destination, &info) == 0;
    arrival.there_directory = arrival.there && S_ISDIR(info.st_mode);
    int failed = ctl_place_target(&arrival, destination, &target, err);
    if (failed == 0 && target.make && mkdir(target.directory, 0777) < 0)
        failed =
            cl_error_set(err, cl_error_code_of(errno), errno, target.directory, NULL, "make '%s'", target.directory);
    if (failed == 0)
        failed = ctl_unpack_into(unpack, target.directory, target.top, cp->archive, err);
    ctl_target_free(&target);
    return failed;
}

static int copy_out(struct cp *cp, const struct ctl_place *from, const char *destination, struct cloister_error *err)
{
    CTL_UNPACK_CLEANUP struct ctl_unpack archive = CTL_UNPACK_INIT;
    struct transfer transfer = {-1, 0};
    int failed;

    if (strcmp(destination, "-") == 0)
        return print_archive(cp, from->path, err);
    failed = begin(cp, from->path, false, &transfer, err);
    if (failed < 0)
        return failed;
    failed = ctl_unpack_begin(&archive, transfer.socket, &cp->left_out, err);
    if (failed == 0 && ctl_unpack_kind(&archive) != CTL_ARCHIVE_NOTHING) {
        failed = unpack(cp, &archive, from, destination, err);
    } else if (failed == 0) {
        failed = conclude(cp, &transfer, false, err);
        return failed == 0 ? unpack(cp, &archive, from, destination, err) : failed;
    }
    if (failed < 0)
        give_up(cp, &transfer);
    return failed < 0 ? failed : conclude(cp, &transfer, false, err);
}

/* ---- into a container ---- */

/* Looks at the beginning of what would come out of there. *ret_kind NOTHING: an empty directory's content. */
static int look(struct cp *cp, const char *path, enum ctl_archive_kind *ret_kind, struct cloister_error *err)
{
    CTL_UNPACK_CLEANUP struct ctl_unpack archive = CTL_UNPACK_INIT;
    struct transfer transfer = {-1, 0};
    int failed = begin(cp, path, false, &transfer, err);

    if (failed < 0)
        return failed;
    failed = ctl_unpack_begin(&archive, transfer.socket, &cp->left_out, err);
    if (failed == 0)
        *ret_kind = ctl_unpack_kind(&archive);
    if (failed == 0 && archive.entry == NULL)
        return conclude(cp, &transfer, false, err);
    give_up(cp, &transfer);
    return failed;
}

/* Is there something, and is it a directory? A link counts as what it leads to. */
static int look_there(struct cp *cp, const char *path, struct ctl_arrival *ret_arrival, struct cloister_error *err)
{
    enum ctl_archive_kind kind = CTL_ARCHIVE_NOTHING;
    CL_FREE char *itself = cl_strdup(path);
    CL_FREE char *content = NULL;

    if (strcmp(path, "/") == 0) {
        ret_arrival->there = ret_arrival->there_directory = true;
        return 0;
    }
    size_t size = strlen(path);
    if (itself && path[size - 1] == '/')
        itself[size - 1] = 0;
    content = itself ? cl_asprintf("%s/", itself) : NULL;
    int failed = content ? look(cp, itself, &kind, err) : ctl_no_memory(err);
    if (failed < 0 && err->code == CLOISTER_NO_ENTITY) {
        cl_error_clear(err);
        return 0;
    }
    if (failed < 0)
        return failed;
    ret_arrival->there = true;
    ret_arrival->there_directory = kind == CTL_ARCHIVE_DIRECTORY || kind == CTL_ARCHIVE_NOTHING;
    if (kind == CTL_ARCHIVE_LINK) {
        ret_arrival->there_directory = look(cp, content, &kind, err) == 0;
        cl_error_clear(err);
    }
    return 0;
}

static int send_archive(struct cp *cp, const char *path, struct cloister_error *err)
{
    static char bytes[CHUNK];
    struct transfer transfer = {-1, 0};
    int failed = begin(cp, path, true, &transfer, err);
    ssize_t got = 0, sent = 0;

    if (failed < 0)
        return failed;
    while (sent >= 0) {
        got = read(STDIN_FILENO, bytes, sizeof(bytes));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        for (ssize_t done = 0; sent >= 0 && done<got; done += sent> 0 ? sent : 0)
            sent = send(transfer.socket, bytes + done, (size_t)(got - done), MSG_NOSIGNAL);
    }
    if (got < 0) {
        failed = cl_error_set(err, CLOISTER_IO, errno, NULL, "read", "read our input");
        give_up(cp, &transfer);
        return failed;
    }
    (void)shutdown(transfer.socket, SHUT_WR);
    return conclude(cp, &transfer, true, err);
}

static int send_files(struct cp *cp, const struct ctl_place *from, const struct ctl_target *target,
                      struct cloister_error *err)
{
    struct transfer transfer = {-1, 0};
    int failed = begin(cp, target->directory, true, &transfer, err);

    if (failed < 0)
        return failed;
    failed = ctl_pack(transfer.socket, from->path, target->top ? target->top : "", &cp->left_out, err);
    if (failed < 0 && failed != -EPIPE) {
        give_up(cp, &transfer);
        return failed;
    }
    (void)shutdown(transfer.socket, SHUT_WR);
    int said = conclude(cp, &transfer, true, err);
    if (said == 0 && failed < 0)
        return cl_error_set(err, CLOISTER_IO, EPIPE, NULL, NULL, "the daemon did not read the archive to its end");
    return said;
}

static int copy_in(struct cp *cp, const struct ctl_place *from, const struct ctl_place *to, struct cloister_error *err)
{
    struct ctl_target target = {.directory = NULL};
    struct ctl_arrival arrival = {.content = from->content};
    struct stat info;

    if (strcmp(from->path, "-") == 0)
        return send_archive(cp, to->path, err);
    if (lstat(from->path, &info) < 0)
        return cl_error_set(err, cl_error_code_of(errno), errno, from->path, NULL, "look at '%s'", from->path);
    arrival.directory = S_ISDIR(info.st_mode);
    if (from->content && !arrival.directory)
        return cl_error_set(err, CLOISTER_INVALID, ENOTDIR, from->path, NULL, "look at '%s'", from->path);
    int failed = look_there(cp, to->path, &arrival, err);
    if (failed == 0)
        failed = ctl_place_target(&arrival, to->given, &target, err);
    if (failed == 0 && !target.top && !from->content)
        failed = ctl_place_base(from->path, &target.top, err);
    if (failed == 0)
        failed = send_files(cp, from, &target, err);
    ctl_target_free(&target);
    return failed;
}

/* ---- the command ---- */

static int copy(struct cp *cp, const struct ctl_place *from, const struct ctl_place *to, struct cloister_error *err)
{
    CL_VALUE_CLEANUP cloister_value *sandbox = NULL;
    int failed = ctl_client_connect(&cp->client, cp->context->socket, err);

    if (failed == 0)
        failed = ctl_client_call_on(&cp->client, "inspect", from->container ? from->container : to->container, NULL,
                                    &sandbox, err);
    if (failed < 0)
        return failed;
    const char *id = cl_value_cstr(cl_value_get_cstr(sandbox, "id"));
    if (!id || strlen(id) >= sizeof(cp->id))
        return cl_error_set(err, CLOISTER_PROTOCOL, 0, NULL, NULL, "the daemon's answer names no sandbox");
    (void)strcpy(cp->id, id);
    return from->container ? copy_out(cp, from, to->given, err) : copy_in(cp, from, to, err);
}

static int cp_options(struct ctl_context *context, int argc, char **argv, struct cp *cp)
{
    enum { OPT_CONTAINER = CTL_OPTION_JSON + 1 };
    static const struct option long_options[] = {{"archive", no_argument, NULL, 'a'},
                                                 {"user", required_argument, NULL, 'u'},
                                                 {"container", required_argument, NULL, OPT_CONTAINER},
                                                 {"json", no_argument, NULL, CTL_OPTION_JSON},
                                                 {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, ":au:", long_options, NULL)) != -1) {
        if (option == 'a')
            cp->archive = true;
        else if (option == 'u')
            cp->user = optarg;
        else if (option == OPT_CONTAINER)
            cp->cid = optarg;
        else if (option == CTL_OPTION_JSON)
            context->json = true;
        else
            return ctl_bad_option(context, &ctl_command_cp, CTL_EXIT_USAGE, option, long_options, argv);
    }
    if (optind + 2 != argc)
        return ctl_misused(context, &ctl_command_cp, CTL_EXIT_USAGE, "give what is copied, and where to");
    return 0;
}

/* All else has been copied. */
static int tell_left_out(const struct cp *cp)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    char more[40] = "";

    if (cp->left_out.count > 1)
        (void)snprintf(more, sizeof(more), " (and %u more)", cp->left_out.count - 1);
    (void)cl_error_set(&err, CLOISTER_PARTIAL, 0, cp->left_out.first, NULL,
                       "'%s'%s is neither file nor directory nor link, and was left out", cp->left_out.first, more);
    return ctl_fail(cp->context, "cp", &err, CTL_EXIT_FAILED);
}

static int command_cp(struct ctl_context *context, int argc, char **argv)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cp cp = {.context = context, .client = CTL_CLIENT_INIT};
    CTL_PLACE_CLEANUP struct ctl_place from = CTL_PLACE_INIT;
    CTL_PLACE_CLEANUP struct ctl_place to = CTL_PLACE_INIT;
    int code = cp_options(context, argc, argv, &cp);

    if (code != 0)
        return code;
    int failed = ctl_place_parse(argv[optind], &from, &err);
    if (failed == 0)
        failed = ctl_place_parse(argv[optind + 1], &to, &err);
    if (failed == 0 && !from.container == !to.container)
        return ctl_misused(context, &ctl_command_cp, CTL_EXIT_USAGE,
                           "one of the two is in a container, as NAME:PATH, and the other one is not");
    if (failed == 0)
        failed = copy(&cp, &from, &to, &err);
    ctl_client_close(&cp.client);
    if (failed < 0)
        return ctl_fail(context, "cp", &err, CTL_EXIT_FAILED);
    return cp.left_out.count > 0 ? tell_left_out(&cp) : 0;
}

const struct ctl_command ctl_command_cp = {
    .name = "cp",
    .summary = "copy files into a container or out of it",
    .usage =
        "cloisterctl cp [options] NAME:PATH LOCAL\n"
        "       cloisterctl cp [options] LOCAL NAME:PATH\n"
        "\n"
        "PATH is absolute in the running container NAME. LOCAL is a path here (one with a colon begins with ./), or "
        "-:\n"
        "a tar archive to our output, or from our input to be unpacked in the directory PATH.\n"
        "\n"
        "A file goes into a directory that is there, or takes the place of a file, or gets the new name. A directory\n"
        "goes into a directory that is there, or becomes the new one; with /. at its end, what is in it does. "
        "Symbolic\n"
        "links are copied as links. What comes out of a container is never set-user-id, and its devices stay there.\n"
        "\n"
        "  -a, --archive        numbers of owners too; else all is ours here, and USER's there\n"
        "  -u, --user USER      who reads or writes in the container; default: root\n"
        "      --container CID  of this container in it; default: main\n"
        "      --json           errors as JSON objects\n",
    .run = command_cp,
};
