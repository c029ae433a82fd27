/*
 * How each DRM ioctl travels over a Redox scheme (redox-abi.md 4.1-4.4): one Call with metadata[0]
 * = nr and the payload F || A1 || A2 ..., where F is the Linux struct without its array pointers
 * and Ai are the arrays, count_i elements each, in the order of the pointers. One table serves both
 * sides: drm_call (the client) and the bridge. It is checked against libdrm's headers at compile
 * time.
 */
#ifndef DRM_DRM_LAYOUT_H
#define DRM_DRM_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DRM_LAYOUT_ARRAYS_MAX 4

struct drm_layout_array {
	uint16_t count_offset;   // of the count in the Linux struct
	uint16_t count_bytes;    // 4 or 8
	uint16_t pointer_offset; // of the pointer in the Linux struct
	uint16_t element_bytes;
	uint32_t count_max; // above: EINVAL, before anything is allocated or multiplied
};

struct drm_layout {
	uint8_t nr;
	const char *name;     // without DRM_IOCTL_
	uint16_t linux_bytes; // sizeof the Linux struct, as in the request number
	uint16_t fixed_bytes; // sizeof F
	bool write_only;      // relibc sends WRITE without READ
	struct drm_layout_array
			arrays[DRM_LAYOUT_ARRAYS_MAX + 1]; // ends with one of element_bytes 0
};

/* The layout of NR, or NULL when it cannot travel. */
const struct drm_layout *drm_layout_find(uint64_t nr);

/* The layouts one after the other, NULL behind the last: for tools and tests. */
const struct drm_layout *drm_layout_at(size_t index);

/* One payload taken apart: where F and each array lie. */
struct drm_payload {
	const struct drm_layout *layout;
	uint8_t *fixed;                         // F; no alignment guaranteed: memcpy
	uint8_t *arrays[DRM_LAYOUT_ARRAYS_MAX]; // NULL when the count is 0; no alignment guaranteed
	uint32_t counts[DRM_LAYOUT_ARRAYS_MAX]; // elements that the client has room for
};

/*
 * Checks that BYTES holds exactly F and the arrays that F's counts ask for. Returns 0, or -EINVAL:
 * wrong length, a count above its limit, (terminal ioctls share the numbers 0 and 7: their lengths
 * never match). NR unknown: -EINVAL as well.
 */
int drm_payload_parse(uint64_t nr, uint8_t *bytes, size_t length, struct drm_payload *ret_payload);

/* Where the count of array INDEX lies in F: the pointers in front of it are not there. */
size_t drm_layout_count_offset(const struct drm_layout *layout, unsigned index);

/* The count of array INDEX as FIXED (F) holds it: unchecked. */
uint64_t drm_layout_count(const struct drm_layout *layout, unsigned index, const uint8_t *fixed);

/* Server side "set array": copies min(COUNT, room) elements from ELEMENTS and stores COUNT into F
 * (redox-abi.md 4.2). */
void drm_payload_set_array(
		struct drm_payload *payload, unsigned index, const void *elements, uint32_t count);

#endif
