/* SPDX-License-Identifier: Apache-2.0 */
/* place.c - see place.h. */
#include "place.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "ctl.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void ctl_place_free(struct ctl_place *place)
{
    free(place->container);
    free(place->path);
    free(place->given);
    *place = (struct ctl_place)CTL_PLACE_INIT;
}

/* Takes "/." and slashes away from the end; is there a "/."? */
static bool trim(char *path)
{
    size_t size = strlen(path);
    bool content = false;

    for (;;) {
        if (size > 1 && path[size - 1] == '/') {
            path[--size] = 0;
        } else if (size > 1 && path[size - 1] == '.' && path[size - 2] == '/') {
            path[size -= size > 2 ? 2 : 1] = 0;
            content = true;
        } else {
            return content;
        }
    }
}

int ctl_place_parse(const char *text, struct ctl_place *ret_place, struct cloister_error *err)
{
    size_t name = strcspn(text, ":/");
    bool inside = text[name] == ':';
    const char *said = inside ? text + name + 1 : text;

    if (!*said || (inside && name == 0))
        return cl_error_set(err, CLOISTER_INVALID, 0, text, NULL, "'%s' is neither NAME:PATH nor a path here", text);
    CL_FREE char *container = inside ? cl_asprintf("%.*s", (int)name, text) : NULL;
    CL_FREE char *given = cl_asprintf("%s%s", inside && *said != '/' ? "/" : "", said);
    CL_FREE char *bare = given ? cl_strdup(given) : NULL;
    if (!bare || (inside && !container))
        return ctl_no_memory(err);
    bool content = trim(bare) || strcmp(bare, ".") == 0;
    bool root = inside && strcmp(bare, "/") == 0; /* has no name to keep */
    CL_FREE char *path = cl_asprintf("%s%s", bare, inside && content && !root ? "/" : "");
    if (!path)
        return ctl_no_memory(err);
    ret_place->content = content || root;
    ret_place->container = cl_steal_ptr(&container);
    ret_place->given = cl_steal_ptr(&given);
    ret_place->path = cl_steal_ptr(&path);
    return 0;
}

void ctl_target_free(struct ctl_target *target)
{
    free(target->directory);
    free(target->top);
    *target = (struct ctl_target){.directory = NULL};
}

int ctl_place_base(const char *path, char **ret_base, struct cloister_error *err)
{
    CL_FREE char *whole = realpath(path, NULL); /* "." and ".." have names too */
    const char *last = strrchr(path, '/');
    bool dots = strcmp(last ? last + 1 : path, ".") == 0 || strcmp(last ? last + 1 : path, "..") == 0;

    if (dots && !whole)
        return cl_error_set(err, cl_error_code_of(errno), errno, path, NULL, "look at '%s'", path);
    const char *from = dots ? strrchr(whole, '/') + 1 : last ? last + 1 : path;
    *ret_base = cl_strdup(from);
    return *ret_base ? 0 : ctl_no_memory(err);
}

/* A new name in the directory that it stands in. */
static int become(const char *destination, struct ctl_target *target, struct cloister_error *err)
{
    CL_FREE char *path = cl_strdup(destination);

    if (!path)
        return ctl_no_memory(err);
    (void)trim(path);
    char *slash = strrchr(path, '/');
    const char *word = slash ? slash + 1 : path;
    if (!*word || strcmp(word, ".") == 0 || strcmp(word, "..") == 0)
        return cl_error_set(err, CLOISTER_NO_ENTITY, 0, destination, NULL, "'%s' is not there, and is no name for it",
                            destination);
    target->top = cl_strdup(word);
    if (slash)
        *(slash == path ? slash + 1 : slash) = 0;
    target->directory = cl_strdup(slash ? path : ".");
    return target->top && target->directory ? 0 : ctl_no_memory(err);
}

int ctl_place_target(const struct ctl_arrival *arrival, const char *destination, struct ctl_target *ret_target,
                     struct cloister_error *err)
{
    size_t size = strlen(destination);
    bool slashed = size > 0 && destination[size - 1] == '/';

    if (arrival->there_directory || (arrival->content && !arrival->there)) {
        ret_target->make = !arrival->there_directory;
        ret_target->directory = cl_strdup(destination);
        return ret_target->directory ? 0 : ctl_no_memory(err);
    }
    if (arrival->there && arrival->directory)
        return cl_error_set(err, CLOISTER_INVALID, ENOTDIR, destination, NULL,
                            "'%s' is there and no directory: a directory cannot take its place", destination);
    if (!arrival->directory && slashed)
        return cl_error_set(err, CLOISTER_NO_ENTITY, ENOENT, destination, NULL, "there is no directory '%s'",
                            destination);
    return become(destination, ret_target, err);
}
