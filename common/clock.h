/*
 * Monotonic time that never runs backwards: Redox's CLOCK_MONOTONIC steps back by up to 80 ms
 * (redox-run.md 1.7), so the last value is kept and returned again until the clock has caught up.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

#define CLOCK_NS_PER_MS 1000000ull
#define CLOCK_NS_PER_S  1000000000ull

/* Nanoseconds of the monotonic clock, never less than an earlier answer in this process. */
uint64_t clock_now_ns(void);

#endif
