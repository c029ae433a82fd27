/* What reaches the agent, when, and who waits for it: noise in a client's buffer, compared with
 * what the fake agent painted. */
#include "tests/unit/display-bridge/fake_display.h"

#include <errno.h>
#include <string.h>

#define NR_CURSOR    0xA3
#define NR_RMFB      0xAF
#define NR_PAGE_FLIP 0xB0
#define NR_CURSOR2   0xBB
#define NR_DPMS      0xAB
#define FSYNC        UINT64_MAX

static struct topology topology;

static void agent_there(uint32_t connectors)
{
	fake_topology(&topology, connectors);
	fake_agent_up();
	fake_agent_topology(&topology);
	fake_agent_settle();
}

static void picture_arrives(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	agent_there(1);
	client_start(&client, "3", 100, 60, &seed);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	client_assert_shown(&client, 0, 0, 0);
	/* One pixel that changed without DIRTYFB is not on the screen: the comparison can fail. */
	client.memory[5] ^= 1;
	assert_memory_not_equal(fake->screens[0].pixels, client.memory, 64 * 4);
}

static void viewport_and_second_mode(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	agent_there(1);
	client_start(&client, "v2/3", 100, 60, &seed);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	struct request *request = client_set_crtc(&client, 1, 0, 1, 20, 13);
	assert_false(request->answered);
	fake_agent_settle();
	assert_true(request->answered);
	assert_int_equal(request->result, 0);
	client_assert_shown(&client, 1, 20, 13);
	assert_false(fake->screens[0].on); // its connector moved
	free(request);
}

static void dirty_sends_the_clips_alone(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	agent_there(1);
	client_start(&client, "3", 64, 48, &seed);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	uint64_t before = fake->screens[0].pixel_bytes;
	test_noise(&seed, client.memory, (size_t)client.pitch * client.height);
	const struct drm_fixed_clip clips[] = {{3, 4, 10, 9}, {40, 40, 64, 48}, {60, 0, 500, 2},
			{7, 7, 7, 20}, {100, 100, 200, 200}};
	assert_int_equal(client_dirty(&client, clips, 5), 0);
	fake_agent_settle();
	assert_int_equal(fake->screens[0].pixel_bytes - before, (7 * 5 + 24 * 8 + 4 * 2) * 4);
	for (uint32_t y = 40; y < 48; y++) {
		assert_memory_equal(&fake->screens[0].pixels[y * FAKE_SCREEN_PX + 40],
				client.memory + y * client.pitch + 40 * 4, 24 * 4);
	}
	assert_int_equal(client_dirty(&client, NULL, 0), 0);
	fake_agent_settle();
	client_assert_shown(&client, 0, 0, 0);
}

/* While a commit is under way its answer is awaited, and what comes meanwhile is one commit. */
static void damage_is_merged_while_one_is_under_way(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	agent_there(1);
	client_start(&client, "3", 64, 48, &seed);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	unsigned commits = fake->screens[0].commits;
	for (uint16_t i = 0; i < 200; i++) {
		struct drm_fixed_clip clip = {(uint16_t)(i % 60), (uint16_t)(i % 40),
				(uint16_t)(i % 60 + 2), (uint16_t)(i % 40 + 2)};
		test_noise(&seed, client.memory, (size_t)client.pitch * client.height);
		assert_int_equal(client_dirty(&client, &clip, 1), 0);
		fake_turn();
	}
	assert_int_equal(fake->screens[0].commits, commits + 1);
	assert_int_equal(client_dirty(&client, NULL, 0), 0);
	fake_agent_answer(0, 0);
	fake_agent_settle();
	assert_int_equal(fake->screens[0].commits, commits + 2);
	client_assert_shown(&client, 0, 0, 0);
}

static void slow_link_gets_every_pixel(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	fake_topology(&topology, 1);
	mode_make(FAKE_SCREEN_PX, FAKE_SCREEN_PX, &topology.connectors[0].modes[0]);
	fake_agent_up();
	fake_agent_topology(&topology);
	fake_agent_settle();
	client_start(&client, "3", 300, 256, &seed);
	struct request *request = client_set_crtc(&client, 0, 0, 0, 7, 0);
	for (unsigned i = 0; !request->answered; i++) {
		assert_true(i < 1000);
		fake->room = 2;
		fake->full = false;
		fake->display.present.session != NULL ? present_writable(&fake->display.present)
						      : (void)0;
		fake_turn();
		const struct fake_screen *screen = &fake->screens[0];
		if (screen->under_way && screen->got_bytes == screen->wanted_bytes) {
			fake_agent_answer(0, 0);
		}
	}
	assert_int_equal(request->result, 0);
	client_assert_shown(&client, 0, 7, 0);
	free(request);
}

/* An agent that takes 4 KiB gets 4 KiB: pixels come in more pieces, a large cursor is hidden. */
static void small_frames(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	fake->frame_max = 4096;
	fake_topology(&topology, 1);
	fake_agent_up();
	fake_agent_topology(&topology);
	fake_agent_settle();
	client_start(&client, "3", 100, 60, &seed);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	client_assert_shown(&client, 0, 0, 0);
	struct drm_fixed_cursor show = {.flags = 1,
			.crtc_id = KMS_ID_CRTC,
			.width = 32,
			.height = 32,
			.handle = client.handle};
	assert_int_equal(fake_ioctl(client.card, NR_CURSOR, &show, sizeof(show)), 0);
	fake_agent_settle();
	assert_int_equal(fake->failed, 0);
	assert_false(fake->screens[0].cursor_visible);
	show.width = 31;
	assert_int_equal(fake_ioctl(client.card, NR_CURSOR, &show, sizeof(show)), 0);
	fake_agent_settle();
	assert_true(fake->screens[0].cursor_visible);
}

static void driver_refuses(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	agent_there(1);
	client_start(&client, "3", 100, 60, &seed);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	struct request *request = client_set_crtc(&client, 0, 0, 1, 0, 0);
	fake_turn();
	fake_agent_answer(0, -EINVAL);
	assert_true(request->answered);
	assert_int_equal(request->result, -EINVAL);
	free(request);
	/* As on Linux, what was there before stays. */
	struct drm_fixed_crtc crtc = {.crtc_id = KMS_ID_CRTC};
	assert_int_equal(fake_ioctl(client.card, 0xA1, &crtc, sizeof(crtc)), 0);
	assert_int_equal(crtc.mode.hdisplay, 64);
	fake_agent_settle();
	client_assert_shown(&client, 0, 0, 0);
	assert_int_equal(fake->screens[0].commit.modes[0].hdisplay, 64);
}

static void agent_is_away(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	client_start(&client, "3", 100, 60, &seed);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	assert_int_equal(client_dirty(&client, NULL, 0), 0);
	struct request *request = fake_start(client.card, FSYNC, NULL, 0);
	assert_true(request->answered);
	assert_int_equal(request->result, 0);
	free(request);
	/* Then it comes. Its connector has another name: the picture waits for the client to see. */
	agent_there(1);
	assert_false(fake->screens[0].on);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	client_assert_shown(&client, 0, 0, 0);
	/* It dies with a SETCRTC under way and comes back: no error, and the newest picture. */
	request = client_set_crtc(&client, 0, 0, 1, 0, 0);
	fake_turn();
	assert_false(request->answered);
	fake_agent_down();
	assert_true(request->answered);
	assert_int_equal(request->result, 0);
	free(request);
	test_noise(&seed, client.memory, (size_t)client.pitch * client.height);
	assert_int_equal(client_dirty(&client, NULL, 0), 0);
	agent_there(1);
	client_assert_shown(&client, 0, 0, 0);
	assert_int_equal(fake->screens[0].commit.modes[0].hdisplay, 80);
}

/* Ended at each message of a session in turn, the next session always shows the picture. */
static void agent_dies_anywhere(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	agent_there(1);
	client_start(&client, "3", 100, 60, &seed);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	for (unsigned point = 1; point < 12; point++) {
		fake->room = point;
		for (int i = 0; i < 3; i++) {
			test_noise(&seed, client.memory, (size_t)client.pitch * client.height);
			assert_int_equal(client_dirty(&client, NULL, 0), 0);
			fake_turn();
			if (fake->screens[0].under_way && !fake->full) {
				fake_agent_answer(0, 0);
			}
		}
		struct request *request = fake_start(client.card, FSYNC, NULL, 0);
		fake_agent_down();
		assert_true(request->answered);
		assert_int_equal(request->result, 0);
		free(request);
		fake->room = 0;
		agent_there(1);
		client_assert_shown(&client, 0, 0, 0);
	}
}

static void fsync_waits_for_the_screen(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	agent_there(1);
	client_start(&client, "3", 64, 48, &seed);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	struct request *request = fake_start(client.card, FSYNC, NULL, 0);
	fake_agent_settle(); // of the cursor's state after the connect
	assert_true(request->answered);
	free(request);
	request = fake_start(client.card, FSYNC, NULL, 0);
	assert_true(request->answered); // nothing is owed
	free(request);
	assert_int_equal(client_dirty(&client, NULL, 0), 0);
	fake_turn();
	assert_int_equal(client_dirty(&client, NULL, 0), 0); // merged behind the one under way
	request = fake_start(client.card, FSYNC, NULL, 0);
	fake_agent_answer(0, 0);
	assert_false(request->answered);
	fake_turn();
	fake_agent_answer(0, 0);
	assert_true(request->answered);
	assert_int_equal(request->result, 0);
	free(request);
}

static void fsync_waits_for_the_cursor(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	agent_there(1);
	client_start(&client, "3", 64, 48, &seed);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	struct drm_fixed_cursor move = {.flags = 2, .crtc_id = KMS_ID_CRTC, .x = -5, .y = 7};
	assert_int_equal(fake_ioctl(client.card, NR_CURSOR, &move, sizeof(move)), 0);
	struct request *first = fake_start(client.card, FSYNC, NULL, 0);
	fake_turn();
	assert_int_equal(fake_ioctl(client.card, NR_CURSOR, &move, sizeof(move)), 0);
	struct request *second = fake_start(client.card, FSYNC, NULL, 0);
	fake_turn();
	assert_int_equal(fake->syncs, 1);
	fake_agent_answer_sync();
	assert_true(first->answered);
	assert_false(second->answered);
	fake_turn();
	fake_agent_answer_sync();
	assert_true(second->answered);
	free(first);
	free(second);
}

static void cursor_with_hotspot(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	agent_there(1);
	client_start(&client, "3", 64, 64, &seed);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	struct drm_fixed_cursor2 show = {.flags = 3,
			.crtc_id = KMS_ID_CRTC,
			.x = 10,
			.y = -20,
			.width = 64,
			.height = 64,
			.handle = client.handle,
			.hot_x = 4,
			.hot_y = 5};
	assert_int_equal(fake_ioctl(client.card, NR_CURSOR2, &show, sizeof(show)), 0);
	fake_agent_settle();
	const struct fake_screen *screen = &fake->screens[0];
	assert_true(screen->cursor_visible);
	assert_int_equal(screen->cursor_x, 10);
	assert_int_equal(screen->cursor_y, -20);
	assert_int_equal(screen->cursor_hot_x, 4);
	assert_int_equal(screen->cursor_hot_y, 5);
	assert_int_equal(screen->cursor_width, 64);
	assert_memory_equal(screen->cursor_pixels, client.memory, 64 * 64 * 4);
	/* A move sends no picture; handle 0 hides; a reconnect brings all of it again. */
	unsigned images = screen->images;
	struct drm_fixed_cursor move = {.flags = 2, .crtc_id = KMS_ID_CRTC, .x = 40000, .y = 1};
	assert_int_equal(fake_ioctl(client.card, NR_CURSOR, &move, sizeof(move)), 0);
	fake_agent_settle();
	assert_int_equal(screen->images, images);
	assert_int_equal(screen->cursor_x, 32767);
	fake_agent_down();
	agent_there(1);
	assert_int_equal(screen->images, images + 1);
	assert_true(screen->cursor_visible);
	struct drm_fixed_cursor hide = {.flags = 1, .crtc_id = KMS_ID_CRTC};
	assert_int_equal(fake_ioctl(client.card, NR_CURSOR, &hide, sizeof(hide)), 0);
	fake_agent_settle();
	assert_false(screen->cursor_visible);
}

static void largest_cursor(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	agent_there(1);
	client_start(&client, "3", 256, 256, &seed);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	struct drm_fixed_cursor show = {.flags = 1,
			.crtc_id = KMS_ID_CRTC,
			.width = 256,
			.height = 256,
			.handle = client.handle};
	assert_int_equal(fake_ioctl(client.card, NR_CURSOR, &show, sizeof(show)), 0);
	fake_agent_settle();
	assert_memory_equal(fake->screens[0].cursor_pixels, client.memory, 256 * 256 * 4);
	show.width = 257;
	assert_int_equal(fake_ioctl(client.card, NR_CURSOR, &show, sizeof(show)), -EINVAL);
	show.width = 256;
	assert_int_equal(fake_ioctl(client.card, NR_CURSOR, &show, sizeof(show)), 0);
}

/* LIMIT_COMMIT_MS: an agent that does not answer is taken for dead, the caller is answered, and the
 * next agent shows the picture. */
static void limit_commit(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	agent_there(1);
	client_start(&client, "3", 100, 60, &seed);
	struct request *request = client_set_crtc(&client, 0, 0, 0, 0, 0);
	fake_turn();
	struct present *present = &fake->display.present;
	assert_true(present->crtcs[0].commit.under_way);
	uint64_t left_ns = present->crtcs[0].commit.deadline_ns - clock_now_ns();
	assert_in_range(left_ns / CLOCK_NS_PER_MS, LIMIT_COMMIT_MS - 1000, LIMIT_COMMIT_MS);
	assert_int_equal(fake->failed, 0);
	loop_timer_arm(present->timer, 1); // as if the time had passed
	test_wait(fake->loop, fake->failed != 0);
	assert_int_equal(fake->failed, -ETIMEDOUT);
	assert_string_equal(fake->fault, "it does not answer, or does not read");
	fake->failed = 0;
	fake_agent_down();
	assert_true(request->answered);
	assert_int_equal(request->result, 0);
	free(request);
	agent_there(1);
	client_assert_shown(&client, 0, 0, 0);
}

/* An agent that reads no more may have filled the link with cursors before any commit. */
static void full_link_ends_too(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	agent_there(1);
	client_start(&client, "3", 100, 60, &seed);
	fake->full = true;
	struct request *request = client_set_crtc(&client, 0, 0, 0, 0, 0);
	fake_turn();
	struct present *present = &fake->display.present;
	assert_false(present->crtcs[0].commit.under_way);
	uint64_t left_ns = present->full_deadline_ns - clock_now_ns();
	assert_in_range(left_ns / CLOCK_NS_PER_MS, LIMIT_COMMIT_MS - 1000, LIMIT_COMMIT_MS);
	present->full_deadline_ns = 1; // as if the time had passed
	assert_int_equal(client_dirty(&client, NULL, 0), 0);
	test_wait(fake->loop, fake->failed != 0);
	assert_int_equal(fake->failed, -ETIMEDOUT);
	fake->failed = 0;
	fake_agent_down();
	assert_true(request->answered);
	free(request);
	/* One that reads again has its time anew. */
	agent_there(1);
	assert_int_equal(present->full_deadline_ns, 0);
	fake->full = true;
	assert_int_equal(client_dirty(&client, NULL, 0), 0);
	fake_turn();
	assert_int_not_equal(present->full_deadline_ns, 0);
	fake->full = false;
	present_writable(present);
	fake_agent_settle();
	assert_int_equal(present->full_deadline_ns, 0);
	client_assert_shown(&client, 0, 0, 0);
}

static void vts_switch(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client one, two;
	agent_there(1);
	vt_activate(&fake->display.vts, 1);
	client_start(&one, "1", 64, 48, &seed);
	client_start(&two, "2", 80, 60, &seed);
	assert_int_equal(client_show(&one, 0, 0, 0), 0);
	/* Of an inactive VT: recorded, at once, unseen. */
	struct request *request = client_set_crtc(&two, 0, 0, 1, 0, 0);
	assert_true(request->answered);
	assert_int_equal(request->result, 0);
	free(request);
	uint64_t bytes = fake->screens[0].pixel_bytes;
	assert_int_equal(client_dirty(&two, NULL, 0), 0);
	request = fake_start(two.card, FSYNC, NULL, 0);
	assert_true(request->answered);
	free(request);
	fake_agent_settle();
	assert_int_equal(fake->screens[0].pixel_bytes, bytes);
	client_assert_shown(&one, 0, 0, 0);
	/* Activated: the whole of it. */
	test_noise(&seed, two.memory, (size_t)two.pitch * two.height);
	vt_activate(&fake->display.vts, 2);
	fake_agent_settle();
	client_assert_shown(&two, 0, 0, 0);
	assert_int_equal(fake->screens[0].commit.modes[0].hdisplay, 80);
	vt_activate(&fake->display.vts, 7); // nobody's
	fake_agent_settle();
	assert_false(fake->screens[0].on);
	vt_activate(&fake->display.vts, 1);
	fake_agent_settle();
	client_assert_shown(&one, 0, 0, 0);
}

/* Without inputd the latest picture wins, and gives way when its handle closes. */
static void vts_without_inputd(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client one, two;
	agent_there(1);
	client_start(&one, "1", 64, 48, &seed);
	client_start(&two, "2", 80, 60, &seed);
	assert_int_equal(client_show(&one, 0, 0, 0), 0);
	client_assert_shown(&one, 0, 0, 0);
	assert_int_equal(client_show(&two, 0, 0, 0), 0);
	client_assert_shown(&two, 0, 0, 0);
	fake_close(two.card);
	fake_agent_settle();
	client_assert_shown(&one, 0, 0, 0);
}

static void close_takes_the_picture_along(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client one;
	agent_there(1);
	client_start(&one, "1", 64, 48, &seed);
	struct card *other = fake_open("1", NULL);
	assert_int_equal(client_show(&one, 0, 0, 0), 0);
	assert_int_equal(client_dirty(&one, NULL, 0), 0);
	fake->room = 2; // the commit passes, its pixels do not: the stream outlives the handle
	fake_turn();
	fake_close(one.card);
	fake->room = 0;
	fake->full = false;
	present_writable(&fake->display.present);
	fake_agent_settle();
	assert_false(fake->screens[0].on);
	fake_close(other);
}

/* The handle that set a cursor closes while another shows the picture. */
static void close_takes_the_cursor_along(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client one, two;
	agent_there(1);
	client_start(&one, "1", 64, 48, &seed);
	client_start(&two, "1", 64, 64, &seed);
	assert_int_equal(client_show(&one, 0, 0, 0), 0);
	struct drm_fixed_cursor show = {.flags = 1,
			.crtc_id = KMS_ID_CRTC,
			.width = 64,
			.height = 64,
			.handle = two.handle};
	assert_int_equal(fake_ioctl(two.card, NR_CURSOR, &show, sizeof(show)), 0);
	fake_agent_settle();
	assert_true(fake->screens[0].cursor_visible);
	fake_close(two.card);
	fake_agent_settle();
	assert_false(fake->screens[0].cursor_visible);
	client_assert_shown(&one, 0, 0, 0);
}

static void rmfb_switches_off_and_dpms_too(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	agent_there(1);
	client_start(&client, "1", 64, 48, &seed);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	uint32_t slots[LIMIT_CONNECTORS];
	kms_slots_present(&fake->display.kms, slots);
	struct drm_fixed_set_property dpms = {.value = 3,
			.prop_id = KMS_ID_DPMS,
			.connector_id = KMS_ID_CONNECTOR + slots[0]};
	assert_int_equal(fake_ioctl(client.card, NR_DPMS, &dpms, sizeof(dpms)), 0);
	fake_agent_settle();
	assert_false(fake->screens[0].on);
	dpms.value = 0;
	assert_int_equal(fake_ioctl(client.card, NR_DPMS, &dpms, sizeof(dpms)), 0);
	fake_agent_settle();
	client_assert_shown(&client, 0, 0, 0);
	uint32_t fb = client.fb;
	assert_int_equal(fake_ioctl(client.card, NR_RMFB, &fb, sizeof(fb)), 0);
	fake_agent_settle();
	assert_false(fake->screens[0].on);
}

static void page_flip_without_event(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client, second;
	agent_there(1);
	client_start(&client, "1", 64, 48, &seed);
	client_start(&second, "1", 64, 48, &seed);
	struct drm_fixed_page_flip flip = {.crtc_id = KMS_ID_CRTC, .fb_id = second.fb};
	assert_int_equal(fake_ioctl(client.card, NR_PAGE_FLIP, &flip, sizeof(flip)), -EBUSY);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	assert_int_equal(fake_ioctl(client.card, NR_PAGE_FLIP, &flip, sizeof(flip)), 0);
	fake_agent_settle();
	client_assert_shown(&second, 0, 0, 0);
	flip.flags = 1;
	assert_int_equal(fake_ioctl(client.card, NR_PAGE_FLIP, &flip, sizeof(flip)), -EINVAL);
}

static void answers_to_nothing_are_faults(void **state)
{
	(void)state;
	uint8_t bytes[BRIDGE_COMMIT_DONE_MAX];
	agent_there(1);
	struct bridge_commit_done done = {.id = 77, .crtc = 9};
	ssize_t length = bridge_commit_done_encode(&done, bytes, sizeof(bytes));
	fake_agent_say(BRIDGE_COMMIT_DONE, bytes, (size_t)length);
	assert_int_equal(fake->failed, -EBADMSG);
	fake->failed = 0;
	struct bridge_sync_done sync = {77};
	length = bridge_sync_done_encode(&sync, bytes, sizeof(bytes));
	fake_agent_say(BRIDGE_SYNC_DONE, bytes, (size_t)length);
	assert_int_equal(fake->failed, -EBADMSG);
}

/* The id is right, but the pixels are still on their way. */
static void answer_before_the_pixels_is_a_fault(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	uint8_t bytes[BRIDGE_COMMIT_DONE_MAX];
	struct fake_client client;
	agent_there(1);
	client_start(&client, "1", 64, 48, &seed);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	assert_int_equal(client_dirty(&client, NULL, 0), 0);
	fake->room = 2;
	fake_turn();
	assert_true(fake->full);
	struct bridge_commit_done done = {.id = fake->screens[0].commit.id};
	ssize_t length = bridge_commit_done_encode(&done, bytes, sizeof(bytes));
	fake_agent_say(BRIDGE_COMMIT_DONE, bytes, (size_t)length);
	assert_int_equal(fake->failed, -EBADMSG);
}

static void cancelled_waits_are_forgotten(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	agent_there(1);
	client_start(&client, "1", 64, 48, &seed);
	struct request *request = client_set_crtc(&client, 0, 0, 0, 0, 0);
	assert_false(request->answered);
	card_ops.cancel(&fake->display, client.card, request);
	fake_agent_settle();
	assert_false(request->answered);
	free(request);
}

/* Fewer CRTCs than before while one of the lost is under way. */
static void topology_shrinks(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	agent_there(2);
	client_start(&client, "1", 64, 48, &seed);
	assert_int_equal(client_show(&client, 1, 1, 0), 0);
	assert_int_equal(client_dirty(&client, NULL, 0), 0);
	fake_turn();
	assert_int_equal(client_dirty(&client, NULL, 0), 0); // will never be sent
	struct request *request = fake_start(client.card, FSYNC, NULL, 0);
	topology.crtc_count = 1;
	topology.connector_count = 1;
	topology.connectors[0].crtcs = 1;
	fake_agent_topology(&topology);
	fake_agent_settle();
	assert_true(request->answered);
	free(request);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	client_assert_shown(&client, 0, 0, 0);
}

/* The next agent has fewer CRTCs: what a VT shows on the others is nothing to it. */
static void no_commits_for_lost_crtcs(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	agent_there(2);
	client_start(&client, "1", 64, 48, &seed);
	assert_int_equal(client_show(&client, 1, 1, 0), 0);
	fake_agent_down();
	unsigned commits = fake->screens[1].commits;
	topology.crtc_count = 1;
	topology.connectors[0].crtcs = 1;
	topology.connectors[1].crtcs = 1;
	fake_agent_up();
	fake_agent_topology(&topology);
	fake_agent_settle();
	assert_int_equal(client_dirty(&client, NULL, 0), 0);
	struct request *request = fake_start(client.card, FSYNC, NULL, 0);
	fake_agent_settle();
	assert_true(request->answered);
	free(request);
	fake_close(client.card);
	fake_agent_settle();
	assert_int_equal(fake->screens[1].commits, commits);
}

/* A commit that outlives its VT says nothing about another VT with the same number. */
static void late_answer_is_not_for_the_next_vt(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	agent_there(1);
	client_start(&client, "3", 64, 48, &seed);
	struct request *request = client_set_crtc(&client, 0, 0, 0, 0, 0);
	fake_turn();
	card_ops.cancel(&fake->display, client.card, request);
	free(request);
	fake_close(client.card);
	client_start(&client, "3", 64, 48, &seed);
	request = client_set_crtc(&client, 0, 0, 0, 0, 0);
	fake_agent_answer(0, -EINVAL);
	assert_false(request->answered);
	fake_agent_settle();
	assert_true(request->answered);
	assert_int_equal(request->result, 0);
	free(request);
	client_assert_shown(&client, 0, 0, 0);
}

#define DISPLAY_TEST(fn) TEST_WITH(fn, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			DISPLAY_TEST(picture_arrives),
			DISPLAY_TEST(viewport_and_second_mode),
			DISPLAY_TEST(dirty_sends_the_clips_alone),
			DISPLAY_TEST(damage_is_merged_while_one_is_under_way),
			DISPLAY_TEST(slow_link_gets_every_pixel),
			DISPLAY_TEST(small_frames),
			DISPLAY_TEST(driver_refuses),
			DISPLAY_TEST(agent_is_away),
			DISPLAY_TEST(agent_dies_anywhere),
			DISPLAY_TEST(fsync_waits_for_the_screen),
			DISPLAY_TEST(fsync_waits_for_the_cursor),
			DISPLAY_TEST(cursor_with_hotspot),
			DISPLAY_TEST(largest_cursor),
			DISPLAY_TEST(vts_switch),
			DISPLAY_TEST(vts_without_inputd),
			DISPLAY_TEST(close_takes_the_picture_along),
			DISPLAY_TEST(close_takes_the_cursor_along),
			DISPLAY_TEST(rmfb_switches_off_and_dpms_too),
			DISPLAY_TEST(limit_commit),
			DISPLAY_TEST(full_link_ends_too),
			DISPLAY_TEST(page_flip_without_event),
			DISPLAY_TEST(answers_to_nothing_are_faults),
			DISPLAY_TEST(answer_before_the_pixels_is_a_fault),
			DISPLAY_TEST(cancelled_waits_are_forgotten),
			DISPLAY_TEST(topology_shrinks),
			DISPLAY_TEST(no_commits_for_lost_crtcs),
			DISPLAY_TEST(late_answer_is_not_for_the_next_vt),
	};
	return test_main("present", tests);
}
