/* SPDX-License-Identifier: Apache-2.0 */
/* news.c - what a keeper says unasked, as upcalls: exits, ends of output, warnings. */
#include <stdio.h>

#include "create.h"

/* CLOCK_BOOTTIME of the keeper's record as CLOCK_MONOTONIC: they differ by the time the machine slept. */
static uint64_t to_mono(const struct ns_instance *instance, uint64_t boot)
{
    uint64_t slept = instance->host->system->now_boot() - instance->host->system->now_mono();

    return boot > slept ? boot - slept : boot;
}

struct cloister_status ns_status_of(const struct ns_instance *instance, const struct cl_wire_record *record)
{
    bool signalled = (record->flags & CL_WIRE_RECORD_SIGNAL) != 0;

    if (record->state != CL_WIRE_EXITED)
        return (struct cloister_status){.kind = CLOISTER_STATUS_NONE};
    return (struct cloister_status){
        .kind = signalled ? CLOISTER_STATUS_SIGNALED : CLOISTER_STATUS_EXITED,
        .value = record->status,
        .flags = (record->flags & CL_WIRE_RECORD_OOM ? CLOISTER_STATUS_OOM : 0u) |
                 (record->flags & CL_WIRE_RECORD_CORE ? CLOISTER_STATUS_CORE : 0u),
        .real_ns = record->exit_real_ns,
        .mono_ns = to_mono(instance, record->exit_boot_ns),
    };
}

uint32_t ns_outputs_of(const struct cl_wire_end end[3], struct cloister_output_end *ret)
{
    uint32_t count = 0;

    for (uint32_t fd = 0; fd < 3; fd++)
        if (end[fd].state != CL_TAPE_NONE)
            ret[count++] = (struct cloister_output_end){
                .fd = fd,
                .flags = end[fd].state == CL_TAPE_ENDED_EARLY ? CLOISTER_OUTPUT_BY_DEADLINE : 0,
                .position = end[fd].position,
                .lost = end[fd].lost,
            };
    return count;
}

/* A keeper before version 4 does not say whose output has ended: it had one container. */
static struct cloister_iso_event event_of(const struct ns_sandbox *sandbox, uint32_t kind, uint64_t number,
                                          cloister_process process)
{
    const struct ns_container *container = number ? ns_container_of_number(sandbox, number) : sandbox->containers;

    return (struct cloister_iso_event){
        CLOISTER_INIT(struct cloister_iso_event),
        .kind = kind,
        .sandbox = ns_view(sandbox->id),
        .container = ns_view(container ? container->cid : ""),
        .incarnation = container ? container->incarnation : 0,
        .process = process,
    };
}

static void tell_exit(struct ns_sandbox *sandbox, const struct cl_wire_record *record)
{
    const struct cloister_host *host = sandbox->instance->host;
    struct cloister_iso_event event = event_of(sandbox, CLOISTER_EVENT_EXIT, record->container, record->pseq);

    event.status = ns_status_of(sandbox->instance, record);
    host->iso->event(host, &event);
}

static void tell_drained(struct ns_sandbox *sandbox, const struct cl_wire_drained *drained)
{
    const struct cloister_host *host = sandbox->instance->host;
    struct cloister_output_end outputs[3];
    struct cloister_iso_event event = event_of(sandbox, CLOISTER_EVENT_DRAINED, drained->container, drained->pseq);

    event.outputs = outputs;
    event.output_count = ns_outputs_of(drained->end, outputs);
    event.output_size = sizeof(outputs[0]);
    host->iso->event(host, &event);
}

static void note_warning(struct ns_sandbox *sandbox, const char *path, const char *text)
{
    NS_FREE char *before = sandbox->warnings;

    sandbox->warnings = ns_format("%s%s%s: %s", before ? before : "", before ? "\n" : "", path, text);
}

void ns_sandbox_warn(struct ns_sandbox *sandbox, const char *path, const char *text)
{
    const struct cloister_host *host = sandbox->instance->host;

    host->iso->warning(host, ns_view(sandbox->id), ns_view(path), text);
    note_warning(sandbox, path, text);
}

/* The JSON path behind a keeper's step. */
static const char *path_of(const char *step)
{
    static const struct {
        const char *step;
        const char *path;
    } paths[] = {{"readonly", "linux.readonlyPaths"},
                 {"link", "linux.devices"},
                 {"capabilities", "process.capabilities"},
                 {"bounding", "process.capabilities"}};

    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        if (strcmp(paths[i].step, step) == 0)
            return paths[i].path;
    return step;
}

/* For fault tests: a process on its way stands still at a step of the keeper's table. */
static void tell_halt(struct ns_sandbox *sandbox, const struct cl_wire_warning *warning)
{
    uint32_t request = ns_conn_request(&sandbox->conn, warning->head.serial);

    cloister_log(sandbox->instance->host, CLOISTER_INFO, "halt: %s %s",
                 request == CL_WIRE_CREATE  ? "create"
                 : request == CL_WIRE_START ? "start"
                                            : "exec",
                 warning->detail);
}

static struct ns_container *being_made(const struct ns_sandbox *sandbox, uint64_t serial)
{
    struct ns_container *container = serial ? sandbox->containers : NULL;

    while (container && container->create != serial)
        container = container->next;
    return container;
}

/* A profile names more paths than any one machine has: those that are missing make one warning together, when all is
 * told. */
static void take_warning(struct ns_sandbox *sandbox, const struct cl_wire_warning *warning)
{
    struct ns_container *container = being_made(sandbox, warning->head.serial);
    char text[CL_WIRE_DETAIL_MAX + 64];

    if (strcmp(warning->step, "halt") == 0) {
        tell_halt(sandbox, warning);
        return;
    }
    if (container && strcmp(warning->step, "mask") == 0) {
        NS_FREE char *before = container->missing;

        container->missing = ns_format("%s%s%s", before ? before : "", before ? ", " : "", warning->detail);
        return;
    }
    snprintf(text, sizeof(text), "%s: %s", warning->detail, strerror(warning->os_errno));
    ns_sandbox_warn(sandbox, path_of(warning->step), text);
}

void ns_sandbox_warn_missing(struct ns_sandbox *sandbox, struct ns_container *container)
{
    NS_FREE char *missing = ns_steal_text(&container->missing);
    NS_FREE char *text = missing ? ns_format("not there to be masked: %s", missing) : NULL;

    if (text)
        ns_sandbox_warn(sandbox, "linux.maskedPaths", text);
}

static void take_exit(struct ns_sandbox *sandbox, const struct cl_wire_record *record)
{
    const struct ns_container *container = ns_container_of_number(sandbox, record->container);

    tell_exit(sandbox, record);
    if ((record->flags & CL_WIRE_RECORD_INIT) == 0)
        return;
    if (container && container->outer_pid && sandbox->state == NS_UP)
        ns_container_end_the_rest(sandbox, container);
}

static void take_down(struct ns_sandbox *sandbox, uint64_t number)
{
    struct ns_container *container = ns_container_of_number(sandbox, number);

    if (container)
        container->down = true;
}

static void take_point(struct ns_sandbox *sandbox, const struct cl_packet *packet)
{
    const struct ns_container *container = ns_container_of_number(sandbox, packet->u.point.container);

    if (container && container->creating)
        ns_create_point(container->creating, packet);
}

void ns_sandbox_news(struct ns_sandbox *sandbox, const struct cl_packet *packet)
{
    switch (packet->u.head.type) {
    case CL_WIRE_EXIT:
        take_exit(sandbox, &packet->u.exit.record);
        break;
    case CL_WIRE_DRAINED:
        tell_drained(sandbox, &packet->u.drained);
        break;
    case CL_WIRE_DOWN:
        take_down(sandbox, packet->u.down.container);
        break;
    case CL_WIRE_POINT:
        take_point(sandbox, packet);
        break;
    default:
        take_warning(sandbox, &packet->u.warning);
    }
}
