/*
 * Builds QEMU's command line. The machine has no default device, no network and no file of the host
 * but kernel and initrd. Every value that comes from the configuration is an argument of its own or
 * the last part of one, with its commas doubled.
 */
#include "vm-launch/qemu.h"

#include <stdio.h>

/* Video memory of bochs and VGA: two scan-out buffers of 3840x2160. */
#define VIDEO_MIB 64u

static void add_machine(
		struct argv *argv, const struct config_vm *vm, const struct qemu_place *place)
{
	const char *type = vm->machine == MACHINE_PC ? "pc" : "q35";

	argv_add(argv, vm->qemu ? vm->qemu : "qemu-system-x86_64");
	argv_add(argv, "-name");
	argv_format(argv, "%s,process=vm-%s", vm->name, vm->name);
	argv_add(argv, "-no-user-config");
	argv_add(argv, "-nodefaults");
	argv_add(argv, "-no-reboot");
	argv_add(argv, "-display");
	argv_add(argv, "none");
	argv_add(argv, "-sandbox");
	argv_add(argv, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	// The vhost-user device maps the guest's memory: it has to be a file, and shared.
	argv_add(argv, "-object");
	argv_format(argv, "memory-backend-memfd,id=memory,size=%uM,share=on", vm->memory_mib);
	argv_add(argv, "-m");
	argv_format(argv, "%uM", vm->memory_mib);
	argv_add(argv, "-machine");
	argv_format(argv, "%s,usb=off,vmport=off,memory-backend=memory", type);
	argv_add(argv, "-accel");
	argv_add(argv, place->kvm ? "kvm" : "tcg,thread=multi");
	argv_add(argv, "-cpu");
	argv_add(argv, place->kvm ? "host" : "max");
	argv_add(argv, "-smp");
	argv_format(argv, "%u", vm->cpus);
}

static void add_kernel(
		struct argv *argv, const struct config_vm *vm, const struct qemu_place *place)
{
	argv_add(argv, "-kernel");
	argv_add(argv, place->kernel);
	argv_add(argv, "-initrd");
	argv_add(argv, place->initrd);
	argv_add(argv, "-append");
	// No text console on the monitor: it would show through between two agents.
	argv_format(argv,
			"console=ttyS0 quiet panic=-1 drm_kms_helper.fbdev_emulation=0%s%s%s%s%s%s",
			vm->commands ? " guest.shell=ttyS1" : "",
			vm->agent_options ? " agent.args=\"" : "",
			vm->agent_options ? vm->agent_options : "", vm->agent_options ? "\"" : "",
			vm->append ? " " : "", vm->append ? vm->append : "");
}

/* A character device that is a listening socket. */
static void add_socket(struct argv *argv, const char *id, const char *path)
{
	char prefix[80];

	snprintf(prefix, sizeof(prefix), "socket,id=%s,server=on,wait=off,path=", id);
	argv_option(argv, "-chardev", prefix, path);
}

static void add_ports(struct argv *argv, const struct config_vm *vm, const struct qemu_place *place)
{
	add_socket(argv, "qmp", place->qmp_socket);
	argv_add(argv, "-mon");
	argv_add(argv, "chardev=qmp,mode=control");
	if (vm->qmp) {
		add_socket(argv, "qmp2", vm->qmp);
		argv_add(argv, "-mon");
		argv_add(argv, "chardev=qmp2,mode=control");
	}
	if (vm->console) {
		argv_option(argv, "-chardev", "file,id=console,path=", vm->console);
	} else {
		argv_add(argv, "-chardev"); // a pipe to vm-launch, which logs the lines
		argv_add(argv, "stdio,id=console,signal=off");
	}
	argv_add(argv, "-serial");
	argv_add(argv, "chardev:console");
	if (vm->commands) {
		add_socket(argv, "commands", vm->commands);
		argv_add(argv, "-serial");
		argv_add(argv, "chardev:commands");
	}
}

static void add_vsock(struct argv *argv, const struct config_vm *vm, const struct qemu_place *place)
{
	if (!place->vsock_socket) {
		argv_add(argv, "-device");
		argv_format(argv, "vhost-vsock-pci,id=vsock,guest-cid=%u", vm->cid);
		return;
	}
	argv_option(argv, "-chardev", "socket,id=vsock,path=", place->vsock_socket);
	argv_add(argv, "-device");
	argv_add(argv, "vhost-user-vsock-pci,chardev=vsock");
}

static void add_device(struct argv *argv, const struct config_device *device)
{
	char mode[48] = "";
	char outputs[32] = "";

	if (device->width_px) {
		snprintf(mode, sizeof(mode), ",xres=%u,yres=%u", device->width_px,
				device->height_px);
	}
	if (device->outputs) {
		snprintf(outputs, sizeof(outputs), ",max_outputs=%u", device->outputs);
	}
	argv_add(argv, "-device");
	switch (device->emulated) {
	case EMULATED_BOCHS:
		argv_format(argv, "bochs-display,id=%s,vgamem=%uM%s", device->name, VIDEO_MIB,
				mode);
		return;
	case EMULATED_SECONDARY_VGA:
		argv_format(argv, "secondary-vga,id=%s,vgamem_mb=%u%s", device->name, VIDEO_MIB,
				mode);
		return;
	default:
		argv_format(argv, "virtio-gpu-pci,id=%s%s%s", device->name, outputs, mode);
		return;
	}
}

int qemu_build(const struct config *config, const struct config_vm *vm,
		const struct qemu_place *place, struct argv *argv)
{
	add_machine(argv, vm, place);
	add_kernel(argv, vm, place);
	add_ports(argv, vm, place);
	add_vsock(argv, vm, place);
	for (size_t i = 0; i < config->device_count; i++) {
		if (&config->vms[config->devices[i].vm] == vm) {
			add_device(argv, &config->devices[i]);
		}
	}
	return argv_error(argv);
}
