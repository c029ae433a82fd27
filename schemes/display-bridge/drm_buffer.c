/*
 * Dumb buffers and framebuffers. GETFB and GETFB2 give any handle a number for the buffer behind a
 * framebuffer: with no PRIME on Redox that is how buffers are shared (redox-abi.md 4.6).
 */
#include <errno.h>

#include "schemes/display-bridge/display.h"
#include "schemes/display-bridge/drm_ioctl.h"

#define DUMB_BPP     32
#define FB_MODIFIERS (1u << 1) // DRM_MODE_FB_MODIFIERS
#define FB2_PLANES   4

DRM_IOCTL_HANDLER(drm_create_dumb)
{
	struct drm_fixed_create_dumb fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	if (fixed.bpp != DUMB_BPP || fixed.flags != 0) {
		return -EINVAL;
	}
	struct buffer *buffer;
	int error = buffer_create(&card->display->buffers, request_pid(request), fixed.width,
			fixed.height, &buffer);
	if (error != 0) {
		return error;
	}
	error = buffer_table_add(&card->buffers, buffer, &fixed.handle);
	fixed.pitch = buffer->pitch;
	fixed.size = buffer->bytes;
	buffer_unref(buffer);
	if (error == 0) {
		fixed_put(payload, &fixed, sizeof(fixed));
	}
	return error;
}

DRM_IOCTL_HANDLER(drm_map_dumb)
{
	(void)request;
	struct drm_fixed_map_dumb fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	if (fixed.offset != 0) {
		return -EINVAL;
	}
	if (buffer_table_find(&card->buffers, fixed.handle) == NULL) {
		return -ENOENT;
	}
	fixed.offset = (uint64_t)fixed.handle << BUFFER_OFFSET_SHIFT;
	fixed_put(payload, &fixed, sizeof(fixed));
	return 0;
}

DRM_IOCTL_HANDLER(drm_destroy_dumb)
{
	(void)request;
	struct drm_fixed_destroy_dumb fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	return buffer_table_remove(&card->buffers, fixed.handle);
}

/* What ADDFB and ADDFB2 share. */
static int add_fb(struct card *card, uint32_t handle, const struct fb_layout *layout,
		uint32_t *ret_id)
{
	struct display *display = card->display;
	const struct topology *topology = &display->kms.topology;
	if (layout->width < topology->width_min || layout->width > topology->width_max ||
			layout->height < topology->height_min ||
			layout->height > topology->height_max) {
		return -EINVAL;
	}
	struct buffer *buffer = buffer_table_find(&card->buffers, handle);
	if (buffer == NULL) {
		return -ENOENT;
	}
	if (card->fb_count >= LIMIT_FRAMEBUFFERS) {
		return -ENOSPC;
	}
	struct fb *fb;
	int error = fb_create(&display->fbs, &display->kms, buffer, layout, &fb);
	if (error != 0) {
		return error;
	}
	card_own_fb(card, fb);
	*ret_id = fb->id;
	return 0;
}

DRM_IOCTL_HANDLER(drm_add_fb)
{
	(void)request;
	struct drm_fixed_fb fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	struct fb_layout layout = {.width = fixed.width,
			.height = fixed.height,
			.pitch = fixed.pitch,
			.format = fb_format_of_depth(fixed.bpp, fixed.depth)};
	int error = add_fb(card, fixed.handle, &layout, &fixed.fb_id);
	if (error == 0) {
		fixed_put(payload, &fixed, sizeof(fixed));
	}
	return error;
}

DRM_IOCTL_HANDLER(drm_add_fb2)
{
	(void)request;
	struct drm_fixed_fb2 fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	if ((fixed.flags & ~FB_MODIFIERS) != 0 ||
			((fixed.flags & FB_MODIFIERS) != 0 && fixed.modifier[0] != 0)) {
		return -EINVAL; // interlaced, or not linear
	}
	for (uint32_t i = 1; i < FB2_PLANES; i++) {
		if (fixed.handles[i] != 0 || fixed.pitches[i] != 0 || fixed.offsets[i] != 0) {
			return -EINVAL;
		}
	}
	struct fb_layout layout = {.width = fixed.width,
			.height = fixed.height,
			.pitch = fixed.pitches[0],
			.offset = fixed.offsets[0],
			.format = fixed.pixel_format};
	int error = add_fb(card, fixed.handles[0], &layout, &fixed.fb_id);
	if (error == 0) {
		fixed_put(payload, &fixed, sizeof(fixed));
	}
	return error;
}

DRM_IOCTL_HANDLER(drm_get_fb)
{
	(void)request;
	struct drm_fixed_fb fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	const struct fb *fb = fb_find(&card->display->fbs, fixed.fb_id);
	if (fb == NULL) {
		return -ENOENT;
	}
	int error = buffer_table_add(&card->buffers, fb->buffer, &fixed.handle);
	if (error != 0) {
		return error;
	}
	fixed.width = fb->width;
	fixed.height = fb->height;
	fixed.pitch = fb->pitch;
	fixed.bpp = DUMB_BPP;
	fixed.depth = fb_depth(fb);
	fixed_put(payload, &fixed, sizeof(fixed));
	return 0;
}

DRM_IOCTL_HANDLER(drm_get_fb2)
{
	(void)request;
	struct drm_fixed_fb2 fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	const struct fb *fb = fb_find(&card->display->fbs, fixed.fb_id);
	if (fb == NULL) {
		return -ENOENT;
	}
	struct drm_fixed_fb2 answer = {.fb_id = fb->id,
			.width = fb->width,
			.height = fb->height,
			.pixel_format = fb->format,
			.pitches = {fb->pitch},
			.offsets = {fb->offset}};
	int error = buffer_table_add(&card->buffers, fb->buffer, &answer.handles[0]);
	if (error == 0) {
		fixed_put(payload, &answer, sizeof(answer));
	}
	return error;
}

static int64_t disown_fb(struct card *card, uint32_t id, bool drop)
{
	struct fb *fb = fb_find(&card->display->fbs, id);
	return fb != NULL ? card_disown_fb(card, fb, drop) : -ENOENT;
}

DRM_IOCTL_HANDLER(drm_rm_fb)
{
	(void)request;
	struct drm_fixed_rmfb fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	return disown_fb(card, fixed.fb_id, true);
}

DRM_IOCTL_HANDLER(drm_close_fb)
{
	(void)request;
	struct drm_fixed_closefb fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	return fixed.pad == 0 ? disown_fb(card, fixed.fb_id, false) : -EINVAL;
}
