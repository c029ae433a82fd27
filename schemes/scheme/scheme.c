/*
 * A scheme's socket and its life. The socket is read until it is empty, since readiness comes once
 * (redox-abi.md 1.7); after a few batches the rest of the loop gets its turn. The answers to a
 * batch leave in one write, those given later in one at the end of the turn.
 *
 * Whatever the kernel has asked is answered before the socket closes: callers of a dead daemon hang
 * for ever and cannot even be terminated (redox-run.md 2.4).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "common/log.h"
#include "common/loop.h"
#include "schemes/scheme/dispatch.h"
#include "schemes/scheme/libredox.h"
#include "schemes/scheme/namespace.h"

#define SCHEME_READ_RECORDS  64u
#define SCHEME_TURN_BATCHES  4u    // before other sources get their turn
#define SCHEME_DRAIN_BATCHES 1024u // at the end: clients that ask again and again are left behind
#define SCHEME_RETRY_NS      CLOCK_NS_PER_MS

#define SCHEME_CREATION_CAP "/scheme/namespace/scheme-creation-cap"
#define SCHEME_CREATE_VERB  "create-scheme"

/* Reads and answers one batch. Returns how many records it had, 0 for none now, or a negative
 * errno. */
static int scheme_serve_batch(struct scheme *scheme)
{
	struct scheme_sqe records[SCHEME_READ_RECORDS];
	size_t result;

	do {
		result = redox_read_v1(scheme->socket, (uint8_t *)records, sizeof(records));
	} while (redox_errno(result) == EINTR);
	if (redox_errno(result) == EAGAIN) {
		return 0;
	}
	if (redox_failed(result)) {
		return -redox_errno(result);
	}
	size_t count = result / sizeof(records[0]);
	if (!count) {
		return -ENODEV;
	}
	for (size_t i = 0; i < count; i++) {
		dispatch(scheme, &records[i]);
	}
	reply_flush(&scheme->replies);
	return (int)count;
}

static void scheme_serve(struct scheme *scheme);

static void scheme_serve_again(void *data)
{
	struct scheme *scheme = data;

	scheme->again = NULL;
	scheme_serve(scheme);
}

static void scheme_serve(struct scheme *scheme)
{
	for (uint32_t i = 0; i < SCHEME_TURN_BATCHES; i++) {
		int count = scheme_serve_batch(scheme);
		if (!count) {
			return;
		}
		if (count < 0) {
			log_error(LOG_SCHEME,
					"the scheme's socket is gone (%s): restart the daemon",
					strerror(-count));
			loop_source_remove(scheme->readable);
			scheme->readable = NULL;
			return;
		}
	}
	if (!scheme->again &&
			loop_add_idle(scheme->loop, scheme_serve_again, scheme, &scheme->again)) {
		log_peer(LOG_SCHEME, "out of memory, serving goes on with the next request");
	}
}

static void scheme_readable(void *data, int fd, uint32_t events)
{
	struct scheme *scheme = data;

	(void)fd;
	(void)events;
	if (!scheme->again) {
		scheme_serve(scheme);
	}
}

static void scheme_flush(void *data)
{
	struct scheme *scheme = data;

	if (scheme->replies.count && reply_flush(&scheme->replies)) {
		/* There is no event for room; the timer only makes another turn. */
		loop_timer_arm(scheme->retry, clock_now_ns() + SCHEME_RETRY_NS);
	}
}

static void scheme_retry(void *data)
{
	(void)data;
}

/* Returns the socket, or an error as libredox does. */
static size_t scheme_open_socket(void)
{
	size_t capability = redox_open_v1((const uint8_t *)SCHEME_CREATION_CAP,
			strlen(SCHEME_CREATION_CAP), REDOX_O_CLOEXEC, 0);

	if (redox_failed(capability)) {
		return capability;
	}
	size_t socket = redox_dup_v1(capability, (const uint8_t *)SCHEME_CREATE_VERB,
			strlen(SCHEME_CREATE_VERB));
	redox_close_v1(capability);
	if (redox_failed(socket)) {
		return socket;
	}
	/* Neither is inherited from the capability (redox-run.md 1.2). */
	size_t result = redox_fcntl_v0(socket, REDOX_F_SETFL, REDOX_O_NONBLOCK);
	if (!redox_failed(result)) {
		result = redox_fcntl_v0(socket, REDOX_F_SETFD, REDOX_FD_CLOEXEC);
	}
	if (redox_failed(result)) {
		redox_close_v1(socket);
		return result;
	}
	return socket;
}

static int scheme_add_sources(struct scheme *scheme)
{
	int error = loop_add_fd(scheme->loop, (int)scheme->socket, LOOP_READ, scheme_readable,
			scheme, &scheme->readable);

	if (!error) {
		error = loop_add_before_sleep(scheme->loop, scheme_flush, scheme, &scheme->flush);
	}
	if (!error) {
		error = loop_add_timer(scheme->loop, scheme_retry, scheme, &scheme->retry);
	}
	return error;
}

int scheme_create(struct loop *loop, const struct scheme_ops *ops, void *data,
		struct scheme **ret_scheme)
{
	struct scheme *scheme = calloc(1, sizeof(*scheme));
	int error;

	if (!scheme) {
		return -ENOMEM;
	}
	scheme->loop = loop;
	scheme->ops = ops;
	scheme->data = data;
	handle_table_init(&scheme->handles);
	namespace_init(scheme);
	scheme->socket = scheme_open_socket();
	error = -redox_errno(scheme->socket);
	if (!error) {
		error = reply_init(&scheme->replies, scheme->socket);
	}
	if (!error) {
		error = scheme_add_sources(scheme);
	}
	if (error) {
		scheme_destroy(scheme);
		return error;
	}
	*ret_scheme = scheme;
	return 0;
}

static void scheme_serve_all(struct scheme *scheme)
{
	for (uint32_t i = 0; i < SCHEME_DRAIN_BATCHES; i++) {
		if (scheme_serve_batch(scheme) <= 0) {
			break;
		}
	}
}

/* Answers everything that waits, parked or still in the socket. */
static void scheme_drain(struct scheme *scheme)
{
	uint32_t cursor = 0;
	struct handle *handle;

	while ((handle = handle_next(&scheme->handles, &cursor))) {
		request_cancel_all(handle, -ENODEV);
	}
	/* A name that we lost may belong to another daemon by now: its CloseMsg is read before. */
	scheme_serve_all(scheme);
	namespace_leave(scheme);
	scheme_serve_all(scheme);
	redox_fcntl_v0(scheme->socket, REDOX_F_SETFL, 0);
	reply_flush(&scheme->replies);
}

void scheme_destroy(struct scheme *scheme)
{
	uint32_t cursor = 0;
	struct handle *handle;

	if (!scheme) {
		return;
	}
	scheme->ending = true;
	loop_source_remove(scheme->readable);
	loop_source_remove(scheme->again);
	loop_source_remove(scheme->flush);
	loop_source_remove(scheme->retry);
	if (!redox_failed(scheme->socket)) {
		if (scheme->replies.records) {
			scheme_drain(scheme);
		}
		redox_close_v1(scheme->socket);
	}
	while ((handle = handle_next(&scheme->handles, &cursor))) {
		open_close(scheme, handle);
	}
	handle_table_finish(&scheme->handles);
	request_pool_finish(&scheme->requests);
	reply_finish(&scheme->replies);
	namespace_finish(scheme);
	free(scheme);
}

size_t scheme_make_fd(struct scheme *scheme, const struct handle *handle)
{
	const struct scheme_new_fd_params params = {.number = handle->id, .flags = REDOX_O_RDWR};
	size_t fd = redox_dup_v1(scheme->socket, (const uint8_t *)&params, sizeof(params));

	if (!redox_failed(fd)) {
		redox_fcntl_v0(fd, REDOX_F_SETFD, REDOX_FD_CLOEXEC);
	}
	return fd;
}

int scheme_make_root(
		struct scheme *scheme, const char *name, struct handle **ret_handle, size_t *ret_fd)
{
	char path[sizeof(SCHEME_PREFIX) + SCHEME_NAME_MAX + 1] = SCHEME_PREFIX;
	struct handle *handle;

	if (strlen(name) > SCHEME_NAME_MAX) {
		return -EINVAL;
	}
	strcat(path, name);
	strcat(path, "/");
	int error = handle_create(&scheme->handles, HANDLE_ROOT, NULL, path, 0, &handle);
	if (error) {
		return error;
	}
	size_t fd = scheme_make_fd(scheme, handle);
	if (redox_failed(fd)) {
		handle_remove(&scheme->handles, handle);
		return -redox_errno(fd);
	}
	*ret_handle = handle;
	*ret_fd = fd;
	return 0;
}

int scheme_control_create(struct scheme *scheme, uint64_t control_id)
{
	struct handle *handle;

	int error = handle_create(&scheme->handles, HANDLE_CONTROL, NULL, "", 0, &handle);
	if (error) {
		return error;
	}
	handle->control_id = control_id;
	size_t fd = scheme_make_fd(scheme, handle);
	if (redox_failed(fd)) {
		handle_remove(&scheme->handles, handle);
		return -redox_errno(fd);
	}
	return (int)fd;
}
