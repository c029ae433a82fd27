/*
 * vsock-device: a virtio-vsock device for QEMU's vhost-user-vsock-pci.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "common/fd.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/number.h"
#include "version.h"
#include "vm-launch/vsock/device.h"

#define EXIT_USAGE 2

static const char help[] =
		"usage: vsock-device --socket PATH --cid N --host-socket PATH [--ready-fd N]\n"
		"\n"
		"A virtio-vsock device outside of QEMU. QEMU's side:\n"
		"  -object memory-backend-memfd,id=mem,size=1G,share=on -machine "
		"memory-backend=mem\n"
		"  -chardev socket,id=v,path=PATH -device vhost-user-vsock-pci,chardev=v\n"
		"\n"
		"  --socket PATH       listen here for QEMU (vhost-user protocol)\n"
		"  --cid N             the guest's address on its vsock: 3 or more\n"
		"  --host-socket PATH  listen here for programs: they say \"CONNECT port\" and get "
		"\"OK n\"\n"
		"                      and then the stream to that port of the guest; what the "
		"guest\n"
		"                      connects to port N of CID 2 goes to the socket PATH_N\n"
		"  --ready-fd N        write a newline to descriptor N and close it when both "
		"listen\n"
		"  --help, --version\n";

struct options {
	struct device_config device;
	int ready_fd;
};

static int usage_error(const char *text)
{
	fprintf(stderr, "vsock-device: %s; try --help\n", text);
	return EXIT_USAGE;
}

/* Returns -1 to go on, else the exit status. */
static int options_parse(struct options *options, int argc, char **argv)
{
	static const struct option longs[] = {
			{"socket", required_argument, NULL, 's'},
			{"cid", required_argument, NULL, 'c'},
			{"host-socket", required_argument, NULL, 'h'},
			{"ready-fd", required_argument, NULL, 'r'},
			{"help", no_argument, NULL, '?' + 1},
			{"version", no_argument, NULL, 'v'},
			{NULL, 0, NULL, 0},
	};
	uint64_t number = 0;
	for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		switch (c) {
		case 's':
			options->device.socket_path = optarg;
			break;
		case 'c':
			if (!number_parse(optarg, UINT32_MAX - 1, &number) ||
					number < PACKET_CID_MIN) {
				return usage_error("--cid has to be a number from 3 to 4294967294");
			}
			options->device.cid = number;
			break;
		case 'h':
			options->device.host_path = optarg;
			break;
		case 'r':
			if (!number_parse(optarg, INT32_MAX, &number)) {
				return usage_error(
						"--ready-fd has to be the number of a descriptor");
			}
			options->ready_fd = (int)number;
			break;
		case '?' + 1:
			fputs(help, stdout);
			return EXIT_SUCCESS;
		case 'v':
			puts("vsock-device " BRIDGE_VERSION);
			return EXIT_SUCCESS;
		default:
			return EXIT_USAGE; // getopt has said what is wrong
		}
	}
	if (optind < argc) {
		return usage_error("it takes options only");
	}
	if (!options->device.socket_path || !options->device.host_path ||
			options->device.cid == 0) {
		return usage_error("--socket, --cid and --host-socket are needed");
	}
	return -1;
}

/* Each connection is a descriptor: take as many as the system grants. */
static void descriptors_raise(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void stop(void *data)
{
	loop_stop(data, EXIT_SUCCESS);
}

static int serve(struct loop *loop, const struct options *options)
{
	struct loop_source *source = NULL;
	int error = loop_add_signal(loop, SIGTERM, stop, loop, &source);
	if (!error) {
		error = loop_add_signal(loop, SIGINT, stop, loop, &source);
	}
	if (error) {
		log_error(LOG_VSOCK, "cannot watch signals: %s", strerror(-error));
		return EXIT_FAILURE;
	}
	struct device *device = NULL;
	error = device_create(loop, &options->device, &device);
	if (error) {
		return EXIT_FAILURE; // the device has said why
	}
	error = options->ready_fd < 0 ? 0 : fd_tell(options->ready_fd, '\n');
	if (error) {
		log_error(LOG_VSOCK, "cannot write to --ready-fd %d: %s", options->ready_fd,
				strerror(-error));
		device_destroy(device);
		return EXIT_FAILURE;
	}
	log_info(LOG_VSOCK, "CID %" PRIu64 ": waiting for QEMU on \"%s\"", options->device.cid,
			options->device.socket_path);
	int status = loop_run(loop);
	device_destroy(device);
	return status < 0 ? EXIT_FAILURE : status;
}

int main(int argc, char **argv)
{
	struct options options = {.ready_fd = -1};
	int status = options_parse(&options, argc, argv);
	if (status >= 0) {
		return status;
	}
	log_init("vsock-device");
	umask(0077); // the sockets are for our user alone
	signal(SIGPIPE, SIG_IGN);
	descriptors_raise();
	int error = memory_guard();
	struct loop *loop = NULL;
	if (!error) {
		error = loop_create(&loop);
	}
	if (error) {
		log_error(LOG_VSOCK, "cannot start: %s", strerror(-error));
		return EXIT_FAILURE;
	}
	status = serve(loop, &options);
	loop_destroy(loop);
	return status;
}
