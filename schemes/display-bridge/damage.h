/*
 * Damage: which rectangles of a CRTC or framebuffer changed. A small set that stays small: more
 * than LIMIT_DAMAGE_RECTS rectangles become one box.
 */
#ifndef DISPLAY_BRIDGE_DAMAGE_H
#define DISPLAY_BRIDGE_DAMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include "common/limits.h"

/* Pixels x1 <= x < x2, y1 <= y < y2; empty when x2 <= x1 or y2 <= y1. */
struct damage_rect {
	int32_t x1, y1, x2, y2;
};

struct damage {
	uint32_t count;
	struct damage_rect rects[LIMIT_DAMAGE_RECTS]; // none of them empty
};

bool damage_rect_is_empty(const struct damage_rect *rect);

/* The part of A inside B; may be empty. */
struct damage_rect damage_rect_intersect(const struct damage_rect *a, const struct damage_rect *b);

/* Forgets everything. */
void damage_clear(struct damage *damage);

/* Adds RECT; an empty one, or one that is covered already, changes nothing. */
void damage_add(struct damage *damage, const struct damage_rect *rect);

/* Drops what lies outside BOUNDS. */
void damage_clip(struct damage *damage, const struct damage_rect *bounds);

#endif
