/* common/loop.c: descriptors, timers, signals, idle work, hooks; removal from everywhere. */
#include "tests/support/test.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/fd.h"

#define SOURCES 8

struct bench {
	struct loop *loop;
	struct loop_source *sources[SOURCES];
	int fds[SOURCES][2];
	unsigned calls[SOURCES];
	unsigned order[64];
	unsigned order_count;
	uint32_t events;
};

static int bench_setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	memset(bench->fds, 0xff, sizeof(bench->fds));
	assert_int_equal(loop_create(&bench->loop), 0);
	*state = bench;
	return 0;
}

static int bench_teardown(void **state)
{
	struct bench *bench = *state;

	loop_destroy(bench->loop);
	for (unsigned i = 0; i < SOURCES; i++) {
		fd_close(&bench->fds[i][0]);
		fd_close(&bench->fds[i][1]);
	}
	free(bench);
	return 0;
}

static void bench_pipes(struct bench *bench, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(fd_pipe(bench->fds[i]), 0);
	}
}

static unsigned bench_index(struct bench *bench, int fd)
{
	for (unsigned i = 0; i < SOURCES; i++) {
		if (bench->fds[i][0] == fd || bench->fds[i][1] == fd) {
			return i;
		}
	}
	fail();
	return 0;
}

static void on_fd_drain(void *data, int fd, uint32_t events)
{
	struct bench *bench = data;
	char bytes[16];

	bench->calls[bench_index(bench, fd)]++;
	bench->events = events;
	while (read(fd, bytes, sizeof(bytes)) > 0) {
	}
}

static void fd_reads(void **state)
{
	struct bench *bench = *state;

	bench_pipes(bench, 1);
	assert_int_equal(loop_add_fd(bench->loop, bench->fds[0][0], LOOP_READ, on_fd_drain, bench,
					 &bench->sources[0]),
			0);
	assert_int_equal(loop_turn(bench->loop, 0), 0);
	assert_int_equal(bench->calls[0], 0);
	assert_int_equal(write(bench->fds[0][1], "x", 1), 1);
	assert_int_equal(loop_turn(bench->loop, 1000), 0);
	assert_int_equal(bench->calls[0], 1);
	assert_int_equal(bench->events, LOOP_READ);
}

static void fd_end_of_file_is_read(void **state)
{
	struct bench *bench = *state;

	bench_pipes(bench, 1);
	assert_int_equal(loop_add_fd(bench->loop, bench->fds[0][0], LOOP_READ, on_fd_drain, bench,
					 &bench->sources[0]),
			0);
	fd_close(&bench->fds[0][1]);
	assert_int_equal(loop_turn(bench->loop, 1000), 0);
	assert_int_equal(bench->calls[0], 1);
	assert_int_equal(bench->events, LOOP_READ);
}

static void fd_that_waits_for_nothing_does_not_spin(void **state)
{
	struct bench *bench = *state;

	bench_pipes(bench, 1);
	assert_int_equal(loop_add_fd(bench->loop, bench->fds[0][0], LOOP_READ, on_fd_drain, bench,
					 &bench->sources[0]),
			0);
	assert_int_equal(loop_source_update(bench->sources[0], 0), 0);
	fd_close(&bench->fds[0][1]);
	uint64_t start_ns = clock_now_ns();
	assert_int_equal(loop_turn(bench->loop, 50), 0);
	assert_true(clock_now_ns() - start_ns >= 40 * CLOCK_NS_PER_MS);
	assert_int_equal(bench->calls[0], 0);
	assert_int_equal(loop_source_update(bench->sources[0], LOOP_READ), 0);
	assert_int_equal(loop_turn(bench->loop, 1000), 0);
	assert_int_equal(bench->calls[0], 1);
}

static void fd_writes(void **state)
{
	struct bench *bench = *state;

	bench_pipes(bench, 1);
	assert_int_equal(loop_add_fd(bench->loop, bench->fds[0][1], 0, on_fd_drain, bench,
					 &bench->sources[0]),
			0);
	assert_int_equal(loop_turn(bench->loop, 0), 0);
	assert_int_equal(bench->calls[0], 0);
	assert_int_equal(loop_source_update(bench->sources[0], LOOP_WRITE), 0);
	assert_int_equal(loop_turn(bench->loop, 1000), 0);
	assert_int_equal(bench->events, LOOP_WRITE);
	// The reader goes away: an error is reported as what is awaited.
	fd_close(&bench->fds[0][0]);
	bench->events = 0;
	assert_int_equal(loop_turn(bench->loop, 1000), 0);
	assert_int_equal(bench->events, LOOP_WRITE);
}

static void on_fd_remove_all(void *data, int fd, uint32_t events)
{
	struct bench *bench = data;

	(void)events;
	bench->calls[bench_index(bench, fd)]++;
	for (unsigned i = 0; i < SOURCES; i++) {
		loop_source_remove(bench->sources[i]);
		bench->sources[i] = NULL;
	}
}

/* Several are ready in one turn; the first removes all of them, itself included: no other is
 * called. */
static void fd_removes_others(void **state)
{
	struct bench *bench = *state;
	unsigned calls = 0;

	bench_pipes(bench, SOURCES);
	for (unsigned i = 0; i < SOURCES; i++) {
		assert_int_equal(loop_add_fd(bench->loop, bench->fds[i][0], LOOP_READ,
						 on_fd_remove_all, bench, &bench->sources[i]),
				0);
		assert_int_equal(write(bench->fds[i][1], "x", 1), 1);
	}
	assert_int_equal(loop_turn(bench->loop, 1000), 0);
	assert_int_equal(loop_turn(bench->loop, 0), 0);
	for (unsigned i = 0; i < SOURCES; i++) {
		calls += bench->calls[i];
	}
	assert_int_equal(calls, 1);
}

static void on_fd_swap(void *data, int fd, uint32_t events)
{
	struct bench *bench = data;
	unsigned self = bench_index(bench, fd);
	unsigned other = 1 - self;

	(void)events;
	bench->calls[self]++;
	if (bench->sources[other] == NULL) {
		return;
	}
	// The other one, which is ready too, is closed; a quiet pipe gets its number.
	int number = bench->fds[other][0];
	loop_source_remove(bench->sources[other]);
	fd_close(&bench->fds[other][0]);
	fd_close(&bench->fds[other][1]);
	assert_int_equal(fd_pipe(bench->fds[2]), 0);
	assert_true(bench->fds[2][0] == number || bench->fds[2][1] == number);
	assert_int_equal(loop_add_fd(bench->loop, bench->fds[2][0], LOOP_READ, on_fd_drain, bench,
					 &bench->sources[2]),
			0);
	bench->sources[other] = NULL;
	loop_source_remove(bench->sources[self]);
}

static void fd_number_reused_within_a_turn(void **state)
{
	struct bench *bench = *state;

	bench_pipes(bench, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(loop_add_fd(bench->loop, bench->fds[i][0], LOOP_READ, on_fd_swap,
						 bench, &bench->sources[i]),
				0);
		assert_int_equal(write(bench->fds[i][1], "x", 1), 1);
	}
	assert_int_equal(loop_turn(bench->loop, 1000), 0);
	assert_int_equal(bench->calls[0] + bench->calls[1], 1);
	assert_int_equal(bench->calls[2], 0);
	assert_int_equal(write(bench->fds[2][1], "x", 1), 1);
	assert_int_equal(loop_turn(bench->loop, 1000), 0);
	assert_int_equal(bench->calls[2], 1);
}

static void fd_of_a_file_is_refused(void **state)
{
	struct bench *bench = *state;
	char path[256];
	FILE *file = fopen(test_path(path, sizeof(path), "file"), "w");

	assert_non_null(file);
	assert_int_equal(loop_add_fd(bench->loop, fileno(file), LOOP_READ, on_fd_drain, bench,
					 &bench->sources[0]),
			-EPERM);
	fclose(file);
}

/* A timer that writes down which one it is. */
struct tick {
	struct bench *bench;
	unsigned index;
};

static void on_tick(void *data)
{
	struct tick *tick = data;
	struct bench *bench = tick->bench;

	bench->calls[tick->index]++;
	assert_true(bench->order_count < 64);
	bench->order[bench->order_count++] = tick->index;
}

static void timers_fire_in_time(void **state)
{
	struct bench *bench = *state;
	struct tick ticks[SOURCES];
	uint64_t start_ns = clock_now_ns();

	for (unsigned i = 0; i < SOURCES; i++) {
		ticks[i] = (struct tick) {bench, i};
		assert_int_equal(
				loop_add_timer(bench->loop, on_tick, &ticks[i], &bench->sources[i]),
				0);
		// 8, 7, .. 1 times 5 ms
		loop_timer_arm(bench->sources[i], start_ns + (SOURCES - i) * 5 * CLOCK_NS_PER_MS);
	}
	while (bench->order_count < SOURCES) {
		unsigned before = bench->order_count;

		assert_int_equal(loop_turn(bench->loop, -1), 0);
		for (unsigned i = before; i < bench->order_count; i++) {
			unsigned index = bench->order[i];

			assert_true(clock_now_ns() - start_ns >=
					(SOURCES - index) * 5 * CLOCK_NS_PER_MS);
		}
	}
	for (unsigned i = 0; i < SOURCES; i++) {
		assert_int_equal(bench->calls[i], 1);
	}
}

static void timer_rearmed_and_disarmed(void **state)
{
	struct bench *bench = *state;
	struct tick ticks[2] = {{bench, 0}, {bench, 1}};

	assert_int_equal(loop_add_timer(bench->loop, on_tick, &ticks[0], &bench->sources[0]), 0);
	assert_int_equal(loop_add_timer(bench->loop, on_tick, &ticks[1], &bench->sources[1]), 0);
	loop_timer_arm(bench->sources[0], 1);
	loop_timer_arm(bench->sources[1], 1);
	loop_timer_arm(bench->sources[0], 0);
	assert_int_equal(loop_turn(bench->loop, 0), 0);
	assert_int_equal(bench->calls[0], 0);
	assert_int_equal(bench->calls[1], 1);
	loop_timer_arm(bench->sources[0], clock_now_ns() + 1000 * CLOCK_NS_PER_S);
	loop_timer_arm(bench->sources[0], 1);
	assert_int_equal(loop_turn(bench->loop, -1), 0);
	assert_int_equal(bench->calls[0], 1);
	assert_int_equal(loop_turn(bench->loop, 0), 0);
	assert_int_equal(bench->calls[0], 1);
}

static void on_timer_again(void *data)
{
	struct bench *bench = data;

	bench->calls[0]++;
	loop_timer_arm(bench->sources[0], 1);
	if (bench->sources[1] != NULL) {
		loop_source_remove(bench->sources[1]);
		bench->sources[1] = NULL;
	}
}

/* A timer that arms itself for the past comes once a turn; another one, due too, is removed by it.
 */
static void timer_for_the_past(void **state)
{
	struct bench *bench = *state;
	struct tick tick = {bench, 1};

	assert_int_equal(loop_add_timer(bench->loop, on_timer_again, bench, &bench->sources[0]), 0);
	assert_int_equal(loop_add_timer(bench->loop, on_tick, &tick, &bench->sources[1]), 0);
	loop_timer_arm(bench->sources[0], 1);
	loop_timer_arm(bench->sources[1], 2);
	for (unsigned turn = 1; turn <= 3; turn++) {
		assert_int_equal(loop_turn(bench->loop, -1), 0);
		assert_int_equal(bench->calls[0], turn);
	}
	assert_int_equal(bench->calls[1], 0);
}

/* Against a sorted array: a thousand timers armed, armed again and disarmed at random fire in
 * order. */
static unsigned stress_calls;
struct stress {
	uint64_t deadline_ns;
};

static void on_stress(void *data)
{
	struct stress *stress = data;

	assert_true(stress->deadline_ns != 0);
	assert_true(stress->deadline_ns <= clock_now_ns());
	stress->deadline_ns = 0;
	stress_calls++;
}

static void timers_by_the_thousand(void **state)
{
	enum { COUNT = 1000 };
	struct bench *bench = *state;
	uint64_t seed = test_seed();
	static struct stress stress[COUNT];
	static struct loop_source *timers[COUNT];
	unsigned expected = 0;

	stress_calls = 0;
	for (unsigned i = 0; i < COUNT; i++) {
		assert_int_equal(loop_add_timer(bench->loop, on_stress, &stress[i], &timers[i]), 0);
	}
	uint64_t start_ns = clock_now_ns();
	for (unsigned i = 0; i < 10 * COUNT; i++) {
		unsigned which = (unsigned)(test_random(&seed) % COUNT);

		stress[which].deadline_ns = test_random(&seed) % 4 == 0
				? 0
				: start_ns + test_random(&seed) % (50 * CLOCK_NS_PER_MS);
		loop_timer_arm(timers[which], stress[which].deadline_ns);
	}
	for (unsigned i = 0; i < COUNT; i++) {
		expected += stress[i].deadline_ns != 0;
	}
	test_wait(bench->loop, stress_calls == expected);
	assert_int_equal(loop_turn(bench->loop, 60), 0);
	assert_int_equal(stress_calls, expected);
}

static void on_signal(void *data)
{
	struct tick *tick = data;

	tick->bench->calls[tick->index]++;
}

static void signals_arrive(void **state)
{
	struct bench *bench = *state;
	struct tick ticks[3] = {{bench, 0}, {bench, 1}, {bench, 2}};
	struct sigaction before;
	struct sigaction after;

	signal(SIGUSR1, SIG_IGN);
	sigaction(SIGUSR1, NULL, &before);
	assert_int_equal(loop_add_signal(bench->loop, SIGUSR1, on_signal, &ticks[0],
					 &bench->sources[0]),
			0);
	assert_int_equal(loop_add_signal(bench->loop, SIGUSR1, on_signal, &ticks[1],
					 &bench->sources[1]),
			0);
	assert_int_equal(loop_add_signal(bench->loop, SIGUSR2, on_signal, &ticks[2],
					 &bench->sources[2]),
			0);
	for (unsigned i = 0; i < 1000; i++) {
		raise(SIGUSR1);
	}
	assert_int_equal(loop_turn(bench->loop, 1000), 0);
	assert_int_equal(bench->calls[0], 1); // those that came together are one
	assert_int_equal(bench->calls[1], 1);
	assert_int_equal(bench->calls[2], 0);
	raise(SIGUSR2);
	assert_int_equal(loop_turn(bench->loop, 1000), 0);
	assert_int_equal(bench->calls[2], 1);

	loop_source_remove(bench->sources[0]);
	raise(SIGUSR1);
	assert_int_equal(loop_turn(bench->loop, 1000), 0);
	assert_int_equal(bench->calls[0], 1);
	assert_int_equal(bench->calls[1], 2);
	loop_source_remove(bench->sources[1]);
	sigaction(SIGUSR1, NULL, &after);
	assert_ptr_equal(after.sa_handler, before.sa_handler);
	loop_source_remove(bench->sources[2]);
	// The last one out put the bell away; it is there again for the next.
	assert_int_equal(loop_add_signal(bench->loop, SIGUSR2, on_signal, &ticks[2],
					 &bench->sources[2]),
			0);
	raise(SIGUSR2);
	assert_int_equal(loop_turn(bench->loop, 1000), 0);
	assert_int_equal(bench->calls[2], 2);
	signal(SIGUSR1, SIG_DFL);
}

static void signal_of_another_loop_is_refused(void **state)
{
	struct bench *bench = *state;
	struct tick tick = {bench, 0};
	struct loop *other;
	struct loop_source *source;

	assert_int_equal(loop_create(&other), 0);
	assert_int_equal(
			loop_add_signal(bench->loop, SIGUSR1, on_signal, &tick, &bench->sources[0]),
			0);
	assert_int_equal(loop_add_signal(other, SIGUSR1, on_signal, &tick, &source), -EBUSY);
	assert_int_equal(loop_add_signal(other, 0, on_signal, &tick, &source), -EINVAL);
	assert_int_equal(loop_add_signal(other, SIGKILL, on_signal, &tick, &source), -EINVAL);
	loop_source_remove(bench->sources[0]);
	assert_int_equal(loop_add_signal(other, SIGUSR1, on_signal, &tick, &source), 0);
	loop_destroy(other);
}

static void on_idle_again(void *data)
{
	struct bench *bench = data;

	bench->calls[0]++;
	bench->sources[0] = NULL;
	if (bench->calls[0] < 3) {
		assert_int_equal(loop_add_idle(bench->loop, on_idle_again, bench,
						 &bench->sources[0]),
				0);
	}
}

static void idle_runs_once_a_turn(void **state)
{
	struct bench *bench = *state;

	assert_int_equal(loop_add_idle(bench->loop, on_idle_again, bench, &bench->sources[0]), 0);
	for (unsigned turn = 1; turn <= 3; turn++) {
		assert_int_equal(loop_turn(bench->loop, -1),
				0); // would hang if idle work did not count
		assert_int_equal(bench->calls[0], turn);
	}
	assert_int_equal(loop_turn(bench->loop, 0), 0);
	assert_int_equal(bench->calls[0], 3);
	assert_int_equal(loop_add_idle(bench->loop, on_idle_again, bench, &bench->sources[0]), 0);
	loop_source_remove(bench->sources[0]);
	assert_int_equal(loop_turn(bench->loop, 0), 0);
	assert_int_equal(bench->calls[0], 3);
}

static void on_idle(void *data)
{
	struct bench *bench = data;

	bench->calls[1]++;
}

static void on_before_sleep(void *data)
{
	struct bench *bench = data;

	bench->calls[0]++;
	if (bench->calls[0] == 1) {
		struct loop_source *source;

		assert_int_equal(loop_add_idle(bench->loop, on_idle, bench, &source), 0);
	}
	if (bench->calls[0] == 2) {
		loop_timer_arm(bench->sources[1], 1);
	}
	if (bench->calls[0] == 3) {
		loop_stop(bench->loop, 7);
	}
}

/* What a hook starts keeps the loop from waiting. */
static void hook_keeps_awake(void **state)
{
	struct bench *bench = *state;
	struct tick tick = {bench, 2};

	assert_int_equal(loop_add_timer(bench->loop, on_tick, &tick, &bench->sources[1]), 0);
	assert_int_equal(loop_add_before_sleep(
					 bench->loop, on_before_sleep, bench, &bench->sources[0]),
			0);
	assert_int_equal(loop_run(bench->loop), 7);
	assert_int_equal(bench->calls[0], 4); // and once after the last turn
	assert_int_equal(bench->calls[1], 1);
	assert_int_equal(bench->calls[2], 1);
	loop_source_remove(bench->sources[0]);
	assert_int_equal(loop_turn(bench->loop, 0), 0);
	assert_int_equal(bench->calls[0], 4);
}

/* A signal that nobody handles interrupts the wait: that is no error. */
static void on_plain_signal(int signo)
{
	(void)signo;
}

static void interrupted_wait(void **state)
{
	struct bench *bench = *state;
	struct sigaction action = {.sa_handler = on_plain_signal};
	timer_t timer;
	struct itimerspec soon = {.it_value.tv_nsec = 20 * 1000 * 1000};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};

	sigaction(SIGUSR1, &action, NULL);
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &soon, NULL), 0);
	uint64_t start_ns = clock_now_ns();
	assert_int_equal(loop_turn(bench->loop, 5000), 0);
	assert_true(clock_now_ns() - start_ns < 4 * CLOCK_NS_PER_S);
	timer_delete(timer);
	signal(SIGUSR1, SIG_DFL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST_WITH(fd_reads, bench_setup, bench_teardown),
			TEST_WITH(fd_end_of_file_is_read, bench_setup, bench_teardown),
			TEST_WITH(fd_that_waits_for_nothing_does_not_spin, bench_setup,
					bench_teardown),
			TEST_WITH(fd_writes, bench_setup, bench_teardown),
			TEST_WITH(fd_removes_others, bench_setup, bench_teardown),
			TEST_WITH(fd_number_reused_within_a_turn, bench_setup, bench_teardown),
			TEST_WITH(fd_of_a_file_is_refused, bench_setup, bench_teardown),
			TEST_WITH(timers_fire_in_time, bench_setup, bench_teardown),
			TEST_WITH(timer_rearmed_and_disarmed, bench_setup, bench_teardown),
			TEST_WITH(timer_for_the_past, bench_setup, bench_teardown),
			TEST_WITH(timers_by_the_thousand, bench_setup, bench_teardown),
			TEST_WITH(signals_arrive, bench_setup, bench_teardown),
			TEST_WITH(signal_of_another_loop_is_refused, bench_setup, bench_teardown),
			TEST_WITH(idle_runs_once_a_turn, bench_setup, bench_teardown),
			TEST_WITH(hook_keeps_awake, bench_setup, bench_teardown),
			TEST_WITH(interrupted_wait, bench_setup, bench_teardown),
	};

	return test_main("loop", tests);
}
