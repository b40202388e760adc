/* SPDX-License-Identifier: Apache-2.0 */
/* access.h - what a peer may do on an endpoint. */
#ifndef CL_EXCHANGE_ACCESS_H
#define CL_EXCHANGE_ACCESS_H

#include "core/exchange/exchange.h"

/* enum cloister_access: ADMIN for uid 0 and for `self` (the daemon's own uid), else the highest of the rules that fit.
 */
uint32_t cl_access_of(const struct cl_peer *peer, uid_t self, const struct cl_access_rule *rules, size_t rule_count);

#endif
