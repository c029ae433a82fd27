/* Noise that a comparison cannot mistake for anything else, and files to compare with. */
#include "tests/clients/canvas.h"

#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The INDEX-th number of the sequence SEED (splitmix64's mixing function). */
static uint64_t noise_at(uint64_t seed, uint64_t index)
{
	uint64_t z = seed + (index + 1) * UINT64_C(0x9E3779B97F4A7C15);
	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

void canvas_noise(const struct canvas *canvas, const struct canvas_box *box, uint64_t seed)
{
	uint64_t index = 0;
	for (int y = box->y; y < box->y + box->height; y++) {
		uint32_t *pixel = canvas_at(canvas, box->x, y);
		for (int x = 0; x < box->width; x++) {
			*pixel++ = (uint32_t)noise_at(seed, index++) & 0xFFFFFFu;
		}
	}
}

/* libpng wants its image in one piece; rows without the unused byte. */
static int save_rows(const struct canvas *canvas, const char *path)
{
	png_image image = {.version = PNG_IMAGE_VERSION,
			.width = (png_uint_32)canvas->width_px,
			.height = (png_uint_32)canvas->height_px,
			.format = PNG_FORMAT_RGB,
			.flags = PNG_IMAGE_FLAG_FAST};
	size_t row_bytes = (size_t)canvas->width_px * 3;
	uint8_t *rows = malloc(row_bytes * (size_t)canvas->height_px);
	if (rows == NULL) {
		return -ENOMEM;
	}
	uint8_t *to = rows;
	for (int y = 0; y < canvas->height_px; y++) {
		const uint32_t *from = canvas_at(canvas, 0, y);
		for (int x = 0; x < canvas->width_px; x++, from++) {
			*to++ = (uint8_t)(*from >> 16);
			*to++ = (uint8_t)(*from >> 8);
			*to++ = (uint8_t)*from;
		}
	}
	int good = png_image_write_to_file(&image, path, 0, rows, (png_int_32)row_bytes, NULL);
	free(rows);
	return good ? 0 : -EIO;
}

int canvas_save(const struct canvas *canvas, const char *path)
{
	char partial[4096];
	int length = snprintf(partial, sizeof(partial), "%s.partial", path);
	if (length < 0 || (size_t)length >= sizeof(partial)) {
		return -ENAMETOOLONG;
	}
	int error = save_rows(canvas, partial);
	if (error == 0 && rename(partial, path) != 0) {
		error = -errno;
	}
	if (error != 0) {
		unlink(partial);
	}
	return error;
}
