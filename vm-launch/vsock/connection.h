/*
 * One stream between a host program (a unix socket) and the guest: its state, the credit of both
 * directions, what has to be told to the guest, and the guest's bytes that the socket did not take
 * yet.
 *
 *   host asks:   REQUESTED ──RESPONSE──► OPEN ──both directions ended──► CLOSING ──RST──► gone
 *   guest asks:  ───────────────────────► OPEN ──guest closed, bytes left for the host──► DRAINING
 * ──► gone
 *
 * A connection in DRAINING does not exist for the guest any more. Anything unexpected ends it with
 * RST.
 */
#ifndef VSOCK_CONNECTION_H
#define VSOCK_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>
#include "vm-launch/vsock/packet.h"

struct loop;
struct loop_source;

#define CONNECTION_BUCKETS 256u

enum connection_state {
	CONNECTION_REQUESTED,
	CONNECTION_OPEN,
	CONNECTION_CLOSING,
	CONNECTION_DRAINING,
};

/* What the guest has to be told about a connection. */
enum connection_news {
	NEWS_REQUEST = 1,
	NEWS_RESPONSE = 2,
	NEWS_CREDIT_UPDATE = 4,
	NEWS_CREDIT_REQUEST = 8,
	NEWS_SHUTDOWN = 16,
};

struct connection {
	LIST_ENTRY(connection) bucket; // set.buckets; not while DRAINING
	TAILQ_ENTRY(connection) all;   // set.all
	TAILQ_ENTRY(connection) ready; // set.ready, if is_ready
	struct connection_set *set;
	enum connection_state state;
	uint32_t guest_port, host_port;
	int fd; // -1 once CLOSING
	struct loop_source *source;
	bool is_ready;
	bool is_readable;      // the socket has something, as far as we know
	bool is_paused;        // and is not watched for more until that is read
	bool has_asked;        // CREDIT_REQUEST was sent since credit ran out
	uint32_t news;         // enum connection_news
	uint32_t guest_ended;  // enum packet_shutdown: what the guest said
	uint32_t host_ended;   // enum packet_shutdown: what the guest has been or will be told
	uint64_t deadline_ns;  // 0: none
	uint32_t guest_buffer; // credit to the guest: room it has,
	uint32_t guest_taken;  // bytes its reader took,
	uint32_t sent;         // bytes we sent
	uint32_t received;     // credit from the guest: bytes it sent,
	uint32_t taken;        // bytes the socket took,
	uint32_t taken_told;   // the same as the guest knows it
	uint32_t read_goal; // bytes asked of the socket at once; grows and shrinks with what comes
	uint8_t *buffer;    // LIMIT_VSOCK_BUFFER bytes, ring; NULL until needed
	uint32_t buffer_start, buffer_bytes;
};

LIST_HEAD(connection_bucket, connection);
TAILQ_HEAD(connection_list, connection);

struct connection_set_ops {
	void (*reset)(void *data, struct connection *connection); // its socket failed: RST to the
								  // guest, destroy it
};

struct connection_set {
	struct loop *loop; // borrowed
	const struct connection_set_ops *ops;
	void *data;
	struct connection_bucket buckets[CONNECTION_BUCKETS];
	struct connection_list all;
	struct connection_list ready; // have something for the guest, served in turn
	uint32_t count;
	bool has_deadlines; // some connection may have one
};

void connection_set_init(struct connection_set *set, struct loop *loop,
		const struct connection_set_ops *ops, void *data);

/* Destroys all; no word to the guest. */
void connection_set_clear(struct connection_set *set);

/* NULL if there is none that the guest knows by these ports. */
struct connection *connection_find(
		const struct connection_set *set, uint32_t guest_port, uint32_t host_port);

/*
 * Makes one over the unix socket FD (non-blocking; taken, also on error). Returns 0, -ENOSPC at
 * LIMIT_VSOCK_CONNECTIONS, or another negative errno.
 */
int connection_create(struct connection_set *set, int fd, enum connection_state state,
		uint32_t guest_port, uint32_t host_port, struct connection **ret_connection);

/* Closes the socket and frees. NULL is allowed. */
void connection_destroy(struct connection *connection);

/* RST, unless it changes its state within MS milliseconds. */
void connection_set_deadline(struct connection *connection, uint32_t ms);

/* Notes NEWS for the guest and queues the connection to be served. */
void connection_tell(struct connection *connection, uint32_t news);

/* Queues it if there is something to send to the guest. */
void connection_queue(struct connection *connection);

/* Takes it out of the queue; puts a queued one to its end. */
void connection_unqueue(struct connection *connection);
void connection_yield(struct connection *connection);

/*
 * Takes the guest's credit, which every packet carries; an older one overtaken by a newer is
 * ignored. Returns 0, or -EPROTO when it claims bytes that were never sent.
 */
int connection_take_credit(struct connection *connection, const struct packet_header *header);

/* Bytes that the guest has room for. */
uint32_t connection_credit(const struct connection *connection);

/* Whether bytes may be read from the socket and sent now. */
bool connection_can_send(const struct connection *connection);

/* A header to the guest; counts LENGTH as sent and the credit as told. */
struct packet_header connection_header(struct connection *connection, uint64_t guest_cid,
		enum packet_op op, uint32_t flags, uint32_t length);

/*
 * The guest's BYTES go to the socket; what it does not take is kept. Returns 0; -EPROTO when the
 * guest had no credit for them; another negative errno when the socket or the guest's memory
 * (-EFAULT) failed. The caller resets it then.
 */
int connection_write(struct connection *connection, const struct iovec *iov, uint32_t iov_count,
		uint32_t bytes);

/*
 * The guest has ended directions (FLAGS of its SHUTDOWN). Returns true when RST is due: the
 * connection is gone then, or lives on unknown to the guest until the socket has taken the last
 * bytes.
 */
bool connection_guest_ends(struct connection *connection, uint32_t flags);

/* The socket has said end of file. */
void connection_host_ends(struct connection *connection);

/* The guest has accepted: "OK port" for the host program. Returns 0 or a negative errno. */
int connection_accepted(struct connection *connection);

/* The socket was found empty: wait for more. */
void connection_rest(struct connection *connection);

#endif
