/*
 * The vsock device against a guest, a front end and host programs that do anything. The input is a
 * script: each step is a byte that says what to do and bytes that say how. Guest memory is written
 * through its file, so that the script may also cut it short. After each step the device's own
 * invariants are checked; at the end no descriptor is left.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/fd.h"
#include "common/limits.h"
#include "common/loop.h"
#include "vm-launch/vsock/device.h"

#define CID          3u
#define MEMORY_BYTES 0x20000u
#define USER         0x10000000ull
#define RING_SIZE    16u
#define RING_BYTES   0x1000u // from one ring to the next
#define AVAIL        0x400u
#define USED         0x800u
#define BUFFERS      0x8000u
#define BUFFER_BYTES 0x1000u
#define PROGRAMS     4u
#define STEPS_MAX    400u

enum step {
	STEP_BOOT,    // a good handshake
	STEP_MESSAGE, // request, flags, length, descriptors, payload
	STEP_RAW,     // bytes on the front end's socket
	STEP_WRITE,   // guest memory: where, bytes
	STEP_KICK,    // queue
	STEP_OFFER,   // queue, descriptor: a good entry
	STEP_PACKET,  // a packet to the host with small ports
	STEP_PROGRAM, // a host program says CONNECT
	STEP_SAY,     // bytes of a host program
	STEP_END,     // a host program ends one direction, or closes
	STEP_CUT,     // the length of guest memory's file
	STEP_RECONNECT,
	STEPS,
};

struct script {
	const uint8_t *data;
	size_t size;
};

struct world {
	struct loop *loop;
	struct device *device;
	char folder[64], socket_path[96], host_path[96];
	int front_fd, memory_fd, listen_fd;
	int kick_fds[2];
	int programs[PROGRAMS];
	uint16_t avail[2];
};

static uint32_t take(struct script *script, uint32_t bytes)
{
	uint32_t value = 0;
	for (uint32_t i = 0; i < bytes && script->size > 0; i++) {
		value |= (uint32_t)*script->data << (8 * i);
		script->data++;
		script->size--;
	}
	return value;
}

static const uint8_t *take_bytes(struct script *script, size_t wanted, size_t *ret_size)
{
	const uint8_t *bytes = script->data;
	*ret_size = wanted < script->size ? wanted : script->size;
	script->data += *ret_size;
	script->size -= *ret_size;
	return bytes;
}

static int unix_socket(const char *path, bool listens)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	FUZZ_ASSERT(strlen(path) < sizeof(name.sun_path));
	memcpy(name.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	FUZZ_ASSERT(fd >= 0);
	if (listens) {
		FUZZ_ASSERT(bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0);
		FUZZ_ASSERT(listen(fd, 8) == 0);
	} else if (connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0) {
		fd_close(&fd);
	}
	return fd;
}

static void memory_write(struct world *world, uint32_t address, const void *bytes, size_t count)
{
	if (address < MEMORY_BYTES && count <= MEMORY_BYTES - address) {
		ssize_t written = pwrite(world->memory_fd, bytes, count, address);
		(void)written;
	}
}

static void message_send(struct world *world, uint32_t request, uint32_t flags, const void *payload,
		size_t bytes, const int *fds, uint32_t fd_count)
{
	uint8_t message[12 + 600];
	uint32_t head[3] = {request, flags, (uint32_t)bytes};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(16 * sizeof(int))];
	} control = {0};
	struct iovec iov = {message, 12 + bytes};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	memcpy(message, head, 12);
	if (bytes > 0) {
		memcpy(message + 12, payload, bytes);
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
	if (world->front_fd >= 0) {
		ssize_t sent = sendmsg(world->front_fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)sent;
	}
}

static void ring_start(struct world *world, uint32_t queue)
{
	uint64_t base = USER + queue * RING_BYTES;
	uint32_t size[2] = {queue, RING_SIZE};
	uint32_t position[2] = {queue, 0};
	uint32_t enable[2] = {queue, 1};
	uint64_t addresses[5] = {queue, base, base + USED, base + AVAIL, 0};
	uint64_t index = queue;
	uint8_t zero[RING_BYTES] = {0};
	memory_write(world, queue * RING_BYTES, zero, sizeof(zero));
	world->avail[queue] = 0;
	message_send(world, VHOST_USER_SET_VRING_NUM, 1, size, 8, NULL, 0);
	message_send(world, VHOST_USER_SET_VRING_BASE, 1, position, 8, NULL, 0);
	message_send(world, VHOST_USER_SET_VRING_ADDR, 1, addresses, 40, NULL, 0);
	message_send(world, VHOST_USER_SET_VRING_KICK, 1, &index, 8, &world->kick_fds[queue], 1);
	message_send(world, VHOST_USER_SET_VRING_CALL, 1, &index, 8, &world->kick_fds[1 - queue],
			1);
	message_send(world, VHOST_USER_SET_VRING_ENABLE, 1, enable, 8, NULL, 0);
}

static void offer(struct world *world, uint32_t queue, uint16_t head)
{
	uint32_t base = queue * RING_BYTES;
	uint64_t one = 1;
	memory_write(world, base + AVAIL + 4 + (world->avail[queue] % RING_SIZE) * 2u, &head, 2);
	world->avail[queue]++;
	memory_write(world, base + AVAIL + 2, &world->avail[queue], 2);
	ssize_t written = write(world->kick_fds[queue], &one, sizeof(one));
	(void)written;
}

static void describe(
		struct world *world, uint32_t queue, uint16_t head, uint32_t bytes, uint16_t flags)
{
	struct vring_desc desc = {
			BUFFERS + (queue * 8 + head % 8u) * BUFFER_BYTES, bytes, flags, 0};
	memory_write(world, queue * RING_BYTES + head * 16u, &desc, sizeof(desc));
	offer(world, queue, head);
}

static void step_boot(struct world *world, uint32_t choice)
{
	uint64_t features = VHOST_USER_F_VERSION_1 | VHOST_USER_F_PROTOCOL_FEATURES |
			VHOST_USER_F_INDIRECT_DESC | (choice & 1 ? VHOST_USER_F_EVENT_IDX : 0);
	uint64_t protocol = VHOST_USER_PROTOCOL_REPLY_ACK | VHOST_USER_PROTOCOL_CONFIG;
	uint64_t table[9] = {2, 0, MEMORY_BYTES / 2, USER, 0, MEMORY_BYTES / 2, MEMORY_BYTES / 2,
			USER * 2, MEMORY_BYTES / 2};
	int fds[2] = {world->memory_fd, world->memory_fd};
	message_send(world, VHOST_USER_SET_FEATURES, 1, &features, 8, NULL, 0);
	message_send(world, VHOST_USER_SET_PROTOCOL_FEATURES, 1, &protocol, 8, NULL, 0);
	message_send(world, VHOST_USER_SET_MEM_TABLE, 1, table, sizeof(table), fds, 2);
	ring_start(world, 0);
	ring_start(world, 1);
	for (uint16_t i = 0; i < choice >> 4; i++) {
		describe(world, VHOST_USER_RX, i, BUFFER_BYTES, 2);
	}
}

static void step_message(struct world *world, struct script *script)
{
	uint32_t request = take(script, 1);
	uint32_t flags = take(script, 1);
	uint32_t fd_count = take(script, 1) % 10;
	size_t bytes = 0;
	const uint8_t *payload = take_bytes(script, take(script, 1), &bytes);
	int fds[10];
	for (uint32_t i = 0; i < fd_count; i++) {
		const int kinds[4] = {world->memory_fd, world->kick_fds[0], world->kick_fds[1],
				world->front_fd};
		fds[i] = kinds[(flags >> 4) % 4];
		flags >>= i & 1;
	}
	message_send(world, request, flags & 0xf, payload, bytes, fds,
			world->front_fd >= 0 ? fd_count : 0);
}

static void step_packet(struct world *world, struct script *script)
{
	uint32_t choice = take(script, 1);
	struct packet_header header = {
			.src_cid = CID,
			.dst_cid = PACKET_CID_HOST,
			.src_port = choice & 3,
			.dst_port = choice & 8 ? 9 : 0x40000000u + (choice >> 4 & 3),
			.type = PACKET_TYPE_STREAM,
			.op = (uint16_t)(take(script, 1) % 9),
			.flags = take(script, 1),
			.buffer_bytes = take(script, 3),
			.consumed_bytes = take(script, 2),
	};
	size_t bytes = 0;
	const uint8_t *payload = take_bytes(
			script, header.op == PACKET_RW ? take(script, 2) % 3000 : 0, &bytes);
	uint32_t address = BUFFERS + 8 * BUFFER_BYTES;
	header.length = (uint32_t)bytes;
	memory_write(world, address, &header, sizeof(header));
	memory_write(world, address + PACKET_HEADER_BYTES, payload, bytes);
	describe(world, VHOST_USER_TX, 0, (uint32_t)(PACKET_HEADER_BYTES + bytes), 0);
}

static void step_program(struct world *world, uint32_t choice)
{
	int *fd = &world->programs[choice % PROGRAMS];
	char text[32];
	fd_close(fd);
	*fd = unix_socket(world->host_path, false);
	int length = snprintf(text, sizeof(text), "CONNECT %u\n", (unsigned)(choice >> 4 & 3));
	if (*fd >= 0) {
		ssize_t written = write(*fd, text, (size_t)length);
		(void)written;
	}
}

static void step_do(struct world *world, struct script *script)
{
	uint32_t step = take(script, 1);
	uint32_t choice = take(script, 1);
	size_t bytes = 0;
	const uint8_t *from = NULL;
	uint64_t one = 1;
	ssize_t result = 0;
	switch ((enum step)(step % STEPS)) {
	case STEP_BOOT:
		step_boot(world, choice);
		break;
	case STEP_MESSAGE:
		step_message(world, script);
		break;
	case STEP_RAW:
		from = take_bytes(script, choice, &bytes);
		result = send(world->front_fd, from, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
		break;
	case STEP_WRITE:
		from = take_bytes(script, take(script, 1), &bytes);
		memory_write(world, choice << 5, from, bytes);
		break;
	case STEP_KICK:
		result = write(world->kick_fds[choice & 1], &one, sizeof(one));
		break;
	case STEP_OFFER:
		describe(world, choice & 1, (uint16_t)(choice >> 1 & 15), BUFFER_BYTES,
				choice & 1 ? 0 : 2);
		break;
	case STEP_PACKET:
		step_packet(world, script);
		break;
	case STEP_PROGRAM:
		step_program(world, choice);
		break;
	case STEP_SAY:
		from = take_bytes(script, take(script, 1), &bytes);
		result = send(world->programs[choice % PROGRAMS], from, bytes,
				MSG_NOSIGNAL | MSG_DONTWAIT);
		break;
	case STEP_END:
		if (choice & 4) {
			fd_close(&world->programs[choice % PROGRAMS]);
		} else {
			shutdown(world->programs[choice % PROGRAMS],
					choice & 8 ? SHUT_RD : SHUT_WR);
		}
		break;
	case STEP_CUT:
		result = ftruncate(world->memory_fd, (off_t)choice * (MEMORY_BYTES / 32));
		break;
	case STEP_RECONNECT:
		fd_close(&world->front_fd);
		loop_turn(world->loop, 0);
		loop_turn(world->loop, 0);
		world->front_fd = unix_socket(world->socket_path, false);
		break;
	case STEPS:
		break;
	}
	(void)result;
}

static void connection_check(const struct connection *connection)
{
	FUZZ_ASSERT(connection->buffer_bytes <= LIMIT_VSOCK_BUFFER);
	FUZZ_ASSERT(connection->buffer_start < LIMIT_VSOCK_BUFFER);
	FUZZ_ASSERT(connection->received - connection->taken == connection->buffer_bytes);
	FUZZ_ASSERT(connection->buffer_bytes == 0 || connection->buffer);
	FUZZ_ASSERT((connection->fd >= 0) == (connection->state != CONNECTION_CLOSING));
	FUZZ_ASSERT((connection->fd >= 0) == (connection->source != NULL));
	FUZZ_ASSERT(connection->state != CONNECTION_DRAINING || connection->buffer_bytes > 0);
}

static void device_check(const struct device *device)
{
	const struct connection *connection;
	uint32_t count = 0;
	TAILQ_FOREACH (connection, &device->connections.all, all) {
		connection_check(connection);
		count++;
	}
	FUZZ_ASSERT(count == device->connections.count && count <= LIMIT_VSOCK_CONNECTIONS);
	TAILQ_FOREACH (connection, &device->connections.ready, ready) {
		FUZZ_ASSERT(connection->is_ready && count-- > 0);
	}
	FUZZ_ASSERT(device->reset_count <= DEVICE_RESETS_MAX);
	FUZZ_ASSERT(device->batch == NULL && device->batch_iov == 0);
	FUZZ_ASSERT(device->vhost_user.memory.count <= MEMORY_REGIONS_MAX);
}

static void world_make(struct world *world)
{
	char path[112];
	*world = (struct world) {.programs = {-1, -1, -1, -1}};
	snprintf(world->folder, sizeof(world->folder), "/tmp/fuzz-vsock-XXXXXX");
	FUZZ_ASSERT(mkdtemp(world->folder));
	snprintf(world->socket_path, sizeof(world->socket_path), "%s/v", world->folder);
	snprintf(world->host_path, sizeof(world->host_path), "%s/h", world->folder);
	snprintf(path, sizeof(path), "%s_9", world->host_path);
	struct device_config config = {CID, world->socket_path, world->host_path};
	FUZZ_ASSERT(loop_create(&world->loop) == 0);
	FUZZ_ASSERT(device_create(world->loop, &config, &world->device) == 0);
	world->listen_fd = unix_socket(path, true);
	world->memory_fd = memfd_create("guest", MFD_CLOEXEC);
	FUZZ_ASSERT(ftruncate(world->memory_fd, MEMORY_BYTES) == 0);
	world->kick_fds[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	world->kick_fds[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	world->front_fd = unix_socket(world->socket_path, false);
}

static void world_end(struct world *world)
{
	char path[112];
	snprintf(path, sizeof(path), "%s_9", world->host_path);
	device_destroy(world->device);
	loop_destroy(world->loop);
	fd_close(&world->front_fd);
	fd_close(&world->memory_fd);
	fd_close(&world->listen_fd);
	fd_close(&world->kick_fds[0]);
	fd_close(&world->kick_fds[1]);
	for (uint32_t i = 0; i < PROGRAMS; i++) {
		fd_close(&world->programs[i]);
	}
	unlink(path);
	FUZZ_ASSERT(rmdir(world->folder) == 0);
}

/* Programs of the host read now and then, and the guest's accepted ones close at once. */
static void world_turn(struct world *world)
{
	uint8_t bytes[512];
	loop_turn(world->loop, 0);
	loop_turn(world->loop, 0);
	device_check(world->device);
	for (uint32_t i = 0; i < PROGRAMS; i++) {
		ssize_t got = recv(world->programs[i], bytes, sizeof(bytes), MSG_DONTWAIT);
		(void)got;
	}
	if (world->front_fd >= 0) {
		while (recv(world->front_fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script = {data, size};
	struct world world;
	signal(SIGPIPE, SIG_IGN);
	FUZZ_ASSERT(memory_guard() == 0);
	int lowest = dup(0);
	close(lowest);
	world_make(&world);
	for (uint32_t i = 0; i < STEPS_MAX && script.size > 0; i++) {
		step_do(&world, &script);
		if (i % 2 == 1 || script.size == 0) {
			world_turn(&world);
		}
	}
	world_end(&world);
	int after = dup(0);
	close(after);
	FUZZ_ASSERT(after == lowest);
	return 0;
}
