#include "clients/picture.h"

#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t noise_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

void picture_noise(struct picture *picture, uint32_t x, uint32_t y, uint32_t width, uint32_t height,
		uint64_t seed)
{
	uint64_t state = seed * 0x9E3779B97F4A7C15u + 0x123456789u;
	for (uint32_t row = y; row < y + height && row < picture->height; row++) {
		for (uint32_t column = x; column < x + width && column < picture->width; column++) {
			picture->pixels[(size_t)row * picture->stride_px + column] =
					(uint32_t)(noise_next(&state) >> 32);
		}
	}
}

static uint32_t blend_channel(uint32_t source, uint32_t below, uint32_t alpha, unsigned shift)
{
	uint32_t s = (source >> shift) & 0xFF;
	uint32_t b = (below >> shift) & 0xFF;
	uint32_t sum = s + (b * (255 - alpha) + 127) / 255;
	return (sum > 255 ? 255 : sum) << shift;
}

static uint32_t blend(uint32_t source, uint32_t below)
{
	uint32_t alpha = source >> 24;
	return blend_channel(source, below, alpha, 16) | blend_channel(source, below, alpha, 8) |
			blend_channel(source, below, alpha, 0);
}

void picture_blend(struct picture *picture, const struct picture *cursor, int32_t x, int32_t y)
{
	for (int32_t row = 0; row < (int32_t)cursor->height; row++) {
		for (int32_t column = 0; column < (int32_t)cursor->width; column++) {
			int64_t at_x = (int64_t)x + column;
			int64_t at_y = (int64_t)y + row;
			if (at_x < 0 || at_y < 0 || at_x >= picture->width ||
					at_y >= picture->height) {
				continue;
			}
			uint32_t *below = &picture->pixels[(size_t)at_y * picture->stride_px +
					(size_t)at_x];
			*below = blend(cursor->pixels[(size_t)row * cursor->stride_px +
						       (size_t)column],
					*below);
		}
	}
}

int picture_save(const struct picture *picture, const char *path)
{
	png_image image = {.version = PNG_IMAGE_VERSION,
			.width = picture->width,
			.height = picture->height,
			.format = PNG_FORMAT_RGB};
	uint8_t *rgb = malloc((size_t)picture->width * picture->height * 3);
	if (rgb == NULL) {
		return -ENOMEM;
	}
	uint8_t *out = rgb;
	for (uint32_t y = 0; y < picture->height; y++) {
		for (uint32_t x = 0; x < picture->width; x++) {
			uint32_t pixel = picture->pixels[(size_t)y * picture->stride_px + x];
			*out++ = (uint8_t)(pixel >> 16);
			*out++ = (uint8_t)(pixel >> 8);
			*out++ = (uint8_t)pixel;
		}
	}
	int written = png_image_write_to_file(&image, path, 0, rgb, 0, NULL);
	free(rgb);
	return written ? 0 : -EIO;
}
