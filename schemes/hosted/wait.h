/* Waiting for the kernel's answer, with Redox's rules for signals. */
#ifndef HOSTED_WAIT_H
#define HOSTED_WAIT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iovec;

/* Readies a connection for wait_receive. */
void wait_prepare(int socket);

/* From before a request is sent until its answer has come all signals are blocked: a call is one
 * system call on Redox. */
void wait_begin(sigset_t *ret_before);
void wait_end(const sigset_t *before);

/*
 * message_receive of the answer to request SERIAL, between wait_begin and wait_end. A signal sends
 * Cancel and the wait goes on; *RET_RESTART says whether the call is to be made again if it was
 * cancelled (SA_RESTART). Never returns when the daemon dies (redox-run.md 2.4).
 */
long wait_receive(int socket, uint64_t serial, const sigset_t *before, struct iovec *pieces,
		size_t count, int *fds, size_t *ret_fd_count, bool *ret_restart);

#endif
