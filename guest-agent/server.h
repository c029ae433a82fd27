/* Takes connections and gives each one to the part of the agent that its role asks for. */
#ifndef GUEST_AGENT_SERVER_H
#define GUEST_AGENT_SERVER_H

struct loop;
struct screen;
struct server;

/* Serves what arrives at LISTEN_FD (taken, also on error) from SCREEN (borrowed). Returns 0 or a
 * negative errno. */
int server_create(struct loop *loop, int listen_fd, struct screen *screen,
		struct server **ret_server);

/* Serves the connection FD (taken, also on error) as if it had been accepted. Returns 0 or a
 * negative errno. */
int server_add(struct server *server, int fd);

/* Ends all sessions. NULL is allowed. */
void server_destroy(struct server *server);

#endif
