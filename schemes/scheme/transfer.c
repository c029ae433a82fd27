/*
 * Requests that carry data or descriptors: read, write, call, fsync, sendfd, recvfd. The kernel
 * does not enforce the mode of the open (redox-run.md 2.5): it is done here and in dispatch.
 */
#include <errno.h>
#include <string.h>
#include "common/limits.h"
#include "common/log.h"
#include "schemes/scheme/dispatch.h"
#include "schemes/scheme/libredox.h"

#define TRANSFER_FDS_MAX     16u
#define TRANSFER_CONTROL_MAX 4096u

/* uid and gid come with reads and writes alone (redox-abi.md 2.1). */
static struct request *transfer_begin(struct scheme *scheme, struct handle *handle,
		const struct scheme_sqe *sqe, uint8_t access)
{
	struct request *request = request_begin(scheme, handle, sqe, access);

	if (request) {
		request->offset = sqe->args[SCHEME_ARG_TRANSFER_OFFSET];
		request->uid = (uint32_t)sqe->args[SCHEME_ARG_OWNER];
		request->gid = (uint32_t)(sqe->args[SCHEME_ARG_OWNER] >> 32);
	}
	return request;
}

int64_t transfer_read(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe)
{
	if (!scheme->ops->read || !handle_readable(handle)) {
		return -EBADF;
	}
	struct request *request = transfer_begin(scheme, handle, sqe, REQUEST_PUT);
	if (!request) {
		return -ENOMEM;
	}
	return request_end(request,
			scheme->ops->read(scheme->data, handle->data, request,
					(uint32_t)sqe->args[SCHEME_ARG_TRANSFER_FLAGS]));
}

int64_t transfer_write(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe)
{
	if (!scheme->ops->write || !handle_writable(handle)) {
		return -EBADF;
	}
	struct request *request = transfer_begin(scheme, handle, sqe, REQUEST_GET);
	if (!request) {
		return -ENOMEM;
	}
	return request_end(request,
			scheme->ops->write(scheme->data, handle->data, request,
					(uint32_t)sqe->args[SCHEME_ARG_TRANSFER_FLAGS]));
}

/* A message on a control capability: small, and whole in private memory. */
static int64_t transfer_control(
		struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe)
{
	uint8_t payload[TRANSFER_CONTROL_MAX];
	size_t length = sqe->args[SCHEME_ARG_LENGTH];

	if (!scheme->ops->control) {
		return -EOPNOTSUPP;
	}
	if (length > sizeof(payload)) {
		return -EMSGSIZE;
	}
	if (length) {
		memcpy(payload, (const void *)(uintptr_t)sqe->args[SCHEME_ARG_BUFFER], length);
	}
	return scheme->ops->control(scheme->data, handle->control_id, payload, length);
}

int64_t transfer_call(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe)
{
	if (handle->kind == HANDLE_CONTROL) {
		return transfer_control(scheme, handle, sqe);
	}
	if (!handle_callable(handle)) {
		return -EBADF;
	}
	if (!scheme->ops->call) {
		return -EOPNOTSUPP;
	}
	if (sqe->args[SCHEME_ARG_LENGTH] > LIMIT_PAYLOAD) {
		return -EMSGSIZE;
	}
	struct request *request = request_begin(scheme, handle, sqe, REQUEST_GET | REQUEST_PUT);
	if (!request) {
		return -ENOMEM;
	}
	return request_end(request,
			scheme->ops->call(scheme->data, handle->data, request,
					sqe->args[SCHEME_ARG_CALL_METADATA]));
}

int64_t transfer_fsync(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe)
{
	if (!scheme->ops->fsync) {
		return 0;
	}
	struct request *request = request_begin(scheme, handle, sqe, 0);
	if (!request) {
		return -ENOMEM;
	}
	request->length = 0;
	return request_end(request, scheme->ops->fsync(scheme->data, handle->data, request));
}

int64_t transfer_sendfd(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe)
{
	const uint64_t metadata[] = {SCHEME_SOCKET_OBTAIN_FD, sqe->tag};
	uint64_t slots[TRANSFER_FDS_MAX];
	int fds[TRANSFER_FDS_MAX];
	size_t count = sqe->args[SCHEME_ARG_SENDFD_COUNT];

	if (!scheme->ops->sendfd) {
		return -EOPNOTSUPP; // the kernel closes them
	}
	if (!count || count > TRANSFER_FDS_MAX) {
		return -EINVAL;
	}
	memset(slots, 0xFF, sizeof(slots));
	size_t result = redox_sys_call_v0(scheme->socket, (uint8_t *)slots,
			count * sizeof(slots[0]), REDOX_CALL_READ | REDOX_CALL_FD, metadata, 2);
	if (redox_failed(result)) {
		return -redox_errno(result);
	}
	for (size_t i = 0; i < count; i++) {
		fds[i] = (int)slots[i];
		redox_fcntl_v0(slots[i], REDOX_F_SETFD, REDOX_FD_CLOEXEC);
	}
	return scheme->ops->sendfd(scheme->data, handle->data,
			sqe->args[SCHEME_ARG_SENDFD_METADATA], fds, count);
}

int64_t transfer_recvfd(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe)
{
	const uint64_t metadata[] = {SCHEME_SOCKET_MOVE_FD, sqe->tag};
	int fd = -1;

	if (!scheme->ops->recvfd) {
		return -EOPNOTSUPP;
	}
	if (sqe->args[SCHEME_ARG_RECVFD_COUNT] != 1) {
		return -EINVAL;
	}
	int error = scheme->ops->recvfd(
			scheme->data, handle->data, sqe->args[SCHEME_ARG_RECVFD_METADATA], &fd);
	if (error) {
		return error;
	}
	uint64_t given = (uint64_t)fd;
	size_t result = redox_sys_call_v0(scheme->socket, (uint8_t *)&given, sizeof(given),
			REDOX_CALL_WRITE | REDOX_CALL_FD, metadata, 2);
	if (redox_failed(result)) {
		redox_close_v1((size_t)fd);
		return -redox_errno(result);
	}
	reply_push(&scheme->replies,
			&(struct scheme_cqe) {.opcode = SCHEME_CQE_WITH_FDS,
					.tag = sqe->tag,
					.result = 1});
	return DISPATCH_DONE;
}
