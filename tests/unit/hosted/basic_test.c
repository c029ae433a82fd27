/* Names, opens, data, closes: what every client and daemon meets first. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/support/test.h"
#include "tests/unit/hosted/client.h"

static struct daemon one;
static struct daemon two;

static int stop(void **state)
{
	(void)state;
	daemon_stop(&one);
	daemon_stop(&two);
	return 0;
}

static size_t raw_unlink(size_t ns, const char *path)
{
	return redox_raw_unlinkat(ns, (const uint8_t *)path, strlen(path), 0);
}

/* Runs FN in a process of its own, which has no descriptors to count. */
static void in_child(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

#define child_assert(condition)                                                 \
	do {                                                                    \
		if (!(condition)) {                                             \
			print_message("# line %d: %s\n", __LINE__, #condition); \
			_exit(1);                                               \
		}                                                               \
	} while (0)

static void open_call_and_close(void **state)
{
	uint8_t payload[300];
	uint8_t expected[sizeof(payload)];
	uint64_t seed = test_seed();

	(void)state;
	daemon_start(&one);
	size_t fd = client_open_flags(DAEMON_PATH "/some/path", REDOX_O_RDWR | REDOX_O_NONBLOCK);
	assert_false(redox_failed(fd));
	struct scheme_sqe record = daemon_expect(&one, SCHEME_OP_OPEN_AT);
	assert_int_equal(record.args[0], DAEMON_ROOT_ID);
	assert_int_equal(record.args[2], strlen("some/path"));
	assert_int_equal(record.args[3], REDOX_O_RDWR | REDOX_O_NONBLOCK);
	assert_int_equal(record.args[4], REDOX_O_NONBLOCK);
	assert_int_equal(record.args[5], geteuid() | (uint64_t)getegid() << 32);
	assert_int_equal(record.caller, getpid());
	for (int i = 0; i < 20; i++) {
		test_noise(&seed, payload, sizeof(payload));
		for (size_t k = 0; k < sizeof(payload); k++) {
			expected[k] = payload[k] ^ 0xFF;
		}
		assert_int_equal(client_call(fd, DAEMON_ECHO, 0, payload, sizeof(payload)),
				sizeof(payload));
		assert_memory_equal(payload, expected, sizeof(payload));
	}
	assert_int_equal(redox_close_v1(fd), 0);
	record = daemon_expect(&one, SCHEME_OP_CLOSE_MSG);
	assert_int_equal(record.args[0], 100);
	assert_int_equal(record.tag, 0);
	assert_int_equal(record.flags, 0);
	assert_int_equal(record.caller, 0);
}

static void other_user(void)
{
	setenv("REDOX_HOSTED_UID", "1000:1001", 1);
	size_t capability = client_open("/scheme/namespace/scheme-creation-cap");
	child_assert(!redox_failed(capability));
	child_assert(redox_errno(redox_dup_v1(capability, (const uint8_t *)"create-scheme", 13)) ==
			EACCES);
	child_assert(!redox_failed(client_open(DAEMON_PATH "/x")));
}

/* redox-run.md 1.2, 2.4 */
static void user_is_passed_and_checked(void **state)
{
	(void)state;
	daemon_start(&one);
	in_child(other_user);
	assert_int_equal(daemon_expect(&one, SCHEME_OP_OPEN_AT).args[5], 0x3e9000003e8);
}

/* redox-run.md 1.4: paths arrive as they are, relative opens carry the handle's id. */
static void paths_are_literal(void **state)
{
	(void)state;
	daemon_start(&one);
	size_t fd = client_open_flags(DAEMON_PATH "//a//../b/", REDOX_O_STAT);
	assert_int_equal(daemon_expect(&one, SCHEME_OP_OPEN_AT).args[2], strlen("/a//../b/"));
	size_t below = redox_openat_v1(fd, (const uint8_t *)"../x", 4, REDOX_O_RDONLY, 0);
	struct scheme_sqe record = daemon_expect(&one, SCHEME_OP_OPEN_AT);
	assert_int_equal(record.args[0], 100);
	assert_int_equal(record.args[2], 4);
	size_t empty = client_open(DAEMON_PATH);
	assert_int_equal(daemon_expect(&one, SCHEME_OP_OPEN_AT).args[2], 0);
	size_t legacy = client_open(DAEMON_NAME ":x");
	assert_int_equal(daemon_expect(&one, SCHEME_OP_OPEN_AT).args[2], 1);
	assert_int_equal(redox_errno(client_open(DAEMON_PATH "/refuse")), EACCES);
	assert_int_equal(redox_errno(client_open("/scheme/unknown/x")), ENODEV);
	assert_int_equal(redox_errno(client_open(DAEMON_PATH "/bad-flags")), EINVAL);
	size_t created = redox_open_v1((const uint8_t *)DAEMON_PATH "/new",
			strlen(DAEMON_PATH "/new"), REDOX_O_RDWR | REDOX_O_CREAT, 0640);
	assert_false(redox_failed(created));
	while (daemon_expect(&one, SCHEME_OP_OPEN_AT).args[3] !=
			(REDOX_O_RDWR | REDOX_O_CREAT | 0640)) {
	}
	redox_close_v1(created);
	redox_close_v1(legacy);
	redox_close_v1(empty);
	redox_close_v1(below);
	redox_close_v1(fd);
}

/* redox-run.md 2.5, "security": the open mode is not enforced. */
static void modes_are_not_enforced(void **state)
{
	uint8_t byte = 1;

	(void)state;
	daemon_start(&one);
	size_t fd = client_open_flags(DAEMON_PATH "/x", REDOX_O_RDONLY);
	assert_int_equal(redox_write_v1(fd, &byte, 1), 1);
	redox_close_v1(fd);
	fd = client_open_flags(DAEMON_PATH "/x", REDOX_O_STAT);
	assert_int_equal(redox_read_v1(fd, &byte, 1), 1);
	assert_int_equal(client_call(fd, DAEMON_ECHO, 0, &byte, 1), 1);
	redox_close_v1(fd);
}

/* redox-abi.md 2.2, 2.4, 2.7 */
static void data_flows(void **state)
{
	uint8_t buffer[64];

	(void)state;
	daemon_start(&one);
	size_t fd = client_open(DAEMON_PATH "/short");
	memset(buffer, 0xEE, sizeof(buffer));
	assert_int_equal(redox_read_v1(fd, buffer, 10), 3);
	assert_int_equal(buffer[2], 14);
	assert_int_equal(buffer[3], 0xEE);
	struct scheme_sqe record = daemon_expect(&one, SCHEME_OP_READ);
	assert_int_equal(record.args[3], UINT64_MAX); // not POSITIONED
	assert_int_equal(redox_fpath_v1(fd, buffer, sizeof(buffer)), 5);
	assert_memory_equal(buffer, "short", 5);
	assert_int_equal(redox_fsync_v1(fd), 0);
	record = daemon_expect(&one, SCHEME_OP_STD_FS_CALL);
	assert_int_equal(record.args[3], SCHEME_STD_FSYNC);
	assert_int_equal(record.args[1], 1ull << 62);
	assert_int_equal(redox_fcntl_v0(fd, REDOX_F_SETFL, REDOX_O_NONBLOCK), 0);
	assert_int_equal(redox_fcntl_v0(fd, REDOX_F_GETFL, 0) & (REDOX_O_NONBLOCK | REDOX_O_RDWR),
			REDOX_O_NONBLOCK | REDOX_O_RDWR);
	redox_read_v1(fd, buffer, 1);
	assert_true(daemon_expect(&one, SCHEME_OP_READ).args[4] & REDOX_O_NONBLOCK);
	assert_int_equal(redox_fcntl_v0(fd, REDOX_F_GETFD, 0), REDOX_FD_CLOEXEC);
	assert_int_equal(redox_fcntl_v0(fd, REDOX_F_SETFD, 0), 0);
	assert_int_equal(redox_fcntl_v0(fd, REDOX_F_GETFD, 0), 0);
	redox_close_v1(fd);
	fd = client_open(DAEMON_PATH "/positioned");
	for (uint64_t at = 0; at < 30; at += 10) {
		assert_int_equal(redox_read_v1(fd, buffer, 10), 10);
		assert_int_equal(daemon_expect(&one, SCHEME_OP_READ).args[3], at);
	}
	redox_close_v1(fd);
	assert_int_equal(redox_errno(redox_read_v1(fd, buffer, 1)), EBADF);
}

/* redox-abi.md 2.2 number 4; a plain dup never reaches the scheme */
static void dup_with_and_without_buffer(void **state)
{
	(void)state;
	daemon_start(&one);
	size_t fd = client_open(DAEMON_PATH "/x");
	size_t plain = redox_dup_v1(fd, (const uint8_t *)"", 0);
	size_t named = redox_dup_v1(fd, (const uint8_t *)"sub", 3);
	assert_false(redox_failed(named));
	struct scheme_sqe record = daemon_expect(&one, SCHEME_OP_DUP);
	assert_int_equal(record.args[2], 3);
	redox_close_v1(fd);
	assert_int_equal(client_call(plain, DAEMON_ANSWER, 5, (uint8_t *)"", 0), 5);
	assert_false(daemon_seen(&one, SCHEME_OP_CLOSE_MSG));
	redox_close_v1(plain);
	assert_int_equal(daemon_expect(&one, SCHEME_OP_CLOSE_MSG).args[0], 100);
	redox_close_v1(named);
	assert_int_equal(daemon_expect(&one, SCHEME_OP_CLOSE_MSG).args[0], 101);
}

/* redox-run.md 1.2 */
static void names_outlive_daemons(void **state)
{
	(void)state;
	daemon_start(&one);
	size_t fd = client_open(DAEMON_PATH "/x");
	assert_int_equal(client_call(fd, DAEMON_ANSWER, 1, (uint8_t *)"", 0), 1);
	daemon_stop(&one);
	uint8_t byte;
	assert_int_equal(redox_errno(redox_read_v1(fd, &byte, 1)), ENODEV);
	assert_int_equal(redox_close_v1(fd), 0);
	assert_int_equal(redox_errno(client_open(DAEMON_PATH "/x")), ENODEV);
	int pipe_fds[2];
	assert_int_equal(hosted_pipe(pipe_fds), 0);
	daemon_start_unnamed(&two, pipe_fds[1]);
	uint64_t root = UINT64_MAX;
	assert_int_equal(
			redox_sys_call_v0((size_t)pipe_fds[0], (uint8_t *)&root, sizeof(root),
					REDOX_CALL_READ | REDOX_CALL_FD, (const uint64_t[]) {0}, 0),
			1);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	size_t again = redox_dup_v1(root, (const uint8_t *)"", 0);
	/* A failed registration consumes the root as well. */
	assert_int_equal(redox_errno(redox_register_scheme_to_ns_v0(redox_get_ns_v0(),
					 (const uint8_t *)DAEMON_NAME, strlen(DAEMON_NAME), root)),
			EEXIST);
	assert_int_equal(fcntl((int)root, F_GETFD), -1);
	assert_int_equal(redox_errno(raw_unlink(redox_get_ns_v0(), DAEMON_NAME)), EINVAL);
	assert_int_equal(redox_errno(raw_unlink(redox_get_ns_v0(), "/scheme/unknown")), ENODEV);
	assert_int_equal(raw_unlink(redox_get_ns_v0(), DAEMON_PATH), 0);
	assert_int_equal(redox_errno(raw_unlink(redox_get_ns_v0(), DAEMON_PATH)), ENODEV);
	assert_int_equal(redox_register_scheme_to_ns_v0(redox_get_ns_v0(),
					 (const uint8_t *)DAEMON_NAME, strlen(DAEMON_NAME), again),
			0);
	fd = client_open(DAEMON_PATH "/x");
	assert_int_equal(daemon_expect(&two, SCHEME_OP_OPEN_AT).args[0], DAEMON_ROOT_ID);
	redox_close_v1(fd);
	/* The last reference to the root is its name: its removal is a notice. */
	assert_int_equal(daemon_expect(&two, SCHEME_OP_CLOSE_MSG).args[0], 100);
	assert_int_equal(raw_unlink(redox_get_ns_v0(), DAEMON_PATH), 0);
	assert_int_equal(daemon_expect(&two, SCHEME_OP_CLOSE_MSG).args[0], DAEMON_ROOT_ID);
}

static void without_namespace(void)
{
	size_t saved = redox_dup_v1(redox_get_ns_v0(), (const uint8_t *)"", 0);
	child_assert(!redox_failed(saved));
	child_assert(redox_setrens_v1(0, 0) == 0);
	child_assert(redox_errno(client_open(DAEMON_PATH "/x")) == ENODEV);
	child_assert(redox_errno(client_open("/scheme/namespace/scheme-creation-cap")) == EACCES);
	child_assert(redox_errno(redox_get_ns_v0()) == ENODEV);
	const uint8_t *path = (const uint8_t *)DAEMON_PATH;
	child_assert(redox_errno(redox_openat_v1(saved, path, strlen(DAEMON_PATH), 0, 0)) ==
			EISDIR);
	size_t root = redox_openat_v1(saved, path, strlen(DAEMON_PATH), REDOX_O_DIRECTORY, 0);
	child_assert(!redox_failed(root));
	size_t fd = redox_openat_v1(root, (const uint8_t *)"", 0, REDOX_O_RDWR, 0);
	child_assert(!redox_failed(fd));
	child_assert(client_call(fd, DAEMON_ANSWER, 9, (uint8_t *)"", 0) == 9);
	child_assert(raw_unlink(saved, DAEMON_PATH) == 0);
}

/* redox-run.md 1.2, 1.6 */
static void saved_namespace_survives_setrens(void **state)
{
	(void)state;
	daemon_start(&one);
	in_child(without_namespace);
	/* The name went first, the child's root with it. */
	assert_int_equal(daemon_expect(&one, SCHEME_OP_CLOSE_MSG).args[0], 100);
	assert_int_equal(daemon_expect(&one, SCHEME_OP_CLOSE_MSG).args[0], DAEMON_ROOT_ID);
}

/* Handles pass through fork, exec's survivors and dup: the last one ends it; descriptors of the
 * daemon go as well. */
static void daemon_keeps_nothing(void **state)
{
	size_t fds[50];

	(void)state;
	daemon_start(&one);
	size_t fd = client_open(DAEMON_PATH "/x");
	client_call(fd, DAEMON_ANSWER, 0, (uint8_t *)"", 0);
	size_t before = client_call(fd, DAEMON_FDS, 0, (uint8_t *)"", 0);
	for (size_t i = 0; i < 50; i++) {
		fds[i] = client_open(DAEMON_PATH "/y");
		assert_false(redox_failed(fds[i]));
	}
	assert_int_equal(client_call(fd, DAEMON_FDS, 0, (uint8_t *)"", 0), before + 50);
	for (size_t i = 0; i < 50; i++) {
		redox_close_v1(fds[i]);
	}
	for (size_t i = 0; i < 50; i++) {
		daemon_expect(&one, SCHEME_OP_CLOSE_MSG);
	}
	assert_int_equal(client_call(fd, DAEMON_FDS, 0, (uint8_t *)"", 0), before);
	redox_close_v1(fd);
}

static void without_directory(void)
{
	int null = open("/dev/null", O_WRONLY);

	dup2(null, STDERR_FILENO);
	unsetenv("REDOX_HOSTED_DIR");
	child_assert(redox_errno(client_open(DAEMON_PATH)) == ENODEV);
	child_assert(redox_failed(client_open("/scheme/namespace/scheme-creation-cap")));
}

static void directory_is_asked_for(void **state)
{
	(void)state;
	in_child(without_directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST_WITH(open_call_and_close, NULL, stop),
			TEST_WITH(user_is_passed_and_checked, NULL, stop),
			TEST_WITH(paths_are_literal, NULL, stop),
			TEST_WITH(modes_are_not_enforced, NULL, stop),
			TEST_WITH(data_flows, NULL, stop),
			TEST_WITH(dup_with_and_without_buffer, NULL, stop),
			TEST_WITH(names_outlive_daemons, NULL, stop),
			TEST_WITH(saved_namespace_survives_setrens, NULL, stop),
			TEST_WITH(daemon_keeps_nothing, NULL, stop),
			TEST_WITH(directory_is_asked_for, NULL, stop),
	};

	return test_main("hosted-basic", tests);
}
