/*
 * inputd, which says which VT is active (redox-abi.md 5.2). Two generations: the newer takes a
 * capability of ours and calls it (inputd_event), the older is read from.
 */
#ifndef DISPLAY_BRIDGE_INPUTD_H
#define DISPLAY_BRIDGE_INPUTD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct loop_source;
struct scheme;
struct vts;

enum inputd_kind {
	INPUTD_ASKING, // the handshake is under way
	INPUTD_NONE,   // there is no inputd
	INPUTD_CALLS,  // it calls our capability
	INPUTD_READ,   // VtEvents are read
};

struct inputd {
	struct loop *loop; // borrowed
	struct vts *vts;   // borrowed
	enum inputd_kind kind;
	size_t fd; // of its handle, kept for life; SIZE_MAX: none
	struct loop_source *watch, *timer;

	/* The handshake, in a thread of its own; the results are read after the byte on the pipe. */
	pthread_t thread;
	bool thread_runs;
	int pipe[2];
	struct loop_source *answer;
	int capability;
	char path[128];
	enum inputd_kind thread_kind;
	size_t thread_fd;
};

/* Offers NAME, a registered scheme, as a display. Returns 0, also when there is no inputd, or a
 * negative errno. */
int inputd_start(struct inputd *inputd, struct loop *loop, struct scheme *scheme, const char *name,
		struct vts *vts);
void inputd_finish(struct inputd *inputd);

/* A call of the newer generation. Returns 0, or -EINVAL for what is no VT event. */
int inputd_event(struct inputd *inputd, const uint8_t *payload, size_t length);

/* Reads events of the older generation that are there and were not announced; does nothing with the
 * newer. */
void inputd_poll(struct inputd *inputd);

#endif
