/*
 * Handles live in a table that grows: a client that is killed while it forks leaves its handles
 * behind for ever (redox-run.md 2.4), so there is no fixed array for all, but a limit for each
 * process.
 *
 * An id is slot | generation << HANDLE_SLOT_BITS: an id of a closed handle finds nothing. It stays
 * below 2^31, hence never in the range that the kernel reads as an errno.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "common/limits.h"
#include "schemes/scheme/handle.h"
#include "schemes/scheme/libredox.h"

#define HANDLE_SLOT_BITS      17u
#define HANDLE_GENERATION_MAX ((1u << (31 - HANDLE_SLOT_BITS)) - 1)
#define HANDLE_SLOTS_FIRST    64u
#define HANDLE_SLOT_NONE      UINT32_MAX

static_assert(LIMIT_HANDLES + HANDLE_OWN_MAX <= 1u << HANDLE_SLOT_BITS,
		"ids have room for all slots");

struct handle_owner {
	uint64_t pid;
	uint32_t handles;
	struct handle_owner *next; // of the same bucket
};

void handle_table_init(struct handle_table *table)
{
	*table = (struct handle_table) {.free_head = HANDLE_SLOT_NONE};
}

void handle_table_finish(struct handle_table *table)
{
	assert(!table->open_count && !table->own_count);
	free(table->slots);
	table->slots = NULL;
	table->capacity = 0;
}

static struct handle_owner **owner_find(struct handle_table *table, uint64_t pid)
{
	struct handle_owner **link = &table->owners[pid % HANDLE_PID_BUCKETS];

	while (*link && (*link)->pid != pid) {
		link = &(*link)->next;
	}
	return link;
}

/* Counts one handle more for PID. */
static int owner_charge(struct handle_table *table, uint64_t pid, struct handle_owner **ret_owner)
{
	struct handle_owner **link = owner_find(table, pid);

	if (!*link) {
		*link = calloc(1, sizeof(**link));
		if (!*link) {
			return -ENOMEM;
		}
		(*link)->pid = pid;
	}
	if ((*link)->handles >= LIMIT_HANDLES_PER_PID) {
		return -EMFILE;
	}
	(*link)->handles++;
	*ret_owner = *link;
	return 0;
}

static void owner_release(struct handle_table *table, struct handle_owner *owner)
{
	if (--owner->handles) {
		return;
	}
	struct handle_owner **link = owner_find(table, owner->pid);
	*link = owner->next;
	free(owner);
}

static int table_grow(struct handle_table *table)
{
	uint32_t capacity = table->capacity ? 2 * table->capacity : HANDLE_SLOTS_FIRST;
	struct handle_slot *slots = realloc(table->slots, capacity * sizeof(*slots));

	if (!slots) {
		return -ENOMEM;
	}
	for (uint32_t i = table->capacity; i < capacity; i++) {
		slots[i] = (struct handle_slot) {.free_next = i + 1};
	}
	slots[capacity - 1].free_next = table->free_head;
	table->free_head = table->capacity;
	table->slots = slots;
	table->capacity = capacity;
	return 0;
}

/* Allocates the memory with its path. */
static int handle_allocate(
		const struct handle *parent, const char *path, struct handle **ret_handle)
{
	size_t parent_length = parent ? strlen(parent->path) : 0;
	size_t path_length = strlen(path);
	bool slash = path_length && parent_length && parent->path[parent_length - 1] != '/';

	if (parent && parent_length - parent->prefix_length + slash + path_length > LIMIT_PATH) {
		return -ENAMETOOLONG;
	}
	struct handle *handle =
			calloc(1, sizeof(*handle) + parent_length + slash + path_length + 1);
	if (!handle) {
		return -ENOMEM;
	}
	if (parent) {
		memcpy(handle->path, parent->path, parent_length);
		handle->prefix_length = parent->prefix_length;
	} else {
		handle->prefix_length = (uint16_t)path_length;
	}
	if (slash) {
		handle->path[parent_length] = '/';
	}
	memcpy(handle->path + parent_length + slash, path, path_length);
	*ret_handle = handle;
	return 0;
}

/* Puts HANDLE in a free slot, which gives it its id. */
static void handle_place(struct handle_table *table, struct handle *handle)
{
	uint32_t index = table->free_head;
	struct handle_slot *slot = &table->slots[index];

	table->free_head = slot->free_next;
	slot->generation = slot->generation % HANDLE_GENERATION_MAX + 1;
	slot->handle = handle;
	handle->id = (uint64_t)slot->generation << HANDLE_SLOT_BITS | index;
}

int handle_create(struct handle_table *table, enum handle_kind kind, const struct handle *parent,
		const char *path, uint64_t pid, struct handle **ret_handle)
{
	uint32_t *count = kind == HANDLE_OPEN ? &table->open_count : &table->own_count;
	struct handle *handle;
	int error;

	if (*count >= (kind == HANDLE_OPEN ? LIMIT_HANDLES : HANDLE_OWN_MAX)) {
		return -ENFILE;
	}
	if (table->free_head == HANDLE_SLOT_NONE) {
		error = table_grow(table);
		if (error) {
			return error;
		}
	}
	error = handle_allocate(parent, path, &handle);
	if (error) {
		return error;
	}
	if (kind == HANDLE_OPEN) {
		error = owner_charge(table, pid, &handle->owner);
		if (error) {
			free(handle);
			return error;
		}
	}
	handle->kind = kind;
	handle_place(table, handle);
	(*count)++;
	*ret_handle = handle;
	return 0;
}

static struct handle **data_bucket(const struct handle_table *table, const void *data)
{
	/* Heap addresses: the low bits are always the same. */
	uintptr_t hash = (uintptr_t)data >> 4;

	return (struct handle **)&table->by_data[(hash ^ hash >> 10) % HANDLE_DATA_BUCKETS];
}

void handle_set_data(struct handle_table *table, struct handle *handle, void *data)
{
	struct handle **bucket = data_bucket(table, data);

	if (!data) {
		return;
	}
	handle->data = data;
	handle->data_next = *bucket;
	*bucket = handle;
}

static void handle_forget_data(struct handle_table *table, struct handle *handle)
{
	struct handle **link = data_bucket(table, handle->data);

	while (*link && *link != handle) {
		link = &(*link)->data_next;
	}
	if (*link) {
		*link = handle->data_next;
	}
}

void handle_remove(struct handle_table *table, struct handle *handle)
{
	uint32_t index = (uint32_t)(handle->id & ((1u << HANDLE_SLOT_BITS) - 1));

	assert(!handle->parked);
	if (handle->kind == HANDLE_OPEN) {
		handle_forget_data(table, handle);
		owner_release(table, handle->owner);
		table->open_count--;
	} else {
		table->own_count--;
	}
	table->slots[index].handle = NULL;
	table->slots[index].free_next = table->free_head;
	table->free_head = index;
	free(handle);
}

struct handle *handle_find(const struct handle_table *table, uint64_t untrusted_id)
{
	uint64_t index = untrusted_id & ((1u << HANDLE_SLOT_BITS) - 1);

	if (index >= table->capacity) {
		return NULL;
	}
	struct handle *handle = table->slots[index].handle;
	return handle && handle->id == untrusted_id ? handle : NULL;
}

struct handle *handle_next_of(
		const struct handle_table *table, const void *data, const struct handle *previous)
{
	struct handle *handle = previous ? previous->data_next : *data_bucket(table, data);

	while (handle && handle->data != data) {
		handle = handle->data_next;
	}
	return handle;
}

struct handle *handle_next(const struct handle_table *table, uint32_t *cursor)
{
	while (*cursor < table->capacity) {
		struct handle *handle = table->slots[(*cursor)++].handle;
		if (handle) {
			return handle;
		}
	}
	return NULL;
}

bool handle_readable(const struct handle *handle)
{
	return handle_callable(handle) && handle->flags & REDOX_O_RDONLY;
}

bool handle_writable(const struct handle *handle)
{
	return handle_callable(handle) && handle->flags & REDOX_O_WRONLY;
}

bool handle_callable(const struct handle *handle)
{
	return handle->kind == HANDLE_OPEN && !(handle->flags & REDOX_O_STAT) &&
			handle->flags & REDOX_O_ACCMODE;
}
