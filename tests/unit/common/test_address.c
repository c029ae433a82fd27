/* common/address.c: text, listening, dialling over unix, TCP on the loopback, and a vsock device's
 * unix socket. */
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/address.h"
#include "common/fd.h"
#include "common/limits.h"

static void parse_and_format(void **state)
{
	static const char *const good[] = {"unix:/run/agent.sock", "unix:relative",
			"vsock-unix:/tmp/a:b:512", "vsock:3:512", "vsock:any:512",
			"vsock:4294967294:4294967294", "tcp:127.0.0.1:1", "tcp:10.0.2.100:65535"};
	struct address address;
	const char *reason;
	char text[160];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(address_parse(good[i], &address, &reason), 0);
		assert_string_equal(address_format(&address, text, sizeof(text)), good[i]);
	}
	assert_int_equal(address_parse("vsock-unix:/tmp/a:b:512", &address, &reason), 0);
	assert_int_equal(address.kind, ADDRESS_VSOCK_UNIX);
	assert_string_equal(address.path, "/tmp/a:b");
	assert_int_equal(address.port, 512);
}

static void parse_refuses(void **state)
{
	static const char *const bad[] = {"", "unix", "unix:", "/run/x", "vsock-unix:/tmp/a",
			"vsock-unix::5", "vsock-unix:/tmp/a:", "vsock-unix:/tmp/a:0",
			"vsock-unix:/tmp/a:5x", "vsock:3", "vsock::5", "vsock:3:", "vsock:-1:5",
			"vsock:4294967295:5", "vsock:3:4294967295", "vsock:3:99999999999",
			"vsock:hypervisorhypervisor:5", "tcp:127.0.0.1", "tcp:localhost:80",
			"tcp:127.0.0.1:0", "tcp:127.0.0.1:65536", "tcp::80", "tcp:127.0.0.1: 80",
			"udp:127.0.0.1:80"};
	struct address address = {.port = 77};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *reason = NULL;

		assert_int_equal(address_parse(bad[i], &address, &reason), -EINVAL);
		assert_non_null(reason);
		assert_int_equal(address.port, 77);
	}
	char text[200] = "unix:";
	const char *reason = NULL;

	memset(text + 5, 'x', 107);
	assert_int_equal(address_parse(text, &address, &reason), 0);
	text[112] = 'x';
	assert_int_equal(address_parse(text, &address, &reason), -EINVAL);
}

struct bench {
	struct loop *loop;
	struct address address;
	int listener;
	int accepted;
	int dialled; // negative errno, or the socket
	unsigned calls;
	struct dial *dial;
};

static int bench_setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_int_equal(loop_create(&bench->loop), 0);
	bench->listener = -1;
	bench->accepted = -1;
	bench->dialled = -1;
	bench->address.kind = ADDRESS_UNIX;
	test_path(bench->address.path, sizeof(bench->address.path), "socket");
	*state = bench;
	return 0;
}

static int bench_teardown(void **state)
{
	struct bench *bench = *state;

	dial_cancel(bench->dial);
	fd_close(&bench->listener);
	fd_close(&bench->accepted);
	fd_close(&bench->dialled);
	loop_destroy(bench->loop);
	free(bench);
	return 0;
}

static void on_dialled(void *data, int fd)
{
	struct bench *bench = data;

	bench->dial = NULL;
	bench->dialled = fd;
	bench->calls++;
}

static int bench_dial(struct bench *bench, uint32_t timeout_ms)
{
	return dial_start(
			bench->loop, &bench->address, timeout_ms, on_dialled, bench, &bench->dial);
}

/* Both sides are there, non-blocking, closed on exec, and carry bytes. */
static void bench_check_connection(struct bench *bench)
{
	char byte = 0;

	test_wait(bench->loop, bench->calls == 1);
	assert_true(bench->dialled >= 0);
	assert_int_equal(fcntl(bench->dialled, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fcntl(bench->dialled, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	bench->accepted = accept(bench->listener, NULL, NULL);
	assert_true(bench->accepted >= 0);
	assert_int_equal(write(bench->dialled, "x", 1), 1);
	assert_int_equal(read(bench->accepted, &byte, 1), 1);
	assert_int_equal(byte, 'x');
}

static void dial_unix(void **state)
{
	struct bench *bench = *state;

	bench->listener = address_listen(&bench->address);
	assert_true(bench->listener >= 0);
	assert_int_equal(fcntl(bench->listener, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(accept(bench->listener, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(bench_dial(bench, 1000), 0);
	assert_int_equal(bench->calls, 0); // never from within dial_start
	bench_check_connection(bench);
}

static void dial_tcp(void **state)
{
	struct bench *bench = *state;
	uint64_t seed = test_seed();

	bench->address = (struct address) {.kind = ADDRESS_TCP, .path = "127.0.0.1"};
	for (unsigned tries = 0; bench->listener < 0; tries++) {
		assert_true(tries < 100);
		bench->address.port = 20000 + (uint32_t)(test_random(&seed) % 10000);
		bench->listener = address_listen(&bench->address);
	}
	assert_int_equal(address_listen(&bench->address), -EADDRINUSE);
	assert_int_equal(bench_dial(bench, 1000), 0);
	bench_check_connection(bench);
}

static void listen_refuses(void **state)
{
	struct bench *bench = *state;

	bench->address = (struct address) {.kind = ADDRESS_TCP, .path = "0.0.0.0", .port = 20001};
	assert_int_equal(address_listen(&bench->address), -EACCES);
	bench->address.kind = ADDRESS_VSOCK_UNIX;
	assert_int_equal(address_listen(&bench->address), -EOPNOTSUPP);
}

static void stale_socket_is_replaced(void **state)
{
	struct bench *bench = *state;

	int stale = address_listen(&bench->address);
	assert_true(stale >= 0);
	assert_int_equal(address_listen(&bench->address), -EADDRINUSE); // somebody is there
	assert_int_equal(access(bench->address.path, F_OK), 0);
	close(stale);
	bench->listener = address_listen(&bench->address);
	assert_true(bench->listener >= 0);
	assert_int_equal(bench_dial(bench, 1000), 0);
	bench_check_connection(bench);
}

static void other_files_are_not_removed(void **state)
{
	struct bench *bench = *state;
	FILE *file = fopen(bench->address.path, "w");

	fclose(file);
	assert_int_equal(address_listen(&bench->address), -EADDRINUSE);
	assert_int_equal(access(bench->address.path, F_OK), 0);
}

static void dial_nobody(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(bench_dial(bench, 1000), -ENOENT);
	int stale = address_listen(&bench->address);
	close(stale);
	assert_int_equal(bench_dial(bench, 1000), -ECONNREFUSED);
	assert_int_equal(loop_turn(bench->loop, 10), 0);
	assert_int_equal(bench->calls, 0);
	bench->address = (struct address) {.kind = ADDRESS_VSOCK, .cid = 0xffffffff, .port = 1};
	assert_int_equal(bench_dial(bench, 1000), -EINVAL);
}

/* The device at a vsock-unix address answers ANSWER byte by byte, then "frame". */
static void device_answer(struct bench *bench, const char *answer)
{
	char line[64];

	assert_int_equal(loop_turn(bench->loop, 1000), 0);
	bench->accepted = accept(bench->listener, NULL, NULL);
	assert_true(bench->accepted >= 0);
	ssize_t got = read(bench->accepted, line, sizeof(line) - 1);
	assert_true(got > 0);
	line[got] = '\0';
	assert_string_equal(line, "CONNECT 512\n");
	for (const char *byte = answer; *byte != '\0'; byte++) {
		assert_int_equal(bench->calls, 0);
		assert_int_equal(write(bench->accepted, byte, 1), 1);
		assert_int_equal(loop_turn(bench->loop, 0), 0);
	}
}

static void bench_listen_as_device(struct bench *bench)
{
	bench->listener = address_listen(&bench->address);
	assert_true(bench->listener >= 0);
	bench->address.kind = ADDRESS_VSOCK_UNIX;
	bench->address.port = 512;
}

static void dial_vsock_unix(void **state)
{
	struct bench *bench = *state;
	char text[16] = "";

	bench_listen_as_device(bench);
	assert_int_equal(bench_dial(bench, 5000), 0);
	device_answer(bench, "OK 1073741824");
	assert_int_equal(write(bench->accepted, "\nframe", 6), 6);
	test_wait(bench->loop, bench->calls == 1);
	assert_true(bench->dialled >= 0);
	// Nothing behind the line was taken.
	assert_int_equal(read(bench->dialled, text, sizeof(text)), 5);
	assert_string_equal(text, "frame");
}

static void dial_vsock_unix_refused(void **state)
{
	struct bench *bench = *state;

	bench_listen_as_device(bench);
	assert_int_equal(bench_dial(bench, 5000), 0);
	device_answer(bench, "");
	fd_close(&bench->accepted);
	test_wait(bench->loop, bench->calls == 1);
	assert_int_equal(bench->dialled, -ECONNREFUSED);
}

static void dial_vsock_unix_nonsense(void **state)
{
	struct bench *bench = *state;
	char flood[100];

	bench_listen_as_device(bench);
	assert_int_equal(bench_dial(bench, 5000), 0);
	device_answer(bench, "NO WAY");
	assert_int_equal(write(bench->accepted, "\n", 1), 1);
	test_wait(bench->loop, bench->calls == 1);
	assert_int_equal(bench->dialled, -EPROTO);
	fd_close(&bench->accepted);

	bench->calls = 0;
	memset(flood, 'O', sizeof(flood));
	assert_int_equal(bench_dial(bench, 5000), 0);
	device_answer(bench, "");
	assert_int_equal(write(bench->accepted, flood, sizeof(flood)), sizeof(flood));
	test_wait(bench->loop, bench->calls == 1);
	assert_int_equal(bench->dialled, -EPROTO);
}

static void dial_times_out(void **state)
{
	struct bench *bench = *state;

	bench_listen_as_device(bench);
	uint64_t start_ns = clock_now_ns();
	assert_int_equal(bench_dial(bench, 50), 0);
	test_wait(bench->loop, bench->calls == 1);
	assert_int_equal(bench->dialled, -ETIMEDOUT);
	assert_true(clock_now_ns() - start_ns >= 50 * CLOCK_NS_PER_MS);
}

static void dial_cancelled(void **state)
{
	struct bench *bench = *state;

	bench_listen_as_device(bench);
	assert_int_equal(bench_dial(bench, 10), 0);
	dial_cancel(bench->dial);
	bench->dial = NULL;
	assert_int_equal(loop_turn(bench->loop, 50), 0);
	assert_int_equal(bench->calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(parse_and_format),
			TEST(parse_refuses),
			TEST_WITH(dial_unix, bench_setup, bench_teardown),
			TEST_WITH(dial_tcp, bench_setup, bench_teardown),
			TEST_WITH(listen_refuses, bench_setup, bench_teardown),
			TEST_WITH(stale_socket_is_replaced, bench_setup, bench_teardown),
			TEST_WITH(other_files_are_not_removed, bench_setup, bench_teardown),
			TEST_WITH(dial_nobody, bench_setup, bench_teardown),
			TEST_WITH(dial_vsock_unix, bench_setup, bench_teardown),
			TEST_WITH(dial_vsock_unix_refused, bench_setup, bench_teardown),
			TEST_WITH(dial_vsock_unix_nonsense, bench_setup, bench_teardown),
			TEST_WITH(dial_times_out, bench_setup, bench_teardown),
			TEST_WITH(dial_cancelled, bench_setup, bench_teardown),
	};

	return test_main("address", tests);
}
