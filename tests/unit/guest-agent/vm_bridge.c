/*
 * A bridge for the driver VM's shell: dials the agent and does what the lines on stdin say, one
 * answer line each. The noise that it draws is a function of seed and place, which kms_vm.py has
 * too.
 *
 *   topology                                      the device, its connectors and modes
 *   changed                                       the same, after waiting for a new one
 *   show ID CRTC CONNECTOR MODE SEED X Y W H ...   commits MODE (its number) and rectangles of noise
 *   timing ID CRTC CONNECTOR CLOCK                commits the first mode with another pixel clock
 *   off ID CRTC                                   turns a CRTC off
 *   image CRTC W H SEED                           sends a cursor image, opaque and transparent pixels
 *   move CRTC VISIBLE X Y                         moves it
 *   sync                                          waits until it is on the screen
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/fd.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/session.h"
#include "proto/bridge.h"

#define CHUNK_BYTES 100000u
#define LINE_BYTES  1024u

struct vm_bridge {
	struct loop *loop;
	struct session *session;
	struct bridge_topology_begin topology;
	struct bridge_connector connectors[16];
	uint32_t complete; // generation of the last topology that came whole
	uint32_t printed;  // generation of the one printed last
	bool answered;
	char line[LINE_BYTES];
	size_t line_bytes;
};

static void fatal(const char *text)
{
	printf("fatal %s\n", text);
	exit(1);
}

static uint32_t noise(uint32_t seed, uint32_t x, uint32_t y)
{
	uint32_t value = x * 73856093u ^ y * 19349663u ^ seed * 83492791u;
	value = (value ^ value >> 15) * 2246822519u;
	return value ^ value >> 13;
}

static void send_or_die(struct vm_bridge *bridge, uint16_t opcode, const void *head,
		ssize_t head_bytes, const void *tail, size_t tail_bytes)
{
	struct iovec parts[2] = {
			{.iov_base = (void *)(uintptr_t)head, .iov_len = (size_t)head_bytes},
			{.iov_base = (void *)(uintptr_t)tail, .iov_len = tail_bytes},
	};
	int error = head_bytes < 0 ? (int)head_bytes : -EAGAIN;
	if (head_bytes >= 0) {
		while ((error = session_send(bridge->session, opcode, 0, parts, 2)) == -EAGAIN) {
			loop_turn(bridge->loop, 100);
		}
	}
	if (error) {
		fatal(strerror(-error));
	}
}

/* Turns the loop until the agent has answered; the handler prints the answer. */
static void wait_answer(struct vm_bridge *bridge)
{
	bridge->answered = false;
	while (!bridge->answered) {
		loop_turn(bridge->loop, -1);
	}
}

static void send_rect(struct vm_bridge *bridge, uint16_t crtc, const struct bridge_rect *rect,
		uint32_t seed)
{
	size_t count = (size_t)rect->width * rect->height, done = 0;
	uint32_t *pixels = malloc(count * 4);
	if (!pixels) {
		fatal("no memory");
	}
	for (uint32_t y = 0; y < rect->height; y++) {
		for (uint32_t x = 0; x < rect->width; x++) {
			pixels[done++] = noise(seed, rect->x + x, rect->y + y);
		}
	}
	uint8_t head[BRIDGE_PIXELS_MAX];
	struct bridge_pixels message = {.crtc = crtc};
	ssize_t head_bytes = bridge_pixels_encode(&message, head, sizeof(head));
	for (size_t offset = 0; offset < count * 4; offset += CHUNK_BYTES) {
		size_t part = count * 4 - offset < CHUNK_BYTES ? count * 4 - offset : CHUNK_BYTES;
		send_or_die(bridge, BRIDGE_PIXELS, head, head_bytes, (uint8_t *)pixels + offset,
				part);
	}
	free(pixels);
}

static void send_commit(struct vm_bridge *bridge, const struct bridge_commit *commit, uint32_t seed)
{
	uint8_t buffer[BRIDGE_COMMIT_MAX];
	send_or_die(bridge, BRIDGE_COMMIT, buffer,
			bridge_commit_encode(commit, buffer, sizeof(buffer)), NULL, 0);
	for (uint16_t i = 0; i < commit->damage_count; i++) {
		send_rect(bridge, commit->crtc, &commit->damage[i], seed);
	}
	wait_answer(bridge);
}

static const struct bridge_mode *mode_find(
		const struct vm_bridge *bridge, unsigned connector, unsigned mode)
{
	/* A disconnected connector has no modes of its own; the kernel lights it nevertheless. */
	if (connector < bridge->topology.connectors &&
			bridge->connectors[connector].modes_count == 0) {
		connector = 0;
	}
	if (connector >= bridge->topology.connectors ||
			mode >= bridge->connectors[connector].modes_count) {
		fatal("no such mode");
	}
	return &bridge->connectors[connector].modes[mode];
}

static void on_show(struct vm_bridge *bridge, const char *text)
{
	unsigned id, crtc, connector, mode, seed, x, y, width, height;
	int used;
	if (sscanf(text, "show %u %u %u %u %u%n", &id, &crtc, &connector, &mode, &seed, &used) !=
			5) {
		fatal("show?");
	}
	struct bridge_commit commit = {.id = id,
			.crtc = (uint16_t)crtc,
			.connectors_count = 1,
			.connectors = {(uint16_t)connector},
			.modes_count = 1,
			.modes = {*mode_find(bridge, connector, mode)}};
	text += used;
	while (commit.damage_count < 16 &&
			sscanf(text, "%u %u %u %u%n", &x, &y, &width, &height, &used) == 4) {
		commit.damage[commit.damage_count++] = (struct bridge_rect) {
				(uint16_t)x, (uint16_t)y, (uint16_t)width, (uint16_t)height};
		text += used;
	}
	send_commit(bridge, &commit, seed);
}

static void on_timing(struct vm_bridge *bridge, const char *text)
{
	unsigned id, crtc, connector, clock;
	if (sscanf(text, "timing %u %u %u %u", &id, &crtc, &connector, &clock) != 4) {
		fatal("timing?");
	}
	struct bridge_commit commit = {.id = id,
			.crtc = (uint16_t)crtc,
			.connectors_count = 1,
			.connectors = {(uint16_t)connector},
			.modes_count = 1,
			.modes = {*mode_find(bridge, connector, 0)}};
	commit.modes[0].clock = clock;
	send_commit(bridge, &commit, 0);
}

static void on_off(struct vm_bridge *bridge, const char *text)
{
	unsigned id, crtc;
	if (sscanf(text, "off %u %u", &id, &crtc) != 2) {
		fatal("off?");
	}
	struct bridge_commit commit = {.id = id, .crtc = (uint16_t)crtc};
	send_commit(bridge, &commit, 0);
}

static void on_image(struct vm_bridge *bridge, const char *text)
{
	static uint32_t pixels[128 * 128];
	unsigned crtc, width, height, seed;
	if (sscanf(text, "image %u %u %u %u", &crtc, &width, &height, &seed) != 4 || width > 128 ||
			height > 128) {
		fatal("image?");
	}
	for (uint32_t i = 0; i < width * height; i++) {
		uint32_t value = noise(seed, i % width, i / width);
		pixels[i] = value & 1 ? value | 0xff000000u : 0;
	}
	struct bridge_cursor_image message = {.crtc = (uint16_t)crtc,
			.width = (uint16_t)width,
			.height = (uint16_t)height};
	uint8_t head[BRIDGE_CURSOR_IMAGE_MAX];
	send_or_die(bridge, BRIDGE_CURSOR_IMAGE, head,
			bridge_cursor_image_encode(&message, head, sizeof(head)), pixels,
			(size_t)width * height * 4);
	puts("ok");
}

static void on_move(struct vm_bridge *bridge, const char *text)
{
	unsigned crtc, visible;
	int x, y;
	if (sscanf(text, "move %u %u %d %d", &crtc, &visible, &x, &y) != 4) {
		fatal("move?");
	}
	struct bridge_cursor_move message = {
			.crtc = (uint16_t)crtc, .visible = visible != 0, .x = x, .y = y};
	uint8_t buffer[BRIDGE_CURSOR_MOVE_MAX];
	send_or_die(bridge, BRIDGE_CURSOR_MOVE, buffer,
			bridge_cursor_move_encode(&message, buffer, sizeof(buffer)), NULL, 0);
	puts("ok");
}

static void on_sync(struct vm_bridge *bridge)
{
	struct bridge_sync message = {.id = 1};
	uint8_t buffer[BRIDGE_SYNC_MAX];
	send_or_die(bridge, BRIDGE_SYNC, buffer,
			bridge_sync_encode(&message, buffer, sizeof(buffer)), NULL, 0);
	wait_answer(bridge);
}

static void topology_print(struct vm_bridge *bridge)
{
	bridge->printed = bridge->complete;
	printf("%s %u crtcs", bridge->topology.driver, bridge->topology.crtcs);
	for (uint16_t i = 0; i < bridge->topology.connectors; i++) {
		const struct bridge_connector *connector = &bridge->connectors[i];
		printf(" | %s connection %u crtcs 0x%x edid %u modes", connector->name,
				connector->connection, connector->crtcs, connector->edid_bytes);
		for (uint16_t m = 0; m < connector->modes_count; m++) {
			printf(" %ux%u", connector->modes[m].hdisplay,
					connector->modes[m].vdisplay);
		}
	}
	putchar('\n');
}

static void on_line(struct vm_bridge *bridge, const char *text)
{
	if (strcmp(text, "topology") == 0) {
		topology_print(bridge);
	} else if (strcmp(text, "changed") == 0) {
		while (bridge->complete <= bridge->printed) {
			loop_turn(bridge->loop, -1);
		}
		topology_print(bridge);
	} else if (strncmp(text, "show ", 5) == 0) {
		on_show(bridge, text);
	} else if (strncmp(text, "timing ", 7) == 0) {
		on_timing(bridge, text);
	} else if (strncmp(text, "off ", 4) == 0) {
		on_off(bridge, text);
	} else if (strncmp(text, "image ", 6) == 0) {
		on_image(bridge, text);
	} else if (strncmp(text, "move ", 5) == 0) {
		on_move(bridge, text);
	} else if (strcmp(text, "sync") == 0) {
		on_sync(bridge);
	} else if (strcmp(text, "end") == 0) {
		puts("ended");
		exit(0);
	} else {
		fatal("unknown command");
	}
	fflush(stdout);
}

static void on_up(void *data, const struct bridge_hello *peer)
{
	(void)data;
	(void)peer;
}

static int on_frame(void *data, const struct link_frame *frame)
{
	struct vm_bridge *bridge = data;
	struct bridge_commit_done done;
	struct bridge_connector connector;
	switch (frame->header.opcode) {
	case BRIDGE_TOPOLOGY_BEGIN:
		return bridge_topology_begin_decode(
				&bridge->topology, frame->payload, frame->payload_bytes);
	case BRIDGE_CONNECTOR:
		if (bridge_connector_decode(&connector, frame->payload, frame->payload_bytes)) {
			return -EBADMSG;
		}
		bridge->connectors[connector.index] = connector;
		return 0;
	case BRIDGE_TOPOLOGY_END:
		bridge->complete = bridge->topology.generation;
		return 0;
	case BRIDGE_COMMIT_DONE:
		if (bridge_commit_done_decode(&done, frame->payload, frame->payload_bytes)) {
			return -EBADMSG;
		}
		printf("done %u crtc %u result %d\n", done.id, done.crtc, done.result);
		bridge->answered = true;
		return 0;
	case BRIDGE_SYNC_DONE:
		puts("synced");
		bridge->answered = true;
		return 0;
	default:
		return 0;
	}
}

static void on_down(void *data, int error, const char *reason)
{
	(void)data;
	(void)error;
	fatal(reason);
}

static const struct session_ops ops = {.up = on_up, .frame = on_frame, .down = on_down};

int main(int count, char **arguments)
{
	static struct vm_bridge bridge;
	struct address address;
	const char *reason = "usage: vm-bridge ADDRESS";
	log_init("vm-bridge");
	if (count != 2 || address_parse(arguments[1], &address, &reason)) {
		fatal(reason);
	}
	struct session_config config = {
			.name = "vm-bridge",
			.role = BRIDGE_ROLE_DISPLAY,
			.peer_roles = 1u << BRIDGE_ROLE_AGENT,
			.epoch = session_make_epoch(),
	};
	if (loop_create(&bridge.loop) ||
			session_dial(bridge.loop, &config, &address, &ops, &bridge,
					&bridge.session)) {
		fatal("cannot start");
	}
	while (bridge.complete == 0) {
		loop_turn(bridge.loop, -1);
	}
	puts("connected");
	fflush(stdout);
	/* Lines are waited for with the session idle: nothing comes unasked but topologies. */
	while (fgets(bridge.line, sizeof(bridge.line), stdin)) {
		bridge.line[strcspn(bridge.line, "\r\n")] = 0;
		on_line(&bridge, bridge.line);
	}
	session_destroy(bridge.session);
	loop_destroy(bridge.loop);
	return 0;
}
