/* Many clients at once, with threads, forks, mappings and kills: no wrong answer, no stuck client,
 * nothing left at the daemon. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/support/test.h"
#include "tests/unit/hosted/client.h"

#define CLIENTS 12u
#define KILLS   40u
#define CALLS   1000u

static struct daemon one;

static int stop(void **state)
{
	(void)state;
	daemon_stop(&one);
	return 0;
}

/* One call with a random buffer, checked. Returns whether it was right. */
static bool call_once(size_t fd, uint64_t *seed, uint8_t *memory, size_t size)
{
	size_t length = test_random(seed) % (test_random(seed) % 8 ? 300 : size);
	uint8_t first = (uint8_t)test_random(seed);
	uint8_t inverted = (uint8_t)~first;

	memset(memory, first, length);
	if (client_call(fd, DAEMON_ECHO, 0, memory, length) != length) {
		return false;
	}
	return !length || (memory[0] == inverted && memory[length - 1] == inverted);
}

struct work {
	size_t fd;
	uint64_t seed;
	bool right;
};

static void *work_thread(void *data)
{
	struct work *work = data;
	uint8_t *memory = malloc(100000);

	work->right = memory != NULL;
	for (unsigned i = 0; work->right && i < CALLS; i++) {
		work->right = call_once(work->fd, &work->seed, memory, 100000);
	}
	free(memory);
	return NULL;
}

static void client_run(uint64_t seed, bool for_ever)
{
	size_t fd = client_open(DAEMON_PATH "/x");
	struct work work[3];
	pthread_t threads[3];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	do {
		size_t memory = redox_mmap_v1(NULL, 4096, REDOX_PROT_READ | REDOX_PROT_WRITE,
				REDOX_MAP_SHARED, fd, 0);
		if (redox_failed(memory)) {
			_exit(2);
		}
		for (unsigned i = 0; i < 3; i++) {
			work[i] = (struct work) {.fd = fd, .seed = test_random(&seed)};
			pthread_create(&threads[i], NULL, work_thread, &work[i]);
		}
		for (unsigned i = 0; i < 3; i++) {
			pthread_join(threads[i], NULL);
			if (!work[i].right) {
				_exit(1);
			}
		}
		if (test_random(&seed) % 2) {
			redox_munmap_v1((void *)memory, 4096);
		}
		size_t next = client_open(DAEMON_PATH "/x");
		redox_close_v1(fd);
		fd = next;
	} while (for_ever);
	_exit(0);
}

static pid_t client_spawn(uint64_t seed, bool for_ever)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		client_run(seed, for_ever);
	}
	return pid;
}

static void many_clients_and_kills(void **state)
{
	uint64_t seed = test_seed();
	pid_t steady[CLIENTS];
	int status;

	(void)state;
	daemon_start(&one);
	size_t fd = client_open(DAEMON_PATH "/x");
	client_call(fd, DAEMON_ANSWER, 0, (uint8_t *)"", 0);
	size_t before = client_call(fd, DAEMON_FDS, 0, (uint8_t *)"", 0);
	for (unsigned i = 0; i < CLIENTS; i++) {
		steady[i] = client_spawn(test_random(&seed), false);
	}
	for (unsigned i = 0; i < KILLS; i++) {
		pid_t victim = client_spawn(test_random(&seed), true);
		poll(NULL, 0, (int)(test_random(&seed) % 20));
		kill(victim, SIGKILL);
		assert_int_equal(waitpid(victim, &status, 0), victim);
		assert_true(WIFSIGNALED(status));
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		assert_int_equal(waitpid(steady[i], &status, 0), steady[i]);
		assert_int_equal(status, 0);
	}
	for (unsigned waited = 0; client_call(fd, DAEMON_FDS, 0, (uint8_t *)"", 0) != before;
			waited++) {
		assert_in_range(waited, 0, 2000);
		poll(NULL, 0, 2);
	}
	redox_close_v1(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST_WITH(many_clients_and_kills, NULL, stop),
	};

	return test_main("hosted-stress", tests);
}
