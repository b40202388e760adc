/* SPDX-License-Identifier: Apache-2.0 */
#include <cloister/personality.h>

#include "bend.h"

#ifndef EXCHANGE
#define EXCHANGE exchange
#endif
#ifndef ROUTES
#define ROUTES GOOD
#endif
#ifndef ROUTE_COUNT
#define ROUTE_COUNT 2
#endif
#ifndef ROUTE_SIZE
#define ROUTE_SIZE sizeof(struct cloister_route)
#endif

enum routes { GOOD, UNREACHABLE, NO_ACCESS, HALF_URL, NO_SLASH, TWICE, BODY, RESERVED, ROUTE_CASES };

#define CONTROL .access = CLOISTER_ACCESS_CONTROL

static const struct cloister_route routes[ROUTE_CASES][2] = {
    [GOOD] = {{.op = "do", .id = 1, CONTROL}, {.verb = "GET", .path = "/do/:it", .number = 7, .id = 2, CONTROL}},
    [UNREACHABLE] = {{.op = "do", CONTROL}, {.id = 2, CONTROL}},
    [NO_ACCESS] = {{.op = "do", .id = 1}, {.op = "see", CONTROL}},
    [HALF_URL] = {{.verb = "GET", CONTROL}, {.op = "see", CONTROL}},
    [NO_SLASH] = {{.verb = "GET", .path = "do", CONTROL}, {.op = "see", CONTROL}},
    [TWICE] = {{.op = "do", CONTROL}, {.op = "do", .number = 3, CONTROL}},
    [BODY] = {{.op = "do", CONTROL, .body = 9}, {.op = "see", CONTROL}},
    [RESERVED] = {{.op = "do", CONTROL, .reserved = {0, 1}}, {.op = "see", CONTROL}},
};

static inline void exchange(void *instance, cloister_exchange *request, uint32_t route_id)
{
}

static void exchange_fault(void *instance, cloister_exchange *request, const struct cloister_fault *fault)
{
}

static void exchange_gone(void *instance, cloister_exchange *request, uint32_t reason)
{
}

static void close_service(void *instance)
{
}

static const struct {
    struct cloister_personality known;
    struct tail tail;
} vtable = {
    .known =
        {
            .struct_size = VTABLE_SIZE,
            .route_count = ROUTE_COUNT,
            .life = {create, destroy},
            .routes = routes[ROUTES],
            .route_size = ROUTE_SIZE,
            .exchange = EXCHANGE,
            .exchange_fault = exchange_fault,
            .exchange_gone = exchange_gone,
            .close = close_service,
        },
    .tail = TAIL,
};

static const struct cloister_plugin descriptor = BENT(CLOISTER_KIND_PERSONALITY);

CLOISTER_PLUGIN_REGISTER(descriptor)
