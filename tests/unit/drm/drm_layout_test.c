/* The layout table and drm_call: every payload that a client packs is taken apart again by the
 * server to the same parts. */
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <drm.h>
#include <drm_mode.h>

#include "schemes/drm/drm_call.h"
#include "schemes/drm/drm_fixed.h"
#include "schemes/drm/drm_layout.h"
#include "schemes/scheme/libredox.h"

/* A kernel of one symbol: hands each call to the test. */
static size_t (*on_call)(uint8_t *payload, size_t length, size_t flags, uint64_t nr);

size_t redox_sys_call_v0(size_t fd, uint8_t *payload, size_t length, size_t flags,
		const uint64_t *metadata, size_t metadata_words)
{
	assert_int_equal(fd, 7);
	assert_int_equal(metadata_words, 1);
	return on_call(payload, length, flags, metadata[0]);
}

static void parse_accepts_exact_length_only(void **state)
{
	(void)state;
	for (size_t i = 0; drm_layout_at(i) != NULL; i++) {
		const struct drm_layout *layout = drm_layout_at(i);
		uint8_t bytes[256] = {0};
		struct drm_payload payload;
		for (size_t length = 0; length < sizeof(bytes); length++) {
			int expected = length == layout->fixed_bytes ? 0 : -EINVAL;
			assert_int_equal(drm_payload_parse(layout->nr, bytes, length, &payload),
					expected);
		}
	}
}

static void parse_refuses_unknown_numbers(void **state)
{
	(void)state;
	uint8_t bytes[64] = {0};
	struct drm_payload payload;
	assert_int_equal(drm_payload_parse(0xBC, bytes, sizeof(bytes), &payload), -EINVAL);
	assert_int_equal(drm_payload_parse(UINT64_MAX, bytes, sizeof(bytes), &payload), -EINVAL);
	assert_int_equal(drm_payload_parse(0x1A7, bytes, 48, &payload), -EINVAL);
}

/* tcgetattr arrives as number 0 with 48 bytes, TIOCGWINSZ as number 7 with 8 (redox-run.md 4.1). */
static void parse_refuses_terminal_ioctls(void **state)
{
	(void)state;
	uint8_t bytes[48];
	struct drm_payload payload;
	for (int fill = 0; fill < 256; fill++) {
		memset(bytes, fill, sizeof(bytes));
		assert_int_equal(drm_payload_parse(0x00, bytes, 48, &payload), -EINVAL);
		assert_int_equal(drm_payload_parse(0x07, bytes, 8, &payload), -EINVAL);
	}
}

static void parse_refuses_huge_counts(void **state)
{
	(void)state;
	for (size_t i = 0; drm_layout_at(i) != NULL; i++) {
		const struct drm_layout *layout = drm_layout_at(i);
		for (unsigned a = 0; layout->arrays[a].element_bytes != 0; a++) {
			uint8_t bytes[256];
			struct drm_payload payload;
			memset(bytes, 0, sizeof(bytes));
			memset(bytes + drm_layout_count_offset(layout, a), 0xFF,
					layout->arrays[a].count_bytes);
			for (size_t length = layout->fixed_bytes; length < sizeof(bytes);
					length++) {
				assert_int_equal(drm_payload_parse(layout->nr, bytes, length,
								 &payload),
						-EINVAL);
			}
		}
	}
}

static void set_array_truncates_and_stores_the_true_count(void **state)
{
	(void)state;
	struct drm_fixed_connector connector = {.count_modes = 0, .count_encoders = 2};
	uint8_t bytes[sizeof(connector) + 2 * sizeof(uint32_t)];
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, &connector, sizeof(connector));
	struct drm_payload payload;
	assert_int_equal(drm_payload_parse(0xA7, bytes, sizeof(bytes), &payload), 0);
	uint32_t encoders[3] = {11, 12, 13};
	drm_payload_set_array(&payload, 0, encoders, 3);
	memcpy(&connector, bytes, sizeof(connector));
	assert_int_equal(connector.count_encoders, 3);
	assert_memory_equal(bytes + sizeof(connector), encoders, 2 * sizeof(uint32_t));
}

static size_t answer_get_resources(uint8_t *payload, size_t length, size_t flags, uint64_t nr)
{
	struct drm_payload parsed;
	assert_int_equal(nr, 0xA0);
	assert_int_equal(flags, REDOX_CALL_WRITE | REDOX_CALL_READ);
	assert_int_equal(drm_payload_parse(nr, payload, length, &parsed), 0);
	assert_int_equal(parsed.counts[1], 2);
	uint32_t crtcs[] = {101, 102, 103};
	uint32_t connectors[] = {201};
	drm_payload_set_array(&parsed, 0, NULL, 0);
	drm_payload_set_array(&parsed, 1, crtcs, 3);
	drm_payload_set_array(&parsed, 2, connectors, 1);
	drm_payload_set_array(&parsed, 3, NULL, 0);
	return 0;
}

/* NULL with a count: zeros travel, nothing is written back; counts that grew are reported
 * (redox-abi.md 4.2). */
static void call_packs_and_unpacks_arrays(void **state)
{
	(void)state;
	uint32_t crtcs[3] = {1, 2, 0xAAAAAAAA};
	struct drm_mode_card_res resources = {.count_crtcs = 2,
			.crtc_id_ptr = (uintptr_t)crtcs,
			.count_connectors = 1,
			.connector_id_ptr = 0};
	on_call = answer_get_resources;
	assert_int_equal(drm_call(7, DRM_IOCTL_MODE_GETRESOURCES, &resources), 0);
	assert_int_equal(resources.count_crtcs, 3);
	assert_int_equal(resources.count_connectors, 1);
	assert_int_equal(crtcs[0], 101);
	assert_int_equal(crtcs[1], 102);
	assert_int_equal(crtcs[2], 0xAAAAAAAA);
	assert_true(resources.crtc_id_ptr == (uintptr_t)crtcs);
}

static size_t answer_version(uint8_t *payload, size_t length, size_t flags, uint64_t nr)
{
	struct drm_payload parsed;
	struct drm_fixed_version version;
	(void)flags;
	assert_int_equal(drm_payload_parse(nr, payload, length, &parsed), 0);
	memcpy(&version, parsed.fixed, sizeof(version));
	assert_int_equal(version.major, 5);
	version.major = 1;
	memcpy(parsed.fixed, &version, sizeof(version));
	drm_payload_set_array(&parsed, 0, "virtio_gpu", 10);
	drm_payload_set_array(&parsed, 1, "0", 1);
	drm_payload_set_array(&parsed, 2, "bridge", 6);
	return 0;
}

static void call_cuts_pointers_out_of_the_middle(void **state)
{
	(void)state;
	char name[16] = "";
	char description[16] = "";
	struct drm_version version = {.version_major = 5,
			.name_len = sizeof(name),
			.name = name,
			.desc_len = sizeof(description),
			.desc = description};
	on_call = answer_version;
	assert_int_equal(drm_call(7, DRM_IOCTL_VERSION, &version), 0);
	assert_int_equal(version.version_major, 1);
	assert_int_equal(version.name_len, 10);
	assert_string_equal(name, "virtio_gpu");
	assert_string_equal(description, "bridge");
	assert_ptr_equal(version.name, name);
}

static size_t answer_flags(uint8_t *payload, size_t length, size_t flags, uint64_t nr)
{
	(void)payload;
	(void)length;
	(void)nr;
	return flags == REDOX_CALL_WRITE ? (size_t)-ENXIO : 3;
}

static void call_reports_errors_and_values(void **state)
{
	(void)state;
	struct drm_mode_cursor2 cursor = {0};
	struct drm_mode_map_dumb map = {0};
	on_call = answer_flags;
	assert_int_equal(drm_call(7, DRM_IOCTL_MODE_CURSOR2, &cursor), -1);
	assert_int_equal(errno, ENXIO);
	assert_int_equal(drm_call(7, DRM_IOCTL_MODE_MAP_DUMB, &map), 3);
	assert_int_equal(drm_call(7, DRM_IOCTL_MODE_ATOMIC, &map), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(drm_call(7, DRM_IOCTL_MODE_MAP_DUMB, NULL), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(drm_call(7, 0x5401, &map), -1);
	assert_int_equal(errno, EINVAL);
	struct drm_mode_fb_dirty_cmd dirty = {.num_clips = UINT32_MAX};
	assert_int_equal(drm_call(7, DRM_IOCTL_MODE_DIRTYFB, &dirty), -1);
	assert_int_equal(errno, EINVAL);
}

static size_t check_clips(uint8_t *payload, size_t length, size_t flags, uint64_t nr)
{
	struct drm_payload parsed;
	(void)flags;
	assert_int_equal(drm_payload_parse(nr, payload, length, &parsed), 0);
	assert_int_equal(parsed.counts[0], 256);
	struct drm_fixed_clip clip;
	memcpy(&clip, parsed.arrays[0] + 255 * sizeof(clip), sizeof(clip));
	assert_int_equal(clip.x1, 255);
	return 0;
}

static void call_carries_large_arrays(void **state)
{
	(void)state;
	struct drm_clip_rect clips[256];
	for (unsigned i = 0; i < 256; i++) {
		clips[i] = (struct drm_clip_rect) {.x1 = (unsigned short)i, .x2 = 1, .y2 = 1};
	}
	struct drm_mode_fb_dirty_cmd dirty = {.num_clips = 256, .clips_ptr = (uintptr_t)clips};
	on_call = check_clips;
	assert_int_equal(drm_call(7, DRM_IOCTL_MODE_DIRTYFB, &dirty), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(parse_accepts_exact_length_only),
			TEST(parse_refuses_unknown_numbers),
			TEST(parse_refuses_terminal_ioctls),
			TEST(parse_refuses_huge_counts),
			TEST(set_array_truncates_and_stores_the_true_count),
			TEST(call_packs_and_unpacks_arrays),
			TEST(call_cuts_pointers_out_of_the_middle),
			TEST(call_reports_errors_and_values),
			TEST(call_carries_large_arrays),
	};
	return test_main("drm_layout", tests);
}
