/* Topologies as an agent sends them, the object model made of them, and the file that keeps them. */
#include "tests/unit/display-bridge/fake_display.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "schemes/display-bridge/state.h"

static struct topology topology;

static uint32_t id_of(uint32_t index)
{
	uint32_t slots[LIMIT_CONNECTORS];
	assert_true(index < kms_slots_present(&fake->display.kms, slots));
	return KMS_ID_CONNECTOR + slots[index];
}

static void ids_go_by_name(void **state)
{
	(void)state;
	fake_topology(&topology, 3);
	fake_agent_up();
	fake_agent_topology(&topology);
	uint32_t first = id_of(0), second = id_of(1), third = id_of(2);
	uint32_t blob = fake->display.kms.slots[second - KMS_ID_CONNECTOR].edid_blob;

	/* The agent restarts, and finds the connectors in another order; one is gone. */
	fake_agent_down();
	struct topology_connector keep = topology.connectors[2];
	topology.connectors[0] = topology.connectors[1];
	topology.connectors[1] = keep;
	topology.connector_count = 2;
	fake_agent_up();
	fake_agent_topology(&topology);
	assert_int_equal(id_of(0), second);
	assert_int_equal(id_of(1), third);
	assert_int_equal(kms_connector_find(&fake->display.kms, first), -ENOENT);
	assert_int_equal(fake->display.kms.slots[second - KMS_ID_CONNECTOR].edid_blob, blob);

	/* And it comes back under its id. */
	fake_topology(&topology, 3);
	fake_agent_topology(&topology);
	assert_int_equal(id_of(0), first);
}

static void other_edid_has_another_id(void **state)
{
	(void)state;
	fake_topology(&topology, 1);
	fake_agent_up();
	fake_agent_topology(&topology);
	uint32_t slot = id_of(0) - KMS_ID_CONNECTOR;
	uint32_t blob = fake->display.kms.slots[slot].edid_blob;
	assert_int_not_equal(blob, 0);
	topology.connectors[0].edid[9] ^= 1;
	fake_agent_topology(&topology);
	assert_int_not_equal(fake->display.kms.slots[slot].edid_blob, blob);
	topology.connectors[0].edid_bytes = 0;
	fake_agent_topology(&topology);
	assert_int_equal(fake->display.kms.slots[slot].edid_blob, 0);
}

/* Ever new names take the slots of those that have been away longest; the ids of those that stay do
 * not move. */
static void names_without_end(void **state)
{
	(void)state;
	fake_topology(&topology, LIMIT_CONNECTORS);
	fake_agent_up();
	fake_agent_topology(&topology);
	uint32_t steady = id_of(0);
	for (unsigned round = 0; round < 25; round++) {
		for (uint32_t i = 1; i < LIMIT_CONNECTORS; i++) {
			snprintf(topology.connectors[i].name, sizeof(topology.connectors[i].name),
					"NEW-%u-%u", round, i);
		}
		fake_agent_topology(&topology);
		assert_int_equal(fake->failed, 0);
		assert_int_equal(id_of(0), steady);
		uint32_t slots[LIMIT_CONNECTORS];
		assert_int_equal(kms_slots_present(&fake->display.kms, slots), LIMIT_CONNECTORS);
		uint32_t set = 0;
		for (uint32_t i = 0; i < LIMIT_CONNECTORS; i++) {
			assert_int_equal(set & 1u << slots[i], 0);
			set |= 1u << slots[i];
			assert_string_equal(fake->display.kms.slots[slots[i]].name,
					topology.connectors[i].name);
		}
	}
}

static void say_begin(uint32_t generation, uint16_t crtcs, uint16_t connectors)
{
	struct bridge_topology_begin begin = {.generation = generation,
			.width_max = 100,
			.height_max = 100,
			.cursor_width = 64,
			.cursor_height = 64,
			.crtcs = crtcs,
			.connectors = connectors};
	uint8_t bytes[BRIDGE_TOPOLOGY_BEGIN_MAX];
	ssize_t length = bridge_topology_begin_encode(&begin, bytes, sizeof(bytes));
	fake_agent_say(BRIDGE_TOPOLOGY_BEGIN, bytes, (size_t)length);
}

static void say_crtc(uint16_t index)
{
	uint8_t bytes[BRIDGE_CRTC_MAX];
	ssize_t length = bridge_crtc_encode(
			&(struct bridge_crtc) {.index = index}, bytes, sizeof(bytes));
	fake_agent_say(BRIDGE_CRTC, bytes, (size_t)length);
}

static void say_connector(uint16_t index, const char *name, uint32_t crtcs)
{
	static struct bridge_connector wire;
	uint8_t bytes[BRIDGE_CONNECTOR_MAX];
	wire = (struct bridge_connector) {.index = index, .connection = 1, .crtcs = crtcs};
	snprintf(wire.name, sizeof(wire.name), "%s", name);
	ssize_t length = bridge_connector_encode(&wire, bytes, sizeof(bytes));
	assert_true(length > 0);
	fake_agent_say(BRIDGE_CONNECTOR, bytes, (size_t)length);
}

static void say_end(uint32_t generation)
{
	uint8_t bytes[BRIDGE_TOPOLOGY_END_MAX];
	ssize_t length = bridge_topology_end_encode(
			&(struct bridge_topology_end) {generation}, bytes, sizeof(bytes));
	fake_agent_say(BRIDGE_TOPOLOGY_END, bytes, (size_t)length);
}

/* The model did not take anything of a topology that is refused, and the next connection starts
 * afresh. */
static void assert_refused(void)
{
	assert_int_equal(fake->failed, -EBADMSG);
	assert_int_not_equal(fake->fault[0], '\0');
	assert_string_equal(fake->display.kms.topology.connectors[0].name, "Virtual-1");
	fake->failed = 0;
	fake_agent_down();
	fake_agent_up();
}

static void lying_topologies_are_refused(void **state)
{
	(void)state;
	fake_agent_up();
	say_crtc(0);
	assert_refused();
	say_end(1);
	assert_refused();
	say_begin(2, 1, 0);
	assert_refused();
	say_begin(1, 1, 0);
	say_begin(2, 1, 0);
	assert_refused();
	say_begin(1, 1, 1);
	say_crtc(1);
	assert_refused();
	say_begin(1, 1, 1);
	say_crtc(0);
	say_crtc(1);
	assert_refused();
	say_begin(1, 1, 1);
	say_crtc(0);
	say_end(1);
	assert_refused();
	say_begin(1, 1, 1);
	say_crtc(0);
	say_connector(0, "", 1);
	assert_refused();
	say_begin(1, 1, 1);
	say_crtc(0);
	say_connector(0, "A", 2);
	assert_refused();
	say_begin(1, 1, 2);
	say_crtc(0);
	say_connector(0, "A", 1);
	say_connector(1, "A", 1);
	assert_refused();
	say_begin(1, 1, 1);
	say_crtc(0);
	say_connector(0, "A", 1);
	say_connector(1, "B", 1);
	assert_refused();
	say_begin(1, 1, 1);
	say_crtc(0);
	say_connector(0, "A", 1);
	say_end(7);
	assert_refused();
	fake_agent_say(BRIDGE_TOPOLOGY_BEGIN, (const uint8_t *)"abc", 3);
	assert_refused();
	fake_agent_say(BRIDGE_COMMIT, (const uint8_t *)"abc", 3);
	assert_refused();
}

/* LIMIT_TOPOLOGIES_PER_SECOND: one more ends the session; a second later they are taken again. */
static void topology_flood_is_refused(void **state)
{
	(void)state;
	fake_topology(&topology, 1);
	fake_agent_up();
	for (uint32_t i = 0; i < LIMIT_TOPOLOGIES_PER_SECOND; i++) {
		fake_agent_topology(&topology);
	}
	assert_int_equal(fake->failed, 0);
	say_begin(LIMIT_TOPOLOGIES_PER_SECOND + 1, 1, 0);
	assert_int_equal(fake->failed, -EBADMSG);
	assert_non_null(strstr(fake->fault, "too many topologies"));
	fake->failed = 0;
	fake_agent_down();
	fake->display.agent.flood_start_ns -= 2 * CLOCK_NS_PER_S; // as if the time had passed
	fake_agent_up();
	fake_agent_topology(&topology);
	assert_int_equal(fake->failed, 0);
	assert_true(fake->display.present.session != NULL);
}

/* A topology_begin of CRTCS and CONNECTORS, whatever the encoder thinks of them. */
static void say_counts(uint16_t crtcs, uint16_t connectors)
{
	struct bridge_topology_begin begin = {.generation = 1,
			.width_max = 100,
			.height_max = 100,
			.cursor_width = 64,
			.cursor_height = 64,
			.crtcs = 1};
	uint8_t bytes[BRIDGE_TOPOLOGY_BEGIN_MAX];
	ssize_t length = bridge_topology_begin_encode(&begin, bytes, sizeof(bytes));
	assert_true(length > 4);
	bytes[length - 4] = (uint8_t)crtcs; // the last two numbers of the message
	bytes[length - 2] = (uint8_t)connectors;
	fake_agent_say(BRIDGE_TOPOLOGY_BEGIN, bytes, (size_t)length);
}

/* LIMIT_CRTCS, LIMIT_CONNECTORS */
static void topology_size_is_limited(void **state)
{
	(void)state;
	fake_topology(&topology, LIMIT_CONNECTORS);
	topology.crtc_count = LIMIT_CRTCS;
	fake_agent_up();
	fake_agent_topology(&topology);
	assert_int_equal(fake->failed, 0);
	for (unsigned more = 0; more < 2; more++) {
		fake_agent_down();
		fake_agent_up();
		say_counts(more ? LIMIT_CRTCS : LIMIT_CRTCS + 1,
				more ? LIMIT_CONNECTORS + 1 : LIMIT_CONNECTORS);
		assert_int_equal(fake->failed, -EBADMSG);
		fake->failed = 0;
		assert_int_equal(fake->display.kms.topology.crtc_count, LIMIT_CRTCS);
	}
	fake_agent_down();
	fake_agent_up();
	say_counts(LIMIT_CRTCS, LIMIT_CONNECTORS);
	assert_int_equal(fake->failed, 0);
	fake_agent_down();
	fake_agent_up();
	fake_agent_topology(&topology);
	assert_int_equal(fake->failed, 0);
	assert_true(fake->display.present.session != NULL);
}

static void state_file_keeps_a_topology(void **state)
{
	(void)state;
	static struct topology loaded;
	char path[256];
	fake_topology(&topology, 2);
	int fd = state_open(test_path(path, sizeof(path), "state"));
	assert_true(fd >= 0);
	assert_int_equal(state_load(fd, &loaded), -ENOENT);
	assert_int_equal(state_save(fd, &topology), 0);
	assert_int_equal(state_load(fd, &loaded), 0);
	assert_memory_equal(&loaded, &topology, sizeof(topology));
	close(fd);
}

static void damaged_state_files_are_refused(void **state)
{
	(void)state;
	static struct topology loaded, before;
	char path[256];
	uint64_t seed = test_seed();
	fake_topology(&topology, 2);
	int fd = state_open(test_path(path, sizeof(path), "state"));
	for (unsigned round = 0; round < 50; round++) {
		assert_int_equal(state_save(fd, &topology), 0);
		off_t at = (off_t)(test_random(&seed) % sizeof(topology));
		uint8_t byte;
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte = (uint8_t)(byte ^ (1 + test_random(&seed) % 255));
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		assert_int_equal(state_load(fd, &loaded), -EBADMSG);
	}
	assert_int_equal(ftruncate(fd, 100), 0);
	assert_int_equal(state_load(fd, &loaded), -EBADMSG);
	/* A right checksum does not make wrong counts right. */
	topology.connectors[1].mode_count = TOPOLOGY_MODES_MAX + 1;
	assert_int_equal(state_save(fd, &topology), 0);
	assert_int_equal(state_load(fd, &loaded), -EBADMSG);
	assert_memory_equal(&loaded, &before, sizeof(loaded));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST_WITH(ids_go_by_name, fake_setup, fake_teardown),
			TEST_WITH(other_edid_has_another_id, fake_setup, fake_teardown),
			TEST_WITH(names_without_end, fake_setup, fake_teardown),
			TEST_WITH(lying_topologies_are_refused, fake_setup, fake_teardown),
			TEST_WITH(topology_flood_is_refused, fake_setup, fake_teardown),
			TEST_WITH(topology_size_is_limited, fake_setup, fake_teardown),
			TEST(state_file_keeps_a_topology),
			TEST(damaged_state_files_are_refused),
	};
	return test_main("model", tests);
}
