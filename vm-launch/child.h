/*
 * A process started by vm-launch. It has a process group of its own (a Ctrl-C at the terminal
 * reaches vm-launch alone) and a death signal: it does not survive vm-launch, however that ends.
 */
#ifndef VM_LAUNCH_CHILD_H
#define VM_LAUNCH_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct loop;
struct child;

/* The descriptor that a child started with WANT_READY has for its --ready-fd. */
#define CHILD_READY_FD 3

struct child_ops {
	void (*ready)(void *data); // the newline on --ready-fd came; may be NULL
	void (*line)(void *data,
			const char *text); // a line of its stdout; NULL: its stdout is our stderr
};

/*
 * Starts ARGV (NULL-terminated; argv[0] is searched for in PATH when it has no slash) with the
 * environment of vm-launch, plus the variable VARIABLE (borrowed "NAME=VALUE", may be NULL). OPS
 * (borrowed) may be called from the loop until child_destroy. Returns 0, or a negative errno, that
 * of exec included: then there is no process.
 */
int child_start(struct loop *loop, char *const *argv, const char *variable, bool want_ready,
		const struct child_ops *ops, void *data, struct child **ret_child);

/* Kills the process if it runs, waits for it, frees. NULL is allowed. */
void child_destroy(struct child *child);

/*
 * Whether the process has ended (call it after SIGCHLD); then *RET_STATUS is as of waitpid. Its
 * last lines are delivered first.
 */
bool child_reap(struct child *child, int *ret_status);

/* Sends SIGNO if the process still runs. */
void child_signal(struct child *child, int signo);

pid_t child_pid(const struct child *child);

#endif
