/*
 * Timers in a binary heap: the earliest deadline is on top. The heap never allocates while a timer
 * is armed, so arming cannot fail: room is made when a timer comes into being.
 */
#ifndef COMMON_TIMER_HEAP_H
#define COMMON_TIMER_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One timer, embedded in what it belongs to; zero-initialised it is unarmed. */
struct timer {
	uint64_t deadline_ns; // 0: unarmed
	size_t index;         // in heap.timers while armed
};

struct timer_heap {
	struct timer **timers; // owned array of borrowed timers
	size_t count;
	size_t room;   // of the array
	size_t owners; // timers that exist, armed or not
};

void timer_heap_finish(struct timer_heap *heap);

/* Makes room for one more timer. Returns 0 or -ENOMEM. */
int timer_heap_reserve(struct timer_heap *heap);

/* Gives the room of one timer back; it must be unarmed. */
void timer_heap_release(struct timer_heap *heap);

/* Arms TIMER for DEADLINE_NS, replacing what was armed; 0 disarms. */
void timer_heap_set(struct timer_heap *heap, struct timer *timer, uint64_t deadline_ns);

/* The timer with the earliest deadline, or NULL. */
struct timer *timer_heap_first(const struct timer_heap *heap);

#endif
