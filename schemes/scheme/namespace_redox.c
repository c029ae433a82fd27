/*
 * The one system call that libredox has no symbol for. It does not touch the table of descriptors,
 * so libc need not know (redox-run.md 1.2).
 */
#include "schemes/scheme/libredox.h"

#if !defined(__x86_64__)
#error "the convention of a raw system call is known for x86-64 alone (redox-abi.md 3.1)"
#endif

size_t redox_raw_unlinkat(size_t ns_fd, const uint8_t *path, size_t length, size_t flags)
{
	register size_t r10 __asm__("r10") = flags;
	size_t result = REDOX_SYS_UNLINKAT;

	__asm__ volatile("syscall"
			: "+a"(result)
			: "D"(ns_fd), "S"(path), "d"(length), "r"(r10)
			: "rcx", "r11", "memory");
	return result;
}
