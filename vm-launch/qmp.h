/*
 * A client of QEMU's machine protocol over a stream socket: greeting, capabilities, commands one
 * after the other, events. The peer is not trusted: a message has a bounded size and depth, and
 * what it asks for in time is bounded too.
 */
#ifndef VM_LAUNCH_QMP_H
#define VM_LAUNCH_QMP_H

#include <stdint.h>

struct json_object;
struct loop;
struct qmp;

/*
 * Answer to a command: ERROR 0 and VALUE (borrowed), -EREMOTEIO when QEMU refused with TEXT, or
 * -ECANCELED at destruction.
 */
typedef void (*qmp_reply_fn)(void *data, int error, const char *text, struct json_object *value);

struct qmp_ops {
	void (*ready)(void *data); // commands are accepted
	void (*event)(void *data, const char *name,
			struct json_object *values); // VALUES may be NULL; may be NULL
	void (*closed)(void *data, int error,
			const char *reason); // once: 0 = QEMU ended the connection; destroy then or later
};

/*
 * Takes the connected socket FD, also on error. The greeting and each answer are waited for
 * TIMEOUT_MS. OPS is borrowed. Returns 0 or a negative errno.
 */
int qmp_create(struct loop *loop, int fd, uint32_t timeout_ms, const struct qmp_ops *ops,
		void *data, struct qmp **ret_qmp);

/*
 * Closes; a command without answer is answered with -ECANCELED. NULL is allowed; allowed from its
 * own callbacks.
 */
void qmp_destroy(struct qmp *qmp);

/*
 * Runs COMMAND, which has no arguments (or takes ARGUMENTS, a JSON object as text). FN may be NULL.
 * Returns 0; -EBUSY while the answer to the command before is awaited, -ENOTCONN before ready and
 * after closed, -EPIPE.
 */
int qmp_execute(struct qmp *qmp, const char *command, const char *arguments, qmp_reply_fn fn,
		void *data);

#endif
