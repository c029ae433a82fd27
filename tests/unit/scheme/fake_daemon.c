/* See fake_daemon.h. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "schemes/scheme/libredox.h"
#include "tests/support/test.h"
#include "tests/unit/scheme/fake_daemon.h"

struct daemon daemon_state;

static int on_open(void *data, void *parent, const struct scheme_open *open, void **ret_handle)
{
	struct daemon *d = data;

	d->opens++;
	d->last_open = *open;
	d->last_parent = parent;
	strcpy(d->last_path, open->path);
	if (d->open_result < 0) {
		return d->open_result;
	}
	if (d->open_result == SCHEME_OPEN_DESCRIPTOR) {
		*ret_handle = (void *)(uintptr_t)d->given_fd;
		return d->open_result;
	}
	struct daemon_handle *handle = calloc(1, sizeof(*handle));
	assert_non_null(handle);
	strcpy(handle->path, open->path);
	handle->flags = open->flags;
	*ret_handle = handle;
	return d->open_result;
}

static void on_close(void *data, void *handle)
{
	struct daemon *d = data;

	d->closes++;
	free(handle);
}

static int64_t finish(struct daemon *d, struct request *request)
{
	d->last_pid = request_pid(request);
	d->last_uid = request_uid(request);
	d->last_offset = request_offset(request);
	if (d->answer_twice) {
		request_answer(request, d->result);
		return d->result + 1;
	}
	if (d->answer_inside) {
		request_answer(request, d->result);
		return SCHEME_PARK;
	}
	if (d->park) {
		assert_true(d->parked_count < DAEMON_PARKED_MAX);
		d->parked[d->parked_count++] = request;
		return SCHEME_PARK;
	}
	return d->result;
}

static int64_t on_read(void *data, void *handle, struct request *request, uint32_t flags)
{
	struct daemon *d = data;

	(void)handle;
	d->reads++;
	d->last_flags = flags;
	request_put(request, d->get_offset, d->bytes, d->put);
	return finish(d, request);
}

static int64_t on_write(void *data, void *handle, struct request *request, uint32_t flags)
{
	struct daemon *d = data;

	(void)handle;
	d->writes++;
	d->last_flags = flags;
	request_get(request, d->get_offset, d->bytes, d->get);
	request_put(request, d->get_offset, d->bytes, d->put);
	return finish(d, request);
}

static int64_t on_call(void *data, void *handle, struct request *request, uint64_t nr)
{
	struct daemon *d = data;

	(void)handle;
	d->calls++;
	d->last_nr = nr;
	request_get(request, d->get_offset, d->bytes, d->get);
	if (d->put) {
		request_put(request, d->get_offset, d->bytes, d->put);
	}
	return finish(d, request);
}

static int64_t on_fsync(void *data, void *handle, struct request *request)
{
	struct daemon *d = data;

	(void)handle;
	d->fsyncs++;
	assert_int_equal(request_length(request), 0);
	return finish(d, request);
}

static int on_mmap(void *data, void *handle, uint64_t offset, uint64_t size, uint32_t flags,
		void **ret_address)
{
	struct daemon *d = data;

	d->mmaps++;
	d->last_map_offset = offset;
	d->last_map_size = size;
	d->last_flags = flags;
	((struct daemon_handle *)handle)->mappings++;
	*ret_address = d->memory;
	return 0;
}

static void on_munmap(void *data, void *handle, uint64_t offset, uint64_t size)
{
	struct daemon *d = data;

	d->munmaps++;
	d->last_map_offset = offset;
	d->last_map_size = size;
	((struct daemon_handle *)handle)->mappings--;
}

static uint32_t on_fevent(void *data, void *handle, uint32_t mask)
{
	((struct daemon_handle *)handle)->event_mask = mask;
	return ((struct daemon *)data)->ready;
}

static int on_sendfd(void *data, void *handle, uint64_t nr, int *fds, size_t count)
{
	struct daemon *d = data;

	(void)handle;
	d->taken_count = count;
	d->last_nr = nr;
	d->taken_fd = fds[0];
	return 0;
}

static int on_recvfd(void *data, void *handle, uint64_t nr, int *ret_fd)
{
	struct daemon *d = data;

	(void)handle;
	d->last_nr = nr;
	if (d->given_fd < 0) {
		return -ENOENT;
	}
	*ret_fd = d->given_fd;
	return 0;
}

static int on_control(void *data, uint64_t control_id, const uint8_t *payload, size_t length)
{
	struct daemon *d = data;

	d->controls++;
	d->control_id = control_id;
	d->control_length = length;
	if (length <= sizeof(d->bytes)) {
		memcpy(d->bytes, payload, length);
	}
	return 0;
}

static void on_cancel(void *data, void *handle, struct request *request)
{
	struct daemon *d = data;

	assert_non_null(handle);
	d->cancels++;
	for (unsigned i = 0; i < d->parked_count; i++) {
		if (d->parked[i] == request) {
			d->parked[i] = d->parked[--d->parked_count];
			return;
		}
	}
	fail_msg("a request is cancelled that is not parked");
}

static void on_unregistered(void *data, const char *name)
{
	struct daemon *d = data;

	d->unregisters++;
	strcpy(d->unregistered_name, name);
}

const struct scheme_ops daemon_ops = {
		.open = on_open,
		.close = on_close,
		.read = on_read,
		.write = on_write,
		.call = on_call,
		.fsync = on_fsync,
		.mmap = on_mmap,
		.munmap = on_munmap,
		.fevent = on_fevent,
		.sendfd = on_sendfd,
		.recvfd = on_recvfd,
		.control = on_control,
		.cancel = on_cancel,
		.unregistered = on_unregistered,
};

int daemon_setup(void **state)
{
	struct daemon *d = &daemon_state;

	(void)state;
	*d = (struct daemon) {.ops = daemon_ops, .taken_fd = -1, .given_fd = -1};
	fake_start();
	assert_int_equal(loop_create(&d->loop), 0);
	assert_int_equal(scheme_create(d->loop, &d->ops, d, &d->scheme), 0);
	assert_int_equal(scheme_register(d->scheme, "test"), 0);
	d->root = fake.last_id;
	return 0;
}

int daemon_teardown(void **state)
{
	struct daemon *d = &daemon_state;

	(void)state;
	scheme_destroy(d->scheme);
	loop_destroy(d->loop);
	fake_stop();
	return 0;
}

static bool daemon_is_behind(void)
{
	int bytes = 0;

	assert_int_equal(ioctl(fake.socket[0], FIONREAD, &bytes), 0);
	return bytes > 0;
}

void daemon_turn(void)
{
	do {
		assert_int_equal(loop_turn(daemon_state.loop, 0), 0);
	} while (daemon_is_behind());
	assert_int_equal(loop_turn(daemon_state.loop, 0), 0); // what was answered late leaves now
}

int64_t daemon_open_from(uint64_t pid, uint64_t parent, const char *path, uint32_t flags)
{
	uint32_t tag = fake_send_from(pid, SCHEME_OP_OPEN_AT,
			(const uint64_t[]) {
					parent, POINTER(path), strlen(path), flags, 0, FAKE_OWNER});

	daemon_turn();
	return (int64_t)fake_answer(tag).result;
}

int64_t daemon_open(uint64_t parent, const char *path, uint32_t flags)
{
	return daemon_open_from(FAKE_PID, parent, path, flags);
}

int64_t daemon_ask(uint8_t opcode, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
		uint64_t a5)
{
	uint32_t tag = fake_send(opcode, a0, a1, a2, a3, a4, a5);

	daemon_turn();
	assert_int_equal(fake_answers(tag), 1);
	return (int64_t)fake_answer(tag).result;
}

void daemon_close(uint64_t id)
{
	fake_send_oneway(SCHEME_OP_CLOSE_MSG, 0, 0, id);
	daemon_turn();
}
