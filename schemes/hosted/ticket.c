/*
 * Requests under way, in a slab whose free places are used last in, first out, so that a tag comes
 * back at once: a daemon that answers a tag late answers somebody else's request (redox-run.md
 * 2.4).
 *
 * A client's buffer lies at the same offset in its page as in the client; whole pages in the middle
 * may be the client's own memory (redox-abi.md 2.5).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "schemes/hosted/kernel.h"

#define TICKET_NONE  UINT32_MAX
#define TICKET_FIRST 64u

static int ticket_grow(struct kernel *kernel)
{
	uint32_t count = kernel->ticket_count ? 2 * kernel->ticket_count : TICKET_FIRST;
	struct ticket **tickets = realloc(kernel->tickets, count * sizeof(*tickets));

	if (!tickets) {
		return -ENOMEM;
	}
	kernel->tickets = tickets;
	struct ticket *fresh = calloc(count - kernel->ticket_count, sizeof(*fresh));
	if (!fresh) {
		return -ENOMEM;
	}
	for (uint32_t tag = count; tag-- > kernel->ticket_count;) {
		struct ticket *ticket = &fresh[tag - kernel->ticket_count];
		ticket->tag = tag;
		ticket->next_free = kernel->ticket_free;
		kernel->ticket_free = tag;
		tickets[tag] = ticket;
	}
	kernel->ticket_count = count;
	return 0;
}

struct ticket *ticket_take(struct kernel *kernel)
{
	if (kernel->ticket_free == TICKET_NONE && ticket_grow(kernel)) {
		return NULL;
	}
	struct ticket *ticket = kernel->tickets[kernel->ticket_free];
	kernel->ticket_free = ticket->next_free;
	ticket->used = true;
	return ticket;
}

static void ticket_unmap(struct ticket *ticket)
{
	if (ticket->map) {
		munmap(ticket->map, ticket->map_bytes);
	}
	ticket->map = NULL;
}

void ticket_free(struct kernel *kernel, struct ticket *ticket)
{
	uint32_t tag = ticket->tag;
	uint8_t *pages = ticket->pages;
	size_t pages_bytes = ticket->pages_bytes;

	ticket_unmap(ticket);
	for (size_t i = 0; i < ticket->fd_count; i++) {
		close(ticket->fds[i]);
	}
	if (ticket->connection) {
		ticket->connection->ticket = NULL;
	}
	if (ticket->counted) {
		description_release(kernel, ticket->description);
	}
	memset(ticket, 0, offsetof(struct ticket, fds));
	ticket->fd_count = 0;
	ticket->tag = tag;
	ticket->pages = pages;
	ticket->pages_bytes = pages_bytes;
	ticket->next_free = kernel->ticket_free;
	kernel->ticket_free = tag;
}

struct ticket *ticket_find(struct kernel *kernel, uint32_t tag, int *ret_errno)
{
	if (tag >= kernel->ticket_count) {
		*ret_errno = EBADFD;
		return NULL;
	}
	if (!kernel->tickets[tag]->used) {
		*ret_errno = EINVAL;
		return NULL;
	}
	return kernel->tickets[tag];
}

static int ticket_keep_pages(struct ticket *ticket, size_t bytes)
{
	if (bytes <= ticket->pages_bytes) {
		return 0;
	}
	size_t rounded = MESSAGE_PAGE_BYTES;
	while (rounded < bytes) {
		rounded *= 2;
	}
	void *pages = mmap(
			NULL, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED) {
		return -ENOMEM;
	}
	if (ticket->pages) {
		munmap(ticket->pages, ticket->pages_bytes);
	}
	ticket->pages = pages;
	ticket->pages_bytes = rounded;
	return 0;
}

static int ticket_copy_inline(
		struct ticket *ticket, size_t shift, const uint8_t *bytes, size_t size)
{
	bool comes = ticket->access & MESSAGE_IN;

	if (ticket->length > MESSAGE_INLINE_MAX || size != (comes ? ticket->length : 0)) {
		return -EPROTO;
	}
	int error = ticket_keep_pages(ticket, shift + ticket->length);
	if (error) {
		return error;
	}
	ticket->data = ticket->pages + shift;
	if (comes) {
		memcpy(ticket->data, bytes, size);
	} else {
		memset(ticket->data, 0, ticket->length);
	}
	return 0;
}

/* A client that shortens a file which we have mapped would kill us: it must be sealed. */
static bool ticket_file_ok(int fd, uint64_t offset, uint64_t size)
{
	struct stat status;
	int seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);

	return seals >= 0 && seals & F_SEAL_SHRINK && fstat(fd, &status) == 0 &&
			offset % MESSAGE_PAGE_BYTES == 0 && (uint64_t)status.st_size >= size &&
			offset <= (uint64_t)status.st_size - size;
}

static size_t ticket_round(size_t size)
{
	return (size + MESSAGE_PAGE_BYTES - 1) & ~(size_t)(MESSAGE_PAGE_BYTES - 1);
}

static int ticket_map_copy(struct ticket *ticket, size_t shift, int fd)
{
	size_t bytes = ticket_round(shift + ticket->length);

	if (ticket->length > SIZE_MAX / 2 || !ticket_file_ok(fd, 0, bytes)) {
		return -EPROTO;
	}
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		return -ENOMEM;
	}
	ticket->map = map;
	ticket->map_bytes = bytes;
	ticket->data = ticket->map + shift;
	return 0;
}

static int ticket_map_live(struct ticket *ticket, const struct message *message,
		const uint8_t *bytes, size_t size, int fd)
{
	size_t shift = message->address % MESSAGE_PAGE_BYTES;
	struct message_pages pages = message_pages(message->address, ticket->length);
	size_t total = ticket_round(shift + ticket->length);
	int protection = ticket->access & MESSAGE_OUT ? PROT_READ | PROT_WRITE : PROT_READ;

	if (ticket->length > SIZE_MAX / 2 || !pages.middle || size != pages.head + pages.tail ||
			!ticket_file_ok(fd, message->file_offset, pages.middle)) {
		return -EPROTO;
	}
	void *map = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED) {
		return -ENOMEM;
	}
	ticket->map = map;
	ticket->map_bytes = total;
	ticket->data = ticket->map + shift;
	if (mmap(ticket->data + pages.head, pages.middle, protection, MAP_SHARED | MAP_FIXED, fd,
			    (off_t)message->file_offset) == MAP_FAILED) {
		return -errno;
	}
	memcpy(ticket->data, bytes, pages.head);
	memcpy(ticket->data + pages.head + pages.middle, bytes + pages.head, pages.tail);
	return 0;
}

int ticket_map_buffer(struct ticket *ticket, const struct message *message, const uint8_t *bytes,
		size_t size, int fd)
{
	size_t shift = message->address % MESSAGE_PAGE_BYTES;

	ticket->length = message->length;
	ticket->buffer = message->buffer;
	if (!ticket->length) {
		ticket->data = (uint8_t *)(uintptr_t)MESSAGE_ZERO_LENGTH;
		ticket->buffer = MESSAGE_NO_BUFFER;
		return size ? -EPROTO : 0;
	}
	switch (message->buffer) {
	case MESSAGE_INLINE:
		return ticket_copy_inline(ticket, shift, bytes, size);
	case MESSAGE_COPY:
		return ticket_map_copy(ticket, shift, fd);
	case MESSAGE_LIVE:
		return ticket_map_live(ticket, message, bytes, size, fd);
	default:
		return -EPROTO;
	}
}
