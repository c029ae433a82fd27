/* The topology as a sequence of messages. Each step of the sequence is encoded by one function, for
 * sending and comparing. */
#include "guest-agent/topology.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/session.h"
#include "guest-agent/message.h"

#define STEP_BYTES BRIDGE_CONNECTOR_MAX

static uint32_t steps_count(const struct topology *topology)
{
	return 2u + topology->begin.crtcs + topology->begin.connectors;
}

/* Encodes message number STEP of the sequence into BUFFER of STEP_BYTES. Returns the bytes or a
 * negative errno. */
static ssize_t step_encode(const struct topology *topology, uint32_t step, uint32_t generation,
		uint8_t *buffer, uint16_t *ret_opcode)
{
	uint32_t crtcs = topology->begin.crtcs;
	if (step == 0) {
		struct bridge_topology_begin begin = topology->begin;
		begin.generation = generation;
		*ret_opcode = BRIDGE_TOPOLOGY_BEGIN;
		return bridge_topology_begin_encode(&begin, buffer, STEP_BYTES);
	}
	if (step <= crtcs) {
		*ret_opcode = BRIDGE_CRTC;
		return bridge_crtc_encode(&topology->crtcs[step - 1], buffer, STEP_BYTES);
	}
	if (step <= crtcs + topology->begin.connectors) {
		*ret_opcode = BRIDGE_CONNECTOR;
		return bridge_connector_encode(
				&topology->connectors[step - 1 - crtcs], buffer, STEP_BYTES);
	}
	struct bridge_topology_end end = {.generation = generation};
	*ret_opcode = BRIDGE_TOPOLOGY_END;
	return bridge_topology_end_encode(&end, buffer, STEP_BYTES);
}

bool topology_equal(const struct topology *a, const struct topology *b)
{
	uint8_t *buffers = malloc(2 * STEP_BYTES);
	bool equal = buffers && steps_count(a) == steps_count(b);
	for (uint32_t step = 0; equal && step < steps_count(a); step++) {
		uint16_t opcode_a, opcode_b;
		ssize_t bytes_a = step_encode(a, step, 0, buffers, &opcode_a);
		ssize_t bytes_b = step_encode(b, step, 0, buffers + STEP_BYTES, &opcode_b);
		equal = bytes_a >= 0 && bytes_a == bytes_b && opcode_a == opcode_b &&
				memcmp(buffers, buffers + STEP_BYTES, (size_t)bytes_a) == 0;
	}
	free(buffers);
	return equal;
}

void topology_copy(struct topology *topology, const struct topology *from)
{
	*topology = *from;
	for (uint16_t i = 0; i < topology->begin.connectors; i++) {
		topology->connectors[i].edid = topology->edids[i];
	}
}

int topology_send(const struct topology *topology, uint32_t generation, struct session *session)
{
	uint8_t *buffer = malloc(STEP_BYTES);
	if (!buffer) {
		return -ENOMEM;
	}
	int error = 0;
	for (uint32_t step = 0; !error && step < steps_count(topology); step++) {
		uint16_t opcode = 0;
		ssize_t bytes = step_encode(topology, step, generation, buffer, &opcode);
		error = bytes < 0 ? (int)bytes
				  : message_send(session, opcode, buffer, (size_t)bytes);
	}
	free(buffer);
	return error;
}

void topology_make_mode(uint16_t width_px, uint16_t height_px, uint32_t refresh_hz,
		struct bridge_mode *ret_mode)
{
	*ret_mode = (struct bridge_mode) {
			.hdisplay = width_px,
			.hsync_start = (uint16_t)(width_px + 48),
			.hsync_end = (uint16_t)(width_px + 80),
			.htotal = (uint16_t)(width_px + 160),
			.vdisplay = height_px,
			.vsync_start = (uint16_t)(height_px + 3),
			.vsync_end = (uint16_t)(height_px + 7),
			.vtotal = (uint16_t)(height_px + 30),
			.vrefresh = refresh_hz,
	};
	ret_mode->clock = (uint32_t)((uint64_t)ret_mode->htotal * ret_mode->vtotal * refresh_hz /
			1000);
	snprintf(ret_mode->name, sizeof(ret_mode->name), "%ux%u", width_px, height_px);
}
