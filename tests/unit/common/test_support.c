/*
 * Do the checks of tests/support fire? This program runs itself: with an argument it is a bad test,
 * which must fail for the right reason.
 */
#include "tests/support/test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.h"

static void leaks_a_descriptor(void **state)
{
	(void)state;
	assert_true(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0);
}

static void closes_one_too_many(void **state)
{
	(void)state;
	close(STDIN_FILENO);
}

static void hangs(void **state)
{
	(void)state;
	for (;;) {
		pause();
	}
}

static void passes(void **state)
{
	(void)state;
}

static const struct {
	const char *name;
	struct CMUnitTest test;
	int status;
	const char *says;
} bad_tests[] = {
		{"leak", TEST(leaks_a_descriptor), 1, "descriptors were open before the test"},
		{"close", TEST(closes_one_too_many), 1, "descriptors were open before the test"},
		{"hang", TEST(hangs), 124, "Bail out! a test hangs"},
		{"pass", TEST(passes), 0, "ok 1"},
};
#define BAD_TESTS (sizeof(bad_tests) / sizeof(bad_tests[0]))

/* Runs this program with ARGUMENT. Returns its exit status; TEXT gets what it printed. */
static int run_self(const char *argument, char *text, size_t size)
{
	int fds[2];
	int status;
	size_t length = 0;
	ssize_t got;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t child = fork();
	if (child == 0) {
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		setenv("TEST_SECONDS", "1", 1);
		execl("/proc/self/exe", "test_support", argument, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	while ((got = read(fds[0], text + length, size - 1 - length)) > 0) {
		length += (size_t)got;
	}
	text[length] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void bad_tests_fail(void **state)
{
	static char text[8192];

	(void)state;
	for (size_t i = 0; i < BAD_TESTS; i++) {
		int status = run_self(bad_tests[i].name, text, sizeof(text));

		if (status != bad_tests[i].status || strstr(text, bad_tests[i].says) == NULL) {
			fail_msg("\"%s\": status %d, printed: %s", bad_tests[i].name, status, text);
		}
	}
}

static void directory_is_private(void **state)
{
	char path[256];
	static char first[256];

	(void)state;
	if (first[0] == '\0') {
		snprintf(first, sizeof(first), "%s", test_dir());
	} else {
		assert_int_equal(access(first, F_OK), -1); // that of the test before is gone
		assert_string_not_equal(first, test_dir());
	}
	assert_int_equal(access(test_dir(), W_OK), 0);
	FILE *file = fopen(test_path(path, sizeof(path), "file"), "w");
	assert_non_null(file);
	fclose(file);
}

static void noise_repeats_by_its_seed(void **state)
{
	uint8_t first[37];
	uint8_t second[37];
	uint64_t seed = test_seed();
	uint64_t again = seed;

	(void)state;
	test_noise(&seed, first, sizeof(first));
	test_noise(&again, second, sizeof(second));
	assert_memory_equal(first, second, sizeof(first));
	test_noise(&seed, second, sizeof(second));
	assert_memory_not_equal(first, second, sizeof(first));
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < BAD_TESTS; i++) {
		if (strcmp(argv[1], bad_tests[i].name) == 0) {
			const struct CMUnitTest tests[] = {bad_tests[i].test};

			return test_main("bad", tests);
		}
	}
	const struct CMUnitTest tests[] = {
			TEST(bad_tests_fail),
			TEST(directory_is_private),
			TEST(directory_is_private),
			TEST(noise_repeats_by_its_seed),
	};

	return test_main("support", tests);
}
