/*
 * Guest memory: mapping, translation, bounds.
 *
 * Invariant: every byte of a region lies inside its mapping, and lay inside the file when it was
 * mapped.
 */
#include "vm-launch/vsock/memory.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HUGE_PAGE_MAX (1ull << 30)

/* The tables that the SIGBUS handler may repair; a handler has no other way to find them. */
static struct memory *volatile guarded[MEMORY_GUARDED_MAX];

static void guard_enter(struct memory *memory)
{
	for (uint32_t i = 0; i < MEMORY_GUARDED_MAX; i++) {
		if (!guarded[i] || guarded[i] == memory) {
			guarded[i] = memory;
			return;
		}
	}
}

static void guard_leave(const struct memory *memory)
{
	for (uint32_t i = 0; i < MEMORY_GUARDED_MAX; i++) {
		if (guarded[i] == memory) {
			guarded[i] = NULL;
		}
	}
}

/* Puts zeroes where the file ended. mmap is a plain system call here: safe in a handler in
 * practice. */
static bool guard_repair(struct memory *memory, const uint8_t *address)
{
	for (uint32_t i = 0; i < memory->count; i++) {
		struct memory_region *region = &memory->regions[i];
		if (address < region->mapping ||
				address >= region->mapping + region->mapping_bytes) {
			continue;
		}
		memory->lost = 1;
		return mmap(region->mapping, region->mapping_bytes, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
				       0) != MAP_FAILED;
	}
	return false;
}

static void guard_on_sigbus(int signo, siginfo_t *info, void *context)
{
	(void)context;
	int saved = errno;
	for (uint32_t i = 0; i < MEMORY_GUARDED_MAX; i++) {
		struct memory *memory = guarded[i];
		if (memory && guard_repair(memory, info->si_addr)) {
			errno = saved;
			return;
		}
	}
	signal(signo, SIG_DFL); // not ours: the access is repeated and ends the process
	errno = saved;
}

int memory_guard(void)
{
	struct sigaction action = {.sa_sigaction = guard_on_sigbus, .sa_flags = SA_SIGINFO};
	sigemptyset(&action.sa_mask);
	return sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}

void memory_init(struct memory *memory)
{
	*memory = (struct memory) {0};
}

void memory_finish(struct memory *memory)
{
	guard_leave(memory);
	for (uint32_t i = 0; i < memory->count; i++) {
		munmap(memory->regions[i].mapping, memory->regions[i].mapping_bytes);
	}
	*memory = (struct memory) {0};
}

static bool range_is_sane(uint64_t start, uint64_t bytes)
{
	return bytes > 0 && start <= UINT64_MAX - bytes;
}

static bool info_is_sane(const struct memory_region_info *info, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (!range_is_sane(info[i].guest, info[i].bytes) ||
				!range_is_sane(info[i].user, info[i].bytes) ||
				!range_is_sane(info[i].offset, info[i].bytes)) {
			return false;
		}
		for (uint32_t k = 0; k < i; k++) {
			if (info[i].guest < info[k].guest + info[k].bytes &&
					info[k].guest < info[i].guest + info[i].bytes) {
				return false;
			}
		}
	}
	return true;
}

/* The mapping starts at a page (a huge page, where the file is made of them) at or before the
 * region's offset. */
static int region_map(struct memory_region *region, const struct memory_region_info *info, int fd)
{
	struct stat status;
	if (fstat(fd, &status) < 0) {
		return -errno;
	}
	if (!S_ISREG(status.st_mode) || status.st_size < 0 ||
			info->offset + info->bytes > (uint64_t)status.st_size) {
		return -EINVAL;
	}
	uint64_t align = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t block = status.st_blksize > 0 ? (uint64_t)status.st_blksize : 0;
	if (block > align && block <= HUGE_PAGE_MAX && (block & (block - 1)) == 0) {
		align = block;
	}
	uint64_t skip = info->offset & (align - 1);
	if (info->bytes > SIZE_MAX - skip - align) {
		return -EINVAL;
	}
	size_t bytes = (size_t)((info->bytes + skip + align - 1) & ~(align - 1));
	void *mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
			(off_t)(info->offset - skip));
	if (mapping == MAP_FAILED) {
		return -errno;
	}
	*region = (struct memory_region) {.guest = info->guest,
			.user = info->user,
			.bytes = info->bytes,
			.start = (uint8_t *)mapping + skip,
			.mapping = mapping,
			.mapping_bytes = bytes};
	return 0;
}

int memory_set(struct memory *memory, const struct memory_region_info *untrusted_info,
		const int *fds, uint32_t count)
{
	memory_finish(memory);
	if (count > MEMORY_REGIONS_MAX || !info_is_sane(untrusted_info, count)) {
		return -EINVAL;
	}
	for (uint32_t i = 0; i < count; i++) {
		int error = region_map(&memory->regions[i], &untrusted_info[i], fds[i]);
		if (error) {
			memory_finish(memory);
			return error;
		}
		memory->count = i + 1;
	}
	guard_enter(memory);
	return 0;
}

void *memory_at(const struct memory *memory, uint64_t untrusted_guest, uint64_t bytes,
		uint64_t *ret_bytes)
{
	if (bytes == 0) {
		return NULL;
	}
	for (uint32_t i = 0; i < memory->count; i++) {
		const struct memory_region *region = &memory->regions[i];
		uint64_t offset = untrusted_guest - region->guest;
		if (untrusted_guest < region->guest || offset >= region->bytes) {
			continue;
		}
		uint64_t together = region->bytes - offset;
		*ret_bytes = together < bytes ? together : bytes;
		return region->start + offset;
	}
	return NULL;
}

void *memory_at_user(const struct memory *memory, uint64_t untrusted_user, uint64_t bytes)
{
	for (uint32_t i = 0; i < memory->count; i++) {
		const struct memory_region *region = &memory->regions[i];
		uint64_t offset = untrusted_user - region->user;
		if (untrusted_user >= region->user && offset < region->bytes &&
				bytes <= region->bytes - offset) {
			return region->start + offset;
		}
	}
	return NULL;
}
