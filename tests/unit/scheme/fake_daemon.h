/* A daemon on top of the library that does as the test says and remembers what it was asked. */
#ifndef FAKE_DAEMON_H
#define FAKE_DAEMON_H

#include "common/loop.h"
#include "schemes/scheme/scheme.h"
#include "tests/unit/scheme/fake_kernel.h"

#define DAEMON_PARKED_MAX 4096u

struct daemon_handle {
	char path[1100];
	uint32_t flags;
	uint32_t event_mask;
	unsigned mappings;
};

struct daemon {
	struct loop *loop;
	struct scheme *scheme;
	struct scheme_ops ops; // a test may take some out
	uint64_t root;         // id of the name "test"

	/* What it does */
	int open_result;
	int64_t result; // of read, write, call, fsync, unless it parks
	bool park;
	bool answer_inside; // answers from the handler, then returns SCHEME_PARK
	bool answer_twice;  // answers from the handler, then returns another value
	void *memory;       // of mmap
	uint32_t ready;     // of fevent
	size_t get, put;    // bytes that a call takes and gives, at get_offset
	size_t get_offset;

	/* What it was asked */
	unsigned opens, closes, reads, writes, calls, fsyncs, cancels, mmaps, munmaps, unregisters;
	struct scheme_open last_open; // path is copied to last_path
	char last_path[1100];
	void *last_parent;
	uint64_t last_nr, last_offset, last_pid, last_map_offset, last_map_size;
	uint32_t last_uid, last_flags;
	uint8_t bytes[4096]; // that a call took, or gives
	struct request *parked[DAEMON_PARKED_MAX];
	unsigned parked_count;
	uint64_t control_id;
	size_t control_length;
	unsigned controls;
	int taken_fd, given_fd;
	size_t taken_count;
	char unregistered_name[80];
};

extern struct daemon daemon_state;
extern const struct scheme_ops daemon_ops;

/* Fixture: kernel, loop, scheme, registered as "test". */
int daemon_setup(void **state);
int daemon_teardown(void **state);

/* Turns the loop until everything that was sent has been taken in. */
void daemon_turn(void);

/* Sends an OpenAt of PATH below PARENT and returns the handle id, or the negative errno. */
int64_t daemon_open(uint64_t parent, const char *path, uint32_t flags);
int64_t daemon_open_from(uint64_t pid, uint64_t parent, const char *path, uint32_t flags);

/* Sends a request, turns, returns the result. */
int64_t daemon_ask(uint8_t opcode, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
		uint64_t a5);

/* Sends CloseMsg and turns. */
void daemon_close(uint64_t id);

/* A pointer as an argument. */
#define POINTER(p) ((uint64_t)(uintptr_t)(p))

/* What a buffer of no length looks like (redox-abi.md 2.5). */
#define NO_BUFFER (1ull << 62)

#endif
