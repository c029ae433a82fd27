/*
 * The library over the simulated kernel, with real clients in processes of their own: what a fake
 * kernel cannot show, that both sides mean the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/fd.h"
#include "schemes/hosted/hosted.h"
#include "schemes/scheme/libredox.h"
#include "schemes/scheme/scheme.h"
#include "tests/support/test.h"

#define PATH         "/scheme/display/v2/1"
#define LARGE_BYTES  20000u
#define MEMORY_BYTES 8192u
#define CALL_ECHO    1u
#define CALL_PARK    2u
#define CALL_CONTROL 3u // gives a descriptor on the control capability by Recvfd

/* A check in the client's process: its exit status is what the test sees. */
#define CHECK(condition)                                                                \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "client, line %d: %s\n", __LINE__, #condition); \
			_exit(1);                                                       \
		}                                                                       \
	} while (0)

typedef void (*client_fn)(void);

static struct {
	struct loop *loop;
	struct scheme *scheme;
	void *memory;
	struct request *parked;
	unsigned opens, closes, cancels, mmaps, munmaps;
	uint64_t last_pid;
	uint64_t control_id;
	char message[16];
	uint32_t event_mask;
	pid_t client;
	int to_client, from_client; // "go"; end of file when the client ends
	bool ended;
} host;

static int host_open(void *data, void *parent, const struct scheme_open *open, void **ret_handle)
{
	(void)data;
	(void)parent;
	host.last_pid = open->pid;
	if (strcmp(open->path, "v2/1")) {
		return -ENOENT;
	}
	host.opens++;
	*ret_handle = &host;
	return 0;
}

static void host_close(void *data, void *handle)
{
	(void)data;
	(void)handle;
	host.closes++;
}

static int64_t host_call(void *data, void *handle, struct request *request, uint64_t nr)
{
	uint8_t bytes[LARGE_BYTES];
	size_t length = request_length(request);

	(void)data;
	(void)handle;
	if (nr == CALL_PARK) {
		assert_null(host.parked);
		host.parked = request;
		return SCHEME_PARK;
	}
	if (length > sizeof(bytes)) {
		return -EINVAL;
	}
	request_get(request, 0, bytes, length);
	for (size_t i = 0; i < length; i++) {
		bytes[i] ^= 0xFF;
	}
	request_put(request, 0, bytes, length);
	return (int64_t)length;
}

static int host_mmap(void *data, void *handle, uint64_t offset, uint64_t size, uint32_t flags,
		void **ret_address)
{
	(void)data;
	(void)handle;
	(void)flags;
	if (offset > MEMORY_BYTES || size > MEMORY_BYTES - offset) {
		return -EINVAL;
	}
	host.mmaps++;
	*ret_address = (uint8_t *)host.memory + offset;
	return 0;
}

static void host_munmap(void *data, void *handle, uint64_t offset, uint64_t size)
{
	(void)data;
	(void)handle;
	(void)offset;
	(void)size;
	host.munmaps++;
}

static uint32_t host_fevent(void *data, void *handle, uint32_t mask)
{
	(void)data;
	(void)handle;
	host.event_mask = mask;
	return 0;
}

static int host_recvfd(void *data, void *handle, uint64_t nr, int *ret_fd)
{
	(void)data;
	(void)handle;
	if (nr != CALL_CONTROL) {
		return -EINVAL;
	}
	int fd = scheme_control_create(host.scheme, 1234);
	*ret_fd = fd;
	return fd < 0 ? fd : 0;
}

static int host_control(void *data, uint64_t control_id, const uint8_t *payload, size_t length)
{
	(void)data;
	host.control_id = control_id;
	if (length > sizeof(host.message)) {
		return -EMSGSIZE;
	}
	memcpy(host.message, payload, length);
	return 0;
}

static void host_cancel(void *data, void *handle, struct request *request)
{
	(void)data;
	(void)handle;
	assert_ptr_equal(request, host.parked);
	host.parked = NULL;
	host.cancels++;
}

static const struct scheme_ops host_ops = {
		.open = host_open,
		.close = host_close,
		.call = host_call,
		.mmap = host_mmap,
		.munmap = host_munmap,
		.fevent = host_fevent,
		.recvfd = host_recvfd,
		.control = host_control,
		.cancel = host_cancel,
};

static void client_ended(void *data, int fd, uint32_t events)
{
	char byte;

	(void)data;
	(void)events;
	if (read(fd, &byte, 1) == 0) {
		host.ended = true;
	}
}

/* Forks the client before anything of the daemon exists; it starts at host_go. */
static void host_start(client_fn client)
{
	int go[2], end[2];

	host.scheme = NULL;
	assert_int_equal(fd_pipe(go), 0);
	assert_int_equal(fd_pipe(end), 0);
	host.client = fork();
	assert_true(host.client >= 0);
	if (host.client == 0) {
		char byte;
		close(go[1]);
		close(end[0]);
		alarm(20);
		fcntl(go[0], F_SETFL, 0);
		CHECK(read(go[0], &byte, 1) == 0);
		client();
		_exit(0);
	}
	close(go[0]);
	close(end[1]);
	host.to_client = go[1];
	host.from_client = end[0];
	assert_int_equal(loop_create(&host.loop), 0);
	struct loop_source *source;
	assert_int_equal(loop_add_fd(host.loop, end[0], LOOP_READ, client_ended, NULL, &source), 0);
	assert_int_equal(scheme_create(host.loop, &host_ops, &host, &host.scheme), 0);
	assert_int_equal(scheme_memory_create(MEMORY_BYTES, &host.memory), 0);
	assert_int_equal(scheme_register(host.scheme, "display"), 0);
}

static void host_go(void)
{
	fd_close(&host.to_client);
}

/* Takes the client's exit status. */
static int host_wait(void)
{
	int status;

	test_wait(host.loop, host.ended);
	assert_int_equal(waitpid(host.client, &status, 0), host.client);
	return status;
}

static int host_setup(void **state)
{
	(void)state;
	memset(&host, 0, sizeof(host));
	return setenv("REDOX_HOSTED_DIR", test_dir(), 1);
}

static int host_teardown(void **state)
{
	(void)state;
	scheme_destroy(host.scheme);
	scheme_memory_destroy(host.memory, MEMORY_BYTES);
	loop_destroy(host.loop);
	fd_close(&host.from_client);
	return 0;
}

static size_t client_open(const char *path, uint32_t flags)
{
	return redox_open_v1((const uint8_t *)path, strlen(path), flags | REDOX_O_CLOEXEC, 0);
}

static size_t client_call(size_t fd, uint64_t nr, void *payload, size_t length)
{
	return redox_sys_call_v0(fd, payload, length, REDOX_CALL_READ | REDOX_CALL_WRITE, &nr, 1);
}

static void client_uses_everything(void)
{
	static uint8_t payload[LARGE_BYTES + 1];
	char path[64] = "";
	size_t fd = client_open(PATH, REDOX_O_RDWR);

	CHECK(!redox_failed(fd));
	CHECK(redox_errno(client_open("/scheme/display/../x", REDOX_O_RDWR)) == EINVAL);
	CHECK(redox_errno(client_open("/scheme/display/none", REDOX_O_RDWR)) == ENOENT);
	CHECK(redox_errno(client_open("/scheme/nothing/none", REDOX_O_RDWR)) == ENODEV);
	/* Unaligned, so that ends are copied and the middle is shared. */
	for (size_t i = 0; i < sizeof(payload); i++) {
		payload[i] = (uint8_t)(i * 7);
	}
	CHECK(client_call(fd, CALL_ECHO, payload + 1, LARGE_BYTES) == LARGE_BYTES);
	for (size_t i = 1; i < sizeof(payload); i++) {
		CHECK(payload[i] == (uint8_t)~(uint8_t)(i * 7));
	}
	CHECK(redox_fpath_v1(fd, (uint8_t *)path, sizeof(path)) == strlen(PATH));
	CHECK(!strcmp(path, PATH));
	CHECK(redox_fsync_v1(fd) == 0);
	CHECK(redox_errno(redox_read_v1(fd, payload, 1)) == EBADF);
	CHECK(redox_close_v1(fd) == 0);
}

static void clients_are_served(void **state)
{
	(void)state;
	host_start(client_uses_everything);
	host_go();
	assert_int_equal(host_wait(), 0);
	assert_int_equal(host.last_pid, host.client);
	test_wait(host.loop, host.closes == 1);
	assert_int_equal(host.opens, 1);
}

static void client_maps(void)
{
	const uint32_t rw = REDOX_PROT_READ | REDOX_PROT_WRITE;
	size_t fd = client_open(PATH, REDOX_O_RDWR);
	size_t read_only = client_open(PATH, REDOX_O_RDONLY);
	size_t memory = redox_mmap_v1(NULL, MEMORY_BYTES, rw, REDOX_MAP_SHARED, fd, 0);

	CHECK(!redox_failed(memory));
	CHECK(redox_errno(redox_mmap_v1(NULL, 4096, rw, REDOX_MAP_PRIVATE, fd, 0)) == EINVAL);
	CHECK(redox_errno(redox_mmap_v1(NULL, 4096, rw, REDOX_MAP_SHARED, read_only, 0)) == EACCES);
	CHECK(redox_errno(redox_mmap_v1(NULL, 4096, rw, REDOX_MAP_SHARED, fd, MEMORY_BYTES)) ==
			EINVAL);
	memcpy((void *)memory, "drawn", 5);
	redox_close_v1(fd); // the mapping keeps the handle
	CHECK(client_call(read_only, CALL_PARK, (void *)memory, 0) == 77);
	CHECK(redox_munmap_v1((void *)memory, MEMORY_BYTES) == 0);
}

static void mappings_are_shared(void **state)
{
	(void)state;
	host_start(client_maps);
	host_go();
	test_wait(host.loop, host.parked);
	assert_memory_equal(host.memory, "drawn", 5);
	assert_int_equal(host.closes, 0);
	request_answer(host.parked, 77);
	host.parked = NULL;
	assert_int_equal(host_wait(), 0);
	test_wait(host.loop, host.closes == 2);
	assert_int_equal(host.mmaps, 1);
	assert_int_equal(host.munmaps, 1);
}

static void client_forks_with_a_mapping(void)
{
	const uint32_t rw = REDOX_PROT_READ | REDOX_PROT_WRITE;
	size_t fd = client_open(PATH, REDOX_O_RDWR);
	size_t memory = redox_mmap_v1(NULL, 4096, rw, REDOX_MAP_SHARED, fd, 4096);

	CHECK(!redox_failed(memory));
	pid_t child = fork();
	CHECK(child >= 0);
	if (!child) {
		memcpy((void *)memory, "child", 5);
		_exit(0);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(!memcmp((void *)memory, "child", 5));
}

/* fork() maps each shared mapping again for the child; a refusal would make it fail. */
static void a_fork_maps_again(void **state)
{
	(void)state;
	host_start(client_forks_with_a_mapping);
	host_go();
	assert_int_equal(host_wait(), 0);
	assert_memory_equal((uint8_t *)host.memory + 4096, "child", 5);
	test_wait(host.loop, host.closes == 1 && host.munmaps == 2);
	assert_int_equal(host.mmaps, 2);
}

static void client_waits_for_an_event(void)
{
	size_t fd = client_open(PATH, REDOX_O_RDWR);
	struct pollfd poll_fd = {.fd = (int)fd, .events = POLLIN};

	CHECK(hosted_watch(fd, SCHEME_EVENT_READ) == 0);
	CHECK(poll(&poll_fd, 1, 0) == 0);
	CHECK(client_call(fd, CALL_PARK, &poll_fd, 0) == 0);
	CHECK(poll(&poll_fd, 1, 10000) == 1 && poll_fd.revents & POLLIN);
}

static void events_arrive(void **state)
{
	(void)state;
	host_start(client_waits_for_an_event);
	host_go();
	test_wait(host.loop, host.parked);
	assert_int_equal(host.event_mask, SCHEME_EVENT_READ);
	request_answer(host.parked, 0);
	host.parked = NULL;
	assert_int_equal(loop_turn(host.loop, 0), 0);
	scheme_notify(host.scheme, &host, SCHEME_EVENT_READ);
	assert_int_equal(host_wait(), 0);
}

static void client_sends_a_control_message(void)
{
	const uint64_t nr = CALL_CONTROL;
	uint64_t control = UINT64_MAX;
	uint8_t message[] = {
			'a', 'c', 't', 'i', 'v', 'a', 't', 'e'}; // read-only memory gives EFAULT
	size_t fd = client_open(PATH, REDOX_O_RDWR);

	CHECK(redox_sys_call_v0(fd, (uint8_t *)&control, sizeof(control),
			      REDOX_CALL_READ | REDOX_CALL_FD, &nr, 1) == 1);
	CHECK(redox_sys_call_v0((size_t)control, message, sizeof(message), REDOX_CALL_WRITE, &nr,
			      1) == 0);
}

static void control_capabilities_travel(void **state)
{
	(void)state;
	host_start(client_sends_a_control_message);
	host_go();
	assert_int_equal(host_wait(), 0);
	assert_int_equal(host.control_id, 1234);
	assert_string_equal(host.message, "activate");
}

static void client_parks(void)
{
	uint8_t byte;
	size_t fd = client_open(PATH, REDOX_O_RDWR);

	CHECK(!redox_failed(fd));
	CHECK(redox_errno(client_call(fd, CALL_PARK, &byte, 1)) == ENODEV);
}

/* A killed client sends no Cancel; its request goes with its handle. */
static void killed_clients_leave_nothing(void **state)
{
	(void)state;
	host_start(client_parks);
	host_go();
	test_wait(host.loop, host.parked);
	kill(host.client, SIGKILL);
	assert_true(WIFSIGNALED(host_wait()));
	test_wait(host.loop, host.closes == 1);
	assert_int_equal(host.cancels, 1);
	assert_null(host.parked);
}

/* A client of a dead daemon would hang for ever: it is answered before. */
static void waiting_clients_hear_of_the_end(void **state)
{
	(void)state;
	host_start(client_parks);
	host_go();
	test_wait(host.loop, host.parked);
	scheme_destroy(host.scheme);
	host.scheme = NULL;
	assert_int_equal(host.cancels, 1);
	assert_int_equal(host.closes, 1);
	assert_int_equal(host_wait(), 0);
}

/* Leaves its name behind, as a daemon that is killed does. */
static void client_dies_as_a_daemon(void)
{
	struct scheme *scheme;
	struct loop *loop;

	CHECK(!loop_create(&loop));
	CHECK(!scheme_create(loop, &host_ops, NULL, &scheme));
	CHECK(!scheme_register(scheme, "stale"));
	_exit(0);
}

static void names_of_the_dead_are_taken_over(void **state)
{
	(void)state;
	host_start(client_dies_as_a_daemon);
	host_go();
	assert_int_equal(host_wait(), 0);
	assert_int_equal(scheme_register(host.scheme, "stale"), 0);
	assert_int_equal(scheme_register(host.scheme, "stale"), -EEXIST);
}

#define HOSTED(fn) TEST_WITH(fn, host_setup, host_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			HOSTED(clients_are_served),
			HOSTED(mappings_are_shared),
			HOSTED(a_fork_maps_again),
			HOSTED(events_arrive),
			HOSTED(control_capabilities_travel),
			HOSTED(killed_clients_leave_nothing),
			HOSTED(waiting_clients_hear_of_the_end),
			HOSTED(names_of_the_dead_are_taken_over),
	};

	return test_main("scheme-hosted", tests);
}
