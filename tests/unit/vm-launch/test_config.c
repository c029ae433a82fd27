/* The configuration's grammar: what is taken, and for each fault the exact line that refuses it. */
#include "tests/support/test.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vm-launch/config.h"

#define GPU "[vm gpu]\n"

static int parse(const char *text, struct config *config, char *message)
{
	return config_parse("/tmp/x.ini", text, strlen(text), config, message);
}

static void whole_file_is_read(void **state)
{
	static const char text[] = "# comment\n"
				   "[vm gpu] ; the only one\n"
				   "memory = 2G\n"
				   "cpus=4\n"
				   "accel = tcg\n"
				   "machine = pc\n"
				   "cid = 77\n"
				   "kernel = /boot/vmlinux\n"
				   "initrd = img/initrd.cpio ; relative\n"
				   "append = a=b c=d\n"
				   "agent_options = --listen vsock:any:512\n"
				   "console = c.log\n"
				   "qmp = q\n"
				   "commands = c\n"
				   "stop_timeout = 3\n"
				   "qemu = bin/qemu\n"
				   "\n"
				   "[device screen]\r\n"
				   "emulated = virtio-gpu\r\n"
				   "mode = 1920x1080\n"
				   "outputs = 2\n"
				   "[vsock]\n"
				   "backend = device\n"
				   "program = vsock\n"
				   "[bridge display]\n"
				   "vm = gpu\n"
				   "name = display.bridge\n"
				   "options = --a --b\n"
				   "[image]\n"
				   "agent = agent\n"
				   "output = o\n"
				   "cache = c\n"
				   "modules = a b";
	struct config config;
	char message[CONFIG_MESSAGE_BYTES];

	(void)state;
	if (parse(text, &config, message) != 0) {
		fail_msg("%s", message);
	}
	const struct config_vm *vm = &config.vms[0];

	assert_int_equal(config.vm_count, 1);
	assert_string_equal(vm->name, "gpu");
	assert_int_equal(vm->memory_mib, 2048);
	assert_int_equal(vm->cpus, 4);
	assert_int_equal(vm->accel, ACCEL_TCG);
	assert_int_equal(vm->machine, MACHINE_PC);
	assert_int_equal(vm->cid, 77);
	assert_string_equal(vm->kernel, "/boot/vmlinux");
	assert_string_equal(vm->initrd, "/tmp/img/initrd.cpio");
	assert_string_equal(vm->append, "a=b c=d");
	assert_string_equal(vm->agent_options, "--listen vsock:any:512");
	assert_string_equal(vm->console, "/tmp/c.log");
	assert_string_equal(vm->qmp, "/tmp/q");
	assert_string_equal(vm->commands, "/tmp/c");
	assert_int_equal(vm->stop_timeout_s, 3);
	assert_string_equal(vm->qemu, "/tmp/bin/qemu");
	assert_int_equal(config.device_count, 1);
	assert_string_equal(config.devices[0].name, "screen");
	assert_int_equal(config.devices[0].emulated, EMULATED_VIRTIO_GPU);
	assert_int_equal(config.devices[0].width_px, 1920);
	assert_int_equal(config.devices[0].height_px, 1080);
	assert_int_equal(config.devices[0].outputs, 2);
	assert_int_equal(config.vsock.backend, BACKEND_DEVICE);
	assert_string_equal(config.vsock.program, "/tmp/vsock");
	assert_int_equal(config.bridge_count, 1);
	assert_int_equal(config.bridges[0].vm, 0);
	assert_string_equal(config.bridges[0].scheme, "display.bridge");
	assert_string_equal(config.bridges[0].options, "--a --b");
	assert_string_equal(config.image.agent, "/tmp/agent");
	assert_string_equal(config.image.output, "/tmp/o");
	assert_string_equal(config.image.cache, "/tmp/c");
	assert_string_equal(config.image.modules, "a b");
	config_finish(&config);
}

/* Sections without keys count: libinih does not tell of them. */
static void defaults_are_set(void **state)
{
	struct config config;
	char message[CONFIG_MESSAGE_BYTES];

	(void)state;
	assert_int_equal(parse(GPU "[bridge display]", &config, message), 0);
	assert_int_equal(config.vms[0].memory_mib, 512);
	assert_int_equal(config.vms[0].cpus, 1);
	assert_int_equal(config.vms[0].cid, 3);
	assert_int_equal(config.vms[0].accel, ACCEL_AUTO);
	assert_int_equal(config.vms[0].stop_timeout_s, 10);
	assert_null(config.vms[0].kernel);
	assert_int_equal(config.vsock.backend, BACKEND_AUTO);
	assert_int_equal(config.bridge_count, 1);
	config_finish(&config);
}

static void several_vms_are_told_apart(void **state)
{
	struct config config;
	char message[CONFIG_MESSAGE_BYTES];

	(void)state;
	assert_int_equal(parse("[device b]\nvm = two\nemulated = bochs\n[vm one]\n[vm two]\ncid = "
			       "3\n"
			       "[vm three]\n[bridge display]\nvm = three\n",
					 &config, message),
			0);
	assert_int_equal(config.devices[0].vm, 1);
	assert_int_equal(config.bridges[0].vm, 2);
	assert_int_equal(config.vms[1].cid, 3);
	assert_int_equal(config.vms[0].cid, 4);
	assert_int_equal(config.vms[2].cid, 5);
	config_finish(&config);
}

static void bridge_without_vm_needs_no_vm(void **state)
{
	struct config config;
	char message[CONFIG_MESSAGE_BYTES];

	(void)state;
	assert_int_equal(parse("[bridge display]\nagent = unix:/run/agent\n", &config, message), 0);
	assert_string_equal(config.bridges[0].agent, "unix:/run/agent");
	config_finish(&config);
}

static const struct {
	const char *text, *message;
} faults[] = {
		{"", "1: nothing to do: no [vm NAME] and no [bridge display]"},
		{"[vsock]\n", "1: nothing to do: no [vm NAME] and no [bridge display]"},
		{"memory = 1G\n", "1: key 'memory' before the first section"},
		{GPU "colour = red\n", "2: unknown key 'colour' in [vm gpu]"},
		{GPU "emulated = bochs\n", "2: unknown key 'emulated' in [vm gpu]"},
		{GPU "memory\n", "2: neither a section nor KEY = VALUE"},
		{GPU "memory = \n", "2: key 'memory' has no value"},
		{GPU "memory = ; 1G\n", "2: key 'memory' has no value"},
		{GPU "memory = 1G\n\n memory = 2G\n", "4: the line begins with a blank"},
		{GPU "append = a\n\tb\n", "3: the line begins with a blank"},
		{GPU "memory = 1G\n\nmemory = 2G\n", "4: key 'memory' stands in line 2 already"},
		{GPU "memory = 127M\n",
				"2: memory = '127M' is no size such as 512M or 2G, from 128M to "
				"1048576M"},
		{GPU "memory = 2\n",
				"2: memory = '2' is no size such as 512M or 2G, from 128M to "
				"1048576M"},
		{GPU "memory = 2GB\n",
				"2: memory = '2GB' is no size such as 512M or 2G, from 128M to "
				"1048576M"},
		{GPU "memory = 4294967808M\n",
				"2: memory = '4294967808M' is no size such as 512M or 2G, from "
				"128M to 1048576M"},
		{GPU "cpus = 0\n", "2: cpus = '0' is no number from 1 to 64"},
		{GPU "cpus = 4294967297\n", "2: cpus = '4294967297' is no number from 1 to 64"},
		{GPU "cpus = -1\n", "2: cpus = '-1' is no number from 1 to 64"},
		{GPU "cpus = 1 2\n", "2: cpus = '1 2' is no number from 1 to 64"},
		{GPU "cpus = 01\n", "2: cpus = '01' is no number from 1 to 64"},
		{GPU "cid = 2\n", "2: cid = '2' is no number from 3 to 4294967294"},
		{GPU "accel = hax\n", "2: accel = 'hax' is none of auto|kvm|tcg"},
		{GPU "accel = kv\n", "2: accel = 'kv' is none of auto|kvm|tcg"},
		{GPU "accel = auto|kvm\n", "2: accel = 'auto|kvm' is none of auto|kvm|tcg"},
		{GPU "agent_options = --a \"b\"\n",
				"2: agent_options: '\"' cannot be passed to the guest"},
		{GPU "append = a\x01\n", "2: control character 0x01 in column 11"},
		{GPU "append = a\rb\n", "2: control character 0x0d in column 11"},
		{"[vm gpu\n", "1: a section without ']'"},
		{"[vm gpu] x\n", "1: text behind the ']' of a section"},
		{"[vm]\n",
				"1: '' is no name: a letter, then letters, digits, '-' or '_', at "
				"most 31 characters"},
		{"[vm a,b]\n",
				"1: 'a,b' is no name: a letter, then letters, digits, '-' or '_', "
				"at most 31 characters"},
		{"[vm abcdefghijabcdefghijabcdefghijab]\n",
				"1: 'abcdefghijabcdefghijabcdefghijab' is no name: a letter, then "
				"letters, digits, '-' or '_', "
				"at most 31 characters"},
		{"[gpu]\n",
				"1: unknown section [gpu]; known: [vm NAME], [device NAME], "
				"[vsock], [bridge display], [image]"},
		{"[vsock x]\n",
				"1: unknown section [vsock x]; known: [vm NAME], [device NAME], "
				"[vsock], [bridge display], [image]"},
		{GPU "[window]\n",
				"2: unknown section [window]; known: [vm NAME], [device NAME], "
				"[vsock], [bridge display], [image]"},
		{GPU "\n" GPU, "3: section [vm gpu] stands in line 1 already"},
		{"[vsock]\n[vsock]\n", "2: section [vsock] stands in line 1 already"},
		{"[bridge audio]\n", "1: there is no bridge 'audio'; known: display"},
		{GPU "[device a]\n",
				"2: [device a] needs emulated = bochs|secondary-vga|virtio-gpu"},
		{GPU "[device a]\nemulated = bochs\noutputs = 2\n",
				"2: [device a]: only virtio-gpu has outputs"},
		{GPU "[device a]\nemulated = qxl\n",
				"3: emulated = 'qxl' is none of bochs|secondary-vga|virtio-gpu"},
		{GPU "[device a]\nmode = 1280 x 720\n",
				"3: mode = '1280 x 720' is no mode such as 1280x720"},
		{GPU "[device a]\nmode = 99999x720\n",
				"3: mode = '99999x720' is no mode such as 1280x720"},
		{GPU "[device a]\nvm = b\nemulated = bochs\n", "2: vm = 'b': there is no [vm b]"},
		{"[bridge display]\n", "1: there is no [vm NAME] that this could belong to"},
		{"[vm a]\n[vm b]\n[bridge display]\n",
				"3: there are several VMs: say which by vm = NAME"},
		{GPU "[bridge display]\nvm = gpu\nagent = unix:/a\n",
				"2: [bridge display] has both vm and agent; one of them says where "
				"the agent is"},
		{GPU "[bridge display]\nname = a/b\n",
				"3: name = 'a/b' is no scheme: letters, digits, '-', '_', '.', at "
				"most 63"},
		{"[vm a]\ncid = 5\n[vm b]\ncid = 5\n", "3: [vm b] has the cid 5 of [vm a]"},
};

static void each_fault_is_told_by_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct config config = {.vm_count = 99};
		char message[CONFIG_MESSAGE_BYTES], expected[CONFIG_MESSAGE_BYTES];

		snprintf(expected, sizeof(expected), "/tmp/x.ini:%s", faults[i].message);
		int error = parse(faults[i].text, &config, message);

		if (error != -EINVAL || strcmp(message, expected) != 0) {
			fail_msg("\n%s\nanswered %d \"%s\"\nexpected \"%s\"", faults[i].text, error,
					error ? message : "", expected);
		}
		assert_int_equal(config.vm_count, 99); // untouched
	}
}

static void wrong_address_is_refused(void **state)
{
	struct config config;
	char message[CONFIG_MESSAGE_BYTES];
	static const char start[] = "/tmp/x.ini:2: agent = 'udp:1': ";

	(void)state;
	assert_int_equal(parse("[bridge display]\nagent = udp:1\n", &config, message), -EINVAL);
	assert_memory_equal(message, start, sizeof(start) - 1);
}

/*
 * 190 bytes are taken whole, 191 refused with the right line: libinih alone would cut at 200 in
 * silence.
 */
static void long_lines_are_refused(void **state)
{
	for (int extra = 0; extra < 40; extra++) {
		char text[512], message[CONFIG_MESSAGE_BYTES], expected[CONFIG_MESSAGE_BYTES];
		struct config config;
		int value = 190 - (int)strlen("append = ") + extra;

		snprintf(text, sizeof(text), "[vm a]\nappend = %0*d\n[vm b]\n", value, 7);
		int error = parse(text, &config, message);

		if (extra == 0) {
			assert_int_equal(error, 0);
			assert_int_equal(strlen(config.vms[0].append), value);
			config_finish(&config);
		} else {
			snprintf(expected, sizeof(expected),
					"/tmp/x.ini:2: the line has %d bytes, at most 190 are "
					"allowed",
					190 + extra);
			assert_int_equal(error, -EINVAL);
			assert_string_equal(message, expected);
		}
	}
	(void)state;
}

static void too_many_sections_are_refused(void **state)
{
	char text[4096] = "", message[CONFIG_MESSAGE_BYTES];
	struct config config;
	size_t used = 0;

	(void)state;
	for (unsigned i = 0; i < CONFIG_VMS; i++) {
		used += (size_t)snprintf(text + used, sizeof(text) - used, "[vm v%u]\n", i);
	}
	assert_int_equal(parse(text, &config, message), 0);
	assert_int_equal(config.vm_count, CONFIG_VMS);
	config_finish(&config);
	snprintf(text + used, sizeof(text) - used, "[vm more]\n");
	assert_int_equal(parse(text, &config, message), -EINVAL);
	assert_string_equal(message, "/tmp/x.ini:9: more than 8 sections of this kind");
}

static void files_that_cannot_be_read_are_named(void **state)
{
	char path[256], message[CONFIG_MESSAGE_BYTES], expected[CONFIG_MESSAGE_BYTES];
	struct config config;

	(void)state;
	test_path(path, sizeof(path), "none.ini");
	assert_int_equal(config_load(path, &config, message), -ENOENT);
	snprintf(expected, sizeof(expected), "%s: No such file or directory", path);
	assert_string_equal(message, expected);
	assert_int_equal(config_load(test_dir(), &config, message), -EISDIR);

	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(ftruncate(fileno(file), 300 * 1024), 0);
	fclose(file);
	assert_int_equal(config_load(path, &config, message), -EFBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(whole_file_is_read),
			TEST(defaults_are_set),
			TEST(several_vms_are_told_apart),
			TEST(bridge_without_vm_needs_no_vm),
			TEST(each_fault_is_told_by_line),
			TEST(wrong_address_is_refused),
			TEST(long_lines_are_refused),
			TEST(too_many_sections_are_refused),
			TEST(files_that_cannot_be_read_are_named),
	};

	return test_main("vm-launch-config", tests);
}
