/* SPDX-License-Identifier: Apache-2.0 */
/* machine.h - what cgroups are like here, found by making a group and using its files. Blocking. */
#ifndef NS_MACHINE_H
#define NS_MACHINE_H

#include "instance.h"

/* mountinfo, controllers of v2, capabilities, sizes of huge pages. 0 or -1. */
int ns_machine_read(struct ns_instance *instance, const struct ns_reader *r);

/* A group to try things on, in every hierarchy where that can be had; and away with it. */
void ns_machine_open(struct ns_instance *instance);
void ns_machine_close(struct ns_instance *instance);

/* The files for weights of devices, if there are any. Between open and close, as all that follows. */
void ns_machine_weights(struct ns_instance *instance);

/* 0 or the negative errno that says why not. */
int ns_try_controller(const struct ns_instance *instance, const char *v1); /* "" = v2 is mounted */
int ns_try_freezer_v1(const struct ns_instance *instance);
int ns_try_freezer_v2(const struct ns_instance *instance);
int ns_try_kill_v2(const struct ns_instance *instance);
int ns_try_device_programs(const struct ns_instance *instance);
/* The largest use of memory can be counted anew. */
int ns_try_peak_reset(const struct ns_instance *instance);
/* Somebody counts kills for want of memory. */
int ns_try_oom_counter(const struct ns_instance *instance);

#endif
