/* SPDX-License-Identifier: Apache-2.0 */
/* output.h - the streams of a sandbox's tapes, as tapes.c sees them. [loop] */
#ifndef NS_OUTPUT_H
#define NS_OUTPUT_H

struct ns_sandbox;

/* Tells each stream that had nothing to give and has now. */
void ns_outputs_wake(struct ns_sandbox *sandbox);
/* Nobody will wake them any more. */
void ns_outputs_unwatch(struct ns_sandbox *sandbox);

#endif
