/*
 * Names in the file system: the namespace manager of the simulation. It has no process; rights are
 * those of the directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "schemes/hosted/registry.h"

#define REGISTRY_BACKLOG 4096

static const char *registry_dir(void)
{
	const char *dir = getenv("REDOX_HOSTED_DIR");

	if (!dir || !*dir) {
		fprintf(stderr,
				"REDOX_HOSTED_DIR is not set: it names the (private, 0700) "
				"directory of the simulated "
				"kernel; make one and set it for daemons and clients alike\n");
		return NULL;
	}
	return dir;
}

static int registry_path(char *path, size_t size, const char *folder, const char *name)
{
	const char *dir = registry_dir();

	if (!dir) {
		return -ENODEV;
	}
	int length = snprintf(path, size, "%s/%s%s%s", dir, folder, *name ? "/" : "", name);
	if (length < 0 || (size_t)length >= size) {
		fprintf(stderr,
				"REDOX_HOSTED_DIR is too long for the address of a socket: choose "
				"a shorter path\n");
		return -ENAMETOOLONG;
	}
	return 0;
}

static int registry_make_folder(const char *folder)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int error = registry_path(path, sizeof(path), folder, "");

	if (!error && mkdir(path, 0700) < 0 && errno != EEXIST) {
		error = -errno;
		fprintf(stderr, "cannot make %s: %s\n", path, strerror(errno));
	}
	return error;
}

int registry_open(void)
{
	const char *dir = registry_dir();

	if (!dir) {
		return -ENODEV;
	}
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void registry_new_socket(char ret_socket[REGISTRY_SOCKET_MAX])
{
	static _Atomic unsigned count;

	snprintf(ret_socket, REGISTRY_SOCKET_MAX, "%ld.%u", (long)getpid(),
			atomic_fetch_add(&count, 1));
}

static int registry_address(const char *socket, struct sockaddr_un *ret_address)
{
	*ret_address = (struct sockaddr_un) {.sun_family = AF_UNIX};
	return registry_path(
			ret_address->sun_path, sizeof(ret_address->sun_path), "kernel", socket);
}

int registry_listen(const char *name)
{
	struct sockaddr_un address;
	int error = registry_make_folder("kernel");

	if (!error) {
		error = registry_make_folder("scheme");
	}
	if (!error) {
		error = registry_address(name, &address);
	}
	if (error) {
		return error;
	}
	unlink(address.sun_path); // left by a dead process with our pid
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		return -errno;
	}
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
			listen(fd, REGISTRY_BACKLOG) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

void registry_forget(const char *name)
{
	struct sockaddr_un address;

	if (!registry_address(name, &address)) {
		unlink(address.sun_path);
	}
}

int registry_connect(const char *name)
{
	struct sockaddr_un address;
	int error = registry_address(name, &address);

	if (error) {
		return error;
	}
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return -errno;
	}
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == EINTR) {
			continue;
		}
		error = errno == ECONNREFUSED || errno == ENOENT ? -ENODEV : -errno;
		close(fd);
		return error;
	}
	return fd;
}

bool registry_peer(int fd, char ret_socket[REGISTRY_SOCKET_MAX])
{
	struct sockaddr_un address = {0};
	socklen_t size = sizeof(address);
	const char *dir = getenv("REDOX_HOSTED_DIR");

	if (!dir || getpeername(fd, (struct sockaddr *)&address, &size) < 0 ||
			address.sun_family != AF_UNIX) {
		return false;
	}
	address.sun_path[sizeof(address.sun_path) - 1] = '\0';
	const char *name = strrchr(address.sun_path, '/');
	if (!name || strlen(name + 1) >= REGISTRY_SOCKET_MAX) {
		return false;
	}
	/* The daemon may know the directory by another path; its last part tells. */
	size_t folder = (size_t)(name - address.sun_path);
	if (folder < strlen("/kernel") ||
			strncmp(name - strlen("/kernel"), "/kernel", strlen("/kernel"))) {
		return false;
	}
	strcpy(ret_socket, name + 1);
	return true;
}

static int registry_name(char path[], size_t size, const char *name, size_t length)
{
	char text[REGISTRY_NAME_MAX + 1];

	/* redox-abi.md 1.2 */
	if (!length || length > REGISTRY_NAME_MAX || memchr(name, '/', length) ||
			memchr(name, ':', length) || memchr(name, '\0', length)) {
		return -EINVAL;
	}
	memcpy(text, name, length);
	text[length] = '\0';
	if (!strcmp(text, ".") || !strcmp(text, "..")) {
		return -EINVAL;
	}
	return registry_path(path, size, "scheme", text);
}

#define REGISTRY_PATH_BYTES 512u

int registry_add(const char *name, size_t length, const struct registry_root *root)
{
	char path[REGISTRY_PATH_BYTES];
	char target[REGISTRY_SOCKET_MAX + 24];
	int error = registry_name(path, sizeof(path), name, length);

	if (error) {
		return error;
	}
	snprintf(target, sizeof(target), "%s:%" PRIu64, root->socket, root->inode);
	return symlink(target, path) < 0 ? -errno : 0;
}

int registry_find(const char *name, size_t length, struct registry_root *ret_root)
{
	char path[REGISTRY_PATH_BYTES];
	char target[REGISTRY_SOCKET_MAX + 24];
	int error = registry_name(path, sizeof(path), name, length);

	if (error) {
		return error == -EINVAL ? -ENODEV : error;
	}
	ssize_t size = readlink(path, target, sizeof(target) - 1);
	if (size < 0) {
		return errno == ENOENT || errno == EINVAL ? -ENODEV : -errno;
	}
	target[size] = '\0';
	char *colon = strchr(target, ':');
	if (!colon || (size_t)(colon - target) >= REGISTRY_SOCKET_MAX) {
		return -ENODEV;
	}
	*colon = '\0';
	strcpy(ret_root->socket, target);
	ret_root->inode = strtoull(colon + 1, NULL, 10);
	return 0;
}

int registry_remove(const char *name, size_t length)
{
	char path[REGISTRY_PATH_BYTES];
	int error = registry_name(path, sizeof(path), name, length);

	if (!error && unlink(path) < 0) {
		error = errno == ENOENT ? -ENODEV : -errno;
	}
	return error;
}

void registry_user(uint32_t otherwise, uint32_t *ret_uid, uint32_t *ret_gid)
{
	const char *text = getenv("REDOX_HOSTED_UID");
	char *end;

	*ret_uid = otherwise;
	*ret_gid = otherwise ? (uint32_t)getegid() : 0;
	if (text && *text) {
		*ret_uid = (uint32_t)strtoul(text, &end, 10);
		*ret_gid = *end == ':' ? (uint32_t)strtoul(end + 1, NULL, 10) : *ret_uid;
	}
}
