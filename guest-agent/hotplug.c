/*
 * Hotplug by netlink. Only messages of the kernel (port 0) count. A change comes as a burst of
 * events, so the call is put off a little; an overrun of the socket counts as a change.
 */
#include "guest-agent/hotplug.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "common/clock.h"
#include "common/fd.h"

#define SETTLE_NS     (100u * CLOCK_NS_PER_MS)
#define KERNEL_GROUP  1u
#define MESSAGE_BYTES 8192u

struct hotplug {
	int fd;
	struct loop_source *reading;
	struct loop_source *settling; // timer
	loop_fn fn;
	void *data;
};

bool hotplug_event_matters(const char *untrusted_event, size_t bytes)
{
	bool drm = false, changed = false;
	const char *end = untrusted_event + bytes;
	for (const char *text = untrusted_event; text < end;) {
		size_t length = strnlen(text, (size_t)(end - text));
		drm |= length == 13 && memcmp(text, "SUBSYSTEM=drm", 13) == 0;
		changed |= length == 9 && memcmp(text, "HOTPLUG=1", 9) == 0;
		text += length + 1;
	}
	return drm && changed;
}

static void on_netlink(void *data, int fd, uint32_t events)
{
	struct hotplug *hotplug = data;
	(void)events;
	for (;;) {
		char message[MESSAGE_BYTES];
		struct sockaddr_nl from = {0};
		socklen_t from_bytes = sizeof(from);
		ssize_t got = recvfrom(fd, message, sizeof(message), 0, (struct sockaddr *)&from,
				&from_bytes);
		bool matters = false;
		if (got >= 0) {
			matters = from.nl_pid == 0 && hotplug_event_matters(message, (size_t)got);
		} else if (errno == ENOBUFS) {
			matters = true;
		} else if (errno != EINTR) {
			return;
		}
		if (matters) {
			loop_timer_arm(hotplug->settling, clock_now_ns() + SETTLE_NS);
		}
	}
}

static void on_settled(void *data)
{
	struct hotplug *hotplug = data;
	hotplug->fn(hotplug->data);
}

static int netlink_open(int *ret_fd)
{
	auto_close int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_KOBJECT_UEVENT);
	if (fd < 0) {
		return -errno;
	}
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		return -errno;
	}
	*ret_fd = fd_take(&fd);
	return 0;
}

int hotplug_create(struct loop *loop, loop_fn fn, void *data, struct hotplug **ret_hotplug)
{
	struct hotplug *hotplug = calloc(1, sizeof(*hotplug));
	if (!hotplug) {
		return -ENOMEM;
	}
	hotplug->fd = -1;
	hotplug->fn = fn;
	hotplug->data = data;
	int error = netlink_open(&hotplug->fd);
	if (!error) {
		error = loop_add_timer(loop, on_settled, hotplug, &hotplug->settling);
	}
	if (!error) {
		error = loop_add_fd(loop, hotplug->fd, LOOP_READ, on_netlink, hotplug,
				&hotplug->reading);
	}
	if (error) {
		hotplug_destroy(hotplug);
		return error;
	}
	*ret_hotplug = hotplug;
	return 0;
}

void hotplug_destroy(struct hotplug *hotplug)
{
	if (!hotplug) {
		return;
	}
	loop_source_remove(hotplug->reading);
	loop_source_remove(hotplug->settling);
	fd_close(&hotplug->fd);
	free(hotplug);
}
