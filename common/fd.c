/* File descriptors. The invariant: -1 is "none", and whoever holds another number owns it. */
#include "common/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void fd_close(int *fd)
{
	if (*fd < 0) {
		return;
	}
	int saved_errno = errno;
	close(*fd); // never repeated after EINTR: the number is free already
	*fd = -1;
	errno = saved_errno;
}

int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

int fd_prepare(int fd)
{
	int status_flags = fcntl(fd, F_GETFL);

	if (status_flags < 0) {
		return -errno;
	}
	if (!(status_flags & O_NONBLOCK) && fcntl(fd, F_SETFL, status_flags | O_NONBLOCK) < 0) {
		return -errno;
	}
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
		return -errno;
	}
	return 0;
}

int fd_pipe(int ret_fds[2])
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
		return -errno;
	}
	ret_fds[0] = fds[0];
	ret_fds[1] = fds[1];
	return 0;
}

int fd_tell(int fd, char byte)
{
	ssize_t written;

	do {
		written = write(fd, &byte, 1);
	} while (written < 0 && errno == EINTR);
	int error = written < 0 ? -errno : 0;
	close(fd);
	return error;
}
