/* SPDX-License-Identifier: Apache-2.0 */
/* node.h - the node behind cloister_value; for the files of core/value only. */
#ifndef CL_VALUE_NODE_H
#define CL_VALUE_NODE_H

#include "core/value/value.h"
#include <cjson/cJSON.h>

/*
 * A cJSON node with what cJSON lacks behind it. cJSON links, prints and frees the first member; all nodes of a tree are
 * made by cl_node_new, so that casting between the two is right. Numbers are cJSON_Raw: their text is their value.
 */
struct cloister_value {
    cJSON json;
    uint32_t count;        /* of children */
    uint32_t cursor_index; /* of cursor */
    cJSON *cursor;         /* the child cl_value_at handed out last, or NULL */
    struct cl_position position;
};

/* A childless node; NULL without memory. */
cloister_value *cl_node_new(int json_type);
/* Adds a root at the end; takes `key` (malloc'd, NULL for arrays). Cannot fail. */
void cl_node_append(cloister_value *container, char *key, cloister_value *child);

/* Bytes of the JSON number at the start of text, 0 if there is none. */
uint64_t cl_node_number_size(struct cloister_sv text);

#endif
