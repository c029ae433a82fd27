/*
 * vhost-user messages, device side: features, memory table, rings, configuration.
 *
 * Values that the guest chooses (ring sizes and addresses) only break that ring; a front end that
 * breaks the protocol itself loses its connection. Every descriptor of a message is either taken
 * here or closed with the message.
 */
#include "vm-launch/vsock/vhost_user.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "common/fd.h"
#include "common/log.h"
#include "common/loop.h"

#define FEATURES                                                                                \
	(VHOST_USER_F_VERSION_1 | VHOST_USER_F_PROTOCOL_FEATURES | VHOST_USER_F_INDIRECT_DESC | \
			VHOST_USER_F_EVENT_IDX)
#define PROTOCOL_FEATURES \
	(VHOST_USER_PROTOCOL_MQ | VHOST_USER_PROTOCOL_REPLY_ACK | VHOST_USER_PROTOCOL_CONFIG)

#define KICK_INDEX_MASK 0xffu
#define KICK_NO_FD      0x100u
#define CONFIG_HEAD     12u
#define CONFIG_MAX      256u

struct ring_state {
	uint32_t index;
	uint32_t value;
};

struct ring_addresses {
	uint32_t index;
	uint32_t flags;
	uint64_t desc, used, avail, log;
};

static const char *const queue_names[VHOST_USER_QUEUES] = {"receive", "transmit", "event"};

void vhost_user_init(struct vhost_user *device, struct loop *loop, uint64_t cid,
		const struct vhost_user_ops *ops, void *data)
{
	*device = (struct vhost_user) {.loop = loop, .cid = cid, .ops = ops, .data = data};
	memory_init(&device->memory);
	for (uint32_t i = 0; i < VHOST_USER_QUEUES; i++) {
		vring_init(&device->rings[i], &device->memory);
	}
}

static void ring_forget_kick(struct vring *ring)
{
	loop_source_remove(ring->kick_source);
	ring->kick_source = NULL;
	fd_close(&ring->kick_fd);
}

void vhost_user_reset(struct vhost_user *device)
{
	for (uint32_t i = 0; i < VHOST_USER_QUEUES; i++) {
		ring_forget_kick(&device->rings[i]);
		vring_finish(&device->rings[i]);
		device->stopped_at[i] = 0;
	}
	memory_finish(&device->memory);
	device->features = 0;
	device->protocol_features = 0;
}

void vhost_user_message_finish(struct vhost_user_message *message)
{
	for (uint32_t i = 0; i < message->fd_count; i++) {
		fd_close(&message->fds[i]);
	}
	message->fd_count = 0;
}

static uint32_t queue_of(const struct vhost_user *device, const struct vring *ring)
{
	return (uint32_t)(ring - device->rings);
}

static int reply(struct vhost_user_message *message, const void *payload, uint32_t length)
{
	message->flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	message->length = length;
	memcpy(message->payload, payload, length);
	return 1;
}

static int reply_u64(struct vhost_user_message *message, uint64_t value)
{
	return reply(message, &value, sizeof(value));
}

/* Copies a payload of exactly BYTES. */
static int payload_take(const struct vhost_user_message *message, void *ret_payload, uint32_t bytes)
{
	if (message->length != bytes) {
		return -EBADMSG;
	}
	memcpy(ret_payload, message->payload, bytes);
	return 0;
}

static int ring_find(struct vhost_user *device, uint32_t untrusted_index, struct vring **ret_ring)
{
	if (untrusted_index >= VHOST_USER_QUEUES) {
		return -EBADMSG;
	}
	*ret_ring = &device->rings[untrusted_index];
	return 0;
}

static int ring_state_take(struct vhost_user *device, const struct vhost_user_message *message,
		struct ring_state *ret_state, struct vring **ret_ring)
{
	int error = payload_take(message, ret_state, sizeof(*ret_state));
	return error ? error : ring_find(device, ret_state->index, ret_ring);
}

/* A ring that the guest set up wrongly: the connection to the front end goes on without it. */
static int ring_refuse(const struct vhost_user *device, struct vring *ring, const char *fault)
{
	log_peer(LOG_VSOCK, "guest: its %s queue is not served: %s",
			queue_names[queue_of(device, ring)], fault);
	vring_break(ring, fault);
	return -EINVAL;
}

static int on_features(struct vhost_user *device, const struct vhost_user_message *message)
{
	uint64_t untrusted_features = 0;
	int error = payload_take(message, &untrusted_features, sizeof(untrusted_features));
	if (error) {
		return error;
	}
	if (untrusted_features & ~(uint64_t)FEATURES) {
		return -EPROTO;
	}
	device->features = untrusted_features;
	for (uint32_t i = 0; i < VHOST_USER_QUEUES; i++) {
		device->rings[i].event_idx = (untrusted_features & VHOST_USER_F_EVENT_IDX) != 0;
	}
	return 0;
}

static int on_protocol_features(struct vhost_user *device, const struct vhost_user_message *message)
{
	uint64_t untrusted_features = 0;
	int error = payload_take(message, &untrusted_features, sizeof(untrusted_features));
	if (error) {
		return error;
	}
	if (untrusted_features & ~(uint64_t)PROTOCOL_FEATURES) {
		return -EPROTO;
	}
	device->protocol_features = untrusted_features;
	return 0;
}

static int on_memory(struct vhost_user *device, const struct vhost_user_message *message)
{
	struct {
		uint32_t count;
		uint32_t padding;
		struct {
			uint64_t guest, bytes, user, offset;
		} regions[MEMORY_REGIONS_MAX];
	} untrusted_table;
	uint32_t head = 2 * sizeof(uint32_t);
	if (message->length < head || message->length > sizeof(untrusted_table)) {
		return -EBADMSG;
	}
	memcpy(&untrusted_table, message->payload, message->length);
	uint32_t count = untrusted_table.count;
	if (count > MEMORY_REGIONS_MAX || count != message->fd_count ||
			message->length < head + count * sizeof(untrusted_table.regions[0])) {
		return -EBADMSG;
	}
	struct memory_region_info info[MEMORY_REGIONS_MAX];
	for (uint32_t i = 0; i < count; i++) {
		info[i] = (struct memory_region_info) {untrusted_table.regions[i].guest,
				untrusted_table.regions[i].bytes, untrusted_table.regions[i].user,
				untrusted_table.regions[i].offset};
	}
	int error = memory_set(&device->memory, info, message->fds, count);
	for (uint32_t i = 0; i < VHOST_USER_QUEUES; i++) {
		struct vring *ring = &device->rings[i];
		if (ring->desc && vring_relocate(ring) < 0) {
			ring_refuse(device, ring, ring->fault);
		}
	}
	return error;
}

static int on_ring_size(struct vhost_user *device, const struct vhost_user_message *message)
{
	struct ring_state untrusted_state;
	struct vring *ring = NULL;
	int error = ring_state_take(device, message, &untrusted_state, &ring);
	if (error) {
		return error;
	}
	if (ring->desc) {
		return -EPROTO; // it is running
	}
	ring->size = 0;
	if (vring_set_size(ring, untrusted_state.value) < 0) {
		ring_refuse(device, ring, "its size is not a power of two from 1 to 1024");
	}
	return 0;
}

static int on_ring_addresses(struct vhost_user *device, const struct vhost_user_message *message)
{
	struct ring_addresses untrusted_addresses;
	struct vring *ring = NULL;
	int error = payload_take(message, &untrusted_addresses, sizeof(untrusted_addresses));
	if (!error) {
		error = ring_find(device, untrusted_addresses.index, &ring);
	}
	if (error) {
		return error;
	}
	ring->desc_user = untrusted_addresses.desc;
	ring->avail_user = untrusted_addresses.avail;
	ring->used_user = untrusted_addresses.used;
	ring->has_addresses = true;
	if (ring->desc && vring_relocate(ring) < 0) {
		ring_refuse(device, ring, ring->fault);
	}
	return 0;
}

static int on_ring_base(struct vhost_user *device, const struct vhost_user_message *message)
{
	struct ring_state untrusted_state;
	struct vring *ring = NULL;
	int error = ring_state_take(device, message, &untrusted_state, &ring);
	if (error) {
		return error;
	}
	if (ring->desc) {
		return -EPROTO;
	}
	ring->next_avail = (uint16_t)untrusted_state.value;
	uint32_t queue = queue_of(device, ring);
	if (queue != VHOST_USER_EVENT && ring->next_avail != device->stopped_at[queue]) {
		device->ops->restarted(device->data);
	}
	return 0;
}

static int on_ring_stop(struct vhost_user *device, struct vhost_user_message *message)
{
	struct ring_state untrusted_state;
	struct vring *ring = NULL;
	int error = ring_state_take(device, message, &untrusted_state, &ring);
	if (error) {
		return error;
	}
	vring_stop(ring);
	ring_forget_kick(ring);
	device->stopped_at[queue_of(device, ring)] = ring->next_avail;
	struct ring_state state = {untrusted_state.index, ring->next_avail};
	return reply(message, &state, sizeof(state));
}

static void ring_on_kick(void *data, int fd, uint32_t events)
{
	struct vhost_user *device = data;
	(void)events;
	for (uint32_t i = 0; i < VHOST_USER_QUEUES; i++) {
		struct vring *ring = &device->rings[i];
		if (ring->kick_fd != fd) {
			continue;
		}
		if (vring_drain_kick(ring) < 0) {
			log_peer(LOG_VSOCK, "front end: it closed the kick of the %s queue",
					queue_names[i]);
			ring_forget_kick(ring);
		}
		device->ops->kicked(device->data, i);
		return;
	}
}

/* The descriptor that comes with KICK, CALL or ERR; -1 when the message says there is none. */
static int ring_fd_take(struct vhost_user *device, struct vhost_user_message *message,
		struct vring **ret_ring, int *ret_fd)
{
	uint64_t untrusted_value = 0;
	int error = payload_take(message, &untrusted_value, sizeof(untrusted_value));
	if (!error) {
		error = ring_find(device, (uint32_t)(untrusted_value & KICK_INDEX_MASK), ret_ring);
	}
	if (error) {
		return error;
	}
	bool has_fd = !(untrusted_value & KICK_NO_FD);
	if (message->fd_count != (has_fd ? 1u : 0u)) {
		return -EBADMSG;
	}
	*ret_fd = -1;
	if (!has_fd) {
		return 0;
	}
	/* A file would neither wake us nor refuse to grow, and a device may block. */
	struct stat status;
	if (fstat(message->fds[0], &status) < 0 || S_ISREG(status.st_mode) ||
			S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode)) {
		return -EBADMSG;
	}
	error = fd_prepare(message->fds[0]);
	if (!error) {
		*ret_fd = fd_take(&message->fds[0]);
	}
	return error;
}

/* The kick descriptor starts the ring. */
static int on_ring_kick(struct vhost_user *device, struct vhost_user_message *message)
{
	struct vring *ring = NULL;
	auto_close int fd = -1;
	int error = ring_fd_take(device, message, &ring, &fd);
	if (error) {
		return error;
	}
	ring_forget_kick(ring);
	ring->kick_fd = fd_take(&fd);
	if (ring->kick_fd < 0) {
		return ring_refuse(device, ring, "polling without a kick descriptor");
	}
	error = loop_add_fd(device->loop, ring->kick_fd, LOOP_READ, ring_on_kick, device,
			&ring->kick_source);
	if (error) {
		fd_close(&ring->kick_fd);
		return error;
	}
	uint32_t queue = queue_of(device, ring);
	if (!(device->features & VHOST_USER_F_PROTOCOL_FEATURES)) {
		ring->enabled = true;
	}
	if (queue != VHOST_USER_EVENT && !ring->desc) {
		error = vring_start(ring);
		if (error) {
			return ring_refuse(device, ring, ring->fault);
		}
	}
	device->ops->kicked(device->data, queue);
	return 0;
}

static int on_ring_other_fd(struct vhost_user *device, struct vhost_user_message *message)
{
	struct vring *ring = NULL;
	auto_close int fd = -1;
	int error = ring_fd_take(device, message, &ring, &fd);
	if (error) {
		return error;
	}
	int *place = message->request == VHOST_USER_SET_VRING_CALL ? &ring->call_fd
								   : &ring->error_fd;
	fd_close(place);
	*place = fd_take(&fd);
	if (message->request == VHOST_USER_SET_VRING_CALL) {
		vring_signal_always(ring); // what was signalled before may have gone nowhere
	}
	return 0;
}

static int on_ring_enable(struct vhost_user *device, const struct vhost_user_message *message)
{
	struct ring_state untrusted_state;
	struct vring *ring = NULL;
	int error = ring_state_take(device, message, &untrusted_state, &ring);
	if (error) {
		return error;
	}
	ring->enabled = untrusted_state.value != 0;
	if (vring_is_usable(ring)) {
		device->ops->kicked(device->data, queue_of(device, ring));
	}
	return 0;
}

/* The configuration space is the guest's CID alone. A wrong range is answered by an empty payload.
 */
static int on_config(const struct vhost_user *device, struct vhost_user_message *message)
{
	uint32_t untrusted_head[3]; // offset, size, flags
	if (message->length < CONFIG_HEAD || message->length > CONFIG_HEAD + CONFIG_MAX) {
		return -EBADMSG;
	}
	memcpy(untrusted_head, message->payload, sizeof(untrusted_head));
	uint32_t offset = untrusted_head[0];
	uint32_t size = untrusted_head[1];
	uint64_t cid = device->cid;
	if (offset > sizeof(cid) || size > sizeof(cid) - offset ||
			message->length != CONFIG_HEAD + size) {
		return reply(message, "", 0);
	}
	uint8_t answer[CONFIG_HEAD + sizeof(cid)];
	memcpy(answer, untrusted_head, CONFIG_HEAD);
	memcpy(answer + CONFIG_HEAD, (const uint8_t *)&cid + offset, size);
	return reply(message, answer, CONFIG_HEAD + size);
}

static int dispatch(struct vhost_user *device, struct vhost_user_message *message)
{
	switch (message->request) {
	case VHOST_USER_GET_FEATURES:
		return reply_u64(message, FEATURES);
	case VHOST_USER_SET_FEATURES:
		return on_features(device, message);
	case VHOST_USER_SET_OWNER:
	case VHOST_USER_RESET_OWNER: // no longer used; says nothing about rings
		return 0;
	case VHOST_USER_SET_MEM_TABLE:
		return on_memory(device, message);
	case VHOST_USER_SET_VRING_NUM:
		return on_ring_size(device, message);
	case VHOST_USER_SET_VRING_ADDR:
		return on_ring_addresses(device, message);
	case VHOST_USER_SET_VRING_BASE:
		return on_ring_base(device, message);
	case VHOST_USER_GET_VRING_BASE:
		return on_ring_stop(device, message);
	case VHOST_USER_SET_VRING_KICK:
		return on_ring_kick(device, message);
	case VHOST_USER_SET_VRING_CALL:
	case VHOST_USER_SET_VRING_ERR:
		return on_ring_other_fd(device, message);
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		return reply_u64(message, PROTOCOL_FEATURES);
	case VHOST_USER_SET_PROTOCOL_FEATURES:
		return on_protocol_features(device, message);
	case VHOST_USER_GET_QUEUE_NUM:
		return reply_u64(message, VHOST_USER_QUEUES);
	case VHOST_USER_SET_VRING_ENABLE:
		return on_ring_enable(device, message);
	case VHOST_USER_GET_CONFIG:
		return on_config(device, message);
	default:
		log_peer(LOG_VSOCK, "front end: message %u is unknown, ignoring it",
				(unsigned)message->request);
		return -EOPNOTSUPP;
	}
}

int vhost_user_handle(struct vhost_user *device, struct vhost_user_message *message)
{
	if ((message->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION ||
			(message->flags & VHOST_USER_REPLY)) {
		return -EBADMSG;
	}
	bool wants_ack = (message->flags & VHOST_USER_NEED_REPLY) &&
			(device->protocol_features & VHOST_USER_PROTOCOL_REPLY_ACK);
	int result = dispatch(device, message);
	if (result == -EBADMSG || result == -EPROTO || result == 1) {
		return result;
	}
	return wants_ack ? reply_u64(message, result == 0 ? 0 : 1) : 0;
}
