/*
 * The state file: a header and the struct as it lies in memory, with a checksum. It is written in
 * place (no path is opened while the scheme is served), so a torn file is possible; the checksum
 * tells, and the file then counts as missing. It is not trusted beyond that: sizes and counts are
 * checked as those of a peer.
 */
#include "schemes/display-bridge/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "schemes/display-bridge/mode.h"

#define STATE_MAGIC 0x31737264u // "drs1"

struct state_header {
	uint32_t magic;
	uint32_t bytes;
	uint64_t checksum;
};

/* FNV-1a: finds torn writes, no more. */
static uint64_t checksum(const struct topology *topology)
{
	const uint8_t *bytes = (const uint8_t *)topology;
	uint64_t sum = 0xcbf29ce484222325u;
	for (size_t i = 0; i < sizeof(*topology); i++) {
		sum = (sum ^ bytes[i]) * 0x100000001b3u;
	}
	return sum;
}

int state_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	return fd >= 0 ? fd : -errno;
}

static bool connector_is_sane(struct topology_connector *connector, uint32_t crtc_count)
{
	if (connector->mode_count > TOPOLOGY_MODES_MAX ||
			connector->edid_bytes > TOPOLOGY_EDID_MAX ||
			connector->crtcs >> crtc_count != 0 || connector->name[0] == '\0' ||
			connector->name[TOPOLOGY_NAME_MAX] != '\0') {
		return false;
	}
	for (uint32_t i = 0; i < connector->mode_count; i++) {
		struct drm_fixed_modeinfo *mode = &connector->modes[i];
		mode->name[sizeof(mode->name) - 1] = '\0';
		if (mode->hdisplay == 0 || mode->hdisplay > MODE_SIZE_MAX || mode->vdisplay == 0 ||
				mode->vdisplay > MODE_SIZE_MAX) {
			return false;
		}
	}
	return true;
}

static bool topology_is_sane(struct topology *topology)
{
	if (topology->crtc_count == 0 || topology->crtc_count > LIMIT_CRTCS ||
			topology->connector_count > LIMIT_CONNECTORS ||
			topology->driver[TOPOLOGY_NAME_MAX] != '\0' ||
			topology->cursor_width > 256 || topology->cursor_height > 256) {
		return false;
	}
	for (uint32_t i = 0; i < topology->connector_count; i++) {
		if (!connector_is_sane(&topology->connectors[i], topology->crtc_count)) {
			return false;
		}
		for (uint32_t j = 0; j < i; j++) {
			if (strcmp(topology->connectors[i].name, topology->connectors[j].name) ==
					0) {
				return false;
			}
		}
	}
	return true;
}

int state_load(int fd, struct topology *ret_topology)
{
	struct state_header header;
	static struct topology topology; // too large for a stack; only main's thread comes here
	ssize_t got = pread(fd, &header, sizeof(header), 0);
	if (got == 0) {
		return -ENOENT;
	}
	if (got != (ssize_t)sizeof(header) || header.magic != STATE_MAGIC ||
			header.bytes != sizeof(topology) ||
			pread(fd, &topology, sizeof(topology), sizeof(header)) !=
					(ssize_t)sizeof(topology) ||
			header.checksum != checksum(&topology) || !topology_is_sane(&topology)) {
		return -EBADMSG;
	}
	*ret_topology = topology;
	return 0;
}

int state_save(int fd, const struct topology *topology)
{
	struct state_header header = {
			.magic = STATE_MAGIC,
			.bytes = sizeof(*topology),
			.checksum = checksum(topology),
	};
	if (pwrite(fd, topology, sizeof(*topology), sizeof(header)) != (ssize_t)sizeof(*topology) ||
			pwrite(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header)) {
		return errno != 0 ? -errno : -ENOSPC;
	}
	return 0;
}
