/*
 * Guests and front ends that break the rules. After each the device still serves: either the rest
 * of the same guest, or the next front end. Descriptors are counted around every test, memory by
 * the sanitizer builds.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/fd.h"
#include "common/limits.h"
#include "tests/unit/vsock/fake_guest.h"

static const struct guest_mode plain = {.event_idx = true};

/* The next front end finds a device that works. */
static void serves_the_next(struct guest *guest)
{
	uint32_t host_port = 0;
	char text[5];
	if (guest->fd >= 0) {
		guest_disconnect(guest);
	}
	guest_boot(guest);
	int fd = guest_open(guest, 77, &host_port);
	guest_write(guest, 77, host_port, "alive", 5);
	host_read(guest, fd, text, 5);
	assert_memory_equal(text, "alive", 5);
	close(fd);
	assert_int_equal(guest->device->connections.count, 1);
	guest_disconnect(guest);
	assert_int_equal(guest->device->connections.count, 0);
}

static void expect_broken(struct guest *guest, uint32_t queue)
{
	guest_wait(guest, guest->device->vhost_user.rings[queue].broken);
	guest_kick(guest, queue);
	guest_settle(guest);
	serves_the_next(guest);
	guest_finish(guest);
}

/* A guest whose descriptors are DESC from entry 0 on, offered in QUEUE. */
static void descriptors_break(uint32_t queue, const struct guest_desc *desc, uint32_t count)
{
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	guest_settle(guest);
	if (queue == VHOST_USER_RX) { // what lies there already is used up by RSTs first
		guest->refill = false;
		for (int i = 0; i < 32; i++) {
			guest_say(guest, PACKET_RW, 0, 1, 1);
			guest_expect(guest, PACKET_RST);
		}
	}
	memcpy(guest->queues[queue].desc, desc, count * sizeof(*desc));
	guest_offer(guest, queue, 0);
	if (queue == VHOST_USER_RX) {
		guest_say(guest, PACKET_RW, 0, 1, 1);
	}
	expect_broken(guest, queue);
}

static void descriptor_loop(void **state)
{
	(void)state;
	const struct guest_desc loop[] = {
			{0x10000, 64, GUEST_DESC_NEXT, 1}, {0x10000, 64, GUEST_DESC_NEXT, 0}};
	const struct guest_desc self[] = {{0x10000, 0, GUEST_DESC_NEXT, 0}};
	descriptors_break(VHOST_USER_TX, loop, 2);
	descriptors_break(VHOST_USER_TX, self, 1);
}

static void descriptor_outside_memory(void **state)
{
	(void)state;
	const struct guest_desc beyond[] = {{GUEST_MEMORY_BYTES, 64, 0, 0}};
	const struct guest_desc over_the_end[] = {{GUEST_MEMORY_BYTES - 10, 64, 0, 0}};
	const struct guest_desc wraps[] = {{UINT64_MAX - 10, 64, 0, 0}};
	const struct guest_desc huge[] = {{0x10000, UINT32_MAX, 0, 0}};
	descriptors_break(VHOST_USER_TX, beyond, 1);
	descriptors_break(VHOST_USER_TX, over_the_end, 1);
	descriptors_break(VHOST_USER_TX, wraps, 1);
	descriptors_break(VHOST_USER_TX, huge, 1);
}

static void descriptor_names_no_next(void **state)
{
	(void)state;
	const struct guest_desc desc[] = {{0x10000, 64, GUEST_DESC_NEXT, GUEST_RING_SIZE}};
	descriptors_break(VHOST_USER_TX, desc, 1);
}

static void descriptor_has_wrong_direction(void **state)
{
	(void)state;
	const struct guest_desc writable[] = {{0x10000, 64, GUEST_DESC_WRITE, 0}};
	const struct guest_desc readable[] = {{0x10000, 4096, 0, 0}};
	descriptors_break(VHOST_USER_TX, writable, 1);
	descriptors_break(VHOST_USER_RX, readable, 1);
}

static void receive_buffer_is_too_small(void **state)
{
	(void)state;
	const struct guest_desc small[] = {{0x10000, PACKET_HEADER_BYTES, GUEST_DESC_WRITE, 0}};
	const struct guest_desc empty[] = {{0x10000, 0, GUEST_DESC_WRITE, 0}};
	descriptors_break(VHOST_USER_RX, small, 1);
	descriptors_break(VHOST_USER_RX, empty, 1);
}

static void indirect_tables_are_wrong(void **state)
{
	(void)state;
	const struct guest_desc odd[] = {{0x10000, 17, GUEST_DESC_INDIRECT, 0}};
	const struct guest_desc empty[] = {{0x10000, 0, GUEST_DESC_INDIRECT, 0}};
	const struct guest_desc large[] = {
			{0x10000, 16 * (VRING_SIZE_MAX + 1), GUEST_DESC_INDIRECT, 0}};
	const struct guest_desc outside[] = {{GUEST_MEMORY_BYTES - 8, 16, GUEST_DESC_INDIRECT, 0}};
	const struct guest_desc unaligned[] = {{0x10001, 16, GUEST_DESC_INDIRECT, 0}};
	const struct guest_desc chained[] = {
			{0x10000, 16, GUEST_DESC_INDIRECT | GUEST_DESC_NEXT, 1}, {0}};
	const struct guest_desc second[] = {
			{0x10000, 64, GUEST_DESC_NEXT, 1}, {0x10000, 16, GUEST_DESC_INDIRECT, 0}};
	/* The ring's own descriptors as the table: its first entry is indirect again. */
	const struct guest_desc nested[] = {{GUEST_RINGS + 0x8000, 16, GUEST_DESC_INDIRECT, 0}};
	descriptors_break(VHOST_USER_TX, odd, 1);
	descriptors_break(VHOST_USER_TX, empty, 1);
	descriptors_break(VHOST_USER_TX, large, 1);
	descriptors_break(VHOST_USER_TX, outside, 1);
	descriptors_break(VHOST_USER_TX, unaligned, 1);
	descriptors_break(VHOST_USER_TX, chained, 2);
	descriptors_break(VHOST_USER_TX, second, 2);
	descriptors_break(VHOST_USER_TX, nested, 1);
}

static void indices_jump(void **state)
{
	(void)state;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	guest->queues[VHOST_USER_TX].avail[1] = GUEST_RING_SIZE + 1;
	guest_kick(guest, VHOST_USER_TX);
	expect_broken(guest, VHOST_USER_TX);

	guest = guest_create(plain);
	guest_boot(guest);
	guest_offer(guest, VHOST_USER_TX, GUEST_RING_SIZE);
	expect_broken(guest, VHOST_USER_TX);
}

static void queue_sizes_are_checked(void **state)
{
	static const uint32_t sizes[] = {0, 3, 129, 2048, 0x80000000u, UINT32_MAX};
	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct guest *guest = guest_create(plain);
		guest_boot(guest);
		guest_stop_queue(guest, VHOST_USER_TX);
		guest_start_queue(guest, VHOST_USER_TX, sizes[i], 0);
		guest_settle(guest);
		assert_false(vring_is_usable(&guest->device->vhost_user.rings[VHOST_USER_TX]));
		serves_the_next(guest);
		guest_finish(guest);
	}
}

static void ring_lies_outside_memory(void **state)
{
	(void)state;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	for (int i = 0; i < 3; i++) {
		uint64_t addresses[5] = {VHOST_USER_TX, 0x100000010000ull, 0x100000011000ull,
				0x100000012000ull, 0};
		addresses[1 + i] = i == 0 ? 0x1000003fff00ull : i == 1 ? 0 : UINT64_MAX;
		guest_send_message(guest, VHOST_USER_SET_VRING_ADDR, 1, addresses,
				sizeof(addresses), NULL, 0);
		guest_wait(guest, guest->device->vhost_user.rings[VHOST_USER_TX].broken);
		serves_the_next(guest);
		guest_boot(guest);
	}
	guest_finish(guest);
}

/* A memory table of one region, told to a fresh device. Answers whether it was accepted. */
static bool table_is_accepted(uint64_t address, uint64_t bytes, uint64_t user, uint64_t offset)
{
	uint64_t answer = 7;
	uint64_t table[5] = {1, address, bytes, user, offset};
	struct guest *guest = guest_create(plain);
	guest_connect(guest);
	guest_tell_u64(guest, VHOST_USER_SET_PROTOCOL_FEATURES, VHOST_USER_PROTOCOL_REPLY_ACK, -1);
	guest_send_message(guest, VHOST_USER_SET_MEM_TABLE, 9, table, sizeof(table),
			&guest->memory_fd, 1);
	assert_int_equal(guest_get_reply(guest, VHOST_USER_SET_MEM_TABLE, &answer, 8), 8);
	assert_int_equal(guest->device->vhost_user.memory.count, answer == 0 ? 1 : 0);
	serves_the_next(guest);
	guest_finish(guest);
	return answer == 0;
}

static void memory_tables_are_checked(void **state)
{
	(void)state;
	assert_true(table_is_accepted(0, GUEST_MEMORY_BYTES, 0, 0));
	assert_true(table_is_accepted(4096, 4096, 0, 4097));
	assert_false(table_is_accepted(0, GUEST_MEMORY_BYTES + 1, 0, 0));
	assert_false(table_is_accepted(0, 4096, 0, GUEST_MEMORY_BYTES - 4095));
	assert_false(table_is_accepted(0, 0, 0, 0));
	assert_false(table_is_accepted(UINT64_MAX - 100, 4096, 0, 0));
	assert_false(table_is_accepted(0, 4096, UINT64_MAX - 100, 0));
	assert_false(table_is_accepted(0, 4096, 0, UINT64_MAX - 100));
}

static void overlapping_regions_are_refused(void **state)
{
	(void)state;
	uint64_t answer = 7;
	uint64_t table[9] = {2, 0, 8192, 0, 0, 4096, 8192, 1u << 20, 0};
	struct guest *guest = guest_create(plain);
	int fds[2] = {guest->memory_fd, guest->memory_fd};
	guest_connect(guest);
	guest_tell_u64(guest, VHOST_USER_SET_PROTOCOL_FEATURES, VHOST_USER_PROTOCOL_REPLY_ACK, -1);
	guest_send_message(guest, VHOST_USER_SET_MEM_TABLE, 9, table, sizeof(table), fds, 2);
	assert_int_equal(guest_get_reply(guest, VHOST_USER_SET_MEM_TABLE, &answer, 8), 8);
	assert_int_not_equal(answer, 0);
	serves_the_next(guest);
	guest_finish(guest);
}

/* A new table without the memory that the rings lie in. */
static void memory_table_shrinks(void **state)
{
	(void)state;
	uint64_t table[5] = {1, GUEST_SPLIT, 4096, 0x300000000000ull, GUEST_SPLIT};
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	guest_send_message(guest, VHOST_USER_SET_MEM_TABLE, 1, table, sizeof(table),
			&guest->memory_fd, 1);
	expect_broken(guest, VHOST_USER_TX);
}

/* The file is cut short under the mapping: the ring is gone. */
static void memory_file_shrinks(void **state)
{
	uint32_t host_port = 0;
	(void)state;
	assert_int_equal(memory_guard(), 0); // here: cmocka has a handler of its own for each test
	for (int with_data = 0; with_data < 2; with_data++) {
		struct guest *guest = guest_create(plain);
		guest_boot(guest);
		int fd = guest_open(guest, 5, &host_port);
		guest_settle(guest);
		if (with_data) { // only what the packets lie in
			assert_int_equal(ftruncate(guest->memory_fd, GUEST_RX_AREA), 0);
			host_write(guest, fd, "x", 1);
		} else {
			assert_int_equal(ftruncate(guest->memory_fd, 0), 0);
			guest_kick(guest, VHOST_USER_TX);
		}
		assert_true(guest_is_dropped(guest));
		host_expect_end(guest, fd);
		close(fd);
		assert_int_equal(ftruncate(guest->memory_fd, GUEST_MEMORY_BYTES), 0);
		serves_the_next(guest);
		guest_finish(guest);
	}
}

/* An open stream whose guest then does something wrong: RST for it, and the guest goes on. */
static void stream_is_reset(struct packet_header *header, const void *payload)
{
	uint32_t host_port = 0;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	int fd = guest_open(guest, 5, &host_port);
	struct packet_header packet = guest_header(guest, PACKET_RW, 5, host_port);
	packet.op = header->op;
	packet.length = header->length;
	packet.flags = header->flags;
	packet.consumed_bytes = header->consumed_bytes;
	guest_send(guest, &packet, payload);
	guest_expect(guest, PACKET_RST);
	assert_int_equal(guest->header.dst_port, 5);
	assert_int_equal(guest->header.src_port, host_port);
	host_expect_end(guest, fd);
	close(fd);
	assert_int_equal(guest->device->connections.count, 0);
	fd = guest_open(guest, 6, &host_port);
	close(fd);
	guest_disconnect(guest);
	serves_the_next(guest);
	guest_finish(guest);
}

static void packets_that_fit_no_state(void **state)
{
	(void)state;
	stream_is_reset(&(struct packet_header) {.op = PACKET_REQUEST}, NULL);
	stream_is_reset(&(struct packet_header) {.op = PACKET_RESPONSE}, NULL);
	stream_is_reset(&(struct packet_header) {.op = 0}, NULL);
	stream_is_reset(&(struct packet_header) {.op = 8}, NULL);
	stream_is_reset(&(struct packet_header) {.op = UINT16_MAX}, NULL);
}

static void packets_that_lie(void **state)
{
	(void)state;
	/* More payload than the descriptors have. */
	stream_is_reset(&(struct packet_header) {.op = PACKET_RW, .length = 10}, NULL);
	stream_is_reset(&(struct packet_header) {.op = PACKET_RW, .length = UINT32_MAX}, NULL);
	/* Bytes consumed that never were sent. */
	stream_is_reset(&(struct packet_header) {.op = PACKET_CREDIT_UPDATE, .consumed_bytes = 1},
			NULL);
}

static void bytes_after_the_end(void **state)
{
	(void)state;
	uint32_t host_port = 0;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	int fd = guest_open(guest, 5, &host_port);
	guest_say(guest, PACKET_SHUTDOWN, PACKET_NO_SEND, 5, host_port);
	guest_write(guest, 5, host_port, "x", 1);
	guest_expect(guest, PACKET_RST);
	close(fd);
	guest_finish(guest);
}

static void more_than_the_credit(void **state)
{
	(void)state;
	static uint8_t bytes[32768];
	uint32_t host_port = 0;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	int fd = guest_open(guest, 5, &host_port);
	uint32_t sent = 0;
	while (guest->device->connections.count == 1) { // nobody reads
		assert_true(sent < 4 * LIMIT_VSOCK_BUFFER);
		guest_write(guest, 5, host_port, bytes, sizeof(bytes));
		sent += (uint32_t)sizeof(bytes);
		while (guest_poll(guest)) {
		}
	}
	assert_true(sent > LIMIT_VSOCK_BUFFER);
	guest_wait(guest, guest_poll(guest) || guest->header.op == PACKET_RST);
	assert_int_equal(guest->header.op, PACKET_RST);
	close(fd);
	serves_the_next(guest);
	guest_finish(guest);
}

static void wrong_addresses(void **state)
{
	(void)state;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	struct packet_header header = guest_header(guest, PACKET_RW, 5, 6);
	header.src_cid = GUEST_CID + 1;
	guest_send(guest, &header, NULL);
	header.src_cid = GUEST_CID | 1ull << 32;
	guest_send(guest, &header, NULL);
	guest_expect_silence(guest);
	header.src_cid = GUEST_CID;
	header.dst_cid = 77;
	header.op = PACKET_REQUEST;
	guest_send(guest, &header, NULL);
	guest_expect(guest, PACKET_RST);
	assert_int_equal(guest->header.src_cid, 77);
	header.dst_cid = PACKET_CID_HOST;
	header.type = 2; // a seqpacket
	guest_send(guest, &header, NULL);
	guest_expect(guest, PACKET_RST);
	assert_int_equal(guest->header.type, 2);
	header.op = PACKET_RST; // is never answered
	guest_send(guest, &header, NULL);
	guest_expect_silence(guest);
	serves_the_next(guest);
	guest_finish(guest);
}

static void packet_without_header(void **state)
{
	(void)state;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	struct guest_queue *q = &guest->queues[VHOST_USER_TX];
	q->desc[0] = (struct guest_desc) {0x10000, PACKET_HEADER_BYTES - 1, 0, 0};
	guest_offer(guest, VHOST_USER_TX, 0);
	guest_wait(guest, q->used[1] == 1);
	q->desc[0] = (struct guest_desc) {0x10000, 0, 0, 0};
	guest_offer(guest, VHOST_USER_TX, 0);
	guest_wait(guest, q->used[1] == 2);
	serves_the_next(guest);
	guest_finish(guest);
}

/* A guest that asks for answers and takes none: they are bounded, its queue waits, and goes on when
 * it takes them. */
static void flood_without_receive_buffers(void **state)
{
	(void)state;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	guest->refill = false;
	struct guest_queue *q = &guest->queues[VHOST_USER_TX];
	struct packet_header header = guest_header(guest, PACKET_RW, 5, 6);
	for (int i = 0; i < 100; i++) {
		guest_post(guest, &header, NULL);
	}
	guest_settle(guest);
	assert_true((uint16_t)(q->avail[1] - q->used[1]) > 0);
	assert_true(guest->device->reset_count <= DEVICE_RESETS_PAUSE);
	guest->refill = true;
	int answers = 0;
	guest_wait(guest, (answers += guest_poll(guest)) == 32);
	guest_fill(guest, 32); // those that were not given back
	guest_wait(guest, (answers += guest_poll(guest)) == 100);
	assert_int_equal(q->avail[1], q->used[1]);
	serves_the_next(guest);
	guest_finish(guest);
}

static void storm_of_resets(void **state)
{
	(void)state;
	uint32_t host_port = 0;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	for (int i = 0; i < 1000; i++) {
		guest_say(guest, PACKET_RST, 0, (uint32_t)i, 9);
	}
	guest_expect_silence(guest);
	int fd = guest_open(guest, 5, &host_port);
	guest_say(guest, PACKET_RST, 0, 5, host_port);
	guest_say(guest, PACKET_RST, 0, 5, host_port);
	host_expect_end(guest, fd);
	close(fd);
	guest_finish(guest);
}

/* Descriptors that two entries name at once, and an entry offered again before it is used. */
static void same_descriptor_twice(void **state)
{
	(void)state;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	struct guest_queue *q = &guest->queues[VHOST_USER_TX];
	struct packet_header header = guest_header(guest, PACKET_CREDIT_UPDATE, 5, 6);
	for (uint32_t i = 0; i < GUEST_RING_SIZE; i++) {
		guest_post(guest, &header, NULL);
	}
	for (int i = 0; i < 200; i++) {
		guest_settle(guest);
		while (guest_poll(guest)) {
		}
		if (q->used[1] == q->avail[1]) {
			break;
		}
	}
	assert_int_equal(q->used[1], GUEST_RING_SIZE);
	serves_the_next(guest);
	guest_finish(guest);
}

/* Sends a message that has to end the connection. */
static void message_drops(uint32_t request, uint32_t flags, const void *payload, uint32_t bytes,
		uint32_t fd_count)
{
	int fds[16];
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	for (uint32_t i = 0; i < fd_count; i++) {
		fds[i] = guest->memory_fd;
	}
	unsigned before = test_count_fds();
	guest_send_message(guest, request, flags, payload, bytes, fds, fd_count);
	assert_true(guest_is_dropped(guest));
	assert_true(test_count_fds() < before);
	serves_the_next(guest);
	guest_finish(guest);
}

static void messages_that_break_the_protocol(void **state)
{
	static const uint8_t payload[1024];
	static const uint32_t ring_9[2] = {9, 128};
	static const uint64_t kick_9 = 9, kick_0 = 0, no_fd = 0x100, all_bits = UINT64_MAX;
	static const uint32_t regions_9[2] = {9, 0}, regions_1[2] = {1, 0};
	(void)state;
	message_drops(VHOST_USER_SET_OWNER, 0, NULL, 0, 0);      // no version
	message_drops(VHOST_USER_SET_OWNER, 5, NULL, 0, 0);      // a reply
	message_drops(VHOST_USER_SET_OWNER, 1, payload, 513, 0); // too long
	message_drops(VHOST_USER_SET_OWNER, 1, NULL, 0, 9);      // too many descriptors
	message_drops(VHOST_USER_SET_FEATURES, 1, payload, 7, 0);
	message_drops(VHOST_USER_SET_FEATURES, 1, &all_bits, 8, 0);
	message_drops(VHOST_USER_SET_PROTOCOL_FEATURES, 1, &all_bits, 8, 0);
	message_drops(VHOST_USER_SET_MEM_TABLE, 1, payload, 4, 0);
	message_drops(VHOST_USER_SET_MEM_TABLE, 1, payload, 512, 0);
	message_drops(VHOST_USER_SET_MEM_TABLE, 1, regions_9, 8, 0);
	message_drops(VHOST_USER_SET_MEM_TABLE, 1, regions_1, 8, 1); // the region is missing
	message_drops(VHOST_USER_SET_MEM_TABLE, 1, payload, 8, 1); // the descriptor is one too many
	message_drops(VHOST_USER_SET_VRING_NUM, 1, ring_9, 8, 0);
	message_drops(VHOST_USER_SET_VRING_NUM, 1, payload, 8, 0); // while it runs
	message_drops(VHOST_USER_SET_VRING_BASE, 1, payload, 8, 0);
	message_drops(VHOST_USER_SET_VRING_ADDR, 1, payload, 39, 0);
	message_drops(VHOST_USER_SET_VRING_ADDR, 1, ring_9, 8, 0);
	message_drops(VHOST_USER_GET_VRING_BASE, 1, ring_9, 8, 0);
	message_drops(VHOST_USER_SET_VRING_ENABLE, 1, ring_9, 8, 0);
	message_drops(VHOST_USER_SET_VRING_KICK, 1, &kick_9, 8, 0);
	message_drops(VHOST_USER_SET_VRING_KICK, 1, &kick_0, 8, 0); // a descriptor is missing
	message_drops(VHOST_USER_SET_VRING_KICK, 1, &kick_0, 8, 2);
	message_drops(VHOST_USER_SET_VRING_KICK, 1, &kick_0, 8, 1); // it is a file
	message_drops(VHOST_USER_SET_VRING_CALL, 1, &no_fd, 8, 1);
	message_drops(VHOST_USER_SET_VRING_CALL, 1, &kick_0, 8, 1); // it is a file
	message_drops(VHOST_USER_GET_CONFIG, 1, payload, 8, 0);
}

static void noise_on_the_front_ends_socket(void **state)
{
	(void)state;
	uint8_t noise[4096];
	uint64_t seed = test_seed();
	struct guest *guest = guest_create(plain);
	for (int i = 0; i < 50; i++) {
		guest_boot(guest);
		test_noise(&seed, noise, sizeof(noise));
		noise[4] = 1; // it shall get past the first check now and then
		memset(noise + 5, 0, 3);
		memset(noise + 9, 0, 3);
		ssize_t sent = send(guest->fd, noise, sizeof(noise), MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)sent;
		guest_settle(guest);
		guest_disconnect(guest);
	}
	serves_the_next(guest);
	guest_finish(guest);
}

/* Bytes of a message with FD_COUNT descriptors. */
static void send_part(struct guest *guest, const void *bytes, size_t count, uint32_t fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)bytes, count};
	struct msghdr header = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = CMSG_SPACE(fd_count * sizeof(int))};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
	for (uint32_t i = 0; i < fd_count; i++) {
		memcpy(CMSG_DATA(rights) + i * sizeof(int), &guest->memory_fd, sizeof(int));
	}
	assert_int_equal(sendmsg(guest->fd, &header, MSG_NOSIGNAL), count);
}

static void message_comes_byte_by_byte(void **state)
{
	(void)state;
	const uint32_t message[3] = {VHOST_USER_GET_FEATURES, 1, 0};
	uint64_t features = 0;
	struct guest *guest = guest_create(plain);
	guest_connect(guest);
	for (size_t i = 0; i < sizeof(message); i++) {
		assert_int_equal(write(guest->fd, (const uint8_t *)message + i, 1), 1);
		guest_settle(guest);
	}
	assert_int_equal(guest_get_reply(guest, VHOST_USER_GET_FEATURES, &features, 8), 8);
	assert_int_equal(features, 0x170000000ull);
	guest_disconnect(guest);
	guest_finish(guest);
}

/* Descriptors that come with parts of a message are closed, whether too many or left alone by the
 * end. */
static void parts_of_messages_bring_descriptors(void **state)
{
	(void)state;
	const uint32_t head[3] = {VHOST_USER_SET_MEM_TABLE, 1, 40};
	struct guest *guest = guest_create(plain);
	guest_connect(guest);
	unsigned before = test_count_fds();
	send_part(guest, head, sizeof(head), 8);
	guest_wait(guest, test_count_fds() == before + 8);
	send_part(guest, head, sizeof(head), 1);
	assert_true(guest_is_dropped(guest));
	assert_int_equal(test_count_fds(), before - 1);
	guest_disconnect(guest);
	guest_connect(guest);
	send_part(guest, head, sizeof(head), 3);
	guest_wait(guest, test_count_fds() == before + 3);
	guest_disconnect(guest);
	assert_int_equal(test_count_fds(), before - 2);
	serves_the_next(guest);
	guest_finish(guest);
}

static void second_front_end_waits(void **state)
{
	(void)state;
	uint64_t features = 0;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	int first = fd_take(&guest->fd);
	guest_connect(guest); // is in the backlog
	guest_send_message(guest, VHOST_USER_GET_FEATURES, 1, NULL, 0, NULL, 0);
	guest_settle(guest);
	assert_int_equal(recv(guest->fd, &features, 8, MSG_DONTWAIT), -1);
	close(first);
	assert_int_equal(guest_get_reply(guest, VHOST_USER_GET_FEATURES, &features, 8), 8);
	serves_the_next(guest);
	guest_finish(guest);
}

static void kick_pipe_is_closed_or_full(void **state)
{
	(void)state;
	uint32_t host_port = 0;
	struct guest *guest = guest_create((struct guest_mode) {.pipes = true});
	guest_boot(guest);
	for (int i = 0; i < 10000; i++) { // until it is full
		guest_kick(guest, VHOST_USER_TX);
	}
	int fd = guest_open(guest, 5, &host_port);
	close(fd);
	fd_close(&guest->queues[VHOST_USER_TX].kick_fd);
	guest_wait(guest, guest->device->vhost_user.rings[VHOST_USER_TX].kick_fd < 0);
	fd_close(&guest->queues[VHOST_USER_RX].call_fd); // signals go to a closed pipe
	fd = host_program(guest, 6);
	guest_settle(guest);
	close(fd);
	serves_the_next(guest);
	guest_finish(guest);
}

static void call_pipe_is_full(void **state)
{
	(void)state;
	struct guest *guest = guest_create((struct guest_mode) {.pipes = true});
	guest_boot(guest);
	struct guest_queue *q = &guest->queues[VHOST_USER_TX];
	struct packet_header header = guest_header(guest, PACKET_RST, 5, 6);
	for (int i = 0; i < 9000; i++) { // each is answered by a signal that nobody reads
		guest_send(guest, &header, NULL);
	}
	assert_int_equal(q->used[1], 9000);
	serves_the_next(guest);
	guest_finish(guest);
}

static void host_program_never_says_connect(void **state)
{
	(void)state;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	unsigned before = test_count_fds();
	int fds[20];
	for (int i = 0; i < 20; i++) {
		fds[i] = host_connect_silently(guest);
	}
	guest_wait(guest, guest->device->host.greeting_count == 20);
	close(fds[0]);
	guest_wait(guest, guest->device->host.greeting_count == 19);
	guest_wait(guest, guest->device->host.greeting_count == 0); // LIMIT_HELLO_MS
	for (int i = 1; i < 20; i++) {
		host_expect_end(guest, fds[i]);
		close(fds[i]);
	}
	assert_int_equal(test_count_fds(), before);
	guest_finish(guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(descriptor_loop),
			TEST(descriptor_outside_memory),
			TEST(descriptor_names_no_next),
			TEST(descriptor_has_wrong_direction),
			TEST(receive_buffer_is_too_small),
			TEST(indirect_tables_are_wrong),
			TEST(indices_jump),
			TEST(queue_sizes_are_checked),
			TEST(ring_lies_outside_memory),
			TEST(memory_tables_are_checked),
			TEST(overlapping_regions_are_refused),
			TEST(memory_table_shrinks),
			TEST(memory_file_shrinks),
			TEST(packets_that_fit_no_state),
			TEST(packets_that_lie),
			TEST(bytes_after_the_end),
			TEST(more_than_the_credit),
			TEST(wrong_addresses),
			TEST(packet_without_header),
			TEST(flood_without_receive_buffers),
			TEST(storm_of_resets),
			TEST(same_descriptor_twice),
			TEST(messages_that_break_the_protocol),
			TEST(noise_on_the_front_ends_socket),
			TEST(message_comes_byte_by_byte),
			TEST(parts_of_messages_bring_descriptors),
			TEST(second_front_end_waits),
			TEST(kick_pipe_is_closed_or_full),
			TEST(call_pipe_is_full),
			TEST(host_program_never_says_connect),
	};
	signal(SIGPIPE, SIG_IGN); // as the program does
	return test_main("vsock-hostile", tests);
}
