/* SPDX-License-Identifier: Apache-2.0 */
/* test_place.c - what `cp` is told, and where that puts things. */
#include "core/util/check.h"
#include "core/util/mem.h"
#include "place.h"
#include <string.h>

static void test_parse(void **state)
{
    static const struct {
        const char *text, *container, *path, *given; /* path NULL = refused */
        bool content;
    } cases[] = {
        {"web:/etc/passwd", "web", "/etc/passwd", "/etc/passwd", false},
        {"web:etc", "web", "/etc", "/etc", false},
        {"web:/etc/", "web", "/etc", "/etc/", false},
        {"web:/etc/.", "web", "/etc/", "/etc/.", true},
        {"web:/etc/./", "web", "/etc/", "/etc/./", true},
        {"web:/", "web", "/", "/", true},
        {"web:/.", "web", "/", "/.", true},
        {"web:a:b", "web", "/a:b", "/a:b", false},
        {"file", NULL, "file", "file", false},
        {"./a:b", NULL, "./a:b", "./a:b", false},
        {"/a:b/", NULL, "/a:b", "/a:b/", false},
        {"dir/.", NULL, "dir", "dir/.", true},
        {".", NULL, ".", ".", true},
        {"./.", NULL, ".", "./.", true},
        {"..", NULL, "..", "..", false},
        {"a.", NULL, "a.", "a.", false},
        {"-", NULL, "-", "-", false},
        {"/", NULL, "/", "/", false},
        {"", NULL, NULL, NULL, false},
        {"web:", NULL, NULL, NULL, false},
        {":/x", NULL, NULL, NULL, false},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        CTL_PLACE_CLEANUP struct ctl_place place = CTL_PLACE_INIT;
        int result = ctl_place_parse(cases[i].text, &place, &err);
        CL_CHECK_INT(cases[i].text, result == 0, cases[i].path != NULL);
        CL_CHECK_INT(cases[i].text, err.code, cases[i].path ? CLOISTER_OK : CLOISTER_INVALID);
        if (!cases[i].path)
            continue;
        CL_CHECK_STR(cases[i].text, place.path, cases[i].path);
        CL_CHECK_STR(cases[i].text, place.given, cases[i].given);
        CL_CHECK_STR(cases[i].text, place.container ? place.container : "-",
                     cases[i].container ? cases[i].container : "-");
        CL_CHECK_INT(cases[i].text, place.content, cases[i].content);
    }
}

static void test_targets(void **state)
{
    static const struct ctl_arrival file = {.directory = false}, directory = {.directory = true},
                                    content = {.directory = true, .content = true};
    static const struct {
        const char *name;
        const struct ctl_arrival *arrival;
        char there;                         /* 'f', 'd', or nothing */
        const char *destination, *at, *top; /* at NULL = refused */
        bool make;
    } cases[] = {
        {"a file, a new name", &file, 0, "/d/new", "/d", "new", false},
        {"a file, a new name here", &file, 0, "new", ".", "new", false},
        {"a file, below the root", &file, 0, "/new", "/", "new", false},
        {"a file over a file", &file, 'f', "/d/old", "/d", "old", false},
        {"a file into a directory", &file, 'd', "/d", "/d", NULL, false},
        {"a file into a directory that is not there", &file, 0, "/d/", NULL, NULL, false},
        {"a directory, a new name", &directory, 0, "/d/new", "/d", "new", false},
        {"a directory, a new name with a slash", &directory, 0, "/d/new/", "/d", "new", false},
        {"a directory over a file", &directory, 'f', "/d/old", NULL, NULL, false},
        {"a directory into a directory", &directory, 'd', "/d/", "/d/", NULL, false},
        {"what is in one, a new name", &content, 0, "/d/new", "/d/new", NULL, true},
        {"what is in one, into a directory", &content, 'd', "/d", "/d", NULL, false},
        {"what is in one, over a file", &content, 'f', "/d/old", NULL, NULL, false},
        {"no name", &directory, 0, "/d/..", NULL, NULL, false},
    };
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        struct cloister_error err = CLOISTER_ERROR_INIT;
        struct ctl_arrival arrival = *cases[i].arrival;
        struct ctl_target target = {.directory = NULL};
        arrival.there = cases[i].there != 0;
        arrival.there_directory = cases[i].there == 'd';
        int result = ctl_place_target(&arrival, cases[i].destination, &target, &err);
        CL_CHECK_INT(cases[i].name, result == 0, cases[i].at != NULL);
        if (cases[i].at) {
            CL_CHECK_STR(cases[i].name, target.directory, cases[i].at);
            CL_CHECK_STR(cases[i].name, target.top ? target.top : "-", cases[i].top ? cases[i].top : "-");
            CL_CHECK_INT(cases[i].name, target.make, cases[i].make);
        }
        ctl_target_free(&target);
    }
}

static void test_base(void **state)
{
    static const struct {
        const char *path, *base;
    } cases[] = {{"/a/b", "b"}, {"b", "b"}, {"/", ""}, {"/usr/bin/..", "usr"}, {"/nonexistent/x", "x"}};
    for (size_t i = 0; i < CL_COUNT(cases); i++) {
        CL_FREE char *base = NULL;
        CL_CHECK_INT(cases[i].path, ctl_place_base(cases[i].path, &base, NULL), 0);
        CL_CHECK_STR(cases[i].path, base, cases[i].base);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_targets),
                                       cmocka_unit_test(test_base)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
