/* How a client comes to a handle. */
#ifndef HOSTED_OPEN_H
#define HOSTED_OPEN_H

#include <stddef.h>
#include <stdint.h>
#include "schemes/hosted/call.h"

/*
 * Asks the scheme SOCKET for a new handle by CALL (OpenAt or Dup; or opcode 0: one more descriptor
 * of CALL's inode). Returns a descriptor, or a negative errno.
 */
int64_t open_handle(const char *socket, struct call *call, uint32_t flags);

/* Opens an absolute path: of a scheme, or else of Linux. */
int64_t open_path(const uint8_t *path, size_t length, uint32_t flags, uint16_t mode);

/* Opens below a handle or a namespace descriptor. */
int64_t open_below(size_t dir, const uint8_t *path, size_t length, uint32_t flags,
		uint32_t fcntl_flags);

/* The process has given its namespace up: no path opens any more. */
void open_leave_namespace(void);
bool open_has_namespace(void);

#endif
