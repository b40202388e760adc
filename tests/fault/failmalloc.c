/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failmalloc.c - a preloaded allocator that fails once.
 *
 * CL_FAILMALLOC names a file of one 64-bit number, mapped when the first allocation comes. While it is 0 nothing
 * happens. A harness that writes N lets the N-th allocation from then on fail (every allocation counts it down; at 1 it
 * fails), in whichever thread that is. What is left when the operation has ended tells whether it came to that. Who
 * asked for the memory is told on stderr, so that a failure can be looked into.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEPTH 24

static uint64_t *countdown;
static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);

/* dlsym may allocate itself, by calloc: it gets this. */
static char early[4096];
static size_t early_used;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("CL_FAILMALLOC");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

    next_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    next_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
    next_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
    if (fd < 0)
        return;
    void *warm[1];
    (void)backtrace(warm, 1); /* the first one loads a library, which allocates */
    void *page = mmap(NULL, sizeof(*countdown), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    countdown = page == MAP_FAILED ? NULL : page;
}

static void tell(void)
{
    static const char head[] = "failmalloc: asked for by\n";
    void *frames[DEPTH];
    if (write(STDERR_FILENO, head, strlen(head)) > 0)
        backtrace_symbols_fd(frames, backtrace(frames, DEPTH), STDERR_FILENO);
}

/* 1: this allocation is the one. */
static int fails(void)
{
    uint64_t left = countdown ? __atomic_load_n(countdown, __ATOMIC_RELAXED) : 0;

    while (left > 0) {
        if (__atomic_compare_exchange_n(countdown, &left, left == 1 ? 0 : left - 1, 0, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            if (left != 1)
                return 0;
            tell();
            errno = ENOMEM;
            return 1;
        }
    }
    return 0;
}

__attribute__((visibility("default"))) void *malloc(size_t size)
{
    if (!next_malloc)
        begin();
    return fails() ? NULL : next_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t size)
{
    if (!next_calloc) {
        size_t start = (early_used + 15) & ~(size_t)15;
        if (size && count > (sizeof(early) - start) / size)
            return NULL;
        early_used = start + count * size;
        return early + start;
    }
    return fails() ? NULL : next_calloc(count, size);
}

__attribute__((visibility("default"))) void *realloc(void *old, size_t size)
{
    if (!next_realloc)
        begin();
    return fails() ? NULL : next_realloc(old, size);
}
