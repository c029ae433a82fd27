/*
 * Where a peer is found: unix:PATH, vsock-unix:PATH:PORT (a vsock device's host side: "CONNECT
 * port" is said first), vsock:CID:PORT (CID "any" to listen on, else a number; Linux only),
 * tcp:HOST:PORT (dotted address; loopback or QEMU's guestfwd).
 */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include <stdint.h>
#include <sys/types.h>

struct loop;

enum address_kind { ADDRESS_UNIX, ADDRESS_VSOCK_UNIX, ADDRESS_VSOCK, ADDRESS_TCP };

struct address {
	enum address_kind kind;
	char path[108]; // unix and vsock-unix: path; tcp: host
	uint32_t cid;
	uint32_t port;
};

/* Parses TEXT. Returns 0, or -EINVAL with *RET_REASON (static text) saying what is wrong. */
int address_parse(const char *text, struct address *ret_address, const char **ret_reason);

/* Writes the address as text, for logs. Returns BUFFER. */
const char *address_format(const struct address *address, char *buffer, size_t size);

/* Listens; a stale unix socket that nobody serves is replaced. The socket is non-blocking, CLOEXEC.
 * Returns the fd or a negative errno. */
int address_listen(const struct address *address);

/* A connection being made. */
struct dial;

/* Called once: FD >= 0 is the connected socket (taken by the callee), else a negative errno. The
 * dial is gone afterwards. */
typedef void (*dial_fn)(void *data, int fd);

/* Starts connecting without blocking; gives up after TIMEOUT_MS (-ETIMEDOUT). Returns 0 or a
 * negative errno (FN is not called then). */
int dial_start(struct loop *loop, const struct address *address, uint32_t timeout_ms, dial_fn fn,
		void *data, struct dial **ret_dial);

/* Gives up silently. NULL is allowed. */
void dial_cancel(struct dial *dial);

#endif
