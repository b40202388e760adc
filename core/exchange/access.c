/* SPDX-License-Identifier: Apache-2.0 */
#include "core/exchange/access.h"

#include <stdbool.h>

/* The kernel's stand-in for a uid that has no number in our user namespace (Documentation/admin-guide/sysctl/fs.rst).
 */
#define OVERFLOW_UID 65534u

static bool in_group(const struct cl_peer *peer, gid_t group)
{
    if (peer->gid == group)
        return true;
    for (size_t i = 0; i < peer->group_count && i < CL_PEER_GROUPS_MAX; i++) {
        if (peer->groups[i] == group)
            return true;
    }
    return false;
}

uint32_t cl_access_of(const struct cl_peer *peer, uid_t self, const struct cl_access_rule *rules, size_t rule_count)
{
    /* Somebody from an unmapped user namespace and another pid namespace: its group numbers mean as little as its uid.
     */
    bool unmapped = peer->uid == OVERFLOW_UID && peer->pid == 0;
    uint32_t access = CLOISTER_ACCESS_NONE;
    if (!unmapped && (peer->uid == 0 || peer->uid == self))
        return CLOISTER_ACCESS_ADMIN;
    for (size_t i = 0; i < rule_count; i++) {
        const struct cl_access_rule *rule = &rules[i];
        bool fits = rule->is_group ? !unmapped && in_group(peer, rule->id) : peer->uid == rule->id;
        if (fits && rule->access > access)
            access = rule->access;
    }
    return access;
}
