/* Opens, transfers, mappings, status: one request after another, well-meant and hostile. */
#include <errno.h>
#include <string.h>
#include "common/limits.h"
#include "schemes/scheme/libredox.h"
#include "tests/support/test.h"
#include "tests/unit/scheme/fake_daemon.h"

#define RDWR REDOX_O_RDWR

static struct daemon *const d = &daemon_state;

static void open_passes_what_the_client_gave(void **state)
{
	(void)state;
	int64_t id = daemon_open(d->root, "v2/3", RDWR | REDOX_O_CLOEXEC);
	assert_true(id > 0);
	assert_string_equal(d->last_path, "v2/3");
	assert_int_equal(d->last_open.flags, RDWR | REDOX_O_CLOEXEC);
	assert_int_equal(d->last_open.uid, 1000);
	assert_int_equal(d->last_open.gid, 1001);
	assert_int_equal(d->last_open.pid, FAKE_PID);
	assert_null(d->last_parent);
	daemon_close((uint64_t)id);
	assert_int_equal(d->closes, 1);
	assert_int_equal(daemon_ask(SCHEME_OP_FPATH, (uint64_t)id, NO_BUFFER, 0, 0, 0, 0), -EBADF);
}

static void call_copies_in_and_out(void **state)
{
	uint8_t payload[64];
	uint64_t seed = test_seed();
	uint8_t copy[64];

	(void)state;
	test_noise(&seed, payload, sizeof(payload));
	memcpy(copy, payload, sizeof(payload));
	int64_t id = daemon_open(d->root, "", RDWR);
	d->get = sizeof(payload);
	d->result = 7;
	assert_int_equal(daemon_ask(SCHEME_OP_CALL, (uint64_t)id, POINTER(payload), 64, 0xA7, 0, 0),
			7);
	assert_int_equal(d->last_nr, 0xA7);
	assert_int_equal(d->last_pid, FAKE_PID);
	assert_int_equal(d->last_uid, UINT32_MAX);
	assert_memory_equal(d->bytes, copy, sizeof(copy));
	d->get = 0;
	d->put = 16;
	d->get_offset = 8;
	memset(d->bytes, 0x5A, sizeof(d->bytes));
	assert_int_equal(
			daemon_ask(SCHEME_OP_CALL, (uint64_t)id, POINTER(payload), 64, 1, 0, 0), 7);
	memset(copy + 8, 0x5A, 16);
	assert_memory_equal(payload, copy, sizeof(copy));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST_WITH(open_passes_what_the_client_gave, daemon_setup, daemon_teardown),
			TEST_WITH(call_copies_in_and_out, daemon_setup, daemon_teardown),
	};

	return test_main("scheme-serve", tests);
}
