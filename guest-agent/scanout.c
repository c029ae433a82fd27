/* Dumb buffers. The kernel hands out zeroed memory, for security's sake; so they are black. */
#include "guest-agent/scanout.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

static int buffer_map(int drm_fd, struct scanout *scanout)
{
	uint64_t offset;
	int error = drmModeMapDumbBuffer(drm_fd, scanout->handle, &offset);
	if (error) {
		return error;
	}
	void *map = mmap(NULL, scanout->map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, drm_fd,
			(off_t)offset);
	if (map == MAP_FAILED) {
		return -errno;
	}
	scanout->picture.pixels = map;
	return 0;
}

static int framebuffer_add(int drm_fd, struct scanout *scanout)
{
	uint32_t handles[4] = {scanout->handle};
	uint32_t pitches[4] = {scanout->picture.stride_bytes};
	uint32_t offsets[4] = {0};
	return drmModeAddFB2(drm_fd, scanout->picture.width_px, scanout->picture.height_px,
			DRM_FORMAT_XRGB8888, handles, pitches, offsets, &scanout->framebuffer, 0);
}

int scanout_create(int drm_fd, uint32_t width_px, uint32_t height_px, bool framebuffer,
		struct scanout **ret_scanout)
{
	struct scanout *scanout = calloc(1, sizeof(*scanout));
	if (!scanout) {
		return -ENOMEM;
	}
	uint64_t bytes = 0;
	scanout->picture.width_px = width_px;
	scanout->picture.height_px = height_px;
	int error = drmModeCreateDumbBuffer(drm_fd, width_px, height_px, 32, 0, &scanout->handle,
			&scanout->picture.stride_bytes, &bytes);
	scanout->map_bytes = (size_t)bytes;
	if (!error) {
		error = buffer_map(drm_fd, scanout);
	}
	if (!error && framebuffer) {
		error = framebuffer_add(drm_fd, scanout);
	}
	if (error) {
		scanout_destroy(drm_fd, scanout);
		return error;
	}
	*ret_scanout = scanout;
	return 0;
}

void scanout_destroy(int drm_fd, struct scanout *scanout)
{
	if (!scanout) {
		return;
	}
	if (scanout->framebuffer) {
		drmModeRmFB(drm_fd, scanout->framebuffer);
	}
	if (scanout->picture.pixels) {
		munmap(scanout->picture.pixels, scanout->map_bytes);
	}
	if (scanout->handle) {
		drmModeDestroyDumbBuffer(drm_fd, scanout->handle);
	}
	free(scanout);
}
