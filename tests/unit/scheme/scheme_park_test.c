/* Requests that wait: each is answered once, whatever happens to client, handle, kernel or daemon. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "common/limits.h"
#include "schemes/scheme/libredox.h"
#include "tests/support/test.h"
#include "tests/unit/scheme/fake_daemon.h"

static struct daemon *const d = &daemon_state;

static uint32_t send_call(int64_t id)
{
	return fake_send(SCHEME_OP_CALL, (uint64_t)id, NO_BUFFER, 0, 0, 0, 0);
}

static void cancel(uint32_t tag)
{
	fake_send_oneway(SCHEME_OP_CANCEL, SCHEME_SQE_ONEWAY, tag, 0);
	daemon_turn();
}

/* Takes the parked request I from the daemon's list. */
static struct request *take(unsigned i)
{
	struct request *request = d->parked[i];

	assert_true(i < d->parked_count);
	d->parked[i] = d->parked[--d->parked_count];
	return request;
}

static int park_setup(void **state)
{
	int result = daemon_setup(state);

	d->park = true;
	return result;
}

static void parked_requests_are_answered_later(void **state)
{
	uint8_t buffer[8] = {0};

	(void)state;
	int64_t id = daemon_open(d->root, "", REDOX_O_RDWR);
	uint32_t tags[] = {
			fake_send(SCHEME_OP_READ, (uint64_t)id, POINTER(buffer), 8, 0, 0, 0),
			fake_send(SCHEME_OP_WRITE, (uint64_t)id, POINTER(buffer), 8, 0, 0, 0),
			send_call(id),
			fake_send(SCHEME_OP_FSYNC, (uint64_t)id, 0, 0, 0, 0, 0),
	};
	daemon_turn();
	assert_int_equal(d->parked_count, 4);
	request_put(d->parked[0], 0, "answered", 8);
	for (unsigned i = 0; i < 4; i++) {
		assert_false(fake_answered(tags[i]));
		request_answer(d->parked[i], 10 + i);
	}
	d->parked_count = 0;
	daemon_turn();
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(fake_answer(tags[i]).result, 10 + i);
	}
	assert_memory_equal(buffer, "answered", 8);
}

static void requests_are_answered_in_any_order(void **state)
{
	uint64_t seed = test_seed();
	uint32_t tags[LIMIT_PARKED_PER_HANDLE * 4];
	const unsigned count = LIMIT_PARKED_PER_HANDLE * 4;

	(void)state;
	int64_t ids[4];
	for (unsigned i = 0; i < 4; i++) {
		ids[i] = daemon_open(d->root, "", REDOX_O_RDWR);
	}
	for (unsigned i = 0; i < count; i++) {
		tags[i] = send_call(ids[i % 4]);
	}
	daemon_turn();
	assert_int_equal(d->parked_count, count);
	while (d->parked_count) {
		request_answer(take((unsigned)(test_random(&seed) % d->parked_count)), 3);
	}
	daemon_turn();
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(fake_answers(tags[i]), 1);
		assert_int_equal(fake_answer(tags[i]).result, 3);
	}
}

static void cancel_is_answered_at_once(void **state)
{
	(void)state;
	int64_t id = daemon_open(d->root, "", REDOX_O_RDWR);
	uint32_t first = send_call(id);
	uint32_t second = send_call(id);
	daemon_turn();
	cancel(first);
	assert_int_equal(fake_answer(first).result, -ECANCELED);
	assert_int_equal(d->cancels, 1);
	assert_false(fake_answered(second));
	request_answer(take(0), 1);
	daemon_turn();
	assert_int_equal(fake_answer(second).result, 1);
}

/* Request and Cancel may be read in one batch. */
static void cancel_in_the_same_batch(void **state)
{
	(void)state;
	int64_t id = daemon_open(d->root, "", REDOX_O_RDWR);
	uint32_t tag = send_call(id);
	cancel(tag);
	assert_int_equal(fake_answer(tag).result, -ECANCELED);
	assert_int_equal(d->parked_count, 0);
}

/* The answer crossed the Cancel, and the tag already belongs to another request, which must not be
 * hit. */
static void late_cancel_hits_nobody(void **state)
{
	(void)state;
	int64_t id = daemon_open(d->root, "", REDOX_O_RDWR);
	uint32_t tag = send_call(id);
	daemon_turn();
	request_answer(take(0), 5);
	daemon_turn();
	fake_send_oneway(SCHEME_OP_CANCEL, SCHEME_SQE_ONEWAY, tag, 0);
	assert_int_equal(send_call(id), tag);
	daemon_turn();
	assert_false(fake_answered(tag));
	assert_int_equal(d->cancels, 0);
	request_answer(take(0), 6);
	daemon_turn();
	assert_int_equal(fake_answer(tag).result, 6);
}

/* Answered but not yet written: the kernel still may send a Cancel. */
static void cancel_crosses_a_queued_answer(void **state)
{
	(void)state;
	int64_t id = daemon_open(d->root, "", REDOX_O_RDWR);
	uint32_t tag = send_call(id);
	daemon_turn();
	fake_send_oneway(SCHEME_OP_CANCEL, SCHEME_SQE_ONEWAY, tag, 0);
	request_answer(take(0), 5);
	daemon_turn();
	assert_int_equal(fake_answer(tag).result, 5);
	assert_int_equal(d->cancels, 0);
}

/* A killed client sends no Cancel, only CloseMsg. */
static void close_answers_what_is_parked(void **state)
{
	uint32_t tags[10];

	(void)state;
	int64_t id = daemon_open(d->root, "", REDOX_O_RDWR);
	int64_t other = daemon_open(d->root, "", REDOX_O_RDWR);
	for (unsigned i = 0; i < 10; i++) {
		tags[i] = send_call(i < 9 ? id : other);
	}
	daemon_turn();
	daemon_close((uint64_t)id);
	assert_int_equal(d->cancels, 9);
	assert_int_equal(d->closes, 1);
	for (unsigned i = 0; i < 9; i++) {
		assert_int_equal(fake_answer(tags[i]).result, -ECANCELED);
	}
	assert_false(fake_answered(tags[9]));
	assert_int_equal(d->parked_count, 1);
}

/* Teardown destroys the scheme; what waits then, parked or unread, must have its answer. */
static void destroy_answers_everything(void **state)
{
	uint32_t tags[200];

	(void)state;
	int64_t id = daemon_open(d->root, "", REDOX_O_RDWR);
	tags[0] = send_call(id);
	daemon_turn();
	for (unsigned i = 1; i < 200; i++) {
		tags[i] = send_call(id);
	}
	fake_send_oneway(SCHEME_OP_CLOSE_MSG, 0, 0, 12345);
	uint32_t unmap = fake_send(SCHEME_OP_MUNMAP, (uint64_t)id, 4096, 0, 0, 0, 0);
	fake.write_records = 7;
	fake.write_eagain = 1;
	scheme_destroy(d->scheme);
	d->scheme = NULL;
	assert_int_equal(fake.outstanding, 0);
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(fake_answer(tags[i]).result, -ENODEV);
	}
	assert_int_equal(fake_answer(unmap).result, 0);
	assert_int_equal(d->calls, 1);
	assert_int_equal(d->closes, 1);
	assert_int_equal(d->unregisters, 0); // it was us
	assert_null(fake_find_name("test", 4));
}

static void answers_from_inside_the_handler_count(void **state)
{
	(void)state;
	int64_t id = daemon_open(d->root, "", REDOX_O_RDWR);
	d->answer_inside = true;
	d->result = 42;
	uint32_t tag = send_call(id);
	daemon_turn();
	assert_int_equal(fake_answer(tag).result, 42);
	d->answer_inside = false;
	d->answer_twice = true;
	assert_int_equal(daemon_ask(SCHEME_OP_CALL, (uint64_t)id, NO_BUFFER, 0, 0, 0, 0), 42);
	d->answer_twice = false;
	d->park = false;
	assert_int_equal(daemon_ask(SCHEME_OP_CALL, (uint64_t)id, NO_BUFFER, 0, 0, 0, 0), 42);
}

/* A bug of the daemon must not reach another client's request. */
static void second_answers_are_ignored(void **state)
{
	(void)state;
	int64_t id = daemon_open(d->root, "", REDOX_O_RDWR);
	uint32_t tag = send_call(id);
	daemon_turn();
	struct request *request = take(0);
	request_answer(request, 1);
	request_answer(request, 2);
	daemon_turn();
	assert_int_equal(fake_answers(tag), 1);
	assert_int_equal(fake_answer(tag).result, 1);
	request_answer(request, 3);
	daemon_turn();
	assert_int_equal(fake.violations, 0);
}

static void parked_requests_have_a_limit(void **state)
{
	(void)state;
	int64_t id = daemon_open(d->root, "", REDOX_O_RDWR);
	for (unsigned i = 0; i < LIMIT_PARKED_PER_HANDLE; i++) {
		send_call(id);
	}
	daemon_turn();
	assert_int_equal(d->parked_count, LIMIT_PARKED_PER_HANDLE);
	uint32_t tag = send_call(id);
	daemon_turn();
	assert_int_equal(fake_answer(tag).result, -EAGAIN);
	assert_int_equal(d->parked_count, LIMIT_PARKED_PER_HANDLE);
	/* What does not wait is served, and so are other handles. */
	d->park = false;
	assert_int_equal(daemon_ask(SCHEME_OP_CALL, (uint64_t)id, NO_BUFFER, 0, 0, 0, 0), 0);
	d->park = true;
	send_call(daemon_open(d->root, "", REDOX_O_RDWR));
	daemon_turn();
	assert_int_equal(d->parked_count, LIMIT_PARKED_PER_HANDLE + 1);
	request_answer(take(0), 0);
	tag = send_call(id);
	daemon_turn();
	assert_false(fake_answered(tag));
	assert_int_equal(d->parked_count, LIMIT_PARKED_PER_HANDLE + 1);
}

static void parking_without_cancel_is_refused(void **state)
{
	(void)state;
	d->ops.cancel = NULL;
	int64_t id = daemon_open(d->root, "", REDOX_O_RDWR);
	assert_int_equal(daemon_ask(SCHEME_OP_CALL, (uint64_t)id, NO_BUFFER, 0, 0, 0, 0), -EIO);
	d->parked_count = 0;
}

static void short_writes_are_continued(void **state)
{
	uint32_t tags[100];

	(void)state;
	d->park = false;
	d->result = 9;
	int64_t id = daemon_open(d->root, "", REDOX_O_RDWR);
	fake.write_records = 3;
	for (unsigned i = 0; i < 100; i++) {
		tags[i] = send_call(id);
	}
	daemon_turn();
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(fake_answers(tags[i]), 1);
	}
}

static void a_full_kernel_is_tried_again(void **state)
{
	(void)state;
	d->park = false;
	int64_t id = daemon_open(d->root, "", REDOX_O_RDWR);
	uint32_t tags[300];
	fake.write_eagain = 6;
	for (unsigned i = 0; i < 300; i++) {
		tags[i] = send_call(id);
	}
	test_wait(d->loop, !fake.outstanding);
	for (unsigned i = 0; i < 300; i++) {
		assert_int_equal(fake_answers(tags[i]), 1);
	}
	assert_int_equal(fake.write_eagain, 0);

	/* Nothing else happens: only the retry makes the loop turn. */
	fake.write_eagain = 5;
	send_call(id);
	while (fake.outstanding) {
		assert_int_equal(loop_turn(d->loop, fake.write_eagain ? -1 : 0), 0);
	}
}

static void interrupted_calls_are_repeated(void **state)
{
	(void)state;
	d->park = false;
	d->result = 4;
	int64_t id = daemon_open(d->root, "", REDOX_O_RDWR);
	fake.read_error = EINTR;
	fake.write_error = EINTR;
	assert_int_equal(daemon_ask(SCHEME_OP_CALL, (uint64_t)id, NO_BUFFER, 0, 0, 0, 0), 4);
}

/* Should the kernel refuse an answer, those behind it still arrive. */
static void a_refused_answer_blocks_nobody(void **state)
{
	(void)state;
	d->park = false;
	int64_t id = daemon_open(d->root, "", REDOX_O_RDWR);
	uint32_t first = send_call(id);
	uint32_t second = send_call(id);
	fake.write_error = EBADFD;
	daemon_turn();
	assert_false(fake_answered(first));
	assert_true(fake_answered(second));
	fake.outstanding--; // the first, whose client knows better
}

/* The daemon lives on: what it serves otherwise must not end with this. */
static void a_lost_socket_ends_quietly(void **state)
{
	(void)state;
	int64_t id = daemon_open(d->root, "", REDOX_O_RDWR);
	uint32_t tag = send_call(id);
	daemon_turn();
	fake.end_of_file = true;
	send_call(id);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(loop_turn(d->loop, 0), 0);
	}
	fake.end_of_file = false;
	assert_false(fake_answered(tag));
}

static void a_batch_has_one_write(void **state)
{
	(void)state;
	d->park = false;
	int64_t id = daemon_open(d->root, "", REDOX_O_RDWR);
	unsigned writes = fake.writes;
	for (unsigned i = 0; i < 64; i++) {
		send_call(id);
	}
	daemon_turn();
	assert_int_equal(fake.writes, writes + 1);
	d->park = true;
	for (unsigned i = 0; i < 50; i++) {
		send_call(id);
	}
	daemon_turn();
	while (d->parked_count) {
		request_answer(take(0), 0);
	}
	writes = fake.writes;
	daemon_turn();
	assert_int_equal(fake.writes, writes + 1);
}

static void count_turn(void *data, int fd, uint32_t events)
{
	char byte;

	(void)events;
	*(unsigned *)data = daemon_state.calls;
	assert_int_equal(read(fd, &byte, 1), 1);
}

/* A flood of requests does not keep the other sources of the loop from their turn. */
static void serving_is_fair(void **state)
{
	struct loop_source *source;
	unsigned calls_seen = UINT32_MAX;
	int pipe_fds[2];

	(void)state;
	d->park = false;
	int64_t id = daemon_open(d->root, "", REDOX_O_RDWR);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(loop_add_fd(d->loop, pipe_fds[0], LOOP_READ, count_turn, &calls_seen,
					 &source),
			0);
	assert_int_equal(write(pipe_fds[1], "x", 1), 1);
	for (unsigned i = 0; i < 3000; i++) {
		send_call(id);
	}
	assert_int_equal(loop_turn(d->loop, 0), 0);
	assert_true(calls_seen <= 256);
	test_wait(d->loop, !fake.outstanding);
	assert_int_equal(d->calls, 3000);
	loop_source_remove(source);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

#define PARK(fn) TEST_WITH(fn, park_setup, daemon_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			PARK(parked_requests_are_answered_later),
			PARK(requests_are_answered_in_any_order),
			PARK(cancel_is_answered_at_once),
			PARK(cancel_in_the_same_batch),
			PARK(late_cancel_hits_nobody),
			PARK(cancel_crosses_a_queued_answer),
			PARK(close_answers_what_is_parked),
			PARK(destroy_answers_everything),
			PARK(answers_from_inside_the_handler_count),
			PARK(second_answers_are_ignored),
			PARK(parked_requests_have_a_limit),
			PARK(parking_without_cancel_is_refused),
			PARK(short_writes_are_continued),
			PARK(a_full_kernel_is_tried_again),
			PARK(interrupted_calls_are_repeated),
			PARK(a_refused_answer_blocks_nobody),
			PARK(a_lost_socket_ends_quietly),
			PARK(a_batch_has_one_write),
			PARK(serving_is_fair),
	};

	return test_main("scheme-park", tests);
}
