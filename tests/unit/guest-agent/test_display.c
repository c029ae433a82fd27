/*
 * Whole agent but main(): a fake bridge over a socket pair, real sessions, the headless back end;
 * pictures are read back from its PNG files, which must be exact when an answer has come.
 */
#include "tests/support/test.h"

#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "common/limits.h"
#include "guest-agent/headless.h"
#include "guest-agent/screen.h"
#include "tests/unit/guest-agent/fake_bridge.h"

#define WIDTH  320
#define HEIGHT 200

struct setting {
	struct loop *loop;
	struct backend *backend;
	struct screen *screen;
	struct server *server;
	struct fake_bridge bridge;
	uint64_t seed;
	uint32_t client[HEIGHT][WIDTH]; // what the client wants to see
};

static struct setting *setting;

static const char config_text[] =
		"[screen]\ncrtcs = 2\nsize_max = 1024x1024\n"
		"[connector HDMI-A-1]\nmode = 320x200\nmode = 640x480\nedid = 0102\n"
		"[connector DP-1]\nmode = 320x200\ncrtcs = 1\n";

static void config_write(const char *text)
{
	char path[256];
	FILE *file = fopen(test_path(path, sizeof(path), "screen.ini"), "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int set_up(void **state)
{
	(void)state;
	char path[256], reason[512];
	setting = calloc(1, sizeof(*setting));
	assert_non_null(setting);
	setting->seed = test_seed();
	config_write(config_text);
	test_path(path, sizeof(path), "screen.ini");
	assert_int_equal(loop_create(&setting->loop), 0);
	assert_int_equal(headless_create(path, test_dir(), reason, sizeof(reason),
					 &setting->backend),
			0);
	assert_int_equal(
			screen_create(setting->loop, setting->backend, false, &setting->screen), 0);
	assert_int_equal(server_create(setting->loop, -1, setting->screen, &setting->server), 0);
	fake_bridge_start(&setting->bridge, setting->loop, setting->server, true);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_bridge_stop(&setting->bridge);
	server_destroy(setting->server);
	screen_destroy(setting->screen);
	loop_destroy(setting->loop);
	free(setting);
	return 0;
}

/* Reads crtc-N.png; the caller frees it. */
static uint32_t *png_read(unsigned crtc, uint32_t *ret_width, uint32_t *ret_height)
{
	char name[32], path[256];
	snprintf(name, sizeof(name), "crtc-%u.png", crtc);
	png_image image = {.version = PNG_IMAGE_VERSION};
	assert_true(png_image_begin_read_from_file(&image, test_path(path, sizeof(path), name)));
	image.format = PNG_FORMAT_BGRA;
	uint32_t *pixels = malloc(PNG_IMAGE_SIZE(image));
	assert_non_null(pixels);
	assert_true(png_image_finish_read(&image, NULL, pixels, 0, NULL));
	*ret_width = image.width;
	*ret_height = image.height;
	return pixels;
}

struct sprite {
	const uint32_t *pixels; // opaque or transparent ones only
	int32_t x, y, width, height;
};

/* The file must hold the client's picture with SPRITE (may be NULL) over it. */
static void picture_check(const struct sprite *sprite)
{
	uint32_t width, height;
	uint32_t *seen = png_read(0, &width, &height);
	assert_int_equal(width, WIDTH);
	assert_int_equal(height, HEIGHT);
	for (int32_t y = 0; y < HEIGHT; y++) {
		for (int32_t x = 0; x < WIDTH; x++) {
			uint32_t wanted = setting->client[y][x];
			if (sprite && x >= sprite->x && x < sprite->x + sprite->width &&
					y >= sprite->y && y < sprite->y + sprite->height) {
				uint32_t pixel = sprite->pixels[(y - sprite->y) * sprite->width +
						(x - sprite->x)];
				wanted = pixel >> 24 ? pixel : wanted;
			}
			if ((seen[y * WIDTH + x] ^ wanted) & 0xffffff) {
				fail_msg("pixel %d,%d is %06x, not %06x", x, y,
						seen[y * WIDTH + x] & 0xffffff, wanted & 0xffffff);
			}
		}
	}
	free(seen);
}

static void commit_send(struct bridge_commit *commit)
{
	for (uint16_t i = 0; i < commit->damage_count; i++) {
		const struct bridge_rect *rect = &commit->damage[i];
		for (uint32_t y = 0; y < rect->height; y++) {
			test_noise(&setting->seed, &setting->client[rect->y + y][rect->x],
					rect->width * 4u);
		}
	}
	fake_bridge_send_commit(&setting->bridge, commit);
	fake_bridge_send_pixels(
			&setting->bridge, commit, setting->client[0], WIDTH, &setting->seed);
}

/* Sends COMMIT with new noise in its damage and waits for the answer, which must say RESULT. */
static void commit_do(struct bridge_commit *commit, int32_t result)
{
	uint32_t before = setting->bridge.commits_done;
	commit_send(commit);
	test_wait(setting->loop, setting->bridge.commits_done > before || setting->bridge.closed);
	assert_false(setting->bridge.closed);
	assert_int_equal(setting->bridge.commits_done, before + 1);
	assert_int_equal(setting->bridge.done.id, commit->id);
	assert_int_equal(setting->bridge.done.crtc, commit->crtc);
	assert_int_equal(setting->bridge.done.result, result);
}

static struct bridge_commit commit_whole(uint32_t id)
{
	struct bridge_commit commit = fake_bridge_commit(id, WIDTH, HEIGHT);
	commit.damage_count = 1;
	commit.damage[0] = (struct bridge_rect) {0, 0, WIDTH, HEIGHT};
	return commit;
}

static void damage_random(struct bridge_commit *commit)
{
	uint64_t *seed = &setting->seed;
	commit->damage_count = (uint16_t)(test_random(seed) % 17);
	for (uint16_t i = 0; i < commit->damage_count; i++) {
		struct bridge_rect *rect = &commit->damage[i];
		rect->x = (uint16_t)(test_random(seed) % WIDTH);
		rect->y = (uint16_t)(test_random(seed) % HEIGHT);
		rect->width = (uint16_t)(1 + test_random(seed) % (uint64_t)(WIDTH - rect->x) / 4);
		rect->height = (uint16_t)(1 + test_random(seed) % (uint64_t)(HEIGHT - rect->y) / 4);
	}
}

static void topology_arrives(void **state)
{
	(void)state;
	const struct fake_bridge *bridge = &setting->bridge;
	assert_int_equal(bridge->topology.generation, 1);
	assert_string_equal(bridge->topology.driver, "headless");
	assert_int_equal(bridge->topology.crtcs, 2);
	assert_int_equal(bridge->topology.connectors, 2);
	assert_string_equal(bridge->connectors[0].name, "HDMI-A-1");
	assert_int_equal(bridge->connectors[0].modes_count, 2);
	assert_int_equal(bridge->connectors[0].edid_bytes, 2);
	assert_int_equal(bridge->connectors[0].crtcs, 3);
	assert_int_equal(bridge->connectors[1].crtcs, 2);
}

static void partial_damage_is_exact(void **state)
{
	(void)state;
	struct bridge_commit commit = commit_whole(1);
	commit_do(&commit, 0);
	picture_check(NULL);
	for (uint32_t id = 2; id < 40; id++) {
		commit.id = id;
		damage_random(&commit);
		commit_do(&commit, 0);
		if (id % 8 == 0) {
			picture_check(NULL);
		}
	}
	picture_check(NULL);
}

static void modes_change_and_crtcs_go_off(void **state)
{
	(void)state;
	struct bridge_commit commit = commit_whole(1);
	commit_do(&commit, 0);
	struct bridge_commit other = fake_bridge_commit(2, 640, 480);
	commit_do(&other, 0);
	uint32_t width, height;
	uint32_t *seen = png_read(0, &width, &height);
	assert_int_equal(width, 640);
	assert_int_equal(height, 480);
	for (uint32_t i = 0; i < width * height; i++) {
		assert_int_equal(seen[i] & 0xffffff, 0);
	}
	free(seen);
	struct bridge_commit off = {.id = 3};
	commit_do(&off, 0);
	char path[256];
	assert_int_equal(access(test_path(path, sizeof(path), "crtc-0.png"), F_OK), -1);
	commit.id = 4;
	commit_do(&commit, 0);
	picture_check(NULL);
}

static void refusals_are_answered(void **state)
{
	(void)state;
	struct bridge_commit commit = commit_whole(1);
	commit_do(&commit, 0);
	struct bridge_commit large = fake_bridge_commit(2, 1025, 64);
	commit_do(&large, -EINVAL);
	struct bridge_commit wrong = commit_whole(3);
	wrong.connectors[0] = 1; // DP-1 cannot be driven by CRTC 0
	uint32_t(*before)[WIDTH] = malloc(sizeof(setting->client));
	assert_non_null(before);
	memcpy(before, setting->client, sizeof(setting->client));
	wrong.modes[0].hdisplay = WIDTH - 1;
	wrong.damage[0].width = WIDTH - 1;
	commit_do(&wrong, -EINVAL);
	memcpy(setting->client, before, sizeof(setting->client));
	free(before);
	/* The old picture is still there and takes damage. */
	commit.id = 4;
	damage_random(&commit);
	commit_do(&commit, 0);
	picture_check(NULL);
}

static void failed_commit_skips_its_pixels(void **state)
{
	(void)state;
	struct bridge_commit large = fake_bridge_commit(1, 1025, 300);
	large.damage_count = 2;
	large.damage[0] = (struct bridge_rect) {0, 0, 1025, 300};
	large.damage[1] = (struct bridge_rect) {7, 7, 1000, 99};
	uint32_t *pixels = calloc(1025 * 300, 4);
	assert_non_null(pixels);
	fake_bridge_send_commit(&setting->bridge, &large);
	fake_bridge_send_pixels(&setting->bridge, &large, pixels, 1025, &setting->seed);
	free(pixels);
	test_wait(setting->loop, setting->bridge.commits_done == 1);
	assert_int_equal(setting->bridge.done.result, -EINVAL);
	struct bridge_commit commit = commit_whole(2);
	commit_do(&commit, 0);
	picture_check(NULL);
}

static void sprite_random(uint32_t *pixels, uint16_t width, uint16_t height)
{
	for (uint32_t i = 0; i < (uint32_t)width * height; i++) {
		pixels[i] = test_random(&setting->seed) % 3
				? 0xff000000u | (uint32_t)test_random(&setting->seed)
				: 0;
	}
}

static void cursor_is_exact_over_damage(void **state)
{
	(void)state;
	static uint32_t pixels[64 * 64];
	struct bridge_commit commit = commit_whole(1);
	commit_do(&commit, 0);
	for (uint32_t round = 0; round < 30; round++) {
		struct sprite sprite = {.pixels = pixels,
				.width = 1 + (int32_t)(test_random(&setting->seed) % 64),
				.height = 1 + (int32_t)(test_random(&setting->seed) % 64),
				.x = (int32_t)(test_random(&setting->seed) % (WIDTH + 80)) - 70,
				.y = (int32_t)(test_random(&setting->seed) % (HEIGHT + 80)) - 70};
		sprite_random(pixels, (uint16_t)sprite.width, (uint16_t)sprite.height);
		fake_bridge_send_cursor_image(&setting->bridge, 0, (uint16_t)sprite.width,
				(uint16_t)sprite.height, pixels);
		fake_bridge_send_cursor_move(&setting->bridge, 0, true, 10, 10);
		fake_bridge_send_cursor_move(&setting->bridge, 0, true, sprite.x, sprite.y);
		if (round % 2) {
			fake_bridge_sync(&setting->bridge);
			picture_check(&sprite);
		}
		commit.id++;
		damage_random(&commit);
		if (round % 4 == 0) {
			commit.damage_count = 1;
			commit.damage[0] = (struct bridge_rect) {0, 0, WIDTH, HEIGHT};
		}
		commit_do(&commit, 0);
		picture_check(&sprite);
	}
	fake_bridge_send_cursor_move(&setting->bridge, 0, false, 0, 0);
	fake_bridge_sync(&setting->bridge);
	picture_check(NULL);
}

static void image_waits_for_its_move(void **state)
{
	(void)state;
	static uint32_t first[8 * 8], second[8 * 8];
	struct bridge_commit commit = commit_whole(1);
	commit_do(&commit, 0);
	struct sprite sprite = {first, 20, 20, 8, 8};
	sprite_random(first, 8, 8);
	sprite_random(second, 8, 8);
	fake_bridge_send_cursor_image(&setting->bridge, 0, 8, 8, first);
	fake_bridge_send_cursor_move(&setting->bridge, 0, true, 20, 20);
	fake_bridge_send_cursor_image(&setting->bridge, 0, 8, 8, second);
	fake_bridge_sync(&setting->bridge);
	picture_check(&sprite);
	fake_bridge_send_cursor_move(&setting->bridge, 0, true, 20, 20);
	fake_bridge_sync(&setting->bridge);
	sprite.pixels = second;
	picture_check(&sprite);
}

static void cursor_survives_a_mode_set(void **state)
{
	(void)state;
	static uint32_t pixels[16 * 16];
	struct sprite sprite = {pixels, 33, 44, 16, 16};
	sprite_random(pixels, 16, 16);
	fake_bridge_send_cursor_image(&setting->bridge, 0, 16, 16, pixels);
	fake_bridge_send_cursor_move(&setting->bridge, 0, true, 33, 44);
	struct bridge_commit other = fake_bridge_commit(1, 640, 480);
	commit_do(&other, 0);
	struct bridge_commit commit = commit_whole(2);
	commit_do(&commit, 0);
	picture_check(&sprite);
}

/* Ends when the agent has closed; it must have said FAULT (0: anything) first. */
static void expect_closed(uint32_t fault)
{
	struct fake_bridge *bridge = &setting->bridge;
	test_wait(setting->loop, bridge->closed);
	assert_true(bridge->fault != 0);
	if (fault) {
		assert_int_equal(bridge->fault, fault);
	}
}

/* The agent has dropped the bridge; another one must be served, and the picture be as it was. */
static void expect_recovery(void)
{
	fake_bridge_stop(&setting->bridge);
	fake_bridge_start(&setting->bridge, setting->loop, setting->server, true);
	struct bridge_commit commit = commit_whole(99);
	commit_do(&commit, 0);
	picture_check(NULL);
}

static void damage_outside_is_a_fault(void **state)
{
	(void)state;
	struct bridge_commit commit = commit_whole(1);
	commit.damage[0].width++;
	fake_bridge_send_commit(&setting->bridge, &commit);
	expect_closed(BRIDGE_FAULT_MALFORMED);
	expect_recovery();
}

static void second_commit_is_a_fault(void **state)
{
	(void)state;
	struct bridge_commit commit = commit_whole(1);
	fake_bridge_send_commit(&setting->bridge, &commit);
	fake_bridge_send_commit(&setting->bridge, &commit);
	expect_closed(BRIDGE_FAULT_MALFORMED);
	assert_int_equal(setting->bridge.commits_done, 0);
	expect_recovery();
}

static void pixels_without_commit_are_a_fault(void **state)
{
	(void)state;
	struct bridge_commit commit = commit_whole(1);
	commit.damage[0] = (struct bridge_rect) {0, 0, 1, 1};
	fake_bridge_send_pixels(&setting->bridge, &commit, setting->client[0], WIDTH, NULL);
	expect_closed(BRIDGE_FAULT_MALFORMED);
	expect_recovery();
}

static void too_many_pixels_are_a_fault(void **state)
{
	(void)state;
	struct bridge_commit commit = commit_whole(1);
	commit.damage[0] = (struct bridge_rect) {0, 0, 10, 10};
	fake_bridge_send_commit(&setting->bridge, &commit);
	commit.damage[0] = (struct bridge_rect) {0, 0, 101, 1};
	fake_bridge_send_pixels(&setting->bridge, &commit, setting->client[0], WIDTH, NULL);
	expect_closed(BRIDGE_FAULT_MALFORMED);
	assert_int_equal(setting->bridge.commits_done, 0);
	expect_recovery();
}

static void unknown_objects_are_faults(void **state)
{
	(void)state;
	static uint32_t pixels[128 * 128];
	struct bridge_commit commit = commit_whole(1);
	commit.crtc = 2;
	fake_bridge_send_commit(&setting->bridge, &commit);
	expect_closed(BRIDGE_FAULT_MALFORMED);
	expect_recovery();
	fake_bridge_send_cursor_move(&setting->bridge, 15, true, 0, 0);
	expect_closed(BRIDGE_FAULT_MALFORMED);
	expect_recovery();
	fake_bridge_send_cursor_image(&setting->bridge, 2, 1, 1, pixels);
	expect_closed(BRIDGE_FAULT_MALFORMED);
	expect_recovery();
	fake_bridge_send_cursor_image(&setting->bridge, 0, 65, 64, pixels);
	expect_closed(BRIDGE_FAULT_MALFORMED);
	expect_recovery();
}

static void cursor_of_wrong_length_is_a_fault(void **state)
{
	(void)state;
	static uint32_t pixels[64 * 64];
	struct bridge_cursor_image message = {.width = 64, .height = 64};
	uint8_t head[BRIDGE_CURSOR_IMAGE_MAX];
	ssize_t bytes = bridge_cursor_image_encode(&message, head, sizeof(head));
	assert_true(bytes > 0);
	fake_bridge_send(&setting->bridge, BRIDGE_CURSOR_IMAGE, head, (size_t)bytes, pixels,
			sizeof(pixels) - 1);
	expect_closed(BRIDGE_FAULT_MALFORMED);
	expect_recovery();
}

static void end_in_the_middle_keeps_the_picture(void **state)
{
	(void)state;
	struct bridge_commit commit = commit_whole(1);
	commit_do(&commit, 0);
	struct bridge_commit other = fake_bridge_commit(2, 640, 480);
	other.damage_count = 1;
	other.damage[0] = (struct bridge_rect) {0, 0, 640, 480};
	fake_bridge_send_commit(&setting->bridge, &other);
	struct bridge_commit part = other;
	part.damage[0].height = 100;
	uint32_t *pixels = calloc(640 * 480, 4);
	assert_non_null(pixels);
	fake_bridge_send_pixels(&setting->bridge, &part, pixels, 640, &setting->seed);
	free(pixels);
	assert_int_equal(loop_turn(setting->loop, 10), 0);
	fake_bridge_stop(&setting->bridge);
	fake_bridge_start(&setting->bridge, setting->loop, setting->server, true);
	fake_bridge_sync(&setting->bridge);
	picture_check(NULL);
	/* Same mode: no mode set, only the damage is new. */
	uint64_t frames = headless_frames(setting->backend, 0);
	commit.id = 5;
	commit_do(&commit, 0);
	assert_int_equal(headless_frames(setting->backend, 0), frames + 1);
	picture_check(NULL);
}

static void newer_connection_replaces_the_older(void **state)
{
	(void)state;
	struct bridge_commit commit = commit_whole(1);
	commit_do(&commit, 0);
	struct bridge_commit half = commit_whole(2);
	fake_bridge_send_commit(&setting->bridge, &half);
	static struct fake_bridge newer;
	fake_bridge_start(&newer, setting->loop, setting->server, true);
	expect_closed(BRIDGE_FAULT_REPLACED);
	fake_bridge_stop(&setting->bridge);
	fake_bridge_sync(&newer);
	assert_int_equal(newer.syncs_done, 1);
	picture_check(NULL);
	fake_bridge_stop(&newer);
}

static void other_roles_are_refused(void **state)
{
	(void)state;
	static struct fake_bridge other;
	fake_bridge_start(&other, setting->loop, setting->server, false);
	fake_bridge_hello(&other, BRIDGE_ROLE_AUDIO, BRIDGE_VERSION_NUMBER);
	test_wait(setting->loop, other.closed);
	assert_int_equal(other.fault, BRIDGE_FAULT_ROLE);
	assert_int_equal(other.topologies, 0);
	fake_bridge_stop(&other);
	fake_bridge_sync(&setting->bridge);
	assert_int_equal(setting->bridge.syncs_done, 1);
}

static void connections_are_limited(void **state)
{
	(void)state;
	static struct fake_bridge many[LIMIT_SESSIONS + 8];
	for (unsigned i = 0; i < LIMIT_SESSIONS + 8; i++) {
		fake_bridge_start(&many[i], setting->loop, setting->server, false);
	}
	test_wait(setting->loop, many[7].closed);
	assert_false(many[LIMIT_SESSIONS + 7].closed);
	/* The one that works was never in danger. */
	fake_bridge_sync(&setting->bridge);
	assert_int_equal(setting->bridge.syncs_done, 1);
	for (unsigned i = 0; i < LIMIT_SESSIONS + 8; i++) {
		fake_bridge_stop(&many[i]);
	}
	expect_recovery();
}

static void pictures_are_limited(void **state)
{
	(void)state;
	char path[256], reason[512];
	fake_bridge_stop(&setting->bridge);
	server_destroy(setting->server);
	screen_destroy(setting->screen);
	config_write("[screen]\nsize_max = 16384x16384\n[connector HDMI-A-1]\nmode = 320x200\n");
	test_path(path, sizeof(path), "screen.ini");
	/* Without PNG files: one of these would have 256 MiB. */
	assert_int_equal(headless_create(path, NULL, reason, sizeof(reason), &setting->backend), 0);
	assert_int_equal(
			screen_create(setting->loop, setting->backend, false, &setting->screen), 0);
	assert_int_equal(server_create(setting->loop, -1, setting->screen, &setting->server), 0);
	fake_bridge_start(&setting->bridge, setting->loop, setting->server, true);
	struct bridge_commit largest = fake_bridge_commit(1, 8192, 8192);
	assert_int_equal(8192ull * 8192 * 4, LIMIT_BUFFER_BYTES);
	commit_do(&largest, 0);
	struct bridge_commit larger = fake_bridge_commit(2, 8192, 8193);
	commit_do(&larger, -ENOMEM);
	larger = fake_bridge_commit(3, 16384, 16384);
	commit_do(&larger, -ENOMEM);
	struct bridge_commit off = {.id = 4};
	commit_do(&off, 0);
	largest.id = 5;
	commit_do(&largest, 0);
}

static void reader_that_stops_is_dropped(void **state)
{
	(void)state;
	struct fake_bridge *bridge = &setting->bridge;
	link_pause(bridge->link, 1);
	struct bridge_sync message = {.id = 1};
	uint8_t buffer[BRIDGE_SYNC_MAX];
	ssize_t bytes = bridge_sync_encode(&message, buffer, sizeof(buffer));
	assert_true(bytes > 0);
	uint64_t sent = 0;
	while (!bridge->closed && sent < 1000000) {
		struct iovec part = {.iov_base = buffer, .iov_len = (size_t)bytes};
		int error = link_send(bridge->link, BRIDGE_SYNC, 0, 0, &part, 1);
		if (error == -EPIPE) {
			break;
		}
		sent += error == 0;
		if (error == -EAGAIN) {
			assert_int_equal(loop_turn(setting->loop, 0), 0);
		}
	}
	assert_true(sent < 1000000);
	/* Without a PNG directory this is quick; nothing here may grow with what is sent. */
	fake_bridge_stop(bridge);
	fake_bridge_start(bridge, setting->loop, setting->server, true);
}

static void floods_of_noise_are_survived(void **state)
{
	(void)state;
	static const uint16_t opcodes[] = {BRIDGE_HELLO, BRIDGE_ERROR, BRIDGE_TOPOLOGY_BEGIN,
			BRIDGE_COMMIT, BRIDGE_PIXELS, BRIDGE_COMMIT_DONE, BRIDGE_CURSOR_IMAGE,
			BRIDGE_CURSOR_MOVE, BRIDGE_SYNC, 0, 65535};
	static uint8_t noise[3000];
	for (unsigned round = 0; round < 400; round++) {
		test_noise(&setting->seed, noise, sizeof(noise));
		uint16_t opcode = opcodes[test_random(&setting->seed) %
				(sizeof(opcodes) / sizeof(opcodes[0]))];
		fake_bridge_send(&setting->bridge, opcode, noise,
				test_random(&setting->seed) % sizeof(noise), NULL, 0);
		assert_int_equal(loop_turn(setting->loop, 0), 0);
		if (setting->bridge.closed) {
			fake_bridge_stop(&setting->bridge);
			fake_bridge_start(&setting->bridge, setting->loop, setting->server, true);
		}
	}
	expect_recovery();
}

static void connectors_move_between_crtcs(void **state)
{
	(void)state;
	struct bridge_commit commit = commit_whole(1);
	commit_do(&commit, 0);
	/* CRTC 0 is being filled while CRTC 1 takes its connector. */
	struct bridge_commit half = commit_whole(2);
	fake_bridge_send_commit(&setting->bridge, &half);
	struct bridge_commit thief = fake_bridge_commit(3, 640, 480);
	thief.crtc = 1;
	commit_do(&thief, 0);
	uint32_t before = setting->bridge.commits_done;
	fake_bridge_send_pixels(&setting->bridge, &half, setting->client[0], WIDTH, &setting->seed);
	test_wait(setting->loop, setting->bridge.commits_done > before);
	assert_int_equal(setting->bridge.done.id, 2);
	assert_int_equal(setting->bridge.done.result, 0);
	picture_check(NULL);
}

static void hotplug_sends_the_topology_again(void **state)
{
	(void)state;
	screen_refresh(setting->screen);
	fake_bridge_sync(&setting->bridge);
	assert_int_equal(setting->bridge.topologies, 1); // nothing has changed
	config_write("[screen]\ncrtcs = 2\nsize_max = 1024x1024\n"
		     "[connector HDMI-A-1]\nmode = 320x200\nmode = 640x480\nedid = 0102\n"
		     "[connector DP-1]\nconnection = disconnected\ncrtcs = 1\n");
	screen_refresh(setting->screen);
	fake_bridge_sync(&setting->bridge);
	assert_int_equal(setting->bridge.topologies, 2);
	assert_int_equal(setting->bridge.topology.generation, 2);
	assert_int_equal(setting->bridge.connectors[1].connection, BRIDGE_CONNECTION_DISCONNECTED);
	/* A broken file changes nothing. */
	config_write("[screen]\nnonsense = 1\n");
	screen_refresh(setting->screen);
	fake_bridge_sync(&setting->bridge);
	assert_int_equal(setting->bridge.topologies, 2);
}

#define CASE(fn) TEST_WITH(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			CASE(topology_arrives),
			CASE(partial_damage_is_exact),
			CASE(modes_change_and_crtcs_go_off),
			CASE(refusals_are_answered),
			CASE(failed_commit_skips_its_pixels),
			CASE(cursor_is_exact_over_damage),
			CASE(image_waits_for_its_move),
			CASE(cursor_survives_a_mode_set),
			CASE(damage_outside_is_a_fault),
			CASE(second_commit_is_a_fault),
			CASE(pixels_without_commit_are_a_fault),
			CASE(too_many_pixels_are_a_fault),
			CASE(unknown_objects_are_faults),
			CASE(cursor_of_wrong_length_is_a_fault),
			CASE(end_in_the_middle_keeps_the_picture),
			CASE(newer_connection_replaces_the_older),
			CASE(other_roles_are_refused),
			CASE(connections_are_limited),
			CASE(pictures_are_limited),
			CASE(reader_that_stops_is_dropped),
			CASE(floods_of_noise_are_survived),
			CASE(connectors_move_between_crtcs),
			CASE(hotplug_sends_the_topology_again),
	};
	return test_main("display", tests);
}
