/*
 * A vhost-user front end and a guest driver in the test's own process, over a memory file; the
 * device runs in the same thread and the same loop. What the guest writes to its rings can be
 * anything, so hostile guests are made of the same parts.
 *
 * The memory is two regions that adjoin for the guest and lie apart elsewhere.
 */
#ifndef TESTS_VSOCK_FAKE_GUEST_H
#define TESTS_VSOCK_FAKE_GUEST_H

#include <stdbool.h>
#include <stdint.h>
#include "tests/support/test.h"
#include "vm-launch/vsock/device.h"
#include "vm-launch/vsock/packet.h"

#define GUEST_CID          42u
#define GUEST_MEMORY_BYTES (8u << 20)
#define GUEST_SPLIT        (4u << 20) // guest address where the second region begins
#define GUEST_RING_SIZE    128u
#define GUEST_BUFFER_BYTES 4096u // of each receive buffer
#define GUEST_PACKET_MAX   65536u

/* Guest addresses. */
#define GUEST_RINGS   0x1000u // 16 KiB for each ring
#define GUEST_RX_AREA 0x100000u
#define GUEST_TX_AREA 0x3f0000u // crosses GUEST_SPLIT

struct guest_mode {
	bool pipes;     // kick and call are pipes instead of eventfds
	bool event_idx; // agreed
	bool split;     // packets and buffers are made of several descriptors
	bool indirect;  // of an indirect table
};

struct guest_desc {
	uint64_t address;
	uint32_t bytes;
	uint16_t flags;
	uint16_t next;
};

#define GUEST_DESC_NEXT     1u
#define GUEST_DESC_WRITE    2u
#define GUEST_DESC_INDIRECT 4u

struct guest_queue {
	uint32_t base; // guest address of the ring
	uint32_t size;
	struct guest_desc *desc;
	uint16_t *avail;
	uint16_t *used;
	uint16_t used_seen;
	int kick_fd; // our end
	int call_fd; // our end
};

struct guest {
	struct loop *loop;
	struct device *device;
	struct guest_mode mode;
	char socket_path[200], host_path[200];
	int fd; // to the device
	int memory_fd;
	uint8_t *memory;
	struct guest_queue queues[2];
	struct packet_header header; // of the packet that guest_receive has taken
	uint8_t payload[GUEST_PACKET_MAX];
	uint32_t credit_taken; // put into packets to the device as consumed_bytes
	uint32_t credit_buffer;
	bool refill; // received buffers go back to the ring
	unsigned calls;
};

/*
 * As test_wait, for what no descriptor tells: the device works before the loop waits, and what it
 * did is only looked at after the wait.
 */
#define guest_wait(guest, condition)                                               \
	do {                                                                       \
		uint64_t guest_wait_end_ns = clock_now_ns() + 10 * CLOCK_NS_PER_S; \
		while (!(condition)) {                                             \
			if (clock_now_ns() > guest_wait_end_ns) {                  \
				fail_msg("waited 10 s for: %s", #condition);       \
			}                                                          \
			assert_int_equal(loop_turn((guest)->loop, 1), 0);          \
		}                                                                  \
	} while (0)

/* The device, listening; nobody connected. Freed by guest_finish. */
struct guest *guest_create(struct guest_mode mode);
void guest_finish(struct guest *guest);

/* Connects as a front end. */
void guest_connect(struct guest *guest);

/* Closes the connection and waits until the device has noticed. */
void guest_disconnect(struct guest *guest);

/* Sends a message; FDS stay ours. */
void guest_send_message(struct guest *guest, uint32_t request, uint32_t flags, const void *payload,
		uint32_t bytes, const int *fds, uint32_t fd_count);

/* Waits for the reply to REQUEST. Returns its length, or -1 when the device has closed the
 * connection. */
int guest_get_reply(struct guest *guest, uint32_t request, void *buffer, size_t size);

/* Asks for a u64. */
uint64_t guest_ask(struct guest *guest, uint32_t request);

/* A message whose whole payload is two u32 or one u64. */
void guest_tell_state(struct guest *guest, uint32_t request, uint32_t index, uint32_t value);
void guest_tell_u64(struct guest *guest, uint32_t request, uint64_t value, int fd);

/* Whether the device has closed our connection (waits for it). */
bool guest_is_dropped(struct guest *guest);

/* Shares the memory. */
void guest_share_memory(struct guest *guest);

/* Sets up and starts one queue of SIZE entries whose position is BASE. */
void guest_start_queue(struct guest *guest, uint32_t queue, uint32_t size, uint16_t base);

/* Stops it; returns the position that the device tells. */
uint16_t guest_stop_queue(struct guest *guest, uint32_t queue);

/* guest_connect, the handshake, memory, both queues, receive buffers: ready for packets. */
void guest_boot(struct guest *guest);

/* The byte at a guest address. */
void *guest_at(struct guest *guest, uint32_t address);

/* Offers descriptor HEAD in a queue and kicks. */
void guest_offer(struct guest *guest, uint32_t queue, uint16_t head);

/* Kicks without offering. */
void guest_kick(struct guest *guest, uint32_t queue);

/* Fills the receive queue with COUNT buffers. */
void guest_fill(struct guest *guest, uint32_t count);

/* A packet to the device; waits until the device has taken it from the ring. */
void guest_send(struct guest *guest, const struct packet_header *header, const void *payload);

/* The same without waiting. */
void guest_post(struct guest *guest, const struct packet_header *header, const void *payload);

/* A header to port HOST_PORT of the host. */
struct packet_header guest_header(const struct guest *guest, enum packet_op op, uint32_t guest_port,
		uint32_t host_port);

/* A packet without payload. */
void guest_say(struct guest *guest, enum packet_op op, uint32_t flags, uint32_t guest_port,
		uint32_t host_port);

/* Payload on a stream. */
void guest_write(struct guest *guest, uint32_t guest_port, uint32_t host_port, const void *bytes,
		uint32_t count);

/* Takes the next packet that has come, if any. */
bool guest_poll(struct guest *guest);

/* Waits for the next packet; fails unless it is OP. */
void guest_expect(struct guest *guest, enum packet_op op);

/* Lets the loop go on until nothing happens for a while, and fails if a packet comes. */
void guest_expect_silence(struct guest *guest);

/* Turns the loop until it has nothing to do. */
void guest_settle(struct guest *guest);

/* A host program that has said nothing yet. */
int host_connect_silently(struct guest *guest);

/* A host program: connects and says CONNECT PORT. */
int host_program(struct guest *guest, uint32_t port);

/* Reads exactly COUNT bytes on FD, turning the loop. */
void host_read(struct guest *guest, int fd, void *buffer, size_t count);

/* Writes all, turning the loop; packets that come meanwhile are left in the ring. */
void host_write(struct guest *guest, int fd, const void *buffer, size_t count);

/* Waits for the end of file on FD. */
void host_expect_end(struct guest *guest, int fd);

/* A socket that serves PORT for the guest. */
int host_listen(struct guest *guest, uint32_t port);
int host_accept(struct guest *guest, int listen_fd);

/* host_program, REQUEST, RESPONSE, OK: an open stream to GUEST_PORT. Returns the program's socket. */
int guest_open(struct guest *guest, uint32_t guest_port, uint32_t *ret_host_port);

#endif
