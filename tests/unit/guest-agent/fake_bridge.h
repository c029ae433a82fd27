/* The bridge's side of a session, for tests: says exactly what it is told to, keeps what the agent
 * answers. */
#ifndef TESTS_UNIT_GUEST_AGENT_FAKE_BRIDGE_H
#define TESTS_UNIT_GUEST_AGENT_FAKE_BRIDGE_H

#include <stdbool.h>
#include <stdint.h>
#include "common/link.h"
#include "guest-agent/server.h"
#include "proto/bridge.h"

struct fake_bridge {
	struct loop *loop; // borrowed
	struct link *link; // owned, NULL after closed
	bool greeted;      // the agent has said hello
	bool closed;
	uint32_t fault; // of the agent's error message, 0 = none
	char fault_detail[256];
	uint32_t topologies;
	struct bridge_topology_begin topology;
	struct bridge_connector connectors[16]; // their edid is not kept
	uint32_t connectors_count;
	uint32_t crtcs_count;
	uint32_t commits_done;
	struct bridge_commit_done done; // the last one
	uint32_t syncs_done;
	uint32_t sync_id;
};

/* Connects to SERVER by a socket pair. With HELLO it also greets as a display and waits for the
 * topology. */
void fake_bridge_start(
		struct fake_bridge *bridge, struct loop *loop, struct server *server, bool hello);

void fake_bridge_stop(struct fake_bridge *bridge);

/* Greets as ROLE, speaking VERSION. */
void fake_bridge_hello(struct fake_bridge *bridge, uint32_t role, uint32_t version);

/* Sends a frame of the two parts; waits where the link has no room. */
void fake_bridge_send(struct fake_bridge *bridge, uint16_t opcode, const void *head,
		size_t head_bytes, const void *tail, size_t tail_bytes);

/* One connector, one mode, damage to be filled in. */
struct bridge_commit fake_bridge_commit(uint32_t id, uint16_t width_px, uint16_t height_px);

void fake_bridge_send_commit(struct fake_bridge *bridge, const struct bridge_commit *commit);

/* Sends the pixels of the damage of COMMIT out of PICTURE (width_px a row), in chunks of random
 * length if SEED is not NULL. */
void fake_bridge_send_pixels(struct fake_bridge *bridge, const struct bridge_commit *commit,
		const uint32_t *picture, uint32_t width_px, uint64_t *seed);

void fake_bridge_send_cursor_image(struct fake_bridge *bridge, uint16_t crtc, uint16_t width_px,
		uint16_t height_px, const uint32_t *pixels);
void fake_bridge_send_cursor_move(
		struct fake_bridge *bridge, uint16_t crtc, bool visible, int32_t x, int32_t y);

/* Sends a sync and waits for its answer. */
void fake_bridge_sync(struct fake_bridge *bridge);

#endif
