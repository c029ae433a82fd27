/*
 * Connectors that come and go (docking stations), on a fake libdrm: a bridge refuses a topology
 * whose connectors do not each have a name of their own.
 */
#include "tests/support/test.h"

#include <string.h>
#include <xf86drm.h>
#include <xf86drmMode.h>
#include "guest-agent/backend.h"
#include "guest-agent/kms.h"

#define CONNECTORS 4

/* What the fake kernel has. */
static struct {
	int count;
	uint32_t ids[CONNECTORS];
	uint32_t type_ids[CONNECTORS];
	bool readable[CONNECTORS];
} kernel;

static struct backend *backend;
static struct topology topology;

int drmIsMaster(int fd)
{
	(void)fd;
	return 1;
}

int drmGetCap(int fd, uint64_t capability, uint64_t *value)
{
	(void)fd;
	(void)capability;
	*value = 64;
	return 0;
}

drmModeResPtr drmModeGetResources(int fd)
{
	static uint32_t crtcs[] = {1};
	static drmModeRes resources;
	(void)fd;
	resources = (drmModeRes) {.count_crtcs = 1,
			.crtcs = crtcs,
			.count_connectors = kernel.count,
			.connectors = kernel.ids,
			.max_width = 4096,
			.max_height = 4096};
	return &resources;
}

void drmModeFreeResources(drmModeResPtr resources)
{
	(void)resources;
}

drmModeConnectorPtr drmModeGetConnector(int fd, uint32_t id)
{
	static drmModeConnector connector;
	(void)fd;
	for (int i = 0; i < kernel.count; i++) {
		if (kernel.ids[i] == id && kernel.readable[i]) {
			connector = (drmModeConnector) {.connector_id = id,
					.connector_type = DRM_MODE_CONNECTOR_DisplayPort,
					.connector_type_id = kernel.type_ids[i],
					.connection = DRM_MODE_CONNECTED};
			return &connector;
		}
	}
	return NULL;
}

void drmModeFreeConnector(drmModeConnectorPtr connector)
{
	(void)connector;
}

uint32_t drmModeConnectorGetPossibleCrtcs(int fd, const drmModeConnector *connector)
{
	(void)fd;
	(void)connector;
	return 1;
}

static void kernel_has(int index, uint32_t id, uint32_t type_id, bool readable)
{
	kernel.count = index + 1;
	kernel.ids[index] = id;
	kernel.type_ids[index] = type_id;
	kernel.readable[index] = readable;
}

/* Returns the only connector called NAME. */
static const struct bridge_connector *probe_and_find(const char *name)
{
	const struct bridge_connector *found = NULL;
	assert_int_equal(backend->ops->probe(backend, &topology), 0);
	for (uint16_t i = 0; i < topology.begin.connectors; i++) {
		const char *one = topology.connectors[i].name;
		assert_string_not_equal(one, "");
		for (uint16_t k = 0; k < i; k++) {
			assert_string_not_equal(one, topology.connectors[k].name);
		}
		found = strcmp(one, name) == 0 ? &topology.connectors[i] : found;
	}
	return found;
}

static void names_are_unique(void **state)
{
	char reason[512];
	(void)state;
	kernel_has(0, 10, 1, true);
	kernel_has(1, 20, 2, true);
	assert_int_equal(kms_create("/dev/null", reason, sizeof(reason), &backend), 0);
	const struct bridge_connector *second = probe_and_find("DP-2");
	assert_non_null(second);
	assert_int_equal(second->connection, BRIDGE_CONNECTION_CONNECTED);
	/* Unplugged: it is still named, as disconnected. */
	kernel_has(0, 10, 1, true);
	second = probe_and_find("DP-2");
	assert_non_null(second);
	assert_int_equal(second->connection, BRIDGE_CONNECTION_DISCONNECTED);
	/* Plugged in again, the kernel calls another object so; twice. */
	for (uint32_t id = 30; id <= 40; id += 10) {
		kernel_has(1, id, 2, true);
		second = probe_and_find("DP-2");
		assert_non_null(second);
		assert_int_equal(second->connection, BRIDGE_CONNECTION_CONNECTED);
	}
	/* Gone altogether: one of the three has the name. */
	kernel_has(0, 10, 1, true);
	assert_non_null(probe_and_find("DP-2"));
	/* Gone between the list and the question: no name was ever read. */
	kernel_has(1, 50, 3, false);
	assert_null(probe_and_find("DP-3"));
	assert_int_equal(topology.begin.connectors, 5);
	backend->ops->destroy(backend);
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(names_are_unique)};
	return test_main("kms names", tests);
}
