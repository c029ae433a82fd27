/*
 * The symbols of libredox.h: each looks what its descriptor is and passes on to the simulated
 * kernel, to a daemon, or to Linux. Access modes are not checked here: the kernel does not enforce
 * them (redox-run.md 2.5).
 */
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
#include "schemes/hosted/mapping.h"
#include "schemes/hosted/open.h"
#include "schemes/hosted/peer.h"
#include "schemes/hosted/transfer_fds.h"
#include "schemes/scheme/libredox.h"

#define LIBREDOX_CREATE  "create-scheme"
#define LIBREDOX_SCHEMES "/scheme/"

/* Makes a call about the handle FD; -ENOTSOCK when FD is not a handle. */
static int64_t libredox_call(size_t fd, struct call *call)
{
	struct peer *peer;

	int error = descriptor_kind(fd) == DESCRIPTOR_PLAIN ? peer_of(fd, &peer, &call->inode)
							    : -EBADF;
	return error ? error : call_make(peer, call);
}

size_t redox_open_v1(const uint8_t *path, size_t length, uint32_t flags, uint16_t mode)
{
	return (size_t)open_path(path, length, flags, mode);
}

size_t redox_openat_v1(size_t dirfd, const uint8_t *path, size_t length, uint32_t flags,
		uint32_t fcntl_flags)
{
	return (size_t)open_below(dirfd, path, length, flags, fcntl_flags);
}

/* "Kernel requires caller euid 0, else EACCES" (redox-abi.md 1.2) */
static int64_t libredox_create_scheme(void)
{
	struct kernel *kernel;
	uint32_t uid;
	uint32_t gid;

	registry_user(0, &uid, &gid);
	if (uid) {
		return -EACCES;
	}
	int error = kernel_create(&kernel);
	if (error) {
		return error;
	}
	fcntl(kernel->fd, F_SETFD, 0);
	error = descriptor_set(kernel->fd, DESCRIPTOR_SOCKET, kernel);
	if (error) {
		kernel_destroy(kernel);
		return error;
	}
	return kernel->fd;
}

static int64_t libredox_dup_namespace(size_t fd)
{
	if (fd == DESCRIPTOR_NAMESPACE && !open_has_namespace()) {
		return -ENODEV;
	}
	int copy = registry_open();
	if (copy < 0) {
		return copy;
	}
	fcntl(copy, F_SETFD, 0);
	if (descriptor_set(copy, DESCRIPTOR_NAMESPACE_FD, NULL)) {
		close(copy);
		return -EMFILE;
	}
	return copy;
}

static int64_t libredox_dup_socket(struct kernel *kernel, const uint8_t *buffer, size_t length)
{
	struct scheme_new_fd_params params;

	if (length != sizeof(params)) {
		return -EINVAL;
	}
	memcpy(&params, buffer, sizeof(params));
	int fd = kernel_adopt(kernel, &params);
	if (fd >= 0) {
		fcntl(fd, F_SETFD, 0);
		descriptor_set(fd, DESCRIPTOR_PLAIN, NULL);
	}
	return fd;
}

static int64_t libredox_dup_handle(size_t fd, const uint8_t *buffer, size_t length)
{
	struct call call = {.opcode = SCHEME_OP_DUP,
			.buffer = (uint8_t *)(uintptr_t)buffer,
			.length = length};
	struct peer *peer;

	/* A plain dup never reaches the scheme (redox-abi.md 2.2). */
	if (!length) {
		int copy = fcntl((int)fd, F_DUPFD, 0);
		if (copy >= 0) {
			descriptor_set(copy, DESCRIPTOR_PLAIN, NULL);
		}
		return copy < 0 ? -errno : copy;
	}
	int error = peer_of(fd, &peer, &call.inode);
	if (error) {
		return error == -ENOTSOCK ? -EINVAL : error;
	}
	return open_handle(peer->socket, &call, 0);
}

size_t redox_dup_v1(size_t fd, const uint8_t *buffer, size_t length)
{
	switch (descriptor_kind(fd)) {
	case DESCRIPTOR_SOCKET:
		return (size_t)libredox_dup_socket(descriptor_socket(fd), buffer, length);
	case DESCRIPTOR_CREATION:
		if (length != strlen(LIBREDOX_CREATE) || memcmp(buffer, LIBREDOX_CREATE, length)) {
			return (size_t)-EINVAL;
		}
		return (size_t)libredox_create_scheme();
	case DESCRIPTOR_NAMESPACE_FD:
		return (size_t)(length ? -EOPNOTSUPP : libredox_dup_namespace(fd));
	case DESCRIPTOR_TAKEN:
		return (size_t)-EBADF;
	default:
		return (size_t)(fd > INT32_MAX ? -EBADF : libredox_dup_handle(fd, buffer, length));
	}
}

/* The bytes that say "readable" (description_wake) are taken before the read that follows them. */
static void libredox_drain(size_t fd)
{
	char byte;

	while (recv((int)fd, &byte, sizeof(byte), MSG_DONTWAIT) > 0) {
	}
}

size_t redox_read_v1(size_t fd, uint8_t *destination, size_t length)
{
	struct kernel *kernel = descriptor_socket(fd);
	struct call call = {
			.opcode = SCHEME_OP_READ,
			.args = {UINT64_MAX},
			.buffer = destination,
			.length = length,
	};
	struct peer *peer;

	if (kernel) {
		return (size_t)kernel_read(kernel, destination, length);
	}
	int error = descriptor_kind(fd) == DESCRIPTOR_PLAIN ? peer_of(fd, &peer, &call.inode)
							    : -EBADF;
	if (error == -ENOTSOCK) {
		ssize_t got = read((int)fd, destination, length);
		return (size_t)(got < 0 ? -errno : got);
	}
	if (error) {
		return (size_t)error;
	}
	libredox_drain(fd);
	return (size_t)call_make(peer, &call);
}

size_t redox_write_v1(size_t fd, const uint8_t *source, size_t length)
{
	struct kernel *kernel = descriptor_socket(fd);
	struct call call = {
			.opcode = SCHEME_OP_WRITE,
			.args = {UINT64_MAX},
			.buffer = (uint8_t *)(uintptr_t)source,
			.length = length,
	};

	if (kernel) {
		return (size_t)kernel_write(kernel, source, length);
	}
	int64_t result = libredox_call(fd, &call);
	if (result == -ENOTSOCK) {
		ssize_t put = write((int)fd, source, length);
		return (size_t)(put < 0 ? -errno : put);
	}
	return (size_t)result;
}

size_t redox_close_v1(size_t fd)
{
	struct kernel *kernel = descriptor_socket(fd);
	struct peer *peer;
	uint64_t inode;

	if (fd == DESCRIPTOR_NAMESPACE) {
		return 0;
	}
	if (fd > INT32_MAX) {
		return (size_t)-EBADF;
	}
	enum descriptor_kind kind = descriptor_kind(fd);
	bool handle = kind == DESCRIPTOR_PLAIN && !peer_of(fd, &peer, &inode);
	descriptor_set((int)fd, DESCRIPTOR_PLAIN, NULL);
	if (kernel) {
		kernel_destroy(kernel);
		return 0;
	}
	int error = close((int)fd) < 0 ? -errno : 0;
	if (handle) {
		peer_forget(inode);
	}
	return (size_t)(kind == DESCRIPTOR_TAKEN ? -EBADF : error); // redox-abi.md 1.8
}

size_t redox_fsync_v1(size_t fd)
{
	struct call call = {.opcode = SCHEME_OP_STD_FS_CALL, .args = {SCHEME_STD_FSYNC}};
	int64_t result = libredox_call(fd, &call);

	if (result == -ENOTSOCK) {
		result = fsync((int)fd) < 0 ? -errno : 0;
	}
	return (size_t)result;
}

size_t redox_fpath_v1(size_t fd, uint8_t *destination, size_t length)
{
	struct call call = {.opcode = SCHEME_OP_FPATH, .buffer = destination, .length = length};
	int64_t result = libredox_call(fd, &call);

	return (size_t)(result == -ENOTSOCK ? -EOPNOTSUPP : result);
}

/* Numbers of descriptors and their flag; FD_CLOEXEC is O_CLOEXEC's bit on Redox (redox-abi.md 3.3). */
static int64_t libredox_fcntl_number(size_t fd, size_t command, size_t argument)
{
	int result;

	if (fd > INT32_MAX) {
		return fd == DESCRIPTOR_NAMESPACE ? 0 : -EBADF;
	}
	switch (command) {
	case REDOX_F_GETFD:
		result = fcntl((int)fd, F_GETFD);
		return result < 0 ? -errno : result & FD_CLOEXEC ? (int64_t)REDOX_FD_CLOEXEC : 0;
	case REDOX_F_SETFD:
		result = fcntl((int)fd, F_SETFD, argument & REDOX_FD_CLOEXEC ? FD_CLOEXEC : 0);
		return result < 0 ? -errno : 0;
	default:
		result = fcntl((int)fd, F_DUPFD, (int)argument);
		return result < 0 ? -errno : result;
	}
}

static int64_t libredox_fcntl_linux(int fd, size_t command, size_t argument)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0) {
		return -errno;
	}
	if (command == REDOX_F_SETFL) {
		flags = argument & REDOX_O_NONBLOCK ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
		return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
	}
	switch (flags & O_ACCMODE) {
	case O_RDWR:
		return REDOX_O_RDWR | (flags & O_NONBLOCK ? REDOX_O_NONBLOCK : 0);
	case O_WRONLY:
		return REDOX_O_WRONLY | (flags & O_NONBLOCK ? REDOX_O_NONBLOCK : 0);
	default:
		return REDOX_O_RDONLY | (flags & O_NONBLOCK ? REDOX_O_NONBLOCK : 0);
	}
}

static int64_t libredox_fcntl_socket(struct kernel *kernel, size_t command, size_t argument)
{
	if (command == REDOX_F_SETFL) {
		kernel->nonblocking = argument & REDOX_O_NONBLOCK;
		return 0;
	}
	return REDOX_O_RDWR | (kernel->nonblocking ? REDOX_O_NONBLOCK : 0);
}

size_t redox_fcntl_v0(size_t fd, size_t command, size_t argument)
{
	struct kernel *kernel = descriptor_socket(fd);
	struct call call = {.opcode = SCHEME_OP_FCNTL, .args = {command, argument}};

	if (command == REDOX_F_DUPFD || command == REDOX_F_GETFD || command == REDOX_F_SETFD) {
		return (size_t)libredox_fcntl_number(fd, command, argument);
	}
	if (kernel && (command == REDOX_F_GETFL || command == REDOX_F_SETFL)) {
		return (size_t)libredox_fcntl_socket(kernel, command, argument);
	}
	int64_t result = libredox_call(fd, &call);
	if (result == -ENOTSOCK) {
		result = command == REDOX_F_GETFL || command == REDOX_F_SETFL
				? libredox_fcntl_linux((int)fd, command, argument)
				: -EINVAL;
	}
	return (size_t)result;
}

size_t redox_sys_call_v0(size_t fd, uint8_t *payload, size_t length, size_t flags,
		const uint64_t *metadata, size_t metadata_words)
{
	struct kernel *kernel = descriptor_socket(fd);
	struct call call = {.opcode = SCHEME_OP_CALL, .buffer = payload, .length = length};

	if (kernel) {
		return (size_t)(flags & REDOX_CALL_FD
						? transfer_fds_socket(kernel, payload, length,
								  flags, metadata, metadata_words)
						: -EOPNOTSUPP);
	}
	if (descriptor_kind(fd) != DESCRIPTOR_PLAIN) {
		return (size_t)-EBADF;
	}
	if (flags & REDOX_CALL_FD) {
		return (size_t)transfer_fds(fd, payload, length, flags, metadata, metadata_words);
	}
	if (flags & REDOX_CALL_STD_FS) {
		call.opcode = SCHEME_OP_STD_FS_CALL;
	} else if (!(flags & (REDOX_CALL_READ | REDOX_CALL_WRITE))) {
		call.length = 0; // redox-run.md 3
	}
	/* "at most 3 words reach the scheme" (redox-abi.md 2.7) */
	for (size_t i = 0; i < metadata_words && i < 3; i++) {
		call.args[i] = metadata[i];
	}
	int64_t result = libredox_call(fd, &call);
	return (size_t)(result == -ENOTSOCK ? -EOPNOTSUPP : result);
}

size_t redox_mmap_v1(void *address, size_t length, uint32_t prot, uint32_t flags, size_t fd,
		uint64_t offset)
{
	return (size_t)mapping_create(address, length, prot, flags, fd, offset);
}

size_t redox_munmap_v1(void *address, size_t length)
{
	return (size_t)mapping_remove(address, length);
}

size_t redox_get_ns_v0(void)
{
	return open_has_namespace() ? DESCRIPTOR_NAMESPACE : (size_t)-ENODEV;
}

size_t redox_setrens_v1(size_t rns, size_t ens)
{
	(void)rns;
	if (!ens) {
		open_leave_namespace();
	}
	return 0; // redox-abi.md 3.4
}

static int64_t libredox_register(size_t ns_fd, const char *name, size_t length, size_t root_fd)
{
	struct message message = {.magic = MESSAGE_MAGIC, .kind = MESSAGE_NAMED};
	struct registry_root root = {0};
	struct peer *peer;

	if (descriptor_kind(ns_fd) != DESCRIPTOR_NAMESPACE_FD) {
		return -EBADF;
	}
	int error = peer_of(root_fd, &peer, &root.inode);
	if (error) {
		return -EBADF;
	}
	memcpy(root.socket, peer->socket, sizeof(root.socket));
	error = registry_add(name, length, &root);
	if (!error) {
		error = message_send((int)root_fd, &(struct iovec) {&message, sizeof(message)}, 1,
				NULL, 0, 0);
	}
	return error;
}

/* The root is consumed by success and failure alike (redox-run.md 1.2). */
size_t redox_register_scheme_to_ns_v0(
		size_t ns_fd, const uint8_t *name, size_t length, size_t root_fd)
{
	int64_t result = libredox_register(ns_fd, (const char *)name, length, root_fd);

	redox_close_v1(root_fd);
	return (size_t)result;
}

/* Tells the daemon, if it lives, that its name is gone (redox-run.md 1.2). */
static void libredox_tell_unnamed(const struct registry_root *root)
{
	struct message message = {
			.magic = MESSAGE_MAGIC, .kind = MESSAGE_UNNAMED, .inode = root->inode};
	int fd = registry_connect(root->socket);

	if (fd >= 0) {
		message_send(fd, &(struct iovec) {&message, sizeof(message)}, 1, NULL, 0, 0);
		close(fd);
	}
}

size_t redox_raw_unlinkat(size_t ns_fd, const uint8_t *path, size_t length, size_t flags)
{
	size_t prefix = strlen(LIBREDOX_SCHEMES);
	const char *name = (const char *)path + prefix;
	struct registry_root root;

	(void)flags;
	if (descriptor_kind(ns_fd) != DESCRIPTOR_NAMESPACE_FD) {
		return (size_t)-EBADF;
	}
	/* redox-run.md 1.2 */
	if (length <= prefix || memcmp(path, LIBREDOX_SCHEMES, prefix)) {
		return (size_t)-EINVAL;
	}
	int error = registry_find(name, length - prefix, &root);
	if (!error) {
		error = registry_remove(name, length - prefix);
	}
	if (!error) {
		libredox_tell_unnamed(&root);
	}
	return (size_t)error;
}

size_t hosted_watch(size_t fd, uint32_t events)
{
	struct call call = {.opcode = SCHEME_OP_FEVENT, .args = {events}};
	int64_t result = libredox_call(fd, &call);

	return (size_t)(result == -ENOTSOCK ? -EBADF : result);
}
