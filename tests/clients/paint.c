/* Shapes by their distance: a pixel is covered as far as its centre lies inside. */
#include "tests/clients/paint.h"

#include <math.h>

struct area {
	int x1, y1, x2, y2; // px, x2 and y2 not included
};

static float clamp01(float value)
{
	return fminf(fmaxf(value, 0.0f), 1.0f);
}

static float mix(float from, float to, float part)
{
	return from + (to - from) * part;
}

static uint32_t channel_mix(uint32_t from, uint32_t to, unsigned shift, float part)
{
	float value = mix((float)(from >> shift & 0xFF), (float)(to >> shift & 0xFF), part);
	return (uint32_t)lrintf(value) << shift;
}

static uint32_t rgb_mix(uint32_t from, uint32_t to, float part)
{
	return channel_mix(from, to, 16, part) | channel_mix(from, to, 8, part) |
			channel_mix(from, to, 0, part);
}

void paint_pixel(const struct canvas *canvas, int x, int y, uint32_t rgb, float alpha)
{
	if (alpha > 0.0f && x >= 0 && y >= 0 && x < canvas->width_px && y < canvas->height_px) {
		uint32_t *pixel = canvas_at(canvas, x, y);
		*pixel = rgb_mix(*pixel, rgb, fminf(alpha, 1.0f));
	}
}

/* The pixels that a box with a margin touches, inside the canvas. */
static struct area area_around(
		const struct canvas *canvas, const struct paint_box *box, float margin_px)
{
	struct area area = {(int)floorf(box->x - margin_px), (int)floorf(box->y - margin_px),
			(int)ceilf(box->x + box->width + margin_px),
			(int)ceilf(box->y + box->height + margin_px)};
	area.x1 = area.x1 < 0 ? 0 : area.x1;
	area.y1 = area.y1 < 0 ? 0 : area.y1;
	area.x2 = area.x2 > canvas->width_px ? canvas->width_px : area.x2;
	area.y2 = area.y2 > canvas->height_px ? canvas->height_px : area.y2;
	return area;
}

/* Distance of the centre of pixel X, Y to the box with round corners; negative inside. */
static float box_distance(const struct paint_box *box, float radius_px, int x, int y)
{
	float dx = fabsf((float)x + 0.5f - box->x - box->width / 2) - box->width / 2 + radius_px;
	float dy = fabsf((float)y + 0.5f - box->y - box->height / 2) - box->height / 2 + radius_px;
	return fminf(fmaxf(dx, dy), 0.0f) + hypotf(fmaxf(dx, 0.0f), fmaxf(dy, 0.0f)) - radius_px;
}

void paint_panel(const struct canvas *canvas, const struct paint_box *box, float radius_px,
		uint32_t top, uint32_t bottom, float alpha)
{
	struct area area = area_around(canvas, box, 1.0f);
	for (int y = area.y1; y < area.y2; y++) {
		uint32_t rgb = rgb_mix(
				top, bottom, clamp01(((float)y + 0.5f - box->y) / box->height));
		for (int x = area.x1; x < area.x2; x++) {
			paint_pixel(canvas, x, y, rgb,
					alpha * clamp01(0.5f - box_distance(box, radius_px, x, y)));
		}
	}
}

void paint_frame(const struct canvas *canvas, const struct paint_box *box, float radius_px,
		float width_px, uint32_t rgb, float alpha)
{
	struct area area = area_around(canvas, box, 1.0f);
	for (int y = area.y1; y < area.y2; y++) {
		for (int x = area.x1; x < area.x2; x++) {
			float distance = box_distance(box, radius_px, x, y);
			float cover = clamp01(0.5f - distance) -
					clamp01(0.5f - distance - width_px);
			paint_pixel(canvas, x, y, rgb, alpha * cover);
		}
	}
}

void paint_shadow(const struct canvas *canvas, const struct paint_box *box, float radius_px,
		float blur_px, float alpha)
{
	struct area area = area_around(canvas, box, blur_px);
	for (int y = area.y1; y < area.y2; y++) {
		for (int x = area.x1; x < area.x2; x++) {
			float near = clamp01(
					0.5f - box_distance(box, radius_px, x, y) / (2 * blur_px));
			paint_pixel(canvas, x, y, 0x05030C, alpha * near * near * (3 - 2 * near));
		}
	}
}

void paint_line(const struct canvas *canvas, float x1, float y1, float x2, float y2, float width_px,
		uint32_t rgb, float alpha)
{
	struct paint_box box = {fminf(x1, x2), fminf(y1, y2), fabsf(x2 - x1), fabsf(y2 - y1)};
	struct area area = area_around(canvas, &box, width_px / 2 + 1);
	float dx = x2 - x1;
	float dy = y2 - y1;
	float length2 = fmaxf(dx * dx + dy * dy, 1e-6f);
	for (int y = area.y1; y < area.y2; y++) {
		for (int x = area.x1; x < area.x2; x++) {
			float px = (float)x + 0.5f - x1;
			float py = (float)y + 0.5f - y1;
			float part = clamp01((px * dx + py * dy) / length2);
			float distance = hypotf(px - part * dx, py - part * dy);
			paint_pixel(canvas, x, y, rgb,
					alpha * clamp01(0.5f + width_px / 2 - distance));
		}
	}
}

void paint_disc(const struct canvas *canvas, float x, float y, float radius_px, uint32_t rgb,
		float alpha)
{
	paint_line(canvas, x, y, x, y, 2 * radius_px, rgb, alpha);
}
