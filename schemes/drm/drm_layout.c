/*
 * The table of DRM layouts, and payloads taken apart by it. Nothing in a payload is trusted: the
 * counts in F are read once, bounded, and have to add up to exactly the length that arrived
 * (terminal ioctls share the numbers 0 and 7: redox-run.md 4.1).
 */
#include "schemes/drm/drm_layout.h"

#include <errno.h>
#include <string.h>

#define DRM_POINTER_BYTES 8u

#define DRM_ARRAY(linux_struct, count, count_offset, count_bytes, pointer, pointer_offset, \
		element, element_bytes, max)                                               \
	{count_offset, count_bytes, pointer_offset, element_bytes, max},
#define DRM_LAYOUT(nr, name, linux_struct, linux_bytes, fixed_bytes, write_only, ...) \
	{nr, #name, linux_bytes, fixed_bytes, write_only, {__VA_ARGS__ {0, 0, 0, 0, 0}}},

static const struct drm_layout layouts[] = {
#include "schemes/drm/drm_layout.def"
};

#define LAYOUT_COUNT (sizeof(layouts) / sizeof(layouts[0]))

const struct drm_layout *drm_layout_find(uint64_t nr)
{
	for (size_t i = 0; i < LAYOUT_COUNT; i++) {
		if (layouts[i].nr == nr) {
			return &layouts[i];
		}
	}
	return NULL;
}

const struct drm_layout *drm_layout_at(size_t index)
{
	return index < LAYOUT_COUNT ? &layouts[index] : NULL;
}

size_t drm_layout_count_offset(const struct drm_layout *layout, unsigned index)
{
	size_t offset = layout->arrays[index].count_offset;
	for (const struct drm_layout_array *a = layout->arrays; a->element_bytes != 0; a++) {
		if (a->pointer_offset < layout->arrays[index].count_offset) {
			offset -= DRM_POINTER_BYTES;
		}
	}
	return offset;
}

uint64_t drm_layout_count(const struct drm_layout *layout, unsigned index, const uint8_t *fixed)
{
	const uint8_t *at = fixed + drm_layout_count_offset(layout, index);
	if (layout->arrays[index].count_bytes == sizeof(uint32_t)) {
		uint32_t count;
		memcpy(&count, at, sizeof(count));
		return count;
	}
	uint64_t count;
	memcpy(&count, at, sizeof(count));
	return count;
}

static void count_store(
		const struct drm_layout *layout, unsigned index, uint8_t *fixed, uint32_t count)
{
	uint8_t *at = fixed + drm_layout_count_offset(layout, index);
	uint64_t wide = count;
	if (layout->arrays[index].count_bytes == sizeof(uint32_t)) {
		memcpy(at, &count, sizeof(count));
	} else {
		memcpy(at, &wide, sizeof(wide));
	}
}

int drm_payload_parse(uint64_t nr, uint8_t *bytes, size_t length, struct drm_payload *ret_payload)
{
	struct drm_payload payload = {.layout = drm_layout_find(nr), .fixed = bytes};
	if (payload.layout == NULL || length < payload.layout->fixed_bytes) {
		return -EINVAL;
	}
	size_t offset = payload.layout->fixed_bytes;
	for (unsigned i = 0; payload.layout->arrays[i].element_bytes != 0; i++) {
		const struct drm_layout_array *array = &payload.layout->arrays[i];
		uint64_t untrusted_count = drm_layout_count(payload.layout, i, bytes);
		if (untrusted_count > array->count_max) {
			return -EINVAL;
		}
		size_t array_bytes = (size_t)untrusted_count * array->element_bytes;
		if (array_bytes > length - offset) {
			return -EINVAL;
		}
		payload.counts[i] = (uint32_t)untrusted_count;
		payload.arrays[i] = untrusted_count > 0 ? bytes + offset : NULL;
		offset += array_bytes;
	}
	if (offset != length) {
		return -EINVAL;
	}
	*ret_payload = payload;
	return 0;
}

void drm_payload_set_array(
		struct drm_payload *payload, unsigned index, const void *elements, uint32_t count)
{
	uint32_t copied = count < payload->counts[index] ? count : payload->counts[index];
	if (copied > 0) {
		memcpy(payload->arrays[index], elements,
				(size_t)copied * payload->layout->arrays[index].element_bytes);
	}
	count_store(payload->layout, index, payload->fixed, count);
}
