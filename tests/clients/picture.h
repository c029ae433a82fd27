/* Pixels in memory, what the client draws into them, and a PNG of them. */
#ifndef TESTS_CLIENTS_PICTURE_H
#define TESTS_CLIENTS_PICTURE_H

#include <stdint.h>

struct picture {
	uint32_t *pixels; // borrowed; XRGB8888, a cursor: premultiplied ARGB8888
	uint32_t width, height, stride_px;
};

/* Fills a rectangle, clipped to the picture, with noise: the same seed gives the same pixels. */
void picture_noise(struct picture *picture, uint32_t x, uint32_t y, uint32_t width, uint32_t height,
		uint64_t seed);

/*
 * Blends CURSOR over PICTURE with its left upper corner at (X, Y), which may be outside: source + picture * (255 - alpha) / 255, rounded to nearest,
 * as guest-agent composes it.
 */
void picture_blend(struct picture *picture, const struct picture *cursor, int32_t x, int32_t y);

/* Writes an RGB PNG. Returns 0 or a negative errno. */
int picture_save(const struct picture *picture, const char *path);

#endif
