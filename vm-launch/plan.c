/*
 * Turns a checked configuration into command lines. The invariant: nothing is started, made or
 * changed here, the trial of KVM apart.
 */
#include "vm-launch/plan.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "vm-launch/child.h"
#include "vm-launch/host.h"
#include "vm-launch/program.h"
#include "vm-launch/qemu.h"

#define AGENT_PORT 512 // proto/bridge.xml

struct planner {
	const struct config *config;
	const char *runtime_path;
	const char *trial_folder;
	struct plan *plan;
	char *message;
	char *image; // folder
	bool kernel_vsock;
	int kvm; // -1: not tried yet
};

__attribute__((format(printf, 3, 4))) static int refuse(
		struct planner *planner, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(planner->message, PLAN_MESSAGE_BYTES, format, arguments);
	va_end(arguments);
	return error;
}

static struct plan_part *add_part(
		struct planner *planner, enum plan_stage stage, const char *kind, const char *name)
{
	struct plan_part *part = &planner->plan->parts[planner->plan->part_count++];

	part->stage = stage;
	snprintf(part->title, sizeof(part->title), "%s %s", kind, name);
	return part;
}

/* A socket of VM in the runtime directory, whose path was chosen short enough. */
static void socket_path(const struct planner *planner, const struct config_vm *vm,
		const char *suffix, char path[PLAN_PATH_BYTES])
{
	snprintf(path, PLAN_PATH_BYTES, "%s/vm%zu.%s", planner->runtime_path,
			(size_t)(vm - planner->config->vms), suffix);
}

static void add_ready(struct argv *argv)
{
	argv_add(argv, "--ready-fd");
	argv_format(argv, "%d", CHILD_READY_FD);
}

static int plan_vsock(struct planner *planner, const struct config_vm *vm)
{
	char program[PATH_MAX], socket[PLAN_PATH_BYTES], host[PLAN_PATH_BYTES];
	struct plan_part *part = add_part(planner, STAGE_VSOCK, "vsock of", vm->name);
	const char *given = planner->config->vsock.program;

	socket_path(planner, vm, "vsock", socket);
	socket_path(planner, vm, "host", host);
	part->vm = vm;
	argv_add(&part->argv,
			given ? given : program_find("vsock-device", program, sizeof(program)));
	argv_add(&part->argv, "--socket");
	argv_add(&part->argv, socket);
	argv_add(&part->argv, "--cid");
	argv_format(&part->argv, "%u", vm->cid);
	argv_add(&part->argv, "--host-socket");
	argv_add(&part->argv, host);
	add_ready(&part->argv);
	return argv_error(&part->argv);
}

/* Tries KVM at most once. */
static bool has_kvm(struct planner *planner, const struct config_vm *vm)
{
	char reason[HOST_REASON_BYTES];

	if (planner->kvm < 0) {
		planner->kvm = host_has_kvm(vm->qemu ? vm->qemu : "qemu-system-x86_64",
				planner->trial_folder, reason);
		if (!planner->kvm) {
			log_info(LOG_VM,
					"no KVM here (%s): VMs are emulated by TCG, which is "
					"slower",
					reason);
		}
	}
	return planner->kvm > 0;
}

static char *image_file(const struct planner *planner, const char *given, const char *name)
{
	char *path = NULL;

	if (given) {
		return strdup(given);
	}
	return asprintf(&path, "%s/%s", planner->image, name) < 0 ? NULL : path;
}

static int plan_vm(struct planner *planner, const struct config_vm *vm)
{
	char socket[PLAN_PATH_BYTES];
	struct plan_part *part = add_part(planner, STAGE_VM, "vm", vm->name);

	part->vm = vm;
	part->kernel = image_file(planner, vm->kernel, "vmlinux");
	part->initrd = image_file(planner, vm->initrd, "initrd.cpio");
	if (!part->kernel || !part->initrd) {
		return -ENOMEM;
	}
	socket_path(planner, vm, "qmp", part->qmp);
	socket_path(planner, vm, "vsock", socket);
	struct qemu_place place = {
			.kvm = vm->accel == ACCEL_KVM ||
					(vm->accel == ACCEL_AUTO && has_kvm(planner, vm)),
			.vsock_socket = planner->kernel_vsock ? NULL : socket,
			.qmp_socket = part->qmp,
			.kernel = part->kernel,
			.initrd = part->initrd,
	};

	return qemu_build(planner->config, vm, &place, &part->argv);
}

static int plan_bridge(struct planner *planner, const struct config_bridge *bridge)
{
	char program[PATH_MAX], host[PLAN_PATH_BYTES], name[CONFIG_NAME_BYTES + 8];
	struct plan_part *part = add_part(planner, STAGE_BRIDGE, "bridge", bridge->name);
	const struct config_vm *vm = &planner->config->vms[bridge->vm];
	struct argv *argv = &part->argv;

	snprintf(name, sizeof(name), "%s-bridge", bridge->name);
	argv_add(argv,
			bridge->program ? bridge->program
					: program_find(name, program, sizeof(program)));
	argv_add(argv, "--agent");
	if (bridge->agent) {
		argv_add(argv, bridge->agent);
	} else if (planner->kernel_vsock) {
		argv_format(argv, "vsock:%u:%d", vm->cid, AGENT_PORT);
	} else {
		socket_path(planner, vm, "host", host);
		argv_format(argv, "vsock-unix:%s:%d", host, AGENT_PORT);
	}
	if (bridge->scheme) {
		argv_add(argv, "--name");
		argv_add(argv, bridge->scheme);
	}
	if (bridge->options) {
		argv_words(argv, bridge->options);
	}
	add_ready(argv);
	return argv_error(argv);
}

/* The directory of the simulated Redox: the one that is set, else one of ours. */
static int plan_hosted(struct planner *planner)
{
	const char *set = getenv("REDOX_HOSTED_DIR");
	struct plan *plan = planner->plan;

	plan->make_hosted = !set && planner->config->bridge_count > 0;
	if (plan->make_hosted &&
			asprintf(&plan->variable, "REDOX_HOSTED_DIR=%s/redox",
					planner->runtime_path) < 0) {
		plan->variable = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int plan_parts(struct planner *planner)
{
	const struct config *config = planner->config;
	int error = plan_hosted(planner);

	for (size_t i = 0; !error && !planner->kernel_vsock && i < config->vm_count; i++) {
		error = plan_vsock(planner, &config->vms[i]);
	}
	for (size_t i = 0; !error && i < config->vm_count; i++) {
		error = plan_vm(planner, &config->vms[i]);
	}
	for (size_t i = 0; !error && i < config->bridge_count; i++) {
		error = plan_bridge(planner, &config->bridges[i]);
	}
	return error ? refuse(planner, error, "cannot plan: %s", strerror(-error)) : 0;
}

int plan_create(const struct config *config, const char *runtime_path, const char *trial_folder,
		struct plan *ret_plan, char ret_message[PLAN_MESSAGE_BYTES])
{
	struct plan plan = {0};
	struct planner planner = {
			.config = config,
			.runtime_path = runtime_path,
			.trial_folder = trial_folder,
			.plan = &plan,
			.message = ret_message,
			.kvm = -1,
	};
	char *cache = NULL;
	int error = plan_image_folders(config, &planner.image, &cache);

	if (error) {
		refuse(&planner, error, "cannot tell where images lie: HOME is not set");
	} else if (config->vsock.backend == BACKEND_KERNEL && config->vm_count > 0 &&
			!host_has_vsock()) {
		error = refuse(&planner, -ENODEV,
				"[vsock] backend = kernel: /dev/vhost-vsock cannot be opened; as "
				"root: modprobe vhost_vsock, or choose "
				"backend = device");
	} else {
		planner.kernel_vsock = config->vsock.backend == BACKEND_KERNEL ||
				(config->vsock.backend == BACKEND_AUTO && host_has_vsock());
		error = plan_parts(&planner);
	}
	free(planner.image);
	free(cache);
	if (error) {
		plan_finish(&plan);
		return error;
	}
	*ret_plan = plan;
	return 0;
}

void plan_finish(struct plan *plan)
{
	for (size_t i = 0; i < plan->part_count; i++) {
		argv_finish(&plan->parts[i].argv);
		free(plan->parts[i].kernel);
		free(plan->parts[i].initrd);
	}
	free(plan->variable);
	*plan = (struct plan) {0};
}

int plan_check_files(const struct plan *plan, char ret_message[PLAN_MESSAGE_BYTES])
{
	for (size_t i = 0; i < plan->part_count; i++) {
		const struct plan_part *part = &plan->parts[i];

		for (int which = 0; part->stage == STAGE_VM && which < 2; which++) {
			const char *file = which ? part->initrd : part->kernel;

			if (access(file, R_OK) < 0) {
				snprintf(ret_message, PLAN_MESSAGE_BYTES,
						"%s: %s: %s; build an image first: vm-launch image "
						"CONFIG",
						part->title, file, strerror(errno));
				return -ENOENT;
			}
		}
	}
	return 0;
}

void plan_print(const struct plan *plan, FILE *stream)
{
	for (size_t i = 0; i < plan->part_count; i++) {
		const struct plan_part *part = &plan->parts[i];

		fprintf(stream, "# %s\n", part->title);
		if (part->stage == STAGE_BRIDGE && plan->variable) {
			argv_print_word(plan->variable, stream);
			fputc(' ', stream);
		}
		argv_print(&part->argv, stream);
	}
}

int plan_image_folders(const struct config *config, char **ret_output, char **ret_cache)
{
	const char *base = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");
	char *cache = NULL, *output = NULL;

	if (config->image.cache) {
		cache = strdup(config->image.cache);
	} else if (base && base[0] == '/') {
		cache = asprintf(&cache, "%s/redox-driver-bridge", base) < 0 ? NULL : cache;
	} else if (home) {
		cache = asprintf(&cache, "%s/.cache/redox-driver-bridge", home) < 0 ? NULL : cache;
	} else {
		return -ENOENT;
	}
	if (config->image.output) {
		output = strdup(config->image.output);
	} else if (cache) {
		output = asprintf(&output, "%s/image", cache) < 0 ? NULL : output;
	}
	if (!cache || !output) {
		free(cache);
		free(output);
		return -ENOMEM;
	}
	*ret_output = output;
	*ret_cache = cache;
	return 0;
}
