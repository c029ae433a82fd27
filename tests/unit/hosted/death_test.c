/* Signals, killed clients and dead daemons. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/socket.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/wait.h>
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

static void on_signal(int number)
{
	(void)number;
}

/* A client that calls WHAT once. Its exit status is the errno. */
static pid_t client_start(enum daemon_call what, int flags)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		struct sigaction action = {
				.sa_handler = on_signal, .sa_flags = flags < 0 ? 0 : flags};
		if (flags >= 0) {
			sigaction(SIGUSR1, &action, NULL);
		}
		size_t fd = client_open(DAEMON_PATH "/x");
		_exit(redox_errno(client_call(fd, what, 0, (uint8_t *)"", 0)));
	}
	daemon_expect(&one, SCHEME_OP_CALL);
	return pid;
}

/* Waits until the call of PID is asleep for good, with all signals blocked: the first milliseconds
 * are another case. */
static void let_it_sleep(pid_t pid)
{
	char path[64];
	char line[256];
	uint64_t blocked = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	for (int waited = 0; !(blocked >> (SIGTERM - 1) & 1); waited++) {
		assert_in_range(waited, 0, 2500);
		FILE *status = fopen(path, "re");
		assert_non_null(status);
		while (fgets(line, sizeof(line), status)) {
			sscanf(line, "SigBlk: %" SCNx64, &blocked);
		}
		fclose(status);
		poll(NULL, 0, 2);
	}
}

static bool ended(pid_t pid, int timeout_ms, int *ret_status)
{
	for (int waited = 0; waited <= timeout_ms; waited += 5) {
		if (waitpid(pid, ret_status, WNOHANG) == pid) {
			return true;
		}
		poll(NULL, 0, 5);
	}
	return false;
}

/* redox-run.md 2.4: Cancel, ECANCELED, EINTR. */
static void signal_cancels(void **state)
{
	int status;

	(void)state;
	for (int quick = 0; quick < 2; quick++) {
		pid_t pid = client_start(DAEMON_PARK, 0);
		if (!quick) {
			let_it_sleep(pid);
		}
		kill(pid, SIGUSR1);
		struct scheme_sqe record = daemon_expect(&one, SCHEME_OP_CANCEL);
		assert_int_equal(record.flags, SCHEME_SQE_ONEWAY);
		assert_int_equal(record.caller, 0);
		assert_true(ended(pid, 5000, &status));
		assert_int_equal(WEXITSTATUS(status), EINTR);
	}
}

/* redox-run.md 2.4: with SA_RESTART a new request comes. */
static void signal_restarts(void **state)
{
	int status;

	(void)state;
	pid_t pid = client_start(DAEMON_PARK, SA_RESTART);
	let_it_sleep(pid);
	kill(pid, SIGUSR1);
	daemon_expect(&one, SCHEME_OP_CANCEL);
	daemon_expect(&one, SCHEME_OP_CALL);
	size_t fd = client_open(DAEMON_PATH "/x");
	assert_int_equal(client_call(fd, DAEMON_RELEASE, 0, (uint8_t *)"", 0), 1);
	assert_true(ended(pid, 5000, &status));
	assert_int_equal(WEXITSTATUS(status), 0);
	redox_close_v1(fd);
}

/* redox-run.md 2.4: SIGTERM works through Cancel; a daemon that ignores Cancel makes its client
 * immune. */
static void terminate_waits_for_the_answer(void **state)
{
	int status;

	(void)state;
	pid_t pid = client_start(DAEMON_PARK, -1);
	let_it_sleep(pid);
	kill(pid, SIGTERM);
	daemon_expect(&one, SCHEME_OP_CANCEL);
	assert_true(ended(pid, 5000, &status));
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);

	pid = client_start(DAEMON_PARK_DEAF, -1);
	let_it_sleep(pid);
	kill(pid, SIGTERM);
	daemon_expect(&one, SCHEME_OP_CANCEL);
	assert_false(ended(pid, 200, &status));
	size_t fd = client_open(DAEMON_PATH "/x");
	client_call(fd, DAEMON_RELEASE, 0, (uint8_t *)"", 0);
	assert_true(ended(pid, 5000, &status));
	assert_true(WIFSIGNALED(status));
	redox_close_v1(fd);
}

/* redox-run.md 2.4: no Cancel; CloseMsg while the request is parked; the late answer does no harm. */
static void kill_sends_no_cancel(void **state)
{
	int status;

	(void)state;
	size_t fd = client_open(DAEMON_PATH "/other");
	for (int i = 0; i < 5; i++) {
		pid_t pid = client_start(DAEMON_PARK, -1);
		let_it_sleep(pid);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		struct scheme_sqe record;
		/* Nothing but the CloseMsg of its handle may come. */
		struct pollfd waiting = {.fd = one.records, .events = POLLIN};
		assert_int_equal(poll(&waiting, 1, 5000), 1);
		assert_int_equal(read(one.records, &record, sizeof(record)), sizeof(record));
		assert_int_equal(record.opcode, SCHEME_OP_CLOSE_MSG);
		assert_int_equal(record.args[0], 101 + i);
	}
	assert_int_equal(client_call(fd, DAEMON_RELEASE, 0, (uint8_t *)"", 0), 5);
	assert_int_equal(client_call(fd, DAEMON_ANSWER, 3, (uint8_t *)"", 0), 3);
	redox_close_v1(fd);
}

/* redox-run.md 2.4: the answer to an open of a dead client is taken, and no CloseMsg ever comes. */
static void killed_opener_leaks_a_handle(void **state)
{
	int status;

	(void)state;
	pid_t pid = fork();
	if (!pid) {
		client_open(DAEMON_PATH "/park");
		_exit(0);
	}
	daemon_expect(&one, SCHEME_OP_OPEN_AT);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	size_t fd = client_open(DAEMON_PATH "/x");
	daemon_expect(&one, SCHEME_OP_OPEN_AT);
	assert_int_equal(client_call(fd, DAEMON_RELEASE, 0, (uint8_t *)"", 0), 1);
	redox_close_v1(fd);
	assert_int_equal(daemon_expect(&one, SCHEME_OP_CLOSE_MSG).args[0], 100);
	assert_false(daemon_seen(&one, SCHEME_OP_CLOSE_MSG));
}

/* redox-run.md 2.4: who waits when the daemon dies waits for ever, and SIGTERM does not help. */
static void callers_of_a_dead_daemon_hang(void **state)
{
	int status;

	(void)state;
	pid_t sleeping = client_start(DAEMON_PARK, -1);
	let_it_sleep(sleeping);
	pid_t quick = client_start(DAEMON_EXIT, -1);
	assert_int_equal(waitpid(one.pid, &status, 0), one.pid);
	let_it_sleep(quick);
	kill(sleeping, SIGTERM);
	kill(quick, SIGTERM);
	assert_false(ended(sleeping, 200, &status));
	assert_false(ended(quick, 200, &status));
	kill(sleeping, SIGKILL);
	kill(quick, SIGKILL);
	assert_int_equal(waitpid(sleeping, &status, 0), sleeping);
	assert_int_equal(waitpid(quick, &status, 0), quick);
}

/* Two processes share a handle and wait at the same time: each gets its own answer. */
static void shared_handle_keeps_answers_apart(void **state)
{
	int status;

	(void)state;
	size_t fd = client_open(DAEMON_PATH "/x");
	for (int round = 0; round < 20; round++) {
		client_call(fd, DAEMON_ANSWER, 1, (uint8_t *)"", 0);
		pid_t pid = fork();
		if (!pid) {
			for (unsigned i = 0; i < 50; i++) {
				if (client_call(fd, DAEMON_ANSWER, 1000 + i, (uint8_t *)"", 0) !=
						1000 + i) {
					_exit(1);
				}
			}
			_exit(0);
		}
		for (unsigned i = 0; i < 50; i++) {
			assert_int_equal(client_call(fd, DAEMON_ANSWER, 5000 + i, (uint8_t *)"", 0),
					5000 + i);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	assert_false(daemon_seen(&one, SCHEME_OP_CLOSE_MSG));
	redox_close_v1(fd);
	assert_int_equal(daemon_expect(&one, SCHEME_OP_CLOSE_MSG).args[0], 100);
}

/* Connects to the socket of the daemon as nothing of ours would. */
static int connect_raw(void)
{
	char path[512];
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	test_path(path, sizeof(path), "redox/kernel");
	DIR *dir = opendir(path);
	assert_non_null(dir);
	struct dirent *entry;
	do {
		entry = readdir(dir);
		assert_non_null(entry);
	} while (entry->d_name[0] == '.');
	int length = snprintf(
			address.sun_path, sizeof(address.sun_path), "%s/%s", path, entry->d_name);
	assert_in_range(length, 1, sizeof(address.sun_path) - 1);
	closedir(dir);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Garbage on the socket ends its connection, never the daemon. */
static void garbage_is_dropped(void **state)
{
	uint64_t seed = test_seed();
	uint8_t packet[600];

	(void)state;
	size_t fd = client_open(DAEMON_PATH "/x");
	size_t before = client_call(fd, DAEMON_FDS, 0, (uint8_t *)"", 0);
	for (int i = 0; i < 3000; i++) {
		int raw = connect_raw();
		size_t length = 1 + test_random(&seed) % sizeof(packet);
		test_noise(&seed, packet, sizeof(packet));
		if (i % 4) {
			/* As far as the kind and the opcode it is right. */
			memcpy(packet, "RHK1", 4);
			packet[4] = (uint8_t)(1 + test_random(&seed) % 8);
			packet[5] = (uint8_t)(test_random(&seed) % 36);
			packet[6] = (uint8_t)(test_random(&seed) % 5);
			memset(packet + 24, 0, 8);
			if (i % 2) {
				length = 120 + test_random(&seed) % 100;
			}
		}
		for (int k = 0; k < 3; k++) {
			(void)!send(raw, packet, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		}
		close(raw);
	}
	assert_int_equal(client_call(fd, DAEMON_ANSWER, 42, (uint8_t *)"", 0), 42);
	/* The last of them may not have been looked at yet. */
	for (int waited = 0; client_call(fd, DAEMON_FDS, 0, (uint8_t *)"", 0) != before; waited++) {
		assert_in_range(waited, 0, 2000);
		poll(NULL, 0, 2);
	}
	redox_close_v1(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST_WITH(signal_cancels, start, stop),
			TEST_WITH(signal_restarts, start, stop),
			TEST_WITH(terminate_waits_for_the_answer, start, stop),
			TEST_WITH(kill_sends_no_cancel, start, stop),
			TEST_WITH(killed_opener_leaks_a_handle, start, stop),
			TEST_WITH(callers_of_a_dead_daemon_hang, start, stop),
			TEST_WITH(shared_handle_keeps_answers_apart, start, stop),
			TEST_WITH(garbage_is_dropped, start, stop),
	};

	return test_main("hosted-death", tests);
}
