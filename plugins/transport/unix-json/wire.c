/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn.h"

/* The id in the form in which it is sent back: digits as they came, text as the printer writes it. */
static bool make_echo(const struct cloister_value_api *values, struct uj_wire *wire)
{
    if (wire->id.kind == CLOISTER_ID_TEXT) {
        cloister_value *text = values->new_string(wire->id.text);
        int32_t result = text ? values->print(text, 0, &wire->echo) : -1;
        values->free(text);
        return result == 0;
    }
    int size = wire->id.kind == CLOISTER_ID_U64
                   ? snprintf(wire->digits, sizeof(wire->digits), "%" PRIu64, wire->id.number)
                   : snprintf(wire->digits, sizeof(wire->digits), "null");
    wire->echo = (struct cloister_sv){wire->digits, (uint64_t)size};
    return true;
}

struct uj_wire *uj_wire_new(struct uj_conn *conn, const struct cloister_wire_id *id)
{
    struct uj_wire *wire = calloc(1, sizeof(*wire) + id->text.size + 1);
    if (!wire)
        return NULL;
    wire->id = *id;
    if (id->kind == CLOISTER_ID_TEXT) {
        wire->id.text.data = (char *)(wire + 1);
        if (id->text.size > 0)
            memcpy(wire + 1, id->text.data, id->text.size);
    }
    if (!make_echo(conn->host->value, wire)) {
        free(wire);
        return NULL;
    }
    wire->next = conn->wires;
    wire->link = &conn->wires;
    if (wire->next)
        wire->next->link = &wire->next;
    conn->wires = wire;
    return wire;
}

bool uj_wire_in_use(const struct uj_conn *conn, const struct cloister_wire_id *id)
{
    for (const struct uj_wire *wire = conn->wires; wire; wire = wire->next) {
        if (wire->id.kind != id->kind || id->kind == CLOISTER_ID_NONE)
            continue;
        if (id->kind == CLOISTER_ID_U64
                ? wire->id.number == id->number
                : wire->id.text.size == id->text.size && memcmp(wire->id.text.data, id->text.data, id->text.size) == 0)
            return true;
    }
    return false;
}

void uj_wire_free(struct uj_conn *conn, struct uj_wire *wire)
{
    if (!wire)
        return;
    *wire->link = wire->next;
    if (wire->next)
        wire->next->link = wire->link;
    if (wire->id.kind == CLOISTER_ID_TEXT)
        conn->host->value->free_text(wire->echo);
    free(wire);
}
