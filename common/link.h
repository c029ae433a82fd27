/*
 * A link carries frames between two processes. How they travel is hidden: over a stream socket now,
 * later through a pair of rings in shared memory with the stream as doorbell. Nothing above may
 * know which.
 *
 * Frame on a stream: u32 length (of the payload), u16 opcode, u16 flags, u32 serial, payload;
 * little-endian. Sending is corked: frames gather in a bounded queue that is written once per turn
 * of the loop (or when it is full enough). Receiving: when ops.readable is called, call link_recv
 * until it answers 0.
 */
#ifndef COMMON_LINK_H
#define COMMON_LINK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct link;
struct loop;

#define LINK_HEADER_BYTES 12u
#define LINK_IOV_MAX      256 // pieces of one frame

struct link_header {
	uint32_t length; // bytes of payload, at most LIMIT_FRAME
	uint16_t opcode;
	uint16_t flags;
	uint32_t serial;
};

struct link_frame {
	struct link_header header;
	const uint8_t *payload; // borrowed until the next call on the link; private memory: the
				// peer cannot change it
	uint32_t payload_bytes; // header.length, or LIMIT_FRAME_HEAD of a frame longer than
				// LIMIT_FRAME_WHOLE
	uint32_t rest_bytes;    // still to be fetched by link_recv_into (or skipped by the next
				// link_recv)
};

struct link_ops {
	void (*readable)(void *data); // frames, or bytes of the rest of a frame, may be there
	void (*writable)(void *data); // there is room again after a send answered -EAGAIN; may be
				      // NULL
	void (*closed)(void *data, int error); // called once: 0 = end of file, else a negative
					       // errno; destroy the link then or later
};

struct link_counters {
	uint64_t sent_bytes, sent_frames, received_bytes, received_frames;
};

/* Makes a link over the stream socket FD (taken, also on error). Returns 0 or a negative errno. */
int link_create(struct loop *loop, int fd, const struct link_ops *ops, void *data,
		struct link **ret_link);

/* Closes and frees; unsent frames are lost. NULL is allowed. May be called from the link's own
 * callbacks. */
void link_destroy(struct link *link);

/*
 * Sends one frame: header.length is computed, IOV is copied or written before the call returns.
 * Never blocks. Returns 0; -EAGAIN when the queue has no room (nothing was taken; ops.writable
 * follows); -EMSGSIZE above LIMIT_FRAME; -EINVAL above LINK_IOV_MAX; -EPIPE
 * after closed.
 */
int link_send(struct link *link, uint16_t opcode, uint16_t flags, uint32_t serial,
		const struct iovec *iov, int iov_count);

/* Writes what is queued now instead of at the end of the turn. Returns 0, or -EPIPE. */
int link_flush(struct link *link);

/*
 * Takes the next frame; what was left of the one before is skipped. Returns 1 with *RET_FRAME, 0
 * when none is there yet, or a negative errno: -EBADMSG for a length above LIMIT_FRAME (ops.closed
 * is then *not* called: the caller destroys the link).
 */
int link_recv(struct link *link, struct link_frame *ret_frame);

/*
 * Reads up to BYTES of the rest of the current frame straight to DESTINATION. Returns the bytes
 * read, 0 when the frame has no rest, -EAGAIN when nothing is there yet (ops.readable follows).
 */
ssize_t link_recv_into(struct link *link, void *destination, size_t bytes);

/* Stops and resumes ops.readable: backpressure towards the peer. */
void link_pause(struct link *link, int paused);

/* Bytes queued and not yet written. */
size_t link_queued_bytes(const struct link *link);

const struct link_counters *link_counters(const struct link *link);

#endif
