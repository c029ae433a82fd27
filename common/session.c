/*
 * Sessions: greeting, checking, ending, dialling again. The link below says when bytes came;
 * everything here runs from callbacks of the loop.
 *
 * Invariants: a link exists in SESSION_GREETING, SESSION_UP and SESSION_ENDING only; a dial in
 * SESSION_DIALLING only; a session that dials has in every other state an armed timer, so it cannot
 * get stuck. The owner hears ops.down once for each ops.up.
 *
 *   DOWN ──► DIALLING ──► GREETING ──► UP ──► ENDING ──► DOWN
 *     ▲          │            └───────────────►┘ │
 *     └──────────┴──────── backoff ──────────────┘
 */
#include "common/session.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/platform.h"
#include "proto/bridge.h"

#define VERSION_LOWEST   1u // what we still speak
#define FRAMES_PER_TURN  64 // then other sources get a turn
#define REASON_BYTES     256
#define REASONS_TOLD_MAX 6 // warnings because of another reason, until a session is good
#define TRACE_BYTES      512
#define ADDRESS_TEXT     160

enum session_state { SESSION_DOWN, SESSION_DIALLING, SESSION_GREETING, SESSION_UP, SESSION_ENDING };

struct session {
	struct loop *loop;
	struct session_config config;
	bool dials;
	struct address address; // if it dials
	const struct session_ops *ops;
	void *data;
	enum session_state state;
	bool in_callback;
	bool destroyed; // while in_callback
	struct dial *dial;
	struct link *link;
	struct loop_source *
			timer; // backoff, time for HELLO, or the time after which a session counts as good
	struct loop_source
			*work; // timer: more frames to read, or the end that session_fail asked for
	uint32_t times_up;

	struct link_frame frame; // being handled
	bool frame_unfinished;   // its handler answered -EAGAIN
	uint32_t peer_role;
	uint32_t peer_frame_max; // bytes

	bool was_up; // ops.up was called for this connection
	int end_error;
	char end_reason[REASON_BYTES];

	// Dialling
	uint32_t backoff_ms;
	uint32_t attempts;     // since the last good session
	uint32_t reasons_told; // new ones, since then
	char told_reason[REASON_BYTES];
	bool told; // that this connection is up
};

static void session_on_readable(void *data);
static void session_on_writable(void *data);
static void session_on_closed(void *data, int error);

static const struct link_ops session_link_ops = {
		session_on_readable, session_on_writable, session_on_closed};

uint64_t session_make_epoch(void)
{
	uint64_t epoch = 0;

	if (platform_random(&epoch, sizeof(epoch)) < 0) {
		epoch = clock_now_ns() ^ (uint64_t)getpid() << 32;
	}
	return epoch;
}

static bool session_leave(struct session *session)
{
	session->in_callback = false;
	if (session->destroyed) {
		free(session);
		return false;
	}
	return true;
}

/*
 * Whether the end of this attempt is worth a warning: the 1st, 10th, 100th .. since the last good
 * session, and those with another reason than the one told last, a few times. An agent that refuses
 * for a week leaves a handful of lines.
 */
static bool session_is_loud(struct session *session)
{
	uint32_t attempts = session->attempts;

	if (session->reasons_told < REASONS_TOLD_MAX &&
			strcmp(session->told_reason, session->end_reason) != 0) {
		session->reasons_told++;
		memcpy(session->told_reason, session->end_reason, sizeof(session->told_reason));
		return true;
	}
	while (attempts >= 10 && attempts % 10 == 0) {
		attempts /= 10;
	}
	return attempts <= 1;
}

static const char *session_address(const struct session *session, char text[ADDRESS_TEXT])
{
	return session->dials ? address_format(&session->address, text, ADDRESS_TEXT) : "a peer";
}

static void session_log_end(struct session *session)
{
	char address[ADDRESS_TEXT];

	if (!session->dials) {
		log_peer(LOG_WIRE, "connection of a peer ended: %s", session->end_reason);
		return;
	}
	log_line(session_is_loud(session) ? LOG_WARN : LOG_DEBUG, LOG_WIRE,
			session->was_up ? "session with %s ended: %s; dialling again (attempt %u)"
					: "no session with %s: %s; dialling again (attempt %u)",
			session_address(session, address), session->end_reason, session->attempts);
}

static void session_log_up(struct session *session)
{
	char address[ADDRESS_TEXT];

	session->told = true;
	log_info(LOG_WIRE, "session with %s is up (attempt %u)", session_address(session, address),
			session->attempts);
}

/* The connection or the attempt is over and nothing of it is left. The owner may destroy the
 * session in ops.down. */
static void session_finish_end(struct session *session)
{
	bool tell_owner = session->was_up || !session->dials;

	session_log_end(session);
	link_destroy(session->link);
	session->link = NULL;
	session->state = SESSION_DOWN;
	session->was_up = false;
	session->frame_unfinished = false;
	loop_timer_arm(session->work, 0);
	loop_timer_arm(session->timer, 0);
	if (session->dials) {
		loop_timer_arm(session->timer,
				clock_now_ns() + session->backoff_ms * CLOCK_NS_PER_MS);
		session->backoff_ms *= 2;
		if (session->backoff_ms > LIMIT_BACKOFF_MAX_MS) {
			session->backoff_ms = LIMIT_BACKOFF_MAX_MS;
		}
	}
	if (tell_owner && session->ops->down != NULL) {
		session->ops->down(session->data, session->end_error, session->end_reason);
	}
}

/* Notes why the connection ends; the first reason counts. The end itself comes from the loop. */
static void session_begin_end(struct session *session, int error, const char *reason)
{
	if (session->state != SESSION_GREETING && session->state != SESSION_UP) {
		return;
	}
	session->state = SESSION_ENDING;
	session->end_error = error;
	snprintf(session->end_reason, sizeof(session->end_reason), "%s", reason);
	loop_timer_arm(session->timer, 0);
	loop_timer_arm(session->work, 1);
	link_pause(session->link, 1);
}

/* Tells the peer what it did, then ends. */
static void session_fault(struct session *session, uint32_t fault, int error, const char *reason)
{
	struct bridge_error message = {.fault = fault};
	uint8_t bytes[BRIDGE_ERROR_MAX];

	if (session->state != SESSION_GREETING && session->state != SESSION_UP) {
		return;
	}
	snprintf(message.detail, sizeof(message.detail), "%s", reason);
	ssize_t length = bridge_error_encode(&message, bytes, sizeof(bytes));
	if (length > 0) {
		struct iovec part = {bytes, (size_t)length};

		// As far as the socket takes it: the connection is given up in any case.
		(void)link_send(session->link, BRIDGE_ERROR, 0, 0, &part, 1);
		(void)link_flush(session->link);
	}
	session_begin_end(session, error, reason);
}

static uint32_t session_fault_of(int error)
{
	switch (error) {
	case -ESTALE:
		return BRIDGE_FAULT_REPLACED;
	case -ENOBUFS:
	case -EMFILE:
		return BRIDGE_FAULT_LIMIT;
	case -ENODEV:
		return BRIDGE_FAULT_NO_DEVICE;
	default:
		return BRIDGE_FAULT_MALFORMED;
	}
}

void session_fail(struct session *session, int error, const char *fault)
{
	session_fault(session, session_fault_of(error), error, fault);
}

static void trace(const char *direction, const struct session *session, uint16_t opcode,
		const struct iovec *iov, int iov_count)
{
	uint8_t payload[TRACE_BYTES];
	char text[TRACE_BYTES];
	size_t length = 0;

	for (int i = 0; i < iov_count && length < sizeof(payload); i++) {
		size_t part = iov[i].iov_len;

		if (part > sizeof(payload) - length) {
			part = sizeof(payload) - length;
		}
		if (part > 0) {
			memcpy(payload + length, iov[i].iov_base, part);
			length += part;
		}
	}
	bridge_dump(opcode, payload, length, text, sizeof(text));
	log_line(LOG_TRACE, LOG_WIRE, "%s %s %s", session->config.name, direction, text);
}

static int session_send_hello(struct session *session)
{
	struct bridge_hello hello = {
			.version = BRIDGE_VERSION_NUMBER,
			.role = session->config.role,
			.epoch = session->config.epoch,
			.frame_max = LIMIT_FRAME,
	};
	uint8_t bytes[BRIDGE_HELLO_MAX];

	snprintf(hello.name, sizeof(hello.name), "%s", session->config.name);
	ssize_t length = bridge_hello_encode(&hello, bytes, sizeof(bytes));
	if (length < 0) {
		return (int)length;
	}
	struct iovec part = {bytes, (size_t)length};
	return link_send(session->link, BRIDGE_HELLO, 0, 0, &part, 1);
}

/* Starts greeting over the connected socket FD (taken). */
static int session_start(struct session *session, int fd)
{
	int error = link_create(session->loop, fd, &session_link_ops, session, &session->link);

	if (error == 0) {
		error = session_send_hello(session);
	}
	if (error < 0) {
		link_destroy(session->link);
		session->link = NULL;
		return error;
	}
	session->state = SESSION_GREETING;
	session->told = false;
	session->peer_role = 0;
	loop_timer_arm(session->timer, clock_now_ns() + LIMIT_HELLO_MS * CLOCK_NS_PER_MS);
	return 0;
}

/* An attempt to connect failed before there was a link. */
static void session_attempt_failed(struct session *session, int error)
{
	session->end_error = error;
	snprintf(session->end_reason, sizeof(session->end_reason), "cannot connect: %s",
			strerror(-error));
	session_finish_end(session);
}

static void session_on_dialled(void *data, int fd)
{
	struct session *session = data;

	session->dial = NULL;
	int error = fd < 0 ? fd : session_start(session, fd);
	if (error < 0) {
		session_attempt_failed(session, error);
	}
}

static void session_connect(struct session *session)
{
	session->state = SESSION_DIALLING;
	session->attempts += session->attempts < UINT32_MAX;
	int error = dial_start(session->loop, &session->address, LIMIT_HELLO_MS, session_on_dialled,
			session, &session->dial);
	if (error < 0) {
		session_attempt_failed(session, error);
	}
}

static void session_on_timer(void *data)
{
	struct session *session = data;

	session->in_callback = true;
	switch (session->state) {
	case SESSION_DOWN:
		session_connect(session);
		break;
	case SESSION_GREETING:
		session_fault(session, BRIDGE_FAULT_MALFORMED, -ETIMEDOUT,
				"no hello came in time; is it the port of another program?");
		break;
	case SESSION_UP:
		// It has lasted: a good session.
		if (!session->told) {
			session_log_up(session);
		}
		session->attempts = 0;
		session->reasons_told = 0;
		session->told_reason[0] = '\0';
		session->backoff_ms = LIMIT_BACKOFF_MIN_MS;
		break;
	case SESSION_DIALLING:
	case SESSION_ENDING:
		break;
	}
	(void)session_leave(session);
}

static void session_on_work(void *data)
{
	struct session *session = data;

	if (session->state == SESSION_ENDING) {
		session->in_callback = true;
		session_finish_end(session);
		(void)session_leave(session);
	} else {
		session_on_readable(session);
	}
}

static void session_on_writable(void *data)
{
	struct session *session = data;

	if (session->state == SESSION_UP && session->ops->writable != NULL) {
		session->in_callback = true;
		session->ops->writable(session->data);
		(void)session_leave(session);
	}
}

static void session_on_closed(void *data, int error)
{
	struct session *session = data;

	// A failing session keeps its own reason.
	session_begin_end(session, error,
			error == 0 ? "the peer closed the connection" : strerror(-error));
}

static void session_handle_hello(struct session *session)
{
	struct bridge_hello hello;
	uint32_t untrusted_role;

	if (bridge_hello_decode(&hello, session->frame.payload, session->frame.payload_bytes) < 0) {
		session_fault(session, BRIDGE_FAULT_MALFORMED, -EBADMSG,
				"the peer's hello cannot be read; is it of another version?");
		return;
	}
	untrusted_role = hello.role;
	if (hello.version < VERSION_LOWEST) {
		session_fault(session, BRIDGE_FAULT_VERSION, -EPROTONOSUPPORT,
				"the peer speaks an older version; update it");
		return;
	}
	if (untrusted_role > 31 || !(session->config.peer_roles & 1u << untrusted_role)) {
		session_fault(session, BRIDGE_FAULT_ROLE, -EPROTO,
				"the peer's role is not served here; is the address that of "
				"another program?");
		return;
	}
	session->peer_role = untrusted_role;
	session->peer_frame_max = hello.frame_max;
	session->state = SESSION_UP;
	session->was_up = true;
	session->times_up++;
	loop_timer_arm(session->timer, clock_now_ns() + LIMIT_BACKOFF_MAX_MS * CLOCK_NS_PER_MS);
	if (session->dials && session_is_loud(session)) {
		session_log_up(session);
	}
	session->ops->up(session->data, &hello);
}

static void session_handle_error(struct session *session)
{
	struct bridge_error message;
	char reason[REASON_BYTES];

	if (bridge_error_decode(&message, session->frame.payload, session->frame.payload_bytes) <
			0) {
		session_begin_end(session, -EPROTO,
				"the peer gave up for a reason that cannot be read");
		return;
	}
	snprintf(reason, sizeof(reason), "the peer gave up (fault %u): %s", message.fault,
			message.detail);
	session_begin_end(session, -ECONNABORTED, reason);
}

/* Checks the header of the frame against the table. Returns whether it may be handled; else the
 * fault is dealt with. */
static bool session_check_frame(struct session *session)
{
	const struct link_header *untrusted_header = &session->frame.header;
	const struct bridge_message_info *info = bridge_message_find(untrusted_header->opcode);
	char reason[REASON_BYTES] = "";

	if (info == NULL) {
		snprintf(reason, sizeof(reason), "message %u is unknown", untrusted_header->opcode);
	} else if (session->state == SESSION_GREETING && info->state == BRIDGE_STATE_UP) {
		snprintf(reason, sizeof(reason), "%s came before hello", info->name);
	} else if (session->state == SESSION_UP && info->state == BRIDGE_STATE_GREETING) {
		snprintf(reason, sizeof(reason), "%s came twice", info->name);
	} else if (session->state == SESSION_UP && !(info->from & 1u << session->peer_role)) {
		snprintf(reason, sizeof(reason), "%s goes the other way", info->name);
	} else if (untrusted_header->length < info->min || untrusted_header->length > info->max) {
		snprintf(reason, sizeof(reason), "%s has %u bytes instead of %u to %u", info->name,
				untrusted_header->length, (unsigned)info->min, (unsigned)info->max);
	}
	if (reason[0] != '\0') {
		session_fault(session, BRIDGE_FAULT_MALFORMED, -EPROTO, reason);
		return false;
	}
	return true;
}

static void session_handle_frame(struct session *session)
{
	int result = session->ops->frame(session->data, &session->frame);

	if (session->destroyed || session->state != SESSION_UP) {
		return;
	}
	// Without a rest there is nothing to come back for.
	session->frame_unfinished = result == -EAGAIN && session->frame.rest_bytes > 0;
	if (result < 0 && result != -EAGAIN) {
		const struct bridge_message_info *info =
				bridge_message_find(session->frame.header.opcode);
		char reason[REASON_BYTES];

		snprintf(reason, sizeof(reason), "%s was refused: %s", info->name,
				strerror(-result));
		session_fault(session, BRIDGE_FAULT_MALFORMED, result, reason);
	}
}

/* Takes the next frame and handles it. Returns whether there may be more. */
static bool session_take_frame(struct session *session)
{
	int result = link_recv(session->link, &session->frame);

	if (result < 0) {
		session_fault(session, BRIDGE_FAULT_MALFORMED, result,
				"a frame is longer than is allowed");
	}
	if (result <= 0 || !session_check_frame(session)) {
		return false;
	}
	if (log_enabled(LOG_TRACE, LOG_WIRE)) {
		struct iovec part = {(void *)(uintptr_t)session->frame.payload,
				session->frame.payload_bytes};

		trace("<", session, session->frame.header.opcode, &part, 1);
	}
	if (session->frame.header.opcode == BRIDGE_HELLO) {
		session_handle_hello(session);
	} else if (session->frame.header.opcode == BRIDGE_ERROR) {
		session_handle_error(session);
	} else {
		session_handle_frame(session);
	}
	return true;
}

static void session_on_readable(void *data)
{
	struct session *session = data;

	session->in_callback = true;
	for (unsigned i = 0; !session->destroyed; i++) {
		if (session->state != SESSION_GREETING && session->state != SESSION_UP) {
			break;
		}
		if (i == FRAMES_PER_TURN) {
			loop_timer_arm(session->work, 1);
			break;
		}
		if (session->frame_unfinished) {
			session->frame.payload = NULL;
			session->frame.payload_bytes = 0;
			session_handle_frame(session);
			if (session->destroyed || session->frame_unfinished) {
				break;
			}
		} else if (!session_take_frame(session)) {
			break;
		} else if (!session->destroyed && session->frame_unfinished) {
			break; // it fetched what there was
		}
	}
	(void)session_leave(session);
}

static int session_create(struct loop *loop, const struct session_config *config,
		const struct session_ops *ops, void *data, struct session **ret_session)
{
	struct session *session = calloc(1, sizeof(*session));

	if (session == NULL) {
		return -ENOMEM;
	}
	session->loop = loop;
	session->config = *config;
	session->ops = ops;
	session->data = data;
	session->backoff_ms = LIMIT_BACKOFF_MIN_MS;
	int error = loop_add_timer(loop, session_on_timer, session, &session->timer);
	if (error == 0) {
		error = loop_add_timer(loop, session_on_work, session, &session->work);
	}
	if (error < 0) {
		session_destroy(session);
		return error;
	}
	*ret_session = session;
	return 0;
}

int session_dial(struct loop *loop, const struct session_config *config,
		const struct address *address, const struct session_ops *ops, void *data,
		struct session **ret_session)
{
	struct session *session;
	int error = session_create(loop, config, ops, data, &session);

	if (error < 0) {
		return error;
	}
	session->dials = true;
	session->address = *address;
	session_connect(session);
	*ret_session = session;
	return 0;
}

int session_accept(struct loop *loop, const struct session_config *config, int fd,
		const struct session_ops *ops, void *data, struct session **ret_session)
{
	struct session *session;
	int error = session_create(loop, config, ops, data, &session);

	if (error < 0) {
		close(fd);
		return error;
	}
	error = session_start(session, fd);
	if (error < 0) {
		session_destroy(session);
		return error;
	}
	*ret_session = session;
	return 0;
}

void session_destroy(struct session *session)
{
	if (session == NULL) {
		return;
	}
	assert(!session->destroyed);
	if (session->state == SESSION_UP || session->state == SESSION_GREETING) {
		(void)link_flush(session->link); // what was sent in this turn
	}
	dial_cancel(session->dial);
	link_destroy(session->link);
	loop_source_remove(session->timer);
	loop_source_remove(session->work);
	session->destroyed = true;
	if (!session->in_callback) {
		free(session);
	}
}

bool session_is_up(const struct session *session)
{
	return session->state == SESSION_UP;
}

int session_send(struct session *session, uint16_t opcode, uint32_t serial, const struct iovec *iov,
		int iov_count)
{
	size_t length = 0;

	if (session->state != SESSION_UP) {
		return -ENOTCONN;
	}
	for (int i = 0; i < iov_count; i++) {
		length += iov[i].iov_len;
	}
	if (length > session->peer_frame_max) {
		return -EMSGSIZE;
	}
	if (log_enabled(LOG_TRACE, LOG_WIRE)) {
		trace(">", session, opcode, iov, iov_count);
	}
	return link_send(session->link, opcode, 0, serial, iov, iov_count);
}

ssize_t session_recv_into(struct session *session, void *destination, size_t bytes)
{
	if (session->state != SESSION_UP) {
		return -ENOTCONN;
	}
	ssize_t got = link_recv_into(session->link, destination, bytes);
	if (got > 0) {
		session->frame.rest_bytes -= (uint32_t)got;
	}
	return got;
}

struct link_counters session_counters(const struct session *session)
{
	if (session->link == NULL) {
		return (struct link_counters) {0};
	}
	return *link_counters(session->link);
}

uint32_t session_times_up(const struct session *session)
{
	return session->times_up;
}
