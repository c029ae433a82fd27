/* What the kernel holds a number of: roots, control capabilities, and the handles of clients. */
#ifndef SCHEME_HANDLE_H
#define SCHEME_HANDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;

#define HANDLE_OWN_MAX      64u // roots and control capabilities of one scheme
#define HANDLE_DATA_BUCKETS 1024u
#define HANDLE_PID_BUCKETS  256u

enum handle_kind { HANDLE_ROOT, HANDLE_CONTROL, HANDLE_OPEN };

struct handle_owner; // a process that has handles open

struct handle {
	enum handle_kind kind;
	bool registered; // ROOT: its name stands in a namespace
	bool positioned;
	bool map_writable;      // maps may be writable whatever the open's access mode
	uint16_t prefix_length; // of path: "/scheme/NAME/"
	uint64_t id;
	uint64_t control_id; // CONTROL
	void *data;          // OPEN: the daemon's
	uint32_t flags;      // of the open
	uint32_t uid, gid;
	struct handle_owner *owner; // OPEN
	struct handle *data_next;   // of the same bucket in handle_table.by_data
	uint32_t event_mask;        // that somebody waits for
	uint32_t queued_events;     // in the notices of batch queued_batch
	uint64_t queued_batch;
	struct request *parked; // list by request.handle_next
	uint32_t parked_count;
	char path[]; // "/scheme/NAME/PATH", NUL-terminated
};

struct handle_slot {
	struct handle *handle; // NULL: free
	uint32_t generation;
	uint32_t free_next;
};

struct handle_table {
	struct handle_slot *slots; // owned
	uint32_t capacity, free_head;
	uint32_t open_count, own_count;
	struct handle *by_data[HANDLE_DATA_BUCKETS];
	struct handle_owner *owners[HANDLE_PID_BUCKETS];
};

void handle_table_init(struct handle_table *table);

/* All handles must have been removed. */
void handle_table_finish(struct handle_table *table);

/*
 * Makes a handle with a fresh id. PREFIX is "/scheme/NAME/" of PREFIX_LENGTH bytes, PATH what
 * follows (relative to PARENT, which may be NULL). PID pays for it when KIND is HANDLE_OPEN.
 * Returns 0, -ENFILE or -EMFILE (too many handles, or too many of that process), -ENAMETOOLONG or
 * -ENOMEM.
 */
int handle_create(struct handle_table *table, enum handle_kind kind, const struct handle *parent,
		const char *path, uint64_t pid, struct handle **ret_handle);

/* Frees HANDLE and its id; it has no parked requests any more. */
void handle_remove(struct handle_table *table, struct handle *handle);

/* Sets handle.data, by which handle_next_of finds it. Once for each handle; NULL changes nothing.
 */
void handle_set_data(struct handle_table *table, struct handle *handle, void *data);

/* Returns the handle of that id, or NULL. */
struct handle *handle_find(const struct handle_table *table, uint64_t untrusted_id);

/* Walks the handles that have DATA: first with PREVIOUS NULL, until NULL comes back. */
struct handle *handle_next_of(
		const struct handle_table *table, const void *data, const struct handle *previous);

/* Walks all handles by a cursor that starts at 0. Returns NULL at the end. Removing the returned
 * one is allowed. */
struct handle *handle_next(const struct handle_table *table, uint32_t *cursor);

/* Whether the mode that HANDLE was opened with lets its client read, write, or call. */
bool handle_readable(const struct handle *handle);
bool handle_writable(const struct handle *handle);
bool handle_callable(const struct handle *handle);

#endif
