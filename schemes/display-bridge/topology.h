/*
 * What the agent's device has, as its topology messages say it; checked and complete, or not there
 * at all. Also what is kept between runs (state.h), and what stands in before the first agent.
 */
#ifndef DISPLAY_BRIDGE_TOPOLOGY_H
#define DISPLAY_BRIDGE_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/limits.h"
#include "schemes/drm/drm_fixed.h"

#define TOPOLOGY_MODES_MAX 128
#define TOPOLOGY_EDID_MAX  4096
#define TOPOLOGY_NAME_MAX  31

struct topology_connector {
	char name[TOPOLOGY_NAME_MAX + 1];
	uint32_t type, type_id;
	uint32_t connection; // DRM's numbers: 1 connected, 2 disconnected, 3 unknown
	uint32_t width_mm, height_mm;
	uint32_t subpixel;
	uint32_t crtcs; // bit set of CRTC indices, all of them below crtc_count
	uint32_t mode_count, edid_bytes;
	struct drm_fixed_modeinfo modes[TOPOLOGY_MODES_MAX];
	uint8_t edid[TOPOLOGY_EDID_MAX];
};

struct topology {
	char driver[TOPOLOGY_NAME_MAX + 1];
	uint32_t width_min, width_max, height_min, height_max; // px
	uint32_t cursor_width, cursor_height;                  // px
	uint32_t crtc_count, connector_count;
	uint32_t gamma_sizes[LIMIT_CRTCS];
	struct topology_connector connectors[LIMIT_CONNECTORS]; // names are unique, not empty
};

/* Puts a topology together from its messages. Zeroed: nothing received yet. */
struct topology_reader {
	struct topology topology;   // being built, or complete after topology_read answered 1
	uint32_t generation;        // of the last one begun
	uint32_t crtcs, connectors; // received so far
	bool begun;
};

/* Forgets a half-read topology: another connection starts. */
void topology_reader_reset(struct topology_reader *reader);

/*
 * Takes one message of opcodes topology_begin .. topology_end. Returns 0, 1 when the topology is
 * complete, or -EBADMSG with *RET_FAULT (static text).
 */
int topology_read(struct topology_reader *reader, uint16_t opcode, const uint8_t *payload,
		size_t length, const char **ret_fault);

/* One connected connector with one mode of WIDTH x HEIGHT at 60 Hz: before the first agent. */
void topology_default(struct topology *topology, uint32_t width_px, uint32_t height_px);

#endif
