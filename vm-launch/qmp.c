/*
 * QEMU's machine protocol. Messages are lines of JSON (json-c reads them). One command at a time,
 * so an answer needs no id.
 *
 *	greeting ──qmp_capabilities──► negotiating ──► ready ◄──► busy; each of them ──► closed
 */
#include "vm-launch/qmp.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/loop.h"

#define DEPTH           16
#define COMMAND_BYTES   512
#define READS_EACH_TURN 16

enum state { STATE_GREETING, STATE_NEGOTIATING, STATE_READY, STATE_BUSY, STATE_CLOSED };

struct qmp {
	struct loop *loop;
	int fd;
	struct loop_source *source;
	struct loop_source *timer;
	uint32_t timeout_ms;
	enum state state;
	const struct qmp_ops *ops; // borrowed
	void *data;                // borrowed
	qmp_reply_fn reply;        // of the command in state BUSY, may be NULL
	void *reply_data;
	bool in_callback; // destruction waits for the end of on_input
	bool destroyed;
	size_t bytes; // in line
	char *line;   // LIMIT_QMP_MESSAGE + 1
};

static void await_answer(struct qmp *qmp, enum state state)
{
	qmp->state = state;
	loop_timer_arm(qmp->timer, clock_now_ns() + qmp->timeout_ms * CLOCK_NS_PER_MS);
}

/* Answers the command in flight, if there is one. */
static void answer(struct qmp *qmp, int error, const char *text, struct json_object *value)
{
	qmp_reply_fn reply = qmp->reply;

	qmp->reply = NULL;
	if (reply) {
		reply(qmp->reply_data, error, text, value);
	}
}

static void close_for(struct qmp *qmp, int error, const char *reason)
{
	if (qmp->state == STATE_CLOSED || qmp->destroyed) {
		return;
	}
	qmp->state = STATE_CLOSED;
	loop_timer_arm(qmp->timer, 0);
	loop_source_remove(qmp->source);
	qmp->source = NULL;
	fd_close(&qmp->fd);
	answer(qmp, -ECANCELED, reason, NULL);
	if (!qmp->destroyed) {
		qmp->ops->closed(qmp->data, error, reason);
	}
}

/* Writes one command. The socket takes it whole: QEMU reads it before the next one is allowed. */
static int send_command(struct qmp *qmp, const char *command, const char *arguments)
{
	char text[COMMAND_BYTES];
	int length = snprintf(text, sizeof(text), "{\"execute\":\"%s\"%s%s}\r\n", command,
			arguments ? ",\"arguments\":" : "", arguments ? arguments : "");

	if (length < 0 || (size_t)length >= sizeof(text)) {
		return -EMSGSIZE;
	}
	return send(qmp->fd, text, (size_t)length, MSG_NOSIGNAL) == length ? 0 : -EPIPE;
}

int qmp_execute(struct qmp *qmp, const char *command, const char *arguments, qmp_reply_fn fn,
		void *data)
{
	if (qmp->state == STATE_BUSY) {
		return -EBUSY;
	}
	if (qmp->state != STATE_READY) {
		return -ENOTCONN;
	}
	int error = send_command(qmp, command, arguments);

	if (!error) {
		qmp->reply = fn;
		qmp->reply_data = data;
		await_answer(qmp, STATE_BUSY);
	}
	return error;
}

static struct json_object *member(struct json_object *object, const char *name, enum json_type type)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(object, name, &value) || !json_object_is_type(value, type)) {
		return NULL;
	}
	return value;
}

/* A "return" or an "error". */
static void take_answer(struct qmp *qmp, struct json_object *message)
{
	struct json_object *fault = member(message, "error", json_type_object);
	struct json_object *text = fault ? member(fault, "desc", json_type_string) : NULL;
	struct json_object *value = NULL;

	if (!fault && !json_object_object_get_ex(message, "return", &value)) {
		close_for(qmp, -EBADMSG, "a message that is neither answer nor event");
		return;
	}
	if (qmp->state == STATE_NEGOTIATING && fault) {
		close_for(qmp, -EREMOTEIO, "qmp_capabilities was refused");
	} else if (qmp->state == STATE_NEGOTIATING) {
		qmp->state = STATE_READY;
		loop_timer_arm(qmp->timer, 0);
		qmp->ops->ready(qmp->data);
	} else if (qmp->state == STATE_BUSY) {
		qmp->state = STATE_READY;
		loop_timer_arm(qmp->timer, 0);
		answer(qmp, fault ? -EREMOTEIO : 0,
				text                    ? json_object_get_string(text)
						: fault ? "no reason given"
							: "",
				value);
	} else {
		close_for(qmp, -EBADMSG, "an answer to nothing");
	}
}

static void take_message(struct qmp *qmp, struct json_object *message)
{
	struct json_object *event = member(message, "event", json_type_string);

	if (qmp->state == STATE_GREETING) {
		if (!member(message, "QMP", json_type_object)) {
			close_for(qmp, -EBADMSG, "no QMP greeting");
		} else if (send_command(qmp, "qmp_capabilities", NULL) < 0) {
			close_for(qmp, -EPIPE, "cannot write");
		} else {
			await_answer(qmp, STATE_NEGOTIATING);
		}
	} else if (!event) {
		take_answer(qmp, message);
	} else if (qmp->ops->event) {
		qmp->ops->event(qmp->data, json_object_get_string(event),
				member(message, "data", json_type_object));
	}
}

/* One line, without its end. */
static void take_line(struct qmp *qmp, const char *line, size_t length)
{
	while (length > 0 && line[length - 1] == '\r') {
		length--;
	}
	if (length == 0) {
		return;
	}
	struct json_tokener *tokener = json_tokener_new_ex(DEPTH);

	if (!tokener) {
		close_for(qmp, -ENOMEM, "no memory");
		return;
	}
	struct json_object *message = json_tokener_parse_ex(tokener, line, (int)length);
	bool whole = message && json_tokener_get_error(tokener) == json_tokener_success &&
			json_tokener_get_parse_end(tokener) == length;

	if (whole && json_object_is_type(message, json_type_object)) {
		take_message(qmp, message);
	} else {
		close_for(qmp, -EBADMSG, "a line that is no JSON object");
	}
	json_object_put(message);
	json_tokener_free(tokener);
}

/* Takes the complete lines out of the buffer. */
static void take_lines(struct qmp *qmp, size_t searched)
{
	size_t begin = 0;

	for (;;) {
		char *newline = memchr(qmp->line + searched, '\n', qmp->bytes - searched);

		if (!newline || qmp->state == STATE_CLOSED || qmp->destroyed) {
			break;
		}
		size_t end = (size_t)(newline - qmp->line);

		take_line(qmp, qmp->line + begin, end - begin);
		begin = searched = end + 1;
	}
	memmove(qmp->line, qmp->line + begin, qmp->bytes - begin);
	qmp->bytes -= begin;
	if (qmp->bytes == LIMIT_QMP_MESSAGE) {
		close_for(qmp, -EMSGSIZE, "a message that is too long");
	}
}

static void release(struct qmp *qmp)
{
	free(qmp->line);
	free(qmp);
}

/* Ends a callback of the loop: what was destroyed inside goes now. */
static void leave(struct qmp *qmp)
{
	qmp->in_callback = false;
	if (qmp->destroyed) {
		release(qmp);
	}
}

static void on_input(void *data, int fd, uint32_t events)
{
	struct qmp *qmp = data;

	(void)fd;
	(void)events;
	qmp->in_callback = true;
	for (int i = 0; i < READS_EACH_TURN && qmp->state != STATE_CLOSED && !qmp->destroyed; i++) {
		size_t before = qmp->bytes;
		ssize_t count = recv(qmp->fd, qmp->line + before, LIMIT_QMP_MESSAGE - before, 0);

		if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
			break;
		}
		if (count <= 0) {
			close_for(qmp, count < 0 ? -errno : 0,
					count < 0 ? "cannot read" : "the connection ended");
			break;
		}
		qmp->bytes += (size_t)count;
		take_lines(qmp, before);
	}
	leave(qmp);
}

static void on_timeout(void *data)
{
	struct qmp *qmp = data;

	qmp->in_callback = true;
	close_for(qmp, -ETIMEDOUT,
			qmp->state == STATE_GREETING ? "no greeting in time" : "no answer in time");
	leave(qmp);
}

int qmp_create(struct loop *loop, int fd, uint32_t timeout_ms, const struct qmp_ops *ops,
		void *data, struct qmp **ret_qmp)
{
	struct qmp *qmp = calloc(1, sizeof(*qmp));

	if (!qmp) {
		fd_close(&fd);
		return -ENOMEM;
	}
	qmp->loop = loop;
	qmp->fd = fd;
	qmp->timeout_ms = timeout_ms;
	qmp->ops = ops;
	qmp->data = data;
	qmp->line = malloc(LIMIT_QMP_MESSAGE);
	int error = qmp->line ? fd_prepare(fd) : -ENOMEM;

	if (!error) {
		error = loop_add_timer(loop, on_timeout, qmp, &qmp->timer);
	}
	if (!error) {
		error = loop_add_fd(loop, fd, LOOP_READ, on_input, qmp, &qmp->source);
	}
	if (error) {
		qmp_destroy(qmp);
		return error;
	}
	await_answer(qmp, STATE_GREETING);
	*ret_qmp = qmp;
	return 0;
}

void qmp_destroy(struct qmp *qmp)
{
	if (!qmp || qmp->destroyed) {
		return;
	}
	qmp->destroyed = true;
	loop_source_remove(qmp->source);
	loop_source_remove(qmp->timer);
	fd_close(&qmp->fd);
	answer(qmp, -ECANCELED, "no longer wanted", NULL);
	if (!qmp->in_callback) {
		release(qmp);
	}
}
