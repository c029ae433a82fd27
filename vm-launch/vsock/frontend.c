/*
 * vhost-user messages on their unix socket.
 *
 * Invariant: descriptors that have arrived are in frontend.message until vhost_user_handle has
 * taken them or they are closed; no message is longer than VHOST_USER_PAYLOAD_BYTES.
 */
#include "vm-launch/vsock/frontend.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/fd.h"
#include "common/log.h"
#include "common/loop.h"

#define MESSAGES_PER_TURN 32

static void message_begin(struct frontend *frontend)
{
	vhost_user_message_finish(&frontend->message);
	frontend->received = 0;
}

static void listener_watch(struct frontend *frontend)
{
	uint32_t events = frontend->fd < 0 ? (uint32_t)LOOP_READ : 0;
	int error = loop_source_update(frontend->listen_source, events);
	if (error) {
		log_error(LOG_VSOCK, "cannot watch the listening socket: %s", strerror(-error));
	}
}

void frontend_drop(struct frontend *frontend, const char *reason)
{
	if (frontend->fd < 0) {
		return;
	}
	log_info(LOG_VSOCK, "front end gone: %s; waiting for the next", reason);
	loop_source_remove(frontend->source);
	frontend->source = NULL;
	fd_close(&frontend->fd);
	message_begin(frontend);
	vhost_user_reset(frontend->device);
	frontend->device->ops->restarted(frontend->device->data);
	listener_watch(frontend);
}

/* Keeps the descriptors that came with a part of a message. */
static int fds_collect(struct vhost_user_message *message, struct msghdr *header)
{
	int error = header->msg_flags & MSG_CTRUNC ? -EBADMSG : 0;
	for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control;
			control = CMSG_NXTHDR(header, control)) {
		if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) {
			continue;
		}
		size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd = -1;
			memcpy(&fd, CMSG_DATA(control) + i * sizeof(int), sizeof(int));
			if (message->fd_count == VHOST_USER_FDS) {
				fd_close(&fd);
				error = -EBADMSG;
			} else {
				message->fds[message->fd_count++] = fd;
			}
		}
	}
	return error;
}

/* Reads up to BYTES to DESTINATION. Returns them, 0 at the end of file, or a negative errno. */
static ssize_t part_receive(struct frontend *frontend, void *destination, size_t bytes)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(VHOST_USER_FDS * sizeof(int))];
	} control;
	struct iovec iov = {destination, bytes};
	struct msghdr header = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control)};
	ssize_t got = recvmsg(frontend->fd, &header, MSG_CMSG_CLOEXEC);
	if (got < 0) {
		return -errno;
	}
	int error = fds_collect(&frontend->message, &header);
	return error ? error : got;
}

/* Reads what is missing of the present message. Returns 1 when it is whole, or a negative errno
 * (-EPIPE at the end). */
static int message_receive(struct frontend *frontend)
{
	struct vhost_user_message *message = &frontend->message;
	for (;;) {
		bool in_header = frontend->received < VHOST_USER_HEADER_BYTES;
		uint32_t offset = in_header ? frontend->received
					    : frontend->received - VHOST_USER_HEADER_BYTES;
		uint32_t total = in_header ? VHOST_USER_HEADER_BYTES : message->length;
		if (!in_header && offset == total) {
			return 1;
		}
		uint8_t *start = in_header ? frontend->header : message->payload;
		ssize_t got = part_receive(frontend, start + offset, total - offset);
		if (got <= 0) {
			return got == 0 ? -EPIPE : (int)got;
		}
		frontend->received += (uint32_t)got;
		if (in_header && frontend->received == VHOST_USER_HEADER_BYTES) {
			memcpy(&message->request, frontend->header, 4);
			memcpy(&message->flags, frontend->header + 4, 4);
			memcpy(&message->length, frontend->header + 8, 4);
			if (message->length > VHOST_USER_PAYLOAD_BYTES) {
				return -EMSGSIZE;
			}
		}
	}
}

/* A front end that does not read its replies is not worth waiting for. */
static int reply_send(struct frontend *frontend)
{
	const struct vhost_user_message *message = &frontend->message;
	uint8_t bytes[VHOST_USER_HEADER_BYTES + VHOST_USER_PAYLOAD_BYTES];
	memcpy(bytes, &message->request, 4);
	memcpy(bytes + 4, &message->flags, 4);
	memcpy(bytes + 8, &message->length, 4);
	memcpy(bytes + VHOST_USER_HEADER_BYTES, message->payload, message->length);
	size_t length = VHOST_USER_HEADER_BYTES + message->length;
	ssize_t sent = send(frontend->fd, bytes, length, MSG_NOSIGNAL);
	if (sent < 0) {
		return -errno;
	}
	return (size_t)sent == length ? 0 : -ENOBUFS;
}

static int message_serve(struct frontend *frontend)
{
	int result = message_receive(frontend);
	if (result <= 0) {
		return result;
	}
	result = vhost_user_handle(frontend->device, &frontend->message);
	if (result == 1) {
		result = reply_send(frontend);
	}
	if (result == 0) {
		message_begin(frontend);
	}
	return result;
}

static void frontend_on_event(void *data, int fd, uint32_t events)
{
	struct frontend *frontend = data;
	(void)fd;
	(void)events;
	int result = 0;
	for (int i = 0; i < MESSAGES_PER_TURN && result == 0; i++) {
		result = message_serve(frontend);
	}
	if (result == 0 || result == -EAGAIN || result == -EINTR) {
		return;
	}
	if (result == -EPIPE || result == -ECONNRESET) {
		frontend_drop(frontend, "it closed the connection");
		return;
	}
	log_peer(LOG_VSOCK, "front end: message %u breaks the vhost-user protocol (%s)",
			(unsigned)frontend->message.request, strerror(-result));
	frontend_drop(frontend, "it broke the protocol");
}

static void frontend_on_accept(void *data, int listen_fd, uint32_t events)
{
	struct frontend *frontend = data;
	(void)events;
	auto_close int fd = accept(listen_fd, NULL, NULL);
	if (fd < 0) {
		return;
	}
	int error = fd_prepare(fd);
	if (!error) {
		error = loop_add_fd(frontend->loop, fd, LOOP_READ, frontend_on_event, frontend,
				&frontend->source);
	}
	if (error) {
		log_peer(LOG_VSOCK, "cannot serve a front end: %s", strerror(-error));
		return;
	}
	frontend->fd = fd_take(&fd);
	message_begin(frontend);
	listener_watch(frontend);
	log_info(LOG_VSOCK, "front end connected");
}

int frontend_init(struct frontend *frontend, struct loop *loop, int listen_fd,
		struct vhost_user *device)
{
	*frontend = (struct frontend) {
			.loop = loop, .device = device, .listen_fd = listen_fd, .fd = -1};
	return loop_add_fd(loop, listen_fd, LOOP_READ, frontend_on_accept, frontend,
			&frontend->listen_source);
}

void frontend_finish(struct frontend *frontend)
{
	loop_source_remove(frontend->source);
	frontend->source = NULL;
	loop_source_remove(frontend->listen_source);
	frontend->listen_source = NULL;
	fd_close(&frontend->fd);
	fd_close(&frontend->listen_fd);
	vhost_user_message_finish(&frontend->message);
	if (frontend->device) {
		vhost_user_reset(frontend->device);
	}
}

bool frontend_is_connected(const struct frontend *frontend)
{
	return frontend->fd >= 0;
}
