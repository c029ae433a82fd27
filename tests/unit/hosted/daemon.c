/* The test daemon: one process, one loop, nothing of schemes/scheme. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "schemes/hosted/hosted.h"
#include "schemes/scheme/libredox.h"
#include "tests/support/test.h"
#include "tests/unit/hosted/daemon.h"

#define PARKED_MAX  256u
#define HANDLES_MAX 4096u

struct served {
	char path[64];
	uint64_t fcntl_flags;
};

struct parked {
	uint32_t tag;
	bool deaf, open;
};

static struct server {
	size_t socket;
	int records, control, paused;
	uint8_t *memory; // for MmapPrep
	uint64_t next_id;
	struct served handles[HANDLES_MAX];
	struct parked parked[PARKED_MAX];
	size_t parked_count;
	int passed; // a descriptor that came by Sendfd
	bool obtain_wrong;
} server;

static size_t answer_as(uint8_t opcode, uint32_t tag, uint64_t result, uint8_t extra)
{
	struct scheme_cqe record = {
			.opcode = opcode, .extra = {extra}, .tag = tag, .result = result};

	return redox_write_v1(server.socket, (const uint8_t *)&record, sizeof(record));
}

static void answer(uint32_t tag, int64_t result)
{
	answer_as(SCHEME_CQE_REGULAR, tag, (uint64_t)result, 0);
}

static void park(const struct scheme_sqe *sqe, bool deaf)
{
	assert(server.parked_count < PARKED_MAX);
	server.parked[server.parked_count++] = (struct parked) {
			.tag = sqe->tag, .deaf = deaf, .open = sqe->opcode == SCHEME_OP_OPEN_AT};
}

static void cancel(uint32_t tag)
{
	for (size_t i = 0; i < server.parked_count; i++) {
		if (server.parked[i].tag == tag && !server.parked[i].deaf) {
			answer(tag, -ECANCELED);
			server.parked[i] = server.parked[--server.parked_count];
			return;
		}
	}
}

static int64_t release(void)
{
	int64_t count = (int64_t)server.parked_count;

	while (server.parked_count) {
		struct parked *last = &server.parked[--server.parked_count];
		answer(last->tag,
				last->open ? (int64_t)server.next_id++
					   : 1000 + (int64_t)server.parked_count);
	}
	return count;
}

static int64_t read_twice(const volatile uint8_t *payload, size_t length)
{
	size_t at = 4096 - (uintptr_t)payload % 4096;
	char byte = 0;

	if (length <= at) {
		return -EINVAL;
	}
	int64_t first = payload[at];
	(void)!write(server.paused, &byte, 1);
	(void)!read(server.control, &byte, 1);
	return first << 8 | payload[at];
}

static int64_t count_fds(void)
{
	int64_t count = 0;
	DIR *dir = opendir("/proc/self/fd");

	while (dir && readdir(dir)) {
		count++;
	}
	closedir(dir);
	return count;
}

static int64_t bad_answers(uint8_t *payload, size_t length, uint32_t own_tag)
{
	uint32_t free_tag = own_tag + 1; // answered before by the test: see there
	size_t results[4] = {
			answer_as(SCHEME_CQE_REGULAR, 0x7FFFFFFF, 0, 0),
			answer_as(SCHEME_CQE_REGULAR, free_tag, 0, 0),
			answer_as(6, own_tag, 0, 0),
			answer_as(7, own_tag, 0, 0),
	};

	for (size_t i = 0; i < 4 && i < length; i++) {
		payload[i] = (uint8_t)redox_errno(results[i]);
	}
	return 4;
}

static void serve_call(const struct scheme_sqe *sqe)
{
	uint8_t *payload = (uint8_t *)(uintptr_t)sqe->args[1];
	size_t length = sqe->args[2];

	switch (sqe->args[3]) {
	case DAEMON_ECHO:
		for (size_t i = 0; i < length; i++) {
			payload[i] ^= 0xFF;
		}
		answer(sqe->tag, (int64_t)length);
		return;
	case DAEMON_PARK:
	case DAEMON_PARK_DEAF:
		park(sqe, sqe->args[3] == DAEMON_PARK_DEAF);
		return;
	case DAEMON_RELEASE:
		answer(sqe->tag, release());
		return;
	case DAEMON_ANSWER:
		answer(sqe->tag, (int64_t)sqe->args[4]);
		return;
	case DAEMON_READ_TWICE:
		answer(sqe->tag, read_twice(payload, length));
		return;
	case DAEMON_WAKE:
		answer_as(SCHEME_CQE_SEND_FEVENT, SCHEME_EVENT_READ, sqe->args[0], 0);
		answer(sqe->tag, 0);
		return;
	case DAEMON_WRONG_KIND:
		answer_as(SCHEME_CQE_WITH_FD, sqe->tag, (uint64_t)server.records, 0);
		return;
	case DAEMON_BAD_ANSWERS:
		answer(sqe->tag, bad_answers(payload, length, sqe->tag));
		return;
	case DAEMON_EXIT:
		_exit(0);
	case DAEMON_POINTER:
		answer(sqe->tag,
				length ? (int64_t)((uintptr_t)payload % 4096)
				       : (uintptr_t)payload == 1ull << 62);
		return;
	case DAEMON_PEEK:
		answer(sqe->tag, server.memory[sqe->args[4]]);
		return;
	case DAEMON_UNREGISTER:
		answer(sqe->tag,
				(int64_t)redox_raw_unlinkat(redox_get_ns_v0(),
						(const uint8_t *)DAEMON_PATH, strlen(DAEMON_PATH),
						0));
		return;
	case DAEMON_FDS:
		answer(sqe->tag, count_fds());
		return;
	case DAEMON_OBTAIN_BAD:
		server.obtain_wrong = true;
		answer(sqe->tag, 0);
		return;
	default:
		answer(sqe->tag, -EINVAL);
	}
}

static void serve_open(const struct scheme_sqe *sqe)
{
	struct served *handle = &server.handles[server.next_id % HANDLES_MAX];
	size_t length = sqe->args[2] < sizeof(handle->path) - 1 ? sqe->args[2]
								: sizeof(handle->path) - 1;
	char path[sizeof(handle->path)] = "";
	int pipe_fds[2];

	memcpy(path, length ? (const void *)(uintptr_t)sqe->args[1] : "", length);
	if (!strcmp(path, "refuse")) {
		answer(sqe->tag, -EACCES);
	} else if (!strcmp(path, "park")) {
		park(sqe, false);
	} else if (!strcmp(path, "bad-flags")) {
		answer_as(SCHEME_CQE_REGULAR, sqe->tag, server.next_id++, 0x80);
	} else if (!strcmp(path, "pipe")) {
		assert(pipe(pipe_fds) == 0);
		assert(write(pipe_fds[1], "pipe", 4) == 4);
		close(pipe_fds[1]);
		answer_as(SCHEME_CQE_WITH_FD, sqe->tag, (uint64_t)pipe_fds[0], 0);
		/* The kernel has taken it; the number has to be given back (redox-abi.md 1.8). */
		assert(redox_errno(redox_close_v1((size_t)pipe_fds[0])) == EBADF);
	} else {
		strcpy(handle->path, path);
		answer_as(SCHEME_CQE_REGULAR, sqe->tag, server.next_id++,
				!strcmp(path, "positioned"));
	}
}

static void serve_map(const struct scheme_sqe *sqe)
{
	const char *path = server.handles[sqe->args[0] % HANDLES_MAX].path;
	uint64_t address = (uintptr_t)server.memory + sqe->args[3];

	if (!strcmp(path, "map-refused") || (!strcmp(path, "map-once") && sqe->args[2] & 0x8)) {
		answer(sqe->tag, -EPERM);
	} else if (!strcmp(path, "map-unaligned")) {
		answer(sqe->tag, (int64_t)address + 1);
	} else if (!strcmp(path, "map-wild")) {
		answer(sqe->tag, 4096);
	} else if (!strcmp(path, "map-stack")) {
		answer(sqe->tag, (int64_t)((uintptr_t)&address & ~(uint64_t)4095));
	} else if (sqe->args[2] & SCHEME_MAP_PRIVATE && sqe->args[2] & SCHEME_PROT_WRITE &&
			strcmp(path, "map-private")) {
		answer(sqe->tag, -EINVAL);
	} else {
		answer(sqe->tag, (int64_t)address);
	}
}

static void serve_sendfd(const struct scheme_sqe *sqe)
{
	const uint64_t metadata[] = {SCHEME_SOCKET_OBTAIN_FD, sqe->tag};
	uint64_t slots[4] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
	const char *path = server.handles[sqe->args[0] % HANDLES_MAX].path;
	size_t count = server.obtain_wrong ? 3 : sqe->args[3];

	server.obtain_wrong = false;
	if (!strcmp(path, "no-fds")) {
		answer(sqe->tag, -EOPNOTSUPP);
		return;
	}
	size_t result = redox_sys_call_v0(server.socket, (uint8_t *)slots, count * sizeof(slots[0]),
			REDOX_CALL_READ | REDOX_CALL_FD, metadata, 2);
	if (!redox_failed(result)) {
		server.passed = (int)slots[0];
	}
	answer(sqe->tag, redox_failed(result) ? -redox_errno(result) : 77);
}

static void serve_recvfd(const struct scheme_sqe *sqe)
{
	const uint64_t metadata[] = {SCHEME_SOCKET_MOVE_FD, sqe->tag};
	uint64_t fd = (uint64_t)server.passed;

	if (!strcmp(server.handles[sqe->args[0] % HANDLES_MAX].path, "no-fds")) {
		answer(sqe->tag, 5); // a value where descriptors are due
		return;
	}
	size_t result = redox_sys_call_v0(server.socket, (uint8_t *)&fd, sizeof(fd),
			REDOX_CALL_WRITE | REDOX_CALL_FD, metadata, 2);
	if (redox_failed(result)) {
		answer(sqe->tag, -redox_errno(result));
	} else {
		answer_as(SCHEME_CQE_WITH_FDS, sqe->tag, 1, 0);
	}
}

static void serve_read(const struct scheme_sqe *sqe)
{
	uint8_t *buffer = (uint8_t *)(uintptr_t)sqe->args[1];
	const char *path = server.handles[sqe->args[0] % HANDLES_MAX].path;
	size_t length = sqe->args[2];

	if (!strcmp(path, "park-read")) {
		park(sqe, false);
		return;
	}
	if (!strcmp(path, "short")) {
		length = length < 3 ? length : 3;
	}
	for (size_t i = 0; i < length; i++) {
		buffer[i] = (uint8_t)(i * 7 + (sqe->args[3] == UINT64_MAX ? 0 : sqe->args[3]));
	}
	answer(sqe->tag, (int64_t)length);
}

static void serve_path(const struct scheme_sqe *sqe)
{
	const char *path = server.handles[sqe->args[0] % HANDLES_MAX].path;
	size_t length = strlen(path) < sqe->args[2] ? strlen(path) : sqe->args[2];

	memcpy((void *)(uintptr_t)sqe->args[1], path, length);
	answer(sqe->tag, (int64_t)length);
}

static void serve(const struct scheme_sqe *sqe)
{
	switch (sqe->opcode) {
	case SCHEME_OP_OPEN_AT:
	case SCHEME_OP_DUP:
		serve_open(sqe);
		return;
	case SCHEME_OP_CALL:
		serve_call(sqe);
		return;
	case SCHEME_OP_READ:
		serve_read(sqe);
		return;
	case SCHEME_OP_FPATH:
		serve_path(sqe);
		return;
	case SCHEME_OP_MMAP_PREP:
		serve_map(sqe);
		return;
	case SCHEME_OP_SENDFD:
		serve_sendfd(sqe);
		return;
	case SCHEME_OP_RECVFD:
		serve_recvfd(sqe);
		return;
	case SCHEME_OP_CANCEL:
		cancel(sqe->tag);
		return;
	case SCHEME_OP_WRITE:
		answer(sqe->tag, (int64_t)sqe->args[2]);
		return;
	case SCHEME_OP_FEVENT:
		answer(sqe->tag, 0);
		return;
	case SCHEME_OP_CLOSE_MSG:
		return;
	default:
		answer(sqe->tag, 0);
	}
}

static void loop(void)
{
	struct scheme_sqe records[16];

	for (;;) {
		struct pollfd waiting = {.fd = (int)server.socket, .events = POLLIN};
		poll(&waiting, 1, -1);
		for (;;) {
			size_t got = redox_read_v1(
					server.socket, (uint8_t *)records, sizeof(records));
			if (redox_failed(got)) {
				assert(redox_errno(got) == EAGAIN);
				break;
			}
			for (size_t i = 0; i < got / sizeof(records[0]); i++) {
				(void)!write(server.records, &records[i], sizeof(records[i]));
				serve(&records[i]);
			}
		}
	}
}

static size_t make_root(void)
{
	const struct scheme_new_fd_params params = {
			.number = DAEMON_ROOT_ID, .flags = REDOX_O_RDWR};

	return redox_dup_v1(server.socket, (const uint8_t *)&params, sizeof(params));
}

static void create(void)
{
	static const char capability_path[] = "/scheme/namespace/scheme-creation-cap";
	size_t capability = redox_open_v1((const uint8_t *)capability_path, strlen(capability_path),
			REDOX_O_CLOEXEC, 0);

	assert(!redox_failed(capability));
	server.socket = redox_dup_v1(capability, (const uint8_t *)"create-scheme", 13);
	assert(!redox_failed(server.socket));
	assert(redox_close_v1(capability) == 0);
	assert(redox_fcntl_v0(server.socket, REDOX_F_SETFL, REDOX_O_NONBLOCK) == 0);
	size_t memory = redox_mmap_v1(NULL, DAEMON_MEMORY, REDOX_PROT_READ | REDOX_PROT_WRITE,
			REDOX_MAP_SHARED | REDOX_MAP_ANON, SIZE_MAX, 0);
	assert(!redox_failed(memory));
	server.memory = (uint8_t *)memory;
	server.next_id = 100;
	server.passed = -1;
}

static void run(int ready, int root_pipe)
{
	uint64_t root;

	create();
	root = make_root();
	if (root_pipe >= 0) {
		assert(redox_sys_call_v0((size_t)root_pipe, (uint8_t *)&root, sizeof(root),
				       REDOX_CALL_WRITE | REDOX_CALL_FD, (const uint64_t[]) {0},
				       0) == 1);
	} else {
		size_t result = redox_register_scheme_to_ns_v0(redox_get_ns_v0(),
				(const uint8_t *)DAEMON_NAME, strlen(DAEMON_NAME), root);
		assert(result == 0);
	}
	assert(fcntl((int)root, F_GETFD) < 0); // consumed
	close(ready);
	loop();
}

static void start(struct daemon *daemon, int root_pipe)
{
	int records[2];
	int control[2];
	int paused[2];
	int ready[2];
	char byte;

	daemon_use_test_dir();
	assert_int_equal(pipe2(records, O_CLOEXEC), 0);
	assert_int_equal(pipe2(control, O_CLOEXEC), 0);
	assert_int_equal(pipe2(paused, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	fcntl(records[1], F_SETPIPE_SZ, 1 << 20);
	daemon->pid = fork();
	assert_true(daemon->pid >= 0);
	if (!daemon->pid) {
		close(records[0]);
		close(control[1]);
		close(paused[0]);
		close(ready[0]);
		fcntl(records[1], F_SETFL, O_NONBLOCK);
		server.records = records[1];
		server.control = control[0];
		server.paused = paused[1];
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(ready[1], root_pipe);
	}
	close(records[1]);
	close(control[0]);
	close(paused[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 0);
	close(ready[0]);
	daemon->records = records[0];
	daemon->control = control[1];
	daemon->paused = paused[0];
}

void daemon_start(struct daemon *daemon)
{
	start(daemon, -1);
}

void daemon_start_unnamed(struct daemon *daemon, int root_pipe)
{
	start(daemon, root_pipe);
}

void daemon_stop(struct daemon *daemon)
{
	if (daemon->pid <= 0) {
		return;
	}
	kill(daemon->pid, SIGKILL);
	waitpid(daemon->pid, NULL, 0);
	close(daemon->records);
	close(daemon->control);
	close(daemon->paused);
	daemon->pid = 0;
}

struct scheme_sqe daemon_expect(struct daemon *daemon, uint8_t opcode)
{
	struct scheme_sqe record = {0};

	do {
		struct pollfd waiting = {.fd = daemon->records, .events = POLLIN};
		if (poll(&waiting, 1, 5000) != 1 ||
				read(daemon->records, &record, sizeof(record)) !=
						(ssize_t)sizeof(record)) {
			fail_msg("no record with opcode %u came", opcode);
		}
	} while (record.opcode != opcode);
	return record;
}

bool daemon_seen(struct daemon *daemon, uint8_t opcode)
{
	struct scheme_sqe record;
	struct pollfd waiting = {.fd = daemon->records, .events = POLLIN};
	bool seen = false;

	while (poll(&waiting, 1, 0) == 1 &&
			read(daemon->records, &record, sizeof(record)) == (ssize_t)sizeof(record)) {
		seen = seen || record.opcode == opcode;
	}
	return seen;
}

void daemon_use_test_dir(void)
{
	char path[512];

	setenv("REDOX_HOSTED_DIR", test_path(path, sizeof(path), "redox"), 1);
	(void)!mkdir(path, 0700);
}
