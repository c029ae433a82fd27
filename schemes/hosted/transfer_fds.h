/* Descriptors on the move by SYS_CALL with FD (redox-abi.md 2.7, 1.6). */
#ifndef HOSTED_TRANSFER_FDS_H
#define HOSTED_TRANSFER_FDS_H

#include <stddef.h>
#include <stdint.h>

struct kernel;

/* On a scheme socket: ObtainFd, MoveFd. */
int64_t transfer_fds_socket(struct kernel *kernel, uint8_t *payload, size_t length, size_t flags,
		const uint64_t *metadata, size_t words);

/* On a handle, or on a pipe of hosted_pipe: send or receive. */
int64_t transfer_fds(size_t fd, uint8_t *payload, size_t length, size_t flags,
		const uint64_t *metadata, size_t words);

#endif
