/* See platform.h. Redox raises no signal when the peer of a socket is gone, and its sockets take no
 * flags. */
#include "common/platform.h"

#include <errno.h>
#include <stdlib.h>

ssize_t platform_send(int fd, const struct iovec *iov, int iov_count)
{
	ssize_t sent = writev(fd, iov, iov_count);

	return sent < 0 ? -errno : sent;
}

int platform_vsock_name(uint32_t cid, uint32_t port, struct sockaddr_storage *ret_name)
{
	(void)cid;
	(void)port;
	(void)ret_name;
	return -EAFNOSUPPORT;
}

int platform_random(void *buffer, size_t bytes)
{
	arc4random_buf(buffer, bytes);
	return 0;
}
