/* SPDX-License-Identifier: Apache-2.0 */
/* From a tree to typed structs by tables of fields, with a path for every sentence. For the files of core/config only.
 */
#ifndef CL_CONFIG_PARSER_H
#define CL_CONFIG_PARSER_H

#include "core/config/config.h"
#include "core/config/room.h"

#define CL_CONFIG_PATH_MAX 256u

struct cl_parser {
    struct cl_config_room *room;
    struct cloister_error *err;
    const struct cl_config *config; /* as far as it has been read */
    const char *service;            /* the name of the service being read */
    size_t path_size;
    char path[CL_CONFIG_PATH_MAX]; /* of the value being read: "services[0].listen[1].mode" */
};

/* Reads one value into *member, whose type the reader knows. 0 or negative errno with the parser's error filled. */
typedef int (*cl_field_fn)(struct cl_parser *p, cloister_value *value, void *member);

struct cl_field {
    const char *key;
    size_t offset; /* of the member in the struct being filled */
    cl_field_fn read;
    const char *fallback; /* JSON text, put into the tree when the key is absent; NULL = nothing is read then */
    bool required;
};

/* ---- sentences ---- */

/* "<file>:<line>:<column>: key '<path>': <sentence>", at the value. */
int cl_parser_fail(struct cl_parser *p, uint32_t code, const cloister_value *where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* "expected <what>, not <type>" or, for the right type, "expected <what>". */
int cl_parser_expected(struct cl_parser *p, const cloister_value *value, enum cloister_value_type type,
                       const char *what);
/* The same at the key of a member; the path is the member's already. */
int cl_parser_fail_key(struct cl_parser *p, const cloister_value *member, const char *sentence);
/* At the key of a member that nobody knows, with the nearest of `known`. */
int cl_parser_unknown(struct cl_parser *p, const cloister_value *member, const char *const *known, size_t count);
/* At the value: "<sentence>; did you mean '<nearest>'?" */
int cl_parser_fail_near(struct cl_parser *p, const cloister_value *value, const char *const *known, size_t count,
                        const char *sentence);
int cl_parser_no_memory(struct cl_parser *p);

/* ---- path ---- */

/* Each returns the size to go back to with cl_parser_up. */
size_t cl_parser_down(struct cl_parser *p, const char *key);
size_t cl_parser_down_index(struct cl_parser *p, size_t index);
void cl_parser_up(struct cl_parser *p, size_t size);

/* ---- composites ---- */

/* Refuses unknown keys and missing required ones, puts defaults in, reads the fields in table order. */
int cl_parse_object(struct cl_parser *p, cloister_value *value, const struct cl_field *fields, size_t count,
                    void *target);
/* Reads each element into one of size bytes; *ret_items is owned by the room and has a zeroed one behind the last. */
int cl_parse_array(struct cl_parser *p, cloister_value *value, size_t size, cl_field_fn read, void **ret_items,
                   size_t *ret_count);

/* ---- field readers ---- */

int cl_parse_bool(struct cl_parser *p, cloister_value *value, void *member);   /* bool */
int cl_parse_string(struct cl_parser *p, cloister_value *value, void *member); /* const char *, not empty */
int cl_parse_path(struct cl_parser *p, cloister_value *value, void *member);   /* const char *, absolute */
int cl_parse_paths(struct cl_parser *p, cloister_value *value, void *member); /* const char *const *, NULL-terminated */
int cl_parse_name(struct cl_parser *p, cloister_value *value, void *member);  /* const char *, [a-z0-9-]{1,32} */
int cl_parse_positive(struct cl_parser *p, cloister_value *value, void *member); /* uint32_t, 1 to 1,000,000 */
int cl_parse_ms(struct cl_parser *p, cloister_value *value, void *member);       /* uint32_t, 1 to a day's */
/* One of two or more words: *ret_index says which. */
int cl_parse_word(struct cl_parser *p, const cloister_value *value, const char *const *words, size_t count,
                  size_t *ret_index);

/* entry.c: one plugin entry. `mere` allows a string, `wrap` the key of that name. */
int cl_parse_entry(struct cl_parser *p, cloister_value *value, const char *name, bool mere, bool wrap,
                   struct cl_config_entry *entry);
/* service.c: the array of services, into config's `services` and `service_count`. */
int cl_parse_services(struct cl_parser *p, cloister_value *value, void *config);
/* address.c: where a service listens, const char *; each address once in the config. */
int cl_parse_address(struct cl_parser *p, cloister_value *value, void *member);
bool cl_is_handed_over(const cloister_value *address); /* fd: */
/* service.c: grants name services, so they can be checked only when all are known. */
int cl_check_grants(struct cl_parser *p);

bool cl_is_name(struct cloister_sv text);

#endif
