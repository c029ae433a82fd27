/* The schemes that this process knows, as a client: found from a handle's descriptor alone, however
 * it came here. */
#ifndef HOSTED_PEER_H
#define HOSTED_PEER_H

#include <pthread.h>
#include <stdint.h>
#include "schemes/hosted/registry.h"

/* Never freed: there are as many as schemes were used. */
struct peer {
	char socket[REGISTRY_SOCKET_MAX];
	uint32_t handles; // inodes known here
	int space;        // connection that owns the mappings of this process, -1: none
	uint32_t mappings;
	pthread_mutex_t space_lock;
	struct peer *next;
};

/*
 * The scheme of the handle FD and the inode that names it there. Returns 0, -EBADF (FD is not open)
 * or -ENOTSOCK (FD is not a handle).
 */
int peer_of(size_t fd, struct peer **ret_peer, uint64_t *ret_inode);

/* The scheme of that name. Returns NULL when out of memory. */
struct peer *peer_get(const char *socket);

/* Remembers or forgets a handle; the channel of this thread goes with the last. */
void peer_learn(struct peer *peer, uint64_t inode);
void peer_forget(uint64_t inode);

/* Around fork. */
void peer_lock_all(void);
void peer_unlock_all(void);

/* Walks them, PREVIOUS NULL first; within peer_lock_all. */
struct peer *peer_next(struct peer *previous);

#endif
