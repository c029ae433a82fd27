/*
 * Mappings of clients, in pieces: unmapping a part splits one (redox-run.md 2.5). Each piece keeps
 * its description open.
 */
#include <errno.h>
#include <stdlib.h>
#include "schemes/hosted/kernel.h"

struct piece *piece_find(struct kernel *kernel, uint64_t mapping, uint64_t offset)
{
	for (struct piece *piece = kernel->pieces; piece; piece = piece->next) {
		if (piece->mapping == mapping && offset >= piece->offset &&
				offset - piece->offset < piece->size) {
			return piece;
		}
	}
	return NULL;
}

int piece_add(struct kernel *kernel, struct connection *owner, struct description *description,
		uint64_t mapping, uint64_t offset, uint64_t size, uint32_t flags)
{
	struct piece *piece = calloc(1, sizeof(*piece));

	if (!piece) {
		return -ENOMEM;
	}
	description_hold(description);
	*piece = (struct piece) {.mapping = mapping,
			.offset = offset,
			.size = size,
			.flags = flags,
			.owner = owner,
			.description = description,
			.next = kernel->pieces};
	kernel->pieces = piece;
	return 0;
}

static void piece_remove(struct kernel *kernel, struct piece *piece)
{
	struct piece **link = &kernel->pieces;

	while (*link != piece) {
		link = &(*link)->next;
	}
	*link = piece->next;
	description_release(kernel, piece->description);
	free(piece);
}

int piece_cut(struct kernel *kernel, uint64_t mapping, uint64_t offset, uint64_t size)
{
	struct piece *piece = piece_find(kernel, mapping, offset);

	if (!piece || !size || size > piece->size - (offset - piece->offset)) {
		return -EINVAL;
	}
	uint64_t after = piece->offset + piece->size - (offset + size);
	if (after) {
		int error = piece_add(kernel, piece->owner, piece->description, mapping,
				offset + size, after, piece->flags);
		if (error) {
			return error;
		}
	}
	piece->size = offset - piece->offset;
	if (!piece->size) {
		piece_remove(kernel, piece);
	}
	return 0;
}

/* The process is gone, nobody waits for the answer. */
static void piece_push_unmap(struct kernel *kernel, const struct piece *piece)
{
	struct ticket *ticket = ticket_take(kernel);

	if (!ticket) {
		return;
	}
	ticket->opcode = SCHEME_OP_MUNMAP;
	struct scheme_sqe *record = kernel_push(kernel);
	bool needs_sync = piece->flags & SCHEME_PROT_WRITE && piece->flags & SCHEME_MAP_SHARED;
	record->opcode = SCHEME_OP_MUNMAP;
	record->tag = ticket->tag;
	record->args[0] = piece->description->id;
	record->args[1] = piece->size;
	record->args[2] = needs_sync;
	record->args[3] = piece->offset;
}

void piece_drop_owner(struct kernel *kernel, struct connection *owner)
{
	struct piece *next;

	for (struct piece *piece = kernel->pieces; piece; piece = next) {
		next = piece->next;
		if (piece->owner == owner) {
			piece_push_unmap(kernel, piece);
			piece_remove(kernel, piece);
		}
	}
}
