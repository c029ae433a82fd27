/* The invariant: timers[i] is never earlier than its parent timers[(i - 1) / 2], and
 * timers[i]->index is i. */
#include "common/timer_heap.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

void timer_heap_finish(struct timer_heap *heap)
{
	free(heap->timers);
	*heap = (struct timer_heap) {0};
}

int timer_heap_reserve(struct timer_heap *heap)
{
	if (heap->owners == heap->room) {
		size_t room = heap->room == 0 ? 8 : heap->room * 2;
		struct timer **timers = realloc(heap->timers, room * sizeof(struct timer *));

		if (timers == NULL) {
			return -ENOMEM;
		}
		heap->timers = timers;
		heap->room = room;
	}
	heap->owners++;
	return 0;
}

void timer_heap_release(struct timer_heap *heap)
{
	assert(heap->owners > heap->count);
	heap->owners--;
}

static void timer_place(struct timer_heap *heap, struct timer *timer, size_t index)
{
	heap->timers[index] = timer;
	timer->index = index;
}

/* Puts TIMER at INDEX or wherever above it belongs. */
static void timer_sift_up(struct timer_heap *heap, struct timer *timer, size_t index)
{
	while (index > 0) {
		size_t parent = (index - 1) / 2;

		if (heap->timers[parent]->deadline_ns <= timer->deadline_ns) {
			break;
		}
		timer_place(heap, heap->timers[parent], index);
		index = parent;
	}
	timer_place(heap, timer, index);
}

/* Puts TIMER at INDEX or wherever below it belongs. */
static void timer_sift_down(struct timer_heap *heap, struct timer *timer, size_t index)
{
	for (;;) {
		size_t child = index * 2 + 1;

		if (child >= heap->count) {
			break;
		}
		if (child + 1 < heap->count &&
				heap->timers[child + 1]->deadline_ns <
						heap->timers[child]->deadline_ns) {
			child++;
		}
		if (timer->deadline_ns <= heap->timers[child]->deadline_ns) {
			break;
		}
		timer_place(heap, heap->timers[child], index);
		index = child;
	}
	timer_place(heap, timer, index);
}

void timer_heap_set(struct timer_heap *heap, struct timer *timer, uint64_t deadline_ns)
{
	if (timer->deadline_ns != 0) {
		struct timer *last = heap->timers[--heap->count];

		if (last != timer) {
			size_t index = timer->index;

			timer_sift_down(heap, last, index);
			timer_sift_up(heap, last, last->index);
		}
	}
	timer->deadline_ns = deadline_ns;
	if (deadline_ns != 0) {
		assert(heap->count < heap->owners);
		heap->count++;
		timer_sift_up(heap, timer, heap->count - 1);
	}
}

struct timer *timer_heap_first(const struct timer_heap *heap)
{
	return heap->count == 0 ? NULL : heap->timers[0];
}
