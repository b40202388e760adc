/* SPDX-License-Identifier: Apache-2.0 */
/* profiles.c - installed OCI texts that callers edit; the engine only finds them and sees that they are JSON. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "core/engine/room.h"
#include "core/error/error.h"
#include "core/util/io.h"
#include "core/util/mem.h"
#include "core/value/value.h"

#define PROFILE_MAX (512u * 1024u)
#define NAME_MAX_BYTES 32u

struct profile {
    size_t size;
    char *text;
};

static bool good_name(struct cloister_sv name)
{
    for (uint64_t i = 0; i < name.size; i++)
        if (!(name.data[i] >= 'a' && name.data[i] <= 'z') && !(name.data[i] >= '0' && name.data[i] <= '9') &&
            name.data[i] != '-')
            return false;
    return name.size > 0 && name.size <= NAME_MAX_BYTES;
}

/* The first directory that has it. -ENOENT if none has. */
static int read_profile(const struct cl_engine *engine, struct cloister_sv name, char **ret_text, size_t *ret_size,
                        struct cloister_error *err)
{
    for (char *const *directory = engine->profile_paths; *directory; directory++) {
        char CL_FREE *path = cl_asprintf("%s/%.*s.json", *directory, CL_SV_ARG(name));
        CL_VALUE_CLEANUP cloister_value *document = NULL;
        if (!path)
            return cl_error_set(err, CLOISTER_INTERNAL, ENOMEM, NULL, "profile", "read it");
        int r = cl_read_file(AT_FDCWD, path, PROFILE_MAX, ret_text, ret_size);
        if (r == -ENOENT)
            continue;
        if (r < 0)
            return cl_error_set(err, cl_error_code_of(r), r, path, "profile", "read %s", path);
        r = cl_value_parse(cl_sv(*ret_text, *ret_size), NULL, &document, NULL, err);
        if (r < 0) {
            free(cl_steal_ptr(ret_text));
            cl_error_wrap(err, "%s", path);
        }
        return r;
    }
    return cl_error_set(err, CLOISTER_NO_ENTITY, 0, NULL, "profile", "it is in none of the profile directories");
}

int cl_profile_get(struct cl_engine *engine, struct cloister_sv name, struct cloister_sv *ret,
                   struct cloister_error *err)
{
    struct profile *profile = cl_map_get(&engine->profiles, name);
    if (!profile) {
        char CL_FREE *text = NULL;
        size_t size = 0;
        int r = good_name(name)
                    ? read_profile(engine, name, &text, &size, err)
                    : cl_error_set(err, CLOISTER_INVALID, 0, NULL, "profile", "the name is not [a-z0-9-]{1,32}");
        if (r < 0) {
            cl_error_wrap(err, "profile '%.*s'", CL_SV_ARG(name));
            cl_error_subject(err, name);
            return r;
        }
        profile = cl_new(struct profile);
        if (!profile || cl_map_put(&engine->profiles, name, profile) < 0) {
            free(profile);
            return cl_error_set(err, CLOISTER_INTERNAL, ENOMEM, NULL, "profile", "keep it");
        }
        *profile = (struct profile){size, cl_steal_ptr(&text)};
    }
    *ret = cl_sv(profile->text, profile->size);
    return 0;
}

void cl_profiles_free(struct cl_engine *engine)
{
    void *value;
    for (struct cl_map_iter it = {0}; cl_map_next(&engine->profiles, &it, NULL, &value);) {
        struct profile *profile = value;
        free(profile->text);
        free(profile);
    }
    cl_map_free(&engine->profiles);
}
