/*
 * The Orbital-style client against a recorder in place of the kernel: its calls, their order and their lengths are those seen of
 * Orbital (redox-run.md, "Real client sequences"). And its pictures: the same at each run, different for different seeds.
 */
#include "tests/support/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schemes/drm/drm_fixed.h"
#include "schemes/drm/drm_layout.h"
#include "schemes/scheme/libredox.h"
#include "tests/clients/cursor.h"
#include "tests/clients/scene.h"
#include "tests/clients/screen.h"

#define CARD_FD     7
#define CONSUMER_FD 8
#define CONTROL_FD  9
#define MAP_OFFSET  0x10000000u

/* What the kernel that stands in knows, and what it was asked. */
static struct {
	char calls[8192];
	uint32_t mode_count;
	struct drm_fixed_modeinfo modes[2];
	uint32_t handles, fbs;
	uint64_t size;   // of the newest buffer
	bool hands_over; // the newer inputd's "display" below the consumer
	bool no_cursor;
} kernel;

static void record(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void record(const char *format, ...)
{
	size_t used = strlen(kernel.calls);
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(kernel.calls + used, sizeof(kernel.calls) - used, format, arguments);
	va_end(arguments);
}

size_t redox_open_v1(const uint8_t *path, size_t length, uint32_t flags, uint16_t mode)
{
	(void)flags;
	(void)mode;
	record("open:%.*s ", (int)length, (const char *)path);
	if (length == strlen("/scheme/input/consumer") &&
			memcmp(path, "/scheme/input/consumer", length) == 0) {
		return CONSUMER_FD;
	}
	return memcmp(path, "/scheme/input", strlen("/scheme/input")) == 0 ? CONTROL_FD : CARD_FD;
}

size_t redox_openat_v1(size_t dirfd, const uint8_t *path, size_t length, uint32_t flags,
		uint32_t fcntl_flags)
{
	(void)flags;
	(void)fcntl_flags;
	assert_int_equal(dirfd, CONSUMER_FD);
	record("openat:%.*s ", (int)length, (const char *)path);
	return kernel.hands_over ? CARD_FD : (size_t)-EACCES;
}

size_t redox_fpath_v1(size_t fd, uint8_t *destination, size_t length)
{
	const char *path = fd == CONSUMER_FD ? "/scheme/display.bridge/3"
					     : "/scheme/display.bridge/v2/3";
	assert_true(length >= strlen(path));
	memcpy(destination, path, strlen(path));
	return strlen(path);
}

size_t redox_mmap_v1(void *address, size_t length, uint32_t prot, uint32_t flags, size_t fd,
		uint64_t offset)
{
	assert_null(address);
	assert_int_equal(prot, REDOX_PROT_READ | REDOX_PROT_WRITE);
	assert_int_equal(flags, REDOX_MAP_SHARED);
	assert_int_equal(fd, CARD_FD);
	assert_int_equal(offset, MAP_OFFSET * kernel.handles);
	assert_int_equal(length, kernel.size);
	record("mmap ");
	return (size_t)(uintptr_t)calloc(1, length);
}

size_t redox_munmap_v1(void *address, size_t length)
{
	(void)length;
	record("munmap ");
	free(address);
	return 0;
}

size_t redox_close_v1(size_t fd)
{
	(void)fd;
	return 0;
}

size_t redox_fsync_v1(size_t fd)
{
	assert_int_equal(fd, CARD_FD);
	record("fsync ");
	return 0;
}

size_t redox_read_v1(size_t fd, uint8_t *destination, size_t length)
{
	(void)fd;
	(void)destination;
	(void)length;
	return 0;
}

size_t redox_write_v1(size_t fd, const uint8_t *source, size_t length)
{
	uint64_t event[2];
	assert_int_equal(fd, CONTROL_FD);
	assert_int_equal(length, sizeof(event));
	memcpy(event, source, sizeof(event));
	record("activate:%d:%d ", (int)event[0], (int)event[1]);
	return length;
}

static int64_t answer_cap(struct drm_payload *payload)
{
	struct drm_fixed_cap cap;
	memcpy(&cap, payload->fixed, sizeof(cap));
	record(":%d", (int)cap.capability);
	cap.value = cap.capability == 1 ? 1 : cap.capability == 4 ? 0 : CURSOR_PX;
	memcpy(payload->fixed, &cap, sizeof(cap));
	return kernel.no_cursor && cap.capability > 4 ? -EINVAL : 0;
}

static void answer_resources(struct drm_payload *payload)
{
	const uint32_t crtcs[] = {31};
	const uint32_t connectors[] = {41, 42};
	const uint32_t encoders[] = {51, 52};
	drm_payload_set_array(payload, 0, NULL, 0);
	drm_payload_set_array(payload, 1, crtcs, 1);
	drm_payload_set_array(payload, 2, connectors, 2);
	drm_payload_set_array(payload, 3, encoders, 2);
}

/* Connector 41 has nothing plugged in. */
static void answer_connector(struct drm_payload *payload)
{
	const uint32_t encoder = 52;
	struct drm_fixed_connector connector;
	memcpy(&connector, payload->fixed, sizeof(connector));
	bool plugged = connector.connector_id == 42;
	connector.connection = plugged ? 1 : 2;
	memcpy(payload->fixed, &connector, sizeof(connector));
	drm_payload_set_array(payload, 0, &encoder, 1);
	drm_payload_set_array(payload, 1, kernel.modes, plugged ? kernel.mode_count : 0);
	drm_payload_set_array(payload, 2, NULL, 0);
	drm_payload_set_array(payload, 3, NULL, 0);
}

static void answer_create(struct drm_payload *payload)
{
	struct drm_fixed_create_dumb create;
	memcpy(&create, payload->fixed, sizeof(create));
	assert_int_equal(create.bpp, 32);
	create.handle = ++kernel.handles;
	create.pitch = create.width * 4 + 64; // a client must not take it for the width
	create.size = (uint64_t)create.pitch * create.height;
	kernel.size = create.size;
	memcpy(payload->fixed, &create, sizeof(create));
	record(":%ux%u", create.width, create.height);
}

static void answer_map(struct drm_payload *payload)
{
	struct drm_fixed_map_dumb map;
	memcpy(&map, payload->fixed, sizeof(map));
	map.offset = (uint64_t)MAP_OFFSET * map.handle;
	memcpy(payload->fixed, &map, sizeof(map));
}

static void answer_add_fb(struct drm_payload *payload)
{
	struct drm_fixed_fb fb;
	memcpy(&fb, payload->fixed, sizeof(fb));
	assert_int_equal(fb.bpp, 32);
	assert_int_equal(fb.depth, 32);
	assert_int_equal(fb.pitch, fb.width * 4 + 64);
	assert_int_equal(fb.handle, kernel.handles);
	fb.fb_id = 60 + ++kernel.fbs;
	memcpy(payload->fixed, &fb, sizeof(fb));
}

static void check_set_crtc(struct drm_payload *payload)
{
	struct drm_fixed_crtc crtc;
	uint32_t connector;
	memcpy(&crtc, payload->fixed, sizeof(crtc));
	assert_int_equal(payload->counts[0], 1);
	memcpy(&connector, payload->arrays[0], sizeof(connector));
	assert_int_equal(connector, 42);
	assert_int_equal(crtc.crtc_id, 31);
	assert_int_equal(crtc.fb_id, 60 + kernel.fbs);
	assert_int_equal(crtc.mode_valid, 1);
	record(":%dx%d", crtc.mode.hdisplay, crtc.mode.vdisplay);
}

static void note_small(struct drm_payload *payload, uint64_t nr)
{
	struct drm_fixed_cursor cursor;
	struct drm_fixed_clip clip;
	uint32_t id;
	memcpy(&id, payload->fixed, sizeof(id));
	switch (nr) {
	case 0xA3:
	case 0xBB:
		memcpy(&cursor, payload->fixed, sizeof(cursor));
		record(":%u:%d,%d:%u", cursor.flags, cursor.x, cursor.y, cursor.handle);
		break;
	case 0xAF:
	case 0xB4:
		record(":%u", id);
		break;
	case 0xB1:
		assert_int_equal(payload->counts[0], 1);
		memcpy(&clip, payload->arrays[0], sizeof(clip));
		record(":%u:%d,%d,%d,%d", id, clip.x1, clip.y1, clip.x2, clip.y2);
		break;
	default:
		break;
	}
}

size_t redox_sys_call_v0(size_t fd, uint8_t *bytes, size_t length, size_t flags,
		const uint64_t *metadata, size_t metadata_words)
{
	struct drm_payload payload;
	int64_t result = 0;
	assert_int_equal(fd, CARD_FD);
	assert_int_equal(metadata_words, 1);
	assert_int_equal(drm_payload_parse(metadata[0], bytes, length, &payload), 0);
	assert_int_equal(flags,
			payload.layout->write_only ? REDOX_CALL_WRITE
						   : REDOX_CALL_WRITE | REDOX_CALL_READ);
	const char *name = payload.layout->name;
	record("%s", strncmp(name, "MODE_", 5) == 0 ? name + 5 : name);
	switch (metadata[0]) {
	case 0x0C:
		result = answer_cap(&payload);
		break;
	case 0xA0:
		answer_resources(&payload);
		break;
	case 0xA7:
		record(":%zu", length);
		answer_connector(&payload);
		break;
	case 0xB2:
		answer_create(&payload);
		break;
	case 0xB3:
		answer_map(&payload);
		break;
	case 0xAE:
		answer_add_fb(&payload);
		break;
	case 0xA2:
		check_set_crtc(&payload);
		break;
	default:
		note_small(&payload, metadata[0]);
		break;
	}
	record(" ");
	return (size_t)result;
}

static void modes_set(uint16_t width, uint16_t height)
{
	kernel.mode_count = 2;
	kernel.modes[0] = (struct drm_fixed_modeinfo) {
			.hdisplay = width, .vdisplay = height, .vrefresh = 60};
	kernel.modes[1] = (struct drm_fixed_modeinfo) {
			.hdisplay = 64, .vdisplay = 48, .vrefresh = 60};
}

static void start(struct screen *screen, const char *display)
{
	kernel.calls[0] = '\0';
	kernel.handles = kernel.fbs = 0;
	modes_set(128, 96);
	assert_int_equal(screen_open(screen, display), 0);
}

/* F is 48 bytes, a mode 68, an encoder 4: pairs of 48 and of 48 + 2 modes + encoder. */
#define CAPABILITIES "GET_CAP:1 SET_CLIENT_CAP GET_CAP:9 GET_CAP:8 "
#define ROUND \
	"GETRESOURCES GETRESOURCES GETCONNECTOR:48 GETCONNECTOR:52 GETCONNECTOR:48 GETCONNECTOR:188 "
#define PICTURE                                                                          \
	ROUND ROUND ROUND "GETENCODER CREATE_DUMB:128x96 MAP_DUMB mmap GET_CAP:4 ADDFB " \
			  "SETCRTC:128x96 "
#define CURSOR_START "CREATE_DUMB:64x64 MAP_DUMB mmap CURSOR2:1:0,0:2 "

static void start_on_a_named_display(void **state)
{
	struct screen screen;
	(void)state;
	start(&screen, "/scheme/display.bridge/v2/3");
	assert_string_equal(kernel.calls,
			"open:/scheme/display.bridge/v2/3 " CAPABILITIES PICTURE CURSOR_START);
	screen_close(&screen);
}

/* The activation is done by a child: its record stays there. */
static void start_as_consumer(void **state)
{
	struct screen screen;
	(void)state;
	kernel.hands_over = true;
	start(&screen, NULL);
	assert_string_equal(kernel.calls,
			"open:/scheme/input/consumer openat:display " CAPABILITIES PICTURE
					CURSOR_START);
	screen_close(&screen);
	kernel.hands_over = false;
	start(&screen, NULL);
	assert_string_equal(kernel.calls,
			"open:/scheme/input/consumer openat:display open:/scheme/display.bridge/v2/3 " CAPABILITIES
					PICTURE CURSOR_START);
	kernel.calls[0] = '\0';
	assert_int_equal(screen_activate(&screen), 0);
	assert_string_equal(kernel.calls, "open:/scheme/input/control activate:1:3 ");
	screen_close(&screen);
}

static void start_without_cursor(void **state)
{
	struct screen screen;
	(void)state;
	kernel.no_cursor = true;
	start(&screen, "/scheme/display.bridge/v2/3");
	assert_string_equal(kernel.calls,
			"open:/scheme/display.bridge/v2/3 GET_CAP:1 SET_CLIENT_CAP GET_CAP:9 " PICTURE);
	assert_int_equal(screen_move_cursor(&screen, 1, 1), -ENODEV);
	kernel.no_cursor = false;
	screen_close(&screen);
}

static void redraw_asks_twice_and_tells_each_rectangle(void **state)
{
	struct screen screen;
	bool resized = true;
	(void)state;
	start(&screen, "/scheme/display.bridge/v2/3");
	kernel.mode_count = 1;
	kernel.calls[0] = '\0';
	assert_int_equal(screen_redraw(&screen, &resized), 0);
	assert_false(resized);
	struct canvas_box boxes[] = {{1, 2, 3, 4}, {0, 0, 128, 96}};
	assert_int_equal(screen_damage(&screen, &boxes[0]), 0);
	assert_int_equal(screen_damage(&screen, &boxes[1]), 0);
	assert_int_equal(screen_fsync(&screen), 0);
	/* 48 + 68 = 116, then 120: the lengths that were seen. */
	assert_string_equal(kernel.calls,
			"GETCONNECTOR:116 GETCONNECTOR:120 DIRTYFB:61:1,2,4,6 DIRTYFB:61:0,0,128,96 fsync ");
	screen_close(&screen);
}

static void resize_in_order(void **state)
{
	struct screen screen;
	bool resized = false;
	(void)state;
	start(&screen, "/scheme/display.bridge/v2/3");
	assert_int_equal(screen_move_cursor(&screen, -3, 9), 0);
	modes_set(256, 200);
	kernel.mode_count = 1;
	kernel.calls[0] = '\0';
	assert_int_equal(screen_redraw(&screen, &resized), 0);
	assert_true(resized);
	assert_string_equal(kernel.calls,
			"GETCONNECTOR:116 GETCONNECTOR:120 CREATE_DUMB:256x200 MAP_DUMB mmap GET_CAP:4 ADDFB DESTROY_DUMB:1 "
			"munmap SETCRTC:256x200 RMFB:61 CURSOR2:1:0,0:2 CURSOR:2:-3,9:0 ");
	assert_int_equal(screen.buffer.canvas.width_px, 256);
	kernel.calls[0] = '\0';
	assert_int_equal(screen_redraw(&screen, &resized), 0);
	assert_false(resized);
	assert_string_equal(kernel.calls, "GETCONNECTOR:116 GETCONNECTOR:120 ");
	screen_close(&screen);
}

static void monitor_that_is_gone_changes_nothing(void **state)
{
	struct screen screen;
	bool resized = true;
	(void)state;
	start(&screen, "/scheme/display.bridge/v2/3");
	kernel.mode_count = 0;
	assert_int_equal(screen_redraw(&screen, &resized), 0);
	assert_false(resized);
	screen_close(&screen);
}

static void cursor_moves_hides_and_shows(void **state)
{
	struct screen screen;
	(void)state;
	start(&screen, "/scheme/display.bridge/v2/3");
	kernel.calls[0] = '\0';
	assert_int_equal(screen_move_cursor(&screen, 5, 6), 0);
	assert_int_equal(screen_hide_cursor(&screen), 0);
	assert_int_equal(screen_move_cursor(&screen, 7, 8), 0);
	assert_string_equal(kernel.calls,
			"CURSOR:2:5,6:0 CURSOR2:1:0,0:0 CURSOR2:1:0,0:2 CURSOR:2:7,8:0 ");
	screen_close(&screen);
}

static void modes_by_index(void **state)
{
	struct screen screen;
	(void)state;
	start(&screen, "/scheme/display.bridge/v2/3");
	assert_int_equal(screen_set_mode(&screen, 1), 0);
	assert_int_equal(screen.buffer.canvas.width_px, 64);
	assert_int_equal(screen_set_mode(&screen, 2), -ERANGE);
	screen_close(&screen);
}

static struct canvas canvas_make(int width_px, int height_px)
{
	struct canvas canvas = {.stride_px = (size_t)width_px,
			.width_px = width_px,
			.height_px = height_px};
	canvas.pixels = calloc((size_t)width_px * (size_t)height_px, sizeof(uint32_t));
	assert_non_null(canvas.pixels);
	return canvas;
}

static void desktop_is_the_same_each_time(void **state)
{
	(void)state;
	const int sizes[][2] = {{320, 200}, {200, 320}, {640, 360}, {1, 1}, {3, 500}};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct canvas first = canvas_make(sizes[i][0], sizes[i][1]);
		struct canvas second = canvas_make(sizes[i][0], sizes[i][1]);
		size_t bytes = (size_t)sizes[i][0] * (size_t)sizes[i][1] * sizeof(uint32_t);
		memset(second.pixels, 0xA5, bytes);
		scene_desktop(&first);
		scene_desktop(&second);
		/* The unused byte is left as it was. */
		for (size_t p = 0; p < bytes / sizeof(uint32_t); p++) {
			assert_int_equal(first.pixels[p] & 0xFFFFFF, second.pixels[p] & 0xFFFFFF);
		}
		free(first.pixels);
		free(second.pixels);
	}
}

/* These values are also what a program in another language has to make. */
static void noise_is_what_it_says(void **state)
{
	(void)state;
	struct canvas canvas = canvas_make(8, 8);
	struct canvas_box box = {2, 3, 4, 2};
	canvas_noise(&canvas, &box, 0);
	assert_int_equal(canvas.pixels[3 * 8 + 2], 0xE220A8397B1DCDAF & 0xFFFFFF);
	assert_int_equal(canvas.pixels[3 * 8 + 3], 0x6E789E6AA1B965F4 & 0xFFFFFF);
	for (int y = 0; y < 8; y++) {
		for (int x = 0; x < 8; x++) {
			bool inside = x >= 2 && x < 6 && y >= 3 && y < 5;
			assert_int_equal(*canvas_at(&canvas, x, y) != 0, inside);
		}
	}
	struct canvas other = canvas_make(8, 8);
	canvas_noise(&other, &box, 1);
	assert_int_not_equal(canvas.pixels[3 * 8 + 2], other.pixels[3 * 8 + 2]);
	free(canvas.pixels);
	free(other.pixels);
}

/* Premultiplied: no channel above alpha. Both full and partial cover, and nothing, are in it. */
static void cursor_is_premultiplied(void **state)
{
	(void)state;
	struct canvas canvas = canvas_make(CURSOR_PX, CURSOR_PX);
	bool full = false;
	bool partial = false;
	bool none = false;
	cursor_paint(&canvas);
	for (int i = 0; i < CURSOR_PX * CURSOR_PX; i++) {
		uint32_t pixel = canvas.pixels[i];
		uint32_t alpha = pixel >> 24;
		assert_true((pixel >> 16 & 0xFF) <= alpha && (pixel >> 8 & 0xFF) <= alpha &&
				(pixel & 0xFF) <= alpha);
		full = full || alpha == 255;
		partial = partial || (alpha > 0 && alpha < 255);
		none = none || alpha == 0;
	}
	assert_true(full && partial && none);
	assert_int_equal(cursor_over(0xFF102030, 0x405060), 0x102030);
	assert_int_equal(cursor_over(0x00000000, 0x405060), 0x405060);
	assert_int_equal(cursor_over(0x80402010, 0xFFFFFF), 0xBF9F8F);
	free(canvas.pixels);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(start_on_a_named_display),
			TEST(start_as_consumer),
			TEST(start_without_cursor),
			TEST(redraw_asks_twice_and_tells_each_rectangle),
			TEST(resize_in_order),
			TEST(monitor_that_is_gone_changes_nothing),
			TEST(cursor_moves_hides_and_shows),
			TEST(modes_by_index),
			TEST(desktop_is_the_same_each_time),
			TEST(noise_is_what_it_says),
			TEST(cursor_is_premultiplied),
	};
	return test_main("client", tests);
}
