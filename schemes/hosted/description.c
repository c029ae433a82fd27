/*
 * Open file descriptions. The daemon is told CloseMsg once, when the last descriptor, mapping, name
 * and living caller is gone (redox-abi.md 1.4, redox-run.md 1.2).
 */
#include <stdlib.h>
#include <sys/socket.h>
#include "schemes/hosted/kernel.h"

struct description *description_create(struct kernel *kernel, uint64_t id, uint32_t flags)
{
	struct description *description = calloc(1, sizeof(*description));
	struct description **bucket = &kernel->by_id[id % KERNEL_BUCKETS];

	if (description) {
		description->id = id;
		description->flags = flags;
		description->next = *bucket;
		*bucket = description;
	}
	return description;
}

void description_hold(struct description *description)
{
	description->references++;
}

void description_release(struct kernel *kernel, struct description *description)
{
	struct description **link = &kernel->by_id[description->id % KERNEL_BUCKETS];

	if (--description->references) {
		return;
	}
	while (*link != description) {
		link = &(*link)->next;
	}
	*link = description->next;
	if (!kernel->closed) {
		/* flags 0, tag 0, caller 0 (redox-run.md 2.1) */
		struct scheme_sqe *record = kernel_push(kernel);
		record->opcode = SCHEME_OP_CLOSE_MSG;
		record->args[0] = description->id;
	}
	free(description);
}

struct description *description_find(struct kernel *kernel, uint64_t inode)
{
	struct connection *connection = kernel->by_inode[inode % KERNEL_BUCKETS];

	for (; connection; connection = connection->next_of_inode) {
		if (connection->inode == inode) {
			return connection->description;
		}
	}
	for (struct root_name *root = kernel->roots; root; root = root->next) {
		if (root->inode == inode) {
			return root->description;
		}
	}
	return NULL;
}

void description_add_root(struct kernel *kernel, struct description *description, uint64_t inode)
{
	struct root_name *root = calloc(1, sizeof(*root));

	if (!root) {
		return;
	}
	description_hold(description);
	root->description = description;
	root->inode = inode;
	root->next = kernel->roots;
	kernel->roots = root;
}

/* "when a name is removed ... the serving daemon gets CloseMsg with the root's id" (redox-run.md
 * 1.2) */
void description_remove_root(struct kernel *kernel, uint64_t inode)
{
	for (struct root_name **link = &kernel->roots; *link; link = &(*link)->next) {
		struct root_name *root = *link;
		if (root->inode == inode) {
			*link = root->next;
			description_release(kernel, root->description);
			free(root);
			return;
		}
	}
}

/* redox-abi.md 2.4 number 2, 2.6. A handle can always be written; a byte in its socket says that it
 * can be read. */
void description_wake(struct kernel *kernel, uint64_t id, uint32_t events)
{
	struct description *description = kernel->by_id[id % KERNEL_BUCKETS];

	if (!(events & SCHEME_EVENT_READ)) {
		return;
	}
	for (; description; description = description->next) {
		if (description->id != id) {
			continue;
		}
		for (struct connection *c = description->connections; c;
				c = c->next_of_description) {
			/* A full socket is readable already. */
			(void)!send(c->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		}
	}
}
