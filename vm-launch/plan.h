/*
 * What a configuration comes to on this host: the processes to run, in three stages (vsock devices,
 * VMs, bridges), each with its command line. `print` shows a plan, `run` carries it out.
 */
#ifndef VM_LAUNCH_PLAN_H
#define VM_LAUNCH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "vm-launch/argv.h"
#include "vm-launch/config.h"

enum plan_stage { STAGE_VSOCK, STAGE_VM, STAGE_BRIDGE, STAGES };

#define PLAN_PARTS         (2 * CONFIG_VMS + CONFIG_BRIDGES)
#define PLAN_MESSAGE_BYTES 512u
#define PLAN_PATH_BYTES    108u

struct plan_part {
	enum plan_stage stage;
	char title[CONFIG_NAME_BYTES + 16]; // "vm gpu"
	struct argv argv;
	const struct config_vm *vm; // of a vsock device or a VM, borrowed
	char qmp[PLAN_PATH_BYTES];  // of a VM: the socket of its monitor
	char *kernel;               // of a VM, owned
	char *initrd;               // of a VM, owned
};

struct plan {
	struct plan_part parts[PLAN_PARTS]; // in the order of their stages
	size_t part_count;
	char *variable;   // "REDOX_HOSTED_DIR=...", owned
	bool make_hosted; // it was not set: the directory is ours to make
};

/*
 * Plans CONFIG (borrowed by the plan) with its sockets under RUNTIME_PATH. Tries out KVM with a
 * file in TRIAL_FOLDER where accel = auto. Returns 0, or a negative errno with a line in
 * RET_MESSAGE and nothing to finish.
 */
int plan_create(const struct config *config, const char *runtime_path, const char *trial_folder,
		struct plan *ret_plan, char ret_message[PLAN_MESSAGE_BYTES]);

void plan_finish(struct plan *plan);

/*
 * Whether the files that the VMs boot from are there. Returns 0, or -ENOENT with a line in
 * RET_MESSAGE.
 */
int plan_check_files(const struct plan *plan, char ret_message[PLAN_MESSAGE_BYTES]);

/* Writes each command line, as sh would read it, below a comment that names it. */
void plan_print(const struct plan *plan, FILE *stream);

/*
 * Where the image of CONFIG lies when nothing says otherwise. Both answers are owned by the caller.
 * Returns 0 or a negative errno.
 */
int plan_image_folders(const struct config *config, char **ret_output, char **ret_cache);

#endif
