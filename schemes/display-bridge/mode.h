/* Display modes: DRM's struct and the wire's, validity, and one made up from a size. */
#ifndef DISPLAY_BRIDGE_MODE_H
#define DISPLAY_BRIDGE_MODE_H

#include <stdbool.h>
#include <stdint.h>
#include "proto/bridge.h"
#include "schemes/drm/drm_fixed.h"

#define MODE_SIZE_MAX 16384u // px, as in proto/bridge.xml

/* Both ways; the name always ends within its field. */
void mode_from_wire(const struct bridge_mode *wire, struct drm_fixed_modeinfo *ret_mode);
void mode_to_wire(const struct drm_fixed_modeinfo *mode, struct bridge_mode *ret_wire);

/* Whether a client may set it: size and order of the timings, as Linux checks them. */
bool mode_is_valid(const struct drm_fixed_modeinfo *mode);

/* A mode of WIDTH x HEIGHT at 60 Hz with plausible blanking, preferred. */
void mode_make(uint32_t width_px, uint32_t height_px, struct drm_fixed_modeinfo *ret_mode);

#endif
