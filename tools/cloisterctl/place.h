/* SPDX-License-Identifier: Apache-2.0 */
/* place.h - where `cp` takes from and puts to, as docker's users are used to it. Pure functions. */
#ifndef CLOISTERCTL_PLACE_H
#define CLOISTERCTL_PLACE_H

#include <cloister/error.h>
#include <stdbool.h>

/* NAME:PATH, or PATH here. */
struct ctl_place {
    char *container; /* NULL = here */
    char *path;      /* without what stands behind it; of a container absolute, and with '/' at its end if `content` */
    char *given;     /* the path as it was typed, of a container absolute */
    bool content;    /* PATH/. or ".": not itself, what is in it */
};

#define CTL_PLACE_INIT          \
    {                           \
        NULL, NULL, NULL, false \
    }

int ctl_place_parse(const char *text, struct ctl_place *ret_place, struct cloister_error *err);
void ctl_place_free(struct ctl_place *place);
#define CTL_PLACE_CLEANUP __attribute__((cleanup(ctl_place_free)))

/* What arrives, and what it finds. */
struct ctl_arrival {
    bool directory;       /* it is one */
    bool content;         /* it is what is in one */
    bool there;           /* something is at the destination already, */
    bool there_directory; /* and it is a directory */
};

/* Where it is unpacked. */
struct ctl_target {
    char *directory;
    char *top; /* what the first word of its names becomes; NULL = it stays */
    bool make; /* `directory` is to be made first */
};

int ctl_place_target(const struct ctl_arrival *arrival, const char *destination, struct ctl_target *ret_target,
                     struct cloister_error *err);
void ctl_target_free(struct ctl_target *target);
/* The last word of a path here; "" for the root. */
int ctl_place_base(const char *path, char **ret_base, struct cloister_error *err);

#endif
