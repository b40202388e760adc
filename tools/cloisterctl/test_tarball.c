/* SPDX-License-Identifier: Apache-2.0 */
/* test_tarball.c - archives of ours, and such as a container might send. */
#include "core/util/check.h"
#include "core/util/mem.h"
#include "tarball.h"
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char base[64];

/* In base. */
static void shell(const char *commands)
{
    CL_FREE char *whole = cl_asprintf("cd %s && %s", base, commands);

    assert_non_null(whole);
    assert_int_equal(system(whole), 0);
}

/* base/out is unpacked into, base/outside is to be left alone. */
static int set_up(void **state)
{
    (void)snprintf(base, sizeof(base), "/tmp/test_tarball.XXXXXX");
    if (!mkdtemp(base))
        return -1;
    shell("mkdir out outside && echo secret > outside/file && chmod 0600 outside/file");
    return 0;
}

static int tear_down(void **state)
{
    if (chdir("/") < 0)
        return -1;
    shell("chmod -R u+rwx . && rm -rf in out outside tar && rmdir \"$PWD\"");
    return 0;
}

static void test_names(void **state)
{
    static const struct {
        const char *name, *clean; /* NULL = refused */
    } cases[] = {
        {"a", "a"},   {"a/b/", "a/b"},  {"./a//./b", "a/b"},   {"...", "..."}, {"a/..b", "a/..b"},
        {"..", NULL}, {"a/../b", NULL}, {"a/..", NULL},        {"/a", NULL},   {"", NULL},
        {".", NULL},  {"./", NULL},     {"../../etc/x", NULL},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "%s", cases[i].name);
        CL_CHECK_INT(cases[i].name, ctl_archive_name(name), cases[i].clean != NULL);
        if (cases[i].clean)
            CL_CHECK_STR(cases[i].name, name, cases[i].clean);
    }
}

struct item {
    const char *name;
    unsigned type;
    unsigned mode;
    const char *link; /* of AE_IFLNK; of type 0: a hard link's */
    const char *text;
};

static int make_archive(const struct item *items, bool cut)
{
    CL_FREE char *path = cl_asprintf("%s/tar", base);
    struct archive *archive = archive_write_new();
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_int_equal(archive_write_set_format_ustar(archive), ARCHIVE_OK);
    assert_int_equal(archive_write_open_fd(archive, fd), ARCHIVE_OK);
    for (; items->name; items++) {
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_pathname(entry, items->name);
        archive_entry_set_filetype(entry, items->type ? items->type : AE_IFREG);
        archive_entry_set_perm(entry, items->mode);
        if (items->link && items->type)
            archive_entry_set_symlink(entry, items->link);
        else if (items->link)
            archive_entry_set_hardlink(entry, items->link);
        archive_entry_set_size(entry, items->text ? (la_int64_t)strlen(items->text) : 0);
        assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
        if (items->text)
            assert_int_equal(archive_write_data(archive, items->text, strlen(items->text)), strlen(items->text));
        archive_entry_free(entry);
    }
    assert_int_equal(archive_write_free(archive), ARCHIVE_OK);
    if (cut)
        assert_int_equal(ftruncate(fd, 700), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static int unpack(int fd, const char *top, struct ctl_left_out *left_out, struct cloister_error *err)
{
    CTL_UNPACK_CLEANUP struct ctl_unpack archive = CTL_UNPACK_INIT;
    CL_FREE char *out = cl_asprintf("%s/out", base);
    int failed = ctl_unpack_begin(&archive, fd, left_out, err);

    if (failed == 0)
        failed = ctl_unpack_into(&archive, out, top, false, err);
    (void)close(fd);
    return failed;
}

/* What a shell says of base, "" for all that has failed. */
static const char *look(const char *command)
{
    static char said[4096];
    CL_FREE char *whole = cl_asprintf("cd %s && { %s; } 2>/dev/null", base, command);
    FILE *pipe = popen(whole, "r");

    assert_non_null(pipe);
    said[fread(said, 1, sizeof(said) - 1, pipe)] = 0;
    (void)pclose(pipe);
    said[strcspn(said, "\n")] = 0;
    return said;
}

#define REG AE_IFREG
#define LNK AE_IFLNK
#define DIR AE_IFDIR

static const struct {
    const char *name;
    struct item items[6];
    const char *before; /* done first */
    const char *top;
    const char *refused; /* NULL = it is unpacked; in the sentence */
    uint32_t left_out;
    const char *look, *seen;
    bool cut;
} hostile[] = {
    {.name = "a plain one",
     .items = {{"d", DIR, 0755, NULL, NULL}, {"d/f", REG, 0640, NULL, "hi\n"}}, //
     .look = "stat -c %a out/d/f; cat out/d/f",
     .seen = "640"},
    {.name = "another name",
     .items = {{"./d/", DIR, 0755, NULL, NULL}, {"./d/f", REG, 0640, NULL, "hi\n"}},
     .top = "e",
     .look = "cat out/e/f",
     .seen = "hi"},
    {.name = "two tops",
     .items = {{"d", DIR, 0755, NULL, NULL}, {"df", REG, 0640, NULL, "hi\n"}},
     .top = "e",
     .refused = "beside 'd'",
     .look = "ls out",
     .seen = "e"},
    {.name = "the directory itself",
     .items = {{"./", DIR, 0700, NULL, NULL}, {"./f", REG, 0640, NULL, "hi\n"}},
     .look = "cat out/f",
     .seen = "hi"},
    {.name = "an absolute name",
     .items = {{"/tmp/test_tarball_f", REG, 0644, NULL, "x"}},
     .refused = "would leave",
     .look = "ls out | wc -l; ls /tmp/test_tarball_f",
     .seen = "0"},
    {.name = "a name that climbs",
     .items = {{"a/../../outside/new", REG, 0644, NULL, "x"}},
     .refused = "would leave",
     .look = "ls outside",
     .seen = "file"},
    {.name = "a name that begins by climbing",
     .items = {{"../outside/file", REG, 0644, NULL, "x"}},
     .refused = "would leave",
     .look = "cat outside/file",
     .seen = "secret"},
    {.name = "through a link of its own",
     .items = {{"l", LNK, 0777, "../outside", NULL}, {"l/file", REG, 0644, NULL, "x"}},
     .refused = "",
     .look = "cat outside/file",
     .seen = "secret"},
    {.name = "over a link of its own",
     .items = {{"l", LNK, 0777, "../outside/file", NULL}, {"l", REG, 0644, NULL, "x\n"}},
     .look = "cat outside/file out/l",
     .seen = "secret"},
    {.name = "a directory over a link of its own",
     .items = {{"l", LNK, 0777, "../outside", NULL}, {"l", DIR, 0777, NULL, NULL}, {"l/file", REG, 0644, NULL, "x"}},
     .look = "cat outside/file",
     .seen = "secret"},
    {.name = "through a link that was there",
     .before = "ln -s ../outside out/l",
     .items = {{"l/file", REG, 0644, NULL, "x"}},
     .refused = "",
     .look = "cat outside/file",
     .seen = "secret"},
    {.name = "a link as it is",
     .items = {{"l", LNK, 0777, "/etc/nothing", NULL}},
     .look = "readlink out/l",
     .seen = "/etc/nothing"},
    {.name = "a second name for what is outside",
     .items = {{"h", 0, 0644, "../outside/file", NULL}},
     .refused = "would leave",
     .look = "stat -c %h outside/file",
     .seen = "1"},
    {.name = "the same by a link",
     .items = {{"l", LNK, 0777, "../outside", NULL}, {"h", 0, 0644, "l/file", NULL}},
     .refused = "",
     .look = "stat -c %h outside/file",
     .seen = "1"},
    {.name = "a second name for a link, with content",
     .items = {{"l", LNK, 0777, "../outside/file", NULL}, {"h", 0, 0644, "l", NULL}, {"h", REG, 0644, NULL, "x"}},
     .look = "cat outside/file",
     .seen = "secret"},
    {.name = "a second name",
     .items = {{"d/f", REG, 0644, NULL, "x"}, {"d/h", 0, 0644, "d/f", NULL}},
     .top = "e",
     .look = "stat -c %h out/e/h",
     .seen = "2"},
    {.name = "a second name for the directory",
     .items = {{"h", 0, 0644, "./", NULL}},
     .refused = "name of a directory",
     .look = "ls out | wc -l",
     .seen = "0"},
    {.name = "set-user-id",
     .items = {{"s", REG, 06755, NULL, "x"}, {"d", DIR, 03777, NULL, NULL}},
     .look = "echo $(stat -c %a out/s out/d)",
     .seen = "755 1777"},
    {.name = "devices and pipes",
     .items = {{"b\033", AE_IFBLK, 0666, NULL, NULL},
               {"c", AE_IFCHR, 0666, NULL, NULL},
               {"p", AE_IFIFO, 0666, NULL, NULL},
               {"f", REG, 0644, NULL, "x"}},
     .left_out = 3,
     .look = "ls out",
     .seen = "f"},
    {.name = "cut",
     .items = {{"f", REG, 0644, NULL, "twenty bytes of text\n"}},
     .cut = true,
     .refused = "read the archive",
     .look = "true",
     .seen = ""},
};

static void test_hostile(void **state)
{
    for (size_t i = 0; i < CL_COUNT(hostile); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        struct ctl_left_out left_out = {0};
        assert_int_equal(set_up(state), 0);
        if (hostile[i].before)
            (void)look(hostile[i].before);
        int fd = make_archive(hostile[i].items, hostile[i].cut);
        int failed = unpack(fd, hostile[i].top, &left_out, &err);
        CL_CHECK_INT(hostile[i].name, failed < 0, hostile[i].refused != NULL);
        if (hostile[i].refused)
            CL_CHECK(hostile[i].name, strstr(err.chain, hostile[i].refused) != NULL);
        CL_CHECK_INT(hostile[i].name, left_out.count, hostile[i].left_out);
        if (hostile[i].left_out)
            CL_CHECK_STR(hostile[i].name, left_out.first, "b?");
        CL_CHECK_STR(hostile[i].name, look(hostile[i].look), hostile[i].seen);
        CL_CHECK_STR(hostile[i].name, look("cat outside/file"), "secret");
        assert_int_equal(tear_down(state), 0);
    }
}

static int pack_in_child(const char *source, const char *top, int socket)
{
    struct ctl_left_out left_out = {0};
    int failed = ctl_pack(socket, source, top, &left_out, NULL);

    return failed == 0 ? (int)left_out.count : 99;
}

static void round_trip(const char *top, int left_out)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    CL_FREE char *source = cl_asprintf("%s/in", base);
    int pair[2], status;
    struct ctl_left_out unused = {0};

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(pack_in_child(source, top, pair[1]));
    (void)close(pair[1]);
    int failed = unpack(pair[0], NULL, &unused, &err);
    if (failed < 0)
        fail_msg("%s", err.chain);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), left_out);
}

static void test_round_trip(void **state)
{
    char longer[180];

    assert_int_equal(set_up(state), 0);
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    CL_FREE char *make =
        cl_asprintf("mkdir -p in/sub/empty && echo a > in/a && head -c 300000 /dev/urandom > in/sub/%s", longer);
    shell(make);
    shell("ln -s ../nowhere in/sub/l && echo u > in/sub/\xc3\xbc && echo b > \"in/b$(printf '\\377')\" && "
          "chmod 0640 in/a && chmod 0711 in/sub && touch -d 2001-02-03T04:05:06 in/a");
    round_trip("", 0);
    CL_CHECK_STR("content", look("diff -r --no-dereference in out && stat -c '%a %Y' out/a && echo same"),
                 "640 981173106");
    CL_CHECK_STR("modes", look("stat -c %a out/sub"), "711");
    CL_CHECK_STR("what cannot be packed",
                 look("chmod -R u+rwx out; rm -rf out; mkdir out; python3 -c \"import socket; "
                      "socket.socket(socket.AF_UNIX).bind('in/s')\"; ls -F in | grep s="),
                 "s=");
    round_trip("top", 1);
    CL_CHECK_STR("a top", look("rm in/s; diff -r --no-dereference in out/top && echo same"), "same");
    assert_int_equal(tear_down(state), 0);
}

static void test_nothing(void **state)
{
    CTL_UNPACK_CLEANUP struct ctl_unpack archive = CTL_UNPACK_INIT;
    struct ctl_left_out left_out = {0};
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_int_equal(ctl_unpack_begin(&archive, fd, &left_out, NULL), 0);
    assert_int_equal(ctl_unpack_kind(&archive), CTL_ARCHIVE_NOTHING);
    assert_int_equal(ctl_unpack_into(&archive, "/nonexistent", NULL, false, NULL), 0);
    (void)close(fd);
}

/* A reader that goes is no failure of the files; files that cannot be read never look like the end of the archive. */
static void test_pack_fails(void **state)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct ctl_left_out left_out = {0};
    char byte;
    int pair[2];

    assert_int_equal(set_up(state), 0);
    shell("mkdir in && head -c 3000000 /dev/zero > in/a");
    CL_FREE char *source = cl_asprintf("%s/in", base);
    CL_FREE char *nothing = cl_asprintf("%s/nothing", base);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    (void)close(pair[0]);
    assert_int_equal(ctl_pack(pair[1], source, "x", &left_out, &err), -EPIPE);
    assert_int_equal(err.code, CLOISTER_OK);
    (void)close(pair[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_true(ctl_pack(pair[1], nothing, "x", &left_out, &err) < 0);
    assert_int_equal(err.code, CLOISTER_IO);
    (void)close(pair[1]);
    assert_int_equal(read(pair[0], &byte, 1), 0); /* not even an empty archive */
    (void)close(pair[0]);
    assert_int_equal(tear_down(state), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_hostile),
                                       cmocka_unit_test(test_round_trip), cmocka_unit_test(test_nothing),
                                       cmocka_unit_test(test_pack_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
