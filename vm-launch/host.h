/* What this host offers to a VM. */
#ifndef VM_LAUNCH_HOST_H
#define VM_LAUNCH_HOST_H

#include <stdbool.h>

#define HOST_REASON_BYTES 256u

/*
 * Whether QEMU (its program) can run code by KVM: /dev/kvm is opened, then a guest of one page is
 * run for a moment, since there are machines whose KVM answers every question and fails at the
 * first guest. The page's file is made in FOLDER and removed. REASON says in words why not. Takes
 * about 0.3 s, at most 5.
 */
bool host_has_kvm(const char *qemu, const char *folder, char reason[HOST_REASON_BYTES]);

/*
 * The trial itself: whether QEMU with -accel ACCEL and -cpu CPU runs a guest that ends it with the
 * expected status. The guest's file is made in FOLDER and removed.
 */
bool host_try_guest(const char *qemu, const char *accel, const char *cpu, const char *folder,
		char reason[HOST_REASON_BYTES]);

/* Whether the host's kernel has a vsock device for guests and we may use it. */
bool host_has_vsock(void);

#endif
