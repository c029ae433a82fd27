/* One request of a client, from its buffer to its errno. */
#ifndef HOSTED_CALL_H
#define HOSTED_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "schemes/hosted/message.h"

struct peer;

struct call {
	uint8_t opcode;
	uint64_t inode;   // of the handle
	uint64_t mapping; // instead of inode; 0: none
	uint64_t args[4];
	uint8_t *buffer;
	size_t length;
	const int *fds; // to be sent, borrowed
	size_t fd_count;

	/* Results */
	uint64_t new_mapping, file_offset;
	int got_fds[MESSAGE_FDS_MAX]; // given away
	size_t got_fd_count;
};

/* Makes the call over this thread's channel. Returns the value or a negative errno. */
int64_t call_make(struct peer *peer, struct call *call);

/* Makes it over a connection of the caller's: KIND is MESSAGE_REQUEST or MESSAGE_OPEN, SERIAL is
 * new on it. *RET_RESTART: -EINTR means that it is to be made again. */
int64_t call_over(int socket, enum message_kind kind, uint64_t serial, uint64_t own_inode,
		struct call *call, bool *ret_restart);

#endif
