/* Mappings: shared pages, pieces, forks and refusals. */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/support/test.h"
#include "tests/unit/hosted/client.h"

#define PAGE 4096u

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

static size_t map(size_t fd, size_t length, uint64_t offset)
{
	return redox_mmap_v1(NULL, length, REDOX_PROT_READ | REDOX_PROT_WRITE, REDOX_MAP_SHARED, fd,
			offset);
}

/* redox-run.md 2.5 */
static void pages_are_shared(void **state)
{
	(void)state;
	size_t fd = client_open(DAEMON_PATH "/x");
	uint8_t *memory = (uint8_t *)map(fd, 5000, PAGE);
	assert_false(redox_failed((size_t)memory));
	struct scheme_sqe record = daemon_expect(&one, SCHEME_OP_MMAP_PREP);
	assert_int_equal(record.args[1], 2 * PAGE); // rounded before
	assert_int_equal(record.args[2], SCHEME_PROT_READ | SCHEME_PROT_WRITE | SCHEME_MAP_SHARED);
	assert_int_equal(record.args[3], PAGE);
	memory[0] = 5;
	memory[5000] = 6;
	assert_int_equal(client_call(fd, DAEMON_PEEK, PAGE, (uint8_t *)"", 0), 5);
	assert_int_equal(client_call(fd, DAEMON_PEEK, PAGE + 5000, (uint8_t *)"", 0), 6);
	/* The mapping keeps the handle open. */
	redox_close_v1(fd);
	size_t other = client_open(DAEMON_PATH "/y");
	memory[1] = 9;
	assert_int_equal(client_call(other, DAEMON_PEEK, PAGE + 1, (uint8_t *)"", 0), 9);
	assert_false(daemon_seen(&one, SCHEME_OP_CLOSE_MSG));
	assert_int_equal(redox_munmap_v1(memory, 2 * PAGE), 0);
	record = daemon_expect(&one, SCHEME_OP_MUNMAP);
	assert_int_equal(record.args[0], 100);
	assert_int_equal(record.args[1], 2 * PAGE);
	assert_int_equal(record.args[2], 1);
	assert_int_equal(record.args[3], PAGE);
	assert_int_equal(daemon_expect(&one, SCHEME_OP_CLOSE_MSG).args[0], 100);
	redox_close_v1(other);
}

/* redox-run.md 2.5, redox-abi.md 2.5 */
static void refusals(void **state)
{
	(void)state;
	const struct {
		const char *path;
		int error;
	} cases[] = {{"/map-refused", EPERM}, {"/map-unaligned", EINVAL}, {"/map-wild", EIO},
			{"/map-stack", EIO}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char path[64] = DAEMON_PATH;
		size_t fd = client_open(strcat(path, cases[i].path));
		assert_int_equal(redox_errno(map(fd, PAGE, 0)), cases[i].error);
		redox_close_v1(fd);
	}
	size_t fd = client_open(DAEMON_PATH "/x");
	assert_int_equal(redox_errno(map(fd, 0, 0)), EINVAL);
	assert_int_equal(redox_errno(map(fd, PAGE, 1)), EINVAL);
	assert_int_equal(redox_errno(map(fd, DAEMON_MEMORY, PAGE)), EIO); // too short
	assert_int_equal(redox_errno(redox_mmap_v1(NULL, PAGE, REDOX_PROT_READ | REDOX_PROT_WRITE,
					 REDOX_MAP_PRIVATE, fd, 0)),
			EINVAL);
	size_t memory = redox_mmap_v1(NULL, PAGE, REDOX_PROT_READ, REDOX_MAP_SHARED, fd, 0);
	assert_int_equal(mprotect((void *)memory, PAGE, PROT_READ | PROT_WRITE), -1);
	assert_int_equal(errno, EACCES);
	redox_munmap_v1((void *)memory, PAGE);
	assert_int_equal(daemon_expect(&one, SCHEME_OP_MUNMAP).args[2], 0);
	redox_close_v1(fd);
	/* mmap(fd = -1) without MAP_ANON */
	memory = map(SIZE_MAX, PAGE, 0);
	assert_false(redox_failed(memory));
	*(uint8_t *)memory = 1;
	redox_munmap_v1((void *)memory, PAGE);
}

/* redox-run.md 2.5: unmapping the middle makes several Munmaps. */
static void munmap_splits(void **state)
{
	(void)state;
	size_t fd = client_open(DAEMON_PATH "/x");
	uint8_t *memory = (uint8_t *)map(fd, 5 * PAGE, 0);
	redox_close_v1(fd);
	assert_int_equal(redox_munmap_v1(memory + 2 * PAGE, PAGE), 0);
	struct scheme_sqe record = daemon_expect(&one, SCHEME_OP_MUNMAP);
	assert_int_equal(record.args[1], PAGE);
	assert_int_equal(record.args[3], 2 * PAGE);
	memory[0] = memory[3 * PAGE] = 1;
	assert_int_equal(redox_munmap_v1(memory, 5 * PAGE), 0);
	uint64_t bytes = 0;
	for (int i = 0; i < 2; i++) {
		record = daemon_expect(&one, SCHEME_OP_MUNMAP);
		bytes += record.args[1];
		assert_true(record.args[3] == 0 || record.args[3] == 3 * PAGE);
	}
	assert_int_equal(bytes, 4 * PAGE);
	daemon_expect(&one, SCHEME_OP_CLOSE_MSG);
}

/* redox-run.md 2.5: fork asks again for every shared mapping, in the parent's name. */
static void fork_maps_again(void **state)
{
	int status;

	(void)state;
	size_t fd = client_open(DAEMON_PATH "/x");
	uint8_t *memory = (uint8_t *)map(fd, 2 * PAGE, PAGE);
	daemon_expect(&one, SCHEME_OP_MMAP_PREP);
	redox_close_v1(fd);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		memory[PAGE] = 77;
		_exit(memory[0]);
	}
	struct scheme_sqe record = daemon_expect(&one, SCHEME_OP_MMAP_PREP);
	assert_int_equal(record.args[0], 100);
	assert_int_equal(record.args[1], 2 * PAGE);
	assert_int_equal(record.args[2], SCHEME_PROT_READ | SCHEME_PROT_WRITE | 0xD);
	assert_int_equal(record.args[3], PAGE);
	assert_int_equal(record.caller, getpid());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(memory[PAGE], 77);
	/* The child's end unmaps its own. */
	daemon_expect(&one, SCHEME_OP_MUNMAP);
	assert_false(daemon_seen(&one, SCHEME_OP_CLOSE_MSG));
	redox_munmap_v1(memory, 2 * PAGE);
	daemon_expect(&one, SCHEME_OP_MUNMAP);
	daemon_expect(&one, SCHEME_OP_CLOSE_MSG);
}

/* redox-run.md 2.5: "If the daemon refuses, the client's fork() fails with that errno." */
static void refused_fork_fails(void **state)
{
	(void)state;
	size_t fd = client_open(DAEMON_PATH "/x");
	size_t second = client_open(DAEMON_PATH "/map-once");
	size_t memory = map(fd, PAGE, 0);
	size_t other = map(second, PAGE, PAGE);
	assert_false(redox_failed(memory) || redox_failed(other));
	pid_t pid = fork();
	if (!pid) {
		_exit(0);
	}
	assert_int_equal(pid, -1);
	assert_int_equal(errno, EPERM);
	*(uint8_t *)memory = 3;
	assert_int_equal(client_call(fd, DAEMON_PEEK, 0, (uint8_t *)"", 0), 3);
	redox_munmap_v1((void *)memory, PAGE);
	redox_munmap_v1((void *)other, PAGE);
	redox_close_v1(fd);
	redox_close_v1(second);
}

/* A killed process leaves no mapping behind at the daemon. */
static void kill_unmaps(void **state)
{
	int status;
	int ready[2];
	char byte;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (!pid) {
		size_t fd = client_open(DAEMON_PATH "/x");
		map(fd, PAGE, 0);
		map(fd, PAGE, PAGE);
		(void)!write(ready[1], "", 1);
		pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	daemon_expect(&one, SCHEME_OP_MUNMAP);
	daemon_expect(&one, SCHEME_OP_MUNMAP);
	daemon_expect(&one, SCHEME_OP_CLOSE_MSG);
	close(ready[0]);
	close(ready[1]);
}

/* redox-run.md 2.4: memory that is mapped keeps working after the daemon's death; munmap and close
 * too. */
static void mapping_outlives_the_daemon(void **state)
{
	(void)state;
	size_t fd = client_open(DAEMON_PATH "/x");
	uint8_t *memory = (uint8_t *)map(fd, PAGE, 0);
	memory[0] = 1;
	daemon_stop(&one);
	memory[1] = memory[0];
	pid_t pid = fork();
	if (!pid) {
		_exit(0);
	}
	assert_int_equal(pid, -1);
	assert_int_equal(errno, ENODEV);
	assert_int_equal(redox_munmap_v1(memory, PAGE), 0);
	assert_int_equal(redox_close_v1(fd), 0);
}

/* redox-run.md 2.5: a daemon that allows a private writable mapping panics the kernel. */
static void private_writable_is_fatal(void **state)
{
	int status;

	(void)state;
	pid_t pid = fork();
	if (!pid) {
		size_t fd = client_open(DAEMON_PATH "/map-private");
		redox_mmap_v1(NULL, PAGE, REDOX_PROT_READ | REDOX_PROT_WRITE, REDOX_MAP_PRIVATE, fd,
				0);
		_exit(0);
	}
	assert_int_equal(waitpid(one.pid, &status, 0), one.pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST_WITH(pages_are_shared, start, stop),
			TEST_WITH(refusals, start, stop),
			TEST_WITH(munmap_splits, start, stop),
			TEST_WITH(fork_maps_again, start, stop),
			TEST_WITH(refused_fork_fails, start, stop),
			TEST_WITH(kill_unmaps, start, stop),
			TEST_WITH(mapping_outlives_the_daemon, start, stop),
			TEST_WITH(private_writable_is_fatal, start, stop),
	};

	return test_main("hosted-mapping", tests);
}
