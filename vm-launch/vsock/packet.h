/* The virtio-vsock packet header and its numbers (virtio 1.2, 5.10.6). Little-endian, as every host
 * that this runs on. */
#ifndef VSOCK_PACKET_H
#define VSOCK_PACKET_H

#include <stdint.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "packets and rings are used in place");

#define PACKET_CID_HOST    2u
#define PACKET_CID_MIN     3u // the first one that a guest may have
#define PACKET_TYPE_STREAM 1u

enum packet_op {
	PACKET_REQUEST = 1,
	PACKET_RESPONSE = 2,
	PACKET_RST = 3,
	PACKET_SHUTDOWN = 4,
	PACKET_RW = 5,
	PACKET_CREDIT_UPDATE = 6,
	PACKET_CREDIT_REQUEST = 7,
};

/* Flags of SHUTDOWN: what its sender will not do any more. */
enum packet_shutdown {
	PACKET_NO_RECEIVE = 1,
	PACKET_NO_SEND = 2,
};
#define PACKET_NO_BOTH (PACKET_NO_RECEIVE | PACKET_NO_SEND)

struct packet_header {
	uint64_t src_cid;
	uint64_t dst_cid;
	uint32_t src_port;
	uint32_t dst_port;
	uint32_t length; // of the payload, bytes
	uint16_t type;
	uint16_t op;
	uint32_t flags;
	uint32_t buffer_bytes;   // room of the sender's receive buffer
	uint32_t consumed_bytes; // what its reader has taken out of it so far (free running)
} __attribute__((packed));

#define PACKET_HEADER_BYTES 44u
_Static_assert(sizeof(struct packet_header) == PACKET_HEADER_BYTES, "virtio 1.2, 5.10.6");

#endif
