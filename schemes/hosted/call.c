/*
 * A call is one packet there and one back. Its buffer travels in the packets, in a memfd when it is
 * large, and not at all where whole pages of it are memory that can be shared: the daemon then sees
 * the client's own (redox-abi.md 2.5).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include "schemes/hosted/call.h"
#include "schemes/hosted/channel.h"
#include "schemes/hosted/mapping.h"
#include "schemes/hosted/peer.h"
#include "schemes/hosted/wait.h"
#include "schemes/scheme/libredox.h"
#include "schemes/scheme/wire.h"

struct call_packet {
	struct message message;
	unsigned access;
	struct iovec pieces[3];
	size_t count;
	int fd; // memfd that goes along, -1
	bool own_fd;
	struct message_pages pages;
};

/* Who calls; for Call and StdFsCall the record has no room for it (redox-abi.md 2.1). */
static void call_user(struct message *message)
{
	if (message->opcode != SCHEME_OP_CALL && message->opcode != SCHEME_OP_STD_FS_CALL) {
		registry_user((uint32_t)geteuid(), &message->uid, &message->gid);
	}
}

/* A memfd with the buffer at its place in the first page. Returns it or a negative errno. */
static int call_copy_out(const struct call *call, unsigned access)
{
	size_t shift = (uintptr_t)call->buffer % MESSAGE_PAGE_BYTES;
	size_t bytes = (shift + call->length + MESSAGE_PAGE_BYTES - 1) &
			~(size_t)(MESSAGE_PAGE_BYTES - 1);
	int fd = memfd_create("redox-call", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0) {
		return -errno;
	}
	if (ftruncate(fd, (off_t)bytes) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0) {
		close(fd);
		return -ENOMEM;
	}
	for (size_t done = 0; access & MESSAGE_IN && done < call->length;) {
		ssize_t written = pwrite(fd, call->buffer + done, call->length - done,
				(off_t)(shift + done));
		if (written <= 0) {
			int error = written ? -errno : -ENOMEM;
			close(fd);
			return error;
		}
		done += (size_t)written;
	}
	return fd;
}

static int call_copy_back(const struct call *call, int fd, int64_t result, unsigned access)
{
	size_t shift = (uintptr_t)call->buffer % MESSAGE_PAGE_BYTES;
	size_t length = call->length;

	if (!(access & MESSAGE_IN)) {
		uint64_t written = result < 0 ? 0 : (uint64_t)result;
		length = written < length ? (size_t)written : length;
	}
	for (size_t done = 0; done < length;) {
		ssize_t got = pread(fd, call->buffer + done, length - done, (off_t)(shift + done));
		if (got <= 0) {
			return -EFAULT;
		}
		done += (size_t)got;
	}
	return 0;
}

static int call_pack(struct call_packet *packet, const struct call *call)
{
	uintptr_t address = (uintptr_t)call->buffer;
	struct message *message = &packet->message;

	packet->fd = -1;
	packet->pieces[0] = (struct iovec) {message, sizeof(*message)};
	packet->count = 1;
	packet->access = message_access(call->opcode);
	if (!(packet->access & (MESSAGE_IN | MESSAGE_OUT)) || !call->length) {
		message->buffer = MESSAGE_NO_BUFFER;
		return 0;
	}
	message->address = address;
	message->length = call->length;
	packet->pages = message_pages(address, call->length);
	if (packet->pages.middle &&
			mapping_is_live(address + packet->pages.head, packet->pages.middle,
					&packet->fd, &message->file_offset)) {
		message->buffer = MESSAGE_LIVE;
		packet->pieces[1] = (struct iovec) {call->buffer, packet->pages.head};
		packet->pieces[2] = (struct iovec) {
				call->buffer + packet->pages.head + packet->pages.middle,
				packet->pages.tail};
		packet->count = 3;
		return 0;
	}
	if (call->length > MESSAGE_INLINE_MAX) {
		message->buffer = MESSAGE_COPY;
		packet->fd = call_copy_out(call, packet->access);
		packet->own_fd = packet->fd >= 0;
		return packet->fd < 0 ? packet->fd : 0;
	}
	message->buffer = MESSAGE_INLINE;
	if (packet->access & MESSAGE_IN) {
		packet->pieces[1] = (struct iovec) {call->buffer, call->length};
		packet->count = 2;
	}
	return 0;
}

/* The pieces into which the answer is received. */
static void call_expect(
		struct call_packet *packet, const struct call *call, struct message_answer *answer)
{
	packet->pieces[0] = (struct iovec) {answer, sizeof(*answer)};
	if (!(packet->access & MESSAGE_OUT)) {
		packet->count = 1;
	} else if (packet->message.buffer == MESSAGE_INLINE) {
		packet->pieces[1] = (struct iovec) {call->buffer, call->length};
		packet->count = 2;
	}
}

static int64_t call_exchange(int socket, const sigset_t *before, struct call_packet *packet,
		struct call *call, bool *ret_restart)
{
	struct message_answer answer = {0};
	const int *fds = packet->fd >= 0 ? &packet->fd : call->fds;
	size_t fd_count = packet->fd >= 0 ? 1 : call->fd_count;

	int error = message_send(socket, packet->pieces, packet->count, fds, fd_count, 0);
	if (error == -EPIPE || error == -ECONNRESET || error == -ENOTCONN) {
		return -ENODEV; // redox-abi.md 2.4
	}
	if (error) {
		return error;
	}
	call_expect(packet, call, &answer);
	long received = wait_receive(socket, packet->message.serial, before, packet->pieces,
			packet->count, call->got_fds, &call->got_fd_count, ret_restart);
	if (received < 0) {
		return received; // EFAULT: the client's memory is read-only (redox-run.md 2.5)
	}
	if (packet->message.buffer == MESSAGE_COPY && packet->access & MESSAGE_OUT) {
		error = call_copy_back(call, packet->fd, answer.result, packet->access);
	}
	call->new_mapping = answer.mapping;
	call->file_offset = answer.file_offset;
	return error ? error : answer.result;
}

int64_t call_over(int socket, enum message_kind kind, uint64_t serial, uint64_t own_inode,
		struct call *call, bool *ret_restart)
{
	struct call_packet packet = {
			.message = {.magic = MESSAGE_MAGIC,
					.kind = (uint8_t)kind,
					.opcode = call->opcode,
					.serial = serial,
					.inode = call->inode,
					.own_inode = own_inode,
					.mapping = call->mapping,
					.args = {call->args[0], call->args[1], call->args[2],
							call->args[3]}},
	};
	int64_t result = call_pack(&packet, call);

	*ret_restart = false;
	call_user(&packet.message);
	if (!result) {
		sigset_t before;
		wait_begin(&before);
		result = call_exchange(socket, &before, &packet, call, ret_restart);
		wait_end(&before);
	}
	if (packet.own_fd) {
		close(packet.fd);
	}
	return result;
}

int64_t call_make(struct peer *peer, struct call *call)
{
	int64_t result;
	bool restart;

	do {
		struct channel *channel;
		int error = channel_take(peer, &channel);
		if (error) {
			return error;
		}
		result = call_over(
				channel->fd, MESSAGE_REQUEST, channel->serial, 0, call, &restart);
		channel_give(channel, result == -ENODEV);
	} while (result == -EINTR && restart); // libc issues a new one (redox-run.md 2.4)
	return result;
}
