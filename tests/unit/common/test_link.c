/* common/link.c over a pair of stream sockets: both ends are links of one loop, or the other end is
 * a plain socket. */
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/limits.h"
#include "common/link.h"

/* One end, and what happened to it. */
struct end {
	struct link *link;
	unsigned readable;
	unsigned writable;
	unsigned closed;
	int error;
	void (*on_readable)(struct end *end);
	unsigned frames;
	uint64_t bytes;
	uint64_t seed; // of the frames that are awaited
	struct link_frame last;
};

struct bench {
	struct loop *loop;
	struct end a;
	struct end b;
	int peer; // plain socket in place of b, or -1
};

static void end_readable(void *data)
{
	struct end *end = data;

	end->readable++;
	if (end->on_readable != NULL) {
		end->on_readable(end);
	}
}

static void end_writable(void *data)
{
	struct end *end = data;

	end->writable++;
}

static void end_closed(void *data, int error)
{
	struct end *end = data;

	end->closed++;
	end->error = error;
}

static const struct link_ops end_ops = {end_readable, end_writable, end_closed};

static void on_readable_count(struct end *end)
{
	while (link_recv(end->link, &end->last) == 1) {
		end->frames++;
		end->bytes += end->last.header.length;
	}
}

static int bench_setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int fds[2];
	int buffer_bytes = 8192;

	assert_int_equal(loop_create(&bench->loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	// Small buffers of the system: frames are cut everywhere.
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(buffer_bytes));
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(buffer_bytes));
	bench->peer = -1;
	assert_int_equal(link_create(bench->loop, fds[0], &end_ops, &bench->a, &bench->a.link), 0);
	assert_int_equal(link_create(bench->loop, fds[1], &end_ops, &bench->b, &bench->b.link), 0);
	bench->a.on_readable = on_readable_count;
	bench->b.on_readable = on_readable_count;
	*state = bench;
	return 0;
}

/* Replaces link b by a plain socket, blocking. */
static int bench_setup_plain(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	int fds[2];

	assert_int_equal(loop_create(&bench->loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(link_create(bench->loop, fds[0], &end_ops, &bench->a, &bench->a.link), 0);
	bench->a.on_readable = on_readable_count;
	bench->peer = fds[1];
	*state = bench;
	return 0;
}

static int bench_teardown(void **state)
{
	struct bench *bench = *state;

	link_destroy(bench->a.link);
	link_destroy(bench->b.link);
	loop_destroy(bench->loop);
	fd_close(&bench->peer);
	free(bench);
	return 0;
}

static int send_bytes(struct link *link, uint16_t opcode, const void *bytes, size_t length)
{
	struct iovec iov = {(void *)(uintptr_t)bytes, length};

	return link_send(link, opcode, 0, 0, &iov, 1);
}

static void frame_as_sent(void **state)
{
	struct bench *bench = *state;
	struct iovec iov[3] = {{(char[]) {"one"}, 3}, {NULL, 0}, {(char[]) {"two"}, 3}};

	assert_int_equal(link_send(bench->a.link, 0x1234, 0x5678, 0x9abcdef0, iov, 3), 0);
	assert_int_equal(link_queued_bytes(bench->a.link), LINK_HEADER_BYTES + 6);
	test_wait(bench->loop, bench->b.frames == 1);
	assert_int_equal(link_queued_bytes(bench->a.link), 0);
	assert_int_equal(bench->b.last.header.length, 6);
	assert_int_equal(bench->b.last.header.opcode, 0x1234);
	assert_int_equal(bench->b.last.header.flags, 0x5678);
	assert_int_equal(bench->b.last.header.serial, 0x9abcdef0);
	assert_int_equal(bench->b.last.payload_bytes, 6);
	assert_int_equal(bench->b.last.rest_bytes, 0);
	assert_memory_equal(bench->b.last.payload, "onetwo", 6);
	assert_int_equal(link_counters(bench->a.link)->sent_frames, 1);
	assert_int_equal(link_counters(bench->a.link)->sent_bytes, 18);
	assert_int_equal(link_counters(bench->b.link)->received_frames, 1);
	assert_int_equal(link_counters(bench->b.link)->received_bytes, 18);
}

/* The bytes of a frame, as the protocol says. */
static void frame_on_the_wire(void **state)
{
	struct bench *bench = *state;
	static const uint8_t expected[] = {
			2, 0, 0, 0, 0x34, 0x12, 0x78, 0x56, 0xf0, 0xde, 0xbc, 0x9a, 'h', 'i'};
	uint8_t bytes[64];
	struct iovec iov = {(char[]) {"hi"}, 2};

	assert_int_equal(link_send(bench->a.link, 0x1234, 0x5678, 0x9abcdef0, &iov, 1), 0);
	assert_int_equal(recv(bench->peer, bytes, sizeof(bytes), MSG_DONTWAIT), -1); // corked
	assert_int_equal(loop_turn(bench->loop, 0), 0);
	assert_int_equal(read(bench->peer, bytes, sizeof(bytes)), sizeof(expected));
	assert_memory_equal(bytes, expected, sizeof(expected));
	assert_int_equal(link_send(bench->a.link, 1, 0, 0, NULL, 0), 0);
	assert_int_equal(link_flush(bench->a.link), 0);
	assert_int_equal(recv(bench->peer, bytes, sizeof(bytes), MSG_DONTWAIT), LINK_HEADER_BYTES);
}

/* The length of a random frame: mostly small, some around each threshold, some of the largest. */
static size_t random_length(uint64_t *seed)
{
	static const size_t edges[] = {
			0, 1, LIMIT_FRAME_HEAD, LIMIT_FRAME_WHOLE, 16384, 65536, LIMIT_FRAME - 1};
	uint64_t random = test_random(seed);

	switch (random % 8) {
	case 0:
		return random / 8 % (LIMIT_FRAME + 1);
	case 1:
	case 2: {
		size_t edge = edges[random / 8 % 7];
		size_t shift = random / 64 % 3;

		return edge + shift > 0 ? edge + shift - 1 : 0;
	}
	default:
		return random / 8 % 200;
	}
}

/* Takes frames and compares each byte with what the seed says; the rest by parts of random size, or
 * skipped. */
static void on_readable_verify(struct end *end)
{
	static uint8_t payload[LIMIT_FRAME];
	static uint8_t expected[LIMIT_FRAME];
	static size_t have;
	static size_t skip;

	for (;;) {
		if (end->last.rest_bytes > 0) {
			uint64_t chunk_seed = end->seed ^ have;
			size_t chunk = test_random(&chunk_seed) % 40000 + 1;
			ssize_t got = link_recv_into(end->link, payload + have, chunk);

			if (got == -EAGAIN) {
				return;
			}
			assert_true(got > 0 && (size_t)got <= chunk);
			have += (size_t)got;
			end->last.rest_bytes -= (uint32_t)got;
			if (end->last.rest_bytes > skip) {
				continue;
			}
			assert_memory_equal(payload, expected, have);
			end->frames++;
			end->last.rest_bytes = 0;
		}
		if (link_recv(end->link, &end->last) != 1) {
			return;
		}
		size_t length = random_length(&end->seed);
		test_noise(&end->seed, expected, length);
		assert_int_equal(end->last.header.length, length);
		assert_int_equal(end->last.payload_bytes + end->last.rest_bytes, length);
		assert_int_equal(end->last.payload_bytes,
				length <= LIMIT_FRAME_WHOLE ? length : LIMIT_FRAME_HEAD);
		assert_memory_equal(end->last.payload, expected, end->last.payload_bytes);
		memcpy(payload, end->last.payload, end->last.payload_bytes);
		have = end->last.payload_bytes;
		// Of some the last part is never fetched.
		skip = length % 3 == 0 ? length % 1000 : 0;
		if (end->last.rest_bytes <= skip) {
			end->frames++;
			end->last.rest_bytes = 0;
		}
	}
}

static void random_frames_arrive_in_order(void **state)
{
	enum { FRAMES = 3000 };
	struct bench *bench = *state;
	static uint8_t payload[LIMIT_FRAME];
	uint64_t seed = test_seed();
	unsigned refused = 0;

	bench->b.on_readable = on_readable_verify;
	bench->b.seed = seed;
	for (unsigned i = 0; i < FRAMES; i++) {
		size_t length = random_length(&seed);
		struct iovec iov[2] = {
				{payload, length / 2}, {payload + length / 2, length - length / 2}};

		test_noise(&seed, payload, length);
		while (link_send(bench->a.link, 1, 0, i, iov, 2) == -EAGAIN) {
			unsigned writable = bench->a.writable;

			refused++;
			test_wait(bench->loop, bench->a.writable != writable);
		}
		memset(payload, 0xee, length); // it was copied or written
	}
	test_wait(bench->loop, bench->b.frames == FRAMES);
	assert_int_equal(bench->a.closed + bench->b.closed, 0);
	assert_true(refused > 0);
	assert_int_equal(bench->a.writable, refused);
	assert_int_equal(link_counters(bench->a.link)->sent_bytes,
			link_counters(bench->b.link)->received_bytes);
}

/* LIMIT_LINK_QUEUE: reached, refused, released, succeeds again. */
static void limit_queue(void **state)
{
	struct bench *bench = *state;
	static uint8_t payload[4096 - LINK_HEADER_BYTES];
	unsigned sent = 0;

	link_pause(bench->b.link, 1);
	while (send_bytes(bench->a.link, 1, payload, sizeof(payload)) == 0) {
		sent++;
		assert_true(link_queued_bytes(bench->a.link) <= LIMIT_LINK_QUEUE);
		assert_true(sent < 10000);
	}
	assert_int_equal(send_bytes(bench->a.link, 1, payload, sizeof(payload)), -EAGAIN);
	assert_true(link_queued_bytes(bench->a.link) > LIMIT_LINK_QUEUE - 4096);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(loop_turn(bench->loop, 10), 0);
	}
	assert_int_equal(bench->a.writable, 0); // no room yet
	assert_int_equal(bench->b.frames, 0);
	link_pause(bench->b.link, 0);
	test_wait(bench->loop, bench->a.writable == 1);
	assert_int_equal(send_bytes(bench->a.link, 1, payload, sizeof(payload)), 0);
	test_wait(bench->loop, bench->b.frames == sent + 1);
	assert_int_equal(bench->a.writable, 1);
}

/* LIMIT_FRAME, at both ends. */
static void limit_frame(void **state)
{
	struct bench *bench = *state;
	static uint8_t payload[LIMIT_FRAME + 1];
	struct iovec overflow[2] = {{payload, 8}, {payload, SIZE_MAX - 4}};

	assert_int_equal(send_bytes(bench->a.link, 1, payload, LIMIT_FRAME + 1), -EMSGSIZE);
	assert_int_equal(link_send(bench->a.link, 1, 0, 0, overflow, 2), -EMSGSIZE);
	assert_int_equal(send_bytes(bench->a.link, 1, payload, LIMIT_FRAME), 0);
	test_wait(bench->loop, bench->b.frames == 1);
	assert_int_equal(bench->b.bytes, LIMIT_FRAME);
	assert_int_equal(bench->b.last.rest_bytes, LIMIT_FRAME - LIMIT_FRAME_HEAD);
	assert_int_equal(send_bytes(bench->a.link, 1, payload, LIMIT_FRAME_WHOLE), 0);
	test_wait(bench->loop, bench->b.frames == 2);
	assert_int_equal(bench->b.last.rest_bytes, 0);
	assert_int_equal(send_bytes(bench->a.link, 1, payload, LIMIT_FRAME_WHOLE + 1), 0);
	test_wait(bench->loop, bench->b.frames == 3);
	assert_int_equal(bench->b.last.payload_bytes, LIMIT_FRAME_HEAD);
}

static void too_long_a_frame_is_refused(void **state)
{
	struct bench *bench = *state;
	const uint32_t length = LIMIT_FRAME + 1;
	uint8_t header[LINK_HEADER_BYTES] = {length & 0xff, length >> 8 & 0xff, length >> 16 & 0xff,
			(uint8_t)(length >> 24)};
	struct link_frame frame;

	bench->a.on_readable = NULL;
	assert_int_equal(write(bench->peer, header, sizeof(header)), sizeof(header));
	assert_int_equal(link_recv(bench->a.link, &frame), -EBADMSG);
	assert_int_equal(link_recv(bench->a.link, &frame), -EBADMSG);
	header[0] = header[1] = header[2] = header[3] = 0xff;
	assert_int_equal(bench->a.closed, 0);
}

/* A frame may come byte by byte; half a frame at the end of file is none. */
static void end_of_file_once(void **state)
{
	struct bench *bench = *state;
	static const uint8_t bytes[] = {2, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 'h', 'i', 2, 0, 0, 0};

	for (size_t i = 0; i < sizeof(bytes); i++) {
		assert_int_equal(bench->a.frames, i >= 14);
		assert_int_equal(write(bench->peer, bytes + i, 1), 1);
		assert_int_equal(loop_turn(bench->loop, 1000), 0);
	}
	fd_close(&bench->peer);
	test_wait(bench->loop, bench->a.closed == 1);
	assert_int_equal(bench->a.error, 0);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(loop_turn(bench->loop, 1), 0);
	}
	assert_int_equal(bench->a.closed, 1);
	assert_int_equal(bench->a.frames, 1);
	assert_int_equal(send_bytes(bench->a.link, 1, "x", 1), -EPIPE);
	assert_int_equal(link_flush(bench->a.link), -EPIPE);
}

/* The peer said something and went away; what we write fails, what it said still arrives. */
static void last_words_arrive(void **state)
{
	struct bench *bench = *state;
	static const uint8_t words[] = {2, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 'h', 'i'};

	assert_int_equal(write(bench->peer, words, sizeof(words)), sizeof(words));
	fd_close(&bench->peer);
	assert_int_equal(send_bytes(bench->a.link, 1, "x", 1), 0);
	assert_int_equal(link_flush(bench->a.link), -EPIPE);
	assert_int_equal(send_bytes(bench->a.link, 1, "x", 1), -EPIPE);
	assert_int_equal(bench->a.closed, 0); // not from within a send
	test_wait(bench->loop, bench->a.closed == 1);
	assert_int_equal(bench->a.error, -EPIPE);
	assert_int_equal(bench->a.frames, 1);
}

static void pause_holds_frames_back(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(send_bytes(bench->a.link, 1, "x", 1), 0);
	link_pause(bench->b.link, 1);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(loop_turn(bench->loop, 5), 0);
	}
	assert_int_equal(bench->b.readable, 0);
	link_pause(bench->b.link, 0);
	test_wait(bench->loop, bench->b.frames == 1);
}

static void on_readable_take_one(struct end *end)
{
	if (link_recv(end->link, &end->last) == 1) {
		end->frames++;
		link_pause(end->link, 1);
	}
}

/* Frames that were read already come after a pause though the socket is silent. */
static void pause_with_frames_in_the_buffer(void **state)
{
	struct bench *bench = *state;

	bench->b.on_readable = on_readable_take_one;
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(send_bytes(bench->a.link, 1, "x", 1), 0);
	}
	for (unsigned i = 1; i <= 5; i++) {
		test_wait(bench->loop, bench->b.frames == i);
		assert_int_equal(loop_turn(bench->loop, 1), 0);
		assert_int_equal(bench->b.frames, i);
		link_pause(bench->b.link, 0);
	}
}

static void on_readable_destroy(struct end *end)
{
	assert_int_equal(link_recv(end->link, &end->last), 1);
	end->frames++;
	link_destroy(end->link);
	end->link = NULL;
}

static void destroy_from_readable(void **state)
{
	struct bench *bench = *state;

	bench->b.on_readable = on_readable_destroy;
	assert_int_equal(send_bytes(bench->a.link, 1, "x", 1), 0);
	assert_int_equal(send_bytes(bench->a.link, 1, "x", 1), 0);
	test_wait(bench->loop, bench->a.closed == 1);
	assert_int_equal(bench->b.frames, 1);
	assert_int_equal(bench->b.closed, 0);
}

static void closed_destroys(void *data, int error)
{
	struct end *end = data;

	end_closed(data, error);
	link_destroy(end->link);
	end->link = NULL;
}

static void writable_destroys(void *data)
{
	struct end *end = data;

	end->writable++;
	link_destroy(end->link);
	end->link = NULL;
}

static void destroy_from_closed_and_writable(void **state)
{
	struct bench *bench = *state;
	static const struct link_ops ops = {end_readable, writable_destroys, closed_destroys};
	static uint8_t payload[60000];
	struct end ends[2] = {{.on_readable = NULL}, {.on_readable = on_readable_count}};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(
				link_create(bench->loop, fds[i], &ops, &ends[i], &ends[i].link), 0);
	}
	while (send_bytes(ends[0].link, 1, payload, sizeof(payload)) == 0) {
	}
	test_wait(bench->loop, ends[0].writable == 1 && ends[1].closed == 1);
	assert_null(ends[0].link);
	assert_null(ends[1].link);
	assert_int_equal(ends[0].closed, 0);
}

static void skipped_rests(void **state)
{
	struct bench *bench = *state;
	static uint8_t payload[LIMIT_FRAME];
	uint8_t byte;

	for (unsigned i = 0; i < 20; i++) {
		while (send_bytes(bench->a.link, 1, payload, LIMIT_FRAME - i) == -EAGAIN) {
			assert_int_equal(loop_turn(bench->loop, 100), 0);
		}
	}
	test_wait(bench->loop, bench->b.frames == 20);
	assert_int_equal(send_bytes(bench->a.link, 2, "x", 1), 0);
	test_wait(bench->loop, bench->b.frames == 21);
	assert_int_equal(bench->b.last.header.opcode, 2);
	assert_int_equal(link_recv_into(bench->b.link, &byte, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST_WITH(frame_as_sent, bench_setup, bench_teardown),
			TEST_WITH(frame_on_the_wire, bench_setup_plain, bench_teardown),
			TEST_WITH(random_frames_arrive_in_order, bench_setup, bench_teardown),
			TEST_WITH(limit_queue, bench_setup, bench_teardown),
			TEST_WITH(limit_frame, bench_setup, bench_teardown),
			TEST_WITH(too_long_a_frame_is_refused, bench_setup_plain, bench_teardown),
			TEST_WITH(end_of_file_once, bench_setup_plain, bench_teardown),
			TEST_WITH(last_words_arrive, bench_setup_plain, bench_teardown),
			TEST_WITH(pause_holds_frames_back, bench_setup, bench_teardown),
			TEST_WITH(pause_with_frames_in_the_buffer, bench_setup, bench_teardown),
			TEST_WITH(destroy_from_readable, bench_setup, bench_teardown),
			TEST_WITH(destroy_from_closed_and_writable, bench_setup, bench_teardown),
			TEST_WITH(skipped_rests, bench_setup, bench_teardown),
	};

	return test_main("link", tests);
}
