/*
 * Stream connections: state, credit, half-close.
 *
 * Invariants: received - taken == buffer_bytes <= LIMIT_VSOCK_BUFFER; a connection is in the ready
 * list only while it has something for the guest; the socket is watched for reading only while we
 * want its bytes, for writing only while buffer_bytes > 0.
 */
#include "vm-launch/vsock/connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "common/clock.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/loop.h"

#define READ_GOAL_MIN 4096u

_Static_assert((LIMIT_VSOCK_BUFFER & (LIMIT_VSOCK_BUFFER - 1)) == 0, "the buffer is a ring");

static void connection_on_event(void *data, int fd, uint32_t events);

static uint32_t bucket_of(uint32_t guest_port, uint32_t host_port)
{
	uint32_t mixed = (guest_port * 2654435761u) ^ (host_port * 2246822519u);
	return (mixed >> 16) % CONNECTION_BUCKETS;
}

void connection_set_init(struct connection_set *set, struct loop *loop,
		const struct connection_set_ops *ops, void *data)
{
	*set = (struct connection_set) {.loop = loop, .ops = ops, .data = data};
	for (uint32_t i = 0; i < CONNECTION_BUCKETS; i++) {
		LIST_INIT(&set->buckets[i]);
	}
	TAILQ_INIT(&set->all);
	TAILQ_INIT(&set->ready);
}

void connection_set_clear(struct connection_set *set)
{
	struct connection *connection;
	while ((connection = TAILQ_FIRST(&set->all)) != NULL) {
		connection_destroy(connection);
	}
}

struct connection *connection_find(
		const struct connection_set *set, uint32_t guest_port, uint32_t host_port)
{
	struct connection *connection;
	LIST_FOREACH (connection, &set->buckets[bucket_of(guest_port, host_port)], bucket) {
		if (connection->guest_port == guest_port && connection->host_port == host_port) {
			return connection;
		}
	}
	return NULL;
}

int connection_create(struct connection_set *set, int fd, enum connection_state state,
		uint32_t guest_port, uint32_t host_port, struct connection **ret_connection)
{
	if (set->count >= LIMIT_VSOCK_CONNECTIONS) {
		fd_close(&fd);
		return -ENOSPC;
	}
	struct connection *connection = calloc(1, sizeof(*connection));
	if (!connection) {
		fd_close(&fd);
		return -ENOMEM;
	}
	connection->set = set;
	connection->state = state;
	connection->fd = fd;
	connection->guest_port = guest_port;
	connection->host_port = host_port;
	connection->read_goal = READ_GOAL_MIN;
	int error = loop_add_fd(set->loop, fd, LOOP_READ, connection_on_event, connection,
			&connection->source);
	if (error) {
		fd_close(&fd);
		free(connection);
		return error;
	}
	LIST_INSERT_HEAD(&set->buckets[bucket_of(guest_port, host_port)], connection, bucket);
	TAILQ_INSERT_TAIL(&set->all, connection, all);
	set->count++;
	*ret_connection = connection;
	return 0;
}

void connection_unqueue(struct connection *connection)
{
	if (connection->is_ready) {
		TAILQ_REMOVE(&connection->set->ready, connection, ready);
		connection->is_ready = false;
	}
}

void connection_yield(struct connection *connection)
{
	if (connection->is_ready) {
		TAILQ_REMOVE(&connection->set->ready, connection, ready);
		TAILQ_INSERT_TAIL(&connection->set->ready, connection, ready);
	}
}

static void connection_close_socket(struct connection *connection)
{
	loop_source_remove(connection->source);
	connection->source = NULL;
	fd_close(&connection->fd);
	connection->is_readable = false;
}

void connection_destroy(struct connection *connection)
{
	if (!connection) {
		return;
	}
	connection_unqueue(connection);
	connection_close_socket(connection);
	if (connection->state != CONNECTION_DRAINING) {
		LIST_REMOVE(connection, bucket);
	}
	TAILQ_REMOVE(&connection->set->all, connection, all);
	connection->set->count--;
	free(connection->buffer);
	free(connection);
}

/* Makes the loop wait for what is wanted of the socket now. */
static void connection_watch(struct connection *connection)
{
	if (!connection->source) {
		return;
	}
	bool reads = connection->state != CONNECTION_DRAINING && !connection->is_paused &&
			!(connection->host_ended & PACKET_NO_SEND);
	uint32_t events = (reads ? (uint32_t)LOOP_READ : 0) |
			(connection->buffer_bytes > 0 ? (uint32_t)LOOP_WRITE : 0);
	int error = loop_source_update(connection->source, events);
	if (error) {
		log_peer(LOG_VSOCK, "port %u: its socket cannot be watched: %s",
				(unsigned)connection->guest_port, strerror(-error));
	}
}

void connection_rest(struct connection *connection)
{
	connection->is_readable = false;
	connection->is_paused = false;
	connection_watch(connection);
}

uint32_t connection_credit(const struct connection *connection)
{
	uint32_t in_flight = connection->sent - connection->guest_taken;
	return in_flight < connection->guest_buffer ? connection->guest_buffer - in_flight : 0;
}

static bool connection_has_bytes(const struct connection *connection)
{
	return connection->state == CONNECTION_OPEN && connection->is_readable &&
			!(connection->host_ended & PACKET_NO_SEND);
}

bool connection_can_send(const struct connection *connection)
{
	return connection_has_bytes(connection) && connection_credit(connection) > 0;
}

void connection_queue(struct connection *connection)
{
	if (connection_has_bytes(connection) && !connection->has_asked &&
			connection_credit(connection) == 0) {
		connection->has_asked = true;
		connection->news |= NEWS_CREDIT_REQUEST;
	}
	if (!connection->is_ready && (connection->news || connection_can_send(connection))) {
		TAILQ_INSERT_TAIL(&connection->set->ready, connection, ready);
		connection->is_ready = true;
	}
}

void connection_tell(struct connection *connection, uint32_t news)
{
	connection->news |= news;
	connection_queue(connection);
}

int connection_take_credit(struct connection *connection, const struct packet_header *header)
{
	uint32_t untrusted_taken = header->consumed_bytes;
	uint32_t in_flight = connection->sent - connection->guest_taken;
	if (untrusted_taken - connection->guest_taken <= in_flight) {
		connection->guest_taken = untrusted_taken;
	} else if (untrusted_taken - connection->sent < UINT32_MAX / 2) {
		return -EPROTO;
	}
	connection->guest_buffer = header->buffer_bytes;
	if (connection_credit(connection) > 0) {
		connection->has_asked = false;
		connection_queue(connection);
	}
	return 0;
}

struct packet_header connection_header(struct connection *connection, uint64_t guest_cid,
		enum packet_op op, uint32_t flags, uint32_t length)
{
	connection->sent += length;
	connection->taken_told = connection->taken;
	connection->news &= ~(uint32_t)NEWS_CREDIT_UPDATE;
	return (struct packet_header) {
			.src_cid = PACKET_CID_HOST,
			.dst_cid = guest_cid,
			.src_port = connection->host_port,
			.dst_port = connection->guest_port,
			.length = length,
			.type = PACKET_TYPE_STREAM,
			.op = (uint16_t)op,
			.flags = flags,
			.buffer_bytes = LIMIT_VSOCK_BUFFER,
			.consumed_bytes = connection->taken,
	};
}

void connection_set_deadline(struct connection *connection, uint32_t ms)
{
	connection->deadline_ns = clock_now_ns() + ms * CLOCK_NS_PER_MS;
	connection->set->has_deadlines = true;
}

/* Both directions are over for the host: the guest hears it and answers RST. */
static void connection_close(struct connection *connection)
{
	connection_close_socket(connection);
	connection->state = CONNECTION_CLOSING;
	connection->host_ended = PACKET_NO_BOTH;
	connection->taken += connection->buffer_bytes;
	connection->buffer_bytes = 0;
	connection_set_deadline(connection, LIMIT_VSOCK_CLOSE_MS);
	connection_tell(connection, NEWS_SHUTDOWN);
}

/* The host program reads no more: what the guest still sends goes nowhere. */
static void connection_host_stops_reading(struct connection *connection)
{
	connection->host_ended |= PACKET_NO_RECEIVE;
	connection->taken += connection->buffer_bytes;
	connection->buffer_bytes = 0;
	if (connection->host_ended == PACKET_NO_BOTH) {
		connection_close(connection);
		return;
	}
	connection_watch(connection);
	connection_tell(connection, NEWS_SHUTDOWN);
}

void connection_host_ends(struct connection *connection)
{
	connection->is_readable = false;
	connection->host_ended |= PACKET_NO_SEND;
	bool guest_is_done =
			(connection->guest_ended & PACKET_NO_SEND) && connection->buffer_bytes == 0;
	if (guest_is_done || connection->host_ended == PACKET_NO_BOTH) {
		connection_close(connection);
		return;
	}
	connection_watch(connection);
	connection_tell(connection, NEWS_SHUTDOWN);
}

/* The guest ended its direction and the socket has taken everything. */
static void connection_pass_end(struct connection *connection)
{
	shutdown(connection->fd, SHUT_WR);
	if (connection->host_ended & PACKET_NO_SEND) {
		connection_close(connection);
	}
}

bool connection_guest_ends(struct connection *connection, uint32_t flags)
{
	connection->guest_ended |= flags & PACKET_NO_BOTH;
	if (connection->state == CONNECTION_CLOSING && connection->guest_ended != PACKET_NO_BOTH) {
		return false;
	}
	if (connection->state != CONNECTION_OPEN) {
		connection_destroy(connection);
		return true;
	}
	if (connection->guest_ended == PACKET_NO_BOTH) {
		if (connection->buffer_bytes == 0) {
			connection_destroy(connection);
			return true;
		}
		connection_unqueue(connection);
		LIST_REMOVE(connection, bucket);
		connection->state = CONNECTION_DRAINING;
		connection_watch(connection);
		return true;
	}
	if (connection->guest_ended == PACKET_NO_RECEIVE) {
		shutdown(connection->fd, SHUT_RD); // the host program's writes fail from here on
		connection->host_ended |= PACKET_NO_SEND;
		connection->is_readable = false;
		connection_watch(connection);
	} else if (connection->guest_ended == PACKET_NO_SEND && connection->buffer_bytes == 0) {
		connection_pass_end(connection);
	}
	return false;
}

int connection_accepted(struct connection *connection)
{
	char text[24];
	int length = snprintf(text, sizeof(text), "OK %u\n", (unsigned)connection->host_port);
	ssize_t sent = send(connection->fd, text, (size_t)length, MSG_NOSIGNAL);
	if (sent != length) {
		return sent < 0 ? -errno : -EIO;
	}
	connection->state = CONNECTION_OPEN;
	connection->deadline_ns = 0;
	connection_queue(connection);
	return 0;
}

static int connection_keep(struct connection *connection, const uint8_t *bytes, size_t count)
{
	if (!connection->buffer) {
		connection->buffer = malloc(LIMIT_VSOCK_BUFFER);
		if (!connection->buffer) {
			return -ENOMEM;
		}
	}
	while (count > 0) {
		uint32_t end = (connection->buffer_start + connection->buffer_bytes) &
				(LIMIT_VSOCK_BUFFER - 1);
		size_t piece = LIMIT_VSOCK_BUFFER - end;
		piece = piece < count ? piece : count;
		memcpy(connection->buffer + end, bytes, piece);
		connection->buffer_bytes += (uint32_t)piece;
		bytes += piece;
		count -= piece;
	}
	return 0;
}

/* Keeps what is left of IOV after its first SKIP bytes. */
static int connection_keep_rest(struct connection *connection, const struct iovec *iov,
		uint32_t iov_count, size_t skip)
{
	int error = 0;
	for (uint32_t i = 0; i < iov_count && !error; i++) {
		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		error = connection_keep(connection, (const uint8_t *)iov[i].iov_base + skip,
				iov[i].iov_len - skip);
		skip = 0;
	}
	return error;
}

/* Tells the guest of new room once it sees less than half of the buffer free. */
static void connection_offer_credit(struct connection *connection)
{
	uint32_t seen_used = connection->received - connection->taken_told;
	if (seen_used >= LIMIT_VSOCK_BUFFER / 2 && connection->taken != connection->taken_told) {
		connection_tell(connection, NEWS_CREDIT_UPDATE);
	}
}

/* One sendmsg. Returns the bytes taken (0 when full), -EPIPE when the other side reads no more, or
 * another errno. */
static ssize_t socket_send(int fd, const struct iovec *iov, uint32_t iov_count)
{
	struct msghdr message = {
			.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = iov_count};
	ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
	if (sent >= 0) {
		return sent;
	}
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -errno;
}

int connection_write(struct connection *connection, const struct iovec *iov, uint32_t iov_count,
		uint32_t bytes)
{
	if (bytes > LIMIT_VSOCK_BUFFER - (connection->received - connection->taken)) {
		return -EPROTO;
	}
	connection->received += bytes;
	if (connection->host_ended & PACKET_NO_RECEIVE) {
		connection->taken += bytes;
		connection_offer_credit(connection);
		return 0;
	}
	ssize_t sent = 0;
	if (connection->buffer_bytes == 0) {
		sent = socket_send(connection->fd, iov, iov_count);
	}
	if (sent == -EPIPE || sent == -ECONNRESET) {
		connection->taken += bytes;
		connection_host_stops_reading(connection);
		return 0;
	}
	if (sent < 0) {
		return (int)sent;
	}
	connection->taken += (uint32_t)sent;
	if ((uint32_t)sent < bytes) {
		int error = connection_keep_rest(connection, iov, iov_count, (size_t)sent);
		if (error) {
			return error;
		}
		connection_watch(connection);
	}
	connection_offer_credit(connection);
	return 0;
}

/* Gives the socket what was kept for it. Returns 0 or a negative errno. */
static int connection_flush(struct connection *connection)
{
	while (connection->buffer_bytes > 0) {
		uint32_t first = LIMIT_VSOCK_BUFFER - connection->buffer_start;
		first = first < connection->buffer_bytes ? first : connection->buffer_bytes;
		struct iovec iov[2] = {{connection->buffer + connection->buffer_start, first},
				{connection->buffer, connection->buffer_bytes - first}};
		ssize_t sent = socket_send(connection->fd, iov, 2);
		if (sent <= 0) {
			return (int)sent;
		}
		connection->buffer_start = (connection->buffer_start + (uint32_t)sent) &
				(LIMIT_VSOCK_BUFFER - 1);
		connection->buffer_bytes -= (uint32_t)sent;
		connection->taken += (uint32_t)sent;
	}
	return 0;
}

/* The socket has room. The connection may be gone afterwards. Returns whether it is still there. */
static bool connection_on_writable(struct connection *connection)
{
	int error = connection_flush(connection);
	if (connection->state == CONNECTION_DRAINING) {
		if (error || connection->buffer_bytes == 0) {
			connection_destroy(connection);
			return false;
		}
		return true;
	}
	if (error == -EPIPE || error == -ECONNRESET) {
		connection_host_stops_reading(connection);
	} else if (error) {
		connection->set->ops->reset(connection->set->data, connection);
		return false;
	}
	connection_offer_credit(connection);
	if (connection->buffer_bytes == 0 && connection->fd >= 0) {
		connection_watch(connection);
		if (connection->guest_ended & PACKET_NO_SEND) {
			connection_pass_end(connection);
		}
	}
	return true;
}

static void connection_on_event(void *data, int fd, uint32_t events)
{
	struct connection *connection = data;
	(void)fd;
	if ((events & LOOP_WRITE) && !connection_on_writable(connection)) {
		return;
	}
	if (!(events & LOOP_READ) || connection->fd < 0) {
		return;
	}
	if (connection->is_readable) { // not read since the last time: no credit, or no room in the
				       // ring
		connection->is_paused = true;
		connection_watch(connection);
		return;
	}
	connection->is_readable = true;
	connection_queue(connection);
}
