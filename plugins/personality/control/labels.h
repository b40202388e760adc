/* SPDX-License-Identifier: Apache-2.0 */
/* labels.h - the labels of a create. */
#ifndef CONTROL_LABELS_H
#define CONTROL_LABELS_H

#include "params.h"

struct ct_labels {
    struct cloister_label *entries;
    uint64_t count;
};

/* `labels` and `secret_labels`, objects of strings. Views stay borrowed from the params. */
bool ct_labels_read(struct ct_params *params, struct ct_labels *ret_labels);
void ct_labels_end(struct ct_labels *labels);

#endif
