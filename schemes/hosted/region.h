/* The table behind mapping.h: ranges of this process' memory that have a file. Private to mapping.c
 * and fork.c. */
#ifndef HOSTED_REGION_H
#define HOSTED_REGION_H

#include "schemes/hosted/mapping.h"

/* A memfd or file, shared by the ranges cut from one mapping. */
struct backing {
	int fd;
	unsigned references;
	bool sealed; // cannot become shorter
};

struct region {
	uintptr_t address;
	size_t size;
	uint64_t file_offset;
	struct backing *backing; // counted
	bool writable;
	struct mapping_origin origin; // peer NULL: not a scheme's
	struct backing *child;        // while a fork is under way: what the child is to map
	uint64_t child_file_offset, child_mapping;
	struct region *next;
};

/* The first of all; guarded by region_lock and region_unlock. */
extern struct region *regions;
void region_lock(void);
void region_unlock(void);

struct backing *backing_create(int fd, bool sealed); // takes FD; NULL when out of memory
void backing_release(struct backing *backing);

/* Unlinks and frees; does not unmap. */
void region_remove(struct region *region);

/* The connection that owns this process' mappings of PEER, made when there is none. */
int region_space(struct peer *peer);

#endif
