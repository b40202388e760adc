/* SPDX-License-Identifier: Apache-2.0 */
/* The config's bookkeeping: the merged tree, the files it came from, and all memory the typed structs point into. */
#ifndef CL_CONFIG_ROOM_H
#define CL_CONFIG_ROOM_H

#include <cloister/error.h>

#include "core/util/map.h"
#include "core/util/vec.h"
#include "core/value/value.h"

struct cl_config_room {
    cloister_value *root;  /* all files merged, defaults put in */
    struct cl_vec files;   /* char *; a value's position.source is its index + 1, 0 = a default */
    struct cl_vec owned;   /* memory of the typed structs */
    struct cl_vec bare;    /* cloister_value *: the option objects of entries that were written as a mere name */
    struct cl_map names;   /* of services, and addresses: for uniqueness */
    struct cl_map entries; /* u64 of an entry's object -> itself; for the dump */
    struct cl_map checked; /* u64 of an entry's object whose options have been checked */
    struct cl_map secrets; /* u64 of a secret option's value */
};

void cl_room_free(struct cl_config_room *room);
/* Makes the config owner of malloc'd memory and returns it; NULL for NULL, or without memory (then it is freed). */
void *cl_room_own(struct cl_config_room *room, void *memory);
/* Marks a value in one of the maps; marking twice is fine. 0 or -ENOMEM. */
int cl_room_mark(struct cl_map *map, const cloister_value *value);
bool cl_room_marked(const struct cl_map *map, const cloister_value *value);
/* "/etc/cloister.conf", or "default". */
const char *cl_room_file(const struct cl_config_room *room, const cloister_value *value);
/* "<file>:<line>:<column>: key '<path><rest>'" around an error that was found after the config was read. */
void cl_room_wrap(const struct cl_config_room *room, const cloister_value *value, const char *path, const char *rest,
                  struct cloister_error *err);

/* source.c: reads one more text and merges it over what is there: objects key by key, everything else is replaced. */
int cl_source_merge(struct cl_config_room *room, const char *file, struct cloister_sv text, struct cloister_error *err);
/* source.c: the same for a file that only root can have written. */
int cl_source_read(struct cl_config_room *room, const char *path, struct cloister_error *err);
/* source.c: the same for `path`.d/ *.conf, if that directory exists. */
int cl_source_read_dropins(struct cl_config_room *room, const char *path, struct cloister_error *err);

#endif
