#include "clients/scene.h"

#include <stddef.h>

void scene_desktop(struct picture *picture)
{
	for (uint32_t y = 0; y < picture->height; y++) {
		for (uint32_t x = 0; x < picture->width; x++) {
			picture->pixels[(size_t)y * picture->stride_px + x] =
					(x * 255 / picture->width) << 16 |
					(y * 255 / picture->height);
		}
	}
}

void scene_cursor(struct picture *cursor)
{
	for (uint32_t y = 0; y < cursor->height; y++) {
		for (uint32_t x = 0; x < cursor->width; x++) {
			uint32_t alpha = x + y < cursor->height ? 255 - (x + y) * 2 : 0;
			cursor->pixels[(size_t)y * cursor->stride_px + x] =
					alpha << 24 | (alpha / 2) << 16 | alpha << 8 | alpha / 3;
		}
	}
}
