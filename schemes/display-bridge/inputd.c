/*
 * The handshake with inputd and the VT events. Invariant: once the newer generation has our
 * capability, the thread that serves the scheme makes no request to inputd any more, since inputd
 * waits for us in its calls. The handshake itself, which does wait for inputd, runs in a short
 * thread while the loop already serves.
 */
#include "schemes/display-bridge/inputd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/loop.h"
#include "schemes/display-bridge/vt.h"
#include "schemes/scheme/libredox.h"
#include "schemes/scheme/scheme.h"

#define POLL_MS       500u // an event may be queued without being announced (redox-run.md 5)
#define EVENTS_A_READ 16u
#define NO_FD         SIZE_MAX
#define VT_ACTIVATE   0u

struct vt_event {
	uint64_t kind;
	uint64_t vt;
};

static void event_handle(struct inputd *inputd, const struct vt_event *event)
{
	if (event->kind == VT_ACTIVATE) {
		vt_activate(inputd->vts, event->vt);
	}
}

int inputd_event(struct inputd *inputd, const uint8_t *payload, size_t length)
{
	struct vt_event event;
	if (length != sizeof(event)) {
		return -EINVAL;
	}
	memcpy(&event, payload, sizeof(event));
	event_handle(inputd, &event);
	return 0;
}

void inputd_poll(struct inputd *inputd)
{
	if (inputd->kind != INPUTD_READ) {
		return;
	}
	struct vt_event events[EVENTS_A_READ];
	for (;;) {
		size_t bytes = redox_read_v1(inputd->fd, (uint8_t *)events, sizeof(events));
		if (redox_failed(bytes) || bytes < sizeof(events[0])) {
			return;
		}
		for (size_t i = 0; i < bytes / sizeof(events[0]) && i < EVENTS_A_READ; i++) {
			event_handle(inputd, &events[i]);
		}
	}
}

static void on_readable(void *data, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	inputd_poll(data);
}

static void on_timer(void *data)
{
	struct inputd *inputd = data;
	inputd_poll(inputd);
	loop_timer_arm(inputd->timer, clock_now_ns() + POLL_MS * CLOCK_NS_PER_MS);
}

/* The thread: opens our handle of inputd, and offers the capability. */
static void *handshake(void *data)
{
	struct inputd *inputd = data;
	size_t fd = redox_open_v1((const uint8_t *)inputd->path, strlen(inputd->path),
			REDOX_O_RDONLY | REDOX_O_NONBLOCK | REDOX_O_CLOEXEC, 0);
	if (redox_failed(fd)) {
		inputd->thread_kind = INPUTD_NONE;
		inputd->thread_fd = NO_FD;
	} else {
		uint64_t capability = (uint64_t)inputd->capability;
		uint64_t metadata = 0;
		size_t result = redox_sys_call_v0(fd, (uint8_t *)&capability, sizeof(capability),
				REDOX_CALL_WRITE | REDOX_CALL_FD, &metadata, 0);
		inputd->thread_kind = redox_failed(result) ? INPUTD_READ : INPUTD_CALLS;
		inputd->thread_fd = fd;
	}
	ssize_t written = write(inputd->pipe[1], "", 1);
	(void)written; // an empty pipe takes a byte
	return NULL;
}

static void reading_start(struct inputd *inputd)
{
	int error = loop_add_fd(inputd->loop, (int)inputd->fd, LOOP_READ, on_readable, inputd,
			&inputd->watch);
	if (error == 0) {
		error = loop_add_timer(inputd->loop, on_timer, inputd, &inputd->timer);
	}
	if (error != 0) {
		log_error(LOG_DISPLAY, "cannot watch inputd: %s; VTs switch late",
				strerror(-error));
	}
	if (inputd->timer != NULL) {
		on_timer(inputd);
	}
}

static void on_answer(void *data, int fd, uint32_t events)
{
	struct inputd *inputd = data;
	char byte;
	(void)events;
	if (read(fd, &byte, 1) != 1) {
		return;
	}
	pthread_join(inputd->thread, NULL);
	inputd->thread_runs = false;
	loop_source_remove(inputd->answer);
	inputd->answer = NULL;
	inputd->kind = inputd->thread_kind;
	inputd->fd = inputd->thread_fd;
	switch (inputd->kind) {
	case INPUTD_READ:
		log_info(LOG_DISPLAY, "inputd is read for VT events");
		reading_start(inputd);
		break;
	case INPUTD_CALLS:
		log_info(LOG_DISPLAY, "inputd calls with VT events");
		break;
	default:
		log_info(LOG_DISPLAY, "no inputd: the VT that set a picture last is active");
		break;
	}
}

int inputd_start(struct inputd *inputd, struct loop *loop, struct scheme *scheme, const char *name,
		struct vts *vts)
{
	*inputd = (struct inputd) {.loop = loop, .vts = vts, .fd = NO_FD, .pipe = {-1, -1}};
	snprintf(inputd->path, sizeof(inputd->path), "/scheme/input/handle/%s", name);
	inputd->capability = scheme_control_create(scheme, 1);
	if (inputd->capability < 0) {
		return inputd->capability;
	}
	int error = fd_pipe(inputd->pipe);
	if (error == 0) {
		error = loop_add_fd(loop, inputd->pipe[0], LOOP_READ, on_answer, inputd,
				&inputd->answer);
	}
	if (error == 0) {
		error = -pthread_create(&inputd->thread, NULL, handshake, inputd);
	}
	inputd->thread_runs = error == 0;
	return error;
}

void inputd_finish(struct inputd *inputd)
{
	loop_source_remove(inputd->answer);
	loop_source_remove(inputd->watch);
	loop_source_remove(inputd->timer);
	if (inputd->thread_runs) {
		/* It may wait for an inputd that hangs: the process ends without it. */
		pthread_detach(inputd->thread);
		return;
	}
	if (inputd->fd != NO_FD) {
		redox_close_v1(inputd->fd);
	}
	fd_close(&inputd->pipe[0]);
	fd_close(&inputd->pipe[1]);
}
