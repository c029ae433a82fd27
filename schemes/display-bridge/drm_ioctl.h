/*
 * DRM ioctls: the payload of a Call, taken apart by the layout table, given to the handler of its
 * number. Answers are those of Linux with the driver virtio_gpu, unless Redox's clients need
 * another (drm_ioctl.c says where).
 */
#ifndef DISPLAY_BRIDGE_DRM_IOCTL_H
#define DISPLAY_BRIDGE_DRM_IOCTL_H

#include <stdint.h>
#include <string.h>
#include "schemes/display-bridge/card.h"
#include "schemes/drm/drm_fixed.h"
#include "schemes/drm/drm_layout.h"
#include "schemes/scheme/scheme.h"

/* Serves ioctl NR on CARD, a device with a VT. Returns 0 or more, a negative errno, or SCHEME_PARK. */
int64_t drm_ioctl(struct card *card, struct request *request, uint64_t nr);

/* A handler: reads F and the arrays of PAYLOAD, and leaves the answer there. Results as drm_ioctl. */
typedef int64_t (*drm_ioctl_fn)(
		struct card *card, struct drm_payload *payload, struct request *request);

/* F has no alignment: it is copied to a struct and back. */
static inline void fixed_get(const struct drm_payload *payload, void *fixed, size_t bytes)
{
	memcpy(fixed, payload->fixed, bytes);
}

static inline void fixed_put(struct drm_payload *payload, const void *fixed, size_t bytes)
{
	memcpy(payload->fixed, fixed, bytes);
}

#define DRM_IOCTL_HANDLER(name) \
	int64_t name(struct card *card, struct drm_payload *payload, struct request *request)

/* drm_object.c: what there is */
DRM_IOCTL_HANDLER(drm_get_resources);
DRM_IOCTL_HANDLER(drm_get_crtc);
DRM_IOCTL_HANDLER(drm_get_encoder);
DRM_IOCTL_HANDLER(drm_get_connector);
DRM_IOCTL_HANDLER(drm_get_plane_resources);
DRM_IOCTL_HANDLER(drm_get_plane);

/* drm_property.c: properties and blobs */
DRM_IOCTL_HANDLER(drm_get_property);
DRM_IOCTL_HANDLER(drm_set_property);
DRM_IOCTL_HANDLER(drm_get_object_properties);
DRM_IOCTL_HANDLER(drm_get_blob);

/* The properties of the connector in SLOT as CARD sees it: ids and values. Returns how many (at
 * most DRM_CONNECTOR_PROPERTIES). */
#define DRM_CONNECTOR_PROPERTIES 2
uint32_t drm_connector_properties(const struct card *card, uint32_t slot,
		uint32_t ret_ids[DRM_CONNECTOR_PROPERTIES],
		uint64_t ret_values[DRM_CONNECTOR_PROPERTIES]);

/* drm_buffer.c: dumb buffers and framebuffers */
DRM_IOCTL_HANDLER(drm_create_dumb);
DRM_IOCTL_HANDLER(drm_map_dumb);
DRM_IOCTL_HANDLER(drm_destroy_dumb);
DRM_IOCTL_HANDLER(drm_add_fb);
DRM_IOCTL_HANDLER(drm_add_fb2);
DRM_IOCTL_HANDLER(drm_get_fb);
DRM_IOCTL_HANDLER(drm_get_fb2);
DRM_IOCTL_HANDLER(drm_rm_fb);
DRM_IOCTL_HANDLER(drm_close_fb);

/* drm_crtc.c: what changes the picture */
DRM_IOCTL_HANDLER(drm_set_crtc);
DRM_IOCTL_HANDLER(drm_page_flip);
DRM_IOCTL_HANDLER(drm_set_plane);
DRM_IOCTL_HANDLER(drm_dirty_fb);
DRM_IOCTL_HANDLER(drm_cursor);
DRM_IOCTL_HANDLER(drm_cursor2);

#endif
