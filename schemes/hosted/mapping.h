/*
 * Memory of this process that can be shared with others: made by redox_mmap_v1, shared and
 * anonymous, or of a descriptor. Each range has a memfd or file behind it. The mappings of schemes
 * among them are cut by munmap and made again for a fork's child.
 */
#ifndef HOSTED_MAPPING_H
#define HOSTED_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer;

/* The part of a scheme's mapping that a range belongs to. */
struct mapping_origin {
	struct peer *peer;
	uint64_t mapping; // its name at the kernel
	uint64_t offset;  // of the range in the scheme's file
	uint32_t flags;   // of MmapPrep
};

/* redox_mmap_v1: an address or a negative errno. */
int64_t mapping_create(void *address, size_t length, uint32_t prot, uint32_t flags, size_t fd,
		uint64_t offset);

/* redox_munmap_v1: 0 or a negative errno. */
int mapping_remove(void *address, size_t length);

/* A descriptor (CLOEXEC, given away) of the memory ADDRESS..+SIZE, and where it lies in it. Returns
 * 0 or -EIO: not all of it is memory that can be shared (redox-run.md 2.5). */
int mapping_export(uintptr_t address, size_t size, bool writable, int *ret_fd,
		uint64_t *ret_file_offset);

/* Whether ADDRESS..+SIZE is memory that a request can show live; *RET_FD is borrowed. */
bool mapping_is_live(uintptr_t address, size_t size, int *ret_fd, uint64_t *ret_file_offset);

/* fork.c: asks the schemes for the child's mappings. Returns 0 or a negative errno, then nothing
 * has been done. */
int mapping_prepare_fork(void);
void mapping_after_fork_parent(void); // also when fork failed
void mapping_after_fork_child(void);

#endif
