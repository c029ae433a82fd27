/* Opens, transfers, mappings, status: one request after another, well-meant and hostile. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "common/limits.h"
#include "schemes/scheme/libredox.h"
#include "tests/support/test.h"
#include "tests/unit/scheme/fake_daemon.h"

#define RDWR REDOX_O_RDWR

static struct daemon *const d = &daemon_state;

static int64_t ask(uint8_t opcode, int64_t id)
{
	return daemon_ask(opcode, (uint64_t)id, NO_BUFFER, 0, 0, 0, 0);
}

static int64_t ask_buffer(uint8_t opcode, int64_t id, void *buffer, size_t length, uint64_t a3)
{
	return daemon_ask(opcode, (uint64_t)id, POINTER(buffer), length, a3, 0, FAKE_OWNER);
}

static int64_t ask_map(int64_t id, uint64_t size, uint64_t flags, uint64_t offset)
{
	return daemon_ask(SCHEME_OP_MMAP_PREP, (uint64_t)id, size, flags, offset, 0, FAKE_OWNER);
}

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
	assert_int_equal(ask(SCHEME_OP_FPATH, id), -EBADF);
	d->open_result = -ENXIO;
	assert_int_equal(daemon_open(d->root, "x", RDWR), -ENXIO);
	assert_int_equal(d->closes, 1);
	assert_int_equal(daemon_open(d->root + 1, "x", RDWR), -EBADF);
}

static void open_folds_paths(void **state)
{
	static const struct {
		const char *sent, *seen; // NULL: refused
	} cases[] = {
			{"", ""},
			{"/", ""},
			{"a", "a"},
			{"/a//b/", "a/b"},
			{"./a/./b/.", "a/b"},
			{"...", "..."},
			{"..a/b..", "..a/b.."},
			{"..", NULL},
			{"../x", NULL},
			{"a/../b", NULL},
			{"a/..", NULL},
			{"a//..//b", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned opens = d->opens;
		int64_t id = daemon_open(d->root, cases[i].sent, RDWR);
		if (cases[i].seen) {
			assert_true(id > 0);
			assert_string_equal(d->last_path, cases[i].seen);
		} else {
			assert_int_equal(id, -EINVAL);
			assert_int_equal(d->opens, opens);
		}
	}
	uint32_t tag = fake_send(SCHEME_OP_OPEN_AT, d->root, POINTER("a\0b"), 3, RDWR, 0, 0);
	daemon_turn();
	assert_int_equal(fake_answer(tag).result, -EINVAL);
}

static void open_refuses_long_paths(void **state)
{
	char path[LIMIT_PATH + 2];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[LIMIT_PATH] = 0;
	int64_t id = daemon_open(d->root, path, RDWR);
	assert_true(id > 0);
	assert_int_equal(strlen(d->last_path), LIMIT_PATH);
	assert_int_equal(daemon_open((uint64_t)id, "y", RDWR), -ENAMETOOLONG);
	path[LIMIT_PATH] = 'x';
	path[LIMIT_PATH + 1] = 0;
	assert_int_equal(daemon_open(d->root, path, RDWR), -ENAMETOOLONG);
	path[LIMIT_PATH - 1] = 0;
	assert_true(daemon_open(d->root, path, RDWR) > 0);
	/* No length is believed. */
	assert_int_equal(daemon_ask(SCHEME_OP_OPEN_AT, d->root, POINTER(path), UINT64_MAX, RDWR, 0,
					 0),
			-ENAMETOOLONG);
}

static void open_below_a_handle(void **state)
{
	char path[64] = "";

	(void)state;
	int64_t parent = daemon_open(d->root, "dir", REDOX_O_STAT);
	int64_t id = daemon_open((uint64_t)parent, "x/y", RDWR);
	assert_true(id > 0);
	assert_string_equal(((struct daemon_handle *)d->last_parent)->path, "dir");
	d->ops.fpath = NULL;
	assert_int_equal(ask_buffer(SCHEME_OP_FPATH, id, path, sizeof(path), 0),
			strlen("/scheme/test/dir/x/y"));
	assert_string_equal(path, "/scheme/test/dir/x/y");
}

static void late_flags_of_an_open_count(void **state)
{
	(void)state;
	daemon_ask(SCHEME_OP_OPEN_AT, d->root, POINTER("a"), 1, RDWR,
			REDOX_O_NONBLOCK | REDOX_O_APPEND | REDOX_O_TRUNC, FAKE_OWNER);
	assert_int_equal(d->last_open.flags, RDWR | REDOX_O_NONBLOCK | REDOX_O_APPEND);
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
	assert_int_equal(ask_buffer(SCHEME_OP_CALL, id, payload, 64, 0xA7), 7);
	assert_int_equal(d->last_nr, 0xA7);
	assert_int_equal(d->last_pid, FAKE_PID);
	assert_int_equal(d->last_uid, UINT32_MAX); // args[5] is metadata there
	assert_memory_equal(d->bytes, copy, sizeof(copy));
	d->get = 0;
	d->put = 16;
	d->get_offset = 8;
	memset(d->bytes, 0x5A, sizeof(d->bytes));
	assert_int_equal(ask_buffer(SCHEME_OP_CALL, id, payload, 64, 1), 7);
	memset(copy + 8, 0x5A, 16);
	assert_memory_equal(payload, copy, sizeof(copy));
}

static void call_refuses_large_payloads(void **state)
{
	uint8_t *payload = calloc(1, LIMIT_PAYLOAD);

	(void)state;
	int64_t id = daemon_open(d->root, "", RDWR);
	assert_int_equal(ask_buffer(SCHEME_OP_CALL, id, payload, LIMIT_PAYLOAD + 1, 0), -EMSGSIZE);
	assert_int_equal(ask_buffer(SCHEME_OP_CALL, id, payload, SIZE_MAX, 0), -EMSGSIZE);
	assert_int_equal(d->calls, 0);
	assert_int_equal(ask_buffer(SCHEME_OP_CALL, id, payload, LIMIT_PAYLOAD, 0), 0);
	assert_int_equal(d->calls, 1);
	free(payload);
}

static void buffers_without_length_are_not_touched(void **state)
{
	(void)state;
	int64_t id = daemon_open(d->root, "", RDWR);
	assert_int_equal(ask(SCHEME_OP_CALL, id), 0);
	assert_int_equal(ask(SCHEME_OP_READ, id), 0);
	assert_int_equal(ask(SCHEME_OP_WRITE, id), 0);
	assert_int_equal(ask(SCHEME_OP_FPATH, id), -ENAMETOOLONG);
	assert_int_equal(ask(SCHEME_OP_FSTAT, id), -EINVAL);
	assert_true(ask(SCHEME_OP_OPEN_AT, (int64_t)d->root) > 0);
	assert_int_equal(d->calls + d->reads + d->writes, 3);
}

/* A bug of the daemon costs this request, nothing else. */
static void leaving_the_buffer_costs_the_request(void **state)
{
	uint8_t payload[32] = {0};

	(void)state;
	int64_t id = daemon_open(d->root, "", RDWR);
	d->bytes[0] = 0xEE;
	d->get = 33;
	assert_int_equal(ask_buffer(SCHEME_OP_CALL, id, payload, 32, 0), -EIO);
	assert_int_equal(d->bytes[0], 0); // not what was there before
	d->get = 1;
	d->get_offset = SIZE_MAX;
	assert_int_equal(ask_buffer(SCHEME_OP_CALL, id, payload, 32, 0), -EIO);
	d->get = 0;
	d->put = 2;
	d->get_offset = 31;
	assert_int_equal(ask_buffer(SCHEME_OP_CALL, id, payload, 32, 0), -EIO);
	d->get_offset = 0;
	assert_int_equal(ask_buffer(SCHEME_OP_WRITE, id, payload, 32, 0), -EIO); // read only there
	d->park = true;
	assert_int_equal(ask_buffer(SCHEME_OP_WRITE, id, payload, 32, 0), -EIO);
	assert_int_equal(d->parked_count, 0);
	d->park = false;
	assert_int_equal(ask_buffer(SCHEME_OP_CALL, id, payload, 32, 0), 0);
}

static void reads_and_writes_say_who_and_where(void **state)
{
	char text[16] = "";

	(void)state;
	d->open_result = SCHEME_OPEN_POSITIONED;
	uint32_t tag = fake_send(SCHEME_OP_OPEN_AT, d->root, POINTER("s"), 1, RDWR, 0, FAKE_OWNER);
	daemon_turn();
	assert_int_equal(fake_answer(tag).extra[0], SCHEME_NEW_FD_POSITIONED);
	int64_t id = (int64_t)fake_answer(tag).result;
	memcpy(d->bytes, "hello", 5);
	d->put = 5;
	d->result = 5;
	assert_int_equal(daemon_ask(SCHEME_OP_READ, (uint64_t)id, POINTER(text), 16, 12,
					 REDOX_O_NONBLOCK, FAKE_OWNER),
			5);
	assert_string_equal(text, "hello");
	assert_int_equal(d->last_offset, 12);
	assert_int_equal(d->last_uid, 1000);
	assert_int_equal(d->last_flags, REDOX_O_NONBLOCK);
	d->put = 0;
	d->get = 16;
	memcpy(text, "to the daemon..", 16);
	assert_int_equal(ask_buffer(SCHEME_OP_WRITE, id, text, 16, UINT64_MAX), 5);
	assert_memory_equal(d->bytes, text, 16);
	assert_int_equal(d->last_offset, UINT64_MAX);
}

/* The kernel does not enforce the mode of the open. */
static void access_modes_are_enforced(void **state)
{
	static const struct {
		uint32_t flags;
		int read, write, call, map, map_write;
	} cases[] = {
			{REDOX_O_RDONLY, 0, -EBADF, 0, 0, -EACCES},
			{REDOX_O_WRONLY, -EBADF, 0, 0, -EACCES, -EACCES},
			{REDOX_O_RDWR, 0, 0, 0, 0, 0},
			{REDOX_O_STAT, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF},
			{REDOX_O_STAT | REDOX_O_RDWR, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF},
			{0, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF},
	};

	(void)state;
	assert_int_equal(scheme_memory_create(4096, &d->memory), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t id = daemon_open(d->root, "", cases[i].flags);
		int64_t mapped = cases[i].map ? cases[i].map : (int64_t)POINTER(d->memory);
		int64_t mapped_write = cases[i].map_write ? cases[i].map_write
							  : (int64_t)POINTER(d->memory);
		bool path_only = cases[i].call != 0;

		assert_int_equal(ask(SCHEME_OP_READ, id), cases[i].read);
		assert_int_equal(ask(SCHEME_OP_WRITE, id), cases[i].write);
		assert_int_equal(ask(SCHEME_OP_CALL, id), cases[i].call);
		assert_int_equal(
				ask_map(id, 4096, SCHEME_MAP_SHARED | SCHEME_PROT_READ, 0), mapped);
		assert_int_equal(ask_map(id, 4096,
						 SCHEME_MAP_SHARED | SCHEME_PROT_READ |
								 SCHEME_PROT_WRITE,
						 0),
				mapped_write);
		assert_int_equal(ask(SCHEME_OP_FSYNC, id), path_only ? -EBADF : 0);
		assert_int_equal(ask(SCHEME_OP_FEVENT, id), path_only ? -EBADF : 0);
		assert_int_equal(ask(SCHEME_OP_SENDFD, id), path_only ? -EBADF : -EINVAL);
		assert_int_equal(ask(SCHEME_OP_RECVFD, id), path_only ? -EBADF : -EINVAL);
		assert_int_equal(ask(SCHEME_OP_FSTAT, id), -EINVAL); // reached: no buffer
	}
	scheme_memory_destroy(d->memory, 4096);
}

static void mappings_are_checked(void **state)
{
	const uint64_t shared = SCHEME_MAP_SHARED | SCHEME_PROT_READ | SCHEME_PROT_WRITE;

	(void)state;
	assert_int_equal(scheme_memory_create(5000, &d->memory), 0);
	memset(d->memory, 0xFF, 8192); // whole pages
	int64_t id = daemon_open(d->root, "", RDWR);
	int64_t address = (int64_t)POINTER(d->memory);

	/* The first write to such a mapping hangs the client, and killing it panics the kernel. */
	assert_int_equal(
			ask_map(id, 4096, SCHEME_MAP_PRIVATE | SCHEME_PROT_READ | SCHEME_PROT_WRITE,
					0),
			-EINVAL);
	assert_int_equal(ask_map(id, 4096, SCHEME_PROT_READ, 0), -EINVAL);
	assert_int_equal(ask_map(id, 4096, shared | SCHEME_MAP_PRIVATE, 0), -EINVAL);
	assert_int_equal(ask_map(id, 0, shared, 0), -EINVAL);
	assert_int_equal(ask_map(id, 5000, shared, 0), -EINVAL);
	assert_int_equal(ask_map(id, 4096, shared, 1), -EINVAL);
	assert_int_equal(ask_map(id, 8192, shared, UINT64_MAX - 4095), -EINVAL);
	assert_int_equal(d->mmaps, 0);

	assert_int_equal(ask_map(id, 4096, SCHEME_MAP_PRIVATE | SCHEME_PROT_READ, 0), address);
	assert_int_equal(ask_map(id, 8192, shared, 3ull << 28), address);
	assert_int_equal(d->last_map_offset, 3ull << 28);
	assert_int_equal(d->last_map_size, 8192);
	/* A client's fork. */
	assert_int_equal(ask_map(id, 8192, shared | SCHEME_MAP_FIXED_NOREPLACE, 3ull << 28),
			address);
	assert_int_equal(d->last_flags, 0x6000D);
	assert_int_equal(daemon_ask(SCHEME_OP_MUNMAP, (uint64_t)id, 4096, 1, 4096, 0, 0), 0);
	assert_int_equal(d->last_map_offset, 4096);
	assert_int_equal(d->munmaps, 1);

	d->memory = (uint8_t *)d->memory + 1;
	assert_int_equal(ask_map(id, 4096, shared, 0), -EIO);
	d->memory = (uint8_t *)d->memory - 1;
	scheme_memory_destroy(d->memory, 5000);
	assert_int_equal(scheme_memory_create(0, &d->memory), -EINVAL);
	assert_int_equal(scheme_memory_create(SIZE_MAX, &d->memory), -EINVAL);
}

static void fstat_has_both_forms(void **state)
{
	struct scheme_stat stat[2];

	(void)state;
	int64_t id = daemon_open(d->root, "", REDOX_O_STAT);
	memset(stat, 0xFF, sizeof(stat));
	assert_int_equal(ask_buffer(SCHEME_OP_FSTAT, id, &stat[0], sizeof(stat[0]), 0), 0);
	assert_int_equal(ask_buffer(SCHEME_OP_STD_FS_CALL, id, &stat[1], sizeof(stat[1]),
					 SCHEME_STD_FSTAT),
			0);
	assert_memory_equal(&stat[0], &stat[1], sizeof(stat[0]));
	assert_int_equal(stat[0].st_mode, 0x2000 | 0666);
	assert_int_equal(stat[0].st_uid, 1000);
	assert_int_equal(stat[0].st_gid, 1001);
	assert_int_equal(stat[0].st_size, 0);
	assert_int_equal(
			ask_buffer(SCHEME_OP_FSTAT, id, &stat[0], sizeof(stat[0]) - 1, 0), -EINVAL);
	assert_int_equal(
			ask_buffer(SCHEME_OP_FSTAT, (int64_t)d->root, &stat[0], sizeof(stat[0]), 0),
			0);
	assert_int_equal(stat[0].st_mode & 0xF000, 0x4000);
}

static void text_fstat(void *data, void *handle, struct scheme_stat *stat)
{
	(void)data;
	(void)handle;
	stat->st_mode = 0x8000 | 0444;
	stat->st_size = 1234;
}

static void size_of_a_positioned_handle(void **state)
{
	(void)state;
	d->ops.fstat = text_fstat;
	int64_t id = daemon_open(d->root, "", RDWR);
	assert_int_equal(ask(SCHEME_OP_FSIZE, id), -ESPIPE);
	d->open_result = SCHEME_OPEN_POSITIONED;
	id = daemon_open(d->root, "", RDWR);
	assert_int_equal(ask(SCHEME_OP_FSIZE, id), 1234);
}

static const char *own_path = "own";

static int own_fpath(void *data, void *handle, char *buffer, size_t size)
{
	(void)data;
	(void)handle;
	assert_true(size > LIMIT_PATH);
	strcpy(buffer, own_path);
	return 0;
}

static void fpath_gives_the_whole_path(void **state)
{
	char path[32] = "";

	(void)state;
	int64_t id = daemon_open(d->root, "a//b", REDOX_O_STAT);
	assert_int_equal(ask_buffer(SCHEME_OP_FPATH, id, path, 15, 0), -ENAMETOOLONG);
	assert_string_equal(path, "");
	assert_int_equal(ask_buffer(SCHEME_OP_FPATH, id, path, 16, 0), 16);
	assert_string_equal(path, "/scheme/test/a/b");
	d->ops.fpath = own_fpath;
	memset(path, 0, sizeof(path));
	assert_int_equal(ask_buffer(SCHEME_OP_FPATH, id, path, 32, 0), 16);
	assert_string_equal(path, "/scheme/test/own");
	own_path = "/scheme/other/v2/1";
	memset(path, 0, sizeof(path));
	assert_int_equal(ask_buffer(SCHEME_OP_FPATH, id, path, 32, 0), 18);
	assert_string_equal(path, "/scheme/other/v2/1");
	own_path = "own";
}

static void fsync_has_both_forms(void **state)
{
	(void)state;
	int64_t id = daemon_open(d->root, "", RDWR);
	assert_int_equal(ask(SCHEME_OP_FSYNC, id), 0);
	assert_int_equal(daemon_ask(SCHEME_OP_STD_FS_CALL, (uint64_t)id, NO_BUFFER, 0,
					 SCHEME_STD_FSYNC, 0, 0),
			0);
	assert_int_equal(d->fsyncs, 2);
	d->result = -EIO;
	assert_int_equal(ask(SCHEME_OP_FSYNC, id), -EIO);
	d->ops.fsync = NULL;
	assert_int_equal(ask(SCHEME_OP_FSYNC, id), 0);
}

/* What has no handler has its answer all the same. */
static void every_opcode_is_answered(void **state)
{
	static const struct {
		uint8_t opcode;
		uint64_t kind; // args[3]
		int result;
	} cases[] = {
			{SCHEME_OP_DUP, 0, -EOPNOTSUPP},
			{SCHEME_OP_FCHMOD, 0, -EPERM},
			{SCHEME_OP_FCHOWN, 0, -EPERM},
			{SCHEME_OP_FRENAME, 0, -EPERM},
			{SCHEME_OP_FSTATVFS, 0, -EOPNOTSUPP},
			{SCHEME_OP_FTRUNCATE, 0, -EBADF},
			{SCHEME_OP_FUTIMENS, 0, -EPERM},
			{SCHEME_OP_GETDENTS, 0, -ENOTDIR},
			{SCHEME_OP_FLINK, 0, -EPERM},
			{SCHEME_OP_UNLINK_AT, 0, -EPERM},
			{SCHEME_OP_READ, 0, -EBADF},
			{SCHEME_OP_WRITE, 0, -EBADF},
			{SCHEME_OP_CALL, 0, -EOPNOTSUPP},
			{SCHEME_OP_FSYNC, 0, 0},
			{SCHEME_OP_FEVENT, 0, 0},
			{SCHEME_OP_MMAP_PREP, 0, -EOPNOTSUPP},
			{SCHEME_OP_MUNMAP, 0, 0},
			{SCHEME_OP_SENDFD, 0, -EOPNOTSUPP},
			{SCHEME_OP_RECVFD, 0, -EOPNOTSUPP},
			{SCHEME_OP_CLOSE, 0, -ENOSYS},
			{SCHEME_OP_REQUEST_MMAP, 0, -ENOSYS},
			{SCHEME_OP_MREMAP, 0, -ENOSYS},
			{SCHEME_OP_MSYNC, 0, -ENOSYS},
			{SCHEME_OP_STD_FS_CALL, 0, -ENOSYS},
			{SCHEME_OP_STD_FS_CALL, SCHEME_STD_FCHMOD, -EPERM},
			{SCHEME_OP_STD_FS_CALL, SCHEME_STD_FCHOWN, -EPERM},
			{SCHEME_OP_STD_FS_CALL, SCHEME_STD_GETDENTS, -ENOTDIR},
			{SCHEME_OP_STD_FS_CALL, SCHEME_STD_FSTATVFS, -EOPNOTSUPP},
			{SCHEME_OP_STD_FS_CALL, SCHEME_STD_FTRUNCATE, -EBADF},
			{SCHEME_OP_STD_FS_CALL, SCHEME_STD_FUTIMENS, -EPERM},
			{SCHEME_OP_STD_FS_CALL, SCHEME_STD_LOCK, -EOPNOTSUPP},
			{SCHEME_OP_STD_FS_CALL, SCHEME_STD_UNLOCK, -EOPNOTSUPP},
			{SCHEME_OP_STD_FS_CALL, SCHEME_STD_GETLOCK, -EOPNOTSUPP},
			{SCHEME_OP_STD_FS_CALL, SCHEME_STD_UNLINKAT, -EPERM},
			{SCHEME_OP_STD_FS_CALL, SCHEME_STD_FRENAMEAT, -EPERM},
			{SCHEME_OP_STD_FS_CALL, SCHEME_STD_FLINKAT, -EPERM},
			{SCHEME_OP_STD_FS_CALL, 9, -ENOSYS},
			{SCHEME_OP_STD_FS_CALL, 17, -ENOSYS},
			{SCHEME_OP_STD_FS_CALL, UINT64_MAX, -ENOSYS},
	};

	(void)state;
	d->ops = (struct scheme_ops) {.open = d->ops.open, .close = d->ops.close};
	int64_t id = daemon_open(d->root, "", RDWR);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(daemon_ask(cases[i].opcode, (uint64_t)id, NO_BUFFER, 0,
						 cases[i].kind, 0, 0),
				cases[i].result);
	}
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		if (opcode <= SCHEME_OP_CLOSE || opcode > SCHEME_OP_DETACH) {
			assert_int_equal(ask((uint8_t)opcode, id), -ENOSYS);
		}
	}
}

static void fcntl_never_follows_its_argument(void **state)
{
	(void)state;
	int64_t id = daemon_open(d->root, "", RDWR);
	assert_int_equal(daemon_ask(SCHEME_OP_FCNTL, (uint64_t)id, REDOX_F_GETFL, 0, 0, 0, 0), 0);
	assert_int_equal(daemon_ask(SCHEME_OP_FCNTL, (uint64_t)id, REDOX_F_SETFL, 0x70000, 0, 0, 0),
			0);
	assert_int_equal(daemon_ask(SCHEME_OP_FCNTL, (uint64_t)id, 6, 16, 0, 0, 0), -EOPNOTSUPP);
	assert_int_equal(daemon_ask(SCHEME_OP_FCNTL, (uint64_t)id, 7, 16, 0, 0, 0), -EOPNOTSUPP);
	assert_int_equal(daemon_ask(SCHEME_OP_FCNTL, (uint64_t)id, UINT64_MAX, 16, 0, 0, 0),
			-EINVAL);
}

static void some_records_get_no_answer(void **state)
{
	(void)state;
	int64_t id = daemon_open(d->root, "", RDWR);
	unsigned writes = fake.writes;
	fake_send_oneway(SCHEME_OP_DETACH, 0, 0, (uint64_t)id);
	fake_send_oneway(SCHEME_OP_CANCEL, SCHEME_SQE_ONEWAY, 3, 0);
	fake_send_oneway(SCHEME_OP_CLOSE_MSG, 0, 0, 12345);
	fake_send_oneway(99, SCHEME_SQE_ONEWAY, 0, (uint64_t)id);
	fake_send_oneway(SCHEME_OP_CALL, SCHEME_SQE_ONEWAY, 0, (uint64_t)id);
	daemon_turn();
	assert_int_equal(fake.writes, writes);
	assert_int_equal(d->calls, 0);
}

static void answers_that_lie_become_eio(void **state)
{
	(void)state;
	int64_t id = daemon_open(d->root, "", RDWR);
	d->result = -132;
	assert_int_equal(ask(SCHEME_OP_CALL, id), -132);
	d->result = -133; // the kernel would take it for a value
	assert_int_equal(ask(SCHEME_OP_CALL, id), -EIO);
	d->result = 0xFFFFFF7C; // and this for an errno
	assert_int_equal(ask(SCHEME_OP_CALL, id), -EIO);
	d->result = 0xFFFFFF7B;
	assert_int_equal(ask(SCHEME_OP_CALL, id), 0xFFFFFF7B);
	d->result = INT64_MAX; // its low half is -1
	assert_int_equal(ask(SCHEME_OP_CALL, id), -EIO);
}

static void events_reach_those_who_wait(void **state)
{
	(void)state;
	int64_t id = daemon_open(d->root, "", RDWR);
	void *handle = NULL;
	d->ready = SCHEME_EVENT_READ | SCHEME_EVENT_WRITE;
	assert_int_equal(daemon_ask(SCHEME_OP_FEVENT, (uint64_t)id, SCHEME_EVENT_READ, 0, 0, 0, 0),
			SCHEME_EVENT_READ);
	d->park = true;
	fake_send(SCHEME_OP_CALL, (uint64_t)id, NO_BUFFER, 0, 0, 0, 0);
	daemon_turn();
	/* The daemon's handle is what its open made; it is the only one. */
	handle = d->last_parent;
	assert_null(handle);
	daemon_open((uint64_t)id, "below", RDWR);
	handle = d->last_parent;
	assert_int_equal(((struct daemon_handle *)handle)->event_mask, SCHEME_EVENT_READ);

	scheme_notify(d->scheme, handle, SCHEME_EVENT_WRITE);
	daemon_turn();
	assert_int_equal(fake.notices, 0);
	scheme_notify(d->scheme, handle, SCHEME_EVENT_READ | SCHEME_EVENT_WRITE);
	scheme_notify(d->scheme, handle, SCHEME_EVENT_READ);
	daemon_turn();
	assert_int_equal(fake.notices, 1); // one for each batch
	assert_int_equal(fake.notice_events, SCHEME_EVENT_READ);
	assert_int_equal(fake.notice_id, id);
	scheme_notify(d->scheme, handle, SCHEME_EVENT_READ);
	daemon_turn();
	assert_int_equal(fake.notices, 2);
	assert_int_equal(daemon_ask(SCHEME_OP_FEVENT, (uint64_t)id, 0, 0, 0, 0, 0), 0);
	scheme_notify(d->scheme, handle, SCHEME_EVENT_READ);
	scheme_notify(d->scheme, &d, SCHEME_EVENT_READ); // not a handle
	daemon_turn();
	assert_int_equal(fake.notices, 2);
}

static void descriptors_pass_both_ways(void **state)
{
	(void)state;
	int64_t id = daemon_open(d->root, "", RDWR);
	fake.obtainable[0] = (uint64_t)open("/dev/null", O_RDONLY);
	assert_int_equal(daemon_ask(SCHEME_OP_SENDFD, (uint64_t)id, 0, 77, 1, 0, FAKE_OWNER), 0);
	assert_int_equal(d->taken_fd, fake.obtainable[0]);
	assert_int_equal(d->taken_count, 1);
	assert_int_equal(d->last_nr, 77);
	assert_int_equal(fcntl(d->taken_fd, F_GETFD), FD_CLOEXEC);
	close(d->taken_fd);
	assert_int_equal(daemon_ask(SCHEME_OP_SENDFD, (uint64_t)id, 0, 77, 0, 0, 0), -EINVAL);
	assert_int_equal(daemon_ask(SCHEME_OP_SENDFD, (uint64_t)id, 0, 77, UINT64_MAX, 0, 0),
			-EINVAL);

	assert_int_equal(daemon_ask(SCHEME_OP_RECVFD, (uint64_t)id, 0, 1, 78, 0, FAKE_OWNER),
			-ENOENT);
	d->given_fd = open("/dev/null", O_RDONLY);
	assert_int_equal(daemon_ask(SCHEME_OP_RECVFD, (uint64_t)id, 0, 2, 78, 0, FAKE_OWNER),
			-EINVAL);
	fake.fd_call_error = EMFILE;
	assert_int_equal(daemon_ask(SCHEME_OP_SENDFD, (uint64_t)id, 0, 77, 1, 0, 0), -EMFILE);
	assert_int_equal(daemon_ask(SCHEME_OP_RECVFD, (uint64_t)id, 0, 1, 78, 0, FAKE_OWNER),
			-EMFILE);
	assert_int_equal(fcntl(d->given_fd, F_GETFD), -1); // closed: nobody has it
	fake.fd_call_error = 0;
	d->given_fd = open("/dev/null", O_RDONLY);
	uint32_t tag = fake_send(SCHEME_OP_RECVFD, (uint64_t)id, 0, 1, 78, 0, FAKE_OWNER);
	daemon_turn();
	assert_int_equal(fake_answer(tag).opcode, SCHEME_CQE_WITH_FDS);
	assert_int_equal(fake.moved[0], d->given_fd);
	assert_int_equal(d->last_nr, 78);
}

static void an_open_may_give_another_descriptor(void **state)
{
	(void)state;
	d->open_result = SCHEME_OPEN_DESCRIPTOR;
	for (unsigned i = 0; i < LIMIT_HANDLES_PER_PID + 1; i++) {
		d->given_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		uint32_t tag = fake_send(
				SCHEME_OP_OPEN_AT, d->root, POINTER("x"), 1, RDWR, 0, FAKE_OWNER);
		daemon_turn();
		assert_int_equal(fake_answer(tag).opcode, SCHEME_CQE_WITH_FD);
		assert_true(fake.handed_over >= 0);
		assert_int_equal(fcntl(d->given_fd, F_GETFD), -1); // its number is free again
		close(fake.handed_over);
	}
	assert_int_equal(d->closes, 0);
	d->open_result = 0;
	assert_true(daemon_open(d->root, "", RDWR) > 0); // they count for nothing
}

static void control_capabilities_carry_messages(void **state)
{
	uint8_t payload[4097] = {1, 2, 3};

	(void)state;
	int fd = scheme_control_create(d->scheme, 99);
	int64_t id = (int64_t)fake.last_id;
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_not_equal(id, d->root);
	assert_int_equal(ask_buffer(SCHEME_OP_CALL, id, payload, 24, 0), 0);
	assert_int_equal(d->control_id, 99);
	assert_int_equal(d->control_length, 24);
	assert_memory_equal(d->bytes, payload, 24);
	assert_int_equal(ask_buffer(SCHEME_OP_CALL, id, payload, 4096, 0), 0);
	assert_int_equal(ask_buffer(SCHEME_OP_CALL, id, payload, 4097, 0), -EMSGSIZE);
	assert_int_equal(ask(SCHEME_OP_READ, id), -EBADF);
	assert_int_equal(daemon_open((uint64_t)id, "x", RDWR), -ENOTDIR);
	assert_int_equal(d->calls, 0);
	d->ops.control = NULL;
	assert_int_equal(ask_buffer(SCHEME_OP_CALL, id, payload, 24, 0), -EOPNOTSUPP);
	close(fd);
	daemon_close((uint64_t)id);
	assert_int_equal(d->closes, 0);
	assert_int_equal(ask(SCHEME_OP_CALL, id), -EBADF);
}

static void the_root_can_only_be_opened_below(void **state)
{
	static const uint8_t refused[] = {SCHEME_OP_READ, SCHEME_OP_WRITE, SCHEME_OP_CALL,
			SCHEME_OP_MMAP_PREP, SCHEME_OP_FEVENT, SCHEME_OP_FSYNC, SCHEME_OP_SENDFD,
			SCHEME_OP_RECVFD, SCHEME_OP_FSIZE, SCHEME_OP_MUNMAP};

	(void)state;
	for (size_t i = 0; i < sizeof(refused); i++) {
		int64_t result = ask(refused[i], (int64_t)d->root);
		assert_true(result == -EBADF ||
				(refused[i] == SCHEME_OP_FSIZE && result == -ESPIPE));
	}
}

#define SERVE(fn) TEST_WITH(fn, daemon_setup, daemon_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			SERVE(open_passes_what_the_client_gave),
			SERVE(open_folds_paths),
			SERVE(open_refuses_long_paths),
			SERVE(open_below_a_handle),
			SERVE(late_flags_of_an_open_count),
			SERVE(call_copies_in_and_out),
			SERVE(call_refuses_large_payloads),
			SERVE(buffers_without_length_are_not_touched),
			SERVE(leaving_the_buffer_costs_the_request),
			SERVE(reads_and_writes_say_who_and_where),
			SERVE(access_modes_are_enforced),
			SERVE(mappings_are_checked),
			SERVE(fstat_has_both_forms),
			SERVE(size_of_a_positioned_handle),
			SERVE(fpath_gives_the_whole_path),
			SERVE(fsync_has_both_forms),
			SERVE(every_opcode_is_answered),
			SERVE(fcntl_never_follows_its_argument),
			SERVE(some_records_get_no_answer),
			SERVE(answers_that_lie_become_eio),
			SERVE(events_reach_those_who_wait),
			SERVE(descriptors_pass_both_ways),
			SERVE(an_open_may_give_another_descriptor),
			SERVE(control_capabilities_carry_messages),
			SERVE(the_root_can_only_be_opened_below),
	};

	return test_main("scheme-serve", tests);
}
