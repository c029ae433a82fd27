/*
 * Connections that carry requests, one for each thread and scheme, so that processes and threads
 * that share a handle do not take each other's answers. A child of fork makes its own.
 */
#ifndef HOSTED_CHANNEL_H
#define HOSTED_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

struct peer;

struct channel {
	int fd;
	bool busy; // a signal handler may call while its thread waits
	uint64_t serial;
	struct peer *peer;
	struct channel *next;                 // of this thread
	struct channel *all_next, **all_link; // of the process
};

/* A connection of this thread to PEER, for one request. Returns 0 or a negative errno: -ENODEV, the
 * daemon is dead. */
int channel_take(struct peer *peer, struct channel **ret_channel);

/* Gives it back; BROKEN closes it. */
void channel_give(struct channel *channel, bool broken);

/* Closes this thread's, if it is idle. */
void channel_close(struct peer *peer);

/* In a child of fork: closes all that came along. */
void channel_after_fork_child(void);

#endif
