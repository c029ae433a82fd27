/*
 * What the numbers of this process are that Linux has no name for: scheme sockets, the creation
 * capability, the namespace, and numbers that CQE 1 took away.
 */
#ifndef HOSTED_DESCRIPTOR_H
#define HOSTED_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kernel;

/* The current namespace: a number of the upper table (redox-run.md 1.1). */
#define DESCRIPTOR_NAMESPACE ((size_t)0x400000000000000d)

enum descriptor_kind {
	DESCRIPTOR_PLAIN, // of Linux, or a handle
	DESCRIPTOR_SOCKET,
	DESCRIPTOR_CREATION,
	DESCRIPTOR_NAMESPACE_FD,
	DESCRIPTOR_TAKEN,
};

/* FD is any number. */
enum descriptor_kind descriptor_kind(size_t fd);

/* The scheme socket FD, or NULL. */
struct kernel *descriptor_socket(size_t fd);

/* Says what FD is from now on. KERNEL with DESCRIPTOR_SOCKET alone. Returns 0 or -EMFILE. */
int descriptor_set(int fd, enum descriptor_kind kind, struct kernel *kernel);

/* The kernel gives FD away. Its number stays, useless, until redox_close_v1, which answers EBADF
 * (redox-abi.md 1.8). */
void descriptor_take(int fd);

#endif
