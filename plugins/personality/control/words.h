/* SPDX-License-Identifier: Apache-2.0 */
/* words.h - the words of this protocol for the engine's numbers. */
#ifndef CONTROL_WORDS_H
#define CONTROL_WORDS_H

#include <cloister/events.h>

/* All of them survive numbers they do not know ("unknown"). */
const char *ct_sandbox_state(uint32_t state);
const char *ct_container_state(uint32_t state);
const char *ct_process_state(uint32_t state);
const char *ct_cause(uint32_t cause);
const char *ct_event_kind(uint32_t kind);
const char *ct_sandbox_flag(unsigned bit); /* NULL: none such */
/* "TERM" or "SIGTERM"; 0 if there is none such. */
uint32_t ct_signal_number(struct cloister_sv name);

#endif
