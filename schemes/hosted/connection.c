/*
 * One connection of a client: a handle, or a channel that carries the requests of one thread.
 * Whatever a client sends that is not exactly as expected ends its connection, never the daemon.
 *
 * The end of a connection is how the death of its owner shows: no Cancel for what was under way,
 * then CloseMsg for the handles that went (redox-run.md 2.4).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "schemes/hosted/events.h"
#include "schemes/hosted/kernel.h"
#include "schemes/scheme/libredox.h"

struct connection *connection_create(struct kernel *kernel, int fd, uint32_t pid)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection || events_attach(kernel, fd, connection)) {
		free(connection);
		return NULL;
	}
	connection->fd = fd;
	connection->pid = pid;
	connection->link = &kernel->connections;
	connection->next = kernel->connections;
	if (connection->next) {
		connection->next->link = &connection->next;
	}
	kernel->connections = connection;
	return connection;
}

static void connection_leave_handle(struct kernel *kernel, struct connection *connection)
{
	struct connection **link = &kernel->by_inode[connection->inode % KERNEL_BUCKETS];
	struct connection **other = &connection->description->connections;

	while (*link != connection) {
		link = &(*link)->next_of_inode;
	}
	*link = connection->next_of_inode;
	while (*other != connection) {
		other = &(*other)->next_of_description;
	}
	*other = connection->next_of_description;
	description_release(kernel, connection->description);
	connection->description = NULL;
}

/* Its caller is gone: no Cancel; the answer will come and be dropped. */
static void connection_leave_ticket(struct kernel *kernel, struct connection *connection)
{
	struct ticket *ticket = connection->ticket;

	ticket->connection = NULL;
	connection->ticket = NULL;
	if (ticket->counted) {
		ticket->counted = false;
		description_release(kernel, ticket->description);
	}
	ticket->description = NULL;
}

void connection_close(struct kernel *kernel, struct connection *connection)
{
	if (connection->role == CONNECTION_DEAD) {
		return;
	}
	if (connection->ticket) {
		connection_leave_ticket(kernel, connection);
	}
	piece_drop_owner(kernel, connection);
	if (connection->description) {
		connection_leave_handle(kernel, connection);
	}
	close(connection->fd); // leaves the epoll set
	connection->fd = -1;
	connection->role = CONNECTION_DEAD;
	*connection->link = connection->next;
	if (connection->next) {
		connection->next->link = connection->link;
	}
	connection->next = kernel->dead;
	kernel->dead = connection;
	if (kernel->hot == connection) {
		kernel->hot = NULL;
	}
	if (!kernel->accepting && kernel->listener >= 0) {
		kernel->accepting = !events_attach(kernel, kernel->listener, NULL);
	}
}

void connection_sweep(struct kernel *kernel)
{
	while (kernel->dead) {
		struct connection *connection = kernel->dead;
		kernel->dead = connection->next;
		free(connection);
	}
}

void connection_become_handle(struct kernel *kernel, struct connection *connection,
		struct description *description, uint64_t inode)
{
	struct connection **bucket = &kernel->by_inode[inode % KERNEL_BUCKETS];

	description_hold(description);
	connection->role = CONNECTION_HANDLE;
	connection->inode = inode;
	connection->description = description;
	connection->next_of_inode = *bucket;
	*bucket = connection;
	connection->next_of_description = description->connections;
	description->connections = connection;
}

/* What of the buffer goes back (redox-abi.md 2.5): the ends of a live one, else what was written. */
static size_t connection_answer_bytes(const struct ticket *ticket,
		const struct message_answer *answer, struct iovec pieces[2])
{
	struct message_pages pages;
	size_t length = ticket->length;

	if (!(ticket->access & MESSAGE_OUT)) {
		return 0;
	}
	switch (ticket->buffer) {
	case MESSAGE_INLINE:
		if (!(ticket->access & MESSAGE_IN)) {
			uint64_t written = answer->result < 0 ? 0 : (uint64_t)answer->result;
			length = written < length ? (size_t)written : length;
		}
		pieces[0] = (struct iovec) {ticket->data, length};
		return length ? 1 : 0;
	case MESSAGE_LIVE:
		pages = message_pages((uintptr_t)ticket->data, length);
		pieces[0] = (struct iovec) {ticket->data, pages.head};
		pieces[1] = (struct iovec) {ticket->data + pages.head + pages.middle, pages.tail};
		return 2;
	default:
		return 0;
	}
}

void connection_answer(struct kernel *kernel, struct connection *connection,
		const struct message_answer *answer, const struct ticket *ticket, const int *fds,
		size_t fd_count)
{
	struct message_answer whole = *answer;
	struct iovec pieces[3] = {{&whole, sizeof(whole)}};
	size_t count = 1;

	whole.magic = MESSAGE_MAGIC;
	whole.fd_count = (uint32_t)fd_count;
	if (ticket) {
		count += connection_answer_bytes(ticket, answer, pieces + 1);
	}
	if (message_send(connection->fd, pieces, count, fds, fd_count, MSG_DONTWAIT)) {
		connection_close(kernel, connection);
	}
}

static void connection_refuse(struct kernel *kernel, struct connection *connection,
		const struct message *message, int error)
{
	const struct message_answer answer = {.serial = message->serial, .result = error};

	connection_answer(kernel, connection, &answer, NULL, NULL, 0);
}

/* What the kernel checks itself before it asks the daemon. Returns 0 or a negative errno. */
static int connection_check(const struct message *message, const struct connection *connection)
{
	switch (message->opcode) {
	case SCHEME_OP_MMAP_PREP:
		if (connection->pid == (uint32_t)getpid()) {
			return -EBUSY; // redox-abi.md 2.5: the daemon's own address space
		}
		if (!message->args[0] || message->args[2] % MESSAGE_PAGE_BYTES) {
			return -EINVAL; // redox-abi.md 2.5
		}
		return 0;
	default:
		if (message_access(message->opcode) & MESSAGE_IS_PATH &&
				message->length > MESSAGE_PATH_MAX) {
			return -EINVAL; // redox-abi.md 2.5
		}
		return 0;
	}
}

/* The record's arguments behind the id (redox-abi.md 2.2). */
static void connection_fill(
		struct scheme_sqe *record, const struct message *message, struct ticket *ticket)
{
	uint64_t user = message->uid | (uint64_t)message->gid << 32;
	const struct description *description = ticket->description;

	record->args[5] = user;
	if (ticket->access & (MESSAGE_IN | MESSAGE_OUT)) {
		record->args[1] = (uintptr_t)ticket->data;
		record->args[2] = ticket->length;
		record->args[3] = message->args[0];
		record->args[4] = message->args[1];
	} else {
		memcpy(record->args + 1, message->args, sizeof(message->args));
	}
	switch (message->opcode) {
	case SCHEME_OP_CALL:
	case SCHEME_OP_STD_FS_CALL:
		record->args[5] = message->args[2];
		break;
	case SCHEME_OP_READ:
	case SCHEME_OP_WRITE:
		if (!description->positioned) {
			record->args[3] = UINT64_MAX;
		} else if (message->args[0] == UINT64_MAX) {
			record->args[3] = description->offset;
		}
		record->args[4] = description->flags;
		break;
	case SCHEME_OP_MUNMAP:
		/* size, flags, offset as MMAP_PREP, but the flags say NEEDS_SYNC alone */
		record->args[2] = ticket->map_flags & SCHEME_PROT_WRITE &&
				ticket->map_flags & SCHEME_MAP_SHARED;
		break;
	default:
		break;
	}
}

static void connection_note(struct ticket *ticket, const struct message *message)
{
	ticket->serial = message->serial;
	ticket->opcode = message->opcode;
	ticket->own_inode = message->own_inode;
	ticket->flags = (uint32_t)message->args[0];
	ticket->mapping = message->mapping;
	ticket->size = message->args[0];
	ticket->offset = message->args[2];
	ticket->argument = message->args[1];
}

/* Unmapping: takes the piece away now; the request itself keeps the description until the answer. */
static int connection_cut(struct kernel *kernel, struct ticket *ticket)
{
	const struct piece *piece = piece_find(kernel, ticket->mapping, ticket->offset);

	ticket->map_flags = piece ? piece->flags : 0;
	return piece_cut(kernel, ticket->mapping, ticket->offset, ticket->size);
}

/* Returns a description for MESSAGE, or NULL. A handle that the daemon just made may still wait to
 * be accepted. */
static struct description *connection_find(struct kernel *kernel, const struct message *message)
{
	if (message->mapping) {
		struct piece *piece = piece_find(kernel, message->mapping, message->args[2]);
		return piece ? piece->description : NULL;
	}
	return description_find(kernel, message->inode);
}

struct arrival {
	const struct message *message;
	const uint8_t *bytes;
	size_t size;
	int *fds; // those taken are set to -1
	size_t fd_count;
};

static int connection_fill_ticket(
		struct kernel *kernel, struct ticket *ticket, struct arrival *arrival)
{
	const struct message *message = arrival->message;

	ticket->access = (uint8_t)message_access(message->opcode);
	connection_note(ticket, message);
	if (message->opcode == SCHEME_OP_MMAP_PREP) {
		ticket->map_flags = (uint32_t)message->args[1];
	} else if (message->opcode == SCHEME_OP_MUNMAP) {
		return connection_cut(kernel, ticket);
	} else if (message->opcode == SCHEME_OP_SENDFD) {
		memcpy(ticket->fds, arrival->fds, arrival->fd_count * sizeof(int));
		ticket->fd_count = arrival->fd_count;
		memset(arrival->fds, -1, arrival->fd_count * sizeof(int));
	}
	if (ticket->access & (MESSAGE_IN | MESSAGE_OUT)) {
		return ticket_map_buffer(ticket, message, arrival->bytes, arrival->size,
				arrival->fd_count ? arrival->fds[0] : -1);
	}
	return arrival->size ? -EPROTO : 0;
}

/* Returns false if the client broke the rules. */
static bool connection_request(
		struct kernel *kernel, struct connection *connection, struct arrival *arrival)
{
	const struct message *message = arrival->message;

	if (connection->ticket || !(message_access(message->opcode) & MESSAGE_KNOWN)) {
		return false;
	}
	int error = connection_check(message, connection);
	struct description *description = connection_find(kernel, message);
	if (!error && !description) {
		error = -EBADF;
	}
	struct ticket *ticket = error ? NULL : ticket_take(kernel);
	if (!error && !ticket) {
		error = -ENOMEM;
	}
	if (error) {
		connection_refuse(kernel, connection, message, error);
		return true;
	}
	ticket->connection = connection;
	connection->ticket = ticket;
	ticket->description = description;
	ticket->counted = true;
	description_hold(description);
	error = connection_fill_ticket(kernel, ticket, arrival);
	if (error) {
		ticket_free(kernel, ticket);
		if (error == -EPROTO) {
			return false;
		}
		connection_refuse(kernel, connection, message, error);
		return true;
	}
	struct scheme_sqe *record = kernel_push(kernel);
	record->opcode = message->opcode;
	record->tag = ticket->tag;
	record->args[0] = description->id;
	record->caller = connection->pid;
	connection_fill(record, message, ticket);
	return true;
}

static bool connection_open(
		struct kernel *kernel, struct connection *connection, struct arrival *arrival)
{
	uint8_t opcode = arrival->message->opcode;

	if (opcode != SCHEME_OP_OPEN_AT && opcode != SCHEME_OP_DUP) {
		return false;
	}
	connection->role = CONNECTION_OPENING;
	return connection_request(kernel, connection, arrival);
}

static bool connection_adopt(
		struct kernel *kernel, struct connection *connection, const struct message *message)
{
	if (message->nonce != kernel->nonce || connection->pid != (uint32_t)getpid()) {
		return false;
	}
	struct description *description =
			description_create(kernel, message->args[0], (uint32_t)message->args[1]);
	if (!description) {
		return false;
	}
	description->positioned = message->args[2];
	description->offset = message->file_offset;
	connection_become_handle(kernel, connection, description, message->own_inode);
	return true;
}

static bool connection_root(
		struct kernel *kernel, struct connection *connection, const struct message *message)
{
	struct description *description = description_find(kernel, message->inode);

	if (!description) {
		connection_refuse(kernel, connection, message, -ENODEV);
		return true;
	}
	connection_become_handle(kernel, connection, description, message->own_inode);
	connection_refuse(kernel, connection, message, 0);
	return true;
}

/* redox-abi.md 2.4: the same tag, ONEWAY, once. */
static bool connection_cancel(
		struct kernel *kernel, struct connection *connection, const struct message *message)
{
	struct ticket *ticket = connection->ticket;

	if (ticket && ticket->serial == message->serial && !ticket->cancelled) {
		ticket->cancelled = true;
		struct scheme_sqe *record = kernel_push(kernel);
		record->opcode = SCHEME_OP_CANCEL;
		record->flags = SCHEME_SQE_ONEWAY;
		record->tag = ticket->tag;
	}
	return true;
}

static bool connection_first(
		struct kernel *kernel, struct connection *connection, struct arrival *arrival)
{
	switch (arrival->message->kind) {
	case MESSAGE_OPEN:
		return connection_open(kernel, connection, arrival);
	case MESSAGE_ROOT:
		return connection_root(kernel, connection, arrival->message);
	case MESSAGE_ADOPT:
		return connection_adopt(kernel, connection, arrival->message);
	case MESSAGE_UNNAMED:
		description_remove_root(kernel, arrival->message->inode);
		return false; // that was all
	case MESSAGE_REQUEST:
		connection->role = CONNECTION_CHANNEL;
		return connection_request(kernel, connection, arrival);
	default:
		return false;
	}
}

static bool connection_handle(
		struct kernel *kernel, struct connection *connection, struct arrival *arrival)
{
	const struct message *message = arrival->message;

	switch (connection->role) {
	case CONNECTION_NEW:
		return connection_first(kernel, connection, arrival);
	case CONNECTION_OPENING:
		return message->kind == MESSAGE_CANCEL &&
				connection_cancel(kernel, connection, message);
	case CONNECTION_CHANNEL:
		if (message->kind == MESSAGE_REQUEST) {
			return connection_request(kernel, connection, arrival);
		}
		return message->kind == MESSAGE_CANCEL &&
				connection_cancel(kernel, connection, message);
	case CONNECTION_HANDLE:
		/* A Cancel may have crossed the answer to the open. */
		if (message->kind == MESSAGE_NAMED) {
			description_add_root(kernel, connection->description, connection->inode);
		}
		return message->kind == MESSAGE_NAMED || message->kind == MESSAGE_CANCEL;
	default:
		return false;
	}
}

bool connection_receive(struct kernel *kernel, struct connection *connection)
{
	struct message message;
	struct iovec pieces[] = {
			{&message, sizeof(message)}, {kernel->packet, sizeof(kernel->packet)}};
	int fds[MESSAGE_FDS_MAX];
	size_t fd_count;

	if (connection->role == CONNECTION_DEAD) {
		return false;
	}
	long received = message_receive(connection->fd, pieces, 2, fds, &fd_count, MSG_DONTWAIT);
	if (received == -EAGAIN || received == -EINTR) {
		return false;
	}
	bool ok = received >= (long)sizeof(message) && message.magic == MESSAGE_MAGIC;
	if (ok) {
		struct arrival arrival = {&message, kernel->packet,
				(size_t)received - sizeof(message), fds, fd_count};
		ok = connection_handle(kernel, connection, &arrival);
	}
	for (size_t i = 0; i < fd_count; i++) {
		if (fds[i] >= 0) {
			close(fds[i]);
		}
	}
	if (!ok) {
		connection_close(kernel, connection);
	}
	return true;
}
