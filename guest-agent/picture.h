/* Pixels in memory that somebody else owns (XRGB8888, rows of stride_bytes), and boxes on them. */
#ifndef GUEST_AGENT_PICTURE_H
#define GUEST_AGENT_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct picture {
	uint8_t *pixels; // aligned for uint32_t, as is each row
	uint32_t width_px;
	uint32_t height_px;
	uint32_t stride_bytes;
};

/* Half open: x2 and y2 are the first outside. */
struct box {
	int32_t x1, y1, x2, y2;
};

/* The pixel at X, Y, which must be inside. */
static inline uint32_t *picture_at(const struct picture *picture, uint32_t x, uint32_t y)
{
	return (uint32_t *)(void *)(picture->pixels + (size_t)y * picture->stride_bytes +
			(size_t)x * sizeof(uint32_t));
}

static inline bool box_is_empty(const struct box *box)
{
	return box->x1 >= box->x2 || box->y1 >= box->y2;
}

/* What A and B share; a box that box_is_empty() when that is nothing. */
static inline struct box box_intersect(const struct box *a, const struct box *b)
{
	return (struct box) {
			.x1 = a->x1 > b->x1 ? a->x1 : b->x1,
			.y1 = a->y1 > b->y1 ? a->y1 : b->y1,
			.x2 = a->x2 < b->x2 ? a->x2 : b->x2,
			.y2 = a->y2 < b->y2 ? a->y2 : b->y2,
	};
}

static inline struct box picture_box(const struct picture *picture)
{
	return (struct box) {
			.x2 = (int32_t)picture->width_px,
			.y2 = (int32_t)picture->height_px,
	};
}

#endif
