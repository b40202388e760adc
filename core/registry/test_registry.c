/* SPDX-License-Identifier: Apache-2.0 */
/* Chains of tests/badplugins/trace.c, which tell what is done to them through the host's log. argv[1]: where they were
 * built. */
#include "core/registry/registry.h"

#include <errno.h>
#include <string.h>

#include "core/error/error.h"
#include "core/loader/prefix.h"
#include "core/util/str.h"

static struct cl_str told = CL_STR_INIT(65536);

static void tell(const struct cloister_host *host, uint32_t level, const char *format, ...) CLOISTER_PRINTF(3, 4);

static void tell(const struct cloister_host *host, uint32_t level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cl_str_vprintf(&told, format, args);
    va_end(args);
    cl_str_append_char(&told, '\n');
}

static void set_error(struct cloister_error *err, uint32_t code, int32_t os_errno, const char *subject,
                      const char *step, const char *format, ...) CLOISTER_PRINTF(6, 7);

static void set_error(struct cloister_error *err, uint32_t code, int32_t os_errno, const char *subject,
                      const char *step, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cl_error_setv(err, code, os_errno, subject, step, format, args);
    va_end(args);
}

static const struct cloister_log_api log_api = {CLOISTER_INIT(struct cloister_log_api), .log = tell,
                                                .error_set = set_error};

static void fill(void *ctx, struct cl_instance *instance)
{
    *(unsigned *)ctx += 1;
    instance->host.log = &log_api;
}

/* A config around one persistence entry. */
struct fixture {
    struct cl_config *config;
    struct cl_loader *loader;
    struct cl_registry *registry;
    unsigned filled;
};

static void begin(struct fixture *f, const char *name, const char *entry)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    const char *const paths[] = {test_prefix, NULL};
    char got[CL_ERROR_SENTENCE_MAX];
    CL_FREE char *text = cl_asprintf(
        "{\"persistence\":{\"main\":%s},\"isolation\":{\"main\":{\"plugin\":\"good-isolation\"}},\"services\":[{"
        "\"name\":\"s\",\n"
        "\"personality\":{\"plugin\":\"good-personality\"},\"isolation\":\"main\",\"persistence\":\"main\"}]}",
        entry);
    *f = (struct fixture){0};
    cl_str_free(&told);
    if (cl_config_parse("t.conf", cl_sv_cstr(text), &f->config, &err) < 0) {
        cl_error_sentence(&err, got, sizeof(got));
        fail_msg("case '%s': %s", name, got);
    }
    assert_int_equal(cl_loader_new(paths, &f->loader), 0);
    assert_int_equal(cl_registry_new(f->loader, fill, &f->filled, &f->registry), 0);
}

static void end(struct fixture *f)
{
    cl_registry_free(f->registry);
    cl_loader_free(f->loader);
    cl_config_free(f->config);
}

static const struct cl_config_entry *entry_of(const struct fixture *f)
{
    return &f->config->persistence[0];
}

static struct cl_instance *create(struct fixture *f)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cl_instance *instance = NULL;
    int r = cl_registry_create(f->registry, CLOISTER_KIND_PERSISTENCE, "main", entry_of(f), &instance, &err);
    if (r < 0)
        fail_msg("create: %s", cl_error_innermost(&err));
    return instance;
}

static void test_plain(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, "plain", "{\"plugin\":\"trace\",\"n\":7}");
    struct cl_instance *instance = create(&f);
    assert_string_equal(instance->label, "persistence 'main' (trace)");
    assert_null(instance->inner);
    assert_ptr_equal(cl_instance_of(&instance->host), instance);
    assert_int_equal(instance->host.struct_size, sizeof(struct cloister_host));
    assert_ptr_equal(cl_registry_lookup(f.registry, CLOISTER_KIND_PERSISTENCE, "main"), instance);
    assert_null(cl_registry_lookup(f.registry, CLOISTER_KIND_PERSISTENCE, "other"));
    assert_null(cl_registry_lookup(f.registry, CLOISTER_KIND_ISOLATION, "main"));
    struct cl_instance *second = create(&f); /* one plugin, configured twice */
    assert_ptr_not_equal(second->self, instance->self);
    assert_ptr_equal(cl_registry_first(f.registry), instance);
    assert_ptr_equal(instance->next, second);
    cl_registry_destroy(f.registry, instance);
    assert_ptr_equal(cl_registry_first(f.registry), second);
    cl_registry_destroy(f.registry, second);
    assert_string_equal(told.data, "create trace 'main' n=7\ncreate trace 'main' n=7\ndestroy trace\ndestroy trace\n");
    end(&f);
}

/* First named = outermost; created from the inside, called and ended from the outside. */
static void test_wrap_order(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f, "wrap", "{\"plugin\":\"trace\",\"wrap\":[\"wrap-a\",{\"plugin\":\"wrap-b\"}]}");
    struct cl_instance *instance = create(&f);
    assert_string_equal(instance->label, "persistence 'main' (wrap-a)");
    assert_string_equal(instance->inner->label, "persistence 'main' (wrap-b)");
    assert_string_equal(instance->inner->inner->label, "persistence 'main' (trace)");
    assert_int_equal(f.filled, 3);
    for (struct cl_instance *link = instance; link; link = link->inner)
        assert_ptr_equal(cl_instance_of(&link->host), instance);
    instance->vtable->persistence.open(instance->self, NULL, 1);
    cl_registry_destroy(f.registry, instance);
    assert_string_equal(told.data, "create trace 'main' n=3\n"
                                   "create wrap-b 'main' n=0 wrapping\n"
                                   "create wrap-a 'main' n=0 wrapping\n"
                                   "open wrap-a\nopen wrap-b\nopen trace\n"
                                   "destroy wrap-a\ndestroy wrap-b\ndestroy trace\n");
    end(&f);
}

static void test_optional(void **state)
{
    struct fixture f;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    struct cl_instance *instance = (void *)&f;
    const struct cl_module *module = (void *)&f;
    (void)state;
    begin(&f, "optional", "{\"plugin\":\"nowhere\",\"optional\":true}");
    assert_int_equal(cl_registry_check(f.registry, CLOISTER_KIND_PERSISTENCE, entry_of(&f), &module, &err), 0);
    assert_null(module);
    assert_int_equal(cl_registry_create(f.registry, CLOISTER_KIND_PERSISTENCE, "main", entry_of(&f), &instance, &err),
                     0);
    assert_null(instance);
    assert_null(cl_registry_first(f.registry));
    end(&f);
    begin(&f, "optional wrapper",
          "{\"plugin\":\"trace\",\"wrap\":[\"wrap-a\",{\"plugin\":\"nowhere\",\"optional\":true}]}");
    instance = create(&f);
    assert_string_equal(instance->inner->label, "persistence 'main' (trace)");
    cl_registry_destroy(f.registry, instance);
    end(&f);
}

static const struct {
    const char *name;
    const char *entry;
    const char *check;  /* what cl_registry_check says, NULL = nothing; %s is the prefix */
    const char *create; /* what cl_registry_create says where the check is content */
} refusals[] = {
    {"not there", "{\"plugin\":\"nowhere\"}",
     "t.conf:1:34: key 'persistence.main.plugin': plugin 'nowhere' was not found: there is no nowhere.so in PREFIX; "
     "install it or "
     "correct plugin_path",
     NULL},
    {"broken though optional", "{\"plugin\":\"bad-magic\",\"optional\":true}",
     "t.conf:1:34: key 'persistence.main.plugin': plugin file 'PREFIX/bad-magic.so': its magic is 0x12345678, not "
     "0x54534c43; begin "
     "its descriptor with CLOISTER_PLUGIN_STAMP",
     NULL},
    {"another kind", "{\"plugin\":\"good-isolation\"}",
     "t.conf:1:34: key 'persistence.main.plugin': plugin file 'PREFIX/good-isolation.so': it is an isolation plugin, "
     "but a "
     "persistence plugin is asked for; name another plugin there",
     NULL},
    {"wrapper as the plugin", "{\"plugin\":\"wrap-a\"}",
     "t.conf:1:34: key 'persistence.main.plugin': plugin file 'PREFIX/wrap-a.so': it is a wrapper; it may stand in "
     "\"wrap\" only",
     NULL},
    {"plugin as a wrapper", "{\"plugin\":\"trace\",\"wrap\":[\"trace\"]}",
     "t.conf:1:50: key 'persistence.main.wrap[0]': plugin file 'PREFIX/trace.so': it is not a wrapper; only wrappers "
     "may stand in "
     "\"wrap\"",
     NULL},
    {"unknown option", "{\"plugin\":\"trace\",\"nn\":7}",
     "t.conf:1:42: key 'persistence.main.nn': unknown key; did you mean 'n'?", NULL},
    {"option of a wrapper", "{\"plugin\":\"trace\",\"wrap\":[{\"plugin\":\"wrap-a\",\"n\":7}]}",
     "t.conf:1:69: key 'persistence.main.wrap[0].n': unknown key", NULL},
    {"create fails", "{\"plugin\":\"trace\",\"wrap\":[\"wrap-fails\",\"wrap-b\"]}", NULL,
     "plugin 'wrap-fails': the moon is not full"},
    {"create fails silently", "{\"plugin\":\"fails-silently\"}", NULL,
     "plugin 'fails-silently': its create failed without saying why"},
};

static void check_sentence(const char *name, const struct cloister_error *err, const char *want)
{
    char got[CL_ERROR_SENTENCE_MAX];
    struct cl_str text CL_STR_CLEANUP = CL_STR_INIT(4096);
    const char *at = strstr(want, "PREFIX");
    cl_error_sentence(err, got, sizeof(got));
    if (at)
        cl_str_printf(&text, "%.*s%s%s", (int)(at - want), want, test_prefix, at + strlen("PREFIX"));
    else
        cl_str_append_cstr(&text, want);
    CL_CHECK_STR(name, got, text.data);
}

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < CL_COUNT(refusals); i++) {
        struct fixture f;
        struct cloister_error err = CLOISTER_ERROR_INIT;
        struct cl_instance *instance = NULL;
        const char *name = refusals[i].name;
        begin(&f, name, refusals[i].entry);
        int r = cl_registry_check(f.registry, CLOISTER_KIND_PERSISTENCE, entry_of(&f), NULL, &err);
        CL_CHECK_INT(name, r < 0, refusals[i].check != NULL);
        if (r < 0)
            check_sentence(name, &err, refusals[i].check);
        r = cl_registry_create(f.registry, CLOISTER_KIND_PERSISTENCE, "main", entry_of(&f), &instance, &err);
        CL_CHECK(name, r < 0);
        CL_CHECK(name, instance == NULL && cl_registry_first(f.registry) == NULL);
        check_sentence(name, &err, refusals[i].check ? refusals[i].check : refusals[i].create);
        end(&f);
    }
}

/* What was created before a link failed has been ended again. */
static void test_half_a_chain(void **state)
{
    struct fixture f;
    struct cl_instance *instance;
    (void)state;
    begin(&f, "half a chain", "{\"plugin\":\"trace\",\"wrap\":[\"wrap-a\",\"wrap-fails\",\"wrap-b\"]}");
    assert_int_equal(cl_registry_create(f.registry, CLOISTER_KIND_PERSISTENCE, "main", entry_of(&f), &instance, NULL),
                     -EOPNOTSUPP);
    assert_string_equal(told.data,
                        "create trace 'main' n=3\ncreate wrap-b 'main' n=0 wrapping\ndestroy wrap-b\ndestroy trace\n");
    end(&f);
}

static void test_no_memory(void **state)
{
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        struct fixture f;
        struct cl_instance *instance = NULL;
        begin(&f, "no memory", "{\"plugin\":\"trace\",\"wrap\":[\"wrap-a\"]}");
        cl_mem_fail_nth(nth);
        int r = cl_registry_create(f.registry, CLOISTER_KIND_PERSISTENCE, "main", entry_of(&f), &instance, NULL);
        uint64_t used = cl_mem_count();
        cl_mem_fail_nth(0);
        if (r == 0)
            cl_registry_destroy(f.registry, instance);
        end(&f);
        if (r == 0 && used < nth)
            break;
        assert_true(nth < 1000);
    }
}

static int set_up(void **state)
{
    static const char *const plugins[] = {"trace",     "wrap-a",         "wrap-b",         "wrap-fails",
                                          "bad-magic", "fails-silently", "good-isolation", "good-personality"};
    (void)state;
    cl_log_set_level(CL_LOG_ERROR);
    if (test_prefix_make() < 0)
        return -1;
    for (size_t i = 0; i < CL_COUNT(plugins); i++) {
        char leaf[64];
        snprintf(leaf, sizeof(leaf), "%s.so", plugins[i]);
        test_install(plugins[i], test_prefix, leaf, 0);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cl_str_free(&told);
    return test_prefix_remove();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),    cmocka_unit_test(test_wrap_order),   cmocka_unit_test(test_optional),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_half_a_chain), cmocka_unit_test(test_no_memory),
    };
    if (argc != 2 || geteuid() != 0) {
        fprintf(stderr, "usage, as root: %s DIRECTORY-OF-BUILT-PLUGINS\n", argv[0]);
        return 2;
    }
    test_built = argv[1];
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
