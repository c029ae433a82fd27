/*
 * A lake at dusk, computed for each pixel: sky with stars and moon, ranges of mountains that fade
 * into the haze, their reflection in the water, trees on the near shore. Colours are floats up to
 * the end and dithered there, so that no bands show.
 */
#include "tests/clients/landscape.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/clients/paint.h"

#define RANGES 6
#define SHORE  0.735f // where the water begins, in parts of the height
#define MOON_X 0.735f // in parts of the width
#define MOON_Y 0.205f // in parts of the height, as its radius
#define MOON_R 0.046f
#define FIRS   64

struct colour {
	float r, g, b; // 0 to 1
};

struct scenery {
	int width, height; // px
	float *ridges;     // RANGES rows of width: y of the crest in px
	float *ground;     // y of the near shore's outline, px
};

static float clamp01(float value)
{
	return fminf(fmaxf(value, 0.0f), 1.0f);
}

static float smooth(float from, float to, float value)
{
	float t = clamp01((value - from) / (to - from));
	return t * t * (3 - 2 * t);
}

static struct colour colour_of(uint32_t rgb)
{
	return (struct colour) {(float)(rgb >> 16 & 0xFF) / 255, (float)(rgb >> 8 & 0xFF) / 255,
			(float)(rgb & 0xFF) / 255};
}

static struct colour colour_mix(struct colour a, struct colour b, float part)
{
	return (struct colour) {a.r + (b.r - a.r) * part, a.g + (b.g - a.g) * part,
			a.b + (b.b - a.b) * part};
}

static struct colour colour_add(struct colour a, struct colour light, float part)
{
	return (struct colour) {a.r + light.r * part, a.g + light.g * part, a.b + light.b * part};
}

static uint32_t hash(uint32_t x, uint32_t y)
{
	uint32_t h = x * 0x9E3779B1u ^ (y + 0x7F4A7C15u) * 0x85EBCA77u;
	h = (h ^ (h >> 15)) * 0x2C1B3C6Du;
	h = (h ^ (h >> 12)) * 0x297A2D39u;
	return h ^ (h >> 15);
}

/* 0 to 1, different for each pair of integers. */
static float random_at(int x, int y)
{
	return (float)(hash((uint32_t)x, (uint32_t)y) >> 8) / 16777216.0f;
}

/* Noise that runs smoothly between the integers. */
static float noise(float x, float y)
{
	int ix = (int)floorf(x);
	int iy = (int)floorf(y);
	float fx = x - (float)ix;
	float fy = y - (float)iy;
	fx = fx * fx * fx * (fx * (fx * 6 - 15) + 10);
	fy = fy * fy * fy * (fy * (fy * 6 - 15) + 10);
	float top = random_at(ix, iy) + (random_at(ix + 1, iy) - random_at(ix, iy)) * fx;
	float bottom = random_at(ix, iy + 1) +
			(random_at(ix + 1, iy + 1) - random_at(ix, iy + 1)) * fx;
	return top + (bottom - top) * fy;
}

/* Octaves of noise; about 0 to 1. */
static float rough(float x, float y, int octaves)
{
	float sum = 0;
	float size = 0.5f;
	for (int i = 0; i < octaves; i++) {
		sum += noise(x, y) * size;
		x = x * 2.03f + 17.1f;
		y = y * 2.03f + 5.7f;
		size *= 0.5f;
	}
	return sum;
}

/* Sharp crests: noise folded at its middle. */
static float crests(float x, int range, int octaves)
{
	float sum = 0;
	float size = 0.55f;
	for (int i = 0; i < octaves; i++) {
		float fold = 1 - fabsf(2 * noise(x, (float)(range * 31 + i * 7) + 0.5f) - 1);
		sum += fold * fold * size;
		x = x * 2.11f + 3.3f;
		size *= 0.46f;
	}
	return sum;
}

/* Base line, height and frequency of each range, far to near. */
static const struct {
	float base, height, frequency;
	uint32_t crest, foot;
} ranges[RANGES] = {
		{0.640f, 0.175f, 1.7f, 0x8C6C9C, 0xD79A9C},
		{0.655f, 0.205f, 2.3f, 0x6F5488, 0xB97F92},
		{0.685f, 0.180f, 3.1f, 0x523F72, 0x946483},
		{0.705f, 0.130f, 3.7f, 0x3A2D5A, 0x6D4A70},
		{0.722f, 0.080f, 4.9f, 0x261F43, 0x473357},
		{0.738f, 0.036f, 6.5f, 0x171430, 0x281F40},
};

static void make_ridges(struct scenery *scenery)
{
	for (int range = 0; range < RANGES; range++) {
		float *row = scenery->ridges + (size_t)range * (size_t)scenery->width;
		for (int x = 0; x < scenery->width; x++) {
			float across = (float)x /
					(float)scenery->height; // so that another shape of screen sees more, not wider
			float rise = crests(across * ranges[range].frequency + (float)range * 9.7f,
					range, 7);
			row[x] = (ranges[range].base - ranges[range].height * rise) *
					(float)scenery->height;
		}
	}
}

static void make_ground(struct scenery *scenery)
{
	float h = (float)scenery->height;
	for (int x = 0; x < scenery->width; x++) {
		float side = fabsf((float)x / (float)scenery->width - 0.5f) * 2;
		float rise = 0.010f + 0.055f * side * side +
				0.014f * rough((float)x / h * 6, 3.5f, 4);
		scenery->ground[x] = (1 - rise) * h;
	}
}

/* How far the branches of a fir reach at PART of its height from the top, 0 to 1. */
static float fir_reach(int tree, float part)
{
	float layer = part * 11 + random_at(tree, 75);
	float droop = layer - floorf(layer);
	float length = 0.75f + 0.5f * random_at(tree * 64 + (int)floorf(layer), 76);
	return (0.04f + 0.96f * part) * (0.42f + 0.58f * droop * length);
}

static void paint_fir(const struct canvas *canvas, int tree, float x, float foot, float height)
{
	float half = height * 0.19f;
	for (int y = (int)(foot - height); y < (int)foot + 4 && y < canvas->height_px; y++) {
		float part = clamp01(((float)y + 0.5f - foot + height) / height);
		float left = fmaxf(half * fir_reach(tree, part), 0.7f);
		float right = fmaxf(half * fir_reach(tree + 500, part), 0.7f);
		for (int column = (int)(x - left) - 1; column <= (int)(x + right) + 1; column++) {
			float away = (float)column + 0.5f - x;
			float cover = clamp01((away < 0 ? left + away : right - away) + 0.5f);
			paint_pixel(canvas, column, y, y % 2 == 0 ? 0x080716 : 0x090818, cover);
		}
	}
}

/* Firs on the near shore: many and high at the sides, few in the middle. */
static void paint_firs(const struct canvas *canvas, const struct scenery *scenery)
{
	float w = (float)canvas->width_px;
	float h = (float)canvas->height_px;
	for (int i = 0; i < FIRS; i++) {
		float place = random_at(i, 71);
		float inward = place * place * 0.34f;
		float x = (i % 2 == 0 ? inward : 1 - inward) * w;
		int column = (int)fminf(x, w - 1);
		float near = 1 - inward / 0.34f;
		float height = (0.050f + 0.15f * near * (0.35f + 0.65f * random_at(i, 72))) * h;
		paint_fir(canvas, i, x, scenery->ground[column] + 2, height);
	}
}

static struct colour sky_gradient(float y)
{
	static const struct {
		float y;
		uint32_t rgb;
	} stops[] = {{0.00f, 0x0A0A28}, {0.16f, 0x191545}, {0.29f, 0x3B245E}, {0.39f, 0x753A73},
			{0.46f, 0xBF5A70}, {0.52f, 0xF2906E}, {0.60f, 0xFFCB90}, {1.00f, 0xFFD9A8}};
	int i = 1;
	while (stops[i].y < y && i < 7) {
		i++;
	}
	float part = clamp01((y - stops[i - 1].y) / (stops[i].y - stops[i - 1].y));
	return colour_mix(colour_of(stops[i - 1].rgb), colour_of(stops[i].rgb),
			part * part * (3 - 2 * part) * 0.5f + part * 0.5f);
}

/* Light of the stars at a place in the sky, in px. */
static float stars(const struct scenery *scenery, float x, float y)
{
	float cell = (float)scenery->height / 34;
	float light = 0;
	int cx = (int)floorf(x / cell);
	int cy = (int)floorf(y / cell);
	for (int dy = -1; dy <= 1; dy++) {
		for (int dx = -1; dx <= 1; dx++) {
			int ix = cx + dx;
			int iy = cy + dy;
			float chance = random_at(ix, iy + 1000);
			if (chance > 0.62f) {
				continue;
			}
			float sx = ((float)ix + random_at(ix, iy + 2000)) * cell - x;
			float sy = ((float)iy + random_at(ix, iy + 3000)) * cell - y;
			float power = random_at(ix, iy + 4000);
			float size = 0.55f + 0.75f * power * power * power;
			light += (0.25f + 1.1f * power * power * power) *
					expf(-(sx * sx + sy * sy) / (size * size));
		}
	}
	return light;
}

/* Thin clouds that catch the last light from below. */
static struct colour clouds_over(struct colour sky, float across, float y)
{
	float band = smooth(0.20f, 0.38f, y) * (1 - smooth(0.54f, 0.66f, y));
	float thick = smooth(0.47f, 0.70f, rough(across * 2.1f + 4.2f, y * 17 + across * 1.3f, 6)) *
			band;
	struct colour lit = colour_mix(
			colour_of(0x6A3A72), colour_of(0xFFB48A), smooth(0.32f, 0.52f, y));
	return colour_mix(sky, lit, thick * 0.55f);
}

static struct colour moon_over(struct colour sky, const struct scenery *scenery, float x, float y)
{
	float h = (float)scenery->height;
	float dx = (x - MOON_X * (float)scenery->width) / (MOON_R * h);
	float dy = (y - MOON_Y * h) / (MOON_R * h);
	float away = hypotf(dx, dy);
	sky = colour_add(sky, colour_of(0xFFE9C8),
			0.30f * expf(-away * 0.62f) + 0.055f * expf(-away * 0.16f));
	float cover = clamp01((1 - away) * MOON_R * h + 0.5f);
	if (cover <= 0) {
		return sky;
	}
	float seas = smooth(0.42f, 0.64f, rough(dx * 1.25f + 7.3f, dy * 1.25f + 2.1f, 5));
	float craters = rough(dx * 6 + 1.7f, dy * 6 + 9.1f, 3) - 0.42f;
	float rim = sqrtf(fmaxf(1 - away * away, 0));
	float light = (0.86f + 0.14f * rim) * (1 - 0.17f * seas + 0.08f * craters);
	struct colour face = {1.00f * light, 0.955f * light, 0.865f * light};
	return colour_mix(sky, face, cover);
}

static struct colour sky_at(const struct scenery *scenery, float x, float y)
{
	float h = (float)scenery->height;
	float v = y / h;
	struct colour sky = sky_gradient(v);
	float sunk = hypotf((x / (float)scenery->width - 0.30f) * 1.5f, (v - 0.58f) * 2.5f);
	sky = colour_add(sky, colour_of(0xFF9A50), 0.30f * expf(-sunk * 3.8f));
	float dark = 1 - smooth(0.12f, 0.44f, v);
	sky = colour_add(sky, colour_of(0xF4F0FF), stars(scenery, x, y) * dark);
	sky = moon_over(sky, scenery, x, y);
	return clouds_over(sky, x / h, v);
}

/* Slopes that face the afterglow are lighter: the shade follows the rough ground below the crest. */
static struct colour range_at(
		const struct scenery *scenery, int range, float x, float y, float crest)
{
	float h = (float)scenery->height;
	float below = (y - crest) / h;
	struct colour colour = colour_mix(colour_of(ranges[range].crest),
			colour_of(ranges[range].foot),
			smooth(0.0f, ranges[range].base - crest / h + 0.02f, below));
	float u = x / h * ranges[range].frequency * 7;
	float v = below * 26;
	float side = (float)range * 5;
	float slope = rough(u, v + side, 5) - rough(u + 0.30f, v + side - 0.25f, 5);
	float strength = 0.34f * (1 - (float)range / RANGES * 0.45f) *
			(1 - smooth(0.02f, 0.16f, below));
	return colour_add(colour, colour_of(0xFFB090), slope * strength);
}

/* What stands above the water at a place, mountains included. */
static struct colour view_at(const struct scenery *scenery, float x, float y)
{
	int column = (int)fminf(fmaxf(x, 0), (float)(scenery->width - 1));
	struct colour colour = {0, 0, 0};
	int first = 0;
	/* The nearest range that covers the place wholly hides what is behind it. */
	for (int range = RANGES - 1; range >= 0; range--) {
		if (y - scenery->ridges[(size_t)range * (size_t)scenery->width + (size_t)column] >=
				0.5f) {
			first = range;
			break;
		}
		first = -1;
	}
	if (first < 0) {
		colour = sky_at(scenery, x, y);
		first = 0;
	}
	for (int range = first; range < RANGES; range++) {
		float crest = scenery->ridges[(size_t)range * (size_t)scenery->width +
				(size_t)column];
		float cover = clamp01(y - crest + 0.5f);
		if (cover > 0) {
			colour = colour_mix(colour, range_at(scenery, range, x, y, crest), cover);
		}
	}
	return colour;
}

/* The mirrored view, moved by ripples that grow towards the viewer. */
static struct colour water_at(const struct scenery *scenery, float x, float y)
{
	float h = (float)scenery->height;
	float shore = SHORE * h;
	float depth = (y - shore) / (h - shore);
	float ripple = rough(x / h * (9 - 5 * depth), y / h * (210 - 150 * depth), 3) - 0.43f;
	float away = (y - shore) * (1.35f + 0.25f * depth);
	float mirror_y = fmaxf(shore - away + ripple * h * (0.012f + 0.05f * depth), 0);
	float mirror_x = x + ripple * h * (0.004f + 0.022f * depth);
	struct colour colour = view_at(scenery, mirror_x, mirror_y);
	colour = colour_mix(colour, colour_of(0x17123A), 0.22f + 0.40f * depth);
	float beam = (x - MOON_X * (float)scenery->width) / (h * (0.018f + 0.075f * depth));
	float glint = expf(-beam * beam) * smooth(0.02f, 0.16f, ripple + 0.045f);
	colour = colour_add(colour, colour_of(0xFFE6C4), glint * (0.42f - 0.12f * depth));
	float line = expf(-(y - shore) / (h * 0.004f));
	return colour_add(colour, colour_of(0xFFC0A0), 0.20f * line);
}

static struct colour scenery_at(const struct scenery *scenery, int x, int y)
{
	float px = (float)x + 0.5f;
	float py = (float)y + 0.5f;
	float h = (float)scenery->height;
	float ground = clamp01(py - scenery->ground[x] + 0.5f);
	struct colour near = colour_mix(colour_of(0x0B0A1C), colour_of(0x06060F),
			clamp01((py - h * 0.8f) / (h * 0.2f)));
	if (ground >= 1) {
		return near;
	}
	float water = clamp01(py - SHORE * h + 0.5f);
	struct colour colour = water < 1 ? view_at(scenery, px, py) : water_at(scenery, px, py);
	if (py < SHORE * h + 1) {
		float mist = expf(-fabsf(py - SHORE * h) / (h * 0.028f));
		colour = colour_mix(colour, colour_of(0xF0B4A4), 0.30f * mist);
	}
	return colour_mix(colour, near, ground);
}

/* To 8 bits with triangular noise of one step: no bands, and a mean that is right. */
static uint32_t dither(float value, int x, int y, int channel)
{
	float grain = random_at(x * 3 + channel, y + 9000) - random_at(x * 3 + channel, y + 19000);
	return (uint32_t)lrintf(fminf(fmaxf(value * 255 + grain * 0.5f, 0), 255));
}

int landscape_paint(const struct canvas *canvas)
{
	struct scenery scenery = {.width = canvas->width_px, .height = canvas->height_px};
	int error = -ENOMEM;
	scenery.ridges = calloc((size_t)scenery.width * RANGES, sizeof(float));
	scenery.ground = calloc((size_t)scenery.width, sizeof(float));
	if (scenery.ridges != NULL && scenery.ground != NULL) {
		make_ridges(&scenery);
		make_ground(&scenery);
		for (int y = 0; y < canvas->height_px; y++) {
			for (int x = 0; x < canvas->width_px; x++) {
				struct colour colour = scenery_at(&scenery, x, y);
				*canvas_at(canvas, x, y) = dither(colour.r, x, y, 0) << 16 |
						dither(colour.g, x, y, 1) << 8 |
						dither(colour.b, x, y, 2);
			}
		}
		paint_firs(canvas, &scenery);
		error = 0;
	}
	free(scenery.ridges);
	free(scenery.ground);
	return error;
}
