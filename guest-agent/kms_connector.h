/* Reads one connector of a DRM device into the words of the wire. */
#ifndef GUEST_AGENT_KMS_CONNECTOR_H
#define GUEST_AGENT_KMS_CONNECTOR_H

#include <stdbool.h>
#include <stdint.h>
#include "guest-agent/topology.h"

struct kms_connector {
	uint32_t id;                      // object id
	bool gone;                        // the kernel has it no longer
	struct bridge_connector identity; // name, type, type_id: as read when it was there
};

/*
 * Probes CONNECTOR of the device FD and fills *RET, all but its index. Up to TOPOLOGY_EDID_BYTES go
 * to EDID. What cannot be read is reported as a disconnected connector without modes.
 */
void kms_connector_read(int fd, struct kms_connector *connector, struct bridge_connector *ret,
		uint8_t *edid);

#endif
