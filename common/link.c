/*
 * The stream transport of a link. What leaves is gathered in a ring of bytes and written by a hook
 * before the loop sleeps, or when enough has come together; a large frame goes out at once together
 * with what is gathered, straight from the caller's memory. What arrives is read into a private
 * buffer, from which small frames are handed out whole; the rest of a large frame goes from the
 * socket to its destination.
 *
 * Invariants: unsent bytes never exceed LIMIT_LINK_QUEUE; "blocked" means that the socket was full
 * and LOOP_WRITE is awaited; after link_break nothing is read or written any more and ops.closed is
 * called, once, from the loop (never from within a send or a receive).
 */
#include "common/link.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/limits.h"
#include "common/loop.h"
#include "common/platform.h"

#define QUEUE_START_BYTES 4096u         // first size of the queue; it doubles
#define CORK_BYTES        (64u * 1024u) // gathered bytes that are written without waiting for the hook
#define DIRECT_BYTES      (16u * 1024u) // frames from here on are not copied when the socket takes them
#define INPUT_BYTES       (64u * 1024u) // private buffer

/* Room for any frame: what ops.writable promises. */
#define QUEUE_LOW_BYTES (LIMIT_LINK_QUEUE - LIMIT_FRAME - LINK_HEADER_BYTES)

struct link {
	struct loop *loop;
	int fd;
	const struct link_ops *ops;
	void *data;
	struct loop_source *source;
	struct loop_source *hook;
	struct loop_source *work; // timer: callbacks that are due; arming it cannot fail
	bool in_callback;
	bool destroyed; // while in_callback
	bool paused;
	bool blocked;
	bool unwritable;  // writing failed with error; what was received before can still be read
	bool broken;      // nor can be read: ops.closed follows or was called
	bool closed;      // ops.closed was called
	bool wake_reader; // ops.readable is due though the socket says nothing
	bool wake_writer; // a send was refused
	int error;
	struct link_counters counters;

	uint8_t *queue; // ring of unsent bytes
	size_t queue_room;
	size_t queue_head;
	size_t queue_bytes;

	uint8_t *input; // INPUT_BYTES; unread are input_start to input_end
	size_t input_start;
	size_t input_end;
	uint32_t rest_bytes; // of the frame that was handed out
	bool large;          // that frame was longer than LIMIT_FRAME_WHOLE
};

static void link_free(struct link *link)
{
	free(link->queue);
	free(link->input);
	free(link);
}

/* Lets link_on_work be called from the loop, before it waits. */
static void link_schedule(struct link *link)
{
	loop_timer_arm(link->work, 1);
}

/* Which events the socket is watched for. */
static void link_watch(struct link *link)
{
	uint32_t events = 0;

	if (!link->broken && !link->paused) {
		events |= LOOP_READ;
	}
	if (!link->broken && !link->unwritable && link->blocked) {
		events |= LOOP_WRITE;
	}
	// Cannot fail: the descriptor was watched before.
	(void)loop_source_update(link->source, events);
}

/* The connection is over, by end of file (0) or ERROR. */
static void link_break(struct link *link, int error)
{
	if (link->broken) {
		return;
	}
	link->broken = true;
	if (!link->unwritable) {
		link->error = error;
	}
	link->queue_bytes = 0;
	link_watch(link);
	link_schedule(link);
}

/* Writing failed. What the peer said before (why it closed, perhaps) is still handed out. */
static void link_break_writing(struct link *link, int error)
{
	if (link->unwritable || link->broken) {
		return;
	}
	link->unwritable = true;
	link->error = error;
	link->queue_bytes = 0;
	link->blocked = false;
	link_watch(link);
	link_schedule(link);
}

/* The unsent bytes as at most two parts. Returns how many. */
static int queue_parts(const struct link *link, struct iovec parts[2])
{
	size_t first = link->queue_room - link->queue_head;

	if (link->queue_bytes == 0) {
		return 0;
	}
	if (first >= link->queue_bytes) {
		parts[0] = (struct iovec) {link->queue + link->queue_head, link->queue_bytes};
		return 1;
	}
	parts[0] = (struct iovec) {link->queue + link->queue_head, first};
	parts[1] = (struct iovec) {link->queue, link->queue_bytes - first};
	return 2;
}

static void queue_drop(struct link *link, size_t bytes)
{
	link->queue_bytes -= bytes;
	link->queue_head =
			link->queue_bytes == 0 ? 0 : (link->queue_head + bytes) % link->queue_room;
}

/* Makes room for BYTES more. */
static int queue_reserve(struct link *link, size_t bytes)
{
	size_t room = link->queue_room == 0 ? QUEUE_START_BYTES : link->queue_room;
	struct iovec parts[2];

	assert(link->queue_bytes + bytes <= LIMIT_LINK_QUEUE);
	while (room < link->queue_bytes + bytes) {
		room *= 2;
	}
	if (room == link->queue_room) {
		return 0;
	}
	uint8_t *queue = malloc(room);
	if (queue == NULL) {
		return -ENOMEM;
	}
	int count = queue_parts(link, parts);
	size_t copied = 0;
	for (int i = 0; i < count; i++) {
		memcpy(queue + copied, parts[i].iov_base, parts[i].iov_len);
		copied += parts[i].iov_len;
	}
	free(link->queue);
	link->queue = queue;
	link->queue_room = room;
	link->queue_head = 0;
	return 0;
}

/* Appends bytes, for which there is room. */
static void queue_append(struct link *link, const void *bytes, size_t length)
{
	size_t tail = (link->queue_head + link->queue_bytes) % link->queue_room;
	size_t first = link->queue_room - tail;

	if (length == 0) {
		return;
	}
	if (first > length) {
		first = length;
	}
	memcpy(link->queue + tail, bytes, first);
	memcpy(link->queue, (const uint8_t *)bytes + first, length - first);
	link->queue_bytes += length;
}

/*
 * Writes the queue and then the COUNT parts of IOV (none while blocked), as much as the socket
 * takes. Returns how many bytes of IOV were written.
 */
static size_t link_write(struct link *link, const struct iovec *iov, int count)
{
	struct iovec parts[3 + LINK_IOV_MAX];

	assert(count <= 1 + LINK_IOV_MAX);
	while (!link->blocked && !link->unwritable && !link->broken) {
		int parts_count = queue_parts(link, parts);
		size_t queued = link->queue_bytes;

		if (count > 0) {
			memcpy(parts + parts_count, iov, (size_t)count * sizeof(*iov));
			parts_count += count;
		}
		if (parts_count == 0) {
			break;
		}
		ssize_t written = platform_send(link->fd, parts, parts_count);
		if (written == -EINTR) {
			continue;
		}
		if (written == -EAGAIN) {
			link->blocked = true;
			link_watch(link);
			break;
		}
		if (written < 0) {
			link_break_writing(link, (int)written);
			break;
		}
		if ((size_t)written >= queued) {
			queue_drop(link, queued);
			if (count > 0) {
				return (size_t)written - queued; // the rest is queued by the caller
			}
			break;
		}
		queue_drop(link, (size_t)written);
	}
	return 0;
}

/* Tells a refused sender, from the loop, when there is room. */
static void link_wake_writer(struct link *link)
{
	if (link->wake_writer && link->queue_bytes <= QUEUE_LOW_BYTES) {
		link_schedule(link);
	}
}

int link_flush(struct link *link)
{
	if (link->unwritable || link->broken) {
		return -EPIPE;
	}
	link_write(link, NULL, 0);
	link_wake_writer(link);
	return link->unwritable || link->broken ? -EPIPE : 0;
}

static void link_on_hook(void *data)
{
	struct link *link = data;

	if (link->queue_bytes > 0 && !link->blocked) {
		(void)link_flush(link);
	}
}

/* Ends a callback of the owner, in which he may have destroyed the link. Returns whether it still
 * exists. */
static bool link_leave(struct link *link)
{
	link->in_callback = false;
	if (link->destroyed) {
		link_free(link);
		return false;
	}
	return true;
}

static bool link_call(struct link *link, void (*callback)(void *data))
{
	link->in_callback = true;
	callback(link->data);
	return link_leave(link);
}

static void link_on_work(void *data)
{
	struct link *link = data;
	bool read_last = link->unwritable && !link->broken;

	if (link->wake_writer && !link->unwritable && !link->broken &&
			link->queue_bytes <= QUEUE_LOW_BYTES) {
		link->wake_writer = false;
		if (link->ops->writable != NULL && !link_call(link, link->ops->writable)) {
			return;
		}
	}
	if ((link->wake_reader || read_last) && !link->paused && !link->broken) {
		link->wake_reader = false;
		if (!link_call(link, link->ops->readable)) {
			return;
		}
	}
	if (read_last) {
		link_break(link, link->error);
	}
	if (link->broken && !link->closed) {
		link->closed = true;
		link->in_callback = true;
		link->ops->closed(link->data, link->error);
		(void)link_leave(link);
	}
}

static void link_on_fd(void *data, int fd, uint32_t events)
{
	struct link *link = data;

	(void)fd;
	if (events & LOOP_WRITE) {
		link->blocked = false;
		link_watch(link);
		(void)link_flush(link);
	}
	if ((events & LOOP_READ) && !link->paused && !link->broken) {
		(void)link_call(link, link->ops->readable);
	}
}

int link_create(struct loop *loop, int fd, const struct link_ops *ops, void *data,
		struct link **ret_link)
{
	struct link *link = calloc(1, sizeof(*link));
	int on = 1;

	if (link == NULL) {
		close(fd);
		return -ENOMEM;
	}
	link->loop = loop;
	link->fd = fd;
	link->ops = ops;
	link->data = data;
	link->input = malloc(INPUT_BYTES);
	int error = link->input == NULL ? -ENOMEM : fd_prepare(fd);
	if (error == 0) {
		// Frames are corked here, the system must not wait for more. Not TCP: no matter.
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		error = loop_add_fd(loop, fd, LOOP_READ, link_on_fd, link, &link->source);
	}
	if (error == 0) {
		error = loop_add_before_sleep(loop, link_on_hook, link, &link->hook);
	}
	if (error == 0) {
		error = loop_add_timer(loop, link_on_work, link, &link->work);
	}
	if (error < 0) {
		link_destroy(link);
		return error;
	}
	*ret_link = link;
	return 0;
}

void link_destroy(struct link *link)
{
	if (link == NULL) {
		return;
	}
	assert(!link->destroyed);
	loop_source_remove(link->work);
	loop_source_remove(link->hook);
	loop_source_remove(link->source);
	fd_close(&link->fd);
	link->destroyed = true;
	if (!link->in_callback) {
		link_free(link);
	}
}

static void put_u16(uint8_t *bytes, uint32_t value)
{
	bytes[0] = (uint8_t)value;
	bytes[1] = (uint8_t)(value >> 8);
}

static void put_u32(uint8_t *bytes, uint32_t value)
{
	put_u16(bytes, value & 0xffff);
	put_u16(bytes + 2, value >> 16);
}

static uint32_t get_u32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
			(uint32_t)bytes[3] << 24;
}

/* Queues what is left of PARTS after the first SKIP bytes; there is room. */
static void link_queue_parts(struct link *link, const struct iovec *parts, int count, size_t skip)
{
	for (int i = 0; i < count; i++) {
		size_t length = parts[i].iov_len;

		if (skip >= length) {
			skip -= length;
			continue;
		}
		queue_append(link, (const uint8_t *)parts[i].iov_base + skip, length - skip);
		skip = 0;
	}
}

int link_send(struct link *link, uint16_t opcode, uint16_t flags, uint32_t serial,
		const struct iovec *iov, int iov_count)
{
	uint8_t header[LINK_HEADER_BYTES];
	struct iovec parts[1 + LINK_IOV_MAX] = {{header, sizeof(header)}};
	size_t length = 0;

	if (iov_count < 0 || iov_count > LINK_IOV_MAX) {
		return -EINVAL;
	}
	for (int i = 0; i < iov_count; i++) {
		if (iov[i].iov_len > LIMIT_FRAME - length) {
			return -EMSGSIZE;
		}
		length += iov[i].iov_len;
		parts[i + 1] = iov[i];
	}
	if (link->unwritable || link->broken) {
		return -EPIPE;
	}
	size_t bytes = length + sizeof(header);
	if (link->queue_bytes + bytes > LIMIT_LINK_QUEUE) {
		link_write(link, NULL, 0);
		if (link->unwritable) {
			return -EPIPE;
		}
		if (link->queue_bytes + bytes > LIMIT_LINK_QUEUE) {
			link->wake_writer = true;
			return -EAGAIN;
		}
	}
	// Also for a frame that is written directly: the socket may take a part of it only.
	int error = queue_reserve(link, bytes);
	if (error < 0) {
		return error;
	}
	put_u32(header, (uint32_t)length);
	put_u16(header + 4, opcode);
	put_u16(header + 6, flags);
	put_u32(header + 8, serial);
	size_t written = 0;
	if (length >= DIRECT_BYTES) {
		written = link_write(link, parts, iov_count + 1);
		if (link->unwritable) {
			return -EPIPE;
		}
	}
	link_queue_parts(link, parts, iov_count + 1, written);
	link->counters.sent_frames++;
	link->counters.sent_bytes += bytes;
	if (link->queue_bytes >= CORK_BYTES) {
		link_write(link, NULL, 0);
	}
	return 0;
}

/* Reads at most BYTES. Returns how many, or -EAGAIN when nothing is there or the link is broken (by
 * this call, perhaps). */
static ssize_t link_read(struct link *link, void *destination, size_t bytes)
{
	if (link->broken) {
		return -EAGAIN;
	}
	for (;;) {
		ssize_t got = read(link->fd, destination, bytes);

		if (got > 0) {
			return got;
		}
		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got == 0 || errno != EAGAIN) {
			link_break(link, got == 0 ? 0 : -errno);
		}
		return -EAGAIN;
	}
}

/* Skips the rest of the frame that was handed out. Returns whether all of it has come. */
static bool link_skip_rest(struct link *link)
{
	size_t buffered = link->input_end - link->input_start;
	size_t skipped = buffered < link->rest_bytes ? buffered : link->rest_bytes;

	link->input_start += skipped;
	link->rest_bytes -= (uint32_t)skipped;
	while (link->rest_bytes > 0) {
		size_t wanted = link->rest_bytes < INPUT_BYTES ? link->rest_bytes : INPUT_BYTES;
		ssize_t got = link_read(link, link->input, wanted); // the buffer is empty

		if (got < 0) {
			return false;
		}
		link->rest_bytes -= (uint32_t)got;
	}
	return true;
}

/* Reads until the buffer holds BYTES unread ones. Returns whether it does. */
static bool link_fill(struct link *link, size_t bytes)
{
	while (link->input_end - link->input_start < bytes) {
		size_t buffered = link->input_end - link->input_start;

		if (link->input_start > 0) {
			memmove(link->input, link->input + link->input_start, buffered);
			link->input_start = 0;
			link->input_end = buffered;
		}
		// After a large frame comes another one, likely: what is read here would be copied
		// once more.
		size_t room = link->large ? LINK_HEADER_BYTES + LIMIT_FRAME_HEAD : INPUT_BYTES;
		if (room < bytes) {
			room = bytes;
		}
		ssize_t got = link_read(link, link->input + buffered, room - buffered);
		if (got < 0) {
			return false;
		}
		link->input_end += (size_t)got;
	}
	return true;
}

int link_recv(struct link *link, struct link_frame *ret_frame)
{
	if (!link_skip_rest(link) || !link_fill(link, LINK_HEADER_BYTES)) {
		return 0;
	}
	const uint8_t *header = link->input + link->input_start;
	uint32_t untrusted_length = get_u32(header);
	if (untrusted_length > LIMIT_FRAME) {
		return -EBADMSG;
	}
	uint32_t length = untrusted_length;
	uint32_t whole = length <= LIMIT_FRAME_WHOLE ? length : LIMIT_FRAME_HEAD;
	if (!link_fill(link, LINK_HEADER_BYTES + whole)) {
		return 0;
	}
	header = link->input + link->input_start; // link_fill may have moved it
	ret_frame->header.length = length;
	ret_frame->header.opcode = (uint16_t)(header[4] | header[5] << 8);
	ret_frame->header.flags = (uint16_t)(header[6] | header[7] << 8);
	ret_frame->header.serial = get_u32(header + 8);
	ret_frame->payload = header + LINK_HEADER_BYTES;
	ret_frame->payload_bytes = whole;
	ret_frame->rest_bytes = length - whole;
	link->input_start += LINK_HEADER_BYTES + whole;
	link->rest_bytes = length - whole;
	link->large = length > LIMIT_FRAME_WHOLE;
	link->counters.received_frames++;
	link->counters.received_bytes += LINK_HEADER_BYTES + length;
	return 1;
}

ssize_t link_recv_into(struct link *link, void *destination, size_t bytes)
{
	size_t buffered = link->input_end - link->input_start;
	ssize_t got;

	if (bytes > link->rest_bytes) {
		bytes = link->rest_bytes;
	}
	if (bytes == 0) {
		return 0;
	}
	if (buffered > 0) {
		got = (ssize_t)(buffered < bytes ? buffered : bytes);
		memcpy(destination, link->input + link->input_start, (size_t)got);
		link->input_start += (size_t)got;
	} else {
		got = link_read(link, destination, bytes);
		if (got < 0) {
			return got;
		}
	}
	link->rest_bytes -= (uint32_t)got;
	return got;
}

void link_pause(struct link *link, int paused)
{
	if (link->paused == (paused != 0)) {
		return;
	}
	link->paused = paused != 0;
	link_watch(link);
	if (!link->paused) {
		// Frames may lie in the buffer, of which the socket says nothing.
		link->wake_reader = true;
		link_schedule(link);
	}
}

size_t link_queued_bytes(const struct link *link)
{
	return link->queue_bytes;
}

const struct link_counters *link_counters(const struct link *link)
{
	return &link->counters;
}
