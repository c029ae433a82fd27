/*
 * Towards the guest: one readv fills several receive buffers of the guest in place, behind the room
 * for their headers; the headers are written when it is known how much came.
 *
 * Fairness: the ready connections take turns, one read each, at most LIMIT_VSOCK_BUFFER bytes.
 */
#include "vm-launch/vsock/device.h"

#include <errno.h>
#include <string.h>
#include "common/limits.h"
#include "common/log.h"

#define PACKET_BYTES_MAX (64u * 1024u) // payload of one packet; Linux guests allow no more
#define READ_GOAL_MIN    4096u
#define BYTES_PER_TURN   (1024u * 1024u)
#define CONTROL_COST     256u // what a packet without payload counts as

static struct vring *rx_ring(struct device *device)
{
	return &device->vhost_user.rings[VHOST_USER_RX];
}

static void header_store(const struct packet_header *header, const struct iovec *iov)
{
	const uint8_t *bytes = (const uint8_t *)header;
	size_t left = sizeof(*header);
	for (uint32_t i = 0; left > 0; i++) {
		size_t piece = iov[i].iov_len < left ? iov[i].iov_len : left;
		memcpy(iov[i].iov_base, bytes, piece);
		bytes += piece;
		left -= piece;
	}
}

/* Takes a receive buffer to chain_iov[FIRST...]. Returns 1; 0 when the guest has none; -ENOBUFS,
 * -EPROTO as vring_pop. */
static int chain_take(struct device *device, uint32_t first, struct vring_chain *ret_chain)
{
	struct vring *ring = rx_ring(device);
	int result = vring_pop(
			ring, true, ret_chain, device->chain_iov + first, VRING_IOV_MAX - first);
	if (result == -ENOBUFS && first == 0) {
		return vring_break(ring, "a receive buffer has too many pieces");
	}
	if (result == 1 && ret_chain->bytes <= PACKET_HEADER_BYTES) {
		return vring_break(ring, "a receive buffer is smaller than a packet");
	}
	return result;
}

static int reset_send(struct device *device)
{
	struct vring_chain chain;
	int result = chain_take(device, 0, &chain);
	if (result <= 0) {
		return result;
	}
	const struct device_reset *reset = &device->resets[device->reset_start];
	struct packet_header header = {
			.src_cid = reset->host_cid,
			.dst_cid = device->config.cid,
			.src_port = reset->host_port,
			.dst_port = reset->guest_port,
			.type = reset->type,
			.op = PACKET_RST,
	};
	header_store(&header, device->chain_iov);
	vring_push(rx_ring(device), chain.head, PACKET_HEADER_BYTES);
	device->reset_start = (device->reset_start + 1) % DEVICE_RESETS_MAX;
	device->reset_count--;
	return 1;
}

/* A packet without payload for one item of the connection's news. */
static int news_send(struct device *device, struct connection *connection, uint32_t news)
{
	static const struct {
		uint32_t news;
		enum packet_op op;
	} ops[] = {
			{NEWS_REQUEST, PACKET_REQUEST},
			{NEWS_RESPONSE, PACKET_RESPONSE},
			{NEWS_CREDIT_UPDATE, PACKET_CREDIT_UPDATE},
			{NEWS_CREDIT_REQUEST, PACKET_CREDIT_REQUEST},
			{NEWS_SHUTDOWN, PACKET_SHUTDOWN},
	};
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (!(connection->news & news & ops[i].news)) {
			continue;
		}
		struct vring_chain chain;
		int result = chain_take(device, 0, &chain);
		if (result <= 0) {
			return result;
		}
		uint32_t flags = ops[i].op == PACKET_SHUTDOWN ? connection->host_ended : 0;
		struct packet_header header = connection_header(
				connection, device->config.cid, ops[i].op, flags, 0);
		header_store(&header, device->chain_iov);
		vring_push(rx_ring(device), chain.head, PACKET_HEADER_BYTES);
		connection->news &= ~ops[i].news;
	}
	return 1;
}

/* The pieces of a receive buffer behind its header, ROOM bytes of them. Returns how many. */
static uint32_t payload_pieces(
		const struct iovec *iov, uint32_t count, uint32_t room, struct iovec *pieces)
{
	size_t skip = PACKET_HEADER_BYTES;
	uint32_t used = 0;
	for (uint32_t i = 0; i < count && room > 0; i++) {
		if (skip >= iov[i].iov_len) {
			skip -= iov[i].iov_len;
			continue;
		}
		size_t piece = iov[i].iov_len - skip;
		piece = piece < room ? piece : room;
		pieces[used++] = (struct iovec) {(uint8_t *)iov[i].iov_base + skip, piece};
		room -= (uint32_t)piece;
		skip = 0;
	}
	return used;
}

/*
 * Takes receive buffers for GOAL bytes, or what there is. Returns their number or a negative errno;
 * *RET_BYTES is their room, *RET_PIECES the pieces in data_iov.
 */
static int slots_take(
		struct device *device, uint32_t goal, uint32_t *ret_bytes, uint32_t *ret_pieces)
{
	uint32_t first = 0;
	uint32_t pieces = 0;
	uint32_t bytes = 0;
	int count = 0;
	while (bytes < goal && count < (int)VRING_SIZE_MAX) {
		struct vring_chain chain;
		int result = chain_take(device, first, &chain);
		if (result < 0 && result != -ENOBUFS) {
			return result;
		}
		if (result <= 0) {
			break;
		}
		uint64_t payload = chain.bytes - PACKET_HEADER_BYTES;
		uint32_t room = goal - bytes;
		room = room < PACKET_BYTES_MAX ? room : PACKET_BYTES_MAX;
		room = payload < room ? (uint32_t)payload : room;
		device->slots[count++] =
				(struct device_slot) {chain.head, first, chain.iov_count, room};
		pieces += payload_pieces(device->chain_iov + first, chain.iov_count, room,
				device->data_iov + pieces);
		first += chain.iov_count;
		bytes += room;
	}
	*ret_bytes = bytes;
	*ret_pieces = pieces;
	return count;
}

/* GOT bytes lie in the first slots: writes their headers. Returns how many slots are used. */
static int slots_fill(struct device *device, struct connection *connection, uint32_t got)
{
	int used = 0;
	while (got > 0) {
		const struct device_slot *slot = &device->slots[used++];
		uint32_t bytes = got < slot->room ? got : slot->room;
		struct packet_header header = connection_header(
				connection, device->config.cid, PACKET_RW, 0, bytes);
		header_store(&header, device->chain_iov + slot->iov_first);
		vring_push(rx_ring(device), slot->head, PACKET_HEADER_BYTES + bytes);
		got -= bytes;
	}
	return used;
}

/* Reads more at once from a socket that fills what is offered, less from one that does not. */
static void goal_adapt(struct connection *connection, uint32_t asked, uint32_t got)
{
	if (got == asked && connection->read_goal < LIMIT_VSOCK_BUFFER) {
		connection->read_goal *= 4;
		if (connection->read_goal > LIMIT_VSOCK_BUFFER) {
			connection->read_goal = LIMIT_VSOCK_BUFFER;
		}
	} else if (got < connection->read_goal / 4 && connection->read_goal > READ_GOAL_MIN) {
		connection->read_goal /= 2;
	}
}

static void read_failed(struct device *device, struct connection *connection, int error)
{
	if (error == -EAGAIN) {
		connection_rest(connection);
	} else if (error == -EFAULT) {
		device->vhost_user.memory.lost = 1;
	} else if (error != -EINTR) {
		device_reset_connection(device, connection);
	}
}

/* One read. Returns the bytes that went to the guest (0: none, the connection may be gone), or a
 * negative errno. */
static int data_send(struct device *device, struct connection *connection)
{
	uint32_t goal = connection_credit(connection);
	goal = goal < connection->read_goal ? goal : connection->read_goal;
	uint32_t room = 0;
	uint32_t pieces = 0;
	int slots = slots_take(device, goal, &room, &pieces);
	if (slots <= 0) {
		return slots == 0 ? -ENOBUFS : slots;
	}
	/* Only one that got buffers has had its turn: else one that takes all there are starves the
	 * others. */
	connection_yield(connection);
	ssize_t got = readv(connection->fd, device->data_iov, (int)pieces);
	int error = got < 0 ? -errno : 0;
	int used = got > 0 ? slots_fill(device, connection, (uint32_t)got) : 0;
	vring_unpop(rx_ring(device), (uint16_t)(slots - used));
	if (got > 0) {
		goal_adapt(connection, goal, (uint32_t)got);
		if ((uint32_t)got < room) {
			connection_rest(connection);
		}
		return (int)got;
	}
	if (got == 0) {
		connection_host_ends(connection);
	} else {
		read_failed(device, connection, error);
	}
	return 0;
}

/* Serves the connection whose turn it is. Returns its cost, 0 when the guest has no receive buffer,
 * or -EPROTO. */
static int connection_serve(struct device *device, struct connection *connection)
{
	int result = news_send(device, connection, NEWS_REQUEST | NEWS_RESPONSE);
	if (result <= 0) {
		return result;
	}
	int cost = (int)CONTROL_COST;
	if (connection_can_send(connection)) {
		result = data_send(device, connection);
		if (result < 0) {
			return result == -ENOBUFS ? 0 : result;
		}
		if (result == 0) {
			return cost; // it has changed, or is gone: its next turn finds out
		}
		cost += result;
	}
	result = news_send(device, connection, UINT32_MAX);
	if (result <= 0) {
		return result;
	}
	if (!connection_can_send(connection)) {
		connection_unqueue(connection);
		connection_queue(connection); // without credit it may have to ask for some
	}
	return cost;
}

static bool has_work(const struct device *device)
{
	return device->reset_count > 0 || !TAILQ_EMPTY(&device->connections.ready);
}

void rx_serve(struct device *device)
{
	struct vring *ring = rx_ring(device);
	if (!vring_is_usable(ring) || !has_work(device)) {
		return;
	}
	uint32_t cost = 0;
	vring_disable_kicks(ring);
	while (has_work(device) && cost < BYTES_PER_TURN && !device->vhost_user.memory.lost) {
		int result = device->reset_count > 0
				? reset_send(device)
				: connection_serve(device, TAILQ_FIRST(&device->connections.ready));
		if (result < 0) {
			return;
		}
		if (result == 0) { // no receive buffer: the guest will say when there are some
			if (!vring_enable_kicks(ring)) {
				return;
			}
			vring_disable_kicks(ring);
		}
		cost += (uint32_t)result;
	}
	device->is_busy = device->is_busy || has_work(device);
}
