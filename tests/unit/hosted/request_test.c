/* Requests: tags, answers of all kinds, and what a client's buffer looks like to the daemon. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tests/support/test.h"
#include "tests/unit/hosted/client.h"

#define PARKED 200

static struct daemon one;
static size_t handle;

static int start(void **state)
{
	(void)state;
	daemon_start(&one);
	handle = client_open(DAEMON_PATH "/x");
	return redox_failed(handle) ? -1 : 0;
}

static int stop(void **state)
{
	(void)state;
	redox_close_v1(handle);
	daemon_stop(&one);
	return 0;
}

static void *park_one(void *result)
{
	*(size_t *)result = client_call(handle, DAEMON_PARK, 0, (uint8_t *)"", 0);
	return NULL;
}

/* redox-run.md 2.4: 200 parked on one handle, answered in any order; the next tag is the last that
 * was freed. */
static void tags_are_a_stack(void **state)
{
	pthread_t threads[PARKED];
	size_t results[PARKED];
	bool seen[PARKED] = {false};
	uint32_t first = UINT32_MAX;

	(void)state;
	for (size_t i = 0; i < PARKED; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, park_one, &results[i]), 0);
		struct scheme_sqe record = daemon_expect(&one, SCHEME_OP_CALL);
		if (!i) {
			first = record.tag;
		}
		assert_int_equal(record.tag, first + i);
	}
	assert_int_equal(client_call(handle, DAEMON_RELEASE, 0, (uint8_t *)"", 0), PARKED);
	for (size_t i = 0; i < PARKED; i++) {
		pthread_join(threads[i], NULL);
		assert_in_range(results[i], 1000, 1000 + PARKED - 1);
		seen[results[i] - 1000] = true;
	}
	for (size_t i = 0; i < PARKED; i++) {
		assert_true(seen[i]);
	}
	daemon_expect(&one, SCHEME_OP_CALL);
	client_call(handle, DAEMON_ANSWER, 0, (uint8_t *)"", 0);
	/* RELEASE itself was answered last, so its place comes first. */
	assert_int_equal(daemon_expect(&one, SCHEME_OP_CALL).tag, first + PARKED);
}

/* redox-run.md 2.4, redox-abi.md 2.1 */
static void bad_answers_are_refused(void **state)
{
	uint8_t errors[4] = {0};

	(void)state;
	assert_int_equal(client_call(handle, DAEMON_BAD_ANSWERS, 0, errors, sizeof(errors)), 4);
	assert_int_equal(errors[0], EBADFD);
	assert_int_equal(errors[1], EINVAL);
	assert_int_equal(errors[2], EINVAL);
	assert_int_equal(errors[3], EINVAL);
}

/* redox-run.md 2.4: -132 is an error, -133 a value, and low 32 bits decide. */
static void answers_are_decoded_as_the_kernel_does(void **state)
{
	(void)state;
	assert_int_equal(client_call(handle, DAEMON_ANSWER, (uint64_t)-132, (uint8_t *)"", 0),
			(size_t)-132);
	assert_int_equal(client_call(handle, DAEMON_ANSWER, (uint64_t)-133, (uint8_t *)"", 0),
			(size_t)-133);
	assert_int_equal(redox_errno(client_call(
					 handle, DAEMON_ANSWER, 0xFFFFFF80, (uint8_t *)"", 0)),
			128);
	assert_int_equal(redox_errno(client_call(handle, DAEMON_ANSWER, (uint64_t)-EINTR,
					 (uint8_t *)"", 0)),
			EIO);
	assert_int_equal(redox_errno(client_call(handle, DAEMON_WRONG_KIND, 0, (uint8_t *)"", 0)),
			EIO);
	assert_int_equal(client_call(handle, DAEMON_ANSWER, 1ull << 40, (uint8_t *)"", 0),
			1ull << 40);
}

/* redox-abi.md 2.5 */
static void buffers_keep_their_place_in_the_page(void **state)
{
	static uint8_t memory[3 * 4096];

	(void)state;
	assert_int_equal(client_call(handle, DAEMON_POINTER, 0, memory, 0), 1);
	for (size_t at = 0; at < 4096; at += 517) {
		assert_int_equal(client_call(handle, DAEMON_POINTER, 0, memory + at, 100),
				(uintptr_t)(memory + at) % 4096);
	}
	/* Neither READ nor WRITE: the payload is dropped (redox-run.md 3). */
	assert_int_equal(redox_sys_call_v0(handle, memory, 100, 0, (const uint64_t[]) {DAEMON_ECHO},
					 1),
			0);
}

static void echo(uint8_t *memory, size_t length)
{
	uint64_t seed = test_seed();
	uint8_t *expected = malloc(length);

	assert_non_null(expected);
	test_noise(&seed, memory, length);
	for (size_t i = 0; i < length; i++) {
		expected[i] = memory[i] ^ 0xFF;
	}
	assert_int_equal(client_call(handle, DAEMON_ECHO, 0, memory, length), length);
	assert_memory_equal(memory, expected, length);
	free(expected);
}

/* redox-run.md 2.5: 9000 bytes that are not aligned, and what goes by a file here. */
static void large_buffers_go_both_ways(void **state)
{
	size_t size = 3u << 20;
	uint8_t *memory = malloc(size);
	size_t shared = redox_mmap_v1(NULL, 1 << 20, REDOX_PROT_READ | REDOX_PROT_WRITE,
			REDOX_MAP_SHARED | REDOX_MAP_ANON, SIZE_MAX, 0);

	(void)state;
	assert_non_null(memory);
	echo(memory + 1234, 9000);
	echo(memory + 77, 65536);
	echo(memory + 77, 65537);
	echo(memory + 5, size - 10);
	echo((uint8_t *)shared, 1 << 20);
	echo((uint8_t *)shared + 4000, 4096);
	echo((uint8_t *)shared + 4000, 9000);
	echo((uint8_t *)shared + 1, 20000);
	/* Reads of the same sizes leave the rest alone. */
	memset(memory, 0xEE, size);
	assert_int_equal(redox_read_v1(handle, memory + 3, 100000), 100000);
	assert_int_equal(memory[2], 0xEE);
	assert_int_equal(memory[3 + 99999], (uint8_t)(99999 * 7));
	assert_int_equal(memory[3 + 100000], 0xEE);
	memset((void *)shared, 0xEE, 30000);
	assert_int_equal(redox_read_v1(handle, (uint8_t *)shared + 9, 20000), 20000);
	assert_int_equal(((uint8_t *)shared)[8], 0xEE);
	assert_int_equal(((uint8_t *)shared)[9 + 19999], (uint8_t)(19999 * 7));
	assert_int_equal(((uint8_t *)shared)[9 + 20000], 0xEE);
	assert_int_equal(redox_munmap_v1((void *)shared, 1 << 20), 0);
	free(memory);
}

struct change {
	uint8_t *memory;
	struct daemon *daemon;
};

/* Changes the payload between the two looks of the daemon. */
static void *change_payload(void *data)
{
	struct change *change = data;
	char byte = 0;

	assert_int_equal(read(change->daemon->paused, &byte, 1), 1);
	change->memory[4096] = 99;
	assert_int_equal(write(change->daemon->control, &byte, 1), 1);
	return NULL;
}

static size_t read_twice(uint8_t *memory)
{
	struct change change = {memory, &one};
	pthread_t thread;

	memory[4096] = 11;
	assert_int_equal(pthread_create(&thread, NULL, change_payload, &change), 0);
	size_t result = client_call(handle, DAEMON_READ_TWICE, 0, memory, 3 * 4096);
	pthread_join(thread, NULL);
	return result;
}

/* redox-abi.md 2.5, "middle pages are live client memory": who reads twice sees two values. */
static void middle_pages_are_live(void **state)
{
	size_t shared = redox_mmap_v1(NULL, 3 * 4096, REDOX_PROT_READ | REDOX_PROT_WRITE,
			REDOX_MAP_SHARED | REDOX_MAP_ANON, SIZE_MAX, 0);

	(void)state;
	assert_false(redox_failed(shared));
	assert_int_equal(read_twice((uint8_t *)shared), 11 << 8 | 99);
	redox_munmap_v1((void *)shared, 3 * 4096);
	/* Memory that Linux cannot share is copied: the simulation is milder than Redox there. */
	uint8_t *private_memory = mmap(
			NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(read_twice(private_memory), 11 << 8 | 11);
	munmap(private_memory, 3 * 4096);
}

/* redox-run.md 2.5: the request reaches the daemon, the client gets EFAULT at the end. */
static void read_into_read_only_memory(void **state)
{
	void *memory = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_int_equal(redox_errno(redox_read_v1(handle, memory, 100)), EFAULT);
	daemon_expect(&one, SCHEME_OP_READ);
	assert_int_equal(redox_errno(redox_write_v1(handle, (const uint8_t *)8, 100)), EFAULT);
	assert_int_equal(redox_write_v1(handle, (const uint8_t *)"constant", 8), 8);
	munmap(memory, 4096);
}

/* redox-abi.md 2.5: longer than a page is EINVAL. */
static void long_paths(void **state)
{
	static uint8_t path[5000];

	(void)state;
	memset(path, 'a', sizeof(path));
	size_t fd = redox_openat_v1(handle, path, 4096, REDOX_O_RDONLY, 0);
	assert_false(redox_failed(fd));
	redox_close_v1(fd);
	assert_int_equal(redox_errno(redox_openat_v1(handle, path, 4097, REDOX_O_RDONLY, 0)),
			EINVAL);
}

/* redox-run.md 2.6 and redox-abi.md 2.4 number 2 */
static void handles_become_readable(void **state)
{
	struct pollfd waiting = {.fd = (int)handle, .events = POLLIN};
	uint8_t byte;

	(void)state;
	assert_int_equal(hosted_watch(handle, SCHEME_EVENT_READ), 0);
	assert_int_equal(daemon_expect(&one, SCHEME_OP_FEVENT).args[1], SCHEME_EVENT_READ);
	assert_int_equal(poll(&waiting, 1, 0), 0);
	assert_int_equal(client_call(handle, DAEMON_WAKE, 0, (uint8_t *)"", 0), 0);
	assert_int_equal(poll(&waiting, 1, 5000), 1);
	assert_int_equal(redox_read_v1(handle, &byte, 1), 1);
	assert_int_equal(poll(&waiting, 1, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST_WITH(tags_are_a_stack, start, stop),
			TEST_WITH(bad_answers_are_refused, start, stop),
			TEST_WITH(answers_are_decoded_as_the_kernel_does, start, stop),
			TEST_WITH(buffers_keep_their_place_in_the_page, start, stop),
			TEST_WITH(large_buffers_go_both_ways, start, stop),
			TEST_WITH(middle_pages_are_live, start, stop),
			TEST_WITH(read_into_read_only_memory, start, stop),
			TEST_WITH(long_paths, start, stop),
			TEST_WITH(handles_become_readable, start, stop),
	};

	return test_main("hosted-request", tests);
}
