/*
 * The host's end of the vsock benchmark: `vsock_host ADDRESS PLAY MESSAGE_BYTES COUNT` with ADDRESS
 * unix:PATH (the device's host socket) or tcp:PORT (forwarded by QEMU), PLAY echo, sink, source,
 * ping. Prints one number: the median round trip in microseconds, or megabytes a second.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "tests/bench/vsock_bench.h"

static uint8_t message[BENCH_MESSAGE_MAX];

static void die(const char *what)
{
	fprintf(stderr, "vsock_host: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void read_all(int fd, void *buffer, size_t bytes)
{
	uint8_t *to = buffer;
	while (bytes > 0) {
		ssize_t got = read(fd, to, bytes);
		if (got <= 0) {
			die("read");
		}
		to += got;
		bytes -= (size_t)got;
	}
}

static void write_all(int fd, const void *buffer, size_t bytes)
{
	const uint8_t *from = buffer;
	while (bytes > 0) {
		ssize_t written = write(fd, from, bytes);
		if (written <= 0) {
			die("write");
		}
		from += written;
		bytes -= (size_t)written;
	}
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

static int connect_vsock(const char *path)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	char text[32];
	size_t length = 0;
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0) {
		die(path);
	}
	snprintf(text, sizeof(text), "CONNECT %u\n", BENCH_PORT);
	write_all(fd, text, strlen(text));
	do {
		errno = ECONNREFUSED;
		read_all(fd, &text[length], 1);
	} while (text[length++] != '\n' && length < sizeof(text));
	return fd;
}

static int connect_tcp(const char *port)
{
	struct sockaddr_in name = {.sin_family = AF_INET,
			.sin_port = htons((uint16_t)atoi(port)),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0) {
		die("TCP");
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static double play_echo(int fd, const struct bench_request *request)
{
	uint64_t *times = calloc(request->count, sizeof(*times));
	if (!times) {
		die("memory");
	}
	for (uint32_t i = 0; i < request->count; i++) {
		uint64_t start = now_ns();
		write_all(fd, message, request->message_bytes);
		read_all(fd, message, request->message_bytes);
		times[i] = now_ns() - start;
	}
	qsort(times, request->count, sizeof(*times), number_compare);
	double median = (double)times[request->count / 2] / 1000;
	free(times);
	return median;
}

static double play_ping(int fd, const struct bench_request *request)
{
	uint64_t median = 0;
	for (uint32_t i = 0; i < request->count; i++) {
		read_all(fd, message, request->message_bytes);
		write_all(fd, message, request->message_bytes);
	}
	read_all(fd, &median, sizeof(median));
	return (double)median / 1000;
}

static double play_bulk(int fd, const struct bench_request *request)
{
	uint64_t start = now_ns();
	for (uint32_t i = 0; i < request->count; i++) {
		if (request->play == BENCH_SINK) {
			write_all(fd, message, request->message_bytes);
		} else {
			read_all(fd, message, request->message_bytes);
		}
	}
	if (request->play == BENCH_SINK) {
		read_all(fd, message, 1);
	}
	return (double)request->message_bytes * request->count * 1000 / (double)(now_ns() - start);
}

int main(int argc, char **argv)
{
	static const char *const plays[] = {[BENCH_ECHO] = "echo",
			[BENCH_SINK] = "sink",
			[BENCH_SOURCE] = "source",
			[BENCH_PING] = "ping"};
	struct bench_request request = {0};
	if (argc == 5) {
		for (uint32_t i = BENCH_ECHO; i <= BENCH_PING; i++) {
			request.play = strcmp(argv[2], plays[i]) == 0 ? i : request.play;
		}
		request.message_bytes = (uint32_t)atoi(argv[3]);
		request.count = (uint32_t)atoi(argv[4]);
	}
	if (request.play == 0 || request.message_bytes == 0 || request.count == 0 ||
			request.message_bytes > BENCH_MESSAGE_MAX) {
		fprintf(stderr,
				"usage: vsock_host unix:PATH|tcp:PORT echo|sink|source|ping "
				"MESSAGE_BYTES COUNT\n");
		return 2;
	}
	int fd = strncmp(argv[1], "tcp:", 4) == 0 ? connect_tcp(argv[1] + 4)
						  : connect_vsock(argv[1] + 5);
	write_all(fd, &request, sizeof(request));
	double result = 0;
	if (request.play == BENCH_ECHO) {
		result = play_echo(fd, &request);
	} else if (request.play == BENCH_PING) {
		result = play_ping(fd, &request);
	} else {
		result = play_bulk(fd, &request);
	}
	printf("%.2f\n", result);
	close(fd);
	return 0;
}
