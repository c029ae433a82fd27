/*
 * From the guest: packets are checked and go to their connections. Bytes go from the guest's memory
 * straight to the socket; successive packets of one connection in one system call (the batch).
 *
 * Invariant: chain_iov[0..batch_iov) belongs to the batch; no element is published before the batch
 * that holds it was written.
 */
#include "vm-launch/vsock/device.h"

#include <errno.h>
#include <string.h>
#include "common/limits.h"
#include "common/log.h"

#define PACKETS_PER_TURN 512u
#define BATCH_BYTES      (64u * 1024u) // written then, so that the reader works while we go on

static struct vring *tx_ring(struct device *device)
{
	return &device->vhost_user.rings[VHOST_USER_TX];
}

static void batch_write(struct device *device)
{
	struct connection *connection = device->batch;
	if (!connection) {
		return;
	}
	int error = connection_write(
			connection, device->chain_iov, device->batch_iov, device->batch_bytes);
	device->batch = NULL;
	device->batch_iov = 0;
	device->batch_bytes = 0;
	if (error == -EFAULT) {
		device->vhost_user.memory.lost = 1;
	} else if (error) {
		log_peer(LOG_VSOCK, "port %u: %s; resetting the connection",
				(unsigned)connection->guest_port,
				error == -EPROTO ? "the guest sent more than its credit"
						 : strerror(-error));
		device_reset_connection(device, connection);
	}
}

/* Copies the header out of the chain's pieces and takes it off them. Returns the number of pieces
 * left. */
static uint32_t header_take(struct iovec *iov, uint32_t count, struct packet_header *ret_header)
{
	uint8_t *bytes = (uint8_t *)ret_header;
	size_t left = sizeof(*ret_header);
	uint32_t first = 0;
	while (left > 0) {
		size_t piece = iov[first].iov_len < left ? iov[first].iov_len : left;
		memcpy(bytes, iov[first].iov_base, piece);
		iov[first].iov_base = (uint8_t *)iov[first].iov_base + piece;
		iov[first].iov_len -= piece;
		bytes += piece;
		left -= piece;
		if (iov[first].iov_len == 0) {
			first++;
		}
	}
	/* The guest may write to its memory at any time: from here on only the copy counts. */
	__asm__ volatile("" ::: "memory");
	memmove(iov, iov + first, (count - first) * sizeof(*iov));
	return count - first;
}

/* Cuts the pieces down to BYTES, which they have. Returns their number. */
static uint32_t pieces_cut(struct iovec *iov, uint32_t bytes)
{
	uint32_t count = 0;
	while (bytes > 0) {
		if (iov[count].iov_len > bytes) {
			iov[count].iov_len = bytes;
		}
		bytes -= (uint32_t)iov[count].iov_len;
		count++;
	}
	return count;
}

static void packet_refuse(struct device *device, const struct packet_header *header)
{
	if (header->op == PACKET_RST) {
		return;
	}
	struct device_reset reset = {
			header->dst_cid, header->src_port, header->dst_port, header->type};
	device_answer_reset(device, &reset);
}

static void on_request(struct device *device, const struct packet_header *header)
{
	int fd = -1;
	int error = host_connect(&device->host, header->dst_port, &fd);
	struct connection *connection = NULL;
	if (!error) {
		error = connection_create(&device->connections, fd, CONNECTION_OPEN,
				header->src_port, header->dst_port, &connection);
	}
	if (error) {
		log_peer(LOG_VSOCK, "guest: its connection to port %u of the host is refused: %s",
				(unsigned)header->dst_port, strerror(-error));
		packet_refuse(device, header);
		return;
	}
	connection_take_credit(connection, header);
	connection_tell(connection, NEWS_RESPONSE);
}

static void connection_fail(struct device *device, struct connection *connection, const char *fault)
{
	log_peer(LOG_VSOCK, "guest: port %u: %s; resetting the connection",
			(unsigned)connection->guest_port, fault);
	device_reset_connection(device, connection);
}

static void on_shutdown(struct device *device, struct connection *connection,
		const struct packet_header *header)
{
	if (connection_guest_ends(connection, header->flags)) {
		packet_refuse(device, header);
	}
}

/* A packet without payload for a known connection. */
static void connection_on_packet(struct device *device, struct connection *connection,
		const struct packet_header *header)
{
	switch (header->op) {
	case PACKET_RESPONSE:
		if (connection->state != CONNECTION_REQUESTED) {
			connection_fail(device, connection, "RESPONSE to nothing");
		} else if (connection_accepted(connection) < 0) {
			device_reset_connection(device, connection);
		}
		break;
	case PACKET_RST:
		connection_destroy(connection);
		break;
	case PACKET_SHUTDOWN:
		on_shutdown(device, connection, header);
		break;
	case PACKET_CREDIT_UPDATE:
		break;
	case PACKET_CREDIT_REQUEST:
		connection_tell(connection, NEWS_CREDIT_UPDATE);
		break;
	default: // REQUEST for a connection that exists, or a number that means nothing
		connection_fail(device, connection, "a packet that fits no state");
		break;
	}
}

/* Payload whose PIECES lie in chain_iov[batch_iov...]. */
static void on_data(struct device *device, struct connection *connection,
		const struct packet_header *header)
{
	if (connection->state == CONNECTION_CLOSING || header->length == 0) {
		return;
	}
	if (connection->state != CONNECTION_OPEN || (connection->guest_ended & PACKET_NO_SEND)) {
		connection_fail(device, connection, "bytes on a connection that carries none");
		return;
	}
	device->batch = connection;
	device->batch_iov += pieces_cut(device->chain_iov + device->batch_iov, header->length);
	device->batch_bytes += header->length;
	if (device->batch_bytes >= BATCH_BYTES) {
		batch_write(device);
	}
}

static bool packet_is_for_us(struct device *device, const struct packet_header *header)
{
	if (header->src_cid != device->config.cid) {
		log_peer(LOG_VSOCK, "guest: a packet in the name of CID %llu; dropping it",
				(unsigned long long)header->src_cid);
		return false;
	}
	if (header->dst_cid != PACKET_CID_HOST || header->type != PACKET_TYPE_STREAM) {
		packet_refuse(device, header);
		return false;
	}
	return true;
}

/* One packet, its pieces in chain_iov[batch_iov...]. */
static void packet_take(struct device *device, const struct vring_chain *chain)
{
	struct iovec *iov = device->chain_iov + device->batch_iov;
	struct packet_header header;
	if (chain->bytes < sizeof(header)) {
		log_peer(LOG_VSOCK, "guest: a packet shorter than its header; dropping it");
		return;
	}
	uint32_t pieces = header_take(iov, chain->iov_count, &header);
	if (!packet_is_for_us(device, &header)) {
		return;
	}
	struct connection *connection =
			connection_find(&device->connections, header.src_port, header.dst_port);
	if (device->batch && (connection != device->batch || header.op != PACKET_RW)) {
		memmove(device->data_iov, iov, pieces * sizeof(*iov));
		batch_write(device);
		memmove(device->chain_iov, device->data_iov, pieces * sizeof(*iov));
		connection = connection_find(
				&device->connections, header.src_port, header.dst_port);
	}
	if (!connection) {
		if (header.op == PACKET_REQUEST) {
			on_request(device, &header);
		} else {
			packet_refuse(device, &header);
		}
		return;
	}
	if (header.op == PACKET_RW && header.length > chain->bytes - sizeof(header)) {
		connection_fail(device, connection, "a packet shorter than it says");
		return;
	}
	if (connection_take_credit(connection, &header) < 0) {
		connection_fail(device, connection, "credit for bytes that it never got");
		return;
	}
	if (header.op == PACKET_RW) {
		on_data(device, connection, &header);
	} else {
		connection_on_packet(device, connection, &header);
	}
}

/* Takes the next packet. Returns 1, 0 when there is none, or -EPROTO. */
static int packet_next(struct device *device)
{
	struct vring *ring = tx_ring(device);
	struct vring_chain chain;
	int result = vring_pop(ring, false, &chain, device->chain_iov + device->batch_iov,
			VRING_IOV_MAX - device->batch_iov);
	if (result == -ENOBUFS) {
		if (device->batch_iov == 0) {
			return vring_break(ring, "a packet has too many pieces");
		}
		batch_write(device);
		return 1;
	}
	if (result == 1) {
		packet_take(device, &chain);
		vring_push(ring, chain.head, 0);
	}
	return result;
}

void tx_serve(struct device *device)
{
	struct vring *ring = tx_ring(device);
	if (!vring_is_usable(ring)) {
		device->has_tx = false;
		return;
	}
	vring_disable_kicks(ring);
	for (uint32_t i = 0; i < PACKETS_PER_TURN; i++) {
		if (device->reset_count >= DEVICE_RESETS_PAUSE || device->vhost_user.memory.lost) {
			break; // has_tx stays: it goes on once RSTs have found room
		}
		int result = packet_next(device);
		if (result < 0) {
			device->has_tx = false;
			break;
		}
		if (result == 0 && !vring_enable_kicks(ring)) {
			device->has_tx = false;
			break;
		}
		if (result == 0) {
			vring_disable_kicks(ring);
		}
	}
	batch_write(device);
	device->is_busy = device->is_busy ||
			(device->has_tx && device->reset_count < DEVICE_RESETS_PAUSE);
}
