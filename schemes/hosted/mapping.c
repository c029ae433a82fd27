/*
 * redox_mmap_v1 and redox_munmap_v1. All shared memory has a file behind it, so that a daemon's
 * memory can go to its clients (redox-abi.md 2.5).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "schemes/hosted/call.h"
#include "schemes/hosted/descriptor.h"
#include "schemes/hosted/peer.h"
#include "schemes/hosted/region.h"
#include "schemes/hosted/wait.h"
#include "schemes/scheme/libredox.h"
#include "schemes/scheme/wire.h"

struct region *regions;
static pthread_mutex_t regions_lock = PTHREAD_MUTEX_INITIALIZER;

void region_lock(void)
{
	pthread_mutex_lock(&regions_lock);
}

void region_unlock(void)
{
	pthread_mutex_unlock(&regions_lock);
}

struct backing *backing_create(int fd, bool sealed)
{
	struct backing *backing = calloc(1, sizeof(*backing));

	if (!backing) {
		close(fd);
		return NULL;
	}
	*backing = (struct backing) {.fd = fd, .references = 1, .sealed = sealed};
	return backing;
}

void backing_release(struct backing *backing)
{
	if (backing && !--backing->references) {
		close(backing->fd);
		free(backing);
	}
}

void region_remove(struct region *region)
{
	struct region **link = &regions;

	while (*link != region) {
		link = &(*link)->next;
	}
	*link = region->next;
	backing_release(region->backing);
	free(region);
}

static int region_add(const struct region *like)
{
	struct region *region = malloc(sizeof(*region));

	if (!region) {
		return -ENOMEM;
	}
	*region = *like;
	region->backing->references++;
	region->next = regions;
	regions = region;
	return 0;
}

/* The range that has all of ADDRESS..+SIZE, or NULL. */
static const struct region *region_find(uintptr_t address, size_t size)
{
	for (const struct region *region = regions; region; region = region->next) {
		if (address >= region->address && address - region->address <= region->size &&
				size <= region->size - (address - region->address)) {
			return region;
		}
	}
	return NULL;
}

bool mapping_is_live(uintptr_t address, size_t size, int *ret_fd, uint64_t *ret_file_offset)
{
	region_lock();
	const struct region *region = region_find(address, size);
	bool live = region && region->backing->sealed && region->writable;
	if (live) {
		*ret_fd = region->backing->fd;
		*ret_file_offset = region->file_offset + (address - region->address);
	}
	region_unlock();
	return live;
}

int mapping_export(uintptr_t address, size_t size, bool writable, int *ret_fd,
		uint64_t *ret_file_offset)
{
	char path[64];
	int fd = -1;

	region_lock();
	const struct region *region = region_find(address, size);
	if (region && (region->writable || !writable)) {
		/* Read-only for who may only read: mprotect then says EACCES (redox-run.md 2.5). */
		snprintf(path, sizeof(path), "/proc/self/fd/%d", region->backing->fd);
		fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
		*ret_file_offset = region->file_offset + (address - region->address);
	}
	region_unlock();
	if (fd < 0) {
		return -EIO;
	}
	*ret_fd = fd;
	return 0;
}

static int mapping_protection(uint32_t prot)
{
	return (prot & REDOX_PROT_READ ? PROT_READ : 0) |
			(prot & REDOX_PROT_WRITE ? PROT_WRITE : 0) |
			(prot & REDOX_PROT_EXEC ? PROT_EXEC : 0);
}

static size_t mapping_round(size_t length)
{
	return (length + MESSAGE_PAGE_BYTES - 1) & ~(size_t)(MESSAGE_PAGE_BYTES - 1);
}

/* Maps and remembers; takes FD. */
static int64_t mapping_place(void *address, size_t size, uint32_t prot, uint32_t flags, int fd,
		uint64_t file_offset, bool sealed, const struct mapping_origin *origin)
{
	struct backing *backing = backing_create(fd, sealed);
	if (!backing) {
		return -ENOMEM;
	}
	int linux_flags = MAP_SHARED | (flags & REDOX_MAP_FIXED ? MAP_FIXED : 0);
	void *memory = mmap(address, size, mapping_protection(prot), linux_flags, fd,
			(off_t)file_offset);
	if (memory == MAP_FAILED) {
		int error = -errno;
		backing_release(backing);
		return error;
	}
	struct region region = {
			.address = (uintptr_t)memory,
			.size = size,
			.file_offset = file_offset,
			.backing = backing,
			.writable = prot & REDOX_PROT_WRITE,
	};
	if (origin) {
		region.origin = *origin;
		/* Fork drops it; the child asks again (redox-run.md 2.5). */
		madvise(memory, size, MADV_DONTFORK);
	}
	region_lock();
	int error = region_add(&region);
	backing_release(backing);
	region_unlock();
	if (error) {
		munmap(memory, size);
		return error;
	}
	return (int64_t)(uintptr_t)memory;
}

static int64_t mapping_anonymous(void *address, size_t size, uint32_t prot, uint32_t flags)
{
	if (!(flags & REDOX_MAP_SHARED)) {
		int linux_flags = MAP_PRIVATE | MAP_ANONYMOUS |
				(flags & REDOX_MAP_FIXED ? MAP_FIXED : 0);
		void *memory = mmap(address, size, mapping_protection(prot), linux_flags, -1, 0);
		return memory == MAP_FAILED ? -errno : (int64_t)(uintptr_t)memory;
	}
	int fd = memfd_create("redox-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) {
		return -errno;
	}
	if (ftruncate(fd, (off_t)size) < 0 ||
			fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0) {
		close(fd);
		return -ENOMEM;
	}
	return mapping_place(address, size, prot, flags, fd, 0, true, NULL);
}

static int64_t mapping_file(
		void *address, size_t size, uint32_t prot, uint32_t flags, int fd, uint64_t offset)
{
	if (!(flags & REDOX_MAP_SHARED)) {
		int linux_flags = MAP_PRIVATE | (flags & REDOX_MAP_FIXED ? MAP_FIXED : 0);
		void *memory = mmap(address, size, mapping_protection(prot), linux_flags, fd,
				(off_t)offset);
		return memory == MAP_FAILED ? -errno : (int64_t)(uintptr_t)memory;
	}
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0) {
		return -errno;
	}
	int seals = fcntl(copy, F_GET_SEALS);
	return mapping_place(address, size, prot, flags, copy, offset,
			seals >= 0 && seals & F_SEAL_SHRINK, NULL);
}

int region_space(struct peer *peer)
{
	if (peer->space < 0) {
		peer->space = registry_connect(peer->socket);
		if (peer->space >= 0) {
			wait_prepare(peer->space);
		}
	}
	return peer->space;
}

static int64_t mapping_request(struct peer *peer, struct call *call, int change)
{
	static _Atomic uint64_t serial;
	bool restart;
	int64_t result;

	pthread_mutex_lock(&peer->space_lock);
	int space = region_space(peer);
	do {
		result = space < 0 ? space
				   : call_over(space, MESSAGE_REQUEST, ++serial, 0, call, &restart);
	} while (result == -EINTR && restart);
	if (result >= 0 || change < 0) {
		peer->mappings += (uint32_t)change;
	}
	if (!peer->mappings || result == -ENODEV) {
		if (peer->space >= 0) {
			close(peer->space);
		}
		peer->space = -1;
	}
	pthread_mutex_unlock(&peer->space_lock);
	return result;
}

static void mapping_unmap_request(
		const struct mapping_origin *origin, uint64_t offset, size_t size, int change)
{
	struct call call = {
			.opcode = SCHEME_OP_MUNMAP,
			.mapping = origin->mapping,
			.args = {size, 0, offset},
	};

	/* A dead daemon is not asked; the memory goes all the same (redox-run.md 2.4). */
	mapping_request(origin->peer, &call, change);
}

static int64_t mapping_scheme(void *address, size_t size, uint32_t prot, uint32_t flags,
		struct peer *peer, uint64_t inode, uint64_t offset)
{
	uint32_t wire = (prot & REDOX_PROT_READ ? SCHEME_PROT_READ : 0) |
			(prot & REDOX_PROT_WRITE ? SCHEME_PROT_WRITE : 0) |
			(prot & REDOX_PROT_EXEC ? SCHEME_PROT_EXEC : 0) |
			(flags & (REDOX_MAP_SHARED | REDOX_MAP_PRIVATE | REDOX_MAP_FIXED));
	struct call call = {.opcode = SCHEME_OP_MMAP_PREP,
			.inode = inode,
			.args = {size, wire, offset}};

	int64_t result = mapping_request(peer, &call, 1);
	if (result < 0) {
		return result;
	}
	struct mapping_origin origin = {
			.peer = peer, .mapping = call.new_mapping, .offset = offset, .flags = wire};
	/* A private one can only be read and stays coherent (redox-run.md 2.5). */
	result = mapping_place(address, size, prot, flags, call.got_fds[0], call.file_offset, false,
			&origin);
	if (result < 0) {
		mapping_unmap_request(&origin, offset, size, -1);
	}
	return result;
}

int64_t mapping_create(void *address, size_t length, uint32_t prot, uint32_t flags, size_t fd,
		uint64_t offset)
{
	struct peer *peer;
	uint64_t inode;

	if (!length || length > SIZE_MAX / 2 || offset % MESSAGE_PAGE_BYTES ||
			(flags & REDOX_MAP_FIXED && (uintptr_t)address % MESSAGE_PAGE_BYTES)) {
		return -EINVAL;
	}
	size_t size = mapping_round(length); // before the system call (redox-run.md 2.5)
	if (flags & REDOX_MAP_FIXED) {
		mapping_remove(address, size);
	}
	/* fd = -1 without MAP_ANON is anonymous memory too (redox-run.md 2.5). */
	if (flags & REDOX_MAP_ANON || fd == SIZE_MAX || fd == UINT32_MAX) {
		return mapping_anonymous(address, size, prot, flags);
	}
	if (descriptor_kind(fd) != DESCRIPTOR_PLAIN) {
		return -EBADF;
	}
	int error = peer_of(fd, &peer, &inode);
	if (error == -ENOTSOCK) {
		return mapping_file(address, size, prot, flags, (int)fd, offset);
	}
	return error ? error : mapping_scheme(address, size, prot, flags, peer, inode, offset);
}

/* Takes START..END out of REGION, which may leave two. Returns the change of the number of ranges,
 * or a negative errno. */
static int region_cut(struct region *region, uintptr_t start, uintptr_t end, int *ret_change)
{
	uintptr_t region_end = region->address + region->size;

	*ret_change = 0;
	if (end < region_end) {
		struct region rest = *region;
		rest.address = end;
		rest.size = region_end - end;
		rest.file_offset += end - region->address;
		rest.origin.offset += end - region->address;
		if (region_add(&rest)) {
			return -ENOMEM;
		}
		++*ret_change;
	}
	region->size = start - region->address;
	if (!region->size) {
		region_remove(region);
		--*ret_change;
	}
	return 0;
}

/* One range within ADDRESS..+SIZE is cut and its scheme told. Returns 1, 0 when there is none, or a
 * negative errno. */
static int mapping_remove_one(uintptr_t address, size_t size)
{
	struct region *region;
	int change = 0;

	region_lock();
	for (region = regions; region; region = region->next) {
		if (address < region->address + region->size && region->address < address + size) {
			break;
		}
	}
	if (!region) {
		region_unlock();
		return 0;
	}
	uintptr_t start = address > region->address ? address : region->address;
	uintptr_t end = region->address + region->size;
	end = end < address + size ? end : address + size;
	struct mapping_origin origin = region->origin;
	uint64_t offset = origin.offset + (start - region->address);
	int error = region_cut(region, start, end, &change);
	region_unlock();
	if (error) {
		return error;
	}
	munmap((void *)start, end - start);
	if (origin.peer) {
		mapping_unmap_request(&origin, offset, end - start, change);
	}
	return 1;
}

int mapping_remove(void *address, size_t length)
{
	size_t size = mapping_round(length);
	int result;

	if (!length || (uintptr_t)address % MESSAGE_PAGE_BYTES) {
		return -EINVAL;
	}
	do {
		result = mapping_remove_one((uintptr_t)address, size);
	} while (result > 0);
	if (result < 0) {
		return result;
	}
	return munmap(address, size) < 0 ? -errno : 0;
}
