/*
 * The device and what it shows: one head for each CRTC. It outlives sessions: when one ends the
 * picture stays, the next one commits against it.
 */
#ifndef GUEST_AGENT_SCREEN_H
#define GUEST_AGENT_SCREEN_H

#include "guest-agent/backend.h"
#include "guest-agent/commit.h"

struct loop;
struct screen;

/* The topology has changed; screen_topology() has the new one. */
typedef void (*screen_changed_fn)(void *data);

/*
 * Takes BACKEND, also on error. SOFTWARE_CURSOR: compose cursors although the device may have
 * planes for them. Returns 0 or a negative errno.
 */
int screen_create(struct loop *loop, struct backend *backend, bool software_cursor,
		struct screen **ret_screen);

/* NULL is allowed. */
void screen_destroy(struct screen *screen);

/* Borrowed until the next screen_refresh(). */
const struct topology *screen_topology(const struct screen *screen);

/* FN is called after screen_refresh() found a change. NULL ends it. */
void screen_on_change(struct screen *screen, screen_changed_fn fn, void *data);

/* Looks at the device again. */
void screen_refresh(struct screen *screen);

/* A new session begins, or one ended in the middle of things: commits under way are dropped,
 * cursors hidden when HIDE_CURSORS. */
void screen_reset(struct screen *screen, bool hide_cursors);

/*
 * Begins the commit that UNTRUSTED_MESSAGE (decoded) asks for. Returns 0, or -EBADMSG with
 * *RET_FAULT (static text). What the device refuses is said by the answer, at the end of the
 * commit.
 */
int screen_commit_begin(struct screen *screen, const struct bridge_commit *untrusted_message,
		const char **ret_fault);

/* The commit under way on CRTC (any number); NULL when there is none. */
struct commit *screen_commit(struct screen *screen, uint32_t untrusted_crtc);

/* The pixels of BOX were written into the target of the commit under way on CRTC. */
void screen_pixels_written(struct screen *screen, uint16_t crtc, const struct box *box);

/* All pixels of the commit on CRTC are there: applies it, fills the answer. */
void screen_commit_finish(
		struct screen *screen, uint16_t crtc, struct bridge_commit_done *ret_done);

/*
 * Where the image of a new cursor belongs: width x height pixels of the message, checked here.
 * Returns 0, or -EBADMSG with *RET_FAULT. It counts from the cursor move that follows, which must
 * not come before the pixels are there.
 */
int screen_cursor_image(struct screen *screen, const struct bridge_cursor_image *untrusted_message,
		uint8_t **ret_pixels, const char **ret_fault);

/* Moves, shows or hides the cursor, at the latest at the end of the turn. Returns 0, or -EBADMSG
 * with *RET_FAULT. */
int screen_cursor_move(struct screen *screen, const struct bridge_cursor_move *untrusted_message,
		const char **ret_fault);

/* Brings everything that was asked for so far to the screens. */
void screen_sync(struct screen *screen);

#endif
