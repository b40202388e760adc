/* SPDX-License-Identifier: Apache-2.0 */
/* bend.h - a descriptor in which every member can be bent by a macro of the build; unbent, it is a good plugin. */
#ifndef TESTS_BADPLUGINS_BEND_H
#define TESTS_BADPLUGINS_BEND_H

#include <cloister/plugin.h>

#ifndef SIZE
#define SIZE sizeof(struct cloister_plugin)
#endif
#ifndef MAGIC
#define MAGIC CLOISTER_PLUGIN_MAGIC
#endif
#ifndef MAJOR
#define MAJOR CLOISTER_ABI_MAJOR
#endif
#ifndef MINOR
#define MINOR CLOISTER_ABI_MINOR
#endif
#ifndef MIN_HOST_MINOR
#define MIN_HOST_MINOR CLOISTER_ABI_MINOR
#endif
#ifndef FLAGS
#define FLAGS 0
#endif
#ifndef VERSION
#define VERSION "1.0"
#endif
#ifndef PROVIDES
#define PROVIDES 0
#endif
#ifndef REQUIRES
#define REQUIRES 0
#endif
#ifndef NEEDS_TRANSPORT
#define NEEDS_TRANSPORT 0
#endif
#ifndef NEEDS_ISOLATION
#define NEEDS_ISOLATION 0
#endif
#ifndef OPTION_COUNT
#define OPTION_COUNT 0
#endif
#ifndef OPTIONS
#define OPTIONS NULL
#endif
#ifndef OPTION_SIZE
#define OPTION_SIZE sizeof(struct cloister_option)
#endif
#ifndef VTABLE
#define VTABLE &vtable
#endif
/* Slots that stay filled behind a vtable's declared size show whether the daemon reads further than it may. */
#ifndef VTABLE_SIZE
#define VTABLE_SIZE sizeof(vtable)
#endif

/* What a newer SDK would have appended. */
struct tail {
    uint64_t words[8];
};
#define TAIL                                                       \
    {                                                              \
        {                                                          \
            ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull \
        }                                                          \
    }

#define BENT(own_kind)                                                                                                 \
    {                                                                                                                  \
        .struct_size = SIZE, .magic = MAGIC, .abi_major = MAJOR, .abi_minor = MINOR, .min_host_minor = MIN_HOST_MINOR, \
        .kind = (own_kind), .flags = FLAGS, .option_count = OPTION_COUNT, .name = NAME, .version = VERSION,            \
        .licence = "Apache-2.0", .build = "", .summary = "a test's plugin", .provides = PROVIDES,                      \
        .requires_host = REQUIRES, .needs_transport = NEEDS_TRANSPORT, .needs_isolation = NEEDS_ISOLATION,             \
        .options = OPTIONS, .option_size = OPTION_SIZE, .vtable = VTABLE,                                              \
    }

static inline int32_t create(const struct cloister_create_args *args, void **ret_instance, struct cloister_error *err)
{
    (void)args;
    (void)err;
    *ret_instance = NULL;
    return 0;
}

static inline void destroy(void *instance)
{
    (void)instance;
}

#endif
