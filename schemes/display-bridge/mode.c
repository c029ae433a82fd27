/*
 * Modes. The bridge never computes with timings, it only carries them: all that it relies on is the
 * size, which is checked wherever a mode comes in.
 */
#include "schemes/display-bridge/mode.h"

#include <stdio.h>

#define MODE_TYPE_PREFERRED (1u << 3)
#define MODE_TYPE_DRIVER    (1u << 6)
#define MODE_FLAG_PHSYNC    (1u << 0)
#define MODE_FLAG_NVSYNC    (1u << 3)
#define MODE_REFRESH_HZ     60u
#define MODE_BLANK_H_PX     160u // reduced blanking, as CVT has it
#define MODE_BLANK_V_LINES  30u

void mode_from_wire(const struct bridge_mode *wire, struct drm_fixed_modeinfo *ret_mode)
{
	*ret_mode = (struct drm_fixed_modeinfo) {
			.clock = wire->clock,
			.hdisplay = wire->hdisplay,
			.hsync_start = wire->hsync_start,
			.hsync_end = wire->hsync_end,
			.htotal = wire->htotal,
			.hskew = wire->hskew,
			.vdisplay = wire->vdisplay,
			.vsync_start = wire->vsync_start,
			.vsync_end = wire->vsync_end,
			.vtotal = wire->vtotal,
			.vscan = wire->vscan,
			.vrefresh = wire->vrefresh,
			.flags = wire->flags,
			.type = wire->type,
	};
	snprintf(ret_mode->name, sizeof(ret_mode->name), "%s", wire->name);
}

void mode_to_wire(const struct drm_fixed_modeinfo *mode, struct bridge_mode *ret_wire)
{
	*ret_wire = (struct bridge_mode) {
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
	snprintf(ret_wire->name, sizeof(ret_wire->name), "%.*s", (int)sizeof(mode->name) - 1,
			mode->name);
}

bool mode_is_valid(const struct drm_fixed_modeinfo *mode)
{
	if (mode->hdisplay == 0 || mode->hdisplay > MODE_SIZE_MAX || mode->vdisplay == 0 ||
			mode->vdisplay > MODE_SIZE_MAX) {
		return false;
	}
	return mode->hsync_start >= mode->hdisplay && mode->hsync_end >= mode->hsync_start &&
			mode->htotal >= mode->hsync_end && mode->vsync_start >= mode->vdisplay &&
			mode->vsync_end >= mode->vsync_start && mode->vtotal >= mode->vsync_end;
}

void mode_make(uint32_t width_px, uint32_t height_px, struct drm_fixed_modeinfo *ret_mode)
{
	uint32_t htotal = width_px + MODE_BLANK_H_PX;
	uint32_t vtotal = height_px + MODE_BLANK_V_LINES;
	*ret_mode = (struct drm_fixed_modeinfo) {
			.clock = (uint32_t)((uint64_t)htotal * vtotal * MODE_REFRESH_HZ / 1000),
			.hdisplay = (uint16_t)width_px,
			.hsync_start = (uint16_t)(width_px + 48),
			.hsync_end = (uint16_t)(width_px + 80),
			.htotal = (uint16_t)htotal,
			.vdisplay = (uint16_t)height_px,
			.vsync_start = (uint16_t)(height_px + 3),
			.vsync_end = (uint16_t)(height_px + 13),
			.vtotal = (uint16_t)vtotal,
			.vrefresh = MODE_REFRESH_HZ,
			.flags = MODE_FLAG_PHSYNC | MODE_FLAG_NVSYNC,
			.type = MODE_TYPE_PREFERRED | MODE_TYPE_DRIVER,
	};
	snprintf(ret_mode->name, sizeof(ret_mode->name), "%ux%u", width_px, height_px);
}
