/* SPDX-License-Identifier: Apache-2.0 */
/* more.h - the part of the probe that only `probe all` prints. */
#ifndef TESTS_PROBE_MORE_H
#define TESTS_PROBE_MORE_H

void print_more(void);

#endif
