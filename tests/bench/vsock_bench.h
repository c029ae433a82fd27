/*
 * What the two ends of the vsock benchmark say to each other: the host connects and sends one
 * request for each connection, then both play it.
 */
#ifndef BENCH_VSOCK_BENCH_H
#define BENCH_VSOCK_BENCH_H

#include <stdint.h>

#define BENCH_PORT        5000u
#define BENCH_PORT_HOST   5001u // where the host listens for a guest that dials
#define BENCH_MESSAGE_MAX (1024u * 1024u)

enum bench_play {
	BENCH_ECHO = 1,   // host sends MESSAGE bytes, guest sends them back, COUNT times
	BENCH_SINK = 2,   // host sends COUNT messages, guest answers one byte at the end
	BENCH_SOURCE = 3, // guest sends COUNT messages
	BENCH_PING = 4, // guest sends, host sends back, COUNT times; then the guest sends its median in ns (u64)
	BENCH_DIAL = 5, // guest connects to BENCH_PORT_HOST of the host and echoes there until the end of file
};

struct bench_request {
	uint32_t play;
	uint32_t message_bytes;
	uint32_t count;
};

#endif
