/* A rectangle of XRGB8888 pixels that somebody else owns. */
#ifndef TESTS_CLIENTS_CANVAS_H
#define TESTS_CLIENTS_CANVAS_H

#include <stddef.h>
#include <stdint.h>

struct canvas {
	uint32_t *pixels; // borrowed
	size_t stride_px;
	int width_px;
	int height_px;
};

struct canvas_box {
	int x, y, width, height; // px
};

/* The pixel at X, Y, which must be inside. */
static inline uint32_t *canvas_at(const struct canvas *canvas, int x, int y)
{
	return canvas->pixels + (size_t)y * canvas->stride_px + (size_t)x;
}

/* Fills BOX, which must lie inside, with noise: the same seed and size give the same pixels
 * anywhere. */
void canvas_noise(const struct canvas *canvas, const struct canvas_box *box, uint64_t seed);

/* Writes the canvas as an RGB PNG file. Returns 0 or a negative errno; no half file is left. */
int canvas_save(const struct canvas *canvas, const char *path);

#endif
