/*
 * Checks across sections. The invariant: after a good check every index and context id in the
 * configuration is valid.
 */
#include "vm-launch/config_check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct check {
	struct config *config;
	bool failed;
	unsigned *line;
	char *reason;
};

/* Keeps the first fault. Returns -EINVAL. */
__attribute__((format(printf, 3, 4))) static int fault(
		struct check *check, unsigned line, const char *format, ...)
{
	if (!check->failed) {
		va_list arguments;

		va_start(arguments, format);
		vsnprintf(check->reason, CONFIG_MESSAGE_BYTES, format, arguments);
		va_end(arguments);
		*check->line = line;
		check->failed = true;
	}
	return -EINVAL;
}

/* Finds the VM that a section means: by name, or the only one. */
static int resolve_vm(struct check *check, const char *name, unsigned line, size_t *ret_vm)
{
	const struct config *config = check->config;

	if (!name && config->vm_count == 1) {
		*ret_vm = 0;
		return 0;
	}
	if (!name) {
		return fault(check, line,
				config->vm_count ? "there are several VMs: say which by vm = NAME"
						 : "there is no [vm NAME] that this could belong "
						   "to");
	}
	for (size_t i = 0; i < config->vm_count; i++) {
		if (strcmp(config->vms[i].name, name) == 0) {
			*ret_vm = i;
			return 0;
		}
	}
	return fault(check, line, "vm = '%s': there is no [vm %s]", name, name);
}

static void check_devices(struct check *check)
{
	struct config *config = check->config;

	for (size_t i = 0; i < config->device_count; i++) {
		struct config_device *device = &config->devices[i];

		if (device->emulated == EMULATED_NONE) {
			fault(check, device->line,
					"[device %s] needs emulated = "
					"bochs|secondary-vga|virtio-gpu",
					device->name);
		} else if (device->outputs && device->emulated != EMULATED_VIRTIO_GPU) {
			fault(check, device->line, "[device %s]: only virtio-gpu has outputs",
					device->name);
		}
		resolve_vm(check, device->vm_name, device->line, &device->vm);
	}
}

static void check_bridges(struct check *check)
{
	struct config *config = check->config;

	for (size_t i = 0; i < config->bridge_count; i++) {
		struct config_bridge *bridge = &config->bridges[i];

		if (bridge->agent && bridge->vm_name) {
			fault(check, bridge->line,
					"[bridge %s] has both vm and agent; one of them says where "
					"the agent is",
					bridge->name);
		} else if (!bridge->agent) {
			resolve_vm(check, bridge->vm_name, bridge->line, &bridge->vm);
		}
	}
}

/* Gives each VM a context id that no other one has. */
static void check_cids(struct check *check)
{
	struct config *config = check->config;

	for (size_t i = 0; i < config->vm_count; i++) {
		for (size_t j = 0; j < i && config->vms[i].cid; j++) {
			if (config->vms[i].cid == config->vms[j].cid) {
				fault(check, config->vms[i].line,
						"[vm %s] has the cid %u of [vm %s]",
						config->vms[i].name, config->vms[i].cid,
						config->vms[j].name);
			}
		}
	}
	for (size_t i = 0; i < config->vm_count; i++) {
		for (uint32_t cid = 3; !config->vms[i].cid; cid++) {
			bool taken = false;

			for (size_t j = 0; j < config->vm_count; j++) {
				taken |= config->vms[j].cid == cid;
			}
			config->vms[i].cid = taken ? 0 : cid;
		}
	}
}

int config_check(struct config *config, unsigned *ret_line, char ret_reason[CONFIG_MESSAGE_BYTES])
{
	struct check check = {.config = config, .line = ret_line, .reason = ret_reason};

	if (config->vm_count == 0 && config->bridge_count == 0 && config->image.line == 0) {
		return fault(&check, 1, "nothing to do: no [vm NAME] and no [bridge display]");
	}
	check_devices(&check);
	check_bridges(&check);
	check_cids(&check);
	return check.failed ? -EINVAL : 0;
}
