/*
 * The v2 scheme wire between the Redox kernel and a scheme daemon: redox-abi.md 2 as corrected by
 * redox-run.md. tests/redox-constants compares every value and size with the published crate
 * redox_syscall.
 */
#ifndef SCHEME_WIRE_H
#define SCHEME_WIRE_H

#include <assert.h>
#include <stdint.h>

enum scheme_opcode {
	SCHEME_OP_CLOSE = 3,
	SCHEME_OP_DUP = 4,
	SCHEME_OP_READ = 5,
	SCHEME_OP_WRITE = 6,
	SCHEME_OP_FSIZE = 7,
	SCHEME_OP_FCHMOD = 8,
	SCHEME_OP_FCHOWN = 9,
	SCHEME_OP_FCNTL = 10,
	SCHEME_OP_FEVENT = 11,
	SCHEME_OP_SENDFD = 12,
	SCHEME_OP_FPATH = 13,
	SCHEME_OP_FRENAME = 14,
	SCHEME_OP_FSTAT = 15,
	SCHEME_OP_FSTATVFS = 16,
	SCHEME_OP_FSYNC = 17,
	SCHEME_OP_FTRUNCATE = 18,
	SCHEME_OP_FUTIMENS = 19,
	SCHEME_OP_MMAP_PREP = 20,
	SCHEME_OP_REQUEST_MMAP = 21,
	SCHEME_OP_MREMAP = 22,
	SCHEME_OP_MUNMAP = 23,
	SCHEME_OP_MSYNC = 24,
	SCHEME_OP_CANCEL = 25,
	SCHEME_OP_GETDENTS = 26,
	SCHEME_OP_CLOSE_MSG = 27,
	SCHEME_OP_CALL = 28,
	SCHEME_OP_OPEN_AT = 29,
	SCHEME_OP_FLINK = 30,
	SCHEME_OP_RECVFD = 31,
	SCHEME_OP_UNLINK_AT = 32,
	SCHEME_OP_STD_FS_CALL = 33,
	SCHEME_OP_DETACH = 34,
};

enum scheme_sqe_flags { SCHEME_SQE_ONEWAY = 1, SCHEME_SQE_MULTIPLE_IDS = 2 };

/* Places in scheme_sqe.args (redox-abi.md 2.2); several opcodes share most of them. */
enum scheme_argument {
	SCHEME_ARG_ID = 0,
	SCHEME_ARG_BUFFER = 1, // or path
	SCHEME_ARG_LENGTH = 2,
	SCHEME_ARG_TRANSFER_OFFSET = 3, // Read, Write
	SCHEME_ARG_TRANSFER_FLAGS = 4,
	SCHEME_ARG_OPEN_FLAGS = 3,
	SCHEME_ARG_OPEN_FCNTL_FLAGS = 4,
	SCHEME_ARG_OWNER = 5, // uid | gid << 32, not of Call and StdFsCall
	SCHEME_ARG_FCNTL_COMMAND = 1,
	SCHEME_ARG_FEVENT_MASK = 1,
	SCHEME_ARG_MAP_SIZE = 1, // MmapPrep, Munmap
	SCHEME_ARG_MAP_FLAGS = 2,
	SCHEME_ARG_MAP_OFFSET = 3,
	SCHEME_ARG_CALL_METADATA = 3, // first word of Call; the kind of StdFsCall
	SCHEME_ARG_SENDFD_METADATA = 2,
	SCHEME_ARG_SENDFD_COUNT = 3,
	SCHEME_ARG_RECVFD_COUNT = 2,
	SCHEME_ARG_RECVFD_METADATA = 3,
};

enum scheme_std_fs_kind {
	SCHEME_STD_FCHMOD = 1,
	SCHEME_STD_FCHOWN = 2,
	SCHEME_STD_GETDENTS = 3,
	SCHEME_STD_FSTAT = 4,
	SCHEME_STD_FSTATVFS = 5,
	SCHEME_STD_FSYNC = 6,
	SCHEME_STD_FTRUNCATE = 7,
	SCHEME_STD_FUTIMENS = 8,
	SCHEME_STD_UNLINKAT = 10,
	SCHEME_STD_RELPATHAT = 11,
	SCHEME_STD_LOCK = 12,
	SCHEME_STD_UNLOCK = 13,
	SCHEME_STD_GETLOCK = 14,
	SCHEME_STD_FRENAMEAT = 15,
	SCHEME_STD_FLINKAT = 16,
};

enum scheme_cqe_opcode {
	SCHEME_CQE_REGULAR = 0,
	SCHEME_CQE_WITH_FD = 1,
	SCHEME_CQE_SEND_FEVENT = 2,
	SCHEME_CQE_OBTAIN_FD = 3,
	SCHEME_CQE_WITH_FDS = 4,
	SCHEME_CQE_NOTIFY_ON_DETACH = 5,
};

enum scheme_new_fd_flags { SCHEME_NEW_FD_POSITIONED = 1 };

/* Events of Fevent and SendFevent. */
enum scheme_events { SCHEME_EVENT_READ = 1, SCHEME_EVENT_WRITE = 2 };

/* Words of MmapPrep's flags: PROT_ and MAP_ of the kernel in one. */
enum scheme_mmap_flags {
	SCHEME_MAP_SHARED = 0x1,
	SCHEME_MAP_PRIVATE = 0x2,
	SCHEME_MAP_FIXED = 0x4,
	SCHEME_MAP_FIXED_NOREPLACE = 0xC,
	SCHEME_PROT_EXEC = 0x10000,
	SCHEME_PROT_WRITE = 0x20000,
	SCHEME_PROT_READ = 0x40000,
};

/* First metadata word of an FD call on the scheme socket. */
enum scheme_socket_call { SCHEME_SOCKET_OBTAIN_FD = 0, SCHEME_SOCKET_MOVE_FD = 1 };

struct scheme_sqe {
	uint8_t opcode;
	uint8_t flags;
	uint16_t reserved;
	uint32_t tag;
	uint64_t args[6];
	uint64_t caller; // pid; 0 for CloseMsg and Cancel
};

struct scheme_cqe {
	uint8_t opcode; // low 3 bits
	uint8_t extra[3];
	uint32_t tag;
	uint64_t result; // value, or (uint64_t)-errno
};

struct scheme_new_fd_params {
	uint64_t offset;
	uint64_t number; // the handle id, back in args[0] of OpenAt
	uint64_t flags;
	uint8_t internal_flags;
	uint8_t pad[7];
};

struct scheme_stat {
	uint64_t st_dev, st_ino;
	uint16_t st_mode, pad1;
	uint32_t st_nlink, st_uid, st_gid;
	uint64_t st_size;
	uint32_t st_blksize, pad2;
	uint64_t st_blocks;
	uint64_t st_mtime_sec; // not st_mtime, which is a macro of <sys/stat.h>
	uint32_t st_mtime_nsec, pad3;
	uint64_t st_atime_sec;
	uint32_t st_atime_nsec, pad4;
	uint64_t st_ctime_sec;
	uint32_t st_ctime_nsec, pad5;
};

static_assert(sizeof(struct scheme_sqe) == 64, "redox-abi.md 2.1");
static_assert(sizeof(struct scheme_cqe) == 16, "redox-abi.md 2.1");
static_assert(sizeof(struct scheme_new_fd_params) == 32, "redox-abi.md 1.2");
static_assert(sizeof(struct scheme_stat) == 104, "redox-abi.md 2.3");

#endif
