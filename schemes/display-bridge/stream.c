/*
 * The stream of pixels. Every row that is sent lies inside its framebuffer: the rectangles are
 * inside the mode, the mode (with x and y) inside the framebuffer (SETCRTC saw to it), the
 * framebuffer inside its buffer. The client may write meanwhile: what arrives is then a mixture,
 * repaired by the damage that the client declares afterwards.
 */
#include "schemes/display-bridge/stream.h"

#include <sys/uio.h>

#include "common/link.h"
#include "common/session.h"
#include "proto/bridge.h"
#include "schemes/display-bridge/buffer.h"
#include "schemes/display-bridge/fb.h"
#include "schemes/display-bridge/present.h"

#define BYTES_PER_PIXEL 4u
#define CHUNK_BYTES     (128u * 1024u)
#define CHUNK_PIECES    (LINK_IOV_MAX - 1) // and the head

struct cursor {
	uint32_t rect;
	uint64_t sent_bytes; // of that rectangle
};

/* The next piece of memory at AT, at most MAX bytes; moves AT on. Returns 0 bytes at the end. */
static struct iovec piece_take(const struct present_commit *commit, struct cursor *at, size_t max)
{
	if (at->rect == commit->damage.count) {
		return (struct iovec) {0};
	}
	const struct damage_rect *rect = &commit->damage.rects[at->rect];
	const struct fb *fb = commit->fb;
	size_t row_bytes = (size_t)(rect->x2 - rect->x1) * BYTES_PER_PIXEL;
	size_t rect_bytes = row_bytes * (size_t)(rect->y2 - rect->y1);
	size_t row = (size_t)(at->sent_bytes / row_bytes);
	size_t column_bytes = (size_t)(at->sent_bytes % row_bytes);
	size_t start = fb->offset + (commit->y + (size_t)rect->y1 + row) * fb->pitch +
			(commit->x + (size_t)rect->x1) * BYTES_PER_PIXEL + column_bytes;
	size_t bytes = row_bytes == fb->pitch ? rect_bytes - (size_t)at->sent_bytes
					      : row_bytes - column_bytes;
	if (bytes > max) {
		bytes = max;
	}
	at->sent_bytes += bytes;
	if (at->sent_bytes == rect_bytes) {
		at->rect++;
		at->sent_bytes = 0;
	}
	return (struct iovec) {fb->buffer->memory + start, bytes};
}

ssize_t stream_send(struct session *session, uint32_t crtc, struct present_commit *commit,
		uint32_t frame_max)
{
	struct bridge_pixels message = {.crtc = (uint16_t)crtc};
	uint8_t head[BRIDGE_PIXELS_MAX];
	ssize_t head_bytes = bridge_pixels_encode(&message, head, sizeof(head));
	if (head_bytes < 0) {
		return head_bytes;
	}
	struct iovec iov[1 + CHUNK_PIECES] = {{head, (size_t)head_bytes}};
	struct cursor at = {commit->rect, commit->rect_sent_bytes};
	size_t chunk_bytes = frame_max - (size_t)head_bytes;
	if (chunk_bytes > CHUNK_BYTES) {
		chunk_bytes = CHUNK_BYTES;
	}
	size_t bytes = 0;
	int count = 1;
	while (count <= CHUNK_PIECES && bytes < chunk_bytes) {
		iov[count] = piece_take(commit, &at, chunk_bytes - bytes);
		if (iov[count].iov_len == 0) {
			break;
		}
		bytes += iov[count++].iov_len;
	}
	int error = session_send(session, BRIDGE_PIXELS, 0, iov, count);
	if (error != 0) {
		return error;
	}
	commit->rect = at.rect;
	commit->rect_sent_bytes = at.sent_bytes;
	return (ssize_t)bytes;
}
