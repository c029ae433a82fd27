/* What the device has, in the words of the wire, and how it is sent. */
#ifndef GUEST_AGENT_TOPOLOGY_H
#define GUEST_AGENT_TOPOLOGY_H

#include <stdbool.h>
#include "common/limits.h"
#include "proto/bridge.h"

struct session;

#define TOPOLOGY_EDID_BYTES 4096u

struct topology {
	struct bridge_topology_begin begin; // its counts are those of the arrays below
	struct bridge_crtc crtcs[LIMIT_CRTCS];
	struct bridge_connector connectors[LIMIT_CONNECTORS]; // edid points into edids
	uint8_t edids[LIMIT_CONNECTORS][TOPOLOGY_EDID_BYTES];
};

/* Whether both would be sent as the same bytes, generation aside. -ENOMEM counts as different. */
bool topology_equal(const struct topology *a, const struct topology *b);

/* Copies FROM with what it points to. */
void topology_copy(struct topology *topology, const struct topology *from);

/* Sends all of it as GENERATION. Returns 0, or the errno of session_send (-EAGAIN: the peer does
 * not read). */
int topology_send(const struct topology *topology, uint32_t generation, struct session *session);

/*
 * Makes a mode of WIDTH x HEIGHT at REFRESH_HZ with the short blanking of a flat panel. All are in
 * the range of the wire.
 */
void topology_make_mode(uint16_t width_px, uint16_t height_px, uint32_t refresh_hz,
		struct bridge_mode *ret_mode);

#endif
