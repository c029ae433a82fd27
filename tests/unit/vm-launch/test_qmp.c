/* The QMP client against a peer that this test plays: good, rude, huge, slow. */
#include "tests/support/test.h"

#include <errno.h>
#include <stdbool.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/limits.h"
#include "vm-launch/qmp.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define GOOD     "{\"return\": {}}\r\n"

struct bench {
	struct loop *loop;
	struct qmp *qmp;
	int peer;
	int ready, events, closed;
	int close_error;
	char close_reason[64];
	char event[64];
	int replies, reply_error;
	char reply_text[64];
	bool destroy_on_close, destroy_on_reply, destroy_on_event;
};

static void on_ready(void *data)
{
	((struct bench *)data)->ready++;
}

static void on_event(void *data, const char *name, struct json_object *values)
{
	struct bench *bench = data;

	(void)values;
	bench->events++;
	snprintf(bench->event, sizeof(bench->event), "%s", name);
	if (bench->destroy_on_event) {
		qmp_destroy(bench->qmp);
		bench->qmp = NULL;
	}
}

static void on_closed(void *data, int error, const char *reason)
{
	struct bench *bench = data;

	bench->closed++;
	bench->close_error = error;
	snprintf(bench->close_reason, sizeof(bench->close_reason), "%s", reason);
	if (bench->destroy_on_close) {
		qmp_destroy(bench->qmp);
		bench->qmp = NULL;
	}
}

static void on_reply(void *data, int error, const char *text, struct json_object *value)
{
	struct bench *bench = data;

	bench->replies++;
	bench->reply_error = error;
	snprintf(bench->reply_text, sizeof(bench->reply_text), "%s",
			error ? text
			      : json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN));
	if (bench->destroy_on_reply) {
		qmp_destroy(bench->qmp);
		bench->qmp = NULL;
	}
}

static const struct qmp_ops ops = {.ready = on_ready, .event = on_event, .closed = on_closed};

static struct bench bench;

static int setup_with(uint32_t timeout_ms)
{
	int fds[2];

	bench = (struct bench) {0};
	if (loop_create(&bench.loop) < 0 ||
			socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
		return -1;
	}
	bench.peer = fds[1];
	return qmp_create(bench.loop, fds[0], timeout_ms, &ops, &bench, &bench.qmp);
}

static int setup(void **state)
{
	(void)state;
	return setup_with(20000);
}

static int setup_impatient(void **state)
{
	(void)state;
	return setup_with(50);
}

static int teardown(void **state)
{
	(void)state;
	qmp_destroy(bench.qmp);
	loop_destroy(bench.loop);
	fd_close(&bench.peer);
	return 0;
}

static void say(const char *text)
{
	assert_int_equal(send(bench.peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Reads what the client wrote and compares. */
static void hear(const char *expected)
{
	char text[512];
	size_t length = strlen(expected);

	assert_int_equal(recv(bench.peer, text, length, MSG_WAITALL), length);
	assert_memory_equal(text, expected, length);
}

static void negotiate(void)
{
	say(GREETING);
	test_wait(bench.loop, recv(bench.peer, &(char) {0}, 1, MSG_PEEK | MSG_DONTWAIT) == 1);
	hear("{\"execute\":\"qmp_capabilities\"}\r\n");
	assert_int_equal(bench.ready, 0);
	say(GOOD);
	test_wait(bench.loop, bench.ready == 1);
}

static void commands_are_answered_one_by_one(void **state)
{
	(void)state;
	assert_int_equal(qmp_execute(bench.qmp, "stop", NULL, on_reply, &bench), -ENOTCONN);
	negotiate();
	assert_int_equal(qmp_execute(bench.qmp, "query-status", NULL, on_reply, &bench), 0);
	assert_int_equal(qmp_execute(bench.qmp, "stop", NULL, on_reply, &bench), -EBUSY);
	hear("{\"execute\":\"query-status\"}\r\n");
	say("{\"event\": \"STOP\", \"data\": {\"a\": 1}}\r\n{\"return\": {\"running\": true}}\r\n");
	test_wait(bench.loop, bench.replies == 1);
	assert_string_equal(bench.event, "STOP");
	assert_int_equal(bench.reply_error, 0);
	assert_string_equal(bench.reply_text, "{\"running\":true}");

	assert_int_equal(qmp_execute(bench.qmp, "screendump", "{\"filename\":\"x\"}", on_reply,
					 &bench),
			0);
	hear("{\"execute\":\"screendump\",\"arguments\":{\"filename\":\"x\"}}\r\n");
	say("{\"error\": {\"class\": \"GenericError\", \"desc\": \"no surface\"}}\r\n");
	test_wait(bench.loop, bench.replies == 2);
	assert_int_equal(bench.reply_error, -EREMOTEIO);
	assert_string_equal(bench.reply_text, "no surface");
	assert_int_equal(bench.closed, 0);
}

static void bytes_may_come_one_by_one(void **state)
{
	(void)state;
	for (const char *at = GREETING; *at; at++) {
		say((char[]) {*at, '\0'});
		assert_int_equal(loop_turn(bench.loop, 0), 0);
	}
	hear("{\"execute\":\"qmp_capabilities\"}\r\n");
	say(GOOD);
	test_wait(bench.loop, bench.ready == 1);
}

static void garbage_closes(void **state)
{
	static const struct {
		const char *text;
		int error;
		bool greeted;
	} cases[] = {
			{"HTTP/1.1 200 OK\r\n", -EBADMSG, false}, {"{}\n", -EBADMSG, false},
			{"{\"QMP\": 5}\n", -EBADMSG, false}, {"[]\n", -EBADMSG, false},
			{"null\n", -EBADMSG, false}, {"{\"QMP\": {}} {\n", -EBADMSG, false},
			{"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n", -EBADMSG, false},
			{"\xff\xfe\x80\n", -EBADMSG, false},
			{"{\"something\": 1}\n", -EBADMSG, true},
			{"{\"event\": 7}\n", -EBADMSG, true},
			{"{\"return\": {}}\n", -EBADMSG, true}, // to nothing
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		teardown(NULL);
		setup(NULL);
		if (cases[i].greeted) {
			negotiate();
		}
		say(cases[i].text);
		test_wait(bench.loop, bench.closed == 1);
		if (bench.close_error != cases[i].error) {
			fail_msg("'%s' closed with %d", cases[i].text, bench.close_error);
		}
		assert_int_equal(qmp_execute(bench.qmp, "quit", NULL, NULL, NULL), -ENOTCONN);
	}
}

static void refused_capabilities_close(void **state)
{
	(void)state;
	say(GREETING "{\"error\": {\"desc\": \"no\"}}\r\n");
	test_wait(bench.loop, bench.closed == 1);
	assert_int_equal(bench.close_error, -EREMOTEIO);
}

/*
 * A message of the limit less its newline passes, one byte more does not, and nothing is stored
 * beyond.
 */
static void long_messages_are_bounded(void **state)
{
	static char text[LIMIT_QMP_MESSAGE + 2];

	(void)state;
	for (int over = 0; over < 2; over++) {
		teardown(NULL);
		setup(NULL);
		negotiate();
		static const char head[] = "{\"event\":\"BIG\",\"data\":{\"x\":\"";
		size_t length = LIMIT_QMP_MESSAGE - 1 + (size_t)over;

		memset(text, 'a', sizeof(text));
		memcpy(text, head, sizeof(head) - 1);
		memcpy(text + length - 3, "\"}}\n", 4);
		for (size_t sent = 0; sent < length + 1 && !bench.closed;) {
			ssize_t bytes = send(bench.peer, text + sent, length + 1 - sent,
					MSG_NOSIGNAL | MSG_DONTWAIT);

			sent += bytes > 0 ? (size_t)bytes : 0;
			assert_int_equal(loop_turn(bench.loop, 0), 0);
		}
		if (over) {
			test_wait(bench.loop, bench.closed == 1);
			assert_int_equal(bench.close_error, -EMSGSIZE);
		} else {
			test_wait(bench.loop, bench.events == 1);
			assert_int_equal(bench.closed, 0);
		}
	}
}

static void silence_before_the_greeting_closes(void **state)
{
	(void)state;
	test_wait(bench.loop, bench.closed == 1);
	assert_int_equal(bench.close_error, -ETIMEDOUT);
	assert_string_equal(bench.close_reason, "no greeting in time");
}

/* One byte now and then does not keep it waiting. */
static void slow_greeting_closes(void **state)
{
	(void)state;
	uint64_t end_ns = clock_now_ns() + 5 * CLOCK_NS_PER_S;

	while (!bench.closed && clock_now_ns() < end_ns) {
		send(bench.peer, " ", 1, MSG_NOSIGNAL);
		assert_int_equal(loop_turn(bench.loop, 10), 0);
	}
	assert_int_equal(bench.closed, 1);
	assert_int_equal(bench.close_error, -ETIMEDOUT);
}

static void command_without_answer_closes(void **state)
{
	(void)state;
	negotiate();
	assert_int_equal(qmp_execute(bench.qmp, "quit", NULL, on_reply, &bench), 0);
	test_wait(bench.loop, bench.closed == 1);
	assert_int_equal(bench.close_error, -ETIMEDOUT);
	assert_int_equal(bench.replies, 1);
	assert_int_equal(bench.reply_error, -ECANCELED);
}

static void end_of_connection_is_told(void **state)
{
	(void)state;
	negotiate();
	bench.destroy_on_close = true;
	assert_int_equal(qmp_execute(bench.qmp, "quit", NULL, on_reply, &bench), 0);
	fd_close(&bench.peer);
	test_wait(bench.loop, bench.closed == 1);
	assert_int_equal(bench.replies, 1);
	assert_null(bench.qmp);
}

/* Destroyed from inside each callback, with more input waiting. */
static void may_be_destroyed_from_callbacks(void **state)
{
	(void)state;
	for (int which = 0; which < 3; which++) {
		teardown(NULL);
		setup(NULL);
		negotiate();
		bench.destroy_on_event = which == 0;
		bench.destroy_on_reply = which == 1;
		bench.destroy_on_close = which == 2;
		if (which == 1) {
			assert_int_equal(qmp_execute(bench.qmp, "x", NULL, on_reply, &bench), 0);
		}
		say(which == 0 ? "{\"event\":\"A\"}\n{\"event\":\"B\"}\n"
						: which == 1 ? GOOD GOOD
							     : "x\n{\"event\":\"B\"}\n");
		test_wait(bench.loop, !bench.qmp);
		assert_int_equal(loop_turn(bench.loop, 0), 0);
		assert_true(bench.events <= 1);
	}
}

/* A reply that destroys the client when a time limit cancelled the command. */
static void may_be_destroyed_from_a_cancelled_reply(void **state)
{
	(void)state;
	negotiate();
	bench.destroy_on_reply = true;
	assert_int_equal(qmp_execute(bench.qmp, "x", NULL, on_reply, &bench), 0);
	test_wait(bench.loop, !bench.qmp);
	assert_int_equal(bench.reply_error, -ECANCELED);
	assert_int_equal(bench.closed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST_WITH(commands_are_answered_one_by_one, setup, teardown),
			TEST_WITH(bytes_may_come_one_by_one, setup, teardown),
			TEST_WITH(garbage_closes, setup, teardown),
			TEST_WITH(refused_capabilities_close, setup, teardown),
			TEST_WITH(long_messages_are_bounded, setup, teardown),
			TEST_WITH(silence_before_the_greeting_closes, setup_impatient, teardown),
			TEST_WITH(slow_greeting_closes, setup_impatient, teardown),
			TEST_WITH(command_without_answer_closes, setup_impatient, teardown),
			TEST_WITH(end_of_connection_is_told, setup, teardown),
			TEST_WITH(may_be_destroyed_from_callbacks, setup, teardown),
			TEST_WITH(may_be_destroyed_from_a_cancelled_reply, setup_impatient,
					teardown),
	};

	return test_main("vm-launch-qmp", tests);
}
