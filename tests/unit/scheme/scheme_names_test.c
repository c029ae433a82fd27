/* Creation, names, handles and their limits, readiness. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "common/limits.h"
#include "schemes/scheme/handle.h"
#include "schemes/scheme/libredox.h"
#include "tests/support/test.h"
#include "tests/unit/scheme/fake_daemon.h"

static struct daemon *const d = &daemon_state;

static void creation_fails_cleanly(void **state)
{
	struct scheme *scheme = NULL;
	struct loop *loop;

	(void)state;
	fake_start();
	fake.create_error = EACCES;
	assert_int_equal(loop_create(&loop), 0);
	assert_int_equal(scheme_create(loop, &d->ops, d, &scheme), -EACCES);
	assert_null(scheme);
	fake.create_error = 0;
	fake.capability_error = EPERM;
	assert_int_equal(scheme_create(loop, &d->ops, d, &scheme), -EPERM);
	fake.capability_error = 0;
	fake.no_namespace = true;
	assert_int_equal(scheme_create(loop, &d->ops, d, &scheme), 0);
	assert_int_equal(fcntl(fake.socket[0], F_GETFD), FD_CLOEXEC);
	assert_true(fcntl(fake.socket[0], F_GETFL) & O_NONBLOCK);
	assert_int_equal(scheme_register(scheme, "x"), -ENODEV);
	scheme_destroy(scheme);
	scheme_destroy(NULL);
	loop_destroy(loop);
	fake_stop();
}

static void names_are_checked(void **state)
{
	char name[66];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[65] = 0;
	assert_int_equal(scheme_register(d->scheme, name), -EINVAL);
	name[64] = 0;
	assert_int_equal(scheme_register(d->scheme, name), 0);
	assert_int_equal(scheme_register(d->scheme, ""), -EINVAL);
	assert_int_equal(scheme_register(d->scheme, "a/b"), -EINVAL);
	assert_int_equal(scheme_register(d->scheme, "a:b"), -EINVAL);
	assert_int_equal(scheme_register(d->scheme, "display.vm-linux"), 0);
}

static void aliases_have_roots_of_their_own(void **state)
{
	char path[32] = "";

	(void)state;
	assert_int_equal(scheme_register(d->scheme, "alias"), 0);
	uint64_t alias = fake.last_id;
	assert_int_not_equal(alias, d->root);
	int64_t id = daemon_open(alias, "x", REDOX_O_RDWR);
	assert_int_equal(daemon_ask(SCHEME_OP_FPATH, (uint64_t)id, POINTER(path), 32, 0, 0, 0),
			strlen("/scheme/alias/x"));
	assert_string_equal(path, "/scheme/alias/x");
	assert_int_equal(scheme_register(d->scheme, "alias"), -EEXIST);
	assert_int_equal(fake.probes, 0); // never opens itself
}

static void a_living_daemon_keeps_its_name(void **state)
{
	(void)state;
	fake_add_name("display", true);
	assert_int_equal(scheme_register(d->scheme, "display"), -EEXIST);
	assert_int_equal(fake.probes, 1);
	assert_non_null(fake_find_name("display", 7));
	daemon_turn(); // CloseMsg of the root that the failed attempt took
	assert_int_equal(d->unregisters, 0);
}

static void a_dead_daemon_loses_its_name(void **state)
{
	(void)state;
	fake_add_name("display", false);
	assert_int_equal(scheme_register(d->scheme, "display"), 0);
	uint64_t root = fake.last_id;
	daemon_turn();
	assert_true(daemon_open(root, "x", REDOX_O_RDWR) > 0);
	assert_int_equal(fake_find_name("display", 7)->root, root);
	assert_int_equal(d->unregisters, 0);
}

/* Each attempt takes a fresh root, and none is left behind. */
static void failed_attempts_leave_nothing(void **state)
{
	(void)state;
	fake.register_error = EPERM;
	for (unsigned i = 0; i < 3 * HANDLE_OWN_MAX; i++) {
		uint64_t before = fake.last_id;
		assert_int_equal(scheme_register(d->scheme, "display"), -EPERM);
		assert_int_not_equal(fake.last_id, before);
		daemon_turn();
	}
	fake.register_error = 0;
	assert_int_equal(scheme_register(d->scheme, "display"), 0);
}

/* Nor does one that gets no descriptor. */
static void missing_descriptors_leave_nothing(void **state)
{
	(void)state;
	fake.make_error = EMFILE;
	for (unsigned i = 0; i < 2 * HANDLE_OWN_MAX; i++) {
		assert_int_equal(scheme_register(d->scheme, "display"), -EMFILE);
		assert_int_equal(scheme_control_create(d->scheme, i), -EMFILE);
	}
	fake.make_error = 0;
	assert_int_equal(scheme_register(d->scheme, "display"), 0);
}

static void a_name_that_cannot_be_removed_is_not_taken(void **state)
{
	(void)state;
	fake_add_name("display", false);
	fake.unlink_error = EPERM;
	assert_int_equal(scheme_register(d->scheme, "display"), -EPERM);
	daemon_turn();
	assert_int_equal(d->unregisters, 0);
}

static void own_handles_have_a_limit(void **state)
{
	uint64_t ids[HANDLE_OWN_MAX];
	int fds[HANDLE_OWN_MAX];

	(void)state;
	for (unsigned i = 1; i < HANDLE_OWN_MAX; i++) {
		fds[i] = scheme_control_create(d->scheme, i);
		ids[i] = fake.last_id;
		assert_true(fds[i] >= 0);
	}
	assert_int_equal(scheme_control_create(d->scheme, 0), -ENFILE);
	assert_int_equal(scheme_register(d->scheme, "display"), -ENFILE);
	for (unsigned i = 1; i < HANDLE_OWN_MAX; i++) {
		close(fds[i]);
		daemon_close(ids[i]);
	}
	assert_int_equal(scheme_register(d->scheme, "display"), 0);
}

static void losing_the_name_is_noticed(void **state)
{
	(void)state;
	int64_t id = daemon_open(d->root, "x", REDOX_O_RDWR);
	fake_find_name("test", 4)->name[0] = 0;
	daemon_close(d->root);
	assert_int_equal(d->unregisters, 1);
	assert_string_equal(d->unregistered_name, "test");
	assert_int_equal(d->closes, 0);
	/* Open handles live on, and the name can come back. */
	assert_int_equal(daemon_ask(SCHEME_OP_CALL, (uint64_t)id, NO_BUFFER, 0, 0, 0, 0), 0);
	assert_int_equal(daemon_open(d->root, "x", REDOX_O_RDWR), -EBADF);
	assert_int_equal(scheme_register(d->scheme, "test"), 0);
	assert_true(daemon_open(fake.last_id, "x", REDOX_O_RDWR) > 0);
}

/* At the end, a name is taken away only if it is still ours. */
static void a_lost_name_is_left_to_its_new_owner(void **state)
{
	(void)state;
	fake_find_name("test", 4)->root = 0; // of a daemon that took it over
	fake_send_oneway(SCHEME_OP_CLOSE_MSG, 0, 0, d->root);
	scheme_destroy(d->scheme);
	d->scheme = NULL;
	assert_non_null(fake_find_name("test", 4));
	assert_int_equal(d->unregisters, 0);
}

static void a_process_has_a_limit_of_handles(void **state)
{
	int64_t last = 0;

	(void)state;
	for (unsigned i = 0; i < LIMIT_HANDLES_PER_PID; i++) {
		last = daemon_open(d->root, "", REDOX_O_RDWR);
		assert_true(last > 0);
	}
	unsigned opens = d->opens;
	assert_int_equal(daemon_open(d->root, "", REDOX_O_RDWR), -EMFILE);
	assert_int_equal(d->opens, opens); // no effects
	assert_true(daemon_open_from(FAKE_PID + 256, d->root, "", REDOX_O_RDWR) > 0);
	daemon_close((uint64_t)last);
	assert_true(daemon_open(d->root, "", REDOX_O_RDWR) > 0);
	assert_int_equal(daemon_open(d->root, "", REDOX_O_RDWR), -EMFILE);
}

/* An open that the daemon refuses costs its process nothing. */
static void refused_opens_are_not_counted(void **state)
{
	(void)state;
	d->open_result = -ENOENT;
	for (unsigned i = 0; i < 2 * LIMIT_HANDLES_PER_PID; i++) {
		assert_int_equal(daemon_open(d->root, "", REDOX_O_RDWR), -ENOENT);
	}
	d->open_result = 0;
	assert_true(daemon_open(d->root, "", REDOX_O_RDWR) > 0);
}

static void a_scheme_has_a_limit_of_handles(void **state)
{
	static struct handle_table table;
	static struct handle *handles[LIMIT_HANDLES];
	struct handle *handle;

	(void)state;
	handle_table_init(&table);
	for (unsigned i = 0; i < LIMIT_HANDLES; i++) {
		assert_int_equal(handle_create(&table, HANDLE_OPEN, NULL, "/scheme/x/", i / 1000,
						 &handles[i]),
				0);
		/* Never what the kernel would read as an errno, and never 0. */
		assert_true(handles[i]->id && (uint32_t)handles[i]->id < 0xFFFFFF7C);
		assert_ptr_equal(handle_find(&table, handles[i]->id), handles[i]);
	}
	assert_int_equal(handle_create(&table, HANDLE_OPEN, NULL, "", 1 << 20, &handle), -ENFILE);
	assert_int_equal(handle_create(&table, HANDLE_ROOT, NULL, "", 0, &handle), 0);
	handle_remove(&table, handle);
	uint64_t stale = handles[7]->id;
	handle_remove(&table, handles[7]);
	assert_null(handle_find(&table, stale));
	assert_int_equal(handle_create(&table, HANDLE_OPEN, NULL, "", 1 << 20, &handles[7]), 0);
	assert_int_not_equal(handles[7]->id, stale);
	assert_null(handle_find(&table, stale));
	assert_null(handle_find(&table, UINT64_MAX));
	for (unsigned i = 0; i < LIMIT_HANDLES; i++) {
		handle_remove(&table, handles[i]);
	}
	handle_table_finish(&table);
}

static void ids_are_not_used_again_soon(void **state)
{
	static struct handle_table table;
	struct handle *handle;
	uint64_t first = 0;

	(void)state;
	handle_table_init(&table);
	for (unsigned i = 0; i < 40000; i++) {
		assert_int_equal(handle_create(&table, HANDLE_OPEN, NULL, "", 1, &handle), 0);
		assert_true(handle->id && handle->id < 1u << 31);
		assert_true(i == 0 || i >= (1 << 14) - 1 || handle->id != first);
		first = i ? first : handle->id;
		handle_remove(&table, handle);
	}
	handle_table_finish(&table);
}

static void readiness_is_said_once(void **state)
{
	int init[2], started[2];
	char text[16], buffer[4];

	(void)state;
	assert_int_equal(pipe(init), 0);
	assert_int_equal(pipe(started), 0);
	snprintf(text, sizeof(text), "%d", init[1]);
	setenv("INIT_NOTIFY", text, 1);
	ready_init();
	assert_null(getenv("INIT_NOTIFY"));
	assert_int_equal(fcntl(init[1], F_GETFD), FD_CLOEXEC);
	assert_int_equal(ready_notify(started[1]), 0);
	assert_int_equal(read(init[0], buffer, sizeof(buffer)), 1);
	assert_int_equal(buffer[0], 0);
	assert_int_equal(read(init[0], buffer, sizeof(buffer)), 0); // closed
	assert_int_equal(read(started[0], buffer, sizeof(buffer)), 1);
	assert_int_equal(buffer[0], '\n');
	assert_int_equal(read(started[0], buffer, sizeof(buffer)), 0);
	assert_int_equal(ready_notify(-1), 0);
	close(init[0]);
	close(started[0]);
}

static void wrong_init_notify_is_ignored(void **state)
{
	static const char *const values[] = {"", "x", "3x", "-1", "99999999999999999999", "900"};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		setenv("INIT_NOTIFY", values[i], 1);
		ready_init();
		assert_int_equal(ready_notify(-1), 0);
	}
	unsetenv("INIT_NOTIFY");
	assert_int_equal(ready_hand_over(d->scheme, "x"), -EBADF);
}

static void the_root_can_be_handed_to_init(void **state)
{
	int init[2];
	char text[16], path[32] = "";

	(void)state;
	assert_int_equal(pipe(init), 0);
	snprintf(text, sizeof(text), "%d", init[1]);
	setenv("INIT_NOTIFY", text, 1);
	ready_init();
	assert_int_equal(ready_hand_over(d->scheme, "unit"), 0);
	assert_int_equal(fake.moved_count, 1);
	int64_t id = daemon_open(fake.last_id, "x", REDOX_O_RDWR);
	assert_int_equal(daemon_ask(SCHEME_OP_FPATH, (uint64_t)id, POINTER(path), 32, 0, 0, 0),
			strlen("/scheme/unit/x"));
	assert_string_equal(path, "/scheme/unit/x");
	daemon_close(fake.last_id);
	assert_string_equal(d->unregistered_name, "unit");
	close(init[0]);
}

#define NAMES(fn) TEST_WITH(fn, daemon_setup, daemon_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(creation_fails_cleanly),
			NAMES(names_are_checked),
			NAMES(aliases_have_roots_of_their_own),
			NAMES(a_living_daemon_keeps_its_name),
			NAMES(a_dead_daemon_loses_its_name),
			NAMES(failed_attempts_leave_nothing),
			NAMES(missing_descriptors_leave_nothing),
			NAMES(a_name_that_cannot_be_removed_is_not_taken),
			NAMES(own_handles_have_a_limit),
			NAMES(losing_the_name_is_noticed),
			NAMES(a_lost_name_is_left_to_its_new_owner),
			NAMES(a_process_has_a_limit_of_handles),
			NAMES(refused_opens_are_not_counted),
			TEST(a_scheme_has_a_limit_of_handles),
			TEST(ids_are_not_used_again_soon),
			TEST(readiness_is_said_once),
			NAMES(wrong_init_notify_is_ignored),
			NAMES(the_root_can_be_handed_to_init),
	};

	return test_main("scheme-names", tests);
}
