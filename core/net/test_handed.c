/* SPDX-License-Identifier: Apache-2.0 */
#include "core/net/handed.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/error/error.h"
#include "core/log/log.h"
#include "core/util/check.h"
#include "core/util/mem.h"

static char directory[64];

enum what { NOTHING, LISTENING, SILENT, SEQPACKET, DATAGRAM, INTERNET, ABSTRACT, PIPE };

static int make_unix(int type, bool abstract, bool serve)
{
    static unsigned serial;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type, 0);
    assert_true(fd >= 0);
    (void)snprintf(address.sun_path + abstract, sizeof(address.sun_path) - 1, "%s/%u", directory, serial++);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    if (!abstract)
        assert_int_equal(unlink(address.sun_path), 0);
    if (serve)
        assert_int_equal(listen(fd, 16), 0);
    return fd;
}

static int make(enum what what)
{
    int pair[2];
    switch (what) {
    case LISTENING:
        return make_unix(SOCK_STREAM, false, true);
    case SILENT:
        return make_unix(SOCK_STREAM, false, false);
    case SEQPACKET:
        return make_unix(SOCK_SEQPACKET, false, true);
    case DATAGRAM:
        return make_unix(SOCK_DGRAM, false, false);
    case ABSTRACT:
        return make_unix(SOCK_STREAM, true, true);
    case INTERNET:
        return socket(AF_INET, SOCK_STREAM, 0);
    default:
        assert_int_equal(pipe(pair), 0);
        (void)close(pair[1]);
        return pair[0];
    }
}

/* Puts it at a number, as a service manager does: without close-on-exec. */
static void put(int number, enum what what)
{
    int fd = make(what);
    if (fd == number)
        return;
    assert_int_equal(dup2(fd, number), number);
    (void)close(fd);
}

static void set(const char *variable, const char *value)
{
    if (value)
        assert_int_equal(setenv(variable, value, 1), 0);
    else
        assert_int_equal(unsetenv(variable), 0);
}

/* pid "me": ours. */
static int take(const char *pid, const char *count, const char *names, struct cl_handed *ret,
                struct cloister_error *err)
{
    char me[16];
    (void)snprintf(me, sizeof(me), "%d", (int)getpid());
    set("LISTEN_PID", pid && strcmp(pid, "me") == 0 ? me : pid);
    set("LISTEN_FDS", count);
    set("LISTEN_FDNAMES", names);
    int r = cl_handed_take(ret, err);
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_FDNAMES"));
    return r;
}

static void take_well(const char *count, const char *names, struct cl_handed *ret)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    if (take("me", count, names, ret, &err) < 0)
        fail_msg("%s", err.chain);
}

static const struct {
    const char *name, *pid, *count, *names;
    const char *sentence; /* NULL: that is fine, and nothing is handed over */
} environments[] = {
    {"nothing", NULL, NULL, NULL, NULL},
    {"names alone", NULL, NULL, "a", NULL},
    {"for another process", "1", "1", "a", NULL},
    {"none", "me", "0", NULL, NULL},
    {"no count", "me", NULL, NULL, "LISTEN_PID is set without LISTEN_FDS: both say which descriptors are handed over"},
    {"no pid", NULL, "1", NULL, "LISTEN_FDS is set without LISTEN_PID: both say which descriptors are handed over"},
    {"a pid in words", "init", "1", NULL, "LISTEN_PID is 'init', expected a number from 0 to 2147483647"},
    {"too large a pid", "4294967297", "1", NULL, "LISTEN_PID is '4294967297', expected a number from 0 to 2147483647"},
    {"a negative count", "me", "-1", NULL, "LISTEN_FDS is '-1', expected a number from 0 to 1021"},
    {"an empty count", "me", "", NULL, "LISTEN_FDS is '', expected a number from 0 to 1021"},
    {"too many", "me", "1022", NULL, "LISTEN_FDS is '1022', expected a number from 0 to 1021"},
    {"one that is not there", "me", "3", NULL, "descriptor 5 of the 3 that LISTEN_FDS announces: Bad file descriptor"},
    {"too few names", "me", "2", "a", "LISTEN_FDNAMES has 1 names for the 2 descriptors of LISTEN_FDS"},
    {"too many names", "me", "2", "a:b:c", "LISTEN_FDNAMES has 3 names for the 2 descriptors of LISTEN_FDS"},
    {"empty names", "me", "1", "", NULL},
};

static void the_environment_is_read_strictly(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(environments); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        struct cl_handed handed = {0};
        char sentence[CL_ERROR_SENTENCE_MAX] = "";
        put(3, LISTENING);
        put(4, LISTENING);
        int r = take(environments[i].pid, environments[i].count, environments[i].names, &handed, &err);
        (void)cl_error_sentence(&err, sentence, sizeof(sentence));
        CL_CHECK_INT(environments[i].name, r < 0, environments[i].sentence != NULL);
        if (r < 0)
            CL_CHECK_STR(environments[i].name, sentence, environments[i].sentence);
        cl_handed_free(&handed);
        (void)close(3);
        (void)close(4);
    }
}

static void children_do_not_get_them(void **state)
{
    (void)state;
    struct cl_handed handed;
    put(3, LISTENING);
    put(4, PIPE);
    assert_int_equal(fcntl(3, F_GETFD), 0);
    take_well("2", NULL, &handed);
    assert_int_equal(fcntl(3, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(4, F_GETFD), FD_CLOEXEC);
    cl_handed_free(&handed);
    assert_int_equal(fcntl(3, F_GETFD), -1);
    assert_int_equal(fcntl(4, F_GETFD), -1);
}

static const struct {
    const char *name;
    const char *claim;
    enum what what; /* of descriptor 4, "b"; 3 is "a" and 5 "a" again */
    const char *sentence;
} claims[] = {
    {"by name", "b", LISTENING, NULL},
    {"by number", "4", LISTENING, NULL},
    {"by an unknown name", "c", LISTENING, "no descriptor 'c' was handed over (there are 3)"},
    {"by a number behind the last", "6", LISTENING, "no descriptor '6' was handed over (there are 3)"},
    {"by a number before the first", "2", LISTENING, "no descriptor '2' was handed over (there are 3)"},
    {"by a name that two have", "a", LISTENING, "2 handed-over descriptors are named 'a'; call them by their numbers"},
    {"not listening", "b", SILENT,
     "descriptor 4 ('b') is a socket that does not listen, expected a Unix stream socket that listens at a path"},
    {"seqpacket", "4", SEQPACKET,
     "descriptor 4 ('b') is a seqpacket socket, expected a Unix stream socket that listens at a path"},
    {"datagrams", "b", DATAGRAM,
     "descriptor 4 ('b') is a datagram socket, expected a Unix stream socket that listens at a path"},
    {"internet", "b", INTERNET,
     "descriptor 4 ('b') is an internet socket, expected a Unix stream socket that listens at a path"},
    {"abstract", "b", ABSTRACT,
     "descriptor 4 ('b') is a socket with an abstract address, expected a Unix stream socket that listens at a path"},
    {"a pipe", "b", PIPE, "descriptor 4 ('b') is no socket, expected a Unix stream socket that listens at a path"},
};

static void only_what_fits_is_claimed(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(claims); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        struct cl_handed handed;
        char sentence[CL_ERROR_SENTENCE_MAX] = "";
        int fd = -1;
        put(3, LISTENING);
        put(4, claims[i].what);
        put(5, LISTENING);
        take_well("3", "a:b:a", &handed);
        int r = cl_handed_claim(&handed, claims[i].claim, &fd, &err);
        (void)cl_error_sentence(&err, sentence, sizeof(sentence));
        CL_CHECK_STR(claims[i].name, sentence, claims[i].sentence ? claims[i].sentence : "ok");
        CL_CHECK_INT(claims[i].name, fd, r < 0 ? -1 : 4);
        if (r == 0) {
            CL_CHECK(claims[i].name, fcntl(fd, F_GETFL) & O_NONBLOCK);
            CL_CHECK(claims[i].name, cl_handed_claim(&handed, "4", &fd, &err) < 0);
            (void)cl_error_sentence(&err, sentence, sizeof(sentence));
            CL_CHECK_STR(claims[i].name, sentence, "another endpoint has descriptor 4 ('b') already");
        }
        cl_handed_free(&handed);
        CL_CHECK_INT(claims[i].name, fcntl(4, F_GETFD), r < 0 ? -1 : FD_CLOEXEC);
        if (r == 0)
            (void)close(4);
    }
}

static void another_process_is_named(void **state)
{
    (void)state;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cl_handed handed;
    char want[128];
    int fd = -1;
    assert_int_equal(take("1", "1", "a", &handed, &err), 0);
    assert_int_equal(cl_handed_claim(&handed, "a", &fd, &err), -ENOENT);
    (void)snprintf(want, sizeof(want), "no descriptor 'a' was handed over: LISTEN_PID is 1, and this process is %d",
                   (int)getpid());
    assert_string_equal(cl_error_innermost(&err), want);
    cl_handed_free(&handed);
}

static void what_nobody_claims_is_closed_with_a_warning(void **state)
{
    (void)state;
    struct cl_handed handed;
    char said[512] = "";
    int log[2], fd = -1;
    put(3, LISTENING);
    put(4, LISTENING);
    put(5, PIPE);
    assert_int_equal(pipe(log), 0);
    take_well("3", "a:b:c", &handed);
    assert_int_equal(cl_handed_claim(&handed, "a", &fd, NULL), 0);
    cl_log_set_fd(log[1]);
    cl_handed_drop(&handed);
    cl_handed_drop(&handed);
    cl_log_set_fd(2);
    (void)close(log[1]);
    assert_true(read(log[0], said, sizeof(said) - 1) > 0);
    (void)close(log[0]);
    assert_string_equal(said, "warn net: descriptor 4 ('b') was handed over, but no endpoint names it: closed\n"
                              "warn net: descriptor 5 ('c') was handed over, but no endpoint names it: closed\n");
    assert_int_equal(fcntl(3, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(4, F_GETFD), -1);
    assert_int_equal(fcntl(5, F_GETFD), -1);
    cl_handed_free(&handed);
    (void)close(fd);
}

static void no_memory_takes_nothing(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth < 20; nth++) {
        struct cl_handed handed = {0};
        put(3, LISTENING);
        put(4, LISTENING);
        cl_mem_fail_nth(nth);
        int r = take("me", "2", "a:b", &handed, NULL);
        cl_mem_fail_nth(0);
        cl_handed_free(&handed);
        (void)close(3);
        (void)close(4);
        if (r == 0) {
            assert_true(nth > 4);
            return;
        }
        assert_int_equal(r, -ENOMEM);
    }
    fail_msg("never got through");
}

static int make_directory(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof(directory), "/tmp/cloister-test-handed-XXXXXX");
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
        cmocka_unit_test(the_environment_is_read_strictly),
        cmocka_unit_test(children_do_not_get_them),
        cmocka_unit_test(only_what_fits_is_claimed),
        cmocka_unit_test(another_process_is_named),
        cmocka_unit_test(what_nobody_claims_is_closed_with_a_warning),
        cmocka_unit_test(no_memory_takes_nothing),
    };
    for (int fd = 3; fd < 8; fd++)
        (void)close(fd); /* whatever started us left open: these numbers are the subject's */
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
