/*
 * The configuration of vm-launch: an INI file, read by libinih and checked key by key.
 *
 *	[vm NAME]          memory, cpus, accel, machine, cid, kernel, initrd, append, agent_options,
 *	                   console, qmp, commands, stop_timeout, qemu
 *	[device NAME]      vm, emulated, mode, outputs
 *	[vsock]            backend, program
 *	[bridge display]   vm, agent, name, program, options
 *	[image]            agent, output, cache, modules
 *
 * vm-launch/README.md says what each key means. Paths are relative to the folder of the file. What
 * is not known is refused.
 */
#ifndef VM_LAUNCH_CONFIG_H
#define VM_LAUNCH_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_NAME_BYTES    32u
#define CONFIG_VMS           8u
#define CONFIG_DEVICES       16u
#define CONFIG_BRIDGES       8u
#define CONFIG_MESSAGE_BYTES 512u

enum config_accel { ACCEL_AUTO, ACCEL_KVM, ACCEL_TCG };
enum config_machine { MACHINE_Q35, MACHINE_PC };
enum config_backend { BACKEND_AUTO, BACKEND_KERNEL, BACKEND_DEVICE };
enum config_emulated { EMULATED_NONE, EMULATED_BOCHS, EMULATED_SECONDARY_VGA, EMULATED_VIRTIO_GPU };

/* Strings are owned, NULL when the key is not there. */
struct config_vm {
	char name[CONFIG_NAME_BYTES];
	unsigned line; // of the section
	uint32_t memory_mib;
	uint32_t cpus;
	uint32_t cid; // 0: not given
	uint32_t stop_timeout_s;
	int accel;   // enum config_accel
	int machine; // enum config_machine
	char *kernel;
	char *initrd;
	char *append;
	char *agent_options;
	char *console;  // file for the guest's console; NULL: stderr
	char *qmp;      // socket of a second QMP monitor, for other programs
	char *commands; // socket whose lines root's shell in the guest runs
	char *qemu;
};

struct config_device {
	char name[CONFIG_NAME_BYTES];
	unsigned line;
	char *vm_name;
	size_t vm;                    // index
	int emulated;                 // enum config_emulated
	uint32_t width_px, height_px; // 0: the device's own
	uint32_t outputs;
};

struct config_bridge {
	char name[CONFIG_NAME_BYTES]; // display
	unsigned line;
	char *vm_name;
	size_t vm;    // index; meaningless with AGENT
	char *agent;  // address of an agent that is not in one of our VMs
	char *scheme; // name that it registers
	char *program;
	char *options; // further ones, between blanks
};

struct config_vsock {
	unsigned line; // 0: no section
	int backend;   // enum config_backend
	char *program;
};

struct config_image {
	unsigned line;
	char *agent;
	char *output;
	char *cache;
	char *modules;
};

struct config {
	char *path;   // as given
	char *folder; // where it lies, absolute
	struct config_vm vms[CONFIG_VMS];
	size_t vm_count;
	struct config_device devices[CONFIG_DEVICES];
	size_t device_count;
	struct config_bridge bridges[CONFIG_BRIDGES];
	size_t bridge_count;
	struct config_vsock vsock;
	struct config_image image;
};

/*
 * Reads the file at PATH. Returns 0; else a negative errno with one line in RET_MESSAGE
 * ("FILE:LINE: what is wrong") and nothing to finish.
 */
int config_load(const char *path, struct config *ret_config,
		char ret_message[CONFIG_MESSAGE_BYTES]);

/* The same for text in memory (SIZE bytes); PATH is only for messages and relative paths. */
int config_parse(const char *path, const char *text, size_t size, struct config *ret_config,
		char ret_message[CONFIG_MESSAGE_BYTES]);

void config_finish(struct config *config);

#endif
