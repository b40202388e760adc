/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper's plans and messages: bytes that pass the check can be walked to the last string without leaving them. */
#include <string.h>

#include "common/keeper/wire.h"
#include "tests/fuzz/fuzz.h"

#define FDS 8u

static size_t touched;

static void touch(const struct cl_wire_plan *plan, cl_wire_str offset)
{
    const char *text = cl_wire_string(plan, offset);
    touched += strlen(text);
    FUZZ_CHECK(text + strlen(text) < (const char *)plan + plan->size);
}

static void touch_strings(const struct cl_wire_plan *plan, uint32_t section)
{
    const cl_wire_str *item = cl_wire_items(plan, section);
    for (uint32_t i = 0; i < plan->section[section].count; i++)
        touch(plan, item[i]);
}

static void touch_mounts(const struct cl_wire_plan *plan)
{
    const struct cl_wire_mount *mount = cl_wire_items(plan, CL_WIRE_MOUNTS);
    const struct cl_wire_option *option = cl_wire_items(plan, CL_WIRE_OPTIONS);
    for (uint32_t i = 0; i < plan->section[CL_WIRE_MOUNTS].count; i++) {
        touch(plan, mount[i].target);
        touch(plan, mount[i].type);
        touch(plan, mount[i].source);
        FUZZ_CHECK(mount[i].fd == CL_WIRE_NO_FD || mount[i].fd < FDS);
        for (uint32_t j = 0; j < mount[i].option_count; j++) {
            touch(plan, option[mount[i].option_first + j].key);
            touch(plan, option[mount[i].option_first + j].value);
        }
    }
}

static void touch_filters(const struct cl_wire_plan *plan)
{
    const struct cl_wire_seccomp *filter = cl_wire_items(plan, CL_WIRE_SECCOMP);
    for (uint32_t i = 0; i < plan->section[CL_WIRE_SECCOMP].count; i++)
        FUZZ_CHECK((uint64_t)filter[i].first + filter[i].count <= plan->section[CL_WIRE_BPF].count);
}

static void touch_items(const struct cl_wire_plan *plan, uint32_t section, uint32_t first, uint32_t count)
{
    FUZZ_CHECK((uint64_t)first + count <= plan->section[section].count);
    touched += count;
}

static void touch_mount_maps(const struct cl_wire_plan *plan)
{
    const struct cl_wire_mount_map *map = cl_wire_items(plan, CL_WIRE_MOUNT_MAPS);
    for (uint32_t i = 0; i < plan->section[CL_WIRE_MOUNT_MAPS].count; i++) {
        FUZZ_CHECK(map[i].mount < plan->section[CL_WIRE_MOUNTS].count);
        touch_items(plan, CL_WIRE_MAPS, map[i].uid_first, map[i].uid_count);
        touch_items(plan, CL_WIRE_MAPS, map[i].gid_first, map[i].gid_count);
    }
}

static void touch_files(const struct cl_wire_plan *plan)
{
    const struct cl_wire_file *file = cl_wire_items(plan, CL_WIRE_FILES);
    for (uint32_t i = 0; i < plan->section[CL_WIRE_FILES].count; i++) {
        touch(plan, file[i].path);
        touch(plan, file[i].share_path);
        FUZZ_CHECK(file[i].fd < FDS || (file[i].fd == CL_WIRE_NO_FD && file[i].share != 0));
    }
}

static void touch_hooks(const struct cl_wire_plan *plan)
{
    const struct cl_wire_hook *hook = cl_wire_items(plan, CL_WIRE_HOOKS);
    for (uint32_t i = 0; i < plan->section[CL_WIRE_HOOKS].count; i++) {
        touch(plan, hook[i].path);
        touch(plan, hook[i].state_head);
        touch(plan, hook[i].state_tail);
        touch_items(plan, CL_WIRE_WORDS, hook[i].arg_first, hook[i].arg_count);
        touch_items(plan, CL_WIRE_WORDS, hook[i].env_first, hook[i].env_count);
        FUZZ_CHECK(hook[i].arg_count > 0);
        FUZZ_CHECK(hook[i].fd < FDS || hook[i].point == CL_WIRE_HOOK_START_CONTAINER);
    }
}

/* A tree to start from, layers of one, or another's root. */
static void touch_root(const struct cl_wire_plan *plan)
{
    const uint32_t *layer = cl_wire_items(plan, CL_WIRE_LAYERS);
    for (uint32_t i = 0; i < plan->section[CL_WIRE_LAYERS].count; i++)
        FUZZ_CHECK(layer[i] < FDS);
    FUZZ_CHECK(plan->root_fd == CL_WIRE_NO_FD || (plan->root_fd < FDS && plan->section[CL_WIRE_LAYERS].count == 0));
    FUZZ_CHECK(plan->upper_fd == CL_WIRE_NO_FD || (plan->upper_fd < FDS && plan->work_fd < FDS));
}

static void check_plan(const void *bytes, size_t size, uint32_t kind)
{
    const struct cl_wire_plan *plan = bytes;
    const char *where = NULL;
    if (cl_wire_plan_check(bytes, size, kind, FDS, &where) < 0) {
        FUZZ_CHECK(where && *where);
        return;
    }
    FUZZ_CHECK(plan->size == size && plan->kind == kind);
    static const uint32_t lists[] = {CL_WIRE_ARGV, CL_WIRE_ENV, CL_WIRE_MASKED, CL_WIRE_READONLY, CL_WIRE_WORDS};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        touch_strings(plan, lists[i]);
    touch(plan, plan->cwd);
    touch(plan, plan->path);
    touch(plan, plan->hostname);
    touch(plan, plan->user);
    touch_mounts(plan);
    touch_mount_maps(plan);
    touch_files(plan);
    touch_hooks(plan);
    touch_root(plan);
    touch_filters(plan);
}

static void check_list(const void *bytes, size_t size)
{
    const struct cl_wire_entry *entry;
    size_t at = 0;
    size_t before = 0;
    while (cl_wire_entry_next(bytes, size, &at, &entry) == 1) {
        FUZZ_CHECK(at > before && at <= size);
        before = at;
        for (uint32_t i = 0; i < entry->name_size; i++)
            touched += cl_wire_entry_name(entry)[i];
        for (uint32_t i = 0; i < entry->tag_size; i++)
            touched += cl_wire_entry_tag(entry)[i];
    }
}

static void check_memo(const struct cl_wire_memo *memo)
{
    FUZZ_CHECK(memo->name_size <= CL_WIRE_NAME_MAX && memo->tag_size <= CL_WIRE_TAG_MAX);
    FUZZ_CHECK(memo->extra_count <= CL_WIRE_EXTRA_MAX && memo->rows <= UINT16_MAX && memo->columns <= UINT16_MAX);
    for (uint32_t i = 0; i < memo->extra_count; i++) {
        FUZZ_CHECK(memo->extra[i].number >= 3 && memo->extra[i].number <= CL_WIRE_EXTRA_NUMBER_MAX);
        FUZZ_CHECK(memo->extra[i].fd < FDS);
    }
}

static void check_entry(const struct cl_wire_exec *exec, uint32_t i)
{
    const struct cl_wire_stdio *entry = &exec->stdio[i];
    int is_tape = entry->kind == CL_WIRE_STDIO_PIPE || (entry->kind == CL_WIRE_STDIO_TERMINAL && i == 1);
    FUZZ_CHECK(entry->kind != CL_WIRE_STDIO_SAME || entry->fd < i);
    FUZZ_CHECK(entry->kind != CL_WIRE_STDIO_DESCRIPTOR || entry->fd < FDS);
    FUZZ_CHECK(is_tape || exec->memo.pipe[i].window == 0);
    FUZZ_CHECK((entry->kind == CL_WIRE_STDIO_TERMINAL) == (exec->stdio[0].kind == CL_WIRE_STDIO_TERMINAL));
}

/* What passes both checks can be sent to a process: every index and every size is in range. */
static void check_message(const void *bytes, size_t size)
{
    const struct cl_wire_head *head = bytes;
    int known = 0;
    if (cl_wire_message_check(bytes, size, size % 3) < 0)
        return;
    for (uint32_t version = CL_WIRE_VERSION_MIN; version <= CL_WIRE_VERSION; version++)
        known |= size == cl_wire_size_at(head->type, version);
    FUZZ_CHECK(known);
    if (head->type != CL_WIRE_EXEC || size != sizeof(struct cl_wire_exec))
        return;
    const struct cl_wire_exec *exec = bytes;
    if (cl_wire_stdio_check(exec->stdio, &exec->memo, FDS) < 0)
        return;
    check_memo(&exec->memo);
    for (uint32_t i = 0; i < 3; i++)
        check_entry(exec, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *bytes =
        malloc(size ? size : 1); /* aligned, and of just this size, so that a sanitizer sees the first byte behind it */
    FUZZ_CHECK(bytes);
    if (size > 0)
        memcpy(bytes, data, size);
    check_plan(bytes, size, CL_WIRE_PLAN_CONTAINER);
    check_plan(bytes, size, CL_WIRE_PLAN_PROCESS);
    check_message(bytes, size);
    check_list(bytes, size);
    free(bytes);
    return 0;
}
