/* The vsock device with a well-behaved guest: handshake, streams both ways, credit, ends, restarts. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/limits.h"
#include "tests/unit/vsock/fake_guest.h"

#define STREAM_BYTES (1u << 20)

static const struct guest_mode plain = {.event_idx = true};

static void handshake_tells_features_and_cid(void **state)
{
	(void)state;
	struct guest *guest = guest_create(plain);
	guest_connect(guest);
	assert_int_equal(guest_ask(guest, VHOST_USER_GET_FEATURES), 0x170000000ull);
	uint64_t protocol = guest_ask(guest, VHOST_USER_GET_PROTOCOL_FEATURES);
	assert_int_equal(protocol,
			VHOST_USER_PROTOCOL_MQ | VHOST_USER_PROTOCOL_REPLY_ACK |
					VHOST_USER_PROTOCOL_CONFIG);
	assert_int_equal(guest_ask(guest, VHOST_USER_GET_QUEUE_NUM), 3);
	struct {
		uint32_t offset, size, flags;
		uint32_t bytes[2];
	} config = {0, 8, 0, {0, 0}};
	guest_send_message(guest, VHOST_USER_GET_CONFIG, 1, &config, sizeof(config), NULL, 0);
	assert_int_equal(guest_get_reply(guest, VHOST_USER_GET_CONFIG, &config, sizeof(config)),
			sizeof(config));
	assert_int_equal(config.bytes[0], GUEST_CID);
	assert_int_equal(config.bytes[1], 0);
	config.offset = 4;
	guest_send_message(guest, VHOST_USER_GET_CONFIG, 1, &config, sizeof(config), NULL, 0);
	assert_int_equal(guest_get_reply(guest, VHOST_USER_GET_CONFIG, &config, sizeof(config)), 0);
	guest_finish(guest);
}

static void acknowledgement_says_whether_it_worked(void **state)
{
	(void)state;
	uint64_t answer = 7;
	uint64_t one = 1;
	struct guest *guest = guest_create(plain);
	guest_connect(guest);
	guest_tell_u64(guest, VHOST_USER_SET_PROTOCOL_FEATURES, VHOST_USER_PROTOCOL_REPLY_ACK, -1);
	guest_send_message(guest, VHOST_USER_SET_OWNER, 9, NULL, 0, NULL, 0);
	assert_int_equal(guest_get_reply(guest, VHOST_USER_SET_OWNER, &answer, 8), 8);
	assert_int_equal(answer, 0);
	guest_send_message(guest, 99, 9, &one, sizeof(one), NULL, 0);
	assert_int_equal(guest_get_reply(guest, 99, &answer, 8), 8);
	assert_int_not_equal(answer, 0);
	guest_finish(guest);
}

/* The guest echoes COUNT bytes of the program and the program gets the same ones. */
static void echo_bytes(struct guest *guest, int fd, uint32_t guest_port, uint32_t host_port,
		uint32_t count)
{
	static uint8_t noise[STREAM_BYTES], answer[STREAM_BYTES];
	uint64_t seed = test_seed();
	uint32_t written = 0, received = 0, back = 0;
	uint64_t end_ns = clock_now_ns() + 20 * CLOCK_NS_PER_S;
	test_noise(&seed, noise, count);
	while (back < count) {
		assert_true(clock_now_ns() < end_ns);
		ssize_t done = written < count
				? send(fd, noise + written, count - written, MSG_DONTWAIT)
				: 0;
		written += done > 0 ? (uint32_t)done : 0;
		assert_int_equal(loop_turn(guest->loop, 0), 0);
		while (guest_poll(guest)) {
			if (guest->header.op != PACKET_RW) {
				assert_true(guest->header.op == PACKET_CREDIT_UPDATE ||
						guest->header.op == PACKET_CREDIT_REQUEST);
				guest_say(guest, PACKET_CREDIT_UPDATE, 0, guest_port, host_port);
				continue;
			}
			received += guest->header.length;
			guest->credit_taken += guest->header.length;
			guest_write(guest, guest_port, host_port, guest->payload,
					guest->header.length);
			done = recv(fd, answer + back, count - back, MSG_DONTWAIT);
			back += done > 0 ? (uint32_t)done : 0;
		}
		done = recv(fd, answer + back, count - back, MSG_DONTWAIT);
		back += done > 0 ? (uint32_t)done : 0;
	}
	assert_int_equal(received, count);
	assert_memory_equal(noise, answer, count);
}

static void host_opens_a_stream(struct guest_mode mode)
{
	uint32_t host_port = 0;
	struct guest *guest = guest_create(mode);
	guest_boot(guest);
	int fd = guest_open(guest, 1023, &host_port);
	echo_bytes(guest, fd, 1023, host_port, STREAM_BYTES);
	assert_true(guest->calls > 0);
	close(fd);
	guest_finish(guest);
}

static void streams_with_event_index(void **state)
{
	(void)state;
	host_opens_a_stream((struct guest_mode) {.event_idx = true});
}

static void streams_without_event_index(void **state)
{
	(void)state;
	host_opens_a_stream((struct guest_mode) {.event_idx = false});
}

static void streams_over_pipes(void **state)
{
	(void)state;
	host_opens_a_stream((struct guest_mode) {.pipes = true, .event_idx = true});
	host_opens_a_stream((struct guest_mode) {.pipes = true, .event_idx = false});
}

static void streams_in_split_buffers(void **state)
{
	(void)state;
	host_opens_a_stream((struct guest_mode) {.split = true, .event_idx = true});
	host_opens_a_stream((struct guest_mode) {.split = true, .indirect = true});
}

static void guest_opens_a_stream(void **state)
{
	(void)state;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	int listen_fd = host_listen(guest, 9);
	guest_say(guest, PACKET_REQUEST, 0, 2000, 9);
	guest_expect(guest, PACKET_RESPONSE);
	assert_int_equal(guest->header.src_port, 9);
	assert_int_equal(guest->header.dst_port, 2000);
	int fd = host_accept(guest, listen_fd);
	echo_bytes(guest, fd, 2000, 9, 100000);
	close(fd);
	close(listen_fd);
	guest_finish(guest);
}

static void nobody_serves_the_port(void **state)
{
	(void)state;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	guest_say(guest, PACKET_REQUEST, 0, 2000, 9);
	guest_expect(guest, PACKET_RST);
	assert_int_equal(guest->header.dst_port, 2000);
	assert_int_equal(guest->device->connections.count, 0);
	guest_finish(guest);
}

static void guest_refuses(void **state)
{
	(void)state;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	int fd = host_program(guest, 5);
	guest_expect(guest, PACKET_REQUEST);
	guest_say(guest, PACKET_RST, 0, 5, guest->header.src_port);
	host_expect_end(guest, fd);
	close(fd);
	guest_finish(guest);
}

static void no_guest_is_there(void **state)
{
	(void)state;
	struct guest *guest = guest_create(plain);
	int fd = host_program(guest, 5);
	host_expect_end(guest, fd);
	close(fd);
	guest_finish(guest);
}

static void wrong_greetings_are_closed(void **state)
{
	static const char *const greetings[] = {"CONNECT\n", "CONNECT x\n", "CONNECT 4294967296\n",
			"connect 5\n", "CONNECT 5 \n", "CONNECT -1\n",
			"CONNECT 00000000000000000005\n"};
	(void)state;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	for (size_t i = 0; i < sizeof(greetings) / sizeof(greetings[0]); i++) {
		int fd = host_connect_silently(guest);
		host_write(guest, fd, greetings[i], strlen(greetings[i]));
		host_expect_end(guest, fd);
		close(fd);
	}
	guest_expect_silence(guest);
	assert_int_equal(guest->device->host.greeting_count, 0);
	guest_finish(guest);
}

/* What follows CONNECT in the same write belongs to the stream. */
static void bytes_behind_the_greeting_are_kept(void **state)
{
	(void)state;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	int fd = host_program(guest, 5);
	host_write(guest, fd, "early", 5);
	guest_expect(guest, PACKET_REQUEST);
	guest_expect_silence(guest);
	guest_say(guest, PACKET_RESPONSE, 0, 5, guest->header.src_port);
	guest_expect(guest, PACKET_RW);
	assert_int_equal(guest->header.length, 5);
	assert_memory_equal(guest->payload, "early", 5);
	close(fd);
	guest_finish(guest);
}

static void guest_credit_is_kept_to(void **state)
{
	(void)state;
	static uint8_t bytes[5000];
	uint32_t host_port = 0;
	struct guest *guest = guest_create(plain);
	guest->credit_buffer = 1000;
	guest_boot(guest);
	int fd = guest_open(guest, 5, &host_port);
	host_write(guest, fd, bytes, sizeof(bytes));
	guest_expect(guest, PACKET_RW);
	assert_int_equal(guest->header.length, 1000);
	guest_expect(guest, PACKET_CREDIT_REQUEST);
	guest_expect_silence(guest);
	guest_say(guest, PACKET_CREDIT_UPDATE, 0, 5, host_port); // still nothing free
	guest_expect_silence(guest);
	guest->credit_taken = 400;
	guest_say(guest, PACKET_CREDIT_UPDATE, 0, 5, host_port);
	guest_expect(guest, PACKET_RW);
	assert_int_equal(guest->header.length, 400);
	guest_expect(guest, PACKET_CREDIT_REQUEST);
	guest->credit_buffer = 100; // it may take room back, but that only stops us
	guest_say(guest, PACKET_CREDIT_UPDATE, 0, 5, host_port);
	guest_expect_silence(guest);
	guest->credit_buffer = 100000;
	guest_say(guest, PACKET_CREDIT_UPDATE, 0, 5, host_port);
	guest_expect(guest, PACKET_RW);
	assert_int_equal(guest->header.length, 3600);
	close(fd);
	guest_finish(guest);
}

static void our_credit_is_all_there(void **state)
{
	(void)state;
	static uint8_t bytes[LIMIT_VSOCK_BUFFER], back[LIMIT_VSOCK_BUFFER];
	uint32_t host_port = 0;
	uint64_t seed = test_seed();
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	int fd = guest_open(guest, 5, &host_port);
	assert_int_equal(guest->device->connections.count, 1);
	test_noise(&seed, bytes, sizeof(bytes));
	/* The program does not read: the socket fills, then the buffer, and no byte more may come. */
	uint32_t sent = 0;
	struct connection *connection = TAILQ_FIRST(&guest->device->connections.all);
	while (connection->buffer_bytes + 32768 <= LIMIT_VSOCK_BUFFER) {
		guest_write(guest, 5, host_port, bytes + sent % LIMIT_VSOCK_BUFFER, 32768);
		sent += 32768;
		guest_poll(guest);
	}
	uint32_t rest = LIMIT_VSOCK_BUFFER - connection->buffer_bytes;
	guest_write(guest, 5, host_port, bytes + sent % LIMIT_VSOCK_BUFFER, rest);
	sent += rest;
	assert_int_equal(connection->buffer_bytes, LIMIT_VSOCK_BUFFER);
	while (guest_poll(guest)) {
	}
	/* Reading makes room, and the guest hears of it; the bytes are the right ones. */
	for (uint32_t done = 0; done < sent;) {
		uint32_t piece =
				sent - done < LIMIT_VSOCK_BUFFER ? sent - done : LIMIT_VSOCK_BUFFER;
		host_read(guest, fd, back, piece);
		assert_memory_equal(back, bytes, piece);
		done += piece;
	}
	guest_expect(guest, PACKET_CREDIT_UPDATE);
	while (guest_poll(guest)) {
	}
	assert_int_equal(guest->header.buffer_bytes, LIMIT_VSOCK_BUFFER);
	assert_true(sent - guest->header.consumed_bytes < LIMIT_VSOCK_BUFFER / 2);
	close(fd);
	guest_finish(guest);
}

static void credit_is_told_when_asked(void **state)
{
	(void)state;
	uint32_t host_port = 0;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	int fd = guest_open(guest, 5, &host_port);
	guest_write(guest, 5, host_port, "abc", 3);
	guest_expect_silence(guest);
	guest_say(guest, PACKET_CREDIT_REQUEST, 0, 5, host_port);
	guest_expect(guest, PACKET_CREDIT_UPDATE);
	assert_int_equal(guest->header.consumed_bytes, 3);
	close(fd);
	guest_finish(guest);
}

static void host_ends_first(void **state)
{
	(void)state;
	char text[4];
	uint32_t host_port = 0;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	int fd = guest_open(guest, 5, &host_port);
	host_write(guest, fd, "last", 4);
	shutdown(fd, SHUT_WR);
	guest_expect(guest, PACKET_RW);
	guest_expect(guest, PACKET_SHUTDOWN);
	assert_int_equal(guest->header.flags, PACKET_NO_SEND);
	guest_write(guest, 5, host_port, "more", 4);
	host_read(guest, fd, text, 4);
	assert_memory_equal(text, "more", 4);
	guest_say(guest, PACKET_SHUTDOWN, PACKET_NO_SEND, 5, host_port);
	host_expect_end(guest, fd);
	guest_expect(guest, PACKET_SHUTDOWN);
	assert_int_equal(guest->header.flags, PACKET_NO_BOTH);
	assert_int_equal(guest->device->connections.count, 1);
	guest_say(guest, PACKET_RST, 0, 5, host_port);
	assert_int_equal(guest->device->connections.count, 0);
	close(fd);
	guest_finish(guest);
}

static void guest_ends_first(void **state)
{
	(void)state;
	char text[4];
	uint32_t host_port = 0;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	int fd = guest_open(guest, 5, &host_port);
	guest_write(guest, 5, host_port, "last", 4);
	guest_say(guest, PACKET_SHUTDOWN, PACKET_NO_SEND, 5, host_port);
	host_read(guest, fd, text, 4);
	host_expect_end(guest, fd);
	host_write(guest, fd, "more", 4);
	guest_expect(guest, PACKET_RW);
	assert_memory_equal(guest->payload, "more", 4);
	guest_say(guest, PACKET_SHUTDOWN, PACKET_NO_RECEIVE, 5, host_port);
	guest_expect(guest, PACKET_RST);
	assert_int_equal(guest->device->connections.count, 0);
	close(fd);
	guest_finish(guest);
}

static void guest_stops_receiving(void **state)
{
	(void)state;
	char text[4];
	uint32_t host_port = 0;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	int fd = guest_open(guest, 5, &host_port);
	guest_say(guest, PACKET_SHUTDOWN, PACKET_NO_RECEIVE, 5, host_port);
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	guest_expect_silence(guest);
	guest_write(guest, 5, host_port, "more", 4);
	host_read(guest, fd, text, 4);
	close(fd);
	guest_finish(guest);
}

/* A guest that closes at once after a large answer: the program still gets all of it. */
static void bytes_outlive_the_guests_end(void **state)
{
	(void)state;
	static uint8_t bytes[32768], back[32768];
	uint32_t host_port = 0;
	uint32_t sent = 0;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	int fd = guest_open(guest, 5, &host_port);
	struct connection *connection = TAILQ_FIRST(&guest->device->connections.all);
	while (connection->buffer_bytes < 2 * sizeof(bytes)) {
		memset(bytes, (int)(sent / sizeof(bytes)), sizeof(bytes));
		guest_write(guest, 5, host_port, bytes, sizeof(bytes));
		sent += (uint32_t)sizeof(bytes);
		guest_poll(guest);
	}
	while (guest_poll(guest)) {
	}
	guest_say(guest, PACKET_SHUTDOWN, PACKET_NO_BOTH, 5, host_port);
	guest_expect(guest, PACKET_RST);
	assert_int_equal(guest->device->connections.count, 1);
	for (uint32_t done = 0; done < sent; done += (uint32_t)sizeof(back)) {
		host_read(guest, fd, back, sizeof(back));
		memset(bytes, (int)(done / sizeof(bytes)), sizeof(bytes));
		assert_memory_equal(back, bytes, sizeof(bytes));
	}
	host_expect_end(guest, fd);
	assert_int_equal(guest->device->connections.count, 0);
	close(fd);
	guest_finish(guest);
}

static void host_closes_altogether(void **state)
{
	(void)state;
	uint32_t host_port = 0;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	int fd = guest_open(guest, 5, &host_port);
	close(fd);
	guest_expect(guest, PACKET_SHUTDOWN);
	assert_int_equal(guest->header.flags, PACKET_NO_SEND);
	guest_write(guest, 5, host_port, "nobody", 6);
	guest_expect(guest, PACKET_SHUTDOWN);
	assert_int_equal(guest->header.flags, PACKET_NO_BOTH);
	guest_say(guest, PACKET_SHUTDOWN, PACKET_NO_BOTH, 5, host_port);
	guest_expect(guest, PACKET_RST);
	assert_int_equal(guest->device->connections.count, 0);
	guest_finish(guest);
}

/* LIMIT_VSOCK_CONNECT_MS */
static void silent_guest_is_given_up(void **state)
{
	(void)state;
	uint32_t host_port = 0;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	int fd = host_program(guest, 5);
	guest_expect(guest, PACKET_REQUEST);
	struct connection *connection = TAILQ_FIRST(&guest->device->connections.all);
	assert_true(connection->deadline_ns >
			clock_now_ns() + (LIMIT_VSOCK_CONNECT_MS - 1000) * CLOCK_NS_PER_MS);
	connection->deadline_ns = 1; // as if the time had passed
	host_expect_end(guest, fd);
	guest_expect(guest, PACKET_RST);
	assert_int_equal(guest->device->connections.count, 0);
	close(fd);
	fd = guest_open(guest, 5, &host_port); // and the next one is served
	close(fd);
	guest_finish(guest);
}

/* LIMIT_VSOCK_CLOSE_MS: a guest that does not confirm the end of a stream does not keep its place. */
static void guest_never_confirms_the_end(void **state)
{
	(void)state;
	uint32_t host_port = 0;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	int fd = guest_open(guest, 5, &host_port);
	close(fd);
	guest_expect(guest, PACKET_SHUTDOWN);
	guest_write(guest, 5, host_port, "nobody", 6);
	guest_expect(guest, PACKET_SHUTDOWN);
	assert_int_equal(guest->header.flags, PACKET_NO_BOTH);
	struct connection *connection = TAILQ_FIRST(&guest->device->connections.all);
	uint64_t left_ns = connection->deadline_ns - clock_now_ns();
	assert_in_range(left_ns / CLOCK_NS_PER_MS, LIMIT_VSOCK_CLOSE_MS - 1000,
			LIMIT_VSOCK_CLOSE_MS);
	assert_int_equal(guest->device->connections.count, 1);
	connection->deadline_ns = 1; // as if the time had passed
	guest_expect(guest, PACKET_RST);
	assert_int_equal(guest->device->connections.count, 0);
	fd = guest_open(guest, 5, &host_port);
	close(fd);
	guest_finish(guest);
}

/* A stream that never ends does not keep another one waiting. */
static void streams_take_turns(void **state)
{
	(void)state;
	static uint8_t bytes[65536];
	uint32_t bulk_port = 0, small_port = 0;
	struct guest *guest = guest_create(plain);
	guest->credit_buffer = 1u << 30;
	guest_boot(guest);
	int bulk = guest_open(guest, 5, &bulk_port);
	int small = guest_open(guest, 6, &small_port);
	while (send(bulk, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
	}
	guest_settle(guest); // all receive buffers are full of bulk now
	while (send(bulk, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
	}
	host_write(guest, small, "!", 1);
	unsigned before = 0;
	for (;;) {
		guest_wait(guest, guest_poll(guest));
		if (guest->header.dst_port == 6) {
			break;
		}
		before++;
		(void)send(bulk, bytes, sizeof(bytes), MSG_DONTWAIT);
	}
	assert_int_equal(guest->payload[0], '!');
	assert_true(before <=
			32 + LIMIT_VSOCK_BUFFER / (GUEST_BUFFER_BYTES - PACKET_HEADER_BYTES) + 1);
	close(bulk);
	close(small);
	guest_finish(guest);
}

static void connections_are_limited(void **state)
{
	(void)state;
	static int fds[LIMIT_VSOCK_CONNECTIONS];
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	assert_true(limit.rlim_cur > 2 * LIMIT_VSOCK_CONNECTIONS + 64);
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	int listen_fd = host_listen(guest, 9);
	for (uint32_t i = 0; i < LIMIT_VSOCK_CONNECTIONS; i++) {
		guest_say(guest, PACKET_REQUEST, 0, 1000 + i, 9);
		guest_expect(guest, PACKET_RESPONSE);
		fds[i] = host_accept(guest, listen_fd);
	}
	guest_say(guest, PACKET_REQUEST, 0, 999, 9);
	guest_expect(guest, PACKET_RST);
	guest_say(guest, PACKET_RST, 0, 1000, 9);
	int one_more = host_accept(
			guest, listen_fd); // was accepted by the kernel before it was refused
	close(one_more);
	guest_say(guest, PACKET_REQUEST, 0, 999, 9);
	guest_expect(guest, PACKET_RESPONSE);
	one_more = host_accept(guest, listen_fd);
	assert_int_equal(guest->device->connections.count, LIMIT_VSOCK_CONNECTIONS);
	for (uint32_t i = 0; i < LIMIT_VSOCK_CONNECTIONS; i++) {
		close(fds[i]);
	}
	close(one_more);
	close(listen_fd);
	guest_finish(guest);
}

static void queues_stop_and_go_on(void **state)
{
	(void)state;
	uint32_t host_port = 0;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	int fd = guest_open(guest, 5, &host_port);
	uint16_t rx = guest_stop_queue(guest, VHOST_USER_RX);
	uint16_t tx = guest_stop_queue(guest, VHOST_USER_TX);
	assert_int_equal(rx, 1);
	assert_int_equal(tx, 1);
	host_write(guest, fd, "hello", 5);
	guest_settle(guest);
	guest_share_memory(guest); // at other places than before
	guest_start_queue(guest, VHOST_USER_RX, GUEST_RING_SIZE, rx);
	guest_start_queue(guest, VHOST_USER_TX, GUEST_RING_SIZE, tx);
	guest_expect(guest, PACKET_RW);
	assert_memory_equal(guest->payload, "hello", 5);
	close(fd);
	guest_finish(guest);
}

static void new_driver_ends_old_streams(void **state)
{
	(void)state;
	uint32_t host_port = 0;
	struct guest *guest = guest_create(plain);
	guest_boot(guest);
	int fd = guest_open(guest, 5, &host_port);
	guest_stop_queue(guest, VHOST_USER_RX);
	guest_stop_queue(guest, VHOST_USER_TX);
	guest_start_queue(guest, VHOST_USER_RX, GUEST_RING_SIZE, 0);
	guest_start_queue(guest, VHOST_USER_TX, GUEST_RING_SIZE, 0);
	host_expect_end(guest, fd);
	close(fd);
	guest_fill(guest, 32);
	fd = guest_open(guest, 5, &host_port);
	close(fd);
	guest_finish(guest);
}

static void new_front_end_ends_old_streams(void **state)
{
	(void)state;
	uint32_t host_port = 0;
	struct guest *guest = guest_create(plain);
	for (int i = 0; i < 3; i++) {
		guest_boot(guest);
		unsigned fds = test_count_fds();
		int fd = guest_open(guest, 5, &host_port);
		guest_disconnect(guest);
		host_expect_end(guest, fd);
		close(fd);
		assert_true(test_count_fds() < fds);
		assert_int_equal(guest->device->vhost_user.memory.count, 0);
	}
	guest_finish(guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(handshake_tells_features_and_cid),
			TEST(acknowledgement_says_whether_it_worked),
			TEST(streams_with_event_index),
			TEST(streams_without_event_index),
			TEST(streams_over_pipes),
			TEST(streams_in_split_buffers),
			TEST(guest_opens_a_stream),
			TEST(nobody_serves_the_port),
			TEST(guest_refuses),
			TEST(no_guest_is_there),
			TEST(wrong_greetings_are_closed),
			TEST(bytes_behind_the_greeting_are_kept),
			TEST(guest_credit_is_kept_to),
			TEST(our_credit_is_all_there),
			TEST(credit_is_told_when_asked),
			TEST(host_ends_first),
			TEST(guest_ends_first),
			TEST(guest_stops_receiving),
			TEST(bytes_outlive_the_guests_end),
			TEST(host_closes_altogether),
			TEST(silent_guest_is_given_up),
			TEST(guest_never_confirms_the_end),
			TEST(streams_take_turns),
			TEST(connections_are_limited),
			TEST(queues_stop_and_go_on),
			TEST(new_driver_ends_old_streams),
			TEST(new_front_end_ends_old_streams),
	};
	return test_main("vsock-streams", tests);
}
