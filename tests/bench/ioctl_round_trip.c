/*
 * A GETCONNECTOR as Orbital sends it twice a frame, against a plain AF_UNIX ping-pong of the same bytes: both with one client and one server process,
 * in batches that take turns, so that a noisy machine hits both. Also the CPU time that each server spent.
 *
 * Where the scheduler puts the two processes decides more than what they do (a wake-up across cores costs tens of microseconds in a VM), so it is said:
 * CLIENT_CPU and SERVER_CPU are the cores of the client and of both servers.
 *
 *   ioctl_round_trip PATH BRIDGE_PID CLIENT_CPU SERVER_CPU    prints one JSON object
 */
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <drm.h>
#include <drm_mode.h>

#include "schemes/drm/drm_call.h"
#include "schemes/scheme/libredox.h"

enum {
	BATCHES = 41,
	CALLS = 400,
	PAYLOAD_BYTES = 120, // 48 of the struct, one mode of 68, one encoder of 4
};

struct side {
	double round_trip_us[BATCHES];
	double server_cpu_us[BATCHES];
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;
	if (clock_gettime(clock, &now) != 0) {
		return 0;
	}
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "ioctl_round_trip: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void pin(pid_t pid, int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(pid, sizeof(set), &set) != 0) {
		fail("sched_setaffinity");
	}
}

/* Answers each message with its own bytes until the client hangs up. */
static void ping_pong_serve(int fd)
{
	uint8_t bytes[PAYLOAD_BYTES];
	ssize_t got;
	while ((got = read(fd, bytes, sizeof(bytes))) > 0) {
		if (write(fd, bytes, (size_t)got) != got) {
			_exit(1);
		}
	}
	_exit(0);
}

static void ping_pong(int fd)
{
	uint8_t bytes[PAYLOAD_BYTES] = {0};
	if (write(fd, bytes, sizeof(bytes)) != sizeof(bytes) ||
			read(fd, bytes, sizeof(bytes)) != sizeof(bytes)) {
		fail("ping-pong");
	}
}

static uint32_t first_connector(size_t card)
{
	uint32_t connectors[8];
	struct drm_mode_card_res resources = {
			.count_connectors = 8, .connector_id_ptr = (uintptr_t)connectors};
	if (drm_call(card, DRM_IOCTL_MODE_GETRESOURCES, &resources) != 0 ||
			resources.count_connectors == 0) {
		fail("GETRESOURCES");
	}
	return connectors[0];
}

static void get_connector(size_t card, uint32_t connector)
{
	struct drm_mode_modeinfo mode;
	uint32_t encoder;
	struct drm_mode_get_connector request = {.connector_id = connector,
			.count_modes = 1,
			.modes_ptr = (uintptr_t)&mode,
			.count_encoders = 1,
			.encoders_ptr = (uintptr_t)&encoder};
	if (drm_call(card, DRM_IOCTL_MODE_GETCONNECTOR, &request) != 0) {
		fail("GETCONNECTOR");
	}
}

static void measure(struct side *side, int batch, pid_t server, int socket, size_t card,
		uint32_t connector)
{
	clockid_t server_clock;
	if (clock_getcpuclockid(server, &server_clock) != 0) {
		fail("the server's CPU clock");
	}
	uint64_t cpu = now_ns(server_clock);
	uint64_t start = now_ns(CLOCK_MONOTONIC);
	for (int i = 0; i < CALLS; i++) {
		if (socket >= 0) {
			ping_pong(socket);
		} else {
			get_connector(card, connector);
		}
	}
	side->round_trip_us[batch] = (double)(now_ns(CLOCK_MONOTONIC) - start) / CALLS / 1000;
	side->server_cpu_us[batch] = (double)(now_ns(server_clock) - cpu) / CALLS / 1000;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *values)
{
	qsort(values, BATCHES, sizeof(*values), compare);
	return values[BATCHES / 2];
}

int main(int argc, char **argv)
{
	static struct side bridge;
	static struct side plain;
	int sockets[2];
	if (argc != 5) {
		fprintf(stderr, "usage: ioctl_round_trip PATH BRIDGE_PID CLIENT_CPU SERVER_CPU\n");
		return 2;
	}
	pid_t bridge_pid = (pid_t)atoi(argv[2]);
	size_t card = redox_open_v1((const uint8_t *)argv[1], strlen(argv[1]),
			REDOX_O_RDWR | REDOX_O_CLOEXEC, 0);
	if (redox_failed(card)) {
		errno = redox_errno(card);
		fail(argv[1]);
	}
	uint32_t connector = first_connector(card);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0) {
		fail("socketpair");
	}
	pid_t server = fork();
	if (server == 0) {
		close(sockets[0]);
		ping_pong_serve(sockets[1]);
	}
	close(sockets[1]);
	pin(0, atoi(argv[3]));
	pin(server, atoi(argv[4]));
	pin(bridge_pid, atoi(argv[4]));
	for (int i = 0; i < BATCHES; i++) {
		measure(&plain, i, server, sockets[0], card, connector);
		measure(&bridge, i, bridge_pid, -1, card, connector);
	}
	close(sockets[0]);
	waitpid(server, NULL, 0);
	printf("{\"round_trip_us\": %.3f, \"peer_round_trip_us\": %.3f, \"server_cpu_us\": %.3f, "
	       "\"peer_server_cpu_us\": %.3f}\n",
			median(bridge.round_trip_us), median(plain.round_trip_us),
			median(bridge.server_cpu_us), median(plain.server_cpu_us));
	return 0;
}
