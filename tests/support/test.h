/*
 * What every test of this project has around it, on top of cmocka: an alarm, a count of open
 * descriptors before and after, a private temporary directory, seeded noise. Include it instead of
 * cmocka.h.
 *
 *	static void pipe_carries(void **state) { ... }
 *	int main(void)
 *	{
 *		const struct CMUnitTest tests[] = {
 *			TEST(pipe_carries), TEST_WITH(other, other_setup, other_teardown),
 *		};
 *		return test_main("pipe", tests);
 *	}
 */
#ifndef TESTS_SUPPORT_TEST_H
#define TESTS_SUPPORT_TEST_H

#ifdef NDEBUG
#error "tests need assert(): build without NDEBUG"
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/loop.h"

/* Own fixture of a test, called inside the checks. Setup and teardown return 0, or -1 to fail the
 * test. */
struct test_fixture {
	CMFixtureFunction setup;    // may be NULL
	CMFixtureFunction teardown; // may be NULL
};

#define TEST(fn) TEST_WITH(fn, NULL, NULL)
#define TEST_WITH(fn, setup_fn, teardown_fn)                                 \
	{                                                                    \
		#fn, (fn), test_setup, test_teardown, &(struct test_fixture) \
		{                                                            \
			(setup_fn), (teardown_fn)                            \
		}                                                            \
	}

#define test_main(group, tests) cmocka_run_group_tests_name((group), (tests), NULL, NULL)

/* Longest time of one test in seconds; TEST_SECONDS in the environment replaces it. */
#define TEST_SECONDS 30

int test_setup(void **state);
int test_teardown(void **state);

/* Directory of the running test, removed after it. */
const char *test_dir(void);

/* Writes "test_dir()/name" to BUFFER, which must be large enough. Returns BUFFER. */
char *test_path(char *buffer, size_t size, const char *name);

/* Open descriptors of this process. */
unsigned test_count_fds(void);

/* A new seed, printed as a TAP comment; TEST_SEED in the environment replaces it. */
uint64_t test_seed(void);

/* The next number of the sequence that *SEED stands for. */
uint64_t test_random(uint64_t *seed);

/* Fills BUFFER with noise. */
void test_noise(uint64_t *seed, void *buffer, size_t size);

/* Turns LOOP until CONDITION holds; fails after ten seconds. */
#define test_wait(loop, condition)                                                \
	do {                                                                      \
		uint64_t test_wait_end_ns = clock_now_ns() + 10 * CLOCK_NS_PER_S; \
		while (!(condition)) {                                            \
			if (clock_now_ns() > test_wait_end_ns) {                  \
				fail_msg("waited 10 s for: %s", #condition);      \
			}                                                         \
			assert_int_equal(loop_turn((loop), 100), 0);              \
		}                                                                 \
	} while (0)

#endif
