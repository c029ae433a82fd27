/*
 * The event loop: one epoll instance, a heap of timers, a self-pipe for signals, work put off to
 * the end of a turn, hooks before the wait.
 *
 * A turn is: hooks, wait, descriptors, timers, idle work, burial. The invariant that makes removal
 * safe anywhere: during a turn a removed source only gets marked (its callback is never called
 * again) and stays linked; it is unlinked and freed when the turn ends. An event that epoll
 * reported for it is therefore recognised as stale, even when its number was closed and given to
 * another source meanwhile.
 *
 * Threads: one loop per thread; a signal may arrive in any thread.
 */
#include "common/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/signal_bell.h"
#include "common/timer_heap.h"

#define EVENT_BATCH 32

enum source_kind {
	SOURCE_FD,
	SOURCE_TIMER,
	SOURCE_SIGNAL,
	SOURCE_IDLE,
	SOURCE_BEFORE_SLEEP,
	SOURCE_KINDS
};

struct loop_source {
	TAILQ_ENTRY(loop_source) link; // loop.sources[kind]
	LIST_ENTRY(loop_source) grave; // loop.graves, when removed
	struct loop *loop;
	enum source_kind kind;
	bool removed;
	bool due; // SOURCE_TIMER: ran out in this turn and was not called yet
	loop_fn fn;
	loop_fd_fn fd_fn; // SOURCE_FD
	void *data;
	int fd;          // SOURCE_FD, borrowed
	uint32_t events; // SOURCE_FD: awaited
	bool in_epoll;   // SOURCE_FD
	int signo;       // SOURCE_SIGNAL
	struct timer timer;
};

TAILQ_HEAD(source_list, loop_source);

struct loop {
	int epoll_fd;
	int signal_pipe[2];
	bool in_turn;
	bool stopped;
	int status;
	struct source_list sources[SOURCE_KINDS];
	LIST_HEAD(grave_list, loop_source) graves;
	struct loop_source *signal_source; // watches signal_pipe
	struct timer_heap timers;
};

static void signals_dispatch(void *data, int fd, uint32_t events)
{
	struct loop *loop = data;
	char bells[64];

	(void)events;
	while (read(fd, bells, sizeof(bells)) > 0) {
	}
	for (int signo = 1; signo < SIGNAL_BELL_SIGNALS; signo++) {
		struct loop_source *source;

		if (!signal_bell_take(signo, loop)) {
			continue;
		}
		TAILQ_FOREACH (source, &loop->sources[SOURCE_SIGNAL], link) {
			if (source->signo == signo && !source->removed) {
				source->fn(source->data);
			}
		}
	}
}

static void source_free(struct loop_source *source)
{
	TAILQ_REMOVE(&source->loop->sources[source->kind], source, link);
	free(source);
}

static void graves_clear(struct loop *loop)
{
	struct loop_source *source;

	while ((source = LIST_FIRST(&loop->graves)) != NULL) {
		LIST_REMOVE(source, grave);
		source_free(source);
	}
}

static int source_create(struct loop *loop, enum source_kind kind, loop_fn fn, void *data,
		struct loop_source **ret_source)
{
	struct loop_source *source = calloc(1, sizeof(*source));

	if (source == NULL) {
		return -ENOMEM;
	}
	source->loop = loop;
	source->kind = kind;
	source->fn = fn;
	source->data = data;
	source->fd = -1;
	TAILQ_INSERT_TAIL(&loop->sources[kind], source, link);
	*ret_source = source;
	return 0;
}

int loop_create(struct loop **ret_loop)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (loop == NULL) {
		return -ENOMEM;
	}
	loop->signal_pipe[0] = -1;
	loop->signal_pipe[1] = -1;
	for (int kind = 0; kind < SOURCE_KINDS; kind++) {
		TAILQ_INIT(&loop->sources[kind]);
	}
	LIST_INIT(&loop->graves);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		int error = -errno;

		loop_destroy(loop);
		return error;
	}
	*ret_loop = loop;
	return 0;
}

void loop_destroy(struct loop *loop)
{
	if (loop == NULL) {
		return;
	}
	assert(!loop->in_turn);
	// Signals before the descriptor of their pipe.
	for (int kind = SOURCE_KINDS - 1; kind >= 0; kind--) {
		struct loop_source *source;

		while ((source = TAILQ_FIRST(&loop->sources[kind])) != NULL) {
			loop_source_remove(source);
		}
	}
	timer_heap_finish(&loop->timers);
	fd_close(&loop->signal_pipe[0]);
	fd_close(&loop->signal_pipe[1]);
	fd_close(&loop->epoll_fd);
	free(loop);
}

/* Calls the sources of a list that were there when the call began: one that adds another of its
 * kind cannot keep the turn from ending. */
static void list_run(struct source_list *list, bool once)
{
	struct loop_source *last = TAILQ_LAST(list, source_list);
	struct loop_source *source;

	for (source = TAILQ_FIRST(list); source != NULL; source = TAILQ_NEXT(source, link)) {
		if (!source->removed) {
			loop_fn fn = source->fn;

			if (once) {
				loop_source_remove(source);
			}
			fn(source->data);
		}
		if (source == last) {
			break;
		}
	}
}

static bool idle_waits(const struct loop *loop)
{
	struct loop_source *source;

	TAILQ_FOREACH (source, &loop->sources[SOURCE_IDLE], link) {
		if (!source->removed) {
			return true;
		}
	}
	return false;
}

static struct loop_source *source_from_timer(struct timer *timer)
{
	return (struct loop_source *)(void *)((char *)timer - offsetof(struct loop_source, timer));
}

/* How long epoll may wait, in milliseconds: at most LIMIT_MS (-1: no limit), and not past the first
 * timer. */
static int wait_ms(const struct loop *loop, int limit_ms)
{
	const struct timer *first = timer_heap_first(&loop->timers);

	if (loop->stopped || idle_waits(loop)) {
		return 0;
	}
	if (first == NULL) {
		return limit_ms;
	}
	uint64_t now_ns = clock_now_ns();
	if (first->deadline_ns <= now_ns) {
		return 0;
	}
	uint64_t left_ms =
			(first->deadline_ns - now_ns - 1) / CLOCK_NS_PER_MS + 1; // up: never early
	if (limit_ms >= 0 && left_ms > (uint64_t)limit_ms) {
		return limit_ms;
	}
	return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

/* Waits and calls the descriptors that are ready. */
static int fds_run(struct loop *loop, int timeout_ms)
{
	struct epoll_event events[EVENT_BATCH];
	int count = epoll_wait(loop->epoll_fd, events, EVENT_BATCH, timeout_ms);

	if (count < 0) {
		return errno == EINTR ? 0 : -errno;
	}
	for (int i = 0; i < count; i++) {
		struct loop_source *source = events[i].data.ptr;
		uint32_t ready = 0;

		if (events[i].events & EPOLLIN) {
			ready |= LOOP_READ;
		}
		if (events[i].events & EPOLLOUT) {
			ready |= LOOP_WRITE;
		}
		if (events[i].events & (EPOLLHUP | EPOLLERR)) {
			ready |= LOOP_READ | LOOP_WRITE;
		}
		ready &= source->events; // a callback before this one may have changed them
		if (!source->removed && ready != 0) {
			source->fd_fn(source->data, source->fd, ready);
		}
	}
	return 0;
}

static void timers_run(struct loop *loop)
{
	uint64_t now_ns = clock_now_ns();
	struct timer *first;
	struct loop_source *source;
	bool any = false;

	// Marked first, called then: one that arms itself for the past comes again in the next
	// turn, not in this one.
	while ((first = timer_heap_first(&loop->timers)) != NULL && first->deadline_ns <= now_ns) {
		timer_heap_set(&loop->timers, first, 0);
		source_from_timer(first)->due = true;
		any = true;
	}
	if (!any) {
		return;
	}
	TAILQ_FOREACH (source, &loop->sources[SOURCE_TIMER], link) {
		if (source->due && !source->removed) {
			source->due = false;
			source->fn(source->data);
		}
	}
}

int loop_turn(struct loop *loop, int timeout_ms)
{
	assert(!loop->in_turn);
	loop->in_turn = true;
	list_run(&loop->sources[SOURCE_BEFORE_SLEEP], false);
	int error = fds_run(loop, wait_ms(loop, timeout_ms));
	if (error == 0) {
		timers_run(loop);
		list_run(&loop->sources[SOURCE_IDLE], true);
	}
	loop->in_turn = false;
	graves_clear(loop);
	return error;
}

int loop_run(struct loop *loop)
{
	loop->stopped = false;
	while (!loop->stopped) {
		int error = loop_turn(loop, -1);

		if (error < 0) {
			return error;
		}
	}
	// What the last turn corked (an answer before exit, say) still goes out.
	loop->in_turn = true;
	list_run(&loop->sources[SOURCE_BEFORE_SLEEP], false);
	loop->in_turn = false;
	graves_clear(loop);
	return loop->status;
}

void loop_stop(struct loop *loop, int status)
{
	loop->stopped = true;
	loop->status = status;
}

/* Tells epoll what SOURCE waits for. One that waits for nothing leaves it, else a hang-up would be
 * reported again and again. */
static int source_watch(struct loop_source *source, uint32_t events)
{
	struct epoll_event event = {.data.ptr = source};
	int operation = source->in_epoll ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (events & LOOP_READ) {
		event.events |= EPOLLIN;
	}
	if (events & LOOP_WRITE) {
		event.events |= EPOLLOUT;
	}
	if (events == 0) {
		operation = EPOLL_CTL_DEL;
	}
	if ((events != 0 || source->in_epoll) &&
			epoll_ctl(source->loop->epoll_fd, operation, source->fd, &event) < 0) {
		return -errno;
	}
	source->in_epoll = events != 0;
	source->events = events;
	return 0;
}

int loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *data,
		struct loop_source **ret_source)
{
	struct loop_source *source;
	int error = source_create(loop, SOURCE_FD, NULL, data, &source);

	if (error < 0) {
		return error;
	}
	source->fd = fd;
	source->fd_fn = fn;
	error = source_watch(source, events);
	if (error < 0) {
		source_free(source);
		return error;
	}
	*ret_source = source;
	return 0;
}

int loop_source_update(struct loop_source *source, uint32_t events)
{
	assert(source->kind == SOURCE_FD && !source->removed);
	return events == source->events ? 0 : source_watch(source, events);
}

int loop_add_timer(struct loop *loop, loop_fn fn, void *data, struct loop_source **ret_source)
{
	int error = timer_heap_reserve(&loop->timers);

	if (error < 0) {
		return error;
	}
	error = source_create(loop, SOURCE_TIMER, fn, data, ret_source);
	if (error < 0) {
		timer_heap_release(&loop->timers);
	}
	return error;
}

void loop_timer_arm(struct loop_source *timer, uint64_t deadline_ns)
{
	assert(timer->kind == SOURCE_TIMER && !timer->removed);
	timer->due = false;
	timer_heap_set(&timer->loop->timers, &timer->timer, deadline_ns);
}

static int signal_pipe_open(struct loop *loop)
{
	if (loop->signal_source != NULL) {
		return 0;
	}
	if (loop->signal_pipe[0] < 0) {
		int error = fd_pipe(loop->signal_pipe);

		if (error < 0) {
			return error;
		}
	}
	return loop_add_fd(loop, loop->signal_pipe[0], LOOP_READ, signals_dispatch, loop,
			&loop->signal_source);
}

int loop_add_signal(struct loop *loop, int signo, loop_fn fn, void *data,
		struct loop_source **ret_source)
{
	struct loop_source *source;

	int error = signal_pipe_open(loop);
	if (error == 0) {
		error = source_create(loop, SOURCE_SIGNAL, fn, data, &source);
	}
	if (error < 0) {
		return error;
	}
	source->signo = signo;
	error = signal_bell_hang(signo, loop, loop->signal_pipe[1]);
	if (error < 0) {
		source_free(source);
		return error;
	}
	*ret_source = source;
	return 0;
}

/* SOURCE is marked removed already: the last one of a signal gives the old disposition back, the
 * last of all takes the bell along. */
static void signal_remove(struct loop_source *source)
{
	struct loop *loop = source->loop;
	struct loop_source *other;
	bool last = true;

	TAILQ_FOREACH (other, &loop->sources[SOURCE_SIGNAL], link) {
		if (!other->removed && other->signo == source->signo) {
			return;
		}
		last = last && other->removed;
	}
	signal_bell_remove(source->signo);
	if (last) {
		// The pipe itself stays until the loop goes: a handler may be running in another
		// thread.
		loop_source_remove(loop->signal_source);
		loop->signal_source = NULL;
	}
}

int loop_add_idle(struct loop *loop, loop_fn fn, void *data, struct loop_source **ret_source)
{
	return source_create(loop, SOURCE_IDLE, fn, data, ret_source);
}

int loop_add_before_sleep(
		struct loop *loop, loop_fn fn, void *data, struct loop_source **ret_source)
{
	return source_create(loop, SOURCE_BEFORE_SLEEP, fn, data, ret_source);
}

void loop_source_remove(struct loop_source *source)
{
	if (source == NULL) {
		return;
	}
	assert(!source->removed);
	source->removed = true;
	switch (source->kind) {
	case SOURCE_FD:
		if (source->in_epoll) {
			epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_DEL, source->fd,
					&(struct epoll_event) {0});
		}
		break;
	case SOURCE_TIMER:
		timer_heap_set(&source->loop->timers, &source->timer, 0);
		timer_heap_release(&source->loop->timers);
		break;
	case SOURCE_SIGNAL:
		signal_remove(source);
		break;
	case SOURCE_IDLE:
	case SOURCE_BEFORE_SLEEP:
	case SOURCE_KINDS:
		break;
	}
	if (source->loop->in_turn) {
		LIST_INSERT_HEAD(&source->loop->graves, source, grave);
	} else {
		source_free(source);
	}
}
