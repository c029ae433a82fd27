/*
 * Reads of KMS objects: answered from kms.c's model and the handle's VT, never by the agent.
 * GETCONNECTOR is on the hot path (twice a frame): what it answers lies ready in the slot and the
 * topology.
 */
#include <errno.h>

#include "schemes/display-bridge/display.h"
#include "schemes/display-bridge/drm_ioctl.h"

#define PLANES_PER_CRTC 2u

static uint32_t crtc_mask(const struct kms *kms)
{
	return (1u << kms->topology.crtc_count) - 1;
}

static void put_crtcs(const struct kms *kms, struct drm_payload *payload, unsigned array)
{
	uint32_t ids[LIMIT_CRTCS];
	for (uint32_t i = 0; i < kms->topology.crtc_count; i++) {
		ids[i] = KMS_ID_CRTC + i;
	}
	drm_payload_set_array(payload, array, ids, kms->topology.crtc_count);
}

DRM_IOCTL_HANDLER(drm_get_resources)
{
	(void)request;
	const struct kms *kms = &card->display->kms;
	struct drm_fixed_resources fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	fixed.min_width = kms->topology.width_min;
	fixed.max_width = kms->topology.width_max;
	fixed.min_height = kms->topology.height_min;
	fixed.max_height = kms->topology.height_max;
	fixed_put(payload, &fixed, sizeof(fixed));

	uint32_t fbs[LIMIT_FRAMEBUFFERS];
	uint32_t count = 0;
	for (const struct fb *fb = card->fbs; fb != NULL; fb = fb->owner_next) {
		fbs[count++] = fb->id;
	}
	drm_payload_set_array(payload, 0, fbs, count);
	put_crtcs(kms, payload, 1);
	uint32_t slots[LIMIT_CONNECTORS];
	uint32_t ids[LIMIT_CONNECTORS];
	count = kms_slots_present(kms, slots);
	for (uint32_t i = 0; i < count; i++) {
		ids[i] = KMS_ID_CONNECTOR + slots[i];
	}
	drm_payload_set_array(payload, 2, ids, count);
	for (uint32_t i = 0; i < count; i++) {
		ids[i] = KMS_ID_ENCODER + slots[i];
	}
	drm_payload_set_array(payload, 3, ids, count);
	return 0;
}

DRM_IOCTL_HANDLER(drm_get_crtc)
{
	(void)request;
	const struct kms *kms = &card->display->kms;
	struct drm_fixed_crtc fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	int index = kms_crtc_find(kms, fixed.crtc_id);
	if (index < 0) {
		return index;
	}
	const struct crtc_state *now = &card->vt->crtcs[index].now;
	fixed.gamma_size = kms->topology.gamma_sizes[index];
	fixed.fb_id = now->fb != NULL ? now->fb->id : 0;
	fixed.x = now->x;
	fixed.y = now->y;
	fixed.mode_valid = now->fb != NULL;
	fixed.mode = now->mode;
	fixed_put(payload, &fixed, sizeof(fixed));
	return 0;
}

DRM_IOCTL_HANDLER(drm_get_encoder)
{
	(void)request;
	const struct kms *kms = &card->display->kms;
	struct drm_fixed_encoder fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	uint32_t slot;
	if (kms_find(kms, fixed.encoder_id, &slot) != KMS_KIND_ENCODER) {
		return -ENOENT;
	}
	const struct topology_connector *connector = kms_connector(kms, slot);
	int crtc = vt_crtc_of_slot(card->vt, slot);
	fixed.encoder_type = kms_encoder_type(connector->type);
	fixed.crtc_id = crtc >= 0 ? KMS_ID_CRTC + (uint32_t)crtc : 0;
	fixed.possible_crtcs = connector->crtcs & crtc_mask(kms);
	fixed.possible_clones = 0;
	fixed_put(payload, &fixed, sizeof(fixed));
	return 0;
}

DRM_IOCTL_HANDLER(drm_get_connector)
{
	(void)request;
	const struct kms *kms = &card->display->kms;
	struct drm_fixed_connector fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	int slot = kms_connector_find(kms, fixed.connector_id);
	if (slot < 0) {
		return slot;
	}
	const struct topology_connector *connector = kms_connector(kms, (uint32_t)slot);
	fixed = kms->slots[slot].fixed;
	uint32_t encoder = KMS_ID_ENCODER + (uint32_t)slot;
	fixed.encoder_id = vt_crtc_of_slot(card->vt, (uint32_t)slot) >= 0 ? encoder : 0;
	fixed_put(payload, &fixed, sizeof(fixed));

	uint32_t ids[DRM_CONNECTOR_PROPERTIES];
	uint64_t values[DRM_CONNECTOR_PROPERTIES];
	uint32_t count = drm_connector_properties(card, (uint32_t)slot, ids, values);
	drm_payload_set_array(payload, 0, &encoder, 1);
	drm_payload_set_array(payload, 1, connector->modes, connector->mode_count);
	drm_payload_set_array(payload, 2, ids, count);
	drm_payload_set_array(payload, 3, values, count);
	return 0;
}

/* Primary and cursor planes are shown to those who know universal planes; there are no others. */
DRM_IOCTL_HANDLER(drm_get_plane_resources)
{
	(void)request;
	const struct kms *kms = &card->display->kms;
	uint32_t ids[LIMIT_CRTCS * PLANES_PER_CRTC];
	uint32_t count = 0;
	for (uint32_t i = 0; card->universal_planes && i < kms->topology.crtc_count; i++) {
		ids[count++] = KMS_ID_PRIMARY + i;
		ids[count++] = KMS_ID_CURSOR + i;
	}
	drm_payload_set_array(payload, 0, ids, count);
	return 0;
}

DRM_IOCTL_HANDLER(drm_get_plane)
{
	(void)request;
	static const uint32_t formats[] = {FB_FORMAT_ARGB8888, FB_FORMAT_XRGB8888};
	struct drm_fixed_plane fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	uint32_t index;
	enum kms_kind kind = kms_find(&card->display->kms, fixed.plane_id, &index);
	if (kind != KMS_KIND_PRIMARY && kind != KMS_KIND_CURSOR) {
		return -ENOENT;
	}
	const struct crtc_state *now = &card->vt->crtcs[index].now;
	bool shown = kind == KMS_KIND_PRIMARY && now->fb != NULL;
	fixed.crtc_id = shown ? KMS_ID_CRTC + index : 0;
	fixed.fb_id = shown ? now->fb->id : 0;
	fixed.possible_crtcs = 1u << index;
	fixed.gamma_size = 0;
	fixed_put(payload, &fixed, sizeof(fixed));
	drm_payload_set_array(payload, 0, formats, kind == KMS_KIND_PRIMARY ? 2 : 1);
	return 0;
}
