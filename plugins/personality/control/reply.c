/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "control.h"
#include "params.h"

#define SENTENCE_MAX 1024u

struct cloister_sv ct_sv(const char *text)
{
    return (struct cloister_sv){text, strlen(text)};
}

bool ct_is(struct cloister_sv text, const char *word)
{
    return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

/* ---- members ---- */

void ct_set(const struct ct_instance *instance, cloister_value **object, const char *key, cloister_value *child)
{
    const struct cloister_value_api *values = instance->host->value;
    if (!*object) {
        values->free(child);
    } else if (values->set(*object, ct_sv(key), child) < 0) {
        values->free(*object);
        *object = NULL;
    }
}

/* Names may be any bytes, JSON only UTF-8: what cannot be shown is shown as question marks. */
static cloister_value *displayable(const struct cloister_value_api *values, struct cloister_sv text)
{
    char copy[1024];
    cloister_value *value = values->new_string(text);
    if (value || text.size > sizeof(copy))
        return value;
    for (uint64_t i = 0; i < text.size; i++)
        copy[i] = (signed char)text.data[i] > 0 ? text.data[i] : '?';
    return values->new_string((struct cloister_sv){copy, text.size});
}

void ct_set_text(const struct ct_instance *instance, cloister_value **object, const char *key, struct cloister_sv text)
{
    ct_set(instance, object, key, displayable(instance->host->value, text));
}

void ct_set_u64(const struct ct_instance *instance, cloister_value **object, const char *key, uint64_t number)
{
    ct_set(instance, object, key, instance->host->value->new_u64(number));
}

void ct_set_bool(const struct ct_instance *instance, cloister_value **object, const char *key, bool yes)
{
    ct_set(instance, object, key, instance->host->value->new_boolean(yes));
}

void ct_set_null(const struct ct_instance *instance, cloister_value **object, const char *key)
{
    ct_set(instance, object, key, instance->host->value->new_null());
}

cloister_value *ct_json(const struct ct_instance *instance, struct cloister_sv text)
{
    const struct cloister_value_api *values = instance->host->value;
    struct cloister_error err = CLOISTER_ERROR_INIT;
    cloister_value *value = NULL;
    if (text.size > 0 && values->parse(text, 0, 0, &value, &err) == 0)
        return value;
    values->free(value);
    return values->new_null();
}

/* ---- errors ---- */

static const struct {
    uint32_t code;
    const char *kind;
    uint32_t klass;
} kinds[] = {
    {CLOISTER_NO_ENTITY, "no_such_entity", CLOISTER_CLASS_NOT_FOUND},
    {CLOISTER_EXISTS, "invalid_state", CLOISTER_CLASS_CONFLICT},
    {CLOISTER_NAME_IN_USE, "invalid_state", CLOISTER_CLASS_CONFLICT},
    {CLOISTER_INVALID_STATE, "invalid_state", CLOISTER_CLASS_CONFLICT},
    {CLOISTER_FROZEN, "invalid_state", CLOISTER_CLASS_CONFLICT},
    {CLOISTER_BUSY, "invalid_state", CLOISTER_CLASS_CONFLICT},
    {CLOISTER_NOT_TTY, "invalid_state", CLOISTER_CLASS_CONFLICT},
    {CLOISTER_INVALID, "serde", CLOISTER_CLASS_INVALID},
    {CLOISTER_DENIED, "failure", CLOISTER_CLASS_DENIED},
    {CLOISTER_DEADLINE, "failure", CLOISTER_CLASS_DEADLINE},
};

static cloister_value *error_document(const struct ct_instance *instance, const char *kind, const char *message,
                                      const char *code)
{
    cloister_value *document = instance->host->value->new_object();
    ct_set_text(instance, &document, "error_kind", ct_sv(kind));
    ct_set_text(instance, &document, "message", ct_sv(message));
    ct_set_text(instance, &document, "code", ct_sv(code));
    return document;
}

/* Takes document. Its last resort needs no memory. */
static void send_error(struct ct_instance *instance, cloister_exchange *exchange, uint32_t klass,
                       cloister_value *document)
{
    static const struct cloister_sv fallback =
        CLOISTER_SV("{\"error_kind\":\"failure\",\"message\":\"out of memory\",\"code\":\"limit\",\"errno\":12}");
    const struct cloister_value_api *values = instance->host->value;
    struct cloister_sv text;
    if (document && values->print(document, 0, &text) == 0) {
        (void)instance->host->exchange->answer(exchange, klass, text);
        values->free_text(text);
    } else {
        (void)instance->host->exchange->answer(exchange, CLOISTER_CLASS_INTERNAL, fallback);
    }
    values->free(document);
}

void ct_answer_error(struct ct_instance *instance, cloister_exchange *exchange, const struct cloister_error *err)
{
    char sentence[SENTENCE_MAX];
    const char *kind = "failure";
    uint32_t klass = CLOISTER_CLASS_INTERNAL;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].code == err->code) {
            kind = kinds[i].kind;
            klass = kinds[i].klass;
        }
    }
    (void)instance->host->log->error_sentence(err, sentence, sizeof(sentence));
    cloister_value *document =
        error_document(instance, kind, sentence, instance->host->log->error_code_name(err->code));
    if (err->os_errno > 0)
        ct_set_u64(instance, &document, "errno", (uint64_t)err->os_errno);
    if (err->step[0])
        ct_set_text(instance, &document, "step", ct_sv(err->step));
    send_error(instance, exchange, klass, document);
}

bool ct_answer(struct ct_instance *instance, cloister_exchange *exchange, cloister_value *document)
{
    const struct cloister_value_api *values = instance->host->value;
    struct cloister_sv text;
    if (!document || values->print(document, 0, &text) < 0) {
        values->free(document);
        send_error(instance, exchange, CLOISTER_CLASS_INTERNAL, NULL);
        return false;
    }
    uint32_t result = instance->host->exchange->answer(exchange, CLOISTER_CLASS_OK, text);
    values->free_text(text);
    values->free(document);
    if (result == CLOISTER_PUSH_TOO_BIG)
        send_error(instance, exchange, CLOISTER_CLASS_INTERNAL,
                   error_document(instance, "failure", "the answer is larger than this connection carries", "too_big"));
    return result == CLOISTER_PUSH_OK;
}

bool ct_answer_empty(struct ct_instance *instance, cloister_exchange *exchange)
{
    return instance->host->exchange->answer(exchange, CLOISTER_CLASS_OK, CLOISTER_SV("{}")) == CLOISTER_PUSH_OK;
}

/* ---- faults: what was wrong before there was an operation ---- */

static const struct {
    uint32_t fault;
    uint32_t klass;
    const char *kind;
    const char *code;
    const char *message;
} faults[] = {
    {CLOISTER_FAULT_NO_ROUTE, CLOISTER_CLASS_NOT_FOUND, "serde", "unknown_method", "no such path"},
    {CLOISTER_FAULT_WRONG_VERB, CLOISTER_CLASS_NO_METHOD, "serde", "unknown_method", "wrong verb for this path"},
    {CLOISTER_FAULT_MALFORMED, CLOISTER_CLASS_INVALID, "serde", "malformed", "malformed request"},
    {CLOISTER_FAULT_TOO_LARGE, CLOISTER_CLASS_TOO_LARGE, "serde", "too_large", "the request is too large"},
    {CLOISTER_FAULT_DUPLICATE_KEY, CLOISTER_CLASS_INVALID, "serde", "duplicate_key", "a key stands twice"},
    {CLOISTER_FAULT_BAD_ID, CLOISTER_CLASS_INVALID, "serde", "bad_id", "the id cannot be used"},
    {CLOISTER_FAULT_UNKNOWN_OP, CLOISTER_CLASS_NOT_FOUND, "serde", "unknown_method", "unknown method"},
    {CLOISTER_FAULT_BAD_DESCRIPTORS, CLOISTER_CLASS_INVALID, "serde", "bad_descriptors",
     "this method takes no descriptors"},
    {CLOISTER_FAULT_DENIED, CLOISTER_CLASS_DENIED, "failure", "permission_denied", "permission denied"},
    {CLOISTER_FAULT_BUSY, CLOISTER_CLASS_UNAVAILABLE, "failure", "busy",
     "too many requests under way on this connection"},
    {CLOISTER_FAULT_DRAINING, CLOISTER_CLASS_UNAVAILABLE, "failure", "draining", "the daemon is about to end"},
};

static void unknown_method(struct cloister_sv op, char *ret, size_t size)
{
    const char *nearest = ct_nearest(op, ct_methods);
    int shown = (int)(op.size < 64 ? op.size : 64);
    (void)snprintf(ret, size, "unknown method '%.*s'%s%s%s", shown, op.data ? op.data : "",
                   nearest ? "; the nearest known one is '" : "", nearest ? nearest : "", nearest ? "'" : "");
}

void ct_answer_fault(struct ct_instance *instance, cloister_exchange *exchange, const struct cloister_fault *fault)
{
    char message[SENTENCE_MAX];
    size_t i = 0;
    while (i + 1 < sizeof(faults) / sizeof(faults[0]) && faults[i].fault != fault->kind)
        i++;
    if (fault->kind == CLOISTER_FAULT_UNKNOWN_OP)
        unknown_method(fault->op, message, sizeof(message));
    else if (fault->text.size > 0)
        (void)snprintf(message, sizeof(message), "%.*s", (int)(fault->text.size < 512 ? fault->text.size : 512),
                       fault->text.data);
    else
        (void)snprintf(message, sizeof(message), "%s", faults[i].message);
    send_error(instance, exchange, faults[i].klass, error_document(instance, faults[i].kind, message, faults[i].code));
}
