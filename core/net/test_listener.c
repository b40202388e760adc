/* SPDX-License-Identifier: Apache-2.0 */
#include "core/net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error/error.h"
#include "core/net/stream.h"
#include "core/util/check.h"
#include "core/util/mem.h"
#include "core/util/time.h"

#define CLIENTS_MAX 16

static char directory[64];

/* A listener in a fresh directory, and everything it has accepted. */
struct house {
    struct cl_loop *loop;
    struct cl_listener *listener;
    char path[108];
    char address[128];
    cloister_stream *streams[CLIENTS_MAX];
    struct cl_peer peers[CLIENTS_MAX];
    size_t count;
    unsigned closes;
};

static void turn(struct house *house)
{
    cl_loop_run_pending(house->loop, 50);
}

static void on_accept(void *ctx, cloister_stream *stream, const struct cl_peer *peer)
{
    struct house *house = ctx;
    assert_true(house->count < CLIENTS_MAX);
    house->streams[house->count] = stream;
    house->peers[house->count++] = *peer;
}

static void on_closed(void *ctx)
{
    struct house *house = ctx;
    house->closes++;
}

static void begin(struct house *house)
{
    memset(house, 0, sizeof(*house));
    assert_int_equal(cl_loop_new(&house->loop), 0);
    (void)snprintf(house->path, sizeof(house->path), "%s/s", directory);
    (void)snprintf(house->address, sizeof(house->address), "unix:%s", house->path);
}

static int open_with(struct house *house, struct cl_listen_args args, struct cloister_error *err)
{
    if (!args.address)
        args.address = house->address;
    if (!args.mode)
        args.mode = 0600;
    return cl_listener_open(house->loop, &args, &house->listener, err);
}

static void open_listener(struct house *house, unsigned max, unsigned per_uid)
{
    struct cl_listen_args args = {.group = (gid_t)-1, .max_connections = max, .max_per_uid = per_uid};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (open_with(house, args, &err) != 0)
        fail_msg("%s", err.chain);
    assert_int_equal(cl_listener_accept(house->listener, on_accept, house), 0);
}

/* Closes one accepted connection and gives its place back. */
static void part(struct house *house, size_t index)
{
    cl_stream_abort(house->streams[index], NULL, NULL);
    house->streams[index] = NULL;
    cl_listener_release(house->listener, house->peers[index].uid);
}

static void end(struct house *house)
{
    for (size_t i = 0; i < house->count; i++)
        if (house->streams[i])
            part(house, i);
    if (house->listener) {
        cl_listener_close(house->listener, on_closed, house);
        assert_int_equal(house->closes, 0);
        turn(house);
        assert_int_equal(house->closes, 1);
    }
    turn(house);
    cl_loop_free(house->loop);
    assert_int_equal(access(house->path, F_OK), -1);
}

static int knock(const struct house *house)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    strcpy(address.sun_path, house->path);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close(fd);
        return -errno;
    }
    return fd;
}

/* True when the far end has closed. */
static bool turned_away(int fd)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    char byte;
    return poll(&entry, 1, 0) == 1 && read(fd, &byte, 1) == 0;
}

static void the_peer_is_known(void **state)
{
    (void)state;
    struct house house;
    gid_t groups[CL_PEER_GROUPS_MAX + 10];
    begin(&house);
    open_listener(&house, 0, 0);
    int plain = knock(&house);
    /* More groups than are kept, which the kernel hands out only as a whole; then as we were. */
    gid_t before[256];
    int before_count = getgroups(256, before);
    for (size_t i = 0; i < CL_COUNT(groups); i++)
        groups[i] = 5000 + (gid_t)i;
    assert_int_equal(setgroups(CL_COUNT(groups), groups), 0);
    int many = knock(&house);
    assert_int_equal(setgroups((size_t)before_count, before), 0);
    turn(&house);
    assert_int_equal(house.count, 2);
    assert_int_equal(house.peers[0].uid, getuid());
    assert_int_equal(house.peers[0].gid, getgid());
    assert_int_equal(house.peers[0].pid, getpid());
    assert_int_equal(house.peers[0].group_count, before_count);
    assert_memory_equal(house.peers[0].groups, before, (size_t)before_count * sizeof(gid_t));
    assert_int_equal(house.peers[1].group_count, CL_PEER_GROUPS_MAX);
    assert_memory_equal(house.peers[1].groups, groups, sizeof(house.peers[1].groups));
    close(plain);
    close(many);
    end(&house);
}

/* Bound and listening, it lets clients wait for accept. */
static void clients_wait_until_accepting_begins(void **state)
{
    (void)state;
    struct house house;
    struct cl_listen_args args = {.group = (gid_t)-1};
    begin(&house);
    assert_int_equal(open_with(&house, args, NULL), 0);
    int fd = knock(&house);
    assert_true(fd >= 0);
    turn(&house);
    assert_false(turned_away(fd));
    assert_int_equal(house.count, 0);
    assert_int_equal(cl_listener_accept(house.listener, on_accept, &house), 0);
    turn(&house);
    assert_int_equal(house.count, 1);
    close(fd);
    end(&house);

    begin(&house);
    assert_int_equal(open_with(&house, args, NULL), 0);
    end(&house);
}

struct mode_case {
    const char *name;
    mode_t mode;
    mode_t umask;
    gid_t group;
};

static const struct mode_case mode_cases[] = {
    {"private", 0600, 0022, (gid_t)-1},
    {"for a group", 0660, 0077, 4242},
    {"for all, against the umask", 0666, 0777, (gid_t)-1},
};

static void the_file_has_exactly_its_mode(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(mode_cases); i++) {
        const struct mode_case *test = &mode_cases[i];
        struct house house;
        struct stat status;
        begin(&house);
        mode_t before = umask(test->umask);
        CL_CHECK_INT(test->name,
                     open_with(&house, (struct cl_listen_args){.mode = test->mode, .group = test->group}, NULL), 0);
        CL_CHECK_INT(test->name, umask(before), test->umask);
        CL_CHECK_INT(test->name, lstat(house.path, &status), 0);
        CL_CHECK(test->name, S_ISSOCK(status.st_mode));
        CL_CHECK_INT(test->name, status.st_mode & 07777, test->mode);
        CL_CHECK_INT(test->name, status.st_gid, test->group == (gid_t)-1 ? getegid() : test->group);
        end(&house);
    }
}

static void expect_refusal(const char *name, struct house *house, const char *address, const char *sentence)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    char text[CL_ERROR_SENTENCE_MAX];
    CL_CHECK(name, open_with(house, (struct cl_listen_args){.address = address, .group = (gid_t)-1}, &err) < 0);
    cl_error_sentence(&err, text, sizeof(text));
    if (!strstr(text, sentence))
        fail_msg("case '%s': \"%s\" does not say \"%s\"", name, text, sentence);
    house->listener = NULL;
}

struct address_case {
    const char *name;
    const char *address;
    const char *sentence;
};

static const struct address_case address_cases[] = {
    {"tcp", "tcp:127.0.0.1:80", "only unix:/path and fd:NAME addresses are supported"},
    {"abstract", "unix:@name", "'@name' is not an absolute path"},
    {"nothing handed over", "fd:3", "no descriptor '3' was handed over (there are 0)"},
    {"empty", "unix:", "'' is not an absolute path"},
    {"relative", "unix:a/b", "'a/b' is not an absolute path"},
    {"no directory", "unix:/nonexistent-cloister/s", "open directory '/nonexistent-cloister': No such file"},
    {"107 bytes fit, 108 do not",
     "unix:/"
     "23456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678",
     "path is 108 bytes long, a socket's may have 107"},
};

static void bad_addresses_are_sentences(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(address_cases); i++) {
        struct house house;
        begin(&house);
        expect_refusal(address_cases[i].name, &house, address_cases[i].address, address_cases[i].sentence);
        end(&house);
    }
}

static int bind_at(const char *path, int type, bool serve)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    strcpy(address.sun_path, path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    if (serve)
        assert_int_equal(listen(fd, 0), 0);
    return fd;
}

static void a_stale_file_is_replaced(void **state)
{
    (void)state;
    struct house house;
    begin(&house);
    close(bind_at(house.path, SOCK_STREAM, true));
    assert_int_equal(knock(&house), -ECONNREFUSED);
    open_listener(&house, 0, 0);
    int fd = knock(&house);
    turn(&house);
    assert_int_equal(house.count, 1);
    close(fd);
    end(&house);
}

static void what_is_not_ours_stays(void **state)
{
    (void)state;
    struct house house;
    char served[64];
    begin(&house);
    (void)snprintf(served, sizeof(served), "is served by pid %d", (int)getpid());
    int fd = bind_at(house.path, SOCK_STREAM, true);
    expect_refusal("served", &house, NULL, served);
    /* That probe has filled a backlog of none. */
    expect_refusal("served, backlog full", &house, NULL, "is served by another process");
    close(fd);
    unlink(house.path);

    fd = bind_at(house.path, SOCK_DGRAM, false);
    expect_refusal("another type", &house, NULL, "is served by another process");
    close(fd);
    unlink(house.path);

    close(open(house.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    expect_refusal("a file", &house, NULL, "is there and is not a socket");
    assert_int_equal(access(house.path, F_OK), 0);
    unlink(house.path);

    assert_int_equal(symlink("elsewhere", house.path), 0);
    expect_refusal("a dangling link", &house, NULL, "is there and is not a socket");
    unlink(house.path);
    end(&house);
}

static void close_leaves_anothers_file(void **state)
{
    (void)state;
    struct house house;
    begin(&house);
    open_listener(&house, 0, 0);
    assert_int_equal(unlink(house.path), 0);
    int fd = bind_at(house.path, SOCK_STREAM, true);
    cl_listener_close(house.listener, on_closed, &house);
    house.listener = NULL;
    turn(&house);
    assert_int_equal(house.closes, 1);
    assert_int_equal(access(house.path, F_OK), 0);
    close(fd);
    unlink(house.path);
    end(&house);
}

/* Ours stops accepting; the other holder does not notice, the backlog stays, and so does the file as it was. */
static void a_handed_over_socket_is_only_borrowed(void **state)
{
    (void)state;
    struct house house;
    struct stat before, after;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    begin(&house);
    int theirs = bind_at(house.path, SOCK_STREAM, false);
    assert_int_equal(listen(theirs, 8), 0);
    assert_int_equal(lstat(house.path, &before), 0);
    int given = fcntl(theirs, F_DUPFD, 3);
    assert_true(given >= 3);
    struct cl_handed handed = {.fds = (int[]){given}, .names = (char *[]){(char *)"web"}, .count = 1};
    assert_int_equal(
        open_with(&house, (struct cl_listen_args){.address = "fd:web", .handed = &handed, .group = 4242}, &err), 0);
    assert_int_equal(handed.fds[0], -1);
    assert_int_equal(cl_listener_accept(house.listener, on_accept, &house), 0);
    int first = knock(&house);
    turn(&house);
    assert_int_equal(house.count, 1);
    assert_int_equal(house.peers[0].uid, getuid());
    assert_int_equal(house.peers[0].pid, getpid());

    cl_listener_close(house.listener, on_closed, &house);
    turn(&house);
    assert_int_equal(house.closes, 1);
    int second = knock(&house);
    assert_true(second >= 0);
    turn(&house);
    assert_false(turned_away(second));
    assert_int_equal(house.count, 1);
    int accepted = accept(theirs, NULL, NULL);
    assert_true(accepted >= 0);
    assert_int_equal(lstat(house.path, &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_equal(after.st_gid, before.st_gid);
    part(&house, 0);
    house.listener = NULL;
    close(accepted);
    close(second);
    close(first);
    close(theirs);
    unlink(house.path);
    end(&house);
}

struct limit_case {
    const char *name;
    unsigned max;
    unsigned per_uid;
    uid_t uid;
    size_t let_in; /* of three */
};

static const struct limit_case limit_cases[] = {
    {"no limit", 0, 0, 4711, 3},
    {"of connections", 2, 0, 4711, 2},
    {"of connections, which others cannot use up for root", 2, 0, 0, 3},
    {"of one user", 0, 1, 4711, 1},
    {"of root", 0, 1, 0, 1},
    {"just enough", 3, 3, 4711, 3},
};

static int knock_as(const struct house *house, uid_t uid)
{
    assert_int_equal(seteuid(uid), 0);
    int fd = knock(house);
    assert_int_equal(seteuid(0), 0);
    return fd;
}

static void limits_shed_the_ones_too_many(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(limit_cases); i++) {
        const struct limit_case *test = &limit_cases[i];
        struct house house;
        int fds[3];
        begin(&house);
        open_listener(&house, test->max, test->per_uid);
        assert_int_equal(chmod(directory, 0755), 0);
        assert_int_equal(chmod(house.path, 0666), 0);
        for (size_t j = 0; j < 3; j++)
            fds[j] = knock_as(&house, test->uid);
        turn(&house);
        CL_CHECK_INT(test->name, house.count, test->let_in);
        CL_CHECK_INT(test->name, cl_listener_refused(house.listener), 3 - test->let_in);
        for (size_t j = 0; j < 3; j++)
            CL_CHECK_INT(test->name, turned_away(fds[j]), j >= test->let_in);
        /* One leaves, one may come. */
        part(&house, 0);
        int next = knock_as(&house, test->uid);
        turn(&house);
        CL_CHECK_INT(test->name, house.count, test->let_in + 1);
        for (size_t j = 0; j < 3; j++)
            close(fds[j]);
        close(next);
        end(&house);
    }
}

static void one_user_does_not_use_anothers_share(void **state)
{
    (void)state;
    struct house house;
    begin(&house);
    open_listener(&house, 0, 1);
    assert_int_equal(chmod(directory, 0755), 0);
    assert_int_equal(chmod(house.path, 0666), 0);
    int own = knock(&house);
    assert_int_equal(seteuid(4711), 0);
    int other = knock(&house);
    assert_int_equal(seteuid(0), 0);
    turn(&house);
    assert_int_equal(house.count, 2);
    assert_int_equal(house.peers[1].uid, 4711);
    close(own);
    close(other);
    end(&house);
}

/* Without a free descriptor one connection is shed, nothing spins, and accepting goes on once there is one again. */
static void running_out_of_descriptors(void **state)
{
    (void)state;
    struct house house;
    struct rlimit old, tight;
    begin(&house);
    open_listener(&house, 0, 0);
    int first = knock(&house), second = knock(&house);
    int next = dup(0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = old;
    tight.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    turn(&house);
    assert_int_equal(house.count, 0);
    assert_int_equal(cl_listener_refused(house.listener), 1);
    assert_true(turned_away(first));
    assert_false(turned_away(second));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    turn(&house);
    assert_int_equal(house.count, 0); /* it rests */
    uint64_t deadline = cl_mono_ns() + 5 * CL_NS_PER_S;
    while (house.count == 0 && cl_mono_ns() < deadline) {
        usleep(10000);
        turn(&house);
    }
    assert_int_equal(house.count, 1);
    close(first);
    close(second);
    end(&house);
}

/* Connections outlive their listener: its memory goes with the last of them. */
static void release_after_close(void **state)
{
    (void)state;
    struct house house;
    begin(&house);
    open_listener(&house, 0, 0);
    int fd = knock(&house);
    turn(&house);
    cl_listener_close(house.listener, on_closed, &house);
    assert_int_equal(access(house.path, F_OK), -1);
    turn(&house);
    assert_int_equal(house.closes, 1);
    part(&house, 0);
    house.listener = NULL;
    close(fd);
    end(&house);
}

static void no_memory_is_no_connection(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth < 50; nth++) {
        struct house house;
        begin(&house);
        open_listener(&house, 0, 0);
        int fd = knock(&house);
        cl_mem_fail_nth(nth);
        turn(&house);
        bool through = cl_mem_count() < nth;
        cl_mem_fail_nth(0);
        assert_int_equal(house.count, through ? 1 : 0);
        if (!through)
            assert_true(turned_away(fd));
        close(fd);
        end(&house);
        if (through)
            return;
    }
    fail_msg("never got through");
}

static int make_directory(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof(directory), "/tmp/cloister-test-listener-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_peer_is_known),
        cmocka_unit_test(clients_wait_until_accepting_begins),
        cmocka_unit_test(the_file_has_exactly_its_mode),
        cmocka_unit_test(bad_addresses_are_sentences),
        cmocka_unit_test(a_stale_file_is_replaced),
        cmocka_unit_test(what_is_not_ours_stays),
        cmocka_unit_test(close_leaves_anothers_file),
        cmocka_unit_test(a_handed_over_socket_is_only_borrowed),
        cmocka_unit_test(limits_shed_the_ones_too_many),
        cmocka_unit_test(one_user_does_not_use_anothers_share),
        cmocka_unit_test(running_out_of_descriptors),
        cmocka_unit_test(release_after_close),
        cmocka_unit_test(no_memory_is_no_connection),
    };
    if (geteuid() != 0) {
        print_message("this test needs root\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
