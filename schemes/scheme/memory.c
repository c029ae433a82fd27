/*
 * Memory that clients map. What is refused here can hang a client or panic the kernel there: a
 * private writable mapping sends RequestMmap at its first write, which nobody can answer
 * (redox-run.md 2.5). A client's fork maps everything again, so a refusal must not depend on
 * anything that changes while a mapping lives.
 */
#include <errno.h>
#include "common/log.h"
#include "schemes/scheme/dispatch.h"
#include "schemes/scheme/libredox.h"

static int memory_check(const struct handle *handle, const struct scheme_sqe *sqe)
{
	uint64_t size = sqe->args[SCHEME_ARG_MAP_SIZE];
	uint64_t flags = sqe->args[SCHEME_ARG_MAP_FLAGS];
	uint64_t offset = sqe->args[SCHEME_ARG_MAP_OFFSET];
	uint64_t sharing = flags & (SCHEME_MAP_SHARED | SCHEME_MAP_PRIVATE);

	if (!size || size % SCHEME_PAGE_BYTES || offset % SCHEME_PAGE_BYTES ||
			offset > UINT64_MAX - size) {
		return -EINVAL;
	}
	if (sharing != SCHEME_MAP_SHARED && sharing != SCHEME_MAP_PRIVATE) {
		return -EINVAL;
	}
	if (sharing == SCHEME_MAP_PRIVATE && flags & SCHEME_PROT_WRITE) {
		return -EINVAL;
	}
	bool writable = handle_writable(handle) || handle->map_writable;
	if (!handle_readable(handle) || (flags & SCHEME_PROT_WRITE && !writable)) {
		return -EACCES;
	}
	return 0;
}

int64_t memory_map(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe)
{
	void *address = NULL;

	if (!scheme->ops->mmap) {
		return -EOPNOTSUPP;
	}
	int error = memory_check(handle, sqe);
	if (error) {
		return error;
	}
	error = scheme->ops->mmap(scheme->data, handle->data, sqe->args[SCHEME_ARG_MAP_OFFSET],
			sqe->args[SCHEME_ARG_MAP_SIZE], (uint32_t)sqe->args[SCHEME_ARG_MAP_FLAGS],
			&address);
	if (error) {
		return error;
	}
	if (!address || (uintptr_t)address % SCHEME_PAGE_BYTES) {
		log_peer(LOG_SCHEME, "a handler gave a bad address for a mapping");
		return -EIO;
	}
	return (int64_t)(uintptr_t)address;
}

int64_t memory_unmap(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe)
{
	if (scheme->ops->munmap) {
		scheme->ops->munmap(scheme->data, handle->data, sqe->args[SCHEME_ARG_MAP_OFFSET],
				sqe->args[SCHEME_ARG_MAP_SIZE]);
	}
	return 0;
}

static size_t memory_round(size_t size)
{
	return (size + SCHEME_PAGE_BYTES - 1) & ~(size_t)(SCHEME_PAGE_BYTES - 1);
}

int scheme_memory_create(size_t size, void **ret_memory)
{
	if (!size || size > SIZE_MAX - SCHEME_PAGE_BYTES) {
		return -EINVAL;
	}
	size_t result = redox_mmap_v1(NULL, memory_round(size), REDOX_PROT_READ | REDOX_PROT_WRITE,
			REDOX_MAP_SHARED | REDOX_MAP_ANON, SIZE_MAX, 0);
	if (redox_failed(result)) {
		return -redox_errno(result);
	}
	*ret_memory = (void *)result;
	return 0;
}

void scheme_memory_destroy(void *memory, size_t size)
{
	if (memory) {
		redox_munmap_v1(memory, memory_round(size));
	}
}
