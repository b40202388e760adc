/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - see table.h. Widths count characters, not bytes; a cell is never cut. */
#include "table.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* Replaces control characters (also C1, which start with 0xc2 in UTF-8) and malformed bytes. */
void ctl_table_harmless(char *text)
{
    struct cloister_sv rest = cl_sv_cstr(text);

    for (char *at = text; rest.size > 0;) {
        unsigned size = cl_sv_utf8_next(rest);
        unsigned char first = (unsigned char)at[0];
        bool c1 = size == 2 && first == 0xc2 && (unsigned char)at[1] < 0xa0;
        if (size == 0 || first < 0x20 || first == 0x7f || c1)
            memset(at, '?', size ? size : 1);
        at += size ? size : 1;
        rest = cl_sv_cstr(at);
    }
}

static size_t width_of(const char *text)
{
    size_t width = 0;

    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void add_cell(struct ctl_table *table, char *text)
{
    char **bigger = text ? cl_realloc_array(table->cells, table->count + 1, sizeof(*bigger)) : NULL;

    if (!bigger) {
        free(text);
        table->failed = -ENOMEM;
        return;
    }
    ctl_table_harmless(text);
    table->cells = bigger;
    table->cells[table->count++] = text;
}

void ctl_table_begin(struct ctl_table *table, size_t columns, const char *const *heading)
{
    *table = (struct ctl_table){NULL, 0, columns, 0};
    for (size_t i = 0; i < columns; i++)
        add_cell(table, cl_strdup(heading[i]));
}

void ctl_table_cell(struct ctl_table *table, const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    if (text && !*text) {
        free(text);
        text = cl_strdup("-");
    }
    add_cell(table, text);
}

int ctl_table_print(const struct ctl_table *table, FILE *out)
{
    size_t widths[CTL_TABLE_COLUMNS] = {0};

    if (table->failed < 0)
        return -1;
    for (size_t i = 0; i < table->count; i++) {
        size_t width = width_of(table->cells[i]);
        if (width > widths[i % table->columns])
            widths[i % table->columns] = width;
    }
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % table->columns;
        if (column + 1 == table->columns)
            (void)fprintf(out, "%s\n", table->cells[i]);
        else
            (void)fprintf(out, "%s%*s", table->cells[i], (int)(widths[column] - width_of(table->cells[i]) + 2), "");
    }
    return 0;
}

void ctl_table_free(struct ctl_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct ctl_table){NULL, 0, 1, 0};
}
