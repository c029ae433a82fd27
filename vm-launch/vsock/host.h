/*
 * The host's side: programs connect to the unix socket PATH and say "CONNECT port\n"; a connection
 * that the guest makes to port N of the host goes to the unix socket PATH_N.
 */
#ifndef VSOCK_HOST_H
#define VSOCK_HOST_H

#include <stdint.h>
#include <sys/queue.h>

struct loop;
struct loop_source;

struct host_ops {
	void (*connect)(void *data, int fd,
			uint32_t guest_port); // a program asks for PORT; FD is taken
};

TAILQ_HEAD(greeting_list, greeting);

struct host {
	struct loop *loop; // borrowed
	const struct host_ops *ops;
	void *data;
	const char *path; // borrowed
	int listen_fd;
	struct loop_source *listen_source;
	struct loop_source *timer;
	struct greeting_list greetings; // programs that have not said CONNECT yet, oldest first
	uint32_t greeting_count;
};

/* Takes LISTEN_FD, also on error. PATH is borrowed. Returns 0 or a negative errno. */
int host_init(struct host *host, struct loop *loop, int listen_fd, const char *path,
		const struct host_ops *ops, void *data);

void host_finish(struct host *host);

/* Connects to the program that serves PORT for the guest. Returns 0 with a non-blocking socket, or
 * a negative errno. */
int host_connect(const struct host *host, uint32_t port, int *ret_fd);

#endif
