/* SPDX-License-Identifier: Apache-2.0 */
#include "common/keeper/pages.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/keeper/fd.h"

#define PAGE 4096u

/* Like "always [within_size] advise never deny force". What is advised is for mappings; what is inherited is said by
 * the directory's own file. */
static int says_huge(int directory, const char *path)
{
    CL_CLOSE int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
    char text[128];
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (n < 0)
        return 0;
    text[n] = '\0';
    return strstr(text, "[always]") != NULL || strstr(text, "[within_size]") != NULL || strstr(text, "[force]") != NULL;
}

int cl_pages_may_be_huge(const char *settings)
{
    DIR *directory = opendir(settings);
    const struct dirent *entry;
    char path[sizeof(entry->d_name) + sizeof("/shmem_enabled")];
    int huge;

    if (directory == NULL)
        return 0;
    huge = says_huge(dirfd(directory), "shmem_enabled");
    while (!huge && (entry = readdir(directory)) != NULL) {
        if (strncmp(entry->d_name, "hugepages-", strlen("hugepages-")) != 0)
            continue;
        stpcpy(stpcpy(path, entry->d_name), "/shmem_enabled");
        huge = says_huge(dirfd(directory), path);
    }
    closedir(directory);
    return huge;
}

int cl_pages_make(int memfd, uint64_t from, uint64_t to)
{
    uint64_t base = from & ~(uint64_t)(PAGE - 1);
    char *pages = mmap(NULL, to - base, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, (off_t)base);
    int r = 0;

    if (pages == MAP_FAILED)
        return -errno;
    if (madvise(pages, to - base, MADV_NOHUGEPAGE) < 0 || madvise(pages, to - base, MADV_POPULATE_WRITE) < 0)
        r = -errno;
    munmap(pages, to - base);
    return r;
}
