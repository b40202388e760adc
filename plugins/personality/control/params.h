/* SPDX-License-Identifier: Apache-2.0 */
/* params.h - strict reading of params: unknown, missing and mistyped keys are errors that name the key. */
#ifndef CONTROL_PARAMS_H
#define CONTROL_PARAMS_H

#include "control.h"

/*
 * The first thing wrong sticks in err; later reads do nothing and return false. A key present with null equals an
 * absent one. `where` is put before keys in messages: "" or "rootfs.".
 */
struct ct_params {
    struct ct_instance *instance;
    const cloister_value *object;
    const char *where;
    struct cloister_error *err;
    bool failed;
};

#define CT_PARAMS(inst, params, place, error)     \
    {                                             \
        (inst), (params), (place), (error), false \
    }

/* Every key of the object must be one of `keys` (NULL-terminated). */
bool ct_params_known(struct ct_params *params, const char *const *keys);

bool ct_has(struct ct_params *params, const char *key);
/* True when the key is there (and right). */
bool ct_text(struct ct_params *params, const char *key, struct cloister_sv *ret);
bool ct_u64(struct ct_params *params, const char *key, uint64_t *ret);
/* From least to most, both of them. */
bool ct_range(struct ct_params *params, const char *key, int64_t least, int64_t most, int64_t *ret);
bool ct_u32(struct ct_params *params, const char *key, uint32_t least, uint32_t most, uint32_t *ret);
bool ct_bool(struct ct_params *params, const char *key, bool *ret);
bool ct_object(struct ct_params *params, const char *key, const cloister_value **ret);
bool ct_array(struct ct_params *params, const char *key, const cloister_value **ret);
/* An object, printed: host memory, released with ct_text_free. */
bool ct_object_text(struct ct_params *params, const char *key, struct cloister_sv *ret);
void ct_text_free(const struct ct_instance *instance, struct cloister_sv text);
/* Makes an absent key an error; for use as ct_need(p, "spec", ct_object(p, "spec", &spec)). */
bool ct_need(struct ct_params *params, const char *key, bool present);
/* One of `words` (NULL-terminated): its index, `fallback` if the key is absent. */
unsigned ct_choice(struct ct_params *params, const char *key, const char *const *words, unsigned fallback);
/* `process`, the number of one. */
bool ct_process_number(struct ct_params *params, cloister_process *ret);
/* deadline_ms as a deadline, 0 if absent. */
uint64_t ct_deadline(struct ct_params *params);
/* `id` or `name`, exactly one, resolved to an engine id. */
bool ct_target(struct ct_params *params, char ret_id[CT_ID_MAX + 1]);
/* `signal`, a number or a name; absent: `fallback`, or an error if that is 0. */
uint32_t ct_signal_param(struct ct_params *params, uint32_t fallback);
void ct_no_memory(struct ct_params *params, const char *what);
/* Records an error of a key of this object. */
void ct_wrong(struct ct_params *params, const char *key, const char *what);
/* The nearest of words (NULL-terminated), NULL if none is near. */
const char *ct_nearest(struct cloister_sv word, const char *const *words);

#endif
