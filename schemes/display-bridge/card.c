/*
 * Handles and the scheme's handlers, but for ioctls (drm_ioctl.c). Invariant: opens, fstat and
 * closes are answered from here and never wait for the agent or for inputd; an O_PATH open makes no
 * VT.
 */
#include "schemes/display-bridge/card.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/number.h"
#include "schemes/display-bridge/display.h"
#include "schemes/display-bridge/drm_ioctl.h"
#include "schemes/display-bridge/status.h"
#include "schemes/scheme/libredox.h"

#define DRM_DEVICE  0xE200u // st_dev: major 226, as driver-graphics says it
#define MODE_DEVICE (0x2000u | 0666u)
#define MODE_FILE   (0x8000u | 0444u)
#define MODE_FOLDER (0x4000u | 0555u)
#define EVENT_PLUG  0x299fc90du // REDOX_DRM_EVENT_CONNECTOR_HOTPLUG
#define VT_MAX      9999999999u

struct hotplug_event {
	uint32_t type, length, connector_id;
};

/* What PATH names, into the new handle CARD. */
static int path_resolve(struct card *card, const char *path, uint32_t flags)
{
	if (path[0] == '\0') {
		card->kind = CARD_ROOT;
		return flags & (REDOX_O_STAT | REDOX_O_DIRECTORY) ? 0 : -EISDIR;
	}
	if (strcmp(path, "status") == 0) {
		card->kind = CARD_STATUS;
		return 0;
	}
	if (strcmp(path, "render") == 0) {
		return -ENODEV;
	}
	card->kind = CARD_DEVICE;
	if (strncmp(path, "v2/", 3) == 0) {
		card->old_path = true;
		path += 3;
	}
	return number_parse(path, VT_MAX, &card->vt_number) ? 0 : -ENOENT;
}

/* Opening "" below a handle opens the same thing again. */
static int parent_resolve(
		struct card *card, const struct card *parent, const char *path, uint32_t flags)
{
	if (parent == NULL || parent->kind == CARD_ROOT) {
		return path_resolve(card, path, flags);
	}
	if (path[0] != '\0') {
		return -ENOTDIR;
	}
	card->kind = parent->kind;
	card->old_path = parent->old_path;
	card->vt_number = parent->vt_number;
	return 0;
}

static int card_prepare(struct display *display, struct card *card, uint32_t flags)
{
	if (flags & REDOX_O_STAT) {
		return 0;
	}
	if (flags & REDOX_O_DIRECTORY && card->kind != CARD_ROOT) {
		return -ENOTDIR;
	}
	if (card->kind == CARD_DEVICE) {
		inputd_poll(&display->inputd);
		return vt_open(&display->vts, card->vt_number, &card->vt);
	}
	if (card->kind == CARD_STATUS) {
		return status_format(display, &card->text, &card->text_bytes);
	}
	return 0;
}

static int card_open(void *data, void *parent, const struct scheme_open *open, void **ret_handle)
{
	struct display *display = data;
	struct card *card = calloc(1, sizeof(*card));
	if (card == NULL) {
		return -ENOMEM;
	}
	card->display = display;
	card->pid = open->pid;
	int error = parent_resolve(card, parent, open->path, open->flags);
	if (error == 0) {
		error = card_prepare(display, card, open->flags);
	}
	if (error != 0) {
		free(card);
		return error;
	}
	LIST_INSERT_HEAD(&display->cards, card, link);
	display->handles++;
	*ret_handle = card;
	if (card->kind == CARD_STATUS) {
		return SCHEME_OPEN_POSITIONED;
	}
	/* inputd runs as root, opens read-only and hands over: docs/decisions/read-only-cards.md. */
	return card->vt != NULL && open->uid == 0 ? SCHEME_OPEN_MAP_WRITABLE : 0;
}

static void card_close(void *data, void *handle)
{
	struct display *display = data;
	struct card *card = handle;
	while (card->fbs != NULL) {
		card_disown_fb(card, card->fbs, true);
	}
	buffer_table_finish(&card->buffers);
	if (card->vt != NULL) {
		vt_drop_cursors(&display->vts, card->vt, card);
		vt_close(&display->vts, card->vt);
	}
	LIST_REMOVE(card, link);
	display->handles--;
	free(card->text);
	free(card);
}

/* One record for each connector that changed; never waits (redox-abi.md 4.7). */
static int64_t device_read(struct card *card, struct request *request)
{
	size_t room = request_length(request);
	size_t filled = 0;
	if (card->hotplug_slots != 0 && room < sizeof(struct hotplug_event)) {
		return -EFAULT;
	}
	for (uint32_t slot = 0; slot < KMS_SLOTS; slot++) {
		if ((card->hotplug_slots & 1u << slot) == 0 ||
				filled + sizeof(struct hotplug_event) > room) {
			continue;
		}
		struct hotplug_event event = {EVENT_PLUG, sizeof(event), KMS_ID_CONNECTOR + slot};
		request_put(request, filled, &event, sizeof(event));
		filled += sizeof(event);
		card->hotplug_slots &= ~(1u << slot);
	}
	return (int64_t)filled;
}

static int64_t status_read(struct card *card, struct request *request)
{
	uint64_t offset = request_offset(request);
	if (offset >= card->text_bytes) {
		return 0;
	}
	size_t bytes = card->text_bytes - (size_t)offset;
	if (bytes > request_length(request)) {
		bytes = request_length(request);
	}
	request_put(request, 0, card->text + offset, bytes);
	return (int64_t)bytes;
}

static int64_t card_read(void *data, void *handle, struct request *request, uint32_t flags)
{
	(void)data;
	(void)flags;
	struct card *card = handle;
	switch (card->kind) {
	case CARD_DEVICE:
		return device_read(card, request);
	case CARD_STATUS:
		return status_read(card, request);
	default:
		return -EISDIR;
	}
}

static int64_t card_call(void *data, void *handle, struct request *request, uint64_t nr)
{
	(void)data;
	struct card *card = handle;
	if (card->kind != CARD_DEVICE || card->vt == NULL) {
		return -ENOTTY;
	}
	return drm_ioctl(card, request, nr);
}

static int64_t card_fsync(void *data, void *handle, struct request *request)
{
	struct display *display = data;
	struct card *card = handle;
	inputd_poll(&display->inputd); // the VT may have been activated just now
	if (card->vt == NULL || !vt_is_active(&display->vts, card->vt)) {
		return 0;
	}
	return present_wait_all(&display->present, request);
}

static void card_fstat(void *data, void *handle, struct scheme_stat *stat)
{
	(void)data;
	const struct card *card = handle;
	switch (card->kind) {
	case CARD_DEVICE:
		stat->st_dev = DRM_DEVICE;
		stat->st_mode = MODE_DEVICE;
		break;
	case CARD_STATUS:
		stat->st_mode = MODE_FILE;
		stat->st_size = card->text_bytes;
		break;
	default:
		stat->st_mode = MODE_FOLDER;
		break;
	}
}

static int card_fpath(void *data, void *handle, char *buffer, size_t size)
{
	(void)data;
	const struct card *card = handle;
	int length = 0;
	switch (card->kind) {
	case CARD_DEVICE:
		length = snprintf(buffer, size, "%s%llu", card->old_path ? "v2/" : "",
				(unsigned long long)card->vt_number);
		break;
	case CARD_STATUS:
		length = snprintf(buffer, size, "status");
		break;
	default:
		length = snprintf(buffer, size, "%s", "");
		break;
	}
	return length >= 0 && (size_t)length < size ? 0 : -ENAMETOOLONG;
}

static int card_mmap(void *data, void *handle, uint64_t offset, uint64_t size, uint32_t flags,
		void **ret_address)
{
	(void)data;
	(void)flags;
	struct card *card = handle;
	return buffer_table_map(&card->buffers, offset, size, ret_address);
}

static void card_munmap(void *data, void *handle, uint64_t offset, uint64_t size)
{
	(void)data;
	struct card *card = handle;
	buffer_table_unmap(&card->buffers, offset, size);
}

static uint32_t card_fevent(void *data, void *handle, uint32_t mask)
{
	(void)data;
	const struct card *card = handle;
	bool readable = card->kind == CARD_STATUS || card->hotplug_slots != 0;
	return readable ? mask & SCHEME_EVENT_READ : 0;
}

static int card_control(void *data, uint64_t control_id, const uint8_t *payload, size_t length)
{
	struct display *display = data;
	(void)control_id; // there is only inputd's
	return inputd_event(&display->inputd, payload, length);
}

static void card_cancel(void *data, void *handle, struct request *request)
{
	struct display *display = data;
	(void)handle;
	present_cancel(&display->present, request);
}

const struct scheme_ops card_ops = {
		.open = card_open,
		.close = card_close,
		.read = card_read,
		.call = card_call,
		.fsync = card_fsync,
		.fstat = card_fstat,
		.fpath = card_fpath,
		.mmap = card_mmap,
		.munmap = card_munmap,
		.fevent = card_fevent,
		.control = card_control,
		.cancel = card_cancel,
};

void card_notify_hotplug(struct display *display, uint32_t slots)
{
	struct card *card = NULL;
	LIST_FOREACH (card, &display->cards, link) {
		if (card->hotplug_events && slots != 0) {
			card->hotplug_slots |= slots;
			scheme_notify(display->scheme, card, SCHEME_EVENT_READ);
		}
	}
}

void card_own_fb(struct card *card, struct fb *fb)
{
	fb->owner = card;
	fb->owner_next = card->fbs;
	card->fbs = fb;
	card->fb_count++;
}

int card_disown_fb(struct card *card, struct fb *fb, bool drop)
{
	struct display *display = card->display;
	struct fb **at = &card->fbs;
	while (*at != NULL && *at != fb) {
		at = &(*at)->owner_next;
	}
	if (*at == NULL) {
		return -ENOENT;
	}
	*at = fb->owner_next;
	fb->owner = NULL;
	fb->owner_next = NULL;
	card->fb_count--;
	if (drop) {
		vt_drop_fb(&display->vts, fb);
	}
	fb_unref(&display->fbs, fb);
	return 0;
}
