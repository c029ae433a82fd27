/*
 * Topology messages, put together and checked across messages: the generated decoder has checked
 * the fields one by one, here the counts, the order, the references and the uniqueness of names.
 */
#include "schemes/display-bridge/topology.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/bridge.h"
#include "schemes/display-bridge/mode.h"

#define CONNECTOR_TYPE_VIRTUAL 15
#define CONNECTION_CONNECTED   1
#define DEFAULT_CURSOR_PX      64
#define DEFAULT_DPI            96

static int fault(const char **ret_fault, const char *text)
{
	*ret_fault = text;
	return -EBADMSG;
}

void topology_reader_reset(struct topology_reader *reader)
{
	reader->begun = false;
	reader->generation = 0;
}

static int read_begin(struct topology_reader *reader, const uint8_t *payload, size_t length,
		const char **ret_fault)
{
	struct bridge_topology_begin begin;
	if (bridge_topology_begin_decode(&begin, payload, length) != 0) {
		return fault(ret_fault, "topology_begin does not decode");
	}
	if (reader->begun) {
		return fault(ret_fault, "topology_begin inside a topology");
	}
	if (begin.generation != reader->generation + 1) {
		return fault(ret_fault, "generation of the topology is not the next one");
	}
	if (begin.width_min > begin.width_max || begin.height_min > begin.height_max) {
		return fault(ret_fault, "topology with a least size above the largest");
	}
	struct topology *topology = &reader->topology;
	memset(topology, 0, sizeof(*topology));
	snprintf(topology->driver, sizeof(topology->driver), "%s", begin.driver);
	topology->width_min = begin.width_min;
	topology->width_max = begin.width_max;
	topology->height_min = begin.height_min;
	topology->height_max = begin.height_max;
	topology->cursor_width = begin.cursor_width;
	topology->cursor_height = begin.cursor_height;
	topology->crtc_count = begin.crtcs;
	topology->connector_count = begin.connectors;
	reader->generation = begin.generation;
	reader->crtcs = 0;
	reader->connectors = 0;
	reader->begun = true;
	return 0;
}

static int read_crtc(struct topology_reader *reader, const uint8_t *payload, size_t length,
		const char **ret_fault)
{
	struct bridge_crtc crtc;
	if (bridge_crtc_decode(&crtc, payload, length) != 0) {
		return fault(ret_fault, "crtc does not decode");
	}
	if (crtc.index != reader->crtcs || crtc.index >= reader->topology.crtc_count) {
		return fault(ret_fault, "crtc out of order, or more than were announced");
	}
	reader->topology.gamma_sizes[reader->crtcs++] = crtc.gamma_size;
	return 0;
}

static bool name_is_taken(const struct topology_reader *reader, const char *name)
{
	for (uint32_t i = 0; i < reader->connectors; i++) {
		if (strcmp(reader->topology.connectors[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

static void connector_store(
		struct topology_connector *connector, const struct bridge_connector *wire)
{
	snprintf(connector->name, sizeof(connector->name), "%s", wire->name);
	connector->type = wire->type;
	connector->type_id = wire->type_id;
	connector->connection = wire->connection;
	connector->width_mm = wire->width_mm;
	connector->height_mm = wire->height_mm;
	connector->subpixel = wire->subpixel;
	connector->crtcs = wire->crtcs;
	connector->mode_count = wire->modes_count;
	for (uint32_t i = 0; i < wire->modes_count; i++) {
		mode_from_wire(&wire->modes[i], &connector->modes[i]);
	}
	connector->edid_bytes = wire->edid_bytes;
	if (wire->edid_bytes > 0) {
		memcpy(connector->edid, wire->edid, wire->edid_bytes);
	}
}

static int read_connector(struct topology_reader *reader, const uint8_t *payload, size_t length,
		const char **ret_fault)
{
	struct bridge_connector wire;
	if (bridge_connector_decode(&wire, payload, length) != 0) {
		return fault(ret_fault, "connector does not decode");
	}
	struct topology *topology = &reader->topology;
	if (wire.index != reader->connectors || wire.index >= topology->connector_count) {
		return fault(ret_fault, "connector out of order, or more than were announced");
	}
	if (wire.name[0] == '\0' || name_is_taken(reader, wire.name)) {
		return fault(ret_fault, "connector without a name of its own");
	}
	if ((wire.crtcs >> topology->crtc_count) != 0) {
		return fault(ret_fault, "connector with a crtc that does not exist");
	}
	connector_store(&topology->connectors[reader->connectors++], &wire);
	return 0;
}

static int read_end(struct topology_reader *reader, const uint8_t *payload, size_t length,
		const char **ret_fault)
{
	struct bridge_topology_end end;
	if (bridge_topology_end_decode(&end, payload, length) != 0) {
		return fault(ret_fault, "topology_end does not decode");
	}
	if (end.generation != reader->generation || reader->crtcs != reader->topology.crtc_count ||
			reader->connectors != reader->topology.connector_count) {
		return fault(ret_fault, "topology_end of another topology, or too early");
	}
	reader->begun = false;
	return 1;
}

int topology_read(struct topology_reader *reader, uint16_t opcode, const uint8_t *payload,
		size_t length, const char **ret_fault)
{
	if (opcode == BRIDGE_TOPOLOGY_BEGIN) {
		return read_begin(reader, payload, length, ret_fault);
	}
	if (!reader->begun) {
		return fault(ret_fault, "part of a topology without topology_begin");
	}
	switch (opcode) {
	case BRIDGE_CRTC:
		return read_crtc(reader, payload, length, ret_fault);
	case BRIDGE_CONNECTOR:
		return read_connector(reader, payload, length, ret_fault);
	case BRIDGE_TOPOLOGY_END:
		return read_end(reader, payload, length, ret_fault);
	default:
		return fault(ret_fault, "not a topology message");
	}
}

void topology_default(struct topology *topology, uint32_t width_px, uint32_t height_px)
{
	memset(topology, 0, sizeof(*topology));
	topology->width_max = MODE_SIZE_MAX;
	topology->height_max = MODE_SIZE_MAX;
	topology->cursor_width = DEFAULT_CURSOR_PX;
	topology->cursor_height = DEFAULT_CURSOR_PX;
	topology->crtc_count = 1;
	topology->connector_count = 1;
	struct topology_connector *connector = &topology->connectors[0];
	snprintf(connector->name, sizeof(connector->name), "Virtual-1");
	connector->type = CONNECTOR_TYPE_VIRTUAL;
	connector->type_id = 1;
	connector->connection = CONNECTION_CONNECTED;
	connector->width_mm = width_px * 254 / (DEFAULT_DPI * 10);
	connector->height_mm = height_px * 254 / (DEFAULT_DPI * 10);
	connector->subpixel = 1;
	connector->crtcs = 1;
	connector->mode_count = 1;
	mode_make(width_px, height_px, &connector->modes[0]);
}
