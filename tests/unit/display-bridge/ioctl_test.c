/* What each ioctl answers: to proper clients, and to those that lie. */
#include "tests/unit/display-bridge/fake_display.h"

#include <errno.h>
#include <string.h>

#include "schemes/scheme/libredox.h"

enum nr {
	VERSION = 0x00,
	GET_UNIQUE = 0x01,
	SET_VERSION = 0x07,
	GET_CAP = 0x0C,
	SET_CLIENT_CAP = 0x0D,
	GETRESOURCES = 0xA0,
	GETCRTC = 0xA1,
	SETCRTC = 0xA2,
	CURSOR = 0xA3,
	GETENCODER = 0xA6,
	GETCONNECTOR = 0xA7,
	GETPROPERTY = 0xAA,
	SETPROPERTY = 0xAB,
	GETPROPBLOB = 0xAC,
	GETFB = 0xAD,
	ADDFB = 0xAE,
	RMFB = 0xAF,
	DIRTYFB = 0xB1,
	CREATE_DUMB = 0xB2,
	MAP_DUMB = 0xB3,
	DESTROY_DUMB = 0xB4,
	GETPLANERESOURCES = 0xB5,
	GETPLANE = 0xB6,
	SETPLANE = 0xB7,
	ADDFB2 = 0xB8,
	OBJ_GETPROPERTIES = 0xB9,
	GETFB2 = 0xCE,
	CLOSEFB = 0xD0,
	SET_CLIENT_NAME = 0xD1,
};

static struct topology topology;

static struct card *card_there(void)
{
	fake_topology(&topology, 2);
	fake_agent_up();
	fake_agent_topology(&topology);
	fake_agent_settle();
	struct card *card = fake_open("v2/3", NULL);
	assert_non_null(card);
	return card;
}

/* --- paths --- */

static void paths(void **state)
{
	(void)state;
	static const char *const good[] = {"0", "3", "v2/3", "4294967295", "status"};
	static const struct {
		const char *path;
		int error;
	} bad[] = {{"", -EISDIR}, {"x", -ENOENT}, {"v2", -ENOENT}, {"v2/", -ENOENT},
			{"v3/1", -ENOENT}, {"-1", -ENOENT}, {"3x", -ENOENT},
			{"99999999999999999999", -ENOENT}, {"v2/v2/1", -ENOENT},
			{"render", -ENODEV}};
	char path[32];
	int error;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct card *card = fake_open(good[i], &error);
		assert_int_equal(error, 0);
		assert_int_equal(card_ops.fpath(&fake->display, card, path, sizeof(path)), 0);
		assert_string_equal(path, good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_null(fake_open(bad[i].path, &error));
		assert_int_equal(error, bad[i].error);
	}
}

/* stat() and access() open with O_PATH: that makes no VT. */
static void path_opens_have_no_effect(void **state)
{
	(void)state;
	struct scheme_open open = {.path = "5", .flags = REDOX_O_STAT, .pid = 1};
	struct scheme_stat stat = {0};
	void *handle = NULL;
	assert_int_equal(card_ops.open(&fake->display, NULL, &open, &handle), 0);
	assert_int_equal(fake->display.vts.count, 0);
	card_ops.fstat(&fake->display, handle, &stat);
	assert_int_equal(stat.st_dev, 0xE200);
	assert_int_equal(stat.st_mode & 0666, 0666);
	assert_int_equal(fake_ioctl(handle, GET_CAP, NULL, 0), -ENOTTY);
	open.path = "";
	open.flags = REDOX_O_RDWR;
	void *again = NULL;
	assert_int_equal(card_ops.open(&fake->display, handle, &open, &again),
			SCHEME_OPEN_MAP_WRITABLE);
	assert_int_equal(((struct card *)again)->vt_number, 5);
}

/* --- the device --- */

static void version(void **state)
{
	(void)state;
	struct card *card = card_there();
	struct {
		struct drm_fixed_version fixed;
		char text[10 + 1 + 3];
	} p = {.fixed = {.name_len = 10, .date_len = 1, .desc_len = 3}};
	assert_int_equal(fake_ioctl(card, VERSION, &p, sizeof(p.fixed) + 14), 0);
	assert_memory_equal(p.text, "virtio_gpu0vir", 14);
	assert_int_equal(p.fixed.name_len, 10);
	assert_int_equal(p.fixed.desc_len, 10); // told, though there was no room
	assert_int_equal(p.fixed.major, 0);
}

static int64_t unique(struct card *card, char *text, uint64_t room, uint64_t *ret_length)
{
	uint8_t p[8 + 64] = {0};
	memcpy(p, &room, sizeof(room));
	int64_t result = fake_ioctl(card, GET_UNIQUE, p, 8 + room);
	memcpy(ret_length, p, sizeof(*ret_length));
	memcpy(text, p + 8, room);
	return result;
}

static void unique_after_set_version(void **state)
{
	(void)state;
	static const struct drm_fixed_set_version good[] = {
			{0, 4, 0, 4}, {1, 4, 1, 4}, {-1, 0, -1, 0}, {1, 1, -1, -1}};
	static const struct drm_fixed_set_version bad[] = {
			{2, 0, -1, 0}, {1, 5, -1, 0}, {1, -1, -1, 0}, {1, 4, 9, 9}};
	struct card *card = card_there();
	char text[64];
	uint64_t length;
	assert_int_equal(unique(card, text, 0, &length), 0);
	assert_int_equal(length, 0);
	for (size_t i = 0; i < 4; i++) {
		struct drm_fixed_set_version p = bad[i];
		assert_int_equal(fake_ioctl(card, SET_VERSION, &p, sizeof(p)), -EINVAL);
	}
	for (size_t i = 0; i < 4; i++) {
		struct drm_fixed_set_version p = good[i];
		assert_int_equal(fake_ioctl(card, SET_VERSION, &p, sizeof(p)), 0);
		assert_int_equal(p.di_major, 1);
		assert_int_equal(p.di_minor, 4);
	}
	assert_int_equal(unique(card, text, 8, &length), 0);
	assert_true(length > 8);
	assert_memory_equal(text, "platform", 8);
}

static void caps(void **state)
{
	(void)state;
	static const struct {
		uint64_t cap;
		uint64_t value;
	} good[] = {{1, 1}, {3, 24}, {4, 0}, {5, 0}, {6, 1}, {8, 256}, {9, 256}, {0x10, 0}};
	struct card *card = card_there();
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct drm_fixed_cap p = {.capability = good[i].cap, .value = 99};
		assert_int_equal(fake_ioctl(card, GET_CAP, &p, sizeof(p)), 0);
		assert_int_equal(p.value, good[i].value);
	}
	struct drm_fixed_cap unknown = {.capability = 77};
	assert_int_equal(fake_ioctl(card, GET_CAP, &unknown, sizeof(unknown)), -EINVAL);
}

static void client_caps(void **state)
{
	(void)state;
	static const uint64_t good[] = {2, 6, 0x299fc90c};
	static const uint64_t bad[] = {3, 5, 0, 999};
	struct card *card = card_there();
	for (size_t i = 0; i < 3; i++) {
		struct drm_fixed_cap p = {good[i], 1};
		assert_int_equal(fake_ioctl(card, SET_CLIENT_CAP, &p, sizeof(p)), 0);
		p.value = 2;
		assert_int_equal(fake_ioctl(card, SET_CLIENT_CAP, &p, sizeof(p)), -EINVAL);
	}
	for (size_t i = 0; i < 4; i++) {
		struct drm_fixed_cap p = {bad[i], 1};
		assert_int_equal(fake_ioctl(card, SET_CLIENT_CAP, &p, sizeof(p)), -EINVAL);
	}
}

static void client_name(void **state)
{
	(void)state;
	struct card *card = card_there();
	struct {
		uint64_t length;
		char name[65];
	} p = {.length = 6, .name = "weston"};
	assert_int_equal(fake_ioctl(card, SET_CLIENT_NAME, &p, 8 + 6), 0);
	assert_string_equal(card->client_name, "weston");
	p.name[2] = '\n';
	assert_int_equal(fake_ioctl(card, SET_CLIENT_NAME, &p, 8 + 6), -EINVAL);
	p.length = 65;
	assert_int_equal(fake_ioctl(card, SET_CLIENT_NAME, &p, 8 + 65), -EINVAL);
	p.length = 0;
	assert_int_equal(fake_ioctl(card, SET_CLIENT_NAME, &p, 8), 0);
	assert_string_equal(card->client_name, "");
}

/* --- objects --- */

static void resources(void **state)
{
	(void)state;
	struct card *card = card_there();
	struct {
		struct drm_fixed_resources fixed;
		uint32_t ids[2 + 2 + 1];
	} p = {0};
	assert_int_equal(fake_ioctl(card, GETRESOURCES, &p, sizeof(p.fixed)), 0);
	assert_int_equal(p.fixed.count_fbs, 0);
	assert_int_equal(p.fixed.count_crtcs, 2);
	assert_int_equal(p.fixed.count_connectors, 2);
	assert_int_equal(p.fixed.count_encoders, 2);
	assert_int_equal(p.fixed.max_width, 16384);
	p.fixed.count_encoders =
			1; // less room than there are: the client sees the count and asks again
	assert_int_equal(fake_ioctl(card, GETRESOURCES, &p, sizeof(p)), 0);
	assert_int_equal(p.fixed.count_encoders, 2);
	assert_int_equal(p.ids[0], KMS_ID_CRTC);
	assert_int_equal(p.ids[1], KMS_ID_CRTC + 1);
	assert_int_equal(p.ids[3], p.ids[2] + 1);
}

static uint32_t connector_id(uint32_t index)
{
	uint32_t slots[LIMIT_CONNECTORS];
	kms_slots_present(&fake->display.kms, slots);
	return KMS_ID_CONNECTOR + slots[index];
}

static void connector(void **state)
{
	(void)state;
	struct card *card = card_there();
	struct {
		struct drm_fixed_connector fixed;
		uint32_t encoder;
		struct drm_fixed_modeinfo modes[2];
		uint32_t props[2];
		uint8_t values[16];
	} p = {.fixed = {.count_encoders = 1,
			       .count_modes = 2,
			       .count_props = 2,
			       .connector_type = 99,
			       .encoder_id = 99,
			       .connector_id = connector_id(1)}};
	static_assert(sizeof(p) == 48 + 4 + 136 + 8 + 16, "no padding");
	assert_int_equal(fake_ioctl(card, GETCONNECTOR, &p, sizeof(p)), 0);
	assert_int_equal(p.fixed.connector_type, 11); // HDMI-A, not what the client sent
	assert_int_equal(p.fixed.connector_type_id, 2);
	assert_int_equal(p.fixed.encoder_id, 0);
	assert_int_equal(p.fixed.connection, 1);
	assert_int_equal(p.modes[0].hdisplay, 64);
	assert_int_equal(p.modes[1].hdisplay, 80);
	assert_string_equal(p.modes[1].name, "80x40");
	uint64_t values[2];
	memcpy(values, p.values, sizeof(values));
	assert_int_equal(p.props[0], KMS_ID_EDID);

	struct {
		struct drm_fixed_blob fixed;
		uint8_t bytes[128];
	} blob = {.fixed = {.blob_id = (uint32_t)values[0], .length = 128}};
	assert_int_equal(fake_ioctl(card, GETPROPBLOB, &blob, sizeof(blob)), 0);
	assert_int_equal(blob.bytes[127], 2);
	blob.fixed.blob_id++;
	assert_int_equal(fake_ioctl(card, GETPROPBLOB, &blob, sizeof(blob)), -ENOENT);

	struct drm_fixed_encoder encoder = {.encoder_id = p.encoder};
	assert_int_equal(fake_ioctl(card, GETENCODER, &encoder, sizeof(encoder)), 0);
	assert_int_equal(encoder.encoder_type, 2); // TMDS
	assert_int_equal(encoder.possible_crtcs, 3);
	assert_int_equal(encoder.crtc_id, 0);
}

/* The reads while something is shown say what is shown, per VT. */
static void shown_state_is_per_vt(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	struct card *other = card_there();
	client_start(&client, "8", 100, 60, &seed);
	assert_int_equal(client_show(&client, 1, 0, 1), 0);
	struct drm_fixed_connector p = {.connector_id = connector_id(0)};
	assert_int_equal(fake_ioctl(client.card, GETCONNECTOR, &p, sizeof(p)), 0);
	assert_int_not_equal(p.encoder_id, 0);
	struct drm_fixed_encoder encoder = {.encoder_id = p.encoder_id};
	assert_int_equal(fake_ioctl(client.card, GETENCODER, &encoder, sizeof(encoder)), 0);
	assert_int_equal(encoder.crtc_id, KMS_ID_CRTC + 1);
	struct drm_fixed_crtc crtc = {.crtc_id = KMS_ID_CRTC + 1};
	assert_int_equal(fake_ioctl(client.card, GETCRTC, &crtc, sizeof(crtc)), 0);
	assert_int_equal(crtc.fb_id, client.fb);
	assert_int_equal(crtc.mode.hdisplay, 80);
	assert_int_equal(crtc.gamma_size, 256);
	struct drm_fixed_plane plane = {.plane_id = KMS_ID_PRIMARY + 1};
	assert_int_equal(fake_ioctl(client.card, GETPLANE, &plane, sizeof(plane)), 0);
	assert_int_equal(plane.fb_id, client.fb);
	assert_int_equal(plane.possible_crtcs, 2);
	assert_int_equal(plane.count_format_types, 2);

	assert_int_equal(fake_ioctl(other, GETCRTC, &crtc, sizeof(crtc)), 0);
	assert_int_equal(crtc.fb_id, 0);
	assert_int_equal(crtc.mode_valid, 0);
}

static void planes(void **state)
{
	(void)state;
	struct card *card = card_there();
	struct {
		uint32_t count;
		uint32_t ids[4];
	} p = {0};
	assert_int_equal(fake_ioctl(card, GETPLANERESOURCES, &p, 4), 0);
	assert_int_equal(p.count, 0);
	struct drm_fixed_cap universal = {2, 1};
	assert_int_equal(fake_ioctl(card, SET_CLIENT_CAP, &universal, sizeof(universal)), 0);
	p.count = 4;
	assert_int_equal(fake_ioctl(card, GETPLANERESOURCES, &p, sizeof(p)), 0);
	assert_int_equal(p.count, 4);
	for (uint32_t i = 0; i < 4; i++) {
		struct {
			struct drm_fixed_object_properties fixed;
			uint8_t rest[12];
		} props = {.fixed = {.count_props = 1, .obj_id = p.ids[i], .obj_type = 0xeeeeeeee}};
		assert_int_equal(fake_ioctl(card, OBJ_GETPROPERTIES, &props, sizeof(props)), 0);
		uint64_t type;
		memcpy(&type, props.rest + 4, sizeof(type));
		assert_int_equal(type, i % 2 == 0 ? 1 : 2);
	}
}

static void unknown_ids_are_enoent(void **state)
{
	(void)state;
	static const uint32_t ids[] = {
			0, 1, 17, 0x22, 0x32, 0x42, 0x72, 0x9f, 0x100, 0x7fffffff, UINT32_MAX};
	struct card *card = card_there();
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		uint32_t id = ids[i];
		struct drm_fixed_crtc crtc = {.crtc_id = id};
		assert_int_equal(fake_ioctl(card, GETCRTC, &crtc, sizeof(crtc)), -ENOENT);
		assert_int_equal(fake_ioctl(card, SETCRTC, &crtc, sizeof(crtc)), -ENOENT);
		struct drm_fixed_encoder encoder = {.encoder_id = id};
		assert_int_equal(fake_ioctl(card, GETENCODER, &encoder, sizeof(encoder)), -ENOENT);
		struct drm_fixed_connector c = {.connector_id = id};
		assert_int_equal(fake_ioctl(card, GETCONNECTOR, &c, sizeof(c)), -ENOENT);
		struct drm_fixed_property property = {.prop_id = id};
		assert_int_equal(fake_ioctl(card, GETPROPERTY, &property, sizeof(property)),
				-ENOENT);
		struct drm_fixed_plane plane = {.plane_id = id};
		assert_int_equal(fake_ioctl(card, GETPLANE, &plane, sizeof(plane)), -ENOENT);
		struct drm_fixed_fb fb = {.fb_id = id};
		assert_int_equal(fake_ioctl(card, GETFB, &fb, sizeof(fb)), -ENOENT);
		struct drm_fixed_fb2 fb2 = {.fb_id = id};
		assert_int_equal(fake_ioctl(card, GETFB2, &fb2, sizeof(fb2)), -ENOENT);
		assert_int_equal(fake_ioctl(card, RMFB, &id, sizeof(id)), -ENOENT);
		struct drm_fixed_dirty dirty = {.fb_id = id};
		assert_int_equal(fake_ioctl(card, DIRTYFB, &dirty, sizeof(dirty)), -ENOENT);
		struct drm_fixed_map_dumb map = {.handle = id};
		assert_int_equal(fake_ioctl(card, MAP_DUMB, &map, sizeof(map)), -ENOENT);
		assert_int_equal(fake_ioctl(card, DESTROY_DUMB, &id, sizeof(id)), -ENOENT);
		struct drm_fixed_cursor cursor = {.flags = 2, .crtc_id = id};
		assert_int_equal(fake_ioctl(card, CURSOR, &cursor, sizeof(cursor)), -ENOENT);
		struct drm_fixed_object_properties props = {.obj_id = id};
		assert_int_equal(fake_ioctl(card, OBJ_GETPROPERTIES, &props, sizeof(props)),
				-ENOENT);
	}
}

static void properties(void **state)
{
	(void)state;
	struct card *card = card_there();
	struct {
		struct drm_fixed_property fixed;
		uint64_t values[4];
		struct drm_fixed_property_enum names[4];
	} p = {.fixed = {.prop_id = KMS_ID_DPMS, .count_values = 4, .count_enum_blobs = 4}};
	assert_int_equal(fake_ioctl(card, GETPROPERTY, &p, sizeof(p)), 0);
	assert_string_equal(p.fixed.name, "DPMS");
	assert_string_equal(p.names[3].name, "Off");
	assert_int_equal(p.values[3], 3);
	struct drm_fixed_set_property set = {
			.prop_id = KMS_ID_DPMS, .connector_id = connector_id(0), .value = 4};
	assert_int_equal(fake_ioctl(card, SETPROPERTY, &set, sizeof(set)), -EINVAL);
	set.value = 2;
	assert_int_equal(fake_ioctl(card, SETPROPERTY, &set, sizeof(set)), 0);
	set.prop_id = KMS_ID_EDID;
	assert_int_equal(fake_ioctl(card, SETPROPERTY, &set, sizeof(set)), -EINVAL);
	set.prop_id = 5;
	assert_int_equal(fake_ioctl(card, SETPROPERTY, &set, sizeof(set)), -ENOENT);
}

/* --- payloads --- */

/* Every ioctl, cut short, too long, and with counts that ask for the moon; the answers must be
 * errors. */
static void wrong_lengths(void **state)
{
	(void)state;
	struct card *card = card_there();
	static uint8_t bytes[8192];
	for (uint64_t nr = 0; nr < 0x200; nr++) {
		const struct drm_layout *layout = drm_layout_find(nr);
		for (size_t length = 0; length < 300; length++) {
			if (layout != NULL && length == layout->fixed_bytes) {
				continue;
			}
			memset(bytes, 0, sizeof(bytes));
			assert_int_equal(fake_ioctl(card, nr, bytes, length), -EINVAL);
		}
		memset(bytes, 0xff, sizeof(bytes));
		if (layout != NULL && layout->arrays[0].element_bytes != 0) {
			assert_int_equal(fake_ioctl(card, nr, bytes, layout->fixed_bytes), -EINVAL);
			assert_int_equal(fake_ioctl(card, nr, bytes, sizeof(bytes)), -EINVAL);
		}
	}
	assert_int_equal(fake_ioctl(card, UINT64_MAX - 1, bytes, 0), -EINVAL);
}

/* tcgetattr and TIOCGWINSZ come as numbers 0 and 7. */
static void terminal_ioctls(void **state)
{
	(void)state;
	struct card *card = card_there();
	uint64_t seed = test_seed();
	uint8_t bytes[48];
	for (int i = 0; i < 100; i++) {
		test_noise(&seed, bytes, sizeof(bytes));
		bytes[23] = 1; // name_len is not 8
		assert_int_equal(fake_ioctl(card, 0, bytes, 48), -EINVAL);
		assert_int_equal(fake_ioctl(card, 7, bytes, 8), -EINVAL);
	}
}

/* Noise with the right length: any answer but a crash, and the objects stay whole. */
static void noise(void **state)
{
	(void)state;
	struct card *card = card_there();
	uint64_t seed = test_seed();
	uint8_t bytes[512];
	for (int i = 0; i < 20000; i++) {
		uint64_t nr = test_random(&seed) % 0xd8;
		const struct drm_layout *layout = drm_layout_find(nr);
		if (layout == NULL) {
			continue;
		}
		test_noise(&seed, bytes, sizeof(bytes));
		for (size_t at = 0; at + 4 <= sizeof(bytes); at += 4) {
			if (test_random(&seed) % 3 != 0) { // small numbers reach further
				uint32_t small = (uint32_t)(test_random(&seed) % 0x110);
				memcpy(bytes + at, &small, sizeof(small));
			}
		}
		if (layout->arrays[0].element_bytes != 0) {
			continue;
		}
		struct request *request = fake_start(card, nr, bytes, layout->fixed_bytes);
		if (!request->answered) {
			fake_agent_settle();
		}
		assert_true(request->answered);
		free(request);
	}
	fake_agent_settle();
}

/* --- buffers --- */

static void dumb_buffer_sizes(void **state)
{
	(void)state;
	static const struct drm_fixed_create_dumb bad[] = {{.width = 0, .height = 1, .bpp = 32},
			{.width = 1, .height = 0, .bpp = 32}, {.width = 1, .height = 1, .bpp = 24},
			{.width = 1, .height = 1, .bpp = 32, .flags = 1},
			{.width = UINT32_MAX, .height = UINT32_MAX, .bpp = 32},
			{.width = 0x40000000, .height = 1, .bpp = 32},
			{.width = 0x10000, .height = 0x10000, .bpp = 32}};
	struct card *card = card_there();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct drm_fixed_create_dumb p = bad[i];
		assert_int_equal(fake_ioctl(card, CREATE_DUMB, &p, sizeof(p)), -EINVAL);
	}
	struct drm_fixed_create_dumb p = {.width = 5, .height = 3, .bpp = 32};
	assert_int_equal(fake_ioctl(card, CREATE_DUMB, &p, sizeof(p)), 0);
	assert_int_equal(p.handle, 1);
	assert_int_equal(p.pitch, 20);
	assert_int_equal(p.size, 4096);
	assert_int_equal(fake->display.buffers.bytes, 4096);
}

static void map_offsets(void **state)
{
	(void)state;
	struct card *card = card_there();
	struct drm_fixed_create_dumb create = {.width = 64, .height = 64, .bpp = 32};
	assert_int_equal(fake_ioctl(card, CREATE_DUMB, &create, sizeof(create)), 0);
	struct drm_fixed_map_dumb map = {.handle = create.handle, .offset = 1};
	assert_int_equal(fake_ioctl(card, MAP_DUMB, &map, sizeof(map)), -EINVAL);
	map.offset = 0;
	assert_int_equal(fake_ioctl(card, MAP_DUMB, &map, sizeof(map)), 0);
	assert_int_equal(map.offset, (uint64_t)create.handle << 28);

	static const struct {
		uint64_t offset, size;
	} bad[] = {{0, 4096}, {2ull << 28, 4096}, {1ull << 28, 5 * 4096},
			{(1ull << 28) + 4096, 4 * 4096}, {(1ull << 28) + 5 * 4096, 4096},
			{1ull << 28, 0}, {1ull << 28, UINT64_MAX}, {UINT64_MAX - 4095, 4096}};
	void *address;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(card_ops.mmap(&fake->display, card, bad[i].offset, bad[i].size, 0,
						 &address),
				-EINVAL);
	}
	assert_int_equal(card_ops.mmap(&fake->display, card, map.offset + 4096, 2 * 4096, 0,
					 &address),
			0);
	/* Destroyed, it stays mappable for a child of fork until the last munmap. */
	assert_int_equal(fake_ioctl(card, DESTROY_DUMB, &create.handle, 4), 0);
	assert_int_equal(fake_ioctl(card, MAP_DUMB, &map, sizeof(map)), -EINVAL);
	assert_int_equal(fake_ioctl(card, DESTROY_DUMB, &create.handle, 4), -ENOENT);
	assert_int_equal(card_ops.mmap(&fake->display, card, (1ull << 28) + 4096, 2 * 4096, 0,
					 &address),
			0);
	struct drm_fixed_create_dumb other = {.width = 1, .height = 1, .bpp = 32};
	assert_int_equal(fake_ioctl(card, CREATE_DUMB, &other, sizeof(other)), 0);
	assert_int_equal(other.handle, 2); // the ghost's number is not given again
	card_ops.munmap(&fake->display, card, (1ull << 28) + 4096, 4096);
	card_ops.munmap(&fake->display, card, (1ull << 28) + 8192, 4096);
	assert_int_equal(fake->display.buffers.buffers, 2);
	card_ops.munmap(&fake->display, card, (1ull << 28) + 4096, 8192);
	assert_int_equal(fake->display.buffers.buffers, 1);
	assert_int_equal(card_ops.mmap(&fake->display, card, 1ull << 28, 4096, 0, &address),
			-EINVAL);
}

static void limit_buffers_per_handle(void **state)
{
	(void)state;
	struct card *card = card_there();
	struct drm_fixed_create_dumb p = {.width = 1, .height = 1, .bpp = 32};
	for (uint32_t i = 0; i < LIMIT_BUFFERS_PER_HANDLE; i++) {
		assert_int_equal(fake_ioctl(card, CREATE_DUMB, &p, sizeof(p)), 0);
	}
	assert_int_equal(fake_ioctl(card, CREATE_DUMB, &p, sizeof(p)), -ENOSPC);
	assert_int_equal(fake->display.buffers.buffers, LIMIT_BUFFERS_PER_HANDLE);
	uint32_t handle = 7;
	assert_int_equal(fake_ioctl(card, DESTROY_DUMB, &handle, 4), 0);
	assert_int_equal(fake_ioctl(card, CREATE_DUMB, &p, sizeof(p)), 0);
	assert_int_equal(p.handle, 7);
}

static void limit_buffer_bytes_and_per_pid(void **state)
{
	(void)state;
	struct card *card = card_there();
	struct drm_fixed_create_dumb p = {.width = 16384, .height = 4096, .bpp = 32};
	struct drm_fixed_create_dumb large = {.width = 16384, .height = 4097, .bpp = 32};
	assert_int_equal(fake_ioctl(card, CREATE_DUMB, &large, sizeof(large)), -ENOMEM);
	for (uint64_t i = 0; i < LIMIT_BYTES_PER_PID / LIMIT_BUFFER_BYTES; i++) {
		assert_int_equal(fake_ioctl(card, CREATE_DUMB, &p, sizeof(p)), 0);
	}
	struct drm_fixed_create_dumb one = {.width = 1, .height = 1, .bpp = 32};
	assert_int_equal(fake_ioctl(card, CREATE_DUMB, &one, sizeof(one)), -ENOMEM);
	assert_int_equal(fake_ioctl(card, DESTROY_DUMB, &p.handle, 4), 0);
	assert_int_equal(fake_ioctl(card, CREATE_DUMB, &one, sizeof(one)), 0);
}

static void limit_vts(void **state)
{
	(void)state;
	char path[16];
	int error;
	struct card *card = NULL;
	for (uint32_t i = 0; i < LIMIT_VTS; i++) {
		snprintf(path, sizeof(path), "%u", i);
		card = fake_open(path, &error);
		assert_non_null(card);
	}
	assert_null(fake_open("1000", &error));
	assert_int_equal(error, -ENOSPC);
	assert_non_null(fake_open("5", &error));
	fake_close(card);
	assert_non_null(fake_open("1000", &error));
}

/* --- framebuffers --- */

static int64_t add_fb(struct card *card, uint32_t handle, uint32_t width, uint32_t height,
		uint32_t pitch, uint32_t depth, uint32_t *ret_id)
{
	struct drm_fixed_fb p = {.width = width,
			.height = height,
			.pitch = pitch,
			.bpp = 32,
			.depth = depth,
			.handle = handle};
	int64_t result = fake_ioctl(card, ADDFB, &p, sizeof(p));
	*ret_id = p.fb_id;
	return result;
}

static void framebuffer_geometry(void **state)
{
	(void)state;
	struct card *card = card_there();
	struct drm_fixed_create_dumb p = {.width = 64, .height = 64, .bpp = 32};
	uint32_t id;
	assert_int_equal(fake_ioctl(card, CREATE_DUMB, &p, sizeof(p)), 0);
	assert_int_equal(add_fb(card, 1, 64, 64, 256, 24, &id), 0);
	assert_int_equal(add_fb(card, 1, 64, 64, 256, 32, &id), 0);
	assert_int_equal(add_fb(card, 2, 64, 64, 256, 32, &id), -ENOENT);
	assert_int_equal(add_fb(card, 1, 64, 64, 256, 16, &id), -EINVAL);
	assert_int_equal(add_fb(card, 1, 65, 64, 256, 32, &id), -EINVAL);
	assert_int_equal(add_fb(card, 1, 64, 65, 256, 32, &id), -EINVAL);
	assert_int_equal(add_fb(card, 1, 64, 64, 260, 32, &id), -EINVAL);
	assert_int_equal(add_fb(card, 1, 0, 64, 256, 32, &id), -EINVAL);
	assert_int_equal(add_fb(card, 1, 64, 0, 256, 32, &id), -EINVAL);
	assert_int_equal(add_fb(card, 1, 16385, 1, UINT32_MAX, 32, &id), -EINVAL);
	assert_int_equal(add_fb(card, 1, 64, 2, UINT32_MAX, 32, &id), -EINVAL);
	struct drm_fixed_fb2 two = {.width = 32,
			.height = 32,
			.pixel_format = FB_FORMAT_XRGB8888,
			.handles = {1},
			.pitches = {256},
			.offsets = {128}};
	assert_int_equal(fake_ioctl(card, ADDFB2, &two, sizeof(two)), 0);
	two.offsets[0] = 64 * 256;
	assert_int_equal(fake_ioctl(card, ADDFB2, &two, sizeof(two)), -EINVAL);
	two.offsets[0] = UINT32_MAX;
	assert_int_equal(fake_ioctl(card, ADDFB2, &two, sizeof(two)), -EINVAL);
	two.offsets[0] = 0;
	two.pixel_format = 0x36314752; // RG16
	assert_int_equal(fake_ioctl(card, ADDFB2, &two, sizeof(two)), -EINVAL);
	two.pixel_format = FB_FORMAT_XRGB8888;
	two.handles[1] = 1;
	assert_int_equal(fake_ioctl(card, ADDFB2, &two, sizeof(two)), -EINVAL);
}

static void framebuffers_belong_to_their_handle(void **state)
{
	(void)state;
	struct card *card = card_there();
	struct card *other = fake_open("3", NULL);
	struct drm_fixed_create_dumb p = {.width = 64, .height = 64, .bpp = 32};
	uint32_t id;
	assert_int_equal(fake_ioctl(card, CREATE_DUMB, &p, sizeof(p)), 0);
	assert_int_equal(add_fb(card, 1, 64, 64, 256, 24, &id), 0);
	assert_int_equal(fake_ioctl(other, RMFB, &id, 4), -ENOENT);
	/* GETFB shares the buffer, which outlives its maker. */
	struct drm_fixed_fb get = {.fb_id = id};
	assert_int_equal(fake_ioctl(other, GETFB, &get, sizeof(get)), 0);
	assert_int_equal(get.handle, 1);
	assert_int_equal(get.pitch, 256);
	struct drm_fixed_fb2 get2 = {.fb_id = id};
	assert_int_equal(fake_ioctl(other, GETFB2, &get2, sizeof(get2)), 0);
	assert_int_equal(get2.handles[0], 2);
	fake_close(card);
	assert_int_equal(fake->display.fbs.count, 0);
	assert_int_equal(fake->display.buffers.buffers, 1);
	void *address;
	assert_int_equal(card_ops.mmap(&fake->display, other, 2ull << 28, 16384, 0, &address), 0);
}

static void limit_framebuffers(void **state)
{
	(void)state;
	struct card *card = card_there();
	struct drm_fixed_create_dumb p = {.width = 64, .height = 64, .bpp = 32};
	uint32_t id;
	assert_int_equal(fake_ioctl(card, CREATE_DUMB, &p, sizeof(p)), 0);
	for (uint32_t i = 0; i < LIMIT_FRAMEBUFFERS; i++) {
		assert_int_equal(add_fb(card, 1, 64, 64, 256, 24, &id), 0);
	}
	uint32_t none;
	assert_int_equal(add_fb(card, 1, 64, 64, 256, 24, &none), -ENOSPC);
	assert_int_equal(fake_ioctl(card, RMFB, &id, 4), 0);
	assert_int_equal(add_fb(card, 1, 64, 64, 256, 24, &id), 0);
}

/* CLOSEFB leaves the picture; even its connectors moving to another CRTC do not free it too early. */
static void closefb_leaves_the_picture(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	card_there();
	client_start(&client, "3", 64, 48, &seed);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	struct drm_fixed_closefb p = {.fb_id = client.fb, .pad = 1};
	assert_int_equal(fake_ioctl(client.card, CLOSEFB, &p, sizeof(p)), -EINVAL);
	p.pad = 0;
	assert_int_equal(fake_ioctl(client.card, CLOSEFB, &p, sizeof(p)), 0);
	assert_int_equal(fake_ioctl(client.card, CLOSEFB, &p, sizeof(p)), -ENOENT);
	client_assert_shown(&client, 0, 0, 0);
	assert_int_equal(client_show(&client, 1, 0, 0), 0);
	client_assert_shown(&client, 1, 0, 0);
	assert_false(fake->screens[0].on);
	struct drm_fixed_crtc off = {.crtc_id = KMS_ID_CRTC + 1};
	struct request *request = fake_start(client.card, SETCRTC, &off, sizeof(off));
	fake_agent_settle();
	assert_int_equal(request->result, 0);
	free(request);
	assert_int_equal(fake->display.fbs.count, 0);
}

/* --- SETCRTC --- */

static void set_crtc_refusals(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	card_there();
	client_start(&client, "3", 79, 48, &seed);
	struct {
		struct drm_fixed_crtc fixed;
		uint32_t connectors[3];
	} p,
			good = {.fixed = {.count_connectors = 1,
						.crtc_id = KMS_ID_CRTC,
						.fb_id = client.fb,
						.mode_valid = 1,
						.mode = topology.connectors[0].modes[0]},
					.connectors = {connector_id(0), connector_id(1),
							connector_id(0)}};
	struct card *card = client.card;
#define REFUSED(change, count, error)                                                          \
	do {                                                                                   \
		p = good;                                                                      \
		p.fixed.count_connectors = (count);                                            \
		change;                                                                        \
		assert_int_equal(fake_ioctl(card, SETCRTC, &p, sizeof(p.fixed) + (count) * 4), \
				error);                                                        \
	} while (0)
	REFUSED(p.fixed.x = 0x10000, 1, -ERANGE);
	REFUSED(p.fixed.fb_id = 0x777, 1, -ENOENT);
	REFUSED(p.fixed.fb_id = UINT32_MAX, 1, -EINVAL);
	REFUSED(p.fixed.mode.hdisplay = 0, 1, -EINVAL);
	REFUSED(p.fixed.mode.hsync_start = 1, 1, -EINVAL);
	REFUSED(p.fixed.mode = topology.connectors[0].modes[1], 1, -ENOSPC);
	REFUSED(p.fixed.x = 16, 1, -ENOSPC);
	REFUSED(p.fixed.y = 1, 1, -ENOSPC);
	REFUSED(p.connectors[0] = 5, 1, -ENOENT);
	REFUSED((void)0, 0, -EINVAL);
	REFUSED((void)0, 3, -EINVAL);
	REFUSED(p.fixed.mode_valid = 0, 1, -EINVAL);
	REFUSED(p.fixed.fb_id = 0, 1, -EINVAL);
#undef REFUSED
	topology.connectors[1].crtcs = 2;
	fake_agent_topology(&topology);
	good.connectors[0] = connector_id(1);
	assert_int_equal(fake_ioctl(card, SETCRTC, &good, sizeof(good.fixed) + 4), -EINVAL);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
}

static void set_plane(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	card_there();
	client_start(&client, "3", 100, 60, &seed);
	struct drm_fixed_set_plane p = {.plane_id = KMS_ID_PRIMARY,
			.crtc_id = KMS_ID_CRTC,
			.fb_id = client.fb,
			.crtc_w = 64,
			.crtc_h = 48,
			.src_x = 9 << 16,
			.src_y = 3 << 16,
			.src_w = 64 << 16,
			.src_h = 48 << 16};
	assert_int_equal(fake_ioctl(client.card, SETPLANE, &p, sizeof(p)), -EINVAL); // is off
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	assert_int_equal(fake_ioctl(client.card, SETPLANE, &p, sizeof(p)), 0);
	fake_agent_settle();
	client_assert_shown(&client, 0, 9, 3);
	p.src_x = 37 << 16;
	assert_int_equal(fake_ioctl(client.card, SETPLANE, &p, sizeof(p)), -ENOSPC);
	p.src_w = 32 << 16;
	assert_int_equal(fake_ioctl(client.card, SETPLANE, &p, sizeof(p)), -EINVAL);
	p.fb_id = 0x777;
	assert_int_equal(fake_ioctl(client.card, SETPLANE, &p, sizeof(p)), -ENOENT);
	p.plane_id = 1;
	assert_int_equal(fake_ioctl(client.card, SETPLANE, &p, sizeof(p)), -ENOENT);
}

static void hotplug_is_read_as_an_event(void **state)
{
	(void)state;
	struct card *card = card_there();
	struct drm_fixed_cap cap = {0x299fc90c, 1};
	assert_int_equal(fake_ioctl(card, SET_CLIENT_CAP, &cap, sizeof(cap)), 0);
	uint32_t bytes[6];
	struct request request = {.bytes = (uint8_t *)bytes, .length = sizeof(bytes)};
	assert_int_equal(card_ops.fevent(&fake->display, card, 1), 0);
	assert_int_equal(card_ops.read(&fake->display, card, &request, 0), 0);
	topology.connectors[1].connection = 2;
	fake_agent_topology(&topology);
	assert_int_equal(fake->notified, 1);
	assert_int_equal(card_ops.fevent(&fake->display, card, 1), 1);
	request.length = 11;
	assert_int_equal(card_ops.read(&fake->display, card, &request, 0), -EFAULT);
	request.length = sizeof(bytes);
	assert_int_equal(card_ops.read(&fake->display, card, &request, 0), 12);
	assert_int_equal(bytes[0], 0x299fc90d);
	assert_int_equal(bytes[1], 12);
	assert_int_equal(bytes[2], connector_id(1));
	assert_int_equal(card_ops.read(&fake->display, card, &request, 0), 0);
}

static void status_says_what_is(void **state)
{
	(void)state;
	uint64_t seed = test_seed();
	struct fake_client client;
	char text[32768] = "";
	card_there();
	client_start(&client, "3", 64, 48, &seed);
	assert_int_equal(client_show(&client, 0, 0, 0), 0);
	struct card *status = fake_open("status", NULL);
	struct request request = {.bytes = (uint8_t *)text, .length = 100};
	size_t got = 0;
	int64_t bytes;
	while ((bytes = card_ops.read(&fake->display, status, &request, 0)) > 0) {
		got += (size_t)bytes;
		request.bytes = (uint8_t *)text + got;
		request.offset = got;
	}
	assert_int_equal(bytes, 0);
	assert_non_null(strstr(text, "\nlink: up for "));
	assert_non_null(strstr(text, "\nactive_vt: 3\n"));
	assert_non_null(strstr(
			text, "FAKE-2 connected, 2 modes, first 64x48@60, EDID 128 bytes\n"));
	assert_non_null(strstr(text, "crtc 32: 64x48 fb "));
	assert_non_null(strstr(text, "\nbuffer_bytes: 12288\n"));
	assert_non_null(strstr(text, "\nframebuffers: 1\n"));
}

#define DISPLAY_TEST(fn) TEST_WITH(fn, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
			DISPLAY_TEST(paths),
			DISPLAY_TEST(path_opens_have_no_effect),
			DISPLAY_TEST(version),
			DISPLAY_TEST(unique_after_set_version),
			DISPLAY_TEST(caps),
			DISPLAY_TEST(client_caps),
			DISPLAY_TEST(client_name),
			DISPLAY_TEST(resources),
			DISPLAY_TEST(connector),
			DISPLAY_TEST(shown_state_is_per_vt),
			DISPLAY_TEST(planes),
			DISPLAY_TEST(unknown_ids_are_enoent),
			DISPLAY_TEST(properties),
			DISPLAY_TEST(wrong_lengths),
			DISPLAY_TEST(terminal_ioctls),
			DISPLAY_TEST(noise),
			DISPLAY_TEST(dumb_buffer_sizes),
			DISPLAY_TEST(map_offsets),
			DISPLAY_TEST(limit_buffers_per_handle),
			DISPLAY_TEST(limit_buffer_bytes_and_per_pid),
			DISPLAY_TEST(limit_vts),
			DISPLAY_TEST(framebuffer_geometry),
			DISPLAY_TEST(framebuffers_belong_to_their_handle),
			DISPLAY_TEST(limit_framebuffers),
			DISPLAY_TEST(closefb_leaves_the_picture),
			DISPLAY_TEST(set_crtc_refusals),
			DISPLAY_TEST(set_plane),
			DISPLAY_TEST(hotplug_is_read_as_an_event),
			DISPLAY_TEST(status_says_what_is),
	};
	return test_main("ioctl", tests);
}
