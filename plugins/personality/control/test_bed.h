/* SPDX-License-Identifier: Apache-2.0 */
/* test_bed.h - the personality between a fake exchange service, a fake engine and fake streams; requests and answers
 * are JSON texts, everything that happens is told in `story`. */
#ifndef CONTROL_TEST_BED_H
#define CONTROL_TEST_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_host.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ERROR_OF(kind, message, code) "{\"error_kind\":\"" kind "\",\"message\":\"" message "\",\"code\":\"" code "\""
#define INVALID(message) "0:400 " ERROR_OF("serde", message, "invalid") ",\"step\":\"params\"}\n"
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

struct cloister_exchange {
    cloister_value *params;
    const char *role; /* of fd */
    int fd;           /* -1 = none */
    bool ended;       /* answered for good, or gone */
};

extern struct cloister_exchange exchanges[8];
extern const struct cloister_personality *personality;
extern struct cloister_host host;
extern void *instance;
extern char story[8192];

/* What a push comes to. */
extern uint32_t push_result;
extern uint64_t push_max;
/* Of every connection. */
extern uint32_t conn_access;
extern unsigned pushes;
extern char last_push[1024];

/* The client's stream, and the one that the engine gives. */
extern struct cloister_stream client_stream, inside_stream;
extern uint64_t inside_position;

/* What the parts of the fake engine share. */
cloister_op begin(cloister_done_fn done, void *ctx);
const char *sv(struct cloister_sv text);
void tell_stdio(const struct cloister_stdio *stdio, uint64_t count);
void tell_process(const struct cloister_process_args *process);
void tell_container(const struct cloister_container_args *container);
/* Fill in further operations: test_engine.c. */
void fake_engine_limits(struct cloister_engine_api *api);
void fake_engine_files(struct cloister_engine_api *api);

int set_up(void **state);
int tear_down(void **state);
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* fd is the exchange's from here; role NULL: none comes with it. */
void request_with(unsigned index, const char *op, const char *params, const char *role, int fd);
void request(unsigned index, const char *op, const char *params);
/* Ends the engine's operation under way. */
void complete(uint32_t code, const struct cloister_result *result);
bool is_pending(void);
/* Ends the relay under way. */
void relayed(uint32_t end, uint64_t bytes);
void go(unsigned index);

#endif
