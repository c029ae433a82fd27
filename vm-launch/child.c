/*
 * Starting and ending processes. The invariant: pid is positive exactly while there is a process to
 * wait for, so no signal can reach a process that is not ours.
 */
#include "vm-launch/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/loop.h"

#define LINE_BYTES      512u
#define READS_EACH_TURN 16

struct child {
	struct loop *loop;
	pid_t pid;  // 0: none
	int status; // of waitpid, once reaped
	int ready_fd;
	struct loop_source *ready_source;
	int output_fd;
	struct loop_source *output_source;
	const struct child_ops *ops; // borrowed
	void *data;                  // borrowed
	size_t line_bytes;
	char line[LINE_BYTES + 1];
};

/* What fork's child does until exec; only calls that are safe there. Never returns. */
static _Noreturn void become(char *const *argv, const char *variable, pid_t parent, int ready,
		int output, int failure)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	setpgid(0, 0);
#ifdef PR_SET_PDEATHSIG
	prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
	if (getppid() != parent) {
		_exit(127); // the parent died before the death signal was asked for
	}
	bool good = null >= 0 && dup2(null, 0) >= 0 && dup2(output >= 0 ? output : 2, 1) >= 0;

	if (good && ready == CHILD_READY_FD) {
		good = fcntl(ready, F_SETFD, 0) >= 0;
	} else if (good && ready >= 0) {
		if (failure == CHILD_READY_FD) {
			failure = fcntl(failure, F_DUPFD_CLOEXEC, CHILD_READY_FD + 1);
		}
		good = dup2(ready, CHILD_READY_FD) >= 0;
	}
	if (good && ready >= 0) { // the child may well expect a blocking descriptor
		good = fcntl(CHILD_READY_FD, F_SETFL, O_WRONLY) >= 0;
	}
	if (good && variable) {
		good = putenv((char *)(uintptr_t)variable) == 0;
	}
	if (good) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		signal(SIGPIPE, SIG_DFL);
		execvp(argv[0], argv);
	}
	int error = errno;
	ssize_t written = write(failure, &error, sizeof(error));

	_exit(written < 0 ? 126 : 127);
}

static void stop_watching(struct child *child, int *fd, struct loop_source **source)
{
	(void)child;
	loop_source_remove(*source);
	*source = NULL;
	fd_close(fd);
}

static void on_ready(void *data, int fd, uint32_t events)
{
	struct child *child = data;
	char byte = 0;
	ssize_t bytes = read(fd, &byte, 1);

	(void)events;
	if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) {
		return;
	}
	if (bytes == 1 && byte != '\n') {
		return;
	}
	stop_watching(child, &child->ready_fd, &child->ready_source);
	if (bytes == 1 && child->ops->ready) {
		child->ops->ready(child->data);
	}
}

/* Hands out the collected line, if there is something in it. */
static void deliver_line(struct child *child)
{
	while (child->line_bytes > 0 && child->line[child->line_bytes - 1] == '\r') {
		child->line_bytes--;
	}
	child->line[child->line_bytes] = '\0';
	if (child->line_bytes > 0) {
		child->line_bytes = 0;
		child->ops->line(child->data, child->line);
	}
}

/* Returns false when there is nothing more to read now, or ever. */
static bool read_output(struct child *child)
{
	char bytes[1024];
	ssize_t count = read(child->output_fd, bytes, sizeof(bytes));

	if (count <= 0) {
		if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
			stop_watching(child, &child->output_fd, &child->output_source);
			deliver_line(child);
		}
		return false;
	}
	for (ssize_t i = 0; i < count; i++) {
		if (bytes[i] == '\n' || child->line_bytes == LINE_BYTES) {
			deliver_line(child);
		}
		if (bytes[i] != '\n' && bytes[i] != '\0') {
			child->line[child->line_bytes++] = bytes[i];
		}
	}
	return true;
}

static void on_output(void *data, int fd, uint32_t events)
{
	struct child *child = data;

	(void)fd;
	(void)events;
	for (int i = 0; i < READS_EACH_TURN && child->output_fd >= 0 && read_output(child); i++) {
	}
}

/* Forks; FAILURE carries the errno of exec. Returns 0 or a negative errno. */
static int start(
		struct child *child, char *const *argv, const char *variable, int ready, int output)
{
	int failure[2];

	if (pipe2(failure, O_CLOEXEC) < 0) {
		return -errno;
	}
	auto_close int failure_read = failure[0];
	auto_close int failure_write = failure[1];
	pid_t parent = getpid();
	sigset_t all, before;

	// No handler of ours may run in the child: it would write into the loop's pipe.
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid_t pid = fork();

	if (pid == 0) {
		for (int signo = 1; signo < NSIG; signo++) {
			signal(signo, SIG_DFL);
		}
		become(argv, variable, parent, ready, output, failure_write);
	}
	int error = pid < 0 ? -errno : 0;

	sigprocmask(SIG_SETMASK, &before, NULL);
	if (error) {
		return error;
	}
	child->pid = pid;
	setpgid(pid, pid); // whoever comes first
	fd_close(&failure_write);
	int exec_error;
	ssize_t bytes;

	do {
		bytes = read(failure_read, &exec_error, sizeof(exec_error));
	} while (bytes < 0 && errno == EINTR);
	return bytes == sizeof(exec_error) ? -exec_error : 0;
}

int child_start(struct loop *loop, char *const *argv, const char *variable, bool want_ready,
		const struct child_ops *ops, void *data, struct child **ret_child)
{
	struct child *child = calloc(1, sizeof(*child));

	if (!child) {
		return -ENOMEM;
	}
	child->loop = loop;
	child->ops = ops;
	child->data = data;
	child->ready_fd = child->output_fd = -1;
	int pipe_fds[2] = {-1, -1};
	auto_close int ready = -1;
	auto_close int output = -1;
	int error = want_ready ? fd_pipe(pipe_fds) : 0;

	if (!error && want_ready) {
		child->ready_fd = pipe_fds[0];
		ready = pipe_fds[1];
		error = loop_add_fd(loop, child->ready_fd, LOOP_READ, on_ready, child,
				&child->ready_source);
	}
	if (!error && ops->line && !(error = fd_pipe(pipe_fds))) {
		child->output_fd = pipe_fds[0];
		output = pipe_fds[1];
		error = loop_add_fd(loop, child->output_fd, LOOP_READ, on_output, child,
				&child->output_source);
	}
	if (!error) {
		error = start(child, argv, variable, ready, output);
	}
	if (error) {
		child_destroy(child);
		return error;
	}
	*ret_child = child;
	return 0;
}

bool child_reap(struct child *child, int *ret_status)
{
	if (child->pid > 0) {
		pid_t pid = waitpid(child->pid, &child->status, WNOHANG);

		if (pid == 0 || (pid < 0 && errno == EINTR)) {
			return false;
		}
		child->pid = 0;
		while (child->output_fd >= 0 && read_output(child)) {
		}
	}
	*ret_status = child->status;
	return true;
}

void child_signal(struct child *child, int signo)
{
	if (child->pid > 0) {
		kill(child->pid, signo);
	}
}

pid_t child_pid(const struct child *child)
{
	return child->pid;
}

void child_destroy(struct child *child)
{
	if (!child) {
		return;
	}
	if (child->pid > 0) {
		kill(child->pid, SIGKILL);
		while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) {
		}
	}
	stop_watching(child, &child->ready_fd, &child->ready_source);
	stop_watching(child, &child->output_fd, &child->output_source);
	free(child);
}
