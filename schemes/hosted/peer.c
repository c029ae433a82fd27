/* Handles by inode: a descriptor that was duplicated, inherited or received is found as well as one
 * that was opened here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "schemes/hosted/channel.h"
#include "schemes/hosted/peer.h"

#define PEER_BUCKETS 1024u

struct known {
	uint64_t inode;
	struct peer *peer;
	struct known *next;
};

static pthread_mutex_t peer_lock = PTHREAD_MUTEX_INITIALIZER;
static struct peer *peers;
static struct known *known_by_inode[PEER_BUCKETS];

static struct peer *peer_get_locked(const char *socket)
{
	for (struct peer *peer = peers; peer; peer = peer->next) {
		if (!strcmp(peer->socket, socket)) {
			return peer;
		}
	}
	struct peer *peer = calloc(1, sizeof(*peer));
	if (peer) {
		snprintf(peer->socket, sizeof(peer->socket), "%s", socket);
		peer->space = -1;
		pthread_mutex_init(&peer->space_lock, NULL);
		peer->next = peers;
		peers = peer;
	}
	return peer;
}

struct peer *peer_get(const char *socket)
{
	pthread_mutex_lock(&peer_lock);
	struct peer *peer = peer_get_locked(socket);
	pthread_mutex_unlock(&peer_lock);
	return peer;
}

static struct known **peer_find_known(uint64_t inode)
{
	struct known **link = &known_by_inode[inode % PEER_BUCKETS];

	while (*link && (*link)->inode != inode) {
		link = &(*link)->next;
	}
	return link;
}

static void peer_learn_locked(struct peer *peer, uint64_t inode)
{
	struct known **link = peer_find_known(inode);

	if (*link) {
		(*link)->peer->handles--;
		(*link)->peer = peer;
		peer->handles++;
		return;
	}
	*link = calloc(1, sizeof(**link));
	if (*link) {
		**link = (struct known) {.inode = inode, .peer = peer};
		peer->handles++;
	}
}

void peer_learn(struct peer *peer, uint64_t inode)
{
	pthread_mutex_lock(&peer_lock);
	peer_learn_locked(peer, inode);
	pthread_mutex_unlock(&peer_lock);
}

void peer_forget(uint64_t inode)
{
	struct peer *idle = NULL;

	pthread_mutex_lock(&peer_lock);
	struct known **link = peer_find_known(inode);
	struct known *known = *link;
	if (known) {
		*link = known->next;
		idle = --known->peer->handles ? NULL : known->peer;
		free(known);
	}
	pthread_mutex_unlock(&peer_lock);
	if (idle) {
		channel_close(idle);
	}
}

int peer_of(size_t fd, struct peer **ret_peer, uint64_t *ret_inode)
{
	struct stat status;
	char socket[REGISTRY_SOCKET_MAX];

	if (fd > INT32_MAX || fstat((int)fd, &status) < 0) {
		return -EBADF;
	}
	if (!S_ISSOCK(status.st_mode)) {
		return -ENOTSOCK;
	}
	pthread_mutex_lock(&peer_lock);
	const struct known *known = *peer_find_known(status.st_ino);
	struct peer *peer = known ? known->peer : NULL;
	pthread_mutex_unlock(&peer_lock);
	if (!peer) {
		if (!registry_peer((int)fd, socket)) {
			return -ENOTSOCK;
		}
		peer = peer_get(socket);
		if (!peer) {
			return -ENOMEM;
		}
		peer_learn(peer, status.st_ino);
	}
	*ret_peer = peer;
	*ret_inode = status.st_ino;
	return 0;
}

void peer_lock_all(void)
{
	pthread_mutex_lock(&peer_lock);
}

void peer_unlock_all(void)
{
	pthread_mutex_unlock(&peer_lock);
}

struct peer *peer_next(struct peer *previous)
{
	return previous ? previous->next : peers;
}
