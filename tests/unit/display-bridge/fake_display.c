/* The fakes around display-bridge. The fake agent checks what bridge.xml promises: order, ids,
 * exactly the pixels announced. */
#include "tests/unit/display-bridge/fake_display.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "common/loop.h"
#include "schemes/scheme/libredox.h"

#define TEST_PID 100

struct fake *fake;

struct session {
	const struct session_ops *ops;
	void *data;
};

static struct session the_session;

/* --- scheme.h --- */

size_t request_length(const struct request *request)
{
	return request->length;
}

uint64_t request_pid(const struct request *request)
{
	return request->pid;
}

uint64_t request_offset(const struct request *request)
{
	return request->offset;
}

void request_get(const struct request *request, size_t offset, void *destination, size_t length)
{
	assert_true(offset + length <= request->length);
	if (length > 0) {
		memcpy(destination, request->bytes + offset, length);
	}
}

void request_put(struct request *request, size_t offset, const void *source, size_t length)
{
	assert_true(offset + length <= request->length);
	if (length > 0) {
		memcpy(request->bytes + offset, source, length);
	}
}

void request_answer(struct request *request, int64_t result)
{
	assert_false(request->answered);
	request->answered = true;
	request->result = result;
}

int scheme_memory_create(size_t size, void **ret_memory)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		return -ENOMEM;
	}
	*ret_memory = memory;
	return 0;
}

void scheme_memory_destroy(void *memory, size_t size)
{
	assert_int_equal(munmap(memory, size), 0);
}

void scheme_notify(struct scheme *scheme, const void *handle, uint32_t events)
{
	(void)scheme;
	(void)handle;
	assert_int_equal(events, SCHEME_EVENT_READ);
	fake->notified++;
}

int scheme_control_create(struct scheme *scheme, uint64_t control_id)
{
	(void)scheme;
	(void)control_id;
	return -ENOSYS;
}

/* --- libredox.h: no inputd --- */

size_t redox_open_v1(const uint8_t *path, size_t length, uint32_t flags, uint16_t mode)
{
	(void)path;
	(void)length;
	(void)flags;
	(void)mode;
	return (size_t)-ENODEV;
}

size_t redox_read_v1(size_t fd, uint8_t *destination, size_t length)
{
	(void)fd;
	(void)destination;
	(void)length;
	return (size_t)-EBADF;
}

size_t redox_close_v1(size_t fd)
{
	(void)fd;
	return 0;
}

size_t redox_sys_call_v0(size_t fd, uint8_t *payload, size_t length, size_t flags,
		const uint64_t *metadata, size_t metadata_words)
{
	(void)fd;
	(void)payload;
	(void)length;
	(void)flags;
	(void)metadata;
	(void)metadata_words;
	return (size_t)-EBADF;
}

/* --- session.h --- */

uint64_t session_make_epoch(void)
{
	return 1;
}

int session_dial(struct loop *loop, const struct session_config *config,
		const struct address *address, const struct session_ops *ops, void *data,
		struct session **ret_session)
{
	(void)loop;
	(void)address;
	assert_int_equal(config->role, BRIDGE_ROLE_DISPLAY);
	the_session = (struct session) {ops, data};
	*ret_session = &the_session;
	return 0;
}

void session_destroy(struct session *session)
{
	(void)session;
}

void session_fail(struct session *session, int error, const char *fault)
{
	(void)session;
	fake->failed = error;
	snprintf(fake->fault, sizeof(fake->fault), "%s", fault);
}

struct link_counters session_counters(const struct session *session)
{
	(void)session;
	return (struct link_counters) {0};
}

uint32_t session_times_up(const struct session *session)
{
	(void)session;
	return 1;
}

static void screen_begin(const uint8_t *bytes, size_t length)
{
	struct bridge_commit commit;
	assert_int_equal(bridge_commit_decode(&commit, bytes, length), 0);
	struct fake_screen *screen = &fake->screens[commit.crtc];
	assert_false(screen->under_way);
	assert_int_equal(commit.modes_count, commit.connectors_count > 0 ? 1 : 0);
	screen->commit = commit;
	screen->under_way = true;
	screen->wanted_bytes = 0;
	screen->got_bytes = 0;
	screen->commits++;
	for (uint32_t i = 0; i < commit.damage_count; i++) {
		const struct bridge_rect *rect = &commit.damage[i];
		assert_true(rect->x + rect->width <= commit.modes[0].hdisplay);
		assert_true(rect->y + rect->height <= commit.modes[0].vdisplay);
		screen->wanted_bytes += (uint64_t)rect->width * rect->height * 4;
	}
	screen->on = commit.connectors_count > 0;
}

/* Where byte AT of the announced pixels belongs. */
static uint8_t *pixel_place(struct fake_screen *screen, uint64_t at)
{
	const struct bridge_rect *rect = screen->commit.damage;
	while (at >= (uint64_t)rect->width * rect->height * 4) {
		at -= (uint64_t)rect->width * rect->height * 4;
		rect++;
	}
	uint64_t row = at / (rect->width * 4u);
	uint64_t column = at % (rect->width * 4u);
	return (uint8_t *)screen->pixels + ((rect->y + row) * FAKE_SCREEN_PX + rect->x) * 4 +
			column;
}

static void screen_pixels(const uint8_t *bytes, size_t length)
{
	struct bridge_pixels message;
	int head = bridge_pixels_decode(&message, bytes, length);
	assert_true(head > 0);
	struct fake_screen *screen = &fake->screens[message.crtc];
	assert_true(screen->under_way);
	for (size_t i = (size_t)head; i < length; i++) {
		assert_true(screen->got_bytes < screen->wanted_bytes);
		*pixel_place(screen, screen->got_bytes++) = bytes[i];
	}
	screen->pixel_bytes += length - (size_t)head;
}

static void screen_cursor(uint16_t opcode, const uint8_t *bytes, size_t length)
{
	if (opcode == BRIDGE_CURSOR_MOVE) {
		struct bridge_cursor_move move;
		assert_int_equal(bridge_cursor_move_decode(&move, bytes, length), 0);
		struct fake_screen *screen = &fake->screens[move.crtc];
		screen->cursor_visible = move.visible;
		screen->cursor_x = move.x;
		screen->cursor_y = move.y;
		screen->moves++;
		return;
	}
	struct bridge_cursor_image image;
	int head = bridge_cursor_image_decode(&image, bytes, length);
	assert_true(head > 0);
	struct fake_screen *screen = &fake->screens[image.crtc];
	assert_int_equal(length - (size_t)head, (size_t)image.width * image.height * 4);
	screen->cursor_width = image.width;
	screen->cursor_height = image.height;
	screen->cursor_hot_x = image.hot_x;
	screen->cursor_hot_y = image.hot_y;
	memcpy(screen->cursor_pixels, bytes + head, length - (size_t)head);
	screen->images++;
}

static void agent_hear(uint16_t opcode, const uint8_t *bytes, size_t length)
{
	const struct bridge_message_info *info = bridge_message_find(opcode);
	assert_non_null(info);
	assert_true(length <= fake->frame_max);
	assert_true(length >= info->min && length <= info->max);
	switch (opcode) {
	case BRIDGE_COMMIT:
		screen_begin(bytes, length);
		break;
	case BRIDGE_PIXELS:
		screen_pixels(bytes, length);
		break;
	case BRIDGE_CURSOR_IMAGE:
	case BRIDGE_CURSOR_MOVE:
		screen_cursor(opcode, bytes, length);
		break;
	case BRIDGE_SYNC: {
		struct bridge_sync sync;
		assert_int_equal(bridge_sync_decode(&sync, bytes, length), 0);
		assert_int_equal(fake->sync_id, 0);
		fake->sync_id = sync.id;
		fake->syncs++;
		break;
	}
	default:
		fail_msg("the bridge sent opcode %u", opcode);
	}
}

int session_send(struct session *session, uint16_t opcode, uint32_t serial, const struct iovec *iov,
		int iov_count)
{
	static uint8_t bytes[LIMIT_FRAME];
	size_t length = 0;
	(void)session;
	(void)serial;
	if (!fake->up) {
		return -ENOTCONN;
	}
	if (fake->full || (fake->room > 0 && --fake->room == 0)) {
		fake->full = true;
		return -EAGAIN;
	}
	for (int i = 0; i < iov_count; i++) {
		assert_true(length + iov[i].iov_len <= sizeof(bytes));
		memcpy(bytes + length, iov[i].iov_base, iov[i].iov_len);
		length += iov[i].iov_len;
	}
	agent_hear(opcode, bytes, length);
	return 0;
}

/* --- the agent --- */

void fake_turn(void)
{
	for (int i = 0; i < 8; i++) {
		assert_int_equal(loop_turn(fake->loop, 0), 0);
	}
}

void fake_topology(struct topology *topology, uint32_t connectors)
{
	static const uint16_t sizes[][2] = {{64, 48}, {80, 40}};
	topology_default(topology, 64, 48);
	snprintf(topology->driver, sizeof(topology->driver), "fake");
	topology->crtc_count = 2;
	topology->gamma_sizes[1] = 256;
	topology->connector_count = connectors;
	topology->cursor_width = 256;
	topology->cursor_height = 256;
	for (uint32_t i = 0; i < connectors; i++) {
		struct topology_connector *connector = &topology->connectors[i];
		*connector = topology->connectors[0];
		snprintf(connector->name, sizeof(connector->name), "FAKE-%u", i + 1);
		connector->type = 11;
		connector->type_id = i + 1;
		connector->crtcs = 3;
		connector->mode_count = 2;
		for (uint32_t m = 0; m < 2; m++) {
			mode_make(sizes[m][0], sizes[m][1], &connector->modes[m]);
		}
		connector->edid_bytes = 128;
		memset(connector->edid, (int)(i + 1), 128);
	}
}

void fake_agent_up(void)
{
	struct bridge_hello hello = {.name = "fake agent", .frame_max = fake->frame_max};
	fake->up = true;
	fake->full = false;
	fake->generation = 0;
	fake->sync_id = 0;
	for (uint32_t i = 0; i < LIMIT_CRTCS; i++) {
		fake->screens[i].under_way = false;
		fake->screens[i].on = false;
	}
	the_session.ops->up(the_session.data, &hello);
}

void fake_agent_say(uint16_t opcode, const uint8_t *payload, size_t length)
{
	struct link_frame frame = {.header = {.length = (uint32_t)length, .opcode = opcode},
			.payload = payload,
			.payload_bytes = (uint32_t)length};
	assert_int_equal(the_session.ops->frame(the_session.data, &frame), 0);
}

static void say_connector(const struct topology_connector *connector, uint16_t index)
{
	static struct bridge_connector wire;
	uint8_t bytes[BRIDGE_CONNECTOR_MAX];
	wire = (struct bridge_connector) {.index = index,
			.type = connector->type,
			.type_id = connector->type_id,
			.connection = connector->connection,
			.width_mm = connector->width_mm,
			.height_mm = connector->height_mm,
			.subpixel = connector->subpixel,
			.crtcs = connector->crtcs,
			.modes_count = (uint16_t)connector->mode_count,
			.edid = connector->edid,
			.edid_bytes = connector->edid_bytes};
	snprintf(wire.name, sizeof(wire.name), "%s", connector->name);
	for (uint32_t i = 0; i < connector->mode_count; i++) {
		mode_to_wire(&connector->modes[i], &wire.modes[i]);
	}
	ssize_t length = bridge_connector_encode(&wire, bytes, sizeof(bytes));
	assert_true(length > 0);
	fake_agent_say(BRIDGE_CONNECTOR, bytes, (size_t)length);
}

void fake_agent_topology(const struct topology *topology)
{
	uint8_t bytes[BRIDGE_TOPOLOGY_BEGIN_MAX];
	struct bridge_topology_begin begin = {.generation = ++fake->generation,
			.width_max = topology->width_max,
			.height_max = topology->height_max,
			.cursor_width = topology->cursor_width,
			.cursor_height = topology->cursor_height,
			.crtcs = (uint16_t)topology->crtc_count,
			.connectors = (uint16_t)topology->connector_count};
	snprintf(begin.driver, sizeof(begin.driver), "%s", topology->driver);
	ssize_t length = bridge_topology_begin_encode(&begin, bytes, sizeof(bytes));
	fake_agent_say(BRIDGE_TOPOLOGY_BEGIN, bytes, (size_t)length);
	for (uint16_t i = 0; i < topology->crtc_count; i++) {
		struct bridge_crtc crtc = {.index = i, .gamma_size = topology->gamma_sizes[i]};
		length = bridge_crtc_encode(&crtc, bytes, sizeof(bytes));
		fake_agent_say(BRIDGE_CRTC, bytes, (size_t)length);
	}
	for (uint16_t i = 0; i < topology->connector_count; i++) {
		say_connector(&topology->connectors[i], i);
	}
	struct bridge_topology_end end = {fake->generation};
	length = bridge_topology_end_encode(&end, bytes, sizeof(bytes));
	fake_agent_say(BRIDGE_TOPOLOGY_END, bytes, (size_t)length);
}

void fake_agent_down(void)
{
	fake->up = false;
	the_session.ops->down(the_session.data, -EPIPE, "gone");
}

void fake_agent_answer(uint32_t crtc, int32_t result)
{
	struct fake_screen *screen = &fake->screens[crtc];
	uint8_t bytes[BRIDGE_COMMIT_DONE_MAX];
	assert_true(screen->under_way);
	assert_int_equal(screen->got_bytes, screen->wanted_bytes);
	struct bridge_commit_done done = {
			.id = screen->commit.id, .crtc = (uint16_t)crtc, .result = result};
	ssize_t length = bridge_commit_done_encode(&done, bytes, sizeof(bytes));
	screen->under_way = false;
	fake_agent_say(BRIDGE_COMMIT_DONE, bytes, (size_t)length);
}

void fake_agent_answer_sync(void)
{
	uint8_t bytes[BRIDGE_SYNC_DONE_MAX];
	struct bridge_sync_done done = {fake->sync_id};
	assert_int_not_equal(fake->sync_id, 0);
	ssize_t length = bridge_sync_done_encode(&done, bytes, sizeof(bytes));
	fake->sync_id = 0;
	fake_agent_say(BRIDGE_SYNC_DONE, bytes, (size_t)length);
}

void fake_agent_settle(void)
{
	for (bool again = true; again;) {
		again = false;
		fake_turn();
		for (uint32_t i = 0; i < LIMIT_CRTCS; i++) {
			if (fake->screens[i].under_way) {
				fake_agent_answer(i, 0);
				again = true;
			}
		}
		if (fake->sync_id != 0) {
			fake_agent_answer_sync();
			again = true;
		}
	}
}

/* --- handles --- */

struct card *fake_open(const char *path, int *ret_error)
{
	struct scheme_open open = {.path = path, .flags = REDOX_O_RDWR, .pid = TEST_PID};
	void *handle = NULL;
	int result = card_ops.open(&fake->display, NULL, &open, &handle);
	if (ret_error != NULL) {
		*ret_error = result < 0 ? result : 0;
	}
	return handle;
}

void fake_close(struct card *card)
{
	card_ops.close(&fake->display, card);
}

struct request *fake_start(struct card *card, uint64_t nr, const void *payload, size_t length)
{
	struct request *request = calloc(1, sizeof(*request) + length);
	assert_non_null(request);
	request->bytes = (uint8_t *)(request + 1);
	request->length = length;
	request->pid = TEST_PID;
	if (length > 0) {
		memcpy(request->bytes, payload, length);
	}
	int64_t result = nr == UINT64_MAX ? card_ops.fsync(&fake->display, card, request)
					  : card_ops.call(&fake->display, card, request, nr);
	if (result != SCHEME_PARK) {
		request->answered = true;
		request->result = result;
	}
	return request;
}

int64_t fake_ioctl(struct card *card, uint64_t nr, void *payload, size_t length)
{
	struct request *request = fake_start(card, nr, payload, length);
	assert_true(request->answered);
	int64_t result = request->result;
	if (length > 0) {
		memcpy(payload, request->bytes, length);
	}
	free(request);
	return result;
}

/* --- a client --- */

void client_start(struct fake_client *client, const char *path, uint32_t width, uint32_t height,
		uint64_t *seed)
{
	*client = (struct fake_client) {.card = fake_open(path, NULL)};
	assert_non_null(client->card);
	struct drm_fixed_create_dumb create = {.width = width, .height = height, .bpp = 32};
	assert_int_equal(fake_ioctl(client->card, 0xB2, &create, sizeof(create)), 0);
	client->handle = create.handle;
	client->width = width;
	client->height = height;
	client->pitch = create.pitch;
	client->memory = buffer_table_find(&client->card->buffers, create.handle)->memory;
	test_noise(seed, client->memory, (size_t)create.pitch * height);
	struct drm_fixed_fb fb = {.width = width,
			.height = height,
			.pitch = create.pitch,
			.bpp = 32,
			.depth = 24,
			.handle = create.handle};
	assert_int_equal(fake_ioctl(client->card, 0xAE, &fb, sizeof(fb)), 0);
	client->fb = fb.fb_id;
}

struct request *client_set_crtc(struct fake_client *client, uint32_t crtc, uint32_t connector,
		uint32_t mode, uint32_t x, uint32_t y)
{
	struct {
		struct drm_fixed_crtc fixed;
		uint32_t connector;
	} payload = {.fixed = {.count_connectors = 1,
				     .crtc_id = KMS_ID_CRTC + crtc,
				     .fb_id = client->fb,
				     .x = x,
				     .y = y,
				     .mode_valid = 1}};
	uint32_t slots[LIMIT_CONNECTORS];
	kms_slots_present(&fake->display.kms, slots);
	payload.connector = KMS_ID_CONNECTOR + slots[connector];
	payload.fixed.mode = kms_connector(&fake->display.kms, slots[connector])->modes[mode];
	return fake_start(client->card, 0xA2, &payload, sizeof(payload));
}

int64_t client_show(struct fake_client *client, uint32_t crtc, uint32_t connector, uint32_t mode)
{
	struct request *request = client_set_crtc(client, crtc, connector, mode, 0, 0);
	if (!request->answered) {
		fake_agent_settle();
	}
	assert_true(request->answered);
	int64_t result = request->result;
	free(request);
	return result;
}

int64_t client_dirty(struct fake_client *client, const struct drm_fixed_clip *clips, uint32_t count)
{
	struct {
		struct drm_fixed_dirty fixed;
		struct drm_fixed_clip clips[256];
	} payload = {.fixed = {.fb_id = client->fb, .num_clips = count}};
	assert_true(count <= 256);
	if (count > 0) {
		memcpy(payload.clips, clips, count * sizeof(clips[0]));
	}
	return fake_ioctl(client->card, 0xB1, &payload,
			sizeof(payload.fixed) + count * sizeof(clips[0]));
}

void client_assert_shown(const struct fake_client *client, uint32_t crtc, uint32_t x, uint32_t y)
{
	const struct fake_screen *screen = &fake->screens[crtc];
	assert_true(screen->on);
	const struct bridge_mode *mode = &screen->commit.modes[0];
	for (uint32_t row = 0; row < mode->vdisplay; row++) {
		assert_memory_equal(screen->pixels + row * FAKE_SCREEN_PX,
				client->memory + (size_t)(y + row) * client->pitch + x * 4u,
				mode->hdisplay * 4u);
	}
}

/* --- the fixture --- */

int fake_setup(void **state)
{
	static struct fake the_fake;
	static struct topology topology;
	const char *reason;
	struct address address;
	(void)state;
	memset(&the_fake, 0, sizeof(the_fake));
	fake = &the_fake;
	fake->frame_max = LIMIT_FRAME;
	struct display *display = &fake->display;
	assert_int_equal(loop_create(&fake->loop), 0);
	display->loop = fake->loop;
	display->name = "display.fake";
	display->state_fd = -1;
	display->scratch = malloc(LIMIT_PAYLOAD);
	LIST_INIT(&display->cards);
	kms_init(&display->kms);
	vts_init(&display->vts, &display->kms, &display->fbs, &display->present);
	topology_default(&topology, 64, 48);
	uint32_t changed;
	kms_apply(&display->kms, &topology, &changed);
	assert_int_equal(present_init(&display->present, fake->loop, &display->vts), 0);
	assert_int_equal(address_parse("unix:/none", &address, &reason), 0);
	return agent_start(&display->agent, display, fake->loop, &address);
}

int fake_teardown(void **state)
{
	struct display *display = &fake->display;
	(void)state;
	while (!LIST_EMPTY(&display->cards)) {
		fake_close(LIST_FIRST(&display->cards));
	}
	/* Nothing may be left behind by clients that closed. */
	bool left = display->vts.count != 0 || display->present.waits != NULL;
	present_finish(&display->present);
	left |= display->fbs.count != 0 || display->buffers.buffers != 0 ||
			display->buffers.accounts != NULL;
	vts_finish(&display->vts);
	agent_finish(&display->agent);
	free(display->scratch);
	loop_destroy(fake->loop);
	return left ? -1 : 0;
}
