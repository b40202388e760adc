/* SPDX-License-Identifier: Apache-2.0 */
/* properties.h - the shape of the tables of OCI properties, and questions about them. */
#ifndef NS_PROPERTIES_H
#define NS_PROPERTIES_H

#include "oci.h"

enum ns_prop_kind { PROP_STRING, PROP_BOOL, PROP_INTEGER, PROP_OBJECT, PROP_ARRAY, PROP_MAP };

#define PROP_REQUIRED 1u
#define PROP_EMPTY 2u /* only the value that means nothing (false, "", [], {}) is accepted; `why` has the reason */
#define PROP_NEVER 4u /* not even that */

/* `sub` is the member table of an OBJECT, or the one nameless element of an ARRAY or MAP. Tables end with a name that
 * is NULL. */
struct ns_prop {
    const char *name;
    uint32_t kind; /* enum ns_prop_kind */
    uint32_t flags;
    const struct ns_prop *sub;
    const char *why;
};

extern const struct ns_prop ns_spec_members[];
extern const struct ns_prop ns_process_members[];
extern const struct ns_prop ns_resources_members[];  /* of linux.resources */
extern const struct ns_prop ns_capability_members[]; /* of process.capabilities */

/*
 * What becomes of a property that is named as the spec's text does: "linux.devices[].path", "linux.sysctl.*". NULL: it
 * is carried out. Else the reason why not; *ret_empty is true if its empty value is accepted, and ret_at gets the path
 * of what is refused: the property itself or what it is in.
 */
const char *ns_property_refused(const char *path, bool *ret_empty, char ret_at[NS_PATH_MAX]);

/* Every property that the tables name. */
void ns_properties_each(void (*fn)(void *ctx, const char *path), void *ctx);

#endif
