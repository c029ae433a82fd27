/* The checks around each test. Their own test is tests/unit/common/test_support.c. */
#include "tests/support/test.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
	const struct test_fixture *fixture;
	unsigned fds;
	char directory[PATH_MAX];
} running;

static void alarm_rings(int signo)
{
	static const char text[] = "\nBail out! a test hangs: its alarm rang\n";
	ssize_t written = write(STDOUT_FILENO, text, sizeof(text) - 1);

	(void)written;
	(void)signo;
	_exit(124);
}

static unsigned test_seconds(void)
{
	const char *text = getenv("TEST_SECONDS");
	int seconds = text == NULL ? 0 : atoi(text);

	return seconds > 0 ? (unsigned)seconds : TEST_SECONDS;
}

unsigned test_count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	if (directory == NULL) {
		abort();
	}
	while (readdir(directory) != NULL) {
		count++;
	}
	closedir(directory);
	return count;
}

int test_setup(void **state)
{
	const char *base = getenv("TMPDIR");
	struct sigaction action = {.sa_handler = alarm_rings};

	running.fixture = *state;
	running.fds = test_count_fds();
	*state = NULL;
	sigaction(SIGALRM, &action, NULL);
	alarm(test_seconds());
	snprintf(running.directory, sizeof(running.directory), "%s/bridge-test-XXXXXX",
			base == NULL ? "/tmp" : base);
	if (mkdtemp(running.directory) == NULL) {
		print_error("cannot make %s: %s\n", running.directory, strerror(errno));
		return -1;
	}
	return running.fixture->setup == NULL ? 0 : running.fixture->setup(state);
}

static int entry_remove(const char *path, const struct stat *stat, int kind, struct FTW *walk)
{
	(void)stat;
	(void)kind;
	(void)walk;
	return remove(path);
}

int test_teardown(void **state)
{
	int result = 0;

	if (running.fixture->teardown != NULL && running.fixture->teardown(state) != 0) {
		result = -1;
	}
	alarm(0);
	if (nftw(running.directory, entry_remove, 8, FTW_DEPTH | FTW_PHYS) != 0) {
		print_error("cannot remove %s: %s\n", running.directory, strerror(errno));
		result = -1;
	}
	unsigned fds = test_count_fds();
	if (fds != running.fds) {
		print_error("%u descriptors were open before the test, %u are after it\n",
				running.fds, fds);
		result = -1;
	}
	return result;
}

const char *test_dir(void)
{
	return running.directory;
}

char *test_path(char *buffer, size_t size, const char *name)
{
	int length = snprintf(buffer, size, "%s/%s", running.directory, name);

	assert_true(length > 0 && (size_t)length < size);
	return buffer;
}

uint64_t test_seed(void)
{
	const char *text = getenv("TEST_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t seed = (uint64_t)now.tv_nsec << 24 ^ (uint64_t)now.tv_sec ^
			(uint64_t)getpid() << 40;
	if (text != NULL) {
		seed = strtoull(text, NULL, 0);
	}
	print_message("# seed: TEST_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

uint64_t test_random(uint64_t *seed)
{
	// splitmix64
	uint64_t z = *seed += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

void test_noise(uint64_t *seed, void *buffer, size_t size)
{
	uint8_t *bytes = buffer;

	for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
		uint64_t noise = test_random(seed);
		size_t left = size - i;

		memcpy(bytes + i, &noise, left < sizeof(noise) ? left : sizeof(noise));
	}
}
