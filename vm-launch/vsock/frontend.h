/*
 * The socket that QEMU connects to: one front end at a time, its messages put together from the
 * stream, replies sent. When it goes away, or breaks the protocol, everything it gave is let go and
 * the next one is waited for.
 */
#ifndef VSOCK_FRONTEND_H
#define VSOCK_FRONTEND_H

#include <stdbool.h>
#include <stdint.h>
#include "vm-launch/vsock/vhost_user.h"

struct frontend {
	struct loop *loop;         // borrowed
	struct vhost_user *device; // borrowed
	int listen_fd;
	struct loop_source *listen_source;
	int fd; // -1: nobody is connected
	struct loop_source *source;
	struct vhost_user_message message; // being received
	uint8_t header[VHOST_USER_HEADER_BYTES];
	uint32_t received; // bytes of header and payload
};

/* Takes LISTEN_FD (a listening unix socket, non-blocking), also on error. Returns 0 or a negative
 * errno. */
int frontend_init(struct frontend *frontend, struct loop *loop, int listen_fd,
		struct vhost_user *device);

/* Closes everything; the device is reset. */
void frontend_finish(struct frontend *frontend);

/* Ends the present connection, if any: the device is reset, the next front end may come. REASON is
 * for the log. */
void frontend_drop(struct frontend *frontend, const char *reason);

bool frontend_is_connected(const struct frontend *frontend);

#endif
