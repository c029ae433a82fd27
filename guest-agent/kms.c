/*
 * The KMS back end: applies whole CRTC states by the legacy calls (docs/decisions/legacy-kms.md
 * says why these), brings damage to the screen by DIRTYFB where the driver wants to be told.
 *
 * Invariant: an index names the same kernel object as long as the process lives. Connectors that
 * the kernel takes away keep their place, disconnected; new ones come after the last.
 */
#include "guest-agent/kms.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xf86drm.h>
#include <xf86drmMode.h>
#include "common/fd.h"
#include "common/log.h"
#include "guest-agent/backend.h"
#include "guest-agent/kms_connector.h"
#include "guest-agent/scanout.h"

#define CARDS_MAX 64

struct kms {
	struct backend base;
	int fd;
	uint32_t crtcs[LIMIT_CRTCS]; // object ids
	uint16_t crtcs_count;
	struct kms_connector connectors[LIMIT_CONNECTORS];
	uint16_t connectors_count;
	uint32_t cursor_width_px; // of the plane
	uint32_t cursor_height_px;
	struct scanout *cursors[LIMIT_CRTCS]; // owned: the image on the plane
	bool no_dirty;                        // the driver shows memory by itself
};

static struct kms *kms_from_backend(struct backend *backend)
{
	return (struct kms *)backend;
}

static void kms_destroy(struct backend *backend)
{
	struct kms *kms = kms_from_backend(backend);
	for (uint32_t i = 0; i < LIMIT_CRTCS; i++) {
		scanout_destroy(kms->fd, kms->cursors[i]);
	}
	fd_close(&kms->fd);
	free(kms);
}

static void connectors_find(struct kms *kms, const drmModeRes *resources)
{
	for (uint16_t i = 0; i < kms->connectors_count; i++) {
		kms->connectors[i].gone = true;
	}
	for (int n = 0; n < resources->count_connectors; n++) {
		uint16_t i = 0;
		while (i < kms->connectors_count &&
				kms->connectors[i].id != resources->connectors[n]) {
			i++;
		}
		if (i == LIMIT_CONNECTORS) {
			log_peer(LOG_DISPLAY, "more than %u connectors: the rest is not offered",
					LIMIT_CONNECTORS);
			break;
		}
		if (i == kms->connectors_count) {
			kms->connectors_count++;
			kms->connectors[i] =
					(struct kms_connector) {.id = resources->connectors[n]};
		}
		kms->connectors[i].gone = false;
	}
}

static uint32_t clamp(uint64_t value, uint32_t min, uint32_t max)
{
	return value < min ? min : value > max ? max : (uint32_t)value;
}

static void driver_name_read(int fd, char *name, size_t bytes)
{
	drmVersion *version = drmGetVersion(fd);
	snprintf(name, bytes, "%s", version ? version->name : "unknown");
	drmFreeVersion(version);
}

static void limits_read(
		struct kms *kms, const drmModeRes *resources, struct bridge_topology_begin *begin)
{
	begin->width_min = clamp(resources->min_width, 0, 16384);
	begin->width_max = clamp(resources->max_width, 1, 16384);
	begin->height_min = clamp(resources->min_height, 0, 16384);
	begin->height_max = clamp(resources->max_height, 1, 16384);
	begin->cursor_width = clamp(kms->cursor_width_px, 16, LIMIT_CURSOR_PX);
	begin->cursor_height = clamp(kms->cursor_height_px, 16, LIMIT_CURSOR_PX);
	driver_name_read(kms->fd, begin->driver, sizeof(begin->driver));
}

static void crtcs_read(struct kms *kms, const drmModeRes *resources, struct topology *topology)
{
	kms->crtcs_count = (uint16_t)clamp((uint64_t)resources->count_crtcs, 0, LIMIT_CRTCS);
	for (uint16_t i = 0; i < kms->crtcs_count; i++) {
		kms->crtcs[i] = resources->crtcs[i];
		drmModeCrtc *crtc = drmModeGetCrtc(kms->fd, kms->crtcs[i]);
		topology->crtcs[i] = (struct bridge_crtc) {
				.index = i,
				.gamma_size = crtc ? clamp((uint64_t)crtc->gamma_size, 0, 4096) : 0,
		};
		drmModeFreeCrtc(crtc);
	}
}

/* Whether another connector has the name of INDEX: one that is there, or an earlier one that is gone. */
static bool name_is_taken(const struct kms *kms, const struct topology *topology, uint16_t index)
{
	for (uint16_t i = 0; i < kms->connectors_count; i++) {
		if (i != index && (!kms->connectors[i].gone || i < index) &&
				strcmp(topology->connectors[i].name,
						topology->connectors[index].name) == 0) {
			return true;
		}
	}
	return false;
}

/*
 * Bridges know connectors by name. The kernel gives the name of a connector that is gone to the next
 * one (docking stations); and one that was never read has none.
 */
static void names_make_unique(const struct kms *kms, struct topology *topology)
{
	for (uint16_t i = 0; i < kms->connectors_count; i++) {
		char *name = topology->connectors[i].name;
		if (name[0] == '\0' ||
				(kms->connectors[i].gone && name_is_taken(kms, topology, i))) {
			snprintf(name, sizeof(topology->connectors[i].name), "gone-%u", i);
		}
	}
}

static int kms_probe(struct backend *backend, struct topology *ret_topology)
{
	struct kms *kms = kms_from_backend(backend);
	drmModeRes *resources = drmModeGetResources(kms->fd);
	if (!resources) {
		return -errno;
	}
	memset(ret_topology, 0, sizeof(*ret_topology));
	limits_read(kms, resources, &ret_topology->begin);
	crtcs_read(kms, resources, ret_topology);
	connectors_find(kms, resources);
	drmModeFreeResources(resources);
	uint32_t crtcs = (1u << kms->crtcs_count) - 1;
	for (uint16_t i = 0; i < kms->connectors_count; i++) {
		struct bridge_connector *connector = &ret_topology->connectors[i];
		kms_connector_read(kms->fd, &kms->connectors[i], connector, ret_topology->edids[i]);
		connector->index = i;
		connector->crtcs &= crtcs;
	}
	names_make_unique(kms, ret_topology);
	ret_topology->begin.crtcs = kms->crtcs_count;
	ret_topology->begin.connectors = kms->connectors_count;
	return 0;
}

static int kms_scanout_create(struct backend *backend, uint32_t width_px, uint32_t height_px,
		struct scanout **ret_scanout)
{
	return scanout_create(
			kms_from_backend(backend)->fd, width_px, height_px, true, ret_scanout);
}

static void kms_scanout_destroy(struct backend *backend, struct scanout *scanout)
{
	scanout_destroy(kms_from_backend(backend)->fd, scanout);
}

static void mode_to_kernel(const struct bridge_mode *mode, drmModeModeInfo *ret_mode)
{
	*ret_mode = (drmModeModeInfo) {
			.clock = mode->clock,
			.hdisplay = mode->hdisplay,
			.hsync_start = mode->hsync_start,
			.hsync_end = mode->hsync_end,
			.htotal = mode->htotal,
			.hskew = mode->hskew,
			.vdisplay = mode->vdisplay,
			.vsync_start = mode->vsync_start,
			.vsync_end = mode->vsync_end,
			.vtotal = mode->vtotal,
			.vscan = mode->vscan,
			.vrefresh = mode->vrefresh,
			.flags = mode->flags,
			.type = mode->type,
	};
	snprintf(ret_mode->name, sizeof(ret_mode->name), "%s", mode->name);
}

static int kms_apply(struct backend *backend, uint16_t crtc, const struct crtc_state *state,
		struct scanout *scanout)
{
	struct kms *kms = kms_from_backend(backend);
	if (!scanout) {
		return drmModeSetCrtc(kms->fd, kms->crtcs[crtc], 0, 0, 0, NULL, 0, NULL);
	}
	uint32_t connectors[LIMIT_CONNECTORS];
	int count = 0;
	for (uint16_t i = 0; i < kms->connectors_count; i++) {
		if (state->connectors & (1u << i)) {
			if (kms->connectors[i].gone) {
				return -ENOENT;
			}
			connectors[count++] = kms->connectors[i].id;
		}
	}
	drmModeModeInfo mode;
	mode_to_kernel(&state->mode, &mode);
	return drmModeSetCrtc(kms->fd, kms->crtcs[crtc], scanout->framebuffer, 0, 0, connectors,
			count, &mode);
}

static int kms_flush(struct backend *backend, uint16_t crtc, struct scanout *scanout,
		const struct box *boxes, unsigned int boxes_count)
{
	struct kms *kms = kms_from_backend(backend);
	(void)crtc;
	assert(boxes_count <= LIMIT_DAMAGE_RECTS);
	if (kms->no_dirty) {
		return 0;
	}
	drmModeClip clips[LIMIT_DAMAGE_RECTS];
	for (unsigned int i = 0; i < boxes_count; i++) {
		clips[i] = (drmModeClip) {
				.x1 = (uint16_t)boxes[i].x1,
				.y1 = (uint16_t)boxes[i].y1,
				.x2 = (uint16_t)boxes[i].x2,
				.y2 = (uint16_t)boxes[i].y2,
		};
	}
	int error = drmModeDirtyFB(kms->fd, scanout->framebuffer, clips, boxes_count);
	if (error == -ENOSYS) {
		kms->no_dirty = true;
		error = 0;
	}
	return error;
}

/* Puts IMAGE into the plane's buffer, with nothing around it. Returns 0 or a negative errno. */
static int cursor_upload(struct kms *kms, uint16_t crtc, const struct cursor_image *image)
{
	if (image->width_px > kms->cursor_width_px || image->height_px > kms->cursor_height_px) {
		return -EINVAL;
	}
	if (!kms->cursors[crtc]) {
		int error = scanout_create(kms->fd, kms->cursor_width_px, kms->cursor_height_px,
				false, &kms->cursors[crtc]);
		if (error) {
			return error;
		}
	}
	const struct picture *picture = &kms->cursors[crtc]->picture;
	size_t row_bytes = image->width_px * sizeof(uint32_t);
	for (uint32_t y = 0; y < picture->height_px; y++) {
		uint8_t *row = (uint8_t *)picture_at(picture, 0, y);
		memset(row, 0, picture->width_px * sizeof(uint32_t));
		if (y < image->height_px) {
			memcpy(row, &image->pixels[y * image->width_px], row_bytes);
		}
	}
	return 0;
}

static int kms_cursor_move(struct backend *backend, uint16_t crtc, int32_t x, int32_t y)
{
	struct kms *kms = kms_from_backend(backend);
	return drmModeMoveCursor(kms->fd, kms->crtcs[crtc], x, y);
}

static int kms_cursor_set(struct backend *backend, uint16_t crtc, const struct cursor_image *image,
		int32_t x, int32_t y)
{
	struct kms *kms = kms_from_backend(backend);
	if (!image) {
		return drmModeSetCursor(kms->fd, kms->crtcs[crtc], 0, 0, 0);
	}
	int error = cursor_upload(kms, crtc, image);
	if (error) {
		return error;
	}
	error = drmModeSetCursor2(kms->fd, kms->crtcs[crtc], kms->cursors[crtc]->handle,
			kms->cursor_width_px, kms->cursor_height_px, image->hot_x, image->hot_y);
	return error ? error : kms_cursor_move(backend, crtc, x, y);
}

static const struct backend_ops kms_ops = {
		.destroy = kms_destroy,
		.probe = kms_probe,
		.scanout_create = kms_scanout_create,
		.scanout_destroy = kms_scanout_destroy,
		.apply = kms_apply,
		.flush = kms_flush,
		.cursor_set = kms_cursor_set,
		.cursor_move = kms_cursor_move,
};

/* Words for ERROR of opening PATH. Returns ERROR. */
static int open_explain(const char *path, int error, char *reason, size_t reason_bytes)
{
	const char *hint = "is it a DRM device?";
	switch (error) {
	case -ENOENT:
		hint = "is the driver of the graphics device loaded (lspci -k)?";
		break;
	case -EACCES:
	case -EPERM:
		hint = "run as root or as a member of the group that owns it (video)";
		break;
	default:
		break;
	}
	snprintf(reason, reason_bytes, "cannot open %s (%s): %s", path, strerror(-error), hint);
	return error;
}

/* Whether the device FD of PATH can show anything, and lets us. Returns 0, or a negative errno with
 * REASON. */
static int device_check(int fd, const char *path, char *reason, size_t reason_bytes)
{
	drmModeRes *resources = drmModeGetResources(fd);
	bool can_show = resources && resources->count_crtcs > 0;
	bool has_connector = resources && resources->count_connectors > 0;
	drmModeFreeResources(resources);
	if (!can_show || !has_connector) {
		snprintf(reason, reason_bytes,
				can_show ? "%s has no connector: give the card that has one as "
					   "--device, or use "
					   "--headless FILE"
					 : "%s does not do mode setting: give another card as "
					   "--device, or use "
					   "--headless FILE",
				path);
		return -ENODEV;
	}
	if (!drmIsMaster(fd) && drmSetMaster(fd) != 0) {
		snprintf(reason, reason_bytes,
				"%s is held by a desktop or another display server: stop that "
				"(systemctl stop display-manager) or give another card as --device",
				path);
		return -EBUSY;
	}
	uint64_t dumb = 0;
	if (drmGetCap(fd, DRM_CAP_DUMB_BUFFER, &dumb) != 0 || !dumb) {
		snprintf(reason, reason_bytes, "%s: its driver has no dumb buffers", path);
		return -ENOTSUP;
	}
	return 0;
}

static int device_open(const char *path, char *reason, size_t reason_bytes, int *ret_fd)
{
	auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		return open_explain(path, -errno, reason, reason_bytes);
	}
	int error = device_check(fd, path, reason, reason_bytes);
	if (error) {
		return error;
	}
	*ret_fd = fd_take(&fd);
	return 0;
}

/* The first card that works; when there is none, the reason is that of the first that is there. */
static int device_open_any(char *reason, size_t reason_bytes, int *ret_fd)
{
	int first_error = -ENOENT;
	snprintf(reason, reason_bytes,
			"no graphics device in /dev/dri: is its driver loaded (lspci -k)? Without "
			"a "
			"device use --headless FILE");
	for (int i = 0; i < CARDS_MAX; i++) {
		char path[32], why[512];
		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		int error = device_open(path, why, sizeof(why), ret_fd);
		if (!error) {
			return 0;
		}
		if (error != -ENOENT && first_error == -ENOENT) {
			first_error = error;
			snprintf(reason, reason_bytes, "%s", why);
		}
	}
	return first_error;
}

static uint32_t cap_read(int fd, uint64_t cap)
{
	uint64_t value = 0;
	return drmGetCap(fd, cap, &value) == 0 && value > 0 ? clamp(value, 16, 4096) : 64;
}

int kms_create(const char *path, char *reason, size_t reason_bytes, struct backend **ret_backend)
{
	auto_close int fd = -1;
	int error = path ? device_open(path, reason, reason_bytes, &fd)
			 : device_open_any(reason, reason_bytes, &fd);
	if (error) {
		return error;
	}
	struct kms *kms = calloc(1, sizeof(*kms));
	if (!kms) {
		snprintf(reason, reason_bytes, "no memory");
		return -ENOMEM;
	}
	kms->base.ops = &kms_ops;
	kms->cursor_width_px = cap_read(fd, DRM_CAP_CURSOR_WIDTH);
	kms->cursor_height_px = cap_read(fd, DRM_CAP_CURSOR_HEIGHT);
	kms->fd = fd_take(&fd);
	*ret_backend = &kms->base;
	return 0;
}
