/* SPDX-License-Identifier: Apache-2.0 */
/* Files from outside, and what a container is asked to be: who owns a stream when, what is refused, what reaches
 * isolation. */
#include "core/engine/test_world.h"

#include <errno.h>
#include <sys/socket.h>

#include "core/engine/api.h"
#include "core/engine/args.h"
#include "core/net/stream.h"

#define CALL(word, slot, args) \
    call(world, word,          \
         cl_engine_api.slot(&world->control.host, (args), on_done, caller(world, word), &world->last_error))

static cloister_op call(struct world *world, const char *word, cloister_op op)
{
    if (!op)
        trace_add(world, "%s!%s ", word, cl_error_code_name(world->last_error.code));
    return op;
}

static cloister_op ask_in(struct world *world, const char *id, const char *path, cloister_stream *stream)
{
    const struct cloister_files_in_args args = {CLOISTER_INIT(struct cloister_files_in_args), .sandbox = cl_sv_cstr(id),
                                                .user = CLOISTER_SV("joe:staff"), .path = cl_sv_cstr(path),
                                                .stream = stream};
    return CALL("in", files_in, &args);
}

static cloister_op ask_out(struct world *world, const char *id, const char *path)
{
    const struct cloister_files_out_args args = {CLOISTER_INIT(struct cloister_files_out_args),
                                                 .sandbox = cl_sv_cstr(id), .path = cl_sv_cstr(path)};
    return CALL("out", files_out, &args);
}

static cloister_op ask_put(struct world *world, const char *id, const char *path, struct cloister_sv bytes)
{
    const struct cloister_file_put_args args = {CLOISTER_INIT(struct cloister_file_put_args), .sandbox = cl_sv_cstr(id),
                                                .path = cl_sv_cstr(path), .bytes = bytes};
    return CALL("put", file_put, &args);
}

static cloister_op ask_read(struct world *world, const char *id, const char *path, uint64_t max)
{
    const struct cloister_read_file_args args = {CLOISTER_INIT(struct cloister_read_file_args),
                                                 .sandbox = cl_sv_cstr(id), .path = cl_sv_cstr(path), .max = max};
    return CALL("read", read_file, &args);
}

/* A stream whose far end the test has. */
static cloister_stream *stream_of(struct world *world, int *ret_peer)
{
    int ends[2];
    cloister_stream *stream;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(cl_stream_from_fd(world->loop, ends[0], &stream), 0);
    *ret_peer = ends[1];
    return stream;
}

static bool closed(int peer)
{
    char byte;
    ssize_t got = recv(peer, &byte, 1, MSG_PEEK);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

static void test_put(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    ask_put(world, id, "/etc/hosts", CLOISTER_SV("127.0.0.1 a"));
    turn(world);
    assert_string_equal(world->file_seen, "/etc/hosts=127.0.0.1 a");
    ask_freeze(world, id, "", 0);
    turn(world);
    (void)trace(world);
    ask_put(world, id, "/etc/hosts", CLOISTER_SV("x")); /* as ever */
    turn(world);
    assert_string_equal(trace(world), "put:ok");
    world->isolation_vtable.isolation.file_put = NULL;
    ask_put(world, id, "/etc/hosts", CLOISTER_SV("x"));
    turn(world);
    assert_string_equal(trace(world), "put:unsupported");
}

static void test_put_is_refused(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    ask_put(world, id, "etc/hosts", CLOISTER_SV(""));
    assert_string_equal(world->last_error.subject, "path");
    static char big[CL_ARGS_FILE_MAX + 1];
    ask_put(world, id, "/etc/hosts", cl_sv(big, sizeof(big)));
    assert_string_equal(world->last_error.subject, "bytes");
    world->fail[SLOT_FILE_PUT] = CLOISTER_NO_ENTITY;
    ask_put(world, id, "/etc/hosts", CLOISTER_SV("x"));
    turn(world);
    assert_string_equal(trace(world), "put!invalid put!invalid put:no_entity");
    tell_exit(world, 0, 0); /* its keeper has its files still */
    turn(world);
    (void)trace(world);
    ask_put(world, id, "/etc/hosts", CLOISTER_SV("x"));
    turn(world);
    assert_string_equal(trace(world), "put:ok");
    ask_destroy(world, id, 0);
    world->hold[SLOT_DESTROY] = true;
    turn(world);
    (void)trace(world);
    ask_put(world, id, "/etc/hosts", CLOISTER_SV("x"));
    assert_string_equal(trace(world), "put!invalid_state");
    complete(world, last_call(world, SLOT_DESTROY), 0);
    turn(world);
    (void)trace(world);
    id = running(world, "other");
    tell_lost(world, id);
    turn(world);
    (void)trace(world);
    ask_put(world, id, "/etc/hosts", CLOISTER_SV("x"));
    ask_read(world, id, "/etc/hosts", 0);
    assert_string_equal(trace(world), "put!invalid_state read!invalid_state");
}

static void keep_data(void *ctx, cloister_op op, const struct cloister_error *error,
                      const struct cloister_result *result)
{
    (void)op;
    snprintf(ctx, 32, "%s:%.*s", error ? cl_error_code_name(error->code) : "ok", CL_SV_ARG(result->data));
}

static void test_read(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    static const struct {
        const char *name;
        uint64_t max;
        bool inside; /* a plugin that completes too early: what it lent is copied in time */
        const char *want;
    } cases[] = {
        {"all", 0, false, "ok:text"},
        {"just", 4, false, "ok:text"},
        {"too much", 3, false, "too_big:"},
        {"inside", 0, true, "ok:text"},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        char got[32] = "";
        const struct cloister_read_file_args args = {CLOISTER_INIT(struct cloister_read_file_args),
                                                     .sandbox = cl_sv_cstr(id), .path = CLOISTER_SV("/etc/passwd"),
                                                     .max = cases[i].max};
        world->read = "text";
        world->inside[SLOT_READ_FILE] = cases[i].inside;
        assert_true(cl_engine_api.read_file(&world->control.host, &args, keep_data, got, NULL) != 0);
        turn(world);
        CL_CHECK_STR(cases[i].name, got, cases[i].want);
    }
    world->inside[SLOT_READ_FILE] = false;
    ask_read(world, id, "/x", CLOISTER_READ_FILE_MAX + 1);
    assert_string_equal(world->last_error.subject, "max");
    ask_read(world, id, "", 0);
    assert_string_equal(world->last_error.subject, "path");
    assert_string_equal(trace(world), "read!invalid read!invalid");
    ask_read(world, id, "/x", 0);
    ask_delete(world, id, "main", CLOISTER_DELETE_FORCE, 0); /* behind it */
    turn(world);
    assert_int_equal(strncmp(trace(world), "read:ok ", 8), 0);
}

static void test_in(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    int peer;
    /* Isolation's from the call on. */
    world->hold[SLOT_FILES_IN] = true;
    ask_in(world, id, "/srv", stream_of(world, &peer));
    turn(world);
    const struct cloister_files_in_args *seen =
        ((const struct cloister_iso_files_in_args *)world->calls[last_call(world, SLOT_FILES_IN)].args)->files;
    assert_true(cl_sv_is(seen->path, "/srv") && cl_sv_is(seen->user, "joe:staff") && cl_sv_is(seen->container, "main"));
    complete(world, last_call(world, SLOT_FILES_IN), 0);
    turn(world);
    assert_string_equal(trace(world), "in:ok");
    assert_int_equal(world->last.entries, 2);
    assert_int_equal(world->last.bytes, 9);
    assert_true(closed(peer));
    close(peer);
    /* Refused at once: the caller's still. */
    cloister_stream *stream = stream_of(world, &peer);
    ask_in(world, id, "srv", stream);
    ask_in(world, id, "/srv", NULL);
    turn(world);
    assert_string_equal(trace(world), "in!invalid in!invalid");
    assert_false(closed(peer));
    /* Refused later: aborted. */
    ask_freeze(world, id, "main", 0);
    ask_in(world, id, "/srv", stream);
    turn(world);
    assert_string_equal(trace(world), "container=3 freeze:ok in:frozen");
    turn(world);
    assert_true(closed(peer));
    close(peer);
    ask_thaw(world, id, "main");
    turn(world);
    (void)trace(world);
    /* Sent away before its turn. */
    world->hold[SLOT_FREEZE] = true;
    ask_freeze(world, id, "main", 0);
    turn(world);
    cloister_op op = ask_in(world, id, "/srv", stream_of(world, &peer));
    turn(world);
    cl_engine_api.cancel(&world->control.host, op);
    turn(world);
    assert_string_equal(trace(world), "in:cancelled");
    turn(world);
    assert_true(closed(peer));
    close(peer);
}

static void test_out(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    ask_out(world, id, "/etc/");
    turn(world);
    assert_string_equal(trace(world), "out:ok");
    assert_non_null(world->last_stream);
    assert_false(stream_gone(world, 0));
    cl_stream_abort(cl_steal_ptr(&world->last_stream), NULL, NULL);
    turn(world);
    /* Nobody is there any more to take it. */
    world->hold[SLOT_FILES_OUT] = true;
    world->ignore_cancel = true;
    cloister_op op = ask_out(world, id, "/etc/");
    turn(world);
    cl_engine_api.cancel(&world->control.host, op);
    turn(world);
    complete(world, last_call(world, SLOT_FILES_OUT), 0);
    turn(world);
    assert_string_equal(trace(world), "out:cancelled");
    turn(world);
    assert_true(stream_gone(world, 1));
    assert_null(world->last_stream);
    world->hold[SLOT_FILES_OUT] = false;
    world->no_stream = true;
    ask_out(world, id, "/etc");
    turn(world);
    assert_string_equal(trace(world), "out:internal");
    ask_freeze(world, id, "", 0);
    ask_out(world, id, "/etc");
    turn(world);
    assert_non_null(strstr(trace(world), "out:frozen"));
    ask_thaw(world, id, "");
    turn(world);
    tell_exit(world, 0, 0); /* a helper has nowhere to go */
    turn(world);
    (void)trace(world);
    ask_out(world, id, "/etc");
    assert_string_equal(trace(world), "out!invalid_state");
}

/* ---- what a container is asked to be ---- */

static const struct cloister_sv layers[] = {{"/l/top", 6}, {"/l/base", 7}}, relative[] = {{"l", 1}};

/* What create_container is asked with; a case changes it. */
struct asked {
    struct cloister_container_args container;
    struct cloister_container_create_args create;
    struct cloister_file files[2];
};

static struct asked *plain(const char *id)
{
    static struct asked asked;
    asked = (struct asked){
        .container = {CLOISTER_INIT(struct cloister_container_args), .init = CLOISTER_INIT_PAUSE,
                      .start = CLOISTER_START_NOW, .rootfs_kind = CLOISTER_ROOTFS_DIRECTORY, .cid = CLOISTER_SV("c2"),
                      .spec = cl_sv_cstr(spec_text), .rootfs = CLOISTER_SV("/srv/root")},
        .create = {CLOISTER_INIT(struct cloister_container_create_args), .sandbox = cl_sv_cstr(id),
                   .container = &asked.container},
        .files = {{.path = CLOISTER_SV("/etc/hosts"), .bytes = CLOISTER_SV("a"), .mode = 0600, .uid = 1, .gid = 2},
                  {.path = CLOISTER_SV("/etc/resolv.conf"),
                   .share = CLOISTER_SV("main"),
                   .share_path = CLOISTER_SV("/etc/resolv.conf")}}};
    return &asked;
}

static void use_files(struct asked *asked)
{
    asked->container.files = asked->files;
    asked->container.file_count = 2;
    asked->container.file_size = sizeof(asked->files[0]);
}

static void use_layers(struct asked *asked, const struct cloister_sv *list, uint64_t count)
{
    asked->container.rootfs_kind = CLOISTER_ROOTFS_LAYERS;
    asked->container.rootfs = cl_sv(NULL, 0);
    asked->container.layers = list;
    asked->container.layer_count = count;
}

static void use_join(struct asked *asked, const char *join, uint32_t spaces, uint32_t parent)
{
    asked->container.join = cl_sv_cstr(join);
    asked->container.join_namespaces = spaces;
    asked->container.cgroup_parent = parent;
}

static void test_arguments_are_refused(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    static char big[CL_ARGS_FILE_MAX + 1];
    struct asked *asked;
#define REFUSED(change, code_, subject_)                                     \
    do {                                                                     \
        asked = plain(id);                                                   \
        change;                                                              \
        CL_CHECK_INT(#change, ask_container_with(world, &asked->create), 0); \
        CL_CHECK_INT(#change, world->last_error.code, code_);                \
        CL_CHECK_STR(#change, world->last_error.subject, subject_);          \
    } while (0)
    REFUSED(asked->create.reserved = 1, CLOISTER_INVALID, "reserved");
    REFUSED(asked->container.layer_count = 1, CLOISTER_INVALID, "layers");
    REFUSED(asked->container.rootfs_kind = 9, CLOISTER_UNSUPPORTED,
            "a root file system that is neither a directory nor made of layers");
    REFUSED(use_layers(asked, layers, 0), CLOISTER_INVALID, "layers");
    REFUSED(use_layers(asked, layers, 101), CLOISTER_INVALID, "layers");
    REFUSED(use_layers(asked, NULL, 1), CLOISTER_INVALID, "layers");
    REFUSED(use_layers(asked, relative, 1), CLOISTER_INVALID, "layers");
    REFUSED((use_layers(asked, layers, 2), asked->container.rootfs = CLOISTER_SV("/r")), CLOISTER_INVALID, "rootfs");
    REFUSED(use_join(asked, "main", 1u << 7, 0), CLOISTER_INVALID, "join_namespaces");
    REFUSED(use_join(asked, "main", CLOISTER_NS_NET, 0), CLOISTER_INVALID, "join_namespaces");
    REFUSED(use_join(asked, "main", 0, 0), CLOISTER_INVALID, "join");
    REFUSED(use_join(asked, "main", 0, 2), CLOISTER_INVALID, "cgroup_parent");
    REFUSED(use_join(asked, "", CLOISTER_NS_USER, 0), CLOISTER_INVALID, "join");
    REFUSED(use_join(asked, "", 0, 1), CLOISTER_INVALID, "join");
    REFUSED(use_join(asked, "c2", CLOISTER_NS_USER, 0), CLOISTER_INVALID, "join");
    REFUSED(use_join(asked, "../x", CLOISTER_NS_USER, 0), CLOISTER_INVALID, "cid");
    REFUSED(use_join(asked, "zz", CLOISTER_NS_USER, 0), CLOISTER_NO_ENTITY, "zz");
    REFUSED((use_files(asked), asked->container.file_count = 65), CLOISTER_INVALID, "files");
    REFUSED((use_files(asked), asked->container.file_size = 8), CLOISTER_INVALID, "files");
    REFUSED((use_files(asked), asked->container.files = NULL), CLOISTER_INVALID, "files");
    REFUSED((use_files(asked), asked->files[0].path = CLOISTER_SV("hosts")), CLOISTER_INVALID, "files.path");
    REFUSED((use_files(asked), asked->files[0].path = CLOISTER_SV("/a\0b")), CLOISTER_INVALID, "files.path");
    REFUSED((use_files(asked), asked->files[1].path = asked->files[0].path), CLOISTER_INVALID, "files.path");
    REFUSED((use_files(asked), asked->files[0].bytes = cl_sv(big, sizeof(big))), CLOISTER_INVALID, "files.bytes");
    REFUSED((use_files(asked), asked->files[0].mode = 04755), CLOISTER_INVALID, "files.mode");
    REFUSED((use_files(asked), asked->files[0].reserved32 = 1), CLOISTER_INVALID, "files");
    REFUSED((use_files(asked), asked->files[0].share_path = CLOISTER_SV("/x")), CLOISTER_INVALID, "files.share_path");
    REFUSED((use_files(asked), asked->files[1].bytes = CLOISTER_SV("x")), CLOISTER_INVALID, "files");
    REFUSED((use_files(asked), asked->files[1].mode = 0600), CLOISTER_INVALID, "files");
    REFUSED((use_files(asked), asked->files[1].share = CLOISTER_SV("c2")), CLOISTER_INVALID, "files.share");
    REFUSED((use_files(asked), asked->files[1].share = CLOISTER_SV("zz")), CLOISTER_NO_ENTITY, "zz");
    REFUSED((use_files(asked), asked->files[1].share_path = CLOISTER_SV("x")), CLOISTER_INVALID, "files.share_path");
    assert_int_equal(info(world, id).container_count, 1);
    assert_int_equal(calls_of(world, SLOT_FURTHER), 0);
    /* A sandbox's first one has nobody to share with. */
    asked = plain(id);
    use_join(asked, "main", CLOISTER_NS_USER, 0);
    const struct cloister_sandbox_create_args create = {CLOISTER_INIT(struct cloister_sandbox_create_args),
                                                        .container = &asked->container};
    assert_int_equal(ask_create_with(world, &create), 0);
    assert_int_equal(world->last_error.code, CLOISTER_NO_ENTITY);
}

/* Copied as deep as they go, and on record as far as a later daemon needs them. */
static void test_arguments_arrive(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    struct asked *asked = plain(id);
    use_files(asked);
    use_layers(asked, layers, 2);
    use_join(asked, "main", CLOISTER_NS_USER | CLOISTER_NS_NET, CLOISTER_CGROUP_CONTAINER);
    world->hold[SLOT_FURTHER] = true;
    assert_true(ask_container_with(world, &asked->create) != 0);
    *asked = (struct asked){.files = {{.mode = 1}}};
    turn(world);
    const struct cloister_iso_create_args *args = world->calls[last_call(world, SLOT_FURTHER)].args;
    const struct cloister_container_args *seen = args->container;
    assert_true(cl_sv_is(seen->cid, "c2") && cl_sv_is(seen->join, "main"));
    assert_int_equal(seen->join_namespaces, CLOISTER_NS_USER | CLOISTER_NS_NET);
    assert_int_equal(seen->cgroup_parent, CLOISTER_CGROUP_CONTAINER);
    assert_int_equal(seen->layer_count, 2);
    assert_true(cl_sv_is(seen->layers[0], "/l/top") && cl_sv_is(seen->layers[1], "/l/base"));
    assert_int_equal(seen->file_count, 2);
    assert_true(cl_sv_is(seen->files[0].path, "/etc/hosts") && cl_sv_is(seen->files[0].bytes, "a"));
    assert_int_equal(seen->files[0].mode, 0600);
    assert_int_equal(seen->files[0].gid, 2);
    assert_true(cl_sv_is(seen->files[1].share, "main") && cl_sv_is(seen->files[1].share_path, "/etc/resolv.conf"));
    complete(world, last_call(world, SLOT_FURTHER), 0);
    turn(world);
    world->hold[SLOT_ADOPT] = true;
    world_again(world);
    const struct cloister_iso_adopt_args *adopt = world->calls[last_call(world, SLOT_ADOPT)].args;
    assert_int_equal(adopt->container_count, 2);
    const struct cloister_iso_container *known = &adopt->containers[1];
    assert_int_equal(known->rootfs_kind, CLOISTER_ROOTFS_LAYERS);
    assert_int_equal(known->layer_count, 2);
    assert_true(cl_sv_is(known->layers[1], "/l/base") && cl_sv_is(known->join, "main"));
    assert_int_equal(known->join_namespaces, CLOISTER_NS_USER | CLOISTER_NS_NET);
    assert_int_equal(known->cgroup_parent, CLOISTER_CGROUP_CONTAINER);
    assert_int_equal(adopt->containers[0].rootfs_kind, CLOISTER_ROOTFS_DIRECTORY);
    assert_int_equal(adopt->containers[0].join.size, 0);
}

/* Who is joined must run when its turn has come. */
static void test_join_of_what_has_stopped(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    ask_container(world, id, "c3", CLOISTER_START_BLOCKED);
    turn(world);
    (void)trace(world);
    struct asked *asked = plain(id);
    use_join(asked, "c3", CLOISTER_NS_USER, 0);
    ask_container_with(world, &asked->create);
    turn(world);
    assert_string_equal(trace(world), "c2:invalid_state");
    assert_int_equal(world->last_error.detail, CLOISTER_CONTAINER_CREATED);
    assert_int_equal(info(world, id).container_count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        TEST(test_put),
        TEST(test_put_is_refused),
        TEST(test_read),
        TEST(test_in),
        TEST(test_out),
        TEST(test_arguments_are_refused),
        TEST(test_arguments_arrive),
        TEST(test_join_of_what_has_stopped),
    };
    return cmocka_run_group_tests_name("core/engine files", tests, NULL, NULL);
}
