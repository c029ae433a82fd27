/*
 * The C symbols of libredox that this project uses, as relibc exports them (redox-abi.md 3.4,
 * redox-run.md 2). No installed header declares them. On Redox they come from libc.a; hosted,
 * schemes/hosted implements them with the same semantics.
 *
 * Each returns a value, or (size_t)-errno: test with redox_failed(). Paths and payloads are not
 * NUL-terminated. Never pass NULL for a pointer, even with length 0.
 */
#ifndef SCHEME_LIBREDOX_H
#define SCHEME_LIBREDOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* redox-abi.md 3.3 */
enum redox_open_flags {
	REDOX_O_RDONLY = 0x10000,
	REDOX_O_WRONLY = 0x20000,
	REDOX_O_RDWR = 0x30000,
	REDOX_O_ACCMODE = 0x30000,
	REDOX_O_NONBLOCK = 0x40000,
	REDOX_O_APPEND = 0x80000,
	REDOX_O_CLOEXEC = 0x01000000,
	REDOX_O_CREAT = 0x02000000,
	REDOX_O_TRUNC = 0x04000000,
	REDOX_O_EXCL = 0x08000000,
	REDOX_O_DIRECTORY = 0x10000000,
	REDOX_O_STAT = 0x20000000, // O_PATH
	REDOX_O_SYMLINK = 0x40000000,
};

enum redox_fcntl {
	REDOX_F_DUPFD = 0,
	REDOX_F_GETFD = 1,
	REDOX_F_SETFD = 2,
	REDOX_F_GETFL = 3,
	REDOX_F_SETFL = 4
};
#define REDOX_FD_CLOEXEC 0x01000000u

/* redox-abi.md 3.2: flags of redox_sys_call_v0 */
enum redox_call_flags {
	REDOX_CALL_WRITE = 1 << 9,
	REDOX_CALL_READ = 1 << 10,
	REDOX_CALL_FD = 1 << 11,
	REDOX_CALL_FD_CLONE = 1 << 13,
	REDOX_CALL_STD_FS = 1 << 16,
};

/* libc's PROT_ and MAP_ values of relibc, which redox_mmap_v1 takes (redox-run.md, 3; not the
 * wire's, which are in wire.h) */
enum redox_mmap_prot { REDOX_PROT_EXEC = 1, REDOX_PROT_WRITE = 2, REDOX_PROT_READ = 4 };
enum redox_mmap_flags {
	REDOX_MAP_SHARED = 1,
	REDOX_MAP_PRIVATE = 2,
	REDOX_MAP_FIXED = 4,
	REDOX_MAP_ANON = 32
};

size_t redox_open_v1(const uint8_t *path, size_t length, uint32_t flags, uint16_t mode);
size_t redox_openat_v1(size_t dirfd, const uint8_t *path, size_t length, uint32_t flags,
		uint32_t fcntl_flags);
size_t redox_dup_v1(size_t fd, const uint8_t *buffer, size_t length);
size_t redox_read_v1(size_t fd, uint8_t *destination, size_t length);
size_t redox_write_v1(size_t fd, const uint8_t *source, size_t length);
size_t redox_close_v1(size_t fd);
size_t redox_fsync_v1(size_t fd);
size_t redox_fpath_v1(size_t fd, uint8_t *destination, size_t length);
size_t redox_fcntl_v0(size_t fd, size_t command, size_t argument);
size_t redox_sys_call_v0(size_t fd, uint8_t *payload, size_t length, size_t flags,
		const uint64_t *metadata, size_t metadata_words);
size_t redox_mmap_v1(void *address, size_t length, uint32_t prot, uint32_t flags, size_t fd,
		uint64_t offset);
size_t redox_munmap_v1(void *address, size_t length);
size_t redox_get_ns_v0(void);
size_t redox_setrens_v1(size_t rns, size_t ens);
size_t redox_register_scheme_to_ns_v0(
		size_t ns_fd, const uint8_t *name, size_t length, size_t root_fd);

#define REDOX_SYS_UNLINKAT 0x10000107ul

/*
 * The raw system call UNLINKAT on a namespace fd: takes "/scheme/NAME" out of the
 * namespace, which libc's unlink cannot (redox-run.md 1.2). In schemes/scheme/namespace_redox.c on
 * Redox, in schemes/hosted otherwise.
 */
size_t redox_raw_unlinkat(size_t ns_fd, const uint8_t *path, size_t length, size_t flags);

/* Whether a result is an error, and which (positive errno). */
static inline bool redox_failed(size_t result)
{
	return result > (size_t)-4096;
}

static inline int redox_errno(size_t result)
{
	return redox_failed(result) ? (int)(0 - result) : 0;
}

#endif
