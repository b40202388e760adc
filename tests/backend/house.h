/* SPDX-License-Identifier: Apache-2.0 */
/* house.h - what the tests over a bed have in common: its opening and closing, ordinary sandboxes, their main. */
#ifndef BED_HOUSE_H
#define BED_HOUSE_H

#include "bed.h"

#include <sys/types.h>

#define ID_A "aaaaaaaaaaaaaaa2"
#define ID_B "bbbbbbbbbbbbbbb2"

/* From the command line. */
extern const char *house_keeper, *house_profiles;
/* The default profile's text, while a bed is open. */
extern char *house_profile;

int house_open(void **state);
int house_close(void **state);

#define HOUSE_TEST(test) cmocka_unit_test_setup_teardown(test, house_open, house_close)

/* A sandbox of the default profile that runs `command`. */
struct bed_sandbox *house_prepare(const char *id, const char *command);
void house_create(struct bed_sandbox *s, struct bed_outcome *out);
/* With nothing left of it or of any other, and freed. */
void house_destroy(struct bed_sandbox *s);
void house_free(struct bed_sandbox *s);
void house_adopt(struct bed_sandbox *s, struct bed_inventory *ret);

/* The plan as a record: kept in the bed's directory for another process. */
void house_write_plan(const struct bed_sandbox *s);
void house_read_plan(struct bed_sandbox *s);

/* This program again as the daemon `what`, on this bed, with fd as descriptor `as` (fd -1: none). */
pid_t house_daemon(const char *what, const char *halt_at, int fd, int as);

/* main: argv is keeper, directory of profiles, perhaps a pattern of tests. daemon (or NULL) is what house_daemon runs.
 */
int house_main(int argc, char **argv, const struct CMUnitTest *tests, size_t count, int (*daemon)(const char *what));

#endif
