/* damage.c against a bitmap: whatever is added stays covered, nothing outside the box of all is. */
#include "tests/support/test.h"

#include <string.h>

#include "schemes/display-bridge/damage.h"

#define SIDE 64

static void paint(uint8_t map[SIDE][SIDE], const struct damage_rect *rect)
{
	for (int32_t y = rect->y1; y < rect->y2; y++) {
		for (int32_t x = rect->x1; x < rect->x2; x++) {
			map[y][x] = 1;
		}
	}
}

static void empty_rects_change_nothing(void **state)
{
	(void)state;
	struct damage damage = {0};
	damage_add(&damage, &(struct damage_rect) {5, 5, 5, 9});
	damage_add(&damage, &(struct damage_rect) {5, 5, 9, 5});
	damage_add(&damage, &(struct damage_rect) {9, 9, 1, 1});
	assert_int_equal(damage.count, 0);
}

static void contained_rects_are_dropped(void **state)
{
	(void)state;
	struct damage damage = {0};
	damage_add(&damage, &(struct damage_rect) {2, 2, 4, 4});
	damage_add(&damage, &(struct damage_rect) {6, 6, 8, 8});
	damage_add(&damage, &(struct damage_rect) {3, 3, 4, 4});
	assert_int_equal(damage.count, 2);
	damage_add(&damage, &(struct damage_rect) {0, 0, 9, 9});
	assert_int_equal(damage.count, 1);
	assert_int_equal(damage.rects[0].x2, 9);
}

/* LIMIT_DAMAGE_RECTS: one more makes a box of all, and then there is room again. */
static void limit_damage_rects(void **state)
{
	(void)state;
	struct damage damage = {0};
	for (int32_t i = 0; i < (int32_t)LIMIT_DAMAGE_RECTS; i++) {
		damage_add(&damage, &(struct damage_rect) {i * 3, i, i * 3 + 2, i + 2});
	}
	assert_int_equal(damage.count, LIMIT_DAMAGE_RECTS);
	damage_add(&damage, &(struct damage_rect) {60, 60, 61, 62});
	assert_int_equal(damage.count, 1);
	assert_int_equal(damage.rects[0].x1, 0);
	assert_int_equal(damage.rects[0].x2, 61);
	assert_int_equal(damage.rects[0].y2, 62);
	damage_add(&damage, &(struct damage_rect) {62, 0, 63, 1});
	assert_int_equal(damage.count, 2);
}

static void random_rects_stay_covered(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	for (int round = 0; round < 200; round++) {
		struct damage damage = {0};
		static uint8_t wanted[SIDE][SIDE], covered[SIDE][SIDE];
		memset(wanted, 0, sizeof(wanted));
		memset(covered, 0, sizeof(covered));
		uint64_t count = test_random(&seed) % 40;
		for (uint64_t i = 0; i < count; i++) {
			int32_t x = (int32_t)(test_random(&seed) % SIDE);
			int32_t y = (int32_t)(test_random(&seed) % SIDE);
			struct damage_rect rect = {x, y,
					x +
							(int32_t)(test_random(&seed) %
									(uint64_t)(SIDE - x + 1)),
					y +
							(int32_t)(test_random(&seed) %
									(uint64_t)(SIDE - y + 1))};
			damage_add(&damage, &rect);
			paint(wanted, &rect);
		}
		struct damage_rect bounds = {10, 10, 50, 40};
		damage_clip(&damage, &bounds);
		for (uint32_t i = 0; i < damage.count; i++) {
			assert_false(damage_rect_is_empty(&damage.rects[i]));
			assert_true(damage.rects[i].x1 >= 10 && damage.rects[i].x2 <= 50);
			assert_true(damage.rects[i].y1 >= 10 && damage.rects[i].y2 <= 40);
			paint(covered, &damage.rects[i]);
		}
		for (int y = 10; y < 40; y++) {
			for (int x = 10; x < 50; x++) {
				assert_true(covered[y][x] >= wanted[y][x]);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(empty_rects_change_nothing),
			TEST(contained_rects_are_dropped),
			TEST(limit_damage_rects),
			TEST(random_rects_stay_covered),
	};
	return test_main("damage", tests);
}
