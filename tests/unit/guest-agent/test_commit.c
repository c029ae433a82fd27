/* The commit state machine: random damage in random pieces, and what must be refused. */
#include "tests/support/test.h"

#include <errno.h>
#include <string.h>
#include "guest-agent/commit.h"

#define WIDTH      83
#define HEIGHT     41
#define CONNECTORS 3

static struct bridge_commit message_on(void)
{
	struct bridge_commit message = {
			.id = 7,
			.connectors_count = 1,
			.modes_count = 1,
			.modes[0].hdisplay = WIDTH,
			.modes[0].vdisplay = HEIGHT,
	};
	return message;
}

static void damage_random(uint64_t *seed, struct bridge_commit *message)
{
	message->damage_count = (uint16_t)(1 + test_random(seed) % 16);
	for (uint16_t i = 0; i < message->damage_count; i++) {
		struct bridge_rect *rect = &message->damage[i];
		rect->x = (uint16_t)(test_random(seed) % WIDTH);
		rect->y = (uint16_t)(test_random(seed) % HEIGHT);
		rect->width = (uint16_t)(1 + test_random(seed) % (uint64_t)(WIDTH - rect->x));
		if (test_random(seed) % 4 == 0) {
			rect->x = 0; // whole rows
			rect->width = WIDTH;
		}
		rect->height = (uint16_t)(1 + test_random(seed) % (uint64_t)(HEIGHT - rect->y));
	}
}

/* Puts noise into the commit in pieces of random length, and into EXPECTED pixel by pixel. */
static void feed(uint64_t *seed, struct commit *commit, const struct bridge_commit *message,
		uint32_t expected[HEIGHT][WIDTH])
{
	uint64_t bytes = 0;
	for (uint16_t i = 0; i < message->damage_count; i++) {
		bytes += 4ull * message->damage[i].width * message->damage[i].height;
	}
	assert_int_equal(commit->missing_bytes, bytes);
	uint8_t *noise = malloc(bytes);
	assert_non_null(noise);
	test_noise(seed, noise, bytes);
	const uint8_t *next = noise;
	for (uint16_t i = 0; i < message->damage_count; i++) {
		const struct bridge_rect *rect = &message->damage[i];
		for (uint32_t y = 0; y < rect->height; y++) {
			memcpy(&expected[rect->y + y][rect->x], next, rect->width * 4u);
			next += rect->width * 4u;
		}
	}
	next = noise;
	uint64_t pixels_told = 0;
	while (!commit_is_complete(commit)) {
		size_t room;
		uint8_t *span = commit_span(commit, &room);
		assert_in_range(room, 1, WIDTH * HEIGHT * 4);
		size_t part = 1 + test_random(seed) % room;
		memcpy(span, next, part);
		next += part;
		while (part > 0) {
			struct box box;
			part -= commit_advance(commit, part, &box);
			if (!box_is_empty(&box)) {
				assert_int_equal(box.y2 - box.y1, 1);
				pixels_told += (uint64_t)(box.x2 - box.x1);
			}
		}
	}
	assert_int_equal(next - noise, bytes);
	assert_int_equal(pixels_told * 4, bytes);
	free(noise);
}

/* Rows of the picture are STRIDE_PX apart, in memory with a row of guard pixels before and after. */
static void make_pictures(uint32_t stride_px)
{
	static uint32_t memory[(HEIGHT + 2) * (WIDTH + 1)];
	static uint32_t expected[HEIGHT][WIDTH];
	uint64_t seed = test_seed();
	struct picture picture = {(uint8_t *)&memory[stride_px], WIDTH, HEIGHT, stride_px * 4};
	memset(memory, 0, sizeof(memory));
	memset(expected, 0, sizeof(expected));
	for (unsigned round = 0; round < 300; round++) {
		struct commit commit = {0};
		struct bridge_commit message = message_on();
		const char *fault = NULL;
		damage_random(&seed, &message);
		assert_int_equal(commit_begin(&commit, &message, CONNECTORS, &fault), 0);
		commit_set_target(&commit, &picture, 0);
		feed(&seed, &commit, &message, expected);
		commit_end(&commit);
		for (uint32_t y = 0; y < HEIGHT; y++) {
			const uint32_t *row = &memory[(1 + y) * stride_px];
			assert_memory_equal(row, expected[y], WIDTH * 4);
			for (uint32_t x = WIDTH; x < stride_px; x++) {
				assert_int_equal(row[x], 0);
			}
		}
	}
	for (uint32_t x = 0; x < stride_px; x++) {
		assert_int_equal(memory[x], 0);
		assert_int_equal(memory[(HEIGHT + 1) * stride_px + x], 0);
	}
}

static void pieces_make_the_picture(void **state)
{
	(void)state;
	make_pictures(WIDTH);
	make_pictures(WIDTH + 1);
}

static void refuse(const struct bridge_commit *message)
{
	struct commit commit = {0};
	const char *fault = NULL;
	assert_int_equal(commit_begin(&commit, message, CONNECTORS, &fault), -EBADMSG);
	assert_non_null(fault);
	assert_false(commit.under_way);
}

static void hostile_commits_are_refused(void **state)
{
	(void)state;
	struct bridge_commit message = message_on();
	message.connectors[0] = CONNECTORS;
	refuse(&message);
	message.connectors[0] = 65535;
	refuse(&message);
	message = message_on();
	message.connectors_count = 2;
	refuse(&message); // the same one twice
	message = message_on();
	message.modes_count = 0;
	refuse(&message);
	message = message_on();
	message.connectors_count = 0;
	refuse(&message); // a mode without connectors
	message.modes_count = 0;
	message.damage_count = 1;
	message.damage[0] = (struct bridge_rect) {0, 0, 1, 1};
	refuse(&message); // damage of a CRTC that is off
	static const struct bridge_rect outside[] = {{WIDTH, 0, 1, 1}, {0, HEIGHT, 1, 1},
			{0, 0, WIDTH + 1, 1}, {0, 0, 1, HEIGHT + 1}, {1, 1, WIDTH, 1},
			{65535, 65535, 16384, 16384}};
	for (unsigned i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		message = message_on();
		message.damage_count = 2;
		message.damage[0] = (struct bridge_rect) {0, 0, WIDTH, HEIGHT};
		message.damage[1] = outside[i];
		refuse(&message);
	}
}

static void failed_commit_swallows_its_pixels(void **state)
{
	(void)state;
	struct commit commit = {0};
	struct bridge_commit message = message_on();
	const char *fault = NULL;
	message.damage_count = 1;
	message.damage[0] = (struct bridge_rect) {0, 0, WIDTH, HEIGHT};
	assert_int_equal(commit_begin(&commit, &message, CONNECTORS, &fault), 0);
	commit_set_target(&commit, NULL, -ENOMEM);
	commit_skip(&commit, 5);
	assert_false(commit_is_complete(&commit));
	commit_skip(&commit, WIDTH * HEIGHT * 4 - 5);
	assert_true(commit_is_complete(&commit));
	assert_int_equal(commit.result, -ENOMEM);
}

static void off_and_empty_are_complete_at_once(void **state)
{
	(void)state;
	struct commit commit = {0};
	struct bridge_commit message = {.id = 1};
	const char *fault = NULL;
	assert_int_equal(commit_begin(&commit, &message, CONNECTORS, &fault), 0);
	assert_true(commit_is_complete(&commit));
	assert_int_equal(commit.state.connectors, 0);
	commit_end(&commit);
	message = message_on();
	assert_int_equal(commit_begin(&commit, &message, CONNECTORS, &fault), 0);
	assert_true(commit_is_complete(&commit));
}

static void states_differ_by_timing_and_connectors(void **state)
{
	(void)state;
	struct crtc_state a = {.connectors = 1, .mode = {.clock = 1000, .hdisplay = 10}};
	struct crtc_state b = a;
	b.mode.type = 4;
	b.mode.vrefresh = 60;
	strcpy(b.mode.name, "other");
	assert_true(crtc_state_equal(&a, &b));
	b.mode.clock++;
	assert_false(crtc_state_equal(&a, &b));
	a.connectors = b.connectors = 0;
	assert_true(crtc_state_equal(&a, &b));
	b.connectors = 2;
	assert_false(crtc_state_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(pieces_make_the_picture),
			TEST(hostile_commits_are_refused),
			TEST(failed_commit_swallows_its_pixels),
			TEST(off_and_empty_are_complete_at_once),
			TEST(states_differ_by_timing_and_connectors),
	};
	return test_main("commit", tests);
}
