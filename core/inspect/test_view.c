/* SPDX-License-Identifier: Apache-2.0 */
/* The texts that scripts read, over tests/badplugins. argv[1]: where they were built. */
#include "core/inspect/view.h"

#include <string.h>

#include "core/error/error.h"
#include "core/loader/prefix.h"
#include "core/log/log.h"

static struct cl_loader *new_loader(void)
{
    const char *const paths[] = {test_prefix, NULL};
    struct cl_loader *loader;
    assert_int_equal(cl_loader_new(paths, &loader), 0);
    return loader;
}

/* PREFIX in want stands for the prefix; both texts are taken apart at it. */
static void expect_text(const char *name, const char *got, const char *want)
{
    for (const char *at; (at = strstr(want, "PREFIX")); want = at + strlen("PREFIX")) {
        size_t size = (size_t)(at - want);
        if (strncmp(got, want, size) != 0 || strncmp(got + size, test_prefix, strlen(test_prefix)) != 0)
            fail_msg("case '%s': got\n%s\nnot\n%s", name, got, want);
        got += size + strlen(test_prefix);
    }
    CL_CHECK_STR(name, got, want);
}

static void test_list(void **state)
{
    CL_FREE char *text = NULL;
    size_t size;
    struct cl_loader *loader = new_loader();
    FILE *to = open_memstream(&text, &size);
    (void)state;
    assert_int_equal(cl_view_list(loader, to), 0);
    fclose(to);
    expect_text("list", text,
                "path=PREFIX/a\\x20b.so status=refused: plugin file 'PREFIX/a b.so': it is not called NAME.so, NAME "
                "being 1 to 32 of a-z, "
                "0-9 and '-'; rename it\n"
                "path=PREFIX/bad-minor.so status=refused: plugin file 'PREFIX/bad-minor.so': it was built for ABI 0.9, "
                "this daemon has "
                "0.3, and before 1.0 both must be equal; rebuild the plugin against this daemon's headers\n"
                "name=good-personality kind=personality version=1.0 path=PREFIX/good-personality.so status=ok\n"
                "name=needs-push kind=personality version=1.0 path=PREFIX/needs-push.so status=ok\n"
                "name=pushes kind=transport version=1.0 path=PREFIX/pushes.so status=ok\n"
                "name=trace kind=persistence version=1.0 path=PREFIX/trace.so status=ok\n");
    cl_loader_free(loader);
}

#define HEAD(name, kind)                                                       \
    "name=" name "\nkind=" kind "\npath=PREFIX/" name                          \
    ".so\nabi_major=0\nabi_minor=3\nversion=1.0\nlicence=Apache-2.0\nbuild=\n" \
    "summary=a test's plugin\nwrapper=no\n"

static const struct {
    const char *name;
    const char *text;
} dumps[] = {
    {"trace",
     HEAD("trace",
          "persistence") "provides=DURABLE\ncallbacks=life.create,life.destroy,open,list,get,put,destroy,cancel,close\n"
                         "option.secret=string range=0..4096 secret help: a text\n"
                         "option.n=u64 range=1..9 default=3 help: a number\n"},
    {"needs-push",
     HEAD("needs-push",
          "personality") "provides=\nneeds_transport=FDS,PUSH\nneeds_isolation=\n"
                         "callbacks=life.create,life.destroy,exchange,exchange_fault,exchange_gone,close\n"
                         "route.0=op:do access=control body=none\n"
                         "route.1=number:7,url:GET:/do/:it access=control body=none\n"},
    {"pushes",
     HEAD("pushes", "transport") "provides=FDS,PUSH\ncallbacks=life.create,life.destroy,limits,probe,attach,answer,"
                                 "answer_open,push,end,forget,pause,drain,detach,conn_push\n"},
};

static void test_dump(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(dumps); i++) {
        CL_FREE char *text = NULL;
        size_t size;
        struct cl_loader *loader = new_loader();
        FILE *to = open_memstream(&text, &size);
        CL_CHECK_INT(dumps[i].name, cl_view_plugin(loader, dumps[i].name, to, NULL), 0);
        fclose(to);
        expect_text(dumps[i].name, text, dumps[i].text);
        cl_loader_free(loader);
    }
}

static void test_dump_refused(void **state)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cl_loader *loader = new_loader();
    (void)state;
    assert_true(cl_view_plugin(loader, "bad-minor", stderr, &err) < 0);
    assert_string_equal(err.step, "minor");
    cl_loader_free(loader);
}

static void test_full_disk(void **state)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cl_loader *loader = new_loader();
    FILE *to = fopen("/dev/full", "we");
    (void)state;
    assert_true(cl_view_plugin(loader, "trace", to, &err) < 0);
    assert_int_equal(err.code, CLOISTER_IO);
    fclose(to);
    cl_loader_free(loader);
}

static int set_up(void **state)
{
    static const char *const plugins[] = {"trace", "bad-minor", "good-personality", "needs-push", "pushes"};
    (void)state;
    cl_log_set_level(CL_LOG_ERROR);
    if (test_prefix_make() < 0)
        return -1;
    for (size_t i = 0; i < CL_COUNT(plugins); i++) {
        char leaf[64];
        snprintf(leaf, sizeof(leaf), "%s.so", plugins[i]);
        test_install(plugins[i], test_prefix, leaf, 0);
    }
    test_install("trace", test_prefix, "a b.so", 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return test_prefix_remove();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_dump),
        cmocka_unit_test(test_dump_refused),
        cmocka_unit_test(test_full_disk),
    };
    if (argc != 2 || geteuid() != 0) {
        fprintf(stderr, "usage, as root: %s DIRECTORY-OF-BUILT-PLUGINS\n", argv[0]);
        return 2;
    }
    test_built = argv[1];
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
