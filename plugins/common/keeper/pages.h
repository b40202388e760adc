/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.h - memory of a tape on a host that gives memfds huge pages.
 *
 * sendfile hands out the page itself, and what is behind all readers is given back by punching holes. A hole in a part
 * of a huge page is zeroed in place: also under those whom the page has been sent to and who have not read it yet. So
 * on such a host the small pages are made first, and then written.
 */
#ifndef CL_KEEPER_PAGES_H
#define CL_KEEPER_PAGES_H

#include <stdint.h>

#define CL_PAGES_SETTINGS "/sys/kernel/mm/transparent_hugepage"

/* May a write into a memfd make a huge page? By the settings in that directory; without them there are none. */
int cl_pages_may_be_huge(const char *settings);
/* Makes those that are missing between two offsets, inside the file's size, each as small as there are. 0 or -errno. */
int cl_pages_make(int memfd, uint64_t from, uint64_t to);

#endif
