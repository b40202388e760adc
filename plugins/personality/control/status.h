/* SPDX-License-Identifier: Apache-2.0 */
/* status.h - how a process ended, in this protocol's shape. */
#ifndef CONTROL_STATUS_H
#define CONTROL_STATUS_H

#include "control.h"

/* {"kind", "code" or "signal", "oom", "core", "real_ns"}; null while the process has not ended. NULL without memory. */
cloister_value *ct_status(const struct ct_instance *instance, const struct cloister_status *status);
/* Where its captured output ended: [{"fd", "position", "lost", "by_deadline"}]. NULL without memory. */
cloister_value *ct_outputs(const struct ct_instance *instance, const struct cloister_output_end *outputs,
                           uint64_t count, uint64_t size);

#endif
