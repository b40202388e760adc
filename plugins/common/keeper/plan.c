/* SPDX-License-Identifier: Apache-2.0 */
#include "common/keeper/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Unsealed it could change between the check and its use. */
int cl_plan_map(int memfd, uint32_t kind, uint32_t fds, const struct cl_wire_plan **ret_plan, const char **ret_where)
{
    const int wanted = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    int seals = fcntl(memfd, F_GET_SEALS);
    struct stat st;

    *ret_where = "seals";
    if (seals < 0 || (seals & wanted) != wanted || fstat(memfd, &st) < 0)
        return -EBADMSG;
    *ret_where = "size";
    if (st.st_size < (off_t)sizeof(struct cl_wire_plan) || st.st_size > (off_t)CL_WIRE_PLAN_MAX)
        return -EBADMSG;
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, memfd, 0);

    if (map == MAP_FAILED)
        return -errno;
    int r = cl_wire_plan_check(map, (size_t)st.st_size, kind, fds, ret_where);

    if (r < 0) {
        munmap(map, (size_t)st.st_size);
        return r;
    }
    *ret_plan = map;
    return 0;
}

void cl_plan_unmap(const struct cl_wire_plan *plan)
{
    if (plan != NULL)
        munmap((void *)(uintptr_t)plan, plan->size);
}

const char *cl_plan_undoable(const struct cl_wire_plan *plan)
{
    static const struct {
        uint32_t section;
        const char *name;
    } sections[] = {
        {CL_WIRE_LAYERS, "layers"},
        {CL_WIRE_FILES, "files"},
    };

    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
        if (plan->section[sections[i].section].count != 0)
            return sections[i].name;
    return NULL;
}
