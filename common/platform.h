/* The few things of common/ that differ between systems: platform_linux.c, platform_redox.c. */
#ifndef COMMON_PLATFORM_H
#define COMMON_PLATFORM_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* As writev on a stream socket; a vanished peer is -EPIPE, never a signal. Returns the bytes
 * written or a negative errno. */
ssize_t platform_send(int fd, const struct iovec *iov, int iov_count);

/* Writes the address of a vsock port to RET_NAME. Returns its length, or -EAFNOSUPPORT where there
 * is no vsock. */
int platform_vsock_name(uint32_t cid, uint32_t port, struct sockaddr_storage *ret_name);

/* Fills BUFFER with random bytes. Returns 0 or a negative errno. */
int platform_random(void *buffer, size_t bytes);

#endif
