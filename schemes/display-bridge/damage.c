/*
 * Damage as a short list of rectangles. Invariant: no rectangle is empty, none contains another.
 * They may overlap: pixels sent twice cost less than cutting rectangles up, and DIRTYFB's clips
 * hardly ever overlap.
 */
#include "schemes/display-bridge/damage.h"

static int32_t min_i32(int32_t a, int32_t b)
{
	return a < b ? a : b;
}

static int32_t max_i32(int32_t a, int32_t b)
{
	return a > b ? a : b;
}

bool damage_rect_is_empty(const struct damage_rect *rect)
{
	return rect->x2 <= rect->x1 || rect->y2 <= rect->y1;
}

struct damage_rect damage_rect_intersect(const struct damage_rect *a, const struct damage_rect *b)
{
	return (struct damage_rect) {max_i32(a->x1, b->x1), max_i32(a->y1, b->y1),
			min_i32(a->x2, b->x2), min_i32(a->y2, b->y2)};
}

static struct damage_rect rect_join(const struct damage_rect *a, const struct damage_rect *b)
{
	return (struct damage_rect) {min_i32(a->x1, b->x1), min_i32(a->y1, b->y1),
			max_i32(a->x2, b->x2), max_i32(a->y2, b->y2)};
}

static bool rect_contains(const struct damage_rect *outer, const struct damage_rect *inner)
{
	return outer->x1 <= inner->x1 && outer->y1 <= inner->y1 && outer->x2 >= inner->x2 &&
			outer->y2 >= inner->y2;
}

void damage_clear(struct damage *damage)
{
	damage->count = 0;
}

void damage_add(struct damage *damage, const struct damage_rect *rect)
{
	if (damage_rect_is_empty(rect)) {
		return;
	}
	uint32_t kept = 0;
	for (uint32_t i = 0; i < damage->count; i++) {
		if (rect_contains(&damage->rects[i], rect)) {
			return;
		}
		if (!rect_contains(rect, &damage->rects[i])) {
			damage->rects[kept++] = damage->rects[i];
		}
	}
	damage->count = kept;
	if (kept < LIMIT_DAMAGE_RECTS) {
		damage->rects[damage->count++] = *rect;
		return;
	}
	struct damage_rect box = *rect;
	for (uint32_t i = 0; i < kept; i++) {
		box = rect_join(&box, &damage->rects[i]);
	}
	damage->rects[0] = box;
	damage->count = 1;
}

void damage_clip(struct damage *damage, const struct damage_rect *bounds)
{
	struct damage old = *damage;
	damage_clear(damage);
	for (uint32_t i = 0; i < old.count; i++) {
		struct damage_rect rect = damage_rect_intersect(&old.rects[i], bounds);
		damage_add(damage, &rect);
	}
}
