/*
 * The object model that clients see: connectors, encoders, CRTCs, planes, properties, the EDID
 * blobs, and their ids. Made of a topology; every read ioctl is answered from here.
 *
 * Ids outlive the agent and changes of the topology: CRTCs and planes go by index, connectors (each
 * with an encoder of its own) by name, each name in a slot that it keeps. Blobs and framebuffers
 * share a counter (kms_id_next).
 */
#ifndef DISPLAY_BRIDGE_KMS_H
#define DISPLAY_BRIDGE_KMS_H

#include <stdbool.h>
#include <stdint.h>
#include "common/limits.h"
#include "schemes/display-bridge/topology.h"
#include "schemes/drm/drm_fixed.h"

#define KMS_SLOTS 32u // connectors by name, those that are away included; fits a bit set

/* First ids. Properties as driver-graphics numbers them (redox-abi.md 4.6). */
enum kms_ids {
	KMS_ID_EDID = 2,
	KMS_ID_DPMS = 3,
	KMS_ID_TYPE = 7,
	KMS_ID_CRTC = 0x20,
	KMS_ID_PRIMARY = 0x30,
	KMS_ID_CURSOR = 0x40,
	KMS_ID_ENCODER = 0x60,
	KMS_ID_CONNECTOR = 0x80,
	KMS_ID_DYNAMIC = 0x100,
};

enum kms_kind {
	KMS_KIND_NONE,
	KMS_KIND_CRTC,
	KMS_KIND_PRIMARY,
	KMS_KIND_CURSOR,
	KMS_KIND_ENCODER,
	KMS_KIND_CONNECTOR,
	KMS_KIND_PROPERTY,
};

/* A connector's name and what is known of it; the rest lies in the topology while it is present. */
struct kms_slot {
	char name[TOPOLOGY_NAME_MAX + 1]; // "": free
	bool present;
	uint32_t index;                   // in the topology
	uint32_t edid_blob;               // id, 0: no EDID
	uint64_t seen;                    // number of the topology that had it last
	struct drm_fixed_connector fixed; // GETCONNECTOR's answer, but for counts and encoder_id
};

struct kms {
	struct topology topology;
	struct kms_slot slots[KMS_SLOTS];
	uint64_t topologies; // applied so far
	uint32_t next_id;
};

void kms_init(struct kms *kms);

/*
 * Replaces the topology. *RET_CHANGED is the bit set of the slots that came, went or differ (modes,
 * connection, EDID).
 */
void kms_apply(struct kms *kms, const struct topology *topology, uint32_t *ret_changed);

/* What ID is, and its index (CRTC or plane) or slot (connector, encoder); NONE when there is no
 * such object. */
enum kms_kind kms_find(const struct kms *kms, uint32_t id, uint32_t *ret_index);

/* The index of CRTC ID, or -ENOENT. */
int kms_crtc_find(const struct kms *kms, uint32_t id);

/* The slot of connector ID, or -ENOENT. */
int kms_connector_find(const struct kms *kms, uint32_t id);

/* The topology's part of a present slot. */
const struct topology_connector *kms_connector(const struct kms *kms, uint32_t slot);

/* The slot whose EDID blob is ID, or -ENOENT. */
int kms_blob_find(const struct kms *kms, uint32_t id);

/* Slots of the present connectors in the order of the topology. Returns how many. */
uint32_t kms_slots_present(const struct kms *kms, uint32_t ret_slots[LIMIT_CONNECTORS]);

/* DRM_MODE_ENCODER_* that fits a connector of TYPE. */
uint32_t kms_encoder_type(uint32_t connector_type);

/* The next id of the counter for blobs and framebuffers; the caller makes sure that it is free. */
uint32_t kms_id_next(struct kms *kms);

#endif
