/*
 * A display used exactly as Orbital uses it (redox-abi.md 5.5, redox-run.md "Real client sequences"): a consumer of inputd, one dumb buffer, ADDFB, SETCRTC, two
 * GETCONNECTOR and a DIRTYFB for each damaged rectangle in every redraw, a hardware cursor. All of it by relibc's payloads (drm_call).
 */
#ifndef TESTS_CLIENTS_SCREEN_H
#define TESTS_CLIENTS_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <drm.h>
#include <drm_mode.h>

#include "clients/picture.h"

#define SCREEN_MODES_MAX  64u
#define SCREEN_DAMAGE_MAX 64u

struct screen_buffer {
	struct picture picture; // mapped
	size_t bytes;
	uint32_t handle;
};

struct screen {
	size_t consumer; // of inputd; SIZE_MAX when the display was opened by its path
	size_t card;
	uint64_t vt; // 0 when the display was opened by its path
	uint32_t connector_id, encoder_id, crtc_id, fb_id;
	struct drm_mode_modeinfo modes[SCREEN_MODES_MAX];
	uint32_t mode_count;
	struct drm_mode_modeinfo mode; // that is set
	struct screen_buffer buffer;
	struct screen_buffer cursor;
	bool cursor_visible;
	int32_t cursor_x, cursor_y;
};

/* Opens the display of a new consumer (PATH NULL) or PATH, shows an empty buffer in modes[0], sets a hidden cursor. Returns 0 or a negative errno. */
int screen_open(struct screen *screen, const char *path);
void screen_close(struct screen *screen);

/* Reads the connector's modes anew, as a probe does. Returns 0 or a negative errno. */
int screen_probe(struct screen *screen);

/* Changes to MODE in Orbital's order: new buffer first, old one away, then SETCRTC. The new buffer is empty. Returns 0 or a negative errno. */
int screen_resize(struct screen *screen, const struct drm_mode_modeinfo *mode);

/*
 * One redraw: looks at the connector twice, as Orbital does; when its first mode is another one than at the last look, changes to it; then shows the damaged
 * rectangles. Returns 0, 1 when the screen was resized (the damage was not shown then), or a negative errno.
 */
int screen_redraw(struct screen *screen, const struct drm_clip_rect *damage, uint32_t count);

/* Sends the cursor's picture; it is hidden with VISIBLE false. Returns 0 or a negative errno. */
int screen_cursor_show(struct screen *screen, bool visible);
int screen_cursor_move(struct screen *screen, int32_t x, int32_t y);

/* Waits until what was drawn is on the monitor. Returns 0 or a negative errno. */
int screen_sync(struct screen *screen);

/* Asks inputd to make this screen's VT the active one. Returns 0 or a negative errno. */
int screen_activate(struct screen *screen);

#endif
