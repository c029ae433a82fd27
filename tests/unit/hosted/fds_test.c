/* Descriptors on the move. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "tests/support/test.h"
#include "tests/unit/hosted/client.h"

static struct daemon one;

static int start(void **state)
{
	(void)state;
	daemon_start(&one);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	daemon_stop(&one);
	return 0;
}

static size_t send_fd(size_t handle, int fd, size_t more_flags)
{
	uint64_t number = (uint64_t)fd;

	return redox_sys_call_v0(handle, (uint8_t *)&number, sizeof(number),
			REDOX_CALL_WRITE | REDOX_CALL_FD | more_flags, (const uint64_t[]) {55}, 1);
}

static size_t receive_fd(size_t handle, uint64_t *number)
{
	*number = UINT64_MAX;
	return redox_sys_call_v0(handle, (uint8_t *)number, sizeof(*number),
			REDOX_CALL_READ | REDOX_CALL_FD, (const uint64_t[]) {66, 67}, 2);
}

/* redox-run.md 2.7, redox-abi.md 2.7 */
static void to_the_daemon_and_back(void **state)
{
	int pipe_fds[2];
	uint64_t number;
	char byte = 0;

	(void)state;
	size_t handle = client_open(DAEMON_PATH "/x");
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	/* The daemon's 77 is not what the client sees. */
	assert_int_equal(send_fd(handle, pipe_fds[1], 0), 1);
	assert_int_equal(fcntl(pipe_fds[1], F_GETFD), -1);
	struct scheme_sqe record = daemon_expect(&one, SCHEME_OP_SENDFD);
	assert_int_equal(record.args[2], 55);
	assert_int_equal(record.args[3], 1);
	assert_int_equal(receive_fd(handle, &number), 1);
	record = daemon_expect(&one, SCHEME_OP_RECVFD);
	assert_int_equal(record.args[2], 1);
	assert_int_equal(record.args[3], 66);
	assert_int_equal(record.args[4], 67);
	assert_int_equal(write((int)number, "x", 1), 1);
	assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	/* The daemon moved its copy: ours is the last. */
	close((int)number);
	assert_int_equal(read(pipe_fds[0], &byte, 1), 0);
	close(pipe_fds[0]);
	redox_close_v1(handle);
}

/* redox-run.md 2.7: consumed by a refusal too, unless FD_CLONE; fetched with a wrong count: EINVAL */
static void refusal_consumes(void **state)
{
	int pipe_fds[2];
	char byte;

	(void)state;
	size_t handle = client_open(DAEMON_PATH "/no-fds");
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_int_equal(
			redox_errno(send_fd(handle, pipe_fds[1], REDOX_CALL_FD_CLONE)), EOPNOTSUPP);
	assert_int_equal(fcntl(pipe_fds[1], F_GETFD), FD_CLOEXEC);
	assert_int_equal(redox_errno(send_fd(handle, pipe_fds[1], 0)), EOPNOTSUPP);
	assert_int_equal(fcntl(pipe_fds[1], F_GETFD), -1);
	assert_int_equal(read(pipe_fds[0], &byte, 1), 0);
	close(pipe_fds[0]);
	uint64_t number;
	assert_int_equal(redox_errno(receive_fd(handle, &number)), EIO);
	redox_close_v1(handle);

	handle = client_open(DAEMON_PATH "/x");
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	client_call(handle, DAEMON_OBTAIN_BAD, 0, (uint8_t *)"", 0);
	assert_int_equal(redox_errno(send_fd(handle, pipe_fds[1], 0)), EINVAL);
	assert_int_equal(read(pipe_fds[0], &byte, 1), 0);
	close(pipe_fds[0]);
	redox_close_v1(handle);
}

/* redox-abi.md 2.7, 1.8: an open may give any descriptor. */
static void open_gives_a_pipe(void **state)
{
	char text[8];

	(void)state;
	size_t fd = client_open(DAEMON_PATH "/pipe");
	assert_false(redox_failed(fd));
	assert_int_equal(redox_fcntl_v0(fd, REDOX_F_GETFD, 0), REDOX_FD_CLOEXEC);
	assert_int_equal(read((int)fd, text, sizeof(text)), 4);
	assert_memory_equal(text, "pipe", 4);
	assert_int_equal(redox_read_v1(fd, (uint8_t *)text, sizeof(text)), 0);
	redox_close_v1(fd);
}

/* A handle that moves keeps working in whatever process it lands. */
static void handles_move(void **state)
{
	uint64_t number;

	(void)state;
	size_t handle = client_open(DAEMON_PATH "/x");
	size_t sent = client_open(DAEMON_PATH "/short");
	daemon_seen(&one, 0);
	assert_int_equal(send_fd(handle, (int)sent, 0), 1);
	assert_int_equal(receive_fd(handle, &number), 1);
	uint8_t path[16];
	assert_int_equal(redox_fpath_v1(number, path, sizeof(path)), 5);
	assert_memory_equal(path, "short", 5);
	assert_false(daemon_seen(&one, SCHEME_OP_CLOSE_MSG));
	redox_close_v1(number);
	assert_int_equal(daemon_expect(&one, SCHEME_OP_CLOSE_MSG).args[0], 101);
	redox_close_v1(handle);
}

/* redox-abi.md 1.6: the root goes to init, which registers it. */
static void root_over_a_pipe(void **state)
{
	struct daemon unnamed = {0};
	int pipe_fds[2];
	uint64_t root;

	(void)state;
	daemon_use_test_dir();
	assert_int_equal(hosted_pipe(pipe_fds), 0);
	daemon_start_unnamed(&unnamed, pipe_fds[1]);
	assert_int_equal(receive_fd((size_t)pipe_fds[0], &root), 1);
	assert_int_equal(redox_register_scheme_to_ns_v0(
					 redox_get_ns_v0(), (const uint8_t *)"by.init", 7, root),
			0);
	size_t fd = client_open("/scheme/by.init/x");
	assert_int_equal(daemon_expect(&unnamed, SCHEME_OP_OPEN_AT).args[0], DAEMON_ROOT_ID);
	assert_int_equal(client_call(fd, DAEMON_ANSWER, 8, (uint8_t *)"", 0), 8);
	redox_close_v1(fd);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	daemon_stop(&unnamed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST_WITH(to_the_daemon_and_back, start, stop),
			TEST_WITH(refusal_consumes, start, stop),
			TEST_WITH(open_gives_a_pipe, start, stop),
			TEST_WITH(handles_move, start, stop),
			TEST_WITH(root_over_a_pipe, NULL, NULL),
	};

	return test_main("hosted-fds", tests);
}
