/*
 * Dumb buffers. Invariant: a pool's bytes and each account's bytes are those of the buffers alive;
 * an account lives as long as its buffers. The memory of a buffer never moves or shrinks: streams
 * of pixels read from it (present.c) while clients write.
 */
#include "schemes/display-bridge/buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "schemes/scheme/scheme.h"

#define PAGE_BYTES      4096u
#define BYTES_PER_PIXEL 4u
#define TABLE_STEP      16u
#define OFFSET_MASK     ((1ull << BUFFER_OFFSET_SHIFT) - 1)

static_assert(LIMIT_BUFFER_BYTES <= 1ull << BUFFER_OFFSET_SHIFT, "an offset reaches every byte");

/* What one process has allocated. */
struct buffer_account {
	struct buffer_account *next;
	uint64_t pid;
	uint64_t bytes;
	uint32_t buffers;
};

static struct buffer_account *account_find(struct buffer_pool *pool, uint64_t pid)
{
	struct buffer_account *account = pool->accounts;
	while (account != NULL && account->pid != pid) {
		account = account->next;
	}
	return account;
}

/* Counts BYTES for PID, or refuses. */
static int account_charge(struct buffer_pool *pool, uint64_t pid, size_t bytes,
		struct buffer_account **ret_account)
{
	struct buffer_account *account = account_find(pool, pid);
	if (account == NULL) {
		account = calloc(1, sizeof(*account));
		if (account == NULL) {
			return -ENOMEM;
		}
		account->pid = pid;
		account->next = pool->accounts;
		pool->accounts = account;
	} else if (account->bytes + bytes > LIMIT_BYTES_PER_PID) {
		return -ENOMEM;
	}
	account->bytes += bytes;
	account->buffers++;
	pool->bytes += bytes;
	pool->buffers++;
	*ret_account = account;
	return 0;
}

static void account_release(struct buffer_pool *pool, struct buffer_account *account, size_t bytes)
{
	pool->bytes -= bytes;
	pool->buffers--;
	account->bytes -= bytes;
	if (--account->buffers > 0) {
		return;
	}
	struct buffer_account **at = &pool->accounts;
	while (*at != account) {
		at = &(*at)->next;
	}
	*at = account->next;
	free(account);
}

int buffer_create(struct buffer_pool *pool, uint64_t pid, uint32_t width, uint32_t height,
		struct buffer **ret_buffer)
{
	if (width == 0 || height == 0 || width > UINT32_MAX / BYTES_PER_PIXEL ||
			height > UINT32_MAX / (width * BYTES_PER_PIXEL)) {
		return -EINVAL;
	}
	uint64_t bytes = (uint64_t)width * BYTES_PER_PIXEL * height;
	bytes = (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	if (bytes > LIMIT_BUFFER_BYTES) {
		return -ENOMEM;
	}
	struct buffer *buffer = calloc(1, sizeof(*buffer));
	if (buffer == NULL) {
		return -ENOMEM;
	}
	int error = account_charge(pool, pid, (size_t)bytes, &buffer->account);
	if (error != 0) {
		free(buffer);
		return error;
	}
	void *memory;
	error = scheme_memory_create((size_t)bytes, &memory);
	if (error != 0) {
		account_release(pool, buffer->account, (size_t)bytes);
		free(buffer);
		return error;
	}
	buffer->pool = pool;
	buffer->refs = 1;
	buffer->width = width;
	buffer->height = height;
	buffer->pitch = width * BYTES_PER_PIXEL;
	buffer->bytes = (size_t)bytes;
	buffer->memory = memory;
	*ret_buffer = buffer;
	return 0;
}

struct buffer *buffer_ref(struct buffer *buffer)
{
	buffer->refs++;
	return buffer;
}

void buffer_unref(struct buffer *buffer)
{
	if (buffer == NULL || --buffer->refs > 0) {
		return;
	}
	scheme_memory_destroy(buffer->memory, buffer->bytes);
	account_release(buffer->pool, buffer->account, buffer->bytes);
	free(buffer);
}

static int table_grow(struct buffer_table *table)
{
	if (table->size >= LIMIT_BUFFERS_PER_HANDLE) {
		return -ENOSPC;
	}
	uint32_t size = table->size + TABLE_STEP;
	struct buffer_entry *entries = realloc(table->entries, size * sizeof(entries[0]));
	if (entries == NULL) {
		return -ENOMEM;
	}
	for (uint32_t i = table->size; i < size; i++) {
		entries[i] = (struct buffer_entry) {0};
	}
	table->entries = entries;
	table->size = size;
	return 0;
}

int buffer_table_add(struct buffer_table *table, struct buffer *buffer, uint32_t *ret_number)
{
	uint32_t i = 0;
	while (i < table->size && table->entries[i].buffer != NULL) {
		i++;
	}
	if (i == table->size) {
		int error = table_grow(table);
		if (error != 0) {
			return error;
		}
	}
	table->entries[i] = (struct buffer_entry) {.buffer = buffer_ref(buffer)};
	table->used++;
	*ret_number = i + 1;
	return 0;
}

static struct buffer_entry *entry_at(const struct buffer_table *table, uint64_t number)
{
	if (number == 0 || number > table->size || table->entries[number - 1].buffer == NULL) {
		return NULL;
	}
	return &table->entries[number - 1];
}

static void entry_free(struct buffer_table *table, struct buffer_entry *entry)
{
	struct buffer *buffer = entry->buffer;
	*entry = (struct buffer_entry) {0};
	table->used--;
	buffer_unref(buffer);
}

struct buffer *buffer_table_find(const struct buffer_table *table, uint32_t number)
{
	const struct buffer_entry *entry = entry_at(table, number);
	return entry != NULL && !entry->ghost ? entry->buffer : NULL;
}

int buffer_table_remove(struct buffer_table *table, uint32_t number)
{
	struct buffer_entry *entry = entry_at(table, number);
	if (entry == NULL || entry->ghost) {
		return -ENOENT;
	}
	if (entry->mapped_bytes > 0) {
		entry->ghost = true;
	} else {
		entry_free(table, entry);
	}
	return 0;
}

int buffer_table_map(struct buffer_table *table, uint64_t offset, uint64_t size, void **ret_address)
{
	struct buffer_entry *entry = entry_at(table, offset >> BUFFER_OFFSET_SHIFT);
	uint64_t start = offset & OFFSET_MASK;
	if (entry == NULL || size == 0 || start % PAGE_BYTES != 0 || start > entry->buffer->bytes ||
			size > entry->buffer->bytes - start) {
		return -EINVAL;
	}
	entry->mapped_bytes += size;
	*ret_address = entry->buffer->memory + start;
	return 0;
}

void buffer_table_unmap(struct buffer_table *table, uint64_t offset, uint64_t size)
{
	struct buffer_entry *entry = entry_at(table, offset >> BUFFER_OFFSET_SHIFT);
	if (entry == NULL) {
		return;
	}
	entry->mapped_bytes -= size < entry->mapped_bytes ? size : entry->mapped_bytes;
	if (entry->ghost && entry->mapped_bytes == 0) {
		entry_free(table, entry);
	}
}

void buffer_table_finish(struct buffer_table *table)
{
	for (uint32_t i = 0; i < table->size; i++) {
		if (table->entries[i].buffer != NULL) {
			entry_free(table, &table->entries[i]);
		}
	}
	free(table->entries);
	*table = (struct buffer_table) {0};
}
