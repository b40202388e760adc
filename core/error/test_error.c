/* SPDX-License-Identifier: Apache-2.0 */
#include "core/error/error.h"

#include "core/util/check.h"
#include "core/util/sv.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *sentence_of(const struct cloister_error *err)
{
    static char buffer[4096];
    (void)cl_error_sentence(err, buffer, sizeof(buffer));
    return buffer;
}

static void wraps_from_the_inside_out(void **state)
{
    (void)state;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    int r = cl_error_set(&err, CLOISTER_CGROUP_FAILED, -EACCES, "/x", "join-cgroup", "open %s", "cgroup.procs");
    assert_int_equal(r, -EACCES);
    assert_string_equal(cl_error_innermost(&err), "open cgroup.procs");
    cl_error_wrap(&err, "join cgroup '%s'", "/x");
    cl_error_wrap(&err, "start sandbox '%s'", "web");
    assert_string_equal(sentence_of(&err),
                        "start sandbox 'web': join cgroup '/x': open cgroup.procs: Permission denied");
    assert_string_equal(err.chain, "start sandbox 'web'");
    assert_string_equal(cl_error_innermost(&err), "open cgroup.procs");
    assert_int_equal(err.chain_size,
                     strlen("start sandbox 'web'") + strlen("join cgroup '/x'") + strlen("open cgroup.procs") + 3);
    assert_int_equal(err.os_errno, EACCES);
    assert_int_equal(err.code, CLOISTER_CGROUP_FAILED);
    assert_string_equal(err.subject, "/x");
    assert_string_equal(err.step, "join-cgroup");
}

static void set_replaces_all(void **state)
{
    (void)state;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)cl_error_set(&err, CLOISTER_IO, EIO, "s", "t", "a long first sentence");
    cl_error_position(&err, 3, 4, 50);
    assert_int_equal(err.line, 3);
    assert_int_equal(err.column, 4);
    assert_int_equal(err.offset, 50);
    assert_int_equal(cl_error_set(&err, CLOISTER_NO_ENTITY, 0, NULL, NULL, "b"), -ENOENT);
    assert_string_equal(sentence_of(&err), "b");
    assert_string_equal(err.subject, "");
    assert_string_equal(err.step, "");
    assert_int_equal(err.line, 0);
    assert_int_equal(err.chain_size, 2);
}

static void nobody_wants_to_know(void **state)
{
    (void)state;
    struct cloister_error unset;
    memset(&unset, 0, sizeof(unset));
    assert_int_equal(cl_error_set(NULL, CLOISTER_DENIED, 0, "s", "t", "x"), -EACCES);
    cl_error_wrap(NULL, "x");
    cl_error_subject(NULL, CLOISTER_SV("x"));
    cl_error_position(NULL, 1, 1, 1);
    cl_error_clear(NULL);
    cl_error_copy(NULL, &unset);
    assert_string_equal(cl_error_innermost(NULL), "");
    assert_string_equal(sentence_of(NULL), "no details");
    assert_int_equal(cl_error_set(&unset, CLOISTER_DENIED, 0, "s", "t", "x"), -EACCES);
    cl_error_wrap(&unset, "x");
    assert_int_equal(unset.code, 0); /* an object of unknown size is not written to */
    assert_int_equal(unset.chain_size, 0);
}

static void cuts_at_the_inner_end(void **state)
{
    (void)state;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)cl_error_set(&err, CLOISTER_IO, 0, "", "", "the innermost");
    for (int i = 0; i < 500; i++)
        cl_error_wrap(&err, "context number %03d", i);
    assert_true(err.chain_size <= CLOISTER_CHAIN_MAX);
    assert_int_equal(err.chain[err.chain_size - 1], 0);
    const char *sentence = sentence_of(&err);
    assert_true(strncmp(sentence, "context number 499: context number 498: ", 40) == 0);
    assert_string_equal(sentence + strlen(sentence) - 3, "...");
    assert_null(strstr(sentence, "innermost"));
}

static void cuts_one_long_context_at_a_character(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t pad;
    } cases[] = {{"no pad", 0}, {"one", 1}, {"two", 2}};
    for (size_t c = 0; c < CL_COUNT(cases); c++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        char text[1600] = "";
        memset(text, 'x', cases[c].pad);
        for (size_t i = cases[c].pad; i + 4 < sizeof(text); i += 3)
            memcpy(text + i, "\xe2\x82\xac", 4);
        (void)cl_error_set(&err, CLOISTER_IO, 0, text, text, "%s", text);
        cl_error_wrap(&err, "out");
        CL_CHECK(cases[c].name, cl_sv_utf8(cl_sv_cstr(sentence_of(&err))));
        CL_CHECK(cases[c].name, cl_sv_utf8(cl_sv_cstr(err.subject)) && strstr(err.subject, "..."));
        CL_CHECK(cases[c].name, cl_sv_utf8(cl_sv_cstr(err.step)) && strstr(err.step, "..."));
        CL_CHECK(cases[c].name, strncmp(sentence_of(&err), "out: ", 5) == 0);
    }
}

static void sentence_fits_every_buffer(void **state)
{
    (void)state;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    (void)cl_error_set(&err, CLOISTER_IO, EIO, "", "", "abc");
    size_t full = strlen("abc: Input/output error");
    for (size_t size = 0; size < 40; size++) {
        char name[16], buffer[64];
        (void)snprintf(name, sizeof(name), "size %zu", size);
        memset(buffer, '#', sizeof(buffer));
        CL_CHECK_INT(name, cl_error_sentence(&err, buffer, size), full);
        CL_CHECK(name, buffer[size] == '#');
        if (size > 0)
            CL_CHECK(name, memchr(buffer, 0, size) != NULL);
        if (size > full)
            CL_CHECK_STR(name, buffer, "abc: Input/output error");
    }
    char ten[10];
    (void)cl_error_sentence(&err, ten, sizeof(ten));
    assert_string_equal(ten, "abc: I...");
}

static void a_damaged_chain_is_harmless(void **state)
{
    (void)state;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    memset(err.chain, 'x', sizeof(err.chain));
    err.code = CLOISTER_BUSY;
    err.chain_size = 70000;
    assert_string_equal(sentence_of(&err), "busy");
    assert_string_equal(cl_error_innermost(&err), "");
    err.chain_size = CLOISTER_CHAIN_MAX; /* no NUL anywhere */
    assert_int_equal(strlen(sentence_of(&err)), CLOISTER_CHAIN_MAX);
    assert_string_equal(cl_error_innermost(&err), "");
    cl_error_wrap(&err, "new");
    assert_int_equal(strncmp(sentence_of(&err), "new: xxx", 8), 0);
}

static void codes_have_names_and_errnos(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < CLOISTER_CODE_COUNT; code++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "code %u", code);
        CL_CHECK(name, cl_error_code_name(code) != NULL);
        CL_CHECK(name, strcmp(cl_error_code_name(code), "unknown") != 0);
        CL_CHECK(name, code == 0 ? cl_error_errno_of(code) == 0 : cl_error_errno_of(code) < 0);
    }
    assert_string_equal(cl_error_code_name(CLOISTER_NO_ENTITY), "no_entity");
    assert_string_equal(cl_error_code_name(CLOISTER_CODE_COUNT), "unknown");
    assert_int_equal(cl_error_errno_of(77), -EIO);
    assert_int_equal(cl_error_code_of(-ENOENT), CLOISTER_NO_ENTITY);
    assert_int_equal(cl_error_code_of(EACCES), CLOISTER_DENIED);
    assert_int_equal(cl_error_code_of(EPIPE), CLOISTER_IO);
    assert_int_equal(cl_error_code_of(0), CLOISTER_OK);
}

static void copies_keep_the_size(void **state)
{
    (void)state;
    struct cloister_error a = CLOISTER_ERROR_INIT;
    struct cloister_error b = CLOISTER_ERROR_INIT;
    a.struct_size += 8; /* a newer peer's object is larger */
    (void)cl_error_set(&b, CLOISTER_LOST, 0, "", "", "gone");
    cl_error_subject(&b, cl_sv("a\0b", 3));
    cl_error_copy(&a, &b);
    assert_int_equal(a.struct_size, sizeof(a) + 8);
    assert_string_equal(sentence_of(&a), "gone");
    assert_string_equal(a.subject, "a");
    cl_error_clear(&a);
    assert_int_equal(a.struct_size, sizeof(a) + 8);
    assert_string_equal(sentence_of(&a), "ok");
    a.os_errno = 99999;
    assert_string_equal(sentence_of(&a), "ok: errno 99999");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wraps_from_the_inside_out),
        cmocka_unit_test(set_replaces_all),
        cmocka_unit_test(nobody_wants_to_know),
        cmocka_unit_test(cuts_at_the_inner_end),
        cmocka_unit_test(cuts_one_long_context_at_a_character),
        cmocka_unit_test(sentence_fits_every_buffer),
        cmocka_unit_test(a_damaged_chain_is_harmless),
        cmocka_unit_test(codes_have_names_and_errnos),
        cmocka_unit_test(copies_keep_the_size),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
