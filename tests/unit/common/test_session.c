/*
 * common/session.c: against itself, and against a fake peer on a plain socket that sends what no
 * session would. The clock is the real one plus what a test skips, so that waits of seconds and
 * 10,000 refusals take no time.
 */
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/session.h"
#include "proto/bridge.h"

static uint64_t skipped_ns;

uint64_t __real_clock_now_ns(void);
uint64_t __wrap_clock_now_ns(void);

uint64_t __wrap_clock_now_ns(void)
{
	return __real_clock_now_ns() + skipped_ns;
}

#define PIXELS_MAX 262000

/* One session and what happened to it. */
struct end {
	struct session *session;
	unsigned up;
	unsigned down;
	unsigned frames;
	unsigned calls; // of on_frame
	unsigned writable;
	int error;
	char reason[256];
	struct bridge_hello peer;
	uint16_t opcode; // of the last frame
	uint32_t serial;
	int answer;        // what on_frame returns
	const char *fails; // on_frame calls session_fail with it
	enum { DESTROY_NEVER, DESTROY_IN_UP, DESTROY_IN_FRAME, DESTROY_IN_DOWN } destroys;
	bool fetches; // pixels by session_recv_into
	uint8_t pixels[PIXELS_MAX];
	size_t have;
};

static void end_destroy(struct end *end)
{
	session_destroy(end->session);
	end->session = NULL;
}

static void on_up(void *data, const struct bridge_hello *peer)
{
	struct end *end = data;

	end->up++;
	end->peer = *peer;
	if (end->destroys == DESTROY_IN_UP) {
		end_destroy(end);
	}
}

/* Fetches the rest of a pixels frame, by odd parts. */
static int end_fetch(struct end *end, const struct link_frame *frame)
{
	if (frame->payload_bytes > 0) {
		assert_int_equal(frame->payload_bytes + frame->rest_bytes, frame->header.length);
		memcpy(end->pixels, frame->payload + 2, frame->payload_bytes - 2);
		end->have = frame->payload_bytes - 2;
	}
	while (frame->rest_bytes > 0) {
		ssize_t got = session_recv_into(end->session, end->pixels + end->have, 7919);

		if (got < 0) {
			return (int)got;
		}
		end->have += (size_t)got;
	}
	end->frames++;
	return 0;
}

static int on_frame(void *data, const struct link_frame *frame)
{
	struct end *end = data;

	end->calls++;
	end->opcode = frame->header.opcode;
	end->serial = frame->header.serial;
	if (end->fetches) {
		return end_fetch(end, frame);
	}
	end->frames++;
	if (end->fails != NULL) {
		session_fail(end->session, -EILSEQ, end->fails);
	}
	if (end->destroys == DESTROY_IN_FRAME) {
		end_destroy(end);
	}
	return end->answer;
}

static void on_writable(void *data)
{
	struct end *end = data;

	end->writable++;
}

static void on_down(void *data, int error, const char *reason)
{
	struct end *end = data;

	end->down++;
	end->error = error;
	snprintf(end->reason, sizeof(end->reason), "%s", reason);
	if (end->session != NULL) {
		assert_false(session_is_up(end->session));
		assert_int_equal(session_send(end->session, BRIDGE_SYNC, 0, NULL, 0), -ENOTCONN);
	}
	if (end->destroys == DESTROY_IN_DOWN) {
		end_destroy(end);
	}
}

static const struct session_ops ops = {on_up, on_frame, on_writable, on_down};

static const struct session_config display_config = {
		"test display", BRIDGE_ROLE_DISPLAY, 1u << BRIDGE_ROLE_AGENT, 11};
static const struct session_config agent_config = {
		"test agent", BRIDGE_ROLE_AGENT, 1u << BRIDGE_ROLE_DISPLAY, 22};

struct bench {
	struct loop *loop;
	struct address address;
	int listener;
	int peer; // plain socket in place of the agent, or -1
	struct end display;
	struct end agent;
	int saved_stderr;
	int log_fd;
};

static int bench_setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	char path[256];

	assert_int_equal(loop_create(&bench->loop), 0);
	bench->peer = -1;
	bench->address.kind = ADDRESS_UNIX;
	test_path(bench->address.path, sizeof(bench->address.path), "agent");
	bench->listener = address_listen(&bench->address);
	assert_true(bench->listener >= 0);
	// The log goes to a file, to be counted.
	bench->log_fd = open(test_path(path, sizeof(path), "log"),
			O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	bench->saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	assert_true(dup2(bench->log_fd, STDERR_FILENO) >= 0);
	*state = bench;
	return 0;
}

static int bench_teardown(void **state)
{
	struct bench *bench = *state;

	session_destroy(bench->display.session);
	session_destroy(bench->agent.session);
	loop_destroy(bench->loop);
	fd_close(&bench->listener);
	fd_close(&bench->peer);
	dup2(bench->saved_stderr, STDERR_FILENO);
	fd_close(&bench->saved_stderr);
	fd_close(&bench->log_fd);
	free(bench);
	return 0;
}

/* What was logged, up to 64 KiB. Returns the number of lines. */
static unsigned bench_log(struct bench *bench, char text[65536])
{
	ssize_t got = pread(bench->log_fd, text, 65535, 0);
	unsigned lines = 0;

	assert_true(got >= 0);
	text[got] = '\0';
	for (const char *c = text; *c != '\0'; c++) {
		lines += *c == '\n';
	}
	return lines;
}

/* As test_wait, but by turns: this test's clock jumps. */
#define turn_until(bench, condition)                                                  \
	do {                                                                          \
		unsigned turns = 0;                                                   \
		while (!(condition)) {                                                \
			if (++turns > 1000) {                                         \
				fail_msg("1000 turns did not bring: %s", #condition); \
			}                                                             \
			assert_int_equal(loop_turn((bench)->loop, 10), 0);            \
		}                                                                     \
	} while (0)

static void bench_dial(struct bench *bench)
{
	assert_int_equal(session_dial(bench->loop, &display_config, &bench->address, &ops,
					 &bench->display, &bench->display.session),
			0);
}

static int bench_accept(struct bench *bench)
{
	int fd = -1;

	turn_until(bench,
			(fd = accept4(bench->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >=
					0);
	return fd;
}

static void bench_accept_session(struct bench *bench)
{
	assert_int_equal(session_accept(bench->loop, &agent_config, bench_accept(bench), &ops,
					 &bench->agent, &bench->agent.session),
			0);
}

/* A display session and an agent session, both up. */
static void bench_connect(struct bench *bench)
{
	bench_dial(bench);
	bench_accept_session(bench);
	turn_until(bench, bench->display.up == 1 && bench->agent.up == 1);
}

static void peer_send(struct bench *bench, uint16_t opcode, const void *payload, size_t bytes)
{
	uint8_t header[LINK_HEADER_BYTES] = {(uint8_t)bytes, (uint8_t)(bytes >> 8),
			(uint8_t)(bytes >> 16), (uint8_t)(bytes >> 24), (uint8_t)opcode,
			(uint8_t)(opcode >> 8)};

	struct iovec parts[2] = {{header, sizeof(header)},
			{(void *)(uintptr_t)payload, payload == NULL ? 0 : bytes}};

	assert_int_equal(writev(bench->peer, parts, 2), sizeof(header) + parts[1].iov_len);
}

/* Takes one frame of the session. Returns its opcode, or -1 at the end of file. */
static int peer_recv(struct bench *bench, uint8_t *payload, size_t size, size_t *ret_bytes)
{
	uint8_t header[LINK_HEADER_BYTES];
	ssize_t got = -1;

	turn_until(bench, (got = recv(bench->peer, header, sizeof(header), 0)) >= 0);
	if (got == 0) {
		return -1;
	}
	assert_int_equal(got, sizeof(header));
	size_t bytes = (size_t)header[0] | (size_t)header[1] << 8 | (size_t)header[2] << 16;
	assert_true(bytes <= size);
	if (bytes > 0) {
		turn_until(bench, (got = recv(bench->peer, payload, bytes, 0)) >= 0);
		assert_int_equal(got, bytes);
	}
	*ret_bytes = bytes;
	return header[4] | header[5] << 8;
}

static void peer_send_hello(
		struct bench *bench, uint32_t version, uint32_t role, uint32_t frame_max)
{
	struct bridge_hello hello = {.version = version,
			.role = role,
			.epoch = 33,
			.frame_max = frame_max,
			.name = "fake"};
	uint8_t bytes[BRIDGE_HELLO_MAX];
	ssize_t length = bridge_hello_encode(&hello, bytes, sizeof(bytes));

	assert_true(length > 0);
	peer_send(bench, BRIDGE_HELLO, bytes, (size_t)length);
}

static void peer_expect_hello(struct bench *bench)
{
	struct bridge_hello hello;
	uint8_t bytes[BRIDGE_HELLO_MAX];
	size_t length;

	assert_int_equal(peer_recv(bench, bytes, sizeof(bytes), &length), BRIDGE_HELLO);
	assert_int_equal(bridge_hello_decode(&hello, bytes, length), 0);
	assert_int_equal(hello.version, BRIDGE_VERSION_NUMBER);
	assert_int_equal(hello.role, BRIDGE_ROLE_DISPLAY);
	assert_int_equal(hello.epoch, 11);
	assert_int_equal(hello.frame_max, LIMIT_FRAME);
	assert_string_equal(hello.name, "test display");
}

/* The session says ERROR with FAULT and closes. */
static void peer_expect_error(struct bench *bench, uint32_t fault)
{
	struct bridge_error error;
	uint8_t bytes[BRIDGE_ERROR_MAX];
	size_t length;

	assert_int_equal(peer_recv(bench, bytes, sizeof(bytes), &length), BRIDGE_ERROR);
	assert_int_equal(bridge_error_decode(&error, bytes, length), 0);
	assert_int_equal(error.fault, fault);
	assert_true(strlen(error.detail) > 5);
	assert_int_equal(peer_recv(bench, bytes, sizeof(bytes), &length), -1);
	fd_close(&bench->peer);
}

/* A display session that is up with a fake agent. */
static void bench_connect_fake(struct bench *bench, uint32_t frame_max)
{
	unsigned up = bench->display.up;

	if (bench->display.session == NULL) {
		bench_dial(bench);
	}
	bench->peer = bench_accept(bench);
	peer_expect_hello(bench);
	assert_int_equal(bench->display.up, up);
	peer_send_hello(bench, 1, BRIDGE_ROLE_AGENT, frame_max);
	turn_until(bench, bench->display.up == up + 1);
}

static void greets_and_carries(void **state)
{
	struct bench *bench = *state;
	struct bridge_sync sync = {77};
	uint8_t bytes[BRIDGE_SYNC_MAX];
	struct iovec part = {bytes, sizeof(bytes)};

	bench_dial(bench);
	assert_false(session_is_up(bench->display.session));
	assert_int_equal(session_send(bench->display.session, BRIDGE_SYNC, 0, &part, 1), -ENOTCONN);
	bench_accept_session(bench);
	turn_until(bench, bench->display.up == 1 && bench->agent.up == 1);
	assert_int_equal(bench->display.peer.role, BRIDGE_ROLE_AGENT);
	assert_int_equal(bench->display.peer.epoch, 22);
	assert_string_equal(bench->display.peer.name, "test agent");
	assert_int_equal(bench->agent.peer.epoch, 11);

	assert_int_equal(bridge_sync_encode(&sync, bytes, sizeof(bytes)), 4);
	assert_int_equal(session_send(bench->display.session, BRIDGE_SYNC, 5, &part, 1), 0);
	turn_until(bench, bench->agent.frames == 1);
	assert_int_equal(bench->agent.opcode, BRIDGE_SYNC);
	assert_int_equal(bench->agent.serial, 5);
	assert_int_equal(session_send(bench->agent.session, BRIDGE_SYNC_DONE, 5, &part, 1), 0);
	turn_until(bench, bench->display.frames == 1);
	assert_int_equal(bench->display.opcode, BRIDGE_SYNC_DONE);
	assert_int_equal(session_counters(bench->agent.session).received_frames, 2);
	assert_int_equal(session_times_up(bench->agent.session), 1);
	assert_int_equal(bench->display.down + bench->agent.down, 0);
}

static void dials_again(void **state)
{
	struct bench *bench = *state;

	bench_connect(bench);
	for (unsigned i = 1; i <= 3; i++) {
		end_destroy(&bench->agent);
		turn_until(bench, bench->display.down == i);
		assert_false(session_is_up(bench->display.session));
		assert_int_equal(session_counters(bench->display.session).sent_frames, 0);
		skipped_ns += LIMIT_BACKOFF_MAX_MS * CLOCK_NS_PER_MS;
		bench_accept_session(bench);
		turn_until(bench, bench->display.up == i + 1);
		assert_int_equal(session_times_up(bench->display.session), i + 1);
	}
	assert_int_equal(bench->agent.down, 0); // destroyed: not told
}

static void dials_when_nobody_is_there_yet(void **state)
{
	struct bench *bench = *state;

	fd_close(&bench->listener);
	assert_int_equal(unlink(bench->address.path), 0);
	bench_dial(bench);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(loop_turn(bench->loop, 5), 0);
	}
	bench->listener = address_listen(&bench->address);
	skipped_ns += LIMIT_BACKOFF_MAX_MS * CLOCK_NS_PER_MS;
	bench_accept_session(bench);
	turn_until(bench, bench->display.up == 1);
	assert_int_equal(bench->display.down, 0);
}

/* What a peer may do wrong before and after the greeting. */
static void faults_end_the_session(void **state)
{
	static const uint8_t zeros[4096];
	static const struct {
		const char *what;
		uint16_t opcode;
		uint32_t bytes;
		bool greeted;
		uint32_t fault;
	} faults[] = {
			{"unknown message", 999, 0, true, BRIDGE_FAULT_MALFORMED},
			{"unknown message before hello", 999, 0, false, BRIDGE_FAULT_MALFORMED},
			{"message before hello", BRIDGE_SYNC_DONE, 4, false,
					BRIDGE_FAULT_MALFORMED},
			{"hello that cannot be read", BRIDGE_HELLO, 30, false,
					BRIDGE_FAULT_MALFORMED},
			{"hello too short", BRIDGE_HELLO, 1, false, BRIDGE_FAULT_MALFORMED},
			{"hello twice", BRIDGE_HELLO, 30, true, BRIDGE_FAULT_MALFORMED},
			{"message of the other side", BRIDGE_SYNC, 4, true, BRIDGE_FAULT_MALFORMED},
			{"message too short", BRIDGE_SYNC_DONE, 3, true, BRIDGE_FAULT_MALFORMED},
			{"message too long", BRIDGE_SYNC_DONE, 5, true, BRIDGE_FAULT_MALFORMED},
			{"message far too long", BRIDGE_SYNC_DONE, 4096, true,
					BRIDGE_FAULT_MALFORMED},
			{"frame above the limit", BRIDGE_SYNC_DONE, LIMIT_FRAME + 1, true,
					BRIDGE_FAULT_MALFORMED},
			{"length of 4 GiB", BRIDGE_SYNC_DONE, UINT32_MAX, true,
					BRIDGE_FAULT_MALFORMED},
	};
	struct bench *bench = *state;
	static char text[65536];

	bench_dial(bench);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		unsigned down = bench->display.down;

		skipped_ns += LIMIT_BACKOFF_MAX_MS * CLOCK_NS_PER_MS;
		if (faults[i].greeted) {
			bench_connect_fake(bench, LIMIT_FRAME);
		} else {
			bench->peer = bench_accept(bench);
			peer_expect_hello(bench);
		}
		peer_send(bench, faults[i].opcode, faults[i].bytes <= sizeof(zeros) ? zeros : NULL,
				faults[i].bytes);
		peer_expect_error(bench, faults[i].fault);
		assert_int_equal(bench->display.down, down + faults[i].greeted);
		assert_int_equal(bench->display.frames, 0);
	}
	// At most two lines for each connection (up, and why it ended).
	assert_true(bench_log(bench, text) <= 2 * sizeof(faults) / sizeof(faults[0]));
}

static void roles_are_checked(void **state)
{
	static const uint32_t roles[] = {BRIDGE_ROLE_DISPLAY, BRIDGE_ROLE_GPU, BRIDGE_ROLE_AUDIO};
	struct bench *bench = *state;

	bench_dial(bench);
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		skipped_ns += LIMIT_BACKOFF_MAX_MS * CLOCK_NS_PER_MS;
		bench->peer = bench_accept(bench);
		peer_expect_hello(bench);
		peer_send_hello(bench, 1, roles[i], LIMIT_FRAME);
		peer_expect_error(bench, BRIDGE_FAULT_ROLE);
	}
	assert_int_equal(bench->display.up, 0);
	assert_int_equal(bench->display.down, 0);
}

/* A peer of a later version is welcome: the lower version is spoken. */
static void later_version_is_welcome(void **state)
{
	struct bench *bench = *state;

	bench_dial(bench);
	bench->peer = bench_accept(bench);
	peer_expect_hello(bench);
	peer_send_hello(bench, BRIDGE_VERSION_NUMBER + 7, BRIDGE_ROLE_AGENT, LIMIT_FRAME);
	turn_until(bench, bench->display.up == 1);
}

/* Our own side hears of a refusal with the peer's words, once, and prints no control characters. */
static void error_is_heard(void **state)
{
	struct bench *bench = *state;
	struct bridge_error error = {
			.fault = BRIDGE_FAULT_NO_DEVICE, .detail = "DRM master\nis \x1b[2J taken"};
	uint8_t bytes[BRIDGE_ERROR_MAX];
	static char text[65536];

	bench_connect_fake(bench, LIMIT_FRAME);
	ssize_t length = bridge_error_encode(&error, bytes, sizeof(bytes));
	peer_send(bench, BRIDGE_ERROR, bytes, (size_t)length);
	turn_until(bench, bench->display.down == 1);
	assert_int_equal(bench->display.error, -ECONNABORTED);
	assert_non_null(strstr(bench->display.reason, "taken"));
	bench_log(bench, text);
	char *line = strstr(text, "DRM master?is ?[2J taken");
	assert_non_null(line);
	assert_null(strstr(line + 1, "DRM master"));
}

/* LIMIT_HELLO_MS: reached, refused; the next connection is in time. */
static void limit_hello(void **state)
{
	struct bench *bench = *state;

	bench_dial(bench);
	bench->peer = bench_accept(bench);
	peer_expect_hello(bench);
	skipped_ns += (LIMIT_HELLO_MS - 1000) * CLOCK_NS_PER_MS;
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(loop_turn(bench->loop, 1), 0);
	}
	char byte;
	assert_int_equal(recv(bench->peer, &byte, 1, MSG_DONTWAIT), -1);
	skipped_ns += 1000 * CLOCK_NS_PER_MS;
	peer_expect_error(bench, BRIDGE_FAULT_MALFORMED);
	skipped_ns += LIMIT_BACKOFF_MAX_MS * CLOCK_NS_PER_MS;
	bench_connect_fake(bench, LIMIT_FRAME);
}

/* How long the session waits before it dials again, after the connection was closed; in steps of 25
 * ms. */
static uint32_t bench_measure_wait(struct bench *bench)
{
	for (uint32_t waited_ms = 0; waited_ms < 10000; waited_ms += 25) {
		int fd = accept4(bench->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			bench->peer = fd;
			return waited_ms;
		}
		skipped_ns += 25 * CLOCK_NS_PER_MS;
		assert_int_equal(loop_turn(bench->loop, 0), 0);
		assert_int_equal(loop_turn(bench->loop, 0), 0);
	}
	fail();
	return 0;
}

/* LIMIT_BACKOFF_MIN_MS and _MAX_MS: waits double from one to the other; a good session starts them
 * anew, a short one does not. */
static void limit_backoff(void **state)
{
	struct bench *bench = *state;
	uint32_t expected_ms = LIMIT_BACKOFF_MIN_MS;

	bench_dial(bench);
	bench->peer = bench_accept(bench);
	for (unsigned i = 0; i < 8; i++) {
		if (i == 6) { // up, but not for long
			peer_expect_hello(bench);
			peer_send_hello(bench, 1, BRIDGE_ROLE_AGENT, LIMIT_FRAME);
			turn_until(bench, bench->display.up == 1);
		}
		fd_close(&bench->peer);
		// The end of file is found; the wait begins.
		for (unsigned turn = 0; turn < 3; turn++) {
			assert_int_equal(loop_turn(bench->loop, 0), 0);
		}
		uint32_t waited_ms = bench_measure_wait(bench);
		assert_in_range(waited_ms, expected_ms - 50, expected_ms + 50);
		expected_ms = expected_ms * 2 > LIMIT_BACKOFF_MAX_MS ? LIMIT_BACKOFF_MAX_MS
								     : expected_ms * 2;
	}
	assert_int_equal(expected_ms, LIMIT_BACKOFF_MAX_MS);
	peer_expect_hello(bench);
	peer_send_hello(bench, 1, BRIDGE_ROLE_AGENT, LIMIT_FRAME);
	turn_until(bench, bench->display.up == 2);
	skipped_ns += LIMIT_BACKOFF_MAX_MS * CLOCK_NS_PER_MS;
	assert_int_equal(loop_turn(bench->loop, 0), 0);
	fd_close(&bench->peer);
	turn_until(bench, bench->display.down == 2);
	assert_in_range(bench_measure_wait(bench), LIMIT_BACKOFF_MIN_MS - 50,
			LIMIT_BACKOFF_MIN_MS + 50);
}

/* Each way to refuse, 10,000 times. */
static void refusals_leave_a_handful_of_lines(void **state)
{
	enum { REFUSALS = 10000 };
	struct bench *bench = *state;
	static char text[65536];
	uint64_t seed = test_seed();
	unsigned refused = 0;

	bench_dial(bench);
	while (refused < REFUSALS) {
		bench->peer = accept4(bench->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (bench->peer < 0) {
			skipped_ns += LIMIT_BACKOFF_MAX_MS * CLOCK_NS_PER_MS;
			assert_int_equal(loop_turn(bench->loop, 0), 0);
			continue;
		}
		refused++;
		switch (test_random(&seed) % 3) {
		case 0:
			break;
		case 1:
			peer_send(bench, 999, NULL, 0);
			break;
		case 2:
			peer_send_hello(bench, 1, BRIDGE_ROLE_AGENT, LIMIT_FRAME);
			break;
		}
		fd_close(&bench->peer);
		for (unsigned turn = 0; turn < 4; turn++) {
			assert_int_equal(loop_turn(bench->loop, 0), 0);
		}
	}
	assert_in_range(bench->display.up, REFUSALS / 4, REFUSALS / 2);
	assert_int_equal(bench->display.down, bench->display.up);
	unsigned lines = bench_log(bench, text);
	if (lines < 1 || lines > 20) {
		fail_msg("%u lines:\n%.3000s", lines, text);
	}
}

/* An agent session whose peer, a fake display, has said hello. */
static void bench_accept_fake(struct bench *bench)
{
	int fds[2];

	assert_int_equal(
			socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	bench->peer = fds[0];
	assert_int_equal(session_accept(bench->loop, &agent_config, fds[1], &ops, &bench->agent,
					 &bench->agent.session),
			0);
	peer_send_hello(bench, 1, BRIDGE_ROLE_DISPLAY, LIMIT_FRAME);
	turn_until(bench, bench->agent.up == 1);
}

/* A frame whose rest comes bit by bit, then one that comes at once. */
static void rest_is_fetched(void **state)
{
	struct bench *bench = *state;
	static uint8_t sent[2 + PIXELS_MAX];
	uint64_t seed = test_seed();
	size_t done = 40000;

	bench_accept_fake(bench);
	bench->agent.fetches = true;
	test_noise(&seed, sent, sizeof(sent));
	peer_send(bench, BRIDGE_PIXELS, NULL, sizeof(sent));
	assert_int_equal(write(bench->peer, sent, done), done);
	while (done < sizeof(sent)) {
		size_t part = test_random(&seed) % 20000 + 1;

		turn_until(bench, bench->agent.have == done - 2);
		assert_int_equal(bench->agent.frames, 0);
		part = part < sizeof(sent) - done ? part : sizeof(sent) - done;
		assert_int_equal(write(bench->peer, sent + done, part), part);
		done += part;
	}
	turn_until(bench, bench->agent.frames == 1);
	assert_int_equal(bench->agent.have, PIXELS_MAX);
	assert_memory_equal(bench->agent.pixels, sent + 2, PIXELS_MAX);
	assert_true(bench->agent.calls > 10);
	peer_send(bench, BRIDGE_PIXELS, sent, 102);
	turn_until(bench, bench->agent.frames == 2);
	assert_int_equal(bench->agent.have, 100);
	assert_memory_equal(bench->agent.pixels, sent + 2, 100);
}

static void rest_is_skipped(void **state)
{
	struct bench *bench = *state;
	static uint8_t sent[2 + PIXELS_MAX];
	struct iovec part = {sent, sizeof(sent)};

	bench_connect(bench);
	assert_int_equal(session_send(bench->display.session, BRIDGE_PIXELS, 1, &part, 1), 0);
	part.iov_len = 4;
	assert_int_equal(session_send(bench->display.session, BRIDGE_SYNC, 2, &part, 1), 0);
	turn_until(bench, bench->agent.frames == 2);
	assert_int_equal(bench->agent.opcode, BRIDGE_SYNC);
}

static void refused_send_is_called_back(void **state)
{
	struct bench *bench = *state;
	static uint8_t sent[2 + PIXELS_MAX];
	struct iovec part = {sent, sizeof(sent)};
	unsigned count = 0;

	bench_connect(bench);
	while (session_send(bench->display.session, BRIDGE_PIXELS, 1, &part, 1) == 0) {
		count++;
	}
	assert_int_equal(session_send(bench->display.session, BRIDGE_PIXELS, 1, &part, 1), -EAGAIN);
	turn_until(bench, bench->display.writable == 1);
	assert_int_equal(session_send(bench->display.session, BRIDGE_PIXELS, 1, &part, 1), 0);
	turn_until(bench, bench->agent.frames == count + 1);
}

static void peer_limits_our_frames(void **state)
{
	struct bench *bench = *state;
	static uint8_t sent[5000];
	struct iovec parts[2] = {{sent, 2}, {sent, 4094}};

	bench_connect_fake(bench, 4096);
	assert_int_equal(session_send(bench->display.session, BRIDGE_PIXELS, 0, parts, 2), 0);
	parts[1].iov_len++;
	assert_int_equal(session_send(bench->display.session, BRIDGE_PIXELS, 0, parts, 2),
			-EMSGSIZE);
}

static void handler_refuses(void **state)
{
	struct bench *bench = *state;

	bench->display.answer = -EBADMSG;
	bench_connect_fake(bench, LIMIT_FRAME);
	peer_send(bench, BRIDGE_SYNC_DONE, "abcd", 4);
	peer_send(bench, BRIDGE_SYNC_DONE, "abcd", 4);
	peer_expect_error(bench, BRIDGE_FAULT_MALFORMED);
	assert_int_equal(bench->display.frames, 1);
	assert_int_equal(bench->display.down, 1);
	assert_int_equal(bench->display.error, -EBADMSG);
	assert_non_null(strstr(bench->display.reason, "sync_done"));
}

static void fail_in_and_out_of_a_handler(void **state)
{
	struct bench *bench = *state;

	bench->display.fails = "an answer to no question";
	bench_connect_fake(bench, LIMIT_FRAME);
	peer_send(bench, BRIDGE_SYNC_DONE, "abcd", 4);
	peer_expect_error(bench, BRIDGE_FAULT_MALFORMED);
	assert_int_equal(bench->display.down, 1);
	assert_int_equal(bench->display.error, -EILSEQ);
	assert_string_equal(bench->display.reason, "an answer to no question");
	skipped_ns += LIMIT_BACKOFF_MAX_MS * CLOCK_NS_PER_MS;
	bench_connect_fake(bench, LIMIT_FRAME);
	session_fail(bench->display.session, -ETIMEDOUT, "no answer in time");
	session_fail(bench->display.session, -EIO, "the second reason does not count");
	assert_int_equal(bench->display.down, 1); // from the loop
	assert_false(session_is_up(bench->display.session));
	peer_expect_error(bench, BRIDGE_FAULT_MALFORMED);
	assert_int_equal(bench->display.down, 2);
	assert_int_equal(bench->display.error, -ETIMEDOUT);
}

/* The owner of an accepted session hears of its end even if it never came up. */
static void accepted_session_ends(void **state)
{
	struct bench *bench = *state;
	int fds[2];

	bench->agent.destroys = DESTROY_IN_DOWN;
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
						 fds),
				0);
		bench->peer = fds[0];
		assert_int_equal(session_accept(bench->loop, &agent_config, fds[1], &ops,
						 &bench->agent, &bench->agent.session),
				0);
		if (i == 2) {
			peer_send(bench, 999, NULL, 0);
		}
		if (i == 3) {
			peer_send_hello(bench, 1, BRIDGE_ROLE_DISPLAY, LIMIT_FRAME);
			turn_until(bench, bench->agent.up == 1);
		}
		fd_close(&bench->peer);
		turn_until(bench, bench->agent.down == i);
		assert_null(bench->agent.session);
	}
	assert_int_equal(bench->agent.up, 1);
}

static void destroyed_in_up(void **state)
{
	struct bench *bench = *state;

	bench->display.destroys = DESTROY_IN_UP;
	bench_dial(bench);
	bench->peer = bench_accept(bench);
	peer_send_hello(bench, 1, BRIDGE_ROLE_AGENT, LIMIT_FRAME);
	peer_send(bench, BRIDGE_SYNC_DONE, "abcd", 4);
	turn_until(bench, bench->display.up == 1);
	assert_int_equal(loop_turn(bench->loop, 1), 0);
	assert_int_equal(bench->display.frames, 0);
}

static void destroyed_in_frame(void **state)
{
	struct bench *bench = *state;

	bench->display.destroys = DESTROY_IN_FRAME;
	bench_connect_fake(bench, LIMIT_FRAME);
	peer_send(bench, BRIDGE_SYNC_DONE, "abcd", 4);
	peer_send(bench, BRIDGE_SYNC_DONE, "abcd", 4);
	turn_until(bench, bench->display.frames == 1);
	assert_int_equal(loop_turn(bench->loop, 1), 0);
	assert_int_equal(bench->display.frames, 1);
	assert_int_equal(bench->display.down, 0);
}

static void destroyed_in_down(void **state)
{
	struct bench *bench = *state;

	bench->display.destroys = DESTROY_IN_DOWN;
	bench_connect_fake(bench, LIMIT_FRAME);
	fd_close(&bench->peer);
	turn_until(bench, bench->display.down == 1);
	assert_int_equal(loop_turn(bench->loop, 1), 0);
}

/* A peer that floods does not keep the rest of the loop from running. */
static void on_tick(void *data)
{
	unsigned *ticks = data;

	(*ticks)++;
}

static void flood_leaves_turns_to_others(void **state)
{
	enum { FRAMES = 200 };
	struct bench *bench = *state;
	struct loop_source *timer;
	unsigned ticks = 0;

	bench_connect_fake(bench, LIMIT_FRAME);
	for (unsigned i = 0; i < FRAMES; i++) {
		peer_send(bench, BRIDGE_SYNC_DONE, "abcd", 4);
	}
	assert_int_equal(loop_add_timer(bench->loop, on_tick, &ticks, &timer), 0);
	loop_timer_arm(timer, 1);
	turn_until(bench, ticks == 1);
	assert_true(bench->display.frames < FRAMES);
	turn_until(bench, bench->display.frames == FRAMES);
	loop_source_remove(timer);
}

static void epochs_differ(void **state)
{
	(void)state;
	assert_true(session_make_epoch() != session_make_epoch());
}

int main(void)
{
	log_init("test");
	const struct CMUnitTest tests[] = {
			TEST_WITH(greets_and_carries, bench_setup, bench_teardown),
			TEST_WITH(dials_again, bench_setup, bench_teardown),
			TEST_WITH(dials_when_nobody_is_there_yet, bench_setup, bench_teardown),
			TEST_WITH(faults_end_the_session, bench_setup, bench_teardown),
			TEST_WITH(roles_are_checked, bench_setup, bench_teardown),
			TEST_WITH(later_version_is_welcome, bench_setup, bench_teardown),
			TEST_WITH(error_is_heard, bench_setup, bench_teardown),
			TEST_WITH(limit_hello, bench_setup, bench_teardown),
			TEST_WITH(limit_backoff, bench_setup, bench_teardown),
			TEST_WITH(refusals_leave_a_handful_of_lines, bench_setup, bench_teardown),
			TEST_WITH(rest_is_fetched, bench_setup, bench_teardown),
			TEST_WITH(rest_is_skipped, bench_setup, bench_teardown),
			TEST_WITH(refused_send_is_called_back, bench_setup, bench_teardown),
			TEST_WITH(peer_limits_our_frames, bench_setup, bench_teardown),
			TEST_WITH(handler_refuses, bench_setup, bench_teardown),
			TEST_WITH(fail_in_and_out_of_a_handler, bench_setup, bench_teardown),
			TEST_WITH(accepted_session_ends, bench_setup, bench_teardown),
			TEST_WITH(destroyed_in_up, bench_setup, bench_teardown),
			TEST_WITH(destroyed_in_frame, bench_setup, bench_teardown),
			TEST_WITH(destroyed_in_down, bench_setup, bench_teardown),
			TEST_WITH(flood_leaves_turns_to_others, bench_setup, bench_teardown),
			TEST(epochs_differ),
	};

	return test_main("session", tests);
}
