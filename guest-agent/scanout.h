/* Dumb buffers of a DRM device, mapped: the memory that CRTCs and cursor planes show. */
#ifndef GUEST_AGENT_SCANOUT_H
#define GUEST_AGENT_SCANOUT_H

#include <stdbool.h>
#include "guest-agent/backend.h"

/*
 * A black (or, without FRAMEBUFFER, transparent) buffer of 32 bits a pixel on the device DRM_FD
 * (borrowed). With FRAMEBUFFER it has one of format XRGB8888. Returns 0 or a negative errno.
 */
int scanout_create(int drm_fd, uint32_t width_px, uint32_t height_px, bool framebuffer,
		struct scanout **ret_scanout);

/* The kernel turns off what shows it. NULL is allowed. */
void scanout_destroy(int drm_fd, struct scanout *scanout);

#endif
