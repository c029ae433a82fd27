/*
 * Dumb buffers: memory of the bridge that clients map, and each handle's table of them.
 *
 * A buffer lives while a table, a framebuffer, a commit or a mapping needs it. DESTROY_DUMB takes
 * the number away, but the range stays mappable at its offset until the last munmap, since a
 * client's fork maps it again (redox-run.md 2.5): such a buffer stays in the table as a ghost.
 */
#ifndef DISPLAY_BRIDGE_BUFFER_H
#define DISPLAY_BRIDGE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/limits.h"

#define BUFFER_OFFSET_SHIFT 28u // of the number in the offset for mmap

/* All buffers of the daemon: counts for status, and bytes by pid. Zeroed: empty. */
struct buffer_pool {
	struct buffer_account *accounts;
	uint64_t bytes;
	uint32_t buffers;
};

struct buffer {
	struct buffer_pool *pool;
	struct buffer_account *account;
	uint32_t refs;
	uint32_t width, height, pitch; // px, px, bytes
	size_t bytes;                  // whole pages
	uint8_t *memory;               // clients write to it at any time
};

struct buffer_entry {
	struct buffer *buffer; // NULL: the number is free
	uint64_t mapped_bytes;
	bool ghost; // destroyed, but still mapped
};

/* The buffers of one handle: numbers from 1. Zeroed: empty. */
struct buffer_table {
	struct buffer_entry *entries; // entries[number - 1], owned
	uint32_t size, used;
};

/*
 * Makes a zeroed buffer of 32 bits a pixel with one reference, which the caller owns. Returns 0;
 * -EINVAL for an empty or overflowing size; -ENOMEM above LIMIT_BUFFER_BYTES, above
 * LIMIT_BYTES_PER_PID of PID, or without memory.
 */
int buffer_create(struct buffer_pool *pool, uint64_t pid, uint32_t width, uint32_t height,
		struct buffer **ret_buffer);

struct buffer *buffer_ref(struct buffer *buffer);
void buffer_unref(struct buffer *buffer); // NULL is allowed

/* Gives BUFFER (a reference of its own is taken) a number. Returns 0, -ENOSPC above
 * LIMIT_BUFFERS_PER_HANDLE, -ENOMEM. */
int buffer_table_add(struct buffer_table *table, struct buffer *buffer, uint32_t *ret_number);

/* The buffer of NUMBER, borrowed; NULL when there is none (ghosts included). */
struct buffer *buffer_table_find(const struct buffer_table *table, uint32_t number);

/* DESTROY_DUMB. Returns 0 or -ENOENT. */
int buffer_table_remove(struct buffer_table *table, uint32_t number);

/* Where OFFSET (number << BUFFER_OFFSET_SHIFT, plus bytes) of SIZE lies; counted until unmapped.
 * Returns 0 or -EINVAL. */
int buffer_table_map(
		struct buffer_table *table, uint64_t offset, uint64_t size, void **ret_address);
void buffer_table_unmap(struct buffer_table *table, uint64_t offset, uint64_t size);

/* Drops everything, ghosts too: the handle is closed, so nothing is mapped. */
void buffer_table_finish(struct buffer_table *table);

#endif
