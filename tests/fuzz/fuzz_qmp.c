/*
 * What QEMU's monitor says, as any bytes. The input's first byte says how the bytes are cut and
 * whether a good greeting goes ahead; a command is sent whenever one may be, and its answer may
 * destroy the client.
 */
#include "tests/fuzz/fuzz.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/loop.h"
#include "vm-launch/qmp.h"

#define GREETING "{\"QMP\":{}}\n{\"return\":{}}\n"

struct run {
	struct qmp *qmp;
	unsigned sent, answered, closed;
	bool fragile; // destroyed by an answer
};

static void on_reply(void *data, int error, const char *text, struct json_object *value)
{
	struct run *run = data;

	(void)value;
	run->answered++;
	FUZZ_ASSERT(error <= 0 && (error == 0 || text));
	if (run->fragile) {
		struct qmp *qmp = run->qmp;

		run->qmp = NULL;
		qmp_destroy(qmp);
	}
}

static void send_next(struct run *run)
{
	if (run->qmp && qmp_execute(run->qmp, "query-status", NULL, on_reply, run) == 0) {
		run->sent++;
	}
}

static void on_ready(void *data)
{
	send_next(data);
}

static void on_event(void *data, const char *name, struct json_object *values)
{
	(void)data;
	(void)values;
	FUZZ_ASSERT(name);
}

static void on_closed(void *data, int error, const char *reason)
{
	struct run *run = data;

	FUZZ_ASSERT(error <= 0 && reason && run->closed == 0);
	run->closed++;
}

static const struct qmp_ops ops = {.ready = on_ready, .event = on_event, .closed = on_closed};

/*
 * Writes without waiting; what the client does not take at once is lost, as it reads all in one
 * turn.
 */
static void say(int fd, const void *bytes, size_t size)
{
	ssize_t written = send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)written;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run run = {0};
	struct loop *loop = NULL;
	int fds[2];

	if (size == 0) {
		return 0;
	}
	uint8_t choice = *data++;

	size--;
	run.fragile = choice & 2;
	FUZZ_ASSERT(loop_create(&loop) == 0);
	FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	FUZZ_ASSERT(qmp_create(loop, fds[0], 10000, &ops, &run, &run.qmp) == 0);
	if (choice & 1) {
		say(fds[1], GREETING, sizeof(GREETING) - 1);
		FUZZ_ASSERT(loop_turn(loop, 0) == 0);
	}
	size_t piece = (size_t)1 << (choice >> 4);

	while (size > 0 && run.closed == 0 && run.qmp) {
		size_t bytes = size < piece ? size : piece;

		say(fds[1], data, bytes);
		FUZZ_ASSERT(loop_turn(loop, 0) == 0);
		send_next(&run);
		data += bytes;
		size -= bytes;
	}
	qmp_destroy(run.qmp);
	close(fds[1]);
	loop_destroy(loop);
	FUZZ_ASSERT(run.answered == run.sent);
	return 0;
}
