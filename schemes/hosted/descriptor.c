/* A table by number. Numbers are closed by redox_close_v1; one closed behind its back is forgotten
 * when it comes back by an open of ours. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>
#include "schemes/hosted/descriptor.h"

#define DESCRIPTOR_MAX 65536u // redox-abi.md 1.8

struct descriptor {
	_Atomic uint8_t kind;
	struct kernel *kernel;
};

static struct descriptor descriptors[DESCRIPTOR_MAX];

enum descriptor_kind descriptor_kind(size_t fd)
{
	if (fd == DESCRIPTOR_NAMESPACE) {
		return DESCRIPTOR_NAMESPACE_FD;
	}
	return fd < DESCRIPTOR_MAX
			? atomic_load_explicit(&descriptors[fd].kind, memory_order_acquire)
			: DESCRIPTOR_PLAIN;
}

struct kernel *descriptor_socket(size_t fd)
{
	return descriptor_kind(fd) == DESCRIPTOR_SOCKET ? descriptors[fd].kernel : NULL;
}

int descriptor_set(int fd, enum descriptor_kind kind, struct kernel *kernel)
{
	if (fd < 0 || (unsigned)fd >= DESCRIPTOR_MAX) {
		return kind == DESCRIPTOR_PLAIN ? 0 : -EMFILE;
	}
	descriptors[fd].kernel = kernel;
	atomic_store_explicit(&descriptors[fd].kind, (uint8_t)kind, memory_order_release);
	return 0;
}

void descriptor_take(int fd)
{
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (nothing < 0) {
		close(fd);
		return;
	}
	dup3(nothing, fd, O_CLOEXEC);
	close(nothing);
	descriptor_set(fd, DESCRIPTOR_TAKEN, NULL);
}
