/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over the files of one directory, in name order, naming each: seeds and old findings as an ordinary
 * test. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "core/util/io.h"
#include "core/util/mem.h"
#include "tests/fuzz/fuzz.h"

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int replay(const char *dir, const char *leaf)
{
    CL_FREE char *path = cl_asprintf("%s/%s", dir, leaf);
    CL_FREE char *data = NULL;
    size_t size;
    (void)printf("%s\n", leaf);
    (void)fflush(stdout); /* the name of the one that ends us must be out */
    int r = path ? cl_read_file(AT_FDCWD, path, 16u << 20, &data, &size) : -1;
    if (r < 0) {
        (void)fprintf(stderr, "cannot read %s/%s: %s\n", dir, leaf, strerror(-r));
        return r;
    }
    /* An exact copy, so that a sanitizer sees a byte read too far. */
    CL_FREE uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        return -1;
    memcpy(exact, data, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
    return 0;
}

int main(int argc, char **argv)
{
    struct dirent **names = NULL;
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    int count = scandir(argv[1], &names, not_hidden, by_name);
    if (count <= 0) {
        (void)fprintf(stderr, "no seeds in %s\n", argv[1]);
        return 1;
    }
    int failed = 0;
    for (int i = 0; i < count; i++) {
        failed += replay(argv[1], names[i]->d_name) != 0;
        free(names[i]);
    }
    free(names);
    (void)printf("%d seeds, %d failed\n", count, failed);
    return failed != 0;
}
