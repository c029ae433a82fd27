/* See platform.h. */
#include "common/platform.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/random.h>

ssize_t platform_send(int fd, const struct iovec *iov, int iov_count)
{
	struct msghdr message = {
			.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)iov_count};
	ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);

	return sent < 0 ? -errno : sent;
}

int platform_vsock_name(uint32_t cid, uint32_t port, struct sockaddr_storage *ret_name)
{
	struct sockaddr_vm name = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};

	memcpy(ret_name, &name, sizeof(name));
	return (int)sizeof(name);
}

int platform_random(void *buffer, size_t bytes)
{
	ssize_t got = getrandom(buffer, bytes, 0);

	if (got < 0) {
		return -errno;
	}
	return (size_t)got == bytes ? 0 : -EIO;
}
