/* Antialiased shapes and text on a canvas. Coordinates are pixels, as floats: 0, 0 is the outer
 * corner of the first pixel. */
#ifndef TESTS_CLIENTS_PAINT_H
#define TESTS_CLIENTS_PAINT_H

#include <stdint.h>

#include "tests/clients/canvas.h"

struct paint_box {
	float x, y, width, height; // px
};

/* RGB over the pixel at X, Y; outside nothing happens. */
void paint_pixel(const struct canvas *canvas, int x, int y, uint32_t rgb, float alpha);

/* A rectangle with round corners whose colour runs from TOP to BOTTOM. */
void paint_panel(const struct canvas *canvas, const struct paint_box *box, float radius_px,
		uint32_t top, uint32_t bottom, float alpha);

/* The outline of such a rectangle, WIDTH pixels wide, inside of it. */
void paint_frame(const struct canvas *canvas, const struct paint_box *box, float radius_px,
		float width_px, uint32_t rgb, float alpha);

/* The soft shadow of such a rectangle, fading out over BLUR pixels. */
void paint_shadow(const struct canvas *canvas, const struct paint_box *box, float radius_px,
		float blur_px, float alpha);

/* A line with round ends. */
void paint_line(const struct canvas *canvas, float x1, float y1, float x2, float y2, float width_px,
		uint32_t rgb, float alpha);

void paint_disc(const struct canvas *canvas, float x, float y, float radius_px, uint32_t rgb,
		float alpha);

/* TEXT with its baseline's left end at X, Y; SIZE is the height of a capital letter. WEIGHT: width
 * of a stroke in parts of the size, about 0.11. Returns the width. Only printable ASCII; the rest
 * is left out. */
float paint_text(const struct canvas *canvas, float x, float y, float size_px, float weight,
		uint32_t rgb, const char *text);

float paint_text_width(float size_px, const char *text);

#endif
