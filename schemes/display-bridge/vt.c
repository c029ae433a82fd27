/*
 * Virtual terminals. Invariant: every fb in a state is a reference; a change of the active VT's
 * state reaches present.c in the same call, a change of another VT's state reaches nobody.
 */
#include "schemes/display-bridge/vt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schemes/display-bridge/present.h"

#define DPMS_ON 0

void vts_init(struct vts *vts, struct kms *kms, struct fb_table *fbs, struct present *present)
{
	*vts = (struct vts) {.kms = kms, .fbs = fbs, .present = present, .active = VT_NONE};
}

/* Makes TO a copy of FROM (NULL: off) with a reference of its own. */
static void state_set(struct vts *vts, struct crtc_state *to, const struct crtc_state *from)
{
	struct fb *old = to->fb;
	if (from != NULL && from->fb != NULL) {
		fb_ref(from->fb);
		*to = *from;
	} else {
		*to = (struct crtc_state) {0};
	}
	fb_unref(vts->fbs, old);
}

static void vt_destroy(struct vts *vts, struct vt *vt)
{
	for (uint32_t i = 0; i < LIMIT_CRTCS; i++) {
		state_set(vts, &vt->crtcs[i].now, NULL);
		state_set(vts, &vt->crtcs[i].confirmed, NULL);
		free(vt->crtcs[i].cursor.image);
	}
	free(vt);
}

void vts_finish(struct vts *vts)
{
	while (vts->first != NULL) {
		struct vt *vt = vts->first;
		vts->first = vt->next;
		vt_destroy(vts, vt);
	}
}

struct vt *vt_find(const struct vts *vts, uint64_t number)
{
	struct vt *vt = vts->first;
	while (vt != NULL && vt->number != number) {
		vt = vt->next;
	}
	return vt;
}

bool vt_is_active(const struct vts *vts, const struct vt *vt)
{
	return vt->number == vts->active;
}

int vt_open(struct vts *vts, uint64_t number, struct vt **ret_vt)
{
	struct vt *vt = vt_find(vts, number);
	if (vt == NULL) {
		if (vts->count >= LIMIT_VTS) {
			return -ENOSPC;
		}
		vt = calloc(1, sizeof(*vt));
		if (vt == NULL) {
			return -ENOMEM;
		}
		vt->number = number;
		vt->next = vts->first;
		vts->first = vt;
		vts->count++;
	}
	vt->handles++;
	*ret_vt = vt;
	return 0;
}

static void active_set(struct vts *vts, uint64_t number)
{
	if (vts->active != number) {
		vts->active = number;
		present_all(vts->present);
	}
}

/* Without inputd: the VT with the latest picture. */
static void active_choose(struct vts *vts)
{
	const struct vt *best = NULL;
	for (const struct vt *vt = vts->first; vt != NULL; vt = vt->next) {
		if (vt->used > 0 && (best == NULL || vt->used > best->used)) {
			best = vt;
		}
	}
	active_set(vts, best != NULL ? best->number : VT_NONE);
}

void vt_close(struct vts *vts, struct vt *vt)
{
	if (--vt->handles > 0) {
		return;
	}
	struct vt **at = &vts->first;
	while (*at != vt) {
		at = &(*at)->next;
	}
	*at = vt->next;
	vts->count--;
	bool was_active = vt_is_active(vts, vt);
	vt_destroy(vts, vt);
	if (was_active) {
		if (vts->told) {
			present_all(vts->present);
		} else {
			active_choose(vts);
		}
	}
}

void vt_activate(struct vts *vts, uint64_t number)
{
	vts->told = true;
	active_set(vts, number);
}

/* A state of CRTC INDEX was changed in place. */
static void crtc_changed(struct vts *vts, struct vt *vt, uint32_t index)
{
	vt->crtcs[index].serial = ++vts->serial;
	if (vt_is_active(vts, vt)) {
		present_crtc_state(vts->present, index);
	}
}

/* CRTC INDEX loses the connectors in SLOTS; without any it goes off. */
static void connectors_take(struct vts *vts, struct vt *vt, uint32_t index, uint32_t slots)
{
	struct crtc_state *now = &vt->crtcs[index].now;
	if (now->fb == NULL || (now->connectors & slots) == 0) {
		return;
	}
	now->connectors &= ~slots;
	if (now->connectors == 0) {
		state_set(vts, now, NULL);
	}
	crtc_changed(vts, vt, index);
}

void vt_set_crtc(struct vts *vts, struct vt *vt, uint32_t index, const struct crtc_state *state)
{
	struct fb *fb = state->fb != NULL ? fb_ref(state->fb) : NULL; // may live by a CRTC alone
	for (uint32_t i = 0; i < LIMIT_CRTCS; i++) {
		if (i != index) {
			connectors_take(vts, vt, i, state->connectors);
		}
	}
	state_set(vts, &vt->crtcs[index].now, state);
	fb_unref(vts->fbs, fb);
	if (state->fb != NULL) {
		for (uint32_t slot = 0; slot < KMS_SLOTS; slot++) {
			if ((state->connectors & 1u << slot) != 0) {
				vt->dpms[slot] = DPMS_ON;
			}
		}
		vt->used = ++vts->used;
	}
	crtc_changed(vts, vt, index);
	if (state->fb != NULL && !vts->told) {
		active_set(vts, vt->number);
	}
}

void vt_flip(struct vts *vts, struct vt *vt, uint32_t index, const struct crtc_state *state)
{
	state_set(vts, &vt->crtcs[index].now, state);
	crtc_changed(vts, vt, index);
}

void vt_confirm(struct vts *vts, struct vt *vt, uint32_t index, uint64_t serial)
{
	struct vt_crtc *crtc = &vt->crtcs[index];
	if (crtc->serial == serial) {
		state_set(vts, &crtc->confirmed, &crtc->now);
		crtc->confirmed_serial = serial;
	}
}

void vt_refuse(struct vts *vts, struct vt *vt, uint32_t index, uint64_t serial)
{
	struct vt_crtc *crtc = &vt->crtcs[index];
	if (crtc->serial != serial || crtc->confirmed_serial == serial) {
		return;
	}
	state_set(vts, &crtc->now, &crtc->confirmed);
	crtc_changed(vts, vt, index);
	crtc->confirmed_serial = crtc->serial;
}

void vt_drop_fb(struct vts *vts, struct fb *fb)
{
	for (struct vt *vt = vts->first; vt != NULL; vt = vt->next) {
		for (uint32_t i = 0; i < LIMIT_CRTCS; i++) {
			struct vt_crtc *crtc = &vt->crtcs[i];
			if (crtc->confirmed.fb == fb) {
				state_set(vts, &crtc->confirmed, NULL);
			}
			if (crtc->now.fb == fb) {
				state_set(vts, &crtc->now, NULL);
				crtc_changed(vts, vt, i);
			}
		}
	}
}

bool vt_crtc_is_lit(const struct vt *vt, uint32_t index)
{
	const struct crtc_state *now = &vt->crtcs[index].now;
	for (uint32_t slot = 0; now->fb != NULL && slot < KMS_SLOTS; slot++) {
		if ((now->connectors & 1u << slot) != 0 && vt->dpms[slot] == DPMS_ON) {
			return true;
		}
	}
	return false;
}

int vt_crtc_of_slot(const struct vt *vt, uint32_t slot)
{
	for (uint32_t i = 0; i < LIMIT_CRTCS; i++) {
		const struct crtc_state *now = &vt->crtcs[i].now;
		if (now->fb != NULL && (now->connectors & 1u << slot) != 0) {
			return (int)i;
		}
	}
	return -ENOENT;
}

void vt_set_dpms(struct vts *vts, struct vt *vt, uint32_t slot, uint8_t dpms)
{
	if (vt->dpms[slot] == dpms) {
		return;
	}
	vt->dpms[slot] = dpms;
	int index = vt_crtc_of_slot(vt, slot);
	if (index >= 0 && vt_is_active(vts, vt)) {
		present_crtc_state(vts->present, (uint32_t)index);
	}
}

void vt_set_cursor(struct vts *vts, struct vt *vt, uint32_t index, const struct vt_cursor *cursor)
{
	struct vt_cursor *now = &vt->crtcs[index].cursor;
	struct vt_cursor old = *now;
	*now = *cursor;
	now->x = old.x;
	now->y = old.y;
	free(old.image);
	if (vt_is_active(vts, vt)) {
		present_cursor(vts->present, index, true);
	}
}

void vt_drop_cursors(struct vts *vts, struct vt *vt, const struct card *owner)
{
	static const struct vt_cursor hidden;
	for (uint32_t i = 0; i < LIMIT_CRTCS; i++) {
		if (vt->crtcs[i].cursor.image != NULL && vt->crtcs[i].cursor.owner == owner) {
			vt_set_cursor(vts, vt, i, &hidden);
		}
	}
}

void vt_move_cursor(struct vts *vts, struct vt *vt, uint32_t index, int32_t x, int32_t y)
{
	struct vt_cursor *cursor = &vt->crtcs[index].cursor;
	cursor->x = x;
	cursor->y = y;
	if (vt_is_active(vts, vt)) {
		present_cursor(vts->present, index, false);
	}
}
