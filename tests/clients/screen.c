#include "clients/screen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "schemes/drm/drm_call.h"
#include "schemes/scheme/libredox.h"

#define CURSOR_HOTSPOT_CAP 6u // DRM_CLIENT_CAP_CURSOR_PLANE_HOTSPOT, younger than bookworm's libdrm
#define CONSUMER           "/scheme/input/consumer"
#define CONTROL            "/scheme/input/control"
#define FB_BITS            32u

struct control_event {
	uint64_t kind; // 1: activate a VT
	uint64_t data;
};

static size_t open_path(const char *path, uint32_t flags)
{
	return redox_open_v1((const uint8_t *)path, strlen(path), flags | REDOX_O_CLOEXEC, 0);
}

static int call(const struct screen *screen, unsigned long request, void *argument)
{
	return drm_call(screen->card, request, argument) < 0 ? -errno : 0;
}

/* The display of the consumer: handed over by inputd, or, by an older inputd, named by the consumer's path. */
static int open_consumer(struct screen *screen)
{
	screen->consumer = open_path(CONSUMER, REDOX_O_RDONLY | REDOX_O_NONBLOCK);
	if (redox_failed(screen->consumer)) {
		return -redox_errno(screen->consumer);
	}
	char name[256];
	size_t length = redox_fpath_v1(screen->consumer, (uint8_t *)name, sizeof(name) - 1);
	if (redox_failed(length)) {
		return -redox_errno(length);
	}
	name[length] = '\0';
	char *vt = strrchr(name, '/');
	unsigned long long number = 0;
	if (vt == NULL || sscanf(vt, "/%llu", &number) != 1) {
		return -EINVAL;
	}
	screen->vt = number;
	screen->card = redox_openat_v1(screen->consumer, (const uint8_t *)"display", 7,
			REDOX_O_RDWR | REDOX_O_NONBLOCK | REDOX_O_CLOEXEC, 0);
	if (redox_failed(screen->card)) {
		char path[300];
		*vt = '\0';
		snprintf(path, sizeof(path), "%s/v2/%llu", name, number);
		screen->card = open_path(path, REDOX_O_RDWR | REDOX_O_NONBLOCK);
	}
	return redox_failed(screen->card) ? -redox_errno(screen->card) : 0;
}

static int get_cap(const struct screen *screen, uint64_t capability, uint64_t *ret_value)
{
	struct drm_get_cap cap = {.capability = capability};
	int error = call(screen, DRM_IOCTL_GET_CAP, &cap);
	if (error == 0) {
		*ret_value = cap.value;
	}
	return error;
}

/* A GETRESOURCES in two passes; the first connector and CRTC. */
static int find_objects(struct screen *screen)
{
	uint32_t crtcs[16] = {0};
	uint32_t connectors[16] = {0};
	struct drm_mode_card_res resources = {0};
	int error = call(screen, DRM_IOCTL_MODE_GETRESOURCES, &resources);
	if (error != 0) {
		return error;
	}
	resources = (struct drm_mode_card_res) {.count_crtcs = 16,
			.crtc_id_ptr = (uintptr_t)crtcs,
			.count_connectors = 16,
			.connector_id_ptr = (uintptr_t)connectors};
	error = call(screen, DRM_IOCTL_MODE_GETRESOURCES, &resources);
	if (error != 0) {
		return error;
	}
	screen->connector_id = connectors[0];
	screen->crtc_id = crtcs[0];
	return resources.count_connectors > 0 && resources.count_crtcs > 0 ? 0 : -ENODEV;
}

int screen_probe(struct screen *screen)
{
	struct drm_mode_get_connector connector = {.connector_id = screen->connector_id};
	int error = call(screen, DRM_IOCTL_MODE_GETCONNECTOR, &connector);
	if (error != 0) {
		return error;
	}
	connector = (struct drm_mode_get_connector) {.connector_id = screen->connector_id,
			.count_modes = SCREEN_MODES_MAX,
			.modes_ptr = (uintptr_t)screen->modes,
			.count_encoders = 1,
			.encoders_ptr = (uintptr_t)&screen->encoder_id};
	error = call(screen, DRM_IOCTL_MODE_GETCONNECTOR, &connector);
	if (error != 0) {
		return error;
	}
	screen->mode_count = connector.count_modes < SCREEN_MODES_MAX ? connector.count_modes
								      : SCREEN_MODES_MAX;
	return screen->mode_count > 0 ? 0 : -ENODEV;
}

static int buffer_create(const struct screen *screen, uint32_t width, uint32_t height,
		struct screen_buffer *buffer)
{
	struct drm_mode_create_dumb create = {.width = width, .height = height, .bpp = FB_BITS};
	int error = call(screen, DRM_IOCTL_MODE_CREATE_DUMB, &create);
	if (error != 0) {
		return error;
	}
	struct drm_mode_map_dumb map = {.handle = create.handle};
	error = call(screen, DRM_IOCTL_MODE_MAP_DUMB, &map);
	if (error != 0) {
		return error;
	}
	size_t address = redox_mmap_v1(NULL, create.size, REDOX_PROT_READ | REDOX_PROT_WRITE,
			REDOX_MAP_SHARED, screen->card, map.offset);
	if (redox_failed(address)) {
		return -redox_errno(address);
	}
	*buffer = (struct screen_buffer) {
			.picture = {(uint32_t *)address, width, height, create.pitch / 4},
			.bytes = create.size,
			.handle = create.handle};
	return 0;
}

static int buffer_destroy(const struct screen *screen, struct screen_buffer *buffer)
{
	struct drm_mode_destroy_dumb destroy = {.handle = buffer->handle};
	int error = call(screen, DRM_IOCTL_MODE_DESTROY_DUMB, &destroy);
	redox_munmap_v1(buffer->picture.pixels, buffer->bytes);
	*buffer = (struct screen_buffer) {0};
	return error;
}

static int add_fb(const struct screen *screen, const struct screen_buffer *buffer,
		uint32_t *ret_fb_id)
{
	uint64_t prefer_shadow;
	int error = get_cap(screen, DRM_CAP_DUMB_PREFER_SHADOW, &prefer_shadow);
	if (error != 0) {
		return error;
	}
	struct drm_mode_fb_cmd fb = {.width = buffer->picture.width,
			.height = buffer->picture.height,
			.pitch = buffer->picture.stride_px * 4,
			.bpp = FB_BITS,
			.depth = FB_BITS,
			.handle = buffer->handle};
	error = call(screen, DRM_IOCTL_MODE_ADDFB, &fb);
	if (error == 0) {
		*ret_fb_id = fb.fb_id;
	}
	return error;
}

static int set_crtc(const struct screen *screen)
{
	struct drm_mode_crtc crtc = {.crtc_id = screen->crtc_id,
			.fb_id = screen->fb_id,
			.mode = screen->mode,
			.mode_valid = 1,
			.count_connectors = 1,
			.set_connectors_ptr = (uintptr_t)&screen->connector_id};
	return call(screen, DRM_IOCTL_MODE_SETCRTC, &crtc);
}

static int dirty(const struct screen *screen, struct drm_clip_rect clip)
{
	struct drm_mode_fb_dirty_cmd command = {
			.fb_id = screen->fb_id, .num_clips = 1, .clips_ptr = (uintptr_t)&clip};
	return call(screen, DRM_IOCTL_MODE_DIRTYFB, &command);
}

static struct drm_clip_rect whole(const struct screen *screen)
{
	return (struct drm_clip_rect) {.x2 = (unsigned short)screen->buffer.picture.width,
			.y2 = (unsigned short)screen->buffer.picture.height};
}

static int cursor_create(struct screen *screen)
{
	uint64_t width = 0;
	uint64_t height = 0;
	if (get_cap(screen, DRM_CAP_CURSOR_HEIGHT, &height) != 0 ||
			get_cap(screen, DRM_CAP_CURSOR_WIDTH, &width) != 0) {
		return 0; // Orbital then draws its cursor itself
	}
	if (width > 64) {
		width = 64;
	}
	if (height > 64) {
		height = 64;
	}
	return buffer_create(screen, (uint32_t)width, (uint32_t)height, &screen->cursor);
}

int screen_open(struct screen *screen, const char *path)
{
	*screen = (struct screen) {.consumer = SIZE_MAX};
	int error = 0;
	if (path == NULL) {
		error = open_consumer(screen);
	} else {
		screen->card = open_path(path, REDOX_O_RDWR | REDOX_O_NONBLOCK);
		error = redox_failed(screen->card) ? -redox_errno(screen->card) : 0;
	}
	uint64_t dumb = 0;
	struct drm_set_client_cap hotspot = {.capability = CURSOR_HOTSPOT_CAP, .value = 1};
	if (error != 0 || (error = get_cap(screen, DRM_CAP_DUMB_BUFFER, &dumb)) != 0) {
		return error;
	}
	if (dumb != 1) {
		return -EOPNOTSUPP;
	}
	if ((error = call(screen, DRM_IOCTL_SET_CLIENT_CAP, &hotspot)) != 0) {
		return error;
	}
	for (int pair = 0; pair < 6; pair++) {
		if ((error = find_objects(screen)) != 0 || (error = screen_probe(screen)) != 0) {
			return error;
		}
	}
	struct drm_mode_get_encoder encoder = {.encoder_id = screen->encoder_id};
	if ((error = call(screen, DRM_IOCTL_MODE_GETENCODER, &encoder)) != 0) {
		return error;
	}
	screen->mode = screen->modes[0];
	if ((error = buffer_create(screen, screen->mode.hdisplay, screen->mode.vdisplay,
			     &screen->buffer)) != 0 ||
			(error = add_fb(screen, &screen->buffer, &screen->fb_id)) != 0 ||
			(error = set_crtc(screen)) != 0) {
		return error;
	}
	return cursor_create(screen);
}

void screen_close(struct screen *screen)
{
	if (screen->buffer.picture.pixels != NULL) {
		redox_munmap_v1(screen->buffer.picture.pixels, screen->buffer.bytes);
	}
	if (screen->cursor.picture.pixels != NULL) {
		redox_munmap_v1(screen->cursor.picture.pixels, screen->cursor.bytes);
	}
	redox_close_v1(screen->card);
	if (screen->consumer != SIZE_MAX) {
		redox_close_v1(screen->consumer);
	}
}

int screen_resize(struct screen *screen, const struct drm_mode_modeinfo *mode)
{
	struct screen_buffer old = screen->buffer;
	uint32_t old_fb = screen->fb_id;
	int error = buffer_create(screen, mode->hdisplay, mode->vdisplay, &screen->buffer);
	if (error != 0) {
		return error;
	}
	if ((error = add_fb(screen, &screen->buffer, &screen->fb_id)) != 0 ||
			(error = buffer_destroy(screen, &old)) != 0) {
		return error;
	}
	screen->mode = *mode;
	if ((error = set_crtc(screen)) != 0 ||
			(error = call(screen, DRM_IOCTL_MODE_RMFB, &old_fb)) != 0) {
		return error;
	}
	if (screen->cursor.handle != 0 && screen->cursor_visible &&
			((error = screen_cursor_show(screen, true)) != 0 ||
					(error = screen_cursor_move(screen, screen->cursor_x,
							 screen->cursor_y)) != 0)) {
		return error;
	}
	return dirty(screen, whole(screen));
}

/* Looks at the first mode with room for ENCODERS encoders; the call must not probe, so it asks for one mode. */
static int first_mode(
		const struct screen *screen, uint32_t encoders, struct drm_mode_modeinfo *ret_mode)
{
	uint32_t encoder;
	struct drm_mode_get_connector connector = {.connector_id = screen->connector_id,
			.count_modes = 1,
			.modes_ptr = (uintptr_t)ret_mode,
			.count_encoders = encoders,
			.encoders_ptr = (uintptr_t)&encoder};
	return call(screen, DRM_IOCTL_MODE_GETCONNECTOR, &connector);
}

int screen_redraw(struct screen *screen, const struct drm_clip_rect *damage, uint32_t count)
{
	struct drm_mode_modeinfo mode;
	int error = first_mode(screen, 0, &mode);
	if (error != 0 || (error = first_mode(screen, 1, &mode)) != 0) {
		return error;
	}
	if (mode.hdisplay != screen->modes[0].hdisplay ||
			mode.vdisplay != screen->modes[0].vdisplay) {
		screen->modes[0] = mode;
		error = screen_resize(screen, &mode);
		return error == 0 ? 1 : error;
	}
	for (uint32_t i = 0; i < count && error == 0; i++) {
		error = dirty(screen, damage[i]);
	}
	return error;
}

int screen_cursor_show(struct screen *screen, bool visible)
{
	struct drm_mode_cursor2 cursor = {.flags = DRM_MODE_CURSOR_BO,
			.crtc_id = screen->crtc_id,
			.width = screen->cursor.picture.width,
			.height = screen->cursor.picture.height,
			.handle = visible ? screen->cursor.handle : 0};
	screen->cursor_visible = visible;
	return call(screen, DRM_IOCTL_MODE_CURSOR2, &cursor);
}

int screen_cursor_move(struct screen *screen, int32_t x, int32_t y)
{
	struct drm_mode_cursor cursor = {
			.flags = DRM_MODE_CURSOR_MOVE, .crtc_id = screen->crtc_id, .x = x, .y = y};
	screen->cursor_x = x;
	screen->cursor_y = y;
	return call(screen, DRM_IOCTL_MODE_CURSOR, &cursor);
}

int screen_sync(struct screen *screen)
{
	size_t result = redox_fsync_v1(screen->card);
	return redox_failed(result) ? -redox_errno(result) : 0;
}

int screen_activate(struct screen *screen)
{
	struct control_event event = {.kind = 1, .data = screen->vt};
	size_t control = open_path(CONTROL, REDOX_O_WRONLY);
	if (redox_failed(control)) {
		return -redox_errno(control);
	}
	size_t result = redox_write_v1(control, (const uint8_t *)&event, sizeof(event));
	redox_close_v1(control);
	return redox_failed(result) ? -redox_errno(result) : 0;
}
