/* SPDX-License-Identifier: Apache-2.0 */
/* room.h - what helpers need of the zygote they belong to; for the files of this folder only. */
#ifndef CL_CORE_ZYGOTE_ROOM_H
#define CL_CORE_ZYGOTE_ROOM_H

#include "core/zygote/helper.h"

struct cl_loop *cl_zygote_loop(const struct cl_zygote *zygote);
struct cl_helpers *cl_zygote_helpers(struct cl_zygote *zygote);

#endif
