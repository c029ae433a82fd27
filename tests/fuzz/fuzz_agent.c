/*
 * What a bridge may send, into the whole agent but its main(): real session, dispatcher, screen,
 * the headless back end.
 *
 * The input is a series of records: u16 opcode, u16 length, payload. The stream of the fuzzer is
 * made of whole frames of these, cut into writes whose sizes the input decides; an opcode with its
 * top bit set sends the record's bytes as they are, without a frame around them. After each input
 * another bridge must be served as if nothing had been.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/link.h"
#include "common/log.h"
#include "common/loop.h"
#include "guest-agent/headless.h"
#include "guest-agent/screen.h"
#include "guest-agent/server.h"
#include "proto/bridge.h"

#define RAW       0x8000u
#define PAIR_SEND 65536u

struct agent {
	struct loop *loop;
	struct screen *screen;
	struct server *server;
};

static const char config[] = "[screen]\ncrtcs = 2\nsize_max = 64x64\ncursor_max = 32\n"
			     "[connector HDMI-A-1]\nmode = 32x16\nmode = 16x16\n"
			     "[connector DP-1]\nmode = 32x16\n";

static struct agent agent_start(void)
{
	char path[] = "/tmp/fuzz-agent-XXXXXX";
	struct agent agent;
	struct backend *backend;
	char reason[512];
	int fd = mkstemp(path);
	FUZZ_ASSERT(fd >= 0 && write(fd, config, sizeof(config) - 1) == sizeof(config) - 1);
	close(fd);
	FUZZ_ASSERT(loop_create(&agent.loop) == 0);
	FUZZ_ASSERT(headless_create(path, NULL, reason, sizeof(reason), &backend) == 0);
	FUZZ_ASSERT(screen_create(agent.loop, backend, false, &agent.screen) == 0);
	FUZZ_ASSERT(server_create(agent.loop, -1, agent.screen, &agent.server) == 0);
	unlink(path);
	return agent;
}

static void agent_stop(struct agent *agent)
{
	server_destroy(agent->server);
	screen_destroy(agent->screen);
	loop_destroy(agent->loop);
}

/* Connects; returns the bridge's end, which does not block. */
static int agent_connect(struct agent *agent)
{
	int ends[2], bytes = PAIR_SEND;
	FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	FUZZ_ASSERT(server_add(agent->server, ends[1]) == 0);
	return ends[0];
}

static void drain(int fd)
{
	static uint8_t sink[65536];
	while (read(fd, sink, sizeof(sink)) > 0) {
	}
}

/* Writes all of it, turning the loop where the socket is full. Returns whether the agent still
 * listens. */
static bool send_all(struct agent *agent, int fd, const void *bytes, size_t count)
{
	const uint8_t *next = bytes;
	while (count > 0) {
		ssize_t sent = send(fd, next, count, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN) {
			return false;
		}
		if (sent < 0) {
			FUZZ_ASSERT(loop_turn(agent->loop, 0) == 0);
			drain(fd);
			continue;
		}
		next += sent;
		count -= (size_t)sent;
	}
	return true;
}

static bool send_frame(struct agent *agent, int fd, uint16_t opcode, const uint8_t *payload,
		uint32_t bytes, bool in_two)
{
	uint8_t header[LINK_HEADER_BYTES] = {(uint8_t)bytes, (uint8_t)(bytes >> 8),
			(uint8_t)(bytes >> 16), 0, (uint8_t)opcode, (uint8_t)(opcode >> 8)};
	size_t first = in_two ? bytes / 2 : bytes;
	if (!send_all(agent, fd, header, sizeof(header)) || !send_all(agent, fd, payload, first)) {
		return false;
	}
	if (in_two) {
		FUZZ_ASSERT(loop_turn(agent->loop, 0) == 0);
		return send_all(agent, fd, payload + first, bytes - first);
	}
	return true;
}

static bool send_hello(struct agent *agent, int fd)
{
	struct bridge_hello hello = {.version = 1,
			.role = BRIDGE_ROLE_DISPLAY,
			.epoch = 1,
			.frame_max = 65536,
			.name = "fuzz"};
	uint8_t payload[BRIDGE_HELLO_MAX];
	ssize_t bytes = bridge_hello_encode(&hello, payload, sizeof(payload));
	FUZZ_ASSERT(bytes > 0);
	return send_frame(agent, fd, BRIDGE_HELLO, payload, (uint32_t)bytes, false);
}

static void play(struct agent *agent, int fd, const uint8_t *data, size_t size)
{
	while (size >= 4) {
		uint16_t opcode = (uint16_t)(data[0] | data[1] << 8);
		size_t bytes = (size_t)(data[2] | data[3] << 8);
		data += 4;
		size -= 4;
		bytes = bytes < size ? bytes : size;
		bool listens = opcode & RAW ? send_all(agent, fd, data, bytes)
					    : send_frame(agent, fd, opcode & 0xff, data,
							      (uint32_t)bytes, opcode & 0x100);
		if (!listens) {
			return;
		}
		if (opcode & 0x200) {
			FUZZ_ASSERT(loop_turn(agent->loop, 0) == 0);
		}
		data += bytes;
		size -= bytes;
	}
}

/* A bridge that behaves must get its topology and its sync. */
static void check_served(struct agent *agent)
{
	int fd = agent_connect(agent);
	static const uint8_t sync[4] = {7, 0, 0, 0};
	static const uint8_t answer[] = {
			4, 0, 0, 0, BRIDGE_SYNC_DONE, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0};
	uint8_t seen[16384];
	size_t bytes = 0;
	FUZZ_ASSERT(send_hello(agent, fd));
	FUZZ_ASSERT(send_frame(agent, fd, BRIDGE_SYNC, sync, sizeof(sync), false));
	uint64_t end_ns = clock_now_ns() + 5 * CLOCK_NS_PER_S;
	while (bytes < sizeof(answer) ||
			memcmp(seen + bytes - sizeof(answer), answer, sizeof(answer)) != 0) {
		FUZZ_ASSERT(clock_now_ns() < end_ns);
		FUZZ_ASSERT(loop_turn(agent->loop, 1) == 0);
		ssize_t got = read(fd, seen + bytes, sizeof(seen) - bytes);
		FUZZ_ASSERT(got > 0 || (got < 0 && errno == EAGAIN));
		bytes += got > 0 ? (size_t)got : 0;
	}
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Warnings about what a peer did wrong are not the point here. */
	static bool quiet;
	if (!quiet) {
		quiet = true;
		setenv("LOG", "error", 0);
		log_init("fuzz");
	}
	struct agent agent = agent_start();
	int fd = agent_connect(&agent);
	if (size > 0 && data[0] & 1) {
		send_hello(&agent, fd);
	}
	play(&agent, fd, data + (size > 0), size - (size > 0));
	for (int turn = 0; turn < 4; turn++) {
		FUZZ_ASSERT(loop_turn(agent.loop, 0) == 0);
		drain(fd);
	}
	close(fd);
	check_served(&agent);
	agent_stop(&agent);
	return 0;
}
