/* The answers on their way to the kernel. */
#ifndef SCHEME_REPLY_H
#define SCHEME_REPLY_H

#include <stddef.h>
#include <stdint.h>
#include "schemes/scheme/wire.h"

#define REPLY_BATCH 128u // records of one write

struct reply_queue {
	size_t socket;  // borrowed
	uint64_t batch; // counts the writes, so that a notice can tell whether it is still queued
	struct scheme_cqe *records; // owned, capacity long
	uint32_t count, capacity;
};

/* Returns 0 or -ENOMEM. */
int reply_init(struct reply_queue *queue, size_t socket);
void reply_finish(struct reply_queue *queue);

/* Queues one record; a full batch is written. Never fails: when memory is out it waits for room. */
void reply_push(struct reply_queue *queue, const struct scheme_cqe *record);

/* As reply_push, for the ordinary answer: a value or a negative errno. */
void reply_push_result(struct reply_queue *queue, uint32_t tag, int64_t result);

/*
 * Writes what is queued. A record that the kernel refuses is dropped and logged. Returns 0, or
 * -EAGAIN when the kernel takes no more now.
 */
int reply_flush(struct reply_queue *queue);

#endif
