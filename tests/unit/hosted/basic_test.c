/* Names, opens, data, closes: what every client and daemon meets first. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "tests/support/test.h"
#include "tests/unit/hosted/client.h"

static struct daemon one;

static int stop(void **state)
{
	(void)state;
	daemon_stop(&one);
	return 0;
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST_WITH(open_call_and_close, NULL, stop),
	};

	return test_main("hosted-basic", tests);
}
