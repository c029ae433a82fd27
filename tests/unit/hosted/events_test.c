/* Waiting for handles and sockets, and the hostile variants of epoll and the clock. */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/support/test.h"
#include "tests/unit/hosted/client.h"

static struct daemon one;
static size_t handle;
static int epoll;

static int start(void **state)
{
	(void)state;
	daemon_start(&one);
	handle = client_open(DAEMON_PATH "/x");
	epoll = epoll_create1(EPOLL_CLOEXEC);
	return redox_failed(handle) || epoll < 0 ? -1 : 0;
}

static int stop(void **state)
{
	(void)state;
	close(epoll);
	redox_close_v1(handle);
	daemon_stop(&one);
	return 0;
}

static int control(int operation, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u64 = 42};

	return epoll_ctl(epoll, operation, (int)handle, &event);
}

static void wake(void)
{
	assert_int_equal(client_call(handle, DAEMON_WAKE, 0, (uint8_t *)"", 0), 0);
}

/* redox-abi.md 2.6 */
static void epoll_subscribes(void **state)
{
	struct epoll_event event;
	uint8_t byte;

	(void)state;
	assert_int_equal(control(EPOLL_CTL_ADD, EPOLLIN), 0);
	assert_int_equal(daemon_expect(&one, SCHEME_OP_FEVENT).args[1], SCHEME_EVENT_READ);
	assert_int_equal(epoll_wait(epoll, &event, 1, 0), 0);
	wake();
	assert_int_equal(epoll_wait(epoll, &event, 1, 5000), 1);
	assert_int_equal(event.data.u64, 42);
	assert_int_equal(redox_read_v1(handle, &byte, 1), 1);
	assert_int_equal(epoll_wait(epoll, &event, 1, 0), 0);
	assert_int_equal(control(EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT), 0);
	assert_int_equal(daemon_expect(&one, SCHEME_OP_FEVENT).args[1],
			SCHEME_EVENT_READ | SCHEME_EVENT_WRITE);
	assert_int_equal(control(EPOLL_CTL_DEL, 0), 0);
	assert_int_equal(daemon_expect(&one, SCHEME_OP_FEVENT).args[1], 0);
}

/* redox-run.md 1.7 */
static void poll_subscribes(void **state)
{
	struct pollfd waiting = {.fd = (int)handle, .events = POLLIN};

	(void)state;
	assert_int_equal(poll(&waiting, 1, 0), 0);
	assert_int_equal(daemon_expect(&one, SCHEME_OP_FEVENT).args[1], SCHEME_EVENT_READ);
	daemon_stop(&one);
	assert_int_equal(poll(&waiting, 1, 0), -1);
	assert_int_equal(errno, ENODEV);
	assert_int_equal(control(EPOLL_CTL_ADD, EPOLLIN), -1);
	assert_int_equal(errno, ENODEV);
}

#define child_assert(condition)                                                 \
	do {                                                                    \
		if (!(condition)) {                                             \
			print_message("# line %d: %s\n", __LINE__, #condition); \
			_exit(1);                                               \
		}                                                               \
	} while (0)

static void edge(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int fds[2];

	epoll = epoll_create1(EPOLL_CLOEXEC);
	child_assert(pipe(fds) == 0);
	child_assert(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event) == 0);
	child_assert(write(fds[1], "xy", 2) == 2);
	child_assert(epoll_wait(epoll, &event, 1, 5000) == 1);
	/* Nothing was read, and yet nothing more is said. */
	child_assert(epoll_wait(epoll, &event, 1, 20) == 0);
	close(fds[1]);
	child_assert(epoll_wait(epoll, &event, 1, 5000) == 1);
	child_assert(event.events == EPOLLIN);
}

/* The mode is read at the first use, so it takes a program of its own. */
static void run_again(const char *name, const char *value, const char *what)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		setenv(name, value, 1);
		execl("/proc/self/exe", "events_test", what, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* redox-abi.md 1.7 */
static void edge_mode(void **state)
{
	(void)state;
	run_again("REDOX_HOSTED_EVENTS", "edge", "edge");
}

/* Counts steps back; the clamp of common/clock.c must hide them all. */
static void clock_steps(void)
{
	int64_t last = 0;
	uint64_t clamped = 0;
	unsigned back = 0;

	for (unsigned i = 0; i < 200000; i++) {
		struct timespec now;
		child_assert(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
		int64_t ns = now.tv_sec * 1000000000 + now.tv_nsec;
		child_assert(ns > last - 80000000);
		back += ns < last;
		last = ns > last ? ns : last;
		uint64_t seen = clock_now_ns();
		child_assert(seen >= clamped);
		clamped = seen;
	}
	child_assert(back >= 10);
}

/* redox-run.md 1.7 */
static void hostile_clock(void **state)
{
	(void)state;
	run_again("REDOX_HOSTED_CLOCK", "hostile", "clock");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
			TEST_WITH(epoll_subscribes, start, stop),
			TEST_WITH(poll_subscribes, start, stop),
			TEST(edge_mode),
			TEST(hostile_clock),
	};

	if (argc > 1) {
		if (strcmp(argv[1], "edge")) {
			clock_steps();
		} else {
			edge();
		}
		return 0;
	}
	return test_main("hosted-events", tests);
}
