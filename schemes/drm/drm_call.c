/*
 * The client's side of a DRM ioctl on Redox (redox-abi.md 4.1, 4.2). Arrays behind NULL pointers
 * travel as zeros and are not written back; the reply is split by the counts that were sent,
 * whatever the server stored into them.
 */
#include "schemes/drm/drm_call.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "schemes/drm/drm_layout.h"
#include "schemes/scheme/libredox.h"

#define REQUEST_NR(request)   ((uint8_t)((request) & 0xFF))
#define REQUEST_TYPE(request) (((request) >> 8) & 0xFF)
#define REQUEST_SIZE(request) (((request) >> 16) & 0x3FFF)
#define DRM_TYPE              0x64u
#define DRM_POINTER_BYTES     8u
#define SMALL_PAYLOAD_BYTES   512u

struct call {
	const struct drm_layout *layout;
	uint8_t *argument;
	uint8_t *user[DRM_LAYOUT_ARRAYS_MAX]; // may be NULL
	size_t bytes[DRM_LAYOUT_ARRAYS_MAX];  // of the array, by the client's own count
	size_t length;                        // of the payload
};

/* Calls COPY for each piece of the Linux struct between the pointers: F is these pieces one after
 * the other. */
static void fixed_copy(const struct drm_layout *layout, uint8_t *argument, uint8_t *fixed,
		bool to_argument)
{
	size_t at = 0;
	size_t fixed_at = 0;
	while (fixed_at < layout->fixed_bytes) {
		size_t end = layout->linux_bytes;
		for (const struct drm_layout_array *a = layout->arrays; a->element_bytes != 0;
				a++) {
			if (a->pointer_offset >= at && a->pointer_offset < end) {
				end = a->pointer_offset;
			}
		}
		size_t piece = end - at;
		if (piece > layout->fixed_bytes - fixed_at) {
			piece = layout->fixed_bytes - fixed_at;
		}
		if (to_argument) {
			memcpy(argument + at, fixed + fixed_at, piece);
		} else {
			memcpy(fixed + fixed_at, argument + at, piece);
		}
		fixed_at += piece;
		at = end + DRM_POINTER_BYTES;
	}
}

/* Finds the user's arrays and the payload's length. Returns 0 or -EINVAL. */
static int call_measure(struct call *call, const uint8_t *fixed)
{
	call->length = call->layout->fixed_bytes;
	for (unsigned i = 0; call->layout->arrays[i].element_bytes != 0; i++) {
		const struct drm_layout_array *array = &call->layout->arrays[i];
		uint64_t count = drm_layout_count(call->layout, i, fixed);
		if (count > array->count_max) {
			return -EINVAL;
		}
		uint64_t pointer;
		memcpy(&pointer, call->argument + array->pointer_offset, sizeof(pointer));
		call->user[i] = (uint8_t *)(uintptr_t)pointer;
		call->bytes[i] = (size_t)count * array->element_bytes;
		call->length += call->bytes[i];
	}
	return 0;
}

static void call_pack_arrays(const struct call *call, uint8_t *payload)
{
	uint8_t *at = payload + call->layout->fixed_bytes;
	for (unsigned i = 0; call->layout->arrays[i].element_bytes != 0; i++) {
		if (call->user[i] != NULL) {
			memcpy(at, call->user[i], call->bytes[i]);
		} else {
			memset(at, 0, call->bytes[i]);
		}
		at += call->bytes[i];
	}
}

static void call_unpack(const struct call *call, uint8_t *payload)
{
	const uint8_t *at = payload + call->layout->fixed_bytes;
	for (unsigned i = 0; call->layout->arrays[i].element_bytes != 0; i++) {
		if (call->user[i] != NULL) {
			memcpy(call->user[i], at, call->bytes[i]);
		}
		at += call->bytes[i];
	}
	fixed_copy(call->layout, call->argument, payload, true);
}

static size_t call_send(const struct call *call, size_t fd, uint8_t *payload)
{
	uint64_t nr = call->layout->nr;
	size_t flags = REDOX_CALL_WRITE | (call->layout->write_only ? 0u : REDOX_CALL_READ);
	return redox_sys_call_v0(fd, payload, call->length, flags, &nr, 1);
}

int drm_call(size_t fd, unsigned long request, void *argument)
{
	struct call call = {.layout = drm_layout_find(REQUEST_NR(request)), .argument = argument};
	uint8_t small[SMALL_PAYLOAD_BYTES];
	uint8_t *payload = small;
	if (REQUEST_TYPE(request) != DRM_TYPE || call.layout == NULL ||
			REQUEST_SIZE(request) != call.layout->linux_bytes) {
		errno = EINVAL;
		return -1;
	}
	if (argument == NULL) {
		errno = EFAULT;
		return -1;
	}
	fixed_copy(call.layout, argument, small, false);
	if (call_measure(&call, small) < 0) {
		errno = EINVAL;
		return -1;
	}
	if (call.length > sizeof(small)) {
		payload = malloc(call.length);
		if (payload == NULL) {
			errno = ENOMEM;
			return -1;
		}
		memcpy(payload, small, call.layout->fixed_bytes);
	}
	call_pack_arrays(&call, payload);
	size_t result = call_send(&call, fd, payload);
	if (!redox_failed(result) && !call.layout->write_only) {
		call_unpack(&call, payload);
	}
	if (payload != small) {
		free(payload);
	}
	if (redox_failed(result)) {
		errno = redox_errno(result);
		return -1;
	}
	return (int)result;
}
