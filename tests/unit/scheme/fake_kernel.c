/* See fake_kernel.h. Tags are the slots of a slab that is reused last in, first out, as in the
 * kernel. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "schemes/scheme/libredox.h"
#include "tests/support/test.h"
#include "tests/unit/scheme/fake_kernel.h"

#define FAKE_NAMESPACE     0x400000000000000dull
#define FAKE_NAMESPACE_DUP 0x400000000000000eull
#define FAKE_CREATION_CAP  "/scheme/namespace/scheme-creation-cap"
#define FAKE_PREFIX        "/scheme/"

struct fake_tag {
	bool open;
	unsigned answers;
	struct scheme_cqe answer;
};

struct fake_kernel fake;
static struct fake_tag tags[FAKE_TAGS];
static uint32_t free_tags[FAKE_TAGS];
static uint32_t free_count;

void fake_start(void)
{
	fake = (struct fake_kernel) {.handed_over = -1};
	memset(tags, 0, sizeof(tags));
	free_count = 0;
	for (uint32_t i = FAKE_TAGS; i > 0; i--) {
		free_tags[free_count++] = i - 1;
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fake.socket), 0);
	int bytes = 4 << 20;
	setsockopt(fake.socket[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

void fake_stop(void)
{
	close(fake.socket[1]);
	for (unsigned i = 0; i < fake.moved_count; i++) {
		close((int)fake.moved[i]);
	}
	assert_int_equal(fake.violations, 0);
	assert_int_equal(fake.outstanding, 0);
}

static void fake_write_record(const struct scheme_sqe *sqe)
{
	assert_int_equal(send(fake.socket[1], sqe, sizeof(*sqe), MSG_NOSIGNAL), sizeof(*sqe));
}

uint32_t fake_send_from(uint64_t pid, uint8_t opcode, const uint64_t args[6])
{
	assert_true(free_count > 0);
	uint32_t tag = free_tags[--free_count];
	struct scheme_sqe sqe = {.opcode = opcode, .tag = tag, .caller = pid};

	memcpy(sqe.args, args, sizeof(sqe.args));
	tags[tag] = (struct fake_tag) {.open = true};
	fake.outstanding++;
	fake_write_record(&sqe);
	return tag;
}

uint32_t fake_send(uint8_t opcode, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
		uint64_t a5)
{
	return fake_send_from(FAKE_PID, opcode, (const uint64_t[]) {a0, a1, a2, a3, a4, a5});
}

void fake_send_oneway(uint8_t opcode, uint8_t flags, uint32_t tag, uint64_t a0)
{
	fake_write_record(&(struct scheme_sqe) {
			.opcode = opcode, .flags = flags, .tag = tag, .args = {a0}});
}

bool fake_answered(uint32_t tag)
{
	return !tags[tag].open && tags[tag].answers;
}

struct scheme_cqe fake_answer(uint32_t tag)
{
	assert_true(fake_answered(tag));
	return tags[tag].answer;
}

unsigned fake_answers(uint32_t tag)
{
	return tags[tag].answers;
}

static int fake_take_answer(const struct scheme_cqe *cqe)
{
	if (cqe->opcode == SCHEME_CQE_SEND_FEVENT) {
		fake.notices++;
		fake.notice_events = cqe->tag;
		fake.notice_id = cqe->result;
		return 0;
	}
	if (cqe->opcode > SCHEME_CQE_NOTIFY_ON_DETACH) {
		fake.violations++;
		return EINVAL;
	}
	if (cqe->tag >= FAKE_TAGS || !tags[cqe->tag].open) {
		fake.violations++;
		return cqe->tag >= FAKE_TAGS ? EBADFD : EINVAL;
	}
	if (cqe->opcode == SCHEME_CQE_WITH_FD) {
		/* Taken out of the daemon's table without libc knowing (redox-abi.md 1.8). */
		fake.handed_over = fcntl((int)cqe->result, F_DUPFD_CLOEXEC, 0);
		close((int)cqe->result);
	}
	tags[cqe->tag].open = false;
	tags[cqe->tag].answers++;
	tags[cqe->tag].answer = *cqe;
	free_tags[free_count++] = cqe->tag;
	fake.outstanding--;
	return 0;
}

size_t redox_write_v1(size_t fd, const uint8_t *source, size_t length)
{
	size_t count = length / sizeof(struct scheme_cqe);
	struct scheme_cqe cqe;

	assert_int_equal(fd, fake.socket[0]);
	fake.writes++;
	if (fake.write_error) {
		int error = fake.write_error;
		fake.write_error = 0;
		return (size_t)-error;
	}
	if (fake.write_eagain) {
		fake.write_eagain--;
		return (size_t)-EAGAIN;
	}
	if (fake.write_records && count > fake.write_records) {
		count = fake.write_records;
	}
	for (size_t i = 0; i < count; i++) {
		memcpy(&cqe, source + i * sizeof(cqe), sizeof(cqe));
		int error = fake_take_answer(&cqe);
		if (error) {
			return i ? i * sizeof(cqe) : (size_t)-error;
		}
	}
	return count * sizeof(cqe);
}

size_t redox_read_v1(size_t fd, uint8_t *destination, size_t length)
{
	if (fake.end_of_file) {
		return 0;
	}
	if (fake.read_error) {
		int error = fake.read_error;
		fake.read_error = 0;
		return (size_t)-error;
	}
	/* Whole records only. */
	ssize_t result = read((int)fd, destination, length - length % sizeof(struct scheme_sqe));

	return result < 0 ? (size_t)-errno : (size_t)result;
}

void fake_add_name(const char *name, bool alive)
{
	struct fake_name *free_name = fake_find_name("", 0);

	assert_non_null(free_name);
	strcpy(free_name->name, name);
	free_name->alive = alive;
}

struct fake_name *fake_find_name(const char *name, size_t length)
{
	for (unsigned i = 0; i < FAKE_NAMES; i++) {
		if (strlen(fake.names[i].name) == length &&
				!memcmp(fake.names[i].name, name, length)) {
			return &fake.names[i];
		}
	}
	return NULL;
}

static bool fake_is(const uint8_t *bytes, size_t length, const char *text)
{
	return length == strlen(text) && !memcmp(bytes, text, length);
}

static int fake_make_fd(void)
{
	int fd = open("/dev/null", O_RDWR);

	assert_true(fd >= 0);
	return fd;
}

/* The name in "/scheme/NAME" or "/scheme/NAME/". */
static struct fake_name *fake_find_path(const uint8_t *path, size_t length)
{
	size_t prefix = strlen(FAKE_PREFIX);

	if (length < prefix || memcmp(path, FAKE_PREFIX, prefix)) {
		return NULL;
	}
	if (path[length - 1] == '/') {
		length--;
	}
	return fake_find_name((const char *)path + prefix, length - prefix);
}

size_t redox_open_v1(const uint8_t *path, size_t length, uint32_t flags, uint16_t mode)
{
	(void)mode;
	assert_true(flags & REDOX_O_CLOEXEC);
	if (fake_is(path, length, FAKE_CREATION_CAP)) {
		return fake.capability_error ? (size_t)-fake.capability_error
					     : (size_t)fake_make_fd();
	}
	const struct fake_name *name = fake_find_path(path, length);
	fake.probes++;
	assert_true(flags & REDOX_O_STAT);
	assert_true(!name || !name->root); // opening our own scheme would hang on Redox
	return name && name->alive ? (size_t)fake_make_fd() : (size_t)-ENODEV;
}

size_t redox_dup_v1(size_t fd, const uint8_t *buffer, size_t length)
{
	if (fd == FAKE_NAMESPACE) {
		assert_int_equal(length, 0);
		return FAKE_NAMESPACE_DUP;
	}
	if (fake_is(buffer, length, "create-scheme")) {
		return fake.create_error ? (size_t)-fake.create_error : (size_t)fake.socket[0];
	}
	assert_int_equal(fd, fake.socket[0]);
	if (fake.make_error) {
		return (size_t)-fake.make_error;
	}
	assert_int_equal(length, sizeof(struct scheme_new_fd_params));
	struct scheme_new_fd_params params;
	memcpy(&params, buffer, sizeof(params));
	assert_true((uint32_t)params.number < UINT32_MAX - 132);
	fake.last_id = params.number;
	return (size_t)fake_make_fd();
}

size_t redox_close_v1(size_t fd)
{
	if (fd == FAKE_NAMESPACE_DUP) {
		return 0;
	}
	return close((int)fd) ? (size_t)-errno : 0;
}

size_t redox_fcntl_v0(size_t fd, size_t command, size_t argument)
{
	if (fd == FAKE_NAMESPACE_DUP) {
		return 0;
	}
	if (command == REDOX_F_SETFL) {
		int flags = argument & REDOX_O_NONBLOCK ? O_NONBLOCK : 0;
		return fcntl((int)fd, F_SETFL, flags) ? (size_t)-errno : 0;
	}
	assert_int_equal(command, REDOX_F_SETFD);
	assert_int_equal(argument, REDOX_FD_CLOEXEC);
	return fcntl((int)fd, F_SETFD, FD_CLOEXEC) ? (size_t)-errno : 0;
}

size_t redox_sys_call_v0(size_t fd, uint8_t *payload, size_t length, size_t flags,
		const uint64_t *metadata, size_t metadata_words)
{
	assert_true(flags & REDOX_CALL_FD);
	assert_true(length <= sizeof(fake.moved));
	if (fake.fd_call_error) {
		return (size_t)-fake.fd_call_error;
	}
	if (flags & REDOX_CALL_READ) { // ObtainFd
		assert_int_equal(fd, fake.socket[0]);
		assert_int_equal(metadata[0], SCHEME_SOCKET_OBTAIN_FD);
		assert_true(tags[metadata[1]].open);
		memcpy(payload, fake.obtainable, length);
		return length / sizeof(uint64_t);
	}
	if (metadata_words) { // MoveFd
		assert_int_equal(fd, fake.socket[0]);
		assert_int_equal(metadata[0], SCHEME_SOCKET_MOVE_FD);
		assert_true(tags[metadata[1]].open);
	}
	memcpy(&fake.moved[fake.moved_count++], payload, sizeof(uint64_t));
	return 1;
}

size_t redox_get_ns_v0(void)
{
	return fake.no_namespace ? (size_t)-ENODEV : FAKE_NAMESPACE;
}

size_t redox_register_scheme_to_ns_v0(
		size_t ns_fd, const uint8_t *name, size_t length, size_t root_fd)
{
	int error = fake.register_error;

	assert_int_equal(ns_fd, FAKE_NAMESPACE_DUP);
	close((int)root_fd); // consumed whatever the result
	if (!error && fake_find_name((const char *)name, length)) {
		error = EEXIST;
	}
	if (error) {
		fake_send_oneway(SCHEME_OP_CLOSE_MSG, 0, 0, fake.last_id);
		return (size_t)-error;
	}
	struct fake_name *free_name = fake_find_name("", 0);
	assert_non_null(free_name);
	memcpy(free_name->name, name, length);
	free_name->name[length] = 0;
	free_name->alive = true;
	free_name->root = fake.last_id;
	return 0;
}

size_t redox_raw_unlinkat(size_t ns_fd, const uint8_t *path, size_t length, size_t flags)
{
	assert_int_equal(ns_fd, FAKE_NAMESPACE_DUP);
	assert_int_equal(flags, 0);
	if (fake.unlink_error) {
		return (size_t)-fake.unlink_error;
	}
	assert_true(path[length - 1] != '/');
	struct fake_name *name = fake_find_path(path, length);
	if (!name) {
		return (size_t)-ENODEV;
	}
	uint64_t root = name->root;
	*name = (struct fake_name) {0};
	if (root) {
		fake_send_oneway(SCHEME_OP_CLOSE_MSG, 0, 0, root);
	}
	return 0;
}

size_t redox_mmap_v1(void *address, size_t length, uint32_t prot, uint32_t flags, size_t fd,
		uint64_t offset)
{
	assert_int_equal(prot, REDOX_PROT_READ | REDOX_PROT_WRITE);
	assert_int_equal(flags, REDOX_MAP_SHARED | REDOX_MAP_ANON);
	assert_int_equal(fd, SIZE_MAX);
	void *memory = mmap(address, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			(off_t)offset);
	return memory == MAP_FAILED ? (size_t)-errno : (size_t)memory;
}

size_t redox_munmap_v1(void *address, size_t length)
{
	return munmap(address, length) ? (size_t)-errno : 0;
}
