/* Sends encoded messages over a session. */
#ifndef GUEST_AGENT_MESSAGE_H
#define GUEST_AGENT_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include "common/session.h"

/* Sends PAYLOAD as one frame. Returns 0 or the negative errno of session_send. */
static inline int message_send(
		struct session *session, uint16_t opcode, const uint8_t *payload, size_t bytes)
{
	struct iovec part = {.iov_base = (void *)(uintptr_t)payload, .iov_len = bytes};
	return session_send(session, opcode, 0, &part, 1);
}

#endif
