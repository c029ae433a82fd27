/*
 * The table of ioctls, and those about the device as a whole. The payload is copied once to a
 * private buffer, checked there by its exact length (terminal ioctls share the numbers 0 and 7),
 * and copied back when the ioctl succeeded at once.
 *
 * Other than Linux: client cap 6 (hotspot) is accepted without ATOMIC, since Orbital needs it for
 * its hardware cursor; SET_VERSION takes 0.4 too, which Redox's clients send.
 */
#include "schemes/display-bridge/drm_ioctl.h"

#include <errno.h>

#include "schemes/display-bridge/display.h"

#define CAP_DUMB_BUFFER          0x1
#define CAP_VBLANK_HIGH_CRTC     0x2
#define CAP_PREFERRED_DEPTH      0x3
#define CAP_PREFER_SHADOW        0x4
#define CAP_PRIME                0x5
#define CAP_TIMESTAMP_MONOTONIC  0x6
#define CAP_ASYNC_PAGE_FLIP      0x7
#define CAP_CURSOR_WIDTH         0x8
#define CAP_CURSOR_HEIGHT        0x9
#define CAP_ADDFB2_MODIFIERS     0x10
#define CAP_PAGE_FLIP_TARGET     0x11
#define CAP_CRTC_IN_VBLANK_EVENT 0x12
#define CAP_SYNCOBJ              0x13
#define CAP_SYNCOBJ_TIMELINE     0x14

#define CLIENT_CAP_STEREO_3D      1
#define CLIENT_CAP_UNIVERSAL      2
#define CLIENT_CAP_ASPECT_RATIO   4
#define CLIENT_CAP_CURSOR_HOTSPOT 6
#define CLIENT_CAP_REDOX_HOTPLUG  0x299fc90c

#define INTERFACE_MAJOR 1
#define INTERFACE_MINOR 4
#define DRIVER_MAJOR    0 // of virtio_gpu
#define DRIVER_MINOR    1

static const char driver_name[] = "virtio_gpu";
static const char driver_date[] = "0";
static const char driver_description[] = "virtio GPU";
static const char bus_id[] = "platform:display-bridge";

static DRM_IOCTL_HANDLER(drm_version)
{
	(void)card;
	(void)request;
	struct drm_fixed_version fixed = {.major = DRIVER_MAJOR, .minor = DRIVER_MINOR};
	fixed_put(payload, &fixed, sizeof(fixed));
	drm_payload_set_array(payload, 0, driver_name, sizeof(driver_name) - 1);
	drm_payload_set_array(payload, 1, driver_date, sizeof(driver_date) - 1);
	drm_payload_set_array(payload, 2, driver_description, sizeof(driver_description) - 1);
	return 0;
}

static DRM_IOCTL_HANDLER(drm_get_unique)
{
	(void)request;
	drm_payload_set_array(payload, 0, bus_id, card->version_set ? sizeof(bus_id) - 1 : 0);
	return 0;
}

static bool version_is_known(int32_t major, int32_t minor)
{
	return major == -1 || (major == 0 && minor == 4) ||
			(major == DRIVER_MAJOR && minor == DRIVER_MINOR) ||
			(major == INTERFACE_MAJOR && minor >= 0 && minor <= INTERFACE_MINOR);
}

static DRM_IOCTL_HANDLER(drm_set_version)
{
	(void)request;
	struct drm_fixed_set_version fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	if (!version_is_known(fixed.di_major, fixed.di_minor) ||
			!version_is_known(fixed.dd_major, fixed.dd_minor)) {
		return -EINVAL;
	}
	card->version_set = true;
	fixed = (struct drm_fixed_set_version) {
			INTERFACE_MAJOR, INTERFACE_MINOR, DRIVER_MAJOR, DRIVER_MINOR};
	fixed_put(payload, &fixed, sizeof(fixed));
	return 0;
}

static DRM_IOCTL_HANDLER(drm_get_cap)
{
	(void)request;
	const struct topology *topology = &card->display->kms.topology;
	struct drm_fixed_cap fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	switch (fixed.capability) {
	case CAP_DUMB_BUFFER:
	case CAP_VBLANK_HIGH_CRTC:
	case CAP_TIMESTAMP_MONOTONIC:
	case CAP_CRTC_IN_VBLANK_EVENT:
		fixed.value = 1;
		break;
	case CAP_PREFERRED_DEPTH:
		fixed.value = 24;
		break;
	case CAP_PREFER_SHADOW:
	case CAP_PRIME:
	case CAP_ASYNC_PAGE_FLIP:
	case CAP_ADDFB2_MODIFIERS:
	case CAP_PAGE_FLIP_TARGET:
	case CAP_SYNCOBJ:
	case CAP_SYNCOBJ_TIMELINE:
		fixed.value = 0;
		break;
	case CAP_CURSOR_WIDTH:
		fixed.value = topology->cursor_width;
		break;
	case CAP_CURSOR_HEIGHT:
		fixed.value = topology->cursor_height;
		break;
	default:
		return -EINVAL;
	}
	fixed_put(payload, &fixed, sizeof(fixed));
	return 0;
}

static DRM_IOCTL_HANDLER(drm_set_client_cap)
{
	(void)request;
	struct drm_fixed_cap fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	if (fixed.value > 1) {
		return -EINVAL;
	}
	switch (fixed.capability) {
	case CLIENT_CAP_UNIVERSAL:
		card->universal_planes = fixed.value == 1;
		return 0;
	case CLIENT_CAP_REDOX_HOTPLUG:
		card->hotplug_events = fixed.value == 1;
		return 0;
	case CLIENT_CAP_STEREO_3D:
	case CLIENT_CAP_ASPECT_RATIO:
	case CLIENT_CAP_CURSOR_HOTSPOT:
		return 0;
	default:
		return -EINVAL;
	}
}

/* As Linux: printable without blanks, or empty to take the name back. */
static DRM_IOCTL_HANDLER(drm_set_client_name)
{
	(void)request;
	uint32_t length = payload->counts[0];
	for (uint32_t i = 0; i < length; i++) {
		if (payload->arrays[0][i] <= ' ' || payload->arrays[0][i] > '~') {
			return -EINVAL;
		}
	}
	if (length > CARD_NAME_MAX) {
		return -EINVAL;
	}
	memset(card->client_name, 0, sizeof(card->client_name));
	if (length > 0) {
		memcpy(card->client_name, payload->arrays[0], length);
	}
	return 0;
}

static const drm_ioctl_fn handlers[256] = {
		[0x00] = drm_version,
		[0x01] = drm_get_unique,
		[0x07] = drm_set_version,
		[0x0C] = drm_get_cap,
		[0x0D] = drm_set_client_cap,
		[0xA0] = drm_get_resources,
		[0xA1] = drm_get_crtc,
		[0xA2] = drm_set_crtc,
		[0xA3] = drm_cursor,
		[0xA6] = drm_get_encoder,
		[0xA7] = drm_get_connector,
		[0xAA] = drm_get_property,
		[0xAB] = drm_set_property,
		[0xAC] = drm_get_blob,
		[0xAD] = drm_get_fb,
		[0xAE] = drm_add_fb,
		[0xAF] = drm_rm_fb,
		[0xB0] = drm_page_flip,
		[0xB1] = drm_dirty_fb,
		[0xB2] = drm_create_dumb,
		[0xB3] = drm_map_dumb,
		[0xB4] = drm_destroy_dumb,
		[0xB5] = drm_get_plane_resources,
		[0xB6] = drm_get_plane,
		[0xB7] = drm_set_plane,
		[0xB8] = drm_add_fb2,
		[0xB9] = drm_get_object_properties,
		[0xBB] = drm_cursor2,
		[0xCE] = drm_get_fb2,
		[0xD0] = drm_close_fb,
		[0xD1] = drm_set_client_name,
};

int64_t drm_ioctl(struct card *card, struct request *request, uint64_t nr)
{
	size_t length = request_length(request);
	uint8_t *scratch = card->display->scratch;
	if (nr >= sizeof(handlers) / sizeof(handlers[0]) || handlers[nr] == NULL ||
			length > LIMIT_PAYLOAD) {
		return -EINVAL;
	}
	request_get(request, 0, scratch, length);
	struct drm_payload payload;
	int error = drm_payload_parse(nr, scratch, length, &payload);
	if (error != 0) {
		return error;
	}
	int64_t result = handlers[nr](card, &payload, request);
	if (result >= 0 && !payload.layout->write_only) {
		request_put(request, 0, scratch, length);
	}
	return result;
}
