/*
 * display-bridge: shows the monitors of a Linux driver VM as a Redox display scheme. Here: options,
 * the order of start and end. Everything is opened before the scheme is registered (redox-abi.md
 * 1.5, rule A).
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/number.h"
#include "schemes/display-bridge/card.h"
#include "schemes/display-bridge/display.h"
#include "schemes/display-bridge/mode.h"
#include "schemes/display-bridge/state.h"
#include "schemes/scheme/scheme.h"
#include "version.h"

#define READY_TIMEOUT_S 20

struct options {
	const char *agent, *name, *alias, *state_file;
	struct address address;
	int ready_fd;
	uint64_t ready_timeout_s;
	unsigned width_px, height_px;
};

struct program {
	struct options options;
	struct loop *loop;
	struct loop_source *ready_timer, *term, *interrupt;
	bool ready_said;
	struct display display;
};

static const char usage[] =
		"Usage: display-bridge --agent ADDRESS [options]\n"
		"Shows the monitors of a driver VM as a Redox display scheme.\n"
		"\n"
		"  --agent ADDRESS        guest-agent: unix:PATH, vsock-unix:PATH:PORT,\n"
		"                         vsock:CID:PORT or tcp:HOST:PORT\n"
		"  --name NAME            of the scheme (default: display.bridge)\n"
		"  --alias NAME           a second name (default: display; '' for none)\n"
		"  --mode WxH             monitor until the agent has said what there is\n"
		"                         (default: 1280x800)\n"
		"  --state-file FILE      keeps what the agent said last for the next start\n"
		"  --ready-fd N           a newline is written there when clients can start\n"
		"  --ready-timeout S      seconds to wait for the agent before (default: 20)\n"
		"  --help, --version\n"
		"\n"
		"The environment's LOG selects what is logged, such as LOG=debug,wire:trace.\n"
		"SIGTERM ends it. Reading the file 'status' below the scheme says how it is.\n";

static int complain(const char *what, const char *detail)
{
	fprintf(stderr, "display-bridge: %s%s\nTry 'display-bridge --help'.\n", what, detail);
	return -EINVAL;
}

static int mode_parse(struct options *options, const char *text)
{
	char end;
	if (sscanf(text, "%5ux%5u%c", &options->width_px, &options->height_px, &end) != 2 ||
			options->width_px == 0 || options->width_px > MODE_SIZE_MAX ||
			options->height_px == 0 || options->height_px > MODE_SIZE_MAX) {
		return complain("--mode is a size such as 1280x800, not ", text);
	}
	return 0;
}

static int option_take(struct options *options, int option)
{
	uint64_t number;
	switch (option) {
	case 'a':
		options->agent = optarg;
		return 0;
	case 'n':
		options->name = optarg;
		return 0;
	case 'l':
		options->alias = optarg;
		return 0;
	case 's':
		options->state_file = optarg;
		return 0;
	case 'm':
		return mode_parse(options, optarg);
	case 'r':
		if (!number_parse(optarg, INT32_MAX, &number)) {
			return complain("--ready-fd is the number of an open file, not ", optarg);
		}
		options->ready_fd = (int)number;
		return 0;
	case 't':
		if (!number_parse(optarg, 3600, &options->ready_timeout_s)) {
			return complain("--ready-timeout is a number of seconds, not ", optarg);
		}
		return 0;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	case 'v':
		puts("display-bridge " BRIDGE_VERSION);
		exit(0);
	default: // getopt_long has said which option it does not know
		fprintf(stderr, "Try 'display-bridge --help'.\n");
		return -EINVAL;
	}
}

static int options_check(struct options *options)
{
	const char *reason;
	if (options->agent == NULL) {
		return complain("--agent ADDRESS is missing: where guest-agent listens", "");
	}
	if (address_parse(options->agent, &options->address, &reason) != 0) {
		fprintf(stderr, "display-bridge: --agent %s: %s\n", options->agent, reason);
		return -EINVAL;
	}
	if (options->name[0] == '\0' || strchr(options->name, '/') != NULL ||
			strchr(options->alias, '/') != NULL) {
		return complain("--name and --alias are names of schemes, without a slash", "");
	}
	return 0;
}

static int options_parse(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {
			{"agent", required_argument, NULL, 'a'},
			{"name", required_argument, NULL, 'n'},
			{"alias", required_argument, NULL, 'l'},
			{"mode", required_argument, NULL, 'm'},
			{"state-file", required_argument, NULL, 's'},
			{"ready-fd", required_argument, NULL, 'r'},
			{"ready-timeout", required_argument, NULL, 't'},
			{"help", no_argument, NULL, 'h'},
			{"version", no_argument, NULL, 'v'},
			{0},
	};
	*options = (struct options) {.name = "display.bridge",
			.alias = "display",
			.ready_fd = -1,
			.ready_timeout_s = READY_TIMEOUT_S,
			.width_px = 1280,
			.height_px = 800};
	int option;
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		int error = option_take(options, option);
		if (error != 0) {
			return error;
		}
	}
	if (optind < argc) {
		return complain("there is no use for the argument ", argv[optind]);
	}
	return options_check(options);
}

static void say_ready(void *data)
{
	struct program *program = data;
	if (program->ready_said) {
		return;
	}
	program->ready_said = true;
	loop_timer_arm(program->ready_timer, 0);
	if (!program->display.agent.has_topology) {
		log_warn(LOG_DISPLAY,
				"no agent at %s yet: clients see the topology of last time, "
				"or one monitor",
				program->options.agent);
	}
	int error = ready_notify(program->options.ready_fd);
	if (error != 0) {
		log_warn(LOG_MAIN, "cannot report readiness: %s", strerror(-error));
	}
}

static void on_signal(void *data)
{
	struct program *program = data;
	loop_stop(program->loop, 0);
}

/* The topology before the first agent: that of last time, or one monitor. */
static void topology_start(struct program *program)
{
	struct display *display = &program->display;
	const struct options *options = &program->options;
	static struct topology topology;
	topology_default(&topology, options->width_px, options->height_px);
	if (options->state_file != NULL) {
		display->state_fd = state_open(options->state_file);
		if (display->state_fd < 0) {
			log_warn(LOG_MAIN, "cannot open the state file '%s': %s; going on without",
					options->state_file, strerror(-display->state_fd));
		} else if (state_load(display->state_fd, &topology) == -EBADMSG) {
			log_warn(LOG_MAIN,
					"the state file '%s' is torn or of another version; "
					"starting with one monitor",
					options->state_file);
		}
	}
	uint32_t changed;
	kms_apply(&display->kms, &topology, &changed);
}

/* All that needs no other process. */
static int program_prepare(struct program *program)
{
	struct display *display = &program->display;
	int error = loop_create(&program->loop);
	if (error != 0) {
		return error;
	}
	struct loop *loop = program->loop;
	display->loop = loop;
	display->name = program->options.name;
	display->state_fd = -1;
	LIST_INIT(&display->cards);
	kms_init(&display->kms);
	vts_init(&display->vts, &display->kms, &display->fbs, &display->present);
	topology_start(program);
	display->scratch = malloc(LIMIT_PAYLOAD);
	error = display->scratch == NULL ? -ENOMEM
					 : present_init(&display->present, loop, &display->vts);
	if (error == 0) {
		error = loop_add_timer(loop, say_ready, program, &program->ready_timer);
	}
	if (error == 0) {
		error = loop_add_signal(loop, SIGTERM, on_signal, program, &program->term);
	}
	if (error == 0) {
		error = loop_add_signal(loop, SIGINT, on_signal, program, &program->interrupt);
	}
	return error;
}

static int name_register(struct display *display, const char *name)
{
	int error = scheme_register(display->scheme, name);
	if (error == -EEXIST) {
		log_error(LOG_SCHEME,
				"another program serves the scheme '%s': stop it, or choose a "
				"name with --name and --alias",
				name);
	} else if (error != 0) {
		log_error(LOG_SCHEME, "cannot register the scheme '%s': %s", name,
				strerror(-error));
	}
	return error;
}

/* From here on clients can come. */
static int program_start(struct program *program)
{
	struct display *display = &program->display;
	const struct options *options = &program->options;
	int error = scheme_create(program->loop, &card_ops, display, &display->scheme);
	if (error != 0) {
		log_error(LOG_SCHEME, "cannot create a scheme: %s%s", strerror(-error),
				error == -EACCES ? " (it takes root)" : "");
		return error;
	}
	display->agent.ready = say_ready;
	display->agent.ready_data = program;
	error = agent_start(&display->agent, display, program->loop, &options->address);
	if (error == 0) {
		error = name_register(display, options->name);
	}
	if (error == 0 && options->alias[0] != '\0') {
		error = name_register(display, options->alias);
	}
	if (error == 0) {
		error = inputd_start(&display->inputd, program->loop, display->scheme,
				options->name, &display->vts);
	}
	loop_timer_arm(program->ready_timer,
			clock_now_ns() + options->ready_timeout_s * CLOCK_NS_PER_S + 1);
	return error;
}

/* Parked requests are answered first: callers of a dead daemon hang (redox-run.md, rule 10). */
static void program_finish(struct program *program)
{
	struct display *display = &program->display;
	if (display->scheme != NULL) {
		inputd_finish(&display->inputd);
	}
	scheme_destroy(display->scheme);
	agent_finish(&display->agent);
	present_finish(&display->present);
	vts_finish(&display->vts);
	free(display->scratch);
	if (display->state_fd >= 0) {
		close(display->state_fd);
	}
	loop_source_remove(program->ready_timer);
	loop_source_remove(program->term);
	loop_source_remove(program->interrupt);
	loop_destroy(program->loop);
}

int main(int argc, char **argv)
{
	static struct program program; // large: topologies
	ready_init();
	log_init("display-bridge");
	if (options_parse(&program.options, argc, argv) != 0) {
		return 2;
	}
	int status = program_prepare(&program);
	if (status == 0) {
		status = program_start(&program);
	}
	if (status == 0) {
		status = loop_run(program.loop);
	}
	program_finish(&program);
	return status == 0 ? 0 : 1;
}
