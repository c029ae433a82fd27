/* Pixels of a commit on their way: read from the client's buffer, sent as the link takes them. */
#ifndef DISPLAY_BRIDGE_STREAM_H
#define DISPLAY_BRIDGE_STREAM_H

#include <stdint.h>
#include <sys/types.h>

struct present_commit;
struct session;

/*
 * Sends the next chunk of COMMIT's rectangles, in a frame of at most FRAME_MAX bytes (4096 or more),
 * and moves it on; commit->rect reaches commit->damage.count at the end. Returns the bytes of
 * pixels, or the error of the link (-EAGAIN: full).
 */
ssize_t stream_send(struct session *session, uint32_t crtc, struct present_commit *commit,
		uint32_t frame_max);

#endif
