/*
 * The device: one turn of work, RSTs, deadlines, what happens when a front end or a driver begins
 * anew.
 *
 *   kick, socket, front end ──(loop)──► flags and the ready list ──before the next wait──►
 * tx_serve, rx_serve, publish, signal
 */
#include "vm-launch/vsock/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/address.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/loop.h"

#define FIRST_HOST_PORT \
	0x40000000u // of connections that the host asks for; below are ports that programs serve
#define DEADLINE_LOOK_MS 500u

void device_answer_reset(struct device *device, const struct device_reset *reset)
{
	if (device->reset_count == DEVICE_RESETS_MAX) {
		return;
	}
	uint32_t place = (device->reset_start + device->reset_count++) % DEVICE_RESETS_MAX;
	device->resets[place] = *reset;
}

void device_reset_connection(struct device *device, struct connection *connection)
{
	struct device_reset reset = {PACKET_CID_HOST, connection->guest_port, connection->host_port,
			PACKET_TYPE_STREAM};
	device_answer_reset(device, &reset);
	connection_destroy(connection);
}

static void device_on_connection_reset(void *data, struct connection *connection)
{
	device_reset_connection(data, connection);
}

static void device_on_kick(void *data, uint32_t queue)
{
	struct device *device = data;
	if (queue == VHOST_USER_TX) {
		device->has_tx = true;
	}
}

static void device_on_restart(void *data)
{
	struct device *device = data;
	if (device->connections.count > 0) {
		log_info(LOG_VSOCK, "the guest is new: %u connections end",
				device->connections.count);
	}
	connection_set_clear(&device->connections);
	device->reset_count = 0;
}

/* Looks at the deadlines as long as there are any. */
static void device_arm(struct device *device)
{
	if (device->connections.has_deadlines && !device->timer_armed) {
		device->timer_armed = true;
		loop_timer_arm(device->timer, clock_now_ns() + DEADLINE_LOOK_MS * CLOCK_NS_PER_MS);
	}
}

/* Guests that do not answer REQUEST or SHUTDOWN. */
static void device_on_timer(void *data)
{
	struct device *device = data;
	uint64_t now_ns = clock_now_ns();
	struct connection *connection = TAILQ_FIRST(&device->connections.all);
	device->timer_armed = false;
	device->connections.has_deadlines = false;
	while (connection) {
		struct connection *next = TAILQ_NEXT(connection, all);
		if (connection->deadline_ns != 0 && connection->deadline_ns <= now_ns) {
			device_reset_connection(device, connection);
		} else if (connection->deadline_ns != 0) {
			device->connections.has_deadlines = true;
		}
		connection = next;
	}
	device_arm(device);
}

/* A host program asks for a port of the guest. */
static void device_on_host_connect(void *data, int fd, uint32_t guest_port)
{
	struct device *device = data;
	if (!vring_is_usable(&device->vhost_user.rings[VHOST_USER_RX]) ||
			!vring_is_usable(&device->vhost_user.rings[VHOST_USER_TX])) {
		log_debug(LOG_VSOCK, "CONNECT %u refused: no guest is there", (unsigned)guest_port);
		fd_close(&fd);
		return;
	}
	uint32_t host_port = 0;
	do {
		host_port = FIRST_HOST_PORT + (device->next_host_port++ & (FIRST_HOST_PORT - 1));
	} while (connection_find(&device->connections, guest_port, host_port));
	struct connection *connection = NULL;
	int error = connection_create(&device->connections, fd, CONNECTION_REQUESTED, guest_port,
			host_port, &connection);
	if (error) {
		log_peer(LOG_VSOCK, "host program: CONNECT %u is refused: %s", (unsigned)guest_port,
				strerror(-error));
		return;
	}
	connection_set_deadline(connection, LIMIT_VSOCK_CONNECT_MS);
	connection_tell(connection, NEWS_REQUEST);
}

static void rings_report(struct device *device)
{
	for (uint32_t i = 0; i < VHOST_USER_QUEUES; i++) {
		struct vring *ring = &device->vhost_user.rings[i];
		if (ring->broken && ring->fault && ring->desc) {
			log_peer(LOG_VSOCK,
					"guest: its %s queue is broken until it starts anew: %s",
					i == VHOST_USER_RX ? "receive" : "transmit", ring->fault);
			ring->fault = NULL;
		}
	}
}

static void device_on_nothing(void *data)
{
	(void)data; // there only to keep the loop from waiting
}

/* All work of a turn, after its events and before the next wait. */
static void device_turn(void *data)
{
	struct device *device = data;
	struct vring *rx = &device->vhost_user.rings[VHOST_USER_RX];
	struct vring *tx = &device->vhost_user.rings[VHOST_USER_TX];
	device->is_busy = false;
	if (device->has_tx) {
		tx_serve(device);
	}
	rx_serve(device);
	if (device->has_tx && device->reset_count < DEVICE_RESETS_PAUSE) {
		device->is_busy = true;
	}
	vring_publish(tx);
	vring_publish(rx);
	vring_signal(rx);
	vring_signal(tx);
	rings_report(device);
	if (device->vhost_user.memory.lost) {
		frontend_drop(&device->frontend, "the guest's memory was cut short");
		return;
	}
	device_arm(device);
	struct loop_source *idle = NULL;
	if (device->is_busy && loop_add_idle(device->loop, device_on_nothing, NULL, &idle) < 0) {
		log_peer(LOG_VSOCK, "no memory for the event loop; going on with the next event");
	}
}

/* Listens on the unix socket PATH. Returns the descriptor, or a negative errno, having logged it. */
static int path_listen(const char *path)
{
	struct address address = {.kind = ADDRESS_UNIX};
	int fd = -ENAMETOOLONG;
	if (strlen(path) < sizeof(address.path)) {
		memcpy(address.path, path, strlen(path));
		fd = address_listen(&address);
	}
	if (fd < 0) {
		log_error(LOG_VSOCK, "cannot listen on \"%s\": %s", path, strerror(-fd));
	}
	return fd;
}

static int device_listen(struct device *device)
{
	static const struct host_ops host_ops = {.connect = device_on_host_connect};
	const struct device_config *config = &device->config;
	int fd = path_listen(config->socket_path);
	if (fd < 0) {
		return fd;
	}
	int error = frontend_init(&device->frontend, device->loop, fd, &device->vhost_user);
	if (error) {
		return error;
	}
	fd = path_listen(config->host_path);
	if (fd < 0) {
		return fd;
	}
	return host_init(&device->host, device->loop, fd, config->host_path, &host_ops, device);
}

int device_create(struct loop *loop, const struct device_config *config, struct device **ret_device)
{
	static const struct vhost_user_ops vhost_user_ops = {device_on_kick, device_on_restart};
	static const struct connection_set_ops connection_ops = {device_on_connection_reset};
	struct device *device = calloc(1, sizeof(*device));
	if (!device) {
		return -ENOMEM;
	}
	device->loop = loop;
	device->config = *config;
	device->frontend.listen_fd = -1;
	device->frontend.fd = -1;
	device->host.listen_fd = -1;
	TAILQ_INIT(&device->host.greetings);
	vhost_user_init(&device->vhost_user, loop, config->cid, &vhost_user_ops, device);
	connection_set_init(&device->connections, loop, &connection_ops, device);
	int error = loop_add_timer(loop, device_on_timer, device, &device->timer);
	if (!error) {
		error = loop_add_before_sleep(loop, device_turn, device, &device->turn);
	}
	if (!error) {
		error = device_listen(device);
	}
	if (error) {
		device_destroy(device);
		return error;
	}
	*ret_device = device;
	return 0;
}

void device_destroy(struct device *device)
{
	if (!device) {
		return;
	}
	connection_set_clear(&device->connections);
	if (device->frontend.listen_fd >= 0) {
		unlink(device->config.socket_path);
	}
	if (device->host.listen_fd >= 0) {
		unlink(device->config.host_path);
	}
	frontend_finish(&device->frontend);
	host_finish(&device->host);
	vhost_user_reset(&device->vhost_user);
	loop_source_remove(device->turn);
	loop_source_remove(device->timer);
	free(device);
}
