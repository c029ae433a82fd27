/* Notices that monitors were plugged in or out: the kernel's own uevents, no udev needed. */
#ifndef GUEST_AGENT_HOTPLUG_H
#define GUEST_AGENT_HOTPLUG_H

#include <stdbool.h>
#include <stddef.h>
#include "common/loop.h"

struct hotplug;

/* Calls FN some time after a DRM device of this machine said that it changed; several events make
 * one call. Returns 0 or a negative errno. */
int hotplug_create(struct loop *loop, loop_fn fn, void *data, struct hotplug **ret_hotplug);

/* NULL is allowed. */
void hotplug_destroy(struct hotplug *hotplug);

/* Whether UNTRUSTED_EVENT (BYTES of strings, each with its NUL) is a change of a DRM device's
 * connectors. */
bool hotplug_event_matters(const char *untrusted_event, size_t bytes);

#endif
