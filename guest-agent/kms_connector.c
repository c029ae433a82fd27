/* A connector of the kernel, in the words of the wire. Modes that the wire cannot carry are left
 * out; the preferred one goes first. */
#include "guest-agent/kms_connector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <xf86drm.h>
#include <xf86drmMode.h>
#include "common/log.h"

#define WIRE_PX_MAX 16384

static void mode_from_kernel(const drmModeModeInfo *mode, struct bridge_mode *ret_mode)
{
	*ret_mode = (struct bridge_mode) {
			.clock = mode->clock,
			.hdisplay = mode->hdisplay,
			.hsync_start = mode->hsync_start,
			.hsync_end = mode->hsync_end,
			.htotal = mode->htotal,
			.hskew = mode->hskew,
			.vdisplay = mode->vdisplay,
			.vsync_start = mode->vsync_start,
			.vsync_end = mode->vsync_end,
			.vtotal = mode->vtotal,
			.vscan = mode->vscan,
			.vrefresh = mode->vrefresh,
			.flags = mode->flags,
			.type = mode->type,
	};
	memcpy(ret_mode->name, mode->name, sizeof(ret_mode->name) - 1);
}

static bool mode_fits_wire(const drmModeModeInfo *mode)
{
	return mode->hdisplay >= 1 && mode->hdisplay <= WIRE_PX_MAX && mode->vdisplay >= 1 &&
			mode->vdisplay <= WIRE_PX_MAX;
}

/* Appends the modes that are PREFERRED, or those that are not. */
static void modes_append(const drmModeConnector *from, bool preferred, struct bridge_connector *ret)
{
	for (int i = 0; i < from->count_modes; i++) {
		const drmModeModeInfo *mode = &from->modes[i];
		bool is_preferred = (mode->type & DRM_MODE_TYPE_PREFERRED) != 0;
		if (is_preferred != preferred || !mode_fits_wire(mode) ||
				ret->modes_count == sizeof(ret->modes) / sizeof(ret->modes[0])) {
			continue;
		}
		mode_from_kernel(mode, &ret->modes[ret->modes_count++]);
	}
}

static uint32_t edid_read(int fd, const drmModeConnector *connector, uint8_t *edid)
{
	uint32_t bytes = 0;
	for (int i = 0; i < connector->count_props && bytes == 0; i++) {
		drmModePropertyRes *property = drmModeGetProperty(fd, connector->props[i]);
		bool is_edid = property && (property->flags & DRM_MODE_PROP_BLOB) &&
				strcmp(property->name, "EDID") == 0;
		drmModeFreeProperty(property);
		if (!is_edid || connector->prop_values[i] == 0) {
			continue;
		}
		drmModePropertyBlobRes *blob =
				drmModeGetPropertyBlob(fd, (uint32_t)connector->prop_values[i]);
		if (blob && blob->length <= TOPOLOGY_EDID_BYTES) {
			memcpy(edid, blob->data, blob->length);
			bytes = blob->length;
		} else if (blob) {
			log_peer(LOG_DISPLAY, "an EDID of %u bytes is left out", blob->length);
		}
		drmModeFreePropertyBlob(blob);
	}
	return bytes;
}

static uint32_t connection_from_kernel(drmModeConnection connection)
{
	switch (connection) {
	case DRM_MODE_CONNECTED:
		return BRIDGE_CONNECTION_CONNECTED;
	case DRM_MODE_DISCONNECTED:
		return BRIDGE_CONNECTION_DISCONNECTED;
	case DRM_MODE_UNKNOWNCONNECTION:
		break;
	}
	return BRIDGE_CONNECTION_UNKNOWN;
}

static void identity_read(const drmModeConnector *from, struct bridge_connector *identity)
{
	const char *type = drmModeGetConnectorTypeName(from->connector_type);
	snprintf(identity->name, sizeof(identity->name), "%s-%u", type ? type : "Unknown",
			from->connector_type_id);
	identity->type = from->connector_type;
	identity->type_id = from->connector_type_id;
}

void kms_connector_read(int fd, struct kms_connector *connector, struct bridge_connector *ret,
		uint8_t *edid)
{
	drmModeConnector *from = connector->gone ? NULL : drmModeGetConnector(fd, connector->id);
	if (from) {
		identity_read(from, &connector->identity);
	}
	*ret = connector->identity;
	ret->connection = BRIDGE_CONNECTION_DISCONNECTED;
	ret->edid = edid;
	if (!from) {
		return;
	}
	ret->connection = connection_from_kernel(from->connection);
	ret->width_mm = from->mmWidth;
	ret->height_mm = from->mmHeight;
	/* libdrm counts from 1 what the kernel counts from 0. */
	ret->subpixel = from->subpixel > 0 ? (uint32_t)from->subpixel - 1 : 0;
	ret->crtcs = drmModeConnectorGetPossibleCrtcs(fd, from);
	modes_append(from, true, ret);
	modes_append(from, false, ret);
	ret->edid_bytes = edid_read(fd, from, edid);
	drmModeFreeConnector(from);
}
