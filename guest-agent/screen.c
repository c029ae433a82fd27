/*
 * What the device shows. Invariant of a head: `scanout` is what the device shows with `state` (NULL
 * when off); `next` exists only while a commit that needs another size is under way; a composed
 * cursor is drawn in `scanout` only.
 *
 * Cursor messages have no answer and may come in bursts: the wish is kept and done at the end of
 * the turn, with a sync or with a commit, whichever is first.
 */
#include "guest-agent/screen.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "common/clock.h"
#include "common/log.h"
#include "common/loop.h"

struct head {
	struct crtc_state state;
	struct scanout *scanout; // owned, may be NULL
	struct scanout *next;    // owned, may be NULL
	struct commit commit;
	struct cursor cursor;      // its image is the one to show, on whichever plane
	struct cursor_image image; // as sent last
	bool image_sent;           // no move has asked for it yet
	bool image_new;            // a move has asked for it, the cursor does not have it yet
	bool cursor_wanted;        // visible
	int32_t cursor_x;
	int32_t cursor_y;
	bool cursor_pending;  // the wish is not on the screen yet
	bool cursor_plane;    // shown by the plane now
	bool cursor_composed; // the plane does not work, or must not be used
};

struct screen {
	struct loop *loop;       // borrowed
	struct backend *backend; // owned
	struct loop_source *idle;
	screen_changed_fn changed;
	void *changed_data;
	struct topology *topology; // owned
	struct topology *probed;   // owned: room for screen_refresh()
	uint16_t heads_count;      // the CRTCs: they are the same for the life of a device
	struct head *heads;        // owned
};

static void head_scanout_replace(struct screen *screen, struct head *head, struct scanout *scanout)
{
	struct scanout *old = head->scanout;
	head->scanout = scanout;
	cursor_forget(&head->cursor);
	head->cursor_plane = false;
	head->cursor_pending = scanout && head->cursor_wanted;
	screen->backend->ops->scanout_destroy(screen->backend, old);
}

static void head_commit_drop(struct screen *screen, struct head *head)
{
	commit_end(&head->commit);
	screen->backend->ops->scanout_destroy(screen->backend, head->next);
	head->next = NULL;
}

static int heads_create(struct screen *screen, bool software_cursor)
{
	uint16_t count = screen->topology->begin.crtcs;
	screen->heads = calloc(count, sizeof(*screen->heads));
	if (!screen->heads) {
		return -ENOMEM;
	}
	screen->heads_count = count;
	for (uint16_t i = 0; i < count; i++) {
		screen->heads[i].cursor_composed =
				software_cursor || !screen->backend->ops->cursor_set;
	}
	return 0;
}

int screen_create(struct loop *loop, struct backend *backend, bool software_cursor,
		struct screen **ret_screen)
{
	struct screen *screen = calloc(1, sizeof(*screen));
	if (!screen) {
		backend->ops->destroy(backend);
		return -ENOMEM;
	}
	screen->loop = loop;
	screen->backend = backend;
	int error = -ENOMEM;
	screen->topology = calloc(1, sizeof(*screen->topology));
	screen->probed = calloc(1, sizeof(*screen->probed));
	if (screen->topology && screen->probed) {
		error = backend->ops->probe(backend, screen->topology);
	}
	if (!error) {
		error = heads_create(screen, software_cursor);
	}
	if (error) {
		screen_destroy(screen);
		return error;
	}
	*ret_screen = screen;
	return 0;
}

void screen_destroy(struct screen *screen)
{
	if (!screen) {
		return;
	}
	loop_source_remove(screen->idle);
	for (uint16_t i = 0; i < screen->heads_count; i++) {
		struct head *head = &screen->heads[i];
		head_commit_drop(screen, head);
		screen->backend->ops->scanout_destroy(screen->backend, head->scanout);
	}
	screen->backend->ops->destroy(screen->backend);
	free(screen->heads);
	free(screen->topology);
	free(screen->probed);
	free(screen);
}

const struct topology *screen_topology(const struct screen *screen)
{
	return screen->topology;
}

void screen_on_change(struct screen *screen, screen_changed_fn fn, void *data)
{
	screen->changed = fn;
	screen->changed_data = data;
}

void screen_refresh(struct screen *screen)
{
	int error = screen->backend->ops->probe(screen->backend, screen->probed);
	if (!error && screen->probed->begin.crtcs != screen->heads_count) {
		error = -ENODEV;
	}
	if (error) {
		log_warn(LOG_DISPLAY, "reading the connectors again failed (%s): the old ones stay",
				strerror(-error));
		return;
	}
	if (topology_equal(screen->topology, screen->probed)) {
		return;
	}
	topology_copy(screen->topology, screen->probed);
	log_info(LOG_DISPLAY, "connectors changed");
	if (screen->changed) {
		screen->changed(screen->changed_data);
	}
}

/* The cursor's part of a picture, to the screen. */
static void cursor_flush(struct screen *screen, uint16_t crtc, const struct box *box)
{
	struct head *head = &screen->heads[crtc];
	if (!box_is_empty(box)) {
		screen->backend->ops->flush(screen->backend, crtc, head->scanout, box, 1);
	}
}

/* The cursor must not be drawn. Returns whether the image is another one now. */
static bool cursor_adopt_image(struct head *head)
{
	bool adopt = head->image_new;
	if (adopt) {
		cursor_image_copy(&head->cursor.image, &head->image);
		head->image_new = false;
	}
	return adopt;
}

static void cursor_compose(struct screen *screen, uint16_t crtc)
{
	struct head *head = &screen->heads[crtc];
	struct box old = head->cursor.drawn;
	cursor_erase(&head->cursor, &head->scanout->picture);
	cursor_adopt_image(head);
	if (head->cursor_wanted && head->cursor.image.width_px > 0) {
		cursor_draw(&head->cursor, &head->scanout->picture, head->cursor_x, head->cursor_y);
	}
	struct box both = box_intersect(&old, &head->cursor.drawn);
	cursor_flush(screen, crtc, &old);
	if (memcmp(&both, &head->cursor.drawn, sizeof(both)) != 0) {
		cursor_flush(screen, crtc, &head->cursor.drawn);
	}
}

/* Returns a negative errno when the plane cannot do it. */
static int cursor_to_plane(struct screen *screen, uint16_t crtc)
{
	struct head *head = &screen->heads[crtc];
	const struct backend_ops *ops = screen->backend->ops;
	bool adopted = cursor_adopt_image(head);
	bool shown = head->cursor_plane;
	bool wanted = head->cursor_wanted && head->cursor.image.width_px > 0;
	if (!wanted) {
		head->cursor_plane = false;
		return shown ? ops->cursor_set(screen->backend, crtc, NULL, 0, 0) : 0;
	}
	head->cursor_plane = true;
	if (shown && !adopted) {
		return ops->cursor_move(screen->backend, crtc, head->cursor_x, head->cursor_y);
	}
	return ops->cursor_set(
			screen->backend, crtc, &head->cursor.image, head->cursor_x, head->cursor_y);
}

static void cursor_settle(struct screen *screen, uint16_t crtc)
{
	struct head *head = &screen->heads[crtc];
	if (!head->scanout) {
		cursor_adopt_image(head);
		return;
	}
	if (!head->cursor_pending) {
		return;
	}
	head->cursor_pending = false;
	if (!head->cursor_composed) {
		int error = cursor_to_plane(screen, crtc);
		if (!error) {
			return;
		}
		log_info(LOG_DISPLAY,
				"crtc %u: the cursor plane refuses (%s), the cursor is composed",
				crtc, strerror(-error));
		screen->backend->ops->cursor_set(screen->backend, crtc, NULL, 0, 0);
		head->cursor_plane = false;
		head->cursor_composed = true;
	}
	cursor_compose(screen, crtc);
}

static void on_idle(void *data)
{
	struct screen *screen = data;
	screen->idle = NULL;
	for (uint16_t i = 0; i < screen->heads_count; i++) {
		cursor_settle(screen, i);
	}
}

static void cursor_schedule(struct screen *screen, struct head *head)
{
	head->cursor_pending = true;
	if (!screen->idle && loop_add_idle(screen->loop, on_idle, screen, &screen->idle) != 0) {
		screen->idle = NULL;
		on_idle(screen);
	}
}

void screen_reset(struct screen *screen, bool hide_cursors)
{
	for (uint16_t i = 0; i < screen->heads_count; i++) {
		struct head *head = &screen->heads[i];
		head_commit_drop(screen, head);
		if (hide_cursors) {
			head->image_sent = false;
			head->image_new = false;
			head->cursor_wanted = false;
			cursor_schedule(screen, head);
		}
	}
}

struct commit *screen_commit(struct screen *screen, uint32_t untrusted_crtc)
{
	if (untrusted_crtc >= screen->heads_count ||
			!screen->heads[untrusted_crtc].commit.under_way) {
		return NULL;
	}
	return &screen->heads[untrusted_crtc].commit;
}

/* Finds the memory that the pixels of the commit go to. */
static void head_target_prepare(struct screen *screen, struct head *head)
{
	struct commit *commit = &head->commit;
	const struct bridge_mode *mode = &commit->state.mode;
	if (commit->state.connectors == 0) {
		return;
	}
	const struct picture *shown = head->scanout ? &head->scanout->picture : NULL;
	if (shown && shown->width_px == mode->hdisplay && shown->height_px == mode->vdisplay) {
		commit_set_target(commit, shown, 0);
		return;
	}
	const struct bridge_topology_begin *device = &screen->topology->begin;
	int error = -EINVAL;
	if (mode->hdisplay >= device->width_min && mode->hdisplay <= device->width_max &&
			mode->vdisplay >= device->height_min &&
			mode->vdisplay <= device->height_max) {
		error = -ENOMEM;
		if ((uint64_t)mode->hdisplay * mode->vdisplay * 4 <= LIMIT_BUFFER_BYTES) {
			error = screen->backend->ops->scanout_create(screen->backend,
					mode->hdisplay, mode->vdisplay, &head->next);
		}
	}
	commit_set_target(commit, error ? NULL : &head->next->picture, error);
}

int screen_commit_begin(struct screen *screen, const struct bridge_commit *untrusted_message,
		const char **ret_fault)
{
	if (untrusted_message->crtc >= screen->heads_count) {
		*ret_fault = "commit for a CRTC that does not exist";
		return -EBADMSG;
	}
	struct head *head = &screen->heads[untrusted_message->crtc];
	if (head->commit.under_way) {
		*ret_fault = "commit before the pixels of the last one";
		return -EBADMSG;
	}
	int error = commit_begin(&head->commit, untrusted_message,
			screen->topology->begin.connectors, ret_fault);
	if (!error) {
		head_target_prepare(screen, head);
	}
	return error;
}

void screen_pixels_written(struct screen *screen, uint16_t crtc, const struct box *box)
{
	struct head *head = &screen->heads[crtc];
	if (head->scanout && head->commit.target == &head->scanout->picture) {
		cursor_repair(&head->cursor, &head->scanout->picture, box);
	}
}

/* The device took CONNECTORS from whoever had them. */
static void connectors_moved(struct screen *screen, uint16_t to_crtc, uint32_t connectors)
{
	for (uint16_t i = 0; i < screen->heads_count; i++) {
		struct head *head = &screen->heads[i];
		if (i == to_crtc || (head->state.connectors & connectors) == 0) {
			continue;
		}
		head->state.connectors &= ~connectors;
		if (head->state.connectors == 0) {
			/* A commit under way may point into the picture that goes. */
			if (head->scanout && head->commit.target == &head->scanout->picture) {
				cursor_erase(&head->cursor, &head->scanout->picture);
				head->next = head->scanout;
				head->scanout = NULL;
			}
			head_scanout_replace(screen, head, NULL);
		}
	}
}

static int head_apply(struct screen *screen, uint16_t crtc)
{
	struct head *head = &screen->heads[crtc];
	const struct crtc_state *state = &head->commit.state;
	struct scanout *scanout = NULL;
	if (state->connectors != 0) {
		scanout = head->next ? head->next : head->scanout;
	}
	int error = screen->backend->ops->apply(screen->backend, crtc, state, scanout);
	if (error) {
		return error;
	}
	static struct log_limit limit;
	if (scanout) {
		log_line_limited(&limit, LOG_INFO, LOG_DISPLAY,
				"crtc %u shows %ux%u on connectors 0x%x", crtc,
				state->mode.hdisplay, state->mode.vdisplay, state->connectors);
	} else {
		log_line_limited(&limit, LOG_INFO, LOG_DISPLAY, "crtc %u is off", crtc);
	}
	head->state = *state;
	if (scanout != head->scanout) {
		head->next = NULL;
		head_scanout_replace(screen, head, scanout);
	}
	connectors_moved(screen, crtc, state->connectors);
	return 0;
}

static int head_flush_damage(struct screen *screen, uint16_t crtc)
{
	struct head *head = &screen->heads[crtc];
	struct box boxes[LIMIT_DAMAGE_RECTS];
	for (uint16_t i = 0; i < head->commit.damage_count; i++) {
		const struct bridge_rect *rect = &head->commit.damage[i];
		boxes[i] = (struct box) {
				rect->x, rect->y, rect->x + rect->width, rect->y + rect->height};
	}
	if (head->commit.damage_count == 0) {
		return 0;
	}
	return screen->backend->ops->flush(
			screen->backend, crtc, head->scanout, boxes, head->commit.damage_count);
}

static int head_settle(struct screen *screen, uint16_t crtc)
{
	const struct backend *backend = screen->backend;
	return backend->ops->settle
			? backend->ops->settle(screen->backend, crtc, screen->heads[crtc].scanout)
			: 0;
}

/* The errno of a driver as the wire can carry it. */
static int32_t result_clamp(int result)
{
	return result > 0 || result < -4095 ? -EIO : result;
}

void screen_commit_finish(struct screen *screen, uint16_t crtc, struct bridge_commit_done *ret_done)
{
	struct head *head = &screen->heads[crtc];
	assert(commit_is_complete(&head->commit));
	int result = head->commit.result;
	if (!result && (head->next || !crtc_state_equal(&head->state, &head->commit.state))) {
		result = head_apply(screen, crtc);
	}
	if (!result) {
		result = head_flush_damage(screen, crtc);
		cursor_settle(screen, crtc);
		int error = head_settle(screen, crtc);
		result = result ? result : error;
	}
	*ret_done = (struct bridge_commit_done) {
			.id = head->commit.id,
			.crtc = crtc,
			.result = result_clamp(result),
			.time_ns = clock_now_ns(),
	};
	head_commit_drop(screen, head);
}

int screen_cursor_image(struct screen *screen, const struct bridge_cursor_image *untrusted_message,
		uint8_t **ret_pixels, const char **ret_fault)
{
	const struct bridge_topology_begin *device = &screen->topology->begin;
	const char *fault = NULL;
	if (untrusted_message->crtc >= screen->heads_count) {
		fault = "cursor for a CRTC that does not exist";
	} else if (untrusted_message->width > device->cursor_width ||
			untrusted_message->height > device->cursor_height) {
		fault = "cursor larger than the topology allows";
	}
	if (fault) {
		*ret_fault = fault;
		return -EBADMSG;
	}
	struct head *head = &screen->heads[untrusted_message->crtc];
	cursor_settle(screen, untrusted_message->crtc);
	head->image.width_px = untrusted_message->width;
	head->image.height_px = untrusted_message->height;
	head->image.hot_x = untrusted_message->hot_x;
	head->image.hot_y = untrusted_message->hot_y;
	head->image_sent = true;
	*ret_pixels = (uint8_t *)head->image.pixels;
	return 0;
}

int screen_cursor_move(struct screen *screen, const struct bridge_cursor_move *untrusted_message,
		const char **ret_fault)
{
	if (untrusted_message->crtc >= screen->heads_count) {
		*ret_fault = "cursor for a CRTC that does not exist";
		return -EBADMSG;
	}
	struct head *head = &screen->heads[untrusted_message->crtc];
	head->cursor_wanted = untrusted_message->visible != 0;
	if (head->cursor_wanted && head->image_sent) {
		head->image_sent = false;
		head->image_new = true;
	}
	head->cursor_x = untrusted_message->x;
	head->cursor_y = untrusted_message->y;
	cursor_schedule(screen, head);
	return 0;
}

void screen_sync(struct screen *screen)
{
	for (uint16_t i = 0; i < screen->heads_count; i++) {
		cursor_settle(screen, i);
		int error = head_settle(screen, i);
		if (error) {
			log_peer(LOG_DISPLAY, "crtc %u: showing the picture failed: %s", i,
					strerror(-error));
		}
	}
}
