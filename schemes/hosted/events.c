/*
 * Two things at once. Handles: whoever waits for one subscribes to it, with the errno of the
 * scheme's refusal. Scheme sockets: the descriptors within are put into the waiter's epoll set
 * themselves; a set within a set would wake the daemon on another processor each time, which costs
 * more than the call.
 *
 * With REDOX_HOSTED_EVENTS=edge epoll is as on Redox for all descriptors: an event comes once, and
 * there is no HUP or ERR (redox-abi.md 1.7).
 *
 * The union of several waiters' masks is not kept: the last one counts.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "schemes/hosted/call.h"
#include "schemes/hosted/descriptor.h"
#include "schemes/hosted/events.h"
#include "schemes/hosted/kernel.h"
#include "schemes/hosted/peer.h"

/* An epoll set of the daemon that waits for the scheme socket. */
struct watcher {
	int epoll;
	struct epoll_event event;
	struct watcher *next;
};

static bool events_edge(void)
{
	static int edge = -1;

	if (edge < 0) {
		const char *mode = getenv("REDOX_HOSTED_EVENTS");
		edge = mode && !strcmp(mode, "edge");
	}
	return edge;
}

int events_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	static int (*libc_epoll_ctl)(int, int, int, struct epoll_event *);

	if (!libc_epoll_ctl) {
		*(void **)&libc_epoll_ctl = dlsym(RTLD_NEXT, "epoll_ctl");
	}
	return libc_epoll_ctl(epoll, operation, fd, event);
}

int events_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	static int (*libc_poll)(struct pollfd *, nfds_t, int);

	if (!libc_poll) {
		*(void **)&libc_poll = dlsym(RTLD_NEXT, "poll");
	}
	return libc_poll(fds, count, timeout_ms);
}

int events_attach(struct kernel *kernel, int fd, void *ptr)
{
	struct epoll_event own = {.events = EPOLLIN, .data.ptr = ptr};

	if (events_epoll_ctl(kernel->fd, EPOLL_CTL_ADD, fd, &own) < 0) {
		return -errno;
	}
	for (struct watcher *watcher = kernel->watchers; watcher; watcher = watcher->next) {
		struct epoll_event event = watcher->event;
		events_epoll_ctl(watcher->epoll, EPOLL_CTL_ADD, fd, &event);
	}
	return 0;
}

void events_detach(struct kernel *kernel, int fd)
{
	struct epoll_event none = {0};

	events_epoll_ctl(kernel->fd, EPOLL_CTL_DEL, fd, &none);
	for (struct watcher *watcher = kernel->watchers; watcher; watcher = watcher->next) {
		events_epoll_ctl(watcher->epoll, EPOLL_CTL_DEL, fd, &none);
	}
}

/* Does OPERATION for all that the socket consists of. Returns 0 or -1 with errno. */
static int events_for_all(struct kernel *kernel, const struct watcher *watcher, int operation)
{
	struct epoll_event event = watcher->event;

	if (events_epoll_ctl(watcher->epoll, operation, kernel->wake, &event) < 0) {
		return -1;
	}
	if (kernel->accepting) {
		events_epoll_ctl(watcher->epoll, operation, kernel->listener, &event);
	}
	for (struct connection *c = kernel->connections; c; c = c->next) {
		event = watcher->event;
		events_epoll_ctl(watcher->epoll, operation, c->fd, &event);
	}
	return 0;
}

static int events_add_watcher(struct kernel *kernel, int epoll, const struct epoll_event *event)
{
	struct watcher *watcher = calloc(1, sizeof(*watcher));

	if (!watcher) {
		errno = ENOMEM;
		return -1;
	}
	*watcher = (struct watcher) {.epoll = epoll, .event = *event, .next = kernel->watchers};
	if (events_for_all(kernel, watcher, EPOLL_CTL_ADD) < 0) {
		free(watcher);
		return -1;
	}
	kernel->watchers = watcher;
	return 0;
}

/* There is no readiness to write (redox-abi.md 1.7), so only EPOLLIN matters. */
static int events_socket_ctl(
		struct kernel *kernel, int epoll, int operation, const struct epoll_event *event)
{
	struct watcher **link = &kernel->watchers;
	int result = 0;

	while (*link && (*link)->epoll != epoll) {
		link = &(*link)->next;
	}
	struct watcher *watcher = *link;
	if (operation == EPOLL_CTL_ADD) {
		if (watcher) {
			errno = EEXIST;
			return -1;
		}
		return events_add_watcher(kernel, epoll, event);
	}
	if (!watcher) {
		errno = ENOENT;
		return -1;
	}
	if (operation == EPOLL_CTL_MOD) {
		watcher->event = *event;
		return events_for_all(kernel, watcher, EPOLL_CTL_MOD);
	}
	result = events_for_all(kernel, watcher, EPOLL_CTL_DEL);
	*link = watcher->next;
	free(watcher);
	return result;
}

bool events_are_level(const struct kernel *kernel)
{
	const struct watcher *watcher = kernel->watchers;

	while (watcher && !(watcher->event.events & EPOLLET)) {
		watcher = watcher->next;
	}
	return kernel->watchers && !watcher;
}

void events_forget(struct kernel *kernel)
{
	while (kernel->watchers) {
		struct watcher *watcher = kernel->watchers;
		kernel->watchers = watcher->next;
		free(watcher);
	}
}

/* Tells the scheme of a handle. Returns 0, or -1 with its errno (redox-abi.md 1.7). */
static int events_subscribe(struct peer *peer, uint64_t inode, bool reading, bool writing)
{
	struct call call = {
			.opcode = SCHEME_OP_FEVENT,
			.inode = inode,
			.args = {(reading ? SCHEME_EVENT_READ : 0u) |
					(writing ? SCHEME_EVENT_WRITE : 0u)},
	};
	int64_t result = call_make(peer, &call);

	if (result < 0) {
		errno = (int)-result;
		return -1;
	}
	return 0;
}

static int events_handle_ctl(struct peer *peer, uint64_t inode, int epoll, int operation, int fd,
		struct epoll_event *event)
{
	int result = events_epoll_ctl(epoll, operation, fd, event);

	if (result < 0) {
		return result;
	}
	if (operation == EPOLL_CTL_DEL) {
		int saved = errno;
		events_subscribe(peer, inode, false, false);
		errno = saved;
		return 0;
	}
	if (events_subscribe(peer, inode, event->events & EPOLLIN, event->events & EPOLLOUT) < 0) {
		int error = errno;
		events_epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &(struct epoll_event) {0});
		errno = error;
		return -1;
	}
	return 0;
}

__attribute__((visibility("default"))) int epoll_ctl(
		int epoll, int operation, int fd, struct epoll_event *event)
{
	struct kernel *kernel = descriptor_socket((size_t)fd);
	struct peer *peer;
	uint64_t inode;

	struct epoll_event edge;

	if (event && events_edge()) {
		edge = *event;
		edge.events |= EPOLLET;
		event = &edge;
	}
	if (kernel) {
		pthread_mutex_lock(&kernel->lock);
		int result = events_socket_ctl(kernel, epoll, operation, event);
		pthread_mutex_unlock(&kernel->lock);
		return result;
	}
	if (fd >= 0 && descriptor_kind((size_t)fd) == DESCRIPTOR_PLAIN &&
			!peer_of((size_t)fd, &peer, &inode)) {
		return events_handle_ctl(peer, inode, epoll, operation, fd, event);
	}
	return events_epoll_ctl(epoll, operation, fd, event);
}

/* There is no HUP and no ERR: an end is something to read (redox-abi.md 1.7). */
__attribute__((visibility("default"))) int epoll_wait(
		int epoll, struct epoll_event *events, int count, int timeout_ms)
{
	static int (*libc_epoll_wait)(int, struct epoll_event *, int, int);

	if (!libc_epoll_wait) {
		*(void **)&libc_epoll_wait = dlsym(RTLD_NEXT, "epoll_wait");
	}
	int got = libc_epoll_wait(epoll, events, count, timeout_ms);
	for (int i = 0; events_edge() && i < got; i++) {
		if (events[i].events & (EPOLLHUP | EPOLLERR)) {
			events[i].events = (events[i].events & ~(unsigned)(EPOLLHUP | EPOLLERR)) |
					EPOLLIN;
		}
	}
	return got;
}

/* "each call sends one Fevent(mask) and never Fevent(0)"; with a dead daemon it fails (redox-run.md
 * 1.7). */
__attribute__((visibility("default"))) int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	for (nfds_t i = 0; i < count; i++) {
		struct peer *peer;
		uint64_t inode;

		if (fds[i].fd < 0 || !(fds[i].events & (POLLIN | POLLOUT)) ||
				descriptor_kind((size_t)fds[i].fd) != DESCRIPTOR_PLAIN ||
				peer_of((size_t)fds[i].fd, &peer, &inode)) {
			continue;
		}
		if (events_subscribe(peer, inode, fds[i].events & POLLIN, fds[i].events & POLLOUT) <
				0) {
			return -1;
		}
	}
	return events_poll(fds, count, timeout_ms);
}
