/*
 * vm-launch: runs driver VMs, their vsock devices and the bridges of one configuration. Everything
 * that can be refused is refused here, in one line, before anything is started.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "version.h"
#include "vm-launch/config.h"
#include "vm-launch/config_value.h"
#include "vm-launch/plan.h"
#include "vm-launch/program.h"
#include "vm-launch/runtime.h"
#include "vm-launch/supervise.h"

#define READY_TIMEOUT_MS 60000u
#define STOP_TIMEOUT_MS  5000u

enum status { STATUS_GOOD = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

struct options {
	const char *command;
	const char *config_path;
	const char *runtime_dir;
	int ready_fd;
};

static const char help[] =
		"Usage: vm-launch COMMAND [OPTION]... CONFIG\n"
		"Runs driver VMs and the bridges that give their devices to Redox programs.\n"
		"\n"
		"Commands:\n"
		"  run                starts what CONFIG describes and stays; SIGTERM stops it "
		"all\n"
		"  print              shows the command lines that run would use; starts nothing\n"
		"  image              builds the VMs' kernel and initrd from Debian's packages\n"
		"\n"
		"Options:\n"
		"  --runtime-dir DIR  where sockets lie while it runs; default: vm-launch-NAME in\n"
		"                     XDG_RUNTIME_DIR or /run, with NAME from CONFIG's file name\n"
		"  --ready-fd N       write a newline to N and close it when everything is ready\n"
		"  --version, --help\n"
		"\n"
		"REDOX_HOSTED_DIR names the simulated Redox of the bridges; when it is not set,\n"
		"it is made in the runtime directory and its path is printed.\n"
		"LOG=debug in the environment says more (error, warn, info, debug, trace).\n";

static int usage_error(const char *text, const char *what)
{
	fprintf(stderr, "vm-launch: %s%s; see vm-launch --help\n", text, what);
	return -EINVAL;
}

/* Returns 0, 1 when the program is to end well, or -EINVAL after a line that says what is wrong. */
static int options_parse(int count, char **arguments, struct options *options)
{
	enum { RUNTIME_DIR = 256, READY_FD, VERSION, HELP };
	static const struct option known[] = {
			{"runtime-dir", required_argument, NULL, RUNTIME_DIR},
			{"ready-fd", required_argument, NULL, READY_FD},
			{"version", no_argument, NULL, VERSION},
			{"help", no_argument, NULL, HELP},
			{NULL, 0, NULL, 0},
	};
	uint32_t number;
	int option;

	opterr = 0;
	while ((option = getopt_long(count, arguments, ":", known, NULL)) != -1) {
		switch (option) {
		case RUNTIME_DIR:
			options->runtime_dir = optarg;
			break;
		case READY_FD:
			if (config_value_number(optarg, 0, INT_MAX, &number) < 0 ||
					fcntl((int)number, F_GETFD) < 0) {
				return usage_error("--ready-fd: no open descriptor ", optarg);
			}
			options->ready_fd = (int)number;
			break;
		case VERSION:
			puts("vm-launch " BRIDGE_VERSION);
			return 1;
		case HELP:
			fputs(help, stdout);
			return 1;
		case ':':
			return usage_error("a value is missing behind ", arguments[optind - 1]);
		default:
			return usage_error("unknown option ", arguments[optind - 1]);
		}
	}
	if (count - optind < 1) {
		return usage_error("no command given", "");
	}
	options->command = arguments[optind];
	if (count - optind < 2) {
		return usage_error("no configuration given to ", options->command);
	}
	options->config_path = arguments[optind + 1];
	return count - optind > 2 ? usage_error("unexpected argument ", arguments[optind + 2]) : 0;
}

/* Says where to find things once everything runs. */
static void print_places(void *data)
{
	const struct plan *plan = data;

	if (plan->variable) {
		puts(plan->variable);
		fflush(stdout);
	}
}

static int make_hosted(const struct plan *plan)
{
	const char *path = plan->make_hosted ? strchr(plan->variable, '=') + 1 : NULL;

	if (path && mkdir(path, 0700) < 0) {
		fprintf(stderr, "vm-launch: cannot make %s: %s\n", path, strerror(errno));
		return -errno;
	}
	return 0;
}

static int run_plan(const struct plan *plan, const struct options *options)
{
	char message[PLAN_MESSAGE_BYTES];

	if (plan->part_count == 0) {
		fprintf(stderr,
				"vm-launch: %s: nothing to run: no [vm NAME] and no [bridge "
				"display]\n",
				options->config_path);
		return STATUS_FAILED;
	}
	if (plan_check_files(plan, message) < 0) {
		fprintf(stderr, "vm-launch: %s\n", message);
		return STATUS_FAILED;
	}
	if (make_hosted(plan) < 0) {
		return STATUS_FAILED;
	}
	struct supervise_config config = {
			.plan = plan,
			.ready_fd = options->ready_fd,
			.ready_timeout_ms = READY_TIMEOUT_MS,
			.stop_timeout_ms = STOP_TIMEOUT_MS,
			.all_ready = print_places,
			.data = (void *)(uintptr_t)plan,
	};
	int status = supervise_run(&config);

	if (status < 0) {
		fprintf(stderr, "vm-launch: cannot run: %s\n", strerror(-status));
	}
	return status == 0 ? STATUS_GOOD : STATUS_FAILED;
}

/* SIGTERM and SIGINT wait from here on until the supervisor takes them: nothing is left half made. */
static void hold_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
}

static int command_run(const struct config *config, const struct options *options)
{
	struct runtime runtime;
	char message[RUNTIME_MESSAGE_BYTES];
	struct plan plan;
	int status = STATUS_FAILED;

	hold_signals();
	if (options->ready_fd >= 0) {
		fcntl(options->ready_fd, F_SETFD, FD_CLOEXEC); // no child may hold it open
	}
	if (runtime_choose(&runtime, options->runtime_dir, config->path, message) < 0 ||
			runtime_create(&runtime, message) < 0) {
		fprintf(stderr, "vm-launch: %s\n", message);
		return STATUS_FAILED;
	}
	if (plan_create(config, runtime.path, runtime.path, &plan, message) < 0) {
		fprintf(stderr, "vm-launch: %s: %s\n", config->path, message);
	} else {
		status = run_plan(&plan, options);
		plan_finish(&plan);
	}
	runtime_remove(&runtime);
	return status;
}

static int command_print(const struct config *config, const struct options *options)
{
	struct runtime runtime;
	char message[RUNTIME_MESSAGE_BYTES];
	struct plan plan;

	if (runtime_choose(&runtime, options->runtime_dir, config->path, message) < 0 ||
			plan_create(config, runtime.path, "/tmp", &plan, message) < 0) {
		fprintf(stderr, "vm-launch: %s: %s\n", config->path, message);
		return STATUS_FAILED;
	}
	plan_print(&plan, stdout);
	plan_finish(&plan);
	return STATUS_GOOD;
}

/* Becomes the image builder. */
static int command_image(const struct config *config)
{
	char builder[PATH_MAX], agent[PATH_MAX];
	char *output = NULL, *cache = NULL;
	struct argv argv = {0};

	if (plan_image_folders(config, &output, &cache) < 0) {
		fprintf(stderr, "vm-launch: cannot tell where images lie: HOME is not set\n");
		return STATUS_FAILED;
	}
	argv_add(&argv, program_find("image/build", builder, sizeof(builder)));
	argv_add(&argv, "--agent");
	argv_add(&argv,
			config->image.agent ? config->image.agent
					    : program_find("guest-agent", agent, sizeof(agent)));
	argv_add(&argv, "--output");
	argv_add(&argv, output);
	argv_add(&argv, "--cache");
	argv_add(&argv, cache);
	if (config->image.modules) {
		argv_add(&argv, "--modules");
		argv_add(&argv, config->image.modules);
	}
	free(output);
	free(cache);
	if (argv_error(&argv) == 0) {
		execv(argv.items[0], argv.items);
	}
	fprintf(stderr, "vm-launch: cannot run the image builder %s: %s\n", builder,
			strerror(errno));
	argv_finish(&argv);
	return STATUS_FAILED;
}

static int command(const struct config *config, const struct options *options)
{
	if (strcmp(options->command, "run") == 0) {
		return command_run(config, options);
	}
	if (strcmp(options->command, "print") == 0) {
		return command_print(config, options);
	}
	return command_image(config);
}

int main(int count, char **arguments)
{
	struct options options = {.ready_fd = -1};
	int parsed = options_parse(count, arguments, &options);
	char message[CONFIG_MESSAGE_BYTES];
	struct config config;

	if (parsed != 0) {
		return parsed > 0 ? STATUS_GOOD : STATUS_USAGE;
	}
	if (strcmp(options.command, "run") != 0 && strcmp(options.command, "print") != 0 &&
			strcmp(options.command, "image") != 0) {
		usage_error("unknown command ", options.command);
		return STATUS_USAGE;
	}
	log_init("vm-launch");
	if (config_load(options.config_path, &config, message) < 0) {
		fprintf(stderr, "vm-launch: %s\n", message);
		return STATUS_FAILED;
	}
	int status = command(&config, &options);

	config_finish(&config);
	return status;
}
