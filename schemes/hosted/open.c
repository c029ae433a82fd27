/*
 * Opening: a name of the namespace leads to a root, and the root's daemon makes the handle
 * (redox-abi.md 1.4). The connection that asks becomes the handle.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "schemes/hosted/descriptor.h"
#include "schemes/hosted/open.h"
#include "schemes/hosted/peer.h"
#include "schemes/hosted/wait.h"
#include "schemes/scheme/libredox.h"
#include "schemes/scheme/wire.h"

#define OPEN_SCHEMES  "/scheme/"
#define OPEN_CREATION "/scheme/namespace/scheme-creation-cap"
#define OPEN_PATH_MAX 4096u

static bool open_namespace_left;

void open_leave_namespace(void)
{
	open_namespace_left = true;
}

bool open_has_namespace(void)
{
	return !open_namespace_left;
}

static int64_t open_finish(
		int fd, struct peer *peer, uint64_t inode, struct call *call, uint32_t flags)
{
	if (call->got_fd_count) {
		/* CQE 1: something else instead of a handle */
		close(fd);
		fd = call->got_fds[0];
	} else {
		peer_learn(peer, inode);
	}
	if (!(flags & REDOX_O_CLOEXEC)) {
		fcntl(fd, F_SETFD, 0);
	}
	descriptor_set(fd, DESCRIPTOR_PLAIN, NULL);
	return fd;
}

int64_t open_handle(const char *socket, struct call *call, uint32_t flags)
{
	enum message_kind kind = call->opcode ? MESSAGE_OPEN : MESSAGE_ROOT;
	struct peer *peer = peer_get(socket);
	struct stat status;
	bool restart;
	int64_t result;

	if (!peer) {
		return -ENOMEM;
	}
	do {
		int fd = registry_connect(socket);
		if (fd < 0) {
			return fd;
		}
		if (fstat(fd, &status) < 0) {
			close(fd);
			return -EIO;
		}
		wait_prepare(fd);
		result = call_over(fd, kind, 1, status.st_ino, call, &restart);
		if (result >= 0) {
			return open_finish(fd, peer, status.st_ino, call, flags);
		}
		close(fd);
	} while (result == -EINTR && restart);
	return result;
}

static int64_t open_scheme(const char *name, size_t name_length, const uint8_t *path, size_t length,
		uint32_t flags, uint32_t fcntl_flags)
{
	struct registry_root root;

	int error = registry_find(name, name_length, &root);
	if (error) {
		return error;
	}
	struct call call = {
			.opcode = SCHEME_OP_OPEN_AT,
			.inode = root.inode,
			.args = {flags, fcntl_flags},
			.buffer = (uint8_t *)(uintptr_t)path,
			.length = length,
	};
	int64_t fd = open_handle(root.socket, &call, flags);
	return fd == -EBADF ? -ENODEV : fd;
}

static int open_creation(uint32_t flags)
{
	if (open_namespace_left) {
		return -EACCES; // redox-run.md 1.6
	}
	int fd = registry_open();
	if (fd >= 0 && !(flags & REDOX_O_CLOEXEC)) {
		fcntl(fd, F_SETFD, 0);
	}
	if (fd >= 0 && descriptor_set(fd, DESCRIPTOR_CREATION, NULL)) {
		close(fd);
		return -EMFILE;
	}
	return fd;
}

/* A path outside of /scheme is Linux's. */
static int64_t open_linux(const uint8_t *path, size_t length, uint32_t flags, uint16_t mode)
{
	char text[OPEN_PATH_MAX];
	int linux_flags = 0;

	if (length >= sizeof(text)) {
		return -ENAMETOOLONG;
	}
	memcpy(text, path, length);
	text[length] = '\0';
	switch (flags & REDOX_O_ACCMODE) {
	case REDOX_O_RDWR:
		linux_flags = O_RDWR;
		break;
	case REDOX_O_WRONLY:
		linux_flags = O_WRONLY;
		break;
	default:
		linux_flags = O_RDONLY;
	}
	linux_flags |= (flags & REDOX_O_NONBLOCK ? O_NONBLOCK : 0) |
			(flags & REDOX_O_APPEND ? O_APPEND : 0) |
			(flags & REDOX_O_CLOEXEC ? O_CLOEXEC : 0) |
			(flags & REDOX_O_CREAT ? O_CREAT : 0) |
			(flags & REDOX_O_TRUNC ? O_TRUNC : 0) |
			(flags & REDOX_O_EXCL ? O_EXCL : 0) |
			(flags & REDOX_O_DIRECTORY ? O_DIRECTORY : 0) |
			(flags & REDOX_O_STAT ? O_PATH : 0);
	int fd = open(text, linux_flags, (mode_t)mode);
	if (fd < 0) {
		return -errno;
	}
	descriptor_set(fd, DESCRIPTOR_PLAIN, NULL);
	return fd;
}

int64_t open_path(const uint8_t *path, size_t length, uint32_t flags, uint16_t mode)
{
	const char *text = (const char *)path;
	size_t prefix = strlen(OPEN_SCHEMES);
	uint32_t late = flags & (REDOX_O_NONBLOCK | REDOX_O_APPEND);
	uint32_t wire_flags = flags & REDOX_O_CREAT ? flags | (mode & 0xFFFFu)
						    : flags; // redox-run.md 1.4

	if (length == strlen(OPEN_CREATION) && !memcmp(path, OPEN_CREATION, length)) {
		return open_creation(flags);
	}
	if (length > prefix && !memcmp(path, OPEN_SCHEMES, prefix)) {
		const char *name = text + prefix;
		const char *end = memchr(name, '/', length - prefix);
		size_t name_length = end ? (size_t)(end - name) : length - prefix;
		size_t used = prefix + name_length + (end != NULL);
		return open_namespace_left ? -ENODEV
					   : open_scheme(name, name_length, path + used,
							     length - used, wire_flags, late);
	}
	/* `audio:` still opens (redox-run.md 6). */
	const char *colon = length && *text != '/' ? memchr(text, ':', length) : NULL;
	if (colon) {
		size_t name_length = (size_t)(colon - text);
		return open_namespace_left
				? -ENODEV
				: open_scheme(text, name_length, path + name_length + 1,
						  length - name_length - 1, wire_flags, late);
	}
	return open_namespace_left ? -ENODEV : open_linux(path, length, flags, mode);
}

/* A dup of the namespace gives roots, and works after setrens (redox-run.md 1.2). */
static int64_t open_root(const uint8_t *path, size_t length, uint32_t flags)
{
	const char *text = (const char *)path;
	size_t prefix = strlen(OPEN_SCHEMES);
	struct registry_root root;

	if (length <= prefix || memcmp(path, OPEN_SCHEMES, prefix)) {
		return -EINVAL;
	}
	if (!(flags & REDOX_O_DIRECTORY)) {
		return -EISDIR; // redox-abi.md 1.4
	}
	const char *end = memchr(text + prefix, '/', length - prefix);
	int error = registry_find(text + prefix,
			end ? (size_t)(end - text) - prefix : length - prefix, &root);
	if (error) {
		return error;
	}
	struct call call = {.inode = root.inode};
	return open_handle(root.socket, &call, flags);
}

int64_t open_below(size_t dir, const uint8_t *path, size_t length, uint32_t flags,
		uint32_t fcntl_flags)
{
	struct peer *peer;
	uint64_t inode;

	if (descriptor_kind(dir) == DESCRIPTOR_NAMESPACE_FD) {
		return dir == DESCRIPTOR_NAMESPACE && open_namespace_left
				? -ENODEV
				: open_root(path, length, flags);
	}
	if (descriptor_kind(dir) != DESCRIPTOR_PLAIN) {
		return -EBADF;
	}
	int error = peer_of(dir, &peer, &inode);
	if (error) {
		return error == -ENOTSOCK ? -ENOTDIR : error;
	}
	struct call call = {
			.opcode = SCHEME_OP_OPEN_AT,
			.inode = inode,
			.args = {flags, fcntl_flags},
			.buffer = (uint8_t *)(uintptr_t)path,
			.length = length,
	};
	return open_handle(peer->socket, &call, flags);
}
