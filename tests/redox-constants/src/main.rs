//! Prints NAME=VALUE for each constant, size and offset of Redox that constants.def compares, under
//! the name that it has in our C headers.

use std::mem::{offset_of, size_of, transmute};

use libredox::protocol;
use redox_scheme::scheme::Op;
use redox_scheme::{Request, RequestKind};
use syscall::data::{NewFdParams, Stat};
use syscall::flag::*;
use syscall::schemev2::{Cqe, CqeOpcode, NewFdFlags, Opcode, Sqe, SqeFlags};

fn print(name: &str, value: u64) {
    println!("{name}={value}");
}

macro_rules! print_all {
    ($($name:literal = $value:expr),* $(,)?) => {
        $(print($name, $value as u64);)*
    };
}

macro_rules! print_struct {
    ($name:literal, $type:ty, $($c_field:literal = $field:ident),* $(,)?) => {
        print(concat!($name, ".size"), size_of::<$type>() as u64);
        $(print(concat!($name, ".", $c_field), offset_of!($type, $field) as u64);)*
    };
}

fn opcodes() {
    print_all! {
        "SCHEME_OP_CLOSE" = Opcode::Close,
        "SCHEME_OP_DUP" = Opcode::Dup,
        "SCHEME_OP_READ" = Opcode::Read,
        "SCHEME_OP_WRITE" = Opcode::Write,
        "SCHEME_OP_FSIZE" = Opcode::Fsize,
        "SCHEME_OP_FCHMOD" = Opcode::Fchmod,
        "SCHEME_OP_FCHOWN" = Opcode::Fchown,
        "SCHEME_OP_FCNTL" = Opcode::Fcntl,
        "SCHEME_OP_FEVENT" = Opcode::Fevent,
        "SCHEME_OP_SENDFD" = Opcode::Sendfd,
        "SCHEME_OP_FPATH" = Opcode::Fpath,
        "SCHEME_OP_FRENAME" = Opcode::Frename,
        "SCHEME_OP_FSTAT" = Opcode::Fstat,
        "SCHEME_OP_FSTATVFS" = Opcode::Fstatvfs,
        "SCHEME_OP_FSYNC" = Opcode::Fsync,
        "SCHEME_OP_FTRUNCATE" = Opcode::Ftruncate,
        "SCHEME_OP_FUTIMENS" = Opcode::Futimens,
        "SCHEME_OP_MMAP_PREP" = Opcode::MmapPrep,
        "SCHEME_OP_REQUEST_MMAP" = Opcode::RequestMmap,
        "SCHEME_OP_MREMAP" = Opcode::Mremap,
        "SCHEME_OP_MUNMAP" = Opcode::Munmap,
        "SCHEME_OP_MSYNC" = Opcode::Msync,
        "SCHEME_OP_CANCEL" = Opcode::Cancel,
        "SCHEME_OP_GETDENTS" = Opcode::Getdents,
        "SCHEME_OP_CLOSE_MSG" = Opcode::CloseMsg,
        "SCHEME_OP_CALL" = Opcode::Call,
        "SCHEME_OP_OPEN_AT" = Opcode::OpenAt,
        "SCHEME_OP_FLINK" = Opcode::Flink,
        "SCHEME_OP_RECVFD" = Opcode::Recvfd,
        "SCHEME_OP_UNLINK_AT" = Opcode::UnlinkAt,
        "SCHEME_OP_STD_FS_CALL" = Opcode::StdFsCall,
        "SCHEME_OP_DETACH" = Opcode::Detach,
        "SCHEME_CQE_REGULAR" = CqeOpcode::RespondRegular,
        "SCHEME_CQE_WITH_FD" = CqeOpcode::RespondWithFd,
        "SCHEME_CQE_SEND_FEVENT" = CqeOpcode::SendFevent,
        "SCHEME_CQE_OBTAIN_FD" = CqeOpcode::ObtainFd,
        "SCHEME_CQE_WITH_FDS" = CqeOpcode::RespondWithMultipleFds,
        "SCHEME_CQE_NOTIFY_ON_DETACH" = CqeOpcode::RespondAndNotifyOnDetach,
        "SCHEME_STD_FCHMOD" = StdFsCallKind::Fchmod,
        "SCHEME_STD_FCHOWN" = StdFsCallKind::Fchown,
        "SCHEME_STD_GETDENTS" = StdFsCallKind::Getdents,
        "SCHEME_STD_FSTAT" = StdFsCallKind::Fstat,
        "SCHEME_STD_FSTATVFS" = StdFsCallKind::Fstatvfs,
        "SCHEME_STD_FSYNC" = StdFsCallKind::Fsync,
        "SCHEME_STD_FTRUNCATE" = StdFsCallKind::Ftruncate,
        "SCHEME_STD_FUTIMENS" = StdFsCallKind::Futimens,
        "SCHEME_STD_UNLINKAT" = StdFsCallKind::Unlinkat,
        "SCHEME_STD_RELPATHAT" = StdFsCallKind::Relpathat,
        "SCHEME_STD_LOCK" = StdFsCallKind::Lock,
        "SCHEME_STD_UNLOCK" = StdFsCallKind::Unlock,
        "SCHEME_STD_GETLOCK" = StdFsCallKind::GetLock,
        "SCHEME_STD_FRENAMEAT" = StdFsCallKind::Frenameat,
        "SCHEME_STD_FLINKAT" = StdFsCallKind::Flinkat,
        "SCHEME_SOCKET_OBTAIN_FD" = SchemeSocketCall::ObtainFd,
        "SCHEME_SOCKET_MOVE_FD" = SchemeSocketCall::MoveFd,
    }
}

fn flags() {
    print_all! {
        "SCHEME_SQE_ONEWAY" = SqeFlags::ONEWAY.bits(),
        "SCHEME_SQE_MULTIPLE_IDS" = SqeFlags::MULTIPLE_IDS.bits(),
        "SCHEME_NEW_FD_POSITIONED" = NewFdFlags::POSITIONED.bits(),
        "SCHEME_EVENT_READ" = EventFlags::EVENT_READ.bits(),
        "SCHEME_EVENT_WRITE" = EventFlags::EVENT_WRITE.bits(),
        "SCHEME_MAP_SHARED" = MapFlags::MAP_SHARED.bits(),
        "SCHEME_MAP_PRIVATE" = MapFlags::MAP_PRIVATE.bits(),
        "SCHEME_MAP_FIXED" = MapFlags::MAP_FIXED.bits(),
        "SCHEME_MAP_FIXED_NOREPLACE" = MapFlags::MAP_FIXED_NOREPLACE.bits(),
        "SCHEME_PROT_EXEC" = MapFlags::PROT_EXEC.bits(),
        "SCHEME_PROT_WRITE" = MapFlags::PROT_WRITE.bits(),
        "SCHEME_PROT_READ" = MapFlags::PROT_READ.bits(),
        "REDOX_O_RDONLY" = O_RDONLY,
        "REDOX_O_WRONLY" = O_WRONLY,
        "REDOX_O_RDWR" = O_RDWR,
        "REDOX_O_ACCMODE" = O_ACCMODE,
        "REDOX_O_NONBLOCK" = O_NONBLOCK,
        "REDOX_O_APPEND" = O_APPEND,
        "REDOX_O_CLOEXEC" = protocol::O_CLOEXEC,
        "REDOX_O_CREAT" = O_CREAT,
        "REDOX_O_TRUNC" = O_TRUNC,
        "REDOX_O_EXCL" = O_EXCL,
        "REDOX_O_DIRECTORY" = O_DIRECTORY,
        "REDOX_O_STAT" = O_STAT,
        "REDOX_O_SYMLINK" = O_SYMLINK,
        "REDOX_FD_CLOEXEC" = protocol::O_CLOEXEC, // the crate itself gives it to F_SETFD
        "REDOX_F_DUPFD" = F_DUPFD,
        "REDOX_F_GETFD" = F_GETFD,
        "REDOX_F_SETFD" = F_SETFD,
        "REDOX_F_GETFL" = F_GETFL,
        "REDOX_F_SETFL" = F_SETFL,
        "REDOX_CALL_WRITE" = CallFlags::WRITE.bits(),
        "REDOX_CALL_READ" = CallFlags::READ.bits(),
        "REDOX_CALL_FD" = CallFlags::FD.bits(),
        "REDOX_CALL_FD_CLONE" = CallFlags::FD_CLONE.bits(),
        "REDOX_CALL_STD_FS" = CallFlags::STD_FS.bits(),
        "REDOX_SYS_UNLINKAT" = syscall::number::SYS_UNLINKAT,
    }
}

fn structs() {
    print_struct!(
        "scheme_sqe",
        Sqe,
        "opcode" = opcode,
        "flags" = sqe_flags,
        "reserved" = _rsvd,
        "tag" = tag,
        "args" = args,
        "caller" = caller
    );
    print_struct!(
        "scheme_cqe",
        Cqe,
        "opcode" = flags,
        "extra" = extra_raw,
        "tag" = tag,
        "result" = result
    );
    print_struct!(
        "scheme_new_fd_params",
        NewFdParams,
        "offset" = offset,
        "number" = number,
        "flags" = flags,
        "internal_flags" = internal_flags
    );
    print_struct!(
        "scheme_stat",
        Stat,
        "st_dev" = st_dev,
        "st_ino" = st_ino,
        "st_mode" = st_mode,
        "st_nlink" = st_nlink,
        "st_uid" = st_uid,
        "st_gid" = st_gid,
        "st_size" = st_size,
        "st_blksize" = st_blksize,
        "st_blocks" = st_blocks,
        "st_mtime_sec" = st_mtime,
        "st_mtime_nsec" = st_mtime_nsec,
        "st_atime_sec" = st_atime,
        "st_atime_nsec" = st_atime_nsec,
        "st_ctime_sec" = st_ctime,
        "st_ctime_nsec" = st_ctime_nsec
    );
}

/// A record whose argument I is I (and the buffer one that exists), so that what the crate reads
/// from it says where it looked.
fn record(opcode: Opcode, buffer: &[u8]) -> Sqe {
    let mut args = [0, 1, 2, 3, 4, 5];
    if !buffer.is_empty() {
        args[1] = buffer.as_ptr() as u64;
        args[2] = buffer.len() as u64;
    }
    Sqe {
        opcode: opcode as u8,
        args,
        ..Default::default()
    }
}

fn parse(opcode: Opcode, buffer: &[u8]) -> Op {
    unsafe { Op::from_sqe_unchecked(&record(opcode, buffer)) }.expect("the crate knows the opcode")
}

fn kind(opcode: Opcode) -> RequestKind {
    // Request is a transparent wrapper that only a real socket makes.
    unsafe { transmute::<Sqe, Request>(record(opcode, &[])) }.kind()
}

/// Whether POINTER is the buffer: then the place is that of the argument which held it.
fn buffer_place(sent: &[u8], pointer: *const u8, length: usize) {
    assert_eq!((pointer, length), (sent.as_ptr(), sent.len()));
    print("SCHEME_ARG_BUFFER", 1);
    print("SCHEME_ARG_LENGTH", 2);
}

fn arguments() {
    let bytes = *b"path";
    match parse(Opcode::Read, &bytes) {
        Op::Read(mut op) => {
            print("SCHEME_ARG_ID", op.fd as u64);
            print("SCHEME_ARG_TRANSFER_OFFSET", op.offset);
            print("SCHEME_ARG_TRANSFER_FLAGS", op.flags.into());
            buffer_place(&bytes, op.buf().as_ptr(), op.buf().len());
        }
        other => panic!("{other:?}"),
    }
    match parse(Opcode::OpenAt, &bytes) {
        Op::OpenAt(op) => {
            print("SCHEME_ARG_OPEN_FLAGS", *op.flags() as u64);
            print("SCHEME_ARG_OPEN_FCNTL_FLAGS", op.fcntl_flags.into());
        }
        other => panic!("{other:?}"),
    }
    match parse(Opcode::Fcntl, &[]) {
        Op::Fcntl { cmd, .. } => print("SCHEME_ARG_FCNTL_COMMAND", cmd as u64),
        other => panic!("{other:?}"),
    }
    match parse(Opcode::Fevent, &[]) {
        Op::Fevent { req_flags, .. } => print("SCHEME_ARG_FEVENT_MASK", req_flags.bits() as u64),
        other => panic!("{other:?}"),
    }
    match (parse(Opcode::MmapPrep, &[]), parse(Opcode::Munmap, &[])) {
        (
            Op::MmapPrep {
                offset, len, flags, ..
            },
            Op::Munmap {
                offset: unmap_offset,
                len: unmap_len,
                ..
            },
        ) => {
            assert_eq!((offset, len), (unmap_offset, unmap_len));
            print("SCHEME_ARG_MAP_SIZE", len as u64);
            print("SCHEME_ARG_MAP_FLAGS", flags.bits() as u64);
            print("SCHEME_ARG_MAP_OFFSET", offset);
        }
        other => panic!("{other:?}"),
    }
    match (
        parse(Opcode::Call, &bytes),
        parse(Opcode::StdFsCall, &bytes),
    ) {
        (Op::Call(call), Op::StdFsCall(std_fs)) => {
            assert_eq!(call.metadata(), std_fs.metadata());
            print("SCHEME_ARG_CALL_METADATA", call.metadata()[0]);
        }
        other => panic!("{other:?}"),
    }
    match kind(Opcode::Sendfd) {
        RequestKind::SendFd(request) => {
            print("SCHEME_ARG_SENDFD_METADATA", request.metadata()[0]);
            print("SCHEME_ARG_SENDFD_COUNT", request.num_fds() as u64);
            print("SCHEME_ARG_OWNER", request.caller().uid.into());
        }
        _ => panic!("no Sendfd"),
    }
    match kind(Opcode::Recvfd) {
        RequestKind::RecvFd(request) => {
            print("SCHEME_ARG_RECVFD_COUNT", request.num_fds() as u64);
            print("SCHEME_ARG_RECVFD_METADATA", request.metadata()[0]);
        }
        _ => panic!("no Recvfd"),
    }
}

fn main() {
    opcodes();
    flags();
    structs();
    arguments();
}
