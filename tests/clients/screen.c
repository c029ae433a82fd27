/*
 * Orbital's side of a display. The numbered order of calls is the point of this file: do not
 * reorder them. Invariant: what a half-open screen owns is in its fields, so screen_close() can
 * always take it down.
 */
#include "tests/clients/screen.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <drm.h>

#include "schemes/drm/drm_call.h"
#include "schemes/scheme/libredox.h"
#include "tests/clients/cursor.h"

#define OPEN_FLAGS    (REDOX_O_RDWR | REDOX_O_NONBLOCK | REDOX_O_CLOEXEC)
#define OBJECTS_MAX   16
#define MODES_MAX     128
#define BITS          32
#define CONSUMER      "/scheme/input/consumer"
#define INPUT_CONTROL "/scheme/input/control"
#define STATUS        "/scheme/display/status"

/* An older inputd does not always wake the display, which then looks by itself. */
#define ACTIVE_WAIT_MS 10000
#define ACTIVE_LOOK_MS 20

/* A connector's answer with room for what it can say. */
struct connector {
	struct drm_mode_get_connector about;
	struct drm_mode_modeinfo modes[MODES_MAX];
	uint32_t encoders[OBJECTS_MAX];
};

static int step_failed(struct screen *screen, const char *step, int error)
{
	screen->step = step;
	return error;
}

/* An ioctl by relibc's encoding. */
static int card_call(struct screen *screen, const char *step, unsigned long request, void *argument)
{
	if (drm_call(screen->card_fd, request, argument) < 0) {
		return step_failed(screen, step, -errno);
	}
	return 0;
}
#define CALL(screen, name, argument) card_call((screen), #name, DRM_IOCTL_##name, (argument))

static size_t open_path(const char *path, uint32_t flags)
{
	return redox_open_v1((const uint8_t *)path, strlen(path), flags, 0);
}

static int fd_path(size_t fd, char *path, size_t size)
{
	size_t length = redox_fpath_v1(fd, (uint8_t *)path, size - 1);
	if (redox_failed(length)) {
		return -redox_errno(length);
	}
	path[length] = '\0';
	return 0;
}

/* The older inputd: fpath says /scheme/NAME/VT, the display is opened as /scheme/NAME/v2/VT. */
static size_t open_by_path(size_t consumer_fd)
{
	char path[200];
	char versioned[sizeof(path) + 4];
	int error = fd_path(consumer_fd, path, sizeof(path));
	char *slash = error == 0 ? strrchr(path, '/') : NULL;
	if (slash == NULL) {
		return error != 0 ? (size_t)error : (size_t)-EINVAL;
	}
	snprintf(versioned, sizeof(versioned), "%.*s/v2%s", (int)(slash - path), path, slash);
	return open_path(versioned, OPEN_FLAGS);
}

static int open_display(struct screen *screen, const char *display)
{
	size_t fd;
	if (display != NULL) {
		fd = open_path(display, OPEN_FLAGS);
	} else {
		fd = open_path(CONSUMER, OPEN_FLAGS);
		if (redox_failed(fd)) {
			return step_failed(screen, "open " CONSUMER, -redox_errno(fd));
		}
		screen->consumer_fd = fd;
		fd = redox_openat_v1(screen->consumer_fd, (const uint8_t *)"display",
				strlen("display"), OPEN_FLAGS, 0);
		if (redox_failed(fd)) {
			fd = open_by_path(screen->consumer_fd);
		}
	}
	if (redox_failed(fd)) {
		return step_failed(screen, "open of the display", -redox_errno(fd));
	}
	screen->card_fd = fd;
	if (fd_path(fd, screen->path, sizeof(screen->path)) != 0) {
		snprintf(screen->path, sizeof(screen->path), "%s", display != NULL ? display : "");
	}
	return 0;
}

static int get_cap(struct screen *screen, uint64_t capability, uint64_t *ret_value)
{
	struct drm_get_cap cap = {.capability = capability};
	int error = CALL(screen, GET_CAP, &cap);
	if (error == 0) {
		*ret_value = cap.value;
	}
	return error;
}

/* An error from the size of the cursor means a software cursor to Orbital; this client then has
 * none. */
static int ask_capabilities(struct screen *screen)
{
	uint64_t dumb = 0;
	int error = get_cap(screen, DRM_CAP_DUMB_BUFFER, &dumb);
	if (error != 0 || dumb != 1) {
		return step_failed(screen, "GET_CAP DUMB_BUFFER", error != 0 ? error : -EOPNOTSUPP);
	}
	struct drm_set_client_cap hotspot = {.capability = 6, .value = 1};
	uint64_t width_px = 0;
	uint64_t height_px = 0;
	error = CALL(screen, SET_CLIENT_CAP, &hotspot);
	screen->has_cursor = error == 0 &&
			get_cap(screen, DRM_CAP_CURSOR_HEIGHT, &height_px) == 0 &&
			get_cap(screen, DRM_CAP_CURSOR_WIDTH, &width_px) == 0 &&
			width_px >= CURSOR_PX && height_px >= CURSOR_PX;
	return 0;
}

static int get_resources(struct screen *screen, struct drm_mode_card_res *resources,
		uint32_t *crtcs, uint32_t *connectors)
{
	struct drm_mode_card_res counts = {0};
	static uint32_t fbs[OBJECTS_MAX];
	static uint32_t encoders[OBJECTS_MAX];
	int error = CALL(screen, MODE_GETRESOURCES, &counts);
	if (error != 0) {
		return error;
	}
	if (counts.count_crtcs > OBJECTS_MAX || counts.count_connectors > OBJECTS_MAX ||
			counts.count_encoders > OBJECTS_MAX || counts.count_fbs > OBJECTS_MAX) {
		return step_failed(screen, "MODE_GETRESOURCES", -E2BIG);
	}
	*resources = counts;
	resources->crtc_id_ptr = (uintptr_t)crtcs;
	resources->connector_id_ptr = (uintptr_t)connectors;
	resources->encoder_id_ptr = (uintptr_t)encoders;
	resources->fb_id_ptr = (uintptr_t)fbs;
	return CALL(screen, MODE_GETRESOURCES, resources);
}

/* A pair of calls: counts, then data. Without PROBE the first asks for one mode, which the kernel
 * takes for "no new probe". */
static int get_connector(
		struct screen *screen, uint32_t id, bool probe, struct connector *connector)
{
	struct drm_mode_get_connector *about = &connector->about;
	*about = (struct drm_mode_get_connector) {.connector_id = id, .count_modes = probe ? 0 : 1};
	about->modes_ptr = (uintptr_t)connector->modes;
	int error = CALL(screen, MODE_GETCONNECTOR, about);
	if (error != 0) {
		return error;
	}
	if (about->count_modes > MODES_MAX || about->count_encoders > OBJECTS_MAX) {
		return step_failed(screen, "MODE_GETCONNECTOR", -E2BIG);
	}
	about->encoders_ptr = (uintptr_t)connector->encoders;
	about->count_props = 0;
	error = CALL(screen, MODE_GETCONNECTOR, about);
	if (error == 0 && (about->count_modes > MODES_MAX || about->count_encoders > OBJECTS_MAX)) {
		return step_failed(screen, "MODE_GETCONNECTOR", -E2BIG);
	}
	return error;
}

/* The first connector that has a monitor. */
static int find_monitor(struct screen *screen, struct connector *ret_connector)
{
	struct drm_mode_card_res resources;
	uint32_t crtcs[OBJECTS_MAX] = {0};
	uint32_t connectors[OBJECTS_MAX] = {0};
	int error = get_resources(screen, &resources, crtcs, connectors);
	if (error != 0) {
		return error;
	}
	for (uint32_t i = 0; i < resources.count_connectors && i < OBJECTS_MAX; i++) {
		error = get_connector(screen, connectors[i], true, ret_connector);
		if (error != 0) {
			return error;
		}
		if (ret_connector->about.connection == 1 && ret_connector->about.count_modes > 0) {
			screen->connector = connectors[i];
			screen->crtc = crtcs[0];
			return resources.count_crtcs > 0
					? 0
					: step_failed(screen, "search of a CRTC", -ENODEV);
		}
	}
	return step_failed(screen, "search of a connected monitor", -ENODEV);
}

/* Orbital walks resources and connectors three times at its start. */
static int probe(struct screen *screen)
{
	static struct connector connector;
	for (int i = 0; i < 3; i++) {
		int error = find_monitor(screen, &connector);
		if (error != 0) {
			return error;
		}
	}
	struct drm_mode_get_encoder encoder = {.encoder_id = connector.encoders[0]};
	screen->preferred = connector.modes[0];
	return CALL(screen, MODE_GETENCODER, &encoder);
}

/* CREATE_DUMB, MAP_DUMB, mmap. */
static int buffer_create(struct screen *screen, uint32_t width_px, uint32_t height_px,
		struct screen_buffer *buffer)
{
	struct drm_mode_create_dumb create = {.width = width_px, .height = height_px, .bpp = BITS};
	int error = CALL(screen, MODE_CREATE_DUMB, &create);
	if (error != 0) {
		return error;
	}
	*buffer = (struct screen_buffer) {.handle = create.handle, .bytes = create.size};
	struct drm_mode_map_dumb map = {.handle = create.handle};
	error = CALL(screen, MODE_MAP_DUMB, &map);
	if (error != 0) {
		return error;
	}
	size_t address = redox_mmap_v1(NULL, create.size, REDOX_PROT_READ | REDOX_PROT_WRITE,
			REDOX_MAP_SHARED, screen->card_fd, map.offset);
	if (redox_failed(address)) {
		return step_failed(screen, "mmap", -redox_errno(address));
	}
	buffer->canvas = (struct canvas) {.pixels = (uint32_t *)address,
			.stride_px = create.pitch / sizeof(uint32_t),
			.width_px = (int)width_px,
			.height_px = (int)height_px};
	return 0;
}

static int buffer_add_fb(struct screen *screen, struct screen_buffer *buffer)
{
	uint64_t prefer_shadow;
	int error = get_cap(screen, DRM_CAP_DUMB_PREFER_SHADOW, &prefer_shadow);
	if (error != 0 && error != -EINVAL) {
		return error;
	}
	struct drm_mode_fb_cmd fb = {.width = (uint32_t)buffer->canvas.width_px,
			.height = (uint32_t)buffer->canvas.height_px,
			.pitch = (uint32_t)(buffer->canvas.stride_px * sizeof(uint32_t)),
			.bpp = BITS,
			.depth = BITS,
			.handle = buffer->handle};
	error = CALL(screen, MODE_ADDFB, &fb);
	if (error == 0) {
		buffer->fb = fb.fb_id;
	}
	return error;
}

static int buffer_destroy_handle(struct screen *screen, struct screen_buffer *buffer)
{
	struct drm_mode_destroy_dumb destroy = {.handle = buffer->handle};
	buffer->handle = 0;
	return CALL(screen, MODE_DESTROY_DUMB, &destroy);
}

static void buffer_unmap(struct screen_buffer *buffer)
{
	if (buffer->canvas.pixels != NULL) {
		redox_munmap_v1(buffer->canvas.pixels, buffer->bytes);
		buffer->canvas.pixels = NULL;
	}
}

static int set_crtc(struct screen *screen)
{
	struct drm_mode_crtc crtc = {.crtc_id = screen->crtc,
			.fb_id = screen->buffer.fb,
			.set_connectors_ptr = (uintptr_t)&screen->connector,
			.count_connectors = 1,
			.mode_valid = 1,
			.mode = screen->mode};
	return CALL(screen, MODE_SETCRTC, &crtc);
}

/* CURSOR2 with the picture, or without one. */
static int set_cursor(struct screen *screen, bool shown)
{
	struct drm_mode_cursor2 cursor = {.flags = DRM_MODE_CURSOR_BO,
			.crtc_id = screen->crtc,
			.width = shown ? CURSOR_PX : 0,
			.height = shown ? CURSOR_PX : 0,
			.handle = shown ? screen->cursor.handle : 0};
	int error = CALL(screen, MODE_CURSOR2, &cursor);
	if (error == 0) {
		screen->cursor_shown = shown;
	}
	return error;
}

static int place_cursor(struct screen *screen)
{
	struct drm_mode_cursor cursor = {.flags = DRM_MODE_CURSOR_MOVE,
			.crtc_id = screen->crtc,
			.x = screen->cursor_x,
			.y = screen->cursor_y};
	return CALL(screen, MODE_CURSOR, &cursor);
}

static int start_cursor(struct screen *screen)
{
	if (!screen->has_cursor) {
		return 0;
	}
	int error = buffer_create(screen, CURSOR_PX, CURSOR_PX, &screen->cursor);
	if (error != 0) {
		return error;
	}
	cursor_paint(&screen->cursor.canvas);
	return set_cursor(screen, true);
}

/* The VT is the last part of the display's path. */
static unsigned long path_vt(const struct screen *screen)
{
	const char *slash = strrchr(screen->path, '/');
	return slash != NULL ? strtoul(slash + 1, NULL, 10) : 0;
}

int screen_activate(struct screen *screen)
{
	uint64_t event[2] = {1, path_vt(screen)};
	size_t fd = open_path(INPUT_CONTROL, REDOX_O_WRONLY | REDOX_O_CLOEXEC);
	if (redox_failed(fd)) {
		return step_failed(screen, "open " INPUT_CONTROL, -redox_errno(fd));
	}
	size_t written = redox_write_v1(fd, (const uint8_t *)event, sizeof(event));
	redox_close_v1(fd);
	return redox_failed(written)
			? step_failed(screen, "activation of the VT", -redox_errno(written))
			: 0;
}

/* Whether the bridge's status says that this VT is the active one. */
static bool is_active(const struct screen *screen)
{
	char text[8192];
	char line[64];
	size_t fd = open_path(STATUS, REDOX_O_RDONLY | REDOX_O_CLOEXEC);
	if (redox_failed(fd)) {
		return false;
	}
	size_t length = redox_read_v1(fd, (uint8_t *)text, sizeof(text) - 1);
	redox_close_v1(fd);
	text[redox_failed(length) ? 0 : length] = '\0';
	snprintf(line, sizeof(line), "active_vt: %lu\n", path_vt(screen));
	return strstr(text, line) != NULL;
}

int screen_wait_active(struct screen *screen)
{
	for (int waited_ms = 0; waited_ms < ACTIVE_WAIT_MS; waited_ms += ACTIVE_LOOK_MS) {
		if (is_active(screen)) {
			return 0;
		}
		poll(NULL, 0, ACTIVE_LOOK_MS);
	}
	return step_failed(screen, "wait for the VT", -ETIMEDOUT);
}

/* Orbital starts `inputd -A VT` and its login program: two forks with everything mapped. */
static int start_children(struct screen *screen)
{
	for (int child = 0; child < 2; child++) {
		int status = 0;
		pid_t pid = fork();
		if (pid < 0) {
			return step_failed(screen, "fork", -errno);
		}
		if (pid == 0) {
			_exit(child == 0 && screen_activate(screen) != 0 ? 1 : 0);
		}
		if (waitpid(pid, &status, 0) != pid || status != 0) {
			return step_failed(screen, "activation of the VT", -EIO);
		}
	}
	return 0;
}

static int start_picture(struct screen *screen)
{
	screen->mode = screen->preferred;
	int error = buffer_create(
			screen, screen->mode.hdisplay, screen->mode.vdisplay, &screen->buffer);
	if (error != 0) {
		return error;
	}
	error = buffer_add_fb(screen, &screen->buffer);
	return error != 0 ? error : set_crtc(screen);
}

int screen_open(struct screen *screen, const char *display)
{
	*screen = (struct screen) {
			.consumer_fd = SCREEN_NO_FD, .card_fd = SCREEN_NO_FD, .step = ""};
	int error = open_display(screen, display);
	if (error == 0) {
		error = ask_capabilities(screen);
	}
	if (error == 0) {
		error = probe(screen);
	}
	if (error == 0) {
		error = start_picture(screen);
	}
	if (error == 0) {
		error = start_cursor(screen);
	}
	if (error == 0 && screen->consumer_fd != SCREEN_NO_FD) {
		error = start_children(screen);
	}
	return error;
}

void screen_close(struct screen *screen)
{
	buffer_unmap(&screen->cursor);
	buffer_unmap(&screen->buffer);
	if (screen->card_fd != SCREEN_NO_FD) {
		redox_close_v1(screen->card_fd);
		screen->card_fd = SCREEN_NO_FD;
	}
	if (screen->consumer_fd != SCREEN_NO_FD) {
		redox_close_v1(screen->consumer_fd);
		screen->consumer_fd = SCREEN_NO_FD;
	}
}

/* Orbital's order: the old buffer's handle goes before its mapping, its framebuffer last. */
static int resize(struct screen *screen, const struct drm_mode_modeinfo *mode)
{
	struct screen_buffer old = screen->buffer;
	struct screen_buffer fresh = {0};
	struct drm_mode_modeinfo new_mode = *mode;
	int error = buffer_create(screen, mode->hdisplay, mode->vdisplay, &fresh);
	if (error == 0) {
		error = buffer_add_fb(screen, &fresh);
	}
	if (error != 0) {
		buffer_unmap(&fresh);
		return error;
	}
	screen->buffer = fresh;
	screen->mode = new_mode;
	error = buffer_destroy_handle(screen, &old);
	buffer_unmap(&old);
	if (error == 0) {
		error = set_crtc(screen);
	}
	if (error == 0) {
		error = CALL(screen, MODE_RMFB, &old.fb);
	}
	if (error == 0 && screen->has_cursor) {
		error = set_cursor(screen, screen->cursor_shown);
	}
	return error == 0 && screen->has_cursor ? place_cursor(screen) : error;
}

int screen_redraw(struct screen *screen, bool *ret_resized)
{
	static struct connector connector;
	int error = get_connector(screen, screen->connector, false, &connector);
	if (error != 0) {
		return error;
	}
	/* A monitor that is gone has no modes: Orbital keeps what it has. */
	bool changed = connector.about.count_modes > 0 &&
			memcmp(&connector.modes[0], &screen->preferred,
					sizeof(screen->preferred)) != 0;
	if (changed) {
		screen->preferred = connector.modes[0];
		error = resize(screen, &connector.modes[0]);
	}
	if (error == 0) {
		*ret_resized = changed;
	}
	return error;
}

int screen_set_mode(struct screen *screen, uint32_t index)
{
	static struct connector connector;
	int error = get_connector(screen, screen->connector, true, &connector);
	if (error != 0) {
		return error;
	}
	if (index >= connector.about.count_modes) {
		return step_failed(screen, "choice of a mode", -ERANGE);
	}
	return resize(screen, &connector.modes[index]);
}

int screen_damage(struct screen *screen, const struct canvas_box *box)
{
	struct drm_clip_rect clip = {.x1 = (unsigned short)box->x,
			.y1 = (unsigned short)box->y,
			.x2 = (unsigned short)(box->x + box->width),
			.y2 = (unsigned short)(box->y + box->height)};
	struct drm_mode_fb_dirty_cmd dirty = {
			.fb_id = screen->buffer.fb, .num_clips = 1, .clips_ptr = (uintptr_t)&clip};
	return CALL(screen, MODE_DIRTYFB, &dirty);
}

int screen_fsync(struct screen *screen)
{
	size_t result = redox_fsync_v1(screen->card_fd);
	return redox_failed(result) ? step_failed(screen, "fsync", -redox_errno(result)) : 0;
}

int screen_move_cursor(struct screen *screen, int32_t x, int32_t y)
{
	if (!screen->has_cursor) {
		return step_failed(screen, "search of a cursor", -ENODEV);
	}
	screen->cursor_x = x;
	screen->cursor_y = y;
	int error = screen->cursor_shown ? 0 : set_cursor(screen, true);
	return error != 0 ? error : place_cursor(screen);
}

int screen_hide_cursor(struct screen *screen)
{
	return screen->has_cursor ? set_cursor(screen, false)
				  : step_failed(screen, "search of a cursor", -ENODEV);
}

static void compose_cursor(const struct screen *screen, const struct canvas *canvas)
{
	for (int y = 0; y < CURSOR_PX; y++) {
		int to_y = screen->cursor_y + y;
		for (int x = 0; x < CURSOR_PX; x++) {
			int to_x = screen->cursor_x + x;
			if (to_x >= 0 && to_y >= 0 && to_x < canvas->width_px &&
					to_y < canvas->height_px) {
				uint32_t *pixel = canvas_at(canvas, to_x, to_y);
				*pixel = cursor_over(
						*canvas_at(&screen->cursor.canvas, x, y), *pixel);
			}
		}
	}
}

int screen_save(const struct screen *screen, const char *path)
{
	struct canvas copy = screen->buffer.canvas;
	size_t row_bytes = (size_t)copy.width_px * sizeof(uint32_t);
	copy.stride_px = (size_t)copy.width_px;
	copy.pixels = malloc(row_bytes * (size_t)copy.height_px);
	if (copy.pixels == NULL) {
		return -ENOMEM;
	}
	for (int y = 0; y < copy.height_px; y++) {
		memcpy(canvas_at(&copy, 0, y), canvas_at(&screen->buffer.canvas, 0, y), row_bytes);
	}
	if (screen->has_cursor && screen->cursor_shown) {
		compose_cursor(screen, &copy);
	}
	int error = canvas_save(&copy, path);
	free(copy.pixels);
	return error;
}
