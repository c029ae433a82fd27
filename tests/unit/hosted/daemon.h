/*
 * A daemon on the bare wire for the tests of the simulated kernel. It reports every record that it
 * reads over a pipe, and does what the path of a handle or the first word of a Call says.
 */
#ifndef TESTS_HOSTED_DAEMON_H
#define TESTS_HOSTED_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "schemes/scheme/wire.h"

#define DAEMON_NAME    "test.one"
#define DAEMON_PATH    "/scheme/" DAEMON_NAME
#define DAEMON_ROOT_ID 7u
#define DAEMON_MEMORY  (16u * 4096u)

/* First words of Calls. */
enum daemon_call {
	DAEMON_ECHO,      // inverts the payload, answers its length
	DAEMON_PARK,      // is answered by RELEASE, Cancel (ECANCELED) or never
	DAEMON_PARK_DEAF, // the same, but Cancel is ignored
	DAEMON_RELEASE,   // answers all parked, the last first; answers how many
	DAEMON_ANSWER,    // answers with the second word as it is
	DAEMON_READ_TWICE, // sums the payload's first byte of the second page, waits for a byte on a pipe, sums again
	DAEMON_WAKE,        // SendFevent READ on this handle
	DAEMON_WRONG_KIND,  // answers with a descriptor
	DAEMON_BAD_ANSWERS, // writes broken records; answers the errnos that came, as bytes
	DAEMON_EXIT,        // dies in the middle of the call
	DAEMON_POINTER,     // answers the offset of the payload in its page
	DAEMON_PEEK,        // answers the byte of the exported memory at the second word
	DAEMON_UNREGISTER,  // takes its name away
	DAEMON_FDS,         // answers the number of its open descriptors
	DAEMON_OBTAIN_BAD,  // the next Sendfd is fetched with a wrong count
};

struct daemon {
	pid_t pid;
	int records; // read end: struct scheme_sqe of everything that the daemon reads
	int control; // write end of the pipe that READ_TWICE waits on
	int paused;  // read end: a byte when READ_TWICE waits
};

/* Starts one that has registered DAEMON_NAME; the simulation's directory is the test's. */
void daemon_start(struct daemon *daemon);

/* Without a name: the root comes over ROOT_PIPE as to init. */
void daemon_start_unnamed(struct daemon *daemon, int root_pipe);

/* Kills it, if it is there, and forgets it. */
void daemon_stop(struct daemon *daemon);

/* Reads records until one of OPCODE; fails the test after five seconds. */
struct scheme_sqe daemon_expect(struct daemon *daemon, uint8_t opcode);

/* Whether a record of OPCODE is among those that are there now; takes them all. */
bool daemon_seen(struct daemon *daemon, uint8_t opcode);

/* The directory of the simulated kernel: the test's own. */
void daemon_use_test_dir(void);

#endif
