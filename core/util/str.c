/* SPDX-License-Identifier: Apache-2.0 */
#include "core/util/str.h"

#include "core/util/mem.h"
#include <errno.h>
#include <stdio.h>

/* Room for `more` bytes and the NUL, or the sticky error. */
static bool make_room(struct cl_str *str, size_t more)
{
    if (str->error)
        return false;
    if (more > str->limit || str->size > str->limit - more) {
        str->error = -E2BIG;
        return false;
    }
    size_t need = str->size + more + 1;
    if (need <= str->capacity)
        return true;
    size_t capacity = str->capacity ? str->capacity : 64;
    while (capacity < need)
        capacity = capacity > need / 2 ? need : capacity * 2;
    char *data = cl_realloc_array(str->data, capacity, 1);
    if (!data) {
        str->error = -ENOMEM;
        return false;
    }
    str->data = data;
    str->capacity = capacity;
    return true;
}

void cl_str_append_bytes(struct cl_str *str, const void *data, size_t size)
{
    if (!make_room(str, size))
        return;
    if (size > 0)
        memcpy(str->data + str->size, data, size);
    str->size += size;
    str->data[str->size] = 0;
}

void cl_str_append(struct cl_str *str, struct cloister_sv text)
{
    cl_str_append_bytes(str, text.data, text.size);
}

void cl_str_append_cstr(struct cl_str *str, const char *text)
{
    cl_str_append_bytes(str, text, strlen(text));
}

void cl_str_append_char(struct cl_str *str, char byte)
{
    cl_str_append_bytes(str, &byte, 1);
}

void cl_str_vprintf(struct cl_str *str, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (size < 0) {
        str->error = str->error ? str->error : -EINVAL;
        return;
    }
    if (!make_room(str, (size_t)size))
        return;
    (void)vsnprintf(str->data + str->size, (size_t)size + 1, format, args);
    str->size += (size_t)size;
}

void cl_str_printf(struct cl_str *str, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cl_str_vprintf(str, format, args);
    va_end(args);
}

void cl_str_clear(struct cl_str *str)
{
    str->size = 0;
    str->error = 0;
    if (str->data)
        str->data[0] = 0;
}

void cl_str_free(struct cl_str *str)
{
    free(str->data);
    str->data = NULL;
    str->size = 0;
    str->capacity = 0;
    str->error = 0;
}

int cl_str_steal(struct cl_str *str, char **ret_text, size_t *ret_size)
{
    cl_str_append_bytes(str, NULL, 0); /* an empty text is a text */
    if (str->error)
        return str->error;
    *ret_text = cl_steal_ptr(&str->data);
    *ret_size = str->size;
    cl_str_free(str);
    return 0;
}
