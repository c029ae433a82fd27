/*
 * Unix sockets of the host's programs.
 *
 * Invariant: a greeting reads no byte after the newline of CONNECT: the rest of the stream belongs
 * to the connection.
 */
#include "vm-launch/vsock/host.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/clock.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/loop.h"

#define GREETING_BYTES   20u // CONNECT 4294967295 and its newline
#define GREETING_WORD    "CONNECT "
#define ACCEPTS_PER_TURN 16
#define ACCEPT_RETRY_MS  100u

struct greeting {
	TAILQ_ENTRY(greeting) link;
	struct host *host;
	int fd;
	struct loop_source *source;
	uint64_t deadline_ns;
	uint32_t length;
	char text[GREETING_BYTES];
};

static void greeting_destroy(struct greeting *greeting)
{
	loop_source_remove(greeting->source);
	fd_close(&greeting->fd);
	TAILQ_REMOVE(&greeting->host->greetings, greeting, link);
	greeting->host->greeting_count--;
	free(greeting);
}

/* TEXT is what stood before the newline. */
static bool port_parse(const char *text, uint32_t *ret_port)
{
	const size_t word = strlen(GREETING_WORD);
	if (strncmp(text, GREETING_WORD, word) != 0 || text[word] < '0' || text[word] > '9') {
		return false;
	}
	char *end = NULL;
	unsigned long long port = strtoull(text + word, &end, 10);
	if (*end != '\0' || port > UINT32_MAX) {
		return false;
	}
	*ret_port = (uint32_t)port;
	return true;
}

/* Reads one byte more. Returns 1 at the newline, 0 to go on, or a negative errno. */
static int greeting_read(struct greeting *greeting)
{
	char byte = 0;
	ssize_t got = read(greeting->fd, &byte, 1);
	if (got <= 0) {
		return got == 0 ? -EPIPE : -errno;
	}
	if (byte == '\n') {
		greeting->text[greeting->length] = '\0';
		return 1;
	}
	if (byte == '\0' || greeting->length == GREETING_BYTES - 1) {
		return -EBADMSG;
	}
	greeting->text[greeting->length++] = byte;
	return 0;
}

static void greeting_on_event(void *data, int fd, uint32_t events)
{
	struct greeting *greeting = data;
	struct host *host = greeting->host;
	(void)fd;
	(void)events;
	int result = 0;
	while (result == 0) {
		result = greeting_read(greeting);
	}
	if (result == -EAGAIN || result == -EINTR) {
		return;
	}
	uint32_t port = 0;
	if (result == 1 && port_parse(greeting->text, &port)) {
		loop_source_remove(greeting->source);
		greeting->source = NULL;
		int taken = fd_take(&greeting->fd);
		greeting_destroy(greeting);
		host->ops->connect(host->data, taken, port);
		return;
	}
	if (result != -EPIPE) {
		log_peer(LOG_VSOCK, "host program: it has to say \"CONNECT port\" first; closing");
	}
	greeting_destroy(greeting);
}

static void host_arm(struct host *host, uint64_t deadline_ns)
{
	loop_timer_arm(host->timer, deadline_ns);
}

/* Ends the programs that never said CONNECT; looks again for new ones where descriptors had run
 * out. */
static void host_on_timer(void *data)
{
	struct host *host = data;
	uint64_t now_ns = clock_now_ns();
	struct greeting *greeting;
	loop_source_update(host->listen_source, LOOP_READ);
	while ((greeting = TAILQ_FIRST(&host->greetings)) != NULL) {
		if (greeting->deadline_ns > now_ns) {
			host_arm(host, greeting->deadline_ns);
			return;
		}
		log_peer(LOG_VSOCK, "host program: no \"CONNECT port\" in %u ms; closing",
				LIMIT_HELLO_MS);
		greeting_destroy(greeting);
	}
}

static void greeting_create(struct host *host, int taken_fd)
{
	auto_close int fd = taken_fd;
	if (host->greeting_count >= LIMIT_VSOCK_CONNECTIONS || fd_prepare(fd) < 0) {
		log_peer(LOG_VSOCK, "host program refused: %u are waiting to say CONNECT",
				host->greeting_count);
		return;
	}
	struct greeting *greeting = calloc(1, sizeof(*greeting));
	if (!greeting ||
			loop_add_fd(host->loop, fd, LOOP_READ, greeting_on_event, greeting,
					&greeting->source) < 0) {
		free(greeting);
		return;
	}
	greeting->host = host;
	greeting->fd = fd_take(&fd);
	greeting->deadline_ns = clock_now_ns() + LIMIT_HELLO_MS * CLOCK_NS_PER_MS;
	if (TAILQ_EMPTY(&host->greetings)) {
		host_arm(host, greeting->deadline_ns);
	}
	TAILQ_INSERT_TAIL(&host->greetings, greeting, link);
	host->greeting_count++;
}

static void host_on_accept(void *data, int listen_fd, uint32_t events)
{
	struct host *host = data;
	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept(listen_fd, NULL, NULL);
		if (fd >= 0) {
			greeting_create(host, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			log_peer(LOG_VSOCK, "cannot accept a host program: %s; trying again",
					strerror(errno));
			loop_source_update(host->listen_source, 0);
			host_arm(host, clock_now_ns() + ACCEPT_RETRY_MS * CLOCK_NS_PER_MS);
		}
		return;
	}
}

int host_init(struct host *host, struct loop *loop, int listen_fd, const char *path,
		const struct host_ops *ops, void *data)
{
	*host = (struct host) {.loop = loop,
			.ops = ops,
			.data = data,
			.path = path,
			.listen_fd = listen_fd};
	TAILQ_INIT(&host->greetings);
	int error = loop_add_timer(loop, host_on_timer, host, &host->timer);
	if (error) {
		return error;
	}
	return loop_add_fd(loop, listen_fd, LOOP_READ, host_on_accept, host, &host->listen_source);
}

void host_finish(struct host *host)
{
	struct greeting *greeting;
	while ((greeting = TAILQ_FIRST(&host->greetings)) != NULL) {
		greeting_destroy(greeting);
	}
	loop_source_remove(host->listen_source);
	loop_source_remove(host->timer);
	host->listen_source = NULL;
	host->timer = NULL;
	fd_close(&host->listen_fd);
}

int host_connect(const struct host *host, uint32_t port, int *ret_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s_%u", host->path,
			(unsigned)port);
	if (length < 0 || (size_t)length >= sizeof(address.sun_path)) {
		return -ENAMETOOLONG;
	}
	auto_close int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0) {
		return -errno;
	}
	int error = fd_prepare(fd);
	if (error) {
		return error;
	}
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		return -errno; // a full backlog (EAGAIN) is a refusal too: the guest may ask again
	}
	*ret_fd = fd_take(&fd);
	return 0;
}
