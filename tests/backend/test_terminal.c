/* SPDX-License-Identifier: Apache-2.0 */
/* test_terminal.c - argv as test_backend's. Terminals and further descriptors through the vtable. What is right inside
 * is for the process to say: it exits with 7. */
#include "house.h"

#include <fcntl.h>
#include <sys/mman.h>

#define TERMINAL ",\"terminal\":true"
#define SIZED TERMINAL ",\"consoleSize\":{\"height\":50,\"width\":132}"

/* A size is what it ends with; it may come while the program runs. */
#define WAIT_FOR(size)                                                                                     \
    "/bin/sh -c|test -t 0 && test -t 1 && test -t 2 || exit 1; "                                           \
    "while test \"$(busybox stty size)\" != \"" size "\"; do sleep 0.02; done; test \"$(busybox tty)\" = " \
    "/dev/pts/0 && exit 7"
/* Of an init. */
#define WAIT_AT_CONSOLE(size) \
    "/bin/sh -c|while test \"$(busybox stty size </dev/console)\" != \"" size "\"; do sleep 0.02; done; exit 7"

static const struct cloister_stdio pty[3] = {{.kind = CLOISTER_STDIO_PTY, .fd = -1},
                                             {.kind = CLOISTER_STDIO_PTY, .fd = -1},
                                             {.kind = CLOISTER_STDIO_PTY, .fd = -1}};

/* Members more for the OCI process object; owned. */
static struct cloister_sv with(struct cloister_sv process, const char *members)
{
    char *text = NULL;

    assert_true(asprintf(&text, "%.*s%s}", (int)process.size - 1, process.data, members) > 0);
    return (struct cloister_sv){text, strlen(text)};
}

static struct bed_sandbox *prepare(const char *command, const char *members, const struct cloister_stdio *stdio)
{
    struct bed_sandbox *s = house_prepare(ID_A, command);
    struct cloister_sv whole = with(s->process.oci, members);

    free((void *)(uintptr_t)s->process.oci.data);
    s->process.oci = whole;
    memcpy(s->stdio, stdio, sizeof(s->stdio));
    s->process.stdio_count = 3;
    return s;
}

static void exec(struct bed_sandbox *s, cloister_process process, const char *command, const char *members,
                 const struct cloister_stdio *stdio, const struct cloister_extra_fd *extra, uint64_t extra_count,
                 struct bed_outcome *ret)
{
    struct cloister_process_args args = {CLOISTER_INIT(struct cloister_process_args),
                                         .stdio = stdio,
                                         .stdio_count = stdio ? 3 : 0,
                                         .stdio_size = sizeof(*stdio),
                                         .extra = extra,
                                         .extra_count = extra_count,
                                         .extra_size = sizeof(*extra),
                                         .drain_idle = 300000000ull};
    struct cloister_exec_args exec_args = {CLOISTER_INIT(struct cloister_exec_args), .process = &args};
    struct cloister_iso_exec_args iso = {CLOISTER_INIT(struct cloister_iso_exec_args), 0, s->which, &exec_args,
                                         process};
    struct cloister_sv spec, oci;

    bed_spec("{\"process\":{\"cwd\":\"/\",\"user\":{\"uid\":3,\"gid\":4}}}", command, &spec, &oci);
    args.oci = with(oci, members);
    bed.iso->exec(bed.instance, &iso, bed_op(ret));
    bed_wait(ret);
    free((void *)(uintptr_t)args.oci.data);
}

static void resize(struct bed_sandbox *s, cloister_process process, uint32_t rows, uint32_t columns,
                   struct bed_outcome *ret)
{
    struct cloister_resize_args resize_args = {CLOISTER_INIT(struct cloister_resize_args), .rows = rows,
                                               .columns = columns, .process = process};
    struct cloister_iso_resize_args args = {CLOISTER_INIT(struct cloister_iso_resize_args), .sandbox = s->which,
                                            .resize = &resize_args};

    bed.iso->resize(bed.instance, &args, bed_op(ret));
    bed_wait(ret);
}

static void start(struct bed_sandbox *s, const struct cloister_stdio *stdio, struct bed_outcome *ret)
{
    struct cloister_container_start_args start_args = {CLOISTER_INIT(struct cloister_container_start_args),
                                                       .stdio = stdio, .stdio_count = 3, .stdio_size = sizeof(*stdio)};
    struct cloister_iso_start_args args = {CLOISTER_INIT(struct cloister_iso_start_args), .sandbox = s->which,
                                           .start = &start_args, .init = s->args.init};

    bed.iso->container_start(bed.instance, &args, bed_op(ret));
    bed_wait(ret);
}

static void good(const struct bed_outcome *out)
{
    if (out->err.code)
        fail_msg("%s", out->sentence);
}

/* Each place that says a size, and who wins. */
static void test_sizes(void **state)
{
    struct bed_sandbox *s =
        prepare("/bin/sleep 100", "",
                (struct cloister_stdio[3]){
                    {.kind = CLOISTER_STDIO_NULL}, {.kind = CLOISTER_STDIO_NULL}, {.kind = CLOISTER_STDIO_NULL}});
    struct cloister_stdio sized[3] = {pty[0], pty[1], pty[2]};
    struct bed_outcome out;

    house_create(s, &out);
    exec(s, 5001, WAIT_FOR("24 80"), TERMINAL, pty, NULL, 0, &out);
    good(&out);
    assert_int_equal(out.result.uid, 3);
    assert_int_equal(bed_exit_of(5001).value, 7);
    exec(s, 5002, WAIT_FOR("50 132"), SIZED, pty, NULL, 0, &out);
    good(&out);
    assert_int_equal(bed_exit_of(5002).value, 7);
    sized[0].rows = 11;
    sized[0].columns = 22;
    exec(s, 5003, WAIT_FOR("11 22"), SIZED, sized, NULL, 0, &out);
    good(&out);
    assert_int_equal(bed_exit_of(5003).value, 7);
    exec(s, 5004, WAIT_FOR("30 100"), SIZED, pty, NULL, 0, &out);
    good(&out);
    resize(s, 5004, 30, 100, &out);
    good(&out);
    assert_int_equal(bed_exit_of(5004).value, 7);
    resize(s, 5004, 30, 100, &out);
    assert_int_equal(out.err.code, CLOISTER_INVALID_STATE);
    resize(s, s->args.init, 30, 100, &out);
    assert_int_equal(out.err.code, CLOISTER_NOT_TTY);
    resize(s, 4999, 30, 100, &out);
    assert_int_equal(out.err.code, CLOISTER_NO_ENTITY);
    house_destroy(s);
}

/* The terminal of a blocked init is there before its descriptors are; also a daemon later. */
static void test_blocked(void **state)
{
    static const struct cloister_stdio nothing[3] = {
        {.kind = CLOISTER_STDIO_NULL}, {.kind = CLOISTER_STDIO_NULL}, {.kind = CLOISTER_STDIO_NULL}};
    struct bed_sandbox *s = prepare(WAIT_AT_CONSOLE("12 34"), SIZED, nothing);
    struct bed_inventory inventory;
    struct bed_outcome out;

    s->container.start = CLOISTER_START_BLOCKED;
    house_create(s, &out);
    resize(s, s->args.init, 12, 34, &out);
    good(&out);
    bed_restart();
    house_adopt(s, &inventory);
    assert_int_equal(inventory.container.state, CLOISTER_CONTAINER_CREATED);
    start(s, pty, &out);
    good(&out);
    assert_int_equal(bed_exit_of(s->args.init).value, 7);
    house_destroy(s);
}

static void test_mismatch(void **state)
{
    static const struct cloister_stdio pipes[3] = {{.kind = CLOISTER_STDIO_NULL, .fd = -1},
                                                   {.kind = CLOISTER_STDIO_PIPE, .fd = -1},
                                                   {.kind = CLOISTER_STDIO_SAME_AS, .fd = 1}};
    struct bed_sandbox *s = prepare("/bin/sleep 100", "", pty);
    struct bed_outcome out;
    char path[160];

    bed_create(s, &out);
    assert_int_equal(out.err.code, CLOISTER_INVALID);
    assert_string_equal(out.err.subject, "process.terminal");
    assert_int_equal(bed_group_count(), 0);
    house_free(s);
    snprintf(path, sizeof(path), "%s/" ID_A, bed.run);
    assert_int_equal(rmdir(path), 0);
    s = prepare("/bin/sleep 100", TERMINAL, pty);
    house_create(s, &out);
    exec(s, 5001, "/bin/true", TERMINAL, pipes, NULL, 0, &out);
    assert_int_equal(out.err.code, CLOISTER_INVALID);
    assert_string_equal(out.err.subject, "process.terminal");
    exec(s, 5002, "/bin/true", "", pty, NULL, 0, &out);
    assert_int_equal(out.err.code, CLOISTER_INVALID);
    house_destroy(s);
}

static int text_fd(const char *text)
{
    int fd = memfd_create("text", MFD_CLOEXEC);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

#define READ_BOTH                                                                                                   \
    "/bin/sh -c|read a <&5; read b <&9; set -- /proc/$$/fd/*; for i; do case ${i##*/} in 0|1|2|5|9) ;; *) test -e " \
    "$i && exit 2;; esac; done; test \"$a $b\" = 'five nine' && exit 7"

/* With an exec, with init, and with one that waits for its start. */
static void test_extra(void **state)
{
    static const struct cloister_stdio nothing[3] = {
        {.kind = CLOISTER_STDIO_NULL}, {.kind = CLOISTER_STDIO_NULL}, {.kind = CLOISTER_STDIO_NULL}};

    for (int round = 0; round < 3; round++) {
        struct cloister_extra_fd extra[2] = {{.number = 9, .fd = text_fd("nine\n")},
                                             {.number = 5, .fd = text_fd("five\n")}};
        struct bed_sandbox *s = prepare(round == 0 ? "/bin/sleep 100" : READ_BOTH, "", nothing);
        struct bed_outcome out;

        if (round > 0) {
            s->process.extra = extra;
            s->process.extra_count = 2;
            s->process.extra_size = sizeof(extra[0]);
        }
        if (round == 2)
            s->container.start = CLOISTER_START_BLOCKED;
        house_create(s, &out);
        if (round == 0)
            exec(s, 5001, READ_BOTH, "", nothing, extra, 2, &out);
        else if (round == 2)
            start(s, nothing, &out);
        good(&out);
        assert_int_equal(bed_exit_of(round == 0 ? 5001 : s->args.init).value, 7);
        assert_int_equal(fcntl(extra[0].fd, F_GETFD), -1);
        house_destroy(s);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        HOUSE_TEST(test_sizes),
        HOUSE_TEST(test_blocked),
        HOUSE_TEST(test_mismatch),
        HOUSE_TEST(test_extra),
    };

    return house_main(argc, argv, tests, sizeof(tests) / sizeof(*tests), NULL);
}
