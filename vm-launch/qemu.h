/* The command line of QEMU for one VM. */
#ifndef VM_LAUNCH_QEMU_H
#define VM_LAUNCH_QEMU_H

#include <stdbool.h>

#include "vm-launch/argv.h"
#include "vm-launch/config.h"

/* What the host offers and where things are. All strings borrowed. */
struct qemu_place {
	bool kvm;                 // else TCG
	const char *vsock_socket; // of a vhost-user vsock device; NULL: the host kernel's vhost-vsock
	const char *qmp_socket;   // vm-launch's own monitor
	const char *kernel;
	const char *initrd;
};

/* Fills ARGV (empty) with the command line of VM, one of CONFIG's. Returns 0 or -ENOMEM. */
int qemu_build(const struct config *config, const struct config_vm *vm,
		const struct qemu_place *place, struct argv *argv);

#endif
