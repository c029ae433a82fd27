/*
 * A session is a link whose two ends have said HELLO: role, version, epoch, limits. A bridge dials
 * and, when the session ends, dials again with a growing wait, for ever; an agent makes one from
 * each accepted connection. Each connection is a new epoch: nothing of an older one can arrive in
 * it.
 *
 *   idle ──dial──► dialling ──► greeting (HELLO sent, waits for the peer's) ──► up ──► down
 * ──backoff──► dialling
 *
 * Frames are checked against the generated table (known opcode, direction, state, length) before
 * ops.frame sees them; what fails is a peer fault: ERROR is sent, one line is logged, the session
 * goes down.
 */
#ifndef COMMON_SESSION_H
#define COMMON_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "common/address.h"
#include "common/link.h"

struct loop;
struct session;
struct bridge_hello; // generated, build/proto/bridge.h

struct session_ops {
	void (*up)(void *data, const struct bridge_hello *peer);
	/*
	 * One checked frame. Answer 0, -EAGAIN ("not done with it: its rest is still being fetched;
	 * call again when bytes arrive", the same frame with payload_bytes 0 and the current
	 * rest_bytes), or another negative errno: a peer fault, the session goes down.
	 */
	int (*frame)(void *data, const struct link_frame *frame);
	void (*writable)(void *data); // after a send answered -EAGAIN; may be NULL
	/*
	 * The connection ended (the session has logged why): after each up; for an accepted session
	 * also when it never came up. No sends from here on. The owner of an accepted session
	 * destroys it here.
	 */
	void (*down)(void *data, int error, const char *reason);
};

struct session_config {
	const char *name;    // borrowed; goes into HELLO and the logs
	uint32_t role;       // enum bridge_role: our own
	uint32_t peer_roles; // bit set (1u << role) of the roles we talk to
	uint64_t epoch;      // of this process: a number that another run does not have
};

/* A random number that tells one run of a process from the next. */
uint64_t session_make_epoch(void);

/* Keeps a session to ADDRESS: dials at once, again after each end. Returns 0 or a negative errno.
 */
int session_dial(struct loop *loop, const struct session_config *config,
		const struct address *address, const struct session_ops *ops, void *data,
		struct session **ret_session);

/* Makes a session of an accepted connection FD (taken, also on error). When it ends it stays down.
 * Returns 0 or a negative errno. */
int session_accept(struct loop *loop, const struct session_config *config, int fd,
		const struct session_ops *ops, void *data, struct session **ret_session);

/* Ends it without calling ops.down. NULL is allowed; allowed from its own callbacks. */
void session_destroy(struct session *session);

bool session_is_up(const struct session *session);

/* Sends a frame; see link_send. -ENOTCONN when the session is not up. */
int session_send(struct session *session, uint16_t opcode, uint32_t serial, const struct iovec *iov,
		int iov_count);

/* Fetches the rest of the current frame; see link_recv_into. */
ssize_t session_recv_into(struct session *session, void *destination, size_t bytes);

/*
 * Ends the current connection because of the peer's FAULT (text for ERROR and the log); ops.down
 * follows from the loop, then dialling again. ERROR decides which fault the peer is told: -ESTALE
 * replaced, -ENOBUFS and -EMFILE limit, -ENODEV no_device, everything else malformed.
 */
void session_fail(struct session *session, int error, const char *fault);

/* Counters of the current connection and how often it went up; all zero when down. */
struct link_counters session_counters(const struct session *session);
uint32_t session_times_up(const struct session *session);

#endif
