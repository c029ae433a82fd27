/*
 * Names of a scheme. The descriptor of the namespace is duplicated at the start, since it works
 * even after the process has given its namespace up (redox-run.md 1.2).
 *
 * Each attempt to register takes a fresh root: the call consumes it even when it fails. A root
 * handle goes when the kernel says so (CloseMsg), whatever became of its name.
 */
#include <errno.h>
#include <string.h>
#include "common/log.h"
#include "schemes/scheme/libredox.h"
#include "schemes/scheme/namespace.h"
#include "schemes/scheme/scheme_private.h"

void namespace_init(struct scheme *scheme)
{
	size_t current = redox_get_ns_v0();

	if (redox_failed(current)) {
		scheme->namespace = current;
		return;
	}
	scheme->namespace = redox_dup_v1(current, (const uint8_t *)"", 0);
	if (!redox_failed(scheme->namespace)) {
		redox_fcntl_v0(scheme->namespace, REDOX_F_SETFD, REDOX_FD_CLOEXEC);
	}
}

void namespace_finish(struct scheme *scheme)
{
	if (!redox_failed(scheme->namespace)) {
		redox_close_v1(scheme->namespace);
	}
}

/* Of PATH, which is "/scheme/NAME/", without its last slash. */
static size_t namespace_length(const char *path)
{
	return strlen(path) - 1;
}

static int namespace_remove(const struct scheme *scheme, const char *path)
{
	return -redox_errno(redox_raw_unlinkat(
			scheme->namespace, (const uint8_t *)path, namespace_length(path), 0));
}

void namespace_leave(struct scheme *scheme)
{
	uint32_t cursor = 0;
	struct handle *handle;

	while ((handle = handle_next(&scheme->handles, &cursor))) {
		if (handle->kind != HANDLE_ROOT || !handle->registered) {
			continue;
		}
		handle->registered = false;
		int error = namespace_remove(scheme, handle->path);
		if (error && error != -ENODEV) {
			log_warn(LOG_SCHEME, "cannot take %s out of the namespace: %s",
					handle->path, strerror(-error));
		}
	}
}

static bool namespace_is_ours(const struct scheme *scheme, const char *path)
{
	uint32_t cursor = 0;
	const struct handle *handle;

	while ((handle = handle_next(&scheme->handles, &cursor))) {
		if (handle->kind == HANDLE_ROOT && handle->registered &&
				!strcmp(handle->path, path)) {
			return true;
		}
	}
	return false;
}

/* Whether the daemon behind PATH is dead: only then an open gives ENODEV. */
static bool namespace_is_stale(const char *path)
{
	size_t fd = redox_open_v1((const uint8_t *)path, namespace_length(path),
			REDOX_O_STAT | REDOX_O_CLOEXEC, 0);

	if (!redox_failed(fd)) {
		redox_close_v1(fd);
	}
	return redox_errno(fd) == ENODEV;
}

static int namespace_attempt(struct scheme *scheme, const char *name)
{
	struct handle *handle;
	size_t fd;

	int error = scheme_make_root(scheme, name, &handle, &fd);
	if (error) {
		return error;
	}
	size_t result = redox_register_scheme_to_ns_v0(
			scheme->namespace, (const uint8_t *)name, strlen(name), fd);
	handle->registered = !redox_failed(result);
	return -redox_errno(result);
}

static bool namespace_name_ok(const char *name)
{
	return name[0] && strlen(name) <= SCHEME_NAME_MAX && !strpbrk(name, "/:");
}

int scheme_register(struct scheme *scheme, const char *name)
{
	char path[sizeof(SCHEME_PREFIX) + SCHEME_NAME_MAX + 1] = SCHEME_PREFIX;

	if (!namespace_name_ok(name)) {
		return -EINVAL;
	}
	if (redox_failed(scheme->namespace)) {
		return -redox_errno(scheme->namespace);
	}
	strcat(path, name);
	strcat(path, "/");
	/* Opening our own scheme from the thread that serves it would wait for ever. */
	if (namespace_is_ours(scheme, path)) {
		return -EEXIST;
	}
	int error = namespace_attempt(scheme, name);
	if (error != -EEXIST || !namespace_is_stale(path)) {
		return error;
	}
	log_info(LOG_SCHEME, "taking over %s from a dead daemon", path);
	error = namespace_remove(scheme, path);
	if (error && error != -ENODEV) {
		return error;
	}
	return namespace_attempt(scheme, name);
}
