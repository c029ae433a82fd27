/* A thread's channels are in a list of its own; the list of all is for fork's child, where the
 * other threads' remain. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "schemes/hosted/channel.h"
#include "schemes/hosted/peer.h"
#include "schemes/hosted/wait.h"

static pthread_once_t channel_once = PTHREAD_ONCE_INIT;
static pthread_key_t channel_key;
static __thread struct channel *channels;
static pthread_mutex_t channel_lock = PTHREAD_MUTEX_INITIALIZER;
static struct channel *channel_all;

static void channel_destroy(struct channel *channel)
{
	pthread_mutex_lock(&channel_lock);
	*channel->all_link = channel->all_next;
	if (channel->all_next) {
		channel->all_next->all_link = channel->all_link;
	}
	pthread_mutex_unlock(&channel_lock);
	close(channel->fd);
	free(channel);
}

static void channel_thread_ends(void *unused)
{
	(void)unused;
	while (channels) {
		struct channel *channel = channels;
		channels = channel->next;
		channel_destroy(channel);
	}
}

static void channel_start(void)
{
	pthread_key_create(&channel_key, channel_thread_ends);
}

static int channel_create(struct peer *peer, struct channel **ret_channel)
{
	int fd = registry_connect(peer->socket);

	if (fd < 0) {
		return fd;
	}
	struct channel *channel = calloc(1, sizeof(*channel));
	if (!channel) {
		close(fd);
		return -ENOMEM;
	}
	wait_prepare(fd);
	channel->fd = fd;
	channel->peer = peer;
	channel->next = channels;
	channels = channel;
	pthread_once(&channel_once, channel_start);
	pthread_setspecific(channel_key, channel);
	pthread_mutex_lock(&channel_lock);
	channel->all_next = channel_all;
	channel->all_link = &channel_all;
	if (channel->all_next) {
		channel->all_next->all_link = &channel->all_next;
	}
	channel_all = channel;
	pthread_mutex_unlock(&channel_lock);
	*ret_channel = channel;
	return 0;
}

int channel_take(struct peer *peer, struct channel **ret_channel)
{
	struct channel *channel = channels;

	while (channel && (channel->peer != peer || channel->busy)) {
		channel = channel->next;
	}
	if (!channel) {
		int error = channel_create(peer, &channel);
		if (error) {
			return error;
		}
	}
	channel->busy = true;
	channel->serial++;
	*ret_channel = channel;
	return 0;
}

static void channel_drop(struct channel *channel)
{
	struct channel **link = &channels;

	while (*link != channel) {
		link = &(*link)->next;
	}
	*link = channel->next;
	channel_destroy(channel);
}

void channel_give(struct channel *channel, bool broken)
{
	channel->busy = false;
	if (broken) {
		channel_drop(channel);
	}
}

void channel_close(struct peer *peer)
{
	struct channel *next;

	for (struct channel *channel = channels; channel; channel = next) {
		next = channel->next;
		if (channel->peer == peer && !channel->busy) {
			channel_drop(channel);
		}
	}
}

void channel_after_fork_child(void)
{
	struct channel *next;

	pthread_mutex_init(&channel_lock, NULL);
	for (struct channel *channel = channel_all; channel; channel = next) {
		next = channel->all_next;
		close(channel->fd);
		free(channel);
	}
	channel_all = NULL;
	channels = NULL;
}
