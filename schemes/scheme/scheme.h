/*
 * Serves a Redox scheme from C, over libredox's symbols alone: wire records, handles, parked
 * requests, events, memory that may be mapped, registration, readiness. It carries the rules at the
 * end of redox-run.md 3, so that a daemon on top cannot break them:
 *
 * - Handlers never see live client memory: request_get copies it once, request_put copies back
 * (rule "copy, then validate").
 * - Access modes are checked here, in every opcode; O_PATH handles can only be stat'ed, path'ed and
 * opened below.
 * - Paths arrive with slashes folded and no "." or ".."; an open is never parked.
 * - Each request is answered exactly once: after Cancel, when its handle closes, and all of them
 * before the process ends.
 * - Handle ids grow in a table with a limit for each pid; ids that would read as errno are not
 * used.
 */
#ifndef SCHEME_SCHEME_H
#define SCHEME_SCHEME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "schemes/scheme/wire.h"

struct loop;
struct scheme;
struct request; // one request of a client; valid until it is answered

/* Who opened, and how. uid and gid are known at open, read and write only (redox-abi.md 2.1). */
struct scheme_open {
	const char *path; // NUL-terminated, relative to the parent, "" for the parent itself
	uint32_t flags;   // enum redox_open_flags; with REDOX_O_STAT an open must not have side
			  // effects
	uint32_t uid, gid;
	uint64_t pid;
};

/* Answer of a handler that keeps the request: request_answer is called later. */
#define SCHEME_PARK INT64_MIN

/* Answer of ops.open: reads and writes of this handle have an offset, and its end is fstat's
 * st_size. */
#define SCHEME_OPEN_POSITIONED 1

/* Answer of ops.open: *RET_HANDLE is not a handle but a descriptor, cast, that the client gets
 * instead of one of ours; given away. */
#define SCHEME_OPEN_DESCRIPTOR 2

/* Answer of ops.open: memory of this handle may be mapped writable, whatever the access mode of the
 * open. For displays: a new inputd opens them read-only for its consumers (redox-abi.md 5.3). */
#define SCHEME_OPEN_MAP_WRITABLE 3

/*
 * What a daemon implements. DATA is scheme_create's; HANDLE is what open returned. A handler that
 * may be NULL gets the errno in its comment. Results: 0 or a positive value, a negative errno, or
 * (where it says "may park") SCHEME_PARK.
 */
struct scheme_ops {
	/*
	 * Opens; PARENT is NULL at the root. Sets *RET_HANDLE (may stay NULL). Returns 0,
	 * SCHEME_OPEN_POSITIONED (the kernel keeps a file offset, as for a text to read),
	 * SCHEME_OPEN_DESCRIPTOR, SCHEME_OPEN_MAP_WRITABLE or a negative errno. Must be prompt:
	 * never parked.
	 */
	int (*open)(void *data, void *parent, const struct scheme_open *open, void **ret_handle);
	/* The last descriptor and mapping are gone; parked requests have been cancelled before. */
	void (*close)(void *data, void *handle);
	/* Reads at most request_length bytes at request_offset by request_put. May park. NULL:
	 * EBADF. */
	int64_t (*read)(void *data, void *handle, struct request *request, uint32_t flags);
	/* May park. NULL: EBADF. */
	int64_t (*write)(void *data, void *handle, struct request *request, uint32_t flags);
	/* SYS_CALL with the first metadata word NR: a DRM ioctl, as redox-abi.md 4.1. The payload
	 * is copied back at the answer. May park. NULL: EOPNOTSUPP. */
	int64_t (*call)(void *data, void *handle, struct request *request, uint64_t nr);
	/* May park. NULL: 0. */
	int64_t (*fsync)(void *data, void *handle, struct request *request);
	/* Fills size, mode and the like; zeroed before, uid and gid of the opener set. NULL: a
	 * character device 0666. */
	void (*fstat)(void *data, void *handle, struct scheme_stat *stat);
	/* Path of the handle without the scheme ("v2/3"), or a whole path of another scheme that
	 * begins with a slash; NUL-terminated, into BUFFER. NULL: the path of the open. Returns 0
	 * or a negative errno. */
	int (*fpath)(void *data, void *handle, char *buffer, size_t size);
	/*
	 * Where the mapping (OFFSET, SIZE in whole pages) lies in our memory; made by
	 * scheme_memory_create. Private writable mappings and wrong access modes have been refused
	 * before. A range stays mappable at its offset until its last munmap (a client's fork maps
	 * it again). NULL: EOPNOTSUPP.
	 */
	int (*mmap)(void *data, void *handle, uint64_t offset, uint64_t size, uint32_t flags,
			void **ret_address);
	void (*munmap)(void *data, void *handle, uint64_t offset, uint64_t size);
	/* Interest changed to MASK (0: none). Returns the events ready now. NULL: none. */
	uint32_t (*fevent)(void *data, void *handle, uint32_t mask);
	/* A client moved descriptors to us: FDS[COUNT] are taken. NULL: EOPNOTSUPP. */
	int (*sendfd)(void *data, void *handle, uint64_t nr, int *fds, size_t count);
	/* A client wants a descriptor: *RET_FD is given away. NULL: EOPNOTSUPP. */
	int (*recvfd)(void *data, void *handle, uint64_t nr, int *ret_fd);
	/* Call on a capability of scheme_control_create (inputd's VT events come so): PAYLOAD is a
	 * private copy. Must be prompt. Returns 0 or a negative errno. */
	int (*control)(void *data, uint64_t control_id, const uint8_t *payload, size_t length);
	/* A parked request goes away (Cancel, close of the handle, end of the scheme): forget it.
	 * It is answered for you. NULL if nothing parks. */
	void (*cancel)(void *data, void *handle, struct request *request);
	/* NAME was taken out of the namespace by somebody (CloseMsg of its root). NULL: nothing. */
	void (*unregistered)(void *data, const char *name);
};

/* Creates the scheme's socket and watches it; nothing can reach it before scheme_register. Returns
 * 0 or a negative errno (-EACCES: not root). */
int scheme_create(struct loop *loop, const struct scheme_ops *ops, void *data,
		struct scheme **ret_scheme);

/* Answers all parked requests (ENODEV), takes the names out of the namespace, closes. NULL is
 * allowed. Not from a handler. */
void scheme_destroy(struct scheme *scheme);

/*
 * Registers NAME (several are possible; each gets a root of its own). A name left by a dead daemon
 * is removed after probing that it is dead: by an O_PATH open, which waits for a daemon that lives,
 * so another scheme of this thread must not have NAME. Open everything the process needs before.
 * Returns 0, -EEXIST when a living daemon has it, or another negative errno.
 */
int scheme_register(struct scheme *scheme, const char *name);

/* Makes a capability on the own scheme whose Calls reach ops.control with CONTROL_ID. Returns an
 * fd, or a negative errno. */
int scheme_control_create(struct scheme *scheme, uint64_t control_id);

/* Wakes those who wait for EVENTS on HANDLE; harmless when nobody does. */
void scheme_notify(struct scheme *scheme, const void *handle, uint32_t events);

/* --- requests --- */

size_t request_length(const struct request *request); // of the client's buffer
uint64_t request_pid(const struct request *request);
uint64_t request_offset(const struct request *request); // of a read or write; UINT64_MAX: the
							// handle has no position
uint32_t request_uid(const struct request *request);    // read and write only, else UINT32_MAX

/* Copies LENGTH bytes at OFFSET of the client's buffer out, once. The range must lie within
 * request_length. */
void request_get(const struct request *request, size_t offset, void *destination, size_t length);

/* Copies into the client's buffer (Read, Call, StdFsCall only). The range must lie within
 * request_length. */
void request_put(struct request *request, size_t offset, const void *source, size_t length);

/* Answers a parked request with a value or a negative errno; the request is gone afterwards. */
void request_answer(struct request *request, int64_t result);

/* --- memory that clients may map --- */

/* SIZE is rounded up to pages; zeroed, shareable by ops.mmap. Returns 0 or a negative errno. */
int scheme_memory_create(size_t size, void **ret_memory);
void scheme_memory_destroy(void *memory, size_t size);

/* --- readiness (redox-abi.md 1.6) --- */

/*
 * Says "ready" once: a byte (0) on the pipe INIT_NOTIFY, and a newline on READY_FD (-1: none),
 * which is closed. Returns 0 or a negative errno; 0 when nobody asked.
 */
int ready_notify(int ready_fd);

/* The other protocol: hands a fresh root capability of SCHEME over INIT_NOTIFY; init registers it
 * as NAME, that of its unit file. */
int ready_hand_over(struct scheme *scheme, const char *name);

/* Marks INIT_NOTIFY close-on-exec: first thing in main. */
void ready_init(void);

#endif
