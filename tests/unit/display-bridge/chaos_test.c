/*
 * Clients, agent and inputd doing anything in any order, thousands of steps: afterwards the screens show what the active VT's state says, pixel for pixel.
 * With refusals the pictures are left out: then it is about memory and about every request being answered.
 */
#include "tests/unit/display-bridge/fake_display.h"

#include <errno.h>
#include <string.h>

#define CLIENTS 6
#define WAITING 64
#define STEPS   4000

#define NR_SETCRTC   0xA2
#define NR_CURSOR2   0xBB
#define NR_DPMS      0xAB
#define NR_RMFB      0xAF
#define NR_PAGE_FLIP 0xB0
#define NR_CREATE    0xB2
#define NR_DESTROY   0xB4
#define NR_CLOSEFB   0xD0

struct chaos {
	uint64_t seed;
	bool refusals;
	struct fake_client clients[CLIENTS];
	struct request *waiting[WAITING];
	struct topology topology;
};

static struct chaos chaos;

static uint32_t pick(uint32_t count)
{
	return (uint32_t)(test_random(&chaos.seed) % count);
}

/* Remembers a request that may be parked. */
static void keep(struct request *request)
{
	for (size_t i = 0; i < WAITING; i++) {
		struct request **slot = &chaos.waiting[i];
		if (*slot == NULL || (*slot)->answered) {
			free(*slot);
			*slot = request;
			return;
		}
	}
	fail_msg("more requests wait than there should be");
}

static void all_answered(void)
{
	for (size_t i = 0; i < WAITING; i++) {
		struct request *request = chaos.waiting[i];
		assert_true(request == NULL || request->answered);
		free(request);
		chaos.waiting[i] = NULL;
	}
}

static void client_open(struct fake_client *client)
{
	char path[8];
	snprintf(path, sizeof(path), "%u", 1 + pick(3));
	client_start(client, path, 80 + pick(40), 48 + pick(20), &chaos.seed);
}

/* A closed handle cancels what is parked on it, as the scheme does. */
static void client_end(struct fake_client *client)
{
	for (size_t i = 0; i < WAITING; i++) {
		struct request *request = chaos.waiting[i];
		if (request != NULL && !request->answered) {
			card_ops.cancel(&fake->display, client->card, request);
			request->answered = true;
		}
	}
	fake_close(client->card);
	client->card = NULL;
}

static void step_set_crtc(struct fake_client *client)
{
	const struct kms *kms = &fake->display.kms;
	uint32_t crtc = pick(kms->topology.crtc_count);
	if (pick(6) == 0) {
		struct drm_fixed_crtc off = {.crtc_id = KMS_ID_CRTC + crtc};
		keep(fake_start(client->card, NR_SETCRTC, &off, sizeof(off)));
		return;
	}
	if (kms->topology.connector_count == 0) {
		return;
	}
	uint32_t connector = pick(kms->topology.connector_count);
	uint32_t modes = kms->topology.connectors[connector].mode_count;
	keep(client_set_crtc(client, crtc, connector, pick(modes), pick(8), pick(4)));
}

static void step_dirty(struct fake_client *client)
{
	test_noise(&chaos.seed, client->memory, (size_t)client->pitch * client->height);
	client_dirty(client, NULL, 0); // ENOENT after RMFB is as good
}

static void step_flip(struct fake_client *client)
{
	struct drm_fixed_page_flip flip = {
			.crtc_id = KMS_ID_CRTC + pick(2), .fb_id = chaos.clients[pick(CLIENTS)].fb};
	fake_ioctl(client->card, NR_PAGE_FLIP, &flip, sizeof(flip));
}

static void step_cursor(struct fake_client *client)
{
	struct drm_fixed_cursor2 cursor = {.flags = 1 + pick(3),
			.crtc_id = KMS_ID_CRTC + pick(2),
			.x = (int32_t)pick(100) - 20,
			.y = (int32_t)pick(100) - 20,
			.width = 1 + pick(64),
			.height = 1 + pick(64),
			.handle = pick(3) == 0 ? 0 : client->handle};
	fake_ioctl(client->card, NR_CURSOR2, &cursor, sizeof(cursor));
}

static void step_dpms(struct fake_client *client)
{
	struct drm_fixed_set_property dpms = {.value = pick(2) * 3,
			.prop_id = KMS_ID_DPMS,
			.connector_id = KMS_ID_CONNECTOR + pick(4)};
	fake_ioctl(client->card, NR_DPMS, &dpms, sizeof(dpms));
}

static void step_remove(struct fake_client *client)
{
	struct drm_fixed_closefb close = {.fb_id = client->fb};
	uint32_t handle = client->handle;
	switch (pick(3)) {
	case 0:
		fake_ioctl(client->card, NR_RMFB, &close.fb_id, sizeof(close.fb_id));
		break;
	case 1:
		fake_ioctl(client->card, NR_CLOSEFB, &close, sizeof(close));
		break;
	default: // reopened, it has new ones
		fake_ioctl(client->card, NR_DESTROY, &handle, sizeof(handle));
		client_end(client);
		client_open(client);
		break;
	}
}

static void step_client(void)
{
	struct fake_client *client = &chaos.clients[pick(CLIENTS)];
	if (client->card == NULL) {
		client_open(client);
		return;
	}
	switch (pick(9)) {
	case 0:
	case 1:
		step_set_crtc(client);
		break;
	case 2:
	case 3:
		if (buffer_table_find(&client->card->buffers, client->handle) != NULL) {
			step_dirty(client);
		}
		break;
	case 4:
		step_flip(client);
		break;
	case 5:
		step_cursor(client);
		break;
	case 6:
		step_dpms(client);
		break;
	case 7:
		keep(fake_start(client->card, UINT64_MAX, NULL, 0));
		break;
	default:
		if (pick(4) == 0) {
			step_remove(client);
		}
		break;
	}
}

static void agent_come(void)
{
	fake->room = 0;
	fake_agent_up();
	fake_topology(&chaos.topology, 1 + pick(3));
	fake_agent_topology(&chaos.topology);
}

static void answer_some(void)
{
	for (uint32_t i = 0; fake->up && i < LIMIT_CRTCS; i++) {
		const struct fake_screen *screen = &fake->screens[i];
		if (screen->under_way && screen->got_bytes == screen->wanted_bytes &&
				pick(2) == 0) {
			bool streaming = fake->display.present.crtcs[i].commit.streaming;
			if (!streaming) {
				fake_agent_answer(i, chaos.refusals && pick(3) == 0 ? -EINVAL : 0);
			}
		}
	}
	if (fake->sync_id != 0 && fake->up && pick(2) == 0) {
		fake_agent_answer_sync();
	}
}

static void step_agent(void)
{
	switch (pick(8)) {
	case 0:
		if (fake->up && pick(4) == 0) {
			fake_agent_down();
		} else if (!fake->up) {
			agent_come();
		}
		break;
	case 1:
		if (fake->up && fake->display.agent.flood_count < 20 && pick(6) == 0) {
			fake_topology(&chaos.topology, 1 + pick(3));
			fake_agent_topology(&chaos.topology);
		}
		break;
	case 2:
		fake->room = 1 + pick(4);
		break;
	case 3:
		vt_activate(&fake->display.vts, 1 + pick(4));
		break;
	default:
		fake->room = 0;
		if (fake->full) {
			fake->full = false;
			present_writable(&fake->display.present);
		}
		answer_some();
		break;
	}
}

static void settle(void)
{
	fake->room = 0;
	fake->full = false;
	if (!fake->up) {
		agent_come();
	}
	present_writable(&fake->display.present);
	fake_agent_settle();
	all_answered();
	assert_int_equal(fake->failed, 0);
}

/* Each CRTC of the topology shows the active VT's state. */
static void compare(void)
{
	const struct vts *vts = &fake->display.vts;
	const struct vt *vt = vt_find(vts, vts->active);
	for (uint32_t i = 0; i < fake->display.kms.topology.crtc_count; i++) {
		const struct fake_screen *screen = &fake->screens[i];
		bool lit = vt != NULL && vt_crtc_is_lit(vt, i);
		if (!lit || !screen->on) {
			assert_true(!screen->on);
			continue;
		}
		const struct crtc_state *now = &vt->crtcs[i].now;
		assert_int_equal(screen->commit.modes[0].hdisplay, now->mode.hdisplay);
		for (uint32_t row = 0; row < now->mode.vdisplay; row++) {
			assert_memory_equal(screen->pixels + row * FAKE_SCREEN_PX,
					now->fb->buffer->memory + now->fb->offset +
							(size_t)(now->y + row) * now->fb->pitch +
							now->x * 4u,
					now->mode.hdisplay * 4u);
		}
		const struct vt_cursor *cursor = &vt->crtcs[i].cursor;
		assert_int_equal(screen->cursor_visible, cursor->image != NULL);
		if (cursor->image != NULL) {
			assert_int_equal(screen->cursor_x, cursor->x);
			assert_memory_equal(screen->cursor_pixels, cursor->image,
					cursor->width * cursor->height * 4u);
		}
	}
}

static void run(bool refusals)
{
	memset(&chaos, 0, sizeof(chaos));
	chaos.seed = test_seed();
	chaos.refusals = refusals;
	unsigned lit = 0;
	for (unsigned step = 0; step < STEPS; step++) {
		if (pick(2) == 0) {
			step_client();
		} else {
			step_agent();
		}
		if (pick(3) == 0) {
			fake_turn();
		}
		if (step % 50 == 49) {
			settle();
			if (!refusals) {
				compare();
				lit += fake->screens[0].on;
			}
		}
	}
	settle();
	if (!refusals) {
		assert_true(lit > 3); // it was about something
	}
}

static void anything_in_any_order(void **state)
{
	(void)state;
	run(false);
}

static void anything_with_refusals(void **state)
{
	(void)state;
	run(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST_WITH(anything_in_any_order, fake_setup, fake_teardown),
			TEST_WITH(anything_with_refusals, fake_setup, fake_teardown),
	};
	return test_main("chaos", tests);
}
