/*
 * The kernel's side of one scheme, in the process of the test: libredox's symbols over plain
 * memory. It sends exactly the records that a test asks for, and judges the answers as Redox does
 * (redox-abi.md 2.1): an answer without a request, or a second one, is a violation that fails the
 * test.
 */
#ifndef FAKE_KERNEL_H
#define FAKE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "schemes/scheme/wire.h"

#define FAKE_TAGS  8192u
#define FAKE_NAMES 8u
#define FAKE_FDS   16u
#define FAKE_PID   4711u
#define FAKE_OWNER (1000ull | 1001ull << 32) // uid and gid of args[5]

struct fake_name {
	char name[80]; // "" is free
	bool alive;    // its daemon: an open succeeds, else it gives ENODEV
	uint64_t root; // id, when it is the scheme under test
};

struct fake_kernel {
	int socket[2];        // [0] is the daemon's
	unsigned outstanding; // requests without answer
	unsigned violations;  // answers without request
	unsigned writes;      // of answers, by the daemon
	unsigned notices;     // SendFevent records
	uint32_t notice_events;
	uint64_t notice_id;
	unsigned probes; // opens of a name
	struct fake_name names[FAKE_NAMES];
	uint64_t last_id; // of the last descriptor that the daemon made of itself
	uint64_t moved[FAKE_FDS];
	unsigned moved_count;
	int handed_over;               // what an open gave instead of a handle; -1: none
	uint64_t obtainable[FAKE_FDS]; // what an ObtainFd gives

	/* Faults to come */
	unsigned write_records; // at most so many answers in one write; 0: no bound
	unsigned write_eagain;  // so many writes fail with EAGAIN
	int write_error;        // errno of the next write
	int read_error;         // errno of the next read
	bool end_of_file;       // reads give 0
	int create_error;       // errno of create-scheme
	int register_error;
	int capability_error; // of the creation capability
	int make_error;       // of making a descriptor of the own scheme
	int unlink_error;
	int fd_call_error; // of ObtainFd, MoveFd, and handing over
	bool no_namespace;
};

extern struct fake_kernel fake;

void fake_start(void);
void fake_stop(void); // fails the test after violations

/* Sends a record with a fresh tag, which it returns. */
uint32_t fake_send(uint8_t opcode, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
		uint64_t a5);
uint32_t fake_send_from(uint64_t pid, uint8_t opcode, const uint64_t args[6]);

/* Sends a record that gets no answer: Cancel of a tag, CloseMsg of an id, ... */
void fake_send_oneway(uint8_t opcode, uint8_t flags, uint32_t tag, uint64_t a0);

/* Whether TAG has its answer, and the answer. It is kept until the tag is used again. */
bool fake_answered(uint32_t tag);
struct scheme_cqe fake_answer(uint32_t tag);

/* The tag may be used again as soon as it was answered; this says in how many answers it stood. */
unsigned fake_answers(uint32_t tag);

/* Puts a name of another daemon in the namespace. */
void fake_add_name(const char *name, bool alive);
struct fake_name *fake_find_name(const char *name, size_t length);

#endif
