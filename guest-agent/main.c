/*
 * guest-agent: serves the display device of this machine to the bridges on Redox.
 *
 * Everything that can go wrong for reasons outside the program is found out before the loop runs,
 * and said in one line that tells what to do. Readiness is told when the device is open and the
 * address is listened on.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/address.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/number.h"
#include "guest-agent/backend.h"
#include "guest-agent/headless.h"
#include "guest-agent/hotplug.h"
#include "guest-agent/kms.h"
#include "guest-agent/screen.h"
#include "guest-agent/server.h"
#include "proto/bridge.h"
#include "version.h"

struct options {
	const char *listen;
	const char *device;
	const char *headless;
	const char *png;
	bool software_cursor;
	int ready_fd;
};

struct agent {
	struct loop *loop;
	struct screen *screen;
	struct server *server;
	struct hotplug *hotplug;
};

static const char help[] =
		"Usage: guest-agent [OPTION]...\n"
		"Shows on the monitors of this machine what the bridges on Redox send.\n"
		"\n"
		"  --listen ADDRESS   where bridges connect: vsock:any:PORT, unix:PATH or\n"
		"                     tcp:HOST:PORT; default vsock:any:512\n"
		"  --device PATH      the DRM device; default: the first that has a connector\n"
		"  --headless FILE    no device: the connectors that FILE declares\n"
		"  --png DIR          with --headless: DIR/crtc-N.png holds the picture whenever\n"
		"                     a commit or a sync has been answered\n"
		"  --software-cursor  compose the cursor even where there is a cursor plane\n"
		"  --ready-fd N       write a newline to N and close it when ready\n"
		"  --version, --help\n"
		"\n"
		"SIGHUP looks at the connectors again, SIGTERM ends the program.\n"
		"LOG=debug in the environment says more (error, warn, info, debug, trace).\n";

/* Whether the options go together. Returns 0, or -EINVAL after a line about what is wrong. */
static int options_check(const struct options *options, const char *surplus)
{
	if (surplus) {
		fprintf(stderr, "guest-agent: \"%s\" is not an option; see --help\n", surplus);
		return -EINVAL;
	}
	if (options->headless && options->device) {
		fputs("guest-agent: --device and --headless exclude each other\n", stderr);
		return -EINVAL;
	}
	if (options->png && !options->headless) {
		fputs("guest-agent: --png needs --headless\n", stderr);
		return -EINVAL;
	}
	return 0;
}

/* Returns 0, 1 when the program is to end well, or -EINVAL after a line about what is wrong. */
static int options_parse(int count, char **arguments, struct options *options)
{
	enum { LISTEN = 256, DEVICE, HEADLESS, PNG, SOFTWARE_CURSOR, READY_FD, VERSION, HELP };
	static const struct option known[] = {
			{"listen", required_argument, NULL, LISTEN},
			{"device", required_argument, NULL, DEVICE},
			{"headless", required_argument, NULL, HEADLESS},
			{"png", required_argument, NULL, PNG},
			{"software-cursor", no_argument, NULL, SOFTWARE_CURSOR},
			{"ready-fd", required_argument, NULL, READY_FD},
			{"version", no_argument, NULL, VERSION},
			{"help", no_argument, NULL, HELP},
			{NULL, 0, NULL, 0},
	};
	*options = (struct options) {.listen = "vsock:any:512", .ready_fd = -1};
	uint64_t number;
	int option;
	while ((option = getopt_long(count, arguments, "", known, NULL)) != -1) {
		switch (option) {
		case LISTEN:
			options->listen = optarg;
			break;
		case DEVICE:
			options->device = optarg;
			break;
		case HEADLESS:
			options->headless = optarg;
			break;
		case PNG:
			options->png = optarg;
			break;
		case SOFTWARE_CURSOR:
			options->software_cursor = true;
			break;
		case READY_FD:
			if (!number_parse(optarg, 65535, &number)) {
				fprintf(stderr,
						"guest-agent: --ready-fd needs the number of an "
						"open file, not \"%s\"\n",
						optarg);
				return -EINVAL;
			}
			options->ready_fd = (int)number;
			break;
		case VERSION:
			puts("guest-agent " BRIDGE_VERSION);
			return 1;
		case HELP:
			fputs(help, stdout);
			return 1;
		default:
			return -EINVAL;
		}
	}
	return options_check(options, optind < count ? arguments[optind] : NULL);
}

/* Logs what to do about ERROR of listening on TEXT. */
static void listen_explain(const char *text, int error)
{
	const char *hint = "is the address right?";
	switch (error) {
	case -EADDRINUSE:
		hint = "another agent serves it already: stop that one or give another --listen";
		break;
	case -EACCES:
	case -EPERM:
		hint = "not permitted: ports below 1024 and this path need root";
		break;
	case -EAFNOSUPPORT:
		hint = "this kernel has no vsock: load vmw_vsock_virtio_transport (in the VM), or "
		       "use --listen unix:PATH";
		break;
	case -ENOENT:
		hint = "the directory of the socket does not exist";
		break;
	default:
		break;
	}
	log_error(LOG_MAIN, "cannot listen on %s (%s): %s", text, strerror(-error), hint);
}

static int listen_on(const char *text, int *ret_fd)
{
	struct address address;
	const char *reason;
	if (address_parse(text, &address, &reason) != 0) {
		log_error(LOG_MAIN, "--listen %s: %s", text, reason);
		return -EINVAL;
	}
	int fd = address_listen(&address);
	if (fd < 0) {
		listen_explain(text, fd);
		return fd;
	}
	*ret_fd = fd;
	return 0;
}

static int backend_open(const struct options *options, struct backend **ret_backend)
{
	char reason[512] = "";
	int error = options->headless
			? headless_create(options->headless, options->png, reason, sizeof(reason),
					  ret_backend)
			: kms_create(options->device, reason, sizeof(reason), ret_backend);
	if (error) {
		log_error(LOG_MAIN, "%s", reason);
	}
	return error;
}

static void on_refresh(void *data)
{
	struct agent *agent = data;
	screen_refresh(agent->screen);
}

static void on_terminate(void *data)
{
	struct agent *agent = data;
	log_info(LOG_MAIN, "asked to end");
	loop_stop(agent->loop, 0);
}

static int signals_add(struct agent *agent)
{
	struct loop_source *source;
	int error = loop_add_signal(agent->loop, SIGTERM, on_terminate, agent, &source);
	if (!error) {
		error = loop_add_signal(agent->loop, SIGINT, on_terminate, agent, &source);
	}
	if (!error) {
		error = loop_add_signal(agent->loop, SIGHUP, on_refresh, agent, &source);
	}
	return error;
}

static int agent_start(struct agent *agent, const struct options *options)
{
	struct backend *backend;
	auto_close int listen_fd = -1;
	int error = backend_open(options, &backend);
	if (error) {
		return error;
	}
	error = screen_create(agent->loop, backend, options->software_cursor, &agent->screen);
	if (error) {
		log_error(LOG_MAIN, "reading the device failed: %s", strerror(-error));
		return error;
	}
	error = listen_on(options->listen, &listen_fd);
	if (error) {
		return error;
	}
	error = server_create(agent->loop, fd_take(&listen_fd), agent->screen, &agent->server);
	if (!error) {
		error = signals_add(agent);
	}
	if (error) {
		log_error(LOG_MAIN, "starting failed: %s", strerror(-error));
		return error;
	}
	if (!options->headless &&
			hotplug_create(agent->loop, on_refresh, agent, &agent->hotplug) != 0) {
		log_warn(LOG_MAIN,
				"no kernel events: monitors that are plugged in are noticed "
				"after SIGHUP only");
	}
	return 0;
}

static void agent_finish(struct agent *agent)
{
	server_destroy(agent->server);
	hotplug_destroy(agent->hotplug);
	screen_destroy(agent->screen);
	loop_destroy(agent->loop);
}

int main(int count, char **arguments)
{
	struct options options;
	int status = options_parse(count, arguments, &options);
	if (status != 0) {
		return status < 0 ? 2 : 0;
	}
	log_init("guest-agent");
	signal(SIGPIPE, SIG_IGN);
	struct agent agent = {0};
	int error = loop_create(&agent.loop);
	if (error) {
		log_error(LOG_MAIN, "no event loop: %s", strerror(-error));
		return 1;
	}
	error = agent_start(&agent, &options);
	if (!error) {
		log_info(LOG_MAIN, "%s: serving \"%s\" on %s", "guest-agent " BRIDGE_VERSION,
				screen_topology(agent.screen)->begin.driver, options.listen);
		error = options.ready_fd < 0 ? 0 : fd_tell(options.ready_fd, '\n');
		if (error) {
			log_warn(LOG_MAIN, "--ready-fd %d: %s", options.ready_fd, strerror(-error));
		}
		error = loop_run(agent.loop);
	}
	agent_finish(&agent);
	return error ? 1 : 0;
}
