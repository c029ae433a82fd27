/*
 * The vsock device: joins the front end's rings with the host's sockets. rx.c carries towards the
 * guest, tx.c from it; both work once per turn of the loop, so that a batch costs one interrupt.
 */
#ifndef VSOCK_DEVICE_H
#define VSOCK_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "vm-launch/vsock/connection.h"
#include "vm-launch/vsock/frontend.h"
#include "vm-launch/vsock/host.h"
#include "vm-launch/vsock/vhost_user.h"

#define DEVICE_RESETS_MAX   256u // RSTs that wait for room in the receive queue
#define DEVICE_RESETS_PAUSE 64u  // with so many waiting nothing more is taken from the guest

struct device_config {
	uint64_t cid;            // of the guest
	const char *socket_path; // for the front end
	const char *host_path;   // for host programs
};

/* An RST that is due; what it answers is gone or never was. */
struct device_reset {
	uint64_t host_cid; // whom the guest addressed
	uint32_t guest_port, host_port;
	uint16_t type;
};

/* A descriptor chain of the receive queue that waits for bytes. */
struct device_slot {
	uint16_t head;
	uint32_t iov_first, iov_count; // in device.chain_iov
	uint32_t room;                 // bytes of payload
};

struct device {
	struct loop *loop; // borrowed
	struct device_config config;
	struct vhost_user vhost_user;
	struct frontend frontend;
	struct host host;
	struct connection_set connections;
	struct loop_source *turn;  // before each wait
	struct loop_source *timer; // deadlines of connections, while there are any
	bool timer_armed;
	bool has_tx;  // the guest may have sent something
	bool is_busy; // a turn left work behind: do not wait
	uint32_t next_host_port;
	struct device_reset resets[DEVICE_RESETS_MAX]; // ring
	uint32_t reset_start, reset_count;
	/* What one turn works with. */
	struct device_slot slots[VRING_SIZE_MAX];
	struct iovec chain_iov[VRING_IOV_MAX];
	struct iovec data_iov[VRING_IOV_MAX];
	struct connection *batch; // of the guest's bytes in chain_iov[0..batch_iov); NULL: none
	uint32_t batch_iov, batch_bytes;
};

/* Listens on both sockets. Returns 0 or a negative errno, having logged which path. */
int device_create(
		struct loop *loop, const struct device_config *config, struct device **ret_device);

/* Ends everything and removes the sockets. NULL is allowed. */
void device_destroy(struct device *device);

/* Queues an RST; it is lost if DEVICE_RESETS_MAX wait already. */
void device_answer_reset(struct device *device, const struct device_reset *reset);

/* RST for a connection, which is gone afterwards. */
void device_reset_connection(struct device *device, struct connection *connection);

/* rx.c: gives the guest what is ready for it. */
void rx_serve(struct device *device);

/* tx.c: takes what the guest has sent. */
void tx_serve(struct device *device);

#endif
