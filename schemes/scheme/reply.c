/*
 * Gathers answers so that one write carries all those of a batch of requests.
 *
 * An answer that was pushed reaches the kernel or is logged as refused; the order is kept. The
 * client's buffers stay mapped until the write, so nothing is touched after its push.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "common/log.h"
#include "schemes/scheme/libredox.h"
#include "schemes/scheme/reply.h"

#define REPLY_ERRNO_MAX 132 // the kernel takes larger ones for values (redox-abi.md 2.4)

int reply_init(struct reply_queue *queue, size_t socket)
{
	*queue = (struct reply_queue) {.socket = socket, .capacity = REPLY_BATCH};
	queue->records = calloc(queue->capacity, sizeof(*queue->records));
	return queue->records ? 0 : -ENOMEM;
}

void reply_finish(struct reply_queue *queue)
{
	free(queue->records);
	queue->records = NULL;
}

static void reply_consume(struct reply_queue *queue, uint32_t count)
{
	queue->count -= count;
	memmove(queue->records, queue->records + count, queue->count * sizeof(*queue->records));
}

int reply_flush(struct reply_queue *queue)
{
	queue->batch++;
	while (queue->count) {
		size_t bytes = queue->count * sizeof(*queue->records);
		size_t result = redox_write_v1(
				queue->socket, (const uint8_t *)queue->records, bytes);
		int error = redox_errno(result);
		if (error == EINTR) {
			continue;
		}
		if (error == EAGAIN || (!error && result < sizeof(*queue->records))) {
			return -EAGAIN;
		}
		if (error) {
			log_peer(LOG_SCHEME, "the kernel refuses answer %" PRIu32 " (%s)",
					queue->records[0].tag, strerror(error));
			reply_consume(queue, 1);
			continue;
		}
		reply_consume(queue,
				(uint32_t)((result < bytes ? result : bytes) /
						sizeof(*queue->records)));
	}
	return 0;
}

/* Makes room for one record more: by writing, else by memory. */
static bool reply_make_room(struct reply_queue *queue)
{
	reply_flush(queue);
	if (queue->count < queue->capacity) {
		return true;
	}
	struct scheme_cqe *records =
			realloc(queue->records, 2 * queue->capacity * sizeof(*queue->records));
	if (!records) {
		return false;
	}
	queue->records = records;
	queue->capacity *= 2;
	return true;
}

void reply_push(struct reply_queue *queue, const struct scheme_cqe *record)
{
	while (queue->count == queue->capacity && !reply_make_room(queue)) {
		log_peer(LOG_SCHEME, "out of memory for answers, waiting for the kernel");
	}
	queue->records[queue->count++] = *record;
}

void reply_push_result(struct reply_queue *queue, uint32_t tag, int64_t result)
{
	/* What would read as the other kind (redox-abi.md 2.4) must not pass. */
	bool lying_value = result >= 0 && (uint32_t)result > UINT32_MAX - REPLY_ERRNO_MAX;

	if (lying_value || result < -REPLY_ERRNO_MAX) {
		log_peer(LOG_SCHEME, "answer %" PRId64 " cannot be expressed, EIO sent", result);
		result = -EIO;
	}
	reply_push(queue,
			&(struct scheme_cqe) {.opcode = SCHEME_CQE_REGULAR,
					.tag = tag,
					.result = (uint64_t)result});
}
