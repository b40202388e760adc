/* SPDX-License-Identifier: Apache-2.0 */
/* test_files.c - argv as test_backend's. files_in, files_out and read_file through the vtable, with the real
 * cloister-tar.
 */
#include "house.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MS 1000000ull

static const struct cloister_stdio null_entry = {.kind = CLOISTER_STDIO_NULL, .fd = -1};

static struct bed_sandbox *create(const char *command)
{
    struct bed_sandbox *s = house_prepare(ID_A, command);
    struct bed_outcome out;

    for (int i = 0; i < 3; i++)
        s->stdio[i] = null_entry;
    s->process.stdio_count = 3;
    house_create(s, &out);
    return s;
}

static struct cloister_sv sv(const char *text)
{
    return (struct cloister_sv){text, strlen(text)};
}

/* --- archives, by the host's tar --- */

static char *archive_of(const char *make, size_t *ret_size)
{
    char command[512];
    char *bytes = malloc(1 << 20);
    FILE *pipe;

    snprintf(command, sizeof(command),
             "mkdir -p %s/pack && cd %s/pack && rm -rf * && %s && tar --format=pax -Pcf - $F *", bed.dir, bed.dir,
             make);
    pipe = popen(command, "re");
    assert_non_null(pipe);
    *ret_size = fread(bytes, 1, 1 << 20, pipe);
    assert_int_equal(pclose(pipe), 0);
    assert_true(*ret_size > 0 && *ret_size < (1 << 20));
    return bytes;
}

/* --- files_in --- */

struct upload {
    cloister_stream *client; /* our end */
    struct cloister_files_in_args files;
    struct cloister_iso_files_in_args args;
};

static void begin_upload(struct upload *up, struct bed_sandbox *s, const char *user, const char *path,
                         struct bed_outcome *out)
{
    const struct cloister_host *host = bed_host();
    struct cloister_pair_args pair = {CLOISTER_INIT(struct cloister_pair_args), .capacity = 1 << 20};

    memset(out, 0, sizeof(*out));
    up->files = (struct cloister_files_in_args){CLOISTER_INIT(struct cloister_files_in_args), .user = sv(user),
                                                .path = sv(path)};
    assert_int_equal(host->stream->pair(host, &pair, &up->client, &up->files.stream), 0);
    up->args =
        (struct cloister_iso_files_in_args){CLOISTER_INIT(struct cloister_iso_files_in_args), 0, s->which, &up->files};
    bed.iso->files_in(bed.instance, &up->args, bed_op(out));
    assert_int_equal(out->done, 0);
}

static void send_all(const struct upload *up, const char *bytes, size_t size)
{
    assert_int_equal(bed_host()->stream->write(up->client, (struct cloister_sv){bytes, size}), 0);
}

static void end_upload(const struct upload *up)
{
    bed_host()->stream->abort(up->client, NULL, NULL);
    bed_turns(20);
}

static void put(struct bed_sandbox *s, const char *make, const char *user, const char *path, struct bed_outcome *out)
{
    struct upload up;
    size_t size;
    char *bytes = archive_of(make, &size);

    begin_upload(&up, s, user, path, out);
    send_all(&up, bytes, size);
    bed_host()->stream->shut(up.client, CLOISTER_SHUT_WR);
    bed_wait(out);
    end_upload(&up);
    free(bytes);
}

/* --- files_out --- */

struct download {
    struct bed_sandbox *s;
    cloister_stream *stream;
    char *bytes;
    size_t size;
    unsigned ended; /* enum cloister_verdict */
    unsigned closed;
};

static void on_data(void *ctx, struct cloister_sv bytes, const int32_t *fds, uint32_t fd_count)
{
    struct download *down = ctx;

    down->bytes = realloc(down->bytes, down->size + bytes.size);
    memcpy(down->bytes + down->size, bytes.data, bytes.size);
    down->size += bytes.size;
}

static void on_end(void *ctx, uint32_t verdict, int32_t os_errno)
{
    ((struct download *)ctx)->ended = verdict;
}

static void on_closed(void *ctx)
{
    ((struct download *)ctx)->closed = 1;
}

static void ask_out(struct bed_sandbox *s, const char *user, const char *path, struct bed_outcome *out)
{
    struct cloister_files_out_args files = {CLOISTER_INIT(struct cloister_files_out_args), .user = sv(user),
                                            .path = sv(path)};
    struct cloister_iso_files_out_args args = {CLOISTER_INIT(struct cloister_iso_files_out_args), 0, s->which, &files};

    memset(out, 0, sizeof(*out));
    bed.iso->files_out(bed.instance, &args, bed_op(out));
    assert_int_equal(out->done, 0);
    bed_wait(out);
}

static void start_reading(struct download *down, cloister_stream *stream)
{
    static const struct cloister_stream_reader reader = {CLOISTER_INIT(struct cloister_stream_reader), .data = on_data,
                                                         .end = on_end};

    memset(down, 0, sizeof(*down));
    down->stream = stream;
    assert_int_equal(bed_host()->stream->read_start(stream, &reader, down), 0);
}

static void end_download(struct download *down)
{
    bed_host()->stream->abort(down->stream, on_closed, down);
    assert_true(bed_until(&down->closed));
    bed_turns(50);
    free(down->bytes);
}

static void save(const struct download *down, const char *leaf)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", bed.dir, leaf);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, down->bytes, down->size), down->size);
    close(fd);
}

static void read_file(struct bed_sandbox *s, const char *path, uint64_t max, struct bed_outcome *out)
{
    struct cloister_read_file_args file = {CLOISTER_INIT(struct cloister_read_file_args), .path = sv(path), .max = max};
    struct cloister_iso_read_file_args args = {CLOISTER_INIT(struct cloister_iso_read_file_args), 0, s->which, &file};

    memset(out, 0, sizeof(*out));
    bed.iso->read_file(bed.instance, &args, bed_op(out));
    assert_int_equal(out->done, 0);
    bed_wait(out);
}

static unsigned open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;

    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* --- the tests --- */

static void test_there_and_back(void **state)
{
    struct bed_sandbox *s = create("/bin/sleep 1000");
    struct bed_outcome out;
    struct download down;
    char command[256];
    unsigned before = open_descriptors();

    put(s, "mkdir d && head -c 300000 /dev/urandom >d/big && cp d/big ../big && ln -s big d/link", "", "/data/in",
        &out);
    if (out.err.code)
        fail_msg("files_in: %s", out.sentence);
    assert_int_equal(out.result.entries, 3);
    assert_int_equal(out.result.bytes, 300000);
    ask_out(s, "", "/data/in/", &out);
    if (out.err.code)
        fail_msg("files_out: %s", out.sentence);
    start_reading(&down, out.result.stream);
    assert_true(bed_until(&down.ended));
    assert_int_equal(down.ended, CLOISTER_EOF);
    save(&down, "back.tar");
    end_download(&down);
    snprintf(command, sizeof(command), "cd %s && mkdir back && tar -C back -xf back.tar && cmp big back/d/link",
             bed.dir);
    assert_int_equal(system(command), 0);
    bed_turns(50);
    assert_int_equal(open_descriptors(), before);
    house_destroy(s);
}

static void test_errors(void **state)
{
    static const struct {
        const char *name, *make, *user, *path;
        uint32_t code;
        const char *subject;
    } in[] = {
        {"dot dot", "F=../y; echo x >$F; echo x >x", "", "/data", CLOISTER_PROTOCOL, "../y"},
        {"user", "echo x >x", "nobody-here", "/data", CLOISTER_USER_UNKNOWN, "nobody-here"},
        {"group", "echo x >x", "0:nogroup", "/data", CLOISTER_GROUP_UNKNOWN, "0:nogroup"},
        {"below a file", "echo x >x", "", "/bin/busybox/x", CLOISTER_BAD_CWD, "/bin/busybox/x"},
        {"may not", "echo x >x", "1000", "/etc", CLOISTER_DENIED, "x"},
        {"not absolute", "echo x >x", "", "data", CLOISTER_INVALID, "path"},
    };
    struct bed_sandbox *s = create("/bin/sleep 1000");
    unsigned before = open_descriptors();
    struct bed_outcome out;

    for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
        put(s, in[i].make, in[i].user, in[i].path, &out);
        if (out.err.code != in[i].code || strcmp(out.err.subject, in[i].subject) != 0)
            fail_msg("case '%s': %u '%s': %s", in[i].name, out.err.code, out.err.subject, out.sentence);
    }
    ask_out(s, "", "/nothing/here", &out);
    assert_int_equal(out.err.code, CLOISTER_NO_ENTITY);
    ask_out(s, "nobody-here", "/bin", &out);
    assert_int_equal(out.err.code, CLOISTER_USER_UNKNOWN);
    bed_turns(50);
    assert_int_equal(open_descriptors(), before);
    house_destroy(s);
}

/* Everything has come, the end mark too, but its sender is cut off: that was no upload. */
static void test_cut_upload(void **state)
{
    struct bed_sandbox *s = create("/bin/sleep 1000");
    struct bed_outcome out;
    struct upload up;
    size_t size;
    char *bytes = archive_of("echo x >x", &size);

    begin_upload(&up, s, "", "/data", &out);
    send_all(&up, bytes, size);
    bed_turns(200);
    assert_int_equal(out.done, 0);
    end_upload(&up);
    bed_wait(&out);
    assert_int_equal(out.err.code, CLOISTER_PROTOCOL);
    assert_non_null(strstr(out.sentence, "cut off"));
    free(bytes);
    house_destroy(s);
}

static void test_read_file(void **state)
{
    struct bed_sandbox *s = create("/bin/sh -c|echo made >/etc/made; exec sleep 1000");
    struct bed_outcome out;

    bed_turns(200);
    read_file(s, "/etc/made", 0, &out);
    assert_int_equal(out.err.code, 0);
    assert_string_equal(out.data, "made\n");
    read_file(s, "/etc/made", 4, &out);
    assert_int_equal(out.err.code, CLOISTER_TOO_BIG);
    read_file(s, "/etc/none", 0, &out);
    assert_int_equal(out.err.code, CLOISTER_NO_ENTITY);
    read_file(s, "/etc", 0, &out);
    assert_int_equal(out.err.code, CLOISTER_INVALID);
    read_file(s, "/etc/made", CLOISTER_READ_FILE_MAX + 1, &out);
    assert_int_equal(out.err.code, CLOISTER_INVALID);
    house_destroy(s);
}

/* Stopped: what its root was made of can be read, nothing be moved. */
static void test_stopped(void **state)
{
    struct bed_sandbox *s = create("/bin/sh -c|echo made >/etc/made; ln -s ../../../../etc/made /tmp/up");
    struct bed_outcome out;

    bed_exit_of(s->args.init);
    bed_turns(100);
    read_file(s, "/tmp/up", 0, &out);
    if (out.err.code == 0) /* /tmp was a mount of its own, and has gone */
        assert_string_equal(out.data, "made\n");
    else
        assert_int_equal(out.err.code, CLOISTER_NO_ENTITY);
    read_file(s, "/etc/made", 0, &out);
    assert_int_equal(out.err.code, 0);
    assert_string_equal(out.data, "made\n");
    read_file(s, "/../../etc/made", 0, &out);
    assert_string_equal(out.data, "made\n");
    ask_out(s, "", "/etc", &out);
    assert_int_equal(out.err.code, CLOISTER_INVALID_STATE);
    put(s, "echo x >x", "", "/data", &out);
    assert_int_equal(out.err.code, CLOISTER_INVALID_STATE);
    house_destroy(s);
}

static void make_big(void)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/etc/big", bed.rootfs);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    assert_int_equal(ftruncate(fd, 8 << 20), 0);
    close(fd);
}

/* The sandbox ends under a download: it must not look whole. */
static void test_destroy_meanwhile(void **state)
{
    struct bed_sandbox *s = create("/bin/sleep 1000");
    struct bed_outcome out;
    struct download down;

    make_big();
    ask_out(s, "", "/etc/big", &out);
    assert_int_equal(out.err.code, 0);
    bed_turns(100);
    start_reading(&down, out.result.stream);
    assert_int_equal(bed_host()->stream->read_stop(out.result.stream), 0);
    house_destroy(s);
    start_reading(&down, out.result.stream);
    assert_true(bed_until(&down.ended));
    assert_int_equal(down.ended, CLOISTER_ABORTED);
    assert_true(down.size < (8 << 20));
    end_download(&down);
}

/* A reader that leaves ends the helper, and nothing of it stays. */
static void test_reader_leaves(void **state)
{
    struct bed_sandbox *s = create("/bin/sleep 1000");
    unsigned before = open_descriptors();
    struct bed_outcome out;
    struct download down = {0};

    make_big();
    ask_out(s, "", "/etc/big", &out);
    assert_int_equal(out.err.code, 0);
    down.stream = out.result.stream;
    end_download(&down);
    bed_turns(200);
    assert_int_equal(open_descriptors(), before);
    house_destroy(s);
}

static void test_cancel(void **state)
{
    struct bed_sandbox *s = create("/bin/sleep 1000");
    unsigned before = open_descriptors();
    struct bed_outcome out;
    struct upload up;

    begin_upload(&up, s, "", "/data", &out);
    bed_turns(100);
    bed.iso->cancel(bed.instance, out.op);
    bed_wait(&out);
    assert_int_equal(out.err.code, CLOISTER_CANCELLED);
    end_upload(&up);
    begin_upload(&up, s, "", "/data", &out); /* at once, before the keeper has answered */
    bed.iso->cancel(bed.instance, out.op);
    bed_wait(&out);
    assert_int_equal(out.err.code, CLOISTER_CANCELLED);
    end_upload(&up);
    bed_turns(200);
    assert_int_equal(open_descriptors(), before);
    house_destroy(s);
}

/* What is under way when the plugin goes ends, and nothing comes after it. */
static void test_restart_meanwhile(void **state)
{
    struct bed_sandbox *s = create("/bin/sleep 1000");
    struct bed_inventory inventory;
    struct bed_outcome out;
    struct upload up;

    begin_upload(&up, s, "", "/data", &out);
    bed_turns(100);
    bed_restart();
    assert_int_equal(out.done, 1);
    assert_int_equal(out.err.code, CLOISTER_CANCELLED);
    end_upload(&up);
    house_adopt(s, &inventory);
    read_file(s, "/etc/none", 0, &out);
    assert_int_equal(out.err.code, CLOISTER_NO_ENTITY);
    house_destroy(s);
}

/* --- a file system that never answers --- */

/* In the container's namespaces: /etc becomes a FUSE mount whose server, this process, is silent. */
static void be_silent_server(int32_t init)
{
    char options[128];
    int pidfd = (int)syscall(SYS_pidfd_open, init, 0);

    if (setns(pidfd, CLONE_NEWUSER) < 0)
        _exit(2);
    int fuse = open("/dev/fuse", O_RDWR);

    if (fuse < 0 || setns(pidfd, CLONE_NEWNS) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        _exit(3);
    snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
    if (mount("silent", "/etc", "fuse", MS_NOSUID | MS_NODEV, options) < 0)
        _exit(4);
    kill(getpid(), SIGSTOP);
    for (;;)
        pause();
}

static void test_hanging_files(void **state)
{
    struct bed_sandbox *s = house_prepare(ID_A, "/bin/sleep 1000");
    struct bed_outcome out;
    int status;

    if (access("/dev/fuse", F_OK) < 0) {
        house_free(s);
        skip();
    }
    house_create(s, &out);
    pid_t server = fork();

    if (server == 0)
        be_silent_server(out.result.pid);
    assert_int_equal(waitpid(server, &status, WUNTRACED), server);
    if (!WIFSTOPPED(status))
        fail_msg("the silent server ended with %d", WEXITSTATUS(status));
    const uint64_t start = bed_host()->system->now_mono();

    put(s, "echo x >x", "somebody", "/data", &out);
    assert_int_equal(out.err.code, CLOISTER_DEADLINE);
    read_file(s, "/etc/passwd", 0, &out);
    assert_int_equal(out.err.code, CLOISTER_DEADLINE);
    assert_true(bed_host()->system->now_mono() - start < 3 * BED_EXEC_MS * MS);
    read_file(s, "/bin/nothing", 0, &out); /* the rest goes on */
    assert_int_equal(out.err.code, CLOISTER_NO_ENTITY);
    assert_int_equal(kill(server, SIGKILL), 0);
    assert_int_equal(waitpid(server, &status, 0), server);
    house_destroy(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        HOUSE_TEST(test_there_and_back), HOUSE_TEST(test_errors),  HOUSE_TEST(test_cut_upload),
        HOUSE_TEST(test_read_file),      HOUSE_TEST(test_stopped), HOUSE_TEST(test_destroy_meanwhile),
        HOUSE_TEST(test_reader_leaves),  HOUSE_TEST(test_cancel),  HOUSE_TEST(test_restart_meanwhile),
        HOUSE_TEST(test_hanging_files),
    };

    return house_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]), NULL);
}
