/*
 * The object model. Invariant: slots that are present refer each to another connector of the
 * topology, and every connector of the topology has one (there are twice as many slots as
 * connectors).
 */
#include "schemes/display-bridge/kms.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static_assert(KMS_SLOTS >= 2 * LIMIT_CONNECTORS, "a topology always finds slots");

/* DRM_MODE_CONNECTOR_* and DRM_MODE_ENCODER_* */
enum {
	CONNECTOR_VGA = 1,
	CONNECTOR_COMPOSITE = 5,
	CONNECTOR_SVIDEO = 6,
	CONNECTOR_LVDS = 7,
	CONNECTOR_TV = 13,
	CONNECTOR_EDP = 14,
	CONNECTOR_VIRTUAL = 15,
	CONNECTOR_DSI = 16,
	CONNECTOR_DPI = 17
};
enum {
	ENCODER_DAC = 1,
	ENCODER_TMDS = 2,
	ENCODER_LVDS = 3,
	ENCODER_TVDAC = 4,
	ENCODER_VIRTUAL = 5,
	ENCODER_DSI = 6,
	ENCODER_DPI = 8
};

void kms_init(struct kms *kms)
{
	memset(kms, 0, sizeof(*kms));
	kms->next_id = KMS_ID_DYNAMIC;
}

uint32_t kms_id_next(struct kms *kms)
{
	uint32_t id = kms->next_id++;
	if (kms->next_id >= UINT32_MAX / 2) {
		kms->next_id = KMS_ID_DYNAMIC; // -1 as an id means "the current one" to SETCRTC
	}
	return id;
}

/* The slot of NAME: its own, else a free one, else that of the name which has been away longest. */
static uint32_t slot_choose(const struct kms *kms, const char *name)
{
	uint32_t best = KMS_SLOTS;
	for (uint32_t i = 0; i < KMS_SLOTS; i++) {
		const struct kms_slot *slot = &kms->slots[i];
		if (strcmp(slot->name, name) == 0) {
			return i;
		}
		if (!slot->present && (best == KMS_SLOTS || slot->seen < kms->slots[best].seen)) {
			best = i;
		}
	}
	assert(best < KMS_SLOTS);
	return best;
}

static bool connector_equal(const struct topology_connector *a, const struct topology_connector *b)
{
	return a->type == b->type && a->type_id == b->type_id && a->connection == b->connection &&
			a->width_mm == b->width_mm && a->height_mm == b->height_mm &&
			a->subpixel == b->subpixel && a->crtcs == b->crtcs &&
			a->mode_count == b->mode_count && a->edid_bytes == b->edid_bytes &&
			memcmp(a->modes, b->modes, a->mode_count * sizeof(a->modes[0])) == 0 &&
			memcmp(a->edid, b->edid, a->edid_bytes) == 0;
}

static uint32_t blob_id_next(struct kms *kms)
{
	uint32_t id;
	do {
		id = kms_id_next(kms);
	} while (kms_blob_find(kms, id) >= 0);
	return id;
}

/* Fills slot I from connector INDEX of the new topology. Returns whether clients see a difference. */
static bool slot_fill(struct kms *kms, uint32_t i, const struct topology *new, uint32_t index)
{
	struct kms_slot *slot = &kms->slots[i];
	const struct topology_connector *connector = &new->connectors[index];
	bool same_name = strcmp(slot->name, connector->name) == 0;
	const struct topology_connector *old =
			slot->present && same_name ? &kms->topology.connectors[slot->index] : NULL;
	bool changed = old == NULL || !connector_equal(old, connector);
	bool same_edid = old != NULL && old->edid_bytes == connector->edid_bytes &&
			memcmp(old->edid, connector->edid, connector->edid_bytes) == 0;
	if (!same_edid) {
		slot->edid_blob = connector->edid_bytes > 0 ? blob_id_next(kms) : 0;
	}
	snprintf(slot->name, sizeof(slot->name), "%s", connector->name);
	slot->index = index;
	slot->seen = kms->topologies;
	slot->fixed = (struct drm_fixed_connector) {
			.connector_id = KMS_ID_CONNECTOR + i,
			.connector_type = connector->type,
			.connector_type_id = connector->type_id,
			.connection = connector->connection,
			.mm_width = connector->width_mm,
			.mm_height = connector->height_mm,
			.subpixel = connector->subpixel,
	};
	return changed;
}

void kms_apply(struct kms *kms, const struct topology *topology, uint32_t *ret_changed)
{
	uint32_t changed = 0;
	uint32_t present = 0;
	kms->topologies++;
	for (uint32_t index = 0; index < topology->connector_count; index++) {
		uint32_t i = slot_choose(kms, topology->connectors[index].name);
		if (slot_fill(kms, i, topology, index)) {
			changed |= 1u << i;
		}
		kms->slots[i].present = true;
		present |= 1u << i;
	}
	for (uint32_t i = 0; i < KMS_SLOTS; i++) {
		if (kms->slots[i].present && (present & 1u << i) == 0) {
			kms->slots[i].present = false;
			kms->slots[i].edid_blob = 0;
			changed |= 1u << i;
		}
	}
	kms->topology = *topology;
	*ret_changed = changed;
}

enum kms_kind kms_find(const struct kms *kms, uint32_t id, uint32_t *ret_index)
{
	uint32_t crtcs = kms->topology.crtc_count;
	if (id == KMS_ID_EDID || id == KMS_ID_DPMS || id == KMS_ID_TYPE) {
		*ret_index = id;
		return KMS_KIND_PROPERTY;
	}
	if (id >= KMS_ID_CRTC && id < KMS_ID_CRTC + crtcs) {
		*ret_index = id - KMS_ID_CRTC;
		return KMS_KIND_CRTC;
	}
	if (id >= KMS_ID_PRIMARY && id < KMS_ID_PRIMARY + crtcs) {
		*ret_index = id - KMS_ID_PRIMARY;
		return KMS_KIND_PRIMARY;
	}
	if (id >= KMS_ID_CURSOR && id < KMS_ID_CURSOR + crtcs) {
		*ret_index = id - KMS_ID_CURSOR;
		return KMS_KIND_CURSOR;
	}
	if (id >= KMS_ID_ENCODER && id < KMS_ID_ENCODER + KMS_SLOTS &&
			kms->slots[id - KMS_ID_ENCODER].present) {
		*ret_index = id - KMS_ID_ENCODER;
		return KMS_KIND_ENCODER;
	}
	if (id >= KMS_ID_CONNECTOR && id < KMS_ID_CONNECTOR + KMS_SLOTS &&
			kms->slots[id - KMS_ID_CONNECTOR].present) {
		*ret_index = id - KMS_ID_CONNECTOR;
		return KMS_KIND_CONNECTOR;
	}
	return KMS_KIND_NONE;
}

int kms_crtc_find(const struct kms *kms, uint32_t id)
{
	uint32_t index;
	return kms_find(kms, id, &index) == KMS_KIND_CRTC ? (int)index : -ENOENT;
}

int kms_connector_find(const struct kms *kms, uint32_t id)
{
	uint32_t slot;
	return kms_find(kms, id, &slot) == KMS_KIND_CONNECTOR ? (int)slot : -ENOENT;
}

const struct topology_connector *kms_connector(const struct kms *kms, uint32_t slot)
{
	assert(kms->slots[slot].present);
	return &kms->topology.connectors[kms->slots[slot].index];
}

int kms_blob_find(const struct kms *kms, uint32_t id)
{
	for (uint32_t i = 0; i < KMS_SLOTS; i++) {
		if (id != 0 && kms->slots[i].edid_blob == id) {
			return (int)i;
		}
	}
	return -ENOENT;
}

uint32_t kms_slots_present(const struct kms *kms, uint32_t ret_slots[LIMIT_CONNECTORS])
{
	for (uint32_t i = 0; i < KMS_SLOTS; i++) {
		if (kms->slots[i].present) {
			ret_slots[kms->slots[i].index] = i;
		}
	}
	return kms->topology.connector_count;
}

uint32_t kms_encoder_type(uint32_t connector_type)
{
	switch (connector_type) {
	case CONNECTOR_VGA:
		return ENCODER_DAC;
	case CONNECTOR_LVDS:
	case CONNECTOR_EDP:
		return ENCODER_LVDS;
	case CONNECTOR_COMPOSITE:
	case CONNECTOR_SVIDEO:
	case CONNECTOR_TV:
		return ENCODER_TVDAC;
	case CONNECTOR_VIRTUAL:
		return ENCODER_VIRTUAL;
	case CONNECTOR_DSI:
		return ENCODER_DSI;
	case CONNECTOR_DPI:
		return ENCODER_DPI;
	default:
		return ENCODER_TMDS;
	}
}
