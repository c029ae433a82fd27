/*
 * epoll and poll of this process, as far as they concern schemes. On Redox both are made of the
 * event queue: a handle's scheme is told by Fevent who waits for what (redox-abi.md 2.6).
 */
#ifndef HOSTED_EVENTS_H
#define HOSTED_EVENTS_H

#include <poll.h>
#include <sys/epoll.h>

struct kernel;

/* Those of libc. */
int events_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int events_poll(struct pollfd *fds, nfds_t count, int timeout_ms);

/* One of the descriptors that a scheme socket consists of comes or goes. PTR is for the socket's
 * own epoll set. Returns 0 or a negative errno. */
int events_attach(struct kernel *kernel, int fd, void *ptr);
void events_detach(struct kernel *kernel, int fd);

#endif
