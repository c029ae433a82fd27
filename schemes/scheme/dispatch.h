/*
 * The functions that dispatch calls for an opcode: each gets the record and the handle of its
 * args[0], checked as its line in dispatch's table says, and returns what is to be answered.
 */
#ifndef SCHEME_DISPATCH_H
#define SCHEME_DISPATCH_H

#include "schemes/scheme/scheme_private.h"

/* Nothing is to be answered now: the request is parked, or was answered already. */
#define DISPATCH_DONE SCHEME_PARK

typedef int64_t (*dispatch_fn)(
		struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe);

/* open.c */
int64_t open_at(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe);

/* Frees a handle that the kernel has forgotten; its parked requests are cancelled before. */
void open_close(struct scheme *scheme, struct handle *handle);

/* transfer.c */
int64_t transfer_read(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe);
int64_t transfer_write(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe);
int64_t transfer_call(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe);
int64_t transfer_fsync(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe);
int64_t transfer_sendfd(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe);
int64_t transfer_recvfd(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe);

/* file.c */
int64_t file_fstat(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe);
int64_t file_fsize(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe);
int64_t file_fpath(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe);
int64_t file_fcntl(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe);

/* memory.c */
int64_t memory_map(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe);
int64_t memory_unmap(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe);

/* event.c */
int64_t event_watch(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe);

#endif
