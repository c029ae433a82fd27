/* See fake_guest.h. Rings are written with plain stores: the device runs in the same thread. */
#include "tests/unit/vsock/fake_guest.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/fd.h"
#include "vm-launch/vsock/vhost_user.h"

/* Where the regions lie in the front end's address space: nowhere in this process. */
#define USER_FIRST  0x100000000000ull
#define USER_SECOND 0x300000000000ull

#define HEADER_BYTES 12u

void *guest_at(struct guest *guest, uint32_t address)
{
	assert_true(address < GUEST_MEMORY_BYTES);
	return guest->memory + address;
}

static uint64_t user_at(uint32_t address)
{
	return address < GUEST_SPLIT ? USER_FIRST + address : USER_SECOND + (address - GUEST_SPLIT);
}

struct guest *guest_create(struct guest_mode mode)
{
	struct guest *guest = calloc(1, sizeof(*guest));
	assert_non_null(guest);
	guest->mode = mode;
	guest->fd = -1;
	guest->refill = true;
	guest->credit_buffer = 256 * 1024;
	for (int i = 0; i < 2; i++) {
		guest->queues[i].kick_fd = -1;
		guest->queues[i].call_fd = -1;
	}
	test_path(guest->socket_path, sizeof(guest->socket_path), "v");
	test_path(guest->host_path, sizeof(guest->host_path), "h");
	assert_int_equal(loop_create(&guest->loop), 0);
	struct device_config config = {GUEST_CID, guest->socket_path, guest->host_path};
	assert_int_equal(device_create(guest->loop, &config, &guest->device), 0);
	guest->memory_fd = memfd_create("guest", MFD_CLOEXEC);
	assert_true(guest->memory_fd >= 0);
	assert_int_equal(ftruncate(guest->memory_fd, GUEST_MEMORY_BYTES), 0);
	guest->memory = mmap(NULL, GUEST_MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			guest->memory_fd, 0);
	assert_true(guest->memory != MAP_FAILED);
	return guest;
}

static void queue_close(struct guest_queue *queue)
{
	fd_close(&queue->kick_fd);
	fd_close(&queue->call_fd);
}

void guest_finish(struct guest *guest)
{
	device_destroy(guest->device);
	loop_destroy(guest->loop);
	fd_close(&guest->fd);
	fd_close(&guest->memory_fd);
	queue_close(&guest->queues[0]);
	queue_close(&guest->queues[1]);
	munmap(guest->memory, GUEST_MEMORY_BYTES);
	free(guest);
}

static int unix_connect(const char *path)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	assert_true(strlen(path) < sizeof(name.sun_path));
	memcpy(name.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	return fd;
}

void guest_connect(struct guest *guest)
{
	guest->fd = unix_connect(guest->socket_path);
	guest_wait(guest, frontend_is_connected(&guest->device->frontend));
}

void guest_disconnect(struct guest *guest)
{
	fd_close(&guest->fd);
	queue_close(&guest->queues[0]);
	queue_close(&guest->queues[1]);
	guest_wait(guest, !frontend_is_connected(&guest->device->frontend));
}

void guest_send_message(struct guest *guest, uint32_t request, uint32_t flags, const void *payload,
		uint32_t bytes, const int *fds, uint32_t fd_count)
{
	uint8_t message[HEADER_BYTES + 1024];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(16 * sizeof(int))];
	} control = {0};
	struct iovec iov = {message, HEADER_BYTES + bytes};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	assert_true(bytes <= 1024 && fd_count <= 16);
	memcpy(message, &request, 4);
	memcpy(message + 4, &flags, 4);
	memcpy(message + 8, &bytes, 4);
	if (bytes > 0) {
		memcpy(message + HEADER_BYTES, payload, bytes);
	}
	if (fd_count > 0) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(rights), fds, fd_count * sizeof(int));
	}
	assert_int_equal(sendmsg(guest->fd, &header, MSG_NOSIGNAL), HEADER_BYTES + bytes);
}

/* Reads COUNT bytes. Returns false at the end of the connection. */
static bool read_exactly(struct guest *guest, int fd, void *buffer, size_t count)
{
	uint8_t *to = buffer;
	uint64_t end_ns = clock_now_ns() + 10 * CLOCK_NS_PER_S;
	while (count > 0) {
		ssize_t got = read(fd, to, count);
		if (got > 0) {
			to += got;
			count -= (size_t)got;
			continue;
		}
		if (got == 0 || errno != EAGAIN) {
			return false;
		}
		assert_true(clock_now_ns() < end_ns);
		assert_int_equal(loop_turn(guest->loop, 1), 0);
	}
	return true;
}

int guest_get_reply(struct guest *guest, uint32_t request, void *buffer, size_t size)
{
	uint32_t header[3];
	if (!read_exactly(guest, guest->fd, header, sizeof(header))) {
		return -1;
	}
	assert_int_equal(header[0], request);
	assert_int_equal(header[1], 5);
	assert_true(header[2] <= size);
	assert_true(read_exactly(guest, guest->fd, buffer, header[2]));
	return (int)header[2];
}

uint64_t guest_ask(struct guest *guest, uint32_t request)
{
	uint64_t answer = 0;
	guest_send_message(guest, request, 1, NULL, 0, NULL, 0);
	assert_int_equal(guest_get_reply(guest, request, &answer, sizeof(answer)), 8);
	return answer;
}

void guest_tell_state(struct guest *guest, uint32_t request, uint32_t index, uint32_t value)
{
	uint32_t state[2] = {index, value};
	guest_send_message(guest, request, 1, state, sizeof(state), NULL, 0);
}

void guest_tell_u64(struct guest *guest, uint32_t request, uint64_t value, int fd)
{
	guest_send_message(guest, request, 1, &value, sizeof(value), &fd, fd >= 0 ? 1 : 0);
}

bool guest_is_dropped(struct guest *guest)
{
	uint8_t byte;
	ssize_t got = 0;
	test_wait(guest->loop,
			(got = recv(guest->fd, &byte, 1, MSG_DONTWAIT)) == 0 ||
					(got < 0 && errno != EAGAIN));
	return true;
}

void guest_share_memory(struct guest *guest)
{
	struct {
		uint32_t count, padding;
		uint64_t regions[2][4];
	} table = {2, 0,
			{{0, GUEST_SPLIT, USER_FIRST, 0},
					{GUEST_SPLIT, GUEST_MEMORY_BYTES - GUEST_SPLIT, USER_SECOND,
							GUEST_SPLIT}}};
	int fds[2] = {guest->memory_fd, guest->memory_fd};
	guest_send_message(guest, VHOST_USER_SET_MEM_TABLE, 1, &table, sizeof(table), fds, 2);
}

/* Makes the kick or call of a queue: the device's end goes into the message, ours stays. */
static void queue_give_fd(struct guest *guest, uint32_t queue, uint32_t request)
{
	bool is_kick = request == VHOST_USER_SET_VRING_KICK;
	int *ours = is_kick ? &guest->queues[queue].kick_fd : &guest->queues[queue].call_fd;
	int theirs = -1;
	fd_close(ours);
	if (guest->mode.pipes) {
		int fds[2];
		assert_int_equal(fd_pipe(fds), 0);
		*ours = is_kick ? fds[1] : fds[0];
		theirs = is_kick ? fds[0] : fds[1];
	} else {
		*ours = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		theirs = dup(*ours);
	}
	assert_true(*ours >= 0 && theirs >= 0);
	guest_tell_u64(guest, request, queue, theirs);
	close(theirs);
}

void guest_start_queue(struct guest *guest, uint32_t queue, uint32_t size, uint16_t base)
{
	struct guest_queue *q = &guest->queues[queue];
	q->base = GUEST_RINGS + queue * 0x8000u;
	q->size = size;
	q->desc = guest_at(guest, q->base);
	q->avail = guest_at(guest, q->base + 0x5000);
	q->used = guest_at(guest, q->base + 0x6000);
	if (base == 0) {
		memset(q->desc, 0, 0x8000);
		q->used_seen = 0;
	}
	struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log;
	} addresses = {queue, 0, user_at(q->base), user_at(q->base + 0x6000),
			user_at(q->base + 0x5000), 0};
	guest_tell_state(guest, VHOST_USER_SET_VRING_NUM, queue, size);
	guest_tell_state(guest, VHOST_USER_SET_VRING_BASE, queue, base);
	guest_send_message(guest, VHOST_USER_SET_VRING_ADDR, 1, &addresses, sizeof(addresses), NULL,
			0);
	queue_give_fd(guest, queue, VHOST_USER_SET_VRING_KICK);
	queue_give_fd(guest, queue, VHOST_USER_SET_VRING_CALL);
	guest_tell_state(guest, VHOST_USER_SET_VRING_ENABLE, queue, 1);
}

uint16_t guest_stop_queue(struct guest *guest, uint32_t queue)
{
	uint32_t state[2] = {0};
	guest_tell_state(guest, VHOST_USER_GET_VRING_BASE, queue, 0);
	assert_int_equal(
			guest_get_reply(guest, VHOST_USER_GET_VRING_BASE, state, sizeof(state)), 8);
	assert_int_equal(state[0], queue);
	return (uint16_t)state[1];
}

void guest_boot(struct guest *guest)
{
	uint64_t features = VHOST_USER_F_VERSION_1 | VHOST_USER_F_PROTOCOL_FEATURES |
			VHOST_USER_F_INDIRECT_DESC;
	guest_connect(guest);
	if (guest->mode.event_idx) {
		features |= VHOST_USER_F_EVENT_IDX;
	}
	guest_tell_u64(guest, VHOST_USER_SET_PROTOCOL_FEATURES,
			guest_ask(guest, VHOST_USER_GET_PROTOCOL_FEATURES), -1);
	assert_int_equal(guest_ask(guest, VHOST_USER_GET_FEATURES) & features, features);
	guest_tell_u64(guest, VHOST_USER_SET_FEATURES, features, -1);
	guest_send_message(guest, VHOST_USER_SET_OWNER, 1, NULL, 0, NULL, 0);
	guest_share_memory(guest);
	guest_start_queue(guest, VHOST_USER_RX, GUEST_RING_SIZE, 0);
	guest_start_queue(guest, VHOST_USER_TX, GUEST_RING_SIZE, 0);
	guest_wait(guest, vring_is_usable(&guest->device->vhost_user.rings[VHOST_USER_TX]));
	guest_fill(guest, 32);
}

void guest_kick(struct guest *guest, uint32_t queue)
{
	uint64_t one = 1;
	ssize_t written = write(guest->queues[queue].kick_fd, &one, sizeof(one));
	assert_true(written == sizeof(one) || errno == EAGAIN);
}

void guest_offer(struct guest *guest, uint32_t queue, uint16_t head)
{
	struct guest_queue *q = &guest->queues[queue];
	uint16_t index = q->avail[1];
	q->avail[2 + (index & (q->size - 1))] = head;
	q->avail[1] = (uint16_t)(index + 1);
	bool wanted = !(q->used[0] & 1);
	if (guest->mode.event_idx) {
		uint16_t event = q->used[2 + q->size * 4];
		wanted = (uint16_t)(index + 1 - event - 1) < 1;
	}
	if (wanted) {
		guest_kick(guest, queue);
	}
}

/*
 * Describes BYTES at ADDRESS by the descriptors from FIRST on: one, or with mode.split four (the
 * first two within the header), or the same in an indirect table.
 */
static void describe(struct guest *guest, uint32_t queue, uint16_t first, uint32_t address,
		uint32_t bytes, uint16_t flags)
{
	struct guest_desc *desc = &guest->queues[queue].desc[first];
	if (!guest->mode.split) {
		*desc = (struct guest_desc) {address, bytes, flags, 0};
		return;
	}
	struct guest_desc *table = desc;
	uint16_t next = first;
	if (guest->mode.indirect) {
		uint32_t place = guest->queues[queue].base + 0x2000 + first * 16u;
		table = guest_at(guest, place);
		*desc = (struct guest_desc) {place, 4 * sizeof(*table), GUEST_DESC_INDIRECT, 0};
		next = 0;
	}
	const uint32_t cuts[4] = {0, 10, 50 < bytes ? 50 : bytes, bytes};
	for (uint16_t i = 0; i < 4; i++) {
		uint32_t end = i < 3 ? cuts[i + 1] : bytes;
		bool last = i == 3;
		table[i] = (struct guest_desc) {address + cuts[i], end - cuts[i],
				(uint16_t)(flags | (last ? 0 : GUEST_DESC_NEXT)),
				(uint16_t)(last ? 0 : next + i + 1)};
	}
}

static void rx_offer(struct guest *guest, uint16_t head)
{
	describe(guest, VHOST_USER_RX, head, GUEST_RX_AREA + head * GUEST_BUFFER_BYTES,
			GUEST_BUFFER_BYTES, GUEST_DESC_WRITE);
	guest_offer(guest, VHOST_USER_RX, head);
}

void guest_fill(struct guest *guest, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		rx_offer(guest, (uint16_t)(i * (guest->mode.split ? 4 : 1)));
	}
}

void guest_post(struct guest *guest, const struct packet_header *header, const void *payload)
{
	memcpy(guest_at(guest, GUEST_TX_AREA), header, sizeof(*header));
	if (payload) {
		memcpy(guest_at(guest, GUEST_TX_AREA + PACKET_HEADER_BYTES), payload,
				header->length);
	}
	describe(guest, VHOST_USER_TX, 0, GUEST_TX_AREA,
			PACKET_HEADER_BYTES + (payload ? header->length : 0), 0);
	guest_offer(guest, VHOST_USER_TX, 0);
}

void guest_send(struct guest *guest, const struct packet_header *header, const void *payload)
{
	struct guest_queue *q = &guest->queues[VHOST_USER_TX];
	guest_post(guest, header, payload);
	guest_wait(guest, q->used[1] == q->avail[1]);
}

struct packet_header guest_header(const struct guest *guest, enum packet_op op, uint32_t guest_port,
		uint32_t host_port)
{
	return (struct packet_header) {
			.src_cid = GUEST_CID,
			.dst_cid = PACKET_CID_HOST,
			.src_port = guest_port,
			.dst_port = host_port,
			.type = PACKET_TYPE_STREAM,
			.op = (uint16_t)op,
			.buffer_bytes = guest->credit_buffer,
			.consumed_bytes = guest->credit_taken,
	};
}

void guest_say(struct guest *guest, enum packet_op op, uint32_t flags, uint32_t guest_port,
		uint32_t host_port)
{
	struct packet_header header = guest_header(guest, op, guest_port, host_port);
	header.flags = flags;
	guest_send(guest, &header, NULL);
}

void guest_write(struct guest *guest, uint32_t guest_port, uint32_t host_port, const void *bytes,
		uint32_t count)
{
	struct packet_header header = guest_header(guest, PACKET_RW, guest_port, host_port);
	header.length = count;
	guest_send(guest, &header, bytes);
}

bool guest_poll(struct guest *guest)
{
	struct guest_queue *q = &guest->queues[VHOST_USER_RX];
	uint64_t call = 0;
	if (read(q->call_fd, &call, sizeof(call)) > 0) {
		guest->calls++;
	}
	if (q->used_seen == q->used[1]) {
		return false;
	}
	const uint16_t *element = &q->used[2 + (q->used_seen & (q->size - 1)) * 4];
	uint32_t head = 0;
	uint32_t bytes = 0;
	memcpy(&head, element, 4);
	memcpy(&bytes, element + 2, 4);
	const uint8_t *buffer = guest_at(guest, GUEST_RX_AREA + head * GUEST_BUFFER_BYTES);
	assert_true(bytes >= PACKET_HEADER_BYTES && bytes <= GUEST_BUFFER_BYTES);
	memcpy(&guest->header, buffer, PACKET_HEADER_BYTES);
	assert_int_equal(guest->header.length, bytes - PACKET_HEADER_BYTES);
	memcpy(guest->payload, buffer + PACKET_HEADER_BYTES, guest->header.length);
	q->used_seen++;
	if (guest->mode.event_idx) {
		q->avail[2 + q->size] = q->used_seen; // used_event
	}
	if (guest->refill) {
		rx_offer(guest, (uint16_t)head);
	}
	return true;
}

void guest_expect(struct guest *guest, enum packet_op op)
{
	guest_wait(guest, guest_poll(guest));
	assert_int_equal(guest->header.op, op);
}

void guest_settle(struct guest *guest)
{
	for (int i = 0; i < 20; i++) {
		assert_int_equal(loop_turn(guest->loop, 0), 0);
	}
}

void guest_expect_silence(struct guest *guest)
{
	guest_settle(guest);
	assert_false(guest_poll(guest));
}

int host_connect_silently(struct guest *guest)
{
	return unix_connect(guest->host_path);
}

int host_program(struct guest *guest, uint32_t port)
{
	char text[32];
	int fd = unix_connect(guest->host_path);
	int length = snprintf(text, sizeof(text), "CONNECT %u\n", (unsigned)port);
	assert_int_equal(write(fd, text, (size_t)length), length);
	return fd;
}

void host_read(struct guest *guest, int fd, void *buffer, size_t count)
{
	assert_true(read_exactly(guest, fd, buffer, count));
}

void host_write(struct guest *guest, int fd, const void *buffer, size_t count)
{
	const uint8_t *from = buffer;
	uint64_t end_ns = clock_now_ns() + 10 * CLOCK_NS_PER_S;
	while (count > 0) {
		ssize_t written = send(fd, from, count, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (written > 0) {
			from += written;
			count -= (size_t)written;
			continue;
		}
		assert_int_equal(errno, EAGAIN);
		assert_true(clock_now_ns() < end_ns);
		assert_int_equal(loop_turn(guest->loop, 1), 0);
	}
}

void host_expect_end(struct guest *guest, int fd)
{
	uint8_t byte;
	ssize_t got = 0;
	guest_wait(guest, (got = recv(fd, &byte, 1, MSG_DONTWAIT)) >= 0 || errno != EAGAIN);
	assert_true(got <= 0);
}

int host_listen(struct guest *guest, uint32_t port)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int length = snprintf(name.sun_path, sizeof(name.sun_path), "%s_%u", guest->host_path,
			(unsigned)port);
	assert_true(length > 0 && (size_t)length < sizeof(name.sun_path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

int host_accept(struct guest *guest, int listen_fd)
{
	int fd = -1;
	test_wait(guest->loop,
			(fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0);
	return fd;
}

int guest_open(struct guest *guest, uint32_t guest_port, uint32_t *ret_host_port)
{
	char text[32];
	char line[32];
	int fd = host_program(guest, guest_port);
	guest_expect(guest, PACKET_REQUEST);
	assert_int_equal(guest->header.dst_port, guest_port);
	assert_int_equal(guest->header.dst_cid, GUEST_CID);
	assert_int_equal(guest->header.src_cid, PACKET_CID_HOST);
	*ret_host_port = guest->header.src_port;
	guest_say(guest, PACKET_RESPONSE, 0, guest_port, *ret_host_port);
	int length = snprintf(text, sizeof(text), "OK %u\n", (unsigned)*ret_host_port);
	host_read(guest, fd, line, (size_t)length);
	assert_memory_equal(line, text, (size_t)length);
	return fd;
}
