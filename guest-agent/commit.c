/*
 * Where the pixels of a commit go. Invariant: the position (rect, row_px, row_bytes) lies inside a
 * rectangle of the damage as long as bytes are missing, and every rectangle lies inside the mode,
 * of whose size the target is; so a span never leaves the target.
 *
 * Chunks may end in the middle of a pixel. The bytes of a broken pixel are kept aside until it is
 * whole, so that a cursor drawn and erased meanwhile does not mix with them.
 */
#include "guest-agent/commit.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define PIXEL_BYTES 4u

static int fault(const char **ret_fault, const char *text)
{
	*ret_fault = text;
	return -EBADMSG;
}

static int connectors_check(const struct bridge_commit *untrusted, uint16_t connectors,
		uint32_t *ret_connectors, const char **ret_fault)
{
	uint32_t set = 0;
	for (uint16_t i = 0; i < untrusted->connectors_count; i++) {
		uint16_t index = untrusted->connectors[i];
		if (index >= connectors) {
			return fault(ret_fault, "commit names a connector that does not exist");
		}
		if (set & (1u << index)) {
			return fault(ret_fault, "commit names a connector twice");
		}
		set |= 1u << index;
	}
	*ret_connectors = set;
	return 0;
}

static int damage_check(
		const struct bridge_commit *untrusted, uint64_t *ret_bytes, const char **ret_fault)
{
	uint64_t bytes = 0;
	for (uint16_t i = 0; i < untrusted->damage_count; i++) {
		const struct bridge_rect *rect = &untrusted->damage[i];
		const struct bridge_mode *mode = &untrusted->modes[0];
		if ((uint32_t)rect->x + rect->width > mode->hdisplay ||
				(uint32_t)rect->y + rect->height > mode->vdisplay) {
			return fault(ret_fault, "damage outside the mode");
		}
		bytes += (uint64_t)rect->width * rect->height * PIXEL_BYTES;
	}
	*ret_bytes = bytes;
	return 0;
}

int commit_begin(struct commit *commit, const struct bridge_commit *untrusted_message,
		uint16_t connectors, const char **ret_fault)
{
	assert(!commit->under_way);
	bool on = untrusted_message->connectors_count > 0;
	if (untrusted_message->modes_count != (on ? 1 : 0)) {
		return fault(ret_fault, "commit without the one mode that its connectors need");
	}
	if (!on && untrusted_message->damage_count > 0) {
		return fault(ret_fault, "damage on a CRTC that is off");
	}
	uint32_t set = 0;
	uint64_t bytes = 0;
	int error = connectors_check(untrusted_message, connectors, &set, ret_fault);
	if (!error) {
		error = damage_check(untrusted_message, &bytes, ret_fault);
	}
	if (error) {
		return error;
	}
	*commit = (struct commit) {
			.under_way = true,
			.id = untrusted_message->id,
			.state.connectors = set,
			.damage_count = untrusted_message->damage_count,
			.missing_bytes = bytes,
	};
	if (on) {
		commit->state.mode = untrusted_message->modes[0];
	}
	static_assert(sizeof(commit->damage) == sizeof(untrusted_message->damage),
			"as many rectangles as on the wire");
	memcpy(commit->damage, untrusted_message->damage,
			untrusted_message->damage_count * sizeof(commit->damage[0]));
	return 0;
}

void commit_set_target(struct commit *commit, const struct picture *target, int result)
{
	assert(commit->under_way && commit->rect == 0 && commit->row_px == 0 &&
			commit->row_bytes == 0);
	assert(!target ||
			(target->width_px == commit->state.mode.hdisplay &&
					target->height_px == commit->state.mode.vdisplay));
	commit->target = target;
	commit->result = result;
}

bool commit_is_complete(const struct commit *commit)
{
	return commit->under_way && commit->missing_bytes == 0;
}

static uint8_t *commit_place(const struct commit *commit)
{
	const struct bridge_rect *rect = &commit->damage[commit->rect];
	return (uint8_t *)picture_at(commit->target, rect->x + commit->row_bytes / PIXEL_BYTES,
			rect->y + commit->row_px);
}

uint8_t *commit_span(struct commit *commit, size_t *ret_bytes)
{
	assert(commit->under_way && commit->target && commit->missing_bytes > 0);
	size_t part = commit->row_bytes % PIXEL_BYTES;
	if (part != 0) {
		*ret_bytes = PIXEL_BYTES - part;
		return commit->pixel + part;
	}
	const struct bridge_rect *rect = &commit->damage[commit->rect];
	size_t row_bytes = (size_t)rect->width * PIXEL_BYTES;
	uint32_t rows = row_bytes == commit->target->stride_bytes ? rect->height - commit->row_px
								  : 1;
	*ret_bytes = row_bytes * rows - commit->row_bytes;
	return commit_place(commit);
}

size_t commit_advance(struct commit *commit, size_t bytes, struct box *ret_box)
{
	const struct bridge_rect *rect = &commit->damage[commit->rect];
	size_t row_bytes = (size_t)rect->width * PIXEL_BYTES;
	assert(bytes > 0 && bytes <= commit->missing_bytes);
	if (bytes > row_bytes - commit->row_bytes) {
		bytes = row_bytes - commit->row_bytes;
	}
	size_t before_px = commit->row_bytes / PIXEL_BYTES;
	size_t part = commit->row_bytes % PIXEL_BYTES;
	if (part != 0) {
		assert(bytes <= PIXEL_BYTES - part);
		if (part + bytes == PIXEL_BYTES) {
			memcpy(commit_place(commit), commit->pixel, PIXEL_BYTES);
		}
	}
	commit->row_bytes += (uint32_t)bytes;
	commit->missing_bytes -= bytes;
	size_t after_px = commit->row_bytes / PIXEL_BYTES;
	size_t rest = commit->row_bytes % PIXEL_BYTES;
	if (part == 0 && rest != 0) {
		memcpy(commit->pixel, commit_place(commit), rest);
	}
	*ret_box = (struct box) {
			.x1 = rect->x + (int32_t)before_px,
			.y1 = rect->y + (int32_t)commit->row_px,
			.x2 = rect->x + (int32_t)after_px,
			.y2 = rect->y + (int32_t)commit->row_px + 1,
	};
	if (commit->row_bytes == row_bytes) {
		commit->row_bytes = 0;
		commit->row_px++;
	}
	if (commit->row_px == rect->height) {
		commit->row_px = 0;
		commit->rect++;
	}
	return bytes;
}

void commit_skip(struct commit *commit, uint64_t bytes)
{
	assert(commit->under_way && !commit->target && bytes <= commit->missing_bytes);
	commit->missing_bytes -= bytes;
}

void commit_end(struct commit *commit)
{
	commit->under_way = false;
	commit->target = NULL;
}

bool crtc_state_equal(const struct crtc_state *a, const struct crtc_state *b)
{
	const struct bridge_mode *m = &a->mode;
	const struct bridge_mode *n = &b->mode;
	return a->connectors == b->connectors &&
			(a->connectors == 0 ||
					(m->clock == n->clock && m->hdisplay == n->hdisplay &&
							m->hsync_start == n->hsync_start &&
							m->hsync_end == n->hsync_end &&
							m->htotal == n->htotal &&
							m->hskew == n->hskew &&
							m->vdisplay == n->vdisplay &&
							m->vsync_start == n->vsync_start &&
							m->vsync_end == n->vsync_end &&
							m->vtotal == n->vtotal &&
							m->vscan == n->vscan &&
							m->flags == n->flags));
}
