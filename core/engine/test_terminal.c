/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals and further descriptors: what may be asked, what is captured, and whose descriptors they are. */
#include "core/engine/test_world.h"

#include <fcntl.h>

#include "core/engine/api.h"
#include "core/engine/room.h"

#define PTY CLOISTER_STDIO_PTY
#define NONE CLOISTER_STDIO_NULL

static const struct cloister_stdio terminal[3] = {{.kind = PTY}, {.kind = PTY}, {.kind = PTY}};

static cloister_op exec(struct world *world, const char *id, const struct cloister_stdio *stdio, uint64_t stdio_count,
                        const struct cloister_extra_fd *extra, uint64_t extra_count)
{
    const struct cloister_process_args process = {CLOISTER_INIT(struct cloister_process_args),
                                                  .oci = CLOISTER_SV("{}"),
                                                  .stdio = stdio,
                                                  .stdio_count = stdio_count,
                                                  .stdio_size = sizeof(*stdio),
                                                  .extra = extra,
                                                  .extra_count = extra_count,
                                                  .extra_size = sizeof(*extra)};
    const struct cloister_exec_args args = {CLOISTER_INIT(struct cloister_exec_args), .sandbox = cl_sv_cstr(id),
                                            .process = &process};
    return ask_exec_with(world, &args);
}

static void test_stdio(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    struct cl_backend *backend = cl_backend_of(&world->isolation);
    static const struct {
        const char *name;
        struct cloister_stdio list[4];
        uint64_t count;
        uint64_t without; /* capability that the backend lacks */
        const char *want;
    } cases[] = {
        {"all three", {{.kind = PTY}, {.kind = PTY}, {.kind = PTY}}, 3, 0, ""},
        {"sized",
         {{.kind = PTY, .rows = 65535, .columns = 1},
          {.kind = PTY, .window = 4096, .policy = CLOISTER_POLICY_DROP},
          {.kind = PTY, .rows = 5, .columns = 5}},
         3,
         0,
         ""},
        {"not here", {{.kind = PTY}, {.kind = PTY}, {.kind = PTY}}, 3, CLOISTER_ISO_PTY, "exec!unsupported"},
        {"two", {{.kind = PTY}, {.kind = PTY}, {.kind = NONE}}, 3, 0, "exec!invalid"},
        {"the first two", {{.kind = PTY}, {.kind = PTY}}, 2, 0, "exec!invalid"},
        {"a copy of it",
         {{.kind = PTY}, {.kind = PTY}, {.kind = CLOISTER_STDIO_SAME_AS, .fd = 1}},
         3,
         0,
         "exec!invalid"},
        {"four", {{.kind = PTY}, {.kind = PTY}, {.kind = PTY}, {.kind = PTY}}, 4, 0, "exec!invalid"},
        {"the last three", {{.kind = NONE}, {.kind = PTY}, {.kind = PTY}, {.kind = PTY}}, 4, 0, "exec!invalid"},
        {"rows alone", {{.kind = PTY, .rows = 5}, {.kind = PTY}, {.kind = PTY}}, 3, 0, "exec!invalid"},
        {"too many rows",
         {{.kind = PTY, .rows = 65536, .columns = 5}, {.kind = PTY}, {.kind = PTY}},
         3,
         0,
         "exec!invalid"},
        {"too many columns",
         {{.kind = PTY, .rows = 5, .columns = 65536}, {.kind = PTY}, {.kind = PTY}},
         3,
         0,
         "exec!invalid"},
        {"a window at 0", {{.kind = PTY, .window = 1}, {.kind = PTY}, {.kind = PTY}}, 3, 0, "exec!invalid"},
        {"a policy at 2", {{.kind = PTY}, {.kind = PTY}, {.kind = PTY, .policy = 1}}, 3, 0, "exec!invalid"},
        {"unknown policy", {{.kind = PTY}, {.kind = PTY, .policy = 3}, {.kind = PTY}}, 3, 0, "exec!invalid"},
        {"window", {{.kind = PTY}, {.kind = PTY, .window = (16u << 20) + 1}, {.kind = PTY}}, 3, 0, "exec!invalid"},
        {"reserved", {{.kind = PTY, .reserved = {1}}, {.kind = PTY}, {.kind = PTY}}, 3, 0, "exec!invalid"},
        {"rows of a pipe",
         {{.kind = NONE}, {.kind = CLOISTER_STDIO_PIPE, .rows = 1}, {.kind = NONE}},
         3,
         0,
         "exec!invalid"},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        backend->capabilities &= ~cases[i].without;
        (void)exec(world, id, cases[i].list, cases[i].count, NULL, 0);
        backend->capabilities |= cases[i].without;
        CL_CHECK_STR(cases[i].name, trace(world), cases[i].want);
    }
}

/* What is written to it is captured, so its end is told. */
static void test_drained(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    exec(world, id, terminal, 3, NULL, 0);
    turn(world);
    (void)trace(world);
    tell_exit(world, 1, 0);
    turn(world);
    assert_string_equal(trace(world), "exit(p1)");
    tell_drained(world, 1, 100, 0);
    turn(world);
    assert_string_equal(trace(world), "drained(p1,1@100-0)");
}

static int null_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* Refused: they are still the caller's. Accepted: they are not, whatever becomes of it. */
static void test_extra(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    struct cl_backend *backend = cl_backend_of(&world->isolation);
    static const struct {
        const char *name;
        uint32_t first, second;
        uint64_t count;
        bool same; /* the second is the first's descriptor */
        bool std;  /* so is stdin's */
        bool closed;
        uint64_t reserved;
        uint64_t without;
        const char *want;
    } cases[] = {
        {"two", 3, 1023, 2, .want = "exec:ok"},
        {"not here", 3, 4, 2, .without = CLOISTER_ISO_EXTRA_FDS, .want = "exec!unsupported"},
        {"2", 2, 4, 2, .want = "exec!invalid"},
        {"1024", 3, 1024, 2, .want = "exec!invalid"},
        {"one number", 7, 7, 2, .want = "exec!invalid"},
        {"one descriptor", 7, 8, 2, .same = true, .want = "exec!invalid"},
        {"stdin's too", 7, 8, 2, .std = true, .want = "exec!invalid"},
        {"closed", 7, 8, 2, .closed = true, .want = "exec!invalid"},
        {"reserved", 7, 8, 2, .reserved = 1, .want = "exec!invalid"},
        {"33", 7, 8, 33, .want = "exec!invalid"},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        unsigned before = open_fds();
        int fds[2] = {null_fd(), null_fd()};
        struct cloister_extra_fd extra[33] = {{.number = cases[i].first, .fd = fds[0], .reserved = {cases[i].reserved}},
                                              {.number = cases[i].second,
                                               .fd = cases[i].same     ? fds[0]
                                                     : cases[i].closed ? 9999
                                                                       : fds[1]}};
        const struct cloister_stdio in = {.kind = cases[i].std ? CLOISTER_STDIO_DESCRIPTOR : NONE, .fd = fds[0]};
        backend->capabilities &= ~cases[i].without;
        cloister_op op = exec(world, id, &in, 1, extra, cases[i].count);
        backend->capabilities |= cases[i].without;
        turn(world);
        CL_CHECK_STR(cases[i].name, trace(world), cases[i].want);
        if (!op) {
            CL_CHECK_INT(cases[i].name, close(fds[0]), 0);
            CL_CHECK_INT(cases[i].name, close(fds[1]), 0);
        }
        CL_CHECK_INT(cases[i].name, open_fds(), before);
    }
}

/* Accepted, but isolation never hears of it. */
static void test_extra_that_nobody_takes(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    unsigned before = open_fds();
    const struct cloister_extra_fd extra = {.number = 5, .fd = null_fd()};
    const struct cloister_stdio in = {.kind = CLOISTER_STDIO_DESCRIPTOR, .fd = null_fd()};
    world->isolation_vtable.isolation.exec = NULL;
    assert_true(exec(world, id, &in, 1, &extra, 1) != 0);
    turn(world);
    assert_string_equal(trace(world), "exec:unsupported");
    assert_int_equal(open_fds(), before);
}

static void test_resize(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    struct cloister_resize_args args = {CLOISTER_INIT(struct cloister_resize_args), .rows = 30, .columns = 100,
                                        .sandbox = cl_sv_cstr(id)};
    world->hold[SLOT_RESIZE] = true;
    ask_resize(world, &args);
    turn(world);
    const struct cloister_iso_resize_args *seen = world->calls[last_call(world, SLOT_RESIZE)].args;
    assert_int_equal(seen->resize->rows, 30);
    assert_int_equal(seen->resize->columns, 100);
    assert_int_equal(seen->resize->process, world->processes[0].number); /* never 0 */
    assert_true(cl_sv_is(seen->resize->container, "main"));
    complete(world, last_call(world, SLOT_RESIZE), CLOISTER_NOT_TTY);
    turn(world);
    assert_string_equal(trace(world), "resize:not_tty");
    world->hold[SLOT_RESIZE] = false;
    exec(world, id, terminal, 3, NULL, 0);
    turn(world);
    args.process = world->last.process;
    ask_stop(world, id, CL_NS_PER_S * 60, 0); /* which it does not wait for */
    ask_resize(world, &args);
    turn(world);
    assert_non_null(strstr(trace(world), "resize:ok"));
    assert_int_equal(world->process_seen, args.process);
}

static void test_resize_is_refused(void **state)
{
    struct world *world = *state;
    const char *id = running(world, "web");
    const struct cloister_resize_args good = {CLOISTER_INIT(struct cloister_resize_args), .rows = 1, .columns = 65535,
                                              .sandbox = cl_sv_cstr(id)};
    struct cloister_resize_args flat = good, high = good, thin = good, wide = good, reserved = good, nobody = good,
                                nowhere = good, unknown = good;
    flat.rows = 0;
    high.rows = 65536;
    thin.columns = 0;
    wide.columns = 65536;
    reserved.reserved = 1;
    nobody.sandbox = CLOISTER_SV("nobody");
    nowhere.container = CLOISTER_SV("other");
    unknown.process = 12345;
    const struct {
        const char *name;
        const struct cloister_resize_args *args;
        const char *want;
    } cases[] = {
        {"no rows", &flat, "resize!invalid"},        {"too many rows", &high, "resize!invalid"},
        {"no columns", &thin, "resize!invalid"},     {"too many columns", &wide, "resize!invalid"},
        {"reserved", &reserved, "resize!invalid"},   {"sandbox", &nobody, "resize!no_entity"},
        {"container", &nowhere, "resize!no_entity"}, {"process", &unknown, "resize!no_entity"},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        CL_CHECK_INT(cases[i].name, ask_resize(world, cases[i].args), 0);
        CL_CHECK_STR(cases[i].name, trace(world), cases[i].want);
    }
    struct cloister_error err = CLOISTER_ERROR_INIT;
    assert_int_equal(cl_engine_api.resize(&world->other.host, &good, on_done, NULL, &err), 0);
    assert_int_equal(err.code, CLOISTER_NO_ENTITY); /* other sees it, but may not act on it */
    world->isolation_vtable.isolation.resize = NULL;
    ask_resize(world, &good);
    turn(world);
    assert_string_equal(trace(world), "resize:unsupported");
}

/* The terminal of an init that waits for its start is there; that of one that is being made is not. */
static void test_resize_before_start(void **state)
{
    struct world *world = *state;
    struct cloister_resize_args args = {CLOISTER_INIT(struct cloister_resize_args), .rows = 30, .columns = 100};
    char id[20];
    ask_create(world, "web", CLOISTER_INIT_PROCESS, CLOISTER_START_BLOCKED);
    turn(world);
    snprintf(id, sizeof(id), "%s", world->last_sandbox);
    args.sandbox = cl_sv_cstr(id);
    (void)trace(world);
    ask_resize(world, &args);
    turn(world);
    assert_string_equal(trace(world), "resize:ok");
    assert_int_equal(world->process_seen, world->processes[0].number);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_stdio),
        CASE(test_drained),
        CASE(test_extra),
        CASE(test_extra_that_nobody_takes),
        CASE(test_resize),
        CASE(test_resize_is_refused),
        CASE(test_resize_before_start),
    };
    return cmocka_run_group_tests_name("core/engine terminal", tests, NULL, NULL);
}
