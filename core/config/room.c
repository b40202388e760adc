/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config/room.h"

#include <errno.h>
#include <inttypes.h>

#include "core/error/error.h"
#include "core/util/mem.h"

static void free_all(struct cl_vec *vec)
{
    for (size_t i = 0; i < vec->size; i++)
        free(vec->items[i]);
    cl_vec_free(vec);
}

void cl_room_free(struct cl_config_room *room)
{
    if (!room)
        return;
    cl_value_free(room->root);
    free_all(&room->files);
    free_all(&room->owned);
    for (size_t i = 0; i < room->bare.size; i++)
        cl_value_free(room->bare.items[i]);
    cl_vec_free(&room->bare);
    cl_map_free(&room->names);
    cl_map_free(&room->entries);
    cl_map_free(&room->checked);
    cl_map_free(&room->secrets);
    free(room);
}

void *cl_room_own(struct cl_config_room *room, void *memory)
{
    if (memory && cl_vec_append(&room->owned, memory) < 0) {
        free(memory);
        return NULL;
    }
    return memory;
}

int cl_room_mark(struct cl_map *map, const cloister_value *value)
{
    int r = cl_map_put_u64(map, (uintptr_t)value, map);
    return r == -EEXIST ? 0 : r;
}

bool cl_room_marked(const struct cl_map *map, const cloister_value *value)
{
    return cl_map_get_u64(map, (uintptr_t)value) != NULL;
}

const char *cl_room_file(const struct cl_config_room *room, const cloister_value *value)
{
    const struct cl_position *position = cl_value_position(value);
    if (!position || position->source == 0 || position->source > room->files.size)
        return "default";
    return room->files.items[position->source - 1];
}

void cl_room_wrap(const struct cl_config_room *room, const cloister_value *value, const char *path, const char *rest,
                  struct cloister_error *err)
{
    const struct cl_position *at = cl_value_position(value);
    cl_error_wrap(err, "%s:%" PRIu32 ":%" PRIu32 ": key '%s%s'", cl_room_file(room, value), at->line, at->column, path,
                  rest);
    cl_error_position(err, at->line, at->column, 0);
}
