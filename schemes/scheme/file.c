/* What makes a handle look like a file: its status, size, path and flags. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "common/limits.h"
#include "schemes/scheme/dispatch.h"
#include "schemes/scheme/libredox.h"

#define FILE_MODE_DEVICE    (0x2000 | 0666)
#define FILE_MODE_DIRECTORY (0x4000 | 0755)

/* libc's fcntl numbers; as an opcode they come with a pointer of the client (redox-run.md 2.3). */
enum file_lock_command { FILE_F_SETLK = 6, FILE_F_SETLKW = 7 };

static void file_status(struct scheme *scheme, struct handle *handle, struct scheme_stat *ret_stat)
{
	struct scheme_stat stat = {
			.st_ino = handle->id,
			.st_nlink = 1,
			.st_uid = handle->uid,
			.st_gid = handle->gid,
			.st_blksize = SCHEME_PAGE_BYTES,
	};

	if (handle->kind == HANDLE_OPEN && scheme->ops->fstat) {
		scheme->ops->fstat(scheme->data, handle->data, &stat);
	}
	/* A mode of 0 makes access() fail (redox-run.md 4.5). */
	if (!stat.st_mode) {
		stat.st_mode = handle->kind == HANDLE_ROOT ? FILE_MODE_DIRECTORY : FILE_MODE_DEVICE;
	}
	*ret_stat = stat;
}

int64_t file_fstat(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe)
{
	struct scheme_stat stat;

	if (sqe->args[SCHEME_ARG_LENGTH] < sizeof(stat)) {
		return -EINVAL;
	}
	file_status(scheme, handle, &stat);
	memcpy((void *)(uintptr_t)sqe->args[SCHEME_ARG_BUFFER], &stat, sizeof(stat));
	return 0;
}

int64_t file_fsize(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe)
{
	struct scheme_stat stat;

	(void)sqe;
	if (!handle->positioned) {
		return -ESPIPE;
	}
	file_status(scheme, handle, &stat);
	return stat.st_size <= INT64_MAX ? (int64_t)stat.st_size : -EOVERFLOW;
}

int64_t file_fpath(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe)
{
	char path[sizeof(SCHEME_PREFIX) + SCHEME_NAME_MAX + LIMIT_PATH + 1];
	size_t prefix = handle->prefix_length;

	if (handle->kind == HANDLE_CONTROL) {
		return -EBADF;
	}
	memcpy(path, handle->path, strlen(handle->path) + 1);
	if (handle->kind == HANDLE_OPEN && scheme->ops->fpath) {
		int error = scheme->ops->fpath(
				scheme->data, handle->data, path + prefix, sizeof(path) - prefix);
		if (error) {
			return error;
		}
		if (path[prefix] == '/') {
			memmove(path, path + prefix, strlen(path + prefix) + 1);
		}
	}
	size_t length = strlen(path);
	if (length > sqe->args[SCHEME_ARG_LENGTH]) {
		return -ENAMETOOLONG;
	}
	memcpy((void *)(uintptr_t)sqe->args[SCHEME_ARG_BUFFER], path, length);
	return (int64_t)length;
}

int64_t file_fcntl(struct scheme *scheme, struct handle *handle, const struct scheme_sqe *sqe)
{
	(void)scheme;
	(void)handle;
	switch (sqe->args[SCHEME_ARG_FCNTL_COMMAND]) {
	case REDOX_F_GETFL: // the kernel ignores the value, but not an error
	case REDOX_F_SETFL: // the flags come with each read and write
		return 0;
	case FILE_F_SETLK:
	case FILE_F_SETLKW:
		return -EOPNOTSUPP;
	default:
		return -EINVAL;
	}
}
