/*
 * The handler touches lock-free atomics and calls write and getpid, all of which are safe in it.
 * The process is compared because a forked child inherits the handlers, and must not ring the bell
 * of its parent.
 */
#include "common/signal_bell.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

static struct {
	const void *owner; // NULL: not caught by us
	struct sigaction before;
	atomic_int fd;
	atomic_bool pending;
} bells[SIGNAL_BELL_SIGNALS];

static _Atomic pid_t bell_process;

static void bell_ring(int signo)
{
	int saved_errno = errno;

	if (getpid() == atomic_load(&bell_process)) {
		atomic_store(&bells[signo].pending, true);
		// A full pipe is as good: whoever drains it looks at every flag.
		ssize_t written = write(atomic_load(&bells[signo].fd), "", 1);
		(void)written;
	}
	errno = saved_errno;
}

int signal_bell_hang(int signo, const void *owner, int fd)
{
	struct sigaction action = {.sa_handler = bell_ring, .sa_flags = SA_RESTART};

	if (signo < 1 || signo >= SIGNAL_BELL_SIGNALS) {
		return -EINVAL;
	}
	if (bells[signo].owner != NULL) {
		return bells[signo].owner == owner ? 0 : -EBUSY;
	}
	sigemptyset(&action.sa_mask);
	atomic_store(&bell_process, getpid());
	atomic_store(&bells[signo].pending, false);
	atomic_store(&bells[signo].fd, fd);
	if (sigaction(signo, &action, &bells[signo].before) < 0) {
		return -errno;
	}
	bells[signo].owner = owner;
	return 0;
}

void signal_bell_remove(int signo)
{
	sigaction(signo, &bells[signo].before, NULL);
	bells[signo].owner = NULL;
}

bool signal_bell_take(int signo, const void *owner)
{
	return bells[signo].owner == owner && atomic_exchange(&bells[signo].pending, false);
}
