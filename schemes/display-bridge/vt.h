/*
 * The state of each virtual terminal: what its CRTCs show, its cursors, DPMS. The active VT's state
 * is what the monitors show; the others are recorded (redox-abi.md 4.6).
 *
 * Which VT is active is said by inputd. As long as inputd has said nothing (there is none, or
 * another display is selected), the VT that last had a picture set is active, and when its handles
 * close, the one before it.
 */
#ifndef DISPLAY_BRIDGE_VT_H
#define DISPLAY_BRIDGE_VT_H

#include <stdbool.h>
#include <stdint.h>
#include "common/limits.h"
#include "schemes/display-bridge/fb.h"
#include "schemes/display-bridge/kms.h"
#include "schemes/drm/drm_fixed.h"

struct card;
struct present;

#define VT_NONE UINT64_MAX

/* What one CRTC shows. */
struct crtc_state {
	struct fb *fb; // a reference; NULL: off
	uint32_t x, y; // left upper corner of the picture in fb
	struct drm_fixed_modeinfo mode;
	uint32_t connectors; // bit set of slots (kms.h)
};

struct vt_cursor {
	uint32_t *image; // width * height ARGB8888, owned; NULL: hidden
	uint32_t width, height;
	int32_t hot_x, hot_y;
	int32_t x, y;
	const struct card *owner; // who set the picture; it goes with him
};

struct vt_crtc {
	struct crtc_state now;
	struct crtc_state confirmed;       // what to go back to when the driver refuses "now"
	uint64_t serial, confirmed_serial; // of the newest change of "now"; equal: confirmed is now
	struct vt_cursor cursor;
};

struct vt {
	struct vt *next;
	uint64_t number;
	uint32_t handles;
	uint64_t used;           // rises with each picture set, for the choice without inputd
	uint8_t dpms[KMS_SLOTS]; // DRM_MODE_DPMS_*, by slot
	struct vt_crtc crtcs[LIMIT_CRTCS];
};

struct vts {
	struct kms *kms;         // borrowed
	struct fb_table *fbs;    // borrowed
	struct present *present; // borrowed
	struct vt *first;
	uint32_t count;
	uint64_t active; // number, or VT_NONE
	bool told;       // inputd has spoken
	uint64_t used;
	uint64_t serial; // of the newest change, of all VTs: a number is never used twice
};

void vts_init(struct vts *vts, struct kms *kms, struct fb_table *fbs, struct present *present);
void vts_finish(struct vts *vts);

/* A handle of VT NUMBER opens: its state, made when new. Returns 0, -ENOSPC above LIMIT_VTS,
 * -ENOMEM. */
int vt_open(struct vts *vts, uint64_t number, struct vt **ret_vt);

/* A handle closes, its framebuffers are gone; the last one takes the state along. */
void vt_close(struct vts *vts, struct vt *vt);

/* NULL when there is no state of that number. */
struct vt *vt_find(const struct vts *vts, uint64_t number);

bool vt_is_active(const struct vts *vts, const struct vt *vt);

/* inputd says that NUMBER is active now. */
void vt_activate(struct vts *vts, uint64_t number);

/*
 * Sets what CRTC INDEX shows (STATE is copied, a reference to its fb taken); connectors leave the
 * other CRTCs. Checked by the caller. The change is sent when the VT is active.
 */
void vt_set_crtc(struct vts *vts, struct vt *vt, uint32_t index, const struct crtc_state *state);

/* Shows another picture in the mode that is set: STATE differs from what is shown by fb, x and y
 * alone. */
void vt_flip(struct vts *vts, struct vt *vt, uint32_t index, const struct crtc_state *state);

/* The driver took or refused the state with SERIAL: keep it, or go back. */
void vt_confirm(struct vts *vts, struct vt *vt, uint32_t index, uint64_t serial);
void vt_refuse(struct vts *vts, struct vt *vt, uint32_t index, uint64_t serial);

/* FB is taken away by its owner: CRTCs that show it go off. */
void vt_drop_fb(struct vts *vts, struct fb *fb);

/* Whether a monitor should be lit: there is a framebuffer and a connector that is not switched off
 * by DPMS. */
bool vt_crtc_is_lit(const struct vt *vt, uint32_t index);

/* The CRTC of VT that drives the connector in SLOT, or -ENOENT. */
int vt_crtc_of_slot(const struct vt *vt, uint32_t slot);

void vt_set_dpms(struct vts *vts, struct vt *vt, uint32_t slot, uint8_t dpms);

/* Replaces the cursor's picture by that of CURSOR, whose image (NULL: hide) is taken; its position stays. */
void vt_set_cursor(struct vts *vts, struct vt *vt, uint32_t index, const struct vt_cursor *cursor);
/* Hides the cursors that OWNER has set. */
void vt_drop_cursors(struct vts *vts, struct vt *vt, const struct card *owner);
void vt_move_cursor(struct vts *vts, struct vt *vt, uint32_t index, int32_t x, int32_t y);

#endif
