/*
 * A caller that waits cannot be interrupted on Redox: a signal becomes Cancel, and only the
 * daemon's answer ends the wait; a dead daemon's callers wait for ever and only SIGKILL ends them
 * (redox-run.md 2.4).
 *
 * To be cheap, a signal is looked for only after the first milliseconds of a wait.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>
#include "schemes/hosted/events.h"
#include "schemes/hosted/message.h"
#include "schemes/hosted/wait.h"

#define WAIT_FAST_US 5000

void wait_prepare(int socket)
{
	const struct timeval limit = {.tv_usec = WAIT_FAST_US};

	setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

static void wait_for_ever(void)
{
	sigset_t all;

	sigfillset(&all);
	for (;;) {
		sigsuspend(&all);
	}
}

static bool wait_is_ignored(int signal_number, const struct sigaction *action)
{
	if (action->sa_handler == SIG_IGN) {
		return true;
	}
	if (action->sa_handler != SIG_DFL) {
		return false;
	}
	switch (signal_number) {
	case SIGCHLD:
	case SIGURG:
	case SIGWINCH:
	case SIGCONT:
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
	case SIGSTOP:
		return true;
	default:
		return false;
	}
}

/* Those of SET that do something; *RET_RESTART: all of these that have a handler want the call made
 * again. */
static void wait_effective(const sigset_t *set, sigset_t *ret_effective, bool *ret_restart)
{
	struct sigaction action;

	sigemptyset(ret_effective);
	*ret_restart = true;
	for (int number = 1; number < NSIG; number++) {
		if (sigismember(set, number) != 1 || sigaction(number, NULL, &action) < 0 ||
				wait_is_ignored(number, &action)) {
			continue;
		}
		sigaddset(ret_effective, number);
		if (action.sa_handler != SIG_DFL && !(action.sa_flags & SA_RESTART)) {
			*ret_restart = false;
		}
	}
}

static void wait_cancel(int socket, uint64_t serial)
{
	struct message message = {.magic = MESSAGE_MAGIC, .kind = MESSAGE_CANCEL, .serial = serial};

	message_send(socket, &(struct iovec) {&message, sizeof(message)}, 1, NULL, 0, 0);
}

/* Signals are blocked. Waits until the answer is there; a signal of WATCHED that comes meanwhile
 * cancels. */
static void wait_blocked(int socket, uint64_t serial, const sigset_t *watched, bool *cancelled,
		bool *ret_restart)
{
	int signals = signalfd(-1, watched, SFD_CLOEXEC | SFD_NONBLOCK);
	struct pollfd waiting[] = {
			{.fd = socket, .events = POLLIN}, {.fd = signals, .events = POLLIN}};

	for (;;) {
		waiting[1].fd = *cancelled ? -1 : signals;
		if (events_poll(waiting, 2, -1) < 0) {
			continue;
		}
		if (waiting[0].revents) {
			break;
		}
		if (waiting[1].revents) {
			sigset_t pending;
			sigset_t effective;
			sigpending(&pending);
			sigandset(&pending, &pending, watched);
			wait_effective(&pending, &effective, ret_restart);
			wait_cancel(socket, serial);
			*cancelled = true;
		}
	}
	if (signals >= 0) {
		close(signals);
	}
}

void wait_begin(sigset_t *ret_before)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, ret_before);
}

void wait_end(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

static long wait_slow(int socket, uint64_t serial, const sigset_t *before, struct iovec *pieces,
		size_t count, int *fds, size_t *ret_fd_count, bool *ret_restart)
{
	sigset_t open;
	sigset_t watched;
	bool cancelled = false;
	bool unused;
	long received;

	sigemptyset(&open);
	for (int number = 1; number < NSIG; number++) {
		if (sigismember(before, number) == 0) {
			sigaddset(&open, number);
		}
	}
	wait_effective(&open, &watched, &unused);
	do {
		wait_blocked(socket, serial, &watched, &cancelled, ret_restart);
		received = message_receive(socket, pieces, count, fds, ret_fd_count, MSG_DONTWAIT);
	} while (received == -EAGAIN || received == -EINTR);
	return received;
}

long wait_receive(int socket, uint64_t serial, const sigset_t *before, struct iovec *pieces,
		size_t count, int *fds, size_t *ret_fd_count, bool *ret_restart)
{
	long received = message_receive(socket, pieces, count, fds, ret_fd_count, 0);

	*ret_restart = false;
	if (received == -EAGAIN || received == -EINTR) {
		received = wait_slow(socket, serial, before, pieces, count, fds, ret_fd_count,
				ret_restart);
	}
	if (received == 0 || received == -ECONNRESET) {
		wait_for_ever();
	}
	return received;
}
