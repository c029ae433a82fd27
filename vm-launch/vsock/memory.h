/*
 * The guest's memory as the front end shares it: at most MEMORY_REGIONS_MAX file ranges, each known
 * by a guest address and by an address of the front end's own process. Every access goes through
 * memory_at/memory_at_user, which answer only for bytes that are mapped. No pointer from here may
 * be kept over memory_set.
 */
#ifndef VSOCK_MEMORY_H
#define VSOCK_MEMORY_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#define MEMORY_REGIONS_MAX 8u

/* A region as the vhost-user message describes it. */
struct memory_region_info {
	uint64_t guest; // address in the guest
	uint64_t bytes;
	uint64_t user;   // address in the front end
	uint64_t offset; // of its first byte in the file
};

struct memory_region {
	uint64_t guest, user, bytes;
	uint8_t *start; // of the region; inside mapping
	uint8_t *mapping;
	size_t mapping_bytes;
};

struct memory {
	struct memory_region regions[MEMORY_REGIONS_MAX];
	uint32_t count;
	volatile sig_atomic_t lost; // a file was cut short: this is not the guest's memory any more
};

/* Starts empty. */
void memory_init(struct memory *memory);

/* Unmaps everything. */
void memory_finish(struct memory *memory);

/*
 * Replaces the whole table. INFO comes from the front end, unchecked; FDS are borrowed. On error
 * the table is empty. Returns 0, -EINVAL (ranges that overflow, overlap or lie beyond the file's
 * end), or the error of mmap.
 */
int memory_set(struct memory *memory, const struct memory_region_info *untrusted_info,
		const int *fds, uint32_t count);

/*
 * Where the guest's bytes [GUEST, GUEST+BYTES) start. *RET_BYTES (at most BYTES, at least 1) says
 * how many of them lie together there; the rest may be in another region. NULL when GUEST is not
 * mapped or BYTES is 0.
 */
void *memory_at(const struct memory *memory, uint64_t untrusted_guest, uint64_t bytes,
		uint64_t *ret_bytes);

/* The front end's bytes [USER, USER+BYTES), all in one region, else NULL. */
void *memory_at_user(const struct memory *memory, uint64_t untrusted_user, uint64_t bytes);

/*
 * Makes a memory file that its owner cuts short harmless: the access that would raise SIGBUS finds
 * zeroes and memory->lost is set. For the whole process, once; at most MEMORY_GUARDED_MAX tables
 * are covered.
 */
#define MEMORY_GUARDED_MAX 4u
int memory_guard(void);

#endif
