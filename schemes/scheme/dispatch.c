/*
 * Gives each record that the kernel sends its defined answer, by a table with one line for each
 * opcode of redox-abi.md 2.2 and for each kind of StdFsCall (2.3).
 *
 * A record is answered exactly once, or never if it must not be: Cancel, CloseMsg, Detach and those
 * that are marked ONEWAY. Nothing in a record is believed but that the kernel wrote it.
 */
#include <errno.h>
#include <inttypes.h>
#include "common/log.h"
#include "schemes/scheme/dispatch.h"

/* What an opcode needs of its handle. */
enum dispatch_need {
	DISPATCH_ANY,      // one that we know
	DISPATCH_OPENED,   // a client's
	DISPATCH_CALLABLE, // a client's that was not opened with O_PATH
};

struct dispatch_entry {
	enum dispatch_need need;
	dispatch_fn fn; // NULL: always REFUSAL
	int refusal;
};

static const struct dispatch_entry opcodes[] = {
		[SCHEME_OP_DUP] = {DISPATCH_ANY, NULL, EOPNOTSUPP},
		[SCHEME_OP_READ] = {DISPATCH_CALLABLE, transfer_read, 0},
		[SCHEME_OP_WRITE] = {DISPATCH_CALLABLE, transfer_write, 0},
		[SCHEME_OP_FSIZE] = {DISPATCH_OPENED, file_fsize, 0},
		[SCHEME_OP_FCHMOD] = {DISPATCH_ANY, NULL, EPERM},
		[SCHEME_OP_FCHOWN] = {DISPATCH_ANY, NULL, EPERM},
		[SCHEME_OP_FCNTL] = {DISPATCH_ANY, file_fcntl, 0},
		[SCHEME_OP_FEVENT] = {DISPATCH_CALLABLE, event_watch, 0},
		[SCHEME_OP_SENDFD] = {DISPATCH_CALLABLE, transfer_sendfd, 0},
		[SCHEME_OP_FPATH] = {DISPATCH_ANY, file_fpath, 0},
		[SCHEME_OP_FRENAME] = {DISPATCH_ANY, NULL, EPERM},
		[SCHEME_OP_FSTAT] = {DISPATCH_ANY, file_fstat, 0},
		[SCHEME_OP_FSTATVFS] = {DISPATCH_ANY, NULL, EOPNOTSUPP},
		[SCHEME_OP_FSYNC] = {DISPATCH_CALLABLE, transfer_fsync, 0},
		[SCHEME_OP_FTRUNCATE] = {DISPATCH_ANY, NULL, EBADF},
		[SCHEME_OP_FUTIMENS] = {DISPATCH_ANY, NULL, EPERM},
		[SCHEME_OP_MMAP_PREP] = {DISPATCH_CALLABLE, memory_map, 0},
		[SCHEME_OP_MUNMAP] = {DISPATCH_OPENED, memory_unmap, 0},
		[SCHEME_OP_GETDENTS] = {DISPATCH_ANY, NULL, ENOTDIR},
		[SCHEME_OP_CALL] = {DISPATCH_ANY, transfer_call, 0},
		[SCHEME_OP_OPEN_AT] = {DISPATCH_ANY, open_at, 0},
		[SCHEME_OP_FLINK] = {DISPATCH_ANY, NULL, EPERM},
		[SCHEME_OP_RECVFD] = {DISPATCH_CALLABLE, transfer_recvfd, 0},
		[SCHEME_OP_UNLINK_AT] = {DISPATCH_ANY, NULL, EPERM},
};

/* Those that exist in both forms have the same buffer in both. */
static const struct dispatch_entry std_fs_kinds[] = {
		[SCHEME_STD_FCHMOD] = {DISPATCH_ANY, NULL, EPERM},
		[SCHEME_STD_FCHOWN] = {DISPATCH_ANY, NULL, EPERM},
		[SCHEME_STD_GETDENTS] = {DISPATCH_ANY, NULL, ENOTDIR},
		[SCHEME_STD_FSTAT] = {DISPATCH_ANY, file_fstat, 0},
		[SCHEME_STD_FSTATVFS] = {DISPATCH_ANY, NULL, EOPNOTSUPP},
		[SCHEME_STD_FSYNC] = {DISPATCH_CALLABLE, transfer_fsync, 0},
		[SCHEME_STD_FTRUNCATE] = {DISPATCH_ANY, NULL, EBADF},
		[SCHEME_STD_FUTIMENS] = {DISPATCH_ANY, NULL, EPERM},
		[SCHEME_STD_UNLINKAT] = {DISPATCH_ANY, NULL, EPERM},
		[SCHEME_STD_RELPATHAT] = {DISPATCH_ANY, NULL, EOPNOTSUPP},
		[SCHEME_STD_LOCK] = {DISPATCH_ANY, NULL, EOPNOTSUPP},
		[SCHEME_STD_UNLOCK] = {DISPATCH_ANY, NULL, EOPNOTSUPP},
		[SCHEME_STD_GETLOCK] = {DISPATCH_ANY, NULL, EOPNOTSUPP},
		[SCHEME_STD_FRENAMEAT] = {DISPATCH_ANY, NULL, EPERM},
		[SCHEME_STD_FLINKAT] = {DISPATCH_ANY, NULL, EPERM},
};

#define DISPATCH_COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct dispatch_entry *dispatch_look_up(const struct scheme_sqe *sqe)
{
	const struct dispatch_entry *entry = NULL;

	if (sqe->opcode == SCHEME_OP_STD_FS_CALL) {
		if (sqe->args[SCHEME_ARG_CALL_METADATA] < DISPATCH_COUNT(std_fs_kinds)) {
			entry = &std_fs_kinds[sqe->args[SCHEME_ARG_CALL_METADATA]];
		}
	} else if (sqe->opcode < DISPATCH_COUNT(opcodes)) {
		entry = &opcodes[sqe->opcode];
	}
	return entry && (entry->fn || entry->refusal) ? entry : NULL;
}

static bool dispatch_satisfied(enum dispatch_need need, const struct handle *handle)
{
	switch (need) {
	case DISPATCH_CALLABLE:
		return handle_callable(handle);
	case DISPATCH_OPENED:
		return handle->kind == HANDLE_OPEN;
	default:
		return true;
	}
}

static int64_t dispatch_request(struct scheme *scheme, const struct scheme_sqe *sqe)
{
	const struct dispatch_entry *entry = dispatch_look_up(sqe);
	struct handle *handle = handle_find(&scheme->handles, sqe->args[SCHEME_ARG_ID]);

	if (!entry) {
		log_peer(LOG_SCHEME, "opcode %u (%" PRIu64 ") is not known, ENOSYS answered",
				sqe->opcode, sqe->args[SCHEME_ARG_CALL_METADATA]);
		return -ENOSYS;
	}
	if (scheme->ending && sqe->opcode != SCHEME_OP_MUNMAP) {
		return -ENODEV;
	}
	if (!handle || !dispatch_satisfied(entry->need, handle)) {
		return -EBADF;
	}
	return entry->fn ? entry->fn(scheme, handle, sqe) : -entry->refusal;
}

static void dispatch_close(struct scheme *scheme, const struct scheme_sqe *sqe)
{
	struct handle *handle = handle_find(&scheme->handles, sqe->args[SCHEME_ARG_ID]);

	if (handle) {
		open_close(scheme, handle);
	}
}

static void dispatch_cancel(struct scheme *scheme, const struct scheme_sqe *sqe)
{
	/* Without a parked request the answer was quicker, and the kernel has it. */
	struct request *request = request_find(&scheme->requests, sqe->tag);

	if (request) {
		request_cancel(request, -ECANCELED);
	}
}

void dispatch(struct scheme *scheme, const struct scheme_sqe *sqe)
{
	int64_t result;

	switch (sqe->opcode) {
	case SCHEME_OP_CLOSE_MSG:
		dispatch_close(scheme, sqe);
		return;
	case SCHEME_OP_CANCEL:
		dispatch_cancel(scheme, sqe);
		return;
	case SCHEME_OP_DETACH:
		return;
	default:
		break;
	}
	if (sqe->flags & SCHEME_SQE_ONEWAY) {
		log_peer(LOG_SCHEME, "opcode %u without answer is not known, ignored", sqe->opcode);
		return;
	}
	result = dispatch_request(scheme, sqe);
	if (result != DISPATCH_DONE) {
		reply_push_result(&scheme->replies, sqe->tag, result);
	}
}
