/*
 * The simulated kernel of one scheme: it lives in the daemon's process and works only while the
 * daemon reads or writes its scheme socket. Private to this folder.
 *
 * All of it is guarded by kernel.lock. Connections that end while events are being looked at are
 * freed at the end of that round (kernel.dead).
 */
#ifndef HOSTED_KERNEL_H
#define HOSTED_KERNEL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "schemes/hosted/message.h"
#include "schemes/hosted/registry.h"
#include "schemes/scheme/wire.h"

#define KERNEL_BUCKETS      1024u
#define KERNEL_PACKET_BYTES (MESSAGE_INLINE_MAX + 2 * MESSAGE_PAGE_BYTES)

/* An open file description: what has a handle id. */
struct description {
	uint64_t id, offset;
	uint32_t flags; // of the open, and F_SETFL
	bool positioned;
	uint32_t references; // connections, names, mapped pieces, requests of living callers
	struct connection *connections; // list by next_of_description
	struct description *next;       // of its bucket in kernel.by_id
};

enum connection_role {
	CONNECTION_NEW,
	CONNECTION_OPENING,
	CONNECTION_HANDLE,
	CONNECTION_CHANNEL,
	CONNECTION_DEAD
};

struct connection {
	int fd;
	enum connection_role role;
	uint32_t pid;
	uint64_t inode;                  // OPENING, HANDLE
	struct description *description; // HANDLE
	struct ticket *ticket;           // under way
	struct connection *next_of_description, *next_of_inode;
	struct connection *next, **link; // of kernel.connections
};

/* A piece of a client's mapping. It belongs to the connection of the process that has it. */
struct piece {
	uint64_t mapping, offset, size;
	uint32_t flags;
	struct connection *owner;
	struct description *description; // counted
	struct piece *next;
};

/* A root that stands in the namespace; its descriptor is gone. */
struct root_name {
	uint64_t inode;
	struct description *description; // counted
	struct root_name *next;
};

/* A request that the daemon has not answered; its tag is its place in the slab. */
struct ticket {
	uint32_t tag, next_free;
	bool used, cancelled;
	uint8_t opcode, buffer, access;
	struct connection *connection; // NULL: the caller is gone
	struct description *
			description; // counted while the caller lives; NULL for OpenAt below a root that went
	bool counted;
	uint64_t serial, own_inode, id;
	uint32_t flags;                 // of OpenAt
	uint64_t mapping, offset, size; // MMAP_PREP, MUNMAP
	uint32_t map_flags;
	uint64_t argument; // FCNTL: the flags
	uint8_t *data;     // the client's buffer as the daemon sees it
	size_t length;
	uint8_t *pages; // kept between requests
	size_t pages_bytes;
	uint8_t *map; // made for this request
	size_t map_bytes;
	int fds[MESSAGE_FDS_MAX]; // SENDFD: not yet obtained; RECVFD: attached
	size_t fd_count;
};

struct kernel {
	int fd; // epoll: what the daemon polls
	int listener, wake;
	uint32_t descriptors; // of this process that are this socket
	uint32_t hot_rounds;  // since all were looked at
	bool nonblocking, wake_armed, accepting, drained, closed;
	char name[REGISTRY_SOCKET_MAX];
	uint64_t nonce, mappings_made;
	pthread_mutex_t lock;
	struct connection *connections, *dead, *hot;
	struct connection *by_inode[KERNEL_BUCKETS];
	struct description *by_id[KERNEL_BUCKETS];
	struct root_name *roots;
	struct watcher *watchers; // owned, events.c
	struct piece *pieces;
	struct ticket **tickets; // owned
	uint32_t ticket_count, ticket_free;
	struct scheme_sqe *queue; // owned ring-less queue of records to be read
	size_t queue_first, queue_count, queue_capacity;
	uint8_t packet[KERNEL_PACKET_BYTES];
};

/* kernel.c */

/* Makes a scheme socket. Returns 0 or a negative errno. */
int kernel_create(struct kernel **ret_kernel);
void kernel_destroy(struct kernel *kernel);

/* redox_read_v1 and redox_write_v1 of a scheme socket: bytes or a negative errno. */
int64_t kernel_read(struct kernel *kernel, uint8_t *destination, size_t length);
int64_t kernel_write(struct kernel *kernel, const uint8_t *source, size_t length);

/* Makes a descriptor of the own scheme with a number of the daemon's choice (redox-abi.md 1.2).
 * Returns it or a negative errno. */
int kernel_adopt(struct kernel *kernel, const struct scheme_new_fd_params *params);

/* FD calls on the scheme socket: fetch and attach (redox-abi.md 2.7). Return the count or a
 * negative errno. */
int64_t kernel_obtain_fds(struct kernel *kernel, uint32_t tag, uint64_t *slots, size_t count);
int64_t kernel_move_fds(
		struct kernel *kernel, uint32_t tag, const uint64_t *fds, size_t count, bool clone);

/* Queues a record for the daemon. */
struct scheme_sqe *kernel_push(struct kernel *kernel);

/* connection.c */
struct connection *connection_create(struct kernel *kernel, int fd, uint32_t pid);

/* Ends it: its handle, its mappings and its request lose their owner. Freed by connection_sweep. */
void connection_close(struct kernel *kernel, struct connection *connection);
void connection_sweep(struct kernel *kernel);

/* Handles one packet. Returns false when there is none. */
bool connection_receive(struct kernel *kernel, struct connection *connection);

/* Makes it a handle of DESCRIPTION. */
void connection_become_handle(struct kernel *kernel, struct connection *connection,
		struct description *description, uint64_t inode);

/* Answers without the daemon, or for it. */
void connection_answer(struct kernel *kernel, struct connection *connection,
		const struct message_answer *answer, const struct ticket *ticket, const int *fds,
		size_t fd_count);

/* description.c */
struct description *description_create(struct kernel *kernel, uint64_t id, uint32_t flags);
void description_hold(struct description *description);

/* The last one gone is told to the daemon by CloseMsg. */
void description_release(struct kernel *kernel, struct description *description);

/* The description that a client knows by the inode of a handle or of a root in the namespace; NULL
 * if there is none. */
struct description *description_find(struct kernel *kernel, uint64_t inode);
void description_add_root(struct kernel *kernel, struct description *description, uint64_t inode);
void description_remove_root(struct kernel *kernel, uint64_t inode);

/* SendFevent: makes the handles of ID readable when EVENTS say so. */
void description_wake(struct kernel *kernel, uint64_t id, uint32_t events);

/* ticket.c */

/* Takes a free one (the last that was freed first, redox-run.md 2.4); NULL when out of memory. */
struct ticket *ticket_take(struct kernel *kernel);
void ticket_free(struct kernel *kernel, struct ticket *ticket);

/* The unanswered one of TAG; otherwise *RET_ERRNO says why (redox-run.md 2.4: bad tag EBADFD,
 * answered twice EINVAL). */
struct ticket *ticket_find(struct kernel *kernel, uint32_t tag, int *ret_errno);

/* Makes the client's buffer visible as MESSAGE describes it. FD is the memfd or -1. Returns 0 or a
 * negative errno. */
int ticket_map_buffer(struct ticket *ticket, const struct message *message, const uint8_t *bytes,
		size_t size, int fd);

/* piece.c */
struct piece *piece_find(struct kernel *kernel, uint64_t mapping, uint64_t offset);
int piece_add(struct kernel *kernel, struct connection *owner, struct description *description,
		uint64_t mapping, uint64_t offset, uint64_t size, uint32_t flags);

/* Takes OFFSET..+SIZE out of a mapping. Returns 0 or -EINVAL; the description is released when the
 * daemon has answered. */
int piece_cut(struct kernel *kernel, uint64_t mapping, uint64_t offset, uint64_t size);

/* OWNER died: its pieces are unmapped. */
void piece_drop_owner(struct kernel *kernel, struct connection *owner);

/* events.c: frees what waits for the socket. */
void events_forget(struct kernel *kernel);

/* Whether all who wait for it are told again and again while there is something. */
bool events_are_level(const struct kernel *kernel);

/* answer.c: one record of the daemon. Returns 0 or a negative errno for it. */
int answer_record(struct kernel *kernel, const struct scheme_cqe *record);

#endif
