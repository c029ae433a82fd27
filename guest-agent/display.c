/*
 * The dispatcher of a display session. The session has checked opcode, direction, state and length
 * of a frame; decoding checks ranges; what is left (indices, rectangles, sums of bytes) is checked
 * by screen.c and commit.c before anything is done.
 *
 * The tail of a frame may be longer than what is at hand: `tail` says where the rest of it goes,
 * and the next calls with the same frame continue there.
 */
#include "guest-agent/display.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/log.h"
#include "common/session.h"
#include "guest-agent/message.h"
#include "guest-agent/screen.h"
#include "proto/bridge.h"

#define SHORT_ROW_BYTES 4096u

enum tail_kind { TAIL_NONE, TAIL_PIXELS, TAIL_CURSOR };

struct display {
	struct screen *screen;   // borrowed
	struct session *session; // borrowed
	uint32_t generation;     // of the topology sent last
	uint64_t commits;        // answered
	uint64_t pixel_bytes;    // received
	enum tail_kind tail;     // of the frame that is being received
	uint16_t tail_crtc;
	uint32_t tail_bytes;   // not received yet
	uint8_t *tail_pointer; // cursor: where the next byte goes
	uint8_t rows[32768];   // short rows on their way
};

/* The peer did something wrong. Returns ERROR, for the dispatcher to hand on. */
static int display_fault(struct display *display, int error, const char *fault)
{
	session_fail(display->session, error, fault);
	return error;
}

static int display_send(
		struct display *display, uint16_t opcode, const uint8_t *payload, ssize_t bytes)
{
	assert(bytes > 0);
	int error = message_send(display->session, opcode, payload, (size_t)bytes);
	if (error == -EAGAIN) {
		return display_fault(display, -ENOBUFS, "does not read its answers");
	}
	return error;
}

static void on_screen_changed(void *data)
{
	struct display *display = data;
	int error = topology_send(
			screen_topology(display->screen), ++display->generation, display->session);
	if (error == -EAGAIN) {
		display_fault(display, -ENOBUFS, "does not read the topology");
	} else if (error) {
		log_warn(LOG_DISPLAY, "sending the topology failed: %s", strerror(-error));
	}
}

int display_create(struct screen *screen, struct session *session, struct display **ret_display)
{
	struct display *display = calloc(1, sizeof(*display));
	if (!display) {
		return -ENOMEM;
	}
	display->screen = screen;
	display->session = session;
	display->generation = 1;
	int error = topology_send(screen_topology(screen), display->generation, session);
	if (error) {
		free(display);
		return error;
	}
	screen_reset(screen, true);
	screen_on_change(screen, on_screen_changed, display);
	*ret_display = display;
	return 0;
}

void display_destroy(struct display *display)
{
	if (!display) {
		return;
	}
	static struct log_limit limit;
	log_line_limited(&limit, LOG_INFO, LOG_DISPLAY,
			"session ends after %" PRIu64 " commits with %" PRIu64 " bytes of pixels",
			display->commits, display->pixel_bytes);
	screen_on_change(display->screen, NULL, NULL);
	screen_reset(display->screen, false);
	free(display);
}

static int commit_answer(struct display *display, uint16_t crtc)
{
	struct bridge_commit_done done;
	screen_commit_finish(display->screen, crtc, &done);
	display->commits++;
	uint8_t buffer[BRIDGE_COMMIT_DONE_MAX];
	return display_send(display, BRIDGE_COMMIT_DONE, buffer,
			bridge_commit_done_encode(&done, buffer, sizeof(buffer)));
}

static int on_commit(struct display *display, const struct link_frame *frame)
{
	struct bridge_commit message;
	int error = bridge_commit_decode(&message, frame->payload, frame->payload_bytes);
	if (error) {
		return display_fault(display, error, "malformed commit");
	}
	const char *fault = NULL;
	error = screen_commit_begin(display->screen, &message, &fault);
	if (error) {
		return display_fault(display, error, fault);
	}
	if (!commit_is_complete(screen_commit(display->screen, message.crtc))) {
		return 0;
	}
	return commit_answer(display, message.crtc);
}

/* BYTES were put where commit_span() said. */
static void pixels_note(struct display *display, struct commit *commit, size_t bytes)
{
	while (bytes > 0) {
		struct box box;
		bytes -= commit_advance(commit, bytes, &box);
		screen_pixels_written(display->screen, display->tail_crtc, &box);
	}
}

/* Pixels that are in memory already. */
static void pixels_copy(
		struct display *display, struct commit *commit, const uint8_t *bytes, size_t count)
{
	while (count > 0) {
		size_t room;
		uint8_t *span = commit_span(commit, &room);
		size_t part = count < room ? count : room;
		memcpy(span, bytes, part);
		pixels_note(display, commit, part);
		bytes += part;
		count -= part;
	}
}

/*
 * Pixels from the link, straight to where they belong; but many short rows together through a
 * buffer, which costs less than a system call for each. Returns 0 or a negative errno, -EAGAIN
 * among them.
 */
static int pixels_fetch(struct display *display, struct commit *commit)
{
	while (display->tail_bytes > 0) {
		size_t room;
		uint8_t *span = commit_span(commit, &room);
		bool direct = room >= SHORT_ROW_BYTES || room >= display->tail_bytes;
		uint8_t *place = direct ? span : display->rows;
		size_t part = direct ? room : sizeof(display->rows);
		part = display->tail_bytes < part ? display->tail_bytes : part;
		ssize_t got = session_recv_into(display->session, place, part);
		if (got <= 0) {
			return got == 0 ? -EBADMSG : (int)got;
		}
		if (direct) {
			pixels_note(display, commit, (size_t)got);
		} else {
			pixels_copy(display, commit, display->rows, (size_t)got);
		}
		display->tail_bytes -= (uint32_t)got;
	}
	return 0;
}

static int pixels_continue(struct display *display)
{
	struct commit *commit = screen_commit(display->screen, display->tail_crtc);
	assert(commit);
	int error = pixels_fetch(display, commit);
	if (error) {
		return error;
	}
	display->tail = TAIL_NONE;
	return commit_is_complete(commit) ? commit_answer(display, display->tail_crtc) : 0;
}

static int on_pixels(struct display *display, const struct link_frame *frame)
{
	struct bridge_pixels message;
	int head_bytes = bridge_pixels_decode(&message, frame->payload, frame->payload_bytes);
	if (head_bytes < 0) {
		return display_fault(display, head_bytes, "malformed pixels");
	}
	struct commit *commit = screen_commit(display->screen, message.crtc);
	if (!commit) {
		return display_fault(display, -EBADMSG, "pixels without a commit");
	}
	size_t at_hand = frame->payload_bytes - (size_t)head_bytes;
	uint64_t all = (uint64_t)at_hand + frame->rest_bytes;
	if (all > commit->missing_bytes) {
		return display_fault(display, -EBADMSG, "more pixels than the damage has");
	}
	display->pixel_bytes += all;
	if (!commit->target) {
		/* The commit has failed already; what the link still holds is skipped by it. */
		commit_skip(commit, all);
		return commit_is_complete(commit) ? commit_answer(display, message.crtc) : 0;
	}
	display->tail = TAIL_PIXELS;
	display->tail_crtc = message.crtc;
	display->tail_bytes = frame->rest_bytes;
	pixels_copy(display, commit, frame->payload + head_bytes, at_hand);
	return pixels_continue(display);
}

static int cursor_continue(struct display *display)
{
	while (display->tail_bytes > 0) {
		ssize_t got = session_recv_into(
				display->session, display->tail_pointer, display->tail_bytes);
		if (got <= 0) {
			return got == 0 ? -EBADMSG : (int)got;
		}
		display->tail_pointer += got;
		display->tail_bytes -= (uint32_t)got;
	}
	display->tail = TAIL_NONE;
	return 0;
}

static int on_cursor_image(struct display *display, const struct link_frame *frame)
{
	struct bridge_cursor_image message;
	int head_bytes = bridge_cursor_image_decode(&message, frame->payload, frame->payload_bytes);
	if (head_bytes < 0) {
		return display_fault(display, head_bytes, "malformed cursor image");
	}
	size_t at_hand = frame->payload_bytes - (size_t)head_bytes;
	if ((uint64_t)at_hand + frame->rest_bytes != (uint64_t)message.width * message.height * 4) {
		return display_fault(
				display, -EBADMSG, "cursor image of another size than its pixels");
	}
	const char *fault = NULL;
	uint8_t *pixels = NULL;
	int error = screen_cursor_image(display->screen, &message, &pixels, &fault);
	if (error) {
		return display_fault(display, error, fault);
	}
	memcpy(pixels, frame->payload + head_bytes, at_hand);
	display->tail = TAIL_CURSOR;
	display->tail_pointer = pixels + at_hand;
	display->tail_bytes = frame->rest_bytes;
	return cursor_continue(display);
}

static int on_cursor_move(struct display *display, const struct link_frame *frame)
{
	struct bridge_cursor_move message;
	int error = bridge_cursor_move_decode(&message, frame->payload, frame->payload_bytes);
	if (error) {
		return display_fault(display, error, "malformed cursor move");
	}
	const char *fault = NULL;
	error = screen_cursor_move(display->screen, &message, &fault);
	return error ? display_fault(display, error, fault) : 0;
}

static int on_sync(struct display *display, const struct link_frame *frame)
{
	struct bridge_sync message;
	int error = bridge_sync_decode(&message, frame->payload, frame->payload_bytes);
	if (error) {
		return display_fault(display, error, "malformed sync");
	}
	screen_sync(display->screen);
	struct bridge_sync_done done = {.id = message.id};
	uint8_t buffer[BRIDGE_SYNC_DONE_MAX];
	return display_send(display, BRIDGE_SYNC_DONE, buffer,
			bridge_sync_done_encode(&done, buffer, sizeof(buffer)));
}

int display_frame(struct display *display, const struct link_frame *frame)
{
	switch (display->tail) {
	case TAIL_PIXELS:
		return pixels_continue(display);
	case TAIL_CURSOR:
		return cursor_continue(display);
	case TAIL_NONE:
		break;
	}
	switch (frame->header.opcode) {
	case BRIDGE_COMMIT:
		return on_commit(display, frame);
	case BRIDGE_PIXELS:
		return on_pixels(display, frame);
	case BRIDGE_CURSOR_IMAGE:
		return on_cursor_image(display, frame);
	case BRIDGE_CURSOR_MOVE:
		return on_cursor_move(display, frame);
	case BRIDGE_SYNC:
		return on_sync(display, frame);
	default:
		return display_fault(display, -EBADMSG, "message that a display does not send");
	}
}
