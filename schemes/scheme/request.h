/* Requests of clients, while a handler works on them and while they are parked. */
#ifndef SCHEME_REQUEST_H
#define SCHEME_REQUEST_H

#include <stdbool.h>
#include "schemes/scheme/scheme.h"

struct handle;

#define REQUEST_TAG_BUCKETS 1024u

enum request_state {
	REQUEST_FREE,
	REQUEST_RUNNING,  // its handler runs
	REQUEST_ANSWERED, // its handler runs and has answered already
	REQUEST_PARKED,
	REQUEST_LEAVING, // is being taken from the daemon by ops.cancel
};

/* What may be done with the client's buffer (redox-abi.md 2.5). */
enum request_access { REQUEST_GET = 1, REQUEST_PUT = 2 };

struct request {
	struct scheme *scheme;
	struct handle *handle;
	uint8_t *untrusted_buffer; // the client's live memory
	size_t length;
	uint64_t offset, pid;
	int64_t result; // when ANSWERED
	uint32_t tag, uid, gid;
	uint8_t state, access;
	bool broken;          // the handler left the bounds of the buffer: answered EIO
	struct request *next; // of the free list, or of the bucket of its tag
	struct request *handle_next, **handle_link; // in handle.parked
};

struct request_pool {
	struct request *free;
	struct request_chunk *chunks;                // owned
	struct request *by_tag[REQUEST_TAG_BUCKETS]; // parked ones
};

void request_pool_finish(struct request_pool *pool);

/*
 * Takes a request for the record SQE on HANDLE, whose buffer is args[1], args[2]. Returns NULL when
 * out of memory.
 */
struct request *request_begin(struct scheme *scheme, struct handle *handle,
		const struct scheme_sqe *sqe, uint8_t access);

/*
 * The handler of REQUEST returned RESULT. Returns what is to be answered now (the request is gone
 * then), or SCHEME_PARK.
 */
int64_t request_end(struct request *request, int64_t result);

/* Returns the parked request of that tag, or NULL. */
struct request *request_find(const struct request_pool *pool, uint32_t tag);

/* Takes a parked request from the daemon and answers it with RESULT. */
void request_cancel(struct request *request, int64_t result);

/* request_cancel for all of HANDLE. */
void request_cancel_all(struct handle *handle, int64_t result);

#endif
