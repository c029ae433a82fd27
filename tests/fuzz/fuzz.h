/* What libFuzzer, and replay.c in its place, call of a fuzzer. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Runs one input; a finding is a crash, so check with FUZZ_ASSERT. Returns 0. */
__attribute__((visibility("default"))) int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_ASSERT(condition)                   \
	do {                                     \
		if (!(condition)) {              \
			fuzz_failed(#condition); \
		}                                \
	} while (0)

#include <stdio.h>
#include <stdlib.h>

static inline void fuzz_failed(const char *condition)
{
	fprintf(stderr, "fuzz: not true: %s\n", condition);
	abort();
}

#endif
