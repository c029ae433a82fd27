/*
 * Request objects are recycled: serving one costs no allocation. Each is answered exactly once; an
 * answer that comes when none is due (a bug of the daemon above) is logged and ignored, so that it
 * cannot hit another client's request. The objects live as long as the scheme.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "common/limits.h"
#include "common/log.h"
#include "schemes/scheme/handle.h"
#include "schemes/scheme/request.h"
#include "schemes/scheme/scheme_private.h"

#define REQUEST_CHUNK 64

struct request_chunk {
	struct request_chunk *next;
	struct request requests[REQUEST_CHUNK];
};

void request_pool_finish(struct request_pool *pool)
{
	while (pool->chunks) {
		struct request_chunk *next = pool->chunks->next;
		free(pool->chunks);
		pool->chunks = next;
	}
	pool->free = NULL;
}

static bool pool_grow(struct request_pool *pool)
{
	struct request_chunk *chunk = calloc(1, sizeof(*chunk));

	if (!chunk) {
		return false;
	}
	chunk->next = pool->chunks;
	pool->chunks = chunk;
	for (int i = 0; i < REQUEST_CHUNK; i++) {
		chunk->requests[i].next = pool->free;
		pool->free = &chunk->requests[i];
	}
	return true;
}

struct request *request_begin(struct scheme *scheme, struct handle *handle,
		const struct scheme_sqe *sqe, uint8_t access)
{
	struct request_pool *pool = &scheme->requests;

	if (!pool->free && !pool_grow(pool)) {
		return NULL;
	}
	struct request *request = pool->free;
	pool->free = request->next;
	*request = (struct request) {
			.scheme = scheme,
			.handle = handle,
			.untrusted_buffer = (uint8_t *)(uintptr_t)sqe->args[SCHEME_ARG_BUFFER],
			.length = sqe->args[SCHEME_ARG_LENGTH],
			.offset = UINT64_MAX,
			.pid = sqe->caller,
			.tag = sqe->tag,
			.uid = UINT32_MAX,
			.gid = UINT32_MAX,
			.state = REQUEST_RUNNING,
			.access = access,
	};
	return request;
}

static void request_free(struct request *request)
{
	struct request_pool *pool = &request->scheme->requests;

	request->state = REQUEST_FREE;
	request->next = pool->free;
	pool->free = request;
}

/* Lets the daemon forget REQUEST. */
static void request_take_back(struct request *request)
{
	const struct scheme *scheme = request->scheme;

	request->state = REQUEST_LEAVING;
	if (scheme->ops->cancel) {
		scheme->ops->cancel(scheme->data, request->handle->data, request);
	}
}

static void request_link(struct request *request)
{
	struct request **bucket =
			&request->scheme->requests.by_tag[request->tag % REQUEST_TAG_BUCKETS];
	struct handle *handle = request->handle;

	request->state = REQUEST_PARKED;
	request->next = *bucket;
	*bucket = request;
	request->handle_next = handle->parked;
	request->handle_link = &handle->parked;
	if (handle->parked) {
		handle->parked->handle_link = &request->handle_next;
	}
	handle->parked = request;
	handle->parked_count++;
}

static void request_unlink(struct request *request)
{
	struct request **link =
			&request->scheme->requests.by_tag[request->tag % REQUEST_TAG_BUCKETS];

	while (*link != request) {
		link = &(*link)->next;
	}
	*link = request->next;
	*request->handle_link = request->handle_next;
	if (request->handle_next) {
		request->handle_next->handle_link = request->handle_link;
	}
	request->handle->parked_count--;
}

/* A handler wants to keep REQUEST. Returns SCHEME_PARK, or the errno of the refusal. */
static int64_t request_park(struct request *request)
{
	int64_t refusal;

	if (!request->scheme->ops->cancel) {
		log_peer(LOG_SCHEME, "a request was parked without ops.cancel");
		refusal = -EIO;
	} else if (request->broken) {
		refusal = -EIO;
	} else if (request->handle->parked_count >= LIMIT_PARKED_PER_HANDLE) {
		log_peer(LOG_SCHEME, "process %" PRIu64 " has too many requests waiting",
				request->pid);
		refusal = -EAGAIN;
	} else {
		request_link(request);
		return SCHEME_PARK;
	}
	request_take_back(request);
	return refusal;
}

int64_t request_end(struct request *request, int64_t result)
{
	if (request->state == REQUEST_ANSWERED) {
		if (result != SCHEME_PARK) {
			log_peer(LOG_SCHEME, "a handler answered twice; the first answer counts");
		}
		result = request->result;
	} else if (result == SCHEME_PARK) {
		result = request_park(request);
		if (result == SCHEME_PARK) {
			return SCHEME_PARK;
		}
	}
	if (request->broken) {
		result = -EIO;
	}
	request_free(request);
	return result;
}

struct request *request_find(const struct request_pool *pool, uint32_t tag)
{
	struct request *request = pool->by_tag[tag % REQUEST_TAG_BUCKETS];

	while (request && request->tag != tag) {
		request = request->next;
	}
	return request;
}

void request_cancel(struct request *request, int64_t result)
{
	request_unlink(request);
	request_take_back(request);
	reply_push_result(&request->scheme->replies, request->tag, result);
	request_free(request);
}

void request_cancel_all(struct handle *handle, int64_t result)
{
	while (handle->parked) {
		request_cancel(handle->parked, result);
	}
}

void request_answer(struct request *request, int64_t result)
{
	switch (request->state) {
	case REQUEST_RUNNING:
		request->result = result;
		request->state = REQUEST_ANSWERED;
		return;
	case REQUEST_PARKED:
		request_unlink(request);
		reply_push_result(&request->scheme->replies, request->tag,
				request->broken ? -EIO : result);
		request_free(request);
		return;
	default:
		log_peer(LOG_SCHEME, "an answer for a request that was answered before");
	}
}

/* Whether the handler may touch this range; if not, its request is answered EIO. */
static bool request_check(
		const struct request *request, size_t offset, size_t length, uint8_t access)
{
	return request->state != REQUEST_FREE && request->access & access &&
			offset <= request->length && length <= request->length - offset;
}

/* The daemon's view of a request is const while it only reads; the request is ours. */
static void request_break(const struct request *request, size_t offset, size_t length)
{
	log_peer(LOG_SCHEME, "a handler left the client's buffer: %zu bytes at %zu of %zu", length,
			offset, request->length);
	((struct request *)request)->broken = true;
}

void request_get(const struct request *request, size_t offset, void *destination, size_t length)
{
	if (!length) {
		return;
	}
	if (!request_check(request, offset, length, REQUEST_GET)) {
		memset(destination, 0, length);
		request_break(request, offset, length);
		return;
	}
	memcpy(destination, request->untrusted_buffer + offset, length);
}

void request_put(struct request *request, size_t offset, const void *source, size_t length)
{
	if (!length) {
		return;
	}
	if (!request_check(request, offset, length, REQUEST_PUT)) {
		request_break(request, offset, length);
		return;
	}
	memcpy(request->untrusted_buffer + offset, source, length);
}

size_t request_length(const struct request *request)
{
	return request->length;
}

uint64_t request_offset(const struct request *request)
{
	return request->offset;
}

uint64_t request_pid(const struct request *request)
{
	return request->pid;
}

uint32_t request_uid(const struct request *request)
{
	return request->uid;
}
