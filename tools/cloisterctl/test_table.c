/* SPDX-License-Identifier: Apache-2.0 */
/* test_table.c - columns line up, and nothing a client chose reaches the terminal as a command. */
#include "core/util/check.h"
#include "core/util/mem.h"
#include "table.h"

static void check_table(const char *name, size_t columns, const char *const *cells, size_t count, const char *want)
{
    CL_FREE char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    struct ctl_table table;

    assert_non_null(out);
    ctl_table_begin(&table, columns, cells);
    for (size_t i = columns; i < count; i++)
        ctl_table_cell(&table, "%s", cells[i]);
    CL_CHECK_INT(name, ctl_table_print(&table, out), 0);
    (void)fclose(out);
    ctl_table_free(&table);
    CL_CHECK_STR(name, text, want);
}

static void test_columns(void **state)
{
    static const char *const plain[] = {"ID", "NAME", "abcd", "x", "e", ""};
    static const char *const utf8[] = {"A", "B", "\xc3\xa4\xc3\xb6", "x", "ab", "y"};
    static const char *const hostile[] = {"A",
                                          "B",
                                          "\x1b[2J",
                                          "x\ny",
                                          "\xc2\x9b",
                                          "\xff"
                                          "z"};

    check_table("plain", 2, plain, 6, "ID    NAME\nabcd  x\ne     -\n");
    check_table("characters, not bytes", 2, utf8, 6, "A   B\n\xc3\xa4\xc3\xb6  x\nab  y\n");
    check_table("control characters", 2, hostile, 6, "A     B\n?[2J  x?y\n??    ?z\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_columns)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
