/*
 * Monotonic time. The invariant: no answer is less than an earlier one, in whichever thread. While
 * the system's clock is behind (Redox, up to 80 ms) time stands still here, so deadlines come late
 * rather than twice.
 */
#include "common/clock.h"

#include <stdatomic.h>
#include <time.h>

uint64_t clock_now_ns(void)
{
	static _Atomic uint64_t latest_ns;
	struct timespec now = {0};

	clock_gettime(CLOCK_MONOTONIC, &now);
	uint64_t now_ns = (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
	uint64_t seen_ns = atomic_load_explicit(&latest_ns, memory_order_relaxed);

	while (now_ns > seen_ns) {
		if (atomic_compare_exchange_weak_explicit(&latest_ns, &seen_ns, now_ns,
				    memory_order_relaxed, memory_order_relaxed)) {
			return now_ns;
		}
	}
	return seen_ns;
}
