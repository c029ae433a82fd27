/*
 * The event loop of every process of this project: file descriptors, timers, signals and work put
 * off to the end of a turn, over one epoll instance. Nothing that relibc lacks is used (no timerfd,
 * signalfd, eventfd).
 *
 * One loop belongs to one thread. Sources may be removed from inside any callback, their own
 * included; the memory goes at the end of the turn. On Redox readiness is edge-like: a callback
 * reads until EAGAIN, or asks to be called again.
 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <stdint.h>

struct loop;
struct loop_source;

enum loop_events {
	LOOP_READ = 1, // also set on end of file, hang-up and error: read to find out
	LOOP_WRITE = 2,
};

typedef void (*loop_fd_fn)(void *data, int fd, uint32_t events);
typedef void (*loop_fn)(void *data);

/* Creates a loop. Returns 0, or a negative errno. */
int loop_create(struct loop **ret_loop);

/* Frees LOOP and every source that is still there. NULL is allowed. Never call it from a callback.
 */
void loop_destroy(struct loop *loop);

/* Runs until loop_stop. Returns the status given to it, or a negative errno of epoll. */
int loop_run(struct loop *loop);

/* One turn: waits at most TIMEOUT_MS (-1: until something happens) and calls what is due. Returns 0
 * or a negative errno. */
int loop_turn(struct loop *loop, int timeout_ms);

/* Makes loop_run return STATUS (0 or positive) at the end of this turn. */
void loop_stop(struct loop *loop, int status);

/* Watches FD (borrowed; non-blocking; remove the source before closing it). EVENTS may be 0.
 * Returns 0 or a negative errno. */
int loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *data,
		struct loop_source **ret_source);

/* Changes which events an fd source waits for. Returns 0 or a negative errno. */
int loop_source_update(struct loop_source *source, uint32_t events);

/* Adds a timer, unarmed. It fires once for each arming. Returns 0 or -ENOMEM. */
int loop_add_timer(struct loop *loop, loop_fn fn, void *data, struct loop_source **ret_source);

/* Arms TIMER for the time DEADLINE_NS of clock_now_ns(), replacing what was armed; 0 disarms. */
void loop_timer_arm(struct loop_source *timer, uint64_t deadline_ns);

/* Calls FN from the loop after SIGNO arrived (self-pipe); the old disposition returns at removal.
 * Returns 0 or a negative errno. */
int loop_add_signal(struct loop *loop, int signo, loop_fn fn, void *data,
		struct loop_source **ret_source);

/* Calls FN once, at the end of this turn (or of the next one, from outside a turn), then removes
 * itself. */
int loop_add_idle(struct loop *loop, loop_fn fn, void *data, struct loop_source **ret_source);

/* Calls FN in every turn, last thing before the loop waits: where links flush what they corked. */
int loop_add_before_sleep(
		struct loop *loop, loop_fn fn, void *data, struct loop_source **ret_source);

/* Removes SOURCE; its callback is not called again. NULL is allowed. An idle source must not be
 * removed after it ran. */
void loop_source_remove(struct loop_source *source);

#endif
