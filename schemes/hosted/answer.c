/*
 * Answers of the daemon, one record at a time, checked as the kernel checks them (redox-abi.md 2.4
 * as corrected by redox-run.md 2.4). An answer whose caller is gone is taken all the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "schemes/hosted/descriptor.h"
#include "schemes/hosted/kernel.h"
#include "schemes/hosted/mapping.h"
#include "schemes/scheme/libredox.h"

#define ANSWER_ERRNO_MAX   132
#define ANSWER_OPCODE_MASK 7u
#define ANSWER_SETFL_MASK  (REDOX_O_NONBLOCK | REDOX_O_APPEND | 0x400000u | 0x800000u)

/* "negate the low 32 bits as i32; if in 1..=132 it is an error": so a value may read as an error. */
static int answer_errno(uint64_t result)
{
	int64_t negated = -(int64_t)(int32_t)(uint32_t)result;

	return negated >= 1 && negated <= ANSWER_ERRNO_MAX ? (int)negated : 0;
}

static bool answer_opens(const struct ticket *ticket)
{
	return ticket->connection && ticket->connection->role == CONNECTION_OPENING;
}

static void answer_send(struct kernel *kernel, struct ticket *ticket, struct message_answer *answer,
		const int *fds, size_t fd_count)
{
	struct connection *connection = ticket->connection;

	answer->serial = ticket->serial;
	if (connection) {
		/* The ticket is let go first: the connection may end with the answer. */
		connection->ticket = NULL;
		ticket->connection = NULL;
		connection_answer(kernel, connection, answer, ticket, fds, fd_count);
		if (connection->role == CONNECTION_OPENING) {
			connection_close(kernel, connection); // no handle came of it
		}
	}
	ticket_free(kernel, ticket);
	connection_sweep(kernel);
}

static void answer_fail(struct kernel *kernel, struct ticket *ticket, int error)
{
	struct message_answer answer = {.result = -error};

	if (error == ECANCELED && ticket->cancelled) {
		answer.result = -EINTR;
	} else if (error == EINTR && !ticket->cancelled) {
		answer.result = -EIO;
	}
	answer_send(kernel, ticket, &answer, NULL, 0);
}

static void answer_open(
		struct kernel *kernel, struct ticket *ticket, const struct scheme_cqe *record)
{
	struct message_answer answer = {0};

	if (record->extra[0] & ~SCHEME_NEW_FD_POSITIONED) {
		answer_fail(kernel, ticket, EINVAL);
		return;
	}
	struct description *description = description_create(kernel, record->result,
			ticket->opcode == SCHEME_OP_DUP && ticket->description
					? ticket->description->flags
					: ticket->flags);
	if (!description) {
		answer_fail(kernel, ticket, ENOMEM);
		return;
	}
	description->positioned = record->extra[0] & SCHEME_NEW_FD_POSITIONED;
	connection_become_handle(kernel, ticket->connection, description, ticket->own_inode);
	answer_send(kernel, ticket, &answer, NULL, 0);
}

/* The reply address has to lie in memory that can be shared; what the kernel would do to a private
 * writable mapping is fatal (redox-run.md 2.5). */
static void answer_map(struct kernel *kernel, struct ticket *ticket, uint64_t address)
{
	struct message_answer answer = {0};
	bool writable = ticket->map_flags & SCHEME_PROT_WRITE;
	int fd;

	if (address % MESSAGE_PAGE_BYTES) {
		answer_fail(kernel, ticket, EINVAL);
		return;
	}
	if (writable && ticket->map_flags & SCHEME_MAP_PRIVATE) {
		fprintf(stderr,
				"simulated kernel panic: the daemon allowed a private writable "
				"mapping "
				"(MmapPrep flags 0x%x); refuse those (redox-run.md 3, rule 1)\n",
				ticket->map_flags);
		abort();
	}
	if (!ticket->connection) {
		answer_fail(kernel, ticket, EIO);
		return;
	}
	int error = mapping_export(
			(uintptr_t)address, ticket->size, writable, &fd, &answer.file_offset);
	if (!error) {
		answer.mapping = ++kernel->mappings_made;
		error = piece_add(kernel, ticket->connection, ticket->description, answer.mapping,
				ticket->offset, ticket->size, ticket->map_flags);
		if (error) {
			close(fd);
		}
	}
	if (error) {
		answer_fail(kernel, ticket, -error);
		return;
	}
	answer_send(kernel, ticket, &answer, &fd, 1);
	close(fd);
}

static int64_t answer_fcntl(struct ticket *ticket, uint64_t result)
{
	struct description *description = ticket->description;

	switch (ticket->size) { // the command
	case REDOX_F_GETFL:
		return description->flags; // redox-run.md 2.4: the daemon's value is ignored
	case REDOX_F_SETFL:
		description->flags = (description->flags & ~ANSWER_SETFL_MASK) |
				((uint32_t)ticket->argument & ANSWER_SETFL_MASK);
		return 0;
	default:
		return (int64_t)result;
	}
}

static void answer_value(struct kernel *kernel, struct ticket *ticket, uint64_t result)
{
	struct message_answer answer = {.result = (int64_t)result};

	if (ticket->description && ticket->opcode == SCHEME_OP_FCNTL) {
		answer.result = answer_fcntl(ticket, result);
	} else if (ticket->opcode == SCHEME_OP_SENDFD) {
		answer.result = 0; // the client's call says how many were sent (redox-run.md 2.7)
	} else if (ticket->opcode == SCHEME_OP_FEVENT && ticket->description) {
		description_wake(kernel, ticket->description->id, (uint32_t)result);
	} else if (ticket->description && ticket->description->positioned &&
			ticket->size == UINT64_MAX &&
			(ticket->opcode == SCHEME_OP_READ || ticket->opcode == SCHEME_OP_WRITE)) {
		ticket->description->offset += result;
	}
	answer_send(kernel, ticket, &answer, NULL, 0);
}

static int answer_regular(
		struct kernel *kernel, struct ticket *ticket, const struct scheme_cqe *record)
{
	int error = answer_errno(record->result);

	if (error) {
		answer_fail(kernel, ticket, error);
	} else if (answer_opens(ticket)) {
		answer_open(kernel, ticket, record);
	} else if (ticket->opcode == SCHEME_OP_MMAP_PREP) {
		answer_map(kernel, ticket, record->result);
	} else if (ticket->opcode == SCHEME_OP_RECVFD) {
		answer_fail(kernel, ticket, EIO); // redox-abi.md 2.7
	} else {
		answer_value(kernel, ticket, record->result);
	}
	return 0;
}

/* CQE 1: the descriptor goes to the client. Its number here stays taken until the daemon closes it
 * (redox-abi.md 1.8). */
static int answer_with_fd(struct kernel *kernel, struct ticket *ticket, uint64_t number)
{
	struct message_answer answer = {0};
	int fd = number <= INT32_MAX ? (int)number : -1;

	if (fcntl(fd, F_GETFD) < 0) {
		return -EBADF;
	}
	if (!answer_opens(ticket)) {
		bool gone = !ticket->connection;
		if (gone) {
			descriptor_take(fd);
		}
		answer_fail(kernel, ticket, EIO);
		return 0;
	}
	answer_send(kernel, ticket, &answer, &fd, 1);
	descriptor_take(fd);
	return 0;
}

static void answer_with_fds(struct kernel *kernel, struct ticket *ticket)
{
	struct message_answer answer = {.result = (int64_t)ticket->fd_count};
	int fds[MESSAGE_FDS_MAX];
	size_t count = ticket->fd_count;

	if (ticket->opcode != SCHEME_OP_RECVFD) {
		answer_fail(kernel, ticket, EIO);
		return;
	}
	memcpy(fds, ticket->fds, sizeof(fds));
	ticket->fd_count = 0;
	answer_send(kernel, ticket, &answer, fds, count);
	for (size_t i = 0; i < count; i++) {
		close(fds[i]);
	}
}

/* CQE 3: the first descriptor of a Sendfd, to a number of the daemon's choice; does not answer
 * (redox-abi.md 2.4). */
static int answer_obtain(struct ticket *ticket, uint64_t slot)
{
	if (ticket->opcode != SCHEME_OP_SENDFD || !ticket->fd_count || slot > INT32_MAX) {
		return -EINVAL;
	}
	if (dup3(ticket->fds[0], (int)slot, O_CLOEXEC) < 0) {
		return -errno;
	}
	close(ticket->fds[0]);
	ticket->fd_count--;
	memmove(ticket->fds, ticket->fds + 1, ticket->fd_count * sizeof(int));
	return 0;
}

int answer_record(struct kernel *kernel, const struct scheme_cqe *record)
{
	int error = 0;
	uint8_t opcode = record->opcode & ANSWER_OPCODE_MASK;

	if (opcode == SCHEME_CQE_SEND_FEVENT) {
		description_wake(kernel, record->result, record->tag);
		return 0;
	}
	if (opcode > SCHEME_CQE_NOTIFY_ON_DETACH) {
		return -EINVAL;
	}
	struct ticket *ticket = ticket_find(kernel, record->tag, &error);
	if (!ticket) {
		return -error;
	}
	switch (opcode) {
	case SCHEME_CQE_WITH_FD:
		return answer_with_fd(kernel, ticket, record->result);
	case SCHEME_CQE_WITH_FDS:
		answer_with_fds(kernel, ticket);
		return 0;
	case SCHEME_CQE_OBTAIN_FD:
		return answer_obtain(ticket, record->result);
	default: // the notice of 5 is not simulated
		return answer_regular(kernel, ticket, record);
	}
}
