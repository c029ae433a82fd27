/*
 * Properties and blobs: EDID and DPMS of connectors, the type of planes. The properties of atomic
 * clients are not shown, as on Linux to a client that did not ask for ATOMIC.
 */
#include <errno.h>
#include <stdio.h>

#include "schemes/display-bridge/display.h"
#include "schemes/display-bridge/drm_ioctl.h"

#define PROPERTY_IMMUTABLE (1u << 2)
#define PROPERTY_ENUM      (1u << 3)
#define PROPERTY_BLOB      (1u << 4)

#define OBJECT_ANY       0u
#define OBJECT_CRTC      0xccccccccu
#define OBJECT_CONNECTOR 0xc0c0c0c0u
#define OBJECT_ENCODER   0xe0e0e0e0u
#define OBJECT_PROPERTY  0xb0b0b0b0u
#define OBJECT_FB        0xfbfbfbfbu
#define OBJECT_PLANE     0xeeeeeeeeu

#define PLANE_TYPE_PRIMARY 1
#define PLANE_TYPE_CURSOR  2

static const struct drm_fixed_property_enum dpms_values[] = {
		{0, "On"}, {1, "Standby"}, {2, "Suspend"}, {3, "Off"}};
static const struct drm_fixed_property_enum type_values[] = {
		{0, "Overlay"}, {1, "Primary"}, {2, "Cursor"}};

struct property {
	const char *name;
	uint32_t flags;
	const struct drm_fixed_property_enum *values;
	uint32_t value_count;
};

#define ENUM_MAX 4

static int property_find(uint32_t id, struct property *ret_property)
{
	switch (id) {
	case KMS_ID_EDID:
		*ret_property = (struct property) {
				"EDID", PROPERTY_BLOB | PROPERTY_IMMUTABLE, NULL, 0};
		return 0;
	case KMS_ID_DPMS:
		*ret_property = (struct property) {"DPMS", PROPERTY_ENUM, dpms_values, 4};
		return 0;
	case KMS_ID_TYPE:
		*ret_property = (struct property) {
				"type", PROPERTY_ENUM | PROPERTY_IMMUTABLE, type_values, 3};
		return 0;
	default:
		return -ENOENT;
	}
}

DRM_IOCTL_HANDLER(drm_get_property)
{
	(void)card;
	(void)request;
	struct drm_fixed_property fixed;
	struct property property;
	fixed_get(payload, &fixed, sizeof(fixed));
	int error = property_find(fixed.prop_id, &property);
	if (error != 0) {
		return error;
	}
	uint64_t values[ENUM_MAX];
	for (uint32_t i = 0; i < property.value_count; i++) {
		values[i] = property.values[i].value;
	}
	memset(fixed.name, 0, sizeof(fixed.name));
	snprintf(fixed.name, sizeof(fixed.name), "%s", property.name);
	fixed.flags = property.flags;
	fixed_put(payload, &fixed, sizeof(fixed));
	drm_payload_set_array(payload, 0, values, property.value_count);
	drm_payload_set_array(payload, 1, property.values, property.value_count);
	return 0;
}

uint32_t drm_connector_properties(const struct card *card, uint32_t slot,
		uint32_t ret_ids[DRM_CONNECTOR_PROPERTIES],
		uint64_t ret_values[DRM_CONNECTOR_PROPERTIES])
{
	ret_ids[0] = KMS_ID_EDID;
	ret_values[0] = card->display->kms.slots[slot].edid_blob;
	ret_ids[1] = KMS_ID_DPMS;
	ret_values[1] = card->vt->dpms[slot];
	return DRM_CONNECTOR_PROPERTIES;
}

DRM_IOCTL_HANDLER(drm_set_property)
{
	(void)request;
	struct display *display = card->display;
	struct drm_fixed_set_property fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	int slot = kms_connector_find(&display->kms, fixed.connector_id);
	struct property property;
	if (slot < 0 || property_find(fixed.prop_id, &property) != 0) {
		return -ENOENT;
	}
	if (fixed.prop_id != KMS_ID_DPMS || fixed.value > 3) {
		return -EINVAL;
	}
	vt_set_dpms(&display->vts, card->vt, (uint32_t)slot, (uint8_t)fixed.value);
	return 0;
}

static bool type_matches(enum kms_kind kind, uint32_t untrusted_type)
{
	switch (kind) {
	case KMS_KIND_CRTC:
		return untrusted_type == OBJECT_CRTC;
	case KMS_KIND_PRIMARY:
	case KMS_KIND_CURSOR:
		return untrusted_type == OBJECT_PLANE;
	case KMS_KIND_ENCODER:
		return untrusted_type == OBJECT_ENCODER;
	case KMS_KIND_CONNECTOR:
		return untrusted_type == OBJECT_CONNECTOR;
	case KMS_KIND_PROPERTY:
		return untrusted_type == OBJECT_PROPERTY;
	default:
		return false;
	}
}

/* The properties of an object. Returns their count, -ENOENT, or -EINVAL for an object that has
 * none. */
static int object_properties(const struct card *card, uint32_t id, uint32_t type,
		uint32_t ret_ids[DRM_CONNECTOR_PROPERTIES],
		uint64_t ret_values[DRM_CONNECTOR_PROPERTIES])
{
	uint32_t index;
	enum kms_kind kind = kms_find(&card->display->kms, id, &index);
	if (kind == KMS_KIND_NONE && fb_find(&card->display->fbs, id) != NULL) {
		return type == OBJECT_ANY || type == OBJECT_FB ? -EINVAL : -ENOENT;
	}
	if (kind == KMS_KIND_NONE || (type != OBJECT_ANY && !type_matches(kind, type))) {
		return -ENOENT;
	}
	switch (kind) {
	case KMS_KIND_CRTC:
		return 0;
	case KMS_KIND_PRIMARY:
	case KMS_KIND_CURSOR:
		ret_ids[0] = KMS_ID_TYPE;
		ret_values[0] = kind == KMS_KIND_PRIMARY ? PLANE_TYPE_PRIMARY : PLANE_TYPE_CURSOR;
		return 1;
	case KMS_KIND_CONNECTOR:
		return (int)drm_connector_properties(card, index, ret_ids, ret_values);
	default:
		return -EINVAL;
	}
}

DRM_IOCTL_HANDLER(drm_get_object_properties)
{
	(void)request;
	struct drm_fixed_object_properties fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	uint32_t ids[DRM_CONNECTOR_PROPERTIES];
	uint64_t values[DRM_CONNECTOR_PROPERTIES];
	int count = object_properties(card, fixed.obj_id, fixed.obj_type, ids, values);
	if (count < 0) {
		return count;
	}
	drm_payload_set_array(payload, 0, ids, (uint32_t)count);
	drm_payload_set_array(payload, 1, values, (uint32_t)count);
	return 0;
}

DRM_IOCTL_HANDLER(drm_get_blob)
{
	(void)request;
	const struct kms *kms = &card->display->kms;
	struct drm_fixed_blob fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	int slot = kms_blob_find(kms, fixed.blob_id);
	if (slot < 0) {
		return slot;
	}
	const struct topology_connector *connector = kms_connector(kms, (uint32_t)slot);
	drm_payload_set_array(payload, 0, connector->edid, connector->edid_bytes);
	return 0;
}
