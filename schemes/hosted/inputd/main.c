/* hosted-inputd: a stand-in for Redox's inputd on the simulated kernel. Options and the order of
 * start and end. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/number.h"
#include "schemes/hosted/inputd/inputd.h"
#include "schemes/scheme/scheme.h"
#include "version.h"

struct options {
	enum inputd_generation generation;
	const char *name;
	int ready_fd;
};

static const char usage[] =
		"Usage: hosted-inputd [options]\n"
		"Serves the scheme `input` of the simulated Redox kernel, as Redox's inputd does.\n"
		"\n"
		"  --generation old|new   old: displays read their VT events; new: displays are\n"
		"                         called by a capability that they give (default: new)\n"
		"  --name NAME            of the scheme (default: input)\n"
		"  --ready-fd N           a newline is written there when clients can start\n"
		"  --help, --version\n"
		"\n"
		"Where the real one panics, this one aborts. SIGTERM ends it.\n";

static int complain(const char *what, const char *detail)
{
	fprintf(stderr, "hosted-inputd: %s%s\nTry 'hosted-inputd --help'.\n", what, detail);
	return -EINVAL;
}

static int option_take(struct options *options, int option)
{
	uint64_t number;

	switch (option) {
	case 'g':
		if (strcmp(optarg, "old") != 0 && strcmp(optarg, "new") != 0) {
			return complain("--generation is old or new, not ", optarg);
		}
		options->generation = optarg[0] == 'o' ? INPUTD_OLD : INPUTD_NEW;
		return 0;
	case 'n':
		options->name = optarg;
		return optarg[0] == '\0' ? complain("--name needs a name", "") : 0;
	case 'r':
		if (!number_parse(optarg, INT32_MAX, &number)) {
			return complain("--ready-fd is the number of an open file, not ", optarg);
		}
		options->ready_fd = (int)number;
		return 0;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	case 'v':
		puts("hosted-inputd " BRIDGE_VERSION);
		exit(0);
	default: // getopt_long has said which option it does not know
		fputs("Try 'hosted-inputd --help'.\n", stderr);
		return -EINVAL;
	}
}

static int options_parse(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {
			{"generation", required_argument, NULL, 'g'},
			{"name", required_argument, NULL, 'n'},
			{"ready-fd", required_argument, NULL, 'r'},
			{"help", no_argument, NULL, 'h'},
			{"version", no_argument, NULL, 'v'},
			{0},
	};
	int option;

	*options = (struct options) {.generation = INPUTD_NEW, .name = "input", .ready_fd = -1};
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		int error = option_take(options, option);

		if (error < 0) {
			return error;
		}
	}
	return optind < argc ? complain("there is no use for the argument ", argv[optind]) : 0;
}

static void on_stop(void *data)
{
	loop_stop(data, 0);
}

int main(int argc, char **argv)
{
	struct options options;
	struct loop *loop = NULL;
	struct inputd *inputd = NULL;
	struct loop_source *source;
	int status = 1;

	ready_init();
	log_init("hosted-inputd");
	if (options_parse(&options, argc, argv) < 0) {
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	int error = loop_create(&loop);
	if (error == 0) {
		error = loop_add_signal(loop, SIGTERM, on_stop, loop, &source);
	}
	if (error == 0) {
		error = loop_add_signal(loop, SIGINT, on_stop, loop, &source);
	}
	if (error == 0) {
		error = inputd_create(loop, options.generation, options.name, &inputd);
	}
	if (error == 0) {
		error = ready_notify(options.ready_fd);
	}
	if (error < 0) {
		log_error(LOG_MAIN, "cannot serve the scheme \"%s\": %s", options.name,
				strerror(-error));
	} else {
		status = loop_run(loop);
	}
	inputd_destroy(inputd);
	loop_destroy(loop);
	return status == 0 ? 0 : 1;
}
