/*
 * The runtime directory. The invariant: nothing is removed but inside a directory whose lock this
 * process holds, and a directory that has other things in it than a vm-launch leaves is never
 * taken.
 */
#include "vm-launch/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"

#define LOCK_NAME "vm-launch.lock"

__attribute__((format(printf, 3, 4))) static int refuse(
		char *message, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, RUNTIME_MESSAGE_BYTES, format, arguments);
	va_end(arguments);
	return error;
}

int runtime_choose(struct runtime *runtime, const char *wanted, const char *config_path,
		char ret_message[RUNTIME_MESSAGE_BYTES])
{
	char path[PATH_MAX];

	runtime->lock_fd = -1;
	if (wanted && wanted[0] == '/') {
		snprintf(path, sizeof(path), "%s", wanted);
	} else if (wanted) { // absolute, since the paths in it are shown to people and given to children
		char here[PATH_MAX / 2];

		if (!getcwd(here, sizeof(here))) {
			return refuse(ret_message, -errno, "the working directory: %s",
					strerror(errno));
		}
		snprintf(path, sizeof(path), "%s/%s", here, wanted);
	} else {
		const char *base = getenv("XDG_RUNTIME_DIR");
		const char *name = strrchr(config_path, '/');
		const char *dot;

		name = name ? name + 1 : config_path;
		dot = strrchr(name, '.');
		if (!base && geteuid() != 0) {
			return refuse(ret_message, -ENOENT,
					"XDG_RUNTIME_DIR is not set; say where sockets may lie by "
					"--runtime-dir");
		}
		snprintf(path, sizeof(path), "%s/vm-launch-%.*s", base ? base : "/run",
				dot && dot > name ? (int)(dot - name) : (int)strlen(name), name);
	}
	if (strlen(path) >= sizeof(runtime->path)) {
		return refuse(ret_message, -ENAMETOOLONG,
				"%s is too long for sockets in it (at most %zu bytes); choose "
				"another --runtime-dir",
				path, sizeof(runtime->path) - 1);
	}
	strcpy(runtime->path, path);
	return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	if (place->level > 0 &&
			!(place->level == 1 && strcmp(path + place->base, LOCK_NAME) == 0)) {
		remove(path);
	}
	return 0;
}

/* Removes everything in the directory but the lock. */
static void empty(const char *path)
{
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Whether the directory has anything in it. */
static bool is_empty(const char *path)
{
	DIR *folder = opendir(path);
	const struct dirent *entry;
	bool found = false;

	while (folder && (entry = readdir(folder)) && !found) {
		found = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	}
	if (folder) {
		closedir(folder);
	}
	return !found;
}

/* Makes the directory or finds one that is ours. */
static int make(const char *path, char *message)
{
	if (mkdir(path, 0700) == 0) {
		return 0;
	}
	if (errno != EEXIST) {
		return refuse(message, -errno, "cannot make %s: %s", path, strerror(errno));
	}
	struct stat status;

	if (lstat(path, &status) < 0 || !S_ISDIR(status.st_mode) || status.st_uid != geteuid() ||
			(status.st_mode & 022)) {
		return refuse(message, -EPERM,
				"%s is not a directory that only you can write to; choose another "
				"--runtime-dir",
				path);
	}
	char lock[RUNTIME_PATH_BYTES + sizeof(LOCK_NAME) + 1];

	snprintf(lock, sizeof(lock), "%s/%s", path, LOCK_NAME);
	if (!is_empty(path) && access(lock, F_OK) < 0) {
		return refuse(message, -ENOTEMPTY,
				"%s has other things in it; choose another --runtime-dir", path);
	}
	return 0;
}

/*
 * Opens and locks the lock file. Returns 0, -EBUSY, -EAGAIN when its owner was just removing it, or
 * another negative errno.
 */
static int take_lock(const char *path, int *ret_fd)
{
	char lock[RUNTIME_PATH_BYTES + sizeof(LOCK_NAME) + 1];
	struct stat opened, named;

	snprintf(lock, sizeof(lock), "%s/%s", path, LOCK_NAME);
	auto_close int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		return errno == ENOENT ? -EAGAIN : -errno;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	}
	if (fstat(fd, &opened) < 0 || stat(lock, &named) < 0 || opened.st_ino != named.st_ino) {
		return -EAGAIN;
	}
	*ret_fd = fd_take(&fd);
	return 0;
}

int runtime_create(struct runtime *runtime, char ret_message[RUNTIME_MESSAGE_BYTES])
{
	int error = -EAGAIN;

	for (int i = 0; i < 3 && error == -EAGAIN; i++) {
		error = make(runtime->path, ret_message);
		if (error) {
			return error;
		}
		error = take_lock(runtime->path, &runtime->lock_fd);
	}
	if (error == -EBUSY) {
		return refuse(ret_message, error,
				"%s is in use by another vm-launch; stop that one, or choose "
				"another --runtime-dir",
				runtime->path);
	}
	if (error) {
		return refuse(ret_message, error, "cannot lock %s: %s", runtime->path,
				strerror(-error));
	}
	empty(runtime->path);
	return 0;
}

void runtime_remove(struct runtime *runtime)
{
	if (runtime->lock_fd < 0) {
		return;
	}
	char lock[RUNTIME_PATH_BYTES + sizeof(LOCK_NAME) + 1];

	empty(runtime->path);
	snprintf(lock, sizeof(lock), "%s/%s", runtime->path, LOCK_NAME);
	unlink(lock);
	rmdir(runtime->path);
	fd_close(&runtime->lock_fd);
}
