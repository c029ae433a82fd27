/* See fake_bridge.h. Fails the running test when the agent says something that the wire does not
 * allow. */
#include "tests/unit/guest-agent/fake_bridge.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "common/fd.h"
#include "tests/support/test.h"

static void on_error(struct fake_bridge *bridge, const struct link_frame *frame)
{
	struct bridge_error message;
	assert_int_equal(bridge_error_decode(&message, frame->payload, frame->payload_bytes), 0);
	bridge->fault = message.fault;
	strcpy(bridge->fault_detail, message.detail);
}

static void on_topology_begin(struct fake_bridge *bridge, const struct link_frame *frame)
{
	assert_int_equal(bridge_topology_begin_decode(
					 &bridge->topology, frame->payload, frame->payload_bytes),
			0);
	bridge->crtcs_count = bridge->connectors_count = 0;
}

static void on_connector(struct fake_bridge *bridge, const struct link_frame *frame)
{
	assert_true(bridge->connectors_count < 16);
	struct bridge_connector *connector = &bridge->connectors[bridge->connectors_count];
	assert_int_equal(bridge_connector_decode(connector, frame->payload, frame->payload_bytes),
			0);
	assert_int_equal(connector->index, bridge->connectors_count++);
}

static void on_frame(struct fake_bridge *bridge, const struct link_frame *frame)
{
	struct bridge_sync_done sync;
	switch (frame->header.opcode) {
	case BRIDGE_HELLO:
		bridge->greeted = true;
		break;
	case BRIDGE_ERROR:
		on_error(bridge, frame);
		break;
	case BRIDGE_TOPOLOGY_BEGIN:
		on_topology_begin(bridge, frame);
		break;
	case BRIDGE_CRTC:
		bridge->crtcs_count++;
		break;
	case BRIDGE_CONNECTOR:
		on_connector(bridge, frame);
		break;
	case BRIDGE_TOPOLOGY_END:
		assert_int_equal(bridge->crtcs_count, bridge->topology.crtcs);
		assert_int_equal(bridge->connectors_count, bridge->topology.connectors);
		bridge->topologies++;
		break;
	case BRIDGE_COMMIT_DONE:
		assert_int_equal(bridge_commit_done_decode(&bridge->done, frame->payload,
						 frame->payload_bytes),
				0);
		bridge->commits_done++;
		break;
	case BRIDGE_SYNC_DONE:
		assert_int_equal(bridge_sync_done_decode(
						 &sync, frame->payload, frame->payload_bytes),
				0);
		bridge->sync_id = sync.id;
		bridge->syncs_done++;
		break;
	default:
		fail_msg("the agent sent opcode %u", frame->header.opcode);
	}
}

static void on_readable(void *data)
{
	struct fake_bridge *bridge = data;
	struct link_frame frame;
	int got;
	while ((got = link_recv(bridge->link, &frame)) == 1) {
		on_frame(bridge, &frame);
	}
	assert_int_equal(got, 0);
}

static void on_closed(void *data, int error)
{
	struct fake_bridge *bridge = data;
	(void)error;
	bridge->closed = true;
}

static const struct link_ops ops = {.readable = on_readable, .closed = on_closed};

void fake_bridge_start(
		struct fake_bridge *bridge, struct loop *loop, struct server *server, bool hello)
{
	memset(bridge, 0, sizeof(*bridge));
	bridge->loop = loop;
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(fd_prepare(ends[0]), 0);
	assert_int_equal(fd_prepare(ends[1]), 0);
	assert_int_equal(link_create(loop, ends[1], &ops, bridge, &bridge->link), 0);
	assert_int_equal(server_add(server, ends[0]), 0);
	if (hello) {
		fake_bridge_hello(bridge, BRIDGE_ROLE_DISPLAY, BRIDGE_VERSION_NUMBER);
		test_wait(loop, bridge->topologies == 1);
		assert_true(bridge->greeted);
	}
}

void fake_bridge_stop(struct fake_bridge *bridge)
{
	link_destroy(bridge->link);
	bridge->link = NULL;
}

void fake_bridge_send(struct fake_bridge *bridge, uint16_t opcode, const void *head,
		size_t head_bytes, const void *tail, size_t tail_bytes)
{
	struct iovec parts[2] = {
			{.iov_base = (void *)(uintptr_t)head, .iov_len = head_bytes},
			{.iov_base = (void *)(uintptr_t)tail, .iov_len = tail_bytes},
	};
	while (!bridge->closed) {
		int error = link_send(bridge->link, opcode, 0, 0, parts, 2);
		if (error != -EAGAIN) {
			assert_true(error == 0 || error == -EPIPE);
			return;
		}
		assert_int_equal(loop_turn(bridge->loop, 100), 0);
	}
}

void fake_bridge_hello(struct fake_bridge *bridge, uint32_t role, uint32_t version)
{
	struct bridge_hello hello = {
			.version = version,
			.role = role,
			.epoch = 1,
			.frame_max = 256 * 1024,
			.name = "fake bridge",
	};
	uint8_t buffer[BRIDGE_HELLO_MAX];
	ssize_t bytes = bridge_hello_encode(&hello, buffer, sizeof(buffer));
	assert_true(bytes > 0);
	fake_bridge_send(bridge, BRIDGE_HELLO, buffer, (size_t)bytes, NULL, 0);
}

struct bridge_commit fake_bridge_commit(uint32_t id, uint16_t width_px, uint16_t height_px)
{
	return (struct bridge_commit) {
			.id = id,
			.connectors_count = 1,
			.modes_count = 1,
			.modes[0] =
					{
							.clock = 65000,
							.hdisplay = width_px,
							.vdisplay = height_px,
							.name = "test",
					},
	};
}

void fake_bridge_send_commit(struct fake_bridge *bridge, const struct bridge_commit *commit)
{
	uint8_t buffer[BRIDGE_COMMIT_MAX];
	ssize_t bytes = bridge_commit_encode(commit, buffer, sizeof(buffer));
	assert_true(bytes > 0);
	fake_bridge_send(bridge, BRIDGE_COMMIT, buffer, (size_t)bytes, NULL, 0);
}

static void send_chunks(struct fake_bridge *bridge, uint16_t crtc, const uint8_t *bytes,
		size_t count, uint64_t *seed)
{
	while (count > 0) {
		size_t part = 200000;
		if (seed) {
			part = 1 + test_random(seed) % (test_random(seed) % 2 ? 262000 : 300);
		}
		part = part < count ? part : count;
		struct bridge_pixels message = {.crtc = crtc};
		uint8_t head[BRIDGE_PIXELS_MAX];
		ssize_t head_bytes = bridge_pixels_encode(&message, head, sizeof(head));
		assert_true(head_bytes > 0);
		fake_bridge_send(bridge, BRIDGE_PIXELS, head, (size_t)head_bytes, bytes, part);
		bytes += part;
		count -= part;
	}
}

void fake_bridge_send_pixels(struct fake_bridge *bridge, const struct bridge_commit *commit,
		const uint32_t *picture, uint32_t width_px, uint64_t *seed)
{
	size_t bytes = 0;
	for (uint16_t i = 0; i < commit->damage_count; i++) {
		bytes += (size_t)commit->damage[i].width * commit->damage[i].height * 4;
	}
	uint8_t *all = malloc(bytes + 1);
	assert_non_null(all);
	uint8_t *next = all;
	for (uint16_t i = 0; i < commit->damage_count; i++) {
		const struct bridge_rect *rect = &commit->damage[i];
		for (uint32_t y = 0; y < rect->height; y++) {
			memcpy(next, &picture[(rect->y + y) * width_px + rect->x],
					rect->width * 4u);
			next += rect->width * 4u;
		}
	}
	send_chunks(bridge, commit->crtc, all, bytes, seed);
	free(all);
}

void fake_bridge_send_cursor_image(struct fake_bridge *bridge, uint16_t crtc, uint16_t width_px,
		uint16_t height_px, const uint32_t *pixels)
{
	struct bridge_cursor_image message = {.crtc = crtc, .width = width_px, .height = height_px};
	uint8_t head[BRIDGE_CURSOR_IMAGE_MAX];
	ssize_t bytes = bridge_cursor_image_encode(&message, head, sizeof(head));
	assert_true(bytes > 0);
	fake_bridge_send(bridge, BRIDGE_CURSOR_IMAGE, head, (size_t)bytes, pixels,
			(size_t)width_px * height_px * 4);
}

void fake_bridge_send_cursor_move(
		struct fake_bridge *bridge, uint16_t crtc, bool visible, int32_t x, int32_t y)
{
	struct bridge_cursor_move message = {.crtc = crtc, .visible = visible, .x = x, .y = y};
	uint8_t buffer[BRIDGE_CURSOR_MOVE_MAX];
	ssize_t bytes = bridge_cursor_move_encode(&message, buffer, sizeof(buffer));
	assert_true(bytes > 0);
	fake_bridge_send(bridge, BRIDGE_CURSOR_MOVE, buffer, (size_t)bytes, NULL, 0);
}

void fake_bridge_sync(struct fake_bridge *bridge)
{
	struct bridge_sync message = {.id = bridge->sync_id + 1};
	uint8_t buffer[BRIDGE_SYNC_MAX];
	ssize_t bytes = bridge_sync_encode(&message, buffer, sizeof(buffer));
	assert_true(bytes > 0);
	fake_bridge_send(bridge, BRIDGE_SYNC, buffer, (size_t)bytes, NULL, 0);
	test_wait(bridge->loop, bridge->sync_id == message.id || bridge->closed);
}
