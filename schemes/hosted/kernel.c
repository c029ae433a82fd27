/*
 * A scheme socket: an epoll descriptor that holds the listening socket and all connections, so that
 * the daemon's loop can wait for it. The daemon's reads and writes do the kernel's work.
 *
 * It is readable as long as anything is to be read: records that did not fit into the daemon's
 * buffer keep a pipe readable.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "schemes/hosted/clock.h"
#include "schemes/hosted/events.h"
#include "schemes/hosted/kernel.h"
#include "schemes/scheme/libredox.h"

#define KERNEL_EVENTS      32
#define KERNEL_HOT_ROUNDS  8u
#define KERNEL_QUEUE_FIRST 256u

/* Each handle of a client costs a descriptor here. */
static void kernel_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int kernel_open_fds(struct kernel *kernel)
{

	registry_new_socket(kernel->name);
	kernel->listener = registry_listen(kernel->name);
	if (kernel->listener < 0) {
		return kernel->listener;
	}
	kernel->fd = epoll_create1(EPOLL_CLOEXEC);
	kernel->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (kernel->fd < 0 || kernel->wake < 0) {
		return -errno;
	}
	int error = events_attach(kernel, kernel->listener, NULL);
	if (!error) {
		error = events_attach(kernel, kernel->wake, &kernel->wake);
	}
	if (error) {
		return error;
	}
	kernel->accepting = true;
	return 0;
}

int kernel_create(struct kernel **ret_kernel)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));

	if (!kernel) {
		return -ENOMEM;
	}
	kernel->fd = kernel->listener = kernel->wake = -1;
	kernel->ticket_free = UINT32_MAX;
	pthread_mutex_init(&kernel->lock, NULL);
	kernel_raise_limit();
	hosted_clock_prepare();
	kernel->queue_capacity = KERNEL_QUEUE_FIRST;
	kernel->queue = calloc(kernel->queue_capacity, sizeof(*kernel->queue));
	int error = kernel->queue ? kernel_open_fds(kernel) : -ENOMEM;
	if (!error && getrandom(&kernel->nonce, sizeof(kernel->nonce), 0) < 0) {
		error = -errno;
	}
	if (error) {
		kernel_destroy(kernel);
		return error;
	}
	*ret_kernel = kernel;
	return 0;
}

static void kernel_free_tickets(struct kernel *kernel)
{
	for (uint32_t tag = 0; tag < kernel->ticket_count; tag++) {
		struct ticket *ticket = kernel->tickets[tag];
		if (ticket->used) {
			ticket_free(kernel, ticket);
		}
		if (ticket->pages) {
			munmap(ticket->pages, ticket->pages_bytes);
		}
	}
	/* They came in chunks that doubled. */
	for (uint32_t tag = 0; tag < kernel->ticket_count; tag = tag ? 2 * tag : 64) {
		free(kernel->tickets[tag]);
	}
	free(kernel->tickets);
}

/* Whoever waits for an answer now waits for ever (redox-run.md 2.4). */
void kernel_destroy(struct kernel *kernel)
{
	kernel->closed = true;
	if (kernel->listener >= 0) {
		registry_forget(kernel->name);
		close(kernel->listener);
		kernel->listener = -1;
	}
	while (kernel->connections) {
		connection_close(kernel, kernel->connections);
	}
	connection_sweep(kernel);
	while (kernel->roots) {
		description_remove_root(kernel, kernel->roots->inode);
	}
	kernel_free_tickets(kernel);
	if (kernel->fd >= 0) {
		close(kernel->fd);
	}
	if (kernel->wake >= 0) {
		close(kernel->wake);
	}
	events_forget(kernel);
	free(kernel->queue);
	pthread_mutex_destroy(&kernel->lock);
	free(kernel);
}

struct scheme_sqe *kernel_push(struct kernel *kernel)
{
	if (kernel->queue_first + kernel->queue_count == kernel->queue_capacity) {
		if (kernel->queue_first) {
			memmove(kernel->queue, kernel->queue + kernel->queue_first,
					kernel->queue_count * sizeof(*kernel->queue));
			kernel->queue_first = 0;
		} else {
			struct scheme_sqe *queue = realloc(
					kernel->queue, 2 * kernel->queue_capacity * sizeof(*queue));
			if (!queue) {
				abort(); // a kernel without memory for a record has lost it all
			}
			kernel->queue = queue;
			kernel->queue_capacity *= 2;
		}
	}
	struct scheme_sqe *record = &kernel->queue[kernel->queue_first + kernel->queue_count++];
	memset(record, 0, sizeof(*record));
	return record;
}

static uint32_t kernel_peer_pid(int fd)
{
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? (uint32_t)peer.pid : 0;
}

/* Accepts all who wait; connections of this process have their first message handled at once. */
static void kernel_accept(struct kernel *kernel)
{
	uint32_t own = (uint32_t)getpid();

	while (kernel->accepting) {
		int fd = accept4(kernel->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 &&
				(errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
						errno == ENOBUFS)) {
			/* They wait until another connection has ended. */
			events_detach(kernel, kernel->listener);
			kernel->accepting = false;
		}
		if (fd < 0) {
			return;
		}
		uint32_t pid = kernel_peer_pid(fd);
		struct connection *connection = connection_create(kernel, fd, pid);
		if (!connection) {
			close(fd);
		} else if (pid == own) {
			connection_receive(kernel, connection);
		}
	}
}

/* Looks once at everything that has something to say. */
static void kernel_gather(struct kernel *kernel)
{
	struct epoll_event events[KERNEL_EVENTS];

	/*
	 * Who asked last most often asks next. That one is looked at first, and the others not in
	 * each turn when the daemon will be told of them again anyway.
	 */
	if (kernel->hot && kernel->hot_rounds < KERNEL_HOT_ROUNDS) {
		if (kernel->drained) {
			if (connection_receive(kernel, kernel->hot)) {
				kernel->drained = false;
				connection_sweep(kernel);
				return;
			}
		} else if (kernel->nonblocking && events_are_level(kernel)) {
			kernel->hot_rounds++;
			kernel->drained = true;
			return;
		}
	}
	kernel->hot_rounds = 0;
	int count = epoll_wait(kernel->fd, events, KERNEL_EVENTS, 0);
	for (int i = 0; i < count; i++) {
		struct connection *connection = events[i].data.ptr;
		if (!connection) {
			kernel_accept(kernel);
		} else if (events[i].data.ptr != &kernel->wake) {
			connection_receive(kernel, connection);
			if (connection->role == CONNECTION_CHANNEL) {
				kernel->hot = connection;
			}
		}
	}
	kernel->drained = count <= 0;
	connection_sweep(kernel);
}

/* Keeps the socket readable while records wait. */
static void kernel_arm(struct kernel *kernel)
{
	uint64_t value = 1;

	if (kernel->queue_count && !kernel->wake_armed) {
		kernel->wake_armed = write(kernel->wake, &value, sizeof(value)) ==
				(ssize_t)sizeof(value);
	} else if (!kernel->queue_count && kernel->wake_armed) {
		(void)!read(kernel->wake, &value, sizeof(value));
		kernel->wake_armed = false;
	}
}

static size_t kernel_take(struct kernel *kernel, uint8_t *destination, size_t length)
{
	size_t count = length / sizeof(struct scheme_sqe);

	if (count > kernel->queue_count) {
		count = kernel->queue_count;
	}
	memcpy(destination, kernel->queue + kernel->queue_first, count * sizeof(struct scheme_sqe));
	kernel->queue_first += count;
	kernel->queue_count -= count;
	if (!kernel->queue_count) {
		kernel->queue_first = 0;
	}
	return count * sizeof(struct scheme_sqe);
}

int64_t kernel_read(struct kernel *kernel, uint8_t *destination, size_t length)
{
	if (length < sizeof(struct scheme_sqe)) {
		return -EINVAL;
	}
	pthread_mutex_lock(&kernel->lock);
	for (;;) {
		if (!kernel->queue_count) {
			kernel_gather(kernel);
		}
		if (kernel->queue_count) {
			size_t taken = kernel_take(kernel, destination, length);
			kernel_arm(kernel);
			pthread_mutex_unlock(&kernel->lock);
			return (int64_t)taken;
		}
		if (kernel->wake_armed) {
			kernel_arm(kernel);
			continue;
		}
		if (!kernel->drained) {
			continue;
		}
		bool nonblocking = kernel->nonblocking;
		pthread_mutex_unlock(&kernel->lock);
		if (nonblocking) {
			return -EAGAIN;
		}
		struct pollfd waiting = {.fd = kernel->fd, .events = POLLIN};
		if (events_poll(&waiting, 1, -1) < 0 && errno == EINTR) {
			return -EINTR;
		}
		pthread_mutex_lock(&kernel->lock);
	}
}

int64_t kernel_write(struct kernel *kernel, const uint8_t *source, size_t length)
{
	size_t done = 0;
	int error = 0;

	pthread_mutex_lock(&kernel->lock);
	while (length - done >= sizeof(struct scheme_cqe)) {
		struct scheme_cqe record;
		memcpy(&record, source + done, sizeof(record));
		error = answer_record(kernel, &record);
		if (error) {
			break;
		}
		done += sizeof(record);
	}
	kernel_arm(kernel);
	pthread_mutex_unlock(&kernel->lock);
	return done || !error ? (int64_t)done : error;
}

int kernel_adopt(struct kernel *kernel, const struct scheme_new_fd_params *params)
{
	struct stat status;
	int fd = registry_connect(kernel->name);

	if (fd < 0) {
		return fd;
	}
	if (fstat(fd, &status) < 0) {
		close(fd);
		return -errno;
	}
	struct message message = {
			.magic = MESSAGE_MAGIC,
			.kind = MESSAGE_ADOPT,
			.own_inode = status.st_ino,
			.args = {params->number, params->flags,
					params->internal_flags & SCHEME_NEW_FD_POSITIONED},
			.file_offset = params->offset,
			.nonce = kernel->nonce,
	};
	int error = message_send(fd, &(struct iovec) {&message, sizeof(message)}, 1, NULL, 0, 0);
	if (error) {
		close(fd);
		return error;
	}
	pthread_mutex_lock(&kernel->lock);
	kernel_accept(kernel);
	connection_sweep(kernel);
	kernel_arm(kernel);
	bool known = description_find(kernel, status.st_ino);
	pthread_mutex_unlock(&kernel->lock);
	if (!known) {
		close(fd);
		return -EMFILE;
	}
	return fd;
}

int64_t kernel_obtain_fds(struct kernel *kernel, uint32_t tag, uint64_t *slots, size_t count)
{
	int error = 0;

	pthread_mutex_lock(&kernel->lock);
	struct ticket *ticket = ticket_find(kernel, tag, &error);
	if (ticket && (ticket->opcode != SCHEME_OP_SENDFD || count != ticket->fd_count || !count)) {
		error = EINVAL; // "wrong length is EINVAL" (redox-abi.md 2.7)
		ticket = NULL;
	}
	if (ticket) {
		for (size_t i = 0; i < count; i++) {
			slots[i] = (uint64_t)ticket->fds[i];
		}
		ticket->fd_count = 0;
	}
	pthread_mutex_unlock(&kernel->lock);
	return ticket ? (int64_t)count : -error;
}

int64_t kernel_move_fds(
		struct kernel *kernel, uint32_t tag, const uint64_t *fds, size_t count, bool clone)
{
	int error = 0;

	pthread_mutex_lock(&kernel->lock);
	struct ticket *ticket = ticket_find(kernel, tag, &error);
	if (ticket &&
			(ticket->opcode != SCHEME_OP_RECVFD ||
					count > MESSAGE_FDS_MAX - ticket->fd_count)) {
		error = EINVAL;
	}
	for (size_t i = 0; !error && i < count; i++) {
		int copy = fds[i] <= INT32_MAX ? fcntl((int)fds[i], F_DUPFD_CLOEXEC, 0) : -1;
		if (copy < 0) {
			error = EBADF;
			break;
		}
		if (!clone) {
			close((int)fds[i]);
		}
		ticket->fds[ticket->fd_count++] = copy;
	}
	pthread_mutex_unlock(&kernel->lock);
	return error ? -error : (int64_t)count;
}
