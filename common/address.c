/*
 * Addresses: text, listening sockets, connections being made. A dial holds at most one descriptor,
 * one source and a timer; whatever way it ends, all of them are gone before its callback is called,
 * so that the callback may dial again.
 */
#include "common/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/loop.h"
#include "common/number.h"
#include "common/platform.h"

#define CID_ANY    0xffffffffu
#define ANSWER_MAX 64 // of a vsock device to CONNECT

_Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) <= sizeof(((struct address *)0)->path),
		"a unix path fits");

/* Reads a decimal number from 1 to MAX that is the whole of TEXT. */
static bool part_parse(const char *text, uint32_t max, uint32_t *ret_number)
{
	uint64_t number;

	if (!number_parse(text, max, &number) || number == 0) {
		return false;
	}
	*ret_number = (uint32_t)number;
	return true;
}

/* Copies LENGTH characters of a path. */
static bool path_copy(char *path, const char *text, size_t length)
{
	if (length == 0 || length >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		return false;
	}
	memcpy(path, text, length);
	path[length] = '\0';
	return true;
}

static const char *vsock_unix_parse(const char *text, struct address *address)
{
	const char *colon = strrchr(text, ':');

	address->kind = ADDRESS_VSOCK_UNIX;
	if (colon == NULL) {
		return "write vsock-unix:PATH:PORT";
	}
	if (!path_copy(address->path, text, (size_t)(colon - text))) {
		return "the path of a socket has 1 to 107 characters";
	}
	if (!part_parse(colon + 1, UINT32_MAX - 1, &address->port)) {
		return "a vsock port is a number from 1 to 4294967294";
	}
	return NULL;
}

static const char *vsock_parse(const char *text, struct address *address)
{
	const char *colon = strchr(text, ':');
	char cid[16] = "";

	address->kind = ADDRESS_VSOCK;
	if (colon == NULL) {
		return "write vsock:CID:PORT";
	}
	if ((size_t)(colon - text) < sizeof(cid)) {
		memcpy(cid, text, (size_t)(colon - text));
	}
	if (strcmp(cid, "any") == 0) {
		address->cid = CID_ANY;
	} else if (!part_parse(cid, CID_ANY - 1, &address->cid)) {
		return "a vsock CID is a number, or \"any\" to listen on";
	}
	if (!part_parse(colon + 1, UINT32_MAX - 1, &address->port)) {
		return "a vsock port is a number from 1 to 4294967294";
	}
	return NULL;
}

static const char *tcp_parse(const char *text, struct address *address)
{
	const char *colon = strrchr(text, ':');
	struct in_addr host;

	address->kind = ADDRESS_TCP;
	if (colon == NULL) {
		return "write tcp:HOST:PORT";
	}
	if (!path_copy(address->path, text, (size_t)(colon - text)) ||
			inet_pton(AF_INET, address->path, &host) != 1) {
		return "a TCP host is a dotted address such as 127.0.0.1";
	}
	if (!part_parse(colon + 1, 65535, &address->port)) {
		return "a TCP port is a number from 1 to 65535";
	}
	return NULL;
}

int address_parse(const char *text, struct address *ret_address, const char **ret_reason)
{
	struct address address = {0};
	const char *reason = NULL;

	if (strncmp(text, "unix:", 5) == 0) {
		address.kind = ADDRESS_UNIX;
		if (!path_copy(address.path, text + 5, strlen(text + 5))) {
			reason = "the path of a socket has 1 to 107 characters";
		}
	} else if (strncmp(text, "vsock-unix:", 11) == 0) {
		reason = vsock_unix_parse(text + 11, &address);
	} else if (strncmp(text, "vsock:", 6) == 0) {
		reason = vsock_parse(text + 6, &address);
	} else if (strncmp(text, "tcp:", 4) == 0) {
		reason = tcp_parse(text + 4, &address);
	} else {
		reason = "write unix:PATH, vsock-unix:PATH:PORT, vsock:CID:PORT or tcp:HOST:PORT";
	}
	if (reason != NULL) {
		*ret_reason = reason;
		return -EINVAL;
	}
	*ret_address = address;
	return 0;
}

const char *address_format(const struct address *address, char *buffer, size_t size)
{
	switch (address->kind) {
	case ADDRESS_UNIX:
		snprintf(buffer, size, "unix:%s", address->path);
		break;
	case ADDRESS_VSOCK_UNIX:
		snprintf(buffer, size, "vsock-unix:%s:%u", address->path, address->port);
		break;
	case ADDRESS_VSOCK:
		if (address->cid == CID_ANY) {
			snprintf(buffer, size, "vsock:any:%u", address->port);
		} else {
			snprintf(buffer, size, "vsock:%u:%u", address->cid, address->port);
		}
		break;
	case ADDRESS_TCP:
		snprintf(buffer, size, "tcp:%s:%u", address->path, address->port);
		break;
	}
	return buffer;
}

static int unix_name(const char *path, struct sockaddr_storage *ret_name)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	size_t length = strlen(path);

	if (length >= sizeof(name.sun_path)) {
		return -ENAMETOOLONG;
	}
	memcpy(name.sun_path, path, length);
	memcpy(ret_name, &name, sizeof(name));
	return (int)sizeof(name);
}

/* The socket address of what is connected to. Returns its length or a negative errno. */
static int address_name(const struct address *address, struct sockaddr_storage *ret_name)
{
	switch (address->kind) {
	case ADDRESS_UNIX:
	case ADDRESS_VSOCK_UNIX:
		return unix_name(address->path, ret_name);
	case ADDRESS_VSOCK:
		return platform_vsock_name(address->cid, address->port, ret_name);
	case ADDRESS_TCP: {
		struct sockaddr_in name = {.sin_family = AF_INET};

		name.sin_port = htons((uint16_t)address->port);
		if (inet_pton(AF_INET, address->path, &name.sin_addr) != 1) {
			return -EINVAL;
		}
		memcpy(ret_name, &name, sizeof(name));
		return (int)sizeof(name);
	}
	}
	return -EINVAL;
}

/* A new socket of the family of NAME. Returns it or a negative errno. */
static int socket_create(const struct sockaddr_storage *name)
{
	auto_close int fd = socket(name->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		return -errno;
	}
	return fd_take(&fd);
}

/* Removes the socket file PATH if nobody accepts there. Returns 0, or -EADDRINUSE. */
static int stale_remove(const char *path, const struct sockaddr_storage *name, socklen_t length)
{
	struct stat stat;

	if (lstat(path, &stat) < 0) {
		return -errno;
	}
	if (!S_ISSOCK(stat.st_mode)) {
		return -EADDRINUSE;
	}
	auto_close int probe = socket_create(name);
	if (probe < 0) {
		return probe;
	}
	if (connect(probe, (const struct sockaddr *)name, length) == 0 || errno != ECONNREFUSED) {
		return -EADDRINUSE;
	}
	return unlink(path) < 0 ? -errno : 0;
}

int address_listen(const struct address *address)
{
	struct sockaddr_storage name;
	int on = 1;

	if (address->kind == ADDRESS_VSOCK_UNIX) {
		return -EOPNOTSUPP; // the device listens there
	}
	int length = address_name(address, &name);
	if (length < 0) {
		return length;
	}
	auto_close int fd = socket_create(&name);
	if (fd < 0) {
		return fd;
	}
	if (address->kind == ADDRESS_TCP) {
		if (strncmp(address->path, "127.", 4) != 0) {
			return -EACCES; // a link is not for the network
		}
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	}
	int result = bind(fd, (struct sockaddr *)&name, (socklen_t)length) < 0 ? -errno : 0;
	if (result == -EADDRINUSE && address->kind == ADDRESS_UNIX) {
		result = stale_remove(address->path, &name, (socklen_t)length);
		if (result == 0 && bind(fd, (struct sockaddr *)&name, (socklen_t)length) < 0) {
			result = -errno;
		}
	}
	if (result == 0 && listen(fd, (int)LIMIT_SESSIONS) < 0) {
		result = -errno;
	}
	return result < 0 ? result : fd_take(&fd);
}

struct dial {
	struct loop *loop;
	int fd;
	struct loop_source *source;
	struct loop_source *timer;
	bool connected;
	bool greets; // "CONNECT port" has to be answered
	uint32_t port;
	char answer[ANSWER_MAX];
	size_t answer_bytes;
	dial_fn fn;
	void *data;
};

void dial_cancel(struct dial *dial)
{
	if (dial == NULL) {
		return;
	}
	loop_source_remove(dial->source);
	loop_source_remove(dial->timer);
	fd_close(&dial->fd);
	free(dial);
}

/* Ends with the socket (ERROR 0) or without. */
static void dial_done(struct dial *dial, int error)
{
	int fd = error < 0 ? error : fd_take(&dial->fd);
	dial_fn fn = dial->fn;
	void *data = dial->data;

	dial_cancel(dial);
	fn(data, fd);
}

/* Says CONNECT to a vsock device. */
static int dial_greet(struct dial *dial)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "CONNECT %u\n", dial->port);
	struct iovec part = {text, (size_t)length};
	ssize_t sent = platform_send(dial->fd, &part, 1);

	if (sent < 0) {
		return (int)sent;
	}
	if (sent != length) {
		return -EIO; // an empty socket takes a few bytes
	}
	return loop_source_update(dial->source, LOOP_READ);
}

/* Reads "OK number\n" byte by byte: what follows belongs to the link. Returns 1 when it is there, 0
 * when more has to come. */
static int dial_read_answer(struct dial *dial)
{
	for (;;) {
		char *next = &dial->answer[dial->answer_bytes];
		ssize_t got = read(dial->fd, next, 1);

		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got < 0) {
			return errno == EAGAIN ? 0 : -errno;
		}
		if (got == 0) {
			return -ECONNREFUSED; // the device has nobody at that port
		}
		if (*next == '\n') {
			bool accepted = dial->answer_bytes >= 4 &&
					memcmp(dial->answer, "OK ", 3) == 0;

			return accepted ? 1 : -EPROTO;
		}
		if (++dial->answer_bytes == ANSWER_MAX) {
			return -EPROTO;
		}
	}
}

/* Goes as far as it can. Returns 1 when the connection stands, 0 to wait, or a negative errno. */
static int dial_advance(struct dial *dial)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (dial->connected) {
		return dial_read_answer(dial);
	}
	if (getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0) {
		return -errno;
	}
	if (error != 0) {
		return -error;
	}
	dial->connected = true;
	return dial->greets ? dial_greet(dial) : 1;
}

static void dial_on_fd(void *data, int fd, uint32_t events)
{
	struct dial *dial = data;
	int result = dial_advance(dial);

	(void)fd;
	(void)events;
	if (result != 0) {
		dial_done(dial, result < 0 ? result : 0);
	}
}

static void dial_on_timeout(void *data)
{
	dial_done(data, -ETIMEDOUT);
}

/* Makes the socket and what watches it. A socket that is connected already is found writable by the
 * loop. */
static int dial_connect(struct dial *dial, const struct address *address, uint32_t timeout_ms)
{
	struct sockaddr_storage name;
	int length = address_name(address, &name);

	if (length < 0) {
		return length;
	}
	dial->fd = socket_create(&name);
	if (dial->fd < 0) {
		int error = dial->fd;

		dial->fd = -1;
		return error;
	}
	if (connect(dial->fd, (struct sockaddr *)&name, (socklen_t)length) < 0 &&
			errno != EINPROGRESS) {
		return -errno;
	}
	int error = loop_add_fd(dial->loop, dial->fd, LOOP_WRITE, dial_on_fd, dial, &dial->source);
	if (error == 0) {
		error = loop_add_timer(dial->loop, dial_on_timeout, dial, &dial->timer);
	}
	if (error == 0) {
		loop_timer_arm(dial->timer, clock_now_ns() + timeout_ms * CLOCK_NS_PER_MS);
	}
	return error;
}

int dial_start(struct loop *loop, const struct address *address, uint32_t timeout_ms, dial_fn fn,
		void *data, struct dial **ret_dial)
{
	if (address->kind == ADDRESS_VSOCK && address->cid == CID_ANY) {
		return -EINVAL;
	}
	struct dial *dial = calloc(1, sizeof(*dial));
	if (dial == NULL) {
		return -ENOMEM;
	}
	dial->loop = loop;
	dial->fd = -1;
	dial->greets = address->kind == ADDRESS_VSOCK_UNIX;
	dial->port = address->port;
	dial->fn = fn;
	dial->data = data;
	int error = dial_connect(dial, address, timeout_ms);
	if (error < 0) {
		dial_cancel(dial);
		return error;
	}
	*ret_dial = dial;
	return 0;
}
