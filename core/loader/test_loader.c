/* SPDX-License-Identifier: Apache-2.0 */
/* Loads tests/badplugins from a fresh prefix of root's. argv[1]: where they were built. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error/error.h"
#include "core/loader/callback.h"
#include "core/loader/capability.h"
#include "core/loader/loader.h"
#include "core/loader/prefix.h"
#include "core/log/log.h"
#include "core/util/check.h"
#include "core/util/mem.h"

#define NOBODY 65534
#define REBUILD "rebuild the plugin against this daemon's headers"

static char first_dir[64], second_dir[64];

static void path_in(char *ret, size_t size, const char *dir, const char *leaf)
{
    assert_true(snprintf(ret, size, "%s/%s", dir, leaf) < (int)size);
}

static struct cl_loader *new_loader(void)
{
    const char *const paths[] = {"/nonexistent/plugins", first_dir, second_dir, NULL};
    struct cl_loader *loader;
    assert_int_equal(cl_loader_new(paths, &loader), 0);
    return loader;
}

/* The whole sentence is expected, less the file where it begins with one. */
static void expect_refused(const char *name, const char *asked, uint32_t kind, const char *file, const char *sentence)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    char got[CL_ERROR_SENTENCE_MAX], want[CL_ERROR_SENTENCE_MAX];
    const struct cl_module *module = NULL;
    struct cl_loader *loader = new_loader();
    int r = cl_loader_load(loader, asked, kind, &module, &err);
    CL_CHECK(name, r < 0);
    CL_CHECK(name, module == NULL);
    cl_error_sentence(&err, got, sizeof(got));
    if (file)
        snprintf(want, sizeof(want), "plugin file '%s/%s': %s", first_dir, file, sentence);
    else
        snprintf(want, sizeof(want), "%s", sentence);
    CL_CHECK_STR(name, got, want);
    cl_loader_free(loader);
}

static const struct cl_module *expect_loaded(struct cl_loader *loader, const char *name, uint32_t kind)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    char got[CL_ERROR_SENTENCE_MAX];
    const struct cl_module *module = NULL;
    if (cl_loader_load(loader, name, kind, &module, &err) < 0) {
        cl_error_sentence(&err, got, sizeof(got));
        fail_msg("case '%s': %s", name, got);
    }
    return module;
}

static const struct {
    const char *name;
    uint32_t kind;
    const char *sentence;
} bad_descriptors[] = {
    {"bad-magic", 0, "its magic is 0x12345678, not 0x54534c43; begin its descriptor with CLOISTER_PLUGIN_STAMP"},
    {"bad-major", 0,
     "it was built for ABI major 1, this daemon has 0; rebuild the plugin against this daemon's headers"},
    {"bad-minor", 0,
     "it was built for ABI 0.9, this daemon has 0.3, and before 1.0 both must be equal; rebuild the plugin against "
     "this daemon's "
     "headers"},
    {"bad-host-minor", 0, "it needs a daemon of ABI minor 7 or later, this one has 3; use a newer daemon"},
    {"bad-kind", 0, "it is of kind 9, this daemon knows 1 to 4; use a newer daemon"},
    {"good-persistence", CLOISTER_KIND_ISOLATION,
     "it is a persistence plugin, but an isolation plugin is asked for; name another plugin there"},
    {"bad-requires", 0,
     "it requires host features 0x24, this daemon has 0x0: 0x24 are unknown here; use a newer daemon"},
    {"bad-flags", 0, "its flags are 0x81, this daemon knows 0x1; clear the others"},
    {"bad-text", 0, "its descriptor has no version; give one, \"\" if there is nothing to say"},
    {"bad-name", 0, "it calls itself 'other', but its file is called 'bad-name.so'; rename one of them"},
    {"bad-needs-kind", 0,
     "it is a persistence plugin with needs (transport 0x1, isolation 0x0), which only a personality may have; clear "
     "them"},
    {"bad-needs-bit", 0,
     "it needs isolation capabilities 0x8000000000000001, of which this daemon does not know 0x8000000000000000; use a "
     "newer "
     "daemon"},
    {"bad-vtable", 0, "its descriptor has no vtable; set it to its struct cloister_persistence"},
    {"bad-put", 0, "its persistence vtable lacks the mandatory callback 'put'; implement it"},
    {"bad-plan", 0, "its isolation vtable lacks the mandatory callback 'plan'; implement it"},
    {"bad-exchange", 0, "its personality vtable lacks the mandatory callback 'exchange'; implement it"},
    {"bad-push", 0, "it provides PUSH, but its transport vtable lacks the callback 'push'; implement it"},
    {"cut-detach", 0, "its transport vtable lacks the mandatory callback 'detach'; implement it"},
    {"short-descriptor", 0, "its descriptor has no vtable; set it to its struct cloister_persistence"},
    {"short-persistence", 0, "its persistence vtable lacks the mandatory callback 'cancel'; implement it"},
    {"short-isolation", 0, "its isolation vtable lacks the mandatory callback 'cancel'; implement it"},
    {"no-entry", 0, "it does not export the function cloister_plugin_entry; use CLOISTER_PLUGIN_REGISTER"},
    {"borrower", 0, "it does not export the function cloister_plugin_entry; use CLOISTER_PLUGIN_REGISTER"},
    {"null-descriptor", 0, "its entry function returned no descriptor; use CLOISTER_PLUGIN_REGISTER"},
    {"undefined", 0,
     "it cannot be linked: undefined symbol: nobody_provides_this; link it with -Wl,-z,defs against all that it uses"},
    {"opt-null", 0, "it announces 2 options, but the pointer to them is NULL; set it"},
    {"opt-many", 0, "it has 4294967295 options, at most 1024 are allowed; give fewer"},
    {"opt-reserved-key", 0, "its option 'wrap' has a key that is the daemon's own; rename it"},
    {"opt-key", 0, "its option number 2 has no key of 1 to 64 of a-z, 0-9 and '_'; correct the key"},
    {"opt-type", 0, "its option 'path' has type 9, this daemon knows 1 to 4; use a known one"},
    {"opt-both", 0, "its option 'path' is required and has a default; drop one of them"},
    {"opt-default", 0, "its option 'n' has a default that is not a valid value of it; correct the default"},
    {"opt-range", 0, "its option 'n' has a minimum above its maximum; correct its range"},
    {"opt-twice", 0, "its option 'n' is there twice; drop one"},
    {"opt-reserved", 0, "its option 'path' has unknown flags or reserved members that are not zero; clear them"},
    {"opt-help", 0, "its option 'n' has no one-line help; say what it is for"},
    {"route-unreachable", 0,
     "its route number 2 ('') has neither URL, word nor number; give it one, it cannot be reached"},
    {"route-access", 0, "its route number 1 ('do') has no access class of OBSERVE, CONTROL or ADMIN; give it one"},
    {"route-half-url", 0,
     "its route number 1 ('') has a verb without a path or a path without a verb; give both or neither"},
    {"route-slash", 0, "its route number 1 ('do') has a path that does not begin with '/'; correct it"},
    {"route-twice", 0, "its route number 2 ('do') is reached in the same way as an earlier one; drop one"},
    {"route-body", 0, "its route number 1 ('do') has an unknown body policy; use NONE, WHOLE or STREAM"},
    {"route-reserved", 0,
     "its route number 1 ('do') has unknown flags or reserved members that are not zero; clear them"},
};

static void test_descriptors(void **state)
{
    (void)state;
    test_install("liblender", first_dir, "liblender.so", 0); /* of the borrower */
    for (size_t i = 0; i < CL_COUNT(bad_descriptors); i++) {
        char leaf[64];
        snprintf(leaf, sizeof(leaf), "%s.so", bad_descriptors[i].name);
        test_install(bad_descriptors[i].name, first_dir, leaf, 0);
        expect_refused(bad_descriptors[i].name, bad_descriptors[i].name, bad_descriptors[i].kind, leaf,
                       bad_descriptors[i].sentence);
    }
}

/* Sentences with sizes of ours in them. */
static const struct {
    const char *name;
    const char *before;
    size_t size;
    const char *after;
} bad_sizes[] = {
    {"bad-size", "its descriptor claims 8 bytes where ", sizeof(struct cloister_plugin), " are expected; " REBUILD},
    {"bad-vtable-size", "its persistence vtable claims 4 bytes where 24 to ", sizeof(struct cloister_persistence),
     " are expected; begin it with CLOISTER_INIT"},
    {"opt-size", "its options are announced with 8 bytes each where ", sizeof(struct cloister_option),
     " are expected; " REBUILD},
};

static void test_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(bad_sizes); i++) {
        char leaf[64];
        CL_FREE char *sentence = cl_asprintf("%s%zu%s", bad_sizes[i].before, bad_sizes[i].size, bad_sizes[i].after);
        snprintf(leaf, sizeof(leaf), "%s.so", bad_sizes[i].name);
        test_install(bad_sizes[i].name, first_dir, leaf, 0);
        expect_refused(bad_sizes[i].name, bad_sizes[i].name, 0, leaf, sentence);
    }
}

/* ---- files ---- */

static void make_text(const char *leaf)
{
    test_write_file(first_dir, leaf, "#!/bin/sh\n", 10);
}

static void make_empty(const char *leaf)
{
    test_write_file(first_dir, leaf, "", 0);
}

static void make_header_only(const char *leaf)
{
    test_install("good-transport", first_dir, leaf, 40);
}

static void make_cut(const char *leaf)
{
    test_install("good-transport", first_dir, leaf, 4096);
}

static void make_program(const char *leaf)
{
    unsigned char header[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1, [16] = 2};
    test_write_file(first_dir, leaf, header, sizeof(header));
}

static void make_link(const char *leaf)
{
    char path[256];
    test_install("good-transport", first_dir, "good-transport.so", 0);
    path_in(path, sizeof(path), first_dir, leaf);
    assert_int_equal(symlink("good-transport.so", path), 0);
}

static void make_dir(const char *leaf)
{
    char path[256];
    path_in(path, sizeof(path), first_dir, leaf);
    assert_int_equal(mkdir(path, 0755), 0);
}

static void make_fifo(const char *leaf)
{
    char path[256];
    path_in(path, sizeof(path), first_dir, leaf);
    assert_int_equal(mkfifo(path, 0644), 0);
}

static void make_with(const char *leaf, mode_t mode, uid_t uid, gid_t gid)
{
    char path[256];
    test_install("good-transport", first_dir, leaf, 0);
    path_in(path, sizeof(path), first_dir, leaf);
    assert_int_equal(chown(path, uid, gid), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void make_world_writable(const char *leaf)
{
    make_with(leaf, 0757, 0, 0);
}

static void make_group_writable(const char *leaf)
{
    make_with(leaf, 0775, 0, NOBODY);
}

static void make_foreign(const char *leaf)
{
    make_with(leaf, 0755, NOBODY, NOBODY);
}

static const struct {
    const char *name;
    void (*make)(const char *leaf);
    const char *sentence;
} bad_files[] = {
    {"text", make_text, "it is not an ELF file; build it as a shared library for this machine"},
    {"empty", make_empty, "it is not an ELF file; build it as a shared library for this machine"},
    {"header-only", make_header_only, "it is cut off: it should have at least 64 bytes and has 40; copy it again"},
    {"program", make_program,
     "it is an ELF file but not a shared object; build it as a shared library for this machine"},
    {"link", make_link, "it is a symbolic link, not a regular file; put the plugin itself there"},
    {"dir", make_dir, "it is a directory, not a regular file; put the plugin itself there"},
    {"fifo", make_fifo, "it is a fifo, not a regular file; put the plugin itself there"},
    {"world-writable", make_world_writable,
     "it has mode 0757, so others than root may change it; run chmod go-w on it"},
    {"group-writable", make_group_writable,
     "it has mode 0775, so others than root may change it; run chmod go-w on it"},
    {"foreign", make_foreign, "it is owned by uid 65534, not by root; run chown root on it"},
};

static void test_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(bad_files); i++) {
        char leaf[64];
        snprintf(leaf, sizeof(leaf), "%s.so", bad_files[i].name);
        bad_files[i].make(leaf);
        expect_refused(bad_files[i].name, bad_files[i].name, 0, leaf, bad_files[i].sentence);
    }
}

static void test_cut_off(void **state)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    const struct cl_module *module;
    struct cl_loader *loader = new_loader();
    (void)state;
    make_cut("cut.so");
    assert_true(cl_loader_load(loader, "cut", 0, &module, &err) < 0);
    assert_string_equal(err.step, "elf");
    assert_non_null(strstr(cl_error_innermost(&err), "has 4096; copy it again"));
    cl_loader_free(loader);
}

static void test_wrong_leaf(void **state)
{
    char path[256];
    (void)state;
    test_install("good-transport", first_dir, "Odd_Name.so", 0);
    path_in(path, sizeof(path), first_dir, "Odd_Name.so");
    expect_refused("odd leaf", path, 0, "Odd_Name.so",
                   "it is not called NAME.so, NAME being 1 to 32 of a-z, 0-9 and '-'; rename it");
}

static const struct {
    const char *name;
    const char *asked;
    const char *sentence;
} bad_names[] = {
    {"relative", "a/b", "plugin 'a/b' is a relative path; give a name without '/', or an absolute path"},
    {"upper case", "Memory", "plugin name 'Memory' is not 1 to 32 of a-z, 0-9 and '-'; correct it"},
    {"empty", "", "plugin name '' is not 1 to 32 of a-z, 0-9 and '-'; correct it"},
    {"dots", "..", "plugin name '..' is not 1 to 32 of a-z, 0-9 and '-'; correct it"},
    {"too long", "a23456789012345678901234567890123",
     "plugin name 'a23456789012345678901234567890123' is not 1 to 32 of a-z, 0-9 and '-'; correct it"},
};

static void test_names(void **state)
{
    char sentence[512];
    (void)state;
    for (size_t i = 0; i < CL_COUNT(bad_names); i++)
        expect_refused(bad_names[i].name, bad_names[i].asked, 0, NULL, bad_names[i].sentence);
    snprintf(
        sentence, sizeof(sentence),
        "plugin 'nothing' was not found: there is no nothing.so in /nonexistent/plugins, %s, %s; install it or correct "
        "plugin_path",
        first_dir, second_dir);
    expect_refused("missing", "nothing", 0, NULL, sentence);
}

/* ---- directories ---- */

static void expect_dir_refused(const char *name, const char *sentence)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    char got[CL_ERROR_SENTENCE_MAX];
    const struct cl_module *module;
    struct cl_loader *loader = new_loader();
    CL_CHECK(name, cl_loader_load(loader, "good-transport", 0, &module, &err) < 0);
    CL_CHECK_INT(name, err.code, CLOISTER_DENIED);
    cl_error_sentence(&err, got, sizeof(got));
    CL_CHECK_STR(name, got, sentence);
    cl_loader_free(loader);
}

static void test_directories(void **state)
{
    char sentence[512];
    (void)state;
    test_install("good-transport", first_dir, "good-transport.so", 0);

    assert_int_equal(chmod(first_dir, 01777), 0);
    snprintf(sentence, sizeof(sentence),
             "plugin directory '%s' has mode 1777, so others than root may write to it; run: chmod go-w '%s'",
             first_dir, first_dir);
    expect_dir_refused("world-writable directory, though sticky", sentence);
    assert_int_equal(chmod(first_dir, 0755), 0);

    assert_int_equal(chown(first_dir, NOBODY, 0), 0);
    snprintf(sentence, sizeof(sentence),
             "plugin directory '%s' is owned by uid 65534, not by root; run: chown root '%s'", first_dir, first_dir);
    expect_dir_refused("foreign directory", sentence);
    assert_int_equal(chown(first_dir, 0, 0), 0);

    assert_int_equal(chmod(test_prefix, 0777), 0);
    snprintf(sentence, sizeof(sentence),
             "directory '%s' above plugin directory '%s' has mode 0777, so others than root may replace what is in it; "
             "run: chmod "
             "go-w '%s'",
             test_prefix, first_dir, test_prefix);
    expect_dir_refused("world-writable ancestor", sentence);

    struct cl_loader *loader = new_loader();
    assert_int_equal(chmod(test_prefix, 01777), 0);
    expect_loaded(loader, "good-transport", 0); /* sticky: like /tmp */
    assert_int_equal(chmod(test_prefix, 0755), 0);
    cl_loader_free(loader);

    assert_int_equal(chown(test_prefix, NOBODY, 0), 0);
    snprintf(sentence, sizeof(sentence),
             "directory '%s' above plugin directory '%s' is owned by uid 65534, not by root; run: chown root '%s'",
             test_prefix, first_dir, test_prefix);
    expect_dir_refused("foreign ancestor", sentence);
    assert_int_equal(chown(test_prefix, 0, 0), 0);
}

/* ---- good ones ---- */

static void test_search_order(void **state)
{
    char path[256], other[256];
    struct cl_loader *loader = new_loader();
    (void)state;
    test_install("good-transport", first_dir, "good-transport.so", 0);
    test_install("good-transport", second_dir, "good-transport.so", 0);
    test_install("good-isolation", second_dir, "good-isolation.so", 0);
    path_in(path, sizeof(path), first_dir, "good-transport.so");
    path_in(other, sizeof(other), second_dir, "good-transport.so");
    const struct cl_module *module = expect_loaded(loader, "good-transport", CLOISTER_KIND_TRANSPORT);
    assert_string_equal(module->path, path);
    assert_ptr_equal(expect_loaded(loader, "good-transport", 0), module); /* once */
    assert_ptr_equal(expect_loaded(loader, path, 0), module);
    assert_string_equal(expect_loaded(loader, other, 0)->path, other);
    path_in(path, sizeof(path), second_dir, "good-isolation.so");
    assert_string_equal(expect_loaded(loader, "good-isolation", 0)->path, path);
    cl_loader_free(loader);
}

/* Told once each, however many entries name the plugin. */
static void test_choice_is_logged(void **state)
{
    char want[512], got[512] = "";
    int ends[2];
    struct cl_loader *loader = new_loader();
    (void)state;
    test_install("good-transport", first_dir, "good-transport.so", 0);
    test_install("good-transport", second_dir, "good-transport.so", 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    cl_log_set_fd(ends[1]);
    cl_log_set_level(CL_LOG_INFO);
    expect_loaded(loader, "good-transport", 0);
    expect_loaded(loader, "good-transport", 0);
    cl_log_set_level(CL_LOG_ERROR);
    cl_log_set_fd(2);
    assert_true(read(ends[0], got, sizeof(got) - 1) > 0);
    close(ends[0]);
    close(ends[1]);
    snprintf(
        want, sizeof(want),
        "info loader: plugin 'good-transport': %s/good-transport.so\n"
        "info loader: plugin 'good-transport': %s/good-transport.so passed over, %s/good-transport.so comes first\n",
        first_dir, second_dir, first_dir);
    assert_string_equal(got, want);
    cl_loader_free(loader);
}

/* A fault in the first must not let the second in. */
static void test_refused_does_not_fall_through(void **state)
{
    (void)state;
    make_world_writable("good-isolation.so");
    test_install("good-isolation", second_dir, "good-isolation.so", 0);
    expect_refused("fall through", "good-isolation", 0, "good-isolation.so",
                   "it has mode 0757, so others than root may change it; run chmod go-w on it");
    test_install("good-isolation", first_dir, "good-isolation.so", 0);
}

static void test_wanted_kind_of_loaded(void **state)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    const struct cl_module *module;
    struct cl_loader *loader = new_loader();
    (void)state;
    test_install("good-isolation", first_dir, "good-isolation.so", 0);
    expect_loaded(loader, "good-isolation", CLOISTER_KIND_ISOLATION);
    assert_true(cl_loader_load(loader, "good-isolation", CLOISTER_KIND_TRANSPORT, &module, &err) < 0);
    assert_string_equal(err.step, "kind");
    cl_loader_free(loader);
}

static void test_environment_is_ignored(void **state)
{
    (void)state;
    test_install("good-isolation", second_dir, "only-there.so", 0);
    assert_int_equal(setenv("CLOISTER_PLUGIN_PATH", second_dir, 1), 0);
    assert_int_equal(setenv("LD_LIBRARY_PATH", second_dir, 1), 0);
    const char *const paths[] = {first_dir, NULL};
    struct cloister_error err = CLOISTER_ERROR_INIT;
    const struct cl_module *module;
    struct cl_loader *loader;
    assert_int_equal(cl_loader_new(paths, &loader), 0);
    assert_int_equal(cl_loader_load(loader, "only-there", 0, &module, &err), -ENOENT);
    assert_int_equal(err.code, CLOISTER_NO_ENTITY);
    cl_loader_free(loader);
    unsetenv("CLOISTER_PLUGIN_PATH");
    unsetenv("LD_LIBRARY_PATH");
}

/* Neither side's bytes beyond what both have: short ones read as zero, long ones are cut. */
static const struct {
    const char *name;
    uint32_t kind;
    const char *absent; /* a slot the plugin filled behind the size it declared */
} sizes[] = {
    {"short-transport", CLOISTER_KIND_TRANSPORT, "conn_push"},
    {"short-personality", CLOISTER_KIND_PERSONALITY, "close"},
    {"short-options", CLOISTER_KIND_PERSISTENCE, NULL},
    {"good-transport", CLOISTER_KIND_TRANSPORT, NULL},
    {"good-personality", CLOISTER_KIND_PERSONALITY, NULL},
    {"good-isolation", CLOISTER_KIND_ISOLATION, NULL},
    {"good-persistence", CLOISTER_KIND_PERSISTENCE, NULL},
    {"long-descriptor", CLOISTER_KIND_PERSISTENCE, NULL},
    {"long-options", CLOISTER_KIND_PERSISTENCE, NULL},
    {"long-routes", CLOISTER_KIND_PERSONALITY, NULL},
};

static void check_copy(const char *name, const struct cl_module *module, const char *absent)
{
    static const union cl_vtable zero;
    size_t count, own = cl_vtable_size(module->plugin.kind);
    uint32_t declared;
    const struct cl_callback *callbacks = cl_callbacks(module->plugin.kind, &count);
    memcpy(&declared, &module->vtable, sizeof(declared));
    CL_CHECK_INT(name, declared, own);
    CL_CHECK_INT(name, module->plugin.struct_size, sizeof(struct cloister_plugin));
    CL_CHECK(name, module->plugin.vtable == &module->vtable);
    /* Nothing of a longer vtable of another kind may lie behind this one's end. */
    CL_CHECK(name, memcmp((const char *)&module->vtable + own, &zero, sizeof(zero) - own) == 0);
    for (size_t i = 0; i < count; i++)
        if (absent && strcmp(callbacks[i].name, absent) == 0)
            CL_CHECK(name, !cl_callback_present(&module->vtable, &callbacks[i]));
    for (uint32_t i = 0; i < module->plugin.option_count; i++) {
        CL_CHECK(name, module->plugin.options == module->options);
        CL_CHECK_INT(name, module->options[i].reserved[0], 0);
    }
}

static void test_copies(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(sizes); i++) {
        char leaf[64];
        struct cl_loader *loader = new_loader();
        snprintf(leaf, sizeof(leaf), "%s.so", sizes[i].name);
        test_install(sizes[i].name, first_dir, leaf, 0);
        check_copy(sizes[i].name, expect_loaded(loader, sizes[i].name, sizes[i].kind), sizes[i].absent);
        cl_loader_free(loader);
    }
}

/* The code stays although nobody holds the module any more. */
static void test_never_unmapped(void **state)
{
    struct cl_loader *loader = new_loader();
    (void)state;
    test_install("good-transport", first_dir, "good-transport.so", 0);
    const struct cl_module *module = expect_loaded(loader, "good-transport", 0);
    uint32_t (*probe)(void *instance, struct cloister_sv first) = module->vtable.transport.probe;
    cl_loader_free(loader);
    assert_int_equal(probe(NULL, CLOISTER_SV("x")), CLOISTER_PROBE_NO);
}

struct scan_count {
    int good, bad;
    char last[256];
};

static void count_file(void *ctx, const char *path, const struct cl_module *module, const struct cloister_error *err)
{
    struct scan_count *count = ctx;
    CL_CHECK(path, !module == !!err);
    CL_CHECK(path, strcmp(path, count->last) > 0);
    snprintf(count->last, sizeof(count->last), "%s", path);
    *(module ? &count->good : &count->bad) += 1;
}

static void test_scan(void **state)
{
    char dir[80];
    struct scan_count count = {0};
    struct cl_loader *loader;
    (void)state;
    snprintf(dir, sizeof(dir), "%s/scan", test_prefix);
    assert_int_equal(mkdir(dir, 0755), 0);
    test_install("good-transport", dir, "good-transport.so", 0);
    test_install("good-isolation", dir, "good-isolation.so", 0);
    test_install("bad-magic", dir, "bad-magic.so", 0);
    test_write_file(dir, "text.so", "x", 1);
    test_write_file(dir, "readme", "x", 1);
    const char *const paths[] = {"/nonexistent/plugins", dir, NULL};
    assert_int_equal(cl_loader_new(paths, &loader), 0);
    assert_int_equal(cl_loader_scan(loader, count_file, &count), 0);
    assert_int_equal(count.good, 2);
    assert_int_equal(count.bad, 2);
    cl_loader_free(loader);
}

static void test_no_memory(void **state)
{
    (void)state;
    test_install("good-persistence", first_dir, "good-persistence.so", 0);
    for (uint64_t nth = 1;; nth++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        const struct cl_module *module;
        struct cl_loader *loader = new_loader();
        cl_mem_fail_nth(nth);
        int r = cl_loader_load(loader, "good-persistence", 0, &module, &err);
        uint64_t used = cl_mem_count();
        cl_mem_fail_nth(0);
        cl_loader_free(loader);
        if (r == 0 && used < nth)
            break;
        assert_true(r == 0 || err.code != CLOISTER_OK);
        assert_true(nth < 1000);
    }
}

static void test_capability_words(void **state)
{
    struct cl_str words CL_STR_CLEANUP = CL_STR_INIT(4096);
    (void)state;
    cl_capability_words(CLOISTER_KIND_TRANSPORT, CLOISTER_TRANSPORT_FDS | CLOISTER_TRANSPORT_ADOPT | 1ull << 40, ",",
                        &words);
    assert_string_equal(words.data, "FDS,ADOPT,0x10000000000");
    assert_string_equal(cl_capability_word(CLOISTER_KIND_ISOLATION, 30), "MACHINE_POWER");
    assert_string_equal(cl_capability_word(CLOISTER_KIND_ISOLATION, 8), "KILL_WHILE_FROZEN");
    assert_null(cl_capability_word(CLOISTER_KIND_ISOLATION, 31));
    assert_null(cl_capability_word(CLOISTER_KIND_PERSONALITY, 0));
}

static int set_up(void **state)
{
    (void)state;
    cl_log_set_level(CL_LOG_ERROR);
    if (test_prefix_make() < 0)
        return -1;
    snprintf(first_dir, sizeof(first_dir), "%s/first", test_prefix);
    snprintf(second_dir, sizeof(second_dir), "%s/second", test_prefix);
    return mkdir(first_dir, 0755) < 0 || mkdir(second_dir, 0755) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    return test_prefix_remove();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_wrong_leaf),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_search_order),
        cmocka_unit_test(test_choice_is_logged),
        cmocka_unit_test(test_refused_does_not_fall_through),
        cmocka_unit_test(test_wanted_kind_of_loaded),
        cmocka_unit_test(test_environment_is_ignored),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_never_unmapped),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_capability_words),
    };
    if (argc != 2 || geteuid() != 0) {
        fprintf(stderr, "usage, as root: %s DIRECTORY-OF-BUILT-PLUGINS\n", argv[0]);
        return 2;
    }
    test_built = argv[1];
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
