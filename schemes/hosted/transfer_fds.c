/* Numbers leave this process' table when they are sent, whether the receiver wants them or not
 * (redox-run.md 2.7). */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "schemes/hosted/call.h"
#include "schemes/hosted/descriptor.h"
#include "schemes/hosted/hosted.h"
#include "schemes/hosted/kernel.h"
#include "schemes/hosted/peer.h"
#include "schemes/hosted/transfer_fds.h"
#include "schemes/scheme/libredox.h"

#define TRANSFER_FD_CLOEXEC   (1u << 15) // RCALL_FD_CLOEXEC (redox-abi.md 3.2)
#define TRANSFER_FD_EXCLUSIVE (1u << 12)

static int transfer_fds_count(size_t length, size_t *ret_count)
{
	if (!length || length % sizeof(uint64_t) || length / sizeof(uint64_t) > MESSAGE_FDS_MAX) {
		return -EINVAL;
	}
	*ret_count = length / sizeof(uint64_t);
	return 0;
}

static void transfer_fds_store(
		uint8_t *payload, const uint64_t *numbers, size_t count, size_t flags)
{
	for (size_t i = 0; i < count; i++) {
		int fd = (int)numbers[i];
		if (!(flags & TRANSFER_FD_CLOEXEC)) {
			fcntl(fd, F_SETFD, 0);
		}
		descriptor_set(fd, DESCRIPTOR_PLAIN, NULL);
		memcpy(payload + i * sizeof(uint64_t), &numbers[i], sizeof(uint64_t));
	}
}

int64_t transfer_fds_socket(struct kernel *kernel, uint8_t *payload, size_t length, size_t flags,
		const uint64_t *metadata, size_t words)
{
	uint64_t numbers[MESSAGE_FDS_MAX] = {0};
	size_t count;
	int error = transfer_fds_count(length, &count);

	if (error || words < 2) {
		return -EINVAL;
	}
	if (flags & REDOX_CALL_READ && metadata[0] == SCHEME_SOCKET_OBTAIN_FD) {
		int64_t result = kernel_obtain_fds(kernel, (uint32_t)metadata[1], numbers, count);
		if (result > 0) {
			transfer_fds_store(payload, numbers, count, flags);
		}
		return result;
	}
	if (flags & REDOX_CALL_WRITE && metadata[0] == SCHEME_SOCKET_MOVE_FD) {
		memcpy(numbers, payload, length);
		return kernel_move_fds(kernel, (uint32_t)metadata[1], numbers, count,
				flags & REDOX_CALL_FD_CLONE);
	}
	return -EINVAL;
}

static int transfer_fds_load(const uint8_t *payload, size_t count, int *ret_fds)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t number;
		memcpy(&number, payload + i * sizeof(number), sizeof(number));
		if (number > INT32_MAX || fcntl((int)number, F_GETFD) < 0) {
			return -EBADF;
		}
		ret_fds[i] = (int)number;
	}
	return 0;
}

static int64_t transfer_fds_over_pipe(int pipe, const int *fds, size_t count)
{
	int error = message_send(pipe, &(struct iovec) {&(char) {0}, 1}, 1, fds, count, 0);

	return error ? error : (int64_t)count;
}

static int64_t transfer_fds_send(size_t fd, const uint8_t *payload, size_t count, size_t flags,
		const uint64_t *metadata, size_t words)
{
	int fds[MESSAGE_FDS_MAX];
	struct peer *peer;
	uint64_t inode;

	int64_t result = transfer_fds_load(payload, count, fds);
	if (result) {
		return result;
	}
	int error = peer_of(fd, &peer, &inode);
	if (error == -ENOTSOCK) {
		result = transfer_fds_over_pipe((int)fd, fds, count);
	} else if (error) {
		return error;
	} else {
		struct call call = {
				.opcode = SCHEME_OP_SENDFD,
				.inode = inode,
				.args = {flags & TRANSFER_FD_EXCLUSIVE ? 1 : 0,
						words ? metadata[0] : 0, count},
				.fds = fds,
				.fd_count = count,
		};
		result = call_make(peer, &call);
	}
	for (size_t i = 0; !(flags & REDOX_CALL_FD_CLONE) && i < count; i++) {
		redox_close_v1((size_t)fds[i]);
	}
	return result < 0 ? result : (int64_t)count; // redox-run.md 2.7
}

static int64_t transfer_fds_from_pipe(int pipe, int *fds, size_t *ret_count)
{
	char byte;
	long received = message_receive(pipe, &(struct iovec) {&byte, 1}, 1, fds, ret_count, 0);

	return received < 0 ? received : (int64_t)*ret_count;
}

static int64_t transfer_fds_receive(size_t fd, uint8_t *payload, size_t count, size_t flags,
		const uint64_t *metadata, size_t words)
{
	uint64_t numbers[MESSAGE_FDS_MAX];
	struct call call = {
			.opcode = SCHEME_OP_RECVFD,
			.args = {0, count, words ? metadata[0] : 0, words > 1 ? metadata[1] : 0},
	};
	struct peer *peer;
	int64_t result;

	int error = peer_of(fd, &peer, &call.inode);
	if (error == -ENOTSOCK) {
		result = transfer_fds_from_pipe((int)fd, call.got_fds, &call.got_fd_count);
	} else {
		result = error ? error : call_make(peer, &call);
	}
	if (result < 0) {
		return result;
	}
	while (call.got_fd_count > count) {
		close(call.got_fds[--call.got_fd_count]);
	}
	for (size_t i = 0; i < call.got_fd_count; i++) {
		numbers[i] = (uint64_t)call.got_fds[i];
	}
	transfer_fds_store(payload, numbers, call.got_fd_count, flags);
	return (int64_t)call.got_fd_count;
}

int64_t transfer_fds(size_t fd, uint8_t *payload, size_t length, size_t flags,
		const uint64_t *metadata, size_t words)
{
	size_t count;

	int error = transfer_fds_count(length, &count);
	if (error) {
		return error;
	}
	if (flags & REDOX_CALL_WRITE) {
		return transfer_fds_send(fd, payload, count, flags, metadata, words);
	}
	return transfer_fds_receive(fd, payload, count, flags, metadata, words);
}

int hosted_pipe(int ret_fds[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0 ? -errno : 0;
}
