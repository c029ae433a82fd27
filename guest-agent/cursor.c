/*
 * The composed cursor. Invariant: with the cursor drawn, `under` holds what the client wants to see
 * in the box `drawn`, and the picture holds the blend of the image over it. Whoever writes client
 * pixels into the picture calls cursor_repair() for them before anything else happens to the
 * cursor, so erasing it never brings back old pixels.
 */
#include "guest-agent/cursor.h"

#include <assert.h>
#include <string.h>

static uint32_t channel_blend(uint32_t source, uint32_t under, uint32_t alpha, uint32_t shift)
{
	uint32_t top = (source >> shift) & 0xff;
	uint32_t below = (under >> shift) & 0xff;
	uint32_t sum = top + (below * (255 - alpha) + 127) / 255;
	return (sum > 255 ? 255 : sum) << shift;
}

uint32_t cursor_blend(uint32_t source, uint32_t under)
{
	uint32_t alpha = source >> 24;
	return (under & 0xff000000u) | channel_blend(source, under, alpha, 16) |
			channel_blend(source, under, alpha, 8) |
			channel_blend(source, under, alpha, 0);
}

void cursor_image_copy(struct cursor_image *image, const struct cursor_image *from)
{
	image->width_px = from->width_px;
	image->height_px = from->height_px;
	image->hot_x = from->hot_x;
	image->hot_y = from->hot_y;
	memcpy(image->pixels, from->pixels,
			(size_t)from->width_px * from->height_px * sizeof(image->pixels[0]));
}

/* Where in image and under the picture's column 0 of row Y would be; only used with columns that
 * are covered. */
static size_t cursor_index(const struct cursor *cursor, int32_t x, int32_t y)
{
	return (size_t)(y - cursor->y) * cursor->image.width_px + (size_t)(x - cursor->x);
}

void cursor_repair(struct cursor *cursor, const struct picture *picture, const struct box *box)
{
	struct box both = box_intersect(box, &cursor->drawn);
	if (box_is_empty(&both)) {
		return;
	}
	for (int32_t y = both.y1; y < both.y2; y++) {
		uint32_t *pixel = picture_at(picture, (uint32_t)both.x1, (uint32_t)y);
		size_t index = cursor_index(cursor, both.x1, y);
		for (int32_t x = both.x1; x < both.x2; x++, pixel++, index++) {
			cursor->under[index] = *pixel;
			*pixel = cursor_blend(cursor->image.pixels[index], *pixel);
		}
	}
}

void cursor_draw(struct cursor *cursor, const struct picture *picture, int32_t x, int32_t y)
{
	assert(box_is_empty(&cursor->drawn));
	struct box image = {x, y, x + cursor->image.width_px, y + cursor->image.height_px};
	struct box whole = picture_box(picture);
	cursor->x = x;
	cursor->y = y;
	cursor->drawn = box_intersect(&image, &whole);
	cursor_repair(cursor, picture, &cursor->drawn);
}

void cursor_erase(struct cursor *cursor, const struct picture *picture)
{
	const struct box *box = &cursor->drawn;
	if (box_is_empty(box)) {
		cursor_forget(cursor);
		return;
	}
	size_t row_bytes = (size_t)(box->x2 - box->x1) * sizeof(uint32_t);
	for (int32_t y = box->y1; y < box->y2; y++) {
		memcpy(picture_at(picture, (uint32_t)box->x1, (uint32_t)y),
				&cursor->under[cursor_index(cursor, box->x1, y)], row_bytes);
	}
	cursor_forget(cursor);
}

void cursor_forget(struct cursor *cursor)
{
	cursor->drawn = (struct box) {0};
}
