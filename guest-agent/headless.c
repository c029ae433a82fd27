/*
 * The headless back end. It has no cursor plane, so cursors are composed and land in the PNG files.
 * It refuses what a driver would refuse: connectors that the CRTC cannot drive, and modes without a
 * pixel clock.
 */
#include "guest-agent/headless.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/fd.h"
#include "common/log.h"
#include "guest-agent/backend.h"
#include "guest-agent/headless_config.h"
#include "guest-agent/png_file.h"

struct headless {
	struct backend base;
	char *config_path;         // owned
	int png_dir;               // -1: no files
	struct topology *topology; // owned: as probed last
	bool probed;
	uint64_t frames[LIMIT_CRTCS];
};

static struct headless *headless_from_backend(struct backend *backend)
{
	return (struct headless *)backend;
}

static void headless_destroy(struct backend *backend)
{
	struct headless *headless = headless_from_backend(backend);
	fd_close(&headless->png_dir);
	free(headless->config_path);
	free(headless->topology);
	free(headless);
}

/* The number of CRTCs and the names of the first connectors must stay: an index names one object
 * for ever. */
static bool topology_continues(const struct topology *old, const struct topology *new)
{
	if (old->begin.crtcs != new->begin.crtcs || old->begin.connectors > new->begin.connectors) {
		return false;
	}
	for (uint16_t i = 0; i < old->begin.connectors; i++) {
		if (strcmp(old->connectors[i].name, new->connectors[i].name) != 0) {
			return false;
		}
	}
	return true;
}

static int headless_probe(struct backend *backend, struct topology *ret_topology)
{
	struct headless *headless = headless_from_backend(backend);
	char reason[512];
	int error = headless_config_read(
			headless->config_path, ret_topology, reason, sizeof(reason));
	if (error) {
		log_error(LOG_DISPLAY, "%s", reason);
		return error;
	}
	if (headless->probed && !topology_continues(headless->topology, ret_topology)) {
		log_error(LOG_DISPLAY,
				"%s: CRTCs and connectors can be added at the end or disconnected, "
				"but not "
				"taken away, while the agent runs",
				headless->config_path);
		return -EINVAL;
	}
	headless->probed = true;
	topology_copy(headless->topology, ret_topology);
	return 0;
}

static int headless_scanout_create(struct backend *backend, uint32_t width_px, uint32_t height_px,
		struct scanout **ret_scanout)
{
	(void)backend;
	struct scanout *scanout = calloc(1, sizeof(*scanout));
	uint8_t *pixels = calloc(height_px, (size_t)width_px * sizeof(uint32_t));
	if (!scanout || !pixels) {
		free(scanout);
		free(pixels);
		return -ENOMEM;
	}
	scanout->picture = (struct picture) {
			.pixels = pixels,
			.width_px = width_px,
			.height_px = height_px,
			.stride_bytes = width_px * (uint32_t)sizeof(uint32_t),
	};
	*ret_scanout = scanout;
	return 0;
}

static void headless_scanout_destroy(struct backend *backend, struct scanout *scanout)
{
	(void)backend;
	if (scanout) {
		free(scanout->picture.pixels);
		free(scanout);
	}
}

static int headless_apply(struct backend *backend, uint16_t crtc, const struct crtc_state *state,
		struct scanout *scanout)
{
	struct headless *headless = headless_from_backend(backend);
	for (uint16_t i = 0; i < headless->topology->begin.connectors; i++) {
		if ((state->connectors & (1u << i)) &&
				!(headless->topology->connectors[i].crtcs & (1u << crtc))) {
			return -EINVAL;
		}
	}
	if (scanout && state->mode.clock == 0) {
		return -EINVAL;
	}
	headless->frames[crtc]++;
	return 0;
}

static int headless_flush(struct backend *backend, uint16_t crtc, struct scanout *scanout,
		const struct box *boxes, unsigned int boxes_count)
{
	(void)scanout;
	(void)boxes;
	(void)boxes_count;
	headless_from_backend(backend)->frames[crtc]++;
	return 0;
}

static int headless_settle(struct backend *backend, uint16_t crtc, const struct scanout *scanout)
{
	struct headless *headless = headless_from_backend(backend);
	if (headless->png_dir < 0) {
		return 0;
	}
	char name[32];
	snprintf(name, sizeof(name), "crtc-%u.png", crtc);
	if (scanout) {
		return png_file_write(headless->png_dir, name, &scanout->picture);
	}
	if (unlinkat(headless->png_dir, name, 0) != 0 && errno != ENOENT) {
		return -errno;
	}
	return 0;
}

static const struct backend_ops headless_ops = {
		.destroy = headless_destroy,
		.probe = headless_probe,
		.scanout_create = headless_scanout_create,
		.scanout_destroy = headless_scanout_destroy,
		.apply = headless_apply,
		.flush = headless_flush,
		.settle = headless_settle,
};

int headless_create(const char *config_path, const char *png_dir, char *reason, size_t reason_bytes,
		struct backend **ret_backend)
{
	struct headless *headless = calloc(1, sizeof(*headless));
	if (!headless) {
		snprintf(reason, reason_bytes, "no memory");
		return -ENOMEM;
	}
	headless->base.ops = &headless_ops;
	headless->png_dir = -1;
	headless->config_path = strdup(config_path);
	headless->topology = calloc(1, sizeof(*headless->topology));
	int error = headless->config_path && headless->topology ? 0 : -ENOMEM;
	if (error) {
		snprintf(reason, reason_bytes, "no memory");
	}
	if (!error) {
		error = headless_config_read(config_path, headless->topology, reason, reason_bytes);
	}
	if (!error && png_dir) {
		headless->png_dir = open(png_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (headless->png_dir < 0) {
			error = -errno;
			snprintf(reason, reason_bytes, "%s: %s; --png needs an existing directory",
					png_dir, strerror(errno));
		}
	}
	if (error) {
		headless_destroy(&headless->base);
		return error;
	}
	*ret_backend = &headless->base;
	return 0;
}

uint64_t headless_frames(const struct backend *backend, uint16_t crtc)
{
	return ((const struct headless *)backend)->frames[crtc];
}
