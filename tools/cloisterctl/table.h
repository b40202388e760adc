/* SPDX-License-Identifier: Apache-2.0 */
/* table.h - columns for people. Cells come from clients: what a terminal could take for a command is printed as "?". */
#ifndef CLOISTERCTL_TABLE_H
#define CLOISTERCTL_TABLE_H

#include <stddef.h>
#include <stdio.h>

#define CTL_TABLE_COLUMNS 8u

struct ctl_table {
    char **cells; /* row by row */
    size_t count;
    size_t columns; /* 1..CTL_TABLE_COLUMNS */
    int failed;     /* memory ran out: nothing is printed */
};

/* The heading is the first row. */
void ctl_table_begin(struct ctl_table *table, size_t columns, const char *const *heading);
/* One cell; NULL or "" prints as "-". */
void ctl_table_cell(struct ctl_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* 0, or -1 if memory ran out. */
int ctl_table_print(const struct ctl_table *table, FILE *out);
/* Makes text fit for a terminal (and UTF-8), in place. */
void ctl_table_harmless(char *text);
void ctl_table_free(struct ctl_table *table);
#define CTL_TABLE_CLEANUP __attribute__((cleanup(ctl_table_free)))

#endif
