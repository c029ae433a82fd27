/*
 * Any text as a configuration of vm-launch. What is accepted must keep its promises: names,
 * indices, context ids and sizes are valid, and planning its command lines works; what is refused
 * has one printable line with a place.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "vm-launch/argv.h"
#include "vm-launch/config.h"
#include "vm-launch/config_value.h"
#include "vm-launch/qemu.h"

static void check_vm(const struct config *config, const struct config_vm *vm)
{
	static const struct qemu_place place = {
			.vsock_socket = "/v,v", .qmp_socket = "/q", .kernel = "/k", .initrd = "/i"};
	struct argv argv = {0};

	FUZZ_ASSERT(config_value_is_name(vm->name, CONFIG_NAME_BYTES));
	FUZZ_ASSERT(vm->line > 0 && vm->cid >= 3 && vm->cpus >= 1 && vm->cpus <= 64 &&
			vm->memory_mib >= 128);
	for (size_t i = 0; i < config->vm_count; i++) {
		FUZZ_ASSERT(&config->vms[i] == vm || config->vms[i].cid != vm->cid);
	}
	FUZZ_ASSERT(qemu_build(config, vm, &place, &argv) == 0);

	for (size_t i = 0; i < argv.count; i++) {
		FUZZ_ASSERT(!strpbrk(argv.items[i], "\n\r"));
	}
	argv_finish(&argv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config;
	char message[CONFIG_MESSAGE_BYTES] = "";
	static const char start[] = "/tmp/x.ini:";

	if (config_parse("/tmp/x.ini", (const char *)data, size, &config, message) < 0) {
		FUZZ_ASSERT(strncmp(message, start, sizeof(start) - 1) == 0);
		FUZZ_ASSERT(strlen(message) < sizeof(message) && !strpbrk(message, "\n\r"));
		FUZZ_ASSERT(message[sizeof(start) - 1] >= '1' && message[sizeof(start) - 1] <= '9');
		return 0;
	}
	for (size_t i = 0; i < config.vm_count; i++) {
		check_vm(&config, &config.vms[i]);
	}
	for (size_t i = 0; i < config.device_count; i++) {
		FUZZ_ASSERT(config.devices[i].vm < config.vm_count &&
				config.devices[i].emulated != EMULATED_NONE);
	}
	for (size_t i = 0; i < config.bridge_count; i++) {
		FUZZ_ASSERT(config.bridges[i].agent || config.bridges[i].vm < config.vm_count);
	}
	config_finish(&config);
	return 0;
}
