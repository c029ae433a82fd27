/* common/log.c, read back from a pipe in the place of stderr; common/fd.c and common/clock.c beside
 * it. */
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/limits.h"
#include "common/log.h"

static struct {
	int saved;
	int read_fd;
	char text[65536];
} captured;

static void capture_begin(void)
{
	int fds[2];

	assert_int_equal(fd_pipe(fds), 0);
	captured.saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
	close(fds[1]);
	captured.read_fd = fds[0];
}

/* Ends capturing. Returns the number of lines in captured.text. */
static unsigned capture_end(void)
{
	unsigned lines = 0;

	assert_true(dup2(captured.saved, STDERR_FILENO) >= 0);
	fd_close(&captured.saved);
	ssize_t got = read(captured.read_fd, captured.text, sizeof(captured.text) - 1);
	fd_close(&captured.read_fd);
	captured.text[got > 0 ? got : 0] = '\0';
	for (const char *c = captured.text; *c != '\0'; c++) {
		lines += *c == '\n';
	}
	return lines;
}

static void with_levels(const char *levels)
{
	if (levels == NULL) {
		unsetenv("LOG");
	} else {
		setenv("LOG", levels, 1);
	}
	log_init("tester");
}

static void line_has_its_parts(void **state)
{
	char expected[64];

	(void)state;
	with_levels(NULL);
	capture_begin();
	log_warn(LOG_WIRE, "%s is %d", "answer", 42);
	assert_int_equal(capture_end(), 1);
	snprintf(expected, sizeof(expected), " tester[%ld] warn wire: answer is 42\n",
			(long)getpid());
	assert_non_null(strstr(captured.text, expected));
	assert_true(strtod(captured.text, NULL) > 0);
}

static void levels_by_topic(void **state)
{
	(void)state;
	with_levels(NULL);
	assert_true(log_enabled(LOG_INFO, LOG_VM));
	assert_false(log_enabled(LOG_DEBUG, LOG_VM));
	with_levels("debug,wire:trace,vm:error");
	assert_true(log_enabled(LOG_DEBUG, LOG_DISPLAY));
	assert_false(log_enabled(LOG_TRACE, LOG_DISPLAY));
	assert_true(log_enabled(LOG_TRACE, LOG_WIRE));
	assert_false(log_enabled(LOG_WARN, LOG_VM));
	with_levels("wire:trace,,warn");
	assert_false(log_enabled(LOG_INFO, LOG_WIRE)); // the last one counts
	capture_begin();
	log_info(LOG_WIRE, "not to be seen");
	log_warn(LOG_WIRE, "to be seen");
	assert_int_equal(capture_end(), 1);
	assert_non_null(strstr(captured.text, ": to be seen"));
}

static void nonsense_in_levels_is_named(void **state)
{
	(void)state;
	capture_begin();
	with_levels("loud,wires:debug,wire:,debu,:debug,main:debug");
	assert_int_equal(capture_end(), 5);
	assert_non_null(strstr(captured.text, "\"wires:debug\""));
	assert_true(log_enabled(LOG_DEBUG, LOG_MAIN));
}

static void control_characters_are_replaced(void **state)
{
	(void)state;
	with_levels(NULL);
	capture_begin();
	log_warn(LOG_WIRE, "%s", "a\nb\x1b[2Jc\x7f\td");
	assert_int_equal(capture_end(), 1);
	assert_non_null(strstr(captured.text, ": a?b?[2Jc??d\n"));
}

static void long_lines_are_cut(void **state)
{
	static char text[5000];

	(void)state;
	with_levels(NULL);
	memset(text, 'x', sizeof(text) - 1);
	capture_begin();
	log_warn(LOG_WIRE, "%s", text);
	assert_int_equal(capture_end(), 1);
	assert_true(strlen(captured.text) < 1100);
	assert_non_null(strstr(captured.text, "xxx...\n"));
}

static void errno_survives(void **state)
{
	struct log_limit limit = {0};

	(void)state;
	with_levels(NULL);
	int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	close(STDERR_FILENO); // every line fails
	errno = EXDEV;
	log_warn(LOG_WIRE, "x");
	int after_line = errno;
	log_line_limited(&limit, LOG_WARN, LOG_WIRE, "x");
	int after_limited = errno;
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_int_equal(after_line, EXDEV);
	assert_int_equal(after_limited, EXDEV);
}

static void warn_limited(void)
{
	log_peer(LOG_WIRE, "the peer is rude");
}

/* LIMIT_LOG_PER_SECOND: reached, refused, and after a second lines come again, with the number of
 * those left out. */
static void limit_lines(void **state)
{
	(void)state;
	with_levels(NULL);
	capture_begin();
	for (unsigned i = 0; i < 10000; i++) {
		warn_limited();
	}
	assert_int_equal(capture_end(), LIMIT_LOG_PER_SECOND);
	uint64_t start_ns = clock_now_ns();
	struct loop *loop;
	assert_int_equal(loop_create(&loop), 0);
	while (clock_now_ns() - start_ns < CLOCK_NS_PER_S) {
		assert_int_equal(loop_turn(loop, 100), 0);
	}
	loop_destroy(loop);
	capture_begin();
	warn_limited();
	assert_int_equal(capture_end(), 2);
	char expected[32];
	snprintf(expected, sizeof(expected), " %u lines", 10000 - LIMIT_LOG_PER_SECOND);
	assert_non_null(strstr(captured.text, expected));
	assert_non_null(strstr(captured.text, "the peer is rude"));
}

static void fd_helpers(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(fd_pipe(fds), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		assert_int_equal(fcntl(fds[i], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	}
	{
		auto_close int scoped = fd_take(&fds[0]);

		assert_int_equal(fds[0], -1);
		assert_true(scoped >= 0);
		errno = EXDEV;
	}
	assert_int_equal(errno, EXDEV);
	assert_int_equal(write(fds[1], "x", 1), -1); // the reader was closed
	fd_close(&fds[1]);
	assert_int_equal(fds[1], -1);
	fd_close(&fds[1]);
	int plain[2];
	assert_int_equal(pipe(plain), 0);
	assert_int_equal(fd_prepare(plain[0]), 0);
	assert_int_equal(fcntl(plain[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(plain[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	close(plain[0]);
	close(plain[1]);
	assert_int_equal(fd_prepare(plain[0]), -EBADF);
}

static void *clock_thread(void *data)
{
	_Atomic uint64_t *latest_ns = data;

	for (unsigned i = 0; i < 200000; i++) {
		uint64_t before_ns = *latest_ns;
		uint64_t now_ns = clock_now_ns();

		if (now_ns < before_ns) {
			return data;
		}
		*latest_ns = now_ns;
	}
	return NULL;
}

static void clock_never_runs_backwards(void **state)
{
	static _Atomic uint64_t latest_ns;
	pthread_t thread;
	void *result;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, clock_thread, (void *)&latest_ns), 0);
	for (unsigned i = 0; i < 200000; i++) {
		uint64_t before_ns = latest_ns; // an answer that the other thread may have had

		assert_true(clock_now_ns() >= before_ns);
		latest_ns = clock_now_ns();
	}
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
			TEST(line_has_its_parts),
			TEST(levels_by_topic),
			TEST(nonsense_in_levels_is_named),
			TEST(control_characters_are_replaced),
			TEST(long_lines_are_cut),
			TEST(errno_survives),
			TEST(limit_lines),
			TEST(fd_helpers),
			TEST(clock_never_runs_backwards),
	};

	return test_main("log", tests);
}
