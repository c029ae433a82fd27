/*
 * The guest's end of the vsock benchmark: listens on the vsock and on TCP, plays what the host asks
 * (vsock_bench.h). Linked statically: it is the only program of its guest. With --network it brings
 * up eth0 for QEMU's user network.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "tests/bench/vsock_bench.h"

static uint8_t message[BENCH_MESSAGE_MAX];

static bool read_all(int fd, void *buffer, size_t bytes)
{
	uint8_t *to = buffer;
	while (bytes > 0) {
		ssize_t got = read(fd, to, bytes);
		if (got <= 0) {
			return false;
		}
		to += got;
		bytes -= (size_t)got;
	}
	return true;
}

static bool write_all(int fd, const void *buffer, size_t bytes)
{
	const uint8_t *from = buffer;
	while (bytes > 0) {
		ssize_t written = write(fd, from, bytes);
		if (written <= 0) {
			return false;
		}
		from += written;
		bytes -= (size_t)written;
	}
	return true;
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int number_compare(const void *a, const void *b)
{
	const uint64_t *left = a;
	const uint64_t *right = b;
	return *left < *right ? -1 : *left > *right;
}

static void play_ping(int fd, const struct bench_request *request)
{
	uint64_t *times = calloc(request->count, sizeof(*times));
	if (!times) {
		return;
	}
	for (uint32_t i = 0; i < request->count; i++) {
		uint64_t start = now_ns();
		if (!write_all(fd, message, request->message_bytes) ||
				!read_all(fd, message, request->message_bytes)) {
			free(times);
			return;
		}
		times[i] = now_ns() - start;
	}
	qsort(times, request->count, sizeof(*times), number_compare);
	write_all(fd, &times[request->count / 2], sizeof(*times));
	free(times);
}

static void play_dial(void)
{
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_vm host = {.svm_family = AF_VSOCK,
			.svm_cid = VMADDR_CID_HOST,
			.svm_port = BENCH_PORT_HOST};
	if (connect(fd, (struct sockaddr *)&host, sizeof(host)) < 0) {
		printf("vsock_guest: connect to the host: %s\n", strerror(errno));
		close(fd);
		return;
	}
	ssize_t got = 0;
	while ((got = read(fd, message, sizeof(message))) > 0) {
		write_all(fd, message, (size_t)got);
	}
	close(fd);
}

static void play(int fd)
{
	struct bench_request request;
	if (!read_all(fd, &request, sizeof(request)) || request.message_bytes > BENCH_MESSAGE_MAX) {
		return;
	}
	bool going = true;
	switch (request.play) {
	case BENCH_ECHO:
		for (uint32_t i = 0; i < request.count && going; i++) {
			going = read_all(fd, message, request.message_bytes) &&
					write_all(fd, message, request.message_bytes);
		}
		break;
	case BENCH_SINK:
		for (uint32_t i = 0; i < request.count && going; i++) {
			going = read_all(fd, message, request.message_bytes);
		}
		write_all(fd, "k", 1);
		break;
	case BENCH_SOURCE:
		for (uint32_t i = 0; i < request.count && going; i++) {
			going = write_all(fd, message, request.message_bytes);
		}
		break;
	case BENCH_PING:
		play_ping(fd, &request);
		break;
	case BENCH_DIAL:
		play_dial();
		break;
	default:
		break;
	}
}

static int listen_vsock(void)
{
	struct sockaddr_vm name = {
			.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = BENCH_PORT};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 || listen(fd, 64) < 0) {
		printf("vsock_guest: vsock: %s\n", strerror(errno));
		return -1;
	}
	return fd;
}

static int listen_tcp(void)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(BENCH_PORT)};
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
				sizeof(on)); // accepted ones inherit it
	}
	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 || listen(fd, 64) < 0) {
		printf("vsock_guest: TCP: %s\n", strerror(errno));
		return -1;
	}
	return fd;
}

/* The address that QEMU's user network forwards to. */
static void network_up(void)
{
	struct ifreq request = {.ifr_name = "eth0"};
	struct sockaddr_in address = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, "10.0.2.15", &address.sin_addr);
	memcpy(&request.ifr_addr, &address, sizeof(address));
	int result = ioctl(fd, SIOCSIFADDR, &request);
	inet_pton(AF_INET, "255.255.255.0", &address.sin_addr);
	memcpy(&request.ifr_netmask, &address, sizeof(address));
	result |= ioctl(fd, SIOCSIFNETMASK, &request);
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	result |= ioctl(fd, SIOCSIFFLAGS, &request);
	if (result != 0) {
		printf("vsock_guest: eth0: %s\n", strerror(errno));
	}
	close(fd);
}

static void accept_one(int listen_fd)
{
	int fd = accept(listen_fd, NULL, NULL);
	if (fd < 0) {
		return;
	}
	pid_t child = fork();
	if (child == 0) {
		play(fd);
		close(fd);
		_exit(0);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
			{"network", no_argument, NULL, 'n'}, {NULL, 0, NULL, 0}};
	bool network = false;
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c != 'n') {
			return 2;
		}
		network = true;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (network) {
		network_up();
	}
	struct pollfd fds[2] = {{listen_vsock(), POLLIN, 0}, {listen_tcp(), POLLIN, 0}};
	if (fds[0].fd < 0) {
		return 1;
	}
	puts("vsock_guest: ready");
	for (;;) {
		poll(fds, 2, -1);
		for (int i = 0; i < 2; i++) {
			if (fds[i].revents & POLLIN) {
				accept_one(fds[i].fd);
			}
		}
	}
}
