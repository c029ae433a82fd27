/* Short forms of what the tests' clients do. */
#ifndef TESTS_HOSTED_CLIENT_H
#define TESTS_HOSTED_CLIENT_H

#include <string.h>
#include "schemes/hosted/hosted.h"
#include "schemes/scheme/libredox.h"
#include "tests/unit/hosted/daemon.h"

static inline size_t client_open_flags(const char *path, uint32_t flags)
{
	return redox_open_v1((const uint8_t *)path, strlen(path), flags, 0);
}

static inline size_t client_open(const char *path)
{
	return client_open_flags(path, REDOX_O_RDWR | REDOX_O_CLOEXEC);
}

static inline size_t client_call(
		size_t fd, enum daemon_call what, uint64_t word, void *payload, size_t length)
{
	const uint64_t metadata[] = {what, word};

	return redox_sys_call_v0(
			fd, payload, length, REDOX_CALL_READ | REDOX_CALL_WRITE, metadata, 2);
}

#endif
