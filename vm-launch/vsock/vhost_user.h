/*
 * The device end of the vhost-user protocol: what each message does to the memory table and the
 * rings. How messages travel is frontend.h's business, so that this part can be driven by a test.
 */
#ifndef VSOCK_VHOST_USER_H
#define VSOCK_VHOST_USER_H

#include <stdbool.h>
#include <stdint.h>
#include "vm-launch/vsock/memory.h"
#include "vm-launch/vsock/vring.h"

struct loop;

/* Queues of a vsock device. The front end keeps the event queue to itself; whatever it says about
 * it is accepted. */
enum vhost_user_queue { VHOST_USER_RX, VHOST_USER_TX, VHOST_USER_EVENT, VHOST_USER_QUEUES };

#define VHOST_USER_HEADER_BYTES  12u
#define VHOST_USER_PAYLOAD_BYTES 512u // the longest one that is meant for us has 268
#define VHOST_USER_FDS           8u

/* Bits of a message's flags. */
#define VHOST_USER_VERSION      1u
#define VHOST_USER_VERSION_MASK 3u
#define VHOST_USER_REPLY        4u
#define VHOST_USER_NEED_REPLY   8u

enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_RESET_OWNER = 4,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_GET_CONFIG = 24,
};

/* Feature bits that we know. */
#define VHOST_USER_F_INDIRECT_DESC     (1ull << 28)
#define VHOST_USER_F_EVENT_IDX         (1ull << 29)
#define VHOST_USER_F_PROTOCOL_FEATURES (1ull << 30)
#define VHOST_USER_F_VERSION_1         (1ull << 32)

#define VHOST_USER_PROTOCOL_MQ        (1ull << 0)
#define VHOST_USER_PROTOCOL_REPLY_ACK (1ull << 3)
#define VHOST_USER_PROTOCOL_CONFIG    (1ull << 9)

struct vhost_user_message {
	uint32_t request;
	uint32_t flags;
	uint32_t length; // of the payload, bytes
	uint8_t payload[VHOST_USER_PAYLOAD_BYTES];
	int fds[VHOST_USER_FDS]; // owned by whoever holds the message; taken ones are -1
	uint32_t fd_count;
};

struct vhost_user_ops {
	void (*kicked)(void *data, uint32_t queue); // the ring has started, or was kicked
	void (*restarted)(
			void *data); // a driver begins anew: connections of the one before are void
};

struct vhost_user {
	struct loop *loop; // borrowed
	const struct vhost_user_ops *ops;
	void *data;
	uint64_t cid;                         // of the guest
	uint64_t features, protocol_features; // as agreed
	struct memory memory;
	struct vring rings[VHOST_USER_QUEUES];
	uint16_t stopped_at[VHOST_USER_QUEUES]; // position that GET_VRING_BASE told
};

void vhost_user_init(struct vhost_user *device, struct loop *loop, uint64_t cid,
		const struct vhost_user_ops *ops, void *data);

/* Forgets the front end: rings, memory, descriptors, features. The object may be used again. */
void vhost_user_reset(struct vhost_user *device);

/*
 * Does what MESSAGE asks. Returns 0; 1 when the message has become the reply that has to be sent;
 * or a negative errno: the front end breaks the protocol and its connection has to end. Descriptors
 * that are not taken stay in the message.
 */
int vhost_user_handle(struct vhost_user *device, struct vhost_user_message *message);

/* Closes the descriptors that are left in MESSAGE. */
void vhost_user_message_finish(struct vhost_user_message *message);

#endif
