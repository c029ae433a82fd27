/*
 * What clients and the simulated kernel (which lives in the daemon's process) say to each other:
 * one SOCK_SEQPACKET packet a message, a struct and then the bytes of a buffer. Nothing here exists
 * on Redox.
 *
 * A connection's first message says what it is: OPEN and ADOPT make it a handle, REQUEST a channel.
 * It has at most one request under way.
 */
#ifndef HOSTED_MESSAGE_H
#define HOSTED_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_MAGIC       0x314B4852u // "RHK1"
#define MESSAGE_INLINE_MAX  65536u      // bytes of a buffer that travel in the packet
#define MESSAGE_PATH_MAX    4096u       // redox-abi.md 2.5
#define MESSAGE_FDS_MAX     16u
#define MESSAGE_PAGE_BYTES  4096u
#define MESSAGE_ZERO_LENGTH (1ull << 62) // pointer of a buffer of no bytes (redox-abi.md 2.5)

enum message_kind {
	MESSAGE_OPEN = 1, // makes the connection a handle if the daemon agrees: OpenAt or Dup
	MESSAGE_ROOT,     // makes it a descriptor of the same description as INODE
	MESSAGE_ADOPT,    // by the daemon itself: a handle with a number of its choice
	MESSAGE_REQUEST,
	MESSAGE_CANCEL,  // of request SERIAL on this connection; no answer
	MESSAGE_NAMED,   // this handle is a root that stands in the namespace; no answer
	MESSAGE_UNNAMED, // root INODE left the namespace; no answer
};

enum message_buffer {
	MESSAGE_NO_BUFFER,
	MESSAGE_INLINE,
	MESSAGE_COPY, // all of it in a memfd made for this request
	MESSAGE_LIVE, // whole pages in the middle are the client's own; the two ends are inline
};

struct message {
	uint32_t magic;
	uint8_t kind, opcode, buffer, pad;
	uint64_t serial;
	uint64_t inode;           // of the handle that it is about (OPEN: of the parent)
	uint64_t own_inode;       // OPEN, ROOT, ADOPT: of this connection's socket at the client
	uint64_t mapping;         // MUNMAP, and MMAP_PREP for a fork: which mapping
	uint64_t args[4];         // those of the record that follow the id or the buffer
	uint64_t address, length; // of the buffer at the client
	uint64_t file_offset;     // LIVE: where the first whole page lies in the memfd
	uint32_t uid, gid;
	uint64_t nonce; // ADOPT
};

struct message_answer {
	uint32_t magic;
	uint32_t fd_count;
	uint64_t serial;
	int64_t result;       // value or negative errno
	uint64_t mapping;     // MMAP_PREP: its name
	uint64_t file_offset; // MMAP_PREP: where the memory lies in the memfd that comes along
};

/* Which way a request's buffer goes (redox-abi.md 2.5). */
enum message_access { MESSAGE_IN = 1, MESSAGE_OUT = 2, MESSAGE_IS_PATH = 4, MESSAGE_KNOWN = 8 };

/* What the request OPCODE of a client is: enum message_access, 0 if no client sends it. */
unsigned message_access(uint8_t opcode);

/* How a buffer at ADDRESS falls into pages: bytes before the first whole one, of whole ones, and
 * after them. */
struct message_pages {
	size_t head, middle, tail;
};
struct message_pages message_pages(uint64_t address, size_t length);

/*
 * Sends HEADER and up to two pieces of bytes with descriptors (borrowed). Returns 0 or a negative
 * errno. FLAGS as sendmsg's; never raises SIGPIPE.
 */
struct iovec;
int message_send(int socket, struct iovec *pieces, size_t count, const int *fds, size_t fd_count,
		int flags);

/*
 * Receives one packet into PIECES; *RET_FD_COUNT descriptors (CLOEXEC) in FDS, which has
 * MESSAGE_FDS_MAX entries. Returns the bytes, 0 at the end, or a negative errno (-EMSGSIZE: it was
 * longer).
 */
long message_receive(int socket, struct iovec *pieces, size_t count, int *fds, size_t *ret_fd_count,
		int flags);

#endif
