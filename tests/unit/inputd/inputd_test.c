/*
 * hosted-inputd as its clients see it. The program under test is the first argument. With "display"
 * as first argument this program is a fake display, on schemes/scheme, that writes down each call
 * of inputd.
 */
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.h"
#include "schemes/hosted/hosted.h"
#include "schemes/hosted/inputd/inputd.h"
#include "schemes/scheme/libredox.h"
#include "schemes/scheme/scheme.h"

/* --- the fake display --- */

struct display {
	const char *refuses; // answers calls with an error
	char opened[64];
};

static int display_open(void *data, void *parent, const struct scheme_open *open, void **ret_handle)
{
	struct display *display = data;

	(void)parent;
	snprintf(display->opened, sizeof(display->opened), "%s", open->path);
	*ret_handle = display->opened;
	return 0;
}

static int64_t display_read(void *data, void *handle, struct request *request, uint32_t flags)
{
	size_t length = strlen(handle);

	(void)data;
	(void)flags;
	length = length < request_length(request) ? length : request_length(request);
	request_put(request, 0, handle, length);
	return (int64_t)length;
}

static int display_control(void *data, uint64_t control_id, const uint8_t *payload, size_t length)
{
	struct display *display = data;

	if (control_id != 5 || length != sizeof(struct inputd_message) ||
			write(STDOUT_FILENO, payload, length) != (ssize_t)length) {
		return -EBADMSG;
	}
	return display->refuses != NULL ? -EIO : 0;
}

static size_t open_path(const char *path)
{
	return redox_open_v1(
			(const uint8_t *)path, strlen(path), REDOX_O_RDWR | REDOX_O_CLOEXEC, 0);
}

/* usage: display NAME HANDLE [refuse]. Gives a capability; writes a byte for the result, then each
 * message. */
static int display_main(char **argv)
{
	static const struct scheme_ops ops = {
			.open = display_open, .read = display_read, .control = display_control};
	struct display display = {.refuses = argv[2]};
	struct loop *loop;
	struct scheme *scheme;

	if (loop_create(&loop) < 0 || scheme_create(loop, &ops, &display, &scheme) < 0 ||
			scheme_register(scheme, argv[0]) < 0) {
		return 1;
	}
	size_t handle = open_path(argv[1]);
	uint64_t capability = (uint64_t)scheme_control_create(scheme, 5);
	size_t result = redox_sys_call_v0(handle, (uint8_t *)&capability, sizeof(capability),
			REDOX_CALL_WRITE | REDOX_CALL_FD, (const uint64_t[]) {0}, 0);
	uint8_t error = (uint8_t)redox_errno(result);
	if (redox_failed(handle) || write(STDOUT_FILENO, &error, 1) != 1) {
		return 1;
	}
	return loop_run(loop);
}

/* --- the tests --- */

static const char *inputd_program;

struct child {
	pid_t pid;
	int out; // read end of its stdout
};

static struct child inputd;
static struct child displays[2];

static void child_start(struct child *child, char *const argv[])
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	child->pid = fork();
	if (child->pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		execv(argv[0], argv);
		_exit(127);
	}
	close(fds[1]);
	child->out = fds[0];
}

static int child_stop(struct child *child, int signo)
{
	int status = 0;

	if (child->pid > 0) {
		if (signo != 0) {
			kill(child->pid, signo);
		}
		assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
		fd_close(&child->out);
		child->pid = 0;
	}
	return status;
}

static int stop_all(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		child_stop(&displays[i], SIGKILL);
	}
	child_stop(&inputd, SIGKILL);
	return 0;
}

static int start(const char *generation)
{
	char path[256];
	char byte;
	char program[256];
	char kind[8];

	setenv("REDOX_HOSTED_DIR", test_path(path, sizeof(path), "redox"), 1);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(program, sizeof(program), "%s", inputd_program);
	snprintf(kind, sizeof(kind), "%s", generation);
	char *argv[] = {program, (char[]) {"--generation"}, kind, (char[]) {"--ready-fd"},
			(char[]) {"1"}, NULL};
	child_start(&inputd, argv);
	assert_int_equal(read(inputd.out, &byte, 1), 1);
	return 0;
}

static int start_old(void **state)
{
	(void)state;
	return start("old");
}

static int start_new(void **state)
{
	(void)state;
	return start("new");
}

/* Starts a fake display. Returns the errno of giving its capability away. */
static int display_start(struct child *display, char *name, const char *folder, bool refuses)
{
	char path[128];
	uint8_t error = 0xff;

	snprintf(path, sizeof(path), "/scheme/input/%s/%s", folder, name);
	char *argv[] = {(char[]) {"/proc/self/exe"}, (char[]) {"display"}, name, path, NULL, NULL};
	if (refuses) {
		argv[4] = (char[]) {"refuse"};
	}
	child_start(display, argv);
	assert_int_equal(read(display->out, &error, 1), 1);
	return error;
}

/* The next call that DISPLAY got is an Activate of VT. */
static void display_expect(struct child *display, uint64_t vt)
{
	struct inputd_message message;

	assert_int_equal(read(display->out, &message, sizeof(message)), sizeof(message));
	assert_int_equal(message.kind, 0);
	assert_int_equal(message.data, vt);
}

static void display_expect_nothing(struct child *display)
{
	struct pollfd poll_fd = {display->out, POLLIN, 0};

	assert_int_equal(poll(&poll_fd, 1, 50), 0);
}

static size_t open_input(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/scheme/input/%s", name);
	return open_path(path);
}

static size_t open_good(const char *name)
{
	size_t fd = open_input(name);

	assert_false(redox_failed(fd));
	return fd;
}

static void control(uint64_t kind, uint64_t data)
{
	struct inputd_message message = {kind, data};
	size_t fd = open_good("control");

	assert_int_equal(redox_write_v1(fd, (uint8_t *)&message, sizeof(message)), sizeof(message));
	redox_close_v1(fd);
}

static void key(size_t producer, int64_t scancode, bool pressed)
{
	struct inputd_event event = {
			INPUTD_EVENT_KEY, 0, scancode | (pressed ? INPUTD_KEY_PRESSED : 0)};

	assert_int_equal(redox_write_v1(producer, (uint8_t *)&event, sizeof(event)), sizeof(event));
}

/* Reads one event. Returns whether there was one. */
static bool next_event(size_t consumer, struct inputd_event *ret_event)
{
	size_t got = redox_read_v1(consumer, (uint8_t *)ret_event, sizeof(*ret_event));

	assert_true(got == 0 || got == sizeof(*ret_event));
	return got != 0;
}

static void expect_path(size_t consumer, const char *expected)
{
	uint8_t path[256];
	size_t got = redox_fpath_v1(consumer, path, sizeof(path));

	assert_int_equal(got, strlen(expected));
	assert_memory_equal(path, expected, got);
}

static void vts_are_counted(void **state)
{
	uint8_t path[64];

	(void)state;
	size_t first = open_good("consumer");
	assert_int_equal(redox_errno(redox_fpath_v1(first, path, sizeof(path))),
			EINVAL); // no display
	size_t bootlog = open_good("consumer_bootlog");
	assert_int_equal(redox_errno(open_input("consumer_bootlog")), EEXIST);
	size_t display = open_good("handle/one");
	expect_path(first, "/scheme/one/2");
	expect_path(bootlog, "/scheme/one/1");
	redox_close_v1(first);
	size_t second = open_good("consumer");
	expect_path(second, "/scheme/one/3"); // never used again
	redox_close_v1(bootlog);
	do { // the close may arrive behind the open
		bootlog = open_input("consumer_bootlog");
	} while (redox_errno(bootlog) == EEXIST);
	assert_false(redox_failed(bootlog));
	redox_close_v1(bootlog);
	redox_close_v1(second);
	redox_close_v1(display);
	assert_int_equal(redox_errno(open_input("nothing")), ENOENT);
	assert_int_equal(redox_errno(open_input("handle/a/b")), EINVAL);
}

static void events_reach_the_active_vt(void **state)
{
	struct inputd_event event;
	struct inputd_event pair[2] = {{2, 100, 200}, {3, 1, 0}};
	uint8_t bytes[60];

	(void)state;
	size_t producer = open_good("producer");
	size_t second = open_good("consumer");
	size_t third = open_good("consumer");
	assert_false(next_event(second, &event));
	key(producer, 0x1e, true); // redox-run.md: 'a', 0x11e
	assert_true(next_event(second, &event));
	assert_int_equal(event.code, INPUTD_EVENT_KEY);
	assert_int_equal(event.a, 'a');
	assert_int_equal(event.b, 0x11e);
	key(producer, 0x2a, true);
	key(producer, 0x1e, true);
	key(producer, 0x2a, false);
	assert_true(next_event(second, &event) && event.a == 0);
	assert_true(next_event(second, &event) && event.a == 'A');
	assert_true(next_event(second, &event));
	// Several in one write; whole events in one read.
	assert_int_equal(redox_write_v1(producer, (uint8_t *)pair, sizeof(pair)), sizeof(pair));
	assert_int_equal(redox_read_v1(second, bytes, 30), 24);
	assert_memory_equal(bytes, &pair[0], 24);
	assert_int_equal(redox_read_v1(second, bytes, 60), 24);
	assert_memory_equal(bytes, &pair[1], 24);
	assert_int_equal(redox_write_v1(producer, (const uint8_t[]) {0xf5}, 1), 1);
	assert_false(next_event(second, &event));
	assert_false(next_event(third, &event));

	control(INPUTD_CONTROL_ACTIVATE, 3);
	key(producer, 0x30, true);
	assert_false(next_event(second, &event));
	assert_true(next_event(third, &event) && event.a == 'b');
	control(INPUTD_CONTROL_ACTIVATE, 9); // there is none
	key(producer, 0x30, true);
	assert_true(next_event(third, &event));
	redox_close_v1(third); // the highest that is left takes over, when the close has arrived
	do {
		key(producer, 0x2e, true);
	} while (!next_event(second, &event));
	assert_int_equal(event.a, 'c');
	redox_close_v1(second);
	key(producer, 0x2e, true);
	redox_close_v1(producer);
}

static void super_and_a_function_key_switch(void **state)
{
	struct inputd_event event;

	(void)state;
	size_t producer = open_good("producer");
	size_t second = open_good("consumer");
	size_t third = open_good("consumer");
	key(producer, 0x3d, true); // F3 alone
	key(producer, 0x5b, true);
	assert_true(next_event(second, &event) && next_event(second, &event));
	key(producer, 0x3d, true);
	assert_false(next_event(second, &event));
	assert_true(next_event(third, &event));
	key(producer, 0x58, true); // F12: there is no such VT
	assert_true(next_event(third, &event));
	redox_close_v1(third);
	redox_close_v1(second);
	redox_close_v1(producer);
}

static void control_is_checked(void **state)
{
	struct inputd_message message = {3, 1};

	(void)state;
	size_t fd = open_good("control");
	assert_int_equal(redox_errno(redox_write_v1(fd, (uint8_t *)&message, sizeof(message))),
			EINVAL);
	assert_int_equal(redox_errno(redox_write_v1(fd, (uint8_t *)&message, 15)), EINVAL);
	message.kind = INPUTD_CONTROL_KEYMAP;
	assert_int_equal(redox_write_v1(fd, (uint8_t *)&message, sizeof(message)), sizeof(message));
	redox_close_v1(fd);
}

/* The new generation calls the display that was selected: at once, and at each switch. */
static void new_display_is_called(void **state)
{
	(void)state;
	size_t second = open_good("consumer");
	assert_int_equal(display_start(&displays[0], (char[]) {"one"}, "handle", false), 0);
	display_expect(&displays[0], 2);
	// A later regular display is ignored.
	assert_int_equal(display_start(&displays[1], (char[]) {"two"}, "handle", false), 0);
	size_t third = open_good("consumer");
	expect_path(third, "/scheme/one/3");
	control(INPUTD_CONTROL_ACTIVATE, 3);
	display_expect(&displays[0], 3);
	control(INPUTD_CONTROL_ACTIVATE, 3); // it is
	redox_close_v1(third);
	display_expect(&displays[0], 2);
	display_expect_nothing(&displays[0]);
	display_expect_nothing(&displays[1]);
	redox_close_v1(second);
}

static void new_display_before_any_consumer(void **state)
{
	(void)state;
	assert_int_equal(display_start(&displays[0], (char[]) {"one"}, "handle", false), 0);
	display_expect_nothing(&displays[0]);
	size_t second = open_good("consumer");
	display_expect(&displays[0], 2);
	redox_close_v1(second);
}

/* The boot framebuffer makes way for the first regular display; consumers hear ESTALE once. */
static void early_display_is_replaced(void **state)
{
	struct inputd_event event;

	(void)state;
	assert_int_equal(display_start(&displays[0], (char[]) {"boot"}, "handle_early", false), 0);
	size_t second = open_good("consumer");
	display_expect(&displays[0], 2);
	expect_path(second, "/scheme/boot/2");
	assert_int_equal(display_start(&displays[1], (char[]) {"one"}, "handle", false), 0);
	display_expect(&displays[1], 2);
	expect_path(second, "/scheme/one/2");
	assert_int_equal(redox_errno(redox_read_v1(second, (uint8_t *)&event, sizeof(event))),
			ESTALE);
	assert_false(next_event(second, &event));
	display_expect_nothing(&displays[0]);
	redox_close_v1(second);
}

/* openat(consumer, "display") gives a descriptor of the display itself, at the consumer's VT. */
static void new_consumer_gets_its_display(void **state)
{
	uint8_t bytes[16];

	(void)state;
	size_t second = open_good("consumer");
	const uint8_t *name = (const uint8_t *)"display";
	assert_int_equal(redox_errno(redox_openat_v1(
					 second, name, 7, REDOX_O_RDWR | REDOX_O_CLOEXEC, 0)),
			EINVAL);
	assert_int_equal(display_start(&displays[0], (char[]) {"one"}, "handle", false), 0);
	for (unsigned i = 0; i < 50; i++) {
		size_t display =
				redox_openat_v1(second, name, 7, REDOX_O_RDWR | REDOX_O_CLOEXEC, 0);

		assert_false(redox_failed(display));
		assert_int_equal(redox_read_v1(display, bytes, sizeof(bytes)), 1);
		assert_int_equal(bytes[0], '2');
		expect_path(display, "/scheme/one/2");
		redox_close_v1(display);
	}
	assert_int_equal(redox_errno(redox_openat_v1(
					 second, (const uint8_t *)"other", 5, REDOX_O_RDWR, 0)),
			ENOENT);
	redox_close_v1(second);
}

/* As the real one panics. */
static void display_that_errs_ends_inputd(void **state)
{
	(void)state;
	assert_int_equal(display_start(&displays[0], (char[]) {"one"}, "handle", true), 0);
	pid_t caller = fork();
	if (caller == 0) {
		open_input("consumer"); // hangs: its daemon dies
		_exit(0);
	}
	int status = child_stop(&inputd, 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	kill(caller, SIGKILL);
	assert_int_equal(waitpid(caller, NULL, 0), caller);
}

static void old_refuses_a_capability(void **state)
{
	(void)state;
	assert_int_equal(
			display_start(&displays[0], (char[]) {"one"}, "handle", false), EOPNOTSUPP);
	size_t second = open_good("consumer");
	assert_int_equal(redox_errno(redox_openat_v1(
					 second, (const uint8_t *)"display", 7, REDOX_O_RDWR, 0)),
			EACCES);
	redox_close_v1(second);
}

static bool readable(size_t fd, int timeout_ms)
{
	struct pollfd poll_fd = {(int)fd, POLLIN, 0};

	return poll(&poll_fd, 1, timeout_ms) == 1;
}

/* The old generation queues VtEvents .. */
static void old_display_reads_its_events(void **state)
{
	struct inputd_message messages[4];

	(void)state;
	size_t bootlog = open_good("consumer_bootlog");
	size_t display = open_good("handle/one");
	assert_int_equal(redox_read_v1(display, (uint8_t *)messages, sizeof(messages)),
			sizeof(messages[0]));
	assert_int_equal(messages[0].kind, 0);
	assert_int_equal(messages[0].data, 1);
	assert_int_equal(redox_read_v1(display, (uint8_t *)messages, sizeof(messages)), 0);
	assert_int_equal(redox_errno(redox_read_v1(display, (uint8_t *)messages, 17)), EINVAL);
	redox_close_v1(display);
	redox_close_v1(bootlog);
}

/* .. but raises no event for the VT that is opened after the display registered; it comes with the
 * next one. */
static void old_display_misses_an_event(void **state)
{
	struct inputd_message messages[4];

	(void)state;
	size_t display = open_good("handle/one");
	assert_int_equal(hosted_watch(display, SCHEME_EVENT_READ), 0);
	size_t second = open_good("consumer");
	assert_false(readable(display, 100));
	size_t third = open_good("consumer");
	control(INPUTD_CONTROL_ACTIVATE, 3);
	assert_true(readable(display, 5000));
	assert_int_equal(redox_read_v1(display, (uint8_t *)messages, sizeof(messages)),
			2 * sizeof(messages[0]));
	assert_int_equal(messages[0].data, 2);
	assert_int_equal(messages[1].data, 3);
	redox_close_v1(second);
	redox_close_v1(third);
	redox_close_v1(display);
}

/* An open that only looks has no effect. */
static void looking_makes_no_vt(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		size_t fd = redox_open_v1((const uint8_t *)"/scheme/input/consumer", 22,
				REDOX_O_STAT | REDOX_O_CLOEXEC, 0);

		assert_false(redox_failed(fd));
		redox_close_v1(fd);
	}
	size_t display = open_good("handle/one");
	size_t second = open_good("consumer");
	expect_path(second, "/scheme/one/2");
	redox_close_v1(second);
	redox_close_v1(display);
}

static void ends_on_sigterm(void **state)
{
	(void)state;
	size_t second = open_good("consumer");
	assert_int_equal(child_stop(&inputd, SIGTERM), 0);
	redox_close_v1(second);
	assert_int_equal(redox_errno(open_input("consumer")), ENODEV);
}

int main(int argc, char **argv)
{
	if (argc >= 4 && strcmp(argv[1], "display") == 0) {
		return display_main(argv + 2);
	}
	assert_int_equal(argc, 2);
	inputd_program = argv[1];
	const struct CMUnitTest tests[] = {
			TEST_WITH(vts_are_counted, start_old, stop_all),
			TEST_WITH(events_reach_the_active_vt, start_new, stop_all),
			TEST_WITH(super_and_a_function_key_switch, start_new, stop_all),
			TEST_WITH(control_is_checked, start_new, stop_all),
			TEST_WITH(new_display_is_called, start_new, stop_all),
			TEST_WITH(new_display_before_any_consumer, start_new, stop_all),
			TEST_WITH(early_display_is_replaced, start_new, stop_all),
			TEST_WITH(new_consumer_gets_its_display, start_new, stop_all),
			TEST_WITH(display_that_errs_ends_inputd, start_new, stop_all),
			TEST_WITH(old_refuses_a_capability, start_old, stop_all),
			TEST_WITH(old_display_reads_its_events, start_old, stop_all),
			TEST_WITH(old_display_misses_an_event, start_old, stop_all),
			TEST_WITH(looking_makes_no_vt, start_new, stop_all),
			TEST_WITH(ends_on_sigterm, start_new, stop_all),
	};

	return test_main("inputd", tests);
}
