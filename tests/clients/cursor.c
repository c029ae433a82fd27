/* The cursor's picture and how it covers what is under it. */
#include "tests/clients/cursor.h"

#include <math.h>

struct point {
	double x, y; // px
};

/* The arrow's outline, clockwise from the tip. */
static const struct point outline[] = {{1.0, 1.0}, {1.0, 19.5}, {5.6, 15.4}, {8.6, 22.2},
		{11.8, 20.8}, {8.9, 14.2}, {15.0, 14.2}};
#define OUTLINE_COUNT (sizeof(outline) / sizeof(outline[0]))

static double segment_distance(struct point p, struct point a, struct point b)
{
	double dx = b.x - a.x;
	double dy = b.y - a.y;
	double t = ((p.x - a.x) * dx + (p.y - a.y) * dy) / (dx * dx + dy * dy);
	t = fmin(fmax(t, 0.0), 1.0);
	return hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
}

/* Distance to the outline, negative inside. */
static double arrow_distance(double x, double y)
{
	struct point p = {x, y};
	double distance = 1e9;
	int inside = 0;
	for (size_t i = 0, j = OUTLINE_COUNT - 1; i < OUTLINE_COUNT; j = i++) {
		struct point a = outline[i];
		struct point b = outline[j];
		distance = fmin(distance, segment_distance(p, a, b));
		if ((a.y > y) != (b.y > y) && x < (b.x - a.x) * (y - a.y) / (b.y - a.y) + a.x) {
			inside = !inside;
		}
	}
	return inside ? -distance : distance;
}

static double clamp01(double value)
{
	return fmin(fmax(value, 0.0), 1.0);
}

static uint32_t cursor_pixel(double x, double y)
{
	double distance = arrow_distance(x, y);
	double rim = clamp01(0.5 + 1.0 - distance); // one pixel of dark rim
	double body = clamp01(0.5 - distance);
	double shadow = 0.35 * clamp01(1.0 - (arrow_distance(x - 1.5, y - 2.5) + 1.0) / 5.0);
	double alpha = rim + (1.0 - rim) * shadow;
	uint32_t light = (uint32_t)lround(body * rim * 255.0);
	uint32_t a = (uint32_t)lround(alpha * 255.0);
	light = light > a ? a : light;
	return a << 24 | light << 16 | light << 8 | light;
}

void cursor_paint(const struct canvas *canvas)
{
	for (int y = 0; y < canvas->height_px; y++) {
		for (int x = 0; x < canvas->width_px; x++) {
			*canvas_at(canvas, x, y) = cursor_pixel(x + 0.5, y + 0.5);
		}
	}
}

static uint32_t channel_over(uint32_t source, uint32_t under, unsigned shift)
{
	uint32_t rest = 255 - (source >> 24);
	uint32_t sum = ((source >> shift) & 0xFF) + (((under >> shift) & 0xFF) * rest + 127) / 255;
	return (sum > 255 ? 255 : sum) << shift;
}

uint32_t cursor_over(uint32_t source, uint32_t under)
{
	return channel_over(source, under, 16) | channel_over(source, under, 8) |
			channel_over(source, under, 0);
}
