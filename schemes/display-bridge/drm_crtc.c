/*
 * Ioctls that change the picture. Checks are Linux's, in Linux's order; what passes is recorded in
 * the VT's state. SETCRTC of the active VT waits for the driver's judgement, everything else
 * returns at once.
 */
#include <errno.h>
#include <stdlib.h>

#include "schemes/display-bridge/display.h"
#include "schemes/display-bridge/drm_ioctl.h"
#include "schemes/display-bridge/mode.h"

#define POSITION_MAX    0xffffu
#define CURSOR_BO       1u
#define CURSOR_MOVE     2u
#define BYTES_PER_PIXEL 4u
#define FRACTION_BITS   16 // of SETPLANE's source

/* The picture has to lie inside the framebuffer: -ENOSPC, as drm_crtc_check_viewport answers. */
static int viewport_check(const struct crtc_state *state)
{
	uint32_t width = state->mode.hdisplay;
	uint32_t height = state->mode.vdisplay;
	const struct fb *fb = state->fb;
	if (width > fb->width || state->x > fb->width - width || height > fb->height ||
			state->y > fb->height - height) {
		return -ENOSPC;
	}
	return 0;
}

/* Reads SETCRTC's connectors to a bit set of slots that CRTC INDEX can drive. */
static int connectors_read(struct card *card, const struct drm_payload *payload, uint32_t index,
		uint32_t *ret_slots)
{
	const struct kms *kms = &card->display->kms;
	if (payload->counts[0] > kms->topology.connector_count) {
		return -EINVAL;
	}
	uint32_t slots = 0;
	for (uint32_t i = 0; i < payload->counts[0]; i++) {
		uint32_t id;
		memcpy(&id, payload->arrays[0] + i * sizeof(id), sizeof(id));
		int slot = kms_connector_find(kms, id);
		if (slot < 0) {
			return slot;
		}
		if ((kms_connector(kms, (uint32_t)slot)->crtcs & 1u << index) == 0) {
			return -EINVAL;
		}
		slots |= 1u << slot;
	}
	*ret_slots = slots;
	return 0;
}

/* Checks SETCRTC with a mode. STATE.fb is borrowed. */
static int state_read(struct card *card, const struct drm_payload *payload,
		const struct drm_fixed_crtc *fixed, uint32_t index, struct crtc_state *ret_state)
{
	struct crtc_state state = {.x = fixed->x, .y = fixed->y, .mode = fixed->mode};
	if (fixed->fb_id == UINT32_MAX) {
		state.fb = card->vt->crtcs[index].now.fb;
	} else {
		state.fb = fb_find(&card->display->fbs, fixed->fb_id);
	}
	if (state.fb == NULL) {
		return fixed->fb_id == UINT32_MAX ? -EINVAL : -ENOENT;
	}
	state.mode.name[sizeof(state.mode.name) - 1] = '\0';
	if (!mode_is_valid(&state.mode)) {
		return -EINVAL;
	}
	int error = viewport_check(&state);
	if (error == 0 && payload->counts[0] == 0) {
		error = -EINVAL;
	}
	if (error == 0) {
		error = connectors_read(card, payload, index, &state.connectors);
	}
	if (error == 0) {
		*ret_state = state;
	}
	return error;
}

/* Records STATE. Parks the request when the driver is to judge it. */
static int64_t state_apply(struct card *card, struct request *request, uint32_t index,
		const struct crtc_state *state)
{
	struct display *display = card->display;
	struct vt *vt = card->vt;
	inputd_poll(&display->inputd);
	vt_set_crtc(&display->vts, vt, index, state);
	int64_t result = 0;
	if (vt_is_active(&display->vts, vt)) {
		result = present_wait_crtc(&display->present, request, index);
	}
	if (result != SCHEME_PARK) {
		vt_confirm(&display->vts, vt, index, vt->crtcs[index].serial);
	}
	return result;
}

DRM_IOCTL_HANDLER(drm_set_crtc)
{
	struct drm_fixed_crtc fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	if (fixed.x > POSITION_MAX || fixed.y > POSITION_MAX) {
		return -ERANGE;
	}
	int index = kms_crtc_find(&card->display->kms, fixed.crtc_id);
	if (index < 0) {
		return index;
	}
	struct crtc_state state = {0};
	if (fixed.mode_valid && fixed.fb_id != 0) {
		int error = state_read(card, payload, &fixed, (uint32_t)index, &state);
		if (error != 0) {
			return error;
		}
	} else if (payload->counts[0] > 0) {
		return -EINVAL;
	}
	return state_apply(card, request, (uint32_t)index, &state);
}

/* Shows FB at X, Y in the mode that is set already; nothing waits. */
static int picture_change(struct card *card, uint32_t index, struct fb *fb, uint32_t x, uint32_t y)
{
	struct vts *vts = &card->display->vts;
	struct crtc_state state = card->vt->crtcs[index].now;
	state.fb = fb;
	state.x = x;
	state.y = y;
	int error = viewport_check(&state);
	if (error == 0) {
		vt_flip(vts, card->vt, index, &state);
	}
	return error;
}

/* Without an event for now: it is an immediate flip. */
DRM_IOCTL_HANDLER(drm_page_flip)
{
	(void)request;
	struct drm_fixed_page_flip fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	if (fixed.flags != 0 || fixed.sequence != 0) {
		return -EINVAL;
	}
	int index = kms_crtc_find(&card->display->kms, fixed.crtc_id);
	if (index < 0) {
		return index;
	}
	const struct crtc_state *now = &card->vt->crtcs[index].now;
	if (now->fb == NULL) {
		return -EBUSY; // as Linux answers when there is no framebuffer to flip from
	}
	struct fb *fb = fb_find(&card->display->fbs, fixed.fb_id);
	if (fb == NULL) {
		return -ENOENT;
	}
	if (fb->format != now->fb->format) {
		return -EINVAL;
	}
	return picture_change(card, (uint32_t)index, fb, now->x, now->y);
}

/* A primary plane that fills its CRTC, unscaled; cursors have ioctls of their own. */
DRM_IOCTL_HANDLER(drm_set_plane)
{
	(void)request;
	const struct kms *kms = &card->display->kms;
	struct drm_fixed_set_plane fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	uint32_t index;
	enum kms_kind kind = kms_find(kms, fixed.plane_id, &index);
	if (kind != KMS_KIND_PRIMARY && kind != KMS_KIND_CURSOR) {
		return -ENOENT;
	}
	if (fixed.fb_id == 0) {
		return -EINVAL; // a CRTC does without its primary plane only when it is off
	}
	struct fb *fb = fb_find(&card->display->fbs, fixed.fb_id);
	int crtc = kms_crtc_find(kms, fixed.crtc_id);
	if (fb == NULL || crtc < 0) {
		return -ENOENT;
	}
	const struct crtc_state *now = &card->vt->crtcs[index].now;
	if (kind == KMS_KIND_CURSOR || (uint32_t)crtc != index || now->fb == NULL ||
			fixed.crtc_x != 0 || fixed.crtc_y != 0 ||
			fixed.crtc_w != now->mode.hdisplay || fixed.crtc_h != now->mode.vdisplay ||
			fixed.src_w != fixed.crtc_w << FRACTION_BITS ||
			fixed.src_h != fixed.crtc_h << FRACTION_BITS) {
		return -EINVAL;
	}
	return picture_change(card, index, fb, fixed.src_x >> FRACTION_BITS,
			fixed.src_y >> FRACTION_BITS);
}

/* Damages RECT (of FB) wherever the active VT shows FB. */
static void fb_damage(struct display *display, const struct fb *fb, const struct damage_rect *rect)
{
	const struct vt *vt = vt_find(&display->vts, display->vts.active);
	for (uint32_t i = 0; vt != NULL && i < LIMIT_CRTCS; i++) {
		const struct crtc_state *now = &vt->crtcs[i].now;
		if (now->fb != fb) {
			continue;
		}
		struct damage_rect moved = {rect->x1 - (int32_t)now->x, rect->y1 - (int32_t)now->y,
				rect->x2 - (int32_t)now->x, rect->y2 - (int32_t)now->y};
		present_damage(&display->present, i, &moved);
	}
}

/* Clips outside the framebuffer are cut off; an empty one does nothing. */
DRM_IOCTL_HANDLER(drm_dirty_fb)
{
	(void)request;
	struct drm_fixed_dirty fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	const struct fb *fb = fb_find(&card->display->fbs, fixed.fb_id);
	if (fb == NULL) {
		return -ENOENT;
	}
	const struct damage_rect whole = {0, 0, (int32_t)fb->width, (int32_t)fb->height};
	if (payload->counts[0] == 0) {
		fb_damage(card->display, fb, &whole);
	}
	for (uint32_t i = 0; i < payload->counts[0]; i++) {
		struct drm_fixed_clip clip;
		memcpy(&clip, payload->arrays[0] + i * sizeof(clip), sizeof(clip));
		struct damage_rect rect = {clip.x1, clip.y1, clip.x2, clip.y2};
		rect = damage_rect_intersect(&rect, &whole);
		if (!damage_rect_is_empty(&rect)) {
			fb_damage(card->display, fb, &rect);
		}
	}
	return 0;
}

/* Copies the cursor's picture out of its buffer: later changes of the buffer do not show. */
static int cursor_image(struct card *card, uint32_t index, const struct drm_fixed_cursor2 *fixed)
{
	struct display *display = card->display;
	const struct topology *topology = &display->kms.topology;
	if (fixed->handle == 0) {
		vt_set_cursor(&display->vts, card->vt, index, &(struct vt_cursor) {0});
		return 0;
	}
	const struct buffer *buffer = buffer_table_find(&card->buffers, fixed->handle);
	if (buffer == NULL) {
		return -ENOENT;
	}
	if (fixed->width == 0 || fixed->height == 0 || fixed->width > topology->cursor_width ||
			fixed->height > topology->cursor_height) {
		return -EINVAL;
	}
	size_t bytes = (size_t)fixed->width * fixed->height * BYTES_PER_PIXEL;
	if (bytes > buffer->bytes) {
		return -EINVAL;
	}
	struct vt_cursor cursor = {.image = malloc(bytes),
			.width = fixed->width,
			.height = fixed->height,
			.hot_x = fixed->hot_x,
			.hot_y = fixed->hot_y,
			.owner = card};
	if (cursor.image == NULL) {
		return -ENOMEM;
	}
	memcpy(cursor.image, buffer->memory, bytes);
	vt_set_cursor(&display->vts, card->vt, index, &cursor);
	return 0;
}

static int cursor_change(struct card *card, const struct drm_fixed_cursor2 *fixed)
{
	if (fixed->flags == 0 || (fixed->flags & ~(CURSOR_BO | CURSOR_MOVE)) != 0) {
		return -EINVAL;
	}
	int index = kms_crtc_find(&card->display->kms, fixed->crtc_id);
	if (index < 0) {
		return index;
	}
	if (fixed->flags & CURSOR_BO) {
		int error = cursor_image(card, (uint32_t)index, fixed);
		if (error != 0) {
			return error;
		}
	}
	if (fixed->flags & CURSOR_MOVE) {
		vt_move_cursor(&card->display->vts, card->vt, (uint32_t)index, fixed->x, fixed->y);
	}
	return 0;
}

DRM_IOCTL_HANDLER(drm_cursor)
{
	(void)request;
	struct drm_fixed_cursor fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	struct drm_fixed_cursor2 with_hotspot = {fixed.flags, fixed.crtc_id, fixed.x, fixed.y,
			fixed.width, fixed.height, fixed.handle, 0, 0};
	return cursor_change(card, &with_hotspot);
}

DRM_IOCTL_HANDLER(drm_cursor2)
{
	(void)request;
	struct drm_fixed_cursor2 fixed;
	fixed_get(payload, &fixed, sizeof(fixed));
	return cursor_change(card, &fixed);
}
