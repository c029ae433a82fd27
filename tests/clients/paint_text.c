/*
 * Text without a font file: each letter is a path of lines and quadratic curves, drawn with a round
 * pen. On the letters' grid a capital is 14 high, a small letter 10, y grows downwards, the
 * baseline is at 14.
 */
#include "tests/clients/paint.h"

#include <math.h>
#include <stdlib.h>

#define GRID_HEIGHT  14.0f
#define CURVE_STEPS  8
#define GAP          2.3f // between letters
#define SEGMENTS_MAX 96

struct glyph {
	float width;
	const char *path; // M x,y starts, L x,y is a line, Q x,y x,y a curve: control point, end
};

struct segment {
	float x1, y1, x2, y2;
};

struct outline {
	struct segment segments[SEGMENTS_MAX];
	int count;
};

static const struct glyph glyphs[] = {
		['!'] = {2, "M1,0 L1,9.6 M1,13.6 L1,13.7"},
		['"'] = {4, "M1,0 L1,4 M4,0 L4,4"},
		['#'] = {9, "M3,1 L2,13 M7.5,1 L6.5,13 M0.6,5 L9,5 M0,9.4 L8.4,9.4"},
		['$'] = {8,
				"M7,3.4 Q6,2 4,2 Q1,2 1,4.6 Q1,7 4,7.3 Q7.4,7.6 7.4,10 Q7.4,12.8 "
				"4,12.8 Q1.6,12.8 0.6,11 M4,0 L4,15"},
		['%'] = {11,
				"M10,0 L1,14 M2.6,0 Q4.6,0 4.6,3 Q4.6,6 2.6,6 Q0.6,6 0.6,3 Q0.6,0 "
				"2.6,0 M8.4,8 Q10.4,8 10.4,11 Q10.4,14 "
				"8.4,14 Q6.4,14 6.4,11 Q6.4,8 8.4,8"},
		['&'] = {10,
				"M10,14 L2.6,5 Q1.4,3.4 1.6,2 Q2,0 4,0 Q6.6,0 6.6,2.6 Q6.6,4.8 "
				"3.6,6.4 Q0.6,8 0.6,10.6 Q0.6,14 4,14 Q8.6,14 9,8"},
		['\''] = {2, "M1,0 L1,4"},
		['('] = {4, "M3.6,-1 Q0.6,2.4 0.6,7 Q0.6,11.6 3.6,15.6"},
		[')'] = {4, "M0.6,-1 Q3.6,2.4 3.6,7 Q3.6,11.6 0.6,15.6"},
		['*'] = {6, "M3,1 L3,7 M0.4,2.5 L5.6,5.5 M5.6,2.5 L0.4,5.5"},
		['+'] = {8, "M4,4 L4,12 M0,8 L8,8"},
		[','] = {2, "M1.2,13 L0.2,16.4"},
		['-'] = {5, "M0.4,8.6 L4.8,8.6"},
		['.'] = {2, "M1,13.6 L1,13.7"},
		['/'] = {6, "M6,-1 L0.4,15.4"},
		['0'] = {9, "M4.5,0 Q8.4,0 8.4,7 Q8.4,14 4.5,14 Q0.6,14 0.6,7 Q0.6,0 4.5,0"},
		['1'] = {5, "M0.6,3 L4,0 L4,14"},
		['2'] = {8, "M0.8,3.6 Q1.2,0 4.4,0 Q7.8,0 7.8,3.6 Q7.8,6 5,9 L0.8,14 L8,14"},
		['3'] = {8, "M0.8,0 L7.4,0 L3.8,5.4 Q8,5.4 8,9.6 Q8,14 4,14 Q1.4,14 0.4,11.6"},
		['4'] = {9, "M6.6,14 L6.6,0 L0.4,10 L8.8,10"},
		['5'] = {8, "M7.2,0 L1.6,0 L1,6 Q2.2,5 4,5 Q8,5 8,9.4 Q8,14 4,14 Q1.4,14 0.4,11.8"},
		['6'] = {9,
				"M7.4,1.4 Q6.4,0 4.8,0 Q0.6,0 0.6,8.4 Q0.6,14 4.6,14 Q8.4,14 "
				"8.4,9.6 Q8.4,5.6 4.8,5.6 Q1.4,5.6 0.8,9"},
		['7'] = {8, "M0.4,0 L8,0 L3,14"},
		['8'] = {9,
				"M4.5,0 Q7.6,0 7.6,3.2 Q7.6,6.4 4.5,6.4 Q1.4,6.4 1.4,3.2 Q1.4,0 "
				"4.5,0 M4.5,6.4 Q8.4,6.4 8.4,10.2 Q8.4,14 4.5,14 "
				"Q0.6,14 0.6,10.2 Q0.6,6.4 4.5,6.4"},
		['9'] = {9,
				"M1.6,12.6 Q2.6,14 4.2,14 Q8.4,14 8.4,5.6 Q8.4,0 4.4,0 Q0.6,0 "
				"0.6,4.4 Q0.6,8.4 4.2,8.4 Q7.6,8.4 8.2,5"},
		[':'] = {2, "M1,5.6 L1,5.7 M1,13.2 L1,13.3"},
		[';'] = {2, "M1,5.6 L1,5.7 M1.2,13 L0.2,16.4"},
		['<'] = {8, "M7.4,3.4 L0.8,8 L7.4,12.6"},
		['='] = {8, "M0.4,6 L7.6,6 M0.4,10.4 L7.6,10.4"},
		['>'] = {8, "M0.6,3.4 L7.2,8 L0.6,12.6"},
		['?'] = {7,
				"M0.6,3 Q1,0 3.8,0 Q7,0 7,3.2 Q7,5.4 5,6.8 Q3.6,8 3.6,10 M3.6,13.6 "
				"L3.6,13.7"},
		['@'] = {13,
				"M9,4.6 L9,8.6 Q9,10.4 10.4,10.4 Q12.6,10.4 12.6,6.6 Q12.6,0 6.6,0 "
				"Q0.6,0 0.6,7 Q0.6,14.6 7,14.6 Q9,14.6 10.6,13.6 M9,7.4 "
				"Q9,4.4 6.6,4.4 Q4,4.4 4,7.4 Q4,10.4 6.4,10.4 Q9,10.4 9,7.4"},
		['A'] = {11, "M0.4,14 L5.5,0 L10.6,14 M2.3,9.2 L8.7,9.2"},
		['B'] = {9,
				"M1,0 L1,14 L4.6,14 Q8.6,14 8.6,10.3 Q8.6,6.6 4.8,6.6 L1,6.6 M1,0 "
				"L4.4,0 Q7.8,0 7.8,3.3 Q7.8,6.6 4.6,6.6"},
		['C'] = {11, "M10.2,3 Q8.6,0 5.8,0 Q0.8,0 0.8,7 Q0.8,14 5.8,14 Q8.6,14 10.2,11"},
		['D'] = {11, "M1,0 L1,14 L4.6,14 Q10.2,14 10.2,7 Q10.2,0 4.6,0 L1,0"},
		['E'] = {8, "M7.8,0 L1,0 L1,14 L7.8,14 M1,6.7 L7,6.7"},
		['F'] = {8, "M7.8,0 L1,0 L1,14 M1,6.9 L7,6.9"},
		['G'] = {11,
				"M10,3 Q8.6,0 5.8,0 Q0.8,0 0.8,7 Q0.8,14 5.8,14 Q10.4,14 10.4,8.4 "
				"L10.4,7.6 L6.2,7.6"},
		['H'] = {10, "M1,0 L1,14 M9.4,0 L9.4,14 M1,6.8 L9.4,6.8"},
		['I'] = {2, "M1,0 L1,14"},
		['J'] = {7, "M6,0 L6,10 Q6,14 3,14 Q0.8,14 0.4,11.6"},
		['K'] = {9, "M1,0 L1,14 M8.6,0 L1,8 M3.8,5.4 L9,14"},
		['L'] = {8, "M1,0 L1,14 L7.6,14"},
		['M'] = {12, "M1,14 L1,0 L6.2,9.6 L11.4,0 L11.4,14"},
		['N'] = {10, "M1,14 L1,0 L9.4,14 L9.4,0"},
		['O'] = {12, "M6.2,0 Q11.4,0 11.4,7 Q11.4,14 6.2,14 Q1,14 1,7 Q1,0 6.2,0"},
		['P'] = {9, "M1,14 L1,0 L4.6,0 Q8.4,0 8.4,3.9 Q8.4,7.8 4.6,7.8 L1,7.8"},
		['Q'] = {12,
				"M6.2,0 Q11.4,0 11.4,7 Q11.4,14 6.2,14 Q1,14 1,7 Q1,0 6.2,0 "
				"M7.6,10.4 L11.4,15.2"},
		['R'] = {9,
				"M1,14 L1,0 L4.6,0 Q8.4,0 8.4,3.7 Q8.4,7.4 4.6,7.4 L1,7.4 M4.8,7.4 "
				"L8.8,14"},
		['S'] = {9,
				"M8,2.6 Q7,0 4.6,0 Q1,0 1,3.4 Q1,6.2 4.6,6.8 Q8.6,7.4 8.6,10.4 "
				"Q8.6,14 4.6,14 Q1.6,14 0.6,11.2"},
		['T'] = {9, "M0.2,0 L9.2,0 M4.7,0 L4.7,14"},
		['U'] = {10, "M1,0 L1,8.6 Q1,14 5.2,14 Q9.4,14 9.4,8.6 L9.4,0"},
		['V'] = {10, "M0.4,0 L5.2,14 L10,0"},
		['W'] = {14, "M0.4,0 L3.9,14 L7.2,1.6 L10.5,14 L14,0"},
		['X'] = {10, "M0.8,0 L9.6,14 M9.6,0 L0.8,14"},
		['Y'] = {10, "M0.4,0 L5,7 L9.6,0 M5,7 L5,14"},
		['Z'] = {9, "M0.8,0 L8.6,0 L0.8,14 L8.8,14"},
		['['] = {4, "M3.6,-1 L1,-1 L1,15.6 L3.6,15.6"},
		['\\'] = {6, "M0.4,-1 L6,15.4"},
		[']'] = {4, "M0.6,-1 L3.2,-1 L3.2,15.6 L0.6,15.6"},
		['^'] = {8, "M0.8,6 L4,0.6 L7.2,6"},
		['_'] = {8, "M0,16.4 L8,16.4"},
		['`'] = {3, "M0.4,0 L2.6,2.4"},
		['a'] = {9, "M8,4 L8,14 M8,9 Q8,4 4.6,4 Q0.8,4 0.8,9 Q0.8,14 4.6,14 Q8,14 8,9"},
		['b'] = {9, "M1,0 L1,14 M1,9 Q1,4 4.4,4 Q8.2,4 8.2,9 Q8.2,14 4.4,14 Q1,14 1,9"},
		['c'] = {8, "M7.6,6 Q6.6,4 4.6,4 Q0.8,4 0.8,9 Q0.8,14 4.6,14 Q6.6,14 7.6,12"},
		['d'] = {9, "M8,0 L8,14 M8,9 Q8,4 4.6,4 Q0.8,4 0.8,9 Q0.8,14 4.6,14 Q8,14 8,9"},
		['e'] = {8,
				"M0.9,8.8 L8,8.8 Q8,4 4.6,4 Q0.8,4 0.8,9 Q0.8,14 4.8,14 Q6.8,14 "
				"7.8,12.2"},
		['f'] = {5, "M5.4,0.2 Q2.2,-0.6 2.2,3 L2.2,14 M0,4.6 L5,4.6"},
		['g'] = {9,
				"M8,4 L8,14.4 Q8,18.4 4.4,18.4 Q2,18.4 1,16.8 M8,9 Q8,4 4.6,4 "
				"Q0.8,4 0.8,9 Q0.8,14 4.6,14 Q8,14 8,9"},
		['h'] = {9, "M1,0 L1,14 M1,8.6 Q1,4 4.6,4 Q8,4 8,8 L8,14"},
		['i'] = {2, "M1,4.2 L1,14 M1,0.4 L1,0.5"},
		['j'] = {3, "M2,4.2 L2,15.6 Q2,18.4 -0.4,18.2 M2,0.4 L2,0.5"},
		['k'] = {8, "M1,0 L1,14 M7.2,4.2 L1,10 M3.2,8.2 L7.8,14"},
		['l'] = {3, "M1,0 L1,12 Q1,14 2.8,14"},
		['m'] = {13,
				"M1,4.2 L1,14 M1,8 Q1,4 4,4 Q6.8,4 6.8,8 L6.8,14 M6.8,8 Q6.8,4 "
				"9.8,4 Q12.6,4 12.6,8 L12.6,14"},
		['n'] = {9, "M1,4.2 L1,14 M1,8.6 Q1,4 4.6,4 Q8,4 8,8 L8,14"},
		['o'] = {9, "M4.6,4 Q8.4,4 8.4,9 Q8.4,14 4.6,14 Q0.8,14 0.8,9 Q0.8,4 4.6,4"},
		['p'] = {9, "M1,4 L1,18.4 M1,9 Q1,4 4.4,4 Q8.2,4 8.2,9 Q8.2,14 4.4,14 Q1,14 1,9"},
		['q'] = {9, "M8,4 L8,18.4 M8,9 Q8,4 4.6,4 Q0.8,4 0.8,9 Q0.8,14 4.6,14 Q8,14 8,9"},
		['r'] = {5, "M1,4.2 L1,14 M1,8.8 Q1,4 5.4,4.2"},
		['s'] = {7,
				"M6.6,5.8 Q5.8,4 3.8,4 Q1,4 1,6.4 Q1,8.4 3.8,8.9 Q6.9,9.4 6.9,11.4 "
				"Q6.9,14 3.8,14 Q1.4,14 0.6,12"},
		['t'] = {6, "M2.4,1 L2.4,11 Q2.4,14.4 5.4,13.8 M0.2,4.6 L5.2,4.6"},
		['u'] = {9, "M1,4.2 L1,10 Q1,14 4.4,14 Q8,14 8,9.4 M8,4.2 L8,14"},
		['v'] = {8, "M0.4,4.2 L4.2,14 L8,4.2"},
		['w'] = {12, "M0.4,4.2 L3.4,14 L6.3,5.4 L9.2,14 L12.2,4.2"},
		['x'] = {8, "M0.8,4.2 L7.4,14 M7.4,4.2 L0.8,14"},
		['y'] = {8, "M0.6,4.2 L4.5,13.8 M8,4.2 L4,15.4 Q3,18.6 0.6,18.2"},
		['z'] = {8, "M0.8,4.4 L7.2,4.4 L0.8,13.8 L7.4,13.8"},
		['{'] = {5,
				"M4.4,-1 Q2,-1 2,2 L2,5 Q2,7.3 0.4,7.3 Q2,7.3 2,9.6 L2,12.6 "
				"Q2,15.6 4.4,15.6"},
		['|'] = {2, "M1,-1 L1,16"},
		['}'] = {5,
				"M0.4,-1 Q2.8,-1 2.8,2 L2.8,5 Q2.8,7.3 4.4,7.3 Q2.8,7.3 2.8,9.6 "
				"L2.8,12.6 Q2.8,15.6 0.4,15.6"},
		['~'] = {9, "M0.6,9 Q1.6,6.4 4.4,8 Q7.2,9.6 8.4,7"},
};
#define GLYPH_COUNT (sizeof(glyphs) / sizeof(glyphs[0]))
#define SPACE_WIDTH 3.4f

static const struct glyph *glyph_find(char letter)
{
	unsigned char index = (unsigned char)letter;
	return index < GLYPH_COUNT && glyphs[index].path != NULL ? &glyphs[index] : NULL;
}

static void outline_add(struct outline *outline, float x1, float y1, float x2, float y2)
{
	if (outline->count < SEGMENTS_MAX) {
		outline->segments[outline->count++] = (struct segment) {x1, y1, x2, y2};
	}
}

static const char *read_point(const char *path, float *ret_x, float *ret_y)
{
	char *end;
	*ret_x = strtof(path, &end);
	*ret_y = strtof(end + 1, &end); // a comma stands between
	return end;
}

static void outline_curve(struct outline *outline, const float from[2], const float control[2],
		const float to[2])
{
	float x = from[0];
	float y = from[1];
	for (int i = 1; i <= CURVE_STEPS; i++) {
		float t = (float)i / CURVE_STEPS;
		float a = (1 - t) * (1 - t);
		float b = 2 * t * (1 - t);
		float next_x = a * from[0] + b * control[0] + t * t * to[0];
		float next_y = a * from[1] + b * control[1] + t * t * to[1];
		outline_add(outline, x, y, next_x, next_y);
		x = next_x;
		y = next_y;
	}
}

static void outline_read(struct outline *outline, const char *path)
{
	float pen[2] = {0, 0};
	outline->count = 0;
	while (*path != '\0') {
		char command = *path++;
		float to[2];
		float control[2];
		if (command == 'Q') {
			path = read_point(path, &control[0], &control[1]);
		}
		if (command == ' ') {
			continue;
		}
		path = read_point(path, &to[0], &to[1]);
		if (command == 'L') {
			outline_add(outline, pen[0], pen[1], to[0], to[1]);
		} else if (command == 'Q') {
			outline_curve(outline, pen, control, to);
		}
		pen[0] = to[0];
		pen[1] = to[1];
	}
}

static float outline_distance(const struct outline *outline, float x, float y)
{
	float nearest = 1e9f;
	for (int i = 0; i < outline->count; i++) {
		const struct segment *segment = &outline->segments[i];
		float dx = segment->x2 - segment->x1;
		float dy = segment->y2 - segment->y1;
		float px = x - segment->x1;
		float py = y - segment->y1;
		float t = (px * dx + py * dy) / fmaxf(dx * dx + dy * dy, 1e-6f);
		t = fminf(fmaxf(t, 0.0f), 1.0f);
		nearest = fminf(nearest, hypotf(px - t * dx, py - t * dy));
	}
	return nearest;
}

/* One letter; SCALE is pixels for a unit of the grid, PEN the pen's radius in pixels. */
static void paint_glyph(const struct canvas *canvas, const struct glyph *glyph, float x, float y,
		float scale, float pen_px, uint32_t rgb)
{
	struct outline outline;
	outline_read(&outline, glyph->path);
	float top = y - GRID_HEIGHT * scale;
	int x2 = (int)ceilf(x + (glyph->width + 2) * scale);
	int y2 = (int)ceilf(top + 20 * scale);
	for (int py = (int)floorf(top - 3 * scale); py < y2; py++) {
		for (int px = (int)floorf(x - 2 * scale); px < x2; px++) {
			float distance = outline_distance(&outline, ((float)px + 0.5f - x) / scale,
					((float)py + 0.5f - top) / scale);
			float cover = 0.5f + pen_px - distance * scale;
			paint_pixel(canvas, px, py, rgb, fminf(fmaxf(cover, 0.0f), 1.0f));
		}
	}
}

static float glyph_advance(char letter)
{
	const struct glyph *glyph = glyph_find(letter);
	return glyph != NULL ? glyph->width + GAP : SPACE_WIDTH + GAP;
}

float paint_text(const struct canvas *canvas, float x, float y, float size_px, float weight,
		uint32_t rgb, const char *text)
{
	float scale = size_px / GRID_HEIGHT;
	float start = x;
	for (; *text != '\0'; text++) {
		const struct glyph *glyph = glyph_find(*text);
		if (glyph != NULL) {
			paint_glyph(canvas, glyph, x, y, scale, size_px * weight / 2, rgb);
		}
		x += glyph_advance(*text) * scale;
	}
	return x - start;
}

float paint_text_width(float size_px, const char *text)
{
	float width = 0;
	for (; *text != '\0'; text++) {
		width += glyph_advance(*text);
	}
	return width > 0 ? (width - GAP) * size_px / GRID_HEIGHT : 0;
}
