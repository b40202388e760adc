/* SPDX-License-Identifier: Apache-2.0 */
#include "common/tar/message.h"

#include <string.h>

static int ends(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

int cl_tar_message_check(const struct cl_tar_message *message, uint64_t size)
{
    if (size != sizeof(*message) || message->struct_size != sizeof(*message) || message->magic != CL_TAR_MAGIC)
        return -1;
    if (message->kind < CL_TAR_READY || message->kind > CL_TAR_FAILED || message->os_errno < 0)
        return -1;
    if ((message->kind == CL_TAR_FAILED) != (message->code != CLOISTER_OK) || message->code >= CLOISTER_CODE_COUNT)
        return -1;
    return ends(message->step, sizeof(message->step)) && ends(message->subject, sizeof(message->subject)) &&
                   ends(message->text, sizeof(message->text))
               ? 0
               : -1;
}
