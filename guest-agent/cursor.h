/*
 * A cursor composed into the scan-out picture, for CRTCs without a cursor plane: the pixels below
 * it are saved, the image is blended over them.
 */
#ifndef GUEST_AGENT_CURSOR_H
#define GUEST_AGENT_CURSOR_H

#include "common/limits.h"
#include "guest-agent/picture.h"

struct cursor_image {
	uint16_t width_px; // 0: there is no image
	uint16_t height_px;
	int32_t hot_x;
	int32_t hot_y;
	uint32_t pixels[LIMIT_CURSOR_PX *
			LIMIT_CURSOR_PX]; // premultiplied ARGB8888, rows of width_px
};

/* A zeroed one is a cursor that is not drawn. */
struct cursor {
	struct cursor_image image; // what is drawn, or was last
	int32_t x;                 // left edge of the image on the picture, may be outside
	int32_t y;
	struct box drawn; // which pixels of the picture it covers; empty when it is not drawn
	uint32_t under[LIMIT_CURSOR_PX *
			LIMIT_CURSOR_PX]; // the client's pixels there, placed as in image
};

/* Copies FROM, its pixels as far as they are used. */
void cursor_image_copy(struct cursor_image *image, const struct cursor_image *from);

/* Draws the cursor's image with its left upper corner at X, Y. It must not be drawn. */
void cursor_draw(struct cursor *cursor, const struct picture *picture, int32_t x, int32_t y);

/* Puts the client's pixels back. Nothing happens when it is not drawn. */
void cursor_erase(struct cursor *cursor, const struct picture *picture);

/* The client's pixels of BOX were just written to the picture, over the cursor: blends it again
 * where it covers them. */
void cursor_repair(struct cursor *cursor, const struct picture *picture, const struct box *box);

/* The picture that it was drawn on is gone. */
void cursor_forget(struct cursor *cursor);

/* The premultiplied SOURCE over UNDER: each channel source + under * (255 - alpha) / 255, rounded
 * to nearest, at most 255. */
uint32_t cursor_blend(uint32_t source, uint32_t under);

#endif
