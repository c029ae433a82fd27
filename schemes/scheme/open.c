/*
 * Opens and closes. An open is answered at once, from here: one that waits would leak its handle
 * when its client is killed meanwhile (redox-run.md 2.4).
 *
 * The handle exists before ops.open is called, so that an open refused by a limit has no effects.
 */
#include <errno.h>
#include <string.h>
#include "common/limits.h"
#include "schemes/scheme/dispatch.h"
#include "schemes/scheme/libredox.h"
#include "schemes/scheme/path.h"

static int open_path(const struct scheme_sqe *sqe, char *ret_path, size_t size)
{
	char raw[LIMIT_PATH];
	size_t length = sqe->args[SCHEME_ARG_LENGTH];

	if (length > sizeof(raw)) {
		return -ENAMETOOLONG;
	}
	if (length) {
		memcpy(raw, (const void *)(uintptr_t)sqe->args[SCHEME_ARG_BUFFER], length);
	}
	return path_fold(raw, length, ret_path, size);
}

static int64_t open_answer(
		struct scheme *scheme, const struct scheme_sqe *sqe, const struct handle *handle)
{
	struct scheme_cqe answer = {
			.opcode = SCHEME_CQE_REGULAR,
			.tag = sqe->tag,
			.result = handle->id,
	};

	if (handle->positioned) {
		answer.extra[0] = SCHEME_NEW_FD_POSITIONED;
	}
	reply_push(&scheme->replies, &answer);
	return DISPATCH_DONE;
}

/*
 * Gives the client a descriptor of ours. The kernel takes it out of our table without libc knowing:
 * the close frees the number there (redox-abi.md 1.8), after the answer went out. If it cannot go
 * out now the number stays taken.
 */
static int64_t open_answer_descriptor(
		struct scheme *scheme, const struct scheme_sqe *sqe, size_t fd)
{
	reply_push(&scheme->replies,
			&(struct scheme_cqe) {.opcode = SCHEME_CQE_WITH_FD,
					.tag = sqe->tag,
					.result = fd});
	if (reply_flush(&scheme->replies) == 0) {
		redox_close_v1(fd);
	}
	return DISPATCH_DONE;
}

int64_t open_at(struct scheme *scheme, struct handle *parent, const struct scheme_sqe *sqe)
{
	const uint32_t late_flags = REDOX_O_NONBLOCK | REDOX_O_APPEND;
	char path[LIMIT_PATH + 1];
	struct scheme_open open = {
			.path = path,
			.flags = (uint32_t)sqe->args[SCHEME_ARG_OPEN_FLAGS] |
					((uint32_t)sqe->args[SCHEME_ARG_OPEN_FCNTL_FLAGS] &
							late_flags),
			.uid = (uint32_t)sqe->args[SCHEME_ARG_OWNER],
			.gid = (uint32_t)(sqe->args[SCHEME_ARG_OWNER] >> 32),
			.pid = sqe->caller,
	};
	struct handle *handle;
	void *data = NULL;

	/* ops.open takes a parent of NULL for the root. */
	if (parent->kind == HANDLE_CONTROL || (parent->kind == HANDLE_OPEN && !parent->data)) {
		return -ENOTDIR;
	}
	int error = open_path(sqe, path, sizeof(path));
	if (error < 0) {
		return error;
	}
	error = handle_create(&scheme->handles, HANDLE_OPEN, parent, path, open.pid, &handle);
	if (error) {
		return error;
	}
	int result = scheme->ops->open(scheme->data, parent->data, &open, &data);
	if (result < 0) {
		handle_remove(&scheme->handles, handle);
		return result;
	}
	if (result == SCHEME_OPEN_DESCRIPTOR) {
		handle_remove(&scheme->handles, handle);
		return open_answer_descriptor(scheme, sqe, (size_t)(uintptr_t)data);
	}
	handle->flags = open.flags;
	handle->uid = open.uid;
	handle->gid = open.gid;
	handle->positioned = result == SCHEME_OPEN_POSITIONED;
	handle->map_writable = result == SCHEME_OPEN_MAP_WRITABLE;
	handle_set_data(&scheme->handles, handle, data);
	return open_answer(scheme, sqe, handle);
}

/* The last reference to a root went. */
static void open_close_root(struct scheme *scheme, struct handle *root)
{
	char name[SCHEME_NAME_MAX + 1] = "";
	bool registered = root->registered;

	memcpy(name, root->path + strlen(SCHEME_PREFIX),
			root->prefix_length - strlen(SCHEME_PREFIX) - 1);
	handle_remove(&scheme->handles, root);
	if (registered && !scheme->ending && scheme->ops->unregistered) {
		scheme->ops->unregistered(scheme->data, name);
	}
}

void open_close(struct scheme *scheme, struct handle *handle)
{
	switch (handle->kind) {
	case HANDLE_ROOT:
		open_close_root(scheme, handle);
		return;
	case HANDLE_CONTROL:
		handle_remove(&scheme->handles, handle);
		return;
	case HANDLE_OPEN:
		/* A client that was killed sends no Cancel: its requests are still here. */
		request_cancel_all(handle, -ECANCELED);
		if (scheme->ops->close) {
			scheme->ops->close(scheme->data, handle->data);
		}
		handle_remove(&scheme->handles, handle);
		return;
	}
}
