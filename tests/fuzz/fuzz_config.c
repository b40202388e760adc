/* SPDX-License-Identifier: Apache-2.0 */
/* The config: taken, then its options checked and the view dumped; or refused with a sentence that names the file. */
#include <string.h>

#include "core/config/config.h"
#include "core/error/error.h"
#include "core/util/mem.h"
#include "core/util/sv.h"
#include "tests/fuzz/fuzz.h"

static const struct cloister_option table[] = {
    {"cgroup_root", CLOISTER_OPTION_STRING, 0, 1, 64, "/cloister", "", {0}},
    {"count", CLOISTER_OPTION_U64, 0, 1, 10, "1", "", {0}},
    {"on", CLOISTER_OPTION_BOOL, CLOISTER_OPTION_REQUIRED, 0, 0, NULL, "", {0}},
    {"ids", CLOISTER_OPTION_JSON, CLOISTER_OPTION_SECRET, 0, 0, NULL, "", {0}},
};

static void check_entries(const struct cl_config_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CL_FREE struct cloister_option_value *values = NULL;
        FUZZ_CHECK(entries[i].plugin && entries[i].name && entries[i].path && entries[i].options);
        (void)cl_config_check_options(&entries[i], table, sizeof(table) / sizeof(table[0]), &values, NULL);
        check_entries(entries[i].wrap, entries[i].wrap_count);
    }
}

static void check_config(const struct cl_config *config)
{
    check_entries(config->isolation, config->isolation_count);
    check_entries(config->persistence, config->persistence_count);
    for (size_t i = 0; i < config->service_count; i++) {
        const struct cl_config_service *service = &config->services[i];
        FUZZ_CHECK(service->name && service->isolation && service->persistence && service->see && service->act);
        check_entries(&service->personality, 1);
        for (size_t k = 0; k < service->listen_count; k++) {
            FUZZ_CHECK(service->listen[k].address && service->listen[k].transport_count > 0);
            check_entries(service->listen[k].transports, service->listen[k].transport_count);
        }
    }
    CL_FREE char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    FUZZ_CHECK(file && cl_config_dump(config, file) == 0);
    (void)fclose(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cloister_error err = CLOISTER_ERROR_INIT;
    CL_CONFIG_CLEANUP struct cl_config *config = NULL;
    int r = cl_config_parse("fuzz.conf", cl_sv(data, size), &config, &err);
    FUZZ_CHECK((r == 0) == (config != NULL));
    if (r < 0)
        FUZZ_CHECK(strncmp(err.chain, "fuzz.conf:", 10) == 0 && err.line > 0 && err.column > 0);
    else
        check_config(config);
    return 0;
}
