/*
 * One monitor of a Redox display scheme, used as Orbital uses it (redox-abi.md 5.5; redox-run.md 4,
 * "Real client sequences"): the same calls in the same order with the same counts.
 */
#ifndef TESTS_CLIENTS_SCREEN_H
#define TESTS_CLIENTS_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <drm_mode.h>

#include "tests/clients/canvas.h"

#define SCREEN_NO_FD SIZE_MAX

struct screen_buffer {
	uint32_t handle; // 0: none
	uint32_t fb;     // 0: no framebuffer
	uint64_t bytes;
	struct canvas canvas; // the mapping; pixels NULL: not mapped
};

struct screen {
	size_t consumer_fd; // SCREEN_NO_FD when the display was named
	size_t card_fd;
	char path[256]; // what the card's fpath says
	uint32_t connector, crtc;
	struct drm_mode_modeinfo preferred; // modes[0] as last seen
	struct drm_mode_modeinfo mode;
	struct screen_buffer buffer;
	struct screen_buffer cursor;
	bool has_cursor;
	bool cursor_shown;
	int32_t cursor_x, cursor_y; // px
	const char *step;           // the call that failed, for a message
};

/* Everything that Orbital does until its first picture. DISPLAY is a path, or NULL: that of a new
 * input consumer. Returns 0, or a negative errno with screen->step. Call screen_close in any
 * case. */
int screen_open(struct screen *screen, const char *display);

/* Unmaps and closes; may be called after a failed screen_open. */
void screen_close(struct screen *screen);

/* What Orbital asks at each redraw. *RET_RESIZED: the monitor's first mode changed, the buffer is
 * new and has to be drawn. */
int screen_redraw(struct screen *screen, bool *ret_resized);

/* DIRTYFB with one clip. */
int screen_damage(struct screen *screen, const struct canvas_box *box);

/* Waits until all damage is on the monitor. */
int screen_fsync(struct screen *screen);

/* Takes the connector's mode INDEX, by the sequence of a resize. -ERANGE when there is none. */
int screen_set_mode(struct screen *screen, uint32_t index);

/* Moves the cursor (and shows it), or hides it. -ENODEV: there is none. */
int screen_move_cursor(struct screen *screen, int32_t x, int32_t y);
int screen_hide_cursor(struct screen *screen);

/* Makes this screen's VT the active one, by inputd's control file. */
int screen_activate(struct screen *screen);

/* Waits until the bridge shows this screen's VT. Returns 0 or -ETIMEDOUT. */
int screen_wait_active(struct screen *screen);

/* Writes what should be on the monitor, the cursor drawn in, as a PNG file. */
int screen_save(const struct screen *screen, const char *path);

#endif
