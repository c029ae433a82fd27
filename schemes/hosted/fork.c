/*
 * Fork drops the mappings of schemes and asks for each shared one again, in the parent's name; a
 * refusal makes fork fail (redox-run.md 2.5). The requests go over a fresh connection that becomes
 * the child's: what it owns goes when the child does.
 */
#include <errno.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "schemes/hosted/call.h"
#include "schemes/hosted/channel.h"
#include "schemes/hosted/hosted.h"
#include "schemes/hosted/peer.h"
#include "schemes/hosted/region.h"
#include "schemes/hosted/wait.h"
#include "schemes/scheme/wire.h"

#define FORK_PEERS_MAX 64u

/* The child's connections while a fork is under way. */
static struct fork_space {
	struct peer *peer;
	int fd;
	uint32_t mappings;
} fork_spaces[FORK_PEERS_MAX];
static unsigned fork_space_count;

static struct fork_space *fork_space_of(struct peer *peer)
{
	for (unsigned i = 0; i < fork_space_count; i++) {
		if (fork_spaces[i].peer == peer) {
			return &fork_spaces[i];
		}
	}
	if (fork_space_count == FORK_PEERS_MAX) {
		return NULL;
	}
	int fd = registry_connect(peer->socket);
	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	wait_prepare(fd);
	fork_spaces[fork_space_count] = (struct fork_space) {.peer = peer, .fd = fd};
	return &fork_spaces[fork_space_count++];
}

static int fork_ask(struct region *region)
{
	struct fork_space *space = fork_space_of(region->origin.peer);
	static uint64_t serial;
	bool restart;
	int64_t result;

	if (!space) {
		return errno ? -errno : -EMFILE;
	}
	struct call call = {
			.opcode = SCHEME_OP_MMAP_PREP,
			.mapping = region->origin.mapping,
			.args = {region->size,
					(region->origin.flags &
							~(uint64_t)SCHEME_MAP_FIXED_NOREPLACE) |
							SCHEME_MAP_SHARED |
							SCHEME_MAP_FIXED_NOREPLACE,
					region->origin.offset},
	};
	do {
		result = call_over(space->fd, MESSAGE_REQUEST, ++serial, 0, &call, &restart);
	} while (result == -EINTR && restart);
	if (result < 0) {
		return (int)result;
	}
	space->mappings++;
	region->child = backing_create(call.got_fds[0], false);
	region->child_file_offset = call.file_offset;
	region->child_mapping = call.new_mapping;
	return region->child ? 0 : -ENOMEM;
}

static void fork_forget(void)
{
	for (unsigned i = 0; i < fork_space_count; i++) {
		close(fork_spaces[i].fd);
	}
	fork_space_count = 0;
	for (struct region *region = regions; region; region = region->next) {
		backing_release(region->child);
		region->child = NULL;
	}
}

/* Locks that the child must find free. */
static void fork_lock(void)
{
	region_lock();
	peer_lock_all();
	for (struct peer *peer = peer_next(NULL); peer; peer = peer_next(peer)) {
		pthread_mutex_lock(&peer->space_lock);
	}
}

static void fork_unlock(void)
{
	for (struct peer *peer = peer_next(NULL); peer; peer = peer_next(peer)) {
		pthread_mutex_unlock(&peer->space_lock);
	}
	peer_unlock_all();
	region_unlock();
}

int mapping_prepare_fork(void)
{
	fork_lock();
	for (struct region *region = regions; region; region = region->next) {
		if (!region->origin.peer || !(region->origin.flags & SCHEME_MAP_SHARED)) {
			continue;
		}
		errno = 0;
		int error = fork_ask(region);
		if (error) {
			fork_forget();
			fork_unlock();
			return error;
		}
	}
	return 0;
}

void mapping_after_fork_parent(void)
{
	fork_forget();
	fork_unlock();
}

static void fork_map_in_child(struct region *region)
{
	int protection = (region->origin.flags & SCHEME_PROT_READ ? PROT_READ : 0) |
			(region->origin.flags & SCHEME_PROT_WRITE ? PROT_WRITE : 0) |
			(region->origin.flags & SCHEME_PROT_EXEC ? PROT_EXEC : 0);

	backing_release(region->backing);
	region->backing = region->child;
	region->child = NULL;
	region->file_offset = region->child_file_offset;
	region->origin.mapping = region->child_mapping;
	if (mmap((void *)region->address, region->size, protection,
			    MAP_SHARED | MAP_FIXED_NOREPLACE, region->backing->fd,
			    (off_t)region->file_offset) == MAP_FAILED) {
		abort();
	}
	madvise((void *)region->address, region->size, MADV_DONTFORK);
}

void mapping_after_fork_child(void)
{
	struct region *next;

	channel_after_fork_child();
	for (struct region *region = regions; region; region = next) {
		next = region->next;
		if (region->child) {
			fork_map_in_child(region);
		} else if (region->origin.peer) {
			region_remove(region); // private ones are skipped
		}
	}
	for (struct peer *peer = peer_next(NULL); peer; peer = peer_next(peer)) {
		if (peer->space >= 0) {
			close(peer->space);
		}
		peer->space = -1;
		peer->mappings = 0;
	}
	for (unsigned i = 0; i < fork_space_count; i++) {
		fork_spaces[i].peer->space = fork_spaces[i].fd;
		fork_spaces[i].peer->mappings = fork_spaces[i].mappings;
	}
	fork_space_count = 0;
	fork_unlock();
}

pid_t hosted_fork(void)
{
	static pid_t (*libc_fork)(void);

	if (!libc_fork) {
		*(void **)&libc_fork = dlsym(RTLD_NEXT, "fork");
	}
	int error = mapping_prepare_fork();
	if (error) {
		errno = -error;
		return -1;
	}
	pid_t pid = libc_fork();
	if (pid == 0) {
		mapping_after_fork_child();
	} else {
		int saved = errno;
		mapping_after_fork_parent();
		errno = saved;
	}
	return pid;
}

/* So that programs need not know: the linker takes this before libc's. */
__attribute__((visibility("default"))) pid_t fork(void);
pid_t fork(void)
{
	return hosted_fork();
}
