/* QEMU's command line: what is on it, and that no value of the configuration can add to it. */
#include "tests/support/test.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm-launch/argv.h"
#include "vm-launch/config.h"
#include "vm-launch/plan.h"
#include "vm-launch/qemu.h"

static void load(const char *text, struct config *config)
{
	char message[CONFIG_MESSAGE_BYTES];

	if (config_parse("/tmp/x.ini", text, strlen(text), config, message) != 0) {
		fail_msg("%s", message);
	}
}

static const struct qemu_place place = {
		.vsock_socket = "/run/v,x=y",
		.qmp_socket = "/run/q",
		.kernel = "/k,k",
		.initrd = "/i",
};

/* The argument behind OPTION that begins with START. */
static const char *find(const struct argv *argv, const char *option, const char *start)
{
	for (size_t i = 0; i + 1 < argv->count; i++) {
		if (strcmp(argv->items[i], option) == 0 &&
				strncmp(argv->items[i + 1], start, strlen(start)) == 0) {
			return argv->items[i + 1];
		}
	}
	fail_msg("no %s %s", option, start);
	return NULL;
}

static void command_line_has_what_was_asked_for(void **state)
{
	struct config config;
	struct argv argv = {0};

	(void)state;
	load("[vm gpu]\nmemory = 1G\ncpus = 2\naccel=tcg\ncommands = c\nappend = "
	     "loglevel=7\nagent_options = --device /dev/x\n"
	     "[device a]\nemulated = bochs\nmode = 800x600\n[device "
	     "b]\nemulated=virtio-gpu\noutputs=2\n",
			&config);
	assert_int_equal(qemu_build(&config, &config.vms[0], &place, &argv), 0);
	assert_string_equal(argv.items[0], "qemu-system-x86_64");
	assert_string_equal(find(&argv, "-m", ""), "1024M");
	assert_string_equal(find(&argv, "-smp", ""), "2");
	assert_string_equal(find(&argv, "-cpu", ""), "max");
	assert_string_equal(find(&argv, "-object", "memory-backend-memfd"),
			"memory-backend-memfd,id=memory,size=1024M,share=on");
	assert_non_null(strstr(find(&argv, "-machine", "q35"), "memory-backend=memory"));
	assert_string_equal(find(&argv, "-device", "bochs"),
			"bochs-display,id=a,vgamem=64M,xres=800,yres=600");
	assert_string_equal(
			find(&argv, "-device", "virtio-gpu"), "virtio-gpu-pci,id=b,max_outputs=2");
	assert_non_null(strstr(find(&argv, "-append", ""),
			" guest.shell=ttyS1 agent.args=\"--device /dev/x\" loglevel=7"));
	assert_null(argv.items[argv.count]);
	argv_finish(&argv);
	config_finish(&config);
}

static void devices_go_to_their_vm(void **state)
{
	struct config config;
	struct argv argv = {0};

	(void)state;
	load("[vm a]\n[vm b]\n[device x]\nvm=a\nemulated=bochs\n[device y]\nvm=b\nemulated=bochs\n",
			&config);
	assert_int_equal(qemu_build(&config, &config.vms[1], &place, &argv), 0);
	find(&argv, "-device", "bochs-display,id=y");
	for (size_t i = 0; i < argv.count; i++) {
		assert_null(strstr(argv.items[i], "id=x"));
	}
	argv_finish(&argv);
	config_finish(&config);
}

static void commas_stay_in_their_value(void **state)
{
	struct config config;
	struct argv argv = {0};

	(void)state;
	load("[vm gpu]\nqmp = /tmp/a,server=off\nconsole = /tmp/c,mux=on,,\n", &config);
	assert_int_equal(qemu_build(&config, &config.vms[0], &place, &argv), 0);
	assert_string_equal(find(&argv, "-chardev", "socket,id=vsock"),
			"socket,id=vsock,path=/run/v,,x=y");
	assert_string_equal(find(&argv, "-chardev", "socket,id=qmp2"),
			"socket,id=qmp2,server=on,wait=off,path=/tmp/a,,server=off");
	assert_string_equal(
			find(&argv, "-chardev", "file"), "file,id=console,path=/tmp/c,,mux=on,,,,");
	assert_string_equal(
			find(&argv, "-kernel", ""), "/k,k"); // a whole argument: nothing is split
	argv_finish(&argv);
	config_finish(&config);
}

/* Blanks and dashes in values make no further arguments. */
static void values_make_no_arguments(void **state)
{
	struct config plain, nasty;
	struct argv plain_argv = {0}, nasty_argv = {0};

	(void)state;
	load("[vm gpu]\nappend = a\nqmp = /q\n", &plain);
	load("[vm gpu]\nappend = -monitor stdio ' -S $(id)\nqmp = /q -S 'x\n", &nasty);
	assert_int_equal(qemu_build(&plain, &plain.vms[0], &place, &plain_argv), 0);
	assert_int_equal(qemu_build(&nasty, &nasty.vms[0], &place, &nasty_argv), 0);
	assert_int_equal(plain_argv.count, nasty_argv.count);
	for (size_t i = 0; i < nasty_argv.count; i++) {
		assert_string_not_equal(nasty_argv.items[i], "-S");
		assert_string_not_equal(nasty_argv.items[i], "-monitor");
	}
	argv_finish(&plain_argv);
	argv_finish(&nasty_argv);
	config_finish(&plain);
	config_finish(&nasty);
}

static void kernel_vsock_takes_the_cid(void **state)
{
	struct config config;
	struct argv argv = {0};
	struct qemu_place kernel = place;

	(void)state;
	kernel.vsock_socket = NULL;
	kernel.kvm = true;
	load("[vm gpu]\ncid = 99\n", &config);
	assert_int_equal(qemu_build(&config, &config.vms[0], &kernel, &argv), 0);
	assert_string_equal(
			find(&argv, "-device", "vhost"), "vhost-vsock-pci,id=vsock,guest-cid=99");
	assert_string_equal(find(&argv, "-accel", ""), "kvm");
	assert_string_equal(find(&argv, "-cpu", ""), "host");
	argv_finish(&argv);
	config_finish(&config);
}

/* What print shows is read back by a shell as the same words, whatever is in them. */
static void printed_words_survive_a_shell(void **state)
{
	static const char *const words[] = {"plain", "", "two words", "it's", "$(id)`id`$HOME",
			"a\nb", "\\\"*?[~", "-n", "x=y,z", "'"};
	const size_t count = sizeof(words) / sizeof(words[0]);
	char command[1024] = "printf '%s\\0' ", read_back[1024];
	FILE *stream = fmemopen(command + strlen(command), sizeof(command) - strlen(command), "w");
	struct argv argv = {0};

	(void)state;
	for (size_t i = 0; i < count; i++) {
		argv_add(&argv, words[i]);
	}
	argv_print(&argv, stream);
	fclose(stream);
	argv_finish(&argv);

	FILE *shell = popen(command, "r");
	size_t bytes = fread(read_back, 1, sizeof(read_back), shell);
	const char *at = read_back;

	assert_int_equal(pclose(shell), 0);
	for (size_t i = 0; i < count; i++) {
		assert_true(at < read_back + bytes);
		assert_string_equal(at, words[i]);
		at += strlen(at) + 1;
	}
	assert_ptr_equal(at, read_back + bytes);
}

static void plan_has_its_stages_in_order(void **state)
{
	struct config config;
	struct plan plan;
	char message[PLAN_MESSAGE_BYTES];

	(void)state;
	load("[vm a]\naccel=tcg\n[vm b]\naccel=tcg\n[vsock]\nbackend=device\nprogram=/v\n"
	     "[bridge display]\nvm=b\nprogram=/d\nname=n\noptions= --x  1\n",
			&config);
	setenv("HOME", "/home/x", 1);
	unsetenv("XDG_CACHE_HOME");
	unsetenv("REDOX_HOSTED_DIR");
	assert_int_equal(plan_create(&config, "/run/r", "/tmp", &plan, message), 0);
	static const char *const titles[] = {
			"vsock of a", "vsock of b", "vm a", "vm b", "bridge display"};

	assert_int_equal(plan.part_count, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_string_equal(plan.parts[i].title, titles[i]);
	}
	static const char *const bridge[] = {"/d", "--agent", "vsock-unix:/run/r/vm1.host:512",
			"--name", "n", "--x", "1", "--ready-fd", "3"};

	assert_int_equal(plan.parts[4].argv.count, 9);
	for (size_t i = 0; i < 9; i++) {
		assert_string_equal(plan.parts[4].argv.items[i], bridge[i]);
	}
	assert_string_equal(plan.variable, "REDOX_HOSTED_DIR=/run/r/redox");
	assert_string_equal(
			plan.parts[2].kernel, "/home/x/.cache/redox-driver-bridge/image/vmlinux");
	plan_finish(&plan);

	setenv("REDOX_HOSTED_DIR", "/elsewhere", 1);
	assert_int_equal(plan_create(&config, "/run/r", "/tmp", &plan, message), 0);
	assert_null(plan.variable);
	plan_finish(&plan);
	unsetenv("REDOX_HOSTED_DIR");
	config_finish(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(command_line_has_what_was_asked_for),
			TEST(devices_go_to_their_vm),
			TEST(commas_stay_in_their_value),
			TEST(values_make_no_arguments),
			TEST(kernel_vsock_takes_the_cid),
			TEST(printed_words_survive_a_shell),
			TEST(plan_has_its_stages_in_order),
	};

	return test_main("vm-launch-qemu", tests);
}
