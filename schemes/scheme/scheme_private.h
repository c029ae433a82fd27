/* The parts of a scheme, for the files of this folder. */
#ifndef SCHEME_PRIVATE_H
#define SCHEME_PRIVATE_H

#include <stdbool.h>
#include "schemes/scheme/handle.h"
#include "schemes/scheme/reply.h"
#include "schemes/scheme/request.h"
#include "schemes/scheme/scheme.h"

#define SCHEME_PAGE_BYTES 4096u
#define SCHEME_NAME_MAX   64u
#define SCHEME_PREFIX     "/scheme/"

struct loop_source;

struct scheme {
	struct loop *loop;
	const struct scheme_ops *ops; // borrowed
	void *data;
	size_t socket;
	size_t namespace; // own dup: works after the process has left its namespace; may be an
			  // error
	struct loop_source *readable, *again, *flush, *retry;
	bool ending; // everything is answered ENODEV
	struct handle_table handles;
	struct request_pool requests;
	struct reply_queue replies;
};

/* Answers one record: dispatch.c. */
void dispatch(struct scheme *scheme, const struct scheme_sqe *sqe);

/* Makes an fd of our own scheme with the id of HANDLE. Returns it, or an error as libredox does. */
size_t scheme_make_fd(struct scheme *scheme, const struct handle *handle);

/* A handle for a root capability of NAME, and the capability. Returns 0 or a negative errno. */
int scheme_make_root(struct scheme *scheme, const char *name, struct handle **ret_handle,
		size_t *ret_fd);

#endif
