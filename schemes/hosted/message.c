/* Packets between clients and the simulated kernel, with descriptors. A packet that does not fit is
 * an error, never a part. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "schemes/hosted/message.h"
#include "schemes/scheme/wire.h"

/* redox-abi.md 2.2 and 2.5 */
unsigned message_access(uint8_t opcode)
{
	switch (opcode) {
	case SCHEME_OP_READ:
	case SCHEME_OP_FPATH:
		return MESSAGE_KNOWN | MESSAGE_OUT;
	case SCHEME_OP_WRITE:
	case SCHEME_OP_DUP:
		return MESSAGE_KNOWN | MESSAGE_IN;
	case SCHEME_OP_CALL:
	case SCHEME_OP_STD_FS_CALL:
		return MESSAGE_KNOWN | MESSAGE_IN | MESSAGE_OUT;
	case SCHEME_OP_OPEN_AT:
	case SCHEME_OP_UNLINK_AT:
	case SCHEME_OP_FRENAME:
	case SCHEME_OP_FLINK:
		return MESSAGE_KNOWN | MESSAGE_IN | MESSAGE_IS_PATH;
	case SCHEME_OP_FSIZE:
	case SCHEME_OP_FCHOWN:
	case SCHEME_OP_FCNTL:
	case SCHEME_OP_FEVENT:
	case SCHEME_OP_SENDFD:
	case SCHEME_OP_RECVFD:
	case SCHEME_OP_MMAP_PREP:
	case SCHEME_OP_MUNMAP:
		return MESSAGE_KNOWN;
	default:
		return 0;
	}
}

struct message_pages message_pages(uint64_t address, size_t length)
{
	struct message_pages pages = {0};
	size_t before = (size_t)(-address % MESSAGE_PAGE_BYTES);

	if (length < before) {
		pages.head = length;
		return pages;
	}
	pages.head = before;
	pages.middle = (length - before) / MESSAGE_PAGE_BYTES * MESSAGE_PAGE_BYTES;
	pages.tail = length - before - pages.middle;
	return pages;
}

union message_control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(MESSAGE_FDS_MAX * sizeof(int))];
};

int message_send(int socket, struct iovec *pieces, size_t count, const int *fds, size_t fd_count,
		int flags)
{
	struct msghdr packet = {.msg_iov = pieces, .msg_iovlen = count};
	union message_control control;

	if (fd_count) {
		memset(&control, 0, sizeof(control));
		packet.msg_control = &control;
		packet.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		struct cmsghdr *rights = CMSG_FIRSTHDR(&packet);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(rights), fds, fd_count * sizeof(int));
	}
	ssize_t sent;
	do {
		sent = sendmsg(socket, &packet, flags | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

static void message_take_fds(struct msghdr *packet, int *fds, size_t *ret_fd_count)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(packet); part; part = CMSG_NXTHDR(packet, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
			continue;
		}
		size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(fd));
			if (*ret_fd_count < MESSAGE_FDS_MAX) {
				fds[(*ret_fd_count)++] = fd;
			} else {
				close(fd);
			}
		}
	}
}

long message_receive(int socket, struct iovec *pieces, size_t count, int *fds, size_t *ret_fd_count,
		int flags)
{
	union message_control control;
	struct msghdr packet = {
			.msg_iov = pieces,
			.msg_iovlen = count,
			.msg_control = &control,
			.msg_controllen = sizeof(control),
	};
	ssize_t received = recvmsg(socket, &packet, flags | MSG_CMSG_CLOEXEC);

	*ret_fd_count = 0;
	if (received < 0) {
		return -errno;
	}
	if (packet.msg_controllen) {
		message_take_fds(&packet, fds, ret_fd_count);
	}
	if (packet.msg_flags & MSG_TRUNC) {
		while (*ret_fd_count) {
			close(fds[--*ret_fd_count]);
		}
		return -EMSGSIZE;
	}
	return received;
}
