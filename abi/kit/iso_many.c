/* SPDX-License-Identifier: Apache-2.0 */
/* iso_many.c - further containers, what they share, and files: put in, laid over one another, read from outside. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cases.h"

/* A container that stands beside `s`'s own. */
struct side {
    struct iso_program init;
    struct cloister_container_args container;
    struct cloister_iso_create_args args;
};

static struct iso_outcome *side_create(struct iso_sandbox *s, struct side *side, const char *cid)
{
    static cloister_process process = 1ull << 40;
    struct iso_outcome *out;
    iso_program(&side->init, "sleep 600", "");
    side->container = s->container;
    side->container.cid = (struct cloister_sv){cid, strlen(cid)};
    side->container.process = &side->init.args;
    side->args = (struct cloister_iso_create_args){
        CLOISTER_INIT(struct cloister_iso_create_args), 0, s->which, &side->container, ++process, 1};
    ISO_CALL(out, container_create, &side->args);
    return out;
}

static struct iso_outcome *side_delete(struct iso_sandbox *s, const char *cid)
{
    const struct cloister_container_delete_args what = {CLOISTER_INIT(struct cloister_container_delete_args),
                                                        .flags = CLOISTER_DELETE_FORCE,
                                                        .container = {cid, strlen(cid)}};
    const struct cloister_iso_delete_args args = {CLOISTER_INIT(struct cloister_iso_delete_args), 0, s->which, &what};
    struct iso_outcome *out;
    ISO_CALL(out, container_delete, &args);
    return out;
}

/* What a command in a container writes. */
static const char *output_in(struct iso_sandbox *s, const char *cid, const char *command)
{
    struct iso_exec *e = iso_exec_prepare(s, command);
    int ends[2];
    iso_pipe(ends);
    e->exec.container = (struct cloister_sv){cid, strlen(cid)};
    e->program.stdio[1] = iso_stdio(CLOISTER_STDIO_DESCRIPTOR, ends[1]);
    iso_expect(command, iso_exec_wait(e)->out, 0);
    return iso_read_all(ends[0], NULL, NULL);
}

static void test_container(void **state)
{
    (void)state;
    ISO_NEED_SLOT(container_create);
    ISO_NEED_SLOT(container_delete);
    struct iso_sandbox *s = iso_made("sleep 600");
    struct side side;
    struct iso_outcome *out = side_create(s, &side, "side");
    iso_expect("container_create", out, 0);
    assert_int_equal(out->result.container_state, CLOISTER_CONTAINER_RUNNING);
    struct iso_exec *e = iso_exec_prepare(s, "sh -c|exit 7");
    e->exec.container = CLOISTER_SV("side");
    iso_expect("exec", iso_exec_wait(e)->out, 0);
    iso_expect_status("exec", e->args.process, CLOISTER_STATUS_EXITED, 7);
    iso_expect("container_delete", side_delete(s, "side"), 0);
    iso_expect_status("its init", side.args.init, CLOISTER_STATUS_SIGNALED, 9);
    iso_expect("container_delete again", side_delete(s, "side"), 0);
    if (!iso_no_exit(s->args.init, 50))
        fail_msg("the other container has ended");
    iso_expect("the same name once more", side_create(s, &side, "side"), 0);
    iso_gone(s);
}

static void test_join(void **state)
{
    (void)state;
    ISO_NEED(NS_JOIN);
    ISO_NEED(STDIO_DIRECT);
    static const char spec[] = "{\"ociVersion\":\"1.1.0\",\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\","
                               "\"source\":\"proc\",\"options\":[\"nosuid\",\"noexec\",\"nodev\"]}],"
                               "\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\"},{\"type\":\"uts\"},"
                               "{\"type\":\"cgroup\"}]}}";
    struct iso_sandbox *s = iso_made("sleep 600");
    struct side side;
    struct iso_outcome *out;
    iso_program(&side.init, "sleep 600", "");
    side.container = s->container;
    side.container.cid = CLOISTER_SV("side");
    side.container.spec = (struct cloister_sv){spec, sizeof(spec) - 1};
    side.container.process = &side.init.args;
    side.container.join = CLOISTER_SV("main");
    side.container.join_namespaces = CLOISTER_NS_USER | CLOISTER_NS_NET | CLOISTER_NS_IPC;
    side.args = (struct cloister_iso_create_args){
        CLOISTER_INIT(struct cloister_iso_create_args), 0, s->which, &side.container, 1ull << 41, 1};
    ISO_CALL(out, container_create, &side.args);
    iso_expect("container_create", out, 0);
    static const struct {
        const char *command;
        bool same;
    } rows[] = {{"readlink /proc/self/ns/net", true},
                {"readlink /proc/self/ns/ipc", true},
                {"readlink /proc/self/ns/user", true},
                {"readlink /proc/self/ns/uts", false},
                {"readlink /proc/self/ns/mnt", false}};
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char main_says[64];
        (void)snprintf(main_says, sizeof(main_says), "%s", output_in(s, "main", rows[i].command));
        const char *side_says = output_in(s, "side", rows[i].command);
        if (!*main_says || (strcmp(main_says, side_says) == 0) != rows[i].same)
            fail_msg("%s: %s and %s", rows[i].command, main_says, side_says);
    }
    iso_gone(s);
}

static void expect_text(const char *name, const char *text, const char *wanted)
{
    if (strcmp(text, wanted) != 0)
        fail_msg("%s: '%s', not '%s'", name, text, wanted);
}

static struct iso_outcome *put(struct iso_sandbox *s, const char *path, const char *bytes)
{
    const struct cloister_file_put_args what = {CLOISTER_INIT(struct cloister_file_put_args),
                                                .path = {path, strlen(path)}, .bytes = {bytes, strlen(bytes)}};
    const struct cloister_iso_file_put_args args = {CLOISTER_INIT(struct cloister_iso_file_put_args), 0, s->which,
                                                    &what};
    struct iso_outcome *out;
    ISO_CALL(out, file_put, &args);
    return out;
}

static void test_files(void **state)
{
    (void)state;
    ISO_NEED_SLOT(file_put);
    ISO_NEED(STDIO_DIRECT);
    static const struct cloister_file files[] = {
        {.path = {"/etc/hosts", 10}, .bytes = {"one\n", 4}, .mode = 0640, .uid = 3, .gid = 4}};
    struct iso_sandbox *s = iso_prepare("sleep 600");
    s->may_lack = true;
    s->container.files = files;
    s->container.file_count = 1;
    s->container.file_size = sizeof(files[0]);
    iso_create(s);
    expect_text("content", output_in(s, "", "cat /etc/hosts"), "one\n");
    expect_text("owner", output_in(s, "", "stat -c %a:%u:%g /etc/hosts"), "640:3:4\n");
    iso_expect("file_put", put(s, "/etc/hosts", "two\n"), 0);
    expect_text("after file_put", output_in(s, "", "cat /etc/hosts"), "two\n");
    iso_expect("no such file", put(s, "/etc/passwd", "three\n"), CLOISTER_NO_ENTITY);
    iso_gone(s);
}

static void make_layer(char *path, size_t size, const char *name, const char *file, const char *bytes)
{
    char below[ISO_TEXT_MAX * 2];
    (void)snprintf(path, size, "%s/%s", iso.setting.directory, name);
    if (mkdir(path, 0755) < 0)
        assert_int_equal(errno, EEXIST);
    (void)snprintf(below, sizeof(below), "%s/%s", path, file);
    int fd = open(below, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
    (void)close(fd);
}

static void test_layers(void **state)
{
    (void)state;
    ISO_NEED(STDIO_DIRECT);
    char top[ISO_TEXT_MAX], middle[ISO_TEXT_MAX];
    make_layer(top, sizeof(top), "layer-top", "word", "top\n");
    make_layer(middle, sizeof(middle), "layer-middle", "word", "middle\n");
    make_layer(middle, sizeof(middle), "layer-middle", "other", "middle\n");
    const struct cloister_sv layers[] = {
        {top, strlen(top)}, {middle, strlen(middle)}, {iso.setting.rootfs, strlen(iso.setting.rootfs)}};
    struct iso_sandbox *s = iso_prepare("sleep 600");
    s->may_lack = true;
    s->container.rootfs_kind = CLOISTER_ROOTFS_LAYERS;
    s->container.rootfs = (struct cloister_sv){NULL, 0};
    s->container.layers = layers;
    s->container.layer_count = 3;
    iso_create(s);
    expect_text("topmost", output_in(s, "", "cat /word"), "top\n");
    expect_text("below", output_in(s, "", "cat /other"), "middle\n");
    expect_text("written", output_in(s, "", "sh -c|echo new >/other; cat /other"), "new\n");
    iso_gone(s);
    s = iso_prepare("sleep 600");
    s->may_lack = true;
    s->container.rootfs_kind = CLOISTER_ROOTFS_LAYERS;
    s->container.rootfs = (struct cloister_sv){NULL, 0};
    s->container.layers = layers;
    s->container.layer_count = 3;
    iso_create(s);
    expect_text("another container's writing is not seen", output_in(s, "", "cat /other"), "middle\n");
    iso_gone(s);
}

static struct iso_outcome *read_file(struct iso_sandbox *s, const char *path, uint64_t max)
{
    const struct cloister_read_file_args what = {CLOISTER_INIT(struct cloister_read_file_args),
                                                 .path = {path, strlen(path)}, .max = max};
    const struct cloister_iso_read_file_args args = {CLOISTER_INIT(struct cloister_iso_read_file_args), 0, s->which,
                                                     &what};
    struct iso_outcome *out;
    ISO_CALL(out, read_file, &args);
    return out;
}

static void test_read_file(void **state)
{
    (void)state;
    ISO_NEED_SLOT(read_file);
    ISO_NEED(STDIO_DIRECT);
    struct iso_sandbox *s = iso_made("sleep 600");
    expect_text("prepare",
                output_in(s, "",
                          "sh -c|printf word >/tmp/kit; ln -sf /etc/../tmp/kit /tmp/kit-link; "
                          "ln -sf ../../../../../../../../tmp/kit /tmp/kit-out; "
                          "ln -sf kit-loop /tmp/kit-loop"),
                "");
    static const char *const paths[] = {"/tmp/kit", "/tmp/kit-link", "/tmp/kit-out"};
    for (unsigned i = 0; i < 3; i++) {
        struct iso_outcome *out = read_file(s, paths[i], 0);
        iso_expect(paths[i], out, 0);
        expect_text(paths[i], out->text, "word");
    }
    iso_expect("bigger than max", read_file(s, "/tmp/kit", 3), CLOISTER_TOO_BIG);
    iso_expect("as big as max", read_file(s, "/tmp/kit", 4), 0);
    struct iso_outcome *out = read_file(s, "/tmp/kit-loop", 0);
    if (out->err.code != CLOISTER_IO || out->err.os_errno != ELOOP)
        fail_msg("a loop: code %u, errno %d", out->err.code, out->err.os_errno);
    if (read_file(s, "/tmp/no-such-file", 0)->err.code == 0 || read_file(s, "/tmp", 0)->err.code == 0)
        fail_msg("what is not a file is read");
    (void)output_in(s, "", "sh -c|rm -f /tmp/kit /tmp/kit-link /tmp/kit-out /tmp/kit-loop");
    iso_gone(s);
}

const struct CMUnitTest iso_many_cases[] = {
    ISO_CASE("container", test_container), ISO_CASE("join", test_join),           ISO_CASE("files", test_files),
    ISO_CASE("layers", test_layers),       ISO_CASE("read-file", test_read_file), ISO_CASES_END,
};
