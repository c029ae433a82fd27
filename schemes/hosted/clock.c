/*
 * With REDOX_HOSTED_CLOCK=hostile the monotonic clock steps back by up to 80 ms now and then, as
 * Redox's does (redox-run.md 1.7). It never runs ahead of the real one.
 */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "schemes/hosted/clock.h"

#define CLOCK_STEP_MAX_NS 80000000u
#define CLOCK_STEP_ONE_IN 2000u // reads
#define CLOCK_NS          1000000000

typedef int (*clock_gettime_fn)(clockid_t, struct timespec *);

static uint32_t clock_random(void)
{
	static _Atomic uint64_t state = 88172645463325252u;
	uint64_t x = atomic_load_explicit(&state, memory_order_relaxed);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	atomic_store_explicit(&state, x, memory_order_relaxed);
	return (uint32_t)(x >> 16);
}

static clock_gettime_fn libc_clock_gettime;
static bool hostile;

void hosted_clock_prepare(void)
{
	const char *mode = getenv("REDOX_HOSTED_CLOCK");

	hostile = mode && !strcmp(mode, "hostile");
	*(void **)&libc_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	if (!libc_clock_gettime) {
		hosted_clock_prepare();
	}
	int result = libc_clock_gettime(clock, ret_now);
	if (result == 0 && hostile && clock == CLOCK_MONOTONIC &&
			clock_random() % CLOCK_STEP_ONE_IN == 0) {
		int64_t now = (int64_t)ret_now->tv_sec * CLOCK_NS + ret_now->tv_nsec;
		now -= clock_random() % CLOCK_STEP_MAX_NS;
		ret_now->tv_sec = (time_t)(now / CLOCK_NS);
		ret_now->tv_nsec = (long)(now % CLOCK_NS);
	}
	return result;
}
