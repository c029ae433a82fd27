/* Stands in until the desktop is painted. */
#include "tests/clients/scene.h"

void scene_desktop(const struct canvas *canvas)
{
	for (int y = 0; y < canvas->height_px; y++) {
		for (int x = 0; x < canvas->width_px; x++) {
			*canvas_at(canvas, x, y) = (uint32_t)(x * 255 / canvas->width_px) << 16 |
					(uint32_t)(y * 255 / canvas->height_px) << 8 | 0x60u;
		}
	}
}
