/*
 * Tells init, and whoever started us, that the service is there. init starts one unit after another
 * and waits: a daemon that never says it hangs the boot (redox-abi.md 1.6).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include "common/fd.h"
#include "common/log.h"
#include "common/number.h"
#include "schemes/scheme/libredox.h"
#include "schemes/scheme/scheme_private.h"

static int ready_fd_of_init = -1;

void ready_init(void)
{
	const char *text = getenv("INIT_NOTIFY");
	uint64_t fd;

	if (!text) {
		return;
	}
	if (!number_parse(text, INT32_MAX, &fd) || fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0) {
		log_warn(LOG_MAIN, "INIT_NOTIFY is not a descriptor of ours, init is not told");
		return;
	}
	ready_fd_of_init = (int)fd;
	unsetenv("INIT_NOTIFY"); // not for our children
}

int ready_notify(int ready_fd)
{
	int error = 0;

	if (ready_fd_of_init >= 0) {
		error = fd_tell(ready_fd_of_init, 0);
		ready_fd_of_init = -1;
	}
	if (ready_fd >= 0) {
		int second = fd_tell(ready_fd, '\n');
		error = error ? error : second;
	}
	return error;
}

int ready_hand_over(struct scheme *scheme, const char *name)
{
	const uint64_t no_metadata = 0;
	struct handle *handle;
	size_t fd;

	if (ready_fd_of_init < 0) {
		return -EBADF;
	}
	int error = scheme_make_root(scheme, name, &handle, &fd);
	if (error) {
		return error;
	}
	uint64_t given = fd;
	size_t result = redox_sys_call_v0((size_t)ready_fd_of_init, (uint8_t *)&given,
			sizeof(given), REDOX_CALL_WRITE | REDOX_CALL_FD, &no_metadata, 0);
	if (redox_failed(result)) {
		redox_close_v1(fd);
	} else {
		handle->registered = true; // by init, soon
	}
	close(ready_fd_of_init);
	ready_fd_of_init = -1;
	return -redox_errno(result);
}
