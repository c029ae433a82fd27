/*
 * Connections by role. Invariant: at most one client has a display; it is server->display. A newer
 * display session replaces the older one: after a bridge has died and come back, its old connection
 * may still look alive here.
 *
 *   accepted (greeting) ──HELLO──► serving ──end, or replaced──► gone
 *
 * A connection that never greets is ended by its session; when slots are short, the oldest one of
 * these goes sooner.
 */
#include "guest-agent/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/session.h"
#include "guest-agent/display.h"
#include "guest-agent/screen.h"
#include "proto/bridge.h"
#include "version.h"

struct client {
	struct server *server;   // NULL: the slot is free
	struct session *session; // owned
	uint64_t since_ns;
};

struct server {
	struct loop *loop;     // borrowed
	struct screen *screen; // borrowed
	int listen_fd;
	struct loop_source *accepting;
	uint64_t epoch;
	struct client *viewer;   // whose session the display serves, or NULL
	struct display *display; // owned, or NULL
	struct client clients[LIMIT_SESSIONS];
};

static void client_end(struct client *client)
{
	struct server *server = client->server;
	if (server->viewer == client) {
		display_destroy(server->display);
		server->display = NULL;
		server->viewer = NULL;
	}
	session_destroy(client->session);
	*client = (struct client) {0};
}

static void on_up(void *data, const struct bridge_hello *peer)
{
	struct client *client = data;
	struct server *server = client->server;
	if (peer->role != BRIDGE_ROLE_DISPLAY) {
		session_fail(client->session, -EPROTO, "role is not served here");
		return;
	}
	if (server->viewer) {
		struct client *older = server->viewer;
		display_destroy(server->display);
		server->display = NULL;
		server->viewer = NULL;
		session_fail(older->session, -ESTALE, "replaced by a newer connection");
	}
	int error = display_create(server->screen, client->session, &server->display);
	if (error) {
		log_peer(LOG_DISPLAY, "cannot serve \"%s\": %s", peer->name, strerror(-error));
		session_fail(client->session, error, "cannot be served now");
		return;
	}
	server->viewer = client;
	static struct log_limit limit;
	log_line_limited(&limit, LOG_INFO, LOG_DISPLAY, "serving \"%s\"", peer->name);
}

static int on_frame(void *data, const struct link_frame *frame)
{
	struct client *client = data;
	if (client->server->viewer != client) {
		return -ESTALE;
	}
	return display_frame(client->server->display, frame);
}

static void on_down(void *data, int error, const char *reason)
{
	struct client *client = data;
	(void)error;
	(void)reason;
	client_end(client);
}

static const struct session_ops client_ops = {
		.up = on_up,
		.frame = on_frame,
		.down = on_down,
};

/* A free slot, if need be that of the connection that has been greeting longest. NULL: all are
 * serving. */
static struct client *client_find_slot(struct server *server)
{
	struct client *oldest = NULL;
	for (uint32_t i = 0; i < LIMIT_SESSIONS; i++) {
		struct client *client = &server->clients[i];
		if (!client->server) {
			return client;
		}
		if (!session_is_up(client->session) &&
				(!oldest || client->since_ns < oldest->since_ns)) {
			oldest = client;
		}
	}
	if (oldest) {
		log_peer(LOG_MAIN, "too many connections: the oldest that said nothing is closed");
		client_end(oldest);
	}
	return oldest;
}

int server_add(struct server *server, int fd)
{
	struct client *client = client_find_slot(server);
	if (!client) {
		fd_close(&fd);
		return -EMFILE;
	}
	struct session_config config = {
			.name = "guest-agent " BRIDGE_VERSION,
			.role = BRIDGE_ROLE_AGENT,
			.peer_roles = 1u << BRIDGE_ROLE_DISPLAY,
			.epoch = server->epoch,
	};
	client->server = server;
	client->since_ns = clock_now_ns();
	int error = session_accept(
			server->loop, &config, fd, &client_ops, client, &client->session);
	if (error) {
		*client = (struct client) {0};
		return error;
	}
	return 0;
}

static void on_accept(void *data, int fd, uint32_t events)
{
	struct server *server = data;
	(void)events;
	for (;;) {
		int accepted = accept(fd, NULL, NULL);
		if (accepted < 0) {
			if (errno == EINTR || errno == ECONNABORTED) {
				continue;
			}
			if (errno != EAGAIN && errno != EWOULDBLOCK) {
				log_peer(LOG_MAIN, "taking a connection failed: %s",
						strerror(errno));
			}
			return;
		}
		int error = fd_prepare(accepted);
		if (error) {
			fd_close(&accepted);
		} else {
			error = server_add(server, accepted);
		}
		if (error) {
			log_peer(LOG_MAIN, "refusing a connection: %s", strerror(-error));
		}
	}
}

int server_create(
		struct loop *loop, int listen_fd, struct screen *screen, struct server **ret_server)
{
	struct server *server = calloc(1, sizeof(*server));
	if (!server) {
		fd_close(&listen_fd);
		return -ENOMEM;
	}
	server->loop = loop;
	server->screen = screen;
	server->listen_fd = listen_fd;
	server->epoch = session_make_epoch();
	int error = 0;
	if (listen_fd >= 0) {
		error = loop_add_fd(
				loop, listen_fd, LOOP_READ, on_accept, server, &server->accepting);
	}
	if (error) {
		server_destroy(server);
		return error;
	}
	*ret_server = server;
	return 0;
}

void server_destroy(struct server *server)
{
	if (!server) {
		return;
	}
	for (uint32_t i = 0; i < LIMIT_SESSIONS; i++) {
		if (server->clients[i].server) {
			client_end(&server->clients[i]);
		}
	}
	loop_source_remove(server->accepting);
	fd_close(&server->listen_fd);
	free(server);
}
