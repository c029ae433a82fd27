/* The composed cursor against a reference that composes the whole picture anew after each step. */
#include "tests/support/test.h"

#include <string.h>
#include "guest-agent/cursor.h"

#define WIDTH  97
#define HEIGHT 61
#define STRIDE ((WIDTH + 3) * 4)
#define STEPS  20000

struct reference {
	uint32_t client[HEIGHT][WIDTH];
	bool drawn;
	int32_t x, y;
	const struct cursor_image *image;
};

/* A formula of its own: rounding to nearest in floating point. */
static uint32_t reference_blend(uint32_t source, uint32_t under)
{
	uint32_t result = under & 0xff000000u;
	double alpha = (source >> 24) / 255.0;
	for (unsigned shift = 0; shift < 24; shift += 8) {
		double below = ((under >> shift) & 0xff) * (1.0 - alpha);
		uint32_t sum = ((source >> shift) & 0xff) + (uint32_t)(below + 0.5);
		result |= (sum > 255 ? 255 : sum) << shift;
	}
	return result;
}

static uint32_t reference_pixel(const struct reference *reference, int32_t x, int32_t y)
{
	uint32_t client = reference->client[y][x];
	int32_t column = x - reference->x, row = y - reference->y;
	if (!reference->drawn || column < 0 || row < 0 || column >= reference->image->width_px ||
			row >= reference->image->height_px) {
		return client;
	}
	return reference_blend(reference->image->pixels[row * reference->image->width_px + column],
			client);
}

static void compare(const struct reference *reference, const struct picture *picture)
{
	for (int32_t y = 0; y < HEIGHT; y++) {
		for (int32_t x = 0; x < WIDTH; x++) {
			uint32_t seen = *picture_at(picture, (uint32_t)x, (uint32_t)y);
			if (seen != reference_pixel(reference, x, y)) {
				fail_msg("pixel %d,%d is %08x, not %08x", x, y, seen,
						reference_pixel(reference, x, y));
			}
		}
	}
}

static void write_damage(uint64_t *seed, struct reference *reference, struct cursor *cursor,
		const struct picture *picture)
{
	struct box box;
	box.x1 = (int32_t)(test_random(seed) % WIDTH);
	box.y1 = (int32_t)(test_random(seed) % HEIGHT);
	box.x2 = box.x1 + 1 + (int32_t)(test_random(seed) % (uint64_t)(WIDTH - box.x1));
	box.y2 = box.y1 + 1 + (int32_t)(test_random(seed) % (uint64_t)(HEIGHT - box.y1));
	for (int32_t y = box.y1; y < box.y2; y++) {
		for (int32_t x = box.x1; x < box.x2; x++) {
			reference->client[y][x] = (uint32_t)test_random(seed);
			*picture_at(picture, (uint32_t)x, (uint32_t)y) = reference->client[y][x];
		}
	}
	cursor_repair(cursor, picture, &box);
}

static void image_random(uint64_t *seed, struct cursor_image *image)
{
	image->width_px = (uint16_t)(1 + test_random(seed) % 40);
	image->height_px = (uint16_t)(1 + test_random(seed) % 40);
	for (uint32_t i = 0; i < (uint32_t)image->width_px * image->height_px; i++) {
		image->pixels[i] = (uint32_t)test_random(seed);
	}
}

static void random_steps_match_reference(void **state)
{
	(void)state;
	static struct cursor cursor;
	static struct cursor_image image;
	static struct reference reference;
	static uint32_t memory[HEIGHT][STRIDE / 4];
	uint64_t seed = test_seed();
	struct picture picture = {(uint8_t *)memory, WIDTH, HEIGHT, STRIDE};
	reference.image = &cursor.image;
	image_random(&seed, &image);
	cursor_image_copy(&cursor.image, &image);
	for (unsigned step = 0; step < STEPS; step++) {
		uint64_t what = test_random(&seed) % 4;
		if (what < 2) {
			write_damage(&seed, &reference, &cursor, &picture);
		} else {
			cursor_erase(&cursor, &picture);
			reference.drawn = false;
		}
		if (what == 3) {
			if (test_random(&seed) % 8 == 0) {
				image_random(&seed, &image);
				cursor_image_copy(&cursor.image, &image);
			}
			reference.drawn = true;
			reference.x = (int32_t)(test_random(&seed) % (WIDTH + 100)) - 50;
			reference.y = (int32_t)(test_random(&seed) % (HEIGHT + 100)) - 50;
			cursor_draw(&cursor, &picture, reference.x, reference.y);
		}
		if (step % 16 == 0) {
			compare(&reference, &picture);
		}
	}
	cursor_erase(&cursor, &picture);
	reference.drawn = false;
	compare(&reference, &picture);
}

static void blend_is_exact_at_the_ends(void **state)
{
	(void)state;
	assert_int_equal(cursor_blend(0, 0x12345678), 0x12345678);
	assert_int_equal(cursor_blend(0xff102030, 0x12345678), 0x12102030);
	assert_int_equal(cursor_blend(0x80ffffff, 0x00ffffff), 0x00ffffff);
	assert_int_equal(cursor_blend(0x80000000, 0x00ff00ff), 0x007f007f);
}

static void far_outside_draws_nothing(void **state)
{
	(void)state;
	static struct cursor cursor;
	uint32_t memory[4] = {1, 2, 3, 4};
	struct picture picture = {(uint8_t *)memory, 2, 2, 8};
	cursor.image.width_px = cursor.image.height_px = LIMIT_CURSOR_PX;
	memset(cursor.image.pixels, 0xff, sizeof(cursor.image.pixels));
	static const int32_t places[][2] = {{-32768, 0}, {32767, 0}, {0, -32768}, {2, 2},
			{-(int32_t)LIMIT_CURSOR_PX, 0}};
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		cursor_draw(&cursor, &picture, places[i][0], places[i][1]);
		assert_true(box_is_empty(&cursor.drawn));
		cursor_erase(&cursor, &picture);
	}
	assert_int_equal(memory[0], 1);
	assert_int_equal(memory[3], 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(random_steps_match_reference),
			TEST(blend_is_exact_at_the_ends),
			TEST(far_outside_draws_nothing),
	};
	return test_main("cursor", tests);
}
